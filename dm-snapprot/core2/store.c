// SPDX-License-Identifier: GPL-2.0-only
/*
 * A store as a whole: making one, opening one, and its superblock.
 */
#include "internal.h"

/* ---- sizes ----------------------------------------------------------------- */

static void tune_init(struct snapprot_core *core, u64 blocks)
{
	const struct snapprot_tune *want = core->env->tune;
	struct snapprot_tune *tune = &core->tune;
	u64 zone = blocks / 32;

	if (want)
		*tune = *want;
	if (!tune->table)
		tune->table = SNAPPROT_LOG_MAX_ENTRIES;
	if (!want || !want->table)
		while (tune->table < SNAPPROT_MAX_TABLE &&
		       tune->table < blocks / 32)
			tune->table *= 2;
	if (!tune->fanout)
		tune->fanout = 10;
	if (!tune->freeze)
		tune->freeze = SNAPPROT_LOG_HALF_ENTRIES * 3 / 4;
	if (!tune->zone)
		tune->zone = zone < 16 ? 16 :
			     (u32)snapprot_min(zone, SNAPPROT_ZONE_BLOCKS);
}

/* ---- format ------------------------------------------------------------------ */

static void format_super(struct snapprot_disk_super *s,
			 const struct snapprot_format *f)
{
	u64 zone = snapprot_min(f->blocks / 32, SNAPPROT_ZONE_BLOCKS);
	u64 start = SNAPPROT_GROUP_FIXED;
	u64 groups = snapprot_group_count(f->blocks);
	u32 i, level = 0;

	memset(s, 0, sizeof(*s));
	snapprot_block_init(s, SNAPPROT_MAGIC_SUPER, 0, 1, f->uuid);
	memcpy(s->ident, SNAPPROT_SUPER_IDENT, sizeof(s->ident));
	memcpy(s->secret, f->secret, sizeof(s->secret));
	memcpy(s->store_id, f->store_id, sizeof(s->store_id));
	s->version = cpu_to_le32(SNAPPROT_FORMAT_VERSION);
	s->block_size = cpu_to_le32(SNAPPROT_BLOCK_SIZE);
	s->flags = cpu_to_le32(f->flags);
	s->role = cpu_to_le32(f->role);
	s->origin_sectors = cpu_to_le64(f->origin_sectors);
	s->store_blocks = cpu_to_le64(f->blocks);
	s->create_time = cpu_to_le64(f->time);
	s->ckpt_seq = cpu_to_le64(1);
	s->epoch = cpu_to_le32(1);
	s->log_block = cpu_to_le64(start);
	s->log_seq = cpu_to_le64(1);
	s->generation_seq = cpu_to_le64(1);
	for (i = 0; i < 2; i++) {
		s->zone[i].start = cpu_to_le64(start);
		start += zone;
		s->zone[i].end = cpu_to_le64(start);
	}
	while (groups > (u64)1 << (SNAPPROT_SPACE_SHIFT * (level + 1)))
		level++;
	s->space_level = cpu_to_le32(level);
}

static int format_write(struct snapprot_env *env, void *block,
			const struct snapprot_format *f)
{
	struct snapprot_disk_super *s = block;
	u32 copy;
	int err;

	/* What was here before ends first. */
	memset(block, 0, SNAPPROT_BLOCK_SIZE);
	for (copy = 0; copy < SNAPPROT_COPIES; copy++) {
		err = env->ops->write(env, snapprot_super_place(copy), block);
		if (err)
			return err;
	}
	format_super(s, f);
	for (copy = 0; copy < SNAPPROT_COPIES; copy++) {
		s->h.block = cpu_to_le64(snapprot_super_place(copy));
		snapprot_super_seal(s);
		err = snapprot_super_verify(s, snapprot_super_place(copy));
		if (!err)
			err = env->ops->write(env, snapprot_super_place(copy),
					      s);
		if (err)
			return err;
	}
	return 0;
}

int snapprot_store_format(struct snapprot_env *env,
			  const struct snapprot_format *f)
{
	void *block;
	int err;

	if (f->blocks < SNAPPROT_MIN_STORE_BLOCKS)
		return -ENOSPC;
	if (f->blocks >= SNAPPROT_MAX_BLOCKS || !f->origin_sectors ||
	    f->origin_sectors >= SNAPPROT_MAX_BLOCKS *
				 SNAPPROT_SECTORS_PER_BLOCK)
		return -EINVAL;
	if (f->flags & ~SNAPPROT_SUPER_FLAGS ||
	    f->role > SNAPPROT_ROLE_RESERVE)
		return -EINVAL;
	block = env->ops->alloc(env, SNAPPROT_BLOCK_SIZE);
	if (!block)
		return -ENOMEM;
	err = format_write(env, block, f);
	env->ops->free(env, block);
	return err;
}

/* ---- load: memory and superblock ------------------------------------------------ */

static int load_alloc(struct snapprot_core *core)
{
	struct snapprot_env *env = core->env;
	const size_t snaps = SNAPPROT_MAX_SNAPSHOTS * sizeof(*core->snaps);
	const size_t headers = SNAPPROT_LOG_MAX_HEADERS * sizeof(u64);
	struct snapprot_log *log = &core->log;
	u32 i;

	core->super = env->ops->alloc(env, SNAPPROT_BLOCK_SIZE);
	core->super_next = env->ops->alloc(env, SNAPPROT_BLOCK_SIZE);
	core->scratch = env->ops->alloc(env, SNAPPROT_SCRATCH *
					     SNAPPROT_BLOCK_SIZE);
	core->snaps = env->ops->alloc(env, snaps);
	core->ckpt.snaps = env->ops->alloc(env, snaps);
	core->chunk = env->ops->alloc(env, (SNAPPROT_MAX_CHUNKS + 1) *
					   sizeof(*core->chunk));
	log->headers = env->ops->alloc(env, headers);
	log->frozen = env->ops->alloc(env, headers);
	for (i = 0; i < 2; i++) {
		log->zone[i].place = env->ops->alloc(env, SNAPPROT_ZONE_BLOCKS *
						     sizeof(u64));
		if (!log->zone[i].place)
			return -ENOMEM;
	}
	if (!core->super || !core->super_next || !core->scratch ||
	    !core->snaps || !core->ckpt.snaps || !core->chunk ||
	    !log->headers || !log->frozen)
		return -ENOMEM;
	return snapprot_space_init(core);
}

/* What tells a copy of the superblock from any other; never 0. */
static u64 copy_sum(const void *data)
{
	return xxh64(data, SNAPPROT_BLOCK_SIZE, 1) | 1;
}

/* Choose the superblock to live on. */
static int load_super(struct snapprot_core *core)
{
	struct snapprot_env *env = core->env;
	struct snapprot_disk_super *copy[SNAPPROT_COPIES];
	const struct snapprot_disk_super *best;
	int read_err = 0;
	int err;
	u32 i;

	for (i = 0; i < SNAPPROT_COPIES; i++) {
		copy[i] = core->scratch + i * SNAPPROT_BLOCK_SIZE;
		err = env->ops->read(env, snapprot_super_place(i), 1, copy[i]);
		if (err) {
			copy[i] = NULL;
			read_err = err;
			continue;
		}
		core->super_sum[i] = copy_sum(copy[i]);
	}
	best = snapprot_super_choose((const void *)copy, &err);
	if (!best)
		return read_err ? read_err : err;
	while (copy[core->super_copy] != best)
		core->super_copy++;
	memcpy(core->super, best, sizeof(*best));
	return 0;
}

/* Has it been written more often than any store is? */
static bool worn_out(const struct snapprot_disk_super *s)
{
	return (le64_to_cpu(s->h.seq) | le64_to_cpu(s->generation) |
		le64_to_cpu(s->ckpt_seq) | le64_to_cpu(s->log_seq)) >=
	       SNAPPROT_LAST_SEQ;
}

static void load_fields(struct snapprot_core *core)
{
	const struct snapprot_disk_super *s = core->super;
	struct snapprot_space *space = &core->space;

	snapprot_key_init(&core->env->key, s->secret);
	core->data_seed = siphash("data", 4, &core->env->key);
	memcpy(core->uuid, s->h.uuid, sizeof(core->uuid));
	memcpy(core->store_id, s->store_id, sizeof(core->store_id));
	core->generation = le64_to_cpu(s->generation);
	core->origin_sectors = le64_to_cpu(s->origin_sectors);
	core->origin_blocks = (core->origin_sectors +
			       SNAPPROT_SECTORS_PER_BLOCK - 1) >>
			      (SNAPPROT_BLOCK_SHIFT - 9);
	core->create_time = le64_to_cpu(s->create_time);
	core->flags = le32_to_cpu(s->flags);
	core->role = le32_to_cpu(s->role);
	core->lost_epoch = le32_to_cpu(s->lost_epoch);
	core->lost_fault = le32_to_cpu(s->lost_fault);
	core->read_only = worn_out(s) || (le32_to_cpu(s->compat_ro) &
					  ~SNAPPROT_COMPAT_RO_KNOWN);
	core->epoch = le32_to_cpu(s->epoch);
	core->deletions = 1;
	core->ckpt.seq = le64_to_cpu(s->ckpt_seq) + 1;
	core->log.block = le64_to_cpu(s->log_block);
	core->log.seq = le64_to_cpu(s->log_seq);
	core->log.prev_sum = le64_to_cpu(s->log_prev_sum);
	space->blocks = le64_to_cpu(s->store_blocks);
	space->capacity = snapprot_capacity(space->blocks,
					    snapprot_group_count(space->blocks));
	space->used = le64_to_cpu(s->space_used);
	space->level = le32_to_cpu(s->space_level);
	space->root_slot = le32_to_cpu(s->space_slot);
	space->root_sum = le64_to_cpu(s->space_sum);
}

/* ---- load: directory ---------------------------------------------------------------- */

/* What the directory has been seen to have. */
struct load {
	struct snapprot_run *run;	/* the last one: counts are of it */
	u64 *blocks;			/* of the checkpoint itself */
	u32 nr_blocks;
	u32 max_blocks;
	u32 last_role;			/* of chunks */
	u64 entries[2];			/* of chunks, of fill and of drain */
	u32 nr_snaps;
};

static int load_block(struct snapprot_core *core, void *ctx, u64 place)
{
	struct snapprot_env *env = core->env;
	struct load *load = ctx;

	if (load->nr_blocks == load->max_blocks) {
		u32 max = load->max_blocks * 2 + 64;
		u64 *blocks = env->ops->alloc(env, max * sizeof(*blocks));

		if (!blocks)
			return -ENOMEM;
		if (load->nr_blocks)
			memcpy(blocks, load->blocks,
			       load->nr_blocks * sizeof(*blocks));
		env->ops->free(env, load->blocks);
		load->blocks = blocks;
		load->max_blocks = max;
	}
	load->blocks[load->nr_blocks++] = place;
	return 0;
}

/* Where a run of this kind goes; NULL if it cannot be. */
static struct snapprot_run *run_slot(struct snapprot_core *core,
				     struct load *load, u32 role, u32 level)
{
	struct snapprot_run *run = NULL;
	/* In this order they are in the directory, and in memory. */
	static const u32 rank[] = {
		[SNAPPROT_RUN_TRASH] = 1,
		[SNAPPROT_RUN_DRAIN] = 2,
		[SNAPPROT_RUN_FILL] = 3,
	};

	switch (role) {
	case SNAPPROT_RUN_CUR:
	case SNAPPROT_RUN_NEXT:
	case SNAPPROT_RUN_UP:
		if (!level || level > SNAPPROT_MAX_LEVEL)
			return NULL;
		run = role == SNAPPROT_RUN_CUR ? &core->level[level].cur :
		      role == SNAPPROT_RUN_NEXT ? &core->level[level].next :
						  &core->level[level].up;
		return run->nr_nodes ? NULL : run;
	case SNAPPROT_RUN_MAP:
		if (level || snapprot_map_room(core))
			return NULL;
		return &core->map[core->nr_maps++];
	case SNAPPROT_RUN_TRASH:
	case SNAPPROT_RUN_DRAIN:
	case SNAPPROT_RUN_FILL:
		if (level || core->nr_chunks >= SNAPPROT_MAX_CHUNKS ||
		    rank[role] < load->last_role)
			return NULL;
		load->last_role = rank[role];
		core->nr_trash += role == SNAPPROT_RUN_TRASH;
		core->nr_drain_chunks += role == SNAPPROT_RUN_DRAIN;
		return &core->chunk[core->nr_chunks++];
	}
	return NULL;
}

static int load_run(struct snapprot_core *core, struct load *load,
		    const struct snapprot_disk_run *d)
{
	u32 role = le16_to_cpu(d->role);
	struct snapprot_run *run;

	if (le16_to_cpu(d->item.size) != sizeof(*d))
		return -EBADMSG;
	run = run_slot(core, load, role, le16_to_cpu(d->level));
	if (!run)
		return -EBADMSG;
	run->root = le64_to_cpu(d->root);
	run->root_sum = le64_to_cpu(d->root_sum);
	run->height = le16_to_cpu(d->height);
	run->nr_entries = le64_to_cpu(d->nr_entries);
	run->nr_nodes = le64_to_cpu(d->nr_nodes);
	run->from.block = le64_to_cpu(d->from_block);
	run->from.epoch = le32_to_cpu(d->from_epoch);
	run->min_epoch = le32_to_cpu(d->min_epoch);
	run->max_epoch = le32_to_cpu(d->max_epoch);
	if (run->height >= SNAPPROT_MAX_HEIGHT ||
	    run->nr_entries >= SNAPPROT_MAX_BLOCKS ||
	    run->nr_nodes >= SNAPPROT_MAX_BLOCKS)
		return -EBADMSG;
	if (!run->root && ((role != SNAPPROT_RUN_NEXT &&
			    role != SNAPPROT_RUN_MAP) || run->nr_entries))
		return -EBADMSG;
	if (role == SNAPPROT_RUN_MAP && !snapprot_map_follows(core))
		return -EBADMSG;
	if (role == SNAPPROT_RUN_FILL)
		load->entries[0] += run->nr_entries;
	if (role == SNAPPROT_RUN_DRAIN)
		load->entries[1] += run->nr_entries;
	/* Only those of levels have counts. */
	load->run = le16_to_cpu(d->level) ? run : NULL;
	return 0;
}

/* Hold a block that an item names. */
static int item_get(struct snapprot_core *core, struct load *load,
		    const struct snapprot_disk_item *item, u32 magic,
		    struct snapprot_buf *buf)
{
	const struct snapprot_disk_snaps_item *d = (const void *)item;
	u64 place;
	int err;

	if (le16_to_cpu(item->size) != sizeof(*d))
		return -EBADMSG;
	place = le64_to_cpu(d->place);
	if (!snapprot_place_ok(core->space.blocks, place))
		return -EBADMSG;
	err = load_block(core, load, place);
	if (err)
		return err;
	return core->env->ops->get(core->env, place, magic,
				   le64_to_cpu(d->sum), buf);
}

static int load_snaps(struct snapprot_core *core, struct load *load,
		      const struct snapprot_disk_item *item)
{
	const struct snapprot_disk_snaps *table;
	struct snapprot_buf buf;
	int err;
	u32 i;

	err = item_get(core, load, item, SNAPPROT_MAGIC_SNAPS, &buf);
	if (err)
		return err;
	table = buf.data;
	for (i = 0; !err && i < le32_to_cpu(table->count); i++) {
		struct snapprot_snap snap;

		if (!snapprot_snap_ok(&table->snap[i]))
			err = -EBADMSG;
		snapprot_snap_decode(&snap, &table->snap[i]);
		if (!err && (snap.epoch > core->epoch ||
			     !snapprot_snap_add(core, &snap)))
			err = -EBADMSG;
	}
	core->env->ops->put(core->env, &buf);
	return err;
}

static int load_counts(struct snapprot_core *core, struct load *load,
		       const struct snapprot_disk_item *item)
{
	const struct snapprot_disk_counts *c;
	struct snapprot_buf buf;
	u32 i, count;
	int err;

	if (!load->run)
		return -EBADMSG;
	err = item_get(core, load, item, SNAPPROT_MAGIC_COUNTS, &buf);
	if (err)
		return err;
	c = buf.data;
	count = le32_to_cpu(c->count);
	err = snapprot_pairs_reserve(&load->run->pairs, core->env, count);
	for (i = 0; !err && i < count; i++)
		snapprot_pairs_add(&load->run->pairs,
				   le32_to_cpu(c->pair[i].prev),
				   le32_to_cpu(c->pair[i].epoch),
				   le64_to_cpu(c->pair[i].count));
	core->env->ops->put(core->env, &buf);
	return err;
}

static int load_merge(struct snapprot_core *core,
		      const struct snapprot_disk_merge *d)
{
	u32 level = le16_to_cpu(d->level);
	u32 source = le16_to_cpu(d->source);
	struct snapprot_level *l;

	if (le16_to_cpu(d->item.size) != sizeof(*d) || !level ||
	    level > SNAPPROT_MAX_LEVEL || source > 1 ||
	    core->level[level].merge)
		return -EBADMSG;
	l = &core->level[level];
	l->cut.block = le64_to_cpu(d->cut_block);
	l->cut.epoch = le32_to_cpu(d->cut_epoch);
	if (source && level == 1)
		core->drain_from = l->cut;
	else if (source && !core->level[level - 1].up.root)
		return -EBADMSG;
	return snapprot_merge_resume(core, level, source,
				     le64_to_cpu(d->done),
				     le64_to_cpu(d->total));
}

static int load_item(struct snapprot_core *core, void *ctx,
		     const struct snapprot_disk_item *item)
{
	u32 type = le16_to_cpu(item->type);
	struct load *load = ctx;

	switch (type) {
	case SNAPPROT_ITEM_RUN:
		return load_run(core, load, (const void *)item);
	case SNAPPROT_ITEM_SNAPS:
		return load_snaps(core, load, item);
	case SNAPPROT_ITEM_MERGE:
		return load_merge(core, (const void *)item);
	case SNAPPROT_ITEM_COUNTS:
		return load_counts(core, load, item);
	}
	if (type < SNAPPROT_ITEM_REFUSE_END)
		return -EPROTONOSUPPORT;
	if (type < SNAPPROT_ITEM_READ_END)
		core->read_only = true;
	return 0;
}

static int load_dir(struct snapprot_core *core, struct load *load)
{
	static const struct snapprot_dir_ops ops = {
		.dir = load_block,
		.item = load_item,
	};
	u32 i;
	int err;

	err = snapprot_dir_walk(core, &ops, load);
	core->ckpt.old = load->blocks;
	core->ckpt.nr_old = load->nr_blocks;
	if (err)
		return err;
	if (core->nr_snaps != le32_to_cpu(core->super->nr_snaps))
		return -EBADMSG;
	/* A run that is being made belongs to a merge. */
	for (i = 1; i <= SNAPPROT_MAX_LEVEL; i++)
		if (core->level[i].next.root && !core->level[i].merge)
			return -EBADMSG;
	return 0;
}

/* ---- load: tables --------------------------------------------------------------------- */

static int load_tables(struct snapprot_core *core, const struct load *load)
{
	/* With what was taken out again, and what a log may have in addition. */
	const u64 most = 2 * (SNAPPROT_MAX_TABLE + SNAPPROT_LOG_MAX_ENTRIES);
	u64 max = core->tune.table + 2 * SNAPPROT_LOG_MAX_ENTRIES;
	u32 i;
	int err;

	for (i = 0; i < 2; i++) {
		if (load->entries[i] > most)
			return -EBADMSG;
		if (load->entries[i] + SNAPPROT_LOG_MAX_ENTRIES > max)
			max = load->entries[i] + SNAPPROT_LOG_MAX_ENTRIES;
	}
	err = snapprot_table_init(&core->fill, core->env, (u32)max);
	if (!err)
		err = snapprot_table_init(&core->drain, core->env, (u32)max);
	return err;
}

struct load_chunk {
	struct snapprot_core *core;
	struct snapprot_table *table;
	u64 entries;
};

static int load_entry(struct load_chunk *load, const struct snapprot_entry *e)
{
	struct snapprot_core *core = load->core;
	struct snapprot_table *t = load->table;
	int err;

	load->entries++;
	if (e->block >= core->origin_blocks || e->epoch > core->epoch)
		return -EBADMSG;
	if (snapprot_entry_kind(e) == SNAPPROT_KIND_REMOVED)
		return snapprot_table_remove_key(t, e->block, e->epoch) ? 0 :
									  -EBADMSG;
	if (snapprot_entry_kind(e) > SNAPPROT_KIND_ZERO)
		return -EBADMSG;
	if (snapprot_entry_kind(e) == SNAPPROT_KIND_DATA &&
	    !snapprot_place_ok(core->space.blocks, snapprot_entry_place(e)))
		return -EBADMSG;
	err = snapprot_pairs_reserve(&t->pairs, core->env, 1);
	if (err)
		return err;
	/* Twice the same is for the log only. */
	if (t->count && snapprot_table_find(t, e->block, e->epoch,
					    &(struct snapprot_entry){ 0 }) &&
	    snapprot_table_prev(t, e->block, e->epoch + 1) == e->epoch)
		return -EBADMSG;
	return snapprot_table_add(t, e, true) ? 0 : -EBADMSG;
}

static int load_node(void *ctx, const struct snapprot_run_visit *v)
{
	u32 i;
	int err = 0;

	if (v->level)
		return 0;
	for (i = 0; !err && i < le16_to_cpu(v->node->count); i++) {
		struct snapprot_entry e;

		snapprot_entry_decode(&e, &v->node->entry[i]);
		err = load_entry(ctx, &e);
	}
	return err;
}

static int load_chunks(struct snapprot_core *core)
{
	u64 entries = 0;
	u32 i;
	int err;

	for (i = core->nr_trash; i < core->nr_chunks; i++) {
		struct load_chunk load = {
			.core = core,
			.table = i < core->nr_trash + core->nr_drain_chunks ?
				 &core->drain : &core->fill,
		};

		err = snapprot_run_walk(core, &core->chunk[i], load_node,
					&load);
		if (err)
			return err;
		if (load.entries != core->chunk[i].nr_entries)
			return -EBADMSG;
		if (load.table == &core->fill)
			entries += load.entries;
	}
	core->fill.chunked = core->fill.count;
	core->fill.stale = (u32)entries - (core->fill.count -
					   core->fill.nr_dead);
	core->drain.chunked = core->drain.count;
	return 0;
}

/* The upper part of each level. */
static int load_upper(struct snapprot_core *core)
{
	u32 i;
	int err = 0;

	for (i = 1; !err && i <= SNAPPROT_MAX_LEVEL; i++) {
		const struct snapprot_level *l = &core->level[i];

		err = snapprot_run_warm(core, &l->cur);
		if (!err)
			err = snapprot_run_warm(core, &l->next);
		if (!err)
			err = snapprot_run_warm(core, &l->up);
	}
	return err;
}

/* ---- load -------------------------------------------------------------------------------- */

static int load_state(struct snapprot_core *core, u64 blocks)
{
	struct load load = { 0 };
	int err;

	if (blocks < core->space.blocks) {
		err = snapprot_space_tail_free(core, blocks);
		if (err)
			return err;
	}
	/* The log may have gone beyond the size of the last checkpoint. */
	err = snapprot_space_resize(core, blocks);
	if (!err)
		err = load_dir(core, &load);
	if (!err)
		err = load_tables(core, &load);
	if (!err)
		err = load_chunks(core);
	if (!err)
		err = snapprot_log_replay(core);
	if (err)
		return err;
	/* Not so in the superblock alone: the log moves the epoch on. */
	if (core->lost_epoch > core->epoch ||
	    (core->nr_maps &&
	     core->map[core->nr_maps - 1].max_epoch >= core->epoch))
		return -EBADMSG;
	err = load_upper(core);
	if (err)
		return err;
	core->space.cursor = core->log.zone[1].range.end;
	snapprot_table_order(&core->drain, 0, core->drain.count, true);
	core->sweep_at = core->fill.count;
	return 0;
}

static bool is_behind(const struct snapprot_core *core,
		      const struct snapprot_evidence *least)
{
	struct snapprot_evidence ev;

	snapprot_store_evidence(core, &ev);
	return ev.ckpt_seq < least->ckpt_seq || ev.log_seq < least->log_seq ||
	       ev.super_seq < least->super_seq || ev.epoch < least->epoch;
}

int snapprot_store_load(struct snapprot_core *core, struct snapprot_env *env,
			u64 blocks, const struct snapprot_evidence *least)
{
	bool shrunk;
	int err;

	memset(core, 0, sizeof(*core));
	core->env = env;
	if (blocks < SNAPPROT_MIN_STORE_BLOCKS)
		return -ENOSPC;
	if (blocks >= SNAPPROT_MAX_BLOCKS)
		return -EINVAL;
	err = load_alloc(core);
	if (err)
		return err;
	err = load_super(core);
	if (err)
		return err;
	load_fields(core);
	tune_init(core, blocks);
	shrunk = blocks < core->space.blocks;
	err = load_state(core, blocks);
	/* What could not be read, or not be believed, lies behind the end. */
	if (err)
		return err != -ENOMEM && shrunk ? -ENOSPC : err;
	return least && is_behind(core, least) ? -ESTALE : 0;
}

void snapprot_store_exit(struct snapprot_core *core)
{
	struct snapprot_env *env = core->env;
	u32 i;

	if (!env)
		return;
	snapprot_merge_exit(core);
	snapprot_map_exit(core);
	snapprot_ckpt_exit(core);
	snapprot_log_exit(core);
	snapprot_space_exit(core);
	snapprot_table_exit(&core->fill, env);
	snapprot_table_exit(&core->drain, env);
	for (i = 1; i <= SNAPPROT_MAX_LEVEL; i++) {
		snapprot_pairs_exit(&core->level[i].cur.pairs, env);
		snapprot_pairs_exit(&core->level[i].next.pairs, env);
		snapprot_pairs_exit(&core->level[i].up.pairs, env);
	}
	for (i = 0; core->chunk && i < core->nr_chunks; i++)
		snapprot_pairs_exit(&core->chunk[i].pairs, env);
	env->ops->free(env, core->chunk);
	env->ops->free(env, core->super);
	env->ops->free(env, core->super_next);
	env->ops->free(env, core->scratch);
	env->ops->free(env, core->snaps);
	memset(core, 0, sizeof(*core));
}

int snapprot_store_grow(struct snapprot_core *core, u64 blocks)
{
	if (blocks < core->space.blocks || blocks >= SNAPPROT_MAX_BLOCKS)
		return -EINVAL;
	if (core->ckpt.prepared)
		return -EBUSY;
	return snapprot_space_resize(core, blocks);
}

void snapprot_store_evidence(const struct snapprot_core *core,
			     struct snapprot_evidence *ev)
{
	ev->ckpt_seq = le64_to_cpu(core->super->ckpt_seq);
	ev->log_seq = snapprot_log_durable(core);
	ev->super_seq = le64_to_cpu(core->super->h.seq);
	ev->epoch = core->epoch;
}

/* Entries may have become unneeded, wherever they are. */
void snapprot_sweep_start(struct snapprot_core *core)
{
	core->sweep_at = core->fill.count;
	core->dead_known = false;
	core->deletions++;
}

/* ---- superblock -------------------------------------------------------------------------- */

/*
 * Is what is on the disk what we have written last, or found? If not, somebody else
 * writes there, or the device has lost a write. That one of a pair is lost is no harm,
 * but it must not happen twice.
 */
static int super_check(struct snapprot_core *core)
{
	u32 first = snapprot_pair_of(le64_to_cpu(core->super->h.seq));
	struct snapprot_env *env = core->env;
	u32 i;
	int err;

	for (i = first; i < first + 2; i++) {
		/* It could not be read before; now it will be written. */
		if (!core->super_sum[i])
			continue;
		err = env->ops->read(env, snapprot_super_place(i), 1,
				     core->scratch);
		if (err)
			return err;
		if (copy_sum(core->scratch) != core->super_sum[i])
			return -EUCLEAN;
	}
	return 0;
}

/*
 * Make core->super_next the superblock, after a look at whether what is there is still
 * ours. Everything it names must be durable. The caller swaps.
 */
int snapprot_super_replace(struct snapprot_core *core)
{
	u64 seq = le64_to_cpu(core->super->h.seq) + 1;
	struct snapprot_disk_super *s = core->super_next;
	struct snapprot_env *env = core->env;
	u32 first = snapprot_pair_of(seq);
	u32 copy;
	int err;

	err = super_check(core);
	if (err)
		return err;
	s->h.seq = cpu_to_le64(seq);
	for (copy = first; copy < first + 2; copy++) {
		u64 place = snapprot_super_place(copy);

		s->h.block = cpu_to_le64(place);
		snapprot_super_seal(s);
		err = env->ops->write(env, place, s);
		if (err)
			return err;
		core->super_sum[copy] = copy_sum(s);
	}
	core->super_copy = first;
	return 0;
}

int snapprot_store_update_begin(struct snapprot_core *core, u64 generation,
				u32 flags, u32 lost_epoch, u32 lost_fault)
{
	struct snapprot_disk_super *s = core->super_next;

	if (core->read_only)
		return -EROFS;
	if (core->ckpt.prepared)
		return -EBUSY;
	if (flags & ~SNAPPROT_SUPER_FLAGS || lost_epoch > core->epoch ||
	    lost_epoch < core->lost_epoch || generation < core->generation)
		return -EINVAL;
	/* A generation begins with a step of its own. */
	if (generation != core->generation && (core->log.steps || core->log.next))
		return -EBUSY;

	memcpy(s, core->super, sizeof(*s));
	s->generation = cpu_to_le64(generation);
	s->lost_epoch = cpu_to_le32(lost_epoch);
	s->lost_fault = cpu_to_le32(lost_fault);
	s->flags = cpu_to_le32(flags);
	s->fence_seq = cpu_to_le64(snapprot_log_durable(core));
	if (generation != core->generation)
		s->generation_seq = cpu_to_le64(core->log.seq);
	return 0;
}

int snapprot_store_update_write(struct snapprot_core *core)
{
	return snapprot_super_replace(core);
}

void snapprot_store_update_end(struct snapprot_core *core)
{
	struct snapprot_disk_super *s = core->super_next;
	u32 lost_epoch = le32_to_cpu(s->lost_epoch);
	bool lost = lost_epoch != core->lost_epoch;

	core->super_next = core->super;
	core->super = s;
	core->generation = le64_to_cpu(s->generation);
	core->flags = le32_to_cpu(s->flags);
	core->lost_epoch = lost_epoch;
	core->lost_fault = le32_to_cpu(s->lost_fault);
	if (lost)
		snapprot_sweep_start(core);
}

int snapprot_store_update(struct snapprot_core *core, u64 generation,
			  u32 flags, u32 lost_epoch, u32 lost_fault)
{
	int err;

	err = snapprot_store_update_begin(core, generation, flags, lost_epoch,
					  lost_fault);
	if (!err)
		err = snapprot_store_update_write(core);
	if (!err)
		snapprot_store_update_end(core);
	return err;
}
