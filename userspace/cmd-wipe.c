// SPDX-License-Identifier: GPL-2.0-only
/*
 * snapprot wipe - free the device of a store whose volume is gone
 */
#include <errno.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "admin.h"
#include "progress.h"
#include "reclaim.h"
#include "table.h"

#define STEP	(64ull << 20)

static int check_lost(const struct leftover *lo)
{
	u32 flags = le32_to_cpu(lo->label.flags);

	if (lo->id.store_protected)
		return complain(TOOL_WRONG,
				"%s: is protected; take that off first (snapprot unprotect-store)",
				lo->dev.path);
	if (!lo->label_found)
		return 0;
	if (flags & SNAPPROT_LABEL_PROTECTED)
		return complain(TOOL_WRONG,
				"%s: its volume on %s is in protection mode",
				lo->dev.path, lo->label_path);
	if (!(flags & SNAPPROT_LABEL_LOST))
		return complain(TOOL_WRONG,
				"%s: its volume is on %s, and has not lost its snapshots",
				lo->dev.path, lo->label_path);
	return 0;
}

/*
 * What makes it a store goes first, so that a part of one is not taken for a
 * whole; the rest because old steps of the log must not come up in a new store.
 */
static int zero_device(const struct device *dev)
{
	u64 end = dev->sectors << 9, at, range[2];

	for (at = 0; at < end; at += STEP) {
		progress_show(at, end);
		range[0] = at;
		range[1] = end - at < STEP ? end - at : STEP;
		if (ioctl(dev->fd, BLKZEROOUT, range))
			return -errno;
	}
	progress_show(end, end);
	return device_sync(dev);
}

static int zero_file(struct device *dev)
{
	u64 sectors = dev->sectors;
	int err;

	err = device_resize(dev, 0);
	if (!err)
		err = device_resize(dev, sectors);
	return err ? err : device_sync(dev);
}

static int wipe(struct leftover *lo, bool yes)
{
	char size[24];
	int code, err;

	code = check_lost(lo);
	if (code)
		return code;
	size_format(lo->dev.sectors << 9, size, sizeof(size));
	code = admin_confirm(yes,
			     "%s: the store (%s) of volume %s, %s%s, will be erased with all snapshots in it.",
			     lo->dev.path, size, lo->volume,
			     lo->label_found ? "whose label has recorded them as lost: " :
			     "which is not to be found",
			     lo->label_found ? lo->label_path : "");
	if (code)
		return code;
	err = lo->dev.block ? zero_device(&lo->dev) : zero_file(&lo->dev);
	return err ? complain(TOOL_FAILED, "%s: %s", lo->dev.path,
			      strerror(-err)) : 0;
}

static int run_wipe(int argc, char **argv)
{
	return leftover_run(argc, argv, wipe);
}

const struct command command_wipe = {
	.name = "wipe",
	.args = "[--yes] STORE",
	.what = "erase an unused store whose volume is gone, or has lost its snapshots",
	.help =
	"Refused are a store that is in use or protected, and one whose volume is\n"
	"still there and may need it. Asks, or needs --yes.\n",
	.run = run_wipe,
};
