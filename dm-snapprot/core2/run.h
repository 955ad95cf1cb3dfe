/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Nodes of runs: for those who build and those who read them, run.c and build.c.
 */
#ifndef SNAPPROT_RUN_H
#define SNAPPROT_RUN_H

#include "internal.h"

/*
 * Blocks that are read in one piece where they lie so: somewhat more than 64 KiB, and so
 * many that the leaves of an inner node are a few of them and nothing is left over.
 */
#define SNAPPROT_PIECE		(SNAPPROT_INNER_ENTRIES / 7)

static inline struct snapprot_key snapprot_node_first(const struct snapprot_disk_node *n)
{
	/* Both kinds of entries begin with the block; the epoch is elsewhere. */
	if (le16_to_cpu(n->level))
		return (struct snapprot_key){ le64_to_cpu(n->child[0].block),
					      le32_to_cpu(n->child[0].epoch) };
	return (struct snapprot_key){ le64_to_cpu(n->entry[0].block),
				      le32_to_cpu(n->entry[0].epoch) };
}

static inline struct snapprot_key snapprot_node_key(const struct snapprot_disk_node *n, u32 i)
{
	if (le16_to_cpu(n->level))
		return (struct snapprot_key){ le64_to_cpu(n->child[i].block),
					      le32_to_cpu(n->child[i].epoch) };
	return (struct snapprot_key){ le64_to_cpu(n->entry[i].block),
				      le32_to_cpu(n->entry[i].epoch) };
}

static inline u32 snapprot_node_count(const struct snapprot_disk_node *n)
{
	return le16_to_cpu(n->count);
}

static inline void snapprot_child_decode(struct snapprot_ref *ref,
					 const struct snapprot_disk_child *c)
{
	ref->key.block = le64_to_cpu(c->block);
	ref->key.epoch = le32_to_cpu(c->epoch);
	ref->max_epoch = le32_to_cpu(c->max_epoch);
	ref->place = le64_to_cpu(c->place);
	ref->sum = le64_to_cpu(c->sum);
}

int snapprot_node_get(struct snapprot_core *core, u64 place, u64 sum, u32 level,
		      const struct snapprot_key *lo,
		      const struct snapprot_key *hi, struct snapprot_buf *buf);

#endif
