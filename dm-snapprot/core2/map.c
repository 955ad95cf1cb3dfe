// SPDX-License-Identifier: GPL-2.0-only
/*
 * Maps: which blocks were written in past epochs, as runs of their own, so that what
 * changed between two snapshots costs what changed and not what is preserved.
 *
 * A map covers the epochs from one snapshot to before the next, or to before the
 * present. Its entries are of windows of 64 blocks: sets, whose bits are in place and
 * sum, and ranges of windows that are wholly written. It is made when its epoch has
 * ended, from what the caller knows to have been written; until a checkpoint after that,
 * and for good if it was not made, the answer is that it is not known. When the snapshot
 * between two maps is deleted they are joined; when the oldest one is, its map goes.
 *
 * One map at a time is being made. What is there of it is listed as something to be
 * freed, so that a crash leaves nothing behind.
 */
#include "internal.h"

#define WINDOW		64u
/* No range is longer, so that its length fits. */
#define MAX_RANGE	0x40000000u

/* ---- coverage -------------------------------------------------------------- */

/* Oldest epoch from which on somebody may ask. 0: nobody. */
static u32 oldest_valid(const struct snapprot_core *core)
{
	u32 i;

	for (i = 0; i < core->nr_snaps; i++)
		if (core->snaps[i].epoch > core->lost_epoch)
			return core->snaps[i].epoch;
	return 0;
}

static bool is_boundary(const struct snapprot_core *core, u32 epoch)
{
	u32 i;

	for (i = 0; i < core->nr_snaps; i++)
		if (core->snaps[i].epoch == epoch)
			return epoch > core->lost_epoch;
	return false;
}

/* The first map that does not end before @epoch. */
static u32 map_index(const struct snapprot_core *core, u32 epoch)
{
	u32 i = 0;

	while (i < core->nr_maps && core->map[i].max_epoch < epoch)
		i++;
	return i;
}

/* At a load: is the last map one of its own epochs, behind those before? */
bool snapprot_map_follows(const struct snapprot_core *core)
{
	const struct snapprot_run *map = &core->map[core->nr_maps - 1];

	return map->min_epoch && map->min_epoch <= map->max_epoch &&
	       (core->nr_maps < 2 || map[-1].max_epoch < map->min_epoch);
}

/**
 * snapprot_map_missing() - an epoch that has ended and has no map
 * @core: the store
 *
 * Return: the newest one that somebody may ask for; 0 if there is none.
 */
u32 snapprot_map_missing(const struct snapprot_core *core)
{
	u32 oldest = oldest_valid(core), epoch = core->epoch - 1;
	u32 i = core->nr_maps;

	if (!oldest)
		return 0;
	while (i && core->map[i - 1].min_epoch <= epoch) {
		if (core->map[i - 1].max_epoch < epoch)
			break;
		epoch = core->map[i - 1].min_epoch - 1;
		i--;
	}
	return epoch >= oldest ? epoch : 0;
}

/* ---- making one -------------------------------------------------------------- */

/* Have room for one more map: 0, -EBUSY if there are too many, or -ENOMEM. */
int snapprot_map_room(struct snapprot_core *core)
{
	struct snapprot_env *env = core->env;
	struct snapprot_run *map;
	u32 max = core->max_maps ? 2 * core->max_maps : 64;

	if (core->nr_maps < core->max_maps)
		return 0;
	if (max > SNAPPROT_MAX_MAPS)
		return -EBUSY;
	map = env->ops->alloc(env, max * sizeof(*map));
	if (!map)
		return -ENOMEM;
	if (core->nr_maps)
		memcpy(map, core->map, core->nr_maps * sizeof(*map));
	env->ops->free(env, core->map);
	core->map = map;
	core->max_maps = max;
	return 0;
}

static int map_start(struct snapprot_core *core, u32 min_epoch, u32 max_epoch,
		     bool join)
{
	struct snapprot_map_build *mb;

	mb = core->env->ops->alloc(core->env, sizeof(*mb));
	if (!mb)
		return -ENOMEM;
	mb->min_epoch = min_epoch;
	mb->max_epoch = max_epoch;
	mb->join = join;
	mb->build = snapprot_build_new(core, &mb->run);
	if (!mb->build) {
		core->env->ops->free(core->env, mb);
		return -ENOMEM;
	}
	core->map_build = mb;
	return 0;
}

/**
 * snapprot_map_begin() - begin a map
 * @core: the store
 * @epoch: that has ended, and has none
 *
 * Return: 0; -EBUSY while another one is made, or if there are too many;
 * -EINVAL; -ENOMEM.
 */
int snapprot_map_begin(struct snapprot_core *core, u32 epoch)
{
	u32 i = map_index(core, epoch);
	int err;

	if (core->read_only)
		return -EROFS;
	if (!epoch || epoch >= core->epoch ||
	    (i < core->nr_maps && core->map[i].min_epoch <= epoch))
		return -EINVAL;
	/* Joining can wait; it begins anew. */
	if (core->map_build && core->map_build->join)
		snapprot_map_abort(core);
	if (core->map_build)
		return -EBUSY;
	err = snapprot_map_room(core);
	return err ? err : map_start(core, epoch, epoch, false);
}

static int emit(struct snapprot_core *core, struct snapprot_map_build *mb,
		u64 block, u64 where, u32 sum)
{
	struct snapprot_entry e = {
		.block = block,
		.where = where,
		.epoch = mb->max_epoch,
		.sum = sum,
	};
	int err;

	err = snapprot_build_ready(core, mb->build);
	return err ? err : snapprot_build_add(core, mb->build, &e);
}

/* Write out the set that is being gathered. */
static int flush_set(struct snapprot_core *core, struct snapprot_map_build *mb)
{
	int err = 0;

	if (mb->bits)
		err = emit(core, mb, mb->window,
			   SNAPPROT_WHERE(SNAPPROT_KIND_SET, mb->bits >> 32),
			   (u32)mb->bits);
	if (!err)
		mb->bits = 0;
	return err;
}

/*
 * Write out the range that is being gathered: whole windows as one entry, what is left
 * at either end as sets. So no entry lies within another.
 */
static int flush_range(struct snapprot_core *core, struct snapprot_map_build *mb)
{
	while (mb->count) {
		u64 window = mb->start & ~(u64)(WINDOW - 1);
		u32 whole = mb->count & ~(WINDOW - 1);
		int err;

		if (window != mb->window || (whole && window == mb->start)) {
			err = flush_set(core, mb);
			if (err)
				return err;
			mb->window = window;
		}
		if (whole && window == mb->start) {
			err = emit(core, mb, window,
				   SNAPPROT_WHERE(SNAPPROT_KIND_RANGE, whole),
				   0);
			if (err)
				return err;
			mb->start += whole;
			mb->count -= whole;
			continue;
		}
		mb->bits |= (u64)1 << (mb->start - window);
		mb->start++;
		mb->count--;
	}
	return 0;
}

/**
 * snapprot_map_add() - blocks that were written in the map's epoch
 * @core: the store, with a map that has begun
 * @block: behind all that were added
 * @count: of them, at most 2^30
 *
 * Return: 0, -EAGAIN and -ENOSPC (nothing was added; try again, the latter after a
 * checkpoint), or an error.
 */
int snapprot_map_add(struct snapprot_core *core, u64 block, u32 count)
{
	struct snapprot_map_build *mb = core->map_build;
	int err;

	if (!mb || core->ckpt.prepared)
		return mb ? -EBUSY : -EINVAL;
	if (!count || count > MAX_RANGE || block < mb->next)
		return -EINVAL;
	if (mb->count && (block != mb->start + mb->count ||
			  mb->count + count > MAX_RANGE)) {
		err = flush_range(core, mb);
		if (err)
			return err;
	}
	if (!mb->count)
		mb->start = block;
	mb->count += count;
	mb->next = block + count;
	return 0;
}

static void map_free(struct snapprot_core *core)
{
	core->env->ops->free(core->env, core->map_build);
	core->map_build = NULL;
}

/* Nodes that are not needed are freed bit by bit; -EBUSY if too much waits. */
static int map_trash(struct snapprot_core *core, const struct snapprot_run *run)
{
	u32 at = core->nr_trash;

	if (!run->root)
		return 0;
	if (core->nr_chunks >= SNAPPROT_MAX_CHUNKS)
		return -EBUSY;
	memmove(core->chunk + at + 1, core->chunk + at,
		(core->nr_chunks - at) * sizeof(*core->chunk));
	core->chunk[at] = *run;
	core->nr_trash++;
	core->nr_chunks++;
	return 0;
}

/* Put a complete map in its place; what it covers goes. */
static int map_insert(struct snapprot_core *core, const struct snapprot_run *run)
{
	u32 from = map_index(core, run->min_epoch), end = from, i;
	int err;

	while (end < core->nr_maps && core->map[end].min_epoch <=
				      run->max_epoch)
		end++;
	if (core->nr_chunks + (end - from) > SNAPPROT_MAX_CHUNKS)
		return -EBUSY;
	for (i = from; i < end; i++) {
		err = map_trash(core, &core->map[i]);
		if (err)
			return err;
	}
	memmove(core->map + from + 1, core->map + end,
		(core->nr_maps - end) * sizeof(*run));
	core->map[from] = *run;
	core->nr_maps += 1 - (end - from);
	return 0;
}

/**
 * snapprot_map_end() - the map is complete
 * @core: the store
 *
 * It is durable with the next checkpoint. Return: 0, -EAGAIN, -ENOSPC, -EBUSY if
 * snapprot_merge_step() has to come first, or an error.
 */
int snapprot_map_end(struct snapprot_core *core)
{
	struct snapprot_map_build *mb = core->map_build;
	struct snapprot_run run;
	int err;

	if (!mb || core->ckpt.prepared)
		return mb ? -EBUSY : -EINVAL;
	/* Two that are joined, and one that is new. */
	if (core->nr_chunks + 4 > SNAPPROT_MAX_CHUNKS)
		return -EBUSY;
	err = flush_range(core, mb);
	if (!err)
		err = flush_set(core, mb);
	if (!err)
		err = snapprot_build_ready(core, mb->build);
	if (!err)
		err = snapprot_build_close(core, mb->build);
	if (err)
		return err;
	snapprot_build_done(core, mb->build);
	run = mb->run;
	run.build = NULL;
	run.min_epoch = mb->min_epoch;
	run.max_epoch = mb->max_epoch;
	map_free(core);
	return map_insert(core, &run);
}

/* Give up the map that is being made. */
void snapprot_map_abort(struct snapprot_core *core)
{
	struct snapprot_map_build *mb = core->map_build;

	if (mb)
		mb->aborted = true;
}

void snapprot_map_exit(struct snapprot_core *core)
{
	if (core->map_build) {
		snapprot_build_free(core, core->map_build->build);
		map_free(core);
	}
	core->env->ops->free(core->env, core->map);
}

/* ---- asking ------------------------------------------------------------------- */

/* The first blocks of an entry from @from on; false if it has none. */
static bool entry_blocks(const struct snapprot_entry *e, u64 from,
			 struct snapprot_range *r)
{
	u64 bits, at;

	if (snapprot_entry_kind(e) == SNAPPROT_KIND_RANGE) {
		r->start = e->block > from ? e->block : from;
		r->end = e->block + snapprot_entry_place(e);
		return r->start < r->end;
	}
	bits = snapprot_entry_place(e) << 32 | e->sum;
	at = from > e->block ? from - e->block : 0;
	while (at < WINDOW && !(bits >> at & 1))
		at++;
	if (at >= WINDOW)
		return false;
	r->start = e->block + at;
	while (at < WINDOW && bits >> at & 1)
		at++;
	r->end = e->block + at;
	return true;
}

/* The next blocks of a map from @from on: 1, 0 if there are none, or an error. */
static int map_next(struct snapprot_core *core, const struct snapprot_run *map,
		    u64 from, struct snapprot_range *r)
{
	struct snapprot_key key = { from, ~(u32)0 };
	struct snapprot_entry e;
	int ret;

	ret = snapprot_run_floor(core, map, &key, &e);
	if (ret < 0 || (ret && entry_blocks(&e, from, r)))
		return ret;
	ret = snapprot_run_ceil(core, map, &key, &e);
	if (ret > 0 && !entry_blocks(&e, from, r))
		return -EBADMSG;
	return ret;
}

/*
 * The next blocks of some maps from @from on, as far as they are known to go: 1, 0 or
 * an error.
 */
static int maps_next(struct snapprot_core *core, u32 first, u32 end, u64 from,
		     struct snapprot_range *found)
{
	struct snapprot_range r;
	bool waits = false;
	u32 i;
	int ret;

	found->start = ~(u64)0;
	for (i = first; i < end; i++) {
		ret = map_next(core, &core->map[i], from, &r);
		if (ret == -EAGAIN)
			waits = true;
		else if (ret < 0)
			return ret;
		else if (ret && (r.start < found->start ||
				 (r.start == found->start &&
				  r.end > found->end)))
			*found = r;
	}
	return waits ? -EAGAIN : found->start != ~(u64)0;
}

/**
 * snapprot_changed() - what was written between two snapshots
 * @core: the store
 * @from: epoch of the older snapshot, which is valid
 * @to: epoch of the younger one; or the current one + 1, for now: then the caller
 *	adds what was written in the current epoch
 * @block: where to begin; on return, where to go on
 * @range: filled in with up to @max ranges, which do not overlap, ascending
 * @max: of them
 *
 * A block that was written with the same data may be among them. Return: how many, with
 * @block ~0 if there are no more; -EAGAIN; -ENODATA if it is not known; or an error.
 */
int snapprot_changed(struct snapprot_core *core, u32 from, u32 to, u64 *block,
		     struct snapprot_range *range, u32 max)
{
	u32 first = map_index(core, from), end = first, covered = from, n = 0;
	u64 at = *block;
	int ret = 1;

	/* The current epoch has none yet. */
	if (to > core->epoch)
		to = core->epoch;
	for (; end < core->nr_maps && covered < to; end++) {
		if (core->map[end].min_epoch > covered)
			return -ENODATA;
		covered = core->map[end].max_epoch + 1;
	}
	if (covered < to)
		return -ENODATA;
	while (n < max) {
		struct snapprot_range r;

		ret = maps_next(core, first, end, at, &r);
		if (ret <= 0)
			break;
		at = r.end;
		if (n && range[n - 1].end == r.start)
			range[n - 1].end = r.end;
		else
			range[n++] = r;
	}
	if (ret < 0 && !(n && ret == -EAGAIN))
		return ret;
	*block = ret ? at : ~(u64)0;
	return (int)n;
}

/* ---- joining, dropping ------------------------------------------------------------ */

/* The first of two maps that nobody can tell apart; or nr_maps. */
static u32 join_index(const struct snapprot_core *core)
{
	u32 i;

	for (i = 0; i + 1 < core->nr_maps; i++)
		if (core->map[i].max_epoch + 1 == core->map[i + 1].min_epoch &&
		    !is_boundary(core, core->map[i + 1].min_epoch))
			return i;
	return core->nr_maps;
}

static bool drop_due(const struct snapprot_core *core)
{
	u32 oldest = oldest_valid(core);

	return core->nr_maps && core->nr_chunks < SNAPPROT_MAX_CHUNKS - 8 &&
	       (!oldest || core->map[0].max_epoch < oldest);
}

bool snapprot_map_due(const struct snapprot_core *core)
{
	if (core->map_build && (core->map_build->aborted ||
				core->map_build->join))
		return true;
	return drop_due(core) ||
	       (!core->map_build && core->nr_chunks < SNAPPROT_MAX_CHUNKS - 8 &&
		join_index(core) < core->nr_maps);
}

/* Add some more of both to the map that takes their place. */
static int join_some(struct snapprot_core *core, u32 max)
{
	struct snapprot_map_build *mb = core->map_build;
	u32 first = map_index(core, mb->min_epoch);
	struct snapprot_range r;
	int ret;

	/* One of them may have gone meanwhile. */
	if (first + 1 >= core->nr_maps ||
	    core->map[first].min_epoch != mb->min_epoch ||
	    core->map[first + 1].max_epoch != mb->max_epoch) {
		mb->aborted = true;
		return 1;
	}
	for (; max; max--) {
		ret = maps_next(core, first, first + 2, mb->next, &r);
		if (ret < 0)
			return ret;
		if (!ret) {
			ret = snapprot_map_end(core);
			return ret ? ret : 1;
		}
		if (r.end - r.start > MAX_RANGE / 2)
			r.end = r.start + MAX_RANGE / 2;
		ret = snapprot_map_add(core, r.start, (u32)(r.end - r.start));
		if (ret)
			return ret;
	}
	return 1;
}

/* What there is of a map that was given up has to go too. */
static int abort_some(struct snapprot_core *core)
{
	struct snapprot_map_build *mb = core->map_build;
	struct snapprot_run run;
	int err;

	if (core->nr_chunks >= SNAPPROT_MAX_CHUNKS)
		return -EBUSY;
	err = snapprot_build_ready(core, mb->build);
	if (!err)
		err = snapprot_build_close(core, mb->build);
	if (err)
		return err;
	snapprot_build_done(core, mb->build);
	run = mb->run;
	run.build = NULL;
	map_free(core);
	err = map_trash(core, &run);
	return err ? err : 1;
}

/**
 * snapprot_map_step() - drop and join maps that nobody needs
 * @core: the store
 * @max: ranges to look at
 *
 * Return: 1 if something was done, 0, or an error.
 */
int snapprot_map_step(struct snapprot_core *core, u32 max)
{
	u32 i;
	int err;

	if (core->map_build && core->map_build->aborted)
		return abort_some(core);
	if (drop_due(core)) {
		err = map_trash(core, &core->map[0]);
		if (err)
			return err;
		core->nr_maps--;
		memmove(core->map, core->map + 1,
			core->nr_maps * sizeof(*core->map));
		return 1;
	}
	if (core->map_build && core->map_build->join)
		return join_some(core, max);
	i = join_index(core);
	if (core->map_build || i == core->nr_maps)
		return 0;
	err = map_start(core, core->map[i].min_epoch,
			core->map[i + 1].max_epoch, true);
	return err ? err : 1;
}
