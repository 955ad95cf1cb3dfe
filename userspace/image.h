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
 * It follows pointers and believes a block only with the sum that the pointer has.
 * It never writes.
 */
#ifndef SNAPPROT_IMAGE_H
#define SNAPPROT_IMAGE_H

#include "env.h"

/**
 * struct image_ops - how the reader speaks
 * @damage: a broken rule, in words; @block is where. May be NULL
 * @doubt: something that a crash leaves behind as well as damage does, so that
 *	a sound store may have it. May be NULL
 * @block: a block of metadata, as it is reached. May be NULL
 */
struct image_ops {
	void (*damage)(void *ctx, u64 block, const char *what);
	void (*doubt)(void *ctx, u64 block, const char *what);
	void (*block)(void *ctx, u64 block, const char *what);
};

/**
 * struct image_run - a run of the index, a chunk, or a map
 * @run: as the directory has it
 * @role: enum snapprot_run_role
 * @level: of the index; 0 for chunks and maps
 * @ok: all of its nodes are sound, as far as it was looked at
 */
struct image_run {
	struct snapprot_run run;
	u32 role;
	u32 level;
	bool ok;
};

/**
 * struct image_merge - a merge into a level that is under way
 * @there: there is one
 * @source: it takes from above
 * @cut: what lies below is in the level's "next"
 */
struct image_merge {
	bool there;
	bool source;
	struct snapprot_key cut;
	u64 done;
	u64 total;
};

/**
 * struct image_step - a step of the log
 * @snap: of a record: the number of its snapshot
 */
struct image_step {
	u64 place;
	u64 seq;
	u32 type;
	u32 count;
	u32 epoch;
	u32 snap;
};

/**
 * struct image - what was read
 * @se: over the store's device
 * @super: the newest sound superblock
 * @version_1: what was refused is of a version before the first release
 * @blocks: no pointer leads behind this
 * @data_seed: of the sums of old data
 * @snaps: all that are known, oldest first, after the log
 * @nr_unknown: snapshots of the checkpoint whose record is lost
 * @epoch: current, as far as the log could be read
 * @runs: in the order of the directory
 * @merge: by level
 * @dir_ok: the directory was read to its end
 * @index_ok: the runs, and the two tables, hold all that the checkpoint held
 * @drain: table that is being merged into level 1
 * @fill: newest entries, of the chunks and of the log
 * @nr_chunked: entries of @fill that the log does not have
 * @steps: of the log
 * @nr_entries: of the log
 * @log_block: where it ends
 * @log_seq: the number that is missing there
 * @log_ok: there is no more log than was read
 * @nr_damage: how often damage was called
 * @err: memory was short
 * @loud: what is reached is told
 */
struct image {
	struct store_env *se;
	const struct image_ops *ops;
	void *ctx;
	struct snapprot_disk_super *super;
	bool version_1;
	u64 blocks;
	u64 origin_blocks;
	u64 data_seed;
	struct snapprot_snap *snaps;
	u32 nr_snaps;
	u32 nr_unknown;
	u32 epoch;
	struct image_run *runs;
	u32 nr_runs;
	u32 max_runs;
	struct image_merge merge[SNAPPROT_MAX_LEVEL + 1];
	bool dir_ok;
	bool index_ok;
	struct snapprot_table drain;
	struct snapprot_table fill;
	u32 nr_chunked;
	struct image_step *steps;
	u32 nr_steps;
	u32 nr_entries;
	u64 log_block;
	u64 log_seq;
	struct snapprot_range zone[2];
	bool log_ok;
	u32 nr_damage;
	int err;
	bool loud;
};

/**
 * image_open() - read everything but the old data
 *
 * 0 also if much is damaged. -ENODEV not a store; -EBADMSG no sound superblock;
 * -EPROTONOSUPPORT one of another version; -EIO the superblocks cannot be read;
 * -ENOMEM. image_close() is to be called in any case.
 */
int image_open(struct image *img, struct store_env *se,
	       const struct image_ops *ops, void *ctx);
void image_close(struct image *img);

/**
 * image_search() - is there a step of the log behind the log's end?
 *
 * As the core does it, which needs the bitmaps for that; here all of the two zones
 * is looked at, whatever the bitmaps say. Sets log_ok.
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

/* What is wrong with a store that was refused, in words. */
const char *image_refusal(const struct image *img, int err);

static inline bool image_snap_lost(const struct image *img,
				   const struct snapprot_snap *snap)
{
	return snap->epoch <= le32_to_cpu(img->super->lost_epoch);
}

/* The epoch of the newest valid snapshot that is not above @epoch, 0: none. */
u32 image_snap_below(const struct image *img, u32 epoch);

#endif
