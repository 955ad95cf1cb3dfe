// SPDX-License-Identifier: GPL-2.0-only
/*
 * SipHash-2-4 against the vectors of its authors, and the forms of it against
 * each other; xxh64.
 */
#include "unit.h"

/* Key 00 01 ... 0f; sums of nothing, of 00, of 00 01, up to 00 01 ... 3e. */
static const u64 vector[64] = {
	0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a,
	0x85676696d7fb7e2d, 0xcf2794e0277187b7, 0x18765564cd99a68d,
	0xcbc9466e58fee3ce, 0xab0200f58b01d137, 0x93f5f5799a932462,
	0x9e0082df0ba9e4b0, 0x7a5dbbc594ddb9f3, 0xf4b32f46226bada7,
	0x751e8fbc860ee5fb, 0x14ea5627c0843d90, 0xf723ca908e7af2ee,
	0xa129ca6149be45e5, 0x3f2acc7f57c29bdb, 0x699ae9f52cbe4794,
	0x4bc1b3f0968dd39c, 0xbb6dc91da77961bd, 0xbed65cf21aa2ee98,
	0xd0f2cbb02e3b67c7, 0x93536795e3a33e88, 0xa80c038ccd5ccec8,
	0xb8ad50c6f649af94, 0xbce192de8a85b8ea, 0x17d835b85bbb15f3,
	0x2f2e6163076bcfad, 0xde4daaaca71dc9a5, 0xa6a2506687956571,
	0xad87a3535c49ef28, 0x32d892fad841c342, 0x7127512f72f27cce,
	0xa7f32346f95978e3, 0x12e0b01abb051238, 0x15e034d40fa197ae,
	0x314dffbe0815a3b4, 0x027990f029623981, 0xcadcd4e59ef40c4d,
	0x9abfd8766a33735c, 0x0e3ea96b5304a7d0, 0xad0c42d6fc585992,
	0x187306c89bc215a9, 0xd4a60abcf3792b95, 0xf935451de4f21df2,
	0xa9538f0419755787, 0xdb9acddff56ca510, 0xd06c98cd5c0975eb,
	0xe612a3cb9ecba951, 0xc766e62cfcadaf96, 0xee64435a9752fe72,
	0xa192d576b245165a, 0x0a8787bf8ecb74b2, 0x81b3e73d20b49b6f,
	0x7fa8220ba3b2ecea, 0x245731c13ca42499, 0xb78dbfaf3a8d83bd,
	0xea1ad565322a1a0b, 0x60e61c23a3795013, 0x6606d7e446282b93,
	0x6ca4ecb15c5f91e1, 0x9f626da15c9625f3, 0xe51b38608ef25f57,
	0x958a324ceb064572,
};

static const u8 secret[16] = {
	0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
};

static void known_values(void)
{
	siphash_key_t key;
	u8 bytes[64];
	u32 i;

	snapprot_key_init(&key, secret);
	CHECK(key.key[0] == 0x0706050403020100);
	CHECK(key.key[1] == 0x0f0e0d0c0b0a0908);
	for (i = 0; i < 64; i++) {
		bytes[i] = i;
		CHECK(siphash(bytes, i, &key) == vector[i]);
	}
}

static void any_alignment(void)
{
	siphash_key_t key;
	u8 bytes[72];
	u32 i, n;

	snapprot_key_init(&key, secret);
	for (i = 0; i < 8; i++) {
		for (n = 0; n < 64; n++)
			bytes[i + n] = n;
		for (n = 0; n < 64; n++)
			CHECK(siphash(bytes + i, n, &key) == vector[n]);
	}
	/* The length is hashed modulo 256, so that these have to differ. */
	memset(bytes, 0, sizeof(bytes));
	for (n = 1; n < sizeof(bytes); n++)
		CHECK(siphash(bytes, n, &key) != siphash(bytes, n - 1, &key));
}

static void three_numbers(void)
{
	u32 i;

	for (i = 0; i < 1000; i++) {
		u64 a = unit_random(), b = unit_random(), c = unit_random();
		__le64 bytes[3] = {
			cpu_to_le64(a), cpu_to_le64(b), cpu_to_le64(c),
		};
		siphash_key_t key = { { unit_random(), unit_random() } };

		CHECK(siphash_3u64(a, b, c, &key) ==
		      siphash(bytes, sizeof(bytes), &key));
		CHECK(siphash_3u64(b, a, c, &key) !=
		      siphash(bytes, sizeof(bytes), &key));
	}
}

/* No bit of the key or of a block is without effect. */
static void every_bit(void)
{
	u8 block[SNAPPROT_BLOCK_SIZE];
	siphash_key_t key;
	u64 sum;
	u32 i;

	for (i = 0; i < sizeof(block); i++)
		block[i] = unit_random();
	snapprot_key_init(&key, secret);
	sum = siphash(block, sizeof(block), &key);
	for (i = 0; i < 8 * sizeof(block); i++) {
		block[i / 8] ^= 1 << i % 8;
		CHECK(siphash(block, sizeof(block), &key) != sum);
		block[i / 8] ^= 1 << i % 8;
	}
	for (i = 0; i < 128; i++) {
		key.key[i / 64] ^= 1ull << i % 64;
		CHECK(siphash(block, sizeof(block), &key) != sum);
		key.key[i / 64] ^= 1ull << i % 64;
	}
	CHECK(siphash(block, sizeof(block), &key) == sum);
}

/* The values of xxHash's own description. */
static void xxh64_known_values(void)
{
	CHECK(xxh64("", 0, 0) == 0xef46db3751d8e999);
	CHECK(xxh64("abc", 3, 0) == 0x44bc2cf5ad770999);
	CHECK(xxh64("abc", 3, 1) != 0x44bc2cf5ad770999);
}

static void data_sum(void)
{
	struct snapprot_core core = { .data_seed = 0x123456789 };
	u8 block[SNAPPROT_BLOCK_SIZE];
	u32 i;

	memset(block, 0, sizeof(block));
	CHECK(snapprot_data_sum(&core, block) ==
	      (u32)xxh64(block, sizeof(block), core.data_seed));
	for (i = 0; i < 8 * sizeof(block); i++) {
		u32 before = snapprot_data_sum(&core, block);

		block[i / 8] ^= 1 << i % 8;
		CHECK(snapprot_data_sum(&core, block) != before);
	}
}

static const struct unit_test tests[] = {
	UNIT_TEST(known_values),
	UNIT_TEST(any_alignment),
	UNIT_TEST(three_numbers),
	UNIT_TEST(every_bit),
	UNIT_TEST(xxh64_known_values),
	UNIT_TEST(data_sum),
};

UNIT_MAIN(tests)
