/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A store read without trusting it.
 *
 * The core refuses a store at its first broken rule. This reader goes on, notes
 * what is broken, and keeps account of what can still be proved:
 *
 *   - the index is whole, or it is not: then nothing that it may have held can
 *     be called complete;
 *   - the log is whole up to its end, or it is not;
 *   - the table of snapshots is whole, or some are not known.
 *
 * It never writes.
 */
#ifndef SNAPPROT_IMAGE_H
#define SNAPPROT_IMAGE_H

#include "env.h"

/**
 * struct image_ops - how the reader speaks
 * @damage: a broken rule, in words; @block is where. May be NULL
 * @doubt: something that a crash leaves behind as well as damage does, so that
 *	a sound store may have it, but nothing can be proved past it. May be NULL
 * @block: a block of metadata, as it is reached. May be NULL
 */
struct image_ops {
	void (*damage)(void *ctx, u64 block, const char *what);
	void (*doubt)(void *ctx, u64 block, const char *what);
	void (*block)(void *ctx, u64 block, const char *what);
};

/**
 * struct image_leaf - a leaf of the index
 * @place: its block
 * @block: its first key
 * @epoch: the same
 * @count: its entries
 */
struct image_leaf {
	u64 place;
	u64 block;
	u32 epoch;
	u32 count;
};

#define IMAGE_AHEAD	64u		/* blocks of old data read at once */

/**
 * struct image_bitmap - where the checkpoint has a group's bitmap
 * @group: which group
 * @place: the block
 * @crc: that it must have
 */
struct image_bitmap {
	u64 group;
	u64 place;
	u32 crc;
};

/**
 * struct image - what was read
 * @se: over the store's device
 * @super: the newest sound superblock
 * @super_ok: by copy, whether it is sound
 * @blocks: no pointer leads behind this
 * @snaps: all that are known, oldest first, after the log
 * @nr_unknown: snapshots of the checkpoint whose record is lost
 * @epoch: current, as far as the log could be read
 * @bitmaps: images of the checkpoint, sorted by group
 * @dir_ok: @bitmaps has them all
 * @leaves: in key order
 * @index_ok: @leaves hold all that the index held
 * @log: entries of the log, in key order, no key twice
 * @log_ok: there is no more log than was read
 * @nr_damage: how often damage was called
 * @ahead: old data read ahead
 * @ahead_place: where it begins
 * @ahead_count: how much it is
 * @last_place: which old data was asked for last
 */
struct image {
	struct store_env *se;
	const struct image_ops *ops;
	void *ctx;
	struct snapprot_disk_super *super;
	bool super_ok[2];
	u64 blocks;
	u64 origin_blocks;
	struct snapprot_snap *snaps;
	u32 nr_snaps;
	u32 nr_unknown;
	u32 epoch;
	struct image_bitmap *bitmaps;
	u64 nr_bitmaps;
	u64 max_bitmaps;
	bool dir_ok;
	struct image_leaf *leaves;
	u64 nr_leaves;
	u64 max_leaves;
	u64 nr_nodes;
	bool index_ok;
	struct snapprot_entry *log;
	u32 nr_log;
	u64 log_block;
	u64 log_seq;
	bool log_ok;
	u32 nr_damage;
	u8 *ahead;
	u64 ahead_place;
	u32 ahead_count;
	u64 last_place;
};

/**
 * image_open() - read everything but the old data
 *
 * 0 also if much is damaged. -ENODEV not a store; -EBADMSG no sound superblock;
 * -EPROTONOSUPPORT a newer one; -EIO the superblocks cannot be read; -ENOMEM.
 * image_close() is to be called in any case.
 */
int image_open(struct image *img, struct store_env *se,
	       const struct image_ops *ops, void *ctx);
void image_close(struct image *img);

/**
 * image_search() - look at every block for what the pointers did not lead to
 *
 * Finds headers of the log behind its end, which tell that it has been cut; and
 * where the index is broken, leaves that make it whole again. Leaves are only
 * taken if together they are all: marked in use by the checkpoint, of disjoint
 * ranges, and as many entries as the superblock counts.
 */
int image_search(struct image *img);

/**
 * image_walk() - all entries in key order, those of the log among them
 * @fn: gets each with the epoch of the entry before it of the same block, 0 if
 *	there is none. Non-zero ends the walk and is returned
 */
int image_walk(struct image *img,
	       int (*fn)(void *ctx, const struct snapprot_entry *e, u32 prev),
	       void *ctx);

/* Old data of an entry; -EBADMSG if it is not what was preserved. */
int image_read_data(struct image *img, const struct snapprot_entry *e,
		    void *data);

static inline bool image_snap_lost(const struct image *img,
				   const struct snapprot_snap *snap)
{
	return snap->epoch <= le32_to_cpu(img->super->lost_epoch);
}

#endif
