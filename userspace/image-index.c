// SPDX-License-Identifier: GPL-2.0-only
/*
 * The index of a store that is not trusted: by its pointers, and where these
 * are broken by a search of all blocks.
 */
#include "image-internal.h"

/* ---- leaves ---------------------------------------------------------------- */

static int add_leaf(struct image *img, const struct image_leaf *leaf)
{
	struct image_leaf *leaves;
	u64 max;

	if (img->nr_leaves == img->max_leaves) {
		max = img->max_leaves ? 2 * img->max_leaves : 64;
		leaves = realloc(img->leaves, max * sizeof(*leaves));
		if (!leaves)
			return -ENOMEM;
		img->leaves = leaves;
		img->max_leaves = max;
	}
	img->leaves[img->nr_leaves++] = *leaf;
	return 0;
}

static void describe_leaf(struct image_leaf *leaf, u64 place,
			  const struct snapprot_disk_node *n)
{
	leaf->place = place;
	leaf->block = le64_to_cpu(n->entry[0].block);
	leaf->epoch = le32_to_cpu(n->entry[0].epoch);
	leaf->count = le16_to_cpu(n->count);
}

/* Rules of a leaf's entries that need the store's sizes. */
static bool leaf_ok(const struct image *img, const struct snapprot_disk_node *n)
{
	struct snapprot_entry e;
	u32 i;

	for (i = 0; i < le16_to_cpu(n->count); i++) {
		snapprot_entry_decode(&e, &n->entry[i]);
		if (e.block >= img->origin_blocks || !e.epoch ||
		    e.epoch > le32_to_cpu(img->super->epoch) ||
		    !snapprot_place_ok(img->blocks, e.place))
			return false;
	}
	return true;
}

/* ---- by the pointers --------------------------------------------------------- */

/**
 * struct range - keys that may be in a subtree
 * @block: smallest
 * @epoch: the same
 * @end_block: first that may not; ~0 for no end
 * @end_epoch: the same
 */
struct range {
	u64 block;
	u32 epoch;
	u64 end_block;
	u32 end_epoch;
};

static bool node_fits(const struct image *img,
		      const struct snapprot_disk_node *n, u32 level,
		      const struct range *r)
{
	u32 count = le16_to_cpu(n->count);
	const struct snapprot_disk_entry *first = &n->entry[0];
	const struct snapprot_disk_entry *last = &n->entry[count - 1];

	if (le16_to_cpu(n->level) != level ||
	    le64_to_cpu(n->h.seq) > le64_to_cpu(img->super->ckpt_seq))
		return false;
	/* The first key of an inner node is no more than a lower bound. */
	if (!level && snapprot_key_cmp(le64_to_cpu(first->block),
				       le32_to_cpu(first->epoch),
				       r->block, r->epoch) < 0)
		return false;
	if (snapprot_key_cmp(le64_to_cpu(last->block), le32_to_cpu(last->epoch),
			     r->end_block, r->end_epoch) >= 0)
		return false;
	return level || leaf_ok(img, n);
}

static int walk_node(struct image *img, u64 place, u32 level,
		     const struct range *r);

static int walk_children(struct image *img, const struct snapprot_disk_node *n,
			 u32 level, const struct range *r)
{
	u32 i, count = le16_to_cpu(n->count);
	struct range child;
	int err = 0;

	for (i = 0; i < count && !err; i++) {
		child = *r;
		if (i) {
			child.block = le64_to_cpu(n->entry[i].block);
			child.epoch = le32_to_cpu(n->entry[i].epoch);
		}
		if (i + 1 < count) {
			child.end_block = le64_to_cpu(n->entry[i + 1].block);
			child.end_epoch = le32_to_cpu(n->entry[i + 1].epoch);
		}
		err = walk_node(img, le64_to_cpu(n->entry[i].place), level - 1,
				&child);
	}
	return err;
}

/* -ENOMEM ends the walk; damage does not. */
static int walk_node(struct image *img, u64 place, u32 level,
		     const struct range *r)
{
	const struct snapprot_disk_node *n;
	struct image_leaf leaf;
	struct snapprot_buf buf;
	int err;

	err = image_get(img, place, SNAPPROT_MAGIC_NODE, &buf);
	if (err == -ENOMEM)
		return err;
	if (err) {
		img->index_ok = false;
		image_damage(img, place, "node of the index");
		return 0;
	}
	n = buf.data;
	/* Pointers that lead to a node twice would make the walk endless. */
	if (img->nr_nodes >= le64_to_cpu(img->super->nr_nodes) ||
	    !node_fits(img, n, level, r)) {
		img->index_ok = false;
		image_damage(img, place,
			     "node of the index that is out of place");
	} else {
		img->nr_nodes++;
		image_found(img, place, level ? "node" : "leaf");
		if (level) {
			err = walk_children(img, n, level, r);
		} else {
			describe_leaf(&leaf, place, n);
			err = add_leaf(img, &leaf);
		}
	}
	image_put(img, &buf);
	return err;
}

int image_open_index(struct image *img)
{
	const struct snapprot_disk_super *s = img->super;
	static const struct range all = { 0, 0, ~(u64)0, ~(u32)0 };
	u64 i, entries = 0;
	int err;

	img->index_ok = true;
	if (!s->root)
		return 0;
	err = walk_node(img, le64_to_cpu(s->root), le32_to_cpu(s->root_level),
			&all);
	for (i = 0; i < img->nr_leaves; i++)
		entries += img->leaves[i].count;
	if (!err && img->index_ok &&
	    (img->nr_nodes != le64_to_cpu(s->nr_nodes) ||
	     entries != le64_to_cpu(s->nr_entries))) {
		img->index_ok = false;
		image_damage(img, le64_to_cpu(s->root),
			     "index with another count than the superblock's");
	}
	return err;
}

/* ---- by searching ------------------------------------------------------------- */

#define CHUNK_BLOCKS	256u

/**
 * struct found_leaf - a leaf that may belong to the index
 * @leaf: as usual
 * @last_block: its last key
 * @last_epoch: the same
 */
struct found_leaf {
	struct image_leaf leaf;
	u64 last_block;
	u32 last_epoch;
};

/**
 * struct search - a search of all blocks
 * @bits: which blocks of @group are in use
 * @bits_ok: @bits can be relied on
 * @leaves: found
 * @beyond: a header of the log behind the log's end, 0 none
 */
struct search {
	struct image *img;
	u64 group;
	u8 bits[SNAPPROT_GROUP_BLOCKS / 8];
	bool bits_ok;
	struct found_leaf *leaves;
	u64 nr_leaves;
	u64 max_leaves;
	u64 beyond;
};

static void *grow(void *array, u64 count, u64 *max, size_t size)
{
	u64 more;

	if (count < *max)
		return array;
	more = *max ? 2 * *max : 64;
	array = realloc(array, more * size);
	if (array)
		*max = more;
	return array;
}

static void enter_group(struct search *s, u64 group)
{
	struct snapprot_disk_bitmap bitmap;

	s->group = group;
	s->bits_ok = !image_read_bitmap(s->img, group, &bitmap);
	if (s->bits_ok)
		memcpy(s->bits, bitmap.bits, sizeof(s->bits));
}

static int note_leaf(struct search *s, u64 block,
		     const struct snapprot_disk_node *n)
{
	const struct snapprot_disk_entry *last;
	struct found_leaf *leaves, *f;

	if (s->img->index_ok || n->level ||
	    snapprot_block_verify(n, SNAPPROT_MAGIC_NODE, block) ||
	    !image_ours(s->img, &n->h) || !leaf_ok(s->img, n) ||
	    le64_to_cpu(n->h.seq) > le64_to_cpu(s->img->super->ckpt_seq))
		return 0;
	if (s->group != snapprot_group_of(block))
		enter_group(s, snapprot_group_of(block));
	if (!s->bits_ok ||
	    !snapprot_bit_test(s->bits, snapprot_group_bit(block)))
		return 0;
	leaves = grow(s->leaves, s->nr_leaves, &s->max_leaves,
		      sizeof(*leaves));
	if (!leaves)
		return -ENOMEM;
	s->leaves = leaves;
	f = &leaves[s->nr_leaves++];
	describe_leaf(&f->leaf, block, n);
	last = &n->entry[f->leaf.count - 1];
	f->last_block = le64_to_cpu(last->block);
	f->last_epoch = le32_to_cpu(last->epoch);
	return 0;
}

/*
 * One that vouches for the step that is missing. Any other is of the same group,
 * and a crash leaves that as well.
 */
static void note_log(struct search *s, u64 block,
		     const struct snapprot_disk_log *l)
{
	if (!s->beyond && le64_to_cpu(l->h.seq) > s->img->log_seq &&
	    le64_to_cpu(l->durable_seq) >= s->img->log_seq &&
	    image_ours(s->img, &l->h) &&
	    !snapprot_block_verify(l, SNAPPROT_MAGIC_LOG, block))
		s->beyond = block;
}

static int look_at(struct search *s, u64 block, const void *data)
{
	const struct snapprot_disk_header *h = data;

	switch (le32_to_cpu(h->magic)) {
	case SNAPPROT_MAGIC_LOG:
		note_log(s, block, data);
		return 0;
	case SNAPPROT_MAGIC_NODE:
		return note_leaf(s, block, data);
	}
	return 0;
}

static int search_chunk(struct search *s, u64 block, u32 count, u8 *data)
{
	struct snapprot_env *env = &s->img->se->env;
	bool whole = !env->ops->read(env, block, count, data);
	u32 i;
	int err = 0;

	for (i = 0; i < count && !err; i++) {
		u8 *at = data + (size_t)i * SNAPPROT_BLOCK_SIZE;

		if (whole || !env->ops->read(env, block + i, 1, at))
			err = look_at(s, block + i, at);
	}
	return err;
}

static int search_blocks(struct search *s)
{
	struct snapprot_env *env = &s->img->se->env;
	u64 block, end = device_blocks(s->img->se->dev);
	u32 count;
	int err = 0;
	u8 *data;

	data = env->ops->alloc(env, CHUNK_BLOCKS * SNAPPROT_BLOCK_SIZE);
	if (!data)
		return -ENOMEM;
	for (block = 0; block < end && !err; block += count) {
		count = (u32)snapprot_min(end - block, CHUNK_BLOCKS);
		err = search_chunk(s, block, count, data);
	}
	env->ops->free(env, data);
	return err;
}

static int compare_leaves(const void *a, const void *b)
{
	const struct found_leaf *x = a, *y = b;

	return snapprot_key_cmp(x->leaf.block, x->leaf.epoch, y->leaf.block,
				y->leaf.epoch);
}

/* Are the leaves that were found all that the index had, each once? */
static bool leaves_complete(struct search *s)
{
	struct found_leaf *f = s->leaves;
	u64 i, entries = 0;

	if (!s->nr_leaves)
		return false;
	qsort(f, s->nr_leaves, sizeof(*f), compare_leaves);
	for (i = 0; i < s->nr_leaves; i++) {
		entries += f[i].leaf.count;
		if (i && snapprot_key_cmp(f[i - 1].last_block,
					  f[i - 1].last_epoch, f[i].leaf.block,
					  f[i].leaf.epoch) >= 0)
			return false;
	}
	return entries == le64_to_cpu(s->img->super->nr_entries);
}

static int take_leaves(struct search *s)
{
	struct image *img = s->img;
	u64 i;
	int err = 0;

	if (img->index_ok || !leaves_complete(s))
		return 0;
	img->nr_leaves = 0;
	for (i = 0; i < s->nr_leaves && !err; i++)
		err = add_leaf(img, &s->leaves[i].leaf);
	img->index_ok = !err;
	return err;
}

int image_search(struct image *img)
{
	struct search *s;
	int err;

	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->img = img;
	s->group = ~(u64)0;
	err = search_blocks(s);
	if (!err)
		err = take_leaves(s);
	if (!err && s->beyond) {
		img->log_ok = false;
		image_damage(img, s->beyond,
			     "step of the log behind the log's end");
	}
	free(s->leaves);
	free(s);
	return err;
}

/* ---- entries, index and log together --------------------------------------------- */

/**
 * struct merge - a walk in key order
 * @next: next entry of the log
 * @block: of the entry that was handed out last
 * @epoch: the same, 0 if there was none
 */
struct merge {
	struct image *img;
	int (*fn)(void *ctx, const struct snapprot_entry *e, u32 prev);
	void *ctx;
	u32 next;
	u64 block;
	u32 epoch;
};

static int hand_out(struct merge *m, const struct snapprot_entry *e)
{
	u32 prev = m->epoch && m->block == e->block ? m->epoch : 0;

	m->block = e->block;
	m->epoch = e->epoch;
	return m->fn(m->ctx, e, prev);
}

/* Entries of the log that come before @e; an equal one stands for it. */
static int hand_out_log(struct merge *m, const struct snapprot_entry *e,
			bool *replaced)
{
	const struct snapprot_entry *l;
	int order, err = 0;

	*replaced = false;
	while (m->next < m->img->nr_log && !err) {
		l = &m->img->log[m->next];
		order = e ? snapprot_key_cmp(l->block, l->epoch, e->block,
					     e->epoch) : -1;
		if (order > 0)
			break;
		if (!order)
			*replaced = true;
		m->next++;
		err = hand_out(m, l);
	}
	return err;
}

static int walk_leaf(struct merge *m, const struct image_leaf *leaf)
{
	const struct snapprot_disk_node *n;
	struct snapprot_entry e;
	struct snapprot_buf buf;
	bool replaced;
	int err;
	u32 i;

	/* It was sound when the image was opened. */
	err = image_get(m->img, leaf->place, SNAPPROT_MAGIC_NODE, &buf);
	if (err)
		return err;
	n = buf.data;
	for (i = 0; i < le16_to_cpu(n->count) && !err; i++) {
		snapprot_entry_decode(&e, &n->entry[i]);
		err = hand_out_log(m, &e, &replaced);
		if (!err && !replaced)
			err = hand_out(m, &e);
	}
	image_put(m->img, &buf);
	return err;
}

int image_walk(struct image *img,
	       int (*fn)(void *ctx, const struct snapprot_entry *e, u32 prev),
	       void *ctx)
{
	struct merge m = { .img = img, .fn = fn, .ctx = ctx };
	bool replaced;
	u64 i;
	int err;

	for (i = 0; i < img->nr_leaves; i++) {
		err = walk_leaf(&m, &img->leaves[i]);
		if (err)
			return err;
	}
	return hand_out_log(&m, NULL, &replaced);
}
