// SPDX-License-Identifier: GPL-2.0-only
/*
 * snapprot deactivate - remove a volume's devices, if nobody uses them
 *
 * Views before the live volume, and the store last: removing it from a live
 * volume that has snapshots would be a fault.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "admin.h"
#include "device.h"

/* An overlay holds its view, as what is below is not its own user. */
static int own_users(const struct mapper_scan *scan,
		     const struct mapper_dev *dev)
{
	return dev->kind == MAPPER_VIEW &&
	       mapper_find(scan, MAPPER_OVERLAY, dev->volume, dev->id) ? 1 : 0;
}

#define TRIES		25
#define PAUSE_US	200000

/*
 * Whoever mounts it or puts something on top can be named. Somebody else is udev as a
 * rule, which looks at what has just been unmounted, and will not be long.
 */
static int check_free(const struct mapper_scan *scan, struct mapper_dev *dev)
{
	char who[512];
	int i;

	for (i = 0; dev->open_count > own_users(scan, dev); i++) {
		if (device_user(makedev(dev->major, dev->minor), who,
				sizeof(who)))
			return complain(TOOL_BUSY, "%s: %s", dev->name, who);
		if (i == TRIES)
			return complain(TOOL_BUSY, "%s: is in use", dev->name);
		usleep(PAUSE_US);
		mapper_count_openers(dev);
	}
	return 0;
}

static int remove_kind(const struct mapper_scan *scan, enum mapper_kind kind,
		       const char *volume)
{
	const struct mapper_dev *dev;
	size_t i;
	int err;

	for (i = 0; i < scan->count; i++) {
		dev = &scan->devs[i];
		if (dev->kind != kind || strcmp(dev->volume, volume))
			continue;
		err = mapper_remove(dev->name);
		if (err)
			return complain(admin_code(err),
					"%s: cannot be removed: %s", dev->name,
					strerror(-err));
	}
	return 0;
}

/* Nothing is touched as long as any of them is in use. */
static int deactivate_volume(struct mapper_scan *scan, const char *volume)
{
	static const enum mapper_kind order[] = {
		MAPPER_OVERLAY, MAPPER_VIEW, MAPPER_LIVE, MAPPER_STORE
	};
	int code = 0;
	size_t i;

	for (i = 0; i < scan->count && !code; i++)
		if (!strcmp(scan->devs[i].volume, volume))
			code = check_free(scan, &scan->devs[i]);
	for (i = 0; i < ARRAY_SIZE(order) && !code; i++)
		code = remove_kind(scan, order[i], volume);
	return code;
}

/* A live volume, or a store that is left of one: "<name>-store". */
static int deactivate_name(const char *name)
{
	struct mapper_scan scan;
	struct mapper_dev *dev;
	size_t i, len = strlen(name);
	int code;

	code = admin_begin(&scan);
	if (code)
		goto out;
	dev = mapper_find_live(&scan, name);
	for (i = 0; i < scan.count && !dev; i++)
		if (scan.devs[i].kind == MAPPER_STORE &&
		    !strncmp(scan.devs[i].name, name, len) &&
		    !strcmp(scan.devs[i].name + len, "-store"))
			dev = &scan.devs[i];
	code = dev ? deactivate_volume(&scan, dev->volume) :
		     complain(TOOL_WRONG, "%s: no such volume is active", name);
out:
	mapper_scan_free(&scan);
	return code;
}

/* Is one of a volume's devices used by another device of ours? */
static bool carries(const struct mapper_scan *scan, const char *volume)
{
	const struct mapper_dev *a, *b;
	size_t i, j;

	for (i = 0; i < scan->count; i++) {
		a = &scan->devs[i];
		if (strcmp(a->volume, volume))
			continue;
		for (j = 0; j < scan->count; j++) {
			b = &scan->devs[j];
			if (strcmp(b->volume, volume) &&
			    mapper_depends(b->major, b->minor, a->major,
					   a->minor))
				return true;
		}
	}
	return false;
}

/*
 * One that is on top of all others, and was not tried before: what it lies on is
 * in use until it is gone. Where all that are left carry one, any.
 */
static const char *next_volume(const struct mapper_scan *scan, char (*tried)[37],
			       size_t nr_tried)
{
	const char *volume, *any = NULL;
	size_t i, j;

	for (i = 0; i < scan->count; i++) {
		volume = scan->devs[i].volume;
		for (j = 0; j < nr_tried; j++)
			if (!strcmp(tried[j], volume))
				break;
		if (j < nr_tried)
			continue;
		if (!carries(scan, volume))
			return volume;
		any = any ? any : volume;
	}
	return any;
}

#define MAX_VOLUMES	1024

static int deactivate_all(void)
{
	static char tried[MAX_VOLUMES][37];
	size_t nr_tried = 0;
	struct mapper_scan scan;
	const char *volume;
	int one, code = 0;

	do {
		one = admin_begin(&scan);
		volume = one || nr_tried == MAX_VOLUMES ? NULL :
			 next_volume(&scan, tried, nr_tried);
		if (volume) {
			memcpy(tried[nr_tried++], volume, sizeof(tried[0]));
			one = deactivate_volume(&scan, volume);
		}
		code = code ? code : one;
		mapper_scan_free(&scan);
	} while (volume);
	return code;
}

static int run_deactivate(int argc, char **argv)
{
	bool all = false;
	int i, one, code;

	code = admin_all_or_names(argc, argv, &all);
	if (code)
		return code;
	if (all)
		return deactivate_all();
	for (i = optind; i < argc; i++) {
		one = deactivate_name(argv[i]);
		code = code ? code : one;
	}
	return code;
}

const struct command command_deactivate = {
	.name = "deactivate",
	.args = "NAME... | --all",
	.what = "remove volumes' devices: views, live volume, store",
	.help =
	"Nothing is removed of a volume that is in use. The snapshots stay: they are\n"
	"there again when it is activated.\n",
	.run = run_deactivate,
};
