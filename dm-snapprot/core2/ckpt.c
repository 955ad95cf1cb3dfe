// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoints: what the log has gathered in memory is written as a chunk, with all
 * else that has changed, and a new superblock makes the log before it superfluous.
 *
 * Until that superblock is durable nothing that the old one leads to is changed or
 * taken by anyone (F3), and what becomes free only is so afterwards
 * (snapprot_space_finish()). So a crash at any point leaves the old checkpoint and
 * the whole log after it, or the new one and the log after that.
 *
 * The log goes on meanwhile. What it takes is left out of the bitmaps, and found
 * again by replay.
 */
#include "internal.h"

/* Chunks of a table from which on they are replaced by one. */
#define MANY_CHUNKS	64u

static struct snapprot_table *ckpt_table(struct snapprot_core *core)
{
	return core->ckpt.table ? &core->drain : &core->fill;
}

/* ---- freeze --------------------------------------------------------------- */

/* The table is full, and the one before it has gone: it is merged from now on. */
static void tables_swap(struct snapprot_core *core)
{
	struct snapprot_table swap = core->drain;

	core->drain = core->fill;
	core->fill = swap;
	snapprot_table_clear(&core->fill);
	memset(&core->drain_from, 0, sizeof(core->drain_from));
	core->nr_drain_chunks = core->nr_chunks - core->nr_trash;
	core->sweep_at = 0;
}

static void freeze_log(struct snapprot_core *core)
{
	struct snapprot_ckpt *ckpt = &core->ckpt;
	struct snapprot_log *log = &core->log;
	u64 *headers = log->frozen;
	u32 i;

	log->frozen = log->headers;
	log->headers = headers;
	log->nr_frozen = log->nr_headers;
	log->nr_headers = 0;
	log->nr_frozen_entries = log->nr_entries;
	log->nr_entries = 0;
	ckpt->headers = 0;
	ckpt->log_block = log->block;
	ckpt->log_seq = log->seq;
	ckpt->log_prev_sum = log->prev_sum;
	ckpt->serial = log->serial;
	for (i = 0; i < 2; i++)
		ckpt->zone[i] = log->zone[i].range;
}

/* Is it time to write all of the table anew, in one chunk? */
static bool whole_due(const struct snapprot_core *core,
		      const struct snapprot_table *t)
{
	u32 chunks = core->nr_chunks - core->nr_trash - core->nr_drain_chunks;
	u32 live = t->count - t->nr_dead;

	if (!chunks || (chunks < MANY_CHUNKS && t->stale + t->removed <= live))
		return false;
	return !live || snapprot_space_avail(core) >
			snapprot_space_reserve(core) + live / 64;
}

int snapprot_ckpt_freeze(struct snapprot_core *core)
{
	struct snapprot_ckpt *ckpt = &core->ckpt;
	const struct snapprot_table *t;

	if (core->read_only)
		return -EROFS;
	if (ckpt->frozen || core->log.next || core->log.steps)
		return -EBUSY;
	/* Merging has to free some first. */
	if (core->nr_chunks >= SNAPPROT_MAX_CHUNKS)
		return -EBUSY;
	memset(&ckpt->run, 0, sizeof(ckpt->run));
	ckpt->build = snapprot_build_new(core, &ckpt->run);
	if (!ckpt->build)
		return -ENOMEM;

	ckpt->table = core->fill.count >= core->tune.table &&
		      !core->drain.count && !core->nr_drain_chunks;
	if (ckpt->table)
		tables_swap(core);
	t = ckpt_table(core);
	ckpt->whole = !ckpt->table && whole_due(core, t);
	ckpt->from = ckpt->whole ? 0 : t->chunked;
	ckpt->end = t->count;
	ckpt->orphan = t->chunked;
	ckpt->done = 0;
	ckpt->ordered = false;
	ckpt->epoch = core->epoch;
	memcpy(ckpt->snaps, core->snaps, core->nr_snaps * sizeof(*core->snaps));
	ckpt->nr_snaps = core->nr_snaps;
	ckpt->old_freed = 0;
	ckpt->nr_next = 0;
	ckpt->next_used = 0;
	freeze_log(core);
	snapprot_space_freeze(core);
	ckpt->frozen = true;
	return 0;
}

/* ---- the chunk ------------------------------------------------------------- */

void snapprot_ckpt_order(struct snapprot_core *core)
{
	struct snapprot_ckpt *ckpt = &core->ckpt;
	struct snapprot_table *t = ckpt_table(core);

	/* All of a table that is going to be merged is wanted in order anyway. */
	ckpt->count = snapprot_table_order(t, ckpt->from, ckpt->end,
					   ckpt->table);
	ckpt->build->leaves = ckpt->count / SNAPPROT_LEAF_ENTRIES + 1;
	ckpt->ordered = true;
}

/* An entry of the table into the chunk, if it belongs there. */
static int chunk_entry(struct snapprot_core *core, u32 i)
{
	struct snapprot_ckpt *ckpt = &core->ckpt;
	struct snapprot_table *t = ckpt_table(core);
	struct snapprot_entry e = t->entry[i];

	if (snapprot_table_dead(t, i))
		e.sum = 0;
	else if (i < ckpt->from)
		return 0;
	return snapprot_build_add(core, ckpt->build, &e);
}

/* Places of entries that were preserved twice: the log does not lead there. */
static int orphans_free(struct snapprot_core *core, u32 max)
{
	struct snapprot_ckpt *ckpt = &core->ckpt;
	struct snapprot_table *t = ckpt_table(core);
	int err;

	for (; max && ckpt->orphan < ckpt->end; max--, ckpt->orphan++) {
		struct snapprot_entry *e = &t->entry[ckpt->orphan];

		if (!snapprot_table_dead(t, ckpt->orphan) ||
		    !snapprot_entry_place(e))
			continue;
		err = snapprot_space_free(core, snapprot_entry_place(e));
		if (err)
			return err;
		e->where = SNAPPROT_WHERE(SNAPPROT_KIND_REMOVED, 0);
	}
	return ckpt->orphan < ckpt->end;
}

int snapprot_ckpt_step(struct snapprot_core *core, u32 max)
{
	struct snapprot_ckpt *ckpt = &core->ckpt;
	const struct snapprot_table *t;
	int err;

	if (!ckpt->frozen || ckpt->prepared)
		return -EINVAL;
	if (!ckpt->ordered)
		snapprot_ckpt_order(core);
	t = ckpt_table(core);
	err = orphans_free(core, max);
	if (err)
		return err;
	for (; max && ckpt->done < ckpt->count; max--) {
		err = snapprot_build_ready(core, ckpt->build);
		if (!err)
			err = chunk_entry(core, t->order[ckpt->done]);
		if (err)
			return err;
		ckpt->done++;
	}
	return ckpt->done < ckpt->count;
}

/* ---- directory ----------------------------------------------------------------- */

static int dir_items(struct snapprot_core *core,
		     const struct snapprot_disk_dir *dir,
		     const struct snapprot_dir_ops *ops, void *ctx)
{
	u32 used = le32_to_cpu(dir->used), at = 0;
	int err = 0;

	while (!err && ops->item && at < used) {
		const struct snapprot_disk_item *item =
			(const void *)(dir->items + at);

		/* The block has been verified: sizes are right. */
		err = ops->item(core, ctx, item);
		at += le16_to_cpu(item->size);
	}
	return err;
}

/**
 * snapprot_dir_walk() - what the last durable checkpoint consists of
 * @core: the store
 * @ops: called for what is found; an error ends the walk
 * @ctx: for them
 *
 * Return: 0, their error, -EBADMSG if the directory breaks its rules, or what the
 * environment returns.
 */
int snapprot_dir_walk(struct snapprot_core *core,
		      const struct snapprot_dir_ops *ops, void *ctx)
{
	u64 place = le64_to_cpu(core->super->dir);
	u64 sum = le64_to_cpu(core->super->dir_sum);
	u32 left = le32_to_cpu(core->super->nr_dirs);

	for (; place; left--) {
		const struct snapprot_disk_dir *dir;
		struct snapprot_buf buf;
		int err;

		if (!left || !snapprot_place_ok(core->space.blocks, place))
			return -EBADMSG;
		err = core->env->ops->get(core->env, place, SNAPPROT_MAGIC_DIR,
					  sum, &buf);
		if (err)
			return err;
		dir = buf.data;
		err = ops->dir ? ops->dir(core, ctx, place) : 0;
		if (!err)
			err = dir_items(core, dir, ops, ctx);
		place = le64_to_cpu(dir->next);
		sum = le64_to_cpu(dir->next_sum);
		core->env->ops->put(core->env, &buf);
		if (err)
			return err;
	}
	return left ? -EBADMSG : 0;
}

/*
 * A directory in the making.
 *
 * @blocks: in memory, or NULL while only the size is found out
 * @count: of them
 * @tables: blocks of snapshots and counts
 */
struct emit {
	struct snapprot_disk_dir *blocks;
	u32 count;
	u32 used;
	u32 tables;
};

static void *emit_item(struct emit *emit, u32 type, u32 size)
{
	struct snapprot_disk_item *item;
	struct snapprot_disk_dir *dir;

	if (!emit->count || emit->used + size > SNAPPROT_DIR_BYTES) {
		emit->count++;
		emit->used = 0;
	}
	emit->used += size;
	if (!emit->blocks)
		return NULL;
	dir = &emit->blocks[emit->count - 1];
	item = (void *)(dir->items + emit->used - size);
	item->type = cpu_to_le16(type);
	item->size = cpu_to_le16(size);
	dir->used = cpu_to_le32(emit->used);
	return item;
}

/* The next block of a table: held, and its place. */
static int table_block(struct snapprot_core *core, u32 magic, u64 *place,
		       struct snapprot_buf *buf)
{
	struct snapprot_ckpt *ckpt = &core->ckpt;
	int err;

	*place = ckpt->next[ckpt->next_used++];
	snapprot_space_use(core, *place);
	err = core->env->ops->get_new(core->env, *place, buf);
	if (err)
		return err;
	memset(buf->data, 0, SNAPPROT_BLOCK_SIZE);
	snapprot_block_init(buf->data, magic, *place, ckpt->seq, core->uuid);
	return 0;
}

static int block_done(struct snapprot_core *core, u32 magic, u64 place,
		      struct snapprot_buf *buf,
		      struct snapprot_disk_snaps_item *item)
{
	u64 sum;
	int err;

	err = snapprot_block_finish(core->env, buf, magic, place, &sum);
	item->place = cpu_to_le64(place);
	item->sum = cpu_to_le64(sum);
	return err;
}

/* The counts of a run, which follow it. */
static int emit_counts(struct snapprot_core *core, struct emit *emit,
		       const struct snapprot_pairs *p)
{
	u32 i, j, n;

	for (i = 0; i < p->count; i += n) {
		struct snapprot_disk_snaps_item *item;
		struct snapprot_disk_counts *c;
		struct snapprot_buf buf;
		u64 place;
		int err;

		n = (u32)snapprot_min(p->count - i, SNAPPROT_PAIRS_PER_BLOCK);
		item = emit_item(emit, SNAPPROT_ITEM_COUNTS, sizeof(*item));
		emit->tables++;
		if (!item)
			continue;
		err = table_block(core, SNAPPROT_MAGIC_COUNTS, &place, &buf);
		if (err)
			return err;
		c = buf.data;
		c->count = cpu_to_le32(n);
		for (j = 0; j < n; j++) {
			c->pair[j].prev = cpu_to_le32(p->pair[i + j].prev);
			c->pair[j].epoch = cpu_to_le32(p->pair[i + j].epoch);
			c->pair[j].count = cpu_to_le64(p->pair[i + j].count);
		}
		err = block_done(core, SNAPPROT_MAGIC_COUNTS, place, &buf,
				 item);
		if (err)
			return err;
	}
	return 0;
}

static int emit_run(struct snapprot_core *core, struct emit *emit, u32 role,
		    u32 level, const struct snapprot_run *run)
{
	struct snapprot_disk_run *item;

	/* One that is being built may have nothing on disk so far. */
	if (!snapprot_run_any(run) && role != SNAPPROT_RUN_MAP)
		return 0;
	item = emit_item(emit, SNAPPROT_ITEM_RUN, sizeof(*item));
	if (item) {
		item->role = cpu_to_le16(role);
		item->level = cpu_to_le16(level);
		item->height = cpu_to_le16(run->height);
		item->root = cpu_to_le64(run->root);
		item->root_sum = cpu_to_le64(run->root_sum);
		item->nr_entries = cpu_to_le64(run->nr_entries);
		item->nr_nodes = cpu_to_le64(run->nr_nodes);
		item->from_block = cpu_to_le64(run->from.block);
		item->from_epoch = cpu_to_le32(run->from.epoch);
		item->min_epoch = cpu_to_le32(run->min_epoch);
		item->max_epoch = cpu_to_le32(run->max_epoch);
	}
	return emit_counts(core, emit, &run->pairs);
}

static int emit_level(struct snapprot_core *core, struct emit *emit, u32 level)
{
	struct snapprot_level *l = &core->level[level];
	struct snapprot_disk_merge *item;
	int err;

	err = emit_run(core, emit, SNAPPROT_RUN_CUR, level, &l->cur);
	if (!err)
		err = emit_run(core, emit, SNAPPROT_RUN_NEXT, level, &l->next);
	if (!err)
		err = emit_run(core, emit, SNAPPROT_RUN_UP, level, &l->up);
	if (err || !l->merge)
		return err;
	item = emit_item(emit, SNAPPROT_ITEM_MERGE, sizeof(*item));
	if (!item)
		return 0;
	item->level = cpu_to_le16(level);
	item->source = cpu_to_le16(l->merge->source);
	item->cut_block = cpu_to_le64(l->cut.block);
	item->cut_epoch = cpu_to_le32(l->cut.epoch);
	item->done = cpu_to_le64(l->merge->done);
	item->total = cpu_to_le64(l->merge->total);
	return 0;
}

static int emit_snaps(struct snapprot_core *core, struct emit *emit)
{
	struct snapprot_ckpt *ckpt = &core->ckpt;
	u32 i, j, n;

	for (i = 0; i < ckpt->nr_snaps; i += n) {
		struct snapprot_disk_snaps_item *item;
		struct snapprot_disk_snaps *table;
		struct snapprot_buf buf;
		u64 place;
		int err;

		n = (u32)snapprot_min(ckpt->nr_snaps - i,
				      SNAPPROT_SNAPS_PER_BLOCK);
		item = emit_item(emit, SNAPPROT_ITEM_SNAPS, sizeof(*item));
		emit->tables++;
		if (!item)
			continue;
		err = table_block(core, SNAPPROT_MAGIC_SNAPS, &place, &buf);
		if (err)
			return err;
		table = buf.data;
		table->count = cpu_to_le32(n);
		for (j = 0; j < n; j++)
			snapprot_snap_encode(&table->snap[j],
					     &ckpt->snaps[i + j]);
		err = block_done(core, SNAPPROT_MAGIC_SNAPS, place, &buf, item);
		if (err)
			return err;
	}
	return 0;
}

static u32 chunk_role(const struct snapprot_core *core, u32 i)
{
	if (i < core->nr_trash)
		return SNAPPROT_RUN_TRASH;
	if (i < core->nr_trash + core->nr_drain_chunks)
		return SNAPPROT_RUN_DRAIN;
	return SNAPPROT_RUN_FILL;
}

/* Everything that a checkpoint has, into a directory or only its size. */
static int emit_all(struct snapprot_core *core, struct emit *emit)
{
	u32 i;
	int err;

	err = emit_snaps(core, emit);
	/* What there is of one that is being made a crash leaves to be freed. */
	if (!err && core->map_build && core->map_build->run.root)
		err = emit_run(core, emit, SNAPPROT_RUN_TRASH, 0,
			       &core->map_build->run);
	for (i = 0; !err && i < core->nr_maps; i++)
		err = emit_run(core, emit, SNAPPROT_RUN_MAP, 0, &core->map[i]);
	for (i = 1; !err && i <= SNAPPROT_MAX_LEVEL; i++)
		err = emit_level(core, emit, i);
	for (i = 0; !err && i < core->nr_chunks; i++)
		err = emit_run(core, emit, chunk_role(core, i), 0,
			       &core->chunk[i]);
	return err;
}

/* Write the blocks of the directory, from the last to the first. */
static int dir_write(struct snapprot_core *core, struct emit *emit, u64 *place,
		     u64 *sum)
{
	u32 i;
	int err;

	*place = 0;
	*sum = 0;
	for (i = emit->count; i--; ) {
		struct snapprot_disk_dir *dir = &emit->blocks[i], *d;
		struct snapprot_buf buf;
		u64 next = *place;

		err = table_block(core, SNAPPROT_MAGIC_DIR, place, &buf);
		if (err)
			return err;
		d = buf.data;
		d->next = cpu_to_le64(next);
		d->next_sum = cpu_to_le64(*sum);
		d->used = dir->used;
		memcpy(d->items, dir->items, sizeof(d->items));
		err = snapprot_block_finish(core->env, &buf,
					    SNAPPROT_MAGIC_DIR, *place, sum);
		if (err)
			return err;
	}
	return 0;
}

/* ---- prepare ------------------------------------------------------------------- */

/* Builders of merges, and of a map, which a checkpoint has to close. */
static struct snapprot_build *merge_build(struct snapprot_core *core, u32 level)
{
	struct snapprot_merge *m = core->level[level].merge;

	if (!level)
		return core->map_build && core->map_build->build->opened ?
		       core->map_build->build : NULL;
	return m && m->build->opened ? m->build : NULL;
}

/* Have in memory all that closing a builder may need. */
static int close_ready(struct snapprot_core *core, struct snapprot_build *b)
{
	u32 i;
	int err;

	err = snapprot_build_ready(core, b);
	for (i = 0; !err && i < SNAPPROT_MAX_HEIGHT; i++)
		if (b->spine[i].edge)
			err = snapprot_space_touch(core, b->spine[i].edge);
	return err;
}

/* Free the log that is covered, and what the last checkpoint was written in. */
static int free_old(struct snapprot_core *core)
{
	struct snapprot_ckpt *ckpt = &core->ckpt;
	int err;

	for (; ckpt->headers < core->log.nr_frozen; ckpt->headers++) {
		err = snapprot_space_free(core,
					  core->log.frozen[ckpt->headers]);
		if (err)
			return err;
	}
	for (; ckpt->old_freed < ckpt->nr_old; ckpt->old_freed++) {
		u64 place = ckpt->old[ckpt->old_freed];

		err = snapprot_space_free(core, place);
		if (err)
			return err;
		core->env->ops->forget(core->env, place);
	}
	return 0;
}

/* The new chunk is one of the table's, or takes the place of all of them. */
static int chunk_end(struct snapprot_core *core)
{
	struct snapprot_ckpt *ckpt = &core->ckpt;
	u32 i;
	int err;

	if (!ckpt->build)
		return 0;
	err = snapprot_build_close(core, ckpt->build);
	if (err)
		return err;
	snapprot_build_done(core, ckpt->build);
	ckpt->build = NULL;
	if (ckpt->whole) {
		/* Those of drain stay behind what is to be freed. */
		u32 keep = core->nr_drain_chunks;
		u32 fill = core->nr_chunks - core->nr_trash - keep;

		for (i = 0; i < fill; i++) {
			struct snapprot_run run =
				core->chunk[core->nr_chunks - 1];

			memmove(core->chunk + core->nr_trash + 1,
				core->chunk + core->nr_trash,
				(core->nr_chunks - core->nr_trash - 1) *
				sizeof(run));
			core->chunk[core->nr_trash++] = run;
		}
	}
	if (ckpt->run.root) {
		core->chunk[core->nr_chunks++] = ckpt->run;
		if (ckpt->table)
			core->nr_drain_chunks++;
	}
	return 0;
}

/* Have places for directory and tables. */
static int next_ready(struct snapprot_core *core)
{
	struct snapprot_ckpt *ckpt = &core->ckpt;
	struct snapprot_env *env = core->env;
	struct emit size = { 0 };
	int err;

	if (!ckpt->next_want) {
		err = emit_all(core, &size);
		if (err)
			return err;
		if (!size.count)
			size.count = 1;
		ckpt->next = env->ops->alloc(env, (size.count + size.tables) *
					     sizeof(*ckpt->next));
		if (!ckpt->next)
			return -ENOMEM;
		ckpt->next_want = size.count + size.tables;
	}
	while (ckpt->nr_next < ckpt->next_want) {
		u32 n;

		err = snapprot_space_gather(core,
					    ckpt->next_want - ckpt->nr_next, 0,
					    ckpt->next + ckpt->nr_next, &n);
		if (err)
			return err;
		ckpt->nr_next += n;
	}
	return 0;
}

static void compose_super(struct snapprot_core *core, u64 dir, u64 dir_sum,
			  u32 nr_dirs)
{
	const struct snapprot_ckpt *ckpt = &core->ckpt;
	struct snapprot_disk_super *s = core->super_next;
	u32 i;

	memcpy(s, core->super, sizeof(*s));
	s->flags = cpu_to_le32(core->flags);
	s->generation = cpu_to_le64(core->generation);
	s->lost_epoch = cpu_to_le32(core->lost_epoch);
	s->lost_fault = cpu_to_le32(core->lost_fault);
	s->store_blocks = cpu_to_le64(core->space.blocks);
	s->ckpt_seq = cpu_to_le64(ckpt->seq);
	s->fence_seq = cpu_to_le64(snapprot_log_durable(core));
	s->epoch = cpu_to_le32(ckpt->epoch);
	s->log_block = cpu_to_le64(ckpt->log_block);
	s->log_seq = cpu_to_le64(ckpt->log_seq);
	s->log_prev_sum = cpu_to_le64(ckpt->log_prev_sum);
	for (i = 0; i < 2; i++) {
		s->zone[i].start = cpu_to_le64(ckpt->zone[i].start);
		s->zone[i].end = cpu_to_le64(ckpt->zone[i].end);
	}
	s->dir = cpu_to_le64(dir);
	s->dir_sum = cpu_to_le64(dir_sum);
	s->nr_dirs = cpu_to_le32(nr_dirs);
	s->nr_snaps = cpu_to_le32(ckpt->nr_snaps);
	s->space_level = cpu_to_le32(core->space.level);
	s->space_slot = cpu_to_le32(core->space.root_slot);
	s->space_sum = cpu_to_le64(core->space.root_sum);
	s->space_used = cpu_to_le64(core->space.used);
}

/* Everything is in memory, and there is space for it: write. */
static int compose(struct snapprot_core *core)
{
	struct snapprot_env *env = core->env;
	struct emit size = { 0 }, emit = { 0 };
	u64 dir, dir_sum;
	int err;

	err = emit_all(core, &size);
	if (err)
		return err;
	if (!size.count)
		size.count = 1;
	emit.blocks = env->ops->alloc(env, size.count * sizeof(*emit.blocks));
	if (!emit.blocks)
		return -ENOMEM;
	err = emit_all(core, &emit);
	if (!emit.count)
		emit.count = 1;
	if (!err)
		err = dir_write(core, &emit, &dir, &dir_sum);
	env->ops->free(env, emit.blocks);
	if (!err)
		err = snapprot_space_compose(core, core->ckpt.seq);
	if (!err)
		compose_super(core, dir, dir_sum, emit.count);
	return err;
}

int snapprot_ckpt_prepare(struct snapprot_core *core)
{
	struct snapprot_ckpt *ckpt = &core->ckpt;
	u32 i;
	int err;

	if (!ckpt->frozen || ckpt->prepared || !ckpt->ordered ||
	    ckpt->done < ckpt->count || ckpt->orphan < ckpt->end)
		return -EINVAL;
	err = snapprot_space_drain(core, true);
	if (!err)
		err = free_old(core);
	if (!err && ckpt->build)
		err = close_ready(core, ckpt->build);
	for (i = 0; !err && i <= SNAPPROT_MAX_LEVEL; i++)
		if (merge_build(core, i))
			err = close_ready(core, merge_build(core, i));
	if (!err)
		err = chunk_end(core);
	for (i = 0; !err && i <= SNAPPROT_MAX_LEVEL; i++)
		if (merge_build(core, i))
			err = snapprot_build_close(core, merge_build(core, i));
	/* The edges that are written anew; their bitmaps are there. */
	if (!err)
		err = snapprot_space_drain(core, true);
	if (!err)
		err = next_ready(core);
	if (!err)
		err = compose(core);
	if (!err)
		ckpt->prepared = true;
	return err;
}

/* ---- write and finish -------------------------------------------------------------- */

int snapprot_ckpt_write(struct snapprot_core *core)
{
	int err;

	if (!core->ckpt.prepared)
		return -EINVAL;
	err = core->env->ops->commit(core->env);
	return err ? err : snapprot_super_replace(core);
}

int snapprot_ckpt_finish(struct snapprot_core *core)
{
	struct snapprot_ckpt *ckpt = &core->ckpt;
	struct snapprot_table *t = ckpt_table(core);
	struct snapprot_disk_super *old = core->super;
	u32 i;

	if (!ckpt->prepared)
		return -EINVAL;
	core->super = core->super_next;
	core->super_next = old;
	for (i = ckpt->next_used; i < ckpt->nr_next; i++)
		snapprot_space_unkeep(core, ckpt->next[i]);
	core->env->ops->free(core->env, ckpt->old);
	ckpt->old = ckpt->next;
	ckpt->nr_old = ckpt->next_used;
	ckpt->next = NULL;
	ckpt->nr_next = 0;
	ckpt->next_want = 0;
	ckpt->next_used = 0;
	t->chunked = ckpt->end;
	snapprot_table_recorded(t);
	if (ckpt->whole)
		t->stale = 0;
	/* Nothing is left: it begins anew. */
	if (ckpt->whole && t->count == t->nr_dead && t->count == ckpt->end) {
		snapprot_table_clear(t);
		core->sweep_at = 0;
	}
	core->log.nr_frozen = 0;
	core->log.nr_frozen_entries = 0;
	if (core->log.anchor < ckpt->serial)
		core->log.anchor = ckpt->serial;
	snapprot_space_finish(core);
	ckpt->nr_snaps = 0;
	ckpt->frozen = false;
	ckpt->prepared = false;
	ckpt->seq++;
	return 0;
}

void snapprot_ckpt_exit(struct snapprot_core *core)
{
	struct snapprot_env *env = core->env;

	snapprot_build_free(core, core->ckpt.build);
	env->ops->free(env, core->ckpt.snaps);
	env->ops->free(env, core->ckpt.old);
	env->ops->free(env, core->ckpt.next);
}
