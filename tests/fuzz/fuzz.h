/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the fuzzers share: stores to start from, inputs that damage them, and an
 * environment for the core that bears whatever a damaged store makes of it.
 *
 * An input says which store and what kind of hand is at work, and then, any number
 * of times, what to do to one of its blocks: a byte of flags, two of which block, two
 * of where in it, one of how many bytes, and the bytes. So a few bytes reach any field
 * of any structure.
 *
 * A device that fails leaves sums that are wrong. Somebody who made the image on
 * purpose knows its secret, for it is in the superblock, and sets right the sums along
 * all pointers, up to the superblock.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include "model.h"

#define FUZZ_BASES	5u
#define FUZZ_PATCHES	12u

/* First byte of an input: the store in the lowest bits, and */
#define FUZZ_HOSTILE	0x80	/* all sums are set right */
#define FUZZ_COUNTS	0x40	/* and how many blocks are in use, by the bitmaps */
#define FUZZ_ASYNC	0x20	/* what is not in the cache is not there at once */
#define FUZZ_HURRY	0x10	/* space is wanted */

/* Flags of a patch. */
#define FUZZ_FAR	0x01	/* anywhere in the block, not where something is */
#define FUZZ_COPY	0x02	/* the contents of another block of its kind */
#define FUZZ_ADD	0x04	/* added to what is there, as a number */
#define FUZZ_PLACE	0x08	/* the number of another block that is in use */
#define FUZZ_MOVE	0x10	/* what is elsewhere in the block */
#define FUZZ_ALIGN	0x20	/* where a number of 8 bytes may begin */

struct fuzz_used {
	u64 place;
	enum walk_kind kind;
};

/**
 * struct fuzz_base - a store to start from
 * @m: how it was made, which says what is in it
 * @ev: how far it has got
 * @used: blocks that are in use, those of a kind one behind the other
 * @first: index of the first of a kind, and behind the last of all
 */
struct fuzz_base {
	struct model *m;
	struct snapprot_evidence ev;
	struct fuzz_used *used;
	u32 nr_used;
	u32 first[WALK_KINDS + 1];
};

#define FUZZ_BUCKETS	1024u

struct fuzz_page;
struct fuzz_cached;

/* A device: the store of a base, and what was changed since. */
struct fuzz_disk {
	const struct fuzz_base *base;
	u64 blocks;
	struct fuzz_page *page[FUZZ_BUCKETS];
	u64 reads;
};

/**
 * struct fuzz_image - a damaged store
 * @disk: what it is now
 * @mode: first byte of the input
 * @key: of the sums, if it is hostile
 * @honest: every change can be seen by a checksum
 */
struct fuzz_image {
	struct fuzz_disk disk;
	u8 mode;
	siphash_key_t key;
	bool honest;
};

/**
 * struct fuzz_env - the core's environment, as the module's is
 * @sound: what is written has to obey the rules
 * @memory: that the core has now
 */
struct fuzz_env {
	struct snapprot_env env;
	struct fuzz_disk *disk;
	struct fuzz_cached *cached[FUZZ_BUCKETS];
	u32 nr_cached;
	u32 nr_held;
	bool async;
	bool sound;
	size_t memory;
};

/* What a load, or a check, or anything else takes at most. */
#define FUZZ_MEMORY	(64u << 20)

const struct fuzz_base *fuzz_base(u32 nr);
u32 fuzz_base_nr(const struct fuzz_base *base);

/* Damage a block, as the patch says that @input begins with: its length, or 0. */
size_t fuzz_patch_block(u8 *data, const u8 *input, size_t size);
void fuzz_image(struct fuzz_image *img, const u8 *input, size_t size);
void fuzz_image_free(struct fuzz_image *img);

const u8 *fuzz_peek(const struct fuzz_disk *disk, u64 place);
u8 *fuzz_block(struct fuzz_disk *disk, u64 place);
/* Call @fn for each block that is not what it was. */
void fuzz_changed(const struct fuzz_disk *disk,
		  void (*fn)(void *ctx, u64 place, const u8 *data), void *ctx);

void fuzz_env_init(struct fuzz_env *fe, struct fuzz_disk *disk);
/* Forget all that is cached; nothing may be held. */
void fuzz_env_drop(struct fuzz_env *fe);

/*
 * Whatever can be read of the snapshots that @core believes in is what they are,
 * or an error. How many of them there are.
 */
u32 fuzz_never_wrong(const struct fuzz_base *base, struct snapprot_core *core);

/* A check of the core that says nothing: the number of problems, or an error. */
int fuzz_check(struct snapprot_core *core);

/* End the process, as a finding, if @fn does not come to its end. */
void fuzz_run(void (*fn)(void *ctx), void *ctx);

/* The fuzzer: called once, and then for each input. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const u8 *input, size_t size);

#endif
