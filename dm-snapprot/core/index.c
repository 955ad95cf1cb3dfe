// SPDX-License-Identifier: GPL-2.0-only
/*
 * The index: a B+tree of entries, ordered by (block, epoch).
 *
 * A checkpoint never changes a node that an earlier one wrote: the first change
 * moves it to a new block (a shadow), and the old one stays for as long as the
 * last durable superblock may lead to it. A node knows the checkpoint that
 * wrote it, so whether it must be shadowed is seen by looking at it.
 *
 * Every node that is followed must be of the level and within the bounds that its
 * parent gives it. So no damage can lead in a circle or out of a node.
 */
#include "internal.h"

#define LEAF_HALF	(SNAPPROT_NODE_ENTRIES / 2)
/* Two nodes become one only if that leaves room to grow. */
#define MERGE_MAX	(SNAPPROT_NODE_ENTRIES - SNAPPROT_NODE_ENTRIES / 8)

static u32 node_count(const struct snapprot_disk_node *n)
{
	return le16_to_cpu(n->count);
}

static u32 node_level(const struct snapprot_disk_node *n)
{
	return le16_to_cpu(n->level);
}

static u64 node_child(const struct snapprot_disk_node *n, u32 i)
{
	return le64_to_cpu(n->entry[i].place);
}

/* Order of entry @i and a key. */
static int node_cmp(const struct snapprot_disk_node *n, u32 i, u64 block,
		    u32 epoch)
{
	return snapprot_key_cmp(le64_to_cpu(n->entry[i].block),
				le32_to_cpu(n->entry[i].epoch), block, epoch);
}

/* The first entry that is not below a key; the count if there is none. */
u32 snapprot_node_search(const struct snapprot_disk_node *n, u64 block,
			 u32 epoch)
{
	u32 low = 0;
	u32 high = node_count(n);

	while (low < high) {
		u32 mid = low + (high - low) / 2;

		if (node_cmp(n, mid, block, epoch) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* The child that a key belongs to. */
static u32 node_child_index(const struct snapprot_disk_node *n, u64 block,
			    u32 epoch)
{
	u32 i = snapprot_node_search(n, block, epoch);

	if (i < node_count(n) && !node_cmp(n, i, block, epoch))
		return i;
	return i ? i - 1 : 0;
}

/* The bounds of a node become those of its child @i. */
void snapprot_node_narrow(const struct snapprot_disk_node *n, u32 i,
			  struct snapprot_bounds *bounds)
{
	bounds->lo_block = le64_to_cpu(n->entry[i].block);
	bounds->lo_epoch = le32_to_cpu(n->entry[i].epoch);
	if (i + 1 < node_count(n)) {
		bounds->hi_block = le64_to_cpu(n->entry[i + 1].block);
		bounds->hi_epoch = le32_to_cpu(n->entry[i + 1].epoch);
		bounds->has_hi = true;
	}
}

/**
 * snapprot_node_get() - hold a node
 * @core: the store
 * @block: where it is
 * @level: that it must have
 * @bounds: that its keys must keep
 * @buf: the node
 *
 * Return: 0, -EBADMSG, or what the environment returns.
 */
int snapprot_node_get(struct snapprot_core *core, u64 block, u32 level,
		      const struct snapprot_bounds *bounds,
		      struct snapprot_buf *buf)
{
	const struct snapprot_disk_node *n;
	int err;

	err = snapprot_block_get(core, block, SNAPPROT_MAGIC_NODE, buf);
	if (err)
		return err;
	n = buf->data;
	if (node_level(n) == level &&
	    node_count(n) >= 1 && node_count(n) <= SNAPPROT_NODE_ENTRIES &&
	    node_cmp(n, 0, bounds->lo_block, bounds->lo_epoch) >= 0 &&
	    (!bounds->has_hi || node_cmp(n, node_count(n) - 1, bounds->hi_block,
					 bounds->hi_epoch) < 0))
		return 0;
	core->env->ops->put(core->env, buf);
	return -EBADMSG;
}

/* ---- reading ----------------------------------------------------------- */

/**
 * snapprot_leaf_get() - hold the leaf that a key belongs to
 * @core: the store, whose index is not empty
 * @block: of the key
 * @epoch: of the key
 * @bounds: of the leaf; the upper one is where the next leaf begins
 * @buf: the leaf
 *
 * Return: 0, -EBADMSG, or what the environment returns.
 */
int snapprot_leaf_get(struct snapprot_core *core, u64 block, u32 epoch,
		      struct snapprot_bounds *bounds,
		      struct snapprot_buf *buf)
{
	u32 level = core->root_level;
	u64 place = core->root;

	memset(bounds, 0, sizeof(*bounds));
	for (;;) {
		const struct snapprot_disk_node *n;
		int err;
		u32 i;

		err = snapprot_node_get(core, place, level, bounds, buf);
		if (err || !level)
			return err;
		n = buf->data;
		i = node_child_index(n, block, epoch);
		snapprot_node_narrow(n, i, bounds);
		place = node_child(n, i);
		core->env->ops->put(core->env, buf);
		level--;
	}
}

/* The entry of @block with the smallest epoch >= @epoch: 1, 0 or an error. */
int snapprot_index_find(struct snapprot_core *core, u64 block, u32 epoch,
			struct snapprot_entry *found)
{
	struct snapprot_bounds bounds;
	struct snapprot_buf buf;
	u32 tries;

	if (!core->root)
		return 0;
	/* What is not in its leaf may be the first of the next one. */
	for (tries = 0; tries < 2; tries++) {
		const struct snapprot_disk_node *n;
		int err;
		u32 i;

		err = snapprot_leaf_get(core, block, epoch, &bounds, &buf);
		if (err)
			return err;
		n = buf.data;
		i = snapprot_node_search(n, block, epoch);
		if (i < node_count(n)) {
			snapprot_entry_decode(found, &n->entry[i]);
			core->env->ops->put(core->env, &buf);
			return found->block == block;
		}
		core->env->ops->put(core->env, &buf);
		if (!bounds.has_hi || bounds.hi_block != block)
			return 0;
		epoch = bounds.hi_epoch;
	}
	/* A leaf that begins where it should always has an entry there. */
	return -EBADMSG;
}

int snapprot_lookup(struct snapprot_core *core, u64 block, u32 epoch,
		    struct snapprot_entry *found)
{
	struct snapprot_entry e;
	bool have = false;
	int in_index;

	if (core->frozen_valid)
		have = snapprot_memtable_find(&core->frozen, block, epoch,
					      found);
	if (snapprot_memtable_find(&core->active, block, epoch, &e) &&
	    (!have || e.epoch < found->epoch)) {
		*found = e;
		have = true;
	}
	/* Nothing can be nearer. */
	if (have && found->epoch == epoch)
		return 1;
	in_index = snapprot_index_find(core, block, epoch, &e);
	if (in_index < 0)
		return in_index;
	if (in_index && (!have || e.epoch < found->epoch)) {
		*found = e;
		have = true;
	}
	return have;
}

int snapprot_index_walk(struct snapprot_core *core, u64 block,
			int (*fn)(void *ctx, const struct snapprot_entry *e),
			void *ctx)
{
	struct snapprot_bounds bounds;
	struct snapprot_buf buf;
	u32 epoch = 0;
	int err;

	if (!core->root)
		return 0;
	do {
		const struct snapprot_disk_node *n;
		u32 i;

		err = snapprot_leaf_get(core, block, epoch, &bounds, &buf);
		if (err)
			return err;
		n = buf.data;
		i = snapprot_node_search(n, block, epoch);
		for (; !err && i < node_count(n); i++) {
			struct snapprot_entry e;

			snapprot_entry_decode(&e, &n->entry[i]);
			err = fn(ctx, &e);
		}
		core->env->ops->put(core->env, &buf);
		block = bounds.hi_block;
		epoch = bounds.hi_epoch;
	} while (!err && bounds.has_hi);
	return err;
}

/* ---- changing ---------------------------------------------------------- */

/* Hold a new, empty node. */
static int node_new(struct snapprot_core *core, u32 level, u64 *block,
		    struct snapprot_buf *buf)
{
	struct snapprot_disk_node *n;
	int err;

	err = snapprot_space_take_meta(core, block);
	if (err)
		return err;
	err = core->env->ops->get_new(core->env, *block, buf);
	if (err)
		return err;
	n = buf->data;
	memset(n, 0, sizeof(*n));
	snapprot_block_init(n, SNAPPROT_MAGIC_NODE, *block, core->ckpt_seq,
			    core->uuid);
	n->level = cpu_to_le16(level);
	core->nr_nodes++;
	return 0;
}

static int node_free(struct snapprot_core *core, u64 block)
{
	core->nr_nodes--;
	return snapprot_space_free_meta(core, block);
}

/*
 * Make a held node one that may be changed. If it moves, @buf is its new self
 * and @block its new place, which its parent has to learn.
 */
static int node_shadow(struct snapprot_core *core, struct snapprot_buf *buf,
		       u64 *block)
{
	struct snapprot_env *env = core->env;
	struct snapprot_disk_node *n = buf->data;
	struct snapprot_buf copy;
	u64 old = *block;
	int err;

	if (le64_to_cpu(n->h.seq) == core->ckpt_seq) {
		env->ops->dirty(env, buf);
		return 0;
	}
	err = snapprot_space_take_meta(core, block);
	if (err)
		return err;
	err = env->ops->get_new(env, *block, &copy);
	if (err)
		return err;
	memcpy(copy.data, n, sizeof(*n));
	env->ops->put(env, buf);
	*buf = copy;
	n = buf->data;
	n->h.block = cpu_to_le64(*block);
	n->h.seq = cpu_to_le64(core->ckpt_seq);
	env->ops->dirty(env, buf);
	return snapprot_space_free_meta(core, old);
}

static void node_set_count(struct snapprot_disk_node *n, u32 count)
{
	n->count = cpu_to_le16(count);
	memset(&n->entry[count], 0,
	       (SNAPPROT_NODE_ENTRIES - count) * sizeof(n->entry[0]));
}

static void node_insert(struct snapprot_disk_node *n, u32 i,
			const struct snapprot_entry *e)
{
	u32 count = node_count(n);

	memmove(&n->entry[i + 1], &n->entry[i],
		(count - i) * sizeof(n->entry[0]));
	snapprot_entry_encode(&n->entry[i], e);
	n->count = cpu_to_le16(count + 1);
}

static void node_remove(struct snapprot_disk_node *n, u32 i)
{
	u32 count = node_count(n) - 1;

	memmove(&n->entry[i], &n->entry[i + 1],
		(count - i) * sizeof(n->entry[0]));
	node_set_count(n, count);
}

/* What an inner node says of a child whose first key is that of @first. */
static void node_link(struct snapprot_entry *link,
		      const struct snapprot_disk_entry *first, u64 place)
{
	link->block = le64_to_cpu(first->block);
	link->epoch = le32_to_cpu(first->epoch);
	link->place = place;
	link->sum = 0;
}

/*
 * Split a full child @i of a node that is not full; @child becomes the half that
 * the key of @e belongs to. If the key goes to the end, it starts a new node:
 * keys that come in order leave full nodes behind them.
 */
static int node_split(struct snapprot_core *core, struct snapprot_buf *parent,
		      u32 i, struct snapprot_buf *child,
		      const struct snapprot_entry *e)
{
	struct snapprot_env *env = core->env;
	struct snapprot_disk_node *n = child->data;
	u32 count = node_count(n);
	u32 at = count / 2;
	struct snapprot_disk_node *r;
	struct snapprot_entry link;
	struct snapprot_buf right;
	u64 block;
	int err;

	if (node_cmp(n, count - 1, e->block, e->epoch) < 0)
		at = count - 1;
	err = node_new(core, node_level(n), &block, &right);
	if (err)
		return err;
	r = right.data;
	memcpy(r->entry, &n->entry[at], (count - at) * sizeof(r->entry[0]));
	r->count = cpu_to_le16(count - at);
	node_set_count(n, at);
	node_link(&link, &r->entry[0], block);
	node_insert(parent->data, i + 1, &link);
	env->ops->dirty(env, parent);
	env->ops->dirty(env, child);
	env->ops->dirty(env, &right);

	if (node_cmp(r, 0, e->block, e->epoch) <= 0) {
		env->ops->put(env, child);
		*child = right;
	} else {
		env->ops->put(env, &right);
	}
	return 0;
}

/* Put a new root above a full one, and split that. */
static int root_split(struct snapprot_core *core, struct snapprot_buf *node,
		      const struct snapprot_entry *e)
{
	struct snapprot_disk_node *n = node->data;
	struct snapprot_entry link;
	struct snapprot_buf root;
	u64 block;
	int err;

	if (core->root_level + 1 >= SNAPPROT_MAX_LEVELS)
		return -EBADMSG;
	err = node_new(core, core->root_level + 1, &block, &root);
	if (err)
		return err;
	node_link(&link, &n->entry[0], core->root);
	/* The way down starts below it, so the lower bound is set here. */
	if (node_cmp(n, 0, e->block, e->epoch) > 0) {
		link.block = e->block;
		link.epoch = e->epoch;
	}
	node_insert(root.data, 0, &link);
	core->root = block;
	core->root_level++;
	err = node_split(core, &root, 0, node, e);
	core->env->ops->put(core->env, &root);
	return err;
}

/* From a held inner node that may be changed to the child for a key. */
static int insert_descend(struct snapprot_core *core,
			  struct snapprot_buf *node,
			  struct snapprot_bounds *bounds,
			  const struct snapprot_entry *e)
{
	struct snapprot_disk_node *n = node->data;
	struct snapprot_env *env = core->env;
	struct snapprot_buf child;
	u64 place;
	u32 i;
	int err;

	/* The first key is a lower bound of all that is below. */
	if (node_cmp(n, 0, e->block, e->epoch) > 0) {
		n->entry[0].block = cpu_to_le64(e->block);
		n->entry[0].epoch = cpu_to_le32(e->epoch);
	}
	i = node_child_index(n, e->block, e->epoch);
	snapprot_node_narrow(n, i, bounds);
	place = node_child(n, i);
	err = snapprot_node_get(core, place, node_level(n) - 1, bounds, &child);
	if (err)
		return err;
	err = node_shadow(core, &child, &place);
	if (!err) {
		n->entry[i].place = cpu_to_le64(place);
		env->ops->dirty(env, node);
		if (node_count(child.data) == SNAPPROT_NODE_ENTRIES)
			err = node_split(core, node, i, &child, e);
	}
	if (err) {
		env->ops->put(env, &child);
		return err;
	}
	env->ops->put(env, node);
	*node = child;
	return 0;
}

/* Hold the root, as a node that may be changed and is not full. */
static int insert_root(struct snapprot_core *core, struct snapprot_buf *node,
		       struct snapprot_bounds *bounds,
		       const struct snapprot_entry *e)
{
	int err;

	memset(bounds, 0, sizeof(*bounds));
	if (!core->root) {
		core->root_level = 0;
		return node_new(core, 0, &core->root, node);
	}
	err = snapprot_node_get(core, core->root, core->root_level, bounds,
				node);
	if (err)
		return err;
	err = node_shadow(core, node, &core->root);
	if (!err && node_count(node->data) == SNAPPROT_NODE_ENTRIES)
		err = root_split(core, node, e);
	if (err)
		core->env->ops->put(core->env, node);
	return err;
}

/**
 * snapprot_index_insert() - add an entry
 * @core: the store, in a checkpoint
 * @e: the entry
 *
 * On the way down every full node is split, so that its parent has room.
 *
 * Return: 0, -EEXIST if the key is there already, or an error.
 */
int snapprot_index_insert(struct snapprot_core *core,
			  const struct snapprot_entry *e)
{
	struct snapprot_disk_node *n;
	struct snapprot_bounds bounds;
	struct snapprot_buf node;
	u32 i;
	int err;

	err = insert_root(core, &node, &bounds, e);
	if (err)
		return err;
	while (!err && node_level(node.data))
		err = insert_descend(core, &node, &bounds, e);
	n = node.data;
	if (!err) {
		i = snapprot_node_search(n, e->block, e->epoch);
		if (i < node_count(n) && !node_cmp(n, i, e->block, e->epoch))
			err = -EEXIST;
	}
	if (!err) {
		node_insert(n, i, e);
		core->env->ops->dirty(core->env, &node);
		core->nr_entries++;
	}
	core->env->ops->put(core->env, &node);
	return err;
}

/* ---- removing ---------------------------------------------------------- */

/* The way from the root to a leaf, all of it held and changeable. */
struct path {
	struct {
		struct snapprot_buf buf;
		u64 block;
		u32 index;	/* of the child below */
	} node[SNAPPROT_MAX_LEVELS];
	u32 bottom;		/* lowest level that is held */
	u32 top;		/* level of the root when it was taken */
};

/* Let go of a way whose nodes have been changed. */
static void path_put(struct snapprot_core *core, struct path *path)
{
	struct snapprot_env *env = core->env;
	u32 level;

	for (level = path->bottom; level <= path->top; level++) {
		env->ops->dirty(env, &path->node[level].buf);
		env->ops->put(env, &path->node[level].buf);
	}
}

/* Free the lowest node of the way. */
static int path_free(struct snapprot_core *core, struct path *path)
{
	u32 level = path->bottom++;

	core->env->ops->dirty(core->env, &path->node[level].buf);
	core->env->ops->put(core->env, &path->node[level].buf);
	return node_free(core, path->node[level].block);
}

static int path_get(struct snapprot_core *core, u64 block, u32 epoch,
		    struct path *path)
{
	struct snapprot_bounds bounds = { 0 };
	u32 level = core->root_level;
	u64 place = core->root;
	int err;

	path->top = level;
	path->bottom = level + 1;
	for (;;) {
		struct snapprot_disk_node *n;
		u32 i;

		err = snapprot_node_get(core, place, level, &bounds,
					&path->node[level].buf);
		if (err)
			return err;
		path->bottom = level;
		err = node_shadow(core, &path->node[level].buf, &place);
		if (err)
			return err;
		path->node[level].block = place;
		if (level == path->top) {
			core->root = place;
		} else {
			n = path->node[level + 1].buf.data;
			i = path->node[level + 1].index;
			n->entry[i].place = cpu_to_le64(place);
			core->env->ops->dirty(core->env,
					      &path->node[level + 1].buf);
		}
		if (!level)
			return 0;
		n = path->node[level].buf.data;
		i = node_child_index(n, block, epoch);
		path->node[level].index = i;
		snapprot_node_narrow(n, i, &bounds);
		place = node_child(n, i);
		level--;
	}
}

/* Take entries out of a leaf, and free what they point to. */
static int leaf_prune(struct snapprot_core *core, struct snapprot_disk_node *n,
		      const struct snapprot_mask *mask)
{
	u32 count = node_count(n);
	u32 kept = 0;
	u32 i;
	int err;

	for (i = 0; i < count; i++) {
		if (!snapprot_bit_test(mask->bits, i)) {
			n->entry[kept++] = n->entry[i];
			continue;
		}
		err = snapprot_space_free(core, node_child(n, i));
		if (err)
			return err;
		core->nr_entries--;
	}
	node_set_count(n, kept);
	return 0;
}

/*
 * Join a node of the path with its right or left sibling, if both fit into one
 * node. The node of the path takes over the entries, for it has been shadowed
 * already. 1 if the parent lost an entry, 0 if nothing has changed, or an error.
 */
static int node_merge(struct snapprot_core *core, struct path *path, u32 level)
{
	struct snapprot_disk_node *parent = path->node[level + 1].buf.data;
	struct snapprot_disk_node *n = path->node[level].buf.data;
	u32 i = path->node[level + 1].index;
	bool right = i + 1 < node_count(parent);
	u32 other = right ? i + 1 : i - 1;
	struct snapprot_bounds bounds = { 0 };
	u32 count = node_count(n);
	struct snapprot_disk_node *s;
	struct snapprot_buf buf;
	u32 extra;
	int err;

	if (count > LEAF_HALF || node_count(parent) < 2)
		return 0;
	snapprot_node_narrow(parent, other, &bounds);
	err = snapprot_node_get(core, node_child(parent, other), level, &bounds,
				&buf);
	if (err)
		return err;
	s = buf.data;
	extra = node_count(s);
	if (count + extra > MERGE_MAX) {
		core->env->ops->put(core->env, &buf);
		return 0;
	}
	if (right) {
		memcpy(&n->entry[count], s->entry,
		       extra * sizeof(s->entry[0]));
	} else {
		memmove(&n->entry[extra], n->entry,
			count * sizeof(n->entry[0]));
		memcpy(n->entry, s->entry, extra * sizeof(s->entry[0]));
		parent->entry[i].block = parent->entry[other].block;
		parent->entry[i].epoch = parent->entry[other].epoch;
	}
	n->count = cpu_to_le16(count + extra);
	core->env->ops->put(core->env, &buf);
	err = node_free(core, node_child(parent, other));
	node_remove(parent, other);
	return err ? err : 1;
}

/* The root is a node with nothing, or only one child, below it. */
static int root_collapse(struct snapprot_core *core)
{
	struct snapprot_bounds bounds = { 0 };
	struct snapprot_buf buf;
	u64 child, old;
	u32 count;
	int err;

	for (;;) {
		err = snapprot_node_get(core, core->root, core->root_level,
					&bounds, &buf);
		if (err)
			return err;
		count = node_count(buf.data);
		child = node_child(buf.data, 0);
		core->env->ops->put(core->env, &buf);
		if (count > 1 || !core->root_level)
			return 0;
		old = core->root;
		core->root = child;
		core->root_level--;
		err = node_free(core, old);
		if (err)
			return err;
	}
}

/*
 * Bring the nodes above a leaf that lost entries into order. Those that have
 * become empty are the lowest of the way: joining leaves a parent with an entry.
 */
static int path_repair(struct snapprot_core *core, struct path *path)
{
	bool changed = true;
	u32 level;
	int err;

	for (level = 0; changed && level < path->top; level++) {
		struct snapprot_disk_node *parent =
			path->node[level + 1].buf.data;
		struct snapprot_disk_node *n = path->node[level].buf.data;

		if (node_count(n)) {
			err = node_merge(core, path, level);
			if (err < 0)
				return err;
			changed = err;
			continue;
		}
		node_remove(parent, path->node[level + 1].index);
		err = path_free(core, path);
		if (err)
			return err;
	}
	if (node_count(path->node[path->top].buf.data))
		return 0;
	core->root = 0;
	core->root_level = 0;
	return path_free(core, path);
}

/**
 * snapprot_index_prune() - remove entries of one leaf and free their places
 * @core: the store, in a checkpoint
 * @block: of a key of that leaf
 * @epoch: of the key
 * @mask: which entries of the leaf are to go
 *
 * Return: 0 or an error.
 */
int snapprot_index_prune(struct snapprot_core *core, u64 block, u32 epoch,
			 const struct snapprot_mask *mask)
{
	struct path path;
	int err;

	err = path_get(core, block, epoch, &path);
	if (!err)
		err = leaf_prune(core, path.node[0].buf.data, mask);
	if (!err)
		err = path_repair(core, &path);
	path_put(core, &path);
	if (!err && core->root)
		err = root_collapse(core);
	return err;
}
