/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a superblock leads to, found without the core: pointers are followed and
 * nothing is verified. So it may be asked about a store that is whole only.
 */
#ifndef WALK_H
#define WALK_H

#include "sim.h"

/* A set of places. */
struct places {
	u64 *slot;		/* 0: empty; else place + 1 */
	u32 slots;		/* a power of two, or 0 */
	u32 count;
};

bool places_add(struct places *p, u64 place);
bool places_has(const struct places *p, u64 place);
void places_clear(struct places *p);

enum walk_kind {
	WALK_SUPER,
	WALK_BITMAP,
	WALK_SPACE,
	WALK_DIR,
	WALK_SNAPS,
	WALK_COUNTS,
	WALK_NODE,
	WALK_DATA,	/* old data of the index */
	WALK_LOG,	/* headers after the checkpoint */
	WALK_LOG_DATA,	/* and their old data */
	WALK_KINDS
};

extern const char *const walk_words[WALK_KINDS];

/* Place of the best superblock there is: valid, with the highest number. */
u64 walk_super(const struct sim *sim);
/* Is this the place of a superblock? */
bool walk_is_super(u64 place);

/**
 * walk_store() - everything that the best superblock leads to
 * @log_end: number of the first step of the log that does not count
 * @fn: called once for each place; never for the same one twice, unless the
 *	store is wrong
 */
void walk_store(const struct sim *sim, u64 log_end,
		void (*fn)(void *ctx, u64 place, enum walk_kind kind),
		void *ctx);

/* Are the bitmaps of that superblock, and its count, what its checkpoint leads
 * to, no more and no less? A message if not.
 */
const char *walk_compare(const struct sim *sim);

#endif
