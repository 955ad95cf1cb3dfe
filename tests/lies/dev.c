// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>

#include "dev.h"

/* ---- blobs -------------------------------------------------------------- */

struct blob blob_zero = { .refs = 1 };
static struct blob *blob_free_list;

struct blob *blob_new(const void *data)
{
	struct blob *b = blob_free_list;

	if (b)
		memcpy(&blob_free_list, b->data, sizeof(blob_free_list));
	else
		b = malloc(sizeof(*b));
	b->refs = 1;
	b->version = 0;
	b->ok_magic = 0;
	if (data)
		memcpy(b->data, data, BLOCK);
	return b;
}

void blob_put(struct blob *b)
{
	if (!b || --b->refs)
		return;
	memcpy(b->data, &blob_free_list, sizeof(blob_free_list));
	blob_free_list = b;
}

static void blob_set(struct blob **slot, struct blob *b)
{
	struct blob *was = *slot;

	*slot = b ? blob_get(b) : NULL;
	blob_put(was);
}

/* ---- devices ------------------------------------------------------------ */

struct dev *dev_new(struct world *w, u64 blocks)
{
	struct dev *d = calloc(1, sizeof(*d));

	d->w = w;
	d->blocks = blocks;
	d->cur = calloc(blocks, sizeof(*d->cur));
	d->dur = calloc(blocks, sizeof(*d->dur));
	d->old = calloc(blocks, sizeof(*d->old));
	return d;
}

void dev_free(struct dev *d)
{
	u64 i;

	for (i = 0; i < d->blocks; i++) {
		blob_put(d->cur[i]);
		blob_put(d->dur[i]);
		blob_put(d->old[i]);
	}
	for (i = 0; i < d->nr_pending; i++)
		blob_put(d->pending[i].blob);
	free(d->cur);
	free(d->dur);
	free(d->old);
	free(d->pending);
	free(d->undo);
	free(d);
}

static struct blob **grown(struct blob **a, u64 from, u64 to)
{
	a = realloc(a, to * sizeof(*a));
	memset(a + from, 0, (to - from) * sizeof(*a));
	return a;
}

void dev_grow(struct dev *d, u64 blocks)
{
	d->cur = grown(d->cur, d->blocks, blocks);
	d->dur = grown(d->dur, d->blocks, blocks);
	d->old = grown(d->old, d->blocks, blocks);
	d->blocks = blocks;
}

static void event(struct dev *d)
{
	d->w->events++;
	if (d->w->event)
		d->w->event(d->w->ctx);
}

static void see(struct dev *d, u64 block, struct blob *b)
{
	if (d->cur[block] != b)
		blob_set(&d->old[block], d->cur[block] ? d->cur[block] :
							 &blob_zero);
	blob_set(&d->cur[block], b);
}

static void pend(struct dev *d, u64 block, struct blob *b)
{
	if (d->nr_pending == d->max_pending) {
		d->max_pending = d->max_pending * 2 + 64;
		d->pending = realloc(d->pending, d->max_pending *
						 sizeof(*d->pending));
	}
	d->pending[d->nr_pending].block = block;
	d->pending[d->nr_pending++].blob = blob_get(b);
}

/* Where a write goes that goes astray. */
static u64 elsewhere(struct dev *d, u64 block)
{
	u64 to = 0;

	switch (d->w->arg) {
	case PLACE_RANDOM:
		to = rng_below(&d->w->rng, d->blocks);
		break;
	case PLACE_NEXT:
		to = block + 1;
		break;
	case PLACE_GROUP:
		to = (block + (d->blocks > SNAPPROT_GROUP_BLOCKS ?
			       SNAPPROT_GROUP_BLOCKS : d->blocks / 2)) %
		     d->blocks;
		break;
	}
	/* Onto the other copy of a pair: that would be two lies. */
	if (d->twins && (to == d->twins - 1 - block || to == block))
		to = block ^ 64;
	return to == block ? block + 7 : to;
}

static struct blob *torn(const struct blob *was, const struct blob *b, u32 pieces)
{
	struct blob *t = blob_new(blob_data(was));

	memcpy(t->data, b->data, pieces * 512);
	return t;
}

static bool lies(struct dev *d, u64 n, u64 block)
{
	struct world *w = d->w;

	if (!w->armed || w->lied || n != w->at)
		return false;
	w->lied = true;
	w->lie_dev = d;
	w->lie_block = block;
	return true;
}

/* Should this write be lost, something plausible is there instead. */
static void note_over(struct dev *d, u64 n, u64 block, const struct blob *b)
{
	const struct snapprot_disk_header *h = (const void *)b->data;
	const struct blob *was = d->cur[block];
	struct world *w = d->w;

	if (!w->over || w->nr_over == w->max_over || !was || was->version ||
	    b->version || memcmp(was->data, b->data, 4))
		return;
	if (le32_to_cpu(h->magic) != SNAPPROT_MAGIC_NODE &&
	    le32_to_cpu(h->magic) != SNAPPROT_MAGIC_SNAPS)
		return;
	w->over[w->nr_over++] = n;
}

int dev_write(struct dev *d, u64 block, struct blob *b)
{
	struct world *w = d->w;
	u64 n = w->writes++;

	if (block >= d->blocks) {
		blob_put(b);
		return -EIO;
	}
	note_over(d, n, block, b);
	if (w->kind >= LIE_DROP && w->kind <= LIE_CACHE && lies(d, n, block)) {
		struct blob *t;

		switch (w->kind) {
		case LIE_TEAR:
			t = torn(d->cur[block], b, w->arg);
			blob_put(b);
			b = t;
			break;
		case LIE_PLACE:
			block = elsewhere(d, block);
			if (block < d->blocks)
				break;
			/* Behind the end: nowhere. */
			blob_put(b);
			event(d);
			return 0;
		case LIE_CACHE:
			see(d, block, b);
			blob_put(b);
			event(d);
			return 0;
		default:
			blob_put(b);
			event(d);
			return 0;
		}
	}
	see(d, block, b);
	pend(d, block, b);
	blob_put(b);
	event(d);
	return 0;
}

int dev_flush(struct dev *d)
{
	struct world *w = d->w;
	u64 n = w->flushes++;
	u32 i;

	if (w->kind == LIE_FLUSH && lies(d, n, 0)) {
		event(d);
		return 0;
	}
	for (i = 0; i < d->nr_pending; i++) {
		struct pending *p = &d->pending[i];

		blob_set(&d->dur[p->block], p->blob);
		blob_put(p->blob);
	}
	d->nr_pending = 0;
	event(d);
	return 0;
}

int dev_write_fua(struct dev *d, u64 block, const void *data)
{
	u32 before, i;
	int err;

	err = dev_flush(d);
	if (err)
		return err;
	before = d->nr_pending;
	err = dev_write(d, block, blob_new(data));
	if (!err && d->nr_pending > before) {
		struct pending *last = &d->pending[--d->nr_pending];

		blob_set(&d->dur[last->block], last->blob);
		/* Nothing older is written over it. */
		for (i = 0; i < d->nr_pending; i++)
			if (d->pending[i].block == last->block)
				blob_set(&d->pending[i].blob, last->blob);
		blob_put(last->blob);
	}
	event(d);
	return err;
}

const struct blob *dev_read(struct dev *d, u64 block)
{
	struct world *w = d->w;
	u64 n = w->reads++;

	if (block >= d->blocks)
		return NULL;
	if (w->kind == LIE_READ_EIO && lies(d, n, block))
		return NULL;
	if (w->kind == LIE_READ_OLD && lies(d, n, block))
		return d->old[block] ? d->old[block] : &blob_zero;
	return d->cur[block] ? d->cur[block] : &blob_zero;
}

/* The sector that is being written as the power fails may be anything afterwards. */
static void garble(struct blob *b, struct rng *rng)
{
	u8 *at = b->data + (rng_once_in(rng, 2) ? 0 : rng_below(rng, 8) * 512);
	u32 i;

	for (i = 0; i < 512; i++)
		at[i] = rng_next(rng);
}

void dev_cut(struct dev *d, enum cut how, struct rng *rng)
{
	u32 i, j;

	if (d->nr_pending > d->max_undo) {
		d->max_undo = d->nr_pending * 2;
		d->undo = realloc(d->undo, d->max_undo * sizeof(*d->undo));
	}
	d->nr_undo = 0;
	for (i = 0; how != CUT_NONE && i < d->nr_pending; i++) {
		struct pending *p = &d->pending[i];
		struct blob *to = p->blob;

		if (how == CUT_SOME || how == CUT_TORN) {
			u32 mode = how == CUT_TORN ? 6 : rng_below(rng, 8);

			if (mode < 3)
				continue;
			if (mode < 6) {
				blob_get(to);
			} else {
				to = blob_new(blob_data(d->dur[p->block]));
				for (j = 0; j < 8; j++)
					if (mode == 6 ? rng_once_in(rng, 2) :
							j < 3)
						memcpy(to->data + j * 512,
						       p->blob->data + j * 512,
						       512);
				if (how == CUT_TORN && i == d->nr_pending - 1)
					garble(to, rng);
			}
		} else {
			blob_get(to);
		}
		d->undo[d->nr_undo].block = p->block;
		d->undo[d->nr_undo++].blob = d->dur[p->block];
		d->dur[p->block] = to;
	}
}

void dev_uncut(struct dev *d)
{
	while (d->nr_undo) {
		struct pending *u = &d->undo[--d->nr_undo];

		blob_put(d->dur[u->block]);
		d->dur[u->block] = u->blob;
	}
}

void dev_crash(struct dev *d, enum cut how)
{
	u64 i;

	dev_cut(d, how, &d->w->rng);
	for (i = 0; i < d->nr_undo; i++)
		blob_put(d->undo[i].blob);
	d->nr_undo = 0;
	for (i = 0; i < d->nr_pending; i++)
		blob_put(d->pending[i].blob);
	d->nr_pending = 0;
	for (i = 0; i < d->blocks; i++)
		if (d->cur[i] != d->dur[i])
			blob_set(&d->cur[i], d->dur[i]);
}

/* ---- the writer's environment -------------------------------------------- */

struct cached {
	u64 block;
	u64 sum;
	u32 index;
	u32 holds;
	bool dirty, blank;
	u8 data[BLOCK] __attribute__((aligned(8)));
};

static struct wenv *wenv_of(struct snapprot_env *env)
{
	return (struct wenv *)((char *)env - offsetof(struct wenv, env));
}

static struct cached *cache_add(struct wenv *e, u64 block)
{
	struct cached *c = malloc(sizeof(*c));

	memset(c, 0, offsetof(struct cached, data));
	c->block = block;
	if (e->nr == e->max) {
		e->max = e->max * 2 + 64;
		e->list = realloc(e->list, e->max * sizeof(*e->list));
	}
	c->index = e->nr;
	e->list[e->nr++] = c;
	e->map[block] = c;
	return c;
}

static void cache_remove(struct wenv *e, struct cached *c)
{
	struct cached *last = e->list[--e->nr];

	e->list[c->index] = last;
	last->index = c->index;
	e->map[c->block] = NULL;
	free(c);
}

static int write_back(struct wenv *e, struct cached *c)
{
	c->dirty = false;
	return dev_write(e->dev, c->block, blob_new(c->data));
}

/* Of its own accord it writes back and forgets. */
static void idle(struct wenv *e)
{
	struct cached *c;

	if (!e->nr || !rng_once_in(&e->rng, 6))
		return;
	c = e->list[rng_below(&e->rng, e->nr)];
	if (c->dirty && !c->holds)
		write_back(e, c);
	else if (!c->holds && !c->blank)
		cache_remove(e, c);
}

static int hold(struct cached *c, struct snapprot_buf *buf)
{
	c->holds++;
	buf->data = c->data;
	buf->handle = c;
	return 0;
}

static int w_get(struct snapprot_env *env, u64 block, u32 magic, u64 sum,
		 struct snapprot_buf *buf)
{
	struct wenv *e = wenv_of(env);
	struct cached *c;

	if (block >= e->blocks)
		return -EIO;
	idle(e);
	c = e->map[block];
	if (!c) {
		const struct blob *b = dev_read(e->dev, block);
		int err;

		if (!b)
			return -EIO;
		err = snapprot_block_verify(&env->key, b->data, magic, block,
					    sum);
		if (err)
			return err;
		c = cache_add(e, block);
		memcpy(c->data, b->data, BLOCK);
		c->sum = sum;
	}
	if (c->sum != sum)
		return -EBADMSG;
	return hold(c, buf);
}

static int w_get_new(struct snapprot_env *env, u64 block,
		     struct snapprot_buf *buf)
{
	struct wenv *e = wenv_of(env);
	struct cached *c;

	if (block >= e->blocks)
		return -EIO;
	idle(e);
	c = e->map[block];
	if (!c)
		c = cache_add(e, block);
	memset(c->data, 0x5a, BLOCK);
	c->blank = true;
	return hold(c, buf);
}

/* What it is, going by its first bytes. A bitmap begins with zeros. */
static u32 magic_of(const u8 *data)
{
	const struct snapprot_disk_header *h = (const void *)data;

	return data[0] ? le32_to_cpu(h->magic) : SNAPPROT_MAGIC_BITMAP;
}

static void w_dirty(struct snapprot_env *env, struct snapprot_buf *buf, u64 sum)
{
	struct cached *c = buf->handle;

	/* The core writes nothing that it would not read. */
	if (snapprot_block_verify(&env->key, c->data, magic_of(c->data),
				  c->block, sum)) {
		printf("# a block that breaks the rules is written: %.4s, block %llu\n",
		       c->data, (unsigned long long)c->block);
		fflush(stdout);
		abort();
	}
	c->dirty = true;
	c->blank = false;
	c->sum = sum;
}

static void w_put(struct snapprot_env *env, struct snapprot_buf *buf)
{
	struct cached *c = buf->handle;
	struct wenv *e = wenv_of(env);

	buf->data = NULL;
	buf->handle = NULL;
	if (--c->holds)
		return;
	if (c->blank) {
		cache_remove(e, c);
		return;
	}
	if (c->dirty && rng_once_in(&e->rng, 8))
		write_back(e, c);
	if (!c->dirty && rng_once_in(&e->rng, 8))
		cache_remove(e, c);
}

static void w_forget(struct snapprot_env *env, u64 block)
{
	struct wenv *e = wenv_of(env);

	if (block < e->blocks && e->map[block])
		cache_remove(e, e->map[block]);
}

static void w_prefetch(struct snapprot_env *env, u64 block, u32 count)
{
}

static int w_commit(struct snapprot_env *env)
{
	struct wenv *e = wenv_of(env);
	u32 i, first = e->nr ? rng_below(&e->rng, e->nr) : 0;
	int err;

	for (i = 0; i < e->nr; i++) {
		struct cached *c = e->list[(first + i) % e->nr];

		err = c->dirty ? write_back(e, c) : 0;
		if (err)
			return err;
	}
	return dev_flush(e->dev);
}

static int w_read(struct snapprot_env *env, u64 block, u32 count, void *data)
{
	struct wenv *e = wenv_of(env);
	u32 i;

	for (i = 0; i < count; i++) {
		const struct blob *b = dev_read(e->dev, block + i);

		if (!b)
			return -EIO;
		memcpy((u8 *)data + (size_t)i * BLOCK, b->data, BLOCK);
	}
	return 0;
}

static int w_write(struct snapprot_env *env, u64 block, const void *data)
{
	return dev_write_fua(wenv_of(env)->dev, block, data);
}

/*
 * Memory of one load is that of the next: to have pages of zeros made anew for each
 * would take longer than the load. What is large is filled from its beginning, but for
 * hashes, which are powers of two.
 */
#define POOL_MIN	65536u
#define POOL_SIZES	32u

struct chunk {
	size_t size;
	struct chunk *next;
	u8 data[];
};

static struct {
	size_t size;
	struct chunk *free;
} pool[POOL_SIZES];

static void chunk_clear(struct chunk *c)
{
	size_t at, n;

	if (!(c->size & (c->size - 1))) {
		memset(c->data, 0, c->size);
		return;
	}
	for (at = 0; at < c->size; at += n) {
		n = snapprot_min(c->size - at, 16384);
		if (!c->data[at] && !memcmp(c->data + at, c->data + at + 1,
					    n - 1))
			break;
		memset(c->data + at, 0, n);
	}
}

static void *any_alloc(struct snapprot_env *env, size_t size)
{
	struct chunk *c;
	u32 i;

	for (i = 0; size >= POOL_MIN && i < POOL_SIZES; i++) {
		if (!pool[i].size)
			pool[i].size = size;
		if (pool[i].size != size)
			continue;
		c = pool[i].free;
		if (!c)
			break;
		pool[i].free = c->next;
		chunk_clear(c);
		return c->data;
	}
	c = calloc(1, sizeof(*c) + size);
	c->size = size;
	return c->data;
}

static void any_free(struct snapprot_env *env, void *p)
{
	struct chunk *c = p ? (struct chunk *)((u8 *)p - sizeof(*c)) : NULL;
	u32 i;

	if (!c)
		return;
	for (i = 0; c->size >= POOL_MIN && i < POOL_SIZES; i++) {
		if (pool[i].size != c->size)
			continue;
		c->next = pool[i].free;
		pool[i].free = c;
		return;
	}
	free(c);
}

static const struct snapprot_env_ops w_ops = {
	.get = w_get, .get_new = w_get_new, .dirty = w_dirty, .put = w_put,
	.forget = w_forget, .prefetch = w_prefetch, .commit = w_commit,
	.read = w_read, .write = w_write, .alloc = any_alloc, .free = any_free,
};

void wenv_init(struct wenv *e, struct dev *dev)
{
	memset(e, 0, sizeof(*e));
	e->env.ops = &w_ops;
	e->dev = dev;
	/* Room to grow. */
	e->map = calloc(dev->blocks + 4096, sizeof(*e->map));
	e->blocks = dev->blocks;
}

void wenv_drop(struct wenv *e)
{
	while (e->nr)
		cache_remove(e, e->list[e->nr - 1]);
}

void wenv_exit(struct wenv *e)
{
	wenv_drop(e);
	free(e->map);
	free(e->list);
}

/* ---- a reader's ------------------------------------------------------------ */

static struct renv *renv_of(struct snapprot_env *env)
{
	return (struct renv *)((char *)env - offsetof(struct renv, env));
}

const struct blob *renv_read(struct renv *r, u64 block)
{
	const struct blob *b;

	if (block >= r->blocks)
		return NULL;
	b = r->img[block] ? r->img[block] : &blob_zero;
	if (r->touched)
		r->touched[block] = 1;
	if (!r->kind || block != r->place)
		return b;
	switch (r->kind) {
	case LIE_EIO:
		return NULL;
	case LIE_OLD_ONCE:
		if (r->used)
			return b;
		break;
	default:
		break;
	}
	r->used = true;
	return r->fault ? r->fault : &blob_zero;
}

static int r_get(struct snapprot_env *env, u64 block, u32 magic, u64 sum,
		 struct snapprot_buf *buf)
{
	struct renv *r = renv_of(env);
	const struct blob *b;
	struct blob *memo;
	int err;

	if (block >= r->blocks)
		return -EIO;
	if (r->stamp[block] == r->now) {
		if (r->sum[block] != sum)
			return -EBADMSG;
		buf->data = (void *)r->got[block]->data;
		return 0;
	}
	b = renv_read(r, block);
	if (!b)
		return -EIO;
	memo = (struct blob *)b;
	if (memo->ok_magic != magic || memo->ok_place != block ||
	    memo->ok_sum != sum) {
		err = snapprot_block_verify(&env->key, b->data, magic, block,
					    sum);
		if (err)
			return err;
		memo->ok_magic = magic;
		memo->ok_place = block;
		memo->ok_sum = sum;
	}
	r->stamp[block] = r->now;
	r->sum[block] = sum;
	r->got[block] = b;
	buf->data = (void *)b->data;
	return 0;
}

static int r_get_new(struct snapprot_env *env, u64 block,
		     struct snapprot_buf *buf)
{
	return -EROFS;
}

static void r_dirty(struct snapprot_env *env, struct snapprot_buf *buf, u64 sum)
{
}

static void r_put(struct snapprot_env *env, struct snapprot_buf *buf)
{
	buf->data = NULL;
}

static void r_forget(struct snapprot_env *env, u64 block)
{
	struct renv *r = renv_of(env);

	if (block < r->blocks)
		r->stamp[block] = 0;
}

static int r_commit(struct snapprot_env *env)
{
	return -EROFS;
}

static int r_read(struct snapprot_env *env, u64 block, u32 count, void *data)
{
	struct renv *r = renv_of(env);
	u32 i;

	for (i = 0; i < count; i++) {
		const struct blob *b = renv_read(r, block + i);

		if (!b)
			return -EIO;
		memcpy((u8 *)data + (size_t)i * BLOCK, b->data, BLOCK);
	}
	return 0;
}

static int r_write(struct snapprot_env *env, u64 block, const void *data)
{
	return -EROFS;
}

static const struct snapprot_env_ops r_ops = {
	.get = r_get, .get_new = r_get_new, .dirty = r_dirty, .put = r_put,
	.forget = r_forget, .prefetch = w_prefetch, .commit = r_commit,
	.read = r_read, .write = r_write, .alloc = any_alloc, .free = any_free,
};

void renv_init(struct renv *r, u64 blocks)
{
	memset(r, 0, sizeof(*r));
	r->env.ops = &r_ops;
	r->max = blocks;
	r->stamp = calloc(blocks, sizeof(*r->stamp));
	r->sum = calloc(blocks, sizeof(*r->sum));
	r->got = calloc(blocks, sizeof(*r->got));
}

void renv_exit(struct renv *r)
{
	free(r->stamp);
	free(r->sum);
	free(r->got);
}

void renv_set(struct renv *r, struct blob **img, u64 blocks)
{
	r->img = img;
	r->blocks = blocks;
	r->kind = LIE_NONE;
	r->fault = NULL;
	r->used = false;
	r->now++;
}
