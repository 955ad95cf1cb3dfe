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
 *   - a part of the index cannot be read, or is damaged: those up to the epoch of
 *     the checkpoint. Younger ones need only what the log holds;
 *   - log cut or in doubt: all;
 *   - an old block of (block, epoch) damaged, the entry before it of the same
 *     block being of epoch p: those in (p, epoch].
 *
 * A store records as lost all snapshots up to an epoch. So a snapshot that
 * could be kept is lost with a younger one that could not.
 *
 * Nothing is believed that check would not believe: the core, and its check, have to
 * agree wherever they can read the store.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "../dm-snapprot/core/internal.h"
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

/* Entries that are gathered at once, to be put into order. */
#define MAX_GATHERED	(4u << 20)
/* Of a store that holds nothing any more: beyond what it can ever have reached. */
#define LIFT_SEQ	(1u << 20)
#define LIFT_EPOCH	(4 * SNAPPROT_LOG_MAX_HEADERS)

/**
 * struct gathered - an entry for the new store
 * @snap: index of the newest snapshot that needs it
 */
struct gathered {
	struct snapprot_entry e;
	u32 snap;
};

/**
 * struct repair - a repair in the making
 * @source: the damaged store
 * @target: the new one
 * @se: over @source
 * @img: what was read of it
 * @fate: of each snapshot of @img
 * @bad: damaged blocks that it needs, of each snapshot
 * @needed: entries of which it is the newest that needs them, of each snapshot
 * @plan: of the new store
 * @rb: the new store
 * @first: snapshots whose entries are being copied
 * @last: and the one behind them
 * @list: of those entries, or NULL
 * @nr_list: how many
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
	u64 needed[SNAPPROT_MAX_SNAPSHOTS];
	struct rebuild_plan plan;
	struct rebuild rb;
	u32 first;
	u32 last;
	struct gathered *list;
	u64 nr_list;
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

/* What a check finds of the store's space is no matter for what is in it. */
static bool is_space(const char *what)
{
	return !strncmp(what, "in use", 6) || !strncmp(what, "not in use", 10) ||
	       !strncmp(what, "a bitmap", 8);
}

static void core_problem(void *ctx, u64 block, const char *what)
{
	struct repair *r = ctx;

	print_damage(NULL, block, what);
	if (!is_space(what))
		r->img.index_ok = false;
}

/* What is believed has to be what the core believes, if that can read the store. */
static int ask_core(struct repair *r)
{
	static const struct snapprot_check_ops ops = {
		.problem = core_problem,
	};
	struct image *img = &r->img;
	struct snapprot_core core;
	bool agrees = true;
	int err;

	err = snapprot_store_load(&core, &r->se.env, r->source.sectors /
				  SNAPPROT_SECTORS_PER_BLOCK, NULL);
	if (!err) {
		/* Behind its end there may be what a crash left unfinished. */
		agrees = img->log_seq >= core.log.seq &&
			 (img->log_seq > core.log.seq ||
			  (img->nr_snaps == core.nr_snaps &&
			   img->epoch == core.epoch)) && !img->nr_unknown;
		if (img->index_ok)
			err = snapprot_store_check(&core, false, &ops, r);
	} else if (err != -ENOMEM) {
		agrees = img->nr_damage || !img->log_ok;
		err = image_search(img);
	}
	snapprot_store_exit(&core);
	if (!agrees) {
		print_damage(NULL, SNAPPROT_SUPER_BLOCK_0,
			     "store that breaks its rules");
		img->log_ok = false;
	}
	return err < 0 ? err : 0;
}

static int read_source(struct repair *r)
{
	const char *path = r->source.path, *why;
	int err;

	err = store_env_init(&r->se, &r->source, 0);
	if (err)
		return complain(TOOL_FAILED, "%s: %s", path, strerror(-err));
	err = image_open(&r->img, &r->se, &image_ops, NULL);
	if (!err)
		err = ask_core(r);
	if (!err)
		return 0;
	why = image_refusal(&r->img, err);
	if (why)
		return complain(TOOL_WRONG, "%s: %s", path, why);
	if (err == -EBADMSG)
		return complain(TOOL_FAILED,
				"%s: all superblocks are damaged, so nothing can be proved",
				path);
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
	       snapprot_entry_place(e), e->block, e->epoch);
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
	struct rebuild_plan *plan = &r->plan;
	u32 i;

	plan->lost_epoch = le32_to_cpu(r->img.super->lost_epoch);
	plan->lost_fault = le32_to_cpu(r->img.super->lost_fault);
	for (i = 0; i < r->img.nr_snaps; i++) {
		if (r->fate[i] == FATE_KEPT || r->fate[i] == FATE_WAS_LOST)
			continue;
		plan->lost_epoch = r->img.snaps[i].epoch;
		plan->lost_fault = SNAPPROT_FAULT_METADATA_CORRUPTION;
	}
	for (i = 0; i < r->img.nr_snaps; i++)
		if (r->fate[i] == FATE_KEPT &&
		    r->img.snaps[i].epoch <= plan->lost_epoch)
			r->fate[i] = FATE_YOUNGER;
	plan->epoch = r->img.epoch;
	if (plan->epoch < plan->lost_epoch)
		plan->epoch = plan->lost_epoch;
}

static u32 count_fate(const struct repair *r, enum fate fate)
{
	u32 i, count = 0;

	for (i = 0; i < r->img.nr_snaps; i++)
		count += r->fate[i] == fate;
	return count;
}

/*
 * While there is a snapshot that is kept, the new store has got as far as the old one
 * and not a step farther: the label decides whether that is far enough. One that holds
 * nothing any more may be used in any case.
 */
static void judge_numbers(struct repair *r)
{
	const struct snapprot_disk_super *s = r->img.super;
	struct rebuild_plan *plan = &r->plan;

	plan->super = s;
	plan->ckpt_seq = le64_to_cpu(s->ckpt_seq);
	plan->super_seq = le64_to_cpu(s->h.seq);
	plan->log_seq = r->img.log_seq;
	if (r->img.log_ok || count_fate(r, FATE_KEPT))
		return;
	plan->ckpt_seq += LIFT_SEQ;
	plan->super_seq += LIFT_SEQ;
	plan->log_seq += LIFT_SEQ;
	/* Of a log that is cut not even the last epoch is known. */
	if (plan->epoch < ~(u32)0 - LIFT_EPOCH)
		plan->epoch += LIFT_EPOCH;
	if (!plan->lost_epoch || r->img.nr_unknown ||
	    r->img.nr_snaps > count_fate(r, FATE_WAS_LOST))
		plan->lost_fault = SNAPPROT_FAULT_METADATA_CORRUPTION;
	plan->lost_epoch = plan->epoch;
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
	judge_numbers(r);
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
	u32 kept = count_fate(r, FATE_KEPT);
	u32 i, lost = r->img.nr_unknown;

	for (i = 0; i < r->img.nr_snaps; i++) {
		print_fate(r, i);
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

/* The newest snapshot that is kept and needs an entry; -1: none. */
static int newest_kept(const struct repair *r, u32 prev, u32 epoch)
{
	u32 last;

	served(&r->img, prev, epoch, &last);
	if (!last || r->img.snaps[last - 1].epoch <= prev ||
	    r->fate[last - 1] != FATE_KEPT)
		return -1;
	return (int)last - 1;
}

static int count_entry(void *ctx, const struct snapprot_entry *e, u32 prev)
{
	struct repair *r = ctx;
	int snap = newest_kept(r, prev, e->epoch);

	if (snap >= 0)
		r->needed[snap]++;
	return 0;
}

static int copy_entry(struct repair *r, const struct snapprot_entry *e)
{
	int err;

	/* Read again: it was good, and if it is not any more, all is void. */
	err = image_read_data(&r->img, e, r->data);
	if (err)
		return err;
	err = rebuild_add(&r->rb, e->block, r->data);
	if (err)
		r->target_err = true;
	return err;
}

/* Those of the snapshots that it is about: into the list, or over at once. */
static int take_entry(void *ctx, const struct snapprot_entry *e, u32 prev)
{
	struct repair *r = ctx;
	int snap = newest_kept(r, prev, e->epoch);

	if (snap < (int)r->first || snap >= (int)r->last)
		return 0;
	if (!r->list)
		return copy_entry(r, e);
	r->list[r->nr_list++] = (struct gathered){ *e, (u32)snap };
	return 0;
}

/* By snapshot, and then as they lie in the store. */
static int compare_gathered(const void *a, const void *b)
{
	const struct gathered *x = a, *y = b;

	if (x->snap != y->snap)
		return x->snap < y->snap ? -1 : 1;
	return x->e.where < y->e.where ? -1 : x->e.where > y->e.where;
}

static int add_snap(struct repair *r, u32 i)
{
	int err = rebuild_add_snap(&r->rb, &r->img.snaps[i]);

	if (err)
		r->target_err = true;
	return err;
}

static int copy_gathered(struct repair *r)
{
	u32 snap;
	u64 i = 0;
	int err;

	err = image_walk(&r->img, take_entry, r);
	if (!err && r->nr_list)
		qsort(r->list, r->nr_list, sizeof(*r->list), compare_gathered);
	for (snap = r->first; snap < r->last && !err; snap++) {
		err = add_snap(r, snap);
		for (; i < r->nr_list && r->list[i].snap == snap && !err; i++)
			err = copy_entry(r, &r->list[i].e);
	}
	return err;
}

/* The next snapshots that are few enough to be put into order; or one. */
static int copy_some(struct repair *r)
{
	u64 count = r->needed[r->first];
	int err;

	r->last = r->first + 1;
	while (r->last < r->img.nr_snaps &&
	       count + r->needed[r->last] <= MAX_GATHERED)
		count += r->needed[r->last++];
	if (count > MAX_GATHERED) {
		err = add_snap(r, r->first);
		return err ? err : image_walk(&r->img, take_entry, r);
	}
	r->list = calloc(count + 1, sizeof(*r->list));
	r->nr_list = 0;
	err = r->list ? copy_gathered(r) : -ENOMEM;
	free(r->list);
	r->list = NULL;
	return err;
}

static int copy_all(struct repair *r)
{
	int err;

	err = image_walk(&r->img, count_entry, r);
	for (r->first = 0; r->first < r->img.nr_snaps && !err;
	     r->first = r->last)
		err = copy_some(r);
	return err;
}

static int build(struct repair *r)
{
	int err = 0;

	r->target_err = true;
	/* Nothing that was there may pass for a block of this store; a file
	 * has been found empty.
	 */
	if (r->target.block)
		err = device_zero(&r->target);
	if (!err)
		err = rebuild_begin(&r->rb, &r->target, &r->plan);
	if (!err) {
		r->target_err = false;
		err = copy_all(r);
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
