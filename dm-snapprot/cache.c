// SPDX-License-Identifier: GPL-2.0-only
/*
 * Metadata blocks of a store in memory, and the core's environment.
 *
 * dm-bufio would be the natural choice, but three promises ask for more than
 * it gives: I/O that is given up after io_timeout, errors as the device
 * returned them, and a limit of memory for each store.
 *
 * Nobody waits for a read under store->lock. A block that is not there is put on
 * a list of blocks to be read, and the core's caller gets -EAGAIN; he drops the
 * lock, has what is on the list read, waits, and calls the core again:
 *
 *	do {
 *		mutex_lock(&s->lock);
 *		err = snapprot_...(&s->core, ...);
 *		mutex_unlock(&s->lock);
 *	} while (snapprot_cache_again(s, &err));
 *
 * The life of a block:
 *
 *	READING   on the list, or on its way
 *	LANDED    read, or not: with an error. Nobody has looked at it
 *	READY     its sum has been verified, or the core has made it
 *	BLANK     held by who fills it in
 *
 * All of it is under store->lock, but for what the end of a read does, which is
 * under io_lock, and for writing dirty blocks: nothing changes a block that is
 * dirty, and one writer at a time is what store->ckpt is for.
 */
#include <linux/hash.h>
#include <linux/list_sort.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "snapprot.h"

/* Blocks of a request. */
#define RUN_BLOCKS	64u
/* Blocks that are being read ahead. */
#define MAX_AHEAD	512u

/* A page, and which parts of it are blocks. */
struct cache_page {
	struct list_head list;		/* cache->room, if there is some */
	struct page *page;
	unsigned int blocks;
	DECLARE_BITMAP(taken, SNAPPROT_BLOCKS_PER_PAGE);
};

enum cached_state {
	CACHED_READING,
	CACHED_LANDED,
	CACHED_READY,
	CACHED_BLANK,
};

/**
 * struct snapprot_cached - a cached block
 * @hash: of cache->hash, or of cache->forgotten
 * @list: lru, wanted or dirty, or of who writes it; empty while held clean
 * @io: todo, reading or landed; under io_lock
 * @next_read: read after this one, in one request
 * @store: whose it is
 * @nr_read: if it is the first of a request: blocks of that
 * @number: of its read, in the order in which they were asked for
 * @place: in the store
 * @sum: that it has, if it is ready
 * @page: in which it is
 * @data: where there
 * @holders: who have got it and not put it
 * @state: what has landed is so at any time, under io_lock
 * @error: of its read
 * @wanted: get() was called for it: stays until it has been got
 * @ahead: is being read, and nobody has asked for it yet
 * @dirty: to be written
 * @writing: is being written
 * @forgotten: not to be found any more; goes when nobody needs it
 */
struct snapprot_cached {
	struct hlist_node hash;
	struct list_head list;
	struct list_head io;
	struct snapprot_cached *next_read;
	struct snapprot_store *store;
	unsigned int nr_read;
	u64 number;
	u64 place;
	u64 sum;
	struct cache_page *page;
	void *data;
	unsigned int holders;
	enum cached_state state;
	int error;
	bool wanted;
	bool ahead;
	bool dirty;
	bool writing;
	bool forgotten;
};

static struct snapprot_store *to_store(struct snapprot_env *env)
{
	return container_of(env, struct snapprot_store, env);
}

/* ---- memory ------------------------------------------------------------- */

/**
 * snapprot_cache_init() - an empty cache
 * @c: the cache
 * @kib: that its blocks may take
 *
 * Return: 0 or -ENOMEM; snapprot_cache_exit() is right after either.
 */
int snapprot_cache_init(struct snapprot_cache *c, unsigned int kib)
{
	unsigned int i;

	INIT_LIST_HEAD(&c->lru);
	INIT_LIST_HEAD(&c->wanted);
	INIT_LIST_HEAD(&c->dirty);
	INIT_LIST_HEAD(&c->room);
	INIT_LIST_HEAD(&c->todo);
	INIT_LIST_HEAD(&c->reading);
	INIT_LIST_HEAD(&c->landed);
	INIT_HLIST_HEAD(&c->forgotten);
	spin_lock_init(&c->io_lock);
	init_waitqueue_head(&c->read_wait);
	c->max = kib >> (SNAPPROT_BLOCK_SHIFT - 10);
	c->bits = ilog2(c->max) + 1;
	c->hash = kvmalloc_array(1u << c->bits, sizeof(*c->hash), GFP_KERNEL);
	if (!c->hash)
		return -ENOMEM;
	for (i = 0; i < 1u << c->bits; i++)
		INIT_HLIST_HEAD(&c->hash[i]);
	return 0;
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
 * A write that was given up may still be on its way, and its page is held until
 * then. So once one may have been, no part of a page becomes another block.
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

static void set_ahead(struct snapprot_cache *c, struct snapprot_cached *b,
		      bool ahead)
{
	if (b->ahead != ahead)
		c->nr_ahead += ahead ? 1 : -1;
	b->ahead = ahead;
}

static void set_wanted(struct snapprot_cache *c, struct snapprot_cached *b,
		       bool wanted)
{
	if (b->wanted != wanted)
		c->nr_wanted += wanted ? 1 : -1;
	WRITE_ONCE(b->wanted, wanted);
}

static void cached_free(struct snapprot_cache *c, struct snapprot_cached *b)
{
	list_del(&b->list);
	hlist_del(&b->hash);
	set_ahead(c, b, false);
	set_wanted(c, b, false);
	if (b->dirty)
		c->nr_dirty--;
	c->count--;
	data_free(c, b);
	kfree(b);
}

/* Somebody needs it, or it is on its way from the device or to it. */
static bool cached_busy(const struct snapprot_cached *b)
{
	return b->holders || b->writing ||
	       READ_ONCE(b->state) == CACHED_READING ||
	       !list_empty_careful(&b->io);
}

/* Not to be found any more: it goes now, or as soon as it can. */
static void cached_forget(struct snapprot_cache *c, struct snapprot_cached *b)
{
	if (!cached_busy(b)) {
		cached_free(c, b);
		return;
	}
	b->forgotten = true;
	hlist_del(&b->hash);
	hlist_add_head(&b->hash, &c->forgotten);
	set_wanted(c, b, false);
	/* What is being written is on the list of who does that. */
	if (b->writing)
		return;
	list_del_init(&b->list);
	if (b->dirty)
		c->nr_dirty--;
	b->dirty = false;
}

/**
 * snapprot_cache_exit() - free all blocks
 * @c: the cache, that nobody uses any more and of which nothing is in flight
 */
void snapprot_cache_exit(struct snapprot_cache *c)
{
	struct snapprot_cached *b;
	struct hlist_node *next;
	unsigned int i;

	for (i = 0; c->hash && i < 1u << c->bits; i++)
		hlist_for_each_entry_safe(b, next, &c->hash[i], hash)
			cached_free(c, b);
	hlist_for_each_entry_safe(b, next, &c->forgotten, hash)
		cached_free(c, b);
	kvfree(c->hash);
	c->hash = NULL;
}

static struct hlist_head *bucket(struct snapprot_cache *c, u64 place)
{
	return &c->hash[hash_64(place, c->bits)];
}

static struct snapprot_cached *cached_find(struct snapprot_cache *c, u64 place)
{
	struct snapprot_cached *b;

	hlist_for_each_entry(b, bucket(c, place), hash)
		if (b->place == place)
			return b;
	return NULL;
}

/* The one that can be done without most easily, or NULL. */
static struct snapprot_cached *oldest(struct snapprot_cache *c)
{
	struct list_head *list = &c->lru;

	/* Somebody wants them; but of those, too, there is an end. */
	if (list_empty(list) && c->nr_wanted > READ_ONCE(c->max) / 2)
		list = &c->wanted;
	return list_first_entry_or_null(list, struct snapprot_cached, list);
}

static void cache_shrink(struct snapprot_cache *c)
{
	struct snapprot_cached *b;

	while (c->count > READ_ONCE(c->max)) {
		b = oldest(c);
		if (!b)
			break;
		cached_free(c, b);
	}
}

/*
 * Memory, sooner than waiting for some that of a block that can be read again. What
 * it is for is soon done, and may free more.
 */
static bool cached_alloc(struct snapprot_cache *c, struct snapprot_cached *b,
			 bool needed)
{
	struct snapprot_cached *old;

	if (data_alloc(c, b, GFP_NOWAIT | __GFP_NOWARN))
		return true;
	if (!needed)
		return false;
	old = oldest(c);
	if (old) {
		cached_free(c, old);
		if (data_alloc(c, b, GFP_NOWAIT | __GFP_NOWARN))
			return true;
	}
	return data_alloc(c, b, SNAPPROT_GFP_RESERVES);
}

static struct snapprot_cached *cached_new(struct snapprot_store *s, u64 place,
					  enum cached_state state, bool needed)
{
	struct snapprot_cache *c = &s->cache;
	struct snapprot_cached *b;

	b = kzalloc(sizeof(*b), needed ? SNAPPROT_GFP_RESERVES :
					 GFP_NOWAIT | __GFP_NOWARN);
	if (!b)
		return NULL;
	INIT_LIST_HEAD(&b->list);
	INIT_LIST_HEAD(&b->io);
	b->store = s;
	b->place = place;
	b->state = state;
	if (!cached_alloc(c, b, needed)) {
		kfree(b);
		return NULL;
	}
	hlist_add_head(&b->hash, bucket(c, place));
	c->count++;
	return b;
}

static void cached_hold(struct snapprot_cached *b, struct snapprot_buf *buf)
{
	if (!b->holders++ && !b->dirty)
		list_del_init(&b->list);
	buf->data = b->data;
	buf->handle = b;
}

/* Nobody holds it, and it has been written: it may go when room is needed. */
static void cached_idle(struct snapprot_cache *c, struct snapprot_cached *b)
{
	if (b->forgotten) {
		if (!cached_busy(b))
			cached_free(c, b);
		return;
	}
	list_add_tail(&b->list, &c->lru);
	cache_shrink(c);
}

/* ---- reading ------------------------------------------------------------- */

/* Put it on the list of what is to be read. */
static void read_queue(struct snapprot_cache *c, struct snapprot_cached *b)
{
	spin_lock_irq(&c->io_lock);
	b->number = ++c->number;
	list_add_tail(&b->io, &c->todo);
	spin_unlock_irq(&c->io_lock);
}

/* Look through what has been read since the last time. Under store->lock. */
static void read_reap(struct snapprot_cache *c)
{
	struct snapprot_cached *b, *next;
	LIST_HEAD(landed);

	if (list_empty_careful(&c->landed))
		return;
	spin_lock_irq(&c->io_lock);
	list_splice_init(&c->landed, &landed);
	spin_unlock_irq(&c->io_lock);
	list_for_each_entry_safe(b, next, &landed, io) {
		list_del_init(&b->io);
		set_ahead(c, b, false);
		if (b->forgotten || (b->error && !b->wanted)) {
			cached_free(c, b);
		} else {
			list_add_tail(&b->list, b->wanted ? &c->wanted :
							    &c->lru);
		}
	}
	cache_shrink(c);
}

/*
 * Some blocks have been read, or not. They are not ours any more as soon as they have
 * landed; the store is, until its device is told, last of all.
 */
static void read_endio(struct bio *bio)
{
	struct snapprot_cached *b = bio->bi_private, *next;
	int err = blk_status_to_errno(bio->bi_status);
	struct snapprot_store *s = b->store;
	struct snapprot_cache *c = &s->cache;
	unsigned int n = b->nr_read;
	unsigned long flags;

	/* What the core understands otherwise. */
	if (err == -EAGAIN || err == -EBADMSG)
		err = -EIO;
	bio_put(bio);
	spin_lock_irqsave(&c->io_lock, flags);
	for (; n--; b = next) {
		next = b->next_read;
		b->error = err;
		WRITE_ONCE(b->state, CACHED_LANDED);
		list_move_tail(&b->io, &c->landed);
	}
	spin_unlock_irqrestore(&c->io_lock, flags);
	wake_up_all(&c->read_wait);
	snapprot_io_dev_done(&s->dev);
}

/* One request: some blocks in a row. Returns what comes after them. */
static struct snapprot_cached *read_submit(struct snapprot_store *s,
					   struct snapprot_cached *first)
{
	struct snapprot_cached *b = first, *next = first;
	struct bio *bio;
	unsigned int n = 0;

	do {
		b = next;
		next = b->next_read;
		n++;
	} while (next && n < RUN_BLOCKS && next->place == b->place + 1);
	first->nr_read = n;

	bio = bio_alloc_bioset(s->dev.bdev, n, REQ_OP_READ | REQ_META, GFP_NOIO,
			       &s->dev.pools->bios);
	bio->bi_iter.bi_sector = first->place * SNAPPROT_SECTORS_PER_BLOCK;
	bio->bi_private = first;
	bio->bi_end_io = read_endio;
	for (b = first; n--; b = b->next_read)
		if (bio_add_page(bio, b->page->page, SNAPPROT_BLOCK_SIZE,
				 offset_in_page(b->data)) !=
		    SNAPPROT_BLOCK_SIZE)
			WARN_ON_ONCE(1);
	atomic_inc(&s->dev.inflight);
	submit_bio_noacct(bio);
	return next;
}

/**
 * snapprot_cache_submit() - begin to read what has been asked for
 * @s: the store
 *
 * Context: may sleep, for memory and for room in the device's queue; so without
 * store->lock.
 */
void snapprot_cache_submit(struct snapprot_store *s)
{
	struct snapprot_cached *b, *first = NULL, *last = NULL;
	struct snapprot_cache *c = &s->cache;
	struct blk_plug plug;

	if (list_empty_careful(&c->todo) || READ_ONCE(s->failed))
		return;
	spin_lock_irq(&c->io_lock);
	list_for_each_entry(b, &c->todo, io) {
		b->next_read = NULL;
		if (last)
			last->next_read = b;
		else
			first = b;
		last = b;
	}
	list_splice_tail_init(&c->todo, &c->reading);
	spin_unlock_irq(&c->io_lock);

	blk_start_plug(&plug);
	while (first)
		first = read_submit(s, first);
	blk_finish_plug(&plug);
}

/*
 * Has all been read that somebody wants, of what was asked for up to @number? What is
 * read ahead is not waited for, but it is not so much that it could not be looked at.
 */
static bool read_done(struct snapprot_cache *c, u64 number)
{
	struct snapprot_cached *b;
	bool done = true;

	spin_lock_irq(&c->io_lock);
	list_for_each_entry(b, &c->reading, io) {
		if (b->number > number)
			break;
		done = !READ_ONCE(b->wanted);
		if (!done)
			break;
	}
	spin_unlock_irq(&c->io_lock);
	return done;
}

/**
 * snapprot_cache_wait() - read what has been asked for, and wait for it
 * @s: the store
 *
 * Context: without store->lock, but while the store is being opened. Return: 0, for a
 * read that failed too: that its next get() will say. -ETIMEDOUT if the device takes
 * longer than it may: the store is not to be used any more.
 */
int snapprot_cache_wait(struct snapprot_store *s)
{
	struct snapprot_cache *c = &s->cache;
	unsigned long timeout = s->dev.timeout;
	u64 number;

	snapprot_cache_submit(s);
	spin_lock_irq(&c->io_lock);
	number = c->number;
	spin_unlock_irq(&c->io_lock);
	if (!timeout)
		wait_event(c->read_wait, read_done(c, number));
	else if (!wait_event_timeout(c->read_wait, read_done(c, number),
				     timeout))
		return -ETIMEDOUT;
	return 0;
}

/**
 * snapprot_cache_again() - is the core to be called once more?
 * @s: the store
 * @err: what it has returned; if it was -EAGAIN and waiting failed, why
 *
 * Context: as snapprot_cache_wait(). Return: true if what it needed is there.
 */
bool snapprot_cache_again(struct snapprot_store *s, int *err)
{
	if (*err != -EAGAIN) {
		/* What was read ahead. */
		snapprot_cache_submit(s);
		return false;
	}
	*err = snapprot_cache_wait(s);
	return !*err;
}

/* ---- what the core calls -------------------------------------------------- */

/* It has been read: is it what it has to be? */
static int cached_verify(struct snapprot_store *s, struct snapprot_cached *b,
			 u32 magic, u64 sum)
{
	struct snapprot_cache *c = &s->cache;
	int err = b->error;

	list_del_init(&b->list);
	set_wanted(c, b, false);
	if (!err)
		err = snapprot_block_verify(&s->env.key, b->data, magic,
					    b->place, sum);
	if (err) {
		cached_free(c, b);
		return err;
	}
	b->state = CACHED_READY;
	b->sum = sum;
	return 0;
}

/* Has more been asked for already than the cache has room for? */
static bool wants_much(struct snapprot_cache *c)
{
	bool comes;

	if (c->nr_wanted < READ_ONCE(c->max) / 2)
		return false;
	comes = !list_empty_careful(&c->todo) || !read_done(c, U64_MAX) ||
		!list_empty_careful(&c->landed);
	/* If it is all there, and is not taken, nobody wants it any more. */
	if (!comes && !list_empty(&c->wanted))
		cached_free(c, list_first_entry(&c->wanted,
						struct snapprot_cached, list));
	return comes;
}

/* Ask for a block that is not there. */
static int get_missing(struct snapprot_store *s, u64 place)
{
	struct snapprot_cached *b;

	if (READ_ONCE(s->failed))
		return -EIO;
	if (wants_much(&s->cache))
		return -EAGAIN;
	b = cached_new(s, place, CACHED_READING, true);
	if (!b)
		return -ENOMEM;
	set_wanted(&s->cache, b, true);
	read_queue(&s->cache, b);
	return -EAGAIN;
}

static int try_get(struct snapprot_store *s, u64 place, u32 magic, u64 sum,
		   struct snapprot_buf *buf)
{
	struct snapprot_cache *c = &s->cache;
	struct snapprot_cached *b;
	int err;

	read_reap(c);
	b = cached_find(c, place);
	if (!b)
		return get_missing(s, place);
	/* Or it has landed since. */
	if (READ_ONCE(b->state) == CACHED_READING ||
	    !list_empty_careful(&b->io)) {
		set_wanted(c, b, true);
		set_ahead(c, b, false);
		return READ_ONCE(s->failed) ? -EIO : -EAGAIN;
	}
	if (b->state == CACHED_LANDED) {
		err = cached_verify(s, b, magic, sum);
		if (err)
			return err;
	} else if (b->state != CACHED_READY || b->sum != sum) {
		return -EBADMSG;
	}
	cached_hold(b, buf);
	return 0;
}

static int env_get(struct snapprot_env *env, u64 place, u32 magic, u64 sum,
		   struct snapprot_buf *buf)
{
	struct snapprot_store *s = to_store(env);
	int err;

	lockdep_assert_held(&s->lock);
	do {
		err = try_get(s, place, magic, sum, buf);
	} while (s->waits && snapprot_cache_again(s, &err));
	return err;
}

/* What was there is of no interest, and may still be on its way. */
static int env_get_new(struct snapprot_env *env, u64 place,
		       struct snapprot_buf *buf)
{
	struct snapprot_store *s = to_store(env);
	struct snapprot_cached *b;

	lockdep_assert_held(&s->lock);
	b = cached_find(&s->cache, place);
	if (b)
		cached_forget(&s->cache, b);
	b = cached_new(s, place, CACHED_BLANK, true);
	if (!b)
		return -ENOMEM;
	cached_hold(b, buf);
	return 0;
}

static void env_dirty(struct snapprot_env *env, struct snapprot_buf *buf,
		      u64 sum)
{
	struct snapprot_cache *c = &to_store(env)->cache;
	struct snapprot_cached *b = buf->handle;

	b->state = CACHED_READY;
	b->sum = sum;
	b->dirty = true;
	c->nr_dirty++;
	list_add_tail(&b->list, &c->dirty);
}

static void env_put(struct snapprot_env *env, struct snapprot_buf *buf)
{
	struct snapprot_cache *c = &to_store(env)->cache;
	struct snapprot_cached *b = buf->handle;

	if (--b->holders || b->dirty)
		return;
	/* It was never filled in. */
	if (b->state == CACHED_BLANK)
		cached_free(c, b);
	else
		cached_idle(c, b);
}

static void env_forget(struct snapprot_env *env, u64 place)
{
	struct snapprot_cache *c = &to_store(env)->cache;
	struct snapprot_cached *b = cached_find(c, place);

	if (b)
		cached_forget(c, b);
}

/*
 * A quarter of the cache may be on its way without anybody having asked for it, if it
 * is not too much.
 */
static void env_prefetch(struct snapprot_env *env, u64 place, u32 count)
{
	struct snapprot_store *s = to_store(env);
	struct snapprot_cache *c = &s->cache;

	lockdep_assert_held(&s->lock);
	for (; count && !READ_ONCE(s->failed); count--, place++) {
		struct snapprot_cached *b;

		if (c->nr_ahead >= min(READ_ONCE(c->max) / 4, MAX_AHEAD))
			break;
		if (cached_find(c, place))
			continue;
		b = cached_new(s, place, CACHED_READING, false);
		if (!b)
			break;
		set_ahead(c, b, true);
		read_queue(c, b);
	}
}

/* ---- writing --------------------------------------------------------------- */

static int place_cmp(void *priv, const struct list_head *x,
		     const struct list_head *y)
{
	const struct snapprot_cached *a, *b;

	a = list_entry(x, struct snapprot_cached, list);
	b = list_entry(y, struct snapprot_cached, list);
	return a->place < b->place ? -1 : a->place > b->place;
}

/* Submit all blocks of a list that is sorted, those in a row together. */
static void write_submit(struct snapprot_store *s, struct list_head *todo,
			 struct snapprot_io_set *set)
{
	struct snapprot_cached *b;
	void *data[RUN_BLOCKS];
	struct blk_plug plug;
	unsigned int n = 0;
	u64 place = 0;

	blk_start_plug(&plug);
	list_for_each_entry(b, todo, list) {
		if (n == RUN_BLOCKS || (n && b->place != place + n)) {
			snapprot_io_add(set, REQ_OP_WRITE | REQ_META, place,
					data, n);
			n = 0;
		}
		if (!n)
			place = b->place;
		data[n++] = b->data;
	}
	if (n)
		snapprot_io_add(set, REQ_OP_WRITE | REQ_META, place, data, n);
	blk_finish_plug(&plug);
}

static void write_ended(struct snapprot_cache *c, struct snapprot_cached *b)
{
	list_del_init(&b->list);
	b->writing = false;
	b->dirty = false;
	c->nr_dirty--;
	if (!b->holders)
		cached_idle(c, b);
}

/* Write what is dirty; the lock is taken here, and not held over the I/O. */
static int cache_write(struct snapprot_store *s, bool flush)
{
	struct snapprot_cache *c = &s->cache;
	struct snapprot_cached *b, *next;
	LIST_HEAD(todo);
	int err = 0;

	lockdep_assert_held(&s->ckpt);
	mutex_lock(&s->lock);
	list_splice_init(&c->dirty, &todo);
	list_for_each_entry(b, &todo, list)
		b->writing = true;
	mutex_unlock(&s->lock);

	if (!list_empty(&todo)) {
		struct snapprot_io_set *set = snapprot_io_set_new(&s->dev);

		list_sort(NULL, &todo, place_cmp);
		write_submit(s, &todo, set);
		err = snapprot_io_wait(set);
	}

	mutex_lock(&s->lock);
	if (err)
		c->broken = true;
	list_for_each_entry_safe(b, next, &todo, list)
		write_ended(c, b);
	cache_shrink(c);
	mutex_unlock(&s->lock);

	return !err && flush ? snapprot_io_sync(&s->dev) : err;
}

static int env_commit(struct snapprot_env *env)
{
	struct snapprot_store *s = to_store(env);

	return READ_ONCE(s->failed) ? -EIO : cache_write(s, true);
}

/**
 * snapprot_cache_trim() - write dirty blocks early if they take up half of the cache
 * @s: the store
 *
 * Context: store->ckpt held, not store->lock. Return: 0 or the error of the device.
 */
int snapprot_cache_trim(struct snapprot_store *s)
{
	if (READ_ONCE(s->cache.nr_dirty) < READ_ONCE(s->cache.max) / 2)
		return 0;
	return READ_ONCE(s->failed) ? -EIO : cache_write(s, false);
}

/* ---- without the cache ------------------------------------------------------ */

/*
 * Through pages of its own: the caller's memory may go when I/O is given up. As many
 * blocks at once as there is memory for: their number is returned.
 */
static int env_rw(struct snapprot_store *s, blk_opf_t opf, u64 place,
		  void *data, u32 count)
{
	bool write = op_is_write(opf);
	void *own[SNAPPROT_SCRATCH];
	struct snapprot_io_set *set;
	u32 i, n;
	int err;

	if (READ_ONCE(s->failed))
		return -EIO;
	for (n = 0; n < count && n < ARRAY_SIZE(own); n++) {
		gfp_t gfp = n ? GFP_NOWAIT | __GFP_NOWARN :
				SNAPPROT_GFP_RESERVES;

		own[n] = (void *)__get_free_page(gfp);
		if (!own[n])
			break;
		if (write)
			memcpy(own[n], data + n * SNAPPROT_BLOCK_SIZE,
			       SNAPPROT_BLOCK_SIZE);
	}
	if (!n)
		return -ENOMEM;
	set = snapprot_io_set_new(&s->dev);
	snapprot_io_add(set, opf, place, own, n);
	err = snapprot_io_wait(set);
	for (i = 0; i < n; i++) {
		if (!err && !write)
			memcpy(data + i * SNAPPROT_BLOCK_SIZE, own[i],
			       SNAPPROT_BLOCK_SIZE);
		put_page(virt_to_page(own[i]));
	}
	return err ? err : (int)n;
}

static int env_read(struct snapprot_env *env, u64 place, u32 count, void *data)
{
	while (count) {
		int n = env_rw(to_store(env), REQ_OP_READ | REQ_META, place,
			       data, count);

		if (n < 0)
			return n;
		place += n;
		data += n * SNAPPROT_BLOCK_SIZE;
		count -= n;
	}
	return 0;
}

static int env_write(struct snapprot_env *env, u64 place, const void *data)
{
	int n = env_rw(to_store(env), REQ_OP_WRITE | REQ_META | REQ_SYNC |
		       REQ_PREFLUSH | REQ_FUA, place, (void *)data, 1);

	return n < 0 ? n : 0;
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
	.prefetch	= env_prefetch,
	.commit		= env_commit,
	.read		= env_read,
	.write		= env_write,
	.alloc		= env_alloc,
	.free		= env_free,
};
