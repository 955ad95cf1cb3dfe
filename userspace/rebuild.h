/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A new store, made of what is known to be right of an old one.
 */
#ifndef SNAPPROT_REBUILD_H
#define SNAPPROT_REBUILD_H

#include "env.h"

/**
 * struct rebuild_plan - what the new store is to be
 * @super: of the old store, whose identity it gets
 * @ckpt_seq: its numbers, which the label compares: not below those that the old
 *	store had, or the new one would be taken for an old copy, and not above
 *	them, or the copy of an old store would become one that is believed
 * @log_seq: number of the next step of the log
 * @super_seq: of the last write of the superblock
 * @epoch: current epoch
 * @lost_epoch: snapshots up to it are lost
 * @lost_fault: why
 */
struct rebuild_plan {
	const struct snapprot_disk_super *super;
	u64 ckpt_seq;
	u64 log_seq;
	u64 super_seq;
	u32 epoch;
	u32 lost_epoch;
	u32 lost_fault;
};

/**
 * struct rebuild - a store in the making
 * @se: over the new device; the superblocks are held back until the end
 * @core: the store
 * @plan: what it is to be
 * @entry: of the step of the log that is being gathered
 * @data: their old data
 * @count: how many
 * @copied: blocks so far
 * @excess: headers of the log with numbers that the store will not have reached
 */
struct rebuild {
	struct store_env se;
	struct snapprot_core core;
	const struct rebuild_plan *plan;
	struct snapprot_entry entry[SNAPPROT_LOG_ENTRIES];
	u8 *data;
	u32 count;
	u64 copied;
	u64 *excess;
	u32 nr_excess;
	u32 max_excess;
};

/**
 * rebuild_begin() - an empty store with the identity of another
 * @dev: open for writing, with nothing on it
 * @plan: stays the caller's
 *
 * rebuild_end() or rebuild_cancel() is to be called in any case.
 */
int rebuild_begin(struct rebuild *rb, const struct device *dev,
		  const struct rebuild_plan *plan);

/* A snapshot, oldest first: it begins an epoch, which is its own. */
int rebuild_add_snap(struct rebuild *rb, const struct snapprot_snap *snap);

/**
 * rebuild_add() - a block that the newest snapshot so far needs
 * @block: of the origin, not twice for the same snapshot
 * @data: its 4 KiB
 *
 * Older snapshots that have no older entry of the block need it as well. -ENOSPC if
 * the new store is too small.
 */
int rebuild_add(struct rebuild *rb, u64 block, const void *data);

/**
 * rebuild_end() - finish, read everything back, make it a store
 *
 * -EBADMSG if what is on the new device is not what was written.
 */
int rebuild_end(struct rebuild *rb);
void rebuild_cancel(struct rebuild *rb);

#endif
