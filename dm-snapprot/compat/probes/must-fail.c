// SPDX-License-Identifier: GPL-2.0-only
/* Compiles with none: no such function, and no such member. */
#include <linux/module.h>
#include <linux/device-mapper.h>

sector_t probe(struct dm_target *ti);

sector_t probe(struct dm_target *ti)
{
	return snapprot_no_such_function(ti->no_such_member);
}
