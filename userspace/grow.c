// SPDX-License-Identifier: GPL-2.0-only
/*
 * A store whose device has become larger.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "../dm-snapprot/core/format.h"
#include "grow.h"

/* It is the first word of the table. */
int grow_device(const struct mapper_dev *store, unsigned int *major,
		unsigned int *minor)
{
	return sscanf(store->table, "%u:%u", major, minor) == 2 ? 0 : -EINVAL;
}

int grow_sectors(const struct mapper_dev *store, uint64_t *sectors)
{
	unsigned int major, minor;
	char path[64];
	FILE *f;
	int n;

	if (grow_device(store, &major, &minor))
		return -EINVAL;
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/size", major,
		 minor);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	n = fscanf(f, "%" SCNu64, sectors);
	fclose(f);
	if (n != 1)
		return -EIO;
	*sectors &= ~(uint64_t)(SNAPPROT_SECTORS_PER_BLOCK - 1);
	return 0;
}

int grow_store(const struct mapper_dev *store, uint64_t sectors)
{
	struct mapper_table old = {
		.target = "snapprot-store",
		.params = store->table,
		.sectors = store->sectors,
	};
	struct mapper_table new = old;

	new.sectors = sectors;
	return mapper_reload(store->name, &new, &old);
}
