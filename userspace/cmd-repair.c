// SPDX-License-Identifier: GPL-2.0-only
/*
 * snapprot repair - carry over to a new store what can be proved
 *
 * A snapshot is kept if everything that it may need was read and checked: the
 * index is whole, or was made whole again; the log is whole; and each old block
 * that it needs has its checksum. A missing entry is as bad as a damaged one,
 * for the reader would take the origin's new data for the old. So where it
 * cannot be known which entries there were, no snapshot is kept that such an
 * entry might have served:
 *
 *   - index incomplete: those up to the epoch of the checkpoint. Younger ones
 *     need only what the log holds;
 *   - log cut or in doubt: all;
 *   - an old block of (block, epoch) damaged, the entry before it of the same
 *     block being of epoch p: those in (p, epoch].
 *
 * A store records as lost all snapshots up to an epoch. So a snapshot that
 * could be kept is lost with a younger one that could not.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "../dm-snapprot/core/state.h"
#include "identify.h"
#include "image.h"
#include "rebuild.h"
#include "signature.h"
#include "tool.h"

enum fate {
	FATE_KEPT,
	FATE_WAS_LOST,		/* recorded in the old store */
	FATE_LOG,		/* the log is cut or in doubt */
	FATE_INDEX,		/* the index is incomplete */
	FATE_DATA,		/* some of its old blocks are damaged */
	FATE_YOUNGER,		/* a younger one is lost */
};

/**
 * struct repair - a repair in the making
 * @source: the damaged store
 * @target: the new one
 * @se: over @source
 * @img: what was read of it
 * @fate: of each snapshot of @img
 * @bad: damaged blocks that it needs, of each snapshot
 * @epoch: of the new store
 * @lost_epoch: the same
 * @lost_fault: the same
 * @rb: the new store
 * @data: one block
 * @target_err: the failure was the target's, not the source's
 */
struct repair {
	struct device source;
	struct device target;
	struct store_env se;
	struct image img;
	enum fate fate[SNAPPROT_MAX_SNAPSHOTS];
	u64 bad[SNAPPROT_MAX_SNAPSHOTS];
	u32 epoch;
	u32 lost_epoch;
	u32 lost_fault;
	struct rebuild rb;
	void *data;
	bool target_err;
};

/* ---- what is there ------------------------------------------------------- */

static void print_damage(void *ctx, u64 block, const char *what)
{
	(void)ctx;
	printf("damaged block %" PRIu64 ": %s\n", block, what);
}

static void print_doubt(void *ctx, u64 block, const char *what)
{
	(void)ctx;
	printf("doubtful block %" PRIu64 ": %s\n", block, what);
}

static const struct image_ops image_ops = {
	.damage = print_damage,
	.doubt = print_doubt,
};

static int read_source(struct repair *r)
{
	const char *path = r->source.path;
	int err;

	err = store_env_init(&r->se, &r->source, 0);
	if (!err)
		err = image_open(&r->img, &r->se, &image_ops, NULL);
	if (!err)
		err = image_search(&r->img);
	switch (err) {
	case 0:
		return 0;
	case -ENODEV:
		return complain(TOOL_WRONG, "%s: is not a store", path);
	case -EPROTONOSUPPORT:
		return complain(TOOL_WRONG,
				"%s: is a store of a version unknown here",
				path);
	case -EBADMSG:
		return complain(TOOL_FAILED,
				"%s: both superblocks are damaged, so nothing can be proved",
				path);
	}
	return complain(TOOL_FAILED, "%s: %s", path, strerror(-err));
}

/* ---- what can be proved --------------------------------------------------- */

/* Snapshots that an entry serves: from the first to before the last. */
static u32 served(const struct image *img, u32 prev, u32 epoch, u32 *last)
{
	u32 i = 0;

	while (i < img->nr_snaps && img->snaps[i].epoch <= prev)
		i++;
	*last = i;
	while (*last < img->nr_snaps && img->snaps[*last].epoch <= epoch)
		++*last;
	return i;
}

static bool serves_kept(const struct repair *r, u32 prev, u32 epoch)
{
	u32 i, last;

	for (i = served(&r->img, prev, epoch, &last); i < last; i++)
		if (r->fate[i] == FATE_KEPT)
			return true;
	return false;
}

static int check_entry(void *ctx, const struct snapprot_entry *e, u32 prev)
{
	struct repair *r = ctx;
	u32 i, last;
	int err;

	if (!serves_kept(r, prev, e->epoch))
		return 0;
	err = image_read_data(&r->img, e, r->data);
	if (!err)
		return 0;
	printf("damaged block %" PRIu64 ": old data of block %" PRIu64 ", epoch %" PRIu32 "\n",
	       e->place, e->block, e->epoch);
	for (i = served(&r->img, prev, e->epoch, &last); i < last; i++)
		r->bad[i]++;
	return 0;
}

static void judge_metadata(struct repair *r)
{
	u32 i, epoch = le32_to_cpu(r->img.super->epoch);

	for (i = 0; i < r->img.nr_snaps; i++) {
		if (image_snap_lost(&r->img, &r->img.snaps[i]))
			r->fate[i] = FATE_WAS_LOST;
		else if (!r->img.log_ok)
			r->fate[i] = FATE_LOG;
		else if (!r->img.index_ok && r->img.snaps[i].epoch <= epoch)
			r->fate[i] = FATE_INDEX;
		else
			r->fate[i] = FATE_KEPT;
	}
}

static void judge_data(struct repair *r)
{
	u32 i;

	for (i = 0; i < r->img.nr_snaps; i++)
		if (r->fate[i] == FATE_KEPT && r->bad[i])
			r->fate[i] = FATE_DATA;
}

/* Draw the line that the new store will record. */
static void judge_order(struct repair *r)
{
	u32 i;

	r->lost_epoch = le32_to_cpu(r->img.super->lost_epoch);
	r->lost_fault = le32_to_cpu(r->img.super->lost_fault);
	for (i = 0; i < r->img.nr_snaps; i++) {
		if (r->fate[i] == FATE_KEPT || r->fate[i] == FATE_WAS_LOST)
			continue;
		r->lost_epoch = r->img.snaps[i].epoch;
		r->lost_fault = SNAPPROT_FAULT_METADATA_CORRUPTION;
	}
	for (i = 0; i < r->img.nr_snaps; i++)
		if (r->fate[i] == FATE_KEPT &&
		    r->img.snaps[i].epoch <= r->lost_epoch)
			r->fate[i] = FATE_YOUNGER;
	/* Of a log that is cut not even the last epoch is known for sure. */
	r->epoch = r->img.epoch;
	if (r->epoch < r->lost_epoch)
		r->epoch = r->lost_epoch;
}

static int judge(struct repair *r)
{
	int err;

	judge_metadata(r);
	err = image_walk(&r->img, check_entry, r);
	if (err)
		return complain(TOOL_FAILED, "%s: %s", r->source.path,
				strerror(-err));
	judge_data(r);
	judge_order(r);
	return 0;
}

/* ---- the report ------------------------------------------------------------- */

static const char log_words[] =
	"lost: the log is cut short or its end is in doubt";

static void print_fate(const struct repair *r, u32 i)
{
	printf("snapshot %" PRIu32 ": ", r->img.snaps[i].id);
	switch (r->fate[i]) {
	case FATE_KEPT:
		puts("kept");
		break;
	case FATE_WAS_LOST:
		printf("lost before: %s\n",
		       snapprot_fault_name(le32_to_cpu(r->img.super->lost_fault)));
		break;
	case FATE_LOG:
		puts(log_words);
		break;
	case FATE_INDEX:
		puts("lost: the index is incomplete");
		break;
	case FATE_DATA:
		printf("lost: %" PRIu64 " of its old blocks are damaged\n",
		       r->bad[i]);
		break;
	case FATE_YOUNGER:
		puts("lost: a younger one is, and a store loses the older ones with it");
		break;
	}
}

static int report(const struct repair *r)
{
	u32 i, kept = 0, lost = r->img.nr_unknown;

	for (i = 0; i < r->img.nr_snaps; i++) {
		print_fate(r, i);
		kept += r->fate[i] == FATE_KEPT;
		lost += r->fate[i] != FATE_KEPT && r->fate[i] != FATE_WAS_LOST;
	}
	if (r->img.nr_unknown)
		printf("%" PRIu32 " more snapshots: lost: their records cannot be read\n",
		       r->img.nr_unknown);
	if (!r->img.log_ok) {
		printf("younger snapshots, if there were any: %s\n",
		       log_words);
		lost++;
	}
	printf("%" PRIu32 " snapshots kept, %" PRIu64 " blocks copied\n", kept,
	       r->rb.copied);
	if (output_end())
		return TOOL_FAILED;
	if (!lost)
		return TOOL_DONE;
	return complain(TOOL_FAILED, "%s: not all snapshots could be kept",
			r->source.path);
}

/* ---- the new store ------------------------------------------------------------ */

static int copy_entry(void *ctx, const struct snapprot_entry *e, u32 prev)
{
	struct repair *r = ctx;
	int err;

	if (!serves_kept(r, prev, e->epoch))
		return 0;
	/* Read again: it was good, and if it is not any more, all is void. */
	err = image_read_data(&r->img, e, r->data);
	if (err)
		return err;
	err = rebuild_add(&r->rb, e, r->data);
	if (err)
		r->target_err = true;
	return err;
}

static int build(struct repair *r)
{
	int err = 0;
	u32 i;

	r->target_err = true;
	/* Nothing that was there may pass for a block of this store; a file
	 * has been found empty.
	 */
	if (r->target.block)
		err = device_zero(&r->target);
	if (!err)
		err = rebuild_begin(&r->rb, &r->target, r->img.super,
				    r->epoch, r->lost_epoch, r->lost_fault);
	for (i = 0; i < r->img.nr_snaps && !err; i++)
		err = rebuild_add_snap(&r->rb, &r->img.snaps[i]);
	if (!err) {
		r->target_err = false;
		err = image_walk(&r->img, copy_entry, r);
	}
	if (!err) {
		r->target_err = true;
		err = rebuild_end(&r->rb);
	} else {
		rebuild_cancel(&r->rb);
	}
	if (!err)
		return 0;
	if (err == -ENOSPC && r->target_err)
		return complain(TOOL_WRONG, "%s: too small for what can be kept",
				r->target.path);
	return complain(TOOL_FAILED, "%s: %s",
			r->target_err ? r->target.path : r->source.path,
			strerror(-err));
}

/* ---- the devices ---------------------------------------------------------------- */

/* A file's contents have no signature, so there must be none. */
static int check_file(const struct repair *r)
{
	if (r->target.block || lseek(r->target.fd, 0, SEEK_DATA) < 0)
		return 0;
	return complain(TOOL_WRONG, "%s: is not empty; name another file",
			r->target.path);
}

static int check_target(struct repair *r)
{
	static struct identity id;
	struct signature sig;
	int count, err;

	if (device_same(&r->source, &r->target))
		return complain(TOOL_WRONG, "%s and %s are the same device",
				r->source.path, r->target.path);
	err = identify(&r->target, &id);
	if (err)
		return complain(TOOL_FAILED, "%s: %s", r->target.path,
				strerror(-err));
	if (id.store != TRACE_NONE)
		return complain(TOOL_WRONG, "%s: is a %sstore already",
				r->target.path,
				id.store_protected ? "protected " : "");
	if (id.label[LABEL_ON_DEVICE] != TRACE_NONE ||
	    id.label[LABEL_ON_ORIGIN] != TRACE_NONE)
		return complain(TOOL_WRONG, "%s: has a volume's label",
				r->target.path);
	count = signatures_find(&r->target, &sig, 1);
	if (count < 0)
		return complain(TOOL_FAILED, "%s: cannot be searched for signatures: %s",
				r->target.path, strerror(-count));
	if (count)
		return complain(TOOL_WRONG, "%s: has a signature (%s)",
				r->target.path, sig.name);
	return check_file(r);
}

static int size_target(struct repair *r)
{
	u64 sectors = r->source.sectors;
	int err;

	/* A new file becomes as large as the store. */
	if (!r->target.block && !r->target.sectors) {
		err = device_resize(&r->target, sectors);
		if (err)
			return complain(TOOL_FAILED, "%s: %s", r->target.path,
					strerror(-err));
	}
	if (device_blocks(&r->target) < SNAPPROT_MIN_STORE_BLOCKS)
		return complain(TOOL_WRONG,
				"%s: too small for a store, which takes %u KiB",
				r->target.path, SNAPPROT_MIN_STORE_BLOCKS * 4);
	return 0;
}

static int open_target(struct repair *r, const char *path)
{
	struct device same = DEVICE_CLOSED;
	int code;

	/* Told apart before it is locked against this very program. */
	if (!access(path, F_OK)) {
		code = device_open(&same, path, 0);
		if (code)
			return code;
		if (device_same(&same, &r->source))
			code = complain(TOOL_WRONG,
					"%s and %s are the same device",
					r->source.path, path);
		device_close(&same);
		if (code)
			return code;
	}
	code = device_open(&r->target, path, DEVICE_WRITE | DEVICE_CREATE);
	if (!code && r->target.sectors)
		code = check_target(r);
	return code;
}

/* ---- the command ------------------------------------------------------------------ */

static int repair(struct repair *r, const char *source, const char *target)
{
	int code;

	/* What changes while it is read is not what was proved. */
	code = device_open(&r->source, source, DEVICE_ALONE);
	if (!code)
		code = open_target(r, target);
	if (!code)
		code = read_source(r);
	if (!code)
		code = size_target(r);
	if (!code)
		code = judge(r);
	if (!code)
		code = build(r);
	/* Nothing useful is left of a file that this run has made. */
	if (code && r->target.created)
		unlink(target);
	if (!code)
		code = report(r);
	return code;
}

static int run_repair(int argc, char **argv)
{
	static const struct option options[] = {
		{ "output",	required_argument,	NULL, 'o' },
		{ NULL,		0,			NULL, 0 }
	};
	const char *target = NULL;
	struct repair *r;
	int opt, code;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":o:", options, NULL)) != -1) {
		if (opt != 'o')
			return complain_option(opt, argv);
		target = optarg;
	}
	if (argc - optind != 1)
		return complain_usage("one store is needed");
	if (!target)
		return complain_usage("-o NEW is needed");

	r = calloc(1, sizeof(*r));
	if (r)
		r->data = malloc(SNAPPROT_BLOCK_SIZE);
	if (!r || !r->data) {
		free(r);
		return complain(TOOL_FAILED, "%s", strerror(ENOMEM));
	}
	r->source.fd = -1;
	r->target.fd = -1;
	code = repair(r, argv[optind], target);
	if (r->img.se)
		image_close(&r->img);
	if (r->se.hash)
		store_env_exit(&r->se);
	device_close(&r->target);
	device_close(&r->source);
	free(r->data);
	free(r);
	return code;
}

const struct command command_repair = {
	.name = "repair",
	.args = "STORE -o NEW",
	.what = "make NEW a store of what can be proved of STORE, which stays as it is",
	.help =
	"NEW is an empty device, or a file, made if there is none. A snapshot is kept\n"
	"if every block that it may need was read and has its checksum; others are\n"
	"recorded as lost. Exit 0 if all were kept, 1 if not or if it failed. NEW has\n"
	"the UUID, the generation and the protection of STORE: take STORE away before\n"
	"NEW is used.\n",
	.run = run_repair,
};
