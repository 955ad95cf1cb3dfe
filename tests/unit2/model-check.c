// SPDX-License-Identifier: GPL-2.0-only
/*
 * The model's comparisons: what the store says, by each way that there is to ask it,
 * must be what the model knows.
 */
#include <stdlib.h>

#include "model-internal.h"

/* ---- comparing --------------------------------------------------------- */

/* A block of a snapshot; @e is its entry, with epoch 0 if there is none. */
static int verify_block(struct model *m, const struct model_snap *snap,
			u32 index, struct snapprot_entry *e)
{
	u64 block = model_block(m, index);
	u8 want[BLOCK];
	int found;

	found = MODEL_RETRY(snapprot_lookup(&m->core, block, snap->s.epoch, e));
	if (found < 0)
		return model_err(m, found);
	if (!found) {
		CHECK_EQ(m->origin[index], snap->content[index]);
		e->epoch = 0;
		return 0;
	}
	CHECK(e->epoch >= snap->s.epoch && e->block == block);
	model_fill(want, index, snap->content[index]);
	if (memcmp(sim_peek(m->sim, snapprot_entry_place(e)), want, BLOCK))
		unit_fail(__FILE__, __LINE__,
			  "block %u (%llu) of epoch %u: wrong data at %llu, from epoch %u",
			  index, (unsigned long long)block, snap->s.epoch,
			  (unsigned long long)snapprot_entry_place(e),
			  e->epoch);
	CHECK_EQ(e->sum, snapprot_data_sum(&m->core, want));
	return 0;
}

static bool snap_lost(const struct model *m, const struct model_snap *snap)
{
	return snap->s.epoch <= m->lost_epoch;
}

void model_verify(struct model *m, u32 most)
{
	struct snapprot_core *core = &m->core;
	u32 valid = 0;
	u32 i, b, step;

	CHECK_EQ(core->nr_snaps, m->nr_snaps);
	/* Some of the blocks, if they would be too many. */
	step = 1 + m->nr_snaps * m->nr_blocks / most;
	for (i = 0; i < m->nr_snaps; i++) {
		struct model_snap *snap = &m->snap[i];
		struct snapprot_snap *s = &core->snaps[i];
		struct snapprot_entry e;

		CHECK(model_same_snap(s, &snap->s));
		CHECK(snapprot_snap_find(core, s->id) == s);
		if (s->name[0])
			CHECK(snapprot_snap_find_name(core, s->name) == s);
		CHECK_EQ(snapprot_snap_lost(core, s), snap_lost(m, snap));
		if (snap_lost(m, snap))
			continue;
		valid++;
		b = unit_below(step);
		for (; b < m->nr_blocks; b += step)
			if (verify_block(m, snap, b, &e))
				return;
	}
	CHECK_EQ(snapprot_snaps_valid(core), valid);
}

/* ---- a walk over all entries ------------------------------------------- */

struct scan {
	struct snapprot_entry *e;
	u32 count, max;
};

static int scan_entry(void *ctx, const struct snapprot_entry *e)
{
	struct scan *s = ctx;

	if (s->count == s->max) {
		s->max = s->max * 2 + 256;
		s->e = realloc(s->e, s->max * sizeof(*s->e));
	}
	s->e[s->count++] = *e;
	return 0;
}

static int cmp_entry(const void *a, const void *b)
{
	const struct snapprot_entry *x = a, *y = b;

	if (x->block != y->block)
		return x->block < y->block ? -1 : 1;
	if (x->epoch != y->epoch)
		return x->epoch < y->epoch ? -1 : 1;
	return 0;
}

/* Entries that snapshots need now, sorted. */
static int entries_needed(struct model *m, struct scan *s)
{
	struct snapprot_entry e;
	u32 i, b;
	int err;

	s->count = 0;
	for (i = 0; i < m->nr_snaps; i++) {
		if (snap_lost(m, &m->snap[i]))
			continue;
		for (b = 0; b < m->nr_blocks; b++) {
			err = verify_block(m, &m->snap[i], b, &e);
			if (err)
				return err;
			if (e.epoch)
				scan_entry(s, &e);
		}
	}
	if (s->count)
		qsort(s->e, s->count, sizeof(*s->e), cmp_entry);
	return 0;
}

/* Steps of a scan, and between them something that moves entries about. */
static int scan_all(struct model *m, struct scan *s, struct snapprot_scan *scan)
{
	u32 kept = 0, steps = 0;
	u64 from;
	int err;

	do {
		from = scan->block;
		kept = s->count;
		err = snapprot_scan_step(&m->core, scan, scan_entry, s);
		/* Of a step that is made again, nothing counts. */
		if (err == -EAGAIN)
			s->count = kept;
		else if (err == 1)
			CHECK(scan->block >= from);
		else if (err)
			return model_err(m, err);
		CHECK(steps++ < MANY);
		if (err && unit_once_in(3)) {
			int other = unit_once_in(2) ?
				    model_merge(m, 1 + unit_below(100)) :
				    model_checkpoint_tick(m);

			if (other && other != 1 && other != -ENOSPC)
				return other;
		}
	} while (err);
	return 0;
}

int model_scan(struct model *m)
{
	struct snapprot_scan scan = { .block = 0 };
	struct scan before = { NULL }, seen = { NULL }, after = { NULL };
	u32 i;
	int err;

	if (unit_once_in(3) && m->nr_snaps)
		scan.min_epoch = m->snap[unit_below(m->nr_snaps)].s.epoch;
	err = entries_needed(m, &before);
	if (!err)
		err = scan_all(m, &seen, &scan);
	if (!err)
		err = entries_needed(m, &after);
	if (!err && seen.count)
		qsort(seen.e, seen.count, sizeof(*seen.e), cmp_entry);
	for (i = 0; !err && i < before.count; i++) {
		const struct snapprot_entry *e = &before.e[i], *found;

		if (e->epoch < scan.min_epoch)
			continue;
		/* Nothing was deleted, so all of them are there as they were. */
		CHECK(bsearch(e, after.e, after.count, sizeof(*e), cmp_entry));
		found = seen.e ? bsearch(e, seen.e, seen.count, sizeof(*e),
					 cmp_entry) : NULL;
		CHECK(found);
		CHECK(found->where == e->where && found->sum == e->sum);
	}
	free(before.e);
	free(seen.e);
	free(after.e);
	return err;
}

/* ---- usage ------------------------------------------------------------- */

static bool is_merging(const struct snapprot_core *core)
{
	u32 i;

	for (i = 1; i <= SNAPPROT_MAX_LEVEL; i++)
		if (core->level[i].merge)
			return true;
	return false;
}

/* Is everything in one run, so that the counts have to be right? */
static bool all_in_one(const struct snapprot_core *core)
{
	u32 i, runs = 0;

	if (core->fill.count != core->fill.nr_dead ||
	    core->drain.count != core->drain.nr_dead)
		return false;
	for (i = 1; i <= SNAPPROT_MAX_LEVEL; i++) {
		const struct snapprot_level *l = &core->level[i];

		runs += !!l->cur.root + !!l->next.root + !!l->up.root;
	}
	return runs <= 1 && !is_merging(core);
}

void model_check_usage(struct model *m)
{
	/* Of each block, what the snapshots before have, and the one before. */
	u32 *last = calloc(2 * m->nr_blocks, sizeof(*last));
	u64 all[MODEL_SNAPS] = { 0 }, only[MODEL_SNAPS] = { 0 };
	bool exact = all_in_one(&m->core);
	struct snapprot_entry e;
	u32 i, b;

	/* An entry that two have is no one's alone: last[] says who had it first,
	 * as number of the snapshot and 1.
	 */
	for (i = 0; i < m->nr_snaps; i++) {
		if (snap_lost(m, &m->snap[i]))
			continue;
		for (b = 0; b < m->nr_blocks; b++) {
			u32 *epoch = &last[2 * b], *owner = &last[2 * b + 1];

			if (verify_block(m, &m->snap[i], b, &e))
				goto out;
			if (!e.epoch)
				continue;
			all[i]++;
			if (*epoch == e.epoch) {
				if (*owner)
					only[*owner - 1]--;
				*owner = 0;
			} else {
				*epoch = e.epoch;
				*owner = i + 1;
				only[i]++;
			}
		}
	}
	for (i = 0; i < m->nr_snaps; i++) {
		u64 has_only, has_all;

		snapprot_snap_usage(&m->core, &m->core.snaps[i], &has_only,
				    &has_all);
		CHECK(has_only <= has_all);
		/* What is left of a run that is being merged is estimated. */
		if (is_merging(&m->core))
			continue;
		/* Too many, as predecessors elsewhere are not seen. */
		CHECK(has_all >= all[i]);
		if (!exact)
			continue;
		CHECK_EQ(has_only, only[i]);
		CHECK_EQ(has_all, all[i]);
	}
out:
	free(last);
}

/* ---- the check --------------------------------------------------------- */

#define REPORTS		10u

static u32 reports;

static void report(void *ctx, u64 block, const char *what)
{
	if (reports++ < REPORTS)
		printf("# block %llu: %s\n", (unsigned long long)block, what);
}

static void progress(void *ctx, u64 done, u64 total)
{
	u64 *last = ctx;

	CHECK(done >= *last);
	*last = done;
}

void model_check(struct model *m, bool data)
{
	static const struct snapprot_check_ops ops = {
		.problem = report, .progress = progress,
	};
	bool async = m->sim->async;
	u64 last = 0;
	int ret;

	reports = 0;
	/* Whoever checks waits for what it reads. */
	m->sim->async = false;
	ret = snapprot_store_check(&m->core, data, &ops, &last);
	m->sim->async = async;
	/* Not while there is more in memory than on disk. */
	if (m->phase != MODEL_IDLE)
		CHECK_EQ(ret, -EBUSY);
	else if (ret != -EBUSY || !(m->core.space.queue_count ||
				    m->core.map_build ||
				    is_merging(&m->core)))
		CHECK_EQ(ret, 0);
}

/* ---- what changed ------------------------------------------------------ */

/* Compare one answer: exactly what was written from @from on and before @to. */
static int check_changed(struct model *m, u32 from, u32 to)
{
	struct snapprot_range r[8];
	u64 at = 0, done = 0;
	u32 e, i = 0, max = 1 + unit_below(8);
	int n, j;

	to = (u32)snapprot_min(to, m->core.epoch);
	do {
		n = MODEL_RETRY(snapprot_changed(&m->core, from, to, &at, r,
						 max));
		if (n == -ENODATA)
			return 0;
		if (n < 0)
			return model_err(m, n);
		for (j = 0; j < n; j++) {
			CHECK(r[j].start >= done && r[j].start < r[j].end);
			done = r[j].end;
			for (; i < m->nr_blocks &&
			     model_block(m, i) < r[j].end; i++) {
				bool want = false;

				for (e = from; e < to; e++)
					want |= m->written[e] &&
						m->written[e][i];
				CHECK_EQ(want, model_block(m, i) >= r[j].start);
			}
		}
	} while (at != ~(u64)0);
	for (; i < m->nr_blocks; i++)
		for (e = from; e < to; e++)
			CHECK(!m->written[e] || !m->written[e][i]);
	return 0;
}

int model_check_changed(struct model *m)
{
	u32 i, j, tries;
	int err = 0;

	for (tries = 0; !err && m->nr_snaps && tries < 5; tries++) {
		i = unit_below(m->nr_snaps);
		j = i + 1 + unit_below(m->nr_snaps - i);
		if (m->snap[i].s.epoch <= m->lost_epoch)
			continue;
		err = check_changed(m, m->snap[i].s.epoch,
				    j < m->nr_snaps ? m->snap[j].s.epoch :
						      m->core.epoch + 1);
	}
	return err;
}
