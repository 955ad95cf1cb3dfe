// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>

#include "property.h"
#include "sim.h"

#define BLOCK	SNAPPROT_BLOCK_SIZE

/* A block of the device that was written, or is cached, or has been looked at. */
struct sim_page {
	struct sim_page *next;
	u64 block;
	u8 *current;			/* NULL: never written, reads as zeros */
	u8 *durable;
	u8 *older;			/* what current was before */
	struct sim_cached *cached;
	bool broken;			/* cannot be read */
};

struct sim_write {
	u64 block;
	u8 *data;
};

/**
 * struct sim_cached - a block of the environment's cache
 * @wait: get() has to be called so often until it is there
 * @wanted: get() said -EAGAIN for it, so it is kept until somebody has got it
 * @read: it was read and not verified yet, @sum is not known
 * @blank: held by get_new and not yet dirty
 * @was: what it was when it became dirty, as it must be when it is written
 */
struct sim_cached {
	struct sim_page *page;
	u64 sum;
	u32 index;			/* in sim->cached */
	u32 holds;
	u32 wait;
	bool wanted;
	bool read;
	bool dirty;
	bool blank;
	u8 *was;
	u8 data[BLOCK];
};

static const u8 zeros[BLOCK];

static struct sim *sim_of(struct snapprot_env *env)
{
	return (struct sim *)((char *)env - offsetof(struct sim, env));
}

/* ---- pages ------------------------------------------------------------- */

static u32 bucket_of(const struct sim *sim, u64 block)
{
	return (block * 0x9e3779b97f4a7c15ull >> 32) & (sim->page_buckets - 1);
}

static struct sim_page *page_find(const struct sim *sim, u64 block)
{
	struct sim_page *p = sim->page[bucket_of(sim, block)];

	while (p && p->block != block)
		p = p->next;
	return p;
}

static void pages_rehash(struct sim *sim)
{
	struct sim_page **old = sim->page;
	u32 i, count = sim->page_buckets;

	sim->page_buckets *= 4;
	sim->page = calloc(sim->page_buckets, sizeof(*sim->page));
	for (i = 0; i < count; i++) {
		while (old[i]) {
			struct sim_page *p = old[i];
			u32 to = bucket_of(sim, p->block);

			old[i] = p->next;
			p->next = sim->page[to];
			sim->page[to] = p;
		}
	}
	free(old);
}

/* The page of a block; made if it is not there. */
static struct sim_page *page_get(struct sim *sim, u64 block)
{
	struct sim_page *p = page_find(sim, block);
	u32 to;

	if (p)
		return p;
	if (sim->nr_pages++ > 2 * sim->page_buckets)
		pages_rehash(sim);
	to = bucket_of(sim, block);
	p = calloc(1, sizeof(*p));
	p->block = block;
	p->next = sim->page[to];
	sim->page[to] = p;
	return p;
}

static void page_free(struct sim_page *p)
{
	free(p->current);
	free(p->durable);
	free(p->older);
	free(p);
}

static void page_set(u8 **data, const void *from)
{
	if (!*data)
		*data = malloc(BLOCK);
	memcpy(*data, from, BLOCK);
}

static const u8 *page_current(const struct sim_page *p)
{
	return p && p->current ? p->current : zeros;
}

u8 *sim_block(struct sim *sim, u64 block)
{
	struct sim_page *p;

	CHECK(block < sim->blocks);
	p = page_get(sim, block);
	if (!p->current)
		page_set(&p->current, zeros);
	return p->current;
}

const u8 *sim_peek(const struct sim *sim, u64 block)
{
	CHECK(block < sim->blocks);
	return page_current(page_find(sim, block));
}

const u8 *sim_older(const struct sim *sim, u64 block)
{
	struct sim_page *p = page_find(sim, block);

	return p ? p->older : NULL;
}

bool sim_written(const struct sim *sim, u64 block)
{
	struct sim_page *p = page_find(sim, block);

	return p && p->current;
}

void sim_break(struct sim *sim, u64 block, bool broken)
{
	page_get(sim, block)->broken = broken;
}

static int cmp_u64(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

u64 *sim_all(const struct sim *sim, u32 *count)
{
	u64 *all = malloc((sim->nr_pages + 1) * sizeof(*all));
	struct sim_page *p;
	u32 i;

	*count = 0;
	for (i = 0; i < sim->page_buckets; i++)
		for (p = sim->page[i]; p; p = p->next)
			if (p->current)
				all[(*count)++] = p->block;
	qsort(all, *count, sizeof(*all), cmp_u64);
	return all;
}

/* ---- device ------------------------------------------------------------ */

/* One more step towards the end; true if that was the last. */
static bool burn(struct sim *sim)
{
	sim->ios++;
	if (sim->fuse > 0 && !--sim->fuse)
		sim->dead = true;
	return sim->dead;
}

static void count_write(struct sim *sim, u64 block)
{
	sim->writes++;
	if (block != sim->last_write + 1)
		sim->write_pieces++;
	sim->last_write = block;
}

int sim_write(struct sim *sim, u64 block, const void *data)
{
	struct sim_page *p;
	struct sim_write *w;

	CHECK(block < sim->blocks);
	if (sim->dead)
		return -EIO;
	if (sim->may_write && !sim->may_write(sim->may_write_ctx, block))
		unit_fail(__FILE__, __LINE__, "block %llu may not be written",
			  (unsigned long long)block);
	count_write(sim, block);
	if (block == sim->watch && block)
		property_say("block %llu is written", (unsigned long long)block);
	if (sim->nr_writes == sim->max_writes) {
		sim->max_writes = sim->max_writes * 2 + 64;
		sim->write = realloc(sim->write, sim->max_writes *
						 sizeof(*sim->write));
	}
	p = page_get(sim, block);
	w = &sim->write[sim->nr_writes++];
	w->block = block;
	w->data = malloc(BLOCK);
	memcpy(w->data, data, BLOCK);
	if (p->current && memcmp(p->current, data, BLOCK)) {
		free(p->older);
		p->older = p->current;
		p->current = NULL;
	}
	page_set(&p->current, data);
	p->broken = false;
	return burn(sim) ? -EIO : 0;
}

int sim_flush(struct sim *sim)
{
	u32 i;

	if (sim->dead || burn(sim))
		return -EIO;
	sim->flushes++;
	for (i = 0; i < sim->nr_writes; i++) {
		struct sim_page *p = page_get(sim, sim->write[i].block);

		free(p->durable);
		p->durable = sim->write[i].data;
	}
	sim->nr_writes = 0;
	return 0;
}

/* What a write leaves behind when the power fails. */
static void tear(struct sim *sim, struct sim_write *w)
{
	struct sim_page *p = page_get(sim, w->block);
	u32 mode = unit_below(3);
	u32 i;

	if (mode == 0)
		return;
	if (!p->durable)
		p->durable = calloc(1, BLOCK);
	for (i = 0; i < BLOCK; i += 512)
		if (mode == 1 || unit_once_in(2))
			memcpy(p->durable + i, w->data + i, 512);
}

void sim_crash(struct sim *sim)
{
	u32 i;

	sim_drop_cache(sim);
	for (i = 0; i < sim->nr_writes; i++)
		tear(sim, &sim->write[i]);
	for (i = 0; i < sim->nr_writes; i++) {
		struct sim_page *p = page_get(sim, sim->write[i].block);

		if (p->durable) {
			page_set(&p->current, p->durable);
		} else {
			free(p->current);
			p->current = NULL;
		}
		free(sim->write[i].data);
	}
	sim->nr_writes = 0;
	sim->dead = false;
	sim->fuse = -1;
}

/* ---- the cache --------------------------------------------------------- */

static struct sim_cached *cache_add(struct sim *sim, u64 block)
{
	struct sim_cached *c = malloc(sizeof(*c));

	memset(c, 0, offsetof(struct sim_cached, data));
	c->page = page_get(sim, block);
	if (sim->nr_cached == sim->max_cached) {
		sim->max_cached = sim->max_cached * 2 + 64;
		sim->cached = realloc(sim->cached, sim->max_cached *
						   sizeof(*sim->cached));
	}
	c->index = sim->nr_cached;
	sim->cached[sim->nr_cached++] = c;
	c->page->cached = c;
	return c;
}

static void cache_remove(struct sim *sim, struct sim_cached *c)
{
	struct sim_cached *last = sim->cached[--sim->nr_cached];

	sim->cached[c->index] = last;
	last->index = c->index;
	c->page->cached = NULL;
	free(c->was);
	free(c);
}

static struct sim_cached *cache_find(const struct sim *sim, u64 block)
{
	struct sim_page *p = page_find(sim, block);

	return p ? p->cached : NULL;
}

void sim_drop_cache(struct sim *sim)
{
	CHECK_EQ(sim->nr_held, 0);
	while (sim->nr_cached)
		cache_remove(sim, sim->cached[sim->nr_cached - 1]);
}

/* Nobody has changed what is complete. */
static void check_unchanged(struct sim *sim, struct sim_cached *c)
{
	if (c->dirty)
		CHECK(!memcmp(c->data, c->was, BLOCK));
	else if (!c->blank && !c->wait && !sim->dead)
		CHECK(!memcmp(c->data, page_current(c->page), BLOCK));
}

static int write_back(struct sim *sim, struct sim_cached *c)
{
	check_unchanged(sim, c);
	c->dirty = false;
	free(c->was);
	c->was = NULL;
	return sim_write(sim, c->page->block, c->data);
}

/* Let go of a block, if that is allowed. */
static void cache_evict(struct sim *sim, struct sim_cached *c)
{
	if (c->holds || c->dirty || c->blank || (c->wanted && !sim->dead))
		return;
	cache_remove(sim, c);
}

/*
 * Once in how many times it lets go of something. Whoever needs many blocks at once
 * without waiting must get them together some time.
 */
static u32 eager(const struct sim *sim)
{
	return sim->async ? 256 : 8;
}

/* The environment does something of its own accord. */
static void idle(struct sim *sim)
{
	struct sim_cached *c;

	if (!sim->lazy || !sim->nr_cached || sim->dead ||
	    !unit_once_in(eager(sim)))
		return;
	c = sim->cached[unit_below(sim->nr_cached)];
	if (c->dirty)
		write_back(sim, c);
	else
		cache_evict(sim, c);
}

static void cache_read(struct sim *sim, struct sim_cached *c)
{
	memcpy(c->data, page_current(c->page), BLOCK);
	c->read = true;
}

/* ---- the environment --------------------------------------------------- */

static int hold(struct sim *sim, struct sim_cached *c, struct snapprot_buf *buf)
{
	c->holds++;
	sim->nr_held++;
	buf->data = c->data;
	buf->handle = c;
	return 0;
}

/* Is it there, or does it take longer? */
static int arrive(struct sim *sim, struct sim_cached *c)
{
	if (!c->wait)
		return 0;
	if (--c->wait && sim->async) {
		c->wanted = true;
		sim->waits++;
		return -EAGAIN;
	}
	c->wait = 0;
	cache_read(sim, c);
	return 0;
}

static int env_get(struct snapprot_env *env, u64 block, u32 magic, u64 sum,
		   struct snapprot_buf *buf)
{
	struct sim *sim = sim_of(env);
	struct sim_cached *c;
	int err;

	if (sim->dead || block >= sim->blocks)
		return -EIO;
	idle(sim);
	c = cache_find(sim, block);
	if (!c) {
		c = cache_add(sim, block);
		c->wait = 1;
		if (sim->async)
			c->wait = 2 + (unit_once_in(3) ? unit_below(4) : 0);
		sim->reads++;
		sim->read_pieces++;
	}
	err = arrive(sim, c);
	if (err)
		return err;
	c->wanted = false;
	if (c->page->broken && c->read) {
		cache_remove(sim, c);
		return -EIO;
	}
	CHECK(!c->blank);
	if (c->read) {
		u64 has = sum;

		if (sim->trusting)
			has = snapprot_block_sum(&env->key, c->data, magic,
						 block);
		err = snapprot_block_verify(&env->key, c->data, magic, block,
					    has);
		if (err) {
			cache_remove(sim, c);
			return err;
		}
		c->read = false;
		c->sum = sum;
	}
	if (c->sum != sum)
		return -EBADMSG;
	return hold(sim, c, buf);
}

static int env_get_new(struct snapprot_env *env, u64 block,
		       struct snapprot_buf *buf)
{
	struct sim *sim = sim_of(env);
	struct sim_cached *c;

	CHECK(block < sim->blocks);
	if (sim->dead)
		return -EIO;
	idle(sim);
	c = cache_find(sim, block);
	if (!c)
		c = cache_add(sim, block);
	CHECK(!c->holds);
	/* What is complete does not change any more. */
	CHECK(!c->dirty);
	memset(c->data, 0x5a, BLOCK);
	c->wait = 0;
	c->wanted = false;
	c->read = false;
	c->blank = true;
	return hold(sim, c, buf);
}

/* What it is, going by its first bytes. */
static u32 magic_of(const u8 *data)
{
	const struct snapprot_disk_header *h = (const void *)data;

	/* A bitmap begins with the bits of blocks that are fixed: zeros. */
	return data[0] ? le32_to_cpu(h->magic) : SNAPPROT_MAGIC_BITMAP;
}

static void env_dirty(struct snapprot_env *env, struct snapprot_buf *buf,
		      u64 sum)
{
	struct sim_cached *c = buf->handle;
	struct sim *sim = sim_of(env);

	CHECK(c->holds);
	CHECK(c->blank);
	CHECK_EQ(snapprot_block_verify(&env->key, c->data, magic_of(c->data),
				       c->page->block, sum), 0);
	c->dirty = true;
	c->blank = false;
	c->sum = sum;
	page_set(&c->was, c->data);
	if (sim->lazy && unit_once_in(16))
		write_back(sim, c);
}

static void env_put(struct snapprot_env *env, struct snapprot_buf *buf)
{
	struct sim_cached *c = buf->handle;
	struct sim *sim = sim_of(env);

	CHECK(c->holds);
	check_unchanged(sim, c);
	c->holds--;
	sim->nr_held--;
	buf->data = NULL;
	buf->handle = NULL;
	if (c->holds)
		return;
	if (c->blank) {
		cache_remove(sim, c);
		return;
	}
	if (sim->lazy && c->dirty && unit_once_in(8))
		write_back(sim, c);
	if (sim->lazy && !c->dirty && unit_once_in(eager(sim)))
		cache_remove(sim, c);
	idle(sim);
}

static void env_forget(struct snapprot_env *env, u64 block)
{
	struct sim_cached *c = cache_find(sim_of(env), block);

	if (!c)
		return;
	CHECK(!c->holds);
	/* Nor may it be written any more: the block may have a new owner soon. */
	cache_remove(sim_of(env), c);
}

static void env_prefetch(struct snapprot_env *env, u64 block, u32 count)
{
	struct sim *sim = sim_of(env);
	u64 last = block;
	u32 i;

	for (i = 0; i < count && block + i < sim->blocks; i++) {
		struct sim_cached *c;

		/* A hint may be heard or not. */
		if (cache_find(sim, block + i) ||
		    (sim->lazy && unit_once_in(4)))
			continue;
		c = cache_add(sim, block + i);
		c->wait = sim->async ? 1 + unit_below(4) : 1;
		sim->reads++;
		if (!i || last + 1 != block + i)
			sim->read_pieces++;
		last = block + i;
	}
}

static int cmp_cached(const void *a, const void *b)
{
	const struct sim_cached *x = *(struct sim_cached *const *)a;
	const struct sim_cached *y = *(struct sim_cached *const *)b;

	return x->page->block < y->page->block ? -1 : 1;
}

static int env_commit(struct snapprot_env *env)
{
	struct sim *sim = sim_of(env);
	u32 i, first = 0;
	int err;

	if (sim->dead)
		return -EIO;
	/* In the order of places, or in any. */
	if (sim->nr_cached && !sim->lazy) {
		qsort(sim->cached, sim->nr_cached, sizeof(*sim->cached),
		      cmp_cached);
		for (i = 0; i < sim->nr_cached; i++)
			sim->cached[i]->index = i;
	} else if (sim->nr_cached) {
		first = unit_below(sim->nr_cached);
	}
	for (i = 0; i < sim->nr_cached; i++) {
		struct sim_cached *c =
			sim->cached[(first + i) % sim->nr_cached];

		if (!c->dirty)
			continue;
		err = write_back(sim, c);
		if (err)
			return err;
	}
	return sim_flush(sim);
}

static int env_read(struct snapprot_env *env, u64 block, u32 count, void *data)
{
	struct sim *sim = sim_of(env);
	u32 i;

	if (sim->dead || block >= sim->blocks || count > sim->blocks - block)
		return -EIO;
	sim->reads += count;
	sim->read_pieces++;
	for (i = 0; i < count; i++) {
		const struct sim_page *p = page_find(sim, block + i);

		if (p && p->broken)
			return -EIO;
		memcpy((u8 *)data + (size_t)i * BLOCK, page_current(p), BLOCK);
	}
	return 0;
}

static int env_write(struct snapprot_env *env, u64 block, const void *data)
{
	struct sim *sim = sim_of(env);
	struct sim_page *p;
	int err;

	err = sim_flush(sim);
	if (err)
		return err;
	err = sim_write(sim, block, data);
	if (err)
		return err;
	p = page_get(sim, block);
	free(p->durable);
	p->durable = sim->write[--sim->nr_writes].data;
	return 0;
}

static void *env_alloc(struct snapprot_env *env, size_t size)
{
	struct sim *sim = sim_of(env);

	if (!sim->alloc_fuse)
		return NULL;
	if (sim->alloc_fuse > 0)
		sim->alloc_fuse--;
	return calloc(1, size);
}

static void env_free(struct snapprot_env *env, void *p)
{
	free(p);
}

static const struct snapprot_env_ops sim_ops = {
	.get = env_get,
	.get_new = env_get_new,
	.dirty = env_dirty,
	.put = env_put,
	.forget = env_forget,
	.prefetch = env_prefetch,
	.commit = env_commit,
	.read = env_read,
	.write = env_write,
	.alloc = env_alloc,
	.free = env_free,
};

/* ---- making and ending ------------------------------------------------- */

struct sim *sim_new(u64 blocks)
{
	struct sim *sim = calloc(1, sizeof(*sim));
	const char *watch = getenv("WATCH");

	sim->env.ops = &sim_ops;
	sim->blocks = blocks;
	sim->page_buckets = 1024;
	sim->page = calloc(sim->page_buckets, sizeof(*sim->page));
	sim->fuse = -1;
	sim->alloc_fuse = -1;
	sim->lazy = true;
	sim->watch = watch ? strtoull(watch, NULL, 0) : 0;
	return sim;
}

void sim_free(struct sim *sim)
{
	u32 i;

	sim_drop_cache(sim);
	for (i = 0; i < sim->nr_writes; i++)
		free(sim->write[i].data);
	for (i = 0; i < sim->page_buckets; i++) {
		while (sim->page[i]) {
			struct sim_page *p = sim->page[i];

			sim->page[i] = p->next;
			page_free(p);
		}
	}
	free(sim->write);
	free(sim->cached);
	free(sim->page);
	free(sim);
}

void sim_resize(struct sim *sim, u64 blocks)
{
	long fuse = sim->fuse;
	u32 i;

	sim->fuse = -1;
	CHECK(!sim_flush(sim));
	sim->fuse = fuse;
	for (i = 0; i < sim->page_buckets; i++) {
		struct sim_page **at = &sim->page[i];

		while (*at) {
			struct sim_page *p = *at;

			if (p->block < blocks) {
				at = &p->next;
				continue;
			}
			CHECK(!p->cached);
			*at = p->next;
			page_free(p);
			sim->nr_pages--;
		}
	}
	sim->blocks = blocks;
}

struct sim *sim_clone(struct sim *sim)
{
	struct sim *copy = sim_new(sim->blocks);
	struct sim_page *p, *to;
	u32 i;

	copy->env = sim->env;
	copy->async = sim->async;
	copy->lazy = sim->lazy;
	for (i = 0; i < sim->page_buckets; i++) {
		for (p = sim->page[i]; p; p = p->next) {
			if (!p->current)
				continue;
			to = page_get(copy, p->block);
			page_set(&to->current, p->current);
			if (p->older)
				page_set(&to->older, p->older);
			to->broken = p->broken;
		}
	}
	return copy;
}
