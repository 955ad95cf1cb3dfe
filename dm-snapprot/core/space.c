// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which blocks of the store are in use.
 *
 * Each group of blocks has a bitmap. Its home is a fixed block of the group,
 * which is only written with what a durable checkpoint already holds as an
 * image. So the home may be torn at any time while the checkpoint's directory
 * names an image, and it is durable (with the commit of the next checkpoint) before
 * a directory stops naming one.
 *
 * A group that is to be changed is loaded into memory, and stays there until a
 * checkpoint has put its image to disk. See struct snapprot_group for what the
 * three planes mean. Nothing is ever taken that the last durable checkpoint
 * still uses: what is freed stays marked as used until the next one is durable.
 *
 * Groups from core->nr_groups on have never been touched and have no bitmap on
 * the disk; they become initialised in order.
 */
#include "internal.h"

#define META_RUN	64u	/* blocks that metadata takes at a time */
#define MAX_BUCKETS	4096u

/* ---- loaded groups ----------------------------------------------------- */

static struct snapprot_group **bucket_of(const struct snapprot_core *core,
					 u64 number)
{
	return &core->groups[(u32)number & (core->group_buckets - 1)];
}

int snapprot_space_init(struct snapprot_core *core)
{
	struct snapprot_env *env = core->env;
	u64 groups = snapprot_group_count(core->blocks);
	u32 buckets = 16;

	while (buckets < groups && buckets < MAX_BUCKETS)
		buckets *= 2;
	core->groups = env->ops->alloc(env, buckets * sizeof(*core->groups));
	if (!core->groups)
		return -ENOMEM;
	core->group_buckets = buckets;
	return 0;
}

void snapprot_space_exit(struct snapprot_core *core)
{
	struct snapprot_env *env = core->env;
	u32 i;

	for (i = 0; i < core->group_buckets; i++) {
		while (core->groups[i]) {
			struct snapprot_group *g = core->groups[i];

			core->groups[i] = g->next;
			env->ops->free(env, g);
		}
	}
	env->ops->free(env, core->groups);
	core->groups = NULL;
	core->group_buckets = 0;
	core->nr_loaded = 0;
}

/* The group if it is loaded, or NULL. */
struct snapprot_group *snapprot_group_find(const struct snapprot_core *core,
					   u64 number)
{
	struct snapprot_group *g;

	for (g = *bucket_of(core, number); g; g = g->next)
		if (g->number == number)
			return g;
	return NULL;
}

/* Add a group with these bits, or with those of an untouched one. */
static int group_add(struct snapprot_core *core, u64 number, const u8 *bits,
		     struct snapprot_group **group)
{
	struct snapprot_env *env = core->env;
	struct snapprot_group **bucket = bucket_of(core, number);
	struct snapprot_group *g;

	g = env->ops->alloc(env, sizeof(*g));
	if (!g)
		return -ENOMEM;
	g->number = number;
	if (bits)
		memcpy(g->used, bits, SNAPPROT_BITMAP_BYTES);
	else
		snapprot_bit_set((u8 *)g->used, SNAPPROT_BITMAP_OFFSET);
	g->next = *bucket;
	*bucket = g;
	core->nr_loaded++;
	*group = g;
	return 0;
}

/* A group as a checkpoint saw it; its home may be older. */
int snapprot_group_add_image(struct snapprot_core *core,
			     const struct snapprot_disk_bitmap *image)
{
	struct snapprot_group *g;

	return group_add(core, le64_to_cpu(image->group), image->bits, &g);
}

/* Bring groups up to @number into being. */
static int groups_initialise(struct snapprot_core *core, u64 number)
{
	struct snapprot_group *g;
	int err;

	while (core->nr_groups <= number) {
		err = group_add(core, core->nr_groups, NULL, &g);
		if (err)
			return err;
		core->nr_groups++;
	}
	return 0;
}

/* The loaded group; loads it if need be. */
static int group_get(struct snapprot_core *core, u64 number,
		     struct snapprot_group **group)
{
	const struct snapprot_disk_bitmap *bitmap;
	struct snapprot_env *env = core->env;
	struct snapprot_buf buf;
	int err;

	err = groups_initialise(core, number);
	if (err)
		return err;
	*group = snapprot_group_find(core, number);
	if (*group)
		return 0;

	err = snapprot_block_get(core, snapprot_group_home(number),
				 SNAPPROT_MAGIC_BITMAP, &buf);
	if (err)
		return err;
	bitmap = buf.data;
	err = group_add(core, number, bitmap->bits, group);
	env->ops->put(env, &buf);
	return err;
}

/* What the checkpoint in work says of a group. */
void snapprot_group_image(const struct snapprot_group *group, u8 *bits)
{
	u32 i;

	for (i = 0; i < SNAPPROT_BITMAP_WORDS; i++) {
		u64 word = group->used[i] & ~group->freed[i] & ~group->fresh[i];

		memcpy(bits + i * sizeof(word), &word, sizeof(word));
	}
}

/* ---- finding a free block ---------------------------------------------- */

static u32 find_zero(const u8 *bits, u32 from, u32 end)
{
	while (from < end) {
		u64 word;

		if (!(from & 63)) {
			memcpy(&word, bits + from / 8, sizeof(word));
			if (word == ~(u64)0) {
				from += 64;
				continue;
			}
		}
		if (!snapprot_bit_test(bits, from))
			return from;
		from++;
	}
	return end;
}

static u32 find_one(const u8 *bits, u32 from, u32 end)
{
	while (from < end && !snapprot_bit_test(bits, from))
		from++;
	return snapprot_min(from, end);
}

/*
 * Find a run of at most @max free blocks in a group, from block @from to before
 * @end or the end of the group. Returns its length, 0 if there is none, or an
 * error. Does not load the group: most of those that a search passes by are
 * full.
 */
static int group_find_free(struct snapprot_core *core, u64 from, u64 end,
			   u32 max, u64 *found)
{
	u64 number = snapprot_group_of(from);
	u64 start = snapprot_group_start(number);
	struct snapprot_env *env = core->env;
	struct snapprot_group *g = NULL;
	struct snapprot_buf buf;
	const u8 *bits;
	u32 bit, last;
	int err;

	if (number >= core->nr_groups) {
		err = groups_initialise(core, number);
		if (err)
			return err;
	}
	g = snapprot_group_find(core, number);
	if (g) {
		bits = (const u8 *)g->used;
	} else {
		err = snapprot_block_get(core, snapprot_group_home(number),
					 SNAPPROT_MAGIC_BITMAP, &buf);
		if (err)
			return err;
		bits = ((const struct snapprot_disk_bitmap *)buf.data)->bits;
	}

	last = snapprot_min(end - start, SNAPPROT_GROUP_BLOCKS);
	bit = find_zero(bits, from - start, last);
	*found = start + bit;
	if (bit < last)
		last = find_one(bits, bit, snapprot_min(last, bit + max));
	if (!g)
		env->ops->put(env, &buf);
	return last - bit;
}

/* As group_find_free(), but from any place to any other. */
static int find_free(struct snapprot_core *core, u64 from, u64 end, u32 max,
		     u64 *found)
{
	while (from < end) {
		int run = group_find_free(core, from, end, max, found);

		if (run)
			return run;
		from = snapprot_group_start(snapprot_group_of(from) + 1);
	}
	return 0;
}

/* As find_free(), but all around the store, starting at @from. */
static int find_around(struct snapprot_core *core, u64 from, u32 max,
		       u64 *found)
{
	u64 groups = snapprot_group_count(core->blocks);
	u64 end = snapprot_min(core->blocks, snapprot_group_start(groups));
	int run;

	if (!core->nr_free)
		return -ENOSPC;
	if (from >= end)
		from = 0;
	run = find_free(core, from, end, max, found);
	if (!run)
		run = find_free(core, 0, from, max, found);
	/* The count says that there is one. */
	return run ? run : -EBADMSG;
}

/*
 * The first free block from @from on, in the part of the store that follows; 1,
 * 0 if there is none, or an error. Full groups cost a read each, so that only
 * some are looked at.
 */
int snapprot_space_next_free(struct snapprot_core *core, u64 from, u64 *block)
{
	u64 groups = snapprot_group_count(core->blocks);
	u64 end = snapprot_min(core->blocks, snapprot_group_start(groups));
	const u64 span = snapprot_group_start(16);
	int run;

	run = find_free(core, from, snapprot_min(end, from + span), 1, block);
	if (!run && from + span > end)
		run = find_free(core, 0, snapprot_min(from, from + span - end),
				1, block);
	return run;
}

/* ---- taking and freeing ------------------------------------------------ */

/* Take a block that is free, for the log or for metadata. */
static int take(struct snapprot_core *core, u64 block, bool fresh)
{
	u32 bit = snapprot_group_bit(block);
	struct snapprot_group *g;
	int err;

	err = group_get(core, snapprot_group_of(block), &g);
	if (err)
		return err;
	if (!core->nr_free || snapprot_bit_test((u8 *)g->used, bit))
		return -EBADMSG;
	snapprot_bit_set((u8 *)g->used, bit);
	core->nr_free--;
	if (fresh) {
		snapprot_bit_set((u8 *)g->fresh, bit);
		core->nr_fresh++;
	}
	return 0;
}

/* Take the next block for the log: a header or old data. */
int snapprot_space_take_data(struct snapprot_core *core, u64 *block)
{
	int run;

	run = find_around(core, core->data_cursor, 1, block);
	if (run < 0)
		return run;
	core->data_cursor = *block + 1;
	return take(core, *block, true);
}

/*
 * Take a block for metadata. Metadata gets runs of its own, cut from where the
 * log would have gone on, so that neither breaks the other into pieces.
 */
int snapprot_space_take_meta(struct snapprot_core *core, u64 *block)
{
	int run;

	run = find_free(core, core->meta_cursor, core->meta_end, 1, block);
	if (run < 0)
		return run;
	if (!run) {
		run = find_around(core, core->data_cursor, META_RUN, block);
		if (run < 0)
			return run;
		core->meta_end = *block + run;
		core->data_cursor = core->meta_end;
	}
	core->meta_cursor = *block + 1;
	return take(core, *block, false);
}

/* Replay finds a block in use by the log. */
int snapprot_space_mark(struct snapprot_core *core, u64 block)
{
	if (!snapprot_place_ok(core->blocks, block))
		return -EBADMSG;
	return take(core, block, true);
}

/* Free a block once the checkpoint in work is durable. */
int snapprot_space_free(struct snapprot_core *core, u64 block)
{
	u32 bit = snapprot_group_bit(block);
	struct snapprot_group *g;
	int err;

	if (!snapprot_place_ok(core->blocks, block) ||
	    snapprot_group_of(block) >= core->nr_groups)
		return -EBADMSG;
	err = group_get(core, snapprot_group_of(block), &g);
	if (err)
		return err;
	/* What the log took since the freeze is not this checkpoint's. */
	if (!snapprot_bit_test((u8 *)g->used, bit) ||
	    snapprot_bit_test((u8 *)g->freed, bit) ||
	    snapprot_bit_test((u8 *)g->fresh, bit))
		return -EBADMSG;
	snapprot_bit_set((u8 *)g->freed, bit);
	core->nr_freed++;
	return 0;
}

/* The same for a block that may be in the environment's cache. */
int snapprot_space_free_meta(struct snapprot_core *core, u64 block)
{
	int err = snapprot_space_free(core, block);

	if (!err)
		core->env->ops->forget(core->env, block);
	return err;
}

/* ---- checkpoint -------------------------------------------------------- */

/*
 * What the log took belongs to the checkpoint that begins, all but the place
 * of the next header, which belongs to the log after it.
 */
void snapprot_space_freeze(struct snapprot_core *core)
{
	struct snapprot_group *g;
	u32 i;

	for (i = 0; i < core->group_buckets; i++)
		for (g = core->groups[i]; g; g = g->next)
			memset(g->fresh, 0, sizeof(g->fresh));

	/* Its group is loaded, for the block was fresh. */
	g = snapprot_group_find(core, snapprot_group_of(core->log_block));
	snapprot_bit_set((u8 *)g->fresh, snapprot_group_bit(core->log_block));
	core->nr_fresh = 1;
}

static int write_home(struct snapprot_core *core, struct snapprot_group *g)
{
	u64 home = snapprot_group_home(g->number);
	struct snapprot_disk_bitmap *bitmap;
	struct snapprot_env *env = core->env;
	struct snapprot_buf buf;
	int err;

	err = env->ops->get_new(env, home, &buf);
	if (err)
		return err;
	bitmap = buf.data;
	memset(bitmap, 0, sizeof(*bitmap));
	snapprot_block_init(bitmap, SNAPPROT_MAGIC_BITMAP, home,
			    core->ckpt_seq, core->uuid);
	bitmap->group = cpu_to_le64(g->number);
	memcpy(bitmap->bits, g->used, SNAPPROT_BITMAP_BYTES);
	env->ops->dirty(env, &buf);
	env->ops->put(env, &buf);
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

/*
 * The checkpoint is durable: what it freed is free, and a group that has not
 * been touched since can live in its home again.
 */
int snapprot_space_finish(struct snapprot_core *core)
{
	struct snapprot_env *env = core->env;
	u32 i, j;
	int err;

	for (i = 0; i < core->group_buckets; i++) {
		struct snapprot_group **link = &core->groups[i];

		while (*link) {
			struct snapprot_group *g = *link;
			bool imaged = g->image != 0;

			for (j = 0; j < SNAPPROT_BITMAP_WORDS; j++)
				g->used[j] &= ~g->freed[j];
			memset(g->freed, 0, sizeof(g->freed));
			g->image = 0;
			if (!imaged || !words_zero(g->fresh)) {
				link = &g->next;
				continue;
			}
			err = write_home(core, g);
			if (err)
				return err;
			*link = g->next;
			env->ops->free(env, g);
			core->nr_loaded--;
		}
	}
	core->nr_free += core->nr_freed;
	core->nr_freed = 0;
	return 0;
}

/* ---- another size ------------------------------------------------------ */

/* Is everything of a group from block @from on free? Not the bitmap's. */
static int group_tail_free(struct snapprot_core *core, u64 from)
{
	u64 number = snapprot_group_of(from);
	struct snapprot_group *g;
	u32 bit;
	int err;

	err = group_get(core, number, &g);
	if (err)
		return err;
	for (bit = snapprot_group_bit(from); bit < SNAPPROT_GROUP_BLOCKS; bit++)
		if (bit != SNAPPROT_BITMAP_OFFSET &&
		    snapprot_bit_test((u8 *)g->used, bit))
			return -ENOSPC;
	return 0;
}

/* A group that no longer fits is as if it had never been touched. */
static void group_drop(struct snapprot_core *core, u64 number)
{
	struct snapprot_group **link = bucket_of(core, number);
	struct snapprot_group *g;

	for (; *link; link = &(*link)->next) {
		g = *link;
		if (g->number != number)
			continue;
		*link = g->next;
		core->env->ops->free(core->env, g);
		core->nr_loaded--;
		return;
	}
}

/*
 * The device has another size than the store. Growing always works; shrinking
 * only while nothing is in use behind the new end, else -ENOSPC.
 */
int snapprot_space_resize(struct snapprot_core *core, u64 blocks)
{
	u64 groups = snapprot_group_count(blocks);
	u64 old = snapprot_allocatable(core->blocks);
	u64 new = snapprot_allocatable(blocks);
	u64 from = snapprot_min(blocks, snapprot_group_start(groups));
	int err;

	for (; blocks < core->blocks &&
	     snapprot_group_of(from) < core->nr_groups;
	     from = snapprot_group_start(snapprot_group_of(from) + 1)) {
		err = group_tail_free(core, from);
		if (err)
			return err;
	}
	if (core->nr_free + new < old)
		return -EBADMSG;
	while (core->nr_groups > groups)
		group_drop(core, --core->nr_groups);
	core->nr_free = core->nr_free + new - old;
	core->blocks = blocks;
	core->meta_cursor = 0;
	core->meta_end = 0;
	return 0;
}

/* ---- the reserve ------------------------------------------------------- */

/*
 * Nodes that putting @entries into the index may have to shadow. A few more,
 * so that sweeping a full store can always make a step.
 */
static u64 merge_shadows(const struct snapprot_core *core, u32 entries)
{
	return snapprot_min(core->nr_nodes, ((u64)entries + 16) *
			    (core->root_level + 2));
}

/*
 * Nodes that it may add: each node that is full now may be split once, and
 * after that takes half a node's entries to be full again.
 */
static u64 merge_splits(const struct snapprot_core *core, u32 entries)
{
	return snapprot_min(core->nr_nodes,
			    (u64)entries * (core->root_level + 2)) +
		entries / 32 + 2 * (core->root_level + 4);
}

/* Directory, images and tables of a checkpoint, at most. */
u64 snapprot_space_fixed(const struct snapprot_core *core)
{
	u64 images = snapprot_group_count(core->blocks);
	u32 snaps = core->nr_snaps;
	u64 tables;

	if (core->frozen_valid && core->nr_frozen_snaps > snaps)
		snaps = core->nr_frozen_snaps;
	tables = snaps / SNAPPROT_SNAPS_PER_BLOCK + 2;
	return images + tables +
		div_u64(images + tables, SNAPPROT_DIR_ENTRIES) + 2;
}

/**
 * snapprot_space_reserve() - blocks that old data may not take
 * @core: the store
 * @more: entries that are going to be added to the log
 *
 * What the checkpoint in work and the one after it need at worst, so that
 * neither can ever fail for want of space. What is new in a checkpoint counts
 * twice, for the checkpoint after it will have to shadow it.
 *
 * Return: a number of blocks, below which nr_free must not fall.
 */
u64 snapprot_space_reserve(const struct snapprot_core *core, u32 more)
{
	u32 entries = core->active.count + core->log_entries + more;
	u64 fixed = snapprot_space_fixed(core);
	u64 sum;

	sum = merge_shadows(core, entries) +
		2 * (merge_splits(core, entries) + fixed);
	if (core->frozen_valid && !core->prepared) {
		u32 left = core->frozen.count - core->frozen_done;

		sum += merge_shadows(core, left) +
			2 * merge_splits(core, left) + fixed;
	}
	/* The checkpoint that is there may be smaller than the next. */
	if (core->nr_ckpt_blocks < fixed)
		sum += fixed - core->nr_ckpt_blocks;
	return sum;
}
