/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The core's environment over a device or a file.
 */
#ifndef SNAPPROT_ENV_H
#define SNAPPROT_ENV_H

#include "../dm-snapprot/core/core.h"
#include "device.h"

struct env_block;

#define ENV_WRITE	(1u << 0)	/* else nothing is ever written */
#define ENV_HOLD_SUPERS	(1u << 1)	/* until store_env_release() */

/**
 * struct store_env - environment of one store
 * @env: what the core is given
 * @dev: the device, the caller's
 * @flags: ENV_*
 * @hash: cached blocks by number
 * @lru: clean blocks that nobody holds, the least recently used first
 * @nr_clean: how many those are
 * @dirty: changed blocks
 * @nr_dirty: how many those are
 * @held: with ENV_HOLD_SUPERS the superblocks as the core wrote them
 * @io_block: the block of the first failed transfer
 * @io_err: what it was, a negative errno; 0 none. Reading behind the end is
 *	-ENODATA and does not count
 */
struct store_env {
	struct snapprot_env env;
	const struct device *dev;
	unsigned int flags;
	struct env_block **hash;
	struct env_block *lru;
	struct env_block *lru_last;
	u32 nr_clean;
	struct env_block *dirty;
	u32 nr_dirty;
	void *held[2];
	u64 io_block;
	int io_err;
};

/* -ENOMEM or 0; store_env_exit() is to be called in any case. */
int store_env_init(struct store_env *se, const struct device *dev,
		   unsigned int flags);
void store_env_exit(struct store_env *se);

/* Forget all clean blocks, so that they are read from the device again. */
void store_env_drop(struct store_env *se);

/**
 * store_env_release() - write the superblocks that were held back
 *
 * What is being built on a device is no store before this: a tool that is
 * interrupted leaves none, rather than half a one.
 */
int store_env_release(struct store_env *se);

#endif
