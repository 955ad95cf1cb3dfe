/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DOC: what a crash could have left
 *
 * A log of all that reached a disk on which a volume lies, origin and store, is read
 * from its beginning to its end (writes.c). At each entry the power could have
 * failed. Then everything up to the last flush is there, and of each write since
 * then nothing, all, or some of its sectors. Such states are put together in memory
 * (disk.c, explore.c), opened as the module would (judge.c), and compared with what
 * must be there, which marks in the log tell (expect.c). Some of them are written
 * out, for the module itself to open (export.c).
 */
#ifndef CRASH_H
#define CRASH_H

#include <stdio.h>
#include <stdnoreturn.h>

#include "core.h"
#include "device.h"

#define BLOCK		SNAPPROT_BLOCK_SIZE
#define SECTOR		512u
#define BLOCK_SECTORS	SNAPPROT_SECTORS_PER_BLOCK

/* A log or an option that makes no sense: say so and end. */
noreturn void bad(const char *format, ...);
void *grow(void *array, u32 count, u32 *max, size_t size);

/* ---- writes.c: the log ---------------------------------------------------- */

#define WRITES_FLUSH	1u	/* all that came before is durable */
#define WRITES_FUA	2u	/* this is durable */
#define WRITES_DISCARD	4u	/* no data: it reads as zeroes */

/**
 * struct write - an entry of the log
 * @sector: on the disk
 * @sectors: 0 for a flush and no more
 * @flags: WRITES_*; the flush comes before the data
 * @data: NULL for a discard
 */
struct write {
	u64 sector;
	u64 sectors;
	u32 flags;
	const u8 *data;
};

/**
 * struct writes - an open log
 * @map: all of it
 * @bytes: how much that is
 * @count: entries
 * @next: number of the next one
 * @at: where that is
 */
struct writes {
	const u8 *map;
	size_t bytes;
	u64 count;
	u64 next;
	size_t at;
	u32 sector_size;
};

void writes_open(struct writes *w, const char *path);
bool writes_next(struct writes *w, struct write *entry);

/* ---- random.c -------------------------------------------------------------- */

void random_seed(u64 seed);
u64 random_below(u64 n);
static inline bool once_in(u64 n)
{
	return !random_below(n);
}

/* ---- disk.c: a volume in memory ---------------------------------------------- */

/**
 * struct note - what is known of the contents of a block
 * @hash: of them, if @hashed
 * @magic: it was verified as this, 0 if as nothing
 * @round: when it was last put aside to be restored
 */
struct note {
	u64 hash;
	u32 magic;
	u32 round;
	bool hashed;
};

/**
 * struct part - origin or store
 * @start: on the disk, in sectors
 * @data: contents, in memory that is a file as well, for who wants one
 * @dev: that file
 */
struct part {
	u64 start;
	u64 sectors;
	u64 blocks;
	u8 *data;
	struct note *note;
	struct device dev;
};

/* A block as it was before. */
struct aside {
	struct part *part;
	u64 block;
	struct note note;
	u8 *data;
};

struct disk {
	struct part origin;
	struct part store;
	struct aside *aside;
	u32 nr_aside;
	u32 max_aside;
	u32 round;
};

void part_init(struct part *part, const char *name, u64 start, u64 sectors,
	       const u8 *data);
void disk_exit(struct disk *disk);
/* Some sectors of a write: those of @mask, a bit each, or all if it is NULL. */
void disk_write(struct disk *disk, const struct write *w, const u8 *mask,
		bool restore);
/* Take back what was written with @restore. */
void disk_restore(struct disk *disk);
u64 block_hash(const void *data);
u64 part_hash(struct part *part, u64 block);

/* The core's environment over the store: it reads what is in memory. */
struct disk_env {
	struct snapprot_env env;
	struct part *store;
};

void disk_env_init(struct disk_env *env, struct part *store);

/* ---- expect.c: what must be there ----------------------------------------------- */

/**
 * struct snap - what was asked for, and acknowledged
 * @want: hash of each block of the origin at its instant, NULL before that
 */
struct snap {
	u32 id;
	bool created;
	bool deleting;
	bool deleted;
	bool may_be_lost;
	bool is_lost;
	u64 *want;
};

enum mode { MODE_NORMAL, MODE_EITHER, MODE_PROTECT };

#define MAX_SNAPS	256u

/**
 * struct expect - a workload as far as it has come
 * @blocks: of the live volume
 * @store_sectors: how large the store is now
 * @generation: the least that it must have
 */
struct expect {
	char name[64];
	u64 blocks;
	u64 store_sectors;
	u64 generation;
	enum mode mode;
	struct snap snap[MAX_SNAPS];
	u32 nr_snaps;
	bool syncing;
	bool flushed;
};

struct snap *expect_snap(struct expect *e, u32 id);
/* @words behind ask or, if it is done, ack. NULL or what is wrong. */
const char *expect_mark(struct expect *e, bool done, const char *words);
/* The record of a snapshot reached the disk: this is its instant. */
void expect_instant(struct expect *e, u32 id, const u8 *origin);
void expect_clear(struct expect *e);

/* ---- judge.c: is this right? ------------------------------------------------------- */

/**
 * struct opened - a state, opened
 * @label: NULL if there is none
 * @lost: the label says that the snapshots are
 */
struct opened {
	struct disk_env env;
	struct snapprot_core core;
	const struct snapprot_disk_label *label;
	bool lost;
};

/* As the module does. NULL or what is wrong; judge_close() in any case. */
const char *judge_open(struct opened *o, struct disk *disk,
		       const struct expect *e);
void judge_close(struct opened *o);
/* All else. @thorough: read all old data, and as the tool does. */
const char *judge(struct opened *o, struct disk *disk, struct expect *e,
		  bool thorough);
/* Which block a snapshot shows: false if it cannot be told. */
bool judge_block(struct opened *o, struct disk *disk, u32 epoch, u64 block,
		 struct part **part, u64 *place, u32 *up_to);
bool judge_lost(const struct opened *o, const struct snapprot_snap *snap);
/* Take over what is there as what must be there from now on. */
const char *judge_adopt(struct disk *disk, struct expect *e);

/* ---- export.c ------------------------------------------------------------------------ */

void export_open(const char *dir);
void export_begin(const struct disk *disk);
void export_state(struct opened *o, struct disk *disk, const struct expect *e);

#endif
