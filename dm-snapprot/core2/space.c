// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which blocks of the store are in use.
 *
 * Each group of blocks has a bitmap, and the bitmaps hang in the space table, a
 * radix tree. Both are in fixed places, two slots each: a checkpoint writes what
 * it changes to the slot that the last one does not lead to. So recording what is
 * in use takes no space of its own, and nothing that a durable superblock leads
 * to is overwritten (F3).
 *
 * A group that is to be changed, or searched, is loaded into memory, with the
 * nodes above it, and stays there until a checkpoint has written it. See struct
 * snapprot_group for what the three planes mean. Nothing is ever taken that the
 * last durable checkpoint still uses: what is freed stays marked as used until
 * the next one is durable.
 *
 * How much is free below each entry of a loaded node is known at any time, so a
 * search reads no bitmap in vain.
 */
#include "space.h"

/* Groups that are loaded to free some blocks, at a time. */
#define DRAIN_GROUPS	2u

/* ---- nodes of the table ------------------------------------------------ */

/* Blocks that can be taken below entry @i of a node. */
static u64 entry_capacity(const struct snapprot_core *core, u32 level,
			  u64 index, u32 i)
{
	u64 n = snapprot_groups_below(level);
	u64 group = snapprot_node_group(level, index) + i * n;

	return snapprot_capacity(core->space.blocks, group + n) -
	       snapprot_capacity(core->space.blocks, group);
}

struct snapprot_space_node **snapprot_space_bucket(const struct snapprot_core *core,
						   u32 level, u64 index)
{
	return &core->space.node[(u32)(index * 8 + level) & (SPACE_BUCKETS - 1)];
}

struct snapprot_space_node *snapprot_space_node_find(const struct snapprot_core *core,
						     u32 level, u64 index)
{
	struct snapprot_space_node *n;

	for (n = *snapprot_space_bucket(core, level, index); n; n = n->next)
		if (n->level == level && n->index == index)
			return n;
	return NULL;
}

/* Take over a node from disk. */
static int node_decode(const struct snapprot_core *core,
		       struct snapprot_space_node *n,
		       const struct snapprot_disk_space *d, u64 used)
{
	u64 sum = 0;
	u32 i;

	if (le64_to_cpu(d->level) != n->level ||
	    le64_to_cpu(d->index) != n->index)
		return -EBADMSG;
	for (i = 0; i < SNAPPROT_SPACE_FANOUT; i++) {
		struct space_entry *e = &n->entry[i];

		e->sum = le64_to_cpu(d->entry[i].sum);
		e->used = le64_to_cpu(d->entry[i].used);
		e->busy = e->used;
		e->slot = le32_to_cpu(d->entry[i].slot);
		if (e->used > entry_capacity(core, n->level, n->index, i) ||
		    (!e->slot && (e->used || e->sum)))
			return -EBADMSG;
		sum += e->used;
	}
	return sum == used ? 0 : -EBADMSG;
}

static int node_read(struct snapprot_core *core, struct snapprot_space_node *n,
		     u32 slot, u64 sum, u64 used)
{
	struct snapprot_env *env = core->env;
	struct snapprot_buf buf;
	u64 place;
	int err;

	if (!(slot & SNAPPROT_SLOT_VALID))
		return used ? -EBADMSG : 0;
	place = snapprot_node_place(n->level, n->index, slot);
	if (place >= core->space.blocks)
		return -EBADMSG;
	err = env->ops->get(env, place, SNAPPROT_MAGIC_SPACE, sum, &buf);
	if (err)
		return err;
	err = node_decode(core, n, buf.data, used);
	env->ops->put(env, &buf);
	env->ops->forget(env, place);
	return err;
}

/* The node, which is loaded if need be, with all above it. */
int snapprot_space_node_get(struct snapprot_core *core, u32 level, u64 index,
			    struct snapprot_space_node **node)
{
	struct snapprot_space *space = &core->space;
	struct snapprot_env *env = core->env;
	struct snapprot_space_node *n, *above;
	u64 sum = space->root_sum;
	u64 used = space->used;
	u32 slot = space->root_slot;
	int err;

	*node = snapprot_space_node_find(core, level, index);
	if (*node)
		return 0;
	if (level < space->level) {
		const struct space_entry *e;

		err = snapprot_space_node_get(core, level + 1, index >> SNAPPROT_SPACE_SHIFT,
					      &above);
		if (err)
			return err;
		e = &above->entry[snapprot_space_entry_of(index)];
		sum = e->sum;
		used = e->used;
		slot = e->slot;
	}
	n = env->ops->alloc(env, sizeof(*n));
	if (!n)
		return -ENOMEM;
	n->level = level;
	n->index = index;
	err = node_read(core, n, slot, sum, used);
	if (err) {
		env->ops->free(env, n);
		return err;
	}
	n->next = *snapprot_space_bucket(core, level, index);
	*snapprot_space_bucket(core, level, index) = n;
	space->nr_nodes++;
	*node = n;
	return 0;
}

/* One more, or one less, of a group's blocks is not free. Its nodes are there. */
void snapprot_space_busy(struct snapprot_core *core, u64 group, s64 more)
{
	u64 index = group;
	u32 level;

	for (level = 0; level <= core->space.level; level++) {
		struct snapprot_space_node *n;

		n = snapprot_space_node_find(core, level, index >> SNAPPROT_SPACE_SHIFT);
		n->entry[snapprot_space_entry_of(index)].busy += more;
		index >>= SNAPPROT_SPACE_SHIFT;
	}
}

/* ---- loaded groups ----------------------------------------------------- */

static struct snapprot_group **group_bucket(const struct snapprot_core *core,
					    u64 number)
{
	return &core->space.group[(u32)number & (SPACE_BUCKETS - 1)];
}

struct snapprot_group *snapprot_group_find(const struct snapprot_core *core,
					   u64 number)
{
	struct snapprot_group *g;

	for (g = *group_bucket(core, number); g; g = g->next)
		if (g->number == number)
			return g;
	return NULL;
}

static int group_read(struct snapprot_core *core, struct snapprot_group *g,
		      const struct space_entry *e)
{
	u32 length = snapprot_group_length(core->space.blocks, g->number);
	struct snapprot_env *env = core->env;
	struct snapprot_buf buf;
	u64 place;
	u32 bit;
	int err;

	if (!(e->slot & SNAPPROT_SLOT_VALID))
		return 0;
	place = snapprot_bitmap_place(g->number, e->slot);
	err = env->ops->get(env, place, SNAPPROT_MAGIC_BITMAP, e->sum, &buf);
	if (err)
		return err;
	memcpy(g->used, buf.data, SNAPPROT_BITMAP_BYTES);
	env->ops->put(env, &buf);
	env->ops->forget(env, place);
	if (snapprot_bits_count(g->used) != e->used)
		return -EBADMSG;
	for (bit = length; bit < SNAPPROT_GROUP_BLOCKS; bit++)
		if (snapprot_bit_test((u8 *)g->used, bit))
			return -EBADMSG;
	return 0;
}

/* The loaded group; loads it if need be. */
int snapprot_group_get(struct snapprot_core *core, u64 number,
		       struct snapprot_group **group)
{
	struct snapprot_env *env = core->env;
	struct snapprot_space_node *n;
	struct snapprot_group *g;
	int err;

	*group = snapprot_group_find(core, number);
	if (*group)
		return 0;
	err = snapprot_space_node_get(core, 0, number >> SNAPPROT_SPACE_SHIFT, &n);
	if (err)
		return err;
	g = env->ops->alloc(env, sizeof(*g));
	if (!g)
		return -ENOMEM;
	g->number = number;
	err = group_read(core, g, &n->entry[snapprot_space_entry_of(number)]);
	if (err) {
		env->ops->free(env, g);
		return err;
	}
	g->next = *group_bucket(core, number);
	*group_bucket(core, number) = g;
	core->space.nr_groups++;
	*group = g;
	return 0;
}

static int bit_set(struct snapprot_core *core, struct snapprot_group *g,
		   u32 bit, bool fresh)
{
	struct snapprot_space *space = &core->space;

	if (snapprot_bit_test((u8 *)g->used, bit))
		return -EBADMSG;
	snapprot_bit_set((u8 *)g->used, bit);
	snapprot_space_busy(core, g->number, 1);
	if (fresh) {
		snapprot_bit_set((u8 *)g->fresh, bit);
		space->fresh++;
	} else {
		g->dirty = true;
		space->used++;
	}
	return 0;
}

/* What was kept is used: the image has it from now on. Its group is loaded. */
void snapprot_space_use(struct snapprot_core *core, u64 place)
{
	struct snapprot_group *g = snapprot_group_find(core, snapprot_group_of(place));

	snapprot_bit_clear((u8 *)g->fresh, snapprot_group_bit(place));
	g->dirty = true;
	core->space.fresh--;
	core->space.used++;
}

/* What was kept is not needed: it is free, and nothing has ever led to it. */
void snapprot_space_unkeep(struct snapprot_core *core, u64 place)
{
	struct snapprot_group *g = snapprot_group_find(core, snapprot_group_of(place));

	if (!g)
		return;		/* never: it was loaded when the place was kept */
	snapprot_bit_clear((u8 *)g->fresh, snapprot_group_bit(place));
	snapprot_bit_clear((u8 *)g->used, snapprot_group_bit(place));
	core->space.fresh--;
	snapprot_space_busy(core, g->number, -1);
}

int snapprot_space_touch(struct snapprot_core *core, u64 place)
{
	struct snapprot_group *g;

	if (!snapprot_place_ok(core->space.blocks, place))
		return -EBADMSG;
	return snapprot_group_get(core, snapprot_group_of(place), &g);
}

/* ---- finding free blocks ------------------------------------------------- */

u64 snapprot_space_avail(const struct snapprot_core *core)
{
	const struct snapprot_space *space = &core->space;

	return space->capacity - space->used - space->freed - space->fresh;
}

u64 snapprot_space_used(const struct snapprot_core *core)
{
	const struct snapprot_space *space = &core->space;
	const struct snapprot_zone *z = core->log.zone;

	/* With what the log has taken since the last freeze. */
	return space->used + space->fresh - (z[0].count - z[0].used) -
	       (z[1].count - z[1].used);
}

u64 snapprot_space_free_blocks(const struct snapprot_core *core)
{
	return core->space.capacity - snapprot_space_used(core);
}

/*
 * The first group from @group on, below this node, that has a free block: 1,
 * 0 if there is none, or an error.
 */
static int find_group_below(struct snapprot_core *core, u32 level, u64 index,
			    u64 group, u64 *found)
{
	u64 first = snapprot_node_group(level, index);
	struct snapprot_space_node *n;
	u32 i = 0;
	int err;

	err = snapprot_space_node_get(core, level, index, &n);
	if (err)
		return err;
	if (group > first)
		i = (u32)((group - first) >> (SNAPPROT_SPACE_SHIFT * level));
	for (; i < SNAPPROT_SPACE_FANOUT; i++) {
		if (n->entry[i].busy >= entry_capacity(core, level, index, i))
			continue;
		if (!level) {
			*found = first + i;
			return 1;
		}
		err = find_group_below(core, level - 1,
				       (index << SNAPPROT_SPACE_SHIFT) + i,
				       group, found);
		if (err)
			return err;
	}
	return 0;
}

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

/*
 * Free blocks of a loaded group, from a place on and before another, ascending,
 * at most @max.
 */
static u32 group_gather(const struct snapprot_core *core,
			const struct snapprot_group *g, u64 from, u64 end,
			u32 max, u64 *places)
{
	u64 start = snapprot_group_start(g->number);
	u32 length = snapprot_group_length(core->space.blocks, g->number);
	u32 bit = SNAPPROT_GROUP_FIXED, n = 0;

	if (from > start + bit)
		bit = (u32)(from - start);
	if (end < start + length)
		length = (u32)(end - start);
	while (n < max) {
		bit = find_zero((const u8 *)g->used, bit, length);
		if (bit >= length)
			break;
		if (!snapprot_block_fixed(start + bit))
			places[n++] = start + bit;
		bit++;
	}
	return n;
}

/**
 * snapprot_space_gather() - find free blocks, and keep them
 * @core: the store
 * @max: how many at most
 * @near: if not 0, only in up to three groups that are neighbours, and in a further
 *	one only if there are fewer than this
 * @places: filled in, ascending if they are near
 * @count: how many there are now; at least one
 *
 * They are in use, but no checkpoint's image has them: a crash gives them back.
 * The search goes on behind what was found last, and around the store once.
 *
 * Return: 0, -ENOSPC, -EAGAIN, or an error.
 */
int snapprot_space_gather(struct snapprot_core *core, u32 max, u32 near,
			  u64 *places, u32 *count)
{
	struct snapprot_space *space = &core->space;
	u64 from = space->cursor, number, first = 0;
	bool around = false;
	u32 n = 0, i;
	int err;

	while (n < max) {
		struct snapprot_group *g;

		err = find_group_below(core, space->level, 0,
				       snapprot_group_of(from), &number);
		if (err < 0)
			return n ? 0 : err;
		if (!err) {
			if ((n && near) || around)
				break;
			around = true;
			from = 0;
			continue;
		}
		if (n && near && (n >= near || number > first + 2))
			break;
		if (!n)
			first = number;
		err = snapprot_group_get(core, number, &g);
		if (err) {
			if (n)
				break;
			return err;
		}
		i = group_gather(core, g, from, ~(u64)0, max - n, places + n);
		n += i;
		from = i && n == max ? places[n - 1] + 1 :
			snapprot_group_start(number + 1);
		/* All around, a group may come twice. */
		if (around && !near && from > space->cursor)
			break;
	}
	if (!n)
		return -ENOSPC;
	for (i = 0; i < n; i++) {
		u64 group = snapprot_group_of(places[i]);

		err = bit_set(core, snapprot_group_find(core, group),
			      snapprot_group_bit(places[i]), true);
		if (err)
			return err;
	}
	space->cursor = from < space->blocks ? from : 0;
	*count = n;
	return 0;
}

/*
 * The same for a range that is given: all its free blocks, from @from on, at
 * most @max. For zones of the log that were made before.
 */
int snapprot_space_in_range(struct snapprot_core *core,
			    const struct snapprot_range *range, u64 from,
			    u32 max, u64 *places, u32 *count)
{
	u32 n = 0, i;
	int err;

	if (from < range->start)
		from = range->start;
	while (from < range->end && n < max) {
		struct snapprot_group *g;
		u64 number;

		err = find_group_below(core, core->space.level, 0,
				       snapprot_group_of(from), &number);
		if (err < 0)
			return err;
		if (!err || snapprot_group_start(number) >= range->end)
			break;
		err = snapprot_group_get(core, number, &g);
		if (err)
			return err;
		n += group_gather(core, g, from, range->end, max - n,
				  places + n);
		from = snapprot_group_start(number + 1);
	}
	for (i = 0; i < n; i++) {
		u64 group = snapprot_group_of(places[i]);

		err = bit_set(core, snapprot_group_find(core, group),
			      snapprot_group_bit(places[i]), true);
		if (err)
			return err;
	}
	*count = n;
	return 0;
}

/* Replay finds a block in use by the log. */
int snapprot_space_mark(struct snapprot_core *core, u64 place)
{
	struct snapprot_group *g;
	int err;

	if (!snapprot_place_ok(core->space.blocks, place))
		return -EBADMSG;
	err = snapprot_group_get(core, snapprot_group_of(place), &g);
	if (err)
		return err;
	return bit_set(core, g, snapprot_group_bit(place), true);
}

/* ---- pools ------------------------------------------------------------- */

/*
 * Have at least @want places in a pool, @most if there is space. They come in runs,
 * so that what is written one after the other lies one after the other.
 */
int snapprot_pool_fill(struct snapprot_core *core, struct snapprot_pool *pool,
		       u32 want, u32 most)
{
	u32 left = snapprot_pool_left(pool);

	memmove(pool->place, pool->place + pool->next,
		left * sizeof(*pool->place));
	pool->next = 0;
	pool->count = left;
	while (pool->count < want) {
		u64 avail = snapprot_space_avail(core);
		u32 max = most > want ? most - pool->count : want - pool->count;
		u32 n;
		int err;

		/* A small store is not to be kept from others. */
		if (max > want - pool->count && max > avail / 16)
			max = want - pool->count;
		err = snapprot_space_gather(core, max, 0,
					    pool->place + pool->count, &n);
		if (err)
			return err;
		pool->count += n;
	}
	return 0;
}

/* The next place, which is in use from now on; the pool has one. */
u64 snapprot_pool_take(struct snapprot_core *core, struct snapprot_pool *pool)
{
	u64 place = pool->place[pool->next++];

	snapprot_space_use(core, place);
	return place;
}

/* Give back what was not used. */
void snapprot_pool_empty(struct snapprot_core *core,
			 struct snapprot_pool *pool)
{
	while (pool->next < pool->count)
		snapprot_space_unkeep(core, pool->place[pool->next++]);
	pool->next = 0;
	pool->count = 0;
}

/* ---- freeing ------------------------------------------------------------- */

/*
 * Free a block once the checkpoint in work is durable. Between freeze and finish it
 * is none that the log has taken since: the log would still lead to it.
 */
int snapprot_space_free(struct snapprot_core *core, u64 place)
{
	u32 bit = snapprot_group_bit(place);
	struct snapprot_group *g;
	int err;

	if (!snapprot_place_ok(core->space.blocks, place))
		return -EBADMSG;
	err = snapprot_group_get(core, snapprot_group_of(place), &g);
	if (err)
		return err;
	if (!snapprot_bit_test((u8 *)g->used, bit) ||
	    snapprot_bit_test((u8 *)g->freed, bit))
		return -EBADMSG;
	snapprot_bit_set((u8 *)g->freed, bit);
	/* What the log took since the freeze the image does not have anyway. */
	if (snapprot_bit_test((u8 *)g->fresh, bit)) {
		snapprot_bit_clear((u8 *)g->fresh, bit);
		core->space.fresh--;
	} else {
		core->space.used--;
		g->dirty = true;
	}
	core->space.freed++;
	return 0;
}

/**
 * snapprot_space_put() - free a block, soon
 * @core: the store, whose queue has room
 * @place: the block
 */
void snapprot_space_put(struct snapprot_core *core, u64 place)
{
	core->space.queue[core->space.queue_count++] = place;
}

/* The same for a block that may be in the environment's cache. */
void snapprot_space_put_meta(struct snapprot_core *core, u64 place)
{
	core->env->ops->forget(core->env, place);
	snapprot_space_put(core, place);
}

/**
 * snapprot_space_drain() - free what waits in the queue
 * @core: the store
 * @all: however many bitmaps that takes; otherwise a few are read, and what would
 *	take more waits, as does what would make too many
 *
 * Return: 0, -EAGAIN, -ENOSPC if a checkpoint should come first, or an error.
 */
int snapprot_space_drain(struct snapprot_core *core, bool all)
{
	struct snapprot_space *space = &core->space;
	u32 i, left = 0, loads = DRAIN_GROUPS;
	int ret = 0;

	for (i = 0; i < space->queue_count; i++) {
		u64 place = space->queue[i];
		int err = 0;

		if (!all && !snapprot_group_find(core, snapprot_group_of(place))) {
			if (!loads) {
				space->queue[left++] = place;
				continue;
			}
			if (space->nr_groups >= SNAPPROT_MANY_GROUPS)
				err = -ENOSPC;
			else
				loads--;
		}
		if (!err)
			err = snapprot_space_free(core, place);
		if (!err)
			continue;
		if (err != -EAGAIN && err != -ENOSPC)
			return err;
		if (ret != -EAGAIN)
			ret = err;
		space->queue[left++] = place;
	}
	space->queue_count = left;
	return ret;
}
