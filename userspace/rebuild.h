/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A new store, made of what is known to be right of an old one.
 */
#ifndef SNAPPROT_REBUILD_H
#define SNAPPROT_REBUILD_H

#include "env.h"

/**
 * struct rebuild - a store in the making
 * @se: over the new device; the superblocks are held back until the end
 * @core: the store
 * @buffer: old data on its way to the device
 * @start: where that begins
 * @count: how many blocks it is
 * @copied: blocks so far
 */
struct rebuild {
	struct store_env se;
	struct snapprot_core core;
	u8 *buffer;
	u64 start;
	u32 count;
	u64 copied;
};

/**
 * rebuild_begin() - an empty store with the identity of another
 * @dev: open for writing, free of anything that could be taken for metadata
 * @super: of the old store
 * @epoch: current epoch
 * @lost_epoch: snapshots up to it are lost
 * @lost_fault: why
 *
 * rebuild_end() or rebuild_cancel() is to be called in any case.
 */
int rebuild_begin(struct rebuild *rb, const struct device *dev,
		  const struct snapprot_disk_super *super, u32 epoch,
		  u32 lost_epoch, u32 lost_fault);

/* Snapshots, oldest first, before any entry. */
int rebuild_add_snap(struct rebuild *rb, const struct snapprot_snap *snap);

/**
 * rebuild_add() - one preserved block, in any order, no key twice
 * @e: its place is that in the old store and does not matter
 * @data: its 4 KiB
 *
 * -ENOSPC if the new store is too small.
 */
int rebuild_add(struct rebuild *rb, const struct snapprot_entry *e,
		const void *data);

/**
 * rebuild_end() - finish, read everything back, make it a store
 *
 * -EBADMSG if what is on the new device is not what was written.
 */
int rebuild_end(struct rebuild *rb);
void rebuild_cancel(struct rebuild *rb);

#endif
