// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs: B+trees that are built from below, in the order of keys, and are taken
 * away in the same order.
 *
 * A node is complete when it is written, and is never changed (F3). What is not
 * full yet is the right edge, which the builder has in memory. A checkpoint needs a
 * whole tree, so closing a run writes the edge as well; when the run goes on those
 * nodes are written anew elsewhere, and the old ones become free.
 */
#include "run.h"

/* Pieces that are read ahead at a time. */
#define PIECES		2u

/* ---- nodes --------------------------------------------------------------- */

/* Number of keys of a node that are below @key. */
static u32 node_below(const struct snapprot_disk_node *n,
		      const struct snapprot_key *key)
{
	u32 low = 0, high = snapprot_node_count(n);

	while (low < high) {
		u32 mid = low + (high - low) / 2;
		struct snapprot_key k = snapprot_node_key(n, mid);

		if (snapprot_key_cmp(&k, key) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* The child in which @key is, if it is anywhere. */
static u32 node_child(const struct snapprot_disk_node *n,
		      const struct snapprot_key *key)
{
	u32 i = node_below(n, key);
	struct snapprot_key k;

	if (i < snapprot_node_count(n)) {
		k = snapprot_node_key(n, i);
		if (!snapprot_key_cmp(&k, key))
			return i;
	}
	return i ? i - 1 : 0;
}

/* The keys of child @i of a node are below this. */
static struct snapprot_key child_hi(const struct snapprot_disk_node *n, u32 i,
				    const struct snapprot_key *hi)
{
	return i + 1 < snapprot_node_count(n) ? snapprot_node_key(n, i + 1) : *hi;
}

/*
 * Hold a node. It must have the level and the bounds that its parent says, so that
 * nothing can lead in a circle, or to entries that belong elsewhere (F11). @lo is
 * its first key, or NULL for a root.
 */
int snapprot_node_get(struct snapprot_core *core, u64 place, u64 sum, u32 level,
		      const struct snapprot_key *lo,
		    const struct snapprot_key *hi, struct snapprot_buf *buf)
{
	struct snapprot_env *env = core->env;
	const struct snapprot_disk_node *n;
	struct snapprot_key first, last;
	int err;

	if (!snapprot_place_ok(core->space.blocks, place))
		return -EBADMSG;
	err = env->ops->get(env, place, SNAPPROT_MAGIC_NODE, sum, buf);
	if (err)
		return err;
	n = buf->data;
	first = snapprot_node_first(n);
	last = snapprot_node_key(n, snapprot_node_count(n) - 1);
	if (le16_to_cpu(n->level) == level &&
	    !memcmp(n->h.uuid, core->uuid, sizeof(core->uuid)) &&
	    (!lo || !snapprot_key_cmp(&first, lo)) &&
	    snapprot_key_cmp(&last, hi) < 0)
		return 0;
	env->ops->put(env, buf);
	return -EBADMSG;
}

static int root_get(struct snapprot_core *core, const struct snapprot_run *run,
		    struct snapprot_buf *buf)
{
	return snapprot_node_get(core, run->root, run->root_sum, run->height, NULL,
			&SNAPPROT_KEY_END, buf);
}

/* Have a piece of the children of a node read, from one on: how many that was. */
static u32 prefetch_piece(struct snapprot_core *core,
			  const struct snapprot_disk_node *n, u32 from)
{
	u64 place = le64_to_cpu(n->child[from].place);
	u32 count = 1;

	while (from + count < snapprot_node_count(n) && count < SNAPPROT_PIECE &&
	       le64_to_cpu(n->child[from + count].place) == place + count)
		count++;
	if (snapprot_place_ok(core->space.blocks, place) &&
	    snapprot_place_ok(core->space.blocks, place + count - 1))
		core->env->ops->prefetch(core->env, place, count);
	return count;
}

/* So many of them, at least, and no piece is cut for that. */
static void prefetch(struct snapprot_core *core,
		     const struct snapprot_disk_node *n, u32 from, u32 end)
{
	while (from < end)
		from += prefetch_piece(core, n, from);
}

/* ---- taking a run away ----------------------------------------------------- */

void snapprot_iter_init(struct snapprot_iter *it, struct snapprot_run *run)
{
	memset(it, 0, sizeof(*it));
	it->run = run;
	it->seek = true;
	it->end = !run->root || snapprot_key_is_end(&run->from);
}

static void step_put(struct snapprot_core *core, struct snapprot_step *s)
{
	if (s->held)
		core->env->ops->put(core->env, &s->buf);
	s->held = false;
}

void snapprot_iter_close(struct snapprot_core *core, struct snapprot_iter *it)
{
	u32 level;

	for (level = 0; level < SNAPPROT_MAX_HEIGHT; level++)
		step_put(core, &it->step[level]);
}

/*
 * Read ahead what lies behind child @i of the node above the leaves, and at last the
 * node that comes after it.
 */
static void iter_ahead(struct snapprot_core *core, struct snapprot_iter *it,
		       u32 i)
{
	const struct snapprot_disk_node *n = it->step[1].buf.data;
	u32 count = snapprot_node_count(n), pieces;
	u64 place;

	if (it->ahead >= count)
		return;
	for (pieces = 0; pieces < PIECES && it->ahead < count &&
	     it->ahead <= i + SNAPPROT_PIECE; pieces++)
		it->ahead += prefetch_piece(core, n, it->ahead);
	if (it->ahead < count || it->run->height < 2)
		return;
	n = it->step[2].buf.data;
	i = it->step[2].at + 1;
	if (i >= snapprot_node_count(n))
		return;
	/* Just this one: more would be thrown out before their time. */
	place = le64_to_cpu(n->child[i].place);
	if (snapprot_place_ok(core->space.blocks, place))
		core->env->ops->prefetch(core->env, place, 1);
}

static int step_load(struct snapprot_core *core, struct snapprot_iter *it,
		     u32 level)
{
	struct snapprot_step *s = &it->step[level], *above = s + 1;
	const struct snapprot_disk_node *n;
	struct snapprot_ref ref;
	int err;

	if (level == it->run->height) {
		ref.place = it->run->root;
		s->hi = SNAPPROT_KEY_END;
		err = root_get(core, it->run, &s->buf);
	} else {
		n = above->buf.data;
		snapprot_child_decode(&ref, &n->child[above->at]);
		s->hi = child_hi(n, above->at, &above->hi);
		if (!level)
			iter_ahead(core, it, above->at);
		err = snapprot_node_get(core, ref.place, ref.sum, level, &ref.key,
					&s->hi, &s->buf);
	}
	if (err)
		return err;
	n = s->buf.data;
	s->place = ref.place;
	s->held = true;
	s->at = 0;
	if (it->seek)
		s->at = level ? node_child(n, &it->run->from) :
				node_below(n, &it->run->from);
	if (level == 1)
		it->ahead = s->at;
	return 0;
}

/* A node has been passed. @keep: somebody else has it now. */
static void step_pass(struct snapprot_core *core, struct snapprot_iter *it,
		      u32 level, bool keep)
{
	struct snapprot_step *s = &it->step[level];

	step_put(core, s);
	if (!keep)
		snapprot_space_put_meta(core, s->place);
}

/* Behind the last entry of a leaf: from now on the next one counts. */
static void leaf_pass(struct snapprot_core *core, struct snapprot_iter *it,
		      bool keep)
{
	u32 level;

	it->run->from = it->step[0].hi;
	step_pass(core, it, 0, keep);
	for (level = 1; level <= it->run->height; level++) {
		struct snapprot_step *s = &it->step[level];

		if (++s->at < snapprot_node_count(s->buf.data))
			return;
		step_pass(core, it, level, false);
	}
	it->end = true;
}

/**
 * snapprot_iter_peek() - the entry at which an iterator is
 * @core: the store
 * @it: the iterator
 * @e: the entry
 *
 * Return: 1, 0 at the end, -EAGAIN, or an error.
 */
int snapprot_iter_peek(struct snapprot_core *core, struct snapprot_iter *it,
		       struct snapprot_entry *e)
{
	const struct snapprot_disk_node *n;
	u32 level;
	int err;

	while (!it->end) {
		for (level = it->run->height + 1; level--; ) {
			if (it->step[level].held)
				continue;
			err = step_load(core, it, level);
			if (err)
				return err;
		}
		it->seek = false;
		n = it->step[0].buf.data;
		if (it->step[0].at < snapprot_node_count(n)) {
			snapprot_entry_decode(e, &n->entry[it->step[0].at]);
			/* At the beginning it may lie far behind. */
			it->run->from = snapprot_entry_key(e);
			return 1;
		}
		leaf_pass(core, it, false);
	}
	return 0;
}

/* Pass the entry that was peeked at. The free queue has room for the nodes. */
void snapprot_iter_next(struct snapprot_core *core, struct snapprot_iter *it)
{
	struct snapprot_step *s = &it->step[0];
	const struct snapprot_disk_node *n = s->buf.data;

	if (++s->at < snapprot_node_count(n))
		it->run->from = snapprot_node_key(n, s->at);
	else
		leaf_pass(core, it, false);
}

/**
 * snapprot_iter_leaf() - the leaf at whose first entry an iterator is
 * @it: the iterator, after snapprot_iter_peek() has returned 1
 * @ref: what leads to it
 * @hi: its keys are below this
 *
 * Return: the leaf, or NULL if some of it has been passed, or if it is a root.
 */
const struct snapprot_disk_node *
snapprot_iter_leaf(const struct snapprot_iter *it, struct snapprot_ref *ref,
		   struct snapprot_key *hi)
{
	const struct snapprot_disk_node *above;

	if (it->step[0].at || !it->run->height)
		return NULL;
	above = it->step[1].buf.data;
	snapprot_child_decode(ref, &above->child[it->step[1].at]);
	*hi = it->step[0].hi;
	return it->step[0].buf.data;
}

/* Pass the whole leaf, which has been taken over by somebody. */
void snapprot_iter_move_leaf(struct snapprot_core *core,
			     struct snapprot_iter *it)
{
	leaf_pass(core, it, true);
}

/* ---- looking up -------------------------------------------------------------- */

/* A leaf: one that is held, or what a builder has in memory. */
struct leaf {
	struct snapprot_buf buf;
	const struct snapprot_entry *mem;
	u32 count;
};

static void leaf_put(struct snapprot_core *core, struct leaf *leaf)
{
	if (!leaf->mem)
		core->env->ops->put(core->env, &leaf->buf);
}

static void leaf_entry(const struct leaf *leaf, u32 i, struct snapprot_entry *e)
{
	const struct snapprot_disk_node *n = leaf->buf.data;

	if (leaf->mem)
		*e = leaf->mem[i];
	else
		snapprot_entry_decode(e, &n->entry[i]);
}

/* Number of entries of a leaf that are below @key. */
static u32 leaf_below(const struct leaf *leaf, const struct snapprot_key *key)
{
	u32 low = 0, high = leaf->count;

	if (!leaf->mem)
		return node_below(leaf->buf.data, key);
	while (low < high) {
		u32 mid = low + (high - low) / 2;
		struct snapprot_key k = snapprot_entry_key(&leaf->mem[mid]);

		if (snapprot_key_cmp(&k, key) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct snapprot_key spine_key(const struct snapprot_spine *s, u32 level,
				     u32 i)
{
	return level ? s->ref[i].key : snapprot_entry_key(&s->entry[i]);
}

/*
 * Where to look for @key in a run that is being built: the higher a level of the
 * right edge, the lower its keys. Returns that level, with the child and the bound
 * of its keys; 0 for what is in memory; -1 if there is nothing.
 */
static int spine_find(const struct snapprot_build *b,
		      const struct snapprot_key *key, struct snapprot_ref *ref,
		      struct snapprot_key *hi)
{
	const struct snapprot_spine *s;
	int level, best = -1;
	u32 i;

	*hi = SNAPPROT_KEY_END;
	for (level = (int)b->height; level >= 0; level--) {
		struct snapprot_key first;

		s = &b->spine[level];
		if (!s->count)
			continue;
		first = spine_key(s, level, 0);
		if (best >= 0 && snapprot_key_cmp(&first, key) > 0) {
			*hi = first;
			break;
		}
		best = level;
	}
	if (best <= 0)
		return best;
	s = &b->spine[best];
	for (i = s->count - 1; i; i--)
		if (snapprot_key_cmp(&s->ref[i].key, key) <= 0)
			break;
	*ref = s->ref[i];
	if (i + 1 < s->count)
		*hi = s->ref[i + 1].key;
	return best;
}

/*
 * The leaf in which @key is, if it is anywhere: held, with the bound of its keys. 0
 * if nothing there has an epoch from @epoch on: only @hi is set then.
 */
static int leaf_get(struct snapprot_core *core, const struct snapprot_run *run,
		    const struct snapprot_key *key, u32 epoch, bool ahead,
		    struct snapprot_key *hi, struct leaf *leaf)
{
	struct snapprot_ref ref = {
		.place = run->root,
		.sum = run->root_sum,
		.max_epoch = run->max_epoch,
	};
	const struct snapprot_key *lo = NULL;
	int level = (int)run->height;
	u32 i;
	int err;

	*hi = SNAPPROT_KEY_END;
	leaf->mem = NULL;
	if (run->build) {
		level = spine_find(run->build, key, &ref, hi) - 1;
		if (level < -1)
			return 0;
		if (level < 0) {
			leaf->mem = run->build->spine[0].entry;
			leaf->count = run->build->spine[0].count;
			return 1;
		}
		lo = &ref.key;
	}
	for (;; level--) {
		const struct snapprot_disk_node *n;

		if (ref.max_epoch < epoch)
			return 0;
		err = snapprot_node_get(core, ref.place, ref.sum, (u32)level, lo, hi,
					&leaf->buf);
		if (err)
			return err;
		n = leaf->buf.data;
		leaf->count = snapprot_node_count(n);
		if (!level)
			return 1;
		i = node_child(n, key);
		snapprot_child_decode(&ref, &n->child[i]);
		*hi = child_hi(n, i, hi);
		lo = &ref.key;
		if (ahead && level == 1 && !(i % SNAPPROT_PIECE))
			prefetch(core, n, i, (u32)snapprot_min(snapprot_node_count(n),
							       i + SNAPPROT_PIECE));
		leaf_put(core, leaf);
	}
}

/**
 * snapprot_run_find() - the version of a block that an epoch sees
 * @core: the store
 * @run: where to look
 * @block: of the origin
 * @epoch: smallest that counts
 * @found: the entry of @block with the smallest epoch that is not below @epoch
 *
 * Return: 1, 0 if there is none, -EAGAIN, or an error.
 */
int snapprot_run_find(struct snapprot_core *core, const struct snapprot_run *run,
		      u64 block, u32 epoch, struct snapprot_entry *found)
{
	struct snapprot_key key = { block, epoch }, hi;
	struct leaf leaf;
	int ret;

	if (!snapprot_run_any(run) || run->max_epoch < epoch)
		return 0;
	if (snapprot_key_cmp(&key, &run->from) < 0)
		key = run->from;
	while (key.block == block) {
		u32 i;

		ret = leaf_get(core, run, &key, epoch, false, &hi, &leaf);
		if (ret < 0)
			return ret;
		if (ret) {
			i = leaf_below(&leaf, &key);
			ret = i < leaf.count;
			if (ret)
				leaf_entry(&leaf, i, found);
			leaf_put(core, &leaf);
			if (ret)
				return found->block == block;
		}
		key = hi;
	}
	return 0;
}

/* The last entry that is not above @key: 1, 0 if there is none, or an error. */
int snapprot_run_floor(struct snapprot_core *core,
		       const struct snapprot_run *run,
		       const struct snapprot_key *key,
		       struct snapprot_entry *found)
{
	struct snapprot_key hi, k;
	struct leaf leaf;
	u32 i;
	int ret;

	if (!snapprot_run_any(run))
		return 0;
	ret = leaf_get(core, run, key, 0, true, &hi, &leaf);
	if (ret <= 0)
		return ret;
	i = leaf_below(&leaf, key);
	ret = i < leaf.count;
	if (ret) {
		leaf_entry(&leaf, i, found);
		k = snapprot_entry_key(found);
		ret = !snapprot_key_cmp(&k, key);
	}
	if (!ret && i) {
		leaf_entry(&leaf, i - 1, found);
		ret = 1;
	}
	leaf_put(core, &leaf);
	return ret;
}

/* The first entry that is above @key: 1, 0 if there is none, or an error. */
int snapprot_run_ceil(struct snapprot_core *core, const struct snapprot_run *run,
		      const struct snapprot_key *key,
		      struct snapprot_entry *found)
{
	struct snapprot_key at = *key, hi;
	struct leaf leaf;
	int ret;

	if (!snapprot_run_any(run))
		return 0;
	while (!snapprot_key_is_end(&at)) {
		u32 i;

		ret = leaf_get(core, run, &at, 0, true, &hi, &leaf);
		if (ret <= 0)
			return ret;
		for (i = leaf_below(&leaf, key); i < leaf.count; i++) {
			struct snapprot_key k;

			leaf_entry(&leaf, i, found);
			k = snapprot_entry_key(found);
			if (snapprot_key_cmp(&k, key) > 0) {
				leaf_put(core, &leaf);
				return 1;
			}
		}
		leaf_put(core, &leaf);
		at = hi;
	}
	return 0;
}

/*
 * Have the root of a run read, and what lies below it above the leaves: so that nobody
 * waits for one after the other just after the store was opened.
 */
int snapprot_run_warm(struct snapprot_core *core, const struct snapprot_run *run)
{
	struct snapprot_buf buf;
	int err;

	if (!run->root || !run->height || snapprot_key_is_end(&run->from))
		return 0;
	err = root_get(core, run, &buf);
	if (err)
		return err;
	if (run->height > 1)
		prefetch(core, buf.data, 0, snapprot_node_count(buf.data));
	core->env->ops->put(core->env, &buf);
	return 0;
}

/* Where do the blocks end that the leaf of @block has all of? At most *@end. */
int snapprot_run_leaf_end(struct snapprot_core *core,
			  const struct snapprot_run *run, u64 block, u64 *end)
{
	struct snapprot_key key = { block, 0 }, hi;
	struct leaf leaf;
	int ret;

	if (!snapprot_run_any(run) || snapprot_key_is_end(&run->from))
		return 0;
	if (snapprot_key_cmp(&key, &run->from) < 0)
		key = run->from;
	ret = leaf_get(core, run, &key, 0, true, &hi, &leaf);
	if (ret < 0)
		return ret;
	if (ret)
		leaf_put(core, &leaf);
	if (hi.block <= block)
		hi.block = block + 1;
	*end = snapprot_min(*end, hi.block);
	return 0;
}

/* All entries of blocks from @block on and below @end. */
int snapprot_run_scan(struct snapprot_core *core, const struct snapprot_run *run,
		      u64 block, u64 end,
		      int (*fn)(void *ctx, const struct snapprot_entry *e),
		      void *ctx)
{
	struct snapprot_key key = { block, 0 }, hi;
	struct leaf leaf;
	int err = 0;

	if (!snapprot_run_any(run))
		return 0;
	if (snapprot_key_cmp(&key, &run->from) < 0)
		key = run->from;
	while (!err && key.block < end) {
		u32 i;

		err = leaf_get(core, run, &key, 0, false, &hi, &leaf);
		if (err <= 0)
			return err;
		err = 0;
		for (i = leaf_below(&leaf, &key); !err && i < leaf.count; i++) {
			struct snapprot_entry e;

			leaf_entry(&leaf, i, &e);
			if (e.block >= end)
				break;
			err = fn(ctx, &e);
		}
		leaf_put(core, &leaf);
		key = hi;
	}
	return err;
}

/* ---- freeing --------------------------------------------------------------- */

/* A node whose parent is passed; @hi is the bound of both. */
struct passed {
	u64 place;
	struct snapprot_key hi;
};

/**
 * snapprot_run_dismantle() - free some of a run that is not needed any more
 * @core: the store, whose free queue has room for 160 places
 * @run: the run; run->from says how far that has got
 *
 * The leaves below one node at a time; they are not read.
 *
 * Return: 1 more, 0 nothing is left, -EAGAIN, or an error.
 */
int snapprot_run_dismantle(struct snapprot_core *core,
			   struct snapprot_run *run)
{
	struct passed path[SNAPPROT_MAX_HEIGHT];
	struct snapprot_ref ref = { .place = run->root, .sum = run->root_sum };
	struct snapprot_key hi = SNAPPROT_KEY_END;
	const struct snapprot_disk_node *n;
	struct snapprot_buf buf;
	u32 level, i;
	int err;

	if (!run->root || snapprot_key_is_end(&run->from))
		return 0;
	for (level = run->height; ; level--) {
		path[level].place = ref.place;
		path[level].hi = hi;
		if (!level)
			break;
		err = snapprot_node_get(core, ref.place, ref.sum, level,
					level == run->height ? NULL : &ref.key, &hi,
			       &buf);
		if (err)
			return err;
		n = buf.data;
		i = node_child(n, &run->from);
		if (level > 1) {
			snapprot_child_decode(&ref, &n->child[i]);
			hi = child_hi(n, i, &hi);
			core->env->ops->put(core->env, &buf);
			continue;
		}
		for (; i < snapprot_node_count(n); i++)
			snapprot_space_put_meta(core,
						le64_to_cpu(n->child[i].place));
		core->env->ops->put(core->env, &buf);
		break;
	}
	run->from = hi;
	for (; level <= run->height; level++)
		if (snapprot_key_cmp(&path[level].hi, &hi) <= 0)
			snapprot_space_put_meta(core, path[level].place);
	return !snapprot_key_is_end(&hi);
}

/* ---- walking ------------------------------------------------------------------- */

static int walk_node(struct snapprot_core *core, const struct snapprot_run *run,
		     const struct snapprot_ref *ref, u32 level,
		     const struct snapprot_key *lo,
		     const struct snapprot_key *hi,
		     int (*fn)(void *ctx, const struct snapprot_run_visit *v),
		     void *ctx)
{
	struct snapprot_run_visit visit = {
		.place = ref->place,
		.level = level,
		.max_epoch = ref->max_epoch,
	};
	const struct snapprot_disk_node *n;
	struct snapprot_buf buf;
	u32 i;
	int err;

	err = snapprot_node_get(core, ref->place, ref->sum, level, lo, hi, &buf);
	if (err)
		return err;
	n = buf.data;
	visit.node = n;
	err = fn(ctx, &visit);
	for (i = 0; !err && level && i < snapprot_node_count(n); i++) {
		struct snapprot_key end = child_hi(n, i, hi);
		struct snapprot_ref child;

		/* A merge has passed it. */
		if (snapprot_key_cmp(&end, &run->from) <= 0)
			continue;
		if (level == 1 && !(i % SNAPPROT_PIECE))
			prefetch(core, n, i, (u32)snapprot_min(snapprot_node_count(n),
							       i + SNAPPROT_PIECE));
		snapprot_child_decode(&child, &n->child[i]);
		err = walk_node(core, run, &child, level - 1, &child.key, &end,
				fn, ctx);
	}
	core->env->ops->put(core->env, &buf);
	return err;
}

/**
 * snapprot_run_walk() - all nodes of a run that no merge has passed
 * @core: the store
 * @run: the run
 * @fn: called for each, before those below it; an error ends the walk
 * @ctx: for @fn
 *
 * Return: 0, or an error.
 */
int snapprot_run_walk(struct snapprot_core *core, const struct snapprot_run *run,
		      int (*fn)(void *ctx, const struct snapprot_run_visit *v),
		      void *ctx)
{
	struct snapprot_ref root = {
		.place = run->root,
		.sum = run->root_sum,
		.max_epoch = run->max_epoch,
	};

	if (!run->root || snapprot_key_is_end(&run->from))
		return 0;
	return walk_node(core, run, &root, run->height, NULL,
			 &SNAPPROT_KEY_END, fn, ctx);
}
