// SPDX-License-Identifier: GPL-2.0-only
/* 05bdb9965305 ("block: replace fmode_t with a block-specific type"), 6.5 */
#include <linux/blkdev.h>

blk_mode_t snapprot_probe(void);
blk_mode_t snapprot_probe(void)
{
	return BLK_OPEN_WRITE;
}
