// SPDX-License-Identifier: GPL-2.0-only
/*
 * The check of a whole store: walks everything that the superblock and the log
 * lead to, notes who owns which block, and compares that with the bitmaps.
 */
#include "internal.h"

/*
 * A check under way.
 *
 * @owned: a bit for each block of the initialised groups: it has an owner
 * @problems: found so far
 * @partial: part of the index could not be read, so that not all owners are
 *	known
 */
struct check {
	struct snapprot_core *core;
	const struct snapprot_check_ops *ops;
	void *ctx;
	bool data;
	u8 *owned;
	int problems;
	bool partial;
	u64 nodes;
	u64 entries;
	u64 used;
};

static void problem(struct check *c, u64 block, const char *what)
{
	if (c->problems < 0x7fffffff)
		c->problems++;
	if (c->ops && c->ops->problem)
		c->ops->problem(c->ctx, block, what);
}

static u8 *owned_bits(struct check *c, u64 group)
{
	return c->owned + (size_t)group * SNAPPROT_BITMAP_BYTES;
}

/* Note the owner of a block; false if it cannot be one. */
static bool own(struct check *c, u64 block)
{
	u64 group = snapprot_group_of(block);
	u32 bit = snapprot_group_bit(block);

	if (!snapprot_place_ok(c->core->blocks, block) ||
	    group >= c->core->nr_groups) {
		problem(c, block, "a pointer to this block, which is none");
		return false;
	}
	if (snapprot_bit_test(owned_bits(c, group), bit)) {
		problem(c, block, "block is used twice");
		return false;
	}
	snapprot_bit_set(owned_bits(c, group), bit);
	return true;
}

static int check_entry(struct check *c, const struct snapprot_entry *e)
{
	struct snapprot_core *core = c->core;
	int err;

	if (e->block >= core->origin_blocks)
		problem(c, e->place, "old data of a block beyond the origin");
	if (!e->epoch || e->epoch > core->epoch)
		problem(c, e->place, "old data of an epoch that never was");
	if (!own(c, e->place) || !c->data)
		return 0;
	err = core->env->ops->read(core->env, e->place, 1, core->scratch);
	if (err)
		return err;
	if (snapprot_data_sum(core->scratch) != e->sum)
		problem(c, e->place, "old data is damaged");
	return 0;
}

/* ---- log and directory ------------------------------------------------- */

static int check_log(struct check *c)
{
	struct snapprot_core *core = c->core;
	int err = 0;
	u32 i;

	for (i = 0; i < core->nr_headers; i++)
		own(c, core->headers[i]);
	own(c, core->log_block);
	for (i = 0; !err && i < core->active.count; i++)
		err = check_entry(c, &core->active.entry[i]);
	return err;
}

static int check_item(struct snapprot_core *core, void *ctx,
		      const struct snapprot_dir_item *item)
{
	struct snapprot_disk_bitmap *image = core->scratch;
	struct check *c = ctx;
	int err;

	if (!own(c, item->block) || item->type != SNAPPROT_DIR_BITMAP)
		return 0;
	err = core->env->ops->read(core->env, item->block, 1, image);
	if (err)
		return err;
	if (snapprot_block_verify(image, SNAPPROT_MAGIC_BITMAP,
				  snapprot_group_home(item->index)) ||
	    le32_to_cpu(image->h.crc) != item->crc)
		problem(c, item->block, "image of a bitmap is damaged");
	return 0;
}

static int check_dir(struct check *c)
{
	int err = snapprot_dir_walk(c->core, check_item, c);

	if (err != -EBADMSG)
		return err;
	problem(c, c->core->dir, "directory of the checkpoint is damaged");
	c->partial = true;
	return 0;
}

static void check_snaps(struct check *c)
{
	struct snapprot_core *core = c->core;
	u32 i;

	for (i = 0; i < core->nr_snaps; i++) {
		const struct snapprot_snap *s = &core->snaps[i];

		if (!s->epoch || s->epoch > core->epoch ||
		    (i && s->epoch <= s[-1].epoch))
			problem(c, core->dir, "snapshots are out of order");
		if (snapprot_snap_find(core, s->id) != s)
			problem(c, core->dir, "two snapshots have one number");
	}
}

/* ---- index ------------------------------------------------------------- */

static int check_node(struct check *c, u64 block, u32 level,
		      const struct snapprot_bounds *bounds)
{
	struct snapprot_core *core = c->core;
	const struct snapprot_disk_node *n;
	struct snapprot_buf buf;
	int err;
	u32 i;

	if (!own(c, block)) {
		c->partial = true;
		return 0;
	}
	c->nodes++;
	err = snapprot_node_get(core, block, level, bounds, &buf);
	if (err == -EBADMSG) {
		problem(c, block, "node of the index is damaged");
		c->partial = true;
		return 0;
	}
	if (err)
		return err;
	n = buf.data;
	for (i = 0; !err && i < le16_to_cpu(n->count); i++) {
		struct snapprot_bounds below = *bounds;
		struct snapprot_entry e;

		snapprot_entry_decode(&e, &n->entry[i]);
		if (level) {
			snapprot_node_narrow(n, i, &below);
			err = check_node(c, e.place, level - 1, &below);
		} else {
			c->entries++;
			err = check_entry(c, &e);
		}
	}
	core->env->ops->put(core->env, &buf);
	return err;
}

static int check_index(struct check *c)
{
	struct snapprot_bounds all = { 0 };
	struct snapprot_core *core = c->core;
	int err = 0;

	if (core->root)
		err = check_node(c, core->root, core->root_level, &all);
	if (err || c->partial)
		return err;
	if (c->nodes != core->nr_nodes)
		problem(c, core->root, "number of nodes is wrong");
	if (c->entries != core->nr_entries)
		problem(c, core->root, "number of entries is wrong");
	return 0;
}

/* ---- bitmaps ----------------------------------------------------------- */

/* Is this block taken by a step that has not been committed? */
static bool in_step(const struct check *c, const struct snapprot_group *g,
		    u32 bit)
{
	return (c->core->log_next || c->core->log_steps) && g &&
	       snapprot_bit_test((const u8 *)g->fresh, bit);
}

static void check_bits(struct check *c, u64 group, const u8 *bits,
		       const struct snapprot_group *g)
{
	u32 length = snapprot_group_length(c->core->blocks, group);
	const u8 *owned = owned_bits(c, group);
	u32 bit;

	for (bit = 0; bit < SNAPPROT_GROUP_BLOCKS; bit++) {
		u64 block = snapprot_group_start(group) + bit;
		bool used = snapprot_bit_test(bits, bit);
		bool owner = snapprot_bit_test(owned, bit);

		if (bit >= length) {
			if (used)
				problem(c, block, "in use beyond the end");
			continue;
		}
		if (snapprot_block_fixed(block)) {
			if (!used)
				problem(c, block, "fixed block is not in use");
			continue;
		}
		c->used += used;
		if (owner && !used)
			problem(c, block, "in use but marked as free");
		if (used && !owner && !c->partial && !in_step(c, g, bit))
			problem(c, block, "marked as in use but without owner");
	}
}

static int check_group(struct check *c, u64 group)
{
	const struct snapprot_group *g = snapprot_group_find(c->core, group);
	u64 home = snapprot_group_home(group);
	const struct snapprot_disk_bitmap *bitmap;
	struct snapprot_buf buf;
	int err;

	if (g) {
		check_bits(c, group, (const u8 *)g->used, g);
		return 0;
	}
	err = snapprot_block_get(c->core, home, SNAPPROT_MAGIC_BITMAP, &buf);
	if (err == -EBADMSG) {
		problem(c, home, "bitmap is damaged");
		c->partial = true;
		return 0;
	}
	if (err)
		return err;
	bitmap = buf.data;
	check_bits(c, group, bitmap->bits, NULL);
	c->core->env->ops->put(c->core->env, &buf);
	return 0;
}

static int check_space(struct check *c)
{
	struct snapprot_core *core = c->core;
	u64 group;
	int err;

	for (group = 0; group < core->nr_groups; group++) {
		err = check_group(c, group);
		if (err)
			return err;
	}
	if (!c->partial &&
	    core->nr_free + c->used != snapprot_allocatable(core->blocks))
		problem(c, SNAPPROT_SUPER_BLOCK_0,
			"number of free blocks is wrong");
	return 0;
}

int snapprot_store_check(struct snapprot_core *core, bool data,
			 const struct snapprot_check_ops *ops, void *ctx)
{
	struct snapprot_env *env = core->env;
	struct check c = {
		.core = core, .data = data, .ops = ops, .ctx = ctx,
	};
	u64 size = core->nr_groups * SNAPPROT_BITMAP_BYTES;
	int err;

	if (core->frozen_valid)
		return -EBUSY;
	if (size != (size_t)size)
		return -ENOMEM;
	c.owned = env->ops->alloc(env, size);
	if (!c.owned)
		return -ENOMEM;
	err = check_log(&c);
	if (!err)
		err = check_dir(&c);
	if (!err)
		err = check_index(&c);
	if (!err) {
		check_snaps(&c);
		err = check_space(&c);
	}
	env->ops->free(env, c.owned);
	return err ? err : c.problems;
}
