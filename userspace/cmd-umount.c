// SPDX-License-Identifier: GPL-2.0-only
/*
 * snapprot umount - undo "snapprot mount"
 */
#include <errno.h>
#include <getopt.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "view.h"

/* What is mounted there has the number of its device. */
static struct mapper_dev *mounted(const struct mapper_scan *scan,
				  const char *dir)
{
	struct mapper_dev *dev;
	struct stat st;

	if (stat(dir, &st))
		return NULL;
	dev = mapper_find_number(scan, major(st.st_dev), minor(st.st_dev));
	if (dev && (dev->kind == MAPPER_VIEW || dev->kind == MAPPER_OVERLAY))
		return dev;
	return NULL;
}

/* Somebody else may have mounted the view as well: then it stays. */
static int conceal(const struct mapper_dev *was)
{
	const struct mapper_dev *dev;
	struct mapper_scan scan;
	int code;

	code = admin_begin(&scan);
	dev = mapper_find(&scan, was->kind, was->volume, was->id);
	if (!code && dev && !dev->open_count)
		code = view_conceal(&scan, was->volume, was->id);
	mapper_scan_free(&scan);
	return code;
}

static int run_umount(int argc, char **argv)
{
	struct mapper_scan scan;
	struct mapper_dev *dev;
	const char *dir;
	int code;

	code = admin_options(argc, argv, NULL, 1, 1, "a directory is needed");
	if (code)
		return code;
	dir = argv[optind];
	code = admin_begin(&scan);
	if (!code) {
		dev = mounted(&scan, dir);
		if (!dev)
			code = complain(TOOL_WRONG,
					"%s: no snapshot is mounted there",
					dir);
		else if (umount2(dir, UMOUNT_NOFOLLOW))
			code = complain(admin_code(-errno), "%s: %s", dir,
					strerror(errno));
		else
			code = conceal(dev);
	}
	mapper_scan_free(&scan);
	return code;
}

const struct command command_umount = {
	.name = "umount",
	.args = "DIR",
	.what = "unmount a snapshot, and remove the devices that showed it",
	.run = run_umount,
};
