/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A store that is mostly not there, and the environment of the core on it.
 *
 * Of the device only metadata is kept, a page a block. Old data has no contents: a
 * block that is not kept reads as zeros, and that is what its checksum is of. So a
 * store of some hundred GiB takes a few in memory.
 *
 * The environment caches blocks as the module does, in so and so many, and counts what
 * it reads and writes. Many may be on one disk: what another one opens is what would
 * be found after a crash, as all that was written here is durable at once.
 */
#ifndef DISK_H
#define DISK_H

#include "../../dm-snapprot/core2/internal.h"

enum block_class {
	CLASS_SUPER,
	CLASS_LOG,
	CLASS_NODE,
	CLASS_BITMAP,
	CLASS_SPACE,
	CLASS_DIR,
	CLASS_SNAPS,
	CLASS_COUNTS,
	CLASS_OTHER,
	NR_CLASSES
};

extern const char *const class_name[NR_CLASSES];

/* Blocks of a request, at most: 256 KiB. From 64 KiB on it counts as a large one. */
#define PIECE		64u
#define LARGE		16u

/**
 * struct tally - what an environment has done
 * @written: blocks, by class; log headers are the caller's, who counts them here
 * @write_pieces: requests for that
 * @read: blocks
 * @read_pieces: requests
 * @read_large: blocks that were read in pieces of 64 KiB and more
 * @waits: requests that somebody waited for
 * @ahead: blocks read because somebody was going to need them
 * @wasted: of these, thrown out or forgotten before anybody did
 * @flushes: commits and durable writes
 */
struct tally {
	u64 written[NR_CLASSES];
	u64 write_pieces;
	u64 read[NR_CLASSES];
	u64 read_pieces;
	u64 read_large;
	u64 waits;
	u64 ahead;
	u64 wasted;
	u64 flushes;
};

u64 tally_sum(const u64 *by_class);
/* What happened between two states of it. */
struct tally tally_since(const struct tally *now, const struct tally *then);

struct disk;

struct disk *disk_new(u64 blocks);
void disk_free(struct disk *d);
void disk_write(struct disk *d, u64 place, const void *data);
void disk_read(const struct disk *d, u64 place, void *data);
/* Data has been put there: whatever was kept is gone. */
void disk_drop(struct disk *d, u64 place);
/* The block is free once two more checkpoints are durable; drop it then, unless it
 * has been written again.
 */
void disk_drop_later(struct disk *d, u64 place);
void disk_checkpoint(struct disk *d);
/* What a block that is not kept reads as, if it is one that @fill knows. */
void disk_set_fill(struct disk *d, bool (*fill)(u64 place, void *data));
u64 disk_pages(const struct disk *d);
u64 disk_peak(const struct disk *d);
u64 disk_blocks(const struct disk *d);

struct cached;

/**
 * struct cache - an environment
 * @max: blocks that it is to hold at most
 * @async: get() does not wait, but returns -EAGAIN
 * @wave: what it has asked for since the last cache_wave()
 * @peak: blocks that it held at most
 * @bytes: of alloc, now
 * @peak_bytes: and at most
 */
struct cache {
	struct snapprot_env env;
	struct disk *disk;
	struct cached **bucket;
	struct cached *oldest, *newest;
	struct cached *spare;
	u32 max;
	u32 count;
	u32 dirty;
	u32 peak;
	bool async;
	struct cached **wave;
	u32 wave_count;
	u32 wave_max;
	u64 bytes;
	u64 peak_bytes;
	struct tally tally;
};

struct cache *cache_new(struct disk *d, u32 max);
void cache_free(struct cache *c);
/* Forget all that need not be written. */
void cache_empty(struct cache *c);
/* Read what was asked for: requests, 0 if there were none. */
u32 cache_wave(struct cache *c);
/* As the module does between two steps: write if there is much to be written. */
void cache_trim(struct cache *c);

/* The places that are cached, oldest first, to have just them again later. */
struct cache_set {
	u64 *place;
	u32 count;
};

struct cache_set cache_save(struct cache *c);
void cache_restore(struct cache *c, const struct cache_set *set);

#endif
