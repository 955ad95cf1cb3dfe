// SPDX-License-Identifier: GPL-2.0-only
/*
 * Merging: the table that is full goes into level 1, a level that is full into the
 * one below, each in the order of keys and a few entries at a time. What no snapshot
 * needs is dropped on the way (F8).
 *
 * Nothing that was written is changed. What has been merged is found in the new run,
 * below the cut; what has not, where it was; and a checkpoint at any moment finds
 * both as they are in memory. The blocks of what has been passed are free after it.
 *
 * How much is due follows from what was written: the merge into a level has to be
 * done before what is above it is full again.
 */
#include "internal.h"

/* A run is rewritten when more than one in so many entries is unneeded. */
#define DEAD_SHARE	7u
/* Room that a step may need in the queue of blocks to be freed. */
#define QUEUE_ROOM	512u

static u64 level_target(const struct snapprot_core *core, u32 level)
{
	u64 n = core->tune.table;

	while (level--)
		n *= core->tune.fanout;
	return n;
}

/* Entries that may be written until the source of a level is full again. */
static u64 level_window(const struct snapprot_core *core, u32 level)
{
	return level_target(core, level - 1);
}

/* ---- what is due ------------------------------------------------------------ */

static bool drain_ready(const struct snapprot_core *core)
{
	/* Its order is being used by the checkpoint. */
	return core->drain.count && !(core->ckpt.frozen && core->ckpt.table);
}

/* Is there something to be merged into a level? */
static bool source_ready(const struct snapprot_core *core, u32 level)
{
	return level == 1 ? drain_ready(core) :
			    core->level[level - 1].up.root != 0;
}

/* And no merge yet? */
static bool source_waits(const struct snapprot_core *core, u32 level)
{
	return !core->level[level].merge && source_ready(core, level);
}

/* Is a run worth being cleaned? */
static bool cleaning_waits(const struct snapprot_core *core, u32 level)
{
	const struct snapprot_level *l = &core->level[level];

	if (l->merge || !l->cur.root || !core->dead_known || !l->dead ||
	    l->cleaned == core->deletions)
		return false;
	return core->hurry || l->dead >= l->cur.nr_entries / DEAD_SHARE;
}

/* How far a merge has to be, if it is to be done in time. */
static u64 merge_target(const struct snapprot_core *core, u32 level)
{
	const struct snapprot_merge *m = core->level[level].merge;
	u64 window = level_window(core, level) * 3 / 4;
	u64 since = core->admitted - m->since;
	u64 left = m->total > m->done_before ? m->total - m->done_before : 1;

	/* A cleaning has time, unless something waits for the level. */
	if (!m->source)
		window = snapprot_min(left, source_ready(core, level) ?
					    window / 4 : left);
	if (core->hurry || since >= window)
		return ~(u64)0;
	/* Both below 2^48; a few bits less do not matter. */
	while (left > ~(u32)0) {
		left >>= 1;
		window >>= 1;
		since >>= 1;
	}
	return m->done_before + (window ? div64_u64(left * since, window) : left);
}

static bool level_due(const struct snapprot_core *core, u32 level)
{
	const struct snapprot_level *l = &core->level[level];

	if (source_waits(core, level))
		return true;
	if (l->merge)
		return l->merge->done <= merge_target(core, level);
	return cleaning_waits(core, level) && core->hurry;
}

static bool sweep_waits(const struct snapprot_core *core)
{
	/* The log would still lead to what is swept now: see snapprot_space_free() */
	return core->sweep_at && !core->ckpt.frozen;
}

bool snapprot_merge_due(const struct snapprot_core *core)
{
	u32 i;

	if (core->read_only || core->ckpt.prepared)
		return false;
	if (core->nr_trash || sweep_waits(core) || !core->dead_known ||
	    snapprot_map_due(core))
		return true;
	for (i = 1; i <= SNAPPROT_MAX_LEVEL; i++)
		if (level_due(core, i))
			return true;
	return false;
}

bool snapprot_merge_possible(const struct snapprot_core *core)
{
	u32 i;

	if (snapprot_merge_due(core))
		return true;
	if (core->read_only || core->ckpt.prepared)
		return false;
	for (i = 1; i <= SNAPPROT_MAX_LEVEL; i++)
		if (core->level[i].merge || cleaning_waits(core, i))
			return true;
	return false;
}

/* ---- beginning ---------------------------------------------------------------- */

static void merge_free(struct snapprot_core *core, struct snapprot_merge *m)
{
	if (!m)
		return;
	snapprot_iter_close(core, &m->upper);
	snapprot_iter_close(core, &m->lower);
	snapprot_build_free(core, m->build);
	core->env->ops->free(core->env, m);
}

void snapprot_merge_exit(struct snapprot_core *core)
{
	u32 i;

	for (i = 1; i <= SNAPPROT_MAX_LEVEL; i++) {
		merge_free(core, core->level[i].merge);
		core->level[i].merge = NULL;
	}
}

static struct snapprot_merge *merge_new(struct snapprot_core *core, u32 level,
					bool source)
{
	struct snapprot_level *l = &core->level[level];
	struct snapprot_merge *m;

	m = core->env->ops->alloc(core->env, sizeof(*m));
	if (!m)
		return NULL;
	m->source = source;
	m->since = core->admitted;
	m->build = snapprot_build_new(core, &l->next);
	if (!m->build) {
		core->env->ops->free(core->env, m);
		return NULL;
	}
	snapprot_iter_init(&m->lower, &l->cur);
	if (source && level > 1)
		snapprot_iter_init(&m->upper, &core->level[level - 1].up);
	return m;
}

/* A merge into a level begins. */
static int merge_start(struct snapprot_core *core, u32 level, bool source)
{
	struct snapprot_level *l = &core->level[level];
	struct snapprot_merge *m = merge_new(core, level, source);

	if (!m)
		return -ENOMEM;
	m->total = l->cur.nr_entries;
	if (source)
		m->total += level > 1 ? core->level[level - 1].up.nr_entries :
				       core->drain.count - core->drain.nr_dead;
	memset(&l->cut, 0, sizeof(l->cut));
	l->merge = m;
	l->cleaned = core->deletions;
	return 0;
}

int snapprot_merge_resume(struct snapprot_core *core, u32 level, bool source,
			  u64 done, u64 total)
{
	struct snapprot_merge *m = merge_new(core, level, source);

	if (!m)
		return -ENOMEM;
	m->done = done;
	m->done_before = done;
	m->total = total;
	core->level[level].merge = m;
	return 0;
}

/* ---- the entries, one after the other -------------------------------------------- */

static int peek_table(struct snapprot_core *core, struct snapprot_merge *m,
		      struct snapprot_entry *e)
{
	const struct snapprot_table *t = &core->drain;
	struct snapprot_key key;

	for (; m->table_at < t->ordered; m->table_at++) {
		u32 i = t->order[m->table_at];

		*e = t->entry[i];
		key = snapprot_entry_key(e);
		/* What had been merged before the store was opened. */
		if (!snapprot_table_dead(t, i) &&
		    snapprot_key_cmp(&key, &core->drain_from) >= 0) {
			core->drain_from = key;
			return 1;
		}
	}
	core->drain_from = SNAPPROT_KEY_END;
	return 0;
}

static int peek_upper(struct snapprot_core *core, u32 level,
		      struct snapprot_merge *m, struct snapprot_entry *e)
{
	if (!m->source)
		return 0;
	return level == 1 ? peek_table(core, m, e) :
			    snapprot_iter_peek(core, &m->upper, e);
}

static void next_upper(struct snapprot_core *core, u32 level,
		       struct snapprot_merge *m)
{
	struct snapprot_entry e;

	if (level > 1) {
		snapprot_iter_next(core, &m->upper);
		return;
	}
	m->table_at++;
	peek_table(core, m, &e);
}

/* Epoch of the predecessor of the entry with this key, if it has been seen. */
static u32 last_epoch(const struct snapprot_merge *m, u64 block)
{
	return m->has_last && m->last.block == block ? m->last.epoch : 0;
}

static void put_data(struct snapprot_core *core, const struct snapprot_entry *e)
{
	if (snapprot_entry_kind(e) == SNAPPROT_KIND_DATA)
		snapprot_space_put(core, snapprot_entry_place(e));
}

/* The epoch of the newest snapshot that is not newer: entries of epochs between two
 * snapshots are alike.
 */
static u32 canonical(const struct snapprot_core *core, u32 epoch)
{
	u32 low = 0, high = core->nr_snaps;

	while (low < high) {
		u32 mid = low + (high - low) / 2;

		if (core->snaps[mid].epoch <= epoch)
			low = mid + 1;
		else
			high = mid;
	}
	return low ? core->snaps[low - 1].epoch : 0;
}

static void count_entry(struct snapprot_core *core, struct snapprot_merge *m,
			u32 prev, u32 epoch)
{
	snapprot_pairs_add(&m->build->run->pairs, canonical(core, prev),
			   canonical(core, epoch), 1);
}

/* Keep an entry, or drop it. */
static int take_entry(struct snapprot_core *core, struct snapprot_merge *m,
		      const struct snapprot_entry *e)
{
	u32 prev = last_epoch(m, e->block);
	int err = 0;

	if (snapprot_entry_needed(core, prev, e->epoch)) {
		count_entry(core, m, prev, e->epoch);
		err = snapprot_build_add(core, m->build, e);
	} else {
		put_data(core, e);
	}
	m->last = snapprot_entry_key(e);
	m->has_last = true;
	m->done++;
	return err;
}

/* ---- leaves that can be taken over -------------------------------------------------- */

/*
 * Look at some more entries of the leaf that comes next: is all of it needed, as far
 * as that goes? Returns how many were looked at.
 */
static u32 leaf_exam(struct snapprot_core *core, struct snapprot_merge *m,
		     const struct snapprot_disk_node *n, u32 max)
{
	u32 count = le16_to_cpu(n->count), from;

	/* A snapshot has gone since: what was needed may not be any more. */
	if (m->exam_deletions != core->deletions) {
		m->exam = 0;
		m->exam_epoch = 0;
		m->exam_deletions = core->deletions;
	}
	from = m->exam;
	for (; m->exam < count && m->exam - from < max; m->exam++) {
		struct snapprot_entry e;
		u32 prev;

		snapprot_entry_decode(&e, &n->entry[m->exam]);
		prev = last_epoch(m, e.block);
		if (m->exam && le64_to_cpu(n->entry[m->exam - 1].block) ==
			       e.block)
			prev = le32_to_cpu(n->entry[m->exam - 1].epoch);
		if (!snapprot_entry_needed(core, prev, e.epoch)) {
			m->no_move = true;
			break;
		}
		if (!m->exam_epoch || e.epoch < m->exam_epoch)
			m->exam_epoch = e.epoch;
	}
	return m->exam - from;
}

/* All of the leaf is needed, and nothing of the other source lies in between. */
static int leaf_move(struct snapprot_core *core, struct snapprot_merge *m,
		     struct snapprot_iter *it,
		     const struct snapprot_disk_node *n,
		     const struct snapprot_ref *ref)
{
	u32 count = le16_to_cpu(n->count), i;
	struct snapprot_entry e;
	int err;

	for (i = 0; i < count; i++) {
		snapprot_entry_decode(&e, &n->entry[i]);
		count_entry(core, m, last_epoch(m, e.block), e.epoch);
		m->last = snapprot_entry_key(&e);
		m->has_last = true;
	}
	err = snapprot_build_move(core, m->build, ref, &m->last, count,
				  m->exam_epoch);
	m->done += count;
	snapprot_iter_move_leaf(core, it);
	return err;
}

/*
 * Take over the leaf at which @it is, if that can be. @other is the head of the
 * other source, or the end. Entries that were looked at, 0 if it cannot, or an
 * error.
 */
static int leaf_try(struct snapprot_core *core, struct snapprot_merge *m,
		    struct snapprot_iter *it, const struct snapprot_key *other,
		    u32 max)
{
	const struct snapprot_disk_node *n;
	struct snapprot_key hi;
	struct snapprot_ref ref;
	u32 looked;
	int err;

	n = snapprot_iter_leaf(it, &ref, &hi);
	if (!n || m->no_move || snapprot_key_cmp(other, &hi) < 0 ||
	    !snapprot_build_takes(m->build, le16_to_cpu(n->count)))
		return 0;
	looked = leaf_exam(core, m, n, max);
	if (m->no_move || m->exam < le16_to_cpu(n->count))
		return (int)looked;
	err = leaf_move(core, m, it, n, &ref);
	m->exam = 0;
	m->exam_epoch = 0;
	return err ? err : (int)looked + !looked;
}

/* ---- a piece of a merge -------------------------------------------------------------- */

/* The heads of both sources: which there are, or an error of either. */
struct heads {
	struct snapprot_entry upper;
	struct snapprot_entry lower;
	struct snapprot_key upper_key;
	struct snapprot_key lower_key;
};

static int peek_both(struct snapprot_core *core, u32 level,
		     struct snapprot_merge *m, struct heads *h)
{
	int upper = peek_upper(core, level, m, &h->upper);
	int lower = snapprot_iter_peek(core, &m->lower, &h->lower);

	if (upper < 0 && upper != -EAGAIN)
		return upper;
	if (lower < 0)
		return lower;
	if (upper < 0)
		return upper;
	h->upper_key = upper ? snapprot_entry_key(&h->upper) :
			       SNAPPROT_KEY_END;
	h->lower_key = lower ? snapprot_entry_key(&h->lower) :
			       SNAPPROT_KEY_END;
	return upper || lower;
}

/* One entry, or some of a leaf: how many were looked at, or an error. */
static int merge_one(struct snapprot_core *core, u32 level,
		     struct snapprot_merge *m, const struct heads *h, u32 max)
{
	int order = snapprot_key_cmp(&h->upper_key, &h->lower_key);
	bool exam = m->exam != 0;
	int ret = 0;

	if (order < 0 && level > 1)
		ret = leaf_try(core, m, &m->upper, &h->lower_key, max);
	else if (order > 0)
		ret = leaf_try(core, m, &m->lower, &h->upper_key, max);
	if (ret)
		return ret;
	/* What was looked at is looked at again, one by one. */
	if (exam)
		m->no_move = true;
	m->exam = 0;
	m->exam_epoch = 0;
	if (order < 0) {
		ret = take_entry(core, m, &h->upper);
		next_upper(core, level, m);
	} else {
		/* Of two that are alike no snapshot needs either. */
		if (!order) {
			put_data(core, &h->upper);
			next_upper(core, level, m);
			m->done++;
		}
		ret = take_entry(core, m, &h->lower);
		snapprot_iter_next(core, &m->lower);
	}
	if ((order < 0 ? level > 1 && !m->upper.step[0].held :
			 !m->lower.step[0].held))
		m->no_move = false;
	return ret ? ret : 1;
}

/* What is ready to go down goes, if what went before it is there. */
static void promote(struct snapprot_core *core, u32 level)
{
	struct snapprot_level *l = &core->level[level];

	if (level >= SNAPPROT_MAX_LEVEL || l->merge || l->up.root ||
	    l->cur.nr_entries < level_target(core, level))
		return;
	snapprot_pairs_exit(&l->up.pairs, core->env);
	l->up = l->cur;
	memset(&l->cur, 0, sizeof(l->cur));
}

static void run_clear(struct snapprot_core *core, struct snapprot_run *run)
{
	snapprot_pairs_exit(&run->pairs, core->env);
	memset(run, 0, sizeof(*run));
}

/* Nothing is left to be merged: the new run is the level's. */
static int merge_end(struct snapprot_core *core, u32 level)
{
	struct snapprot_level *l = &core->level[level];
	struct snapprot_merge *m = l->merge;
	int err;

	err = snapprot_build_ready(core, m->build);
	if (!err)
		err = snapprot_build_close(core, m->build);
	if (err)
		return err;
	snapprot_iter_close(core, &m->upper);
	snapprot_iter_close(core, &m->lower);
	snapprot_build_done(core, m->build);
	run_clear(core, &l->cur);
	l->cur = l->next;
	memset(&l->next, 0, sizeof(l->next));
	if (m->source && level == 1) {
		snapprot_table_clear(&core->drain);
		memset(&core->drain_from, 0, sizeof(core->drain_from));
		core->nr_trash += core->nr_drain_chunks;
		core->nr_drain_chunks = 0;
	} else if (m->source) {
		run_clear(core, &core->level[level - 1].up);
	}
	core->env->ops->free(core->env, m);
	l->merge = NULL;
	core->dead_known = false;
	promote(core, level);
	if (level > 1)
		promote(core, level - 1);
	return 0;
}

/* The first key of a source that has not been merged. */
static struct snapprot_key source_from(const struct snapprot_run *run)
{
	return run->root ? run->from : SNAPPROT_KEY_END;
}

/* What has been taken from both sources is found in the new run from now on. */
static void cut_move(struct snapprot_core *core, u32 level,
		     const struct snapprot_merge *m)
{
	struct snapprot_level *l = &core->level[level];
	struct snapprot_key upper = SNAPPROT_KEY_END;

	if (m->source)
		upper = level > 1 ? source_from(&core->level[level - 1].up) :
				    core->drain_from;
	l->cut = source_from(&l->cur);
	if (snapprot_key_cmp(&upper, &l->cut) < 0)
		l->cut = upper;
}

/* Merge some entries into a level: 1, or an error. */
static int merge_some(struct snapprot_core *core, u32 level, u32 max)
{
	struct snapprot_level *l = &core->level[level];
	struct snapprot_merge *m = l->merge;
	u32 done = 0;
	int ret;

	ret = snapprot_pairs_reserve(&l->next.pairs, core->env, 2 * max + 168);
	while (!ret) {
		struct heads h;

		ret = snapprot_build_ready(core, m->build);
		if (ret)
			break;
		ret = peek_both(core, level, m, &h);
		if (ret < 0)
			break;
		if (!ret) {
			ret = merge_end(core, level);
			return ret ? ret : 1;
		}
		if (done >= max)
			return 1;
		ret = merge_one(core, level, m, &h, max - done);
		cut_move(core, level, m);
		if (ret < 0)
			break;
		done += (u32)ret;
		ret = 0;
	}
	return ret;
}

/* ---- everything else ------------------------------------------------------------------ */

/* Drop some of the newest entries that no snapshot needs, newest first. */
static int sweep_some(struct snapprot_core *core, u32 max)
{
	struct snapprot_table *t = &core->fill;

	for (; max && core->sweep_at; max--) {
		u32 i = --core->sweep_at;
		struct snapprot_entry e = t->entry[i];

		if (snapprot_table_dead(t, i) ||
		    snapprot_entry_needed(core,
					  snapprot_table_prev(t, e.block,
							      e.epoch),
					  e.epoch))
			continue;
		put_data(core, &e);
		snapprot_table_remove(t, i);
	}
	return 1;
}

/* Free some of the first run that is not needed any more. */
static int trash_some(struct snapprot_core *core)
{
	int ret = snapprot_run_dismantle(core, &core->chunk[0]);

	if (ret)
		return ret;
	core->nr_trash--;
	core->nr_chunks--;
	memmove(core->chunk, core->chunk + 1,
		core->nr_chunks * sizeof(*core->chunk));
	return 1;
}

static void count_dead(struct snapprot_core *core)
{
	u32 i;

	for (i = 1; i <= SNAPPROT_MAX_LEVEL; i++)
		core->level[i].dead =
			snapprot_pairs_dead(core, &core->level[i].cur.pairs);
	core->dead_known = true;
}

/* The level that comes next; 0 if there is none. */
static u32 level_next(const struct snapprot_core *core)
{
	u32 i;

	for (i = 1; i <= SNAPPROT_MAX_LEVEL; i++)
		if (level_due(core, i))
			return i;
	for (i = 1; i <= SNAPPROT_MAX_LEVEL; i++)
		if (core->level[i].merge || cleaning_waits(core, i))
			return i;
	return 0;
}

int snapprot_merge_step(struct snapprot_core *core, u32 max)
{
	struct snapprot_space *space = &core->space;
	u32 level;
	int ret;

	if (core->read_only)
		return -EROFS;
	if (core->ckpt.prepared)
		return -EBUSY;
	ret = snapprot_space_drain(core, false);
	if (ret && ret != -EAGAIN && ret != -ENOSPC)
		return ret;
	/* What has to wait may wait, but not without limit. */
	if (space->queue_count > SNAPPROT_FREE_QUEUE - QUEUE_ROOM)
		return ret ? ret : 1;
	if (core->nr_trash)
		return trash_some(core);
	if (sweep_waits(core))
		return sweep_some(core, max);
	if (snapprot_map_due(core))
		return snapprot_map_step(core, max);
	if (!core->dead_known)
		count_dead(core);
	level = level_next(core);
	if (!level)
		return 0;
	if (!core->level[level].merge) {
		ret = merge_start(core, level, source_waits(core, level));
		if (ret)
			return ret;
	}
	ret = merge_some(core, level, max);
	if (ret > 0)
		return snapprot_merge_due(core);
	return ret;
}

/**
 * snapprot_space_reserve() - blocks that the log may not take
 * @core: the store
 *
 * What the checkpoint in work and the one after it write before anything becomes
 * free by them, what merging needs to get on, and what the entries that are in
 * memory will need in the index. So neither a checkpoint nor a deletion ever fails
 * for want of space (F10).
 *
 * Return: a number of blocks.
 */
u64 snapprot_space_reserve(const struct snapprot_core *core)
{
	const struct snapprot_log *log = &core->log;
	u64 entries = (u64)log->nr_entries + log->nr_frozen_entries +
		      log->entries + log->zone[0].count + log->zone[1].count;
	u64 fixed = core->nr_snaps / SNAPPROT_SNAPS_PER_BLOCK + 12;
	u64 waiting = (u64)core->fill.count + core->drain.count;
	u32 i;

	fixed += core->nr_chunks / 32;
	for (i = 1; i <= SNAPPROT_MAX_LEVEL; i++) {
		const struct snapprot_level *l = &core->level[i];

		fixed += div_u64(l->cur.pairs.count + l->next.pairs.count +
				 l->up.pairs.count, SNAPPROT_PAIRS_PER_BLOCK);
		if (l->merge)
			fixed += 16;
	}
	return 2 * (fixed + div_u64(entries, 100)) + div_u64(waiting, 64) + 24;
}
