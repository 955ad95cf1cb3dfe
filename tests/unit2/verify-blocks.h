/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What tests of the rules of blocks share: cases, and the blocks that all of them
 * take as good.
 */
#ifndef VERIFY_BLOCKS_H
#define VERIFY_BLOCKS_H

#include "unit.h"

static const u8 block_uuid[16] = "0123456789abcde";
static const u8 block_secret[16] = "a secret, of 16";

/*
 * Cases: make the block that is good, do something to it, and see what is said
 * of it. @b is the block.
 */
#define CASE(type, make, change, expect, check)				\
	do {								\
		struct type b;						\
									\
		make(&b);						\
		change;							\
		CHECK_EQ(check, expect);				\
	} while (0)

#define SET(field, bits, value)	(b.field = cpu_to_le##bits(value))

/* A superblock that is good, sealed: the first copy, with seq 7. */
void make_super(struct snapprot_disk_super *s);

#endif
