// SPDX-License-Identifier: GPL-2.0-only
/*
 * What has to be so before a store that seems to be left over is changed.
 */
#include <errno.h>
#include <getopt.h>

#include "admin.h"
#include "reclaim.h"

static int check_store(struct leftover *lo)
{
	const char *path = lo->dev.path;
	int err;

	err = identify(&lo->dev, &lo->id);
	if (err)
		return complain(TOOL_FAILED, "%s: %s", path, strerror(-err));
	switch (lo->id.store) {
	case TRACE_VALID:
		break;
	case TRACE_NEWER:
		return complain(TOOL_WRONG,
				"%s: is a store of a version unknown here",
				path);
	case TRACE_DAMAGED:
		return complain(TOOL_WRONG,
				"%s: is a damaged store, so its volume cannot be told",
				path);
	default:
		return complain(TOOL_WRONG, "%s: is no store", path);
	}
	snapprot_uuid_format(lo->id.super.h.uuid, lo->volume);
	return 0;
}

/* A file on a system without device-mapper can be in use by no volume. */
static int check_volume(struct leftover *lo)
{
	const struct mapper_dev *live;
	struct mapper_scan scan;
	int err, code = 0;

	err = mapper_scan(&scan);
	if (err && (lo->dev.block || err != -ENODEV))
		code = complain(TOOL_FAILED,
				"%s: whether its volume is active cannot be told: %s",
				lo->dev.path, strerror(-err));
	live = err ? NULL : mapper_find(&scan, MAPPER_LIVE, lo->volume, 0);
	if (live)
		code = complain(TOOL_BUSY, "%s: its volume is active, as %s",
				lo->dev.path, live->name);
	if (!code && lo->dev.block)
		lo->label_found = locate_label(&scan, lo->id.super.h.uuid,
					       &lo->label, lo->label_path,
					       sizeof(lo->label_path));
	mapper_scan_free(&scan);
	return code;
}

static int leftover_open(struct leftover *lo, const char *path)
{
	int code;

	code = device_open(&lo->dev, path, DEVICE_WRITE);
	if (!code)
		code = check_store(lo);
	return code ? code : check_volume(lo);
}

int leftover_run(int argc, char **argv,
		 int (*what)(struct leftover *lo, bool yes))
{
	static struct leftover lo = { .dev = DEVICE_CLOSED };
	bool yes = false;
	int code;

	code = admin_options(argc, argv, &yes, 1, 1, "a store is needed");
	if (code)
		return code;
	code = leftover_open(&lo, argv[optind]);
	if (!code)
		code = what(&lo, yes);
	device_close(&lo.dev);
	return code;
}
