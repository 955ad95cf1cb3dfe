// SPDX-License-Identifier: GPL-2.0-only
/*
 * snapprot dump - what a store says, a fact a line
 *
 * Sorted by what it is about and never by where it lies, so that two dumps can
 * be compared with diff. A damaged store is dumped as far as it can be read.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

#include "../dm-snapprot/core/state.h"
#include "image.h"
#include "tool.h"

/* What dump is asked for. */
enum view {
	VIEW_ALL,
	VIEW_CONTENT,		/* what a repair or a copy would keep */
	VIEW_MAP,		/* which block is what */
};

/* Damage is printed last, so it is kept until then. */
struct dump {
	enum view view;
	char *notes;
	size_t notes_len;
	FILE *notes_file;
};

static void note(void *ctx, u64 block, const char *what)
{
	struct dump *d = ctx;

	fprintf(d->notes_file, "damaged block %" PRIu64 ": %s\n", block, what);
}

static void note_doubt(void *ctx, u64 block, const char *what)
{
	struct dump *d = ctx;

	fprintf(d->notes_file, "doubtful block %" PRIu64 ": %s\n", block, what);
}

static void map_block(void *ctx, u64 block, const char *what)
{
	struct dump *d = ctx;

	if (d->view == VIEW_MAP)
		printf("block %" PRIu64 " %s\n", block, what);
}

static const struct image_ops dump_ops = {
	.damage = note,
	.doubt = note_doubt,
	.block = map_block,
};

/* ---- superblock ----------------------------------------------------------- */

static void print_number(const char *name, u64 value)
{
	printf("superblock %s %" PRIu64 "\n", name, value);
}

static void print_identity(const struct snapprot_disk_super *s)
{
	u32 flags = le32_to_cpu(s->flags);
	char uuid[37];

	snapprot_uuid_format(s->h.uuid, uuid);
	printf("superblock uuid %s\n", uuid);
	print_number("version", le32_to_cpu(s->version));
	printf("superblock compat 0x%" PRIx32 "\n", le32_to_cpu(s->compat));
	printf("superblock compat_ro 0x%" PRIx32 "\n",
	       le32_to_cpu(s->compat_ro));
	printf("superblock incompat 0x%" PRIx32 "\n", le32_to_cpu(s->incompat));
	print_number("block_size", le32_to_cpu(s->block_size));
	print_number("protected", !!(flags & SNAPPROT_SUPER_PROTECTED));
	print_number("unlabelled", !!(flags & SNAPPROT_SUPER_UNLABELLED));
	print_number("generation", le64_to_cpu(s->generation));
	print_number("origin_sectors", le64_to_cpu(s->origin_sectors));
	print_number("create_time", le64_to_cpu(s->create_time));
	print_number("lost_epoch", le32_to_cpu(s->lost_epoch));
	printf("superblock lost_fault %s\n",
	       snapprot_fault_name(le32_to_cpu(s->lost_fault)));
}

static void print_state(const struct snapprot_disk_super *s)
{
	print_number("sweep", !!(le32_to_cpu(s->flags) & SNAPPROT_SUPER_SWEEP));
	print_number("sweep_block", le64_to_cpu(s->sweep_block));
	print_number("seq", le64_to_cpu(s->h.seq));
	print_number("store_blocks", le64_to_cpu(s->store_blocks));
	print_number("ckpt_seq", le64_to_cpu(s->ckpt_seq));
	print_number("epoch", le32_to_cpu(s->epoch));
	print_number("nr_snaps", le32_to_cpu(s->nr_snaps));
	print_number("log_block", le64_to_cpu(s->log_block));
	print_number("log_seq", le64_to_cpu(s->log_seq));
	printf("superblock log_prev_crc 0x%08" PRIx32 "\n",
	       le32_to_cpu(s->log_prev_crc));
	print_number("root", le64_to_cpu(s->root));
	print_number("root_level", le32_to_cpu(s->root_level));
	print_number("nr_nodes", le64_to_cpu(s->nr_nodes));
	print_number("nr_entries", le64_to_cpu(s->nr_entries));
	print_number("dir", le64_to_cpu(s->dir));
	print_number("nr_groups", le64_to_cpu(s->nr_groups));
	print_number("nr_free", le64_to_cpu(s->nr_free));
}

/* ---- the rest ------------------------------------------------------------- */

static void print_snaps(const struct image *img)
{
	const struct snapprot_snap *snap;
	u32 i;

	for (i = 0; i < img->nr_snaps; i++) {
		snap = &img->snaps[i];
		printf("snapshot %" PRIu32 " epoch %" PRIu32 "\n", snap->id,
		       snap->epoch);
		printf("snapshot %" PRIu32 " state %s\n", snap->id,
		       image_snap_lost(img, snap) ? "lost" : "valid");
		printf("snapshot %" PRIu32 " time %" PRIu64 "\n", snap->id,
		       snap->time);
		printf("snapshot %" PRIu32 " sectors %" PRIu64 "\n", snap->id,
		       snap->sectors);
	}
}

/* Is it of any use to a snapshot that is not lost? */
static bool in_use(const struct image *img, u32 prev, u32 epoch)
{
	u32 i;

	for (i = 0; i < img->nr_snaps; i++)
		if (img->snaps[i].epoch > prev &&
		    img->snaps[i].epoch <= epoch &&
		    !image_snap_lost(img, &img->snaps[i]))
			return true;
	return false;
}

/**
 * struct printer - context of a walk
 * @img: what is walked
 * @places: print them
 */
struct printer {
	const struct image *img;
	bool places;
};

static int print_entry(void *ctx, const struct snapprot_entry *e, u32 prev)
{
	struct printer *p = ctx;

	if (!p->places && !in_use(p->img, prev, e->epoch))
		return 0;
	printf("exception %" PRIu64 " epoch %" PRIu32 " sum 0x%08" PRIx32,
	       e->block, e->epoch, e->sum);
	if (p->places)
		printf(" place %" PRIu64, e->place);
	putchar('\n');
	return 0;
}

static int print_old_data(void *ctx, const struct snapprot_entry *e, u32 prev)
{
	(void)ctx;
	(void)prev;
	printf("block %" PRIu64 " data\n", e->place);
	return 0;
}

static int print_image(struct image *img, enum view view)
{
	struct printer p = { .img = img, .places = view == VIEW_ALL };

	if (view == VIEW_MAP)
		return image_walk(img, print_old_data, NULL);
	print_identity(img->super);
	if (view == VIEW_ALL)
		print_state(img->super);
	printf("log epoch %" PRIu32 "\n", img->epoch);
	if (view == VIEW_ALL) {
		printf("log seq %" PRIu64 "\n", img->log_seq);
		printf("log entries %" PRIu32 "\n", img->nr_log);
	}
	print_snaps(img);
	if (img->nr_unknown)
		printf("snapshots unknown %" PRIu32 "\n", img->nr_unknown);
	return image_walk(img, print_entry, &p);
}

/* ---- the command ---------------------------------------------------------- */

static int complain_open(const char *path, int err)
{
	switch (err) {
	case -ENODEV:
		return complain(TOOL_WRONG, "%s: is not a store", path);
	case -EPROTONOSUPPORT:
		return complain(TOOL_WRONG,
				"%s: is a store of a version unknown here",
				path);
	case -EBADMSG:
		return complain(TOOL_FAILED,
				"%s: both superblocks are damaged", path);
	}
	return complain(TOOL_FAILED, "%s: %s", path, strerror(-err));
}

static int finish(const struct device *dev, struct dump *d, u32 nr_damage)
{
	fflush(d->notes_file);
	if (d->notes_len)
		fputs(d->notes, stdout);
	if (output_end())
		return TOOL_FAILED;
	if (nr_damage)
		return complain(TOOL_FAILED, "%s: is damaged", dev->path);
	return TOOL_DONE;
}

static int dump_device(const struct device *dev, enum view view)
{
	struct dump d = { .view = view };
	struct store_env se;
	struct image img;
	int err, code;

	d.notes_file = open_memstream(&d.notes, &d.notes_len);
	if (!d.notes_file)
		return complain(TOOL_FAILED, "%s", strerror(errno));
	err = store_env_init(&se, dev, 0);
	if (!err) {
		err = image_open(&img, &se, &dump_ops, &d);
		if (!err)
			err = print_image(&img, view);
		code = err ? complain_open(dev->path, err) :
			     finish(dev, &d, img.nr_damage);
		image_close(&img);
	} else {
		code = complain_open(dev->path, err);
	}
	store_env_exit(&se);
	fclose(d.notes_file);
	free(d.notes);
	return code;
}

static int run_dump(int argc, char **argv)
{
	static const struct option options[] = {
		{ "content",	no_argument,	NULL, 'c' },
		{ "map",	no_argument,	NULL, 'm' },
		{ NULL,		0,		NULL, 0 }
	};
	struct device dev = DEVICE_CLOSED;
	enum view view = VIEW_ALL;
	int opt, code;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		if (opt == 'c')
			view = VIEW_CONTENT;
		else if (opt == 'm')
			view = VIEW_MAP;
		else
			return complain_option(opt, argv);
	}
	if (argc - optind != 1)
		return complain_usage("one store is needed");

	code = device_open(&dev, argv[optind], 0);
	if (code)
		return code;
	code = dump_device(&dev, view);
	device_close(&dev);
	return code;
}

const struct command command_dump = {
	.name = "dump",
	.args = "[--content | --map] STORE",
	.what = "print superblock, snapshots and exceptions as text that diffs well",
	.help =
	"An exception is a preserved block: its number on the origin, the epoch it\n"
	"was preserved in, the checksum of the old data, and where that is in the\n"
	"store. --content leaves out whatever differs between two stores that hold\n"
	"the same for the same snapshots. --map prints what each block in use is.\n"
	"What is damaged is listed at the end, and makes the exit code 1.\n",
	.run = run_dump,
};
