/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the fuzzers share: stores to start from, and inputs that damage them.
 *
 * An input says which store, and then, any number of times, what to do to one of
 * its blocks: a byte of flags, two of which block, two of where in it, one of how
 * many bytes, and the bytes. So a few bytes reach any field of any structure
 * behind its checksum.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include "model.h"

#define FUZZ_BASES	4u
#define FUZZ_PATCHES	12u

#define FUZZ_SEAL	0x01	/* set the checksum right */
#define FUZZ_ANY	0x02	/* among all blocks in use, not only metadata */
#define FUZZ_COPY	0x04	/* the contents of another block */
#define FUZZ_FAR	0x08	/* anywhere in the block, not among the fields */
#define FUZZ_ADD	0x10	/* added to what is there, as a number */

/**
 * struct fuzz_base - a store to start from
 * @m: how it was made, which says what is in it
 * @used: blocks that are not empty
 * @meta: those of them that are metadata
 * @last: header of the last step of the log, a record
 */
struct fuzz_base {
	struct model *m;
	u64 *used;
	u32 nr_used;
	u64 *meta;
	u32 nr_meta;
	u64 last;
};

/**
 * struct fuzz_image - a damaged store
 * @base: what it was
 * @block: blocks that were changed
 * @data: what they are now
 * @nr: how many
 * @honest: every change can be seen by a checksum, and none is in the end of the
 *	log, where it could not be told from a torn write
 */
struct fuzz_image {
	const struct fuzz_base *base;
	u64 block[FUZZ_PATCHES];
	u8 data[FUZZ_PATCHES][SNAPPROT_BLOCK_SIZE];
	u32 nr;
	bool honest;
};

const struct fuzz_base *fuzz_base(u32 nr);
void fuzz_image(struct fuzz_image *img, const u8 *input, size_t size);

/*
 * Whatever can be read of the snapshots that @core believes in is what they are,
 * or an error.
 */
void fuzz_never_wrong(const struct fuzz_image *img, struct snapprot_core *core);

/* A check of the core that says nothing: the number of problems, or an error. */
int fuzz_check(struct snapprot_core *core);

/* End the process, as a finding, if @fn does not come to its end. */
void fuzz_run(void (*fn)(void *ctx), void *ctx);

/* libFuzzer's, and what it calls where a fuzzer has one. */
size_t LLVMFuzzerMutate(u8 *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(u8 *data, size_t size, size_t max,
			       unsigned int seed);

/* The fuzzer: called once, and then for each input. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const u8 *input, size_t size);

#endif
