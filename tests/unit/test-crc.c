// SPDX-License-Identifier: GPL-2.0-only
/* crc32c against known values and against the definition, bit by bit; xxh64. */
#include "unit.h"

static u32 slow_crc(u32 crc, const u8 *p, size_t len)
{
	u32 i;

	while (len--) {
		crc ^= *p++;
		for (i = 0; i < 8; i++)
			crc = crc & 1 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
	}
	return crc;
}

/* As RFC 3720 has it: inverted before and after. */
static u32 rfc_crc(const void *p, size_t len)
{
	return ~crc32c(~0u, p, len);
}

static void known_values(void)
{
	u8 bytes[32];
	u32 i;

	CHECK_EQ(rfc_crc("123456789", 9), 0xe3069283);
	memset(bytes, 0, sizeof(bytes));
	CHECK_EQ(rfc_crc(bytes, 32), 0x8a9136aa);
	memset(bytes, 0xff, sizeof(bytes));
	CHECK_EQ(rfc_crc(bytes, 32), 0x62a8ab43);
	for (i = 0; i < 32; i++)
		bytes[i] = i;
	CHECK_EQ(rfc_crc(bytes, 32), 0x46dd794e);
	for (i = 0; i < 32; i++)
		bytes[i] = 31 - i;
	CHECK_EQ(rfc_crc(bytes, 32), 0x113fdb5c);
	CHECK_EQ(crc32c(5, bytes, 0), 5);
	CHECK_EQ(crc32c(0, "\0\0\0\0\0\0\0\0\0", 9), 0);
}

static void any_length_and_alignment(void)
{
	u8 bytes[300];
	u32 i;

	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = unit_random();
	for (i = 0; i < 3000; i++) {
		u32 from = unit_below(20);
		u32 len = unit_below(sizeof(bytes) - 20);
		u32 cut = unit_below(len + 1);
		u32 seed = unit_random();
		u32 crc = slow_crc(seed, bytes + from, len);

		CHECK_EQ(crc32c(seed, bytes + from, len), crc);
		seed = crc32c(seed, bytes + from, cut);
		CHECK_EQ(crc32c(seed, bytes + from + cut, len - cut), crc);
	}
}

/* The values of xxHash's own description. */
static void xxh64_known_values(void)
{
	u8 block[SNAPPROT_BLOCK_SIZE];
	u32 i;

	CHECK(xxh64("", 0, 0) == 0xef46db3751d8e999);
	CHECK(xxh64("abc", 3, 0) == 0x44bc2cf5ad770999);
	memset(block, 0, sizeof(block));
	CHECK_EQ(snapprot_data_sum(block), (u32)xxh64(block, sizeof(block), 0));
	for (i = 0; i < 8 * sizeof(block); i++) {
		u32 before = snapprot_data_sum(block);

		block[i / 8] ^= 1 << i % 8;
		CHECK(snapprot_data_sum(block) != before);
	}
}

static const struct unit_test tests[] = {
	UNIT_TEST(known_values),
	UNIT_TEST(any_length_and_alignment),
	UNIT_TEST(xxh64_known_values),
};

UNIT_MAIN(tests)
