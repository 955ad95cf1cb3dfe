/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the core share with each other and with nobody else.
 */
#ifndef SNAPPROT_INTERNAL_H
#define SNAPPROT_INTERNAL_H

#include "core.h"

/* Bits of a group's bitmap, in bytes. */
#define SNAPPROT_BITMAP_BYTES	(SNAPPROT_GROUP_BLOCKS / 8)
#define SNAPPROT_GROUP_SHIFT	14
/* A last group that is shorter than this is not used. */
#define SNAPPROT_GROUP_MIN	8u

static_assert(SNAPPROT_GROUP_BLOCKS == 1u << SNAPPROT_GROUP_SHIFT, "group");

static inline u64 snapprot_min(u64 a, u64 b)
{
	return a < b ? a : b;
}

/* ---- geometry ---------------------------------------------------------- */

static inline u64 snapprot_group_of(u64 block)
{
	return block >> SNAPPROT_GROUP_SHIFT;
}

static inline u32 snapprot_group_bit(u64 block)
{
	return (u32)block & (SNAPPROT_GROUP_BLOCKS - 1);
}

static inline u64 snapprot_group_start(u64 group)
{
	return group << SNAPPROT_GROUP_SHIFT;
}

/* Where the bitmap of a group lives. */
static inline u64 snapprot_group_home(u64 group)
{
	return snapprot_group_start(group) + SNAPPROT_BITMAP_OFFSET;
}

/* Groups that a store of @blocks blocks uses. */
static inline u64 snapprot_group_count(u64 blocks)
{
	return snapprot_group_of(blocks) +
		(snapprot_group_bit(blocks) >= SNAPPROT_GROUP_MIN);
}

/* Length of a group in a store of @blocks blocks. */
static inline u32 snapprot_group_length(u64 blocks, u64 group)
{
	return (u32)snapprot_min(blocks - snapprot_group_start(group),
				 SNAPPROT_GROUP_BLOCKS);
}

/* Is this block one that never changes its owner: superblock or bitmap? */
static inline bool snapprot_block_fixed(u64 block)
{
	return block == SNAPPROT_SUPER_BLOCK_0 ||
	       block == SNAPPROT_SUPER_BLOCK_1 ||
	       snapprot_group_bit(block) == SNAPPROT_BITMAP_OFFSET;
}

/* May a pointer of the format name this block, in a store of @blocks? */
static inline bool snapprot_place_ok(u64 blocks, u64 block)
{
	return block < blocks && !snapprot_block_fixed(block) &&
	       snapprot_group_of(block) < snapprot_group_count(blocks);
}

/* Blocks that can ever be taken in a store of @blocks blocks. */
static inline u64 snapprot_allocatable(u64 blocks)
{
	u64 groups = snapprot_group_count(blocks);

	return snapprot_min(blocks, snapprot_group_start(groups)) - groups - 2;
}

/* ---- bits -------------------------------------------------------------- */

static inline bool snapprot_bit_test(const u8 *bits, u32 n)
{
	return bits[n >> 3] >> (n & 7) & 1;
}

static inline void snapprot_bit_set(u8 *bits, u32 n)
{
	bits[n >> 3] |= 1u << (n & 7);
}

static inline void snapprot_bit_clear(u8 *bits, u32 n)
{
	bits[n >> 3] &= ~(1u << (n & 7));
}

/* ---- keys -------------------------------------------------------------- */

/* Order of two keys (block, epoch): below, at or above zero. */
static inline int snapprot_key_cmp(u64 block_a, u32 epoch_a,
				   u64 block_b, u32 epoch_b)
{
	if (block_a != block_b)
		return block_a < block_b ? -1 : 1;
	if (epoch_a != epoch_b)
		return epoch_a < epoch_b ? -1 : 1;
	return 0;
}

/* A range of keys, from @lo on and below @hi; without @has_hi, to the end. */
struct snapprot_bounds {
	u64 lo_block;
	u64 hi_block;
	u32 lo_epoch;
	u32 hi_epoch;
	bool has_hi;
};

static inline void
snapprot_entry_decode(struct snapprot_entry *e,
		      const struct snapprot_disk_entry *d)
{
	e->block = le64_to_cpu(d->block);
	e->place = le64_to_cpu(d->place);
	e->epoch = le32_to_cpu(d->epoch);
	e->sum = le32_to_cpu(d->sum);
}

static inline void
snapprot_entry_encode(struct snapprot_disk_entry *d,
		      const struct snapprot_entry *e)
{
	d->block = cpu_to_le64(e->block);
	d->place = cpu_to_le64(e->place);
	d->epoch = cpu_to_le32(e->epoch);
	d->sum = cpu_to_le32(e->sum);
}

/* ---- space.c ----------------------------------------------------------- */

#define SNAPPROT_BITMAP_WORDS	(SNAPPROT_BITMAP_BYTES / 8)

/**
 * struct snapprot_group - a group's bitmap that differs from its home
 * @next: in the same bucket
 * @number: of the group
 * @image: where the checkpoint in work puts its image, 0 if nowhere yet
 * @used: blocks in use. Nothing but a bit that is clear here may be taken
 * @freed: in use until the checkpoint in work is durable, free after
 * @fresh: taken by the log since the last freeze: a checkpoint's image leaves
 *	them out, for replay marks them itself and a batch that never became
 *	durable must not keep its place
 *
 * The planes are words only to be copied and combined fast. Their bits are
 * counted in bytes, as on disk.
 */
struct snapprot_group {
	struct snapprot_group *next;
	u64 number;
	u64 image;
	u64 used[SNAPPROT_BITMAP_WORDS];
	u64 freed[SNAPPROT_BITMAP_WORDS];
	u64 fresh[SNAPPROT_BITMAP_WORDS];
};

int snapprot_space_init(struct snapprot_core *core);
void snapprot_space_exit(struct snapprot_core *core);
struct snapprot_group *snapprot_group_find(const struct snapprot_core *core,
					   u64 number);
int snapprot_group_add_image(struct snapprot_core *core,
			     const struct snapprot_disk_bitmap *image);
void snapprot_group_image(const struct snapprot_group *group, u8 *bits);
int snapprot_space_next_free(struct snapprot_core *core, u64 from, u64 *block);
int snapprot_space_take_data(struct snapprot_core *core, u64 *block);
int snapprot_space_take_meta(struct snapprot_core *core, u64 *block);
int snapprot_space_mark(struct snapprot_core *core, u64 block);
int snapprot_space_free(struct snapprot_core *core, u64 block);
int snapprot_space_free_meta(struct snapprot_core *core, u64 block);
void snapprot_space_freeze(struct snapprot_core *core);
int snapprot_space_finish(struct snapprot_core *core);
int snapprot_space_resize(struct snapprot_core *core, u64 blocks);
u64 snapprot_space_fixed(const struct snapprot_core *core);
u64 snapprot_space_reserve(const struct snapprot_core *core, u32 more);

/* ---- store.c ----------------------------------------------------------- */

int snapprot_block_get(struct snapprot_core *core, u64 block, u32 magic,
		       struct snapprot_buf *buf);
bool snapprot_snap_add(struct snapprot_core *core,
		       const struct snapprot_snap *snap);
bool snapprot_snap_remove(struct snapprot_core *core,
			  const struct snapprot_snap *snap);
void snapprot_sweep_start(struct snapprot_core *core);
int snapprot_super_replace(struct snapprot_core *core);

static inline void
snapprot_snap_decode(struct snapprot_snap *s,
		     const struct snapprot_disk_snap *d)
{
	s->id = le32_to_cpu(d->id);
	s->epoch = le32_to_cpu(d->epoch);
	s->time = le64_to_cpu(d->time);
	s->sectors = le64_to_cpu(d->sectors);
}

static inline void
snapprot_snap_encode(struct snapprot_disk_snap *d,
		     const struct snapprot_snap *s)
{
	d->id = cpu_to_le32(s->id);
	d->epoch = cpu_to_le32(s->epoch);
	d->time = cpu_to_le64(s->time);
	d->sectors = cpu_to_le64(s->sectors);
	d->flags = 0;
	d->reserved = 0;
}

/* ---- log.c ------------------------------------------------------------- */

/* Half of what a reader accepts, for it sees the log of a checkpoint that was
 * not finished and the log since.
 */
#define SNAPPROT_LOG_HALF_ENTRIES	(SNAPPROT_LOG_MAX_ENTRIES / 2)
#define SNAPPROT_LOG_HALF_HEADERS	(SNAPPROT_LOG_MAX_HEADERS / 2)
/* Headers that batches leave to records. */
#define SNAPPROT_LOG_RECORD_HEADERS	256u
/* Blocks that batches leave to records. */
#define SNAPPROT_LOG_RECORD_BLOCKS	64u

int snapprot_log_replay(struct snapprot_core *core);

/* ---- index.c ----------------------------------------------------------- */

int snapprot_node_get(struct snapprot_core *core, u64 block, u32 level,
		      const struct snapprot_bounds *bounds,
		      struct snapprot_buf *buf);
void snapprot_node_narrow(const struct snapprot_disk_node *n, u32 i,
			  struct snapprot_bounds *bounds);
u32 snapprot_node_search(const struct snapprot_disk_node *n, u64 block,
			 u32 epoch);
int snapprot_leaf_get(struct snapprot_core *core, u64 block, u32 epoch,
		      struct snapprot_bounds *bounds,
		      struct snapprot_buf *buf);
int snapprot_index_find(struct snapprot_core *core, u64 block, u32 epoch,
			struct snapprot_entry *found);
int snapprot_index_insert(struct snapprot_core *core,
			  const struct snapprot_entry *e);

/* Which entries of a leaf are to go. */
struct snapprot_mask {
	u8 bits[SNAPPROT_NODE_ENTRIES / 8];
};

int snapprot_index_prune(struct snapprot_core *core, u64 block, u32 epoch,
			 const struct snapprot_mask *mask);

/* ---- checkpoint.c ------------------------------------------------------ */

/* What a block of a checkpoint is. */
struct snapprot_dir_item {
	u64 block;
	u64 index;	/* of a group or of a table */
	u32 type;	/* enum snapprot_dir_type, 0 for the directory itself */
	u32 crc;
};

int snapprot_dir_walk(struct snapprot_core *core,
		      int (*fn)(struct snapprot_core *core, void *ctx,
				const struct snapprot_dir_item *item),
		      void *ctx);

#endif
