/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Damage to single blocks of a store that the model has, and what is right
 * afterwards: an error, or what was there, but never anything else.
 */
#ifndef DAMAGE_H
#define DAMAGE_H

#include "model.h"

struct damage_block {
	u64 place;
	enum walk_kind kind;
	bool missed;		/* the check has to find that it is damaged */
};

struct damage_blocks {
	struct damage_block *b;
	u32 count, max;
	u64 known;		/* steps of the log up to this one are proved */
};

/*
 * All that the store leads to, but for the steps of the log that nothing proves
 * yet: those may be gone without a word. To be freed.
 */
struct damage_blocks damage_find(struct model *m);

enum damage {
	DAMAGE_FLIP, DAMAGE_ZERO, DAMAGE_SWAP, DAMAGE_STALE, DAMAGE_UNREADABLE,
	NR_DAMAGES
};

extern const char *const damage_words[NR_DAMAGES];

/* False if nothing has changed by it. */
bool damage_do(struct sim *sim, const struct damage_blocks *all, u32 n,
	       enum damage how);

struct damage_tally {
	u32 right, wrong, refused, loaded;
};

/*
 * Load the store on @sim, which has that damage, read every @step-th block, and
 * have it checked.
 */
void damage_look(struct model *m, struct sim *sim,
		 const struct damage_block *b, enum damage how, u32 step,
		 struct damage_tally *t);

extern const struct snapprot_check_ops damage_quiet;

#endif
