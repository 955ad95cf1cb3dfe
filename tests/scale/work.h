/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A store at work. See work.c.
 */
#ifndef WORK_H
#define WORK_H

#include "scale.h"

enum phase {
	CKPT_NONE,
	CKPT_CHUNK,
	CKPT_WRITTEN,
};

/**
 * struct work - an open store, and what it has done
 * @base: what it had done when it was open
 * @zero_sum: checksum of old data, which has no contents here
 * @header: places of headers of the log that a crash would need
 * @frozen: so many of them are older than the checkpoint in work
 * @phase: of that checkpoint
 * @entries: preserved so far
 * @cpu: ns in the core, with this environment
 * @step_entries: of merging: looked at in a step
 * @step_reads: requests in a step
 * @step_waits: of which it waited for so many
 * @burst: steps between two batches
 * @alloc_reads: requests of a call that got a zone of the log its blocks
 * @at_worst: called with @ctx when the log is as long as it gets, before a checkpoint
 *	is written
 */
struct work {
	struct disk *disk;
	struct cache *cache;
	struct snapprot_core core;
	struct tally base;
	u32 zero_sum;
	u64 *header;
	u32 nr_headers, max_headers, frozen;
	enum phase phase;
	u64 entries;
	u64 cpu;
	u64 checkpoints;
	struct stat step_entries, step_reads, step_waits, burst;
	struct stat alloc_reads;
	void (*at_worst)(struct work *w, void *ctx);
	void *ctx;
};

void work_open(struct work *w);
void work_close(struct work *w);
struct work *work_new(u64 store_blocks, u64 origin_blocks);
void work_free(struct work *w);
void work_steps_clear(struct work *w);

/* One that is complete before anything else is done. */
void checkpoint(struct work *w);
/* Merge until nothing is due or, @all, possible. A checkpoint now and then, as some
 * seconds pass.
 */
void merge_settle(struct work *w, bool all);
/* Preserve blocks that were not, in this epoch. */
void preserve(struct work *w, const u64 *block, u32 count);
/* Return: its epoch. */
u32 snap_create(struct work *w);
void snap_delete(struct work *w, u32 epoch);

#endif
