// SPDX-License-Identifier: GPL-2.0-only
/*
 * Metadata blocks of a store in memory, and the core's environment.
 *
 * dm-bufio would be the natural choice, but three promises ask for more than
 * it gives: I/O that is given up after io_timeout, errors as the device
 * returned them, and a limit of memory for each store.
 *
 * All of it is under store->lock, which is dropped only while dirty blocks
 * are written: nothing changes a block at that time, see core.h.
 */
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "snapprot.h"

/* A page, and which parts of it are blocks. */
struct cache_page {
	struct list_head list;		/* cache->room, if there is some */
	struct page *page;
	unsigned int blocks;
	DECLARE_BITMAP(taken, SNAPPROT_BLOCKS_PER_PAGE);
};

struct snapprot_cached {
	struct list_head list;		/* lru or dirty; empty while held clean */
	u64 block;
	struct cache_page *page;
	void *data;
	unsigned int holders;
	bool dirty;
};

static struct snapprot_store *to_store(struct snapprot_env *env)
{
	return container_of(env, struct snapprot_store, env);
}

void snapprot_cache_init(struct snapprot_cache *c, unsigned int kib)
{
	xa_init(&c->blocks);
	INIT_LIST_HEAD(&c->lru);
	INIT_LIST_HEAD(&c->dirty);
	INIT_LIST_HEAD(&c->room);
	c->broken = false;
	c->count = 0;
	c->nr_dirty = 0;
	c->max = kib >> (SNAPPROT_BLOCK_SHIFT - 10);
}

static struct cache_page *page_new(struct snapprot_cache *c, gfp_t gfp)
{
	struct cache_page *p = kzalloc(sizeof(*p), gfp);

	if (!p)
		return NULL;
	p->page = alloc_page(gfp);
	if (!p->page) {
		kfree(p);
		return NULL;
	}
	list_add(&p->list, &c->room);
	return p;
}

/* Memory for a block, in a page that has room, or in another one. */
static bool data_alloc(struct snapprot_cache *c, struct snapprot_cached *b,
		       gfp_t gfp)
{
	struct cache_page *p = list_first_entry_or_null(&c->room,
							struct cache_page,
							list);
	unsigned long n;

	if (!p)
		p = page_new(c, gfp);
	if (!p)
		return false;
	n = find_first_zero_bit(p->taken, SNAPPROT_BLOCKS_PER_PAGE);
	__set_bit(n, p->taken);
	p->blocks++;
	if (bitmap_full(p->taken, SNAPPROT_BLOCKS_PER_PAGE))
		list_del_init(&p->list);
	b->page = p;
	b->data = page_address(p->page) + n * SNAPPROT_BLOCK_SIZE;
	return true;
}

/*
 * I/O that was given up may still land, and its page is held until then. So once it
 * may have been, no part of a page becomes another block.
 */
static void data_free(struct snapprot_cache *c, struct snapprot_cached *b)
{
	struct cache_page *p = b->page;

	if (!--p->blocks) {
		list_del(&p->list);
		put_page(p->page);
		kfree(p);
	} else if (!c->broken) {
		if (list_empty(&p->list))
			list_add(&p->list, &c->room);
		__clear_bit(offset_in_page(b->data) / SNAPPROT_BLOCK_SIZE,
			    p->taken);
	}
}

static void cached_free(struct snapprot_cache *c, struct snapprot_cached *b)
{
	list_del(&b->list);
	if (b->dirty)
		c->nr_dirty--;
	c->count--;
	xa_erase(&c->blocks, b->block);
	data_free(c, b);
	kfree(b);
}

void snapprot_cache_exit(struct snapprot_cache *c)
{
	struct snapprot_cached *b;
	unsigned long index;

	xa_for_each(&c->blocks, index, b)
		cached_free(c, b);
	xa_destroy(&c->blocks);
}

static void cache_shrink(struct snapprot_cache *c)
{
	while (c->count > c->max && !list_empty(&c->lru))
		cached_free(c, list_first_entry(&c->lru,
						struct snapprot_cached, list));
}

/*
 * Memory, sooner than waiting for some that of a block that can be read again. What
 * it is for is soon done, and may free more.
 */
static bool cached_alloc(struct snapprot_cache *c, struct snapprot_cached *b)
{
	if (data_alloc(c, b, GFP_NOWAIT | __GFP_NOWARN))
		return true;
	if (!list_empty(&c->lru)) {
		cached_free(c, list_first_entry(&c->lru, struct snapprot_cached,
						list));
		if (data_alloc(c, b, GFP_NOWAIT | __GFP_NOWARN))
			return true;
	}
	return data_alloc(c, b, SNAPPROT_GFP_RESERVES);
}

static struct snapprot_cached *cached_new(struct snapprot_cache *c, u64 block)
{
	struct snapprot_cached *b = kzalloc(sizeof(*b), SNAPPROT_GFP_RESERVES);

	if (!b)
		return NULL;
	INIT_LIST_HEAD(&b->list);
	b->block = block;
	if (!cached_alloc(c, b))
		goto free;
	if (xa_err(xa_store(&c->blocks, block, b, SNAPPROT_GFP_RESERVES)))
		goto free_data;
	c->count++;
	return b;

free_data:
	data_free(c, b);
free:
	kfree(b);
	return NULL;
}

static void cached_hold(struct snapprot_cached *b, struct snapprot_buf *buf)
{
	if (!b->holders++ && !b->dirty)
		list_del_init(&b->list);
	buf->data = b->data;
	buf->handle = b;
}

static int env_get(struct snapprot_env *env, u64 block, u32 magic,
		   struct snapprot_buf *buf)
{
	struct snapprot_store *s = to_store(env);
	struct snapprot_cached *b;
	int err;

	lockdep_assert_held(&s->lock);
	b = xa_load(&s->cache.blocks, block);
	if (b) {
		cached_hold(b, buf);
		return 0;
	}
	if (s->nowait)
		return -EAGAIN;
	if (READ_ONCE(s->failed))
		return -EIO;
	b = cached_new(&s->cache, block);
	if (!b)
		return -ENOMEM;
	err = snapprot_io_block(&s->dev, REQ_OP_READ | REQ_META, block,
				b->data);
	if (!err)
		err = snapprot_block_verify(b->data, magic, block);
	if (err) {
		s->cache.broken = true;
		cached_free(&s->cache, b);
		return err;
	}
	cached_hold(b, buf);
	return 0;
}

static int env_get_new(struct snapprot_env *env, u64 block,
		       struct snapprot_buf *buf)
{
	struct snapprot_store *s = to_store(env);
	struct snapprot_cached *b;

	lockdep_assert_held(&s->lock);
	b = xa_load(&s->cache.blocks, block);
	if (!b)
		b = cached_new(&s->cache, block);
	if (!b)
		return -ENOMEM;
	cached_hold(b, buf);
	return 0;
}

static void env_dirty(struct snapprot_env *env, struct snapprot_buf *buf)
{
	struct snapprot_cache *c = &to_store(env)->cache;
	struct snapprot_cached *b = buf->handle;

	if (b->dirty)
		return;
	b->dirty = true;
	c->nr_dirty++;
	list_add_tail(&b->list, &c->dirty);
}

static void env_put(struct snapprot_env *env, struct snapprot_buf *buf)
{
	struct snapprot_cache *c = &to_store(env)->cache;
	struct snapprot_cached *b = buf->handle;

	if (!--b->holders && !b->dirty) {
		list_add_tail(&b->list, &c->lru);
		cache_shrink(c);
	}
}

static void env_forget(struct snapprot_env *env, u64 block)
{
	struct snapprot_cache *c = &to_store(env)->cache;
	struct snapprot_cached *b = xa_load(&c->blocks, block);

	if (b && !b->holders)
		cached_free(c, b);
}

/* Write what is dirty; the lock is taken here, and not held over the I/O. */
static int cache_write(struct snapprot_store *s, bool flush)
{
	struct snapprot_cache *c = &s->cache;
	struct snapprot_io_set *set;
	struct snapprot_cached *b, *next;
	struct blk_plug plug;
	LIST_HEAD(todo);
	int err;

	mutex_lock(&s->lock);
	list_splice_init(&c->dirty, &todo);
	list_for_each_entry(b, &todo, list) {
		b->holders++;
		snapprot_block_seal(b->data);
	}
	mutex_unlock(&s->lock);

	set = snapprot_io_set_new(&s->dev);
	blk_start_plug(&plug);
	list_for_each_entry(b, &todo, list)
		snapprot_io_add(set, REQ_OP_WRITE | REQ_META, b->block,
				&b->data, 1);
	blk_finish_plug(&plug);
	err = snapprot_io_wait(set);

	mutex_lock(&s->lock);
	if (err)
		c->broken = true;
	list_for_each_entry_safe(b, next, &todo, list) {
		b->dirty = false;
		c->nr_dirty--;
		list_del_init(&b->list);
		if (!--b->holders)
			list_add_tail(&b->list, &c->lru);
	}
	cache_shrink(c);
	mutex_unlock(&s->lock);

	return !err && flush ? snapprot_io_sync(&s->dev) : err;
}

static int env_commit(struct snapprot_env *env)
{
	struct snapprot_store *s = to_store(env);

	return READ_ONCE(s->failed) ? -EIO : cache_write(s, true);
}

int snapprot_cache_trim(struct snapprot_store *s)
{
	if (READ_ONCE(s->cache.nr_dirty) < s->cache.max / 2)
		return 0;
	return cache_write(s, false);
}

/* Through a page of its own: the caller's memory may go when I/O is given up. */
static int env_rw(struct snapprot_store *s, blk_opf_t opf, u64 block,
		  void *data)
{
	bool write = op_is_write(opf);
	struct page *page;
	int err;

	if (READ_ONCE(s->failed))
		return -EIO;
	page = alloc_page(SNAPPROT_GFP_RESERVES);
	if (!page)
		return -ENOMEM;
	if (write)
		memcpy(page_address(page), data, SNAPPROT_BLOCK_SIZE);
	err = snapprot_io_block(&s->dev, opf, block, page_address(page));
	if (!err && !write)
		memcpy(data, page_address(page), SNAPPROT_BLOCK_SIZE);
	put_page(page);
	return err;
}

static int env_read(struct snapprot_env *env, u64 block, u32 count, void *data)
{
	int err = 0;

	for (; count && !err; count--, block++, data += SNAPPROT_BLOCK_SIZE)
		err = env_rw(to_store(env), REQ_OP_READ | REQ_META, block,
			     data);
	return err;
}

static int env_write(struct snapprot_env *env, u64 block, const void *data)
{
	return env_rw(to_store(env), REQ_OP_WRITE | REQ_META | REQ_SYNC |
		      REQ_PREFLUSH | REQ_FUA, block, (void *)data);
}

static void *env_alloc(struct snapprot_env *env, size_t size)
{
	void *p = NULL;

	/* What is larger is needed where the store is opened, or has to be had. */
	if (size <= PAGE_SIZE << PAGE_ALLOC_COSTLY_ORDER)
		p = kzalloc(size, SNAPPROT_GFP_RESERVES);
	return p ? p : kvzalloc(size, GFP_KERNEL);
}

static void env_free(struct snapprot_env *env, void *p)
{
	kvfree(p);
}

const struct snapprot_env_ops snapprot_env_ops = {
	.get		= env_get,
	.get_new	= env_get_new,
	.dirty		= env_dirty,
	.put		= env_put,
	.forget		= env_forget,
	.commit		= env_commit,
	.read		= env_read,
	.write		= env_write,
	.alloc		= env_alloc,
	.free		= env_free,
};
