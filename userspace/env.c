// SPDX-License-Identifier: GPL-2.0-only
/*
 * The core's environment over a device or a file: a write-back cache of
 * metadata blocks, and plain transfers for everything else.
 */
#include <sys/random.h>

#include "env.h"

#define HASH_BITS	13
#define HASH_SIZE	(1u << HASH_BITS)
#define MAX_CLEAN	4096u		/* 16 MiB */
#define PIECE		16u		/* blocks of one transfer: 64 KiB */

/**
 * struct env_block - a cached block
 * @next: in its hash bucket
 * @newer: in the list of clean or of dirty blocks
 * @older: the same
 * @data: 4 KiB, aligned
 * @block: its number
 * @sum: it has, unless it is @raw
 * @refs: how often it is held
 * @raw: it was read ahead, and has not been verified
 * @blank: held by get_new, and not complete yet
 * @dirty: it is to be written, and in the list of dirty blocks
 */
struct env_block {
	struct env_block *next;
	struct env_block *newer;
	struct env_block *older;
	void *data;
	u64 block;
	u64 sum;
	u32 refs;
	bool raw;
	bool blank;
	bool dirty;
};

static struct store_env *to_store_env(struct snapprot_env *env)
{
	return (struct store_env *)((char *)env -
				    offsetof(struct store_env, env));
}

static int failed(struct store_env *se, u64 block, int err)
{
	/* A block that is not what it should be is no failure of the device. */
	if (err != -EBADMSG && err != -ENODATA && !se->io_err) {
		se->io_block = block;
		se->io_err = err;
	}
	return err;
}

/* ---- plain transfers -------------------------------------------------- */

static void **held_super(struct store_env *se, u64 block)
{
	u32 copy;

	if (!(se->flags & ENV_HOLD_SUPERS))
		return NULL;
	for (copy = 0; copy < SNAPPROT_COPIES; copy++)
		if (block == snapprot_super_place(copy))
			return &se->held[copy];
	return NULL;
}

static bool is_there(const struct store_env *se, u64 block, u32 count)
{
	return block < device_blocks(se->dev) &&
	       count <= device_blocks(se->dev) - block;
}

static int read_blocks(struct store_env *se, u64 block, u32 count, void *data)
{
	void **held;
	int err;
	u32 i;

	/* Behind the end there is nothing, which is not the device's fault. */
	if (!is_there(se, block, count))
		return failed(se, block, -ENODATA);
	err = device_read(se->dev, block << SNAPPROT_BLOCK_SHIFT, data,
			  (size_t)count << SNAPPROT_BLOCK_SHIFT);
	if (err)
		return failed(se, block, err);
	for (i = 0; i < count && (se->flags & ENV_HOLD_SUPERS); i++) {
		held = held_super(se, block + i);
		if (held && *held)
			memcpy((char *)data + (size_t)i * SNAPPROT_BLOCK_SIZE,
			       *held, SNAPPROT_BLOCK_SIZE);
	}
	return 0;
}

/* As much as there is of a piece; 0 blocks if it cannot be read at once. */
static u32 read_piece(struct store_env *se, u64 block, u32 count)
{
	u64 blocks = device_blocks(se->dev);

	if (block >= blocks)
		return 0;
	if (count > blocks - block)
		count = (u32)(blocks - block);
	if (device_read(se->dev, block << SNAPPROT_BLOCK_SHIFT, se->piece,
			(size_t)count << SNAPPROT_BLOCK_SHIFT))
		return 0;
	return count;
}

static int write_blocks(struct store_env *se, u64 block, u32 count,
			const void *data)
{
	int err;

	if (!(se->flags & ENV_WRITE))
		return failed(se, block, -EROFS);
	err = device_write(se->dev, block << SNAPPROT_BLOCK_SHIFT, data,
			   (size_t)count << SNAPPROT_BLOCK_SHIFT);
	return err ? failed(se, block, err) : 0;
}

/*
 * Old data was written in runs, and often is read in runs. Only where nobody
 * writes: then what has been read ahead stays right.
 */
static bool read_ahead(struct store_env *se, u64 block, void *data)
{
	bool run = block == se->last_read + 1;

	se->last_read = block;
	if (block - se->ahead_at >= se->ahead_count) {
		se->ahead_count = run ? read_piece(se, block, PIECE) : 0;
		se->ahead_at = block;
		memcpy(se->ahead, se->piece,
		       (size_t)se->ahead_count << SNAPPROT_BLOCK_SHIFT);
	}
	if (!se->ahead_count)
		return false;
	memcpy(data, se->ahead + ((block - se->ahead_at) <<
				  SNAPPROT_BLOCK_SHIFT), SNAPPROT_BLOCK_SIZE);
	return true;
}

static int env_read(struct snapprot_env *env, u64 block, u32 count, void *data)
{
	struct store_env *se = to_store_env(env);

	if (count == 1 && !(se->flags & ENV_WRITE) &&
	    read_ahead(se, block, data))
		return 0;
	return read_blocks(se, block, count, data);
}

/* What is no store yet may be lost as a whole. */
static int make_durable(struct store_env *se)
{
	return se->flags & ENV_HOLD_SUPERS ? 0 : device_sync(se->dev);
}

static int env_write(struct snapprot_env *env, u64 block, const void *data)
{
	struct store_env *se = to_store_env(env);
	void **held = held_super(se, block);
	int err;

	if (held) {
		if (!*held)
			*held = env->ops->alloc(env, SNAPPROT_BLOCK_SIZE);
		if (!*held)
			return -ENOMEM;
		memcpy(*held, data, SNAPPROT_BLOCK_SIZE);
		return 0;
	}
	/* Durable with all before it: a flush ahead, and one behind. */
	err = make_durable(se);
	if (!err)
		err = write_blocks(se, block, 1, data);
	if (!err)
		err = make_durable(se);
	return err ? failed(se, block, err) : 0;
}

/* ---- the cache -------------------------------------------------------- */

static struct env_block **bucket(struct store_env *se, u64 block)
{
	return &se->hash[(block * 0x9e3779b97f4a7c15ull) >> (64 - HASH_BITS)];
}

static struct env_block *find_block(struct store_env *se, u64 block)
{
	struct env_block *b;

	for (b = *bucket(se, block); b; b = b->next)
		if (b->block == block)
			return b;
	return NULL;
}

static void lru_add(struct store_env *se, struct env_block *b)
{
	b->newer = NULL;
	b->older = se->lru_last;
	if (se->lru_last)
		se->lru_last->newer = b;
	else
		se->lru = b;
	se->lru_last = b;
	se->nr_clean++;
}

static void lru_del(struct store_env *se, struct env_block *b)
{
	if (b->older)
		b->older->newer = b->newer;
	else
		se->lru = b->newer;
	if (b->newer)
		b->newer->older = b->older;
	else
		se->lru_last = b->older;
	b->newer = NULL;
	b->older = NULL;
	se->nr_clean--;
}

static void dirty_add(struct store_env *se, struct env_block *b)
{
	b->dirty = true;
	b->older = NULL;
	b->newer = se->dirty;
	if (se->dirty)
		se->dirty->older = b;
	se->dirty = b;
	se->nr_dirty++;
}

static void dirty_del(struct store_env *se, struct env_block *b)
{
	if (b->older)
		b->older->newer = b->newer;
	else
		se->dirty = b->newer;
	if (b->newer)
		b->newer->older = b->older;
	b->newer = NULL;
	b->older = NULL;
	b->dirty = false;
	se->nr_dirty--;
}

static void drop_block(struct store_env *se, struct env_block *b)
{
	struct env_block **at;

	for (at = bucket(se, b->block); *at != b; at = &(*at)->next)
		;
	*at = b->next;
	free(b->data);
	free(b);
}

static void drop_oldest(struct store_env *se)
{
	struct env_block *b = se->lru;

	lru_del(se, b);
	drop_block(se, b);
}

static struct env_block *new_block(struct store_env *se, u64 block)
{
	struct env_block *b, **at;

	while (se->nr_clean >= MAX_CLEAN)
		drop_oldest(se);
	b = calloc(1, sizeof(*b));
	if (!b)
		return NULL;
	if (posix_memalign(&b->data, SNAPPROT_BLOCK_SIZE,
			   SNAPPROT_BLOCK_SIZE)) {
		free(b);
		return NULL;
	}
	b->block = block;
	at = bucket(se, block);
	b->next = *at;
	*at = b;
	return b;
}

static void hold_block(struct store_env *se, struct env_block *b,
		       struct snapprot_buf *buf)
{
	if (!b->refs++ && !b->dirty)
		lru_del(se, b);
	buf->data = b->data;
	buf->handle = b;
}

/* A block that is new in the cache, read ahead or not. */
static struct env_block *read_block(struct store_env *se, u64 block, int *err)
{
	struct env_block *b = new_block(se, block);

	*err = b ? read_blocks(se, block, 1, b->data) : -ENOMEM;
	if (*err && b) {
		drop_block(se, b);
		b = NULL;
	}
	if (b) {
		b->raw = true;
		lru_add(se, b);
	}
	return b;
}

static void cache_piece(struct store_env *se, u64 block, u32 count)
{
	struct env_block *b;
	u32 i;

	count = read_piece(se, block, count);
	for (i = 0; i < count; i++) {
		if (find_block(se, block + i))
			continue;
		b = new_block(se, block + i);
		if (!b)
			return;
		memcpy(b->data, se->piece + ((size_t)i << SNAPPROT_BLOCK_SHIFT),
		       SNAPPROT_BLOCK_SIZE);
		b->raw = true;
		lru_add(se, b);
	}
}

static void env_prefetch(struct snapprot_env *env, u64 block, u32 count)
{
	struct store_env *se = to_store_env(env);
	u32 n;

	/* What is more than a part of the cache would push out itself. */
	if (count > MAX_CLEAN / 4)
		count = MAX_CLEAN / 4;
	while (count) {
		while (count && find_block(se, block)) {
			block++;
			count--;
		}
		n = count < PIECE ? count : PIECE;
		if (n)
			cache_piece(se, block, n);
		block += n;
		count -= n;
	}
}

static struct env_block *fetch_block(struct store_env *se, u64 block, int *err)
{
	struct env_block *b = find_block(se, block);

	*err = 0;
	/* Whoever goes through blocks in order gets them in pieces. */
	if (!b && block == se->last_got + 1) {
		cache_piece(se, block, PIECE);
		b = find_block(se, block);
	}
	return b ? b : read_block(se, block, err);
}

static int env_get(struct snapprot_env *env, u64 block, u32 magic, u64 sum,
		   struct snapprot_buf *buf)
{
	struct store_env *se = to_store_env(env);
	struct env_block *b;
	int err;

	b = fetch_block(se, block, &err);
	se->last_got = block;
	if (!b)
		return err == -ENOMEM ? err : failed(se, block, err);
	if (b->raw) {
		err = snapprot_block_verify(&env->key, b->data, magic, block,
					    sum);
		if (err) {
			lru_del(se, b);
			drop_block(se, b);
			return failed(se, block, err);
		}
		b->raw = false;
		b->sum = sum;
	}
	if (b->sum != sum)
		return failed(se, block, -EBADMSG);
	hold_block(se, b, buf);
	return 0;
}

static int env_get_new(struct snapprot_env *env, u64 block,
		       struct snapprot_buf *buf)
{
	struct store_env *se = to_store_env(env);
	struct env_block *b = find_block(se, block);

	if (b && !b->refs && !b->dirty)
		lru_del(se, b);
	if (!b)
		b = new_block(se, block);
	if (!b)
		return -ENOMEM;
	b->refs++;
	/* Undefined by contract; zeroes keep stale memory off the disk. */
	memset(b->data, 0, SNAPPROT_BLOCK_SIZE);
	b->raw = false;
	b->blank = true;
	buf->data = b->data;
	buf->handle = b;
	return 0;
}

static void env_dirty(struct snapprot_env *env, struct snapprot_buf *buf,
		      u64 sum)
{
	struct env_block *b = buf->handle;

	b->blank = false;
	b->sum = sum;
	if (!b->dirty)
		dirty_add(to_store_env(env), b);
}

static void env_put(struct snapprot_env *env, struct snapprot_buf *buf)
{
	struct store_env *se = to_store_env(env);
	struct env_block *b = buf->handle;

	if (--b->refs || b->dirty)
		return;
	/* Taken with get_new and never filled. */
	if (b->blank)
		drop_block(se, b);
	else
		lru_add(se, b);
}

static void env_forget(struct snapprot_env *env, u64 block)
{
	struct store_env *se = to_store_env(env);
	struct env_block *b = find_block(se, block);

	if (!b || b->refs)
		return;
	if (b->dirty)
		dirty_del(se, b);
	else
		lru_del(se, b);
	drop_block(se, b);
}

static int compare_blocks(const void *a, const void *b)
{
	const struct env_block *x = *(struct env_block * const *)a;
	const struct env_block *y = *(struct env_block * const *)b;

	return x->block < y->block ? -1 : x->block > y->block;
}

/* Blocks that lie side by side go out at once; returns how many of them. */
static u32 collect_piece(struct store_env *se, struct env_block **list,
			 u32 count)
{
	u32 n = 0;

	do {
		memcpy(se->piece + ((size_t)n << SNAPPROT_BLOCK_SHIFT),
		       list[n]->data, SNAPPROT_BLOCK_SIZE);
		n++;
	} while (n < count && n < PIECE &&
		 list[n]->block == list[0]->block + n);
	return n;
}

static int write_dirty(struct store_env *se, struct env_block **list)
{
	struct env_block *b;
	u32 i, n, count = 0;
	int err;

	for (b = se->dirty; b; b = b->newer)
		list[count++] = b;
	qsort(list, count, sizeof(*list), compare_blocks);
	for (i = 0; i < count; i += n) {
		n = collect_piece(se, &list[i], count - i);
		err = write_blocks(se, list[i]->block, n, se->piece);
		if (err)
			return err;
	}
	for (i = 0; i < count; i++) {
		dirty_del(se, list[i]);
		if (!list[i]->refs)
			lru_add(se, list[i]);
	}
	while (se->nr_clean > MAX_CLEAN)
		drop_oldest(se);
	return 0;
}

static int env_commit(struct snapprot_env *env)
{
	struct store_env *se = to_store_env(env);
	struct env_block **list;
	int err = 0;

	if (!(se->flags & ENV_WRITE))
		return -EROFS;
	if (se->nr_dirty) {
		list = calloc(se->nr_dirty, sizeof(*list));
		if (!list)
			return -ENOMEM;
		err = write_dirty(se, list);
		free(list);
	}
	return err ? err : make_durable(se);
}

/* ---- memory ----------------------------------------------------------- */

/* Blocks go to O_DIRECT transfers, so whatever may hold one is aligned. */
static void *env_alloc(struct snapprot_env *env, size_t size)
{
	void *p;

	(void)env;
	if (size < SNAPPROT_BLOCK_SIZE)
		return calloc(1, size ? size : 1);
	if (posix_memalign(&p, SNAPPROT_BLOCK_SIZE, size))
		return NULL;
	memset(p, 0, size);
	return p;
}

static void env_free(struct snapprot_env *env, void *p)
{
	(void)env;
	free(p);
}

static const struct snapprot_env_ops env_ops = {
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

int store_env_init(struct store_env *se, const struct device *dev,
		   unsigned int flags)
{
	*se = (struct store_env){
		.env = { .ops = &env_ops },
		.dev = dev,
		.flags = flags,
		.last_read = ~(u64)0 - 1,
		.last_got = ~(u64)0 - 1,
	};
	/* Without it a store that somebody made may only be slow to read. */
	if (getrandom(&se->env.salt, sizeof(se->env.salt), GRND_NONBLOCK) < 0)
		se->env.salt = 0;
	se->hash = calloc(HASH_SIZE, sizeof(*se->hash));
	se->piece = env_alloc(&se->env, PIECE * SNAPPROT_BLOCK_SIZE);
	se->ahead = env_alloc(&se->env, PIECE * SNAPPROT_BLOCK_SIZE);
	return se->hash && se->piece && se->ahead ? 0 : -ENOMEM;
}

void store_env_exit(struct store_env *se)
{
	struct env_block *b, *next;
	u32 i;

	for (i = 0; se->hash && i < HASH_SIZE; i++) {
		for (b = se->hash[i]; b; b = next) {
			next = b->next;
			free(b->data);
			free(b);
		}
	}
	free(se->hash);
	free(se->piece);
	free(se->ahead);
	for (i = 0; i < SNAPPROT_COPIES; i++)
		free(se->held[i]);
	memset(se, 0, sizeof(*se));
}

void store_env_drop(struct store_env *se)
{
	se->ahead_count = 0;
	while (se->lru)
		drop_oldest(se);
}

/* The pair of the last write goes first: whatever comes then, it is the newest. */
int store_env_release(struct store_env *se)
{
	u32 i, copy, first = 0;
	u64 seq, newest = 0;
	int err = 0;

	for (copy = 0; copy < SNAPPROT_COPIES; copy++) {
		const struct snapprot_disk_super *s = se->held[copy];

		seq = s ? le64_to_cpu(s->h.seq) : 0;
		if (seq > newest) {
			newest = seq;
			first = copy & ~1u;
		}
	}
	se->flags &= ~ENV_HOLD_SUPERS;
	for (i = 0; i < SNAPPROT_COPIES && !err; i++) {
		copy = first ^ i;
		if (se->held[copy])
			err = env_write(&se->env, snapprot_super_place(copy),
					se->held[copy]);
	}
	for (copy = 0; copy < SNAPPROT_COPIES; copy++) {
		free(se->held[copy]);
		se->held[copy] = NULL;
	}
	return err;
}
