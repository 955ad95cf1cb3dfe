/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Bitmaps and nodes of the space table in memory: of space.c, which takes and frees
 * blocks, and space-ckpt.c, which writes what that comes to.
 */
#ifndef SNAPPROT_SPACE_H
#define SNAPPROT_SPACE_H

#include "internal.h"

#define SPACE_BUCKETS		256u
/* Leaves of the space table that may stay in memory for nothing. */
#define MANY_NODES	64u

/**
 * struct snapprot_group - a group's bitmap
 * @next: in the same bucket
 * @number: of the group
 * @dirty: the image is not what the last checkpoint has
 * @used: not free. Nothing but a bit that is clear here may be taken
 * @freed: in use until the checkpoint in work is durable, free after
 * @fresh: taken by the log since the last freeze, or kept by somebody: a
 *	checkpoint's image leaves them out, for replay marks what the log has,
 *	and a batch that never became durable must not keep its place
 *
 * The planes are words only to be copied and combined fast. Their bits are
 * counted in bytes, as on disk.
 */
struct snapprot_group {
	struct snapprot_group *next;
	u64 number;
	bool dirty;
	u64 used[SNAPPROT_BITMAP_WORDS];
	u64 freed[SNAPPROT_BITMAP_WORDS];
	u64 fresh[SNAPPROT_BITMAP_WORDS];
};

/* An entry of a node: @busy is what is not free below, now. */
struct space_entry {
	u64 sum;
	u64 used;
	u64 busy;
	u32 slot;
};

/* A node of the space table. */
struct snapprot_space_node {
	struct snapprot_space_node *next;
	u32 level;
	u64 index;
	bool dirty;
	struct space_entry entry[SNAPPROT_SPACE_FANOUT];
};

static inline u32 snapprot_space_entry_of(u64 index)
{
	return (u32)index & (SNAPPROT_SPACE_FANOUT - 1);
}

/* Groups below an entry of a node of @level. */
static inline u64 snapprot_groups_below(u32 level)
{
	return (u64)1 << (SNAPPROT_SPACE_SHIFT * level);
}

static inline u32 snapprot_bits_count(const u64 *words)
{
	u32 i, sum = 0;

	for (i = 0; i < SNAPPROT_BITMAP_WORDS; i++)
		sum += hweight64(words[i]);
	return sum;
}

struct snapprot_space_node **
snapprot_space_bucket(const struct snapprot_core *core, u32 level, u64 index);
struct snapprot_space_node *
snapprot_space_node_find(const struct snapprot_core *core, u32 level,
			 u64 index);
int snapprot_space_node_get(struct snapprot_core *core, u32 level, u64 index,
			    struct snapprot_space_node **node);
struct snapprot_group *snapprot_group_find(const struct snapprot_core *core,
					   u64 number);
int snapprot_group_get(struct snapprot_core *core, u64 number,
		       struct snapprot_group **group);
void snapprot_space_busy(struct snapprot_core *core, u64 group, s64 more);

#endif
