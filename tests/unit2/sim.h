/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A device with a volatile write cache, and an environment for the core on it.
 *
 * A write is seen by reads at once, but is durable only after a flush. A crash
 * loses any of the writes since the last flush, or parts of 512 bytes of them.
 * The environment's block cache writes back, and lets go of what it has, at
 * moments of its own choice. Only blocks that were written take memory, so that
 * a device may be as large as it likes.
 */
#ifndef SIM_H
#define SIM_H

#include "unit.h"

struct sim_page;
struct sim_write;
struct sim_cached;

struct sim {
	struct snapprot_env env;
	u64 blocks;

	struct sim_page **page;		/* hash by block */
	u32 page_buckets;		/* a power of two */
	u32 nr_pages;
	struct sim_write *write;	/* since the last flush, in order */
	u32 nr_writes, max_writes;
	struct sim_cached **cached;
	u32 nr_cached, max_cached;
	u32 nr_held;

	/* How the environment behaves; all of it may be changed at any time. */
	bool async;	/* get() says -EAGAIN for what is not there */
	bool lazy;	/* writes back and evicts whenever it likes */
	bool trusting;	/* takes the sum of what it reads for the right one */

	long fuse;			/* writes and flushes left; < 0: no end */
	bool dead;			/* the fuse has burnt down */
	long alloc_fuse;		/* allocations left; < 0: no end */

	/* If set: is a write to @block right now? (F3) */
	bool (*may_write)(void *ctx, u64 block);
	void *may_write_ctx;

	/* What was done so far. A piece is a row of blocks that follow each other. */
	u64 ios;			/* writes and flushes */
	u64 reads, read_pieces;
	u64 writes, write_pieces;
	u64 flushes;
	u64 waits;			/* times that get() said -EAGAIN */
	u64 last_write;
	u64 watch;			/* WATCH=block: say so when it is written */
};

struct sim *sim_new(u64 blocks);
void sim_free(struct sim *sim);
/* The device becomes larger or smaller. */
void sim_resize(struct sim *sim, u64 blocks);

/* A write of one block; it may be lost until the next flush. */
int sim_write(struct sim *sim, u64 block, const void *data);
int sim_flush(struct sim *sim);
/* The current contents of a block, to look at and to damage. */
u8 *sim_block(struct sim *sim, u64 block);
/* The same, only to look at; zeros if it was never written. */
const u8 *sim_peek(const struct sim *sim, u64 block);
/* What it was before it was last overwritten with something else, or NULL. */
const u8 *sim_older(const struct sim *sim, u64 block);
/* Was it ever written? */
bool sim_written(const struct sim *sim, u64 block);
/* Blocks that were ever written, in ascending order; to be freed. */
u64 *sim_all(const struct sim *sim, u32 *count);
/* Reading it fails from now on, or no more; writing to it makes it good. */
void sim_break(struct sim *sim, u64 block, bool broken);

/* Power fails and comes back. */
void sim_crash(struct sim *sim);
/* The program ends without a word; the device's cache lives on. */
void sim_drop_cache(struct sim *sim);
/* A copy of what can be read now, to be damaged; it must not crash. */
struct sim *sim_clone(struct sim *sim);

#endif
