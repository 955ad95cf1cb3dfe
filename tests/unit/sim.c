// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>

#include "sim.h"

#define BLOCK	SNAPPROT_BLOCK_SIZE

struct sim_write {
	u64 block;
	u8 *data;
};

struct sim_cached {
	u64 block;
	u32 index;	/* in sim->cached */
	u32 holds;
	bool dirty;
	bool blank;	/* held by get_new and not yet dirty */
	u8 data[BLOCK];
};

static struct sim *sim_of(struct snapprot_env *env)
{
	return (struct sim *)((char *)env - offsetof(struct sim, env));
}

/* ---- device ------------------------------------------------------------ */

static void page_set(u8 **page, const void *data)
{
	if (!*page)
		*page = malloc(BLOCK);
	memcpy(*page, data, BLOCK);
}

/* One more step towards the end; true if that was the last. */
static bool burn(struct sim *sim)
{
	sim->ios++;
	if (sim->fuse > 0 && !--sim->fuse)
		sim->dead = true;
	return sim->dead;
}

int sim_write(struct sim *sim, u64 block, const void *data)
{
	struct sim_write *w;

	CHECK(block < sim->blocks);
	if (sim->dead)
		return -EIO;
	if (sim->nr_writes == sim->max_writes) {
		sim->max_writes = sim->max_writes * 2 + 64;
		sim->write = realloc(sim->write, sim->max_writes *
						 sizeof(*sim->write));
	}
	w = &sim->write[sim->nr_writes++];
	w->block = block;
	w->data = malloc(BLOCK);
	memcpy(w->data, data, BLOCK);
	page_set(&sim->current[block], data);
	return burn(sim) ? -EIO : 0;
}

int sim_flush(struct sim *sim)
{
	u32 i;

	if (sim->dead || burn(sim))
		return -EIO;
	for (i = 0; i < sim->nr_writes; i++) {
		page_set(&sim->durable[sim->write[i].block],
			 sim->write[i].data);
		free(sim->write[i].data);
	}
	sim->nr_writes = 0;
	return 0;
}

u8 *sim_block(struct sim *sim, u64 block)
{
	static const u8 zeros[BLOCK];

	CHECK(block < sim->blocks);
	if (!sim->current[block])
		page_set(&sim->current[block], zeros);
	return sim->current[block];
}

/* What a write leaves behind when the power fails. */
static void tear(struct sim *sim, struct sim_write *w)
{
	u32 mode = unit_below(3);
	u8 *page;
	u32 i;

	if (mode == 0)
		return;
	if (!sim->durable[w->block])
		sim->durable[w->block] = calloc(1, BLOCK);
	page = sim->durable[w->block];
	for (i = 0; i < BLOCK; i += 512)
		if (mode == 1 || unit_once_in(2))
			memcpy(page + i, w->data + i, 512);
}

void sim_crash(struct sim *sim)
{
	u32 i;

	sim_drop_cache(sim);
	for (i = 0; i < sim->nr_writes; i++)
		tear(sim, &sim->write[i]);
	for (i = 0; i < sim->nr_writes; i++) {
		u64 block = sim->write[i].block;

		if (sim->durable[block]) {
			page_set(&sim->current[block], sim->durable[block]);
		} else {
			free(sim->current[block]);
			sim->current[block] = NULL;
		}
		free(sim->write[i].data);
	}
	sim->nr_writes = 0;
	sim->dead = false;
	sim->fuse = -1;
}

/* ---- the environment --------------------------------------------------- */

static struct sim_cached *cache_add(struct sim *sim, u64 block)
{
	struct sim_cached *c = malloc(sizeof(*c));

	c->block = block;
	c->holds = 0;
	c->dirty = false;
	c->blank = false;
	if (sim->nr_cached == sim->max_cached) {
		sim->max_cached = sim->max_cached * 2 + 64;
		sim->cached = realloc(sim->cached, sim->max_cached *
						   sizeof(*sim->cached));
	}
	c->index = sim->nr_cached;
	sim->cached[sim->nr_cached++] = c;
	sim->cache[block] = c;
	return c;
}

static void cache_remove(struct sim *sim, struct sim_cached *c)
{
	struct sim_cached *last = sim->cached[--sim->nr_cached];

	sim->cached[c->index] = last;
	last->index = c->index;
	sim->cache[c->block] = NULL;
	free(c);
}

void sim_drop_cache(struct sim *sim)
{
	CHECK_EQ(sim->nr_held, 0);
	while (sim->nr_cached)
		cache_remove(sim, sim->cached[0]);
}

static int write_back(struct sim *sim, struct sim_cached *c)
{
	snapprot_block_seal(c->data);
	c->dirty = false;
	return sim_write(sim, c->block, c->data);
}

static int env_get(struct snapprot_env *env, u64 block, u32 magic,
		   struct snapprot_buf *buf)
{
	struct sim *sim = sim_of(env);
	struct sim_cached *c;
	int err;

	if (sim->dead || block >= sim->blocks)
		return -EIO;
	c = sim->cache[block];
	if (!c) {
		c = cache_add(sim, block);
		memcpy(c->data, sim_block(sim, block), BLOCK);
		err = snapprot_block_verify(c->data, magic, block);
		if (err) {
			cache_remove(sim, c);
			return err;
		}
	}
	c->holds++;
	sim->nr_held++;
	buf->data = c->data;
	buf->handle = c;
	return 0;
}

static int env_get_new(struct snapprot_env *env, u64 block,
		       struct snapprot_buf *buf)
{
	struct sim *sim = sim_of(env);
	struct sim_cached *c;

	CHECK(block < sim->blocks);
	if (sim->dead)
		return -EIO;
	c = sim->cache[block];
	if (!c)
		c = cache_add(sim, block);
	CHECK(!c->holds);
	memset(c->data, 0x5a, BLOCK);
	c->blank = true;
	c->holds++;
	sim->nr_held++;
	buf->data = c->data;
	buf->handle = c;
	return 0;
}

static void env_dirty(struct snapprot_env *env, struct snapprot_buf *buf)
{
	struct sim_cached *c = buf->handle;
	struct sim *sim = sim_of(env);

	CHECK(c->holds);
	c->dirty = true;
	c->blank = false;
	if (unit_once_in(16))
		write_back(sim, c);
}

static void env_put(struct snapprot_env *env, struct snapprot_buf *buf)
{
	struct sim_cached *c = buf->handle;
	struct sim *sim = sim_of(env);

	CHECK(c->holds);
	/* A change that dirty() was not told of would be lost. */
	if (!c->dirty && !c->blank && !sim->dead)
		CHECK(!memcmp(c->data, sim_block(sim, c->block), BLOCK));
	c->holds--;
	sim->nr_held--;
	if (c->holds)
		return;
	if (c->dirty && unit_once_in(8))
		write_back(sim, c);
	if (!c->dirty && unit_once_in(8))
		cache_remove(sim, c);
}

static void env_forget(struct snapprot_env *env, u64 block)
{
	struct sim *sim = sim_of(env);
	struct sim_cached *c = sim->cache[block];

	if (!c)
		return;
	CHECK(!c->holds);
	if (!c->dirty)
		cache_remove(sim, c);
}

static int env_commit(struct snapprot_env *env)
{
	struct sim *sim = sim_of(env);
	u32 i, first;
	int err;

	/* In any order. */
	first = sim->nr_cached ? unit_below(sim->nr_cached) : 0;
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

	if (sim->dead || block + count > sim->blocks)
		return -EIO;
	sim->reads += count;
	for (i = 0; i < count; i++)
		memcpy((u8 *)data + i * BLOCK, sim_block(sim, block + i),
		       BLOCK);
	return 0;
}

static int env_write(struct snapprot_env *env, u64 block, const void *data)
{
	struct sim *sim = sim_of(env);
	u32 last;
	int err;

	err = sim_flush(sim);
	if (err)
		return err;
	err = sim_write(sim, block, data);
	if (err)
		return err;
	last = --sim->nr_writes;
	page_set(&sim->durable[block], sim->write[last].data);
	free(sim->write[last].data);
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

	sim->env.ops = &sim_ops;
	sim->blocks = blocks;
	sim->current = calloc(blocks, sizeof(*sim->current));
	sim->durable = calloc(blocks, sizeof(*sim->durable));
	sim->cache = calloc(blocks, sizeof(*sim->cache));
	sim->fuse = -1;
	sim->alloc_fuse = -1;
	return sim;
}

void sim_free(struct sim *sim)
{
	u64 i;

	sim_drop_cache(sim);
	for (i = 0; i < sim->nr_writes; i++)
		free(sim->write[i].data);
	for (i = 0; i < sim->blocks; i++) {
		free(sim->current[i]);
		free(sim->durable[i]);
	}
	free(sim->write);
	free(sim->cached);
	free(sim->cache);
	free(sim->current);
	free(sim->durable);
	free(sim);
}

static void *array_resize(void *array, u64 old, u64 new)
{
	char *p = realloc(array, new * sizeof(void *));

	if (new > old)
		memset(p + old * sizeof(void *), 0,
		       (new - old) * sizeof(void *));
	return p;
}

void sim_resize(struct sim *sim, u64 blocks)
{
	long fuse = sim->fuse;
	u64 i;

	sim->fuse = -1;
	CHECK(!sim_flush(sim));
	sim->fuse = fuse;
	for (i = blocks; i < sim->blocks; i++) {
		CHECK(!sim->cache[i]);
		free(sim->current[i]);
		free(sim->durable[i]);
	}
	sim->current = array_resize(sim->current, sim->blocks, blocks);
	sim->durable = array_resize(sim->durable, sim->blocks, blocks);
	sim->cache = array_resize(sim->cache, sim->blocks, blocks);
	sim->blocks = blocks;
}

struct sim *sim_clone(struct sim *sim)
{
	struct sim *copy = sim_new(sim->blocks);
	u64 i;

	for (i = 0; i < sim->blocks; i++) {
		if (sim->current[i])
			page_set(&copy->current[i], sim->current[i]);
	}
	return copy;
}
