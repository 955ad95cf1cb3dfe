/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A volume: the store and its label as the module would write them, and beside them
 * what every snapshot must read. And the judge, who loads what is on the devices, as
 * the module would, and compares.
 *
 * What is done is drawn from a stream of random numbers of each operation, so that
 * the same seed does the same up to the lie, and much of the same after it.
 */
#ifndef VOL_H
#define VOL_H

#include "dev.h"

enum op {
	OP_WRITE, OP_CREATE, OP_DELETE, OP_SET, OP_SECOND, OP_LABEL, OP_REFILL,
	OP_MERGE, OP_TICK, OP_CHECKPOINT, OP_MODE, OP_LOSE, OP_STOP, OP_END,
	OP_CRASH, OP_RETRY, OP_GROW, OP_FORGE, NR_OPS
};

/**
 * struct workload - what is done
 * @ops: how many operations
 * @origin: blocks of it that are used, @stride apart
 * @write: blocks that one write has at most
 * @steps: of a group at most
 * @limit: lies of a kind that are told in one run at most; 0: all
 * @forge: old data looks like metadata
 * @share: of each operation
 */
struct workload {
	const char *name;
	u32 ops;
	u64 blocks;
	u32 origin;
	u64 stride;
	u32 write;
	u32 steps;
	u32 limit;
	bool forge;
	struct snapprot_tune tune;
	u32 share[NR_OPS];
};

enum verdict {
	RIGHT,		/* all snapshots are there and read what they must */
	REFUSED,	/* the load says no */
	ERRORS,		/* it reads errors, or lost snapshots, and nothing wrong */
	LAST,		/* the last group is missing, within its second */
	SECOND,		/* an old copy, and the label has not moved since */
	WRONG,
	NEEDLESS,	/* refused, where one copy of two was all that was lost */
	MISSED,		/* something is wrong, and the check finds nothing */
	NR_VERDICTS
};

extern const char *const verdict_words[NR_VERDICTS];

#define MAX_SHOTS	64u

struct shot {
	u32 *content;
	struct snapprot_snap s;
};

enum phase { IDLE, ORDER, STEP, PREPARE, FLUSH, FINISH };

struct vol {
	const struct workload *wl;
	u64 seed;
	struct world w;
	struct dev *store, *label;
	struct wenv env;
	struct snapprot_core core;
	struct snapprot_tune tune;
	bool open;
	int err;		/* the writer has given up */
	struct rng rng;		/* of the operation that is being done */
	u32 op;

	/* what must be */
	u32 *origin;
	u32 version;
	struct blob **ver;
	u32 *ver_sum;
	bool *ver_summed;
	u32 max_ver;
	struct blob *write_this;	/* next, if it is not NULL */
	struct shot shot[MAX_SHOTS];
	u32 nr_shots;
	u32 next_id;
	u32 lost_epoch;
	bool protect;
	u64 generation;

	/* what is on its way */
	struct shot creating;
	struct snapprot_snap setting;
	u32 deleting;
	u32 losing;
	bool mode_moving;

	/* numbers */
	u64 acked;		/* things that were made durable */
	bool busy;		/* one more is being written */
	u64 label_acked;	/* of those the label knows */
	u64 proved;		/* steps up to this one are proved, or should be */
	u8 *last_mark;		/* blocks that the last group has, by index */
	u32 last_record;	/* or the snapshot that it is about */
	struct snapprot_evidence boot;
	bool boot_known;

	struct snapprot_disk_label lab;
	u64 lab_sum[SNAPPROT_COPIES];

	enum phase phase;

	/* the judge's */
	struct renv rs, rl;
	bool judging;
	char why[200];

	/* judged on the way, at a load: it does not go on unless that was right */
	enum verdict stopped;
};

struct vol *vol_new(const struct workload *wl, u64 seed);
void vol_free(struct vol *v);
/* Format and first arrival. */
int vol_start(struct vol *v);
/* One operation; false: it is over. */
bool vol_op(struct vol *v, u32 n);
/* A clean end. */
void vol_stop(struct vol *v);

/*
 * Judge what the readers have: v->rs and v->rl are set.
 * @boot: with what is known in this boot, and not what the label says
 */
enum verdict judge(struct vol *v, bool boot);
/* Was the superblock, or a label's copy, all that the lie was about? */
bool one_copy_only(const struct vol *v);

#endif
