// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoints: what the log has gathered in memory goes into the index, and a new
 * superblock makes the log before it superfluous.
 *
 * Until that superblock is durable nothing that the old one leads to is changed
 * or taken by anyone: nodes are shadowed, images, tables and the directory are
 * written to new places, and what becomes free only is so afterwards
 * (snapprot_space_finish()). So a crash at any point leaves the old checkpoint
 * and the whole log after it, or the new one and the log after that.
 *
 * The log goes on meanwhile. What it takes is left out of the images, and found
 * again by replay.
 */
#include "internal.h"

/* ---- freeze and merge -------------------------------------------------- */

int snapprot_ckpt_freeze(struct snapprot_core *core)
{
	struct snapprot_memtable table = core->frozen;
	u64 *headers = core->frozen_headers;

	if (core->read_only)
		return -EROFS;
	if (core->frozen_valid || core->log_next || core->log_steps)
		return -EBUSY;

	core->frozen = core->active;
	core->active = table;
	core->frozen_headers = core->headers;
	core->headers = headers;
	core->nr_frozen_headers = core->nr_headers;
	core->nr_headers = 0;

	core->frozen_log_block = core->log_block;
	core->frozen_log_seq = core->log_seq;
	core->frozen_log_prev_crc = core->log_prev_crc;
	core->frozen_epoch = core->epoch;
	memcpy(core->frozen_snaps, core->snaps,
	       core->nr_snaps * sizeof(*core->snaps));
	core->nr_frozen_snaps = core->nr_snaps;

	snapprot_space_freeze(core);
	core->frozen_valid = true;
	core->frozen_ordered = false;
	core->frozen_done = 0;
	core->sweep_late = false;
	return 0;
}

/* Put an entry of the log into the index, or free what it points to. */
static int merge_entry(struct snapprot_core *core,
		       const struct snapprot_entry *e)
{
	int err = -EEXIST;

	/* Later snapshots are of later epochs and will not need it. */
	if (snapprot_snaps_valid(core))
		err = snapprot_index_insert(core, e);
	/*
	 * Preserved twice: a sweep dropped the first one, which no snapshot
	 * needed, and a crash brought it back. The older data is as good.
	 */
	if (err == -EEXIST)
		err = snapprot_space_free(core, e->place);
	return err;
}

void snapprot_ckpt_order(struct snapprot_core *core)
{
	snapprot_memtable_order(&core->frozen);
	core->frozen_ordered = true;
}

int snapprot_ckpt_step(struct snapprot_core *core, u32 max)
{
	struct snapprot_memtable *mt = &core->frozen;
	int err = 0;

	if (!core->frozen_valid || core->prepared)
		return -EINVAL;
	if (!core->frozen_ordered)
		snapprot_ckpt_order(core);
	for (; !err && max && core->frozen_done < mt->count; max--) {
		u32 i = mt->order[core->frozen_done++];

		err = merge_entry(core, &mt->entry[i]);
	}
	return err ? err : core->frozen_done < mt->count;
}

/* ---- sweep ------------------------------------------------------------- */

/* Where a sweep is within the versions of one block. */
struct sweep {
	u64 block;	/* of the entry before this one */
	u32 epoch;
	bool valid;	/* there is one */
	u32 seen;	/* entries in this call */
};

/*
 * Which entries of a leaf, from a key on, does no snapshot need? True if there
 * is one.
 */
static bool sweep_leaf(const struct snapprot_core *core, struct sweep *sweep,
		       const struct snapprot_disk_node *n, u32 from,
		       struct snapprot_mask *mask)
{
	bool any = false;
	u32 i;

	memset(mask, 0, sizeof(*mask));
	for (i = from; i < le16_to_cpu(n->count); i++) {
		struct snapprot_entry e;
		u32 prev = 0;

		snapprot_entry_decode(&e, &n->entry[i]);
		if (sweep->valid && sweep->block == e.block)
			prev = sweep->epoch;
		if (!snapprot_entry_needed(core, prev, e.epoch)) {
			snapprot_bit_set(mask->bits, i);
			any = true;
		}
		sweep->block = e.block;
		sweep->epoch = e.epoch;
		sweep->valid = true;
		sweep->seen++;
	}
	return any;
}

/* A node for each level, and what the checkpoint needs in the end. */
static bool sweep_has_space(const struct snapprot_core *core)
{
	return core->nr_free >= snapprot_space_fixed(core) +
				core->root_level + 2;
}

/* A round that began after the freeze has seen everything. */
static int sweep_end(struct snapprot_core *core)
{
	core->flags &= ~SNAPPROT_SUPER_SWEEP;
	core->sweep_block = 0;
	return 0;
}

int snapprot_ckpt_sweep(struct snapprot_core *core, u32 max)
{
	struct sweep sweep = { 0 };
	struct snapprot_bounds bounds;
	u64 block = core->sweep_block;
	struct snapprot_mask mask;
	u32 epoch = 0;

	if (!core->frozen_valid || core->prepared ||
	    core->frozen_done < core->frozen.count)
		return -EINVAL;
	if (!(core->flags & SNAPPROT_SUPER_SWEEP) || core->sweep_late)
		return 0;

	while (core->root) {
		struct snapprot_buf buf;
		bool any;
		int err;

		err = snapprot_leaf_get(core, block, epoch, &bounds, &buf);
		if (err)
			return err;
		any = sweep_leaf(core, &sweep, buf.data,
				 snapprot_node_search(buf.data, block, epoch),
				 &mask);
		core->env->ops->put(core->env, &buf);
		if (any) {
			if (!sweep_has_space(core))
				return 0;
			err = snapprot_index_prune(core, block, epoch, &mask);
			if (err)
				return err;
		}
		if (!bounds.has_hi)
			break;
		block = bounds.hi_block;
		epoch = bounds.hi_epoch;
		/* Stop only where what was before no longer matters. */
		if (sweep.valid && sweep.block == block)
			continue;
		core->sweep_block = block;
		if (sweep.seen >= max)
			return 1;
	}
	return sweep_end(core);
}

/* ---- directory --------------------------------------------------------- */

/* One block of the directory; @last is the item before it and then its last. */
static int dir_block(struct snapprot_core *core,
		     const struct snapprot_disk_dir *dir,
		     struct snapprot_dir_item *last,
		     int (*fn)(struct snapprot_core *core, void *ctx,
			       const struct snapprot_dir_item *item),
		     void *ctx)
{
	u32 i;

	for (i = 0; i < le32_to_cpu(dir->count); i++) {
		const struct snapprot_disk_dir_entry *e = &dir->entry[i];
		struct snapprot_dir_item item = {
			.block = le64_to_cpu(e->place),
			.index = le64_to_cpu(e->index),
			.type = le32_to_cpu(e->type),
			.crc = le32_to_cpu(e->crc),
		};
		int err;

		if (!snapprot_place_ok(core->blocks, item.block))
			return -EBADMSG;
		/* In order, which also bounds the directory. */
		if (item.type < last->type)
			return -EBADMSG;
		if (item.type == last->type && item.index <= last->index)
			return -EBADMSG;
		if (item.type == SNAPPROT_DIR_SNAPS && item.index !=
		    (item.type == last->type ? last->index + 1 : 0))
			return -EBADMSG;
		err = fn(core, ctx, &item);
		if (err)
			return err;
		*last = item;
	}
	return 0;
}

/**
 * snapprot_dir_walk() - what the last durable checkpoint consists of
 * @core: the store
 * @fn: called for each block; an error ends the walk
 * @ctx: for @fn
 *
 * A block of the directory comes after what it lists.
 *
 * Return: 0, the error of @fn, -EBADMSG if the directory breaks its rules, or
 * what the environment returns.
 */
int snapprot_dir_walk(struct snapprot_core *core,
		      int (*fn)(struct snapprot_core *core, void *ctx,
				const struct snapprot_dir_item *item),
		      void *ctx)
{
	struct snapprot_dir_item last = { 0 };
	u64 block = core->dir;

	while (block) {
		struct snapprot_dir_item self = { .block = block };
		const struct snapprot_disk_dir *dir;
		struct snapprot_buf buf;
		u64 next;
		int err;

		err = snapprot_block_get(core, block, SNAPPROT_MAGIC_DIR, &buf);
		if (err)
			return err;
		dir = buf.data;
		next = le64_to_cpu(dir->next);
		if (dir->h.seq == core->super->ckpt_seq)
			err = dir_block(core, dir, &last, fn, ctx);
		else
			err = -EBADMSG;
		core->env->ops->put(core->env, &buf);
		if (!err)
			err = fn(core, ctx, &self);
		if (err)
			return err;
		block = next;
	}
	return 0;
}

/* ---- prepare ----------------------------------------------------------- */

#define MAX_TABLES	((SNAPPROT_MAX_SNAPSHOTS + SNAPPROT_SNAPS_PER_BLOCK - 1) / \
			 SNAPPROT_SNAPS_PER_BLOCK)

/*
 * Blocks that a checkpoint writes, but for the index.
 *
 * @tables: places of the tables of snapshots
 * @groups: loaded groups, by number
 * @dirs: places of the directory's blocks
 * @items: entries that have been put into the directory
 * @dir: block of the directory that is being filled, if held
 */
struct plan {
	u64 tables[MAX_TABLES];
	u32 nr_tables;
	struct snapprot_group **groups;
	u64 *dirs;
	u32 nr_dirs;
	u32 items;
	struct snapprot_buf dir;
	bool held;
};

static int free_item(struct snapprot_core *core, void *ctx,
		     const struct snapprot_dir_item *item)
{
	u64 *count = ctx;

	(*count)++;
	return snapprot_space_free_meta(core, item->block);
}

/* Free what the checkpoint replaces, and the log that it covers. */
static int free_old(struct snapprot_core *core)
{
	u64 count = 0;
	u32 i;
	int err;

	err = snapprot_dir_walk(core, free_item, &count);
	for (i = 0; !err && i < core->nr_frozen_headers; i++)
		err = snapprot_space_free(core, core->frozen_headers[i]);
	return err;
}

/* Find a place for the image of each loaded group. */
static int plan_images(struct snapprot_core *core)
{
	struct snapprot_group *g;
	bool again;
	u32 i;
	int err;

	/* Taking a block may load one more group. */
	do {
		again = false;
		for (i = 0; i < core->group_buckets; i++) {
			for (g = core->groups[i]; g; g = g->next) {
				if (g->image)
					continue;
				err = snapprot_space_take_meta(core, &g->image);
				if (err)
					return err;
				again = true;
			}
		}
	} while (again);
	return 0;
}

/* Take all blocks, so that the bitmaps will not change any more. */
static int plan_space(struct snapprot_core *core, struct plan *plan)
{
	struct snapprot_env *env = core->env;
	u32 max = div_u64(snapprot_group_count(core->blocks) + MAX_TABLES,
			  SNAPPROT_DIR_ENTRIES) + 2;
	u32 need;
	int err;

	plan->dirs = env->ops->alloc(env, max * sizeof(*plan->dirs));
	if (!plan->dirs)
		return -ENOMEM;
	plan->nr_tables = (core->nr_frozen_snaps + SNAPPROT_SNAPS_PER_BLOCK -
			   1) / SNAPPROT_SNAPS_PER_BLOCK;
	for (need = 0; need < plan->nr_tables; need++) {
		err = snapprot_space_take_meta(core, &plan->tables[need]);
		if (err)
			return err;
	}
	for (;;) {
		err = plan_images(core);
		if (err)
			return err;
		need = (core->nr_loaded + plan->nr_tables +
			SNAPPROT_DIR_ENTRIES - 1) / SNAPPROT_DIR_ENTRIES;
		if (plan->nr_dirs == need)
			return 0;
		err = snapprot_space_take_meta(core,
					       &plan->dirs[plan->nr_dirs++]);
		if (err)
			return err;
	}
}

static int group_cmp(const void *a, const void *b)
{
	const struct snapprot_group *x = *(struct snapprot_group *const *)a;
	const struct snapprot_group *y = *(struct snapprot_group *const *)b;

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return 0;
}

/* The loaded groups in order, as the directory lists them. */
static int plan_groups(struct snapprot_core *core, struct plan *plan)
{
	struct snapprot_env *env = core->env;
	struct snapprot_group *g;
	u32 i, n = 0;

	plan->groups = env->ops->alloc(env, core->nr_loaded *
					    sizeof(*plan->groups));
	if (!plan->groups)
		return -ENOMEM;
	for (i = 0; i < core->group_buckets; i++)
		for (g = core->groups[i]; g; g = g->next)
			plan->groups[n++] = g;
	snapprot_sort(plan->groups, n, sizeof(*plan->groups), group_cmp);
	return 0;
}

/* Let go of the block of the directory that has been filled. */
static void dir_close(struct snapprot_core *core, struct plan *plan)
{
	if (!plan->held)
		return;
	core->env->ops->dirty(core->env, &plan->dir);
	core->env->ops->put(core->env, &plan->dir);
	plan->held = false;
}

/* Add an entry to the directory. */
static int dir_add(struct snapprot_core *core, struct plan *plan, u32 type,
		   u64 index, u64 place, __le32 crc)
{
	u32 at = plan->items % SNAPPROT_DIR_ENTRIES;
	u32 nr = plan->items / SNAPPROT_DIR_ENTRIES;
	struct snapprot_disk_dir *dir;
	int err;

	if (!at) {
		dir_close(core, plan);
		err = core->env->ops->get_new(core->env, plan->dirs[nr],
					      &plan->dir);
		if (err)
			return err;
		plan->held = true;
		dir = plan->dir.data;
		memset(dir, 0, sizeof(*dir));
		snapprot_block_init(dir, SNAPPROT_MAGIC_DIR, plan->dirs[nr],
				    core->ckpt_seq, core->uuid);
		if (nr + 1 < plan->nr_dirs)
			dir->next = cpu_to_le64(plan->dirs[nr + 1]);
	}
	dir = plan->dir.data;
	dir->entry[at].index = cpu_to_le64(index);
	dir->entry[at].place = cpu_to_le64(place);
	dir->entry[at].crc = crc;
	dir->entry[at].type = cpu_to_le32(type);
	dir->count = cpu_to_le32(at + 1);
	plan->items++;
	return 0;
}

static int write_image(struct snapprot_core *core, struct plan *plan,
		       const struct snapprot_group *g)
{
	struct snapprot_disk_bitmap *image;
	struct snapprot_env *env = core->env;
	struct snapprot_buf buf;
	__le32 crc;
	int err;

	err = env->ops->get_new(env, g->image, &buf);
	if (err)
		return err;
	image = buf.data;
	memset(image, 0, sizeof(*image));
	snapprot_block_init(image, SNAPPROT_MAGIC_BITMAP,
			    snapprot_group_home(g->number), core->ckpt_seq,
			    core->uuid);
	image->group = cpu_to_le64(g->number);
	snapprot_group_image(g, image->bits);
	snapprot_block_seal(image);
	crc = image->h.crc;
	env->ops->dirty(env, &buf);
	env->ops->put(env, &buf);
	return dir_add(core, plan, SNAPPROT_DIR_BITMAP, g->number, g->image,
		       crc);
}

static int write_table(struct snapprot_core *core, struct plan *plan, u32 nr)
{
	u32 from = nr * SNAPPROT_SNAPS_PER_BLOCK;
	u32 count = snapprot_min(core->nr_frozen_snaps - from,
				 SNAPPROT_SNAPS_PER_BLOCK);
	struct snapprot_disk_snaps *table;
	struct snapprot_env *env = core->env;
	struct snapprot_buf buf;
	__le32 crc;
	u32 i;
	int err;

	err = env->ops->get_new(env, plan->tables[nr], &buf);
	if (err)
		return err;
	table = buf.data;
	memset(table, 0, sizeof(*table));
	snapprot_block_init(table, SNAPPROT_MAGIC_SNAPS, plan->tables[nr],
			    core->ckpt_seq, core->uuid);
	table->count = cpu_to_le32(count);
	for (i = 0; i < count; i++)
		snapprot_snap_encode(&table->snap[i],
				     &core->frozen_snaps[from + i]);
	snapprot_block_seal(table);
	crc = table->h.crc;
	env->ops->dirty(env, &buf);
	env->ops->put(env, &buf);
	return dir_add(core, plan, SNAPPROT_DIR_SNAPS, nr, plan->tables[nr],
		       crc);
}

static void compose_super(struct snapprot_core *core)
{
	struct snapprot_disk_super *s = core->super_next;

	memcpy(s, core->super, sizeof(*s));
	s->flags = cpu_to_le32(core->flags);
	s->generation = cpu_to_le64(core->generation);
	s->lost_epoch = cpu_to_le32(core->lost_epoch);
	s->lost_fault = cpu_to_le32(core->lost_fault);
	s->store_blocks = cpu_to_le64(core->blocks);
	s->ckpt_seq = cpu_to_le64(core->ckpt_seq);
	s->epoch = cpu_to_le32(core->frozen_epoch);
	s->log_block = cpu_to_le64(core->frozen_log_block);
	s->log_seq = cpu_to_le64(core->frozen_log_seq);
	s->log_prev_crc = cpu_to_le32(core->frozen_log_prev_crc);
	s->root = cpu_to_le64(core->root);
	s->root_level = cpu_to_le32(core->root_level);
	s->nr_snaps = cpu_to_le32(core->nr_frozen_snaps);
	s->nr_nodes = cpu_to_le64(core->nr_nodes);
	s->nr_entries = cpu_to_le64(core->nr_entries);
	s->dir = cpu_to_le64(core->next_dir);
	s->nr_groups = cpu_to_le64(core->nr_groups);
	/* As the images have it: without what replay marks. */
	s->nr_free = cpu_to_le64(core->nr_free + core->nr_freed +
				 core->nr_fresh);
	s->sweep_block = cpu_to_le64(core->sweep_block);
}

static int plan_write(struct snapprot_core *core, struct plan *plan)
{
	u32 i;
	int err;

	err = free_old(core);
	if (!err)
		err = plan_space(core, plan);
	if (!err)
		err = plan_groups(core, plan);
	for (i = 0; !err && i < core->nr_loaded; i++)
		err = write_image(core, plan, plan->groups[i]);
	for (i = 0; !err && i < plan->nr_tables; i++)
		err = write_table(core, plan, i);
	dir_close(core, plan);
	return err;
}

int snapprot_ckpt_prepare(struct snapprot_core *core)
{
	struct snapprot_env *env = core->env;
	struct plan plan = { 0 };
	int err;

	if (!core->frozen_valid || core->prepared ||
	    core->frozen_done < core->frozen.count)
		return -EINVAL;
	err = plan_write(core, &plan);
	if (!err) {
		core->next_dir = plan.dirs[0];
		core->next_ckpt_blocks = plan.items + plan.nr_dirs;
		compose_super(core);
		core->prepared = true;
	}
	env->ops->free(env, plan.groups);
	env->ops->free(env, plan.dirs);
	return err;
}

/* ---- write and finish -------------------------------------------------- */

int snapprot_ckpt_write(struct snapprot_core *core)
{
	int err;

	if (!core->prepared)
		return -EINVAL;
	err = core->env->ops->commit(core->env);
	return err ? err : snapprot_super_replace(core);
}

int snapprot_ckpt_finish(struct snapprot_core *core)
{
	struct snapprot_disk_super *old = core->super;
	int err;

	if (!core->prepared)
		return -EINVAL;
	core->super = core->super_next;
	core->super_next = old;
	core->dir = core->next_dir;
	core->nr_ckpt_blocks = core->next_ckpt_blocks;
	err = snapprot_space_finish(core);
	if (err)
		return err;
	snapprot_memtable_clear(&core->frozen);
	core->nr_frozen_headers = 0;
	core->nr_frozen_snaps = 0;
	core->frozen_valid = false;
	core->prepared = false;
	core->ckpt_seq++;
	return 0;
}
