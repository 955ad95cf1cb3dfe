/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DOC: the core
 *
 * Everything that decides what is on disk, in plain C: verifiers, the log, the
 * index, space, checkpoints and recovery. The module, the tools and the host
 * tests build the same files. The core takes no lock, does no I/O but through
 * struct snapprot_env, prints nothing and keeps no global state. Functions
 * return 0 or a negative errno:
 *
 *   -EBADMSG   a block fails its checksum or its rules (fault
 *              metadata_corruption)
 *   -EIO etc.  what the environment's I/O returned, passed on as it is
 *   -ENOSPC    no space left for what was asked; nothing has changed
 *   -ENOMEM    the environment's alloc failed
 *
 * After -EIO, -EBADMSG or -ENOMEM from a function that changes the store the
 * in-memory state is not to be used any more: destroy it and load again.
 *
 * Context: one caller at a time for each store (the caller's lock), may sleep.
 */
#ifndef SNAPPROT_CORE_H
#define SNAPPROT_CORE_H

#include "format.h"

/* ---- environment ----------------------------------------------------- */

struct snapprot_env;

/**
 * struct snapprot_buf - a cached block, held
 * @data: its 4 KiB
 * @handle: the environment's
 */
struct snapprot_buf {
	void *data;
	void *handle;
};

/**
 * struct snapprot_env_ops - what the core is given
 * @get: hold a block, read from the device if it is not cached. The
 *	environment calls snapprot_block_verify() once after each read from the
 *	device, with @magic, and passes its error on
 * @get_new: hold a block without reading it; contents undefined
 * @dirty: the held block was changed; its checksum is set by the environment
 *	with snapprot_block_seal() when it is written, which may be any time
 *	after put
 * @put: let go
 * @forget: the block is free, its cached contents may be dropped
 * @commit: write everything dirty, then flush; 0 when all of it is durable
 * @read: uncached read of @count blocks
 * @write: uncached write of one block, durable on return, with everything
 *	that was written before (preflush and FUA)
 * @alloc: zeroed memory, may fail
 * @free: of alloc; NULL is fine
 */
struct snapprot_env_ops {
	int (*get)(struct snapprot_env *env, u64 block, u32 magic,
		   struct snapprot_buf *buf);
	int (*get_new)(struct snapprot_env *env, u64 block,
		       struct snapprot_buf *buf);
	void (*dirty)(struct snapprot_env *env, struct snapprot_buf *buf);
	void (*put)(struct snapprot_env *env, struct snapprot_buf *buf);
	void (*forget)(struct snapprot_env *env, u64 block);
	int (*commit)(struct snapprot_env *env);
	int (*read)(struct snapprot_env *env, u64 block, u32 count,
		    void *data);
	int (*write)(struct snapprot_env *env, u64 block, const void *data);
	void *(*alloc)(struct snapprot_env *env, size_t size);
	void (*free)(struct snapprot_env *env, void *p);
};

struct snapprot_env {
	const struct snapprot_env_ops *ops;
};

/* ---- verify.c: checksums and rules of single blocks -------------------- */

/* Seed of every crc32c of the format. */
#define SNAPPROT_CRC_SEED	(~(u32)0)

/* Of old data; see format.rst for why it is another one. */
static inline u32 snapprot_data_sum(const void *data)
{
	return xxh64(data, SNAPPROT_BLOCK_SIZE, 0);
}

/* Set h.crc; all else must be in place. */
void snapprot_block_seal(void *data);
/* Checksum, magic and place of a metadata block, and the rules of its kind
 * that need nothing but the block. -EBADMSG if it breaks one.
 */
int snapprot_block_verify(const void *data, u32 magic, u64 block);
/* Fill h: magic, block, seq, uuid; the crc is left to the seal. */
void snapprot_block_init(void *data, u32 magic, u64 block, u64 seq,
			 const u8 *uuid);

/* Superblock: 0, -EBADMSG damaged or not one, -EPROTONOSUPPORT a version or
 * incompat flag that this code does not know.
 */
int snapprot_super_verify(const struct snapprot_disk_super *s, u64 block);
/* The better of two copies (either may be NULL): highest seq of the valid. */
const struct snapprot_disk_super *
snapprot_super_choose(const struct snapprot_disk_super *a,
		      const struct snapprot_disk_super *b, int *err);

/* Label: as for the superblock; @copy is 0 or 1. */
int snapprot_label_verify(const struct snapprot_disk_label *l, u32 copy);
const struct snapprot_disk_label *
snapprot_label_choose(const struct snapprot_disk_label *a,
		      const struct snapprot_disk_label *b, int *err);
/* Where the label's area starts, in sectors, on an origin of @sectors. 0 if
 * the origin is too small to have one.
 */
u64 snapprot_label_start(u64 sectors);

/* Text form of 16 bytes, 37 bytes with the NUL; and back, -EINVAL. Lower and
 * upper case are read, anything else behind it is refused.
 */
void snapprot_uuid_format(const u8 *uuid, char *text);
int snapprot_uuid_parse(const char *text, u8 *uuid);

/* ---- in-memory forms --------------------------------------------------- */

/* A preserved block: see struct snapprot_disk_entry. */
struct snapprot_entry {
	u64 block;
	u64 place;
	u32 epoch;
	u32 sum;
};

struct snapprot_snap {
	u32 id;
	u32 epoch;
	u64 time;
	u64 sectors;
};

/* ---- memtable.c: entries since a checkpoint, in RAM -------------------- */

/**
 * struct snapprot_memtable - hash of entries by block
 * @entry: array of @max
 * @next: index + 1 of the next entry of the same bucket
 * @head: index + 1 of the first, by bucket
 * @order: indices of all entries in the order of keys, once asked for
 * @count: entries in use
 * @max: entries there is room for
 * @buckets: size of @head, a power of two
 */
struct snapprot_memtable {
	struct snapprot_entry *entry;
	u32 *next;
	u32 *head;
	u32 *order;
	u32 count;
	u32 max;
	u32 buckets;
};

int snapprot_memtable_init(struct snapprot_memtable *mt,
			   struct snapprot_env *env, u32 max);
void snapprot_memtable_exit(struct snapprot_memtable *mt,
			    struct snapprot_env *env);
void snapprot_memtable_clear(struct snapprot_memtable *mt);
/* -ENOSPC when full; an entry with the same key is replaced. */
int snapprot_memtable_add(struct snapprot_memtable *mt,
			  const struct snapprot_entry *e);
/* The entry of @block with the smallest epoch >= @epoch; false if none. */
bool snapprot_memtable_find(const struct snapprot_memtable *mt, u64 block,
			    u32 epoch, struct snapprot_entry *found);
/* Fill in @order. Others may go on finding, but nobody may add. */
void snapprot_memtable_order(struct snapprot_memtable *mt);

/* ---- store.c, space.c, index.c, log.c, checkpoint.c -------------------- */

/* A group's bitmap that differs from its home: internal.h. */
struct snapprot_group;

/**
 * struct snapprot_core - an open store
 *
 * Fields marked (ro) may be read by the caller; all others are the core's.
 */
struct snapprot_core {
	struct snapprot_env *env;

	/* (ro) identity, from the superblock */
	u8 uuid[16];
	u64 generation;
	u64 origin_sectors;
	u64 origin_blocks;		/* rounded up */
	u64 create_time;
	u32 flags;			/* SNAPPROT_SUPER_* */
	u32 lost_epoch;
	u32 lost_fault;

	/* (ro) space, in blocks */
	u64 blocks;			/* of the store */
	u64 nr_free;			/* that may be taken now */
	u64 nr_freed;			/* free after the next checkpoint */
	bool read_only;			/* changes fail, -EROFS */

	/* (ro) snapshots, oldest first */
	struct snapprot_snap *snaps;
	u32 nr_snaps;
	u32 epoch;			/* current */

	/* superblock as last written, for external writers and updates */
	struct snapprot_disk_super *super;	/* one block, on-disk form */
	struct snapprot_disk_super *super_next;	/* being composed */
	u32 super_copy;			/* which copy core->super is */
	void *scratch;			/* two blocks, for env->read */

	/* log */
	u64 log_block;			/* reserved place of the next header */
	u64 log_seq;			/* its number */
	u32 log_prev_crc;
	u64 log_next;			/* of the step being made, or 0 */
	u32 log_count;			/* blocks that were reserved for it */
	u32 log_steps;			/* made, and not committed yet */
	u32 log_entries;		/* of those */
	u64 *headers;			/* of this memtable's batches */
	u32 nr_headers;
	u64 *frozen_headers;
	u32 nr_frozen_headers;
	struct snapprot_memtable active;
	struct snapprot_memtable frozen;

	/* index */
	u64 root;			/* 0: empty */
	u32 root_level;
	u64 nr_nodes;
	u64 nr_entries;

	/* checkpoint in work */
	u64 ckpt_seq;			/* number of the one being made, or next */
	bool frozen_valid;		/* between freeze and finish */
	bool prepared;			/* between prepare and finish */
	bool frozen_ordered;
	u32 frozen_done;		/* entries of frozen put into the index */
	u64 frozen_log_block;
	u64 frozen_log_seq;
	u32 frozen_log_prev_crc;
	u32 frozen_epoch;
	u64 dir;			/* of the last durable checkpoint */
	u64 nr_ckpt_blocks;		/* its directory, images and tables */
	u64 next_dir;			/* the same of the one in work */
	u64 next_ckpt_blocks;
	struct snapprot_snap *frozen_snaps;
	u32 nr_frozen_snaps;

	/* sweep */
	u64 sweep_block;		/* where the round goes on */
	bool sweep_late;		/* its reason came after the freeze */

	/* space */
	u64 nr_groups;			/* initialised */
	struct snapprot_group **groups;	/* loaded groups, hashed by number */
	u32 group_buckets;
	u32 nr_loaded;
	u64 nr_fresh;			/* bits in the fresh planes */
	u64 data_cursor;
	u64 meta_cursor;		/* what is left of the run of blocks */
	u64 meta_end;			/* that metadata is put into */
};

/**
 * snapprot_store_format() - make an empty store
 * @blocks: size of the store
 * @flags: SNAPPROT_SUPER_*
 *
 * Writes the bitmap of group 0, an empty log position and both superblocks, in
 * an order in which a crash leaves either no store or a whole one. The old
 * superblocks are overwritten first. -ENOSPC if @blocks is below the minimum.
 */
int snapprot_store_format(struct snapprot_env *env, const u8 *uuid,
			  u64 origin_sectors, u64 blocks, u64 time, u32 flags);

/**
 * snapprot_store_load() - open a store: superblock, directory, log
 * @blocks: size of the device; -ENOSPC if the store has data beyond it
 *	(shrunk), more than it was is fine (grown)
 *
 * Reads, never writes. Replays the log into memory. -ENODEV if neither
 * superblock is one, -EBADMSG, -EPROTONOSUPPORT as snapprot_super_verify().
 * Whatever it returns, snapprot_store_exit() is to be called. What was replayed
 * may have been read from a volatile cache: a snapprot_store_update(), or
 * another flush, has to come before the first step of the log.
 */
int snapprot_store_load(struct snapprot_core *core, struct snapprot_env *env,
			u64 blocks);
void snapprot_store_exit(struct snapprot_core *core);
/* The device has grown. -EINVAL if it is smaller than before. */
int snapprot_store_grow(struct snapprot_core *core, u64 blocks);

/**
 * snapprot_store_update() - write the superblock again with other flags
 * @generation: new value
 * @flags: new value
 * @lost_epoch: new value; snapshots up to it are lost from here on
 * @lost_fault: why
 *
 * No checkpoint: both copies, each durable. Not between prepare and finish.
 * -EUCLEAN if the superblock on the disk is not the one last written
 * (somebody else wrote to it: fault external_writer).
 */
int snapprot_store_update(struct snapprot_core *core, u64 generation,
			  u32 flags, u32 lost_epoch, u32 lost_fault);

/* Snapshots */
struct snapprot_snap *snapprot_snap_find(struct snapprot_core *core, u32 id);
static inline bool snapprot_snap_lost(const struct snapprot_core *core,
				      const struct snapprot_snap *snap)
{
	return snap->epoch <= core->lost_epoch;
}

u32 snapprot_snaps_valid(const struct snapprot_core *core);

/**
 * snapprot_lookup() - where a snapshot's block is
 * @epoch: of the snapshot. For "preserved already?" that of the newest valid
 *	one; the current epoch does as well, but then blocks may be preserved
 *	that only deleted snapshots would have needed
 *
 * Finds the entry of @block with the smallest epoch >= @epoch. 1 found, 0 not
 * preserved (read the origin), or an error.
 */
int snapprot_lookup(struct snapprot_core *core, u64 block, u32 epoch,
		    struct snapprot_entry *found);

/* Log: the caller writes what these encode, and commits when it is durable:
 *
 *   reserve, encode, (write, flush), commit			one step
 *   (reserve, encode, advance) ..., (write, flush), commit ...	several
 *
 * Steps are committed in the order in which they were made.
 */

/**
 * snapprot_log_room() - how many entries batches may have now, at most @max
 *
 * Bounded by free space less the reserve that a checkpoint may need, and by the
 * memtable. A batch takes SNAPPROT_LOG_ENTRIES of them; the room is for all of
 * them and their headers. 0 means: make a checkpoint (if that
 * would help: nr_freed, or the memtable or the headers are full), or wait for
 * space.
 */
u32 snapprot_log_room(struct snapprot_core *core, u32 max);
/* The memtable or the headers are so full that a checkpoint is due. */
bool snapprot_log_full(const struct snapprot_core *core);

/**
 * snapprot_log_reserve() - take places for @count old blocks and a next header
 * @places: filled in; the header goes to core->log_block. Ascending runs, and
 *	where space is not fragmented one run that follows the header
 *
 * At most SNAPPROT_LOG_ENTRIES. -ENOSPC: nothing has been taken. @count 0 is for
 * records, which may dig into the reserve; a checkpoint gives back what they
 * took, so that after one a record always has room. -EBUSY: the step before is
 * neither committed nor passed with snapprot_log_advance(), or, for a record,
 * not committed.
 */
int snapprot_log_reserve(struct snapprot_core *core, u32 count, u64 *places);
/* Encode a batch's header into @block (4 KiB), sealed. */
void snapprot_log_encode_batch(struct snapprot_core *core, void *block,
			       const struct snapprot_entry *entries, u32 count);
/* Encode a record. For CREATE, snap->epoch is the new current epoch. */
void snapprot_log_encode_record(struct snapprot_core *core, void *block,
				enum snapprot_log_type type,
				const struct snapprot_snap *snap);
/* The batch in @block is on its way, or will be before anything is flushed: make
 * the next one. -EINVAL if it is not the one that was reserved.
 */
int snapprot_log_advance(struct snapprot_core *core, const void *block);
/* The step in @block is durable: its entries, or its snapshot, count. A batch
 * must have used all places that were reserved, and the current epoch; the
 * caller has refused a CREATE whose id is taken, or that is one too many
 * (SNAPPROT_MAX_SNAPSHOTS), and a DELETE of what is not there. -EINVAL else.
 */
int snapprot_log_commit(struct snapprot_core *core, const void *block);

/**
 * Checkpoint, in this order, each under the caller's lock, which may be
 * dropped between the calls:
 *
 *   snapprot_ckpt_freeze()	no step of the log between reserve and commit
 *   snapprot_ckpt_order()	may be left out, and needs no lock against lookups
 *				and log calls; else the first step does it
 *   snapprot_ckpt_step()	until it returns 0
 *   snapprot_ckpt_sweep()	as often as wanted, or never
 *   snapprot_ckpt_prepare()	composes bitmaps, table, directory, superblock
 *   snapprot_ckpt_write()	commit of the environment, superblocks; needs no
 *				lock against lookups and log calls
 *   snapprot_ckpt_finish()	frees what was freed, forgets the frozen entries
 *
 * Between prepare and finish nothing but lookups and log calls is allowed.
 */
int snapprot_ckpt_freeze(struct snapprot_core *core);
void snapprot_ckpt_order(struct snapprot_core *core);
/* Put up to @max frozen entries into the index: 1 more to do, 0 done. */
int snapprot_ckpt_step(struct snapprot_core *core, u32 max);
/**
 * snapprot_ckpt_sweep() - drop entries that no snapshot needs
 * @max: how many entries to look at
 *
 * After snapprot_ckpt_step() has returned 0. 1: call again, 0: nothing more can
 * be done in this checkpoint. If core->flags still has SNAPPROT_SUPER_SWEEP
 * then, the next checkpoint has to go on; else a whole round is done.
 */
int snapprot_ckpt_sweep(struct snapprot_core *core, u32 max);
int snapprot_ckpt_prepare(struct snapprot_core *core);
int snapprot_ckpt_write(struct snapprot_core *core);
int snapprot_ckpt_finish(struct snapprot_core *core);

/* Is an entry needed, whose predecessor for its block has epoch @prev (0 if
 * none)? True while a valid snapshot lies in (prev, epoch].
 */
bool snapprot_entry_needed(const struct snapprot_core *core, u32 prev,
			   u32 epoch);

/* Space, for status lines: blocks that hold data or metadata. */
static inline u64 snapprot_space_used(const struct snapprot_core *core)
{
	return core->blocks - core->nr_free - core->nr_freed;
}

/* ---- walk and check ---------------------------------------------------- */

/**
 * snapprot_index_walk() - all entries of the index in key order, from @block
 * @fn: called for each; non-zero ends the walk and is returned
 */
int snapprot_index_walk(struct snapprot_core *core, u64 block,
			int (*fn)(void *ctx, const struct snapprot_entry *e),
			void *ctx);

/**
 * struct snapprot_check_ops - how snapprot_store_check() reports
 * @problem: a rule that is broken, in words; @block is where
 */
struct snapprot_check_ops {
	void (*problem)(void *ctx, u64 block, const char *what);
};

/**
 * snapprot_store_check() - verify everything of a loaded store
 * @data: read and checksum every preserved block too
 *
 * Every node (order, bounds, levels), every entry's place (in range, used once,
 * marked used), every bitmap (no block used that nothing owns), counts, the
 * table of snapshots. Writes nothing. Returns the number of problems, or an
 * error; -EBUSY between freeze and finish of a checkpoint.
 */
int snapprot_store_check(struct snapprot_core *core, bool data,
			 const struct snapprot_check_ops *ops, void *ctx);

#endif
