/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Devices that lie once, with a volatile write cache, and two environments for the
 * core: the writer's, which has a cache of its own, and a reader's of any contents.
 *
 * Contents are blobs that never change and are shared: a device is an array of
 * pointers, and looking at it as it would be after a power cut costs next to nothing.
 */
#ifndef DEV_H
#define DEV_H

#include <stdio.h>

#include "internal.h"

#define BLOCK	SNAPPROT_BLOCK_SIZE

/* ---- random numbers: streams that do not disturb each other ------------- */

struct rng {
	u64 state;
};

static inline u64 rng_next(struct rng *r)
{
	u64 z = (r->state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static inline void rng_seed(struct rng *r, u64 a, u64 b, u64 c)
{
	r->state = a * 0x9e3779b97f4a7c15ull + b * 0xd1342543de82ef95ull + c;
	r->state = rng_next(r) ^ (b << 32 | c);
}

static inline u64 rng_below(struct rng *r, u64 n)
{
	return rng_next(r) % n;
}

static inline bool rng_once_in(struct rng *r, u32 n)
{
	return !rng_below(r, n);
}

/* ---- blobs -------------------------------------------------------------- */

/**
 * struct blob - the contents of a block
 * @version: of the origin, if it is old data; else 0
 * @ok_sum: it was verified as this before, with the store's key
 */
struct blob {
	u32 refs;
	u32 version;
	u64 ok_sum;
	u64 ok_place;
	u32 ok_magic;
	u8 data[BLOCK] __attribute__((aligned(8)));
};

struct blob *blob_new(const void *data);
extern struct blob blob_zero;

static inline struct blob *blob_get(struct blob *b)
{
	b->refs++;
	return b;
}

void blob_put(struct blob *b);

static inline const u8 *blob_data(const struct blob *b)
{
	return b ? b->data : blob_zero.data;
}

/* ---- the lie ------------------------------------------------------------ */

enum lie_kind {
	LIE_NONE,
	LIE_DROP,	/* the write is not done */
	LIE_TEAR,	/* only its first @arg pieces of 512 bytes */
	LIE_PLACE,	/* it goes elsewhere */
	LIE_CACHE,	/* it is seen, but never durable */
	LIE_FLUSH,	/* a flush is not done */
	LIE_READ_OLD,	/* a read gives what was there before */
	LIE_READ_EIO,	/* a read fails */
	/* In what a reader finds, for good: */
	LIE_FLIP,	/* a bit is wrong */
	LIE_ZERO,	/* zeros */
	LIE_OLD,	/* what was there before */
	LIE_OLD_ONCE,	/* the same, but only for the first read */
	LIE_EIO,	/* cannot be read */
	/* Old copies of the whole device: */
	LIE_COPY,	/* given back after a power cut */
	LIE_COPY_BOOT,	/* within a boot */
	NR_LIES
};

enum { PLACE_RANDOM, PLACE_NEXT, PLACE_GROUP, NR_PLACES };

/**
 * struct world - what both devices share
 * @writes: so far; the lie is armed for one of them, or of the reads or flushes
 * @event: called after each write and flush
 * @lied: the lie has been told
 * @lie_dev: by this device, about this block
 * @over: if set, writes of metadata to where some of the same kind lay before
 */
struct world {
	enum lie_kind kind;
	u64 at;
	u32 arg;
	bool armed;
	bool lied;
	struct dev *lie_dev;
	u64 lie_block;

	u64 *over;
	u32 nr_over, max_over;
	u64 writes, reads, flushes;
	u64 events;
	struct rng rng;
	void (*event)(void *ctx);
	void *ctx;
};

/* ---- devices ------------------------------------------------------------ */

struct pending {
	u64 block;
	struct blob *blob;
};

/**
 * struct dev - a device
 * @cur: what is read
 * @dur: what is left after a power cut
 * @old: what cur was before
 * @pending: writes since the last flush
 * @undo: what dev_cut() has changed in @dur
 * @twins: the copies of the label's pairs lie as far from its start as from the end
 *	of so many blocks
 */
struct dev {
	struct world *w;
	u64 blocks;
	u64 twins;
	struct blob **cur, **dur, **old;
	struct pending *pending;
	u32 nr_pending, max_pending;
	struct pending *undo;
	u32 nr_undo, max_undo;
};

struct dev *dev_new(struct world *w, u64 blocks);
void dev_free(struct dev *d);
void dev_grow(struct dev *d, u64 blocks);
/* Takes over the reference. */
int dev_write(struct dev *d, u64 block, struct blob *b);
int dev_flush(struct dev *d);
/* Everything before, then this, durable. */
int dev_write_fua(struct dev *d, u64 block, const void *data);
/* NULL: it cannot be read. */
const struct blob *dev_read(struct dev *d, u64 block);
/* Power fails: some of the writes since the last flush are done, whole or torn. */
enum cut { CUT_NONE, CUT_ALL, CUT_SOME, CUT_TORN, NR_CUTS };
void dev_crash(struct dev *d, enum cut how);
/* Make dev->dur what it would be after a power cut; and undo that. */
void dev_cut(struct dev *d, enum cut how, struct rng *rng);
void dev_uncut(struct dev *d);

/* ---- the writer's environment -------------------------------------------- */

struct cached;

struct wenv {
	struct snapprot_env env;
	struct dev *dev;
	struct cached **map;		/* by block */
	u64 blocks;
	struct cached **list;
	u32 nr, max;
	struct rng rng;
};

void wenv_init(struct wenv *e, struct dev *dev);
void wenv_drop(struct wenv *e);
void wenv_exit(struct wenv *e);

/* ---- a reader's ------------------------------------------------------------ */

/**
 * struct renv - reads a set of contents
 * @kind: of fault, at @place
 * @fault: what is read there instead
 */
struct renv {
	struct snapprot_env env;
	struct blob **img;
	u64 blocks;
	enum lie_kind kind;
	u64 place;
	struct blob *fault;
	bool used;
	u8 *touched;			/* if set: was it read? by block */
	u32 now;
	u32 *stamp;
	u64 *sum;
	const struct blob **got;
	u64 max;
};

void renv_init(struct renv *r, u64 blocks);
void renv_exit(struct renv *r);
/* Look at these contents from now on, without any fault. */
void renv_set(struct renv *r, struct blob **img, u64 blocks);
/* NULL: it cannot be read. */
const struct blob *renv_read(struct renv *r, u64 block);

#endif
