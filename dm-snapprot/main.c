// SPDX-License-Identifier: GPL-2.0-only
/*
 * dm-snapprot: snapshots of a live volume that are not sacrificed.
 */
#include <linux/module.h>

#include "snapprot.h"

static struct target_type * const targets[] = {
	&snapprot_origin_target,
	&snapprot_store_target_type,
	&snapprot_view_target,
};

static void unregister(unsigned int n)
{
	while (n--)
		dm_unregister_target(targets[n]);
}

static int __init snapprot_init(void)
{
	unsigned int i;
	int err;

	err = snapprot_pools_init(&snapprot_ctr_pools);
	if (err)
		goto pools;
	err = snapprot_view_setup();
	if (err)
		goto pools;
	for (i = 0; i < ARRAY_SIZE(targets); i++) {
		err = dm_register_target(targets[i]);
		if (err) {
			unregister(i);
			goto view;
		}
	}
	return 0;

view:
	snapprot_view_cleanup();
pools:
	snapprot_pools_exit(&snapprot_ctr_pools);
	return err;
}

static void __exit snapprot_exit(void)
{
	unregister(ARRAY_SIZE(targets));
	snapprot_view_cleanup();
	snapprot_pools_exit(&snapprot_ctr_pools);
}

module_init(snapprot_init);
module_exit(snapprot_exit);

MODULE_DESCRIPTION("Device-mapper snapshots with a protection mode");
MODULE_AUTHOR("The dm-snapprot developers");
MODULE_LICENSE("GPL");
MODULE_ALIAS("dm-snapprot-store");
MODULE_ALIAS("dm-snapprot-snap");
