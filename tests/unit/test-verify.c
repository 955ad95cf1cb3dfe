// SPDX-License-Identifier: GPL-2.0-only
/* Rules of single blocks: every field damaged, with and without a new crc. */
#include "unit.h"

static const u8 uuid[16] = "0123456789abcde";

static void make_super(struct snapprot_disk_super *s)
{
	memset(s, 0, sizeof(*s));
	snapprot_block_init(s, SNAPPROT_MAGIC_SUPER, 0, 7, uuid);
	memcpy(s->ident, SNAPPROT_SUPER_IDENT, 16);
	s->version = cpu_to_le32(1);
	s->block_size = cpu_to_le32(4096);
	s->origin_sectors = cpu_to_le64(80000);
	s->store_blocks = cpu_to_le64(20000);
	s->ckpt_seq = cpu_to_le64(3);
	s->epoch = cpu_to_le32(5);
	s->log_block = cpu_to_le64(70);
	s->log_seq = cpu_to_le64(9);
	s->root = cpu_to_le64(71);
	s->incompat = cpu_to_le32(SNAPPROT_INCOMPAT_XXH64);
	s->root_level = cpu_to_le32(1);
	s->nr_nodes = cpu_to_le64(3);
	s->nr_entries = cpu_to_le64(200);
	s->nr_snaps = cpu_to_le32(2);
	s->dir = cpu_to_le64(72);
	s->nr_groups = cpu_to_le64(2);
	s->nr_free = cpu_to_le64(1000);
	snapprot_block_seal(s);
}

/* Set one field of a good superblock, and see what is said of it. */
#define SUPER_CASE(field, value, bits, result)				\
	do {								\
		make_super(&s);						\
		s.field = cpu_to_le##bits(value);			\
		snapprot_block_seal(&s);				\
		CHECK_EQ(snapprot_super_verify(&s, 0), result);		\
	} while (0)

static void super_rules(void)
{
	struct snapprot_disk_super s;

	SUPER_CASE(version, 1, 32, 0);
	SUPER_CASE(version, 2, 32, -EPROTONOSUPPORT);
	SUPER_CASE(version, 0, 32, -EPROTONOSUPPORT);
	SUPER_CASE(incompat, 3, 32, -EPROTONOSUPPORT);
	SUPER_CASE(incompat, 0, 32, -EPROTONOSUPPORT);
	SUPER_CASE(compat_ro, 1, 32, 0);
	SUPER_CASE(compat, 1, 32, 0);
	SUPER_CASE(h.magic, SNAPPROT_MAGIC_LABEL, 32, -EBADMSG);
	SUPER_CASE(h.block, 64, 64, -EBADMSG);
	SUPER_CASE(h.seq, 0, 64, -EBADMSG);
	SUPER_CASE(block_size, 8192, 32, -EBADMSG);
	SUPER_CASE(flags, 8, 32, -EBADMSG);
	SUPER_CASE(origin_sectors, 0, 64, -EBADMSG);
	SUPER_CASE(origin_sectors, SNAPPROT_MAX_BLOCKS * 8, 64, -EBADMSG);
	SUPER_CASE(origin_sectors, SNAPPROT_MAX_BLOCKS * 8 - 1, 64, 0);
	SUPER_CASE(store_blocks, 1023, 64, -EBADMSG);
	SUPER_CASE(store_blocks, SNAPPROT_MAX_BLOCKS, 64, -EBADMSG);
	SUPER_CASE(store_blocks, ~0ull, 64, -EBADMSG);
	SUPER_CASE(h.seq, SNAPPROT_MAX_SEQ, 64, -EBADMSG);
	SUPER_CASE(generation, SNAPPROT_MAX_SEQ - 1, 64, 0);
	SUPER_CASE(generation, SNAPPROT_MAX_SEQ, 64, -EBADMSG);
	SUPER_CASE(ckpt_seq, 0, 64, -EBADMSG);
	SUPER_CASE(ckpt_seq, SNAPPROT_MAX_SEQ - 1, 64, 0);
	SUPER_CASE(ckpt_seq, SNAPPROT_MAX_SEQ, 64, -EBADMSG);
	SUPER_CASE(epoch, 0, 32, -EBADMSG);
	SUPER_CASE(log_seq, 0, 64, -EBADMSG);
	SUPER_CASE(log_seq, SNAPPROT_MAX_SEQ, 64, -EBADMSG);
	SUPER_CASE(log_block, 0, 64, -EBADMSG);
	SUPER_CASE(log_block, 1, 64, -EBADMSG);
	SUPER_CASE(log_block, 64, 64, -EBADMSG);
	SUPER_CASE(log_block, 16385, 64, -EBADMSG);
	SUPER_CASE(log_block, 19999, 64, 0);
	SUPER_CASE(log_block, 20000, 64, -EBADMSG);
	SUPER_CASE(root, 20000, 64, -EBADMSG);
	SUPER_CASE(root, 0, 64, -EBADMSG);
	SUPER_CASE(root_level, 12, 32, -EBADMSG);
	SUPER_CASE(nr_nodes, 0, 64, -EBADMSG);
	SUPER_CASE(nr_nodes, 20000, 64, -EBADMSG);
	SUPER_CASE(nr_entries, 0, 64, -EBADMSG);
	SUPER_CASE(nr_entries, 20000, 64, -EBADMSG);
	SUPER_CASE(nr_snaps, SNAPPROT_MAX_SNAPSHOTS + 1, 32, -EBADMSG);
	SUPER_CASE(dir, 0, 64, -EBADMSG);
	SUPER_CASE(dir, 64, 64, -EBADMSG);
	SUPER_CASE(nr_groups, 0, 64, -EBADMSG);
	SUPER_CASE(nr_groups, 3, 64, -EBADMSG);
	SUPER_CASE(nr_free, 20000 - 4, 64, 0);
	SUPER_CASE(nr_free, 20000 - 3, 64, -EBADMSG);
	SUPER_CASE(sweep_block, SNAPPROT_MAX_BLOCKS, 64, -EBADMSG);

	make_super(&s);
	s.ident[15] = 1;
	snapprot_block_seal(&s);
	CHECK_EQ(snapprot_super_verify(&s, 0), -EBADMSG);
}

/* Without a new crc no bit may change at all. */
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
	CHECK_EQ(snapprot_super_verify(&s, 64), -EBADMSG);
}

/* Make the second copy of a superblock, with another seq. */
static void make_copy(struct snapprot_disk_super *s, u64 seq)
{
	make_super(s);
	s->h.block = cpu_to_le64(64);
	s->h.seq = cpu_to_le64(seq);
	snapprot_block_seal(s);
}

static void super_choice(void)
{
	struct snapprot_disk_super a, b;
	int err;

	make_super(&a);
	make_copy(&b, 7);
	CHECK(snapprot_super_choose(&a, &b, &err) == &a && !err);
	make_copy(&b, 8);
	CHECK(snapprot_super_choose(&a, &b, &err) == &b && !err);
	make_copy(&b, 6);
	CHECK(snapprot_super_choose(&a, &b, &err) == &a && !err);
	CHECK(snapprot_super_choose(&a, NULL, &err) == &a && !err);
	CHECK(snapprot_super_choose(NULL, &b, &err) == &b && !err);
	CHECK(!snapprot_super_choose(NULL, NULL, &err) && err == -ENODEV);

	a.epoch = 0;
	CHECK(snapprot_super_choose(&a, &b, &err) == &b && !err);
	b.epoch = 0;
	CHECK(!snapprot_super_choose(&a, &b, &err) && err == -EBADMSG);
	memset(&a, 0, sizeof(a));
	CHECK(!snapprot_super_choose(&a, &b, &err) && err == -EBADMSG);
	CHECK(!snapprot_super_choose(&a, NULL, &err) && err == -ENODEV);
	memset(&b, 0, sizeof(b));
	CHECK(!snapprot_super_choose(&a, &b, &err) && err == -ENODEV);
	/* A lost magic alone does not make it a blank device. */
	make_super(&a);
	a.h.magic = 0;
	CHECK(!snapprot_super_choose(&a, &b, &err) && err == -EBADMSG);

	/* Two volumes. */
	make_super(&a);
	make_copy(&b, 9);
	b.h.uuid[3]++;
	snapprot_block_seal(&b);
	CHECK(!snapprot_super_choose(&a, &b, &err) && err == -EBADMSG);
	/* A newer format in the newer copy decides; in the older one not. */
	make_copy(&b, 9);
	b.version = cpu_to_le32(2);
	snapprot_block_seal(&b);
	CHECK(!snapprot_super_choose(&a, &b, &err) && err == -EPROTONOSUPPORT);
	make_copy(&b, 5);
	b.version = cpu_to_le32(2);
	snapprot_block_seal(&b);
	CHECK(snapprot_super_choose(&a, &b, &err) == &a && !err);
}

static void make_label(struct snapprot_disk_label *l, u32 copy, u64 seq)
{
	memset(l, 0, sizeof(*l));
	snapprot_block_init(l, SNAPPROT_MAGIC_LABEL, copy, seq, uuid);
	memcpy(l->ident, SNAPPROT_SUPER_IDENT, 16);
	l->version = cpu_to_le32(1);
	l->origin_sectors = cpu_to_le64(80000);
	snapprot_block_seal(l);
}

#define LABEL_CASE(field, value, bits, result)				\
	do {								\
		make_label(&l, 0, 4);					\
		l.field = cpu_to_le##bits(value);			\
		snapprot_block_seal(&l);				\
		CHECK_EQ(snapprot_label_verify(&l, 0), result);		\
	} while (0)

static void label_rules(void)
{
	struct snapprot_disk_label l;
	u8 *p = (u8 *)&l;
	u32 i;

	LABEL_CASE(version, 1, 32, 0);
	LABEL_CASE(version, 2, 32, -EPROTONOSUPPORT);
	LABEL_CASE(incompat, 4, 32, -EPROTONOSUPPORT);
	LABEL_CASE(compat_ro, 4, 32, -EPROTONOSUPPORT);
	LABEL_CASE(compat, 4, 32, 0);
	LABEL_CASE(flags, 7, 32, 0);
	LABEL_CASE(flags, 8, 32, -EBADMSG);
	LABEL_CASE(origin_sectors, 0, 64, -EBADMSG);
	LABEL_CASE(h.seq, 0, 64, -EBADMSG);
	LABEL_CASE(h.seq, SNAPPROT_MAX_SEQ, 64, -EBADMSG);
	LABEL_CASE(generation, SNAPPROT_MAX_SEQ, 64, -EBADMSG);
	LABEL_CASE(h.block, 1, 64, -EBADMSG);
	LABEL_CASE(h.magic, SNAPPROT_MAGIC_SUPER, 32, -EBADMSG);
	LABEL_CASE(nr_valid, SNAPPROT_MAX_SNAPSHOTS + 1, 32, -EBADMSG);
	LABEL_CASE(nr_lost, SNAPPROT_MAX_SNAPSHOTS + 1, 32, -EBADMSG);

	make_label(&l, 0, 4);
	for (i = 0; i < 4096 * 8; i++) {
		p[i / 8] ^= 1 << i % 8;
		CHECK_EQ(snapprot_label_verify(&l, 0), -EBADMSG);
		p[i / 8] ^= 1 << i % 8;
	}
	CHECK_EQ(snapprot_label_verify(&l, 0), 0);
}

static void label_choice(void)
{
	struct snapprot_disk_label a, b;
	int err;

	make_label(&a, 0, 4);
	make_label(&b, 1, 5);
	CHECK(snapprot_label_choose(&a, &b, &err) == &b && !err);
	b.flags = cpu_to_le32(1);
	CHECK(snapprot_label_choose(&a, &b, &err) == &a && !err);
	a.flags = cpu_to_le32(1);
	CHECK(!snapprot_label_choose(&a, &b, &err) && err == -EBADMSG);
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	CHECK(!snapprot_label_choose(&a, &b, &err) && err == -ENODEV);
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
}

static void make_node(struct snapprot_disk_node *n)
{
	u32 i;

	memset(n, 0, sizeof(*n));
	snapprot_block_init(n, SNAPPROT_MAGIC_NODE, 99, 3, uuid);
	n->count = cpu_to_le16(SNAPPROT_NODE_ENTRIES);
	for (i = 0; i < SNAPPROT_NODE_ENTRIES; i++) {
		n->entry[i].block = cpu_to_le64(i / 2);
		n->entry[i].epoch = cpu_to_le32(i);
		n->entry[i].place = cpu_to_le64(100 + i);
	}
	snapprot_block_seal(n);
}

#define NODE_CASE(field, value, bits, result)				\
	do {								\
		make_node(&n);						\
		n.field = cpu_to_le##bits(value);			\
		snapprot_block_seal(&n);				\
		CHECK_EQ(snapprot_block_verify(&n, SNAPPROT_MAGIC_NODE, 99), \
			 result);					\
	} while (0)

static void node_rules(void)
{
	struct snapprot_disk_node n;

	NODE_CASE(count, 168, 16, 0);
	NODE_CASE(count, 0, 16, -EBADMSG);
	NODE_CASE(count, 169, 16, -EBADMSG);
	NODE_CASE(level, 11, 16, 0);
	NODE_CASE(level, 12, 16, -EBADMSG);
	NODE_CASE(entry[9].sum, 1, 32, 0);
	NODE_CASE(entry[9].place, 0, 64, -EBADMSG);
	NODE_CASE(entry[9].epoch, 8, 32, -EBADMSG);
	NODE_CASE(entry[167].block, 82, 64, -EBADMSG);
	/* An inner node has no checksums of data. */
	make_node(&n);
	n.level = cpu_to_le16(1);
	n.entry[9].sum = cpu_to_le32(1);
	snapprot_block_seal(&n);
	CHECK_EQ(snapprot_block_verify(&n, SNAPPROT_MAGIC_NODE, 99), -EBADMSG);

	make_node(&n);
	CHECK_EQ(snapprot_block_verify(&n, SNAPPROT_MAGIC_NODE, 99), 0);
	CHECK_EQ(snapprot_block_verify(&n, SNAPPROT_MAGIC_NODE, 98), -EBADMSG);
	CHECK_EQ(snapprot_block_verify(&n, SNAPPROT_MAGIC_DIR, 99), -EBADMSG);
	CHECK_EQ(snapprot_block_verify(&n, 12345, 99), -EBADMSG);
}

static int verdict(void *block, u32 magic, u64 place)
{
	snapprot_block_seal(block);
	return snapprot_block_verify(block, magic, place);
}

static void other_rules(void)
{
	struct snapprot_disk_bitmap b = { 0 };
	struct snapprot_disk_snaps t = { 0 };
	struct snapprot_disk_log l = { 0 };
	struct snapprot_disk_dir d = { 0 };

	snapprot_block_init(&b, SNAPPROT_MAGIC_BITMAP, 16385, 3, uuid);
	b.group = cpu_to_le64(1);
	CHECK_EQ(verdict(&b, SNAPPROT_MAGIC_BITMAP, 16385), -EBADMSG);
	b.bits[0] = 2;
	CHECK_EQ(verdict(&b, SNAPPROT_MAGIC_BITMAP, 16385), 0);
	b.group = 0;
	CHECK_EQ(verdict(&b, SNAPPROT_MAGIC_BITMAP, 16385), -EBADMSG);
	b.h.block = cpu_to_le64(1);
	CHECK_EQ(verdict(&b, SNAPPROT_MAGIC_BITMAP, 1), -EBADMSG);
	b.bits[0] = 3;
	b.bits[8] = 1;
	CHECK_EQ(verdict(&b, SNAPPROT_MAGIC_BITMAP, 1), 0);

	snapprot_block_init(&t, SNAPPROT_MAGIC_SNAPS, 5, 3, uuid);
	t.count = cpu_to_le32(2);
	t.snap[0].id = cpu_to_le32(1);
	t.snap[0].epoch = cpu_to_le32(1);
	t.snap[1].id = cpu_to_le32(2);
	t.snap[1].epoch = cpu_to_le32(2);
	CHECK_EQ(verdict(&t, SNAPPROT_MAGIC_SNAPS, 5), 0);
	t.snap[1].epoch = cpu_to_le32(1);
	CHECK_EQ(verdict(&t, SNAPPROT_MAGIC_SNAPS, 5), -EBADMSG);
	t.snap[1].epoch = cpu_to_le32(2);
	t.snap[1].flags = cpu_to_le32(1);
	CHECK_EQ(verdict(&t, SNAPPROT_MAGIC_SNAPS, 5), -EBADMSG);
	t.count = cpu_to_le32(126);
	CHECK_EQ(verdict(&t, SNAPPROT_MAGIC_SNAPS, 5), -EBADMSG);

	snapprot_block_init(&l, SNAPPROT_MAGIC_LOG, 5, 3, uuid);
	CHECK_EQ(verdict(&l, SNAPPROT_MAGIC_LOG, 5), -EBADMSG);
	l.type = cpu_to_le16(SNAPPROT_LOG_BATCH);
	CHECK_EQ(verdict(&l, SNAPPROT_MAGIC_LOG, 5), -EBADMSG);
	l.count = cpu_to_le16(167);
	CHECK_EQ(verdict(&l, SNAPPROT_MAGIC_LOG, 5), 0);
	l.count = cpu_to_le16(168);
	CHECK_EQ(verdict(&l, SNAPPROT_MAGIC_LOG, 5), -EBADMSG);
	l.type = cpu_to_le16(SNAPPROT_LOG_CREATE);
	l.count = cpu_to_le16(1);
	CHECK_EQ(verdict(&l, SNAPPROT_MAGIC_LOG, 5), -EBADMSG);
	l.snap.id = cpu_to_le32(1);
	l.snap.epoch = cpu_to_le32(1);
	CHECK_EQ(verdict(&l, SNAPPROT_MAGIC_LOG, 5), 0);
	l.type = cpu_to_le16(4);
	CHECK_EQ(verdict(&l, SNAPPROT_MAGIC_LOG, 5), -EBADMSG);

	snapprot_block_init(&d, SNAPPROT_MAGIC_DIR, 5, 3, uuid);
	CHECK_EQ(verdict(&d, SNAPPROT_MAGIC_DIR, 5), -EBADMSG);
	d.count = cpu_to_le32(1);
	CHECK_EQ(verdict(&d, SNAPPROT_MAGIC_DIR, 5), -EBADMSG);
	d.entry[0].type = cpu_to_le32(SNAPPROT_DIR_SNAPS);
	CHECK_EQ(verdict(&d, SNAPPROT_MAGIC_DIR, 5), 0);
	d.count = cpu_to_le32(169);
	CHECK_EQ(verdict(&d, SNAPPROT_MAGIC_DIR, 5), -EBADMSG);
}

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

static const struct unit_test tests[] = {
	UNIT_TEST(super_rules),
	UNIT_TEST(super_every_bit),
	UNIT_TEST(super_choice),
	UNIT_TEST(label_rules),
	UNIT_TEST(label_choice),
	UNIT_TEST(label_place),
	UNIT_TEST(node_rules),
	UNIT_TEST(other_rules),
	UNIT_TEST(uuid_text),
};

UNIT_MAIN(tests)
