// SPDX-License-Identifier: GPL-2.0-only
/*
 * The core's environment over a device or a file: a write-back cache of
 * metadata blocks, and plain transfers for everything else.
 */
#include "env.h"

#define HASH_BITS	12
#define HASH_SIZE	(1u << HASH_BITS)
#define MAX_CLEAN	2048u		/* 8 MiB */

/**
 * struct env_block - a cached block
 * @next: in its hash bucket
 * @newer: in the list of clean or of dirty blocks
 * @older: the same
 * @data: 4 KiB, aligned
 * @block: its number
 * @magic: what it was verified as
 * @refs: how often it is held
 * @dirty: it is to be written, and in the list of dirty blocks
 */
struct env_block {
	struct env_block *next;
	struct env_block *newer;
	struct env_block *older;
	void *data;
	u64 block;
	u32 magic;
	u32 refs;
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
	if (!(se->flags & ENV_HOLD_SUPERS))
		return NULL;
	if (block == SNAPPROT_SUPER_BLOCK_0)
		return &se->held[0];
	return block == SNAPPROT_SUPER_BLOCK_1 ? &se->held[1] : NULL;
}

static int read_blocks(struct store_env *se, u64 block, u32 count, void *data)
{
	void **held;
	int err;
	u32 i;

	/* Behind the end there is nothing, which is not the device's fault. */
	if (block >= device_blocks(se->dev) ||
	    count > device_blocks(se->dev) - block)
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

static int write_block(struct store_env *se, u64 block, const void *data)
{
	int err;

	if (!(se->flags & ENV_WRITE))
		return failed(se, block, -EROFS);
	err = device_write(se->dev, block << SNAPPROT_BLOCK_SHIFT, data,
			   SNAPPROT_BLOCK_SIZE);
	return err ? failed(se, block, err) : 0;
}

static int env_read(struct snapprot_env *env, u64 block, u32 count, void *data)
{
	return read_blocks(to_store_env(env), block, count, data);
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
	err = device_sync(se->dev);
	if (!err)
		err = write_block(se, block, data);
	if (!err)
		err = device_sync(se->dev);
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

static struct env_block *new_block(struct store_env *se, u64 block)
{
	struct env_block *b, **at;

	while (se->nr_clean >= MAX_CLEAN) {
		b = se->lru;
		lru_del(se, b);
		drop_block(se, b);
	}
	b = calloc(1, sizeof(*b));
	if (!b)
		return NULL;
	if (posix_memalign(&b->data, SNAPPROT_BLOCK_SIZE,
			   SNAPPROT_BLOCK_SIZE)) {
		free(b);
		return NULL;
	}
	b->block = block;
	b->refs = 1;
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

/* A changed block has no checksum yet; what it is can still be compared. */
static int check_magic(struct env_block *b, u32 magic)
{
	const struct snapprot_disk_header *h = b->data;
	int err = 0;

	if (b->dirty || b->magic == magic)
		return le32_to_cpu(h->magic) == magic ? 0 : -EBADMSG;
	err = snapprot_block_verify(b->data, magic, b->block);
	if (!err)
		b->magic = magic;
	return err;
}

static int env_get(struct snapprot_env *env, u64 block, u32 magic,
		   struct snapprot_buf *buf)
{
	struct store_env *se = to_store_env(env);
	struct env_block *b;
	int err;

	b = find_block(se, block);
	if (b) {
		err = check_magic(b, magic);
		if (err)
			return failed(se, block, err);
		hold_block(se, b, buf);
		return 0;
	}
	b = new_block(se, block);
	if (!b)
		return -ENOMEM;
	err = read_blocks(se, block, 1, b->data);
	if (!err)
		err = snapprot_block_verify(b->data, magic, block);
	if (err) {
		drop_block(se, b);
		return failed(se, block, err);
	}
	b->magic = magic;
	buf->data = b->data;
	buf->handle = b;
	return 0;
}

static int env_get_new(struct snapprot_env *env, u64 block,
		       struct snapprot_buf *buf)
{
	struct store_env *se = to_store_env(env);
	struct env_block *b;

	b = find_block(se, block);
	if (b) {
		hold_block(se, b, buf);
	} else {
		b = new_block(se, block);
		if (!b)
			return -ENOMEM;
		buf->data = b->data;
		buf->handle = b;
	}
	/* Undefined by contract; zeroes keep stale memory off the disk. */
	memset(b->data, 0, SNAPPROT_BLOCK_SIZE);
	b->magic = 0;
	return 0;
}

static void env_dirty(struct snapprot_env *env, struct snapprot_buf *buf)
{
	struct env_block *b = buf->handle;

	if (!b->dirty)
		dirty_add(to_store_env(env), b);
}

static void env_put(struct snapprot_env *env, struct snapprot_buf *buf)
{
	struct store_env *se = to_store_env(env);
	struct env_block *b = buf->handle;

	if (--b->refs || b->dirty)
		return;
	if (b->magic) {
		lru_add(se, b);
		return;
	}
	/* Taken with get_new and never filled. */
	drop_block(se, b);
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

static int write_dirty(struct store_env *se, struct env_block **list)
{
	const struct snapprot_disk_header *h;
	struct env_block *b;
	u32 i, count = 0;
	int err;

	for (b = se->dirty; b; b = b->newer)
		list[count++] = b;
	qsort(list, count, sizeof(*list), compare_blocks);
	for (i = 0; i < count; i++) {
		b = list[i];
		snapprot_block_seal(b->data);
		err = write_block(se, b->block, b->data);
		if (err)
			return err;
		h = b->data;
		b->magic = le32_to_cpu(h->magic);
		dirty_del(se, b);
		if (!b->refs)
			lru_add(se, b);
	}
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
	return err ? err : device_sync(se->dev);
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
	};
	se->hash = calloc(HASH_SIZE, sizeof(*se->hash));
	return se->hash ? 0 : -ENOMEM;
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
	se->hash = NULL;
	free(se->held[0]);
	free(se->held[1]);
	se->held[0] = NULL;
	se->held[1] = NULL;
}

void store_env_drop(struct store_env *se)
{
	struct env_block *b;

	while (se->lru) {
		b = se->lru;
		lru_del(se, b);
		drop_block(se, b);
	}
}

int store_env_release(struct store_env *se)
{
	void *held[2] = { se->held[0], se->held[1] };
	int err = 0;

	se->flags &= ~ENV_HOLD_SUPERS;
	se->held[0] = NULL;
	se->held[1] = NULL;
	if (held[0])
		err = env_write(&se->env, SNAPPROT_SUPER_BLOCK_0, held[0]);
	if (!err && held[1])
		err = env_write(&se->env, SNAPPROT_SUPER_BLOCK_1, held[1]);
	free(held[0]);
	free(held[1]);
	return err;
}
