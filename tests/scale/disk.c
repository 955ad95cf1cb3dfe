// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <sys/mman.h>

#include "disk.h"

#define BLOCK	SNAPPROT_BLOCK_SIZE

const char *const class_name[NR_CLASSES] = {
	[CLASS_SUPER]	= "superblocks",
	[CLASS_LOG]	= "log headers",
	[CLASS_NODE]	= "nodes of runs",
	[CLASS_BITMAP]	= "bitmaps",
	[CLASS_SPACE]	= "space table",
	[CLASS_DIR]	= "directory",
	[CLASS_SNAPS]	= "snapshots",
	[CLASS_COUNTS]	= "counts",
	[CLASS_OTHER]	= "other",
};

/* The core must not be told that the host has no memory: the run is void. */
static void *must(void *p)
{
	if (!p) {
		perror("out of memory");
		exit(1);
	}
	return p;
}

/* A bitmap has no header, but a place. */
static enum block_class class_of(u64 place, const void *data)
{
	u32 bit = snapprot_group_bit(place);
	__le32 magic;

	if (bit == SNAPPROT_BITMAP_OFFSET || bit == SNAPPROT_BITMAP_OFFSET + 1)
		return CLASS_BITMAP;
	memcpy(&magic, data, sizeof(magic));
	switch (le32_to_cpu(magic)) {
	case SNAPPROT_MAGIC_SUPER:
		return CLASS_SUPER;
	case SNAPPROT_MAGIC_LOG:
		return CLASS_LOG;
	case SNAPPROT_MAGIC_NODE:
		return CLASS_NODE;
	case SNAPPROT_MAGIC_SPACE:
		return CLASS_SPACE;
	case SNAPPROT_MAGIC_DIR:
		return CLASS_DIR;
	case SNAPPROT_MAGIC_SNAPS:
		return CLASS_SNAPS;
	case SNAPPROT_MAGIC_COUNTS:
		return CLASS_COUNTS;
	}
	return CLASS_OTHER;
}

u64 tally_sum(const u64 *by_class)
{
	u64 sum = 0;
	u32 i;

	for (i = 0; i < NR_CLASSES; i++)
		sum += by_class[i];
	return sum;
}

struct tally tally_since(const struct tally *now, const struct tally *then)
{
	struct tally t = *now;
	u32 i;

	for (i = 0; i < NR_CLASSES; i++) {
		t.written[i] -= then->written[i];
		t.read[i] -= then->read[i];
	}
	t.write_pieces -= then->write_pieces;
	t.read_pieces -= then->read_pieces;
	t.read_large -= then->read_large;
	t.waits -= then->waits;
	t.ahead -= then->ahead;
	t.wasted -= then->wasted;
	t.flushes -= then->flushes;
	return t;
}

/* ---- disk ---------------------------------------------------------------- */

#define SLAB_PAGES	1024u
#define NO_PAGE		(~0u)

/* A page that is kept; place 0 is one like any other. */
struct page_key {
	u64 place;
	u32 page;		/* NO_PAGE: free */
	u32 stamp;		/* changes with each write */
};

struct doomed {
	u64 place;
	u32 stamp;
};

struct doomed_list {
	struct doomed *at;
	u32 count;
	u32 max;
};

/**
 * struct disk - the kept blocks of a device
 * @key: open addressing, at most half full
 * @slab: pages, by SLAB_PAGES
 * @free: numbers of unused pages
 * @doomed: to be dropped at the next checkpoint, and at the one after
 */
struct disk {
	u64 blocks;
	struct page_key *key;
	u32 keys;		/* a power of two */
	u32 used;
	u32 peak;
	u32 stamp;
	u8 **slab;
	u32 nr_slabs;
	u32 *free;
	u32 nr_free;
	struct doomed_list doomed[2];
	bool (*fill)(u64 place, void *data);
};

static u32 key_hash(const struct disk *d, u64 place)
{
	return (u32)((place * 0x9e3779b97f4a7c15ull) >> 32) & (d->keys - 1);
}

/* Its slot, or the free one where it would be. */
static u32 key_find(const struct disk *d, u64 place)
{
	u32 i = key_hash(d, place);

	while (d->key[i].page != NO_PAGE && d->key[i].place != place)
		i = (i + 1) & (d->keys - 1);
	return i;
}

static void keys_alloc(struct disk *d, u32 keys)
{
	u32 i;

	d->keys = keys;
	d->key = must(malloc((size_t)keys * sizeof(*d->key)));
	for (i = 0; i < keys; i++)
		d->key[i].page = NO_PAGE;
}

static void keys_grow(struct disk *d)
{
	struct page_key *old = d->key;
	u32 i, n = d->keys;

	keys_alloc(d, n * 2);
	for (i = 0; i < n; i++)
		if (old[i].page != NO_PAGE)
			d->key[key_find(d, old[i].place)] = old[i];
	free(old);
}

/* Those behind a key that goes may have been put there only because of it. */
static void key_remove(struct disk *d, u32 i)
{
	u32 hole = i;

	d->free[d->nr_free++] = d->key[i].page;
	d->key[i].page = NO_PAGE;
	d->used--;
	for (;;) {
		u32 home;

		i = (i + 1) & (d->keys - 1);
		if (d->key[i].page == NO_PAGE)
			return;
		home = key_hash(d, d->key[i].place);
		if (((i - home) & (d->keys - 1)) <
		    ((i - hole) & (d->keys - 1)))
			continue;
		d->key[hole] = d->key[i];
		d->key[i].page = NO_PAGE;
		hole = i;
	}
}

static u8 *page_at(const struct disk *d, u32 page)
{
	return d->slab[page / SLAB_PAGES] + (size_t)(page % SLAB_PAGES) * BLOCK;
}

static void slab_add(struct disk *d)
{
	u32 first = d->nr_slabs * SLAB_PAGES;
	u32 i;
	void *p;

	p = mmap(NULL, (size_t)SLAB_PAGES * BLOCK, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	d->slab = must(realloc(d->slab, (d->nr_slabs + 1) * sizeof(*d->slab)));
	d->slab[d->nr_slabs++] = must(p == MAP_FAILED ? NULL : p);
	d->free = must(realloc(d->free, (size_t)d->nr_slabs * SLAB_PAGES *
			       sizeof(*d->free)));
	for (i = SLAB_PAGES; i--; )
		d->free[d->nr_free++] = first + i;
}

struct disk *disk_new(u64 blocks)
{
	struct disk *d = must(calloc(1, sizeof(*d)));

	d->blocks = blocks;
	keys_alloc(d, 1 << 16);
	return d;
}

void disk_free(struct disk *d)
{
	u32 i;

	for (i = 0; i < d->nr_slabs; i++)
		munmap(d->slab[i], (size_t)SLAB_PAGES * BLOCK);
	free(d->slab);
	free(d->free);
	free(d->key);
	free(d->doomed[0].at);
	free(d->doomed[1].at);
	free(d);
}

void disk_write(struct disk *d, u64 place, const void *data)
{
	struct page_key *key = &d->key[key_find(d, place)];

	if (key->page == NO_PAGE) {
		if (d->used >= d->keys / 2) {
			keys_grow(d);
			key = &d->key[key_find(d, place)];
		}
		if (!d->nr_free)
			slab_add(d);
		key->place = place;
		key->page = d->free[--d->nr_free];
		if (++d->used > d->peak)
			d->peak = d->used;
	}
	key->stamp = ++d->stamp;
	memcpy(page_at(d, key->page), data, BLOCK);
}

void disk_read(const struct disk *d, u64 place, void *data)
{
	const struct page_key *key = &d->key[key_find(d, place)];

	if (key->page != NO_PAGE)
		memcpy(data, page_at(d, key->page), BLOCK);
	else if (!d->fill || !d->fill(place, data))
		memset(data, 0, BLOCK);
}

void disk_drop(struct disk *d, u64 place)
{
	u32 i = key_find(d, place);

	if (d->key[i].page != NO_PAGE)
		key_remove(d, i);
}

void disk_drop_later(struct disk *d, u64 place)
{
	const struct page_key *key = &d->key[key_find(d, place)];
	struct doomed_list *l = &d->doomed[1];

	if (key->page == NO_PAGE)
		return;
	if (l->count == l->max) {
		l->max = l->max * 2 + 1024;
		l->at = must(realloc(l->at, l->max * sizeof(*l->at)));
	}
	l->at[l->count++] = (struct doomed){ place, key->stamp };
}

void disk_checkpoint(struct disk *d)
{
	struct doomed_list l = d->doomed[0];
	u32 i;

	for (i = 0; i < l.count; i++) {
		u32 at = key_find(d, l.at[i].place);

		if (d->key[at].page != NO_PAGE &&
		    d->key[at].stamp == l.at[i].stamp)
			key_remove(d, at);
	}
	l.count = 0;
	d->doomed[0] = d->doomed[1];
	d->doomed[1] = l;
}

void disk_set_fill(struct disk *d, bool (*fill)(u64 place, void *data))
{
	d->fill = fill;
}

u64 disk_pages(const struct disk *d)
{
	return d->used;
}

u64 disk_peak(const struct disk *d)
{
	return d->peak;
}

u64 disk_blocks(const struct disk *d)
{
	return d->blocks;
}

/* ---- cache --------------------------------------------------------------- */

/**
 * struct cached - a block in the cache
 * @chain: the next of its bucket
 * @older: with @newer, in the list of those that may be thrown out
 * @listed: it is one of these
 * @reading: it was asked for, and is not here yet
 * @wanted: somebody was told to come again for it
 * @ahead: nobody has got it since it was read ahead
 * @verified: it has @sum
 * @rounds: so many times more it will not be thrown out when its turn comes
 */
struct cached {
	struct cached *chain;
	struct cached *older, *newer;
	u64 place;
	u64 sum;
	u32 holders;
	bool listed;
	bool dirty;
	bool reading;
	bool wanted;
	bool ahead;
	bool verified;
	u8 rounds;
	u8 data[BLOCK] __attribute__((aligned(16)));
};

static struct cache *to_cache(struct snapprot_env *env)
{
	return (struct cache *)((char *)env - offsetof(struct cache, env));
}

/* Few, so that a chain of the usual cache has one or two. */
#define BUCKETS		2048u

static struct cached **bucket_of(struct cache *c, u64 place)
{
	return &c->bucket[(u32)((place * 0x9e3779b97f4a7c15ull) >> 40) %
			  BUCKETS];
}

static struct cached *cached_find(struct cache *c, u64 place)
{
	struct cached *b = *bucket_of(c, place);

	while (b && b->place != place)
		b = b->chain;
	return b;
}

static void unlist(struct cache *c, struct cached *b)
{
	if (!b->listed)
		return;
	*(b->older ? &b->older->newer : &c->oldest) = b->newer;
	*(b->newer ? &b->newer->older : &c->newest) = b->older;
	b->listed = false;
}

/* It has been used just now; it is listed if nobody needs it here. */
static void relist(struct cache *c, struct cached *b)
{
	unlist(c, b);
	if (b->holders || b->dirty || b->reading || b->wanted)
		return;
	b->older = c->newest;
	b->newer = NULL;
	*(c->newest ? &c->newest->newer : &c->oldest) = b;
	c->newest = b;
	b->listed = true;
}

static void cached_remove(struct cache *c, struct cached *b)
{
	struct cached **p = bucket_of(c, b->place);

	while (*p != b)
		p = &(*p)->chain;
	*p = b->chain;
	unlist(c, b);
	c->tally.wasted += b->ahead;
	c->dirty -= b->dirty;
	c->count--;
	b->chain = c->spare;
	c->spare = b;
}

/* Level of a node above the leaves of a run, 0 for all else. */
static u32 level_of(const struct cached *b)
{
	const struct snapprot_disk_node *n = (const void *)b->data;

	return class_of(b->place, b->data) == CLASS_NODE ?
	       le16_to_cpu(n->level) : 0;
}

/*
 * Throw out the oldest. What is above the leaves gets another round for each level: all
 * lookups come by there, and else the leaves, of which each is wanted once, would push it
 * out.
 */
static void evict(struct cache *c)
{
	while (c->oldest->rounds) {
		c->oldest->rounds--;
		relist(c, c->oldest);
	}
	cached_remove(c, c->oldest);
}

static void shrink(struct cache *c)
{
	while (c->count > c->max && c->oldest)
		evict(c);
}

static struct cached *cached_new(struct cache *c, u64 place)
{
	struct cached *b;

	while (c->count >= c->max && c->oldest)
		evict(c);
	b = c->spare;
	if (b)
		c->spare = b->chain;
	else
		b = must(malloc(sizeof(*b)));
	memset(b, 0, offsetof(struct cached, data));
	b->place = place;
	b->chain = *bucket_of(c, place);
	*bucket_of(c, place) = b;
	if (++c->count > c->peak)
		c->peak = c->count;
	return b;
}

static void count_read(struct cache *c, u64 place, const void *data)
{
	c->tally.read[class_of(place, data)]++;
}

static void cached_read(struct cache *c, struct cached *b)
{
	disk_read(c->disk, b->place, b->data);
	b->rounds = level_of(b);
	count_read(c, b->place, b->data);
}

static int cached_hold(struct cache *c, struct cached *b, u32 magic, u64 sum,
		       struct snapprot_buf *buf)
{
	int err = 0;

	b->wanted = false;
	b->ahead = false;
	if (!b->verified) {
		err = snapprot_block_verify(&c->env.key, b->data, magic,
					    b->place, sum);
		b->verified = !err;
		b->sum = sum;
	} else if (b->sum != sum) {
		err = -EBADMSG;
	}
	if (err) {
		if (!b->holders && !b->dirty)
			cached_remove(c, b);
		return err;
	}
	b->rounds = level_of(b);
	unlist(c, b);
	b->holders++;
	buf->data = b->data;
	buf->handle = b;
	return 0;
}

static void wave_add(struct cache *c, struct cached *b)
{
	b->reading = true;
	if (c->wave_count == c->wave_max) {
		c->wave_max = c->wave_max * 2 + 64;
		c->wave = must(realloc(c->wave, c->wave_max * sizeof(*c->wave)));
	}
	c->wave[c->wave_count++] = b;
}

static int env_get(struct snapprot_env *env, u64 place, u32 magic, u64 sum,
		   struct snapprot_buf *buf)
{
	struct cache *c = to_cache(env);
	struct cached *b = cached_find(c, place);

	if (place >= disk_blocks(c->disk))
		return -EIO;
	if (!b) {
		b = cached_new(c, place);
		if (c->async) {
			wave_add(c, b);
		} else {
			cached_read(c, b);
			c->tally.read_pieces++;
			c->tally.waits++;
		}
	}
	if (b->reading) {
		b->wanted = true;
		return -EAGAIN;
	}
	return cached_hold(c, b, magic, sum, buf);
}

static int env_get_new(struct snapprot_env *env, u64 place,
		       struct snapprot_buf *buf)
{
	struct cache *c = to_cache(env);
	struct cached *b = cached_find(c, place);

	if (!b)
		b = cached_new(c, place);
	if (b->dirty)
		c->dirty--;
	b->dirty = false;
	b->wanted = false;
	b->ahead = false;
	b->verified = false;
	unlist(c, b);
	b->holders++;
	buf->data = b->data;
	buf->handle = b;
	return 0;
}

static void env_dirty(struct snapprot_env *env, struct snapprot_buf *buf,
		      u64 sum)
{
	struct cached *b = buf->handle;

	to_cache(env)->dirty += !b->dirty;
	b->dirty = true;
	b->verified = true;
	b->sum = sum;
}

static void env_put(struct snapprot_env *env, struct snapprot_buf *buf)
{
	struct cache *c = to_cache(env);
	struct cached *b = buf->handle;

	b->holders--;
	relist(c, b);
	shrink(c);
}

static void env_forget(struct snapprot_env *env, u64 place)
{
	struct cache *c = to_cache(env);
	struct cached *b = cached_find(c, place);

	if (b && !b->holders && !b->reading)
		cached_remove(c, b);
	/* Those of the space table have their places for ever. */
	if (!snapprot_block_fixed(place))
		disk_drop_later(c->disk, place);
}

static void count_piece(struct cache *c, u32 *piece)
{
	c->tally.read_pieces += !!*piece;
	if (*piece >= LARGE)
		c->tally.read_large += *piece;
	*piece = 0;
}

static void env_prefetch(struct snapprot_env *env, u64 place, u32 count)
{
	struct cache *c = to_cache(env);
	u32 piece = 0;

	for (; count; place++, count--) {
		struct cached *b;

		if (piece == PIECE)
			count_piece(c, &piece);
		if (cached_find(c, place) || place >= disk_blocks(c->disk)) {
			count_piece(c, &piece);
			continue;
		}
		b = cached_new(c, place);
		b->ahead = true;
		c->tally.ahead++;
		if (c->async) {
			wave_add(c, b);
			continue;
		}
		cached_read(c, b);
		relist(c, b);
		piece++;
	}
	count_piece(c, &piece);
}

static int by_place(const void *a, const void *b)
{
	const struct cached *const *x = a;
	const struct cached *const *y = b;

	return (*x)->place < (*y)->place ? -1 : (*x)->place > (*y)->place;
}

/* Requests that blocks in this order make. */
static u32 pieces_of(struct cached *const *block, u32 count)
{
	u32 i, pieces = 0, in = 0;

	for (i = 0; i < count; i++) {
		if (!in || in == PIECE ||
		    block[i]->place != block[i - 1]->place + 1) {
			pieces++;
			in = 0;
		}
		in++;
	}
	return pieces;
}

u32 cache_wave(struct cache *c)
{
	u32 pieces, i;

	if (!c->wave_count)
		return 0;
	qsort(c->wave, c->wave_count, sizeof(*c->wave), by_place);
	pieces = pieces_of(c->wave, c->wave_count);
	for (i = 0; i < c->wave_count; i++) {
		cached_read(c, c->wave[i]);
		c->wave[i]->reading = false;
		relist(c, c->wave[i]);
	}
	c->wave_count = 0;
	c->tally.read_pieces += pieces;
	c->tally.waits++;
	return pieces;
}

/* Write what is dirty, in order of places. */
static void write_back(struct cache *c)
{
	struct cached **list;
	struct cached *b;
	u32 i, n = 0;

	if (!c->dirty)
		return;
	list = must(malloc(c->dirty * sizeof(*list)));
	for (i = 0; i < BUCKETS; i++)
		for (b = c->bucket[i]; b; b = b->chain)
			if (b->dirty)
				list[n++] = b;
	qsort(list, n, sizeof(*list), by_place);
	c->tally.write_pieces += pieces_of(list, n);
	for (i = 0; i < n; i++) {
		b = list[i];
		disk_write(c->disk, b->place, b->data);
		c->tally.written[class_of(b->place, b->data)]++;
		b->dirty = false;
		relist(c, b);
	}
	c->dirty = 0;
	free(list);
	shrink(c);
}

void cache_trim(struct cache *c)
{
	if (c->dirty >= c->max / 2)
		write_back(c);
}

static int env_commit(struct snapprot_env *env)
{
	struct cache *c = to_cache(env);

	write_back(c);
	c->tally.flushes++;
	return 0;
}

static int env_read(struct snapprot_env *env, u64 place, u32 count, void *data)
{
	struct cache *c = to_cache(env);
	u32 i;

	if (place + count > disk_blocks(c->disk))
		return -EIO;
	for (i = 0; i < count; i++) {
		u8 *block = (u8 *)data + (size_t)i * BLOCK;

		disk_read(c->disk, place + i, block);
		count_read(c, place + i, block);
	}
	i = (count + PIECE - 1) / PIECE;
	c->tally.read_pieces += i;
	c->tally.waits += i;
	c->tally.read_large += count >= LARGE ? count : 0;
	return 0;
}

static int env_write(struct snapprot_env *env, u64 place, const void *data)
{
	struct cache *c = to_cache(env);

	disk_write(c->disk, place, data);
	c->tally.written[class_of(place, data)]++;
	c->tally.write_pieces++;
	c->tally.flushes++;
	return 0;
}

/* The size, so that what is freed can be taken off; malloc's alignment stays. */
#define ALLOC_HEAD	16u

static void *env_alloc(struct snapprot_env *env, size_t size)
{
	struct cache *c = to_cache(env);
	u8 *p = must(calloc(1, size + ALLOC_HEAD));

	memcpy(p, &size, sizeof(size));
	c->bytes += size;
	if (c->bytes > c->peak_bytes)
		c->peak_bytes = c->bytes;
	return p + ALLOC_HEAD;
}

static void env_free(struct snapprot_env *env, void *p)
{
	size_t size;

	if (!p)
		return;
	p = (u8 *)p - ALLOC_HEAD;
	memcpy(&size, p, sizeof(size));
	to_cache(env)->bytes -= size;
	free(p);
}

static const struct snapprot_env_ops cache_ops = {
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

struct cache *cache_new(struct disk *d, u32 max)
{
	struct cache *c = must(calloc(1, sizeof(*c)));

	c->env.ops = &cache_ops;
	c->disk = d;
	c->max = max;
	c->bucket = must(calloc(BUCKETS, sizeof(*c->bucket)));
	return c;
}

void cache_free(struct cache *c)
{
	struct cached *b;
	u32 i;

	for (i = 0; i < BUCKETS; i++)
		while (c->bucket[i])
			cached_remove(c, c->bucket[i]);
	while (c->spare) {
		b = c->spare;
		c->spare = b->chain;
		free(b);
	}
	free(c->bucket);
	free(c->wave);
	free(c);
}

void cache_empty(struct cache *c)
{
	struct cached *b, *next;
	u32 i;

	for (i = 0; i < BUCKETS; i++) {
		for (b = c->bucket[i]; b; b = next) {
			next = b->chain;
			if (!b->holders && !b->dirty && !b->reading)
				cached_remove(c, b);
		}
	}
}

struct cache_set cache_save(struct cache *c)
{
	struct cache_set set = { must(malloc((c->count + 1) * sizeof(u64))), 0 };
	struct cached *b;

	for (b = c->oldest; b; b = b->newer)
		set.place[set.count++] = b->place;
	return set;
}

/* Nothing of this counts as read. Sums are checked once more when somebody gets it. */
void cache_restore(struct cache *c, const struct cache_set *set)
{
	u32 i;

	cache_empty(c);
	for (i = 0; i < set->count; i++) {
		struct cached *b = cached_find(c, set->place[i]);

		if (b)
			continue;
		b = cached_new(c, set->place[i]);
		disk_read(c->disk, b->place, b->data);
		b->rounds = level_of(b);
		relist(c, b);
	}
}
