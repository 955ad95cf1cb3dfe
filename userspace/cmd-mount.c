// SPDX-License-Identifier: GPL-2.0-only
/*
 * snapprot mount - mount a snapshot
 *
 * Read-only without replaying a journal, as the device cannot be written. For one
 * whose file system was not frozen, or that an application is to recover,
 * --writable puts an overlay over it, whose contents end with it.
 */
#include <blkid.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "device.h"
#include "view.h"

/**
 * struct request - what is asked for
 * @dir: where to mount it
 * @writable: through an overlay
 * @scratch: directory for the overlay's file
 * @size: of the overlay in bytes, 0 for enough
 */
struct request {
	const char *dir;
	uint32_t id;
	bool writable;
	const char *scratch;
	uint64_t size;
};

/*
 * The live volume has the same file system UUID. For xfs that can be allowed;
 * btrfs would take one for a part of the other.
 */
static const struct {
	const char *type;
	const char *read_only;
	const char *writable;
} options[] = {
	{ "ext3",	"noload",		"" },
	{ "ext4",	"noload",		"" },
	{ "xfs",	"norecovery,nouuid",	"nouuid" },
};

static const char *options_of(const char *type, bool writable)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(options); i++)
		if (!strcmp(options[i].type, type))
			return writable ? options[i].writable :
					  options[i].read_only;
	return "";
}

/* The file system on a device, to be freed; NULL if there is none. */
static char *find_type(const char *path)
{
	blkid_probe pr = blkid_new_probe_from_filename(path);
	const char *value;
	char *type = NULL;

	if (!pr)
		return NULL;
	if (!blkid_do_safeprobe(pr) &&
	    !blkid_probe_lookup_value(pr, "TYPE", &value, NULL))
		type = strdup(value);
	blkid_free_probe(pr);
	return type;
}

static int mount_path(const struct request *rq, const char *path)
{
	char *type = find_type(path);
	int code = 0;

	if (!type)
		return complain(TOOL_WRONG, "%s: has no file system that is known",
				path);
	if (!strcmp(type, "btrfs"))
		code = complain(TOOL_FAILED,
				"%s: btrfs cannot tell a snapshot from the live volume; give an overlay another UUID (btrfstune -u) and mount that",
				path);
	else if (mount(path, rq->dir, type, rq->writable ? 0 : MS_RDONLY,
		       options_of(type, rq->writable)))
		code = complain(admin_code(-errno), "%s: %s on %s: %s",
				rq->dir, type, path, strerror(errno));
	free(type);
	return code;
}

static int mount_name(const struct request *rq, const char *name)
{
	char path[4096];

	if (mapper_path(name, path, sizeof(path)))
		return complain(TOOL_FAILED, "%s: has no path", name);
	return mount_path(rq, path);
}

/* As it was before, but for what had been there already. */
static void undo(const struct mapper_dev *live, uint32_t id, bool made,
		 const char *overlay)
{
	struct mapper_scan scan;

	if (*overlay)
		mapper_remove(overlay);
	if (made && !mapper_scan(&scan)) {
		view_conceal(&scan, live->volume, id);
		mapper_scan_free(&scan);
	}
}

static int mount_snapshot(const struct request *rq,
			  const struct mapper_scan *scan,
			  const struct mapper_dev *live)
{
	char view[VIEW_NAME], overlay[VIEW_NAME] = "";
	bool made;
	int code;

	if (mapper_find(scan, MAPPER_OVERLAY, live->volume, rq->id))
		return complain(TOOL_BUSY,
				"%s: snapshot %u: has a writable overlay already",
				live->name, rq->id);
	code = view_expose(scan, live, rq->id, view, &made);
	if (code)
		return code;
	if (rq->writable) {
		code = view_overlay(live, rq->id, view, rq->scratch, rq->size,
				    overlay);
		if (code)
			*overlay = '\0';
	}
	if (!code)
		code = mount_name(rq, rq->writable ? overlay : view);
	if (code)
		undo(live, rq->id, made, overlay);
	return code;
}

/* As 500M or 2G; plain numbers are bytes. */
static int parse_size(const char *text, uint64_t *size)
{
	static const char units[] = "KMGT";
	char digits[24];
	size_t len = strspn(text, "0123456789");
	const char *unit = text[len] ? strchr(units, text[len]) : NULL;
	int shift = unit ? 10 * (int)(unit - units + 1) : 0;

	if (len >= sizeof(digits) || (text[len] && (!unit || text[len + 1])))
		return -EINVAL;
	memcpy(digits, text, len);
	digits[len] = '\0';
	if (number_parse(digits, INT64_MAX >> 8 >> shift, size) || !*size)
		return -EINVAL;
	*size <<= shift;
	return 0;
}

static int parse_options(struct request *rq, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "writable",	no_argument,		NULL, 'w' },
		{ "scratch",	required_argument,	NULL, 's' },
		{ "size",	required_argument,	NULL, 'S' },
		{ NULL,		0,			NULL, 0 }
	};
	int opt;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":", longs, NULL)) != -1) {
		switch (opt) {
		case 'w':
			rq->writable = true;
			break;
		case 's':
			rq->scratch = optarg;
			break;
		case 'S':
			if (parse_size(optarg, &rq->size))
				return complain_usage("--size %s: is no size",
						      optarg);
			break;
		default:
			return complain_option(opt, argv);
		}
	}
	if (!rq->writable && (rq->scratch || rq->size))
		return complain_usage("--scratch and --size are for --writable");
	if (!rq->scratch)
		rq->scratch = "/var/tmp";
	if (argc - optind != 3)
		return complain_usage("a volume, the id of a snapshot and a directory are needed");
	rq->dir = argv[optind + 2];
	return admin_parse_id(argv[optind + 1], &rq->id);
}

static int run_mount(int argc, char **argv)
{
	struct request rq = { .dir = NULL };
	struct mapper_scan scan;
	struct mapper_dev *live;
	int code;

	code = parse_options(&rq, argc, argv);
	if (code)
		return code;
	code = admin_begin_on(&scan, argv[optind], &live);
	if (!code)
		code = mount_snapshot(&rq, &scan, live);
	mapper_scan_free(&scan);
	return code;
}

const struct command command_mount = {
	.name = "mount",
	.args = "[--writable [--scratch DIR] [--size SIZE]] NAME ID DIR",
	.what = "mount a snapshot",
	.help =
	"Read-only, and no journal is replayed. With --writable it can be written to,\n"
	"and journals are replayed: what is written goes to a file in DIR (/var/tmp),\n"
	"which has no name and is gone after \"snapprot umount\"; SIZE limits it, as in\n"
	"500M.\n",
	.run = run_mount,
};
