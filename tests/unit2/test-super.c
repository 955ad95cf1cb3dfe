// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rules of the superblock and of the label, of choosing between their copies, of
 * what version 1 has left there; and of the texts, names and uuids.
 */
#include "verify-blocks.h"

/* Of the first two copies; there are no others. */
static const struct snapprot_disk_super *
super_choose(const struct snapprot_disk_super *a,
	     const struct snapprot_disk_super *b, int *err)
{
	const struct snapprot_disk_super *copy[SNAPPROT_COPIES] = { a, b };

	return snapprot_super_choose(copy, err);
}

static const struct snapprot_disk_label *
label_choose(const struct snapprot_disk_label *a,
	     const struct snapprot_disk_label *b, int *err)
{
	const struct snapprot_disk_label *copy[SNAPPROT_COPIES] = { a, b };

	return snapprot_label_choose(copy, err);
}

/* ---- superblock --------------------------------------------------------- */

static int super_sealed(struct snapprot_disk_super *s)
{
	snapprot_super_seal(s);
	return snapprot_super_verify(s, 0);
}

#define SUPER(change, expect)						\
	CASE(snapprot_disk_super, make_super, change, expect, super_sealed(&b))

static void super_kind(void)
{
	SUPER((void)0, 0);
	SUPER(SET(version, 32, 3), -EPROTONOSUPPORT);
	SUPER(SET(version, 32, 1), -EPROTONOSUPPORT);
	SUPER(SET(version, 32, 0), -EPROTONOSUPPORT);
	SUPER(SET(incompat, 32, 1), -EPROTONOSUPPORT);
	SUPER(SET(incompat, 32, 1u << 31), -EPROTONOSUPPORT);
	SUPER(SET(compat_ro, 32, 1), 0);
	SUPER(SET(compat, 32, 1), 0);
	SUPER(b.ident[0]++, -EBADMSG);
	SUPER(b.ident[15]++, -EBADMSG);
	SUPER(SET(h.magic, 32, SNAPPROT_MAGIC_LABEL), -EBADMSG);
	SUPER(SET(h.zero, 32, 1), -EBADMSG);
	SUPER(SET(h.block, 64, 512), -EBADMSG);
	SUPER(SET(h.seq, 64, 0), -EBADMSG);
	SUPER(SET(h.seq, 64, SNAPPROT_MAX_SEQ), -EBADMSG);
	SUPER(SET(h.seq, 64, SNAPPROT_MAX_SEQ - 1), 0);
	SUPER(SET(block_size, 32, 8192), -EBADMSG);
	SUPER(SET(flags, 32, SNAPPROT_SUPER_FLAGS), 0);
	SUPER(SET(flags, 32, SNAPPROT_SUPER_FLAGS + 1), -EBADMSG);
	SUPER(SET(flags, 32, 1u << 31), -EBADMSG);
	SUPER(SET(role, 32, 1), 0);
	SUPER(SET(role, 32, 2), -EBADMSG);
	SUPER(SET(role, 32, ~0u), -EBADMSG);
	/* Room for what compat flags bring. */
	SUPER(b.reserved[7] = 1, 0);
}

static void super_numbers(void)
{
	SUPER(SET(generation, 64, SNAPPROT_MAX_SEQ - 1), 0);
	SUPER(SET(generation, 64, SNAPPROT_MAX_SEQ), -EBADMSG);
	SUPER(SET(origin_sectors, 64, 0), -EBADMSG);
	SUPER(SET(origin_sectors, 64, SNAPPROT_MAX_BLOCKS * 8), -EBADMSG);
	SUPER(SET(origin_sectors, 64, SNAPPROT_MAX_BLOCKS * 8 - 1), 0);
	SUPER(SET(ckpt_seq, 64, 0), -EBADMSG);
	SUPER(SET(ckpt_seq, 64, SNAPPROT_MAX_SEQ - 1), 0);
	SUPER(SET(ckpt_seq, 64, SNAPPROT_MAX_SEQ), -EBADMSG);
	SUPER(SET(epoch, 32, 0), -EBADMSG);
	SUPER(SET(epoch, 32, ~0u), 0);
	/* The log moves the epoch on: that is looked at later. */
	SUPER(SET(lost_epoch, 32, 6), 0);
	SUPER(SET(store_blocks, 64, 0), -EBADMSG);
	SUPER(SET(store_blocks, 64, 1023), -EBADMSG);
	SUPER((SET(store_blocks, 64, 1023), memset(b.zone, 0, 32),
	       SET(space_used, 64, 9)), -EBADMSG);
	SUPER((SET(store_blocks, 64, 1024), memset(b.zone, 0, 32),
	       SET(space_used, 64, 9)), 0);
	SUPER(SET(store_blocks, 64, SNAPPROT_MAX_BLOCKS - 1), 0);
	SUPER(SET(store_blocks, 64, SNAPPROT_MAX_BLOCKS), -EBADMSG);
	SUPER(SET(store_blocks, 64, ~0ull), -EBADMSG);
}

static void super_log(void)
{
	SUPER(SET(log_seq, 64, 0), -EBADMSG);
	SUPER(SET(log_seq, 64, SNAPPROT_MAX_SEQ), -EBADMSG);
	SUPER(SET(fence_seq, 64, 0), 0);
	SUPER(SET(fence_seq, 64, SNAPPROT_MAX_SEQ), -EBADMSG);
	SUPER(SET(log_block, 64, 0), -EBADMSG);
	SUPER(SET(log_block, 64, 15), -EBADMSG);
	SUPER(SET(log_block, 64, 16), 0);
	SUPER(SET(log_block, 64, 511), 0);
	SUPER(SET(log_block, 64, 512), -EBADMSG);
	SUPER(SET(log_block, 64, 32767), 0);
	SUPER(SET(log_block, 64, 32768), -EBADMSG);
	SUPER(SET(log_block, 64, 32768 + 512), 0);
	SUPER(SET(log_block, 64, 39999), 0);
	SUPER(SET(log_block, 64, 40000), -EBADMSG);
	SUPER(SET(log_block, 64, ~0ull), -EBADMSG);
	SUPER(SET(zone[0].start, 64, 1001), -EBADMSG);
	SUPER(SET(zone[0].start, 64, 1000), 0);
	SUPER(SET(zone[1].end, 64, 38999), -EBADMSG);
	SUPER(SET(zone[1].end, 64, 40001), -EBADMSG);
	SUPER(SET(zone[0].end, 64, ~0ull), -EBADMSG);
	SUPER((SET(zone[0].start, 64, 0), SET(zone[0].end, 64, 0)), 0);
	/* A last group that is too short is not used. */
	SUPER((SET(store_blocks, 64, 32768 + 64), SET(zone[1].start, 64, 9),
	       SET(zone[1].end, 64, 99), SET(log_block, 64, 32800)), 0);
	SUPER((SET(store_blocks, 64, 32768 + 63), SET(zone[1].start, 64, 9),
	       SET(zone[1].end, 64, 99), SET(log_block, 64, 32800)), -EBADMSG);
}

static void super_checkpoint(void)
{
	u64 capacity = 40000 - 2 * 16 - 2;

	SUPER(SET(dir, 64, 0), -EBADMSG);
	SUPER(SET(dir, 64, 512), -EBADMSG);
	SUPER(SET(dir, 64, 40000), -EBADMSG);
	SUPER(SET(nr_dirs, 32, 0), -EBADMSG);
	SUPER(SET(nr_dirs, 32, SNAPPROT_MAX_DIRS), 0);
	SUPER(SET(nr_dirs, 32, SNAPPROT_MAX_DIRS + 1), -EBADMSG);
	SUPER(SET(nr_snaps, 32, SNAPPROT_MAX_SNAPSHOTS), 0);
	SUPER(SET(nr_snaps, 32, SNAPPROT_MAX_SNAPSHOTS + 1), -EBADMSG);
	/* None at all. */
	SUPER((SET(dir, 64, 0), SET(dir_sum, 64, 0), SET(nr_dirs, 32, 0),
	       SET(nr_snaps, 32, 0)), 0);
	SUPER((SET(dir, 64, 0), SET(dir_sum, 64, 0), SET(nr_dirs, 32, 0)),
	      -EBADMSG);
	SUPER((SET(dir, 64, 0), SET(dir_sum, 64, 0), SET(nr_snaps, 32, 0)),
	      -EBADMSG);
	SUPER((SET(dir, 64, 0), SET(nr_dirs, 32, 0), SET(nr_snaps, 32, 0)),
	      -EBADMSG);
	SUPER(SET(space_level, 32, SNAPPROT_SPACE_LEVELS - 1), 0);
	SUPER(SET(space_level, 32, SNAPPROT_SPACE_LEVELS), -EBADMSG);
	SUPER(SET(space_slot, 32, 1), 0);
	SUPER(SET(space_slot, 32, 2), -EBADMSG);
	SUPER(SET(space_slot, 32, 4), -EBADMSG);
	SUPER(SET(space_slot, 32, 5), -EBADMSG);
	SUPER(SET(space_slot, 32, 0), -EBADMSG);
	SUPER((SET(space_slot, 32, 0), SET(space_sum, 64, 0)), -EBADMSG);
	SUPER((SET(space_slot, 32, 0), SET(space_used, 64, 0)), -EBADMSG);
	SUPER((SET(space_slot, 32, 0), SET(space_used, 64, 0),
	       SET(space_sum, 64, 0)), 0);
	SUPER(SET(space_used, 64, capacity), 0);
	SUPER(SET(space_used, 64, capacity + 1), -EBADMSG);
}

/* Without a new sum no bit may change at all, of the secret neither. */
static void super_every_bit(void)
{
	struct snapprot_disk_super s;
	u8 *p = (u8 *)&s;
	u32 i;

	make_super(&s);
	for (i = 0; i < 4096 * 8; i++) {
		p[i / 8] ^= 1 << i % 8;
		CHECK_EQ(snapprot_super_verify(&s, 0), -EBADMSG);
		p[i / 8] ^= 1 << i % 8;
	}
	CHECK_EQ(snapprot_super_verify(&s, 0), 0);
	CHECK_EQ(snapprot_super_verify(&s, 512), -EBADMSG);
	s.h.block = cpu_to_le64(512);
	CHECK_EQ(snapprot_super_verify(&s, 512), -EBADMSG);
	snapprot_super_seal(&s);
	CHECK_EQ(snapprot_super_verify(&s, 512), 0);
}

/* The second copy, with another seq. */
static void make_copy(struct snapprot_disk_super *s, u64 seq)
{
	make_super(s);
	s->h.block = cpu_to_le64(512);
	s->h.seq = cpu_to_le64(seq);
	snapprot_super_seal(s);
}

static void super_choice(void)
{
	struct snapprot_disk_super a, b;
	int err;

	make_super(&a);
	make_copy(&b, 7);
	CHECK(super_choose(&a, &b, &err) == &a && !err);
	make_copy(&b, 8);
	CHECK(super_choose(&a, &b, &err) == &b && !err);
	make_copy(&b, 6);
	CHECK(super_choose(&a, &b, &err) == &a && !err);
	CHECK(super_choose(&a, NULL, &err) == &a && !err);
	CHECK(super_choose(NULL, &b, &err) == &b && !err);
	CHECK(!super_choose(NULL, NULL, &err) && err == -ENODEV);

	a.epoch = 0;
	CHECK(super_choose(&a, &b, &err) == &b && !err);
	b.epoch = 0;
	CHECK(!super_choose(&a, &b, &err) && err == -EBADMSG);
	memset(&a, 0, sizeof(a));
	CHECK(!super_choose(&a, &b, &err) && err == -EBADMSG);
	CHECK(!super_choose(&a, NULL, &err) && err == -ENODEV);
	memset(&b, 0, sizeof(b));
	CHECK(!super_choose(&a, &b, &err) && err == -ENODEV);
	/* A lost magic, or ident, alone does not make it a blank device. */
	make_super(&a);
	a.h.magic = 0;
	CHECK(!super_choose(&a, &b, &err) && err == -EBADMSG);
	make_super(&a);
	memset(a.ident, 0, sizeof(a.ident));
	CHECK(!super_choose(&a, &b, &err) && err == -EBADMSG);
}

static void super_strangers(void)
{
	struct snapprot_disk_super a, b;
	int err;

	/* Two volumes, and two stores of one. */
	make_super(&a);
	make_copy(&b, 9);
	b.h.uuid[3]++;
	snapprot_super_seal(&b);
	CHECK(!super_choose(&a, &b, &err) && err == -EBADMSG);
	make_copy(&b, 9);
	b.store_id[3]++;
	snapprot_super_seal(&b);
	CHECK(!super_choose(&a, &b, &err) && err == -EBADMSG);
	/* But what is not sound does not count. */
	b.store_id[4]++;
	CHECK(super_choose(&a, &b, &err) == &a && !err);
	/* A newer format in the newer copy decides; in the older one not. */
	make_copy(&b, 9);
	b.version = cpu_to_le32(3);
	snapprot_super_seal(&b);
	CHECK(!super_choose(&a, &b, &err) && err == -EPROTONOSUPPORT);
	CHECK(!super_choose(NULL, &b, &err) &&
	      err == -EPROTONOSUPPORT);
	make_copy(&b, 5);
	b.version = cpu_to_le32(3);
	snapprot_super_seal(&b);
	CHECK(super_choose(&a, &b, &err) == &a && !err);
}

/* ---- label -------------------------------------------------------------- */

static void make_label_copy(struct snapprot_disk_label *l, u32 copy, u64 seq)
{
	u32 i;

	memset(l, 0, sizeof(*l));
	snapprot_block_init(l, SNAPPROT_MAGIC_LABEL, copy, seq, block_uuid);
	memcpy(l->ident, SNAPPROT_SUPER_IDENT, 16);
	l->version = cpu_to_le32(2);
	l->flags = cpu_to_le32(SNAPPROT_LABEL_WITNESS);
	memcpy(l->secret, block_secret, 16);
	l->origin_sectors = cpu_to_le64(80001);
	l->area_start = cpu_to_le64(80008);
	l->nr_witness = cpu_to_le32(20);
	for (i = 0; i < 20; i++)
		l->witness[i].block = cpu_to_le64(i);
	snapprot_label_seal(l);
}

static void make_label(struct snapprot_disk_label *l)
{
	make_label_copy(l, 0, 4);
}

static int label_sealed(struct snapprot_disk_label *l)
{
	snapprot_label_seal(l);
	return snapprot_label_verify(l, 0);
}

#define LABEL(change, expect)						\
	CASE(snapprot_disk_label, make_label, change, expect, label_sealed(&b))

static void label_rules(void)
{
	LABEL((void)0, 0);
	LABEL(SET(version, 32, 3), -EPROTONOSUPPORT);
	LABEL(SET(version, 32, 1), -EPROTONOSUPPORT);
	LABEL(SET(incompat, 32, 4), -EPROTONOSUPPORT);
	LABEL(SET(compat_ro, 32, 4), -EPROTONOSUPPORT);
	LABEL(SET(compat, 32, 4), 0);
	LABEL(b.ident[15]++, -EBADMSG);
	LABEL(SET(h.magic, 32, SNAPPROT_MAGIC_SUPER), -EBADMSG);
	LABEL(SET(h.zero, 32, 1u << 31), -EBADMSG);
	LABEL(SET(h.block, 64, 1), -EBADMSG);
	LABEL(SET(h.seq, 64, 0), -EBADMSG);
	LABEL(SET(h.seq, 64, SNAPPROT_MAX_SEQ), -EBADMSG);
	LABEL(SET(flags, 32, SNAPPROT_LABEL_FLAGS), 0);
	LABEL(SET(flags, 32, SNAPPROT_LABEL_FLAGS + 1), -EBADMSG);
	LABEL(SET(origin_sectors, 64, 0), -EBADMSG);
	LABEL(SET(origin_sectors, 64, SNAPPROT_MAX_BLOCKS * 8), -EBADMSG);
	LABEL(SET(area_start, 64, 0), 0);
	LABEL(SET(area_start, 64, 80009), -EBADMSG);
	LABEL(SET(area_start, 64, SNAPPROT_MAX_BLOCKS * 8), -EBADMSG);
	LABEL(SET(generation, 64, SNAPPROT_MAX_SEQ), -EBADMSG);
	LABEL(SET(ckpt_seq, 64, SNAPPROT_MAX_SEQ), -EBADMSG);
	LABEL(SET(log_seq, 64, SNAPPROT_MAX_SEQ), -EBADMSG);
	LABEL(SET(log_seq, 64, SNAPPROT_MAX_SEQ - 1), 0);
	LABEL(SET(nr_valid, 32, SNAPPROT_MAX_SNAPSHOTS + 1), -EBADMSG);
	LABEL(SET(nr_lost, 32, SNAPPROT_MAX_SNAPSHOTS + 1), -EBADMSG);
	LABEL(SET(nr_lost, 32, SNAPPROT_MAX_SNAPSHOTS), 0);
	LABEL(SET(nr_valid, 32, SNAPPROT_MAX_SNAPSHOTS), 0);
	LABEL(SET(nr_witness, 32, SNAPPROT_WITNESS_MAX), 0);
	LABEL(SET(nr_witness, 32, SNAPPROT_WITNESS_MAX + 1), -EBADMSG);
	LABEL(SET(nr_witness, 32, 0), 0);
	/* A last block of one sector is one. */
	LABEL(SET(witness[19].block, 64, 10000), 0);
	LABEL(SET(witness[19].block, 64, 10001), -EBADMSG);
	LABEL((SET(origin_sectors, 64, 80000),
	       SET(witness[19].block, 64, 10000)), -EBADMSG);
	LABEL(SET(witness[20].block, 64, ~0ull), 0);
}

static void label_every_bit(void)
{
	struct snapprot_disk_label l;
	u8 *p = (u8 *)&l;
	u32 i;

	make_label(&l);
	for (i = 0; i < 4096 * 8; i++) {
		p[i / 8] ^= 1 << i % 8;
		CHECK_EQ(snapprot_label_verify(&l, 0), -EBADMSG);
		p[i / 8] ^= 1 << i % 8;
	}
	CHECK_EQ(snapprot_label_verify(&l, 0), 0);
	CHECK_EQ(snapprot_label_verify(&l, 1), -EBADMSG);
	l.h.block = cpu_to_le64(1);
	CHECK_EQ(snapprot_label_verify(&l, 1), -EBADMSG);
}

static void label_choice(void)
{
	struct snapprot_disk_label a, b;
	int err;

	make_label_copy(&a, 0, 4);
	make_label_copy(&b, 1, 5);
	CHECK(label_choose(&a, &b, &err) == &b && !err);
	CHECK(label_choose(&a, NULL, &err) == &a && !err);
	CHECK(label_choose(NULL, &b, &err) == &b && !err);
	/* Another store has come, and only one copy knows it yet. */
	b.store_id[0]++;
	snapprot_label_seal(&b);
	CHECK(label_choose(&a, &b, &err) == &b && !err);
	b.flags = cpu_to_le32(1);
	CHECK(label_choose(&a, &b, &err) == &a && !err);
	a.flags = cpu_to_le32(1);
	CHECK(!label_choose(&a, &b, &err) && err == -EBADMSG);
	make_label_copy(&a, 0, 4);
	make_label_copy(&b, 1, 4);
	CHECK(label_choose(&a, &b, &err) == &a && !err);
	b.h.uuid[0]++;
	snapprot_label_seal(&b);
	CHECK(!label_choose(&a, &b, &err) && err == -EBADMSG);
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	CHECK(!label_choose(&a, &b, &err) && err == -ENODEV);
	CHECK(!label_choose(NULL, NULL, &err) && err == -ENODEV);
	make_label(&a);
	a.h.magic = 0;
	CHECK(!label_choose(&a, &b, &err) && err == -EBADMSG);
	make_label(&a);
	a.ident[2] = 0;
	CHECK(!label_choose(&a, &b, &err) && err == -EBADMSG);
}

static void label_place(void)
{
	CHECK_EQ(snapprot_label_start(0), 0);
	CHECK_EQ(snapprot_label_start(2047), 0);
	CHECK_EQ(snapprot_label_start(2048), 0);
	CHECK_EQ(snapprot_label_start(2055), 0);
	CHECK_EQ(snapprot_label_start(2056), 8);
	CHECK_EQ(snapprot_label_start(2063), 8);
	CHECK_EQ(snapprot_label_start(1ull << 40), (1ull << 40) - 2048);
	CHECK_EQ(snapprot_label_place(0), 0);
	CHECK_EQ(snapprot_label_place(1), SNAPPROT_LABEL_AREA / 4096 - 1);
}

static void witness(void)
{
	struct snapprot_disk_label l, other;
	u8 block[SNAPPROT_BLOCK_SIZE];
	u64 sum;
	u32 i;

	make_label(&l);
	make_label(&other);
	other.secret[15]++;
	for (i = 0; i < sizeof(block); i++)
		block[i] = unit_random();
	sum = snapprot_witness_sum(&l, block, 5);
	CHECK(sum == snapprot_witness_sum(&l, block, 5));
	CHECK(sum != snapprot_witness_sum(&l, block, 6));
	CHECK(sum != snapprot_witness_sum(&other, block, 5));
	for (i = 0; i < 8 * sizeof(block); i++) {
		block[i / 8] ^= 1 << i % 8;
		CHECK(sum != snapprot_witness_sum(&l, block, 5));
		block[i / 8] ^= 1 << i % 8;
	}
	/* A label that was copied to the origin. */
	sum = snapprot_witness_sum(&l, &l, 0);
	CHECK(sum != le64_to_cpu(l.h.sum));
}

/* ---- version 1 ---------------------------------------------------------- */

static void make_version_1(void *block, u32 magic)
{
	__le32 m = cpu_to_le32(magic), version = cpu_to_le32(1);
	u8 *p = block;
	u32 i;

	for (i = 0; i < 4096; i++)
		p[i] = unit_random();
	memcpy(p, &m, 4);
	memcpy(p + 40, "dm-snapprot\0\0\0\0", 16);
	memcpy(p + 56, &version, 4);
}

static void version_1_is_known(void)
{
	struct snapprot_disk_super s;
	struct snapprot_disk_label l;
	u8 *p = (u8 *)&s;

	make_super(&s);
	make_label(&l);
	CHECK(!snapprot_is_version_1(&s) && !snapprot_is_version_1(&l));
	make_version_1(&s, SNAPPROT_MAGIC_LOG);
	CHECK(!snapprot_is_version_1(&s));
	make_version_1(&s, SNAPPROT_MAGIC_SUPER);
	CHECK(snapprot_is_version_1(&s));
	CHECK_EQ(snapprot_super_verify(&s, 0), -EPROTONOSUPPORT);
	p[55] = 1;
	CHECK(!snapprot_is_version_1(&s));
	CHECK_EQ(snapprot_super_verify(&s, 0), -EBADMSG);
	p[55] = 0;
	p[56] = 2;
	CHECK(!snapprot_is_version_1(&s));
	make_version_1(&l, SNAPPROT_MAGIC_LABEL);
	CHECK(snapprot_is_version_1(&l));
	CHECK_EQ(snapprot_label_verify(&l, 0), -EPROTONOSUPPORT);
	memset(&s, 0, sizeof(s));
	CHECK(!snapprot_is_version_1(&s));
}

static void version_1_choice(void)
{
	struct snapprot_disk_super a, b;
	struct snapprot_disk_label l;
	int err;

	make_version_1(&a, SNAPPROT_MAGIC_SUPER);
	make_version_1(&b, SNAPPROT_MAGIC_SUPER);
	CHECK(!super_choose(&a, &b, &err) && err == -EPROTONOSUPPORT);
	CHECK(!super_choose(&a, NULL, &err) &&
	      err == -EPROTONOSUPPORT);
	CHECK(!super_choose(NULL, &b, &err) &&
	      err == -EPROTONOSUPPORT);
	/* Formatted anew with an old tool. */
	make_copy(&b, 9);
	CHECK(!super_choose(&a, &b, &err) && err == -EPROTONOSUPPORT);
	b.epoch = 0;
	CHECK(!super_choose(&a, &b, &err) && err == -EPROTONOSUPPORT);
	/* Something that lay where the second copy is, which was lost. */
	make_super(&a);
	make_version_1(&b, SNAPPROT_MAGIC_SUPER);
	CHECK(super_choose(&a, &b, &err) == &a && !err);
	a.epoch = 0;
	CHECK(!super_choose(&a, &b, &err) && err == -EPROTONOSUPPORT);

	make_version_1(&l, SNAPPROT_MAGIC_LABEL);
	CHECK(!label_choose(&l, NULL, &err) &&
	      err == -EPROTONOSUPPORT);
	CHECK(!label_choose(NULL, &l, &err) &&
	      err == -EPROTONOSUPPORT);
}

/* ---- texts -------------------------------------------------------------- */

static void uuid_text(void)
{
	static const char *const bad[] = {
		"", "0", "01234567-89ab-cdef-0123-456789abcde",
		"01234567-89ab-cdef-0123-456789abcdef0",
		"01234567-89ab-cdef-0123-456789abcdef ",
		" 01234567-89ab-cdef-0123-456789abcdef",
		"01234567089ab-cdef-0123-456789abcdef",
		"0123456789abcdef0123456789abcdef",
		"01234567-89ab-cdef-0123-456789abcdeg",
		"01234567-89ab-cdef-012-3456789abcdef",
		"{1234567-89ab-cdef-0123-456789abcdef",
	};
	u8 bytes[16], back[16];
	char text[37];
	u32 i, j;

	CHECK_EQ(snapprot_uuid_parse("01234567-89AB-cdef-0123-456789abCDEF",
				     bytes), 0);
	CHECK(bytes[0] == 0x01 && bytes[5] == 0xab && bytes[15] == 0xef);
	snapprot_uuid_format(bytes, text);
	CHECK(!strcmp(text, "01234567-89ab-cdef-0123-456789abcdef"));
	for (i = 0; i < 100; i++) {
		for (j = 0; j < 16; j++)
			bytes[j] = unit_random();
		snapprot_uuid_format(bytes, text);
		CHECK_EQ(snapprot_uuid_parse(text, back), 0);
		CHECK(!memcmp(bytes, back, 16));
	}
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		CHECK_EQ(snapprot_uuid_parse(bad[i], bytes), -EINVAL);
		CHECK(!memcmp(bytes, back, 16));
	}
}

/* A copy of just its length, so that nothing behind it is read unseen. */
static bool name_ok(const char *name, size_t size)
{
	char *copy = malloc(size);
	bool ok;

	memcpy(copy, name, size);
	ok = snapprot_name_ok(copy);
	free(copy);
	return ok;
}

static void names(void)
{
	static const char *const good[] = {
		"", "a", "~", "!", "before-upgrade", "2024-05-01T12:00", "%s",
		"\xc2\xa1", "Gr\xc3\xbc\xc3\x9f", "\xdf\xbf",
		"\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
		"\xe5\xbf\xab\xe7\x85\xa7", "\xf0\x90\x80\x80",
		"\xf0\x9f\x93\xb7", "\xf4\x8f\xbf\xbf",
		"\xe2\x80\x8c", "\xe2\x80\x90", "\xe2\x80\xb0",
	};
	static const char *const bad[] = {
		/* controls, blanks, slash */
		"\x01", "a\n", "\t", "\x1b[2J", "\x1f", " ", "a b", "a ", "/",
		"a/b", "\x7f", "\xc2\x80", "\xc2\x85", "\xc2\x9f", "\xc2\xa0",
		"\xe1\x9a\x80", "\xe2\x80\x80", "\xe2\x80\x8a",
		"\xe2\x80\x8b", "\xe2\x80\xa8", "\xe2\x80\xa9",
		"\xe2\x80\xae", "\xe2\x80\xaf", "\xe2\x81\x9f",
		"\xe2\x81\xa0", "\xe3\x80\x80", "\xef\xbb\xbf",
		/* nothing before, or not enough behind */
		"\x80", "\xbf", "\x80\x90\x80\x80", "a\x80",
		"\xc3", "a\xc3", "\303a",
		"\xe2\x82", "\342ab", "\xf0\x9f\x93", "\xf0\x9f\223a",
		"\xe2\x82\xc3\xa4",
		/* overlong */
		"\xc0\x80", "\xc0\xaf", "\xc1\xbf", "\xe0\x80\x80",
		"\xe0\x9f\xbf", "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf",
		/* surrogates, too high, too long */
		"\xed\xa0\x80", "\xed\xbf\xbf", "\xf4\x90\x80\x80",
		"\xf5\x80\x80\x80", "\xf7\xbf\xbf\xbf", "\xf8\x88\x80\x80\x80",
		"\xf8\xbf\xbf\xbf", "\xfc\x84\x80\x80\x80\x80", "\xfe",
		"\xff",
	};
	u32 i;

	for (i = 0; i < ARRAY_SIZE(good); i++) {
		printf("# good name %u\n", i);
		CHECK(name_ok(good[i], strlen(good[i]) + 1));
	}
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		printf("# bad name %u\n", i);
		CHECK(!name_ok(bad[i], strlen(bad[i]) + 1));
	}
}

static void name_lengths(void)
{
	char name[SNAPPROT_NAME_SIZE];
	u32 i;

	memset(name, 'x', sizeof(name));
	CHECK(!name_ok(name, sizeof(name)));
	name[63] = 0;
	CHECK(name_ok(name, sizeof(name)));
	/* Cut off in the middle of a character. */
	name[62] = '\xc3';
	CHECK(!name_ok(name, sizeof(name)));
	name[61] = '\xc3';
	name[62] = '\xa4';
	CHECK(name_ok(name, sizeof(name)));
	name[63] = 'x';
	CHECK(!name_ok(name, sizeof(name)));
	for (i = 0; i < 100000; i++) {
		u32 len = unit_below(8), j;

		for (j = 0; j < len; j++)
			name[j] = 0x80 + unit_below(0x80);
		name[len] = 0;
		name_ok(name, len + 1);
	}
}

static const struct unit_test tests[] = {
	UNIT_TEST(super_kind),
	UNIT_TEST(super_numbers),
	UNIT_TEST(super_log),
	UNIT_TEST(super_checkpoint),
	UNIT_TEST(super_every_bit),
	UNIT_TEST(super_choice),
	UNIT_TEST(super_strangers),
	UNIT_TEST(label_rules),
	UNIT_TEST(label_every_bit),
	UNIT_TEST(label_choice),
	UNIT_TEST(label_place),
	UNIT_TEST(witness),
	UNIT_TEST(version_1_is_known),
	UNIT_TEST(version_1_choice),
	UNIT_TEST(uuid_text),
	UNIT_TEST(names),
	UNIT_TEST(name_lengths),
};

UNIT_MAIN(tests)
