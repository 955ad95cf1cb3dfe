// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a checkpoint writes of the space that is in use, what is free after it, and
 * stores that change their size; see space.c.
 */
#include "space.h"

/* The lowest level at which one node is enough for all groups. */
static u32 root_level(u64 blocks)
{
	u64 groups = snapprot_group_count(blocks);
	u32 level = 0;

	while (snapprot_groups_below(level + 1) < groups)
		level++;
	return level;
}

/* ---- checkpoint -------------------------------------------------------- */

static void keep(struct snapprot_core *core, u64 place)
{
	struct snapprot_group *g = snapprot_group_find(core, snapprot_group_of(place));

	snapprot_bit_set((u8 *)g->fresh, snapprot_group_bit(place));
	core->space.fresh++;
	core->space.used--;
}

static void keep_pool(struct snapprot_core *core,
		      const struct snapprot_pool *pool)
{
	u32 i;

	for (i = pool->next; i < pool->count; i++)
		keep(core, pool->place[i]);
}

static void keep_build(struct snapprot_core *core,
		       const struct snapprot_build *b)
{
	if (!b)
		return;
	keep_pool(core, &b->leaf);
	keep_pool(core, &b->inner);
	keep_pool(core, &b->edge);
}

/*
 * What the log took belongs to the checkpoint that begins, all but the place of
 * the next header, which belongs to the log after it, and what is only kept.
 */
void snapprot_space_freeze(struct snapprot_core *core)
{
	struct snapprot_space *space = &core->space;
	struct snapprot_group *g;
	u32 i, j;

	for (i = 0; i < SPACE_BUCKETS; i++) {
		for (g = space->group[i]; g; g = g->next) {
			u32 n = snapprot_bits_count(g->fresh);

			if (!n)
				continue;
			memset(g->fresh, 0, sizeof(g->fresh));
			g->dirty = true;
			space->fresh -= n;
			space->used += n;
		}
	}
	/* All their groups are loaded, for the blocks were fresh. */
	keep(core, core->log.block);
	for (i = 0; i < 2; i++) {
		const struct snapprot_zone *z = &core->log.zone[i];

		for (j = z->used; j < z->count; j++)
			keep(core, z->place[j]);
	}
	keep_pool(core, &space->pool);
	if (core->map_build)
		keep_build(core, core->map_build->build);
	for (i = 1; i <= SNAPPROT_MAX_LEVEL; i++)
		if (core->level[i].merge)
			keep_build(core, core->level[i].merge->build);
}

/* Write the image of a group, and note it in the table. */
static int compose_group(struct snapprot_core *core, struct snapprot_group *g)
{
	struct snapprot_env *env = core->env;
	struct snapprot_space_node *n;
	struct space_entry *e;
	struct snapprot_buf buf;
	u64 *image;
	u64 place;
	u32 i;
	int err;

	n = snapprot_space_node_find(core, 0, g->number >> SNAPPROT_SPACE_SHIFT);
	e = &n->entry[snapprot_space_entry_of(g->number)];
	e->slot = (e->slot ^ SNAPPROT_SLOT_SECOND) | SNAPPROT_SLOT_VALID;
	place = snapprot_bitmap_place(g->number, e->slot);
	err = env->ops->get_new(env, place, &buf);
	if (err)
		return err;
	image = buf.data;
	for (i = 0; i < SNAPPROT_BITMAP_WORDS; i++)
		image[i] = g->used[i] & ~g->freed[i] & ~g->fresh[i];
	e->used = snapprot_bits_count(image);
	g->dirty = false;
	n->dirty = true;
	return snapprot_block_finish(env, &buf, SNAPPROT_MAGIC_BITMAP, place,
				     &e->sum);
}

/* Write a node, and note it in the one above, or as the root. */
static int compose_node(struct snapprot_core *core,
			struct snapprot_space_node *n, u64 seq)
{
	struct snapprot_space *space = &core->space;
	struct snapprot_space_node *above = NULL;
	struct snapprot_env *env = core->env;
	struct snapprot_disk_space *d;
	u32 *slot = &space->root_slot;
	u64 *sum = &space->root_sum;
	struct space_entry *e = NULL;
	struct snapprot_buf buf;
	u64 place, used = 0;
	u32 i;
	int err;

	if (n->level < space->level) {
		above = snapprot_space_node_find(core, n->level + 1,
						 n->index >> SNAPPROT_SPACE_SHIFT);
		e = &above->entry[snapprot_space_entry_of(n->index)];
		slot = &e->slot;
		sum = &e->sum;
		above->dirty = true;
	}
	*slot = (*slot ^ SNAPPROT_SLOT_SECOND) | SNAPPROT_SLOT_VALID;
	place = snapprot_node_place(n->level, n->index, *slot);
	err = env->ops->get_new(env, place, &buf);
	if (err)
		return err;
	d = buf.data;
	memset(d, 0, sizeof(*d));
	snapprot_block_init(d, SNAPPROT_MAGIC_SPACE, place, seq, core->uuid);
	d->level = cpu_to_le64(n->level);
	d->index = cpu_to_le64(n->index);
	for (i = 0; i < SNAPPROT_SPACE_FANOUT; i++) {
		d->entry[i].sum = cpu_to_le64(n->entry[i].sum);
		d->entry[i].used = cpu_to_le64(n->entry[i].used);
		d->entry[i].slot = cpu_to_le32(n->entry[i].slot);
		used += n->entry[i].used;
	}
	if (e)
		e->used = used;
	n->dirty = false;
	return snapprot_block_finish(env, &buf, SNAPPROT_MAGIC_SPACE, place,
				     sum);
}

/**
 * snapprot_space_compose() - write bitmaps and table for a checkpoint
 * @core: the store; nothing is taken or freed any more before finish, but by the
 *	log
 * @seq: of the checkpoint
 *
 * Everything that is needed is in memory. Return: 0, or an error.
 */
int snapprot_space_compose(struct snapprot_core *core, u64 seq)
{
	struct snapprot_space *space = &core->space;
	struct snapprot_space_node *n;
	struct snapprot_group *g;
	u32 i, level;
	int err;

	for (i = 0; i < SPACE_BUCKETS; i++) {
		for (g = space->group[i]; g; g = g->next) {
			if (!g->dirty)
				continue;
			err = compose_group(core, g);
			if (err)
				return err;
		}
	}
	for (level = 0; level <= space->level; level++) {
		for (i = 0; i < SPACE_BUCKETS; i++) {
			for (n = space->node[i]; n; n = n->next) {
				if (n->level != level || !n->dirty)
					continue;
				err = compose_node(core, n, seq);
				if (err)
					return err;
			}
		}
	}
	return 0;
}

static bool words_zero(const u64 *words)
{
	u32 i;

	for (i = 0; i < SNAPPROT_BITMAP_WORDS; i++)
		if (words[i])
			return false;
	return true;
}

/* Let go of leaves of the table that nobody needs, if there are many. */
static void shrink_nodes(struct snapprot_core *core)
{
	struct snapprot_space *space = &core->space;
	u32 i, j;

	if (space->nr_nodes <= MANY_NODES)
		return;
	for (i = 0; i < SPACE_BUCKETS; i++) {
		struct snapprot_space_node **link = &space->node[i];

		while (*link) {
			struct snapprot_space_node *n = *link;
			u64 first = snapprot_node_group(0, n->index);
			bool wanted = n->level || n->dirty;

			for (j = 0; !wanted && j < SNAPPROT_SPACE_FANOUT; j++)
				wanted = snapprot_group_find(core, first + j);
			if (wanted) {
				link = &n->next;
				continue;
			}
			*link = n->next;
			core->env->ops->free(core->env, n);
			space->nr_nodes--;
		}
	}
}

/* The checkpoint is durable: what it freed is free. */
void snapprot_space_finish(struct snapprot_core *core)
{
	struct snapprot_space *space = &core->space;
	struct snapprot_env *env = core->env;
	u32 i, j;

	for (i = 0; i < SPACE_BUCKETS; i++) {
		struct snapprot_group **link = &space->group[i];

		while (*link) {
			struct snapprot_group *g = *link;
			u32 n = snapprot_bits_count(g->freed);

			for (j = 0; n && j < SNAPPROT_BITMAP_WORDS; j++)
				g->used[j] &= ~g->freed[j];
			if (n) {
				memset(g->freed, 0, sizeof(g->freed));
				space->freed -= n;
				snapprot_space_busy(core, g->number, -(s64)n);
			}
			if (g->dirty || !words_zero(g->fresh)) {
				link = &g->next;
				continue;
			}
			*link = g->next;
			env->ops->free(env, g);
			space->nr_groups--;
		}
	}
	shrink_nodes(core);
}

/* ---- opening, another size ---------------------------------------------- */

int snapprot_space_init(struct snapprot_core *core)
{
	struct snapprot_space *space = &core->space;
	struct snapprot_env *env = core->env;

	space->group = env->ops->alloc(env, SPACE_BUCKETS * sizeof(*space->group));
	space->node = env->ops->alloc(env, SPACE_BUCKETS * sizeof(*space->node));
	space->queue = env->ops->alloc(env, SNAPPROT_FREE_QUEUE *
				       sizeof(*space->queue));
	if (!space->group || !space->node || !space->queue)
		return -ENOMEM;
	return 0;
}

void snapprot_space_exit(struct snapprot_core *core)
{
	struct snapprot_space *space = &core->space;
	struct snapprot_env *env = core->env;
	u32 i;

	for (i = 0; space->group && i < SPACE_BUCKETS; i++) {
		while (space->group[i]) {
			struct snapprot_group *g = space->group[i];

			space->group[i] = g->next;
			env->ops->free(env, g);
		}
	}
	for (i = 0; space->node && i < SPACE_BUCKETS; i++) {
		while (space->node[i]) {
			struct snapprot_space_node *n = space->node[i];

			space->node[i] = n->next;
			env->ops->free(env, n);
		}
	}
	env->ops->free(env, space->group);
	env->ops->free(env, space->node);
	env->ops->free(env, space->queue);
	memset(space, 0, sizeof(*space));
}

/* Put a root above the root. */
static int root_raise(struct snapprot_core *core)
{
	struct snapprot_space *space = &core->space;
	struct snapprot_env *env = core->env;
	struct snapprot_space_node *n, *old;
	struct space_entry *e;
	u32 i;

	n = env->ops->alloc(env, sizeof(*n));
	if (!n)
		return -ENOMEM;
	n->level = space->level + 1;
	e = &n->entry[0];
	e->slot = space->root_slot;
	e->sum = space->root_sum;
	e->used = space->used;
	e->busy = e->used;
	old = snapprot_space_node_find(core, space->level, 0);
	if (old) {
		e->used = 0;
		e->busy = 0;
		for (i = 0; i < SNAPPROT_SPACE_FANOUT; i++) {
			e->used += old->entry[i].used;
			e->busy += old->entry[i].busy;
		}
	}
	n->dirty = true;
	n->next = *snapprot_space_bucket(core, n->level, 0);
	*snapprot_space_bucket(core, n->level, 0) = n;
	space->nr_nodes++;
	space->level++;
	space->root_slot = 0;
	space->root_sum = 0;
	return 0;
}

/**
 * snapprot_space_resize() - the device has another size
 * @core: the store, just loaded or larger than before
 * @blocks: of the device
 *
 * If it is smaller, nothing is in use behind its end. Groups that are new, and the
 * rest of one that was short, are free.
 *
 * Return: 0, or an error.
 */
int snapprot_space_resize(struct snapprot_core *core, u64 blocks)
{
	struct snapprot_space *space = &core->space;
	u32 level = root_level(blocks);
	int err;

	space->blocks = blocks;
	space->capacity = snapprot_capacity(blocks,
					    snapprot_group_count(blocks));
	if (space->used + space->freed + space->fresh > space->capacity)
		return -EBADMSG;
	while (space->level < level) {
		err = root_raise(core);
		if (err)
			return err;
	}
	return 0;
}

/* Is everything below an entry behind @blocks unused? -ENOSPC if not. */
static int tail_free_below(struct snapprot_core *core, u32 level, u64 index,
			   u64 blocks)
{
	u64 groups = snapprot_group_count(blocks);
	u64 end = snapprot_min(blocks, snapprot_group_start(groups));
	struct snapprot_space_node *n;
	u32 i, bit;
	int err;

	err = snapprot_space_node_get(core, level, index, &n);
	if (err)
		return err;
	for (i = 0; i < SNAPPROT_SPACE_FANOUT; i++) {
		u64 group = snapprot_node_group(level, index) +
			    i * snapprot_groups_below(level);
		struct snapprot_group *g;

		if (!n->entry[i].used ||
		    snapprot_group_start(group + snapprot_groups_below(level)) <= end)
			continue;
		if (snapprot_group_start(group) >= end)
			return -ENOSPC;
		if (level) {
			err = tail_free_below(core, level - 1,
					      (index << SNAPPROT_SPACE_SHIFT) + i,
					      blocks);
			if (err)
				return err;
			continue;
		}
		err = snapprot_group_get(core, group, &g);
		if (err)
			return err;
		for (bit = snapprot_group_bit(end); bit < SNAPPROT_GROUP_BLOCKS;
		     bit++)
			if (snapprot_bit_test((u8 *)g->used, bit))
				return -ENOSPC;
	}
	return 0;
}

/*
 * The device is smaller than the store was: is nothing in use behind its end?
 * space.blocks is still what it was. 0, -ENOSPC, or an error.
 */
int snapprot_space_tail_free(struct snapprot_core *core, u64 blocks)
{
	return tail_free_below(core, core->space.level, 0, blocks);
}

/* ---- walking -------------------------------------------------------------- */

static int walk_below(struct snapprot_core *core, u32 level, u64 index,
		      u32 slot,
		      int (*fn)(void *ctx,
				const struct snapprot_space_item *item),
		      void *ctx)
{
	struct snapprot_space_item item = { .group = ~(u64)0 };
	struct snapprot_space_node *n;
	u32 i;
	int err;

	err = snapprot_space_node_get(core, level, index, &n);
	if (err)
		return err;
	if (slot & SNAPPROT_SLOT_VALID) {
		item.place = snapprot_node_place(level, index, slot);
		err = fn(ctx, &item);
		if (err)
			return err;
	}
	for (i = 0; i < SNAPPROT_SPACE_FANOUT; i++) {
		struct snapprot_group *g;
		u64 *bits = core->scratch;
		u32 j;

		if (!n->entry[i].slot && !n->entry[i].busy)
			continue;
		if (level) {
			err = walk_below(core, level - 1,
					 (index << SNAPPROT_SPACE_SHIFT) + i,
					 n->entry[i].slot, fn, ctx);
			if (err)
				return err;
			continue;
		}
		item.group = snapprot_node_group(0, index) + i;
		item.place = snapprot_bitmap_place(item.group, n->entry[i].slot);
		err = snapprot_group_get(core, item.group, &g);
		if (err)
			return err;
		for (j = 0; j < SNAPPROT_BITMAP_WORDS; j++)
			bits[j] = g->used[j] & ~g->freed[j];
		item.bits = (const u8 *)bits;
		err = fn(ctx, &item);
		if (err)
			return err;
	}
	return 0;
}

/**
 * snapprot_space_walk() - all bitmaps and nodes of the table
 * @core: the store
 * @fn: called for each; an error ends the walk
 * @ctx: for @fn
 *
 * The bits are those of now: with what the log has taken and what is kept, without
 * what will be free after the next checkpoint.
 *
 * Return: 0, or an error.
 */
int snapprot_space_walk(struct snapprot_core *core,
			int (*fn)(void *ctx,
				  const struct snapprot_space_item *item),
			void *ctx)
{
	return walk_below(core, core->space.level, 0, core->space.root_slot,
			  fn, ctx);
}
