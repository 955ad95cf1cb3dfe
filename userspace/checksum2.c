// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's siphash(), which is SipHash-2-4 with a result of 64 bits, as its
 * authors describe it: both the key and the bytes are read as little-endian
 * numbers. xxh64 is libxxhash's.
 */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "../dm-snapprot/core2/platform.h"

struct sip {
	u64 v0, v1, v2, v3;
};

static inline u64 rotate(u64 x, u32 n)
{
	return x << n | x >> (64 - n);
}

static inline void sip_round(struct sip *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = rotate(s->v1, 13) ^ s->v0;
	s->v3 = rotate(s->v3, 16) ^ s->v2;
	s->v0 = rotate(s->v0, 32);
	s->v2 += s->v1;
	s->v0 += s->v3;
	s->v1 = rotate(s->v1, 17) ^ s->v2;
	s->v3 = rotate(s->v3, 21) ^ s->v0;
	s->v2 = rotate(s->v2, 32);
}

static inline struct sip sip_start(const siphash_key_t *key)
{
	return (struct sip){
		key->key[0] ^ 0x736f6d6570736575ull,
		key->key[1] ^ 0x646f72616e646f6dull,
		key->key[0] ^ 0x6c7967656e657261ull,
		key->key[1] ^ 0x7465646279746573ull,
	};
}

static inline void sip_add(struct sip *s, u64 m)
{
	s->v3 ^= m;
	sip_round(s);
	sip_round(s);
	s->v0 ^= m;
}

static inline u64 sip_end(struct sip *s, u64 last)
{
	u32 i;

	sip_add(s, last);
	s->v2 ^= 0xff;
	for (i = 0; i < 4; i++)
		sip_round(s);
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

/**
 * siphash() - keyed checksum of some bytes
 * @data: bytes, aligned or not
 * @len: how many
 * @key: the key, as numbers
 *
 * Return: the sum.
 */
u64 siphash(const void *data, size_t len, const siphash_key_t *key)
{
	struct sip s = sip_start(key);
	u64 last = (u64)len << 56;
	const u8 *p = data;
	size_t left;
	u64 m;

	for (left = len; left >= sizeof(m); left -= sizeof(m)) {
		memcpy(&m, p, sizeof(m));
		sip_add(&s, le64toh(m));
		p += sizeof(m);
	}
	while (left--)
		last |= (u64)p[left] << 8 * left;
	return sip_end(&s, last);
}

/**
 * siphash_3u64() - keyed checksum of three numbers
 * @a: first
 * @b: second
 * @c: third
 * @key: the key
 *
 * Return: that of the 24 bytes that they are on disk.
 */
u64 siphash_3u64(u64 a, u64 b, u64 c, const siphash_key_t *key)
{
	struct sip s = sip_start(key);

	sip_add(&s, a);
	sip_add(&s, b);
	sip_add(&s, c);
	return sip_end(&s, 24ull << 56);
}

/**
 * xxh64() - checksum of some bytes
 * @data: bytes
 * @len: how many
 * @seed: of the checksum
 *
 * Return: the sum.
 */
u64 xxh64(const void *data, size_t len, u64 seed)
{
	return XXH64(data, len, seed);
}
