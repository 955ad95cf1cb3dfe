/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A volume as simple as can be: the origin and every snapshot are arrays of
 * version numbers. Beside it the real store, fed with what the module would
 * feed it; whatever happens, both must agree.
 */
#ifndef MODEL_H
#define MODEL_H

#include "sim.h"

#define MODEL_SNAPS	64u

struct model_snap {
	u32 id;
	u32 epoch;
	u32 *content;
};

enum model_phase {
	MODEL_IDLE,
	MODEL_STEP,
	MODEL_SWEEP,
	MODEL_WRITE,
	MODEL_FINISH,
};

struct model {
	struct sim *sim;
	struct snapprot_core core;
	u32 nr_blocks;		/* of the origin that are used at all */
	u64 stride;		/* between them */
	bool precise;		/* preserve nothing that nobody needs */
	u32 *origin;
	u32 version;

	struct model_snap snap[MODEL_SNAPS];
	u32 nr_snaps;
	u32 next_id;
	u32 lost_epoch;
	u64 generation;

	enum model_phase phase;
	/* What was asked for and not acknowledged. */
	struct model_snap creating;
	u32 deleting;
	u32 losing;
};

/* Make a store of @blocks blocks and a volume of @nr_blocks blocks. */
struct model *model_new(u64 blocks, u32 nr_blocks, u64 stride);
void model_free(struct model *m);

/*
 * What is below the operations: old data to the log in steps that share a flush,
 * at most SNAPPROT_LOG_ENTRIES blocks for which there is room; and a record.
 */
#define MODEL_STEPS	3
int model_preserve(struct model *m, const u64 *block, const u8 *data,
		   u32 count);
int model_record(struct model *m, enum snapprot_log_type type,
		 const struct snapprot_snap *snap);

/* Each returns 0, -EIO when the device has died, or -ENOSPC. */
int model_write(struct model *m, u32 count);
int model_create(struct model *m);
int model_delete(struct model *m, u32 nr);
int model_update(struct model *m, bool lose);
/* One step of a checkpoint; begins one if there is none. */
int model_checkpoint_tick(struct model *m);
/* To the end of the one in work, or a whole one. */
int model_checkpoint(struct model *m);

/* End and open the store; with a crash or without. */
void model_reload(struct model *m, bool crash);
/* Only the loading, after an end by other means. */
void model_load(struct model *m);
/* Compare everything. */
void model_verify(struct model *m);
/* Run the check; @data: read old data too. */
void model_check(struct model *m, bool data);
/* No entry is in the index that no snapshot needs. */
void model_check_swept(struct model *m);

#endif
