/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A volume as simple as can be: the origin and every snapshot are arrays of
 * version numbers. Beside it the real store, fed with what the module would
 * feed it; whatever happens, both must agree.
 */
#ifndef MODEL_H
#define MODEL_H

#include "sim.h"
#include "walk.h"

#define MODEL_SNAPS	64u
#define MODEL_EPOCHS	4096u

struct model_snap {
	u32 *content;
	struct snapprot_snap s;
};

enum model_phase {
	MODEL_IDLE,
	MODEL_ORDER,
	MODEL_STEP,
	MODEL_PREPARE,
	MODEL_WRITE,
	MODEL_FINISH,
};

struct model {
	struct sim *sim;
	struct snapprot_core core;
	struct snapprot_tune tune;
	u32 nr_blocks;		/* of the origin that are used at all */
	u64 stride;		/* between them */
	bool precise;		/* preserve nothing that nobody needs */
	bool async;		/* the environment does not wait */
	u32 *origin;
	u32 version;

	struct model_snap snap[MODEL_SNAPS];	/* oldest first */
	u32 nr_snaps;
	u32 next_id;
	u32 lost_epoch;
	u64 generation;
	bool arriving;		/* an update begins a new one */
	struct snapprot_evidence evidence;

	/* Maps: by epoch, which blocks were written; NULL: none. */
	bool *written[MODEL_EPOCHS];
	u32 map_epoch;		/* of the map that is being made, or 0 */
	u32 map_at;		/* next block of it */

	enum model_phase phase;
	/* What was asked for and not acknowledged. */
	struct model_snap creating;
	struct snapprot_snap setting;
	u32 deleting;
	u32 losing;

	/* F3: what a durable superblock, or the log behind it, leads to. */
	struct places leads;
	/* F6: zones that the last step that counts names. */
	struct snapprot_range zone[2];
	bool writable;		/* the store is open and may be written at all */
};

/* Make a store of @blocks blocks and a volume of @nr_blocks blocks; @tune may
 * be NULL.
 */
struct model *model_new(u64 blocks, u32 nr_blocks, u64 stride,
			const struct snapprot_tune *tune);
void model_free(struct model *m);

/* Call something until it says something else than -EAGAIN. */
#define MODEL_RETRY(call) ({						\
	u32 __tries = 0;						\
	int __err;							\
									\
	while ((__err = (call)) == -EAGAIN)				\
		CHECK(__tries++ < 100000);				\
	__err;								\
})

/*
 * What is below the operations: old data to the log, in up to MODEL_STEPS steps
 * that share a flush, as long as there is room; and a record, or, without
 * @snap, a seal.
 */
#define MODEL_STEPS	3u
int model_preserve(struct model *m, const u64 *block, const u8 *data,
		   u32 count);
int model_record(struct model *m, enum snapprot_log_type type,
		 const struct snapprot_snap *snap);

/* Each returns 0, -EIO when the device has died, or -ENOSPC. */
int model_write(struct model *m, u32 count);
int model_create(struct model *m);
int model_delete(struct model *m, u32 nr);
int model_set(struct model *m, u32 nr);
int model_seal(struct model *m);
int model_update(struct model *m, bool lose);
int model_refill(struct model *m);
/* Merge up to @max entries. 1: there is more, -ENOSPC: a checkpoint first. */
int model_merge(struct model *m, u32 max);
/* Until nothing is due, or, with @all, nothing possible; with checkpoints. */
int model_merge_all(struct model *m, bool all);
/* One step of a checkpoint; begins one if there is none. */
int model_checkpoint_tick(struct model *m);
/* Begin a map that is missing, or go on with it. */
int model_map_tick(struct model *m);
/* To the end of the one in work, or a whole one. */
int model_checkpoint(struct model *m);

/* End and open the store; with a crash or without. */
void model_reload(struct model *m, bool crash);
/* Only the loading, after an end by other means. */
void model_load(struct model *m);
/* Compare up to about @most blocks of snapshots, by lookup. */
void model_verify(struct model *m, u32 most);
#define MODEL_ALL	~0u
/* Compare by a walk over all entries, while the index is being changed. */
int model_scan(struct model *m);
/* What changed between two snapshots, if it is known, is what was written. */
int model_check_changed(struct model *m);
/* What a snapshot costs is within its bounds, and right where it has to be. */
void model_check_usage(struct model *m);
/* Run the check; @data: read old data too. */
void model_check(struct model *m, bool data);

/* What a version of a block looks like; version 0 is zeros. */
void model_fill(void *data, u32 index, u32 version);
u64 model_block(const struct model *m, u32 index);

#endif
