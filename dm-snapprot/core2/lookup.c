// SPDX-License-Identifier: GPL-2.0-only
/*
 * Finding entries, wherever the index has them.
 *
 * From the oldest part to the newest: for each level, from the last one, its run (or
 * what it is merged into, below the cut), then what waits above it; then the two
 * tables. Epochs only grow in that order (F9), so the first that will do is right.
 */
#include "internal.h"

/* What is asked of one part after the other. */
struct query {
	u64 block;
	u32 epoch;
	struct snapprot_entry *found;
	bool waits;	/* an older part is being read */
};

/* 1 it is this one, 0 go on, or an error. While something is read go on as well. */
static int answer(struct query *q, int ret)
{
	if (ret == -EAGAIN) {
		q->waits = true;
		return 0;
	}
	return ret > 0 && q->waits ? 0 : ret;
}

static int ask_run(struct snapprot_core *core, const struct snapprot_run *run,
		   struct query *q)
{
	int ret = snapprot_run_find(core, run, q->block, q->epoch, q->found);

	/* What leads to old data: no reader is to follow anything else. */
	if (ret > 0 && (snapprot_entry_kind(q->found) > SNAPPROT_KIND_ZERO ||
			(snapprot_entry_kind(q->found) == SNAPPROT_KIND_DATA &&
			 !snapprot_place_ok(core->space.blocks,
					    snapprot_entry_place(q->found)))))
		return -EBADMSG;
	return answer(q, ret);
}

static int ask_level(struct snapprot_core *core,
		     const struct snapprot_level *level, struct query *q)
{
	struct snapprot_key key = { q->block, q->epoch };
	int ret = 0;

	if (!level->merge)
		return ask_run(core, &level->cur, q);
	if (snapprot_key_cmp(&key, &level->cut) < 0)
		ret = ask_run(core, &level->next, q);
	if (!ret && q->block >= level->cut.block)
		ret = ask_run(core, &level->cur, q);
	return ret;
}

/* Of the table, only what has not been merged. */
static bool ask_drain(struct snapprot_core *core, struct query *q)
{
	const struct snapprot_key *from = &core->drain_from;
	u32 epoch = q->epoch;

	if (q->block < from->block)
		return false;
	if (q->block == from->block && epoch < from->epoch)
		epoch = from->epoch;
	return snapprot_table_find(&core->drain, q->block, epoch, q->found);
}

int snapprot_lookup(struct snapprot_core *core, u64 block, u32 epoch,
		    struct snapprot_entry *found)
{
	struct query q = { block, epoch, found, false };
	u32 i;
	int ret;

	for (i = SNAPPROT_MAX_LEVEL; i; i--) {
		ret = ask_level(core, &core->level[i], &q);
		if (!ret && i > 1)
			ret = ask_run(core, &core->level[i - 1].up, &q);
		if (ret)
			return ret;
	}
	if (q.waits)
		return -EAGAIN;
	return ask_drain(core, &q) ||
	       snapprot_table_find(&core->fill, block, epoch, found);
}

/* ---- all of them ------------------------------------------------------------ */

#define SCAN_ENTRIES	64u

/* Call @fn for each run there is. */
static int each_run(struct snapprot_core *core, u32 min_epoch,
		    int (*fn)(struct snapprot_core *core,
			      const struct snapprot_run *run, void *ctx),
		    void *ctx)
{
	bool waits = false;
	u32 i, j;

	for (i = SNAPPROT_MAX_LEVEL; i; i--) {
		const struct snapprot_level *l = &core->level[i];
		const struct snapprot_run *run[] = { &l->cur, &l->next,
						     &l->up };

		for (j = 0; j < ARRAY_SIZE(run); j++) {
			int err;

			if (!snapprot_run_any(run[j]) ||
			    run[j]->max_epoch < min_epoch)
				continue;
			err = fn(core, run[j], ctx);
			if (err == -EAGAIN)
				waits = true;
			else if (err)
				return err;
		}
	}
	return waits ? -EAGAIN : 0;
}

static int leaf_end(struct snapprot_core *core, const struct snapprot_run *run,
		    void *ctx)
{
	const u64 *range = ctx;

	return snapprot_run_leaf_end(core, run, range[0], (u64 *)ctx + 1);
}

struct scan_range {
	u64 block;
	u64 end;
	int (*fn)(void *ctx, const struct snapprot_entry *e);
	void *ctx;
};

static int range_scan(struct snapprot_core *core,
		      const struct snapprot_run *run, void *ctx)
{
	struct scan_range *r = ctx;

	return snapprot_run_scan(core, run, r->block, r->end, r->fn, r->ctx);
}

static int scan_table(struct snapprot_scan *scan,
		      const struct snapprot_table *t,
		      const struct snapprot_key *from,
		      int (*fn)(void *ctx, const struct snapprot_entry *e),
		      void *ctx)
{
	u32 end = (u32)snapprot_min(t->count, (u64)scan->index + SCAN_ENTRIES);

	for (; scan->index < end; scan->index++) {
		const struct snapprot_entry *e = &t->entry[scan->index];
		struct snapprot_key key = snapprot_entry_key(e);
		int err;

		if (snapprot_table_dead(t, scan->index) ||
		    snapprot_key_cmp(&key, from) < 0)
			continue;
		err = fn(ctx, e);
		if (err)
			return err;
	}
	if (scan->index < t->count)
		return 1;
	scan->index = 0;
	scan->phase++;
	return 1;
}

int snapprot_scan_step(struct snapprot_core *core, struct snapprot_scan *scan,
		       int (*fn)(void *ctx, const struct snapprot_entry *e),
		       void *ctx)
{
	static const struct snapprot_key all;
	struct scan_range r = { .fn = fn, .ctx = ctx };
	u64 range[2] = { scan->block, ~(u64)0 };
	int err;

	/*
	 * What leaves the first table goes into the second, and what leaves that
	 * into the runs: nothing is passed by.
	 */
	if (!scan->phase)
		return scan_table(scan, &core->fill, &all, fn, ctx);
	if (scan->phase == 1)
		return scan_table(scan, &core->drain, &core->drain_from, fn,
				  ctx);
	err = each_run(core, scan->min_epoch, leaf_end, range);
	if (err)
		return err;
	r.block = range[0];
	r.end = range[1];
	err = each_run(core, scan->min_epoch, range_scan, &r);
	if (err)
		return err;
	scan->block = r.end;
	return r.end != ~(u64)0;
}
