// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>

#include "fuzz.h"

/* ---- the device ----------------------------------------------------------- */

struct fuzz_page {
	struct fuzz_page *next;
	u64 place;
	u8 data[SNAPPROT_BLOCK_SIZE] __attribute__((__aligned__(8)));
};

static struct fuzz_page **page_bucket(const struct fuzz_disk *disk, u64 place)
{
	return (struct fuzz_page **)&disk->page[place % FUZZ_BUCKETS];
}

static struct fuzz_page *page_find(const struct fuzz_disk *disk, u64 place)
{
	struct fuzz_page *p;

	for (p = *page_bucket(disk, place); p; p = p->next)
		if (p->place == place)
			return p;
	return NULL;
}

const u8 *fuzz_peek(const struct fuzz_disk *disk, u64 place)
{
	struct fuzz_page *p = page_find(disk, place);

	return p ? p->data : sim_peek(disk->base->m->sim, place);
}

u8 *fuzz_block(struct fuzz_disk *disk, u64 place)
{
	struct fuzz_page *p = page_find(disk, place);

	if (p)
		return p->data;
	p = malloc(sizeof(*p));
	p->place = place;
	memcpy(p->data, sim_peek(disk->base->m->sim, place), sizeof(p->data));
	p->next = *page_bucket(disk, place);
	*page_bucket(disk, place) = p;
	return p->data;
}

void fuzz_changed(const struct fuzz_disk *disk,
		  void (*fn)(void *ctx, u64 place, const u8 *data), void *ctx)
{
	struct fuzz_page *p;
	u32 i;

	for (i = 0; i < FUZZ_BUCKETS; i++)
		for (p = disk->page[i]; p; p = p->next)
			fn(ctx, p->place, p->data);
}

void fuzz_image_free(struct fuzz_image *img)
{
	u32 i;

	for (i = 0; i < FUZZ_BUCKETS; i++) {
		while (img->disk.page[i]) {
			struct fuzz_page *p = img->disk.page[i];

			img->disk.page[i] = p->next;
			free(p);
		}
	}
}

/* ---- inputs ------------------------------------------------------------ */

static void add(u8 *at, const u8 *bytes, u32 len)
{
	u64 a = 0, b = 0;

	len = len > 8 ? 8 : len;
	memcpy(&a, at, len);
	memcpy(&b, bytes, len);
	a += b;
	memcpy(at, &a, len);
}

/* Bytes of a block up to the last one that is not zero, and a few more. */
static u32 filled(const u8 *data)
{
	u32 n = SNAPPROT_BLOCK_SIZE;

	while (n && !data[n - 1])
		n--;
	n = (n + 15) & ~7u;
	return n < SNAPPROT_BLOCK_SIZE ? n : SNAPPROT_BLOCK_SIZE;
}

static void patch(u8 *data, u8 flags, u32 where, const u8 *bytes, u32 len)
{
	where %= flags & FUZZ_FAR ? SNAPPROT_BLOCK_SIZE : filled(data);
	if (flags & (FUZZ_ALIGN | FUZZ_PLACE))
		where &= ~7u;
	if (flags & FUZZ_MOVE && len >= 3) {
		u32 from = (bytes[0] | bytes[1] << 8) % SNAPPROT_BLOCK_SIZE;

		len = bytes[2];
		if (len > SNAPPROT_BLOCK_SIZE - (from > where ? from : where))
			len = SNAPPROT_BLOCK_SIZE - (from > where ? from : where);
		memmove(data + where, data + from, len);
		return;
	}
	if (len > SNAPPROT_BLOCK_SIZE - where)
		len = SNAPPROT_BLOCK_SIZE - where;
	if (flags & FUZZ_ADD)
		add(data + where, bytes, len);
	else
		memcpy(data + where, bytes, len);
}

size_t fuzz_patch_block(u8 *data, const u8 *input, size_t size)
{
	u32 len;

	if (size <= 6)
		return 0;
	len = input[5] & 31;
	if (len > size - 6)
		len = size - 6;
	patch(data, input[0] & ~(FUZZ_COPY | FUZZ_PLACE),
	      input[3] | input[4] << 8, input + 6, len);
	return 6 + len;
}

/* One of the blocks, each kind as often as any other. */
static const struct fuzz_used *which_block(const struct fuzz_base *b, u32 which)
{
	u32 kind = which % WALK_KINDS;
	u32 count = b->first[kind + 1] - b->first[kind];

	if (!count)
		return &b->used[0];
	return &b->used[b->first[kind] + which / WALK_KINDS % count];
}

static size_t patch_one(struct fuzz_image *img, const u8 *input, size_t size)
{
	const struct fuzz_base *b = img->disk.base;
	u32 which = input[1] | input[2] << 8, where = input[3] | input[4] << 8;
	const struct fuzz_used *u = which_block(b, which), *other;
	u32 flags = input[0], len = input[5] & 31;
	u8 *data = fuzz_block(&img->disk, u->place);
	struct snapprot_disk_header *h = (void *)data;
	__le64 place;

	if (len > size - 6)
		len = size - 6;
	if (flags & FUZZ_COPY) {
		u32 count = b->first[u->kind + 1] - b->first[u->kind];

		other = &b->used[b->first[u->kind] + where % count];
		memcpy(data, fuzz_peek(&img->disk, other->place),
		       SNAPPROT_BLOCK_SIZE);
		if (img->mode & FUZZ_HOSTILE && u->kind != WALK_BITMAP &&
		    u->kind != WALK_DATA && u->kind != WALK_LOG_DATA)
			h->block = cpu_to_le64(u->place);
	} else if (flags & FUZZ_PLACE && len >= 2) {
		other = which_block(b, input[6] | input[7] << 8);
		place = cpu_to_le64(other->place);
		patch(data, flags, where, (u8 *)&place, sizeof(place));
	} else {
		patch(data, flags, where, input + 6, len);
	}
	return 6 + len;
}

/* ---- setting sums right --------------------------------------------------- */

#define MEMO	8192u

struct memo {
	u64 place;
	u64 sum;
	u32 magic;
	bool done;
};

struct repair {
	struct fuzz_disk *disk;
	const siphash_key_t *key;
	u64 seed;
	bool counts;
	u32 nr;
	struct memo memo[MEMO];
};

static struct memo *memo_find(struct repair *r, u64 place, u32 magic)
{
	u32 i = (place * 31 + magic) % MEMO;

	while (r->memo[i].magic && (r->memo[i].place != place ||
				    r->memo[i].magic != magic))
		i = (i + 1) % MEMO;
	return &r->memo[i];
}

static void set_u64(struct repair *r, u64 place, const void *block,
		    const void *at, u64 value)
{
	size_t offset = (const u8 *)at - (const u8 *)block;
	__le64 v = cpu_to_le64(value);

	if (memcmp(fuzz_peek(r->disk, place) + offset, &v, sizeof(v)))
		memcpy(fuzz_block(r->disk, place) + offset, &v, sizeof(v));
}

static u64 repair_block(struct repair *r, u64 place, u32 magic);

/* Sums of the old data that entries lead to. */
static void repair_entries(struct repair *r, u64 place, u32 offset, u32 count)
{
	u32 i;

	for (i = 0; i < count; i++) {
		u32 at = offset + i * sizeof(struct snapprot_disk_entry);
		struct snapprot_disk_entry e;
		u64 data;
		__le32 sum;

		memcpy(&e, fuzz_peek(r->disk, place) + at, sizeof(e));
		data = SNAPPROT_WHERE_PLACE(le64_to_cpu(e.where));
		if (SNAPPROT_WHERE_KIND(le64_to_cpu(e.where)) !=
		    SNAPPROT_KIND_DATA || data >= r->disk->blocks)
			continue;
		sum = cpu_to_le32((u32)xxh64(fuzz_peek(r->disk, data),
					     SNAPPROT_BLOCK_SIZE, r->seed));
		if (sum == e.sum)
			continue;
		memcpy(fuzz_block(r->disk, place) + at +
		       offsetof(struct snapprot_disk_entry, sum), &sum,
		       sizeof(sum));
	}
}

static void repair_node(struct repair *r, u64 place)
{
	const struct snapprot_disk_node *n =
		(const void *)fuzz_peek(r->disk, place);
	u32 count = le16_to_cpu(n->count), i;

	if (!n->level) {
		if (count <= SNAPPROT_LEAF_ENTRIES)
			repair_entries(r, place, offsetof(struct
				       snapprot_disk_node, entry), count);
		return;
	}
	for (i = 0; i < count && i < SNAPPROT_INNER_ENTRIES; i++) {
		u64 sum;

		n = (const void *)fuzz_peek(r->disk, place);
		sum = repair_block(r, le64_to_cpu(n->child[i].place),
				   SNAPPROT_MAGIC_NODE);
		n = (const void *)fuzz_peek(r->disk, place);
		set_u64(r, place, n, &n->child[i].sum, sum);
	}
}

static void repair_dir(struct repair *r, u64 place)
{
	const struct snapprot_disk_dir *d =
		(const void *)fuzz_peek(r->disk, place);
	u32 used = le32_to_cpu(d->used), at, size, magic;

	if (d->next) {
		u64 sum = repair_block(r, le64_to_cpu(d->next),
				       SNAPPROT_MAGIC_DIR);

		d = (const void *)fuzz_peek(r->disk, place);
		set_u64(r, place, d, &d->next_sum, sum);
	}
	for (at = 0; at + 24 <= used && used <= SNAPPROT_DIR_BYTES; at += size) {
		struct snapprot_disk_run run;
		struct snapprot_disk_snaps_item item;
		u64 sum;

		d = (const void *)fuzz_peek(r->disk, place);
		memcpy(&item, d->items + at, sizeof(item));
		size = le16_to_cpu(item.item.size);
		if (!size || size > used - at)
			break;
		switch (le16_to_cpu(item.item.type)) {
		case SNAPPROT_ITEM_RUN:
			if (size < sizeof(run))
				return;
			memcpy(&run, d->items + at, sizeof(run));
			if (!run.root)
				continue;
			sum = repair_block(r, le64_to_cpu(run.root),
					   SNAPPROT_MAGIC_NODE);
			d = (const void *)fuzz_peek(r->disk, place);
			set_u64(r, place, d, d->items + at +
				offsetof(struct snapprot_disk_run, root_sum),
				sum);
			break;
		case SNAPPROT_ITEM_SNAPS:
		case SNAPPROT_ITEM_COUNTS:
			magic = item.item.type == cpu_to_le16(SNAPPROT_ITEM_SNAPS) ?
				SNAPPROT_MAGIC_SNAPS : SNAPPROT_MAGIC_COUNTS;
			sum = repair_block(r, le64_to_cpu(item.place), magic);
			d = (const void *)fuzz_peek(r->disk, place);
			set_u64(r, place, d, d->items + at +
				offsetof(struct snapprot_disk_snaps_item, sum),
				sum);
			break;
		}
	}
}

static u64 repair_block(struct repair *r, u64 place, u32 magic)
{
	struct memo *m = memo_find(r, place, magic);
	u64 sum;

	/* A block cannot have its own sum in it. */
	if (m->magic)
		return m->done ? m->sum : 0;
	if (place >= r->disk->blocks || r->nr++ > MEMO / 2)
		return 0;
	m->magic = magic;
	m->place = place;
	if (magic == SNAPPROT_MAGIC_NODE)
		repair_node(r, place);
	if (magic == SNAPPROT_MAGIC_DIR)
		repair_dir(r, place);
	sum = snapprot_block_sum(r->key, fuzz_peek(r->disk, place), magic,
				 place);
	m->sum = sum;
	m->done = true;
	return sum;
}

static u64 bits_of(const u8 *data)
{
	u64 n = 0;
	u32 i;

	for (i = 0; i < SNAPPROT_BLOCK_SIZE; i++)
		n += __builtin_popcount(data[i]);
	return n;
}

/* A node of the space table, with all below: its sum, and blocks in use. */
static u64 repair_space(struct repair *r, u32 level, u64 index, u32 slot,
			u64 *used)
{
	u64 place = snapprot_node_place(level, index, slot), sum;
	const struct snapprot_disk_space *s;
	u32 i;

	*used = 0;
	if (place >= r->disk->blocks)
		return 0;
	for (i = 0; i < SNAPPROT_SPACE_FANOUT; i++) {
		u64 below = index * SNAPPROT_SPACE_FANOUT + i, n = 0, at;

		s = (const void *)fuzz_peek(r->disk, place);
		slot = le32_to_cpu(s->entry[i].slot);
		if (!(slot & SNAPPROT_SLOT_VALID))
			continue;
		if (level) {
			sum = repair_space(r, level - 1, below, slot, &n);
		} else {
			at = snapprot_bitmap_place(below, slot);
			if (at >= r->disk->blocks)
				continue;
			n = bits_of(fuzz_peek(r->disk, at));
			sum = snapprot_block_sum(r->key, fuzz_peek(r->disk, at),
						 SNAPPROT_MAGIC_BITMAP, at);
		}
		s = (const void *)fuzz_peek(r->disk, place);
		set_u64(r, place, s, &s->entry[i].sum, sum);
		s = (const void *)fuzz_peek(r->disk, place);
		if (r->counts)
			set_u64(r, place, s, &s->entry[i].used, n);
		*used += n;
	}
	return snapprot_block_sum(r->key, fuzz_peek(r->disk, place),
				  SNAPPROT_MAGIC_SPACE, place);
}

static void repair_log(struct repair *r, const struct snapprot_disk_super *s)
{
	u64 place = le64_to_cpu(s->log_block), seq = le64_to_cpu(s->log_seq);
	u64 sum = le64_to_cpu(s->log_prev_sum);
	u32 i;

	for (i = 0; i < 2000; i++, seq++) {
		const struct snapprot_disk_log *l;

		if (place >= r->disk->blocks)
			return;
		l = (const void *)fuzz_peek(r->disk, place);
		/* What was written before is no step of this log. */
		if (le32_to_cpu(l->h.magic) != SNAPPROT_MAGIC_LOG ||
		    (le64_to_cpu(l->h.seq) != seq && !page_find(r->disk, place)))
			return;
		if (le16_to_cpu(l->type) == SNAPPROT_LOG_BATCH &&
		    le16_to_cpu(l->count) <= SNAPPROT_LOG_ENTRIES)
			repair_entries(r, place, offsetof(struct
				       snapprot_disk_log, entry),
				       le16_to_cpu(l->count));
		l = (const void *)fuzz_peek(r->disk, place);
		set_u64(r, place, l, &l->prev_sum, sum);
		l = (const void *)fuzz_peek(r->disk, place);
		sum = snapprot_block_sum(r->key, l, SNAPPROT_MAGIC_LOG, place);
		set_u64(r, place, l, &l->h.sum, sum);
		l = (const void *)fuzz_peek(r->disk, place);
		place = le64_to_cpu(l->next);
	}
}

/* The superblock that will be chosen; each is sealed again if it was changed. */
static u64 best_super(struct fuzz_disk *disk)
{
	u64 best = 0, best_seq = 0;
	bool any = false;
	u32 i;

	for (i = 0; i < SNAPPROT_COPIES; i++) {
		u64 place = snapprot_super_place(i);
		struct snapprot_disk_super *s;

		if (page_find(disk, place)) {
			s = (void *)fuzz_block(disk, place);
			snapprot_super_seal(s);
		}
		s = (void *)fuzz_peek(disk, place);
		if (snapprot_super_verify(s, place) ||
		    (any && le64_to_cpu(s->h.seq) <= best_seq))
			continue;
		any = true;
		best = place;
		best_seq = le64_to_cpu(s->h.seq);
	}
	return any ? best : ~(u64)0;
}

static void repair(struct fuzz_image *img)
{
	static struct repair r;
	struct snapprot_disk_super *s;
	u64 place = best_super(&img->disk), sum, used;

	if (place == ~(u64)0)
		return;
	memset(&r, 0, sizeof(r));
	s = (void *)fuzz_block(&img->disk, place);
	snapprot_key_init(&img->key, s->secret);
	r.disk = &img->disk;
	r.key = &img->key;
	r.seed = siphash("data", 4, r.key);
	r.counts = img->mode & FUZZ_COUNTS;
	repair_log(&r, s);
	if (s->dir)
		s->dir_sum = cpu_to_le64(repair_block(&r, le64_to_cpu(s->dir),
						      SNAPPROT_MAGIC_DIR));
	if (le32_to_cpu(s->space_slot) & SNAPPROT_SLOT_VALID &&
	    le32_to_cpu(s->space_level) < SNAPPROT_SPACE_LEVELS) {
		sum = repair_space(&r, le32_to_cpu(s->space_level), 0,
				   le32_to_cpu(s->space_slot), &used);
		s->space_sum = cpu_to_le64(sum);
		if (r.counts)
			s->space_used = cpu_to_le64(used);
	}
	snapprot_super_seal(s);
}

void fuzz_image(struct fuzz_image *img, const u8 *input, size_t size)
{
	u32 nr;

	memset(img, 0, sizeof(*img));
	img->mode = size ? input[0] : 0;
	img->disk.base = fuzz_base(img->mode & 7);
	img->disk.blocks = img->disk.base->m->sim->blocks;
	size = size ? size - 1 : 0;
	input++;
	for (nr = 0; size > 6 && nr < FUZZ_PATCHES; nr++) {
		size_t n = patch_one(img, input, size);

		input += n;
		size -= n;
	}
	img->honest = !(img->mode & FUZZ_HOSTILE);
	if (!img->honest)
		repair(img);
}

/* ---- the environment ------------------------------------------------------- */

struct fuzz_cached {
	struct fuzz_cached *next;
	u64 place;
	u64 sum;
	u32 holds;
	bool asked;		/* get() has said -EAGAIN */
	bool dirty;
	bool forgotten;
	u8 data[SNAPPROT_BLOCK_SIZE] __attribute__((__aligned__(8)));
};

static struct fuzz_env *env_of(struct snapprot_env *env)
{
	return (struct fuzz_env *)((char *)env - offsetof(struct fuzz_env, env));
}

static struct fuzz_cached *cached_find(struct fuzz_env *fe, u64 place)
{
	struct fuzz_cached *c;

	for (c = fe->cached[place % FUZZ_BUCKETS]; c; c = c->next)
		if (c->place == place)
			return c;
	return NULL;
}

static struct fuzz_cached *cached_new(struct fuzz_env *fe, u64 place)
{
	struct fuzz_cached *c = malloc(sizeof(*c));

	memset(c, 0, offsetof(struct fuzz_cached, data));
	c->place = place;
	c->next = fe->cached[place % FUZZ_BUCKETS];
	fe->cached[place % FUZZ_BUCKETS] = c;
	fe->nr_cached++;
	return c;
}

static void cached_unlink(struct fuzz_env *fe, struct fuzz_cached *c)
{
	struct fuzz_cached **at = &fe->cached[c->place % FUZZ_BUCKETS];

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	fe->nr_cached--;
}

/* It is not found any more, and goes when nobody holds it. */
static void cached_forget(struct fuzz_env *fe, struct fuzz_cached *c)
{
	cached_unlink(fe, c);
	c->forgotten = true;
	if (!c->holds)
		free(c);
}

static void hold(struct fuzz_env *fe, struct fuzz_cached *c,
		 struct snapprot_buf *buf)
{
	c->holds++;
	fe->nr_held++;
	buf->data = c->data;
	buf->handle = c;
}

static int env_get(struct snapprot_env *env, u64 place, u32 magic, u64 sum,
		   struct snapprot_buf *buf)
{
	struct fuzz_env *fe = env_of(env);
	struct fuzz_cached *c;

	if (place >= fe->disk->blocks)
		return -EIO;
	c = cached_find(fe, place);
	if (!c) {
		c = cached_new(fe, place);
		memcpy(c->data, fuzz_peek(fe->disk, place), sizeof(c->data));
		fe->disk->reads++;
		c->asked = true;
		if (fe->async)
			return -EAGAIN;
	}
	if (c->asked) {
		if (snapprot_block_verify(&env->key, c->data, magic, place,
					  sum)) {
			cached_forget(fe, c);
			return -EBADMSG;
		}
		c->asked = false;
		c->sum = sum;
	} else if (c->sum != sum) {
		return -EBADMSG;
	}
	hold(fe, c, buf);
	return 0;
}

static int env_get_new(struct snapprot_env *env, u64 place,
		       struct snapprot_buf *buf)
{
	struct fuzz_env *fe = env_of(env);
	struct fuzz_cached *c = cached_find(fe, place);

	CHECK(place < fe->disk->blocks);
	if (c) {
		CHECK(!fe->sound || (!c->holds && !c->dirty));
		cached_forget(fe, c);
	}
	c = cached_new(fe, place);
	memset(c->data, 0x5a, sizeof(c->data));
	hold(fe, c, buf);
	return 0;
}

static void env_dirty(struct snapprot_env *env, struct snapprot_buf *buf,
		      u64 sum)
{
	struct fuzz_cached *c = buf->handle;
	const struct snapprot_disk_header *h = buf->data;
	u32 magic = c->data[0] ? le32_to_cpu(h->magic) : SNAPPROT_MAGIC_BITMAP;

	if (env_of(env)->sound)
		CHECK_EQ(snapprot_block_verify(&env->key, c->data, magic,
					       c->place, sum), 0);
	c->sum = sum;
	c->dirty = true;
}

static void env_put(struct snapprot_env *env, struct snapprot_buf *buf)
{
	struct fuzz_env *fe = env_of(env);
	struct fuzz_cached *c = buf->handle;

	CHECK(c->holds);
	fe->nr_held--;
	buf->data = NULL;
	buf->handle = NULL;
	if (--c->holds)
		return;
	if (c->forgotten)
		free(c);
	else if (!c->dirty && fe->nr_cached > 64)
		cached_forget(fe, c);
}

static void env_forget(struct snapprot_env *env, u64 place)
{
	struct fuzz_env *fe = env_of(env);
	struct fuzz_cached *c = cached_find(fe, place);

	if (!c)
		return;
	CHECK(!fe->sound || !c->holds);
	cached_forget(fe, c);
}

static void env_prefetch(struct snapprot_env *env, u64 place, u32 count)
{
}

static int env_commit(struct snapprot_env *env)
{
	struct fuzz_env *fe = env_of(env);
	struct fuzz_cached *c;
	u32 i;

	for (i = 0; i < FUZZ_BUCKETS; i++) {
		for (c = fe->cached[i]; c; c = c->next) {
			if (!c->dirty)
				continue;
			memcpy(fuzz_block(fe->disk, c->place), c->data,
			       sizeof(c->data));
			c->dirty = false;
		}
	}
	return 0;
}

static int env_read(struct snapprot_env *env, u64 place, u32 count, void *data)
{
	struct fuzz_disk *disk = env_of(env)->disk;
	u32 i;

	if (place >= disk->blocks || count > disk->blocks - place)
		return -EIO;
	for (i = 0; i < count; i++)
		memcpy((u8 *)data + (size_t)i * SNAPPROT_BLOCK_SIZE,
		       fuzz_peek(disk, place + i), SNAPPROT_BLOCK_SIZE);
	disk->reads += count;
	return 0;
}

static int env_write(struct snapprot_env *env, u64 place, const void *data)
{
	struct fuzz_disk *disk = env_of(env)->disk;

	CHECK(place < disk->blocks);
	memcpy(fuzz_block(disk, place), data, SNAPPROT_BLOCK_SIZE);
	return 0;
}

static void *env_alloc(struct snapprot_env *env, size_t size)
{
	struct fuzz_env *fe = env_of(env);
	size_t *p;

	fe->memory += size;
	if (fe->memory > FUZZ_MEMORY)
		unit_fail(__FILE__, __LINE__, "%zu bytes of memory",
			  fe->memory);
	/* What is large is seldom used to its end. */
	p = calloc(1, size + 16);
	p[0] = size;
	return p + 2;
}

static void env_free(struct snapprot_env *env, void *p)
{
	size_t *at = p;

	if (!p)
		return;
	env_of(env)->memory -= at[-2];
	free(at - 2);
}

void fuzz_env_init(struct fuzz_env *fe, struct fuzz_disk *disk)
{
	static const struct snapprot_env_ops ops = {
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

	memset(fe, 0, sizeof(*fe));
	fe->env.ops = &ops;
	fe->env.tune = &disk->base->m->tune;
	fe->disk = disk;
}

void fuzz_env_drop(struct fuzz_env *fe)
{
	u32 i;

	CHECK_EQ(fe->nr_held, 0);
	for (i = 0; i < FUZZ_BUCKETS; i++)
		while (fe->cached[i])
			cached_forget(fe, fe->cached[i]);
}

/* ---- what has to be so ------------------------------------------------- */

static void never_wrong(const struct model *m, struct snapprot_core *core,
			const struct model_snap *snap, u32 index)
{
	static u8 want[SNAPPROT_BLOCK_SIZE], got[SNAPPROT_BLOCK_SIZE];
	struct snapprot_entry e;
	int found;

	found = snapprot_lookup(core, model_block(m, index), snap->s.epoch, &e);
	if (found < 0)
		return;
	if (!found) {
		CHECK_EQ(m->origin[index], snap->content[index]);
		return;
	}
	memset(got, 0, sizeof(got));
	if (snapprot_entry_kind(&e) == SNAPPROT_KIND_DATA &&
	    (core->env->ops->read(core->env, snapprot_entry_place(&e), 1, got) ||
	     snapprot_data_sum(core, got) != e.sum))
		return;
	model_fill(want, index, snap->content[index]);
	CHECK(!memcmp(got, want, sizeof(want)));
}

static const struct model_snap *find_snap(const struct model *m,
					  const struct snapprot_snap *s)
{
	u32 i;

	for (i = 0; i < m->nr_snaps; i++)
		if (m->snap[i].s.id == s->id)
			return &m->snap[i];
	return NULL;
}

u32 fuzz_never_wrong(const struct fuzz_base *base, struct snapprot_core *core)
{
	const struct model *m = base->m;
	u32 i, b, known = 0;

	for (i = 0; i < core->nr_snaps; i++) {
		const struct model_snap *snap = find_snap(m, &core->snaps[i]);

		known += !!snap;
		if (!snap || snapprot_snap_lost(core, &core->snaps[i]))
			continue;
		CHECK_EQ(core->snaps[i].epoch, snap->s.epoch);
		for (b = 0; b < m->nr_blocks; b++)
			never_wrong(m, core, snap, b);
	}
	return known;
}

static void problem(void *ctx, u64 block, const char *what)
{
	CHECK(what && *what);
	if (getenv("FUZZ_SAY"))
		printf("# block %llu: %s\n", (unsigned long long)block, what);
}

int fuzz_check(struct snapprot_core *core)
{
	static const struct snapprot_check_ops ops = { .problem = problem };

	return snapprot_store_check(core, true, &ops, NULL);
}

void fuzz_run(void (*fn)(void *ctx), void *ctx)
{
	int line;

	if (!unit_survives(fn, ctx, &line)) {
		fprintf(stderr, "finding: CHECK of line %d, see above\n", line);
		abort();
	}
}
