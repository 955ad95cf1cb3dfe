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
 *   -EAGAIN    a block that is needed is being read: nothing has changed, call
 *              again when the environment has it. Never from an environment
 *              whose get() reads and waits
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
 * @get: hold the block at @place, which is to have @sum. A block that was read
 *	from the device is verified once with snapprot_block_verify(), whose
 *	error is passed on; one that is there with another sum is -EBADMSG.
 *	Contents must not be changed. May return -EAGAIN, see above; the block
 *	is then kept, once it has been read, until somebody has got it
 * @get_new: hold a block without reading it; contents undefined
 * @dirty: the held block, from get_new, is complete and has @sum. It is written
 *	any time after put, and never changed again
 * @put: let go
 * @forget: the block is free, its cached contents are not to be used again
 * @prefetch: somebody will soon get these @count blocks; a hint
 * @commit: write everything dirty, then flush; 0 when all of it is durable
 * @read: uncached read of @count blocks
 * @write: uncached write of one block, durable on return, with everything
 *	that was written before (preflush and FUA)
 * @alloc: zeroed memory, may fail
 * @free: of alloc; NULL is fine
 */
struct snapprot_env_ops {
	int (*get)(struct snapprot_env *env, u64 place, u32 magic, u64 sum,
		   struct snapprot_buf *buf);
	int (*get_new)(struct snapprot_env *env, u64 place,
		       struct snapprot_buf *buf);
	void (*dirty)(struct snapprot_env *env, struct snapprot_buf *buf,
		      u64 sum);
	void (*put)(struct snapprot_env *env, struct snapprot_buf *buf);
	void (*forget)(struct snapprot_env *env, u64 place);
	void (*prefetch)(struct snapprot_env *env, u64 place, u32 count);
	int (*commit)(struct snapprot_env *env);
	int (*read)(struct snapprot_env *env, u64 place, u32 count,
		    void *data);
	int (*write)(struct snapprot_env *env, u64 place, const void *data);
	void *(*alloc)(struct snapprot_env *env, size_t size);
	void (*free)(struct snapprot_env *env, void *p);
};

/**
 * struct snapprot_tune - sizes, for tests; 0: the usual one
 * @table: entries of a table in memory
 * @fanout: a level of the index is so many times as large as the one above
 * @freeze: entries of the log after which a checkpoint is due
 * @zone: blocks of a zone of the log
 */
struct snapprot_tune {
	u32 table;
	u32 fanout;
	u32 freeze;
	u32 zone;
};

/**
 * struct snapprot_env - base of an environment
 * @ops: what it can do
 * @key: of the store's sums; set by snapprot_store_load()
 * @tune: sizes, or NULL
 * @salt: random, and known to nobody: with it nobody can choose blocks that are all
 *	looked for in one place. 0 will do where nobody would
 */
struct snapprot_env {
	const struct snapprot_env_ops *ops;
	siphash_key_t key;
	const struct snapprot_tune *tune;
	u64 salt;
};

/* ---- verify.c: checksums and rules of single blocks -------------------- */

/* The key that is made of 16 bytes on disk. */
void snapprot_key_init(siphash_key_t *key, const u8 *secret);
/* Sum of a block of metadata, of the given kind, at this place. The header's
 * own sum is left out; a bitmap has no header and is summed whole.
 */
u64 snapprot_block_sum(const siphash_key_t *key, const void *data, u32 magic,
		       u64 place);
/* Sum, magic and place of a block that a pointer leads to, and the rules of its
 * kind that need nothing but the block. -EBADMSG if it breaks one.
 */
int snapprot_block_verify(const siphash_key_t *key, const void *data,
			  u32 magic, u64 place, u64 sum);
/* Is this a header of the log of this store that belongs here, whatever is in it? */
bool snapprot_log_is_ours(const siphash_key_t *key, const void *data,
			  u64 place);
/* Fill h: magic, place, seq, uuid; the sum is zero. */
void snapprot_block_init(void *data, u32 magic, u64 place, u64 seq,
			 const u8 *uuid);

/* Superblock: 0, -EBADMSG damaged or not one, -EPROTONOSUPPORT a version or
 * incompat flag that this code does not know.
 */
int snapprot_super_verify(const struct snapprot_disk_super *s, u64 place);
void snapprot_super_seal(struct snapprot_disk_super *s);
/* The best of the copies (any may be NULL): highest seq of the valid. */
const struct snapprot_disk_super *
snapprot_super_choose(const struct snapprot_disk_super *const *copy, int *err);
/* A superblock, or a label, of a version before the first release? */
bool snapprot_is_version_1(const void *data);

/* Label: as for the superblock; @copy is 0 to 3. */
int snapprot_label_verify(const struct snapprot_disk_label *l, u32 copy);
void snapprot_label_seal(struct snapprot_disk_label *l);
const struct snapprot_disk_label *
snapprot_label_choose(const struct snapprot_disk_label *const *copy, int *err);
/* Where the label's area starts, in sectors, on an origin of @sectors. 0 if
 * the origin is too small to have one.
 */
u64 snapprot_label_start(u64 sectors);
/* The block of copy @copy, counted from the start of the area. */
static inline u32 snapprot_label_place(u32 copy)
{
	return copy == 0 ? SNAPPROT_LABEL_BLOCK_0 :
	       copy == 1 ? SNAPPROT_LABEL_BLOCK_1 :
	       copy == 2 ? SNAPPROT_LABEL_BLOCK_2 : SNAPPROT_LABEL_BLOCK_3;
}

static inline u64 snapprot_super_place(u32 copy)
{
	return copy == 0 ? SNAPPROT_SUPER_BLOCK_0 :
	       copy == 1 ? SNAPPROT_SUPER_BLOCK_1 :
	       copy == 2 ? SNAPPROT_SUPER_BLOCK_2 : SNAPPROT_SUPER_BLOCK_3;
}

/* The first copy of the pair to which write number @seq goes. */
static inline u32 snapprot_pair_of(u64 seq)
{
	return seq & 1 ? 2 : 0;
}

/* Sum of a block of the origin for the witness. */
u64 snapprot_witness_sum(const struct snapprot_disk_label *l, const void *data,
			 u64 block);

/* Text form of 16 bytes, 37 bytes with the NUL; and back, -EINVAL. Lower and
 * upper case are read, anything else behind it is refused.
 */
void snapprot_uuid_format(const u8 *uuid, char *text);
int snapprot_uuid_parse(const char *text, u8 *uuid);

/* May this be the name of a snapshot? 0 to 63 bytes of printable UTF-8 without
 * slashes and blanks, and a NUL.
 */
bool snapprot_name_ok(const char *name);

/* ---- in-memory forms --------------------------------------------------- */

/* A preserved block: see struct snapprot_disk_entry. */
struct snapprot_entry {
	u64 block;
	u64 where;
	u32 epoch;
	u32 sum;
};

struct snapprot_snap {
	u32 id;
	u32 epoch;
	u64 time;
	u64 sectors;
	u64 hold;
	u8 uuid[16];
	u8 source[16];
	char name[SNAPPROT_NAME_SIZE];
};

/* Order of entries in a run. */
struct snapprot_key {
	u64 block;
	u32 epoch;
};

struct snapprot_range {
	u64 start;
	u64 end;
};

/**
 * struct snapprot_evidence - how far a store is known to have got
 *
 * From the label, or from what was committed in this boot. A store that is
 * behind in any number is an old copy.
 */
struct snapprot_evidence {
	u64 ckpt_seq;
	u64 log_seq;
	u64 super_seq;
	u32 epoch;
};

/* ---- parts of an open store -------------------------------------------- */

/**
 * struct snapprot_pairs - how many entries have which epoch and predecessor
 * @pair: sorted by (epoch, prev)
 */
struct snapprot_pairs {
	struct snapprot_pair *pair;
	u32 count;
	u32 max;
};

struct snapprot_pair {
	u32 epoch;
	u32 prev;
	u64 count;
};

/**
 * struct snapprot_table - entries in memory, a hash by block
 * @entry: array of @max, in the order of arrival
 * @next: index + 1 of the next entry of the same bucket
 * @head: index + 1 of the first, by bucket
 * @order: indices in the order of keys; of the frozen ones, or of all
 * @ordered: how many those are: the dead may be left out
 * @count: entries in use
 * @max: entries there is room for
 * @buckets: size of @head, a power of two
 * @multiplier: of the hash, secret and odd
 * @shift: of the hash
 * @chunked: entries before this one are in durable chunks
 * @nr_dead: of them were taken out again
 * @removed: and of those the chunks do not know it yet
 * @stale: what the chunks have, and the table has not
 * @pairs: counts of those that are not dead
 */
struct snapprot_table {
	struct snapprot_entry *entry;
	u32 *next;
	u32 *head;
	u32 *order;
	u32 ordered;
	u32 count;
	u32 max;
	u32 buckets;
	u64 multiplier;
	u32 shift;
	u32 chunked;
	u32 nr_dead;
	u32 removed;
	u32 stale;
	struct snapprot_pairs pairs;
};

struct snapprot_build;

/**
 * struct snapprot_run - a B+tree that was built from below
 * @root: 0: there is none
 * @from: first key that counts; see struct snapprot_disk_run
 * @build: while it is being built, what has the newest of it
 */
struct snapprot_run {
	u64 root;
	u64 root_sum;
	u32 height;
	u32 min_epoch;
	u32 max_epoch;
	struct snapprot_key from;
	u64 nr_entries;
	u64 nr_nodes;
	const struct snapprot_build *build;
	struct snapprot_pairs pairs;
};

struct snapprot_merge;

/**
 * struct snapprot_level - a level of the index
 * @dead: entries of @cur that no snapshot needs, if core->dead_known
 * @cleaned: what core->deletions was when it was last rewritten
 * @cur: its run; while it is being merged, of keys from @cut on
 * @next: what it is being merged into, of keys below @cut
 * @up: a run that waits to be merged into the level below, or is
 * @merge: the merge into this level that is under way, or NULL
 * @cut: the first key that it has not looked at
 */
struct snapprot_level {
	struct snapprot_run cur;
	struct snapprot_run next;
	struct snapprot_run up;
	struct snapprot_merge *merge;
	struct snapprot_key cut;
	u64 dead;
	u32 cleaned;
};

struct snapprot_group;
struct snapprot_space_node;

#define SNAPPROT_POOL	SNAPPROT_INNER_ENTRIES

/**
 * struct snapprot_pool - places that somebody keeps for what it will write
 * @place: them, in the order in which they are used
 */
struct snapprot_pool {
	u64 place[SNAPPROT_POOL];
	u32 next;
	u32 count;
};

/**
 * struct snapprot_space - which blocks are in use
 * @blocks: of the store
 * @capacity: that could ever be taken
 * @used: in use, as the next checkpoint will have it
 * @freed: of those, free once the next checkpoint is durable
 * @fresh: in use by the log or kept for it, which that checkpoint leaves out
 * @group: loaded bitmaps, hashed by number
 * @node: loaded nodes of the space table
 * @level: of the table's root
 * @root_slot: and of that
 * @root_sum: the same
 * @cursor: where the search for space goes on
 * @pool: for directories and tables
 * @queue: places to be freed
 */
struct snapprot_space {
	u64 blocks;
	u64 capacity;
	u64 used;
	u64 freed;
	u64 fresh;
	struct snapprot_group **group;
	struct snapprot_space_node **node;
	u32 nr_groups;			/* loaded */
	u32 nr_nodes;
	u32 level;
	u32 root_slot;
	u64 root_sum;
	u64 cursor;
	struct snapprot_pool pool;
	u64 *queue;
	u32 queue_count;
};

/**
 * struct snapprot_zone - free blocks that are the log's alone
 * @range: what it is called on disk
 * @place: its blocks, ascending
 * @used: of them are taken
 * @serial: counts zones
 */
struct snapprot_zone {
	struct snapprot_range range;
	u64 *place;
	u32 count;
	u32 used;
	u64 serial;
};

/**
 * struct snapprot_log - the log
 * @block: place of the next header, reserved
 * @seq: its number
 * @prev_sum: sum of the header before
 * @next: of the step being made, or 0
 * @count: blocks that were reserved for it
 * @steps: made, and not committed yet
 * @entries: of those
 * @headers: places of the headers since the last freeze
 * @nr_entries: entries since the last freeze
 * @frozen: places of headers before, until the checkpoint is durable
 * @nr_frozen_entries: entries before, the same
 * @zone: blocks are taken from the first, the second comes after it
 * @anchor: newest zone that a committed step names: nothing may be taken from
 *	a newer one
 * @sealed: nothing was committed behind the last seal
 */
struct snapprot_log {
	u64 block;
	u64 seq;
	u64 prev_sum;
	u64 next;
	u32 count;
	u32 steps;
	u32 entries;
	u64 *headers;
	u32 nr_headers;
	u32 nr_entries;
	u64 *frozen;
	u32 nr_frozen;
	u32 nr_frozen_entries;
	struct snapprot_zone zone[2];
	u64 anchor;
	u64 serial;
	bool sealed;
};

/**
 * struct snapprot_ckpt - the checkpoint in work
 * @seq: its number, or that of the next one
 * @frozen: between freeze and finish
 * @prepared: between prepare and finish
 * @ordered: the order of the new chunk's entries is known
 * @whole: all chunks of the table are replaced by one
 * @table: whose entries the new chunk has: 0 the one being filled, 1 the other
 * @from: its first entry
 * @end: and behind its last one
 * @orphan: entries before this one were looked at for orphans
 * @count: of table->order
 * @done: of those were put into the chunk
 * @serial: newest zone of the log that it names
 * @log_block: position of the log at the freeze, with the fields behind
 * @run: the new chunk
 * @build: its builder, or NULL
 * @headers: of the log before, this many are free
 * @old: blocks of the last checkpoint's directory and tables
 * @old_freed: of those are free
 * @next: places for those of this one
 * @next_want: how many it needs
 * @next_used: how many are written
 */
struct snapprot_ckpt {
	u64 seq;
	bool frozen;
	bool prepared;
	bool ordered;
	bool whole;
	u32 table;
	u32 from;
	u32 end;
	u32 orphan;
	u32 count;
	u32 done;
	u64 serial;
	u64 log_block;
	u64 log_seq;
	u64 log_prev_sum;
	struct snapprot_range zone[2];
	u32 epoch;
	struct snapprot_snap *snaps;
	u32 nr_snaps;
	struct snapprot_run run;
	struct snapprot_build *build;
	u32 headers;
	u64 *old;
	u32 nr_old;
	u32 old_freed;
	u64 *next;
	u32 nr_next;
	u32 next_want;
	u32 next_used;
};

/**
 * struct snapprot_core - an open store
 *
 * Fields marked (ro) may be read by the caller; all others are the core's.
 */
struct snapprot_core {
	struct snapprot_env *env;

	/* (ro) identity, from the superblock */
	u8 uuid[16];
	u8 store_id[16];
	u64 generation;
	u64 origin_sectors;
	u64 origin_blocks;		/* rounded up */
	u64 create_time;
	u32 flags;			/* SNAPPROT_SUPER_* */
	u32 role;
	u32 lost_epoch;
	u32 lost_fault;
	bool read_only;			/* changes fail, -EROFS */
	u64 data_seed;			/* of sums of old data */

	/* (ro) snapshots, oldest first */
	struct snapprot_snap *snaps;
	u32 nr_snaps;
	u32 epoch;			/* current */

	/* superblock as last written, for external writers and updates */
	struct snapprot_disk_super *super;	/* one block, on-disk form */
	struct snapprot_disk_super *super_next;	/* being composed */
	u32 super_copy;			/* one that core->super is */
	u64 super_sum[SNAPPROT_COPIES];	/* of each copy as it is on disk; 0: */
					/* could not be read */
	void *scratch;			/* SNAPPROT_SCRATCH blocks */

	struct snapprot_space space;
	struct snapprot_log log;
	struct snapprot_ckpt ckpt;
	struct snapprot_table fill;	/* newest entries */
	struct snapprot_table drain;	/* being merged into level 1 */
	struct snapprot_key drain_from;	/* first key of it that counts */
	struct snapprot_run *chunk;	/* to be freed, of drain, of fill */
	u32 nr_trash;
	u32 nr_drain_chunks;
	u32 nr_chunks;			/* all of them */
	struct snapprot_level level[SNAPPROT_MAX_LEVEL + 1]; /* from 1 */
	struct snapprot_run *map;	/* what was written in past epochs */
	u32 nr_maps;
	u32 max_maps;
	struct snapprot_map_build *map_build;
	u32 sweep_at;			/* entries of fill to be looked at */
	bool dead_known;		/* level[].dead is right */
	u32 deletions;			/* of snapshots, from 1 */
	u64 admitted;			/* entries since the load */
	struct snapprot_tune tune;
	bool hurry;			/* space is wanted: sweep at any cost */
};

#define SNAPPROT_SCRATCH	64u

/* Old data's checksum in this store. */
static inline u32 snapprot_data_sum(const struct snapprot_core *core,
				    const void *data)
{
	return (u32)xxh64(data, SNAPPROT_BLOCK_SIZE, core->data_seed);
}

static inline u64 snapprot_entry_place(const struct snapprot_entry *e)
{
	return SNAPPROT_WHERE_PLACE(e->where);
}

/* ---- store.c: format, load, superblock --------------------------------- */

/**
 * struct snapprot_format - what a new store is to be
 * @secret: 16 random bytes
 * @store_id: 16 random bytes
 * @blocks: size of the device
 */
struct snapprot_format {
	const u8 *uuid;
	const u8 *secret;
	const u8 *store_id;
	u64 origin_sectors;
	u64 blocks;
	u64 time;
	u32 flags;
	u32 role;
};

/**
 * snapprot_store_format() - make an empty store
 *
 * The old superblocks are overwritten first, so that a crash leaves either no
 * store or a whole one. -ENOSPC below the minimum size, -EINVAL.
 */
int snapprot_store_format(struct snapprot_env *env,
			  const struct snapprot_format *f);

/**
 * snapprot_store_load() - open a store: superblock, directory, log
 * @blocks: size of the device; -ENOSPC if the store has data beyond it
 *	(shrunk), more than it was is fine (grown)
 * @least: how far it must have got, or NULL
 *
 * Reads, never writes. Replays the log into memory. -ENODEV if neither
 * superblock is one, -EBADMSG, -EPROTONOSUPPORT as snapprot_super_verify(),
 * -ESTALE if it is behind @least. Never -EAGAIN: the environment has to wait.
 * Whatever it returns, snapprot_store_exit() is to be called. What was replayed
 * may have been read from a volatile cache: a snapprot_store_update(), or
 * another flush, has to come before the first step of the log.
 */
int snapprot_store_load(struct snapprot_core *core, struct snapprot_env *env,
			u64 blocks, const struct snapprot_evidence *least);
void snapprot_store_exit(struct snapprot_core *core);
/* The device has grown. -EINVAL if it is smaller than before. */
int snapprot_store_grow(struct snapprot_core *core, u64 blocks);
/* What is durable now. */
void snapprot_store_evidence(const struct snapprot_core *core,
			     struct snapprot_evidence *ev);

/**
 * snapprot_store_update() - write the superblock again with other flags
 * @generation: new value
 * @flags: new value
 * @lost_epoch: new value; snapshots up to it are lost from here on
 * @lost_fault: why
 *
 * No checkpoint: a pair of copies, each durable. Not between prepare and finish.
 * -EUCLEAN if the superblock on the disk is not the one last written
 * (somebody else wrote to it: fault external_writer).
 */
int snapprot_store_update(struct snapprot_core *core, u64 generation,
			  u32 flags, u32 lost_epoch, u32 lost_fault);

/* The same in three: only the first and the last are under the caller's lock, and in
 * between nothing but lookups, scans and log calls is allowed, of these none if the
 * generation changes. After an error of write the store is to be loaded again.
 */
int snapprot_store_update_begin(struct snapprot_core *core, u64 generation,
				u32 flags, u32 lost_epoch, u32 lost_fault);
int snapprot_store_update_write(struct snapprot_core *core);
void snapprot_store_update_end(struct snapprot_core *core);

/* ---- snaps.c ------------------------------------------------------------ */

struct snapprot_snap *snapprot_snap_find(struct snapprot_core *core, u32 id);
struct snapprot_snap *snapprot_snap_find_name(struct snapprot_core *core,
					      const char *name);
/* The lowest id above all that there are; 0 if there is none left. */
u32 snapprot_snap_new_id(const struct snapprot_core *core);

static inline bool snapprot_snap_lost(const struct snapprot_core *core,
				      const struct snapprot_snap *snap)
{
	return snap->epoch <= core->lost_epoch;
}

u32 snapprot_snaps_valid(const struct snapprot_core *core);
/* Epoch of the newest valid snapshot; 0 if there is none. */
u32 snapprot_snaps_newest(const struct snapprot_core *core);

/* Is an entry needed, whose predecessor for its block has epoch @prev (0 if
 * none)? True while a valid snapshot lies in (prev, epoch].
 */
bool snapprot_entry_needed(const struct snapprot_core *core, u32 prev,
			   u32 epoch);

/**
 * snapprot_snap_usage() - what a snapshot costs, from the counts that are kept
 * @only: blocks that only it needs, and that its deletion frees
 * @all: blocks that it needs
 *
 * A predecessor that is in another run than the entry is not seen, and counts as
 * absent until the two are merged, for the space as for these numbers: both may be
 * higher than what the snapshot shows differently from the origin.
 */
void snapprot_snap_usage(const struct snapprot_core *core,
			 const struct snapprot_snap *snap, u64 *only,
			 u64 *all);

/* ---- lookup.c ------------------------------------------------------------ */

/**
 * snapprot_lookup() - where a snapshot's block is
 * @epoch: of the snapshot. For "preserved already?" that of the newest valid
 *	one
 *
 * Finds the entry of @block with the smallest epoch >= @epoch. 1 found, 0 not
 * preserved (read the origin), -EAGAIN with all blocks asked for that are
 * needed next, or an error.
 */
int snapprot_lookup(struct snapprot_core *core, u64 block, u32 epoch,
		    struct snapprot_entry *found);

/**
 * struct snapprot_scan - a walk over all entries
 * @min_epoch: what has no entry from this epoch on is left out
 * @phase: 0 newest entries, 1 those on their way into level 1, 2 the runs
 * @index: of an entry of a table, where it goes on
 * @block: of the origin, where it goes on in the runs
 *
 * All zero at the start, but for @min_epoch.
 */
struct snapprot_scan {
	u32 min_epoch;
	u32 phase;
	u32 index;
	u64 block;
};

/**
 * snapprot_scan_step() - some more entries
 * @fn: called for each entry, in no order; an error ends it
 *
 * Whatever is merged in between, each entry is seen that was there all the time,
 * one or another perhaps twice. 1 more, 0 the end, -EAGAIN, or an error.
 */
int snapprot_scan_step(struct snapprot_core *core, struct snapprot_scan *scan,
		       int (*fn)(void *ctx, const struct snapprot_entry *e),
		       void *ctx);

/* ---- log.c ---------------------------------------------------------------- */

/* The caller writes what these encode, and commits when it is durable:
 *
 *   reserve, encode, (write, flush), commit			one step
 *   (reserve, encode, advance) ..., (write, flush), commit ...	several
 *
 * Steps are committed in the order in which they were made. All are written
 * by one writer at a time (the caller's lock of the log).
 */

/**
 * snapprot_log_room() - how many entries batches may have now, at most @max
 *
 * They are there for whoever holds the lock of the log, whatever merges,
 * deletions and checkpoints take meanwhile. 0 means: commit what is on its way,
 * snapprot_log_refill(), make a checkpoint or a step of merging, or wait for
 * space.
 */
u32 snapprot_log_room(const struct snapprot_core *core, u32 max);
/* So much is in memory that a checkpoint is due. */
bool snapprot_log_full(const struct snapprot_core *core);
/* Keep space for the log ahead of need: 0, -EAGAIN, -ENOSPC if there is none any
 * more (snapprot_log_room() says what is left), or an error.
 */
int snapprot_log_refill(struct snapprot_core *core);
/* Space is there, and a seal has to name it before batches may have it. */
bool snapprot_log_wants_seal(const struct snapprot_core *core);

/**
 * snapprot_log_reserve() - take places for @count old blocks and a next header
 * @places: filled in; the header goes to core->log.block
 *
 * At most SNAPPROT_LOG_ENTRIES, and what snapprot_log_room() said. @count 0 is
 * for records and seals, for which some space is kept. -ENOSPC: nothing has been
 * taken. -EBUSY: the step before is neither committed nor passed with
 * snapprot_log_advance(), or, for a record, not committed.
 */
int snapprot_log_reserve(struct snapprot_core *core, u32 count, u64 *places);
/* Encode a batch's header into @block (4 KiB), sealed. */
void snapprot_log_encode_batch(struct snapprot_core *core, void *block,
			       const struct snapprot_entry *entries, u32 count);
/* Encode a record. For CREATE, snap->epoch is the new current epoch. */
void snapprot_log_encode_record(struct snapprot_core *core, void *block,
				enum snapprot_log_type type,
				const struct snapprot_snap *snap);
/* A seal: all before it is durable. Due some time after the last batch. */
void snapprot_log_encode_seal(struct snapprot_core *core, void *block);
/* The batch in @block is on its way, or will be before anything is flushed: make
 * the next one. -EINVAL if it is not the one that was reserved.
 */
int snapprot_log_advance(struct snapprot_core *core, const void *block);
/* The step in @block is durable: its entries, or its snapshot, count. A batch
 * must have used all places that were reserved, and the current epoch; the
 * caller has refused a CREATE whose id or name is taken, or that is one too many
 * (SNAPPROT_MAX_SNAPSHOTS), and a DELETE or SET of what is not there. -EINVAL
 * else.
 */
int snapprot_log_commit(struct snapprot_core *core, const void *block);

/* ---- ckpt.c ------------------------------------------------------------- */

/**
 * Checkpoint, in this order, each under the caller's lock, which may be
 * dropped between the calls:
 *
 *   snapprot_ckpt_freeze()	no step of the log between reserve and commit
 *   snapprot_ckpt_order()	may be left out, and needs no lock against lookups
 *				and log calls; else the first step does it
 *   snapprot_ckpt_step()	until it returns 0
 *   snapprot_ckpt_prepare()	composes bitmaps, tables, directory, superblock
 *   snapprot_ckpt_write()	commit of the environment, superblocks; needs no
 *				lock against lookups and log calls
 *   snapprot_ckpt_finish()	what was freed may be used again
 *
 * freeze returns -EBUSY if a step of the log is in work, or if the index has so many
 * parts that snapprot_merge_step() has to come first.
 *
 * Between prepare and finish nothing but lookups, scans and log calls is allowed.
 * Nobody may read old data, on behalf of a snapshot that was deleted since, when
 * finish is called.
 */
int snapprot_ckpt_freeze(struct snapprot_core *core);
void snapprot_ckpt_order(struct snapprot_core *core);
/* Put up to @max frozen entries into the new chunk: 1 more to do, 0 done. */
int snapprot_ckpt_step(struct snapprot_core *core, u32 max);
int snapprot_ckpt_prepare(struct snapprot_core *core);
int snapprot_ckpt_write(struct snapprot_core *core);
int snapprot_ckpt_finish(struct snapprot_core *core);

/* ---- merge.c ------------------------------------------------------------- */

/**
 * snapprot_merge_step() - merge runs, and drop what no snapshot needs
 * @max: entries to look at
 *
 * Not between prepare and finish. 1: more is due, 0: nothing is, -EAGAIN,
 * -ENOSPC if a checkpoint has to come first, or an error.
 */
int snapprot_merge_step(struct snapprot_core *core, u32 max);
/* Is anything due, for what was written or deleted so far? */
bool snapprot_merge_due(const struct snapprot_core *core);
/* Anything that could be done, due or not, when nobody else wants the device. */
bool snapprot_merge_possible(const struct snapprot_core *core);

/* ---- map.c ----------------------------------------------------------------- */

u32 snapprot_map_missing(const struct snapprot_core *core);
/* After a snapshot was taken: begin, add what was written in the epoch that has ended,
 * end. Other calls may come in between. If it is left out it has to be made up for, from
 * snapprot_scan_step(): see snapprot_map_missing(). merge steps join and drop maps.
 */
int snapprot_map_begin(struct snapprot_core *core, u32 epoch);
int snapprot_map_add(struct snapprot_core *core, u64 block, u32 count);
int snapprot_map_end(struct snapprot_core *core);
void snapprot_map_abort(struct snapprot_core *core);
int snapprot_changed(struct snapprot_core *core, u32 from, u32 to, u64 *block,
		     struct snapprot_range *range, u32 max);

/* ---- space.c -------------------------------------------------------------- */

/* For status lines: blocks that hold data or metadata. */
u64 snapprot_space_used(const struct snapprot_core *core);
/* Blocks that are free, or kept for the log and not used yet. */
u64 snapprot_space_free_blocks(const struct snapprot_core *core);

/* ---- check.c -------------------------------------------------------------- */

/**
 * struct snapprot_check_ops - how snapprot_store_check() reports
 * @problem: a rule that is broken, in words; @block is where
 * @progress: blocks that were looked at, of about so many; may be NULL
 */
struct snapprot_check_ops {
	void (*problem)(void *ctx, u64 block, const char *what);
	void (*progress)(void *ctx, u64 done, u64 total);
};

/**
 * snapprot_store_check() - verify everything of a loaded store
 * @data: read and checksum every preserved block too
 *
 * Every node (order, bounds, levels), every entry's place (in range, used once,
 * marked used), every bitmap (no block used that nothing owns), counts, the
 * table of snapshots. Cost in proportion to what is in use. Writes nothing.
 * @ops may be NULL. Returns the number of problems, or an error; -EBUSY if anything
 * is under way: a checkpoint, steps, or merging since the load.
 */
int snapprot_store_check(struct snapprot_core *core, bool data,
			 const struct snapprot_check_ops *ops, void *ctx);

#endif
