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

#include "../dm-snapprot/core/internal.h"
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

static void print_uuid(const char *what, const u8 *uuid)
{
	char text[37];

	snapprot_uuid_format(uuid, text);
	printf("%s %s\n", what, text);
}

static void print_identity(const struct snapprot_disk_super *s)
{
	u32 flags = le32_to_cpu(s->flags);

	print_uuid("superblock uuid", s->h.uuid);
	print_uuid("superblock store_id", s->store_id);
	print_number("version", le32_to_cpu(s->version));
	printf("superblock compat 0x%" PRIx32 "\n", le32_to_cpu(s->compat));
	printf("superblock compat_ro 0x%" PRIx32 "\n",
	       le32_to_cpu(s->compat_ro));
	printf("superblock incompat 0x%" PRIx32 "\n", le32_to_cpu(s->incompat));
	print_number("block_size", le32_to_cpu(s->block_size));
	print_number("role", le32_to_cpu(s->role));
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
	u32 i;

	print_number("seq", le64_to_cpu(s->h.seq));
	print_number("store_blocks", le64_to_cpu(s->store_blocks));
	print_number("ckpt_seq", le64_to_cpu(s->ckpt_seq));
	print_number("epoch", le32_to_cpu(s->epoch));
	print_number("nr_snaps", le32_to_cpu(s->nr_snaps));
	print_number("log_block", le64_to_cpu(s->log_block));
	print_number("log_seq", le64_to_cpu(s->log_seq));
	printf("superblock log_prev_sum 0x%016" PRIx64 "\n",
	       (u64)le64_to_cpu(s->log_prev_sum));
	print_number("fence_seq", le64_to_cpu(s->fence_seq));
	print_number("generation_seq", le64_to_cpu(s->generation_seq));
	for (i = 0; i < 2; i++)
		printf("superblock zone %" PRIu32 " from %" PRIu64 " to %" PRIu64 "\n",
		       i, (u64)le64_to_cpu(s->zone[i].start),
		       (u64)le64_to_cpu(s->zone[i].end));
	print_number("dir", le64_to_cpu(s->dir));
	print_number("nr_dirs", le32_to_cpu(s->nr_dirs));
	print_number("space_level", le32_to_cpu(s->space_level));
	print_number("space_slot", le32_to_cpu(s->space_slot));
	print_number("space_used", le64_to_cpu(s->space_used));
}

/* ---- directory and log ------------------------------------------------------ */

static const char *role_name(u32 role)
{
	static const char * const names[] = {
		[SNAPPROT_RUN_CUR]	= "cur",
		[SNAPPROT_RUN_NEXT]	= "next",
		[SNAPPROT_RUN_UP]	= "up",
		[SNAPPROT_RUN_FILL]	= "fill",
		[SNAPPROT_RUN_DRAIN]	= "drain",
		[SNAPPROT_RUN_MAP]	= "map",
		[SNAPPROT_RUN_TRASH]	= "trash",
	};

	return role < ARRAY_SIZE(names) && names[role] ? names[role] : "unknown";
}

static void print_run(const struct image_run *r)
{
	const struct snapprot_run *run = &r->run;

	printf("run level %" PRIu32 " %s root %" PRIu64 " height %" PRIu32
	       " entries %" PRIu64 " nodes %" PRIu64 " epochs %" PRIu32 " to %" PRIu32,
	       r->level, role_name(r->role), run->root, run->height,
	       run->nr_entries, run->nr_nodes, run->min_epoch, run->max_epoch);
	if (run->from.block || run->from.epoch)
		printf(" from %" PRIu64 " epoch %" PRIu32, run->from.block,
		       run->from.epoch);
	putchar('\n');
}

static void print_runs(const struct image *img)
{
	const struct image_merge *m;
	u32 i, level;

	for (level = 0; level <= SNAPPROT_MAX_LEVEL; level++) {
		for (i = 0; i < img->nr_runs; i++)
			if (img->runs[i].level == level)
				print_run(&img->runs[i]);
		m = &img->merge[level];
		if (m->there)
			printf("merge level %" PRIu32 " source %d cut %" PRIu64
			       " epoch %" PRIu32 " done %" PRIu64 " of %" PRIu64 "\n",
			       level, m->source, m->cut.block, m->cut.epoch,
			       m->done, m->total);
	}
}

static void print_steps(const struct image *img)
{
	static const char * const names[] = {
		[SNAPPROT_LOG_BATCH]	= "batch",
		[SNAPPROT_LOG_CREATE]	= "create",
		[SNAPPROT_LOG_DELETE]	= "delete",
		[SNAPPROT_LOG_SET]	= "set",
		[SNAPPROT_LOG_SEAL]	= "seal",
	};
	u32 i;

	for (i = 0; i < img->nr_steps; i++) {
		const struct image_step *s = &img->steps[i];
		bool known = s->type < ARRAY_SIZE(names) && names[s->type];

		printf("step %" PRIu64 " %s", s->seq,
		       known ? names[s->type] : "unknown");
		if (s->type == SNAPPROT_LOG_BATCH)
			printf(" of %" PRIu32, s->count);
		if (s->snap)
			printf(" snapshot %" PRIu32, s->snap);
		printf(" epoch %" PRIu32 "\n", s->epoch);
	}
}

/* ---- snapshots and entries --------------------------------------------------- */

static void print_snap(const struct image *img,
		       const struct snapprot_snap *snap)
{
	static const u8 none[16];
	char text[64];

	printf("snapshot %" PRIu32 " epoch %" PRIu32 "\n", snap->id,
	       snap->epoch);
	printf("snapshot %" PRIu32 " state %s\n", snap->id,
	       image_snap_lost(img, snap) ? "lost" : "valid");
	printf("snapshot %" PRIu32 " time %" PRIu64 "\n", snap->id,
	       snap->time);
	printf("snapshot %" PRIu32 " sectors %" PRIu64 "\n", snap->id,
	       snap->sectors);
	snprintf(text, sizeof(text), "snapshot %" PRIu32 " uuid", snap->id);
	print_uuid(text, snap->uuid);
	if (memcmp(snap->source, none, sizeof(none))) {
		snprintf(text, sizeof(text), "snapshot %" PRIu32 " source",
			 snap->id);
		print_uuid(text, snap->source);
	}
	if (snap->hold == SNAPPROT_HOLD_FOREVER)
		printf("snapshot %" PRIu32 " hold forever\n", snap->id);
	else if (snap->hold)
		printf("snapshot %" PRIu32 " hold %" PRIu64 "\n", snap->id,
		       snap->hold);
	if (*snap->name)
		printf("snapshot %" PRIu32 " name %s\n", snap->id, snap->name);
}

static int print_entry(void *ctx, const struct snapprot_entry *e, u32 prev)
{
	(void)ctx;
	(void)prev;
	printf("exception %" PRIu64 " epoch %" PRIu32, e->block, e->epoch);
	if (snapprot_entry_kind(e) == SNAPPROT_KIND_ZERO)
		fputs(" zero", stdout);
	else
		printf(" sum 0x%08" PRIx32 " place %" PRIu64, e->sum,
		       snapprot_entry_place(e));
	if (e->where & SNAPPROT_WHERE_PRECOPY)
		fputs(" precopy", stdout);
	putchar('\n');
	return 0;
}

/* What a valid snapshot needs, with the epoch of the newest that does. */
static int print_content(void *ctx, const struct snapprot_entry *e, u32 prev)
{
	const struct image *img = ctx;
	u32 epoch = image_snap_below(img, e->epoch);

	if (epoch <= prev)
		return 0;
	printf("exception %" PRIu64 " epoch %" PRIu32, e->block, epoch);
	if (snapprot_entry_kind(e) == SNAPPROT_KIND_ZERO)
		puts(" zero");
	else
		printf(" sum 0x%08" PRIx32 "\n", e->sum);
	return 0;
}

static int print_old_data(void *ctx, const struct snapprot_entry *e, u32 prev)
{
	(void)ctx;
	(void)prev;
	if (snapprot_entry_kind(e) == SNAPPROT_KIND_DATA)
		printf("block %" PRIu64 " data\n", snapprot_entry_place(e));
	return 0;
}

static int print_image(struct image *img, enum view view)
{
	u32 i;

	if (view == VIEW_MAP)
		return image_walk(img, print_old_data, NULL);
	print_identity(img->super);
	if (view == VIEW_ALL) {
		print_state(img->super);
		print_runs(img);
		printf("log epoch %" PRIu32 "\n", img->epoch);
		printf("log seq %" PRIu64 "\n", img->log_seq);
		printf("log entries %" PRIu32 "\n", img->nr_entries);
		for (i = 0; i < 2; i++)
			printf("zone %" PRIu32 " from %" PRIu64 " to %" PRIu64 "\n",
			       i, img->zone[i].start, img->zone[i].end);
		print_steps(img);
	} else {
		printf("log epoch %" PRIu32 "\n", img->epoch);
	}
	for (i = 0; i < img->nr_snaps; i++)
		print_snap(img, &img->snaps[i]);
	if (img->nr_unknown)
		printf("snapshots unknown %" PRIu32 "\n", img->nr_unknown);
	return image_walk(img, view == VIEW_ALL ? print_entry : print_content,
			  img);
}

/* ---- the command ---------------------------------------------------------- */

static int complain_open(const char *path, const struct image *img, int err)
{
	const char *why = image_refusal(img, err);

	if (why)
		return complain(TOOL_WRONG, "%s: %s", path, why);
	if (err == -EBADMSG)
		return complain(TOOL_FAILED,
				"%s: all superblocks are damaged", path);
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
		code = err ? complain_open(dev->path, &img, err) :
			     finish(dev, &d, img.nr_damage);
		image_close(&img);
	} else {
		code = complain(TOOL_FAILED, "%s: %s", dev->path,
				strerror(-err));
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
	"store; zero stands for a block of zeros. --content leaves out whatever differs between two stores that hold\n"
	"the same for the same snapshots. --map prints what each block in use is.\n"
	"What is damaged is listed at the end, and makes the exit code 1.\n",
	.run = run_dump,
};
