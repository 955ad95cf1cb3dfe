/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A device with a volatile write cache, and an environment for the core on it.
 *
 * A write is seen by reads at once, but is durable only after a flush. A crash
 * loses any of the writes since the last flush, or parts of 512 bytes of them.
 * The environment's block cache writes back at moments of its own choice.
 */
#ifndef SIM_H
#define SIM_H

#include "unit.h"

struct sim_write;
struct sim_cached;

struct sim {
	struct snapprot_env env;
	u64 blocks;
	u8 **current;			/* NULL: never written, reads as zeros */
	u8 **durable;
	struct sim_write *write;	/* since the last flush, in order */
	u32 nr_writes, max_writes;

	struct sim_cached **cache;	/* by block */
	struct sim_cached **cached;	/* all of them */
	u32 nr_cached, max_cached;
	u32 nr_held;

	long fuse;			/* writes and flushes left; < 0: no end */
	bool dead;			/* the fuse has burnt down */
	long alloc_fuse;		/* allocations left; < 0: no end */
	u64 ios;			/* writes and flushes so far */
	u64 reads;
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

/* Power fails and comes back. */
void sim_crash(struct sim *sim);
/* The program ends without a word; the device's cache lives on. */
void sim_drop_cache(struct sim *sim);
/* A copy of what can be read now, to be damaged; it must not crash. */
struct sim *sim_clone(struct sim *sim);

#endif
