// SPDX-License-Identifier: GPL-2.0-only
/*
 * Building runs from below, in the order of keys; run.c reads them.
 *
 * A node is complete when it is written, and is never changed (F3). What is not full yet
 * is the right edge, which the builder has in memory. A checkpoint needs a whole tree, so
 * closing a run writes the edge as well; when the run goes on those nodes are written anew
 * elsewhere, and the old ones become free.
 */
#include "run.h"

/* Places for inner nodes that a run gets at a time. */
#define INNER_POOL	(2 * SNAPPROT_PIECE)

/* ---- building ------------------------------------------------------------ */

/**
 * snapprot_build_new() - begin to build a run, or go on with one
 * @core: the store
 * @run: the run, which stays where it is
 *
 * Return: NULL if there is no memory.
 */
struct snapprot_build *snapprot_build_new(struct snapprot_core *core,
					  struct snapprot_run *run)
{
	struct snapprot_build *b = core->env->ops->alloc(core->env, sizeof(*b));

	if (!b)
		return NULL;
	b->run = run;
	b->leaves = ~(u32)0;
	return b;
}

/* Forget the builder; what it has in memory and not on disk is lost. */
void snapprot_build_free(struct snapprot_core *core, struct snapprot_build *b)
{
	u32 i;

	if (!b)
		return;
	if (b->run->build == b)
		b->run->build = NULL;
	for (i = 0; i < SNAPPROT_MAX_HEIGHT; i++)
		core->env->ops->free(core->env, b->spine[i].entry);
	core->env->ops->free(core->env, b);
}

static int spine_alloc(struct snapprot_core *core, struct snapprot_build *b,
		       u32 level)
{
	struct snapprot_env *env = core->env;
	size_t size = level ? SNAPPROT_INNER_ENTRIES *
			      sizeof(struct snapprot_ref) :
			      SNAPPROT_LEAF_ENTRIES *
			      sizeof(struct snapprot_entry);

	if (level >= SNAPPROT_MAX_HEIGHT)
		return -EBADMSG;
	if (!b->spine[level].entry)
		b->spine[level].entry = env->ops->alloc(env, size);
	return b->spine[level].entry ? 0 : -ENOMEM;
}

static void spine_raise(struct snapprot_spine *s, u32 epoch)
{
	if (epoch > s->max_epoch)
		s->max_epoch = epoch;
}

/* Take over the right edge of what was built before. Of an inner node, the last
 * child is the edge one level down.
 */
static int build_open(struct snapprot_core *core, struct snapprot_build *b)
{
	struct snapprot_run *run = b->run;
	struct snapprot_ref ref = { .place = run->root, .sum = run->root_sum };
	u32 level, i;
	int err;

	for (level = run->height + 1; level--; ) {
		bool root = level == run->height;
		const struct snapprot_disk_node *n;
		struct snapprot_spine *s = &b->spine[level];
		struct snapprot_buf buf;

		err = spine_alloc(core, b, level);
		if (!err)
			err = snapprot_node_get(core, ref.place, ref.sum, level,
						root ? NULL : &ref.key,
				       &SNAPPROT_KEY_END, &buf);
		if (err)
			return err;
		n = buf.data;
		s->edge = ref.place;
		s->max_epoch = 0;
		s->count = snapprot_node_count(n) - !!level;
		for (i = 0; i < s->count; i++) {
			if (level) {
				snapprot_child_decode(&s->ref[i], &n->child[i]);
				spine_raise(s, s->ref[i].max_epoch);
			} else {
				snapprot_entry_decode(&s->entry[i],
						      &n->entry[i]);
				spine_raise(s, s->entry[i].epoch);
				b->last = snapprot_entry_key(&s->entry[i]);
			}
		}
		if (level)
			snapprot_child_decode(&ref, &n->child[s->count]);
		core->env->ops->put(core->env, &buf);
	}
	b->height = run->height;
	return 0;
}

static int flush_level(struct snapprot_core *core, struct snapprot_build *b,
		       u32 level);

static int pool_ready(struct snapprot_core *core, struct snapprot_pool *pool,
		      u32 want, u32 most)
{
	return snapprot_pool_left(pool) < want ?
	       snapprot_pool_fill(core, pool, want, most) : 0;
}

/*
 * Places for what one addition or closing writes. Leaves have their own, all of an inner
 * node at once, and inner nodes too, so that who reads them can read them in large
 * pieces.
 */
static int pools_ready(struct snapprot_core *core, struct snapprot_build *b)
{
	u32 leaves = SNAPPROT_INNER_ENTRIES - b->spine[1].count;
	u32 levels = b->height + 2;
	u32 inner = b->leaves > SNAPPROT_INNER_ENTRIES ? INNER_POOL : 0;
	int err;

	leaves = (u32)snapprot_min(leaves, b->leaves);
	err = pool_ready(core, &b->leaf, 1, leaves);
	if (!err)
		err = pool_ready(core, &b->inner, levels, inner);
	if (!err)
		err = pool_ready(core, &b->edge, levels, 2 * levels);
	return err;
}

/**
 * snapprot_build_ready() - have all that the next addition or closing may need
 * @core: the store
 * @b: the builder
 *
 * Return: 0, -EAGAIN, -ENOSPC, or an error. Only this function of a builder may
 * have to wait.
 */
int snapprot_build_ready(struct snapprot_core *core, struct snapprot_build *b)
{
	bool opening = !b->opened && b->run->root;
	u32 level;
	int err;

	if (!b->opened && b->run->root) {
		err = build_open(core, b);
		if (err)
			return err;
	}
	for (level = 0; level <= b->height + 2 &&
	     level < SNAPPROT_MAX_HEIGHT; level++) {
		err = spine_alloc(core, b, level);
		if (err)
			return err;
	}
	err = pools_ready(core, b);
	if (err)
		return err;
	b->opened = true;
	b->run->build = b;
	if (opening && b->spine[0].count == SNAPPROT_LEAF_ENTRIES)
		return flush_level(core, b, 0);
	return 0;
}

/*
 * Write a node of @level with what is in the spine, and @carry behind it. @full: nothing
 * is going to be added to it.
 */
static int write_node(struct snapprot_core *core, struct snapprot_build *b,
		      u32 level, bool full, const struct snapprot_ref *carry,
		      struct snapprot_ref *ref)
{
	const struct snapprot_spine *s = &b->spine[level];
	struct snapprot_env *env = core->env;
	struct snapprot_disk_node *n;
	struct snapprot_buf buf;
	u32 i, count = s->count + !!carry;
	int err;

	if (!full)
		ref->place = snapprot_pool_take(core, &b->edge);
	else if (level)
		ref->place = snapprot_pool_take(core, &b->inner);
	else
		ref->place = snapprot_pool_take(core, &b->leaf);
	if (full && !level && b->leaves)
		b->leaves--;
	err = env->ops->get_new(env, ref->place, &buf);
	if (err)
		return err;
	n = buf.data;
	memset(n, 0, sizeof(*n));
	snapprot_block_init(n, SNAPPROT_MAGIC_NODE, ref->place, core->ckpt.seq,
			    core->uuid);
	n->level = cpu_to_le16(level);
	n->count = cpu_to_le16(count);
	for (i = 0; i < count; i++) {
		const struct snapprot_ref *r = i < s->count ? &s->ref[i] :
							      carry;

		if (!level) {
			snapprot_entry_encode(&n->entry[i], &s->entry[i]);
			continue;
		}
		n->child[i].block = cpu_to_le64(r->key.block);
		n->child[i].place = cpu_to_le64(r->place);
		n->child[i].epoch = cpu_to_le32(r->key.epoch);
		n->child[i].max_epoch = cpu_to_le32(r->max_epoch);
		n->child[i].sum = cpu_to_le64(r->sum);
	}
	ref->key = snapprot_node_first(n);
	ref->max_epoch = s->max_epoch;
	if (carry && carry->max_epoch > ref->max_epoch)
		ref->max_epoch = carry->max_epoch;
	b->run->nr_nodes++;
	return snapprot_block_finish(env, &buf, SNAPPROT_MAGIC_NODE,
				     ref->place, &ref->sum);
}

/* The place where a checkpoint has put an edge node is not needed any more. */
static void drop_edge(struct snapprot_core *core, struct snapprot_build *b,
		      u32 level)
{
	struct snapprot_spine *s = &b->spine[level];

	if (!s->edge)
		return;
	snapprot_space_put_meta(core, s->edge);
	s->edge = 0;
	b->run->nr_nodes--;
}

static int spine_append(struct snapprot_core *core, struct snapprot_build *b,
			u32 level, const struct snapprot_ref *ref)
{
	struct snapprot_spine *s;

	/* No store is so large. */
	if (level >= SNAPPROT_MAX_HEIGHT || !b->spine[level].ref)
		return -EBADMSG;
	s = &b->spine[level];
	s->ref[s->count++] = *ref;
	spine_raise(s, ref->max_epoch);
	if (level > b->height)
		b->height = level;
	b->changed = true;
	if (s->count == SNAPPROT_INNER_ENTRIES)
		return flush_level(core, b, level);
	return 0;
}

/* A node is full: write it, and hand it to its parent. */
static int flush_level(struct snapprot_core *core, struct snapprot_build *b,
		       u32 level)
{
	struct snapprot_ref ref;
	int err;

	err = write_node(core, b, level, true, NULL, &ref);
	if (err)
		return err;
	drop_edge(core, b, level);
	b->spine[level].count = 0;
	b->spine[level].max_epoch = 0;
	return spine_append(core, b, level + 1, &ref);
}

static void run_note(struct snapprot_run *run, u32 min_epoch, u32 max_epoch)
{
	if (!run->min_epoch || min_epoch < run->min_epoch)
		run->min_epoch = min_epoch;
	if (max_epoch > run->max_epoch)
		run->max_epoch = max_epoch;
}

/**
 * snapprot_build_add() - add an entry
 * @core: the store
 * @b: the builder, which is ready
 * @e: the entry; its key is above all that are there
 *
 * Return: 0, or an error; -EBADMSG if its key is not, as what it comes from is not
 * in order.
 */
int snapprot_build_add(struct snapprot_core *core, struct snapprot_build *b,
		       const struct snapprot_entry *e)
{
	struct snapprot_spine *s = &b->spine[0];
	struct snapprot_key key = snapprot_entry_key(e);

	if (snapprot_key_cmp(&key, &b->last) <= 0)
		return -EBADMSG;
	b->last = key;
	s->entry[s->count++] = *e;
	spine_raise(s, e->epoch);
	run_note(b->run, e->epoch, e->epoch);
	b->run->nr_entries++;
	b->changed = true;
	if (s->count == SNAPPROT_LEAF_ENTRIES)
		return flush_level(core, b, 0);
	return 0;
}

/* May a leaf with so many entries be taken over, and no leaf get too empty? */
bool snapprot_build_takes(const struct snapprot_build *b, u32 entries)
{
	u32 n = b->spine[0].count;

	return entries >= SNAPPROT_LEAF_ENTRIES / 2 &&
	       (!n || n >= SNAPPROT_LEAF_ENTRIES / 2);
}

/**
 * snapprot_build_move() - take over a leaf of another run
 * @core: the store
 * @b: the builder, which is ready, and takes it
 * @leaf: the leaf, whose keys are above all that are there
 * @last: the highest of them
 * @entries: of the leaf
 * @min_epoch: of them
 *
 * Return: 0, or an error.
 */
int snapprot_build_move(struct snapprot_core *core, struct snapprot_build *b,
			const struct snapprot_ref *leaf,
			const struct snapprot_key *last, u32 entries,
			u32 min_epoch)
{
	int err;

	if (snapprot_key_cmp(&leaf->key, &b->last) <= 0)
		return -EBADMSG;
	b->last = *last;
	if (b->spine[0].count) {
		err = flush_level(core, b, 0);
		if (err)
			return err;
	}
	b->run->nr_entries += entries;
	b->run->nr_nodes++;
	run_note(b->run, min_epoch, leaf->max_epoch);
	return spine_append(core, b, 1, leaf);
}

/**
 * snapprot_build_close() - make a tree of what is there
 * @core: the store
 * @b: the builder, which is ready
 *
 * It may go on afterwards. Return: 0, or an error.
 */
int snapprot_build_close(struct snapprot_core *core, struct snapprot_build *b)
{
	struct snapprot_ref ref, carry;
	bool carries = false;
	u32 level;
	int err;

	if (!b->opened || !b->changed)
		return 0;
	for (level = 0; level <= b->height; level++) {
		struct snapprot_spine *s = &b->spine[level];

		if (!s->count && !carries)
			continue;
		/* One child needs no parent if there is nothing above. */
		if (level == b->height && level &&
		    s->count + carries == 1) {
			if (!carries)
				carry = s->ref[0];
			carries = true;
			drop_edge(core, b, level);
			level--;
			break;
		}
		err = write_node(core, b, level, false, carries ? &carry : NULL,
				 &ref);
		if (err)
			return err;
		drop_edge(core, b, level);
		s->edge = ref.place;
		carry = ref;
		carries = true;
		if (level == b->height)
			break;
	}
	b->run->root = carries ? carry.place : 0;
	b->run->root_sum = carries ? carry.sum : 0;
	b->run->height = carries ? level : 0;
	b->changed = false;
	return 0;
}

/* The run is complete, and closed: its edge stays. */
void snapprot_build_done(struct snapprot_core *core, struct snapprot_build *b)
{
	snapprot_pool_empty(core, &b->leaf);
	snapprot_pool_empty(core, &b->inner);
	snapprot_pool_empty(core, &b->edge);
	snapprot_build_free(core, b);
}
