// SPDX-License-Identifier: GPL-2.0-only
/*
 * crc32c (Castagnoli) eight bytes at a time, as the kernel's crc32c() computes
 * it: the caller seeds, and nothing is inverted here. xxh64 is libxxhash's.
 */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "../dm-snapprot/core/platform.h"

#define CRC32C_POLY	0x82f63b78u	/* reflected */

static u32 table[8][256];

__attribute__((constructor))
static void crc32c_init(void)
{
	u32 i, j;

	for (i = 0; i < 256; i++) {
		u32 crc = i;

		for (j = 0; j < 8; j++)
			crc = crc & 1 ? crc >> 1 ^ CRC32C_POLY : crc >> 1;
		table[0][i] = crc;
	}
	for (i = 0; i < 256; i++) {
		for (j = 1; j < 8; j++) {
			u32 crc = table[j - 1][i];

			table[j][i] = crc >> 8 ^ table[0][crc & 255];
		}
	}
}

/**
 * crc32c() - checksum of some bytes
 * @crc: seed, or the result for the bytes before these
 * @data: bytes
 * @len: how many
 *
 * Return: the new value.
 */
u32 crc32c(u32 crc, const void *data, size_t len)
{
	const u8 *p = data;

	for (; len >= 8; p += 8, len -= 8) {
		u32 low, high;

		memcpy(&low, p, 4);
		memcpy(&high, p + 4, 4);
		low = le32toh(low) ^ crc;
		high = le32toh(high);
		crc = table[7][low & 255] ^ table[6][low >> 8 & 255] ^
		      table[5][low >> 16 & 255] ^ table[4][low >> 24] ^
		      table[3][high & 255] ^ table[2][high >> 8 & 255] ^
		      table[1][high >> 16 & 255] ^ table[0][high >> 24];
	}
	for (; len; p++, len--)
		crc = crc >> 8 ^ table[0][(crc ^ *p) & 255];
	return crc;
}

u64 xxh64(const void *data, size_t len, u64 seed)
{
	return XXH64(data, len, seed);
}
