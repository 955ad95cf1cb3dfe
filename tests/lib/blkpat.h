/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SNAPPROT_BLKPAT_H
#define SNAPPROT_BLKPAT_H

#include <stddef.h>
#include <stdint.h>

/* What a block of "blkpat mark" begins with. */
#define BLKPAT_MARK	"snapprot-mark: "

/* splitmix64: any seed will do, and the n-th number needs no state. */
static inline uint64_t blkpat_mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15ull;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

/* What "blkpat sum" prints, of @bytes more; @sum is that of those before. */
static inline uint64_t blkpat_sum(uint64_t sum, const void *data, size_t bytes)
{
	const uint64_t *word = data;
	size_t i;

	for (i = 0; i < bytes / 8; i++)
		sum = blkpat_mix(sum ^ word[i]);
	return sum;
}

/* main() of blkpat.c, where it is built into builtins.so. */
int blkpat_main(int argc, char **argv);

#endif
