/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the core share with each other and with nobody else.
 *
 * Who calls whom, from above to below: store, check - ckpt - merge - lookup - log
 * - run - table, snaps - space - verify.
 */
#ifndef SNAPPROT_INTERNAL_H
#define SNAPPROT_INTERNAL_H

#include "core.h"

static inline u64 snapprot_min(u64 a, u64 b)
{
	return a < b ? a : b;
}

/* ---- geometry ---------------------------------------------------------- */

static inline u64 snapprot_group_of(u64 block)
{
	return block >> SNAPPROT_GROUP_SHIFT;
}

static inline u32 snapprot_group_bit(u64 block)
{
	return (u32)block & (SNAPPROT_GROUP_BLOCKS - 1);
}

static inline u64 snapprot_group_start(u64 group)
{
	return group << SNAPPROT_GROUP_SHIFT;
}

/* Groups that a store of @blocks blocks uses. */
static inline u64 snapprot_group_count(u64 blocks)
{
	return snapprot_group_of(blocks) +
		(snapprot_group_bit(blocks) >= SNAPPROT_GROUP_MIN);
}

/* Length of a group in a store of @blocks blocks. */
static inline u32 snapprot_group_length(u64 blocks, u64 group)
{
	return (u32)snapprot_min(blocks - snapprot_group_start(group),
				 SNAPPROT_GROUP_BLOCKS);
}

/* Is this block one that is never allocated? */
static inline bool snapprot_block_fixed(u64 block)
{
	return snapprot_group_bit(block) < SNAPPROT_GROUP_FIXED ||
	       block == SNAPPROT_SUPER_BLOCK_1 ||
	       block == SNAPPROT_SUPER_BLOCK_3;
}

/* May a pointer of the format name this block, in a store of @blocks? */
static inline bool snapprot_place_ok(u64 blocks, u64 block)
{
	return block < blocks && !snapprot_block_fixed(block) &&
	       snapprot_group_of(block) < snapprot_group_count(blocks);
}

/* Blocks that can be taken in the groups before @group. */
static inline u64 snapprot_capacity(u64 blocks, u64 group)
{
	u64 groups = snapprot_group_count(blocks);
	u64 sum;

	if (group > groups)
		group = groups;
	if (!group)
		return 0;
	sum = group * (SNAPPROT_GROUP_BLOCKS - SNAPPROT_GROUP_FIXED) - 2;
	if (group == groups)
		sum -= snapprot_group_start(groups) -
		       snapprot_min(blocks, snapprot_group_start(groups));
	return sum;
}

static inline u64 snapprot_bitmap_place(u64 group, u32 slot)
{
	return snapprot_group_start(group) + SNAPPROT_BITMAP_OFFSET +
	       !!(slot & SNAPPROT_SLOT_SECOND);
}

/* First group below a node of the space table. */
static inline u64 snapprot_node_group(u32 level, u64 index)
{
	return index << (SNAPPROT_SPACE_SHIFT * (level + 1));
}

static inline u64 snapprot_node_place(u32 level, u64 index, u32 slot)
{
	return snapprot_group_start(snapprot_node_group(level, index)) +
	       SNAPPROT_SPACE_OFFSET + 2 * level +
	       !!(slot & SNAPPROT_SLOT_SECOND);
}

/* ---- bits -------------------------------------------------------------- */

static inline bool snapprot_bit_test(const u8 *bits, u32 n)
{
	return bits[n >> 3] >> (n & 7) & 1;
}

static inline void snapprot_bit_set(u8 *bits, u32 n)
{
	bits[n >> 3] |= 1u << (n & 7);
}

static inline void snapprot_bit_clear(u8 *bits, u32 n)
{
	bits[n >> 3] &= ~(1u << (n & 7));
}

/* ---- keys and entries -------------------------------------------------- */

#define SNAPPROT_KEY_END	((struct snapprot_key){ ~(u64)0, ~(u32)0 })

static inline int snapprot_key_cmp(const struct snapprot_key *a,
				   const struct snapprot_key *b)
{
	if (a->block != b->block)
		return a->block < b->block ? -1 : 1;
	if (a->epoch != b->epoch)
		return a->epoch < b->epoch ? -1 : 1;
	return 0;
}

static inline struct snapprot_key
snapprot_entry_key(const struct snapprot_entry *e)
{
	return (struct snapprot_key){ e->block, e->epoch };
}

static inline bool snapprot_key_is_end(const struct snapprot_key *k)
{
	return k->block == ~(u64)0;
}

static inline void
snapprot_entry_decode(struct snapprot_entry *e,
		      const struct snapprot_disk_entry *d)
{
	e->block = le64_to_cpu(d->block);
	e->where = le64_to_cpu(d->where);
	e->epoch = le32_to_cpu(d->epoch);
	e->sum = le32_to_cpu(d->sum);
}

static inline void
snapprot_entry_encode(struct snapprot_disk_entry *d,
		      const struct snapprot_entry *e)
{
	d->block = cpu_to_le64(e->block);
	d->where = cpu_to_le64(e->where);
	d->epoch = cpu_to_le32(e->epoch);
	d->sum = cpu_to_le32(e->sum);
}

static inline u32 snapprot_entry_kind(const struct snapprot_entry *e)
{
	return SNAPPROT_WHERE_KIND(e->where);
}

/* ---- verify.c ---------------------------------------------------------- */

int snapprot_block_finish(struct snapprot_env *env, struct snapprot_buf *buf,
			  u32 magic, u64 place, u64 *sum);
/* Rules of a snapshot that need nothing but itself. */
bool snapprot_snap_ok(const struct snapprot_disk_snap *d);

/* ---- space.c ----------------------------------------------------------- */

#define SNAPPROT_BITMAP_WORDS	(SNAPPROT_BITMAP_BYTES / 8)
/* Places that may wait to be freed. */
#define SNAPPROT_FREE_QUEUE	4096u
/* Bitmaps in memory from which on a checkpoint has to come first. */
#define SNAPPROT_MANY_GROUPS	512u

int snapprot_space_init(struct snapprot_core *core);
void snapprot_space_exit(struct snapprot_core *core);
int snapprot_space_resize(struct snapprot_core *core, u64 blocks);
int snapprot_space_tail_free(struct snapprot_core *core, u64 old_blocks);
/* Free now, for anybody. */
u64 snapprot_space_avail(const struct snapprot_core *core);
int snapprot_space_mark(struct snapprot_core *core, u64 place);
int snapprot_space_gather(struct snapprot_core *core, u32 max, u32 near,
			  u64 *places, u32 *count);
int snapprot_space_in_range(struct snapprot_core *core,
			    const struct snapprot_range *range, u64 from,
			    u32 max, u64 *places, u32 *count);
int snapprot_pool_fill(struct snapprot_core *core, struct snapprot_pool *pool,
		       u32 want, u32 most);
u64 snapprot_pool_take(struct snapprot_core *core, struct snapprot_pool *pool);
void snapprot_pool_empty(struct snapprot_core *core,
			 struct snapprot_pool *pool);
static inline u32 snapprot_pool_left(const struct snapprot_pool *pool)
{
	return pool->count - pool->next;
}

int snapprot_space_free(struct snapprot_core *core, u64 place);
/* Have the bitmap of a place in memory. */
int snapprot_space_touch(struct snapprot_core *core, u64 place);
/* A place that was gathered is used, or is not needed. */
void snapprot_space_use(struct snapprot_core *core, u64 place);
void snapprot_space_unkeep(struct snapprot_core *core, u64 place);
void snapprot_space_put(struct snapprot_core *core, u64 place);
void snapprot_space_put_meta(struct snapprot_core *core, u64 place);
int snapprot_space_drain(struct snapprot_core *core, bool all);
void snapprot_space_freeze(struct snapprot_core *core);
int snapprot_space_compose(struct snapprot_core *core, u64 seq);
void snapprot_space_finish(struct snapprot_core *core);

/**
 * struct snapprot_space_item - what snapprot_space_walk() reports
 * @place: of a bitmap or node
 * @group: number of the group, if it is a bitmap
 * @bits: its bits, or NULL
 */
struct snapprot_space_item {
	u64 place;
	u64 group;
	const u8 *bits;
};

int snapprot_space_walk(struct snapprot_core *core,
			int (*fn)(void *ctx,
				  const struct snapprot_space_item *item),
			void *ctx);

/* ---- table.c ----------------------------------------------------------- */

int snapprot_table_init(struct snapprot_table *t, struct snapprot_env *env,
			u32 max);
void snapprot_table_exit(struct snapprot_table *t, struct snapprot_env *env);
void snapprot_table_clear(struct snapprot_table *t);
bool snapprot_table_add(struct snapprot_table *t,
			const struct snapprot_entry *e, bool needed);
bool snapprot_table_find(const struct snapprot_table *t, u64 block, u32 epoch,
			 struct snapprot_entry *found);
u32 snapprot_table_prev(const struct snapprot_table *t, u64 block, u32 epoch);
void snapprot_table_remove(struct snapprot_table *t, u32 i);
bool snapprot_table_remove_key(struct snapprot_table *t, u64 block, u32 epoch);
void snapprot_table_recorded(struct snapprot_table *t);
static inline bool snapprot_table_dead(const struct snapprot_table *t, u32 i)
{
	return snapprot_entry_kind(&t->entry[i]) == SNAPPROT_KIND_REMOVED;
}

u32 snapprot_table_order(struct snapprot_table *t, u32 from, u32 end,
			 bool all);

int snapprot_pairs_reserve(struct snapprot_pairs *p, struct snapprot_env *env,
			   u32 more);
void snapprot_pairs_add(struct snapprot_pairs *p, u32 prev, u32 epoch,
			u64 count);
void snapprot_pairs_sub(struct snapprot_pairs *p, u32 prev, u32 epoch);
void snapprot_pairs_exit(struct snapprot_pairs *p, struct snapprot_env *env);

/* ---- snaps.c ----------------------------------------------------------- */

bool snapprot_snap_add(struct snapprot_core *core,
		       const struct snapprot_snap *snap);
bool snapprot_snap_remove(struct snapprot_core *core,
			  const struct snapprot_snap *snap);
bool snapprot_snap_set(struct snapprot_core *core,
		       const struct snapprot_snap *snap);
void snapprot_snap_decode(struct snapprot_snap *s,
			  const struct snapprot_disk_snap *d);
void snapprot_snap_encode(struct snapprot_disk_snap *d,
			  const struct snapprot_snap *s);
u64 snapprot_pairs_dead(const struct snapprot_core *core,
			const struct snapprot_pairs *p);

/* ---- run.c --------------------------------------------------------------- */

/* Child of a node being built. */
struct snapprot_ref {
	struct snapprot_key key;
	u32 max_epoch;
	u64 place;
	u64 sum;
};

/* A level of the right edge: complete children that have no parent yet. */
struct snapprot_spine {
	u32 count;
	u32 max_epoch;
	u64 edge;	/* where a checkpoint has put it, 0 nowhere */
	union {
		struct snapprot_entry *entry;	/* level 0 */
		struct snapprot_ref *ref;
	};
};

/**
 * struct snapprot_build - a run that is being built
 * @run: what it is so far; its root is that of the last snapprot_build_close()
 * @spine: its right edge
 * @height: highest level that has anything
 * @opened: the right edge of what was there before has been read
 * @changed: since it was closed
 * @last: the highest key that there is
 * @leaves: that are still to come, as far as that is known
 * @leaf: places for full leaves, so that these lie one behind the other
 * @inner: for full inner nodes
 * @edge: for nodes of the right edge, most of which will soon go
 */
struct snapprot_build {
	struct snapprot_run *run;
	struct snapprot_spine spine[SNAPPROT_MAX_HEIGHT];
	u32 height;
	bool opened;
	bool changed;
	struct snapprot_key last;
	u32 leaves;
	struct snapprot_pool leaf;
	struct snapprot_pool inner;
	struct snapprot_pool edge;
};

struct snapprot_build *snapprot_build_new(struct snapprot_core *core,
					  struct snapprot_run *run);
void snapprot_build_free(struct snapprot_core *core, struct snapprot_build *b);
int snapprot_build_ready(struct snapprot_core *core, struct snapprot_build *b);
int snapprot_build_add(struct snapprot_core *core, struct snapprot_build *b,
		       const struct snapprot_entry *e);
bool snapprot_build_takes(const struct snapprot_build *b, u32 entries);
int snapprot_build_move(struct snapprot_core *core, struct snapprot_build *b,
			const struct snapprot_ref *leaf,
			const struct snapprot_key *last, u32 entries,
			u32 min_epoch);
int snapprot_build_close(struct snapprot_core *core, struct snapprot_build *b);
void snapprot_build_done(struct snapprot_core *core, struct snapprot_build *b);

/* A node on the way to where an iterator is. */
struct snapprot_step {
	struct snapprot_buf buf;
	bool held;
	u64 place;
	u32 at;
	struct snapprot_key hi;		/* the keys of the node are below */
};

/**
 * struct snapprot_iter - takes a run away in the order of keys
 * @step: by level of the node, 0 the leaf
 * @seek: run->from has not been found yet
 * @end: there is nothing more
 * @ahead: children of the node above the leaf that were read ahead
 *
 * What has been passed is freed, and run->from follows.
 */
struct snapprot_iter {
	struct snapprot_run *run;
	struct snapprot_step step[SNAPPROT_MAX_HEIGHT];
	bool seek;
	bool end;
	u32 ahead;
};

void snapprot_iter_init(struct snapprot_iter *it, struct snapprot_run *run);
void snapprot_iter_close(struct snapprot_core *core, struct snapprot_iter *it);
int snapprot_iter_peek(struct snapprot_core *core, struct snapprot_iter *it,
		       struct snapprot_entry *e);
void snapprot_iter_next(struct snapprot_core *core, struct snapprot_iter *it);
const struct snapprot_disk_node *
snapprot_iter_leaf(const struct snapprot_iter *it, struct snapprot_ref *ref,
		   struct snapprot_key *hi);
void snapprot_iter_move_leaf(struct snapprot_core *core,
			     struct snapprot_iter *it);

/* Is there anything in a run, on disk or in memory? */
static inline bool snapprot_run_any(const struct snapprot_run *run)
{
	return run->root || run->build;
}

int snapprot_run_warm(struct snapprot_core *core,
		      const struct snapprot_run *run);
int snapprot_run_find(struct snapprot_core *core, const struct snapprot_run *run,
		      u64 block, u32 epoch, struct snapprot_entry *found);
int snapprot_run_floor(struct snapprot_core *core,
		       const struct snapprot_run *run,
		       const struct snapprot_key *key,
		       struct snapprot_entry *found);
int snapprot_run_ceil(struct snapprot_core *core, const struct snapprot_run *run,
		      const struct snapprot_key *key,
		      struct snapprot_entry *found);
int snapprot_run_scan(struct snapprot_core *core, const struct snapprot_run *run,
		      u64 block, u64 end,
		      int (*fn)(void *ctx, const struct snapprot_entry *e),
		      void *ctx);
int snapprot_run_leaf_end(struct snapprot_core *core,
			  const struct snapprot_run *run, u64 block, u64 *end);

/**
 * struct snapprot_run_visit - what a walk of a whole run reports: a node
 * @max_epoch: as its parent says
 */
struct snapprot_run_visit {
	u64 place;
	u32 level;
	u32 max_epoch;
	const struct snapprot_disk_node *node;
};

int snapprot_run_dismantle(struct snapprot_core *core,
			   struct snapprot_run *run);
int snapprot_run_walk(struct snapprot_core *core, const struct snapprot_run *run,
		      int (*fn)(void *ctx, const struct snapprot_run_visit *v),
		      void *ctx);

/* ---- log.c --------------------------------------------------------------- */

#define SNAPPROT_LOG_HALF_ENTRIES	(SNAPPROT_LOG_MAX_ENTRIES / 2)
#define SNAPPROT_LOG_HALF_HEADERS	(SNAPPROT_LOG_MAX_HEADERS / 2)
/* Headers that batches leave to records and seals. */
#define SNAPPROT_LOG_RECORD_HEADERS	256u

int snapprot_log_replay(struct snapprot_core *core);
u64 snapprot_log_durable(const struct snapprot_core *core);
void snapprot_log_exit(struct snapprot_core *core);
u32 snapprot_log_records(const struct snapprot_core *core);

/* ---- merge.c ------------------------------------------------------------- */

/**
 * struct snapprot_merge - a merge that is under way
 * @source: from the level above, or from the table; else only what is unneeded
 *	is dropped
 * @no_move: the leaf that comes next cannot be taken over whole
 * @has_last: there was an entry before
 * @last: its key, for the predecessor
 * @exam: entries of the next leaf that are known to be needed
 * @exam_epoch: the smallest epoch among them
 * @exam_deletions: what core->deletions was when that was looked at
 * @table_at: index into drain.order
 * @done: entries that were looked at
 * @total: about so many there are
 * @done_before: as of the load
 * @since: core->admitted then
 */
struct snapprot_merge {
	struct snapprot_build *build;
	struct snapprot_iter upper;
	struct snapprot_iter lower;
	bool source;
	bool no_move;
	bool has_last;
	struct snapprot_key last;
	u32 exam;
	u32 exam_epoch;
	u32 exam_deletions;
	u32 table_at;
	u64 done;
	u64 total;
	u64 done_before;
	u64 since;
};

/* At a load: a merge that was under way; -ENOMEM. */
int snapprot_merge_resume(struct snapprot_core *core, u32 level, bool source,
			  u64 done, u64 total);
void snapprot_merge_exit(struct snapprot_core *core);
/* Blocks that a merge may not take. */
u64 snapprot_space_reserve(const struct snapprot_core *core);

/* ---- map.c --------------------------------------------------------------- */

/**
 * struct snapprot_map_build - a map that is being made
 * @min_epoch: first epoch that it is of
 * @max_epoch: and the last one
 * @join: of two that are there
 * @aborted: it is not wanted any more
 * @next: first block that may be added
 * @start: of the range that is being gathered
 * @count: blocks of it
 * @window: of the set that is being gathered
 * @bits: of it
 */
struct snapprot_map_build {
	struct snapprot_run run;
	struct snapprot_build *build;
	u32 min_epoch;
	u32 max_epoch;
	bool join;
	bool aborted;
	u64 next;
	u64 start;
	u32 count;
	u64 window;
	u64 bits;
};

int snapprot_map_room(struct snapprot_core *core);
bool snapprot_map_follows(const struct snapprot_core *core);
bool snapprot_map_due(const struct snapprot_core *core);
int snapprot_map_step(struct snapprot_core *core, u32 max);
void snapprot_map_exit(struct snapprot_core *core);

/* ---- ckpt.c -------------------------------------------------------------- */

int snapprot_super_replace(struct snapprot_core *core);
void snapprot_ckpt_exit(struct snapprot_core *core);

/**
 * struct snapprot_dir_ops - what a walk of the directory finds
 * Each may be NULL. @dir is called for each block of it, in order.
 */
struct snapprot_dir_ops {
	int (*dir)(struct snapprot_core *core, void *ctx, u64 place);
	int (*item)(struct snapprot_core *core, void *ctx,
		    const struct snapprot_disk_item *item);
};

int snapprot_dir_walk(struct snapprot_core *core,
		      const struct snapprot_dir_ops *ops, void *ctx);

/* ---- store.c ------------------------------------------------------------- */

void snapprot_sweep_start(struct snapprot_core *core);

#endif
