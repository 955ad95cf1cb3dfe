// SPDX-License-Identifier: GPL-2.0-only
/*
 * Origin and store in memory. A state is made by writing to them, and unmade by
 * putting back the blocks that were written, so that it costs what differs and not
 * what the volume holds; the same is true of checksums, which are kept for as long
 * as a block does not change.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "crash.h"

/* ---- contents ---------------------------------------------------------------- */

void part_init(struct part *part, const char *name, u64 start, u64 sectors,
	       const u8 *data)
{
	size_t bytes = sectors * SECTOR;
	int fd = memfd_create(name, MFD_CLOEXEC);

	if (start % BLOCK_SECTORS || sectors % BLOCK_SECTORS)
		bad("the %s is not made of whole blocks", name);
	if (fd < 0 || ftruncate(fd, bytes))
		bad("no memory for the %s", name);
	*part = (struct part) {
		.start = start,
		.sectors = sectors,
		.blocks = sectors / BLOCK_SECTORS,
		.dev = { .path = name, .fd = fd, .sectors = sectors },
	};
	part->data = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			  0);
	part->note = calloc(part->blocks, sizeof(*part->note));
	if (part->data == MAP_FAILED || !part->note)
		bad("no memory for the %s", name);
	memcpy(part->data, data, bytes);
}

static void part_exit(struct part *part)
{
	if (!part->data)
		return;
	munmap(part->data, part->sectors * SECTOR);
	close(part->dev.fd);
	free(part->note);
}

void disk_exit(struct disk *disk)
{
	u32 i;

	part_exit(&disk->origin);
	part_exit(&disk->store);
	for (i = 0; i < disk->max_aside; i++)
		free(disk->aside[i].data);
	free(disk->aside);
	memset(disk, 0, sizeof(*disk));
}

/* ---- writing ------------------------------------------------------------------- */

static void put_aside(struct disk *disk, struct part *part, u64 block)
{
	struct note *note = &part->note[block];
	u32 max = disk->max_aside;
	struct aside *a;

	if (note->round == disk->round)
		return;
	disk->aside = grow(disk->aside, disk->nr_aside, &disk->max_aside,
			   sizeof(*disk->aside));
	memset(disk->aside + max, 0,
	       (disk->max_aside - max) * sizeof(*disk->aside));
	a = &disk->aside[disk->nr_aside++];
	a->part = part;
	a->block = block;
	a->note = *note;
	if (!a->data)
		a->data = malloc(BLOCK);
	memcpy(a->data, part->data + block * BLOCK, BLOCK);
	note->round = disk->round;
}

static void write_sector(struct disk *disk, struct part *part, u64 sector,
			 const u8 *data, bool restore)
{
	struct note *note = &part->note[sector / BLOCK_SECTORS];
	u8 *to = part->data + sector * SECTOR;

	if (restore)
		put_aside(disk, part, sector / BLOCK_SECTORS);
	note->hashed = false;
	note->magic = 0;
	if (data)
		memcpy(to, data, SECTOR);
	else
		memset(to, 0, SECTOR);
}

static void write_part(struct disk *disk, struct part *part,
		       const struct write *w, const u8 *mask, bool restore)
{
	u64 i;

	if (w->sector + w->sectors <= part->start ||
	    w->sector >= part->start + part->sectors)
		return;
	for (i = 0; i < w->sectors; i++) {
		u64 sector = w->sector + i - part->start;

		if (w->sector + i < part->start || sector >= part->sectors ||
		    (mask && !(mask[i / 8] & 1u << i % 8)))
			continue;
		write_sector(disk, part, sector,
			     w->data ? w->data + i * SECTOR : NULL, restore);
	}
}

void disk_write(struct disk *disk, const struct write *w, const u8 *mask,
		bool restore)
{
	write_part(disk, &disk->origin, w, mask, restore);
	write_part(disk, &disk->store, w, mask, restore);
}

void disk_restore(struct disk *disk)
{
	struct aside *a;

	while (disk->nr_aside) {
		a = &disk->aside[--disk->nr_aside];
		memcpy(a->part->data + a->block * BLOCK, a->data, BLOCK);
		a->part->note[a->block] = a->note;
	}
	disk->round++;
}

/* ---- comparing ------------------------------------------------------------------- */

/* Two contents have the same one with a chance of 2^-64. */
u64 block_hash(const void *data)
{
	u64 lane[4] = { 1, 2, 3, 4 };
	const u64 *word = data;
	u32 i, j;

	for (i = 0; i < BLOCK / 8; i += 4) {
		for (j = 0; j < 4; j++) {
			lane[j] = (lane[j] ^ word[i + j]) *
				  0x9e3779b97f4a7c15ull;
			lane[j] ^= lane[j] >> 32;
		}
	}
	for (j = 1; j < 4; j++)
		lane[0] = (lane[0] ^ lane[j]) * 0x9e3779b97f4a7c15ull +
			  (lane[0] >> 29);
	return lane[0];
}

u64 part_hash(struct part *part, u64 block)
{
	struct note *note = &part->note[block];

	if (!note->hashed) {
		note->hash = block_hash(part->data + block * BLOCK);
		note->hashed = true;
	}
	return note->hash;
}

/* ---- the core's environment --------------------------------------------------------- */

static struct part *store_of(struct snapprot_env *env)
{
	return ((struct disk_env *)((char *)env -
				    offsetof(struct disk_env, env)))->store;
}

static int env_get(struct snapprot_env *env, u64 block, u32 magic,
		   struct snapprot_buf *buf)
{
	struct part *store = store_of(env);
	int err;

	if (block >= store->blocks)
		return -ENODATA;
	buf->data = store->data + block * BLOCK;
	buf->handle = NULL;
	if (store->note[block].magic == magic)
		return 0;
	err = snapprot_block_verify(buf->data, magic, block);
	if (!err)
		store->note[block].magic = magic;
	return err;
}

static int env_read(struct snapprot_env *env, u64 block, u32 count, void *data)
{
	struct part *store = store_of(env);

	if (block >= store->blocks || count > store->blocks - block)
		return -ENODATA;
	memcpy(data, store->data + block * BLOCK, (size_t)count * BLOCK);
	return 0;
}

static void env_put(struct snapprot_env *env, struct snapprot_buf *buf)
{
}

static void *env_alloc(struct snapprot_env *env, size_t size)
{
	return calloc(1, size);
}

static void env_free(struct snapprot_env *env, void *p)
{
	free(p);
}

/* Loading and checking read, and never write. */
static int env_get_new(struct snapprot_env *env, u64 block,
		       struct snapprot_buf *buf)
{
	return -EROFS;
}

static void env_dirty(struct snapprot_env *env, struct snapprot_buf *buf)
{
	bad("the core changes what it only has to read");
}

static void env_forget(struct snapprot_env *env, u64 block)
{
}

static int env_commit(struct snapprot_env *env)
{
	return -EROFS;
}

static int env_write(struct snapprot_env *env, u64 block, const void *data)
{
	return -EROFS;
}

static const struct snapprot_env_ops env_ops = {
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

void disk_env_init(struct disk_env *env, struct part *store)
{
	env->env.ops = &env_ops;
	env->store = store;
}
