// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rules of single blocks: a good one passes, one with a single rule broken does
 * not, though its sum is right; and with a sum that is not, nothing passes.
 */
#include "verify-blocks.h"

static siphash_key_t test_key(void)
{
	siphash_key_t key;

	snapprot_key_init(&key, block_secret);
	return key;
}

/* What is said of a block whose sum is right, as it is. */
static int verdict(void *block, u32 magic, u64 place)
{
	siphash_key_t key = test_key();
	u64 sum = snapprot_block_sum(&key, block, magic, place);

	if (magic == SNAPPROT_MAGIC_LOG) {
		((struct snapprot_disk_header *)block)->sum = cpu_to_le64(sum);
		sum = unit_random();
	}
	return snapprot_block_verify(&key, block, magic, place, sum);
}

/* ---- log ---------------------------------------------------------------- */

static void make_header(struct snapprot_disk_log *l, u32 type, u32 count)
{
	memset(l, 0, sizeof(*l));
	snapprot_block_init(l, SNAPPROT_MAGIC_LOG, 99, 30, block_uuid);
	l->type = cpu_to_le16(type);
	l->count = cpu_to_le16(count);
	l->epoch = cpu_to_le32(7);
	l->next = cpu_to_le64(100);
	l->durable_seq = cpu_to_le64(29);
	l->prev_sum = cpu_to_le64(123);
	l->zone[0].start = cpu_to_le64(50);
	l->zone[0].end = cpu_to_le64(200);
}

static void make_batch(struct snapprot_disk_log *l)
{
	u32 i;

	make_header(l, SNAPPROT_LOG_BATCH, SNAPPROT_LOG_ENTRIES - 1);
	for (i = 0; i < SNAPPROT_LOG_ENTRIES - 1; i++) {
		l->entry[i].block = cpu_to_le64(i * i);
		l->entry[i].epoch = cpu_to_le32(7);
		l->entry[i].where = cpu_to_le64(20 + i);
		l->entry[i].sum = cpu_to_le32(i);
	}
}

static void make_snap(struct snapprot_disk_snap *s, u32 id, u32 epoch)
{
	memset(s, 0, sizeof(*s));
	s->id = cpu_to_le32(id);
	s->epoch = cpu_to_le32(epoch);
	s->sectors = cpu_to_le64(1000);
	s->hold = cpu_to_le64(SNAPPROT_HOLD_FOREVER);
	memcpy(s->name, "daily-2024", sizeof("daily-2024"));
}

static void make_create(struct snapprot_disk_log *l)
{
	make_header(l, SNAPPROT_LOG_CREATE, 1);
	make_snap(&l->snap, 3, 7);
}

static void make_seal(struct snapprot_disk_log *l)
{
	make_header(l, SNAPPROT_LOG_SEAL, 0);
}

#define LOG(make, change, expect)					\
	CASE(snapprot_disk_log, make, change, expect,			\
	     verdict(&b, SNAPPROT_MAGIC_LOG, 99))

/* Rules that do not depend on the type. */
static void log_header_of(void (*make)(struct snapprot_disk_log *l))
{
	LOG(make, (void)0, 0);
	LOG(make, SET(h.zero, 32, 1), -EBADMSG);
	LOG(make, SET(h.block, 64, 98), -EBADMSG);
	LOG(make, SET(h.magic, 32, SNAPPROT_MAGIC_NODE), -EBADMSG);
	LOG(make, SET(h.seq, 64, 0), -EBADMSG);
	LOG(make, (SET(h.seq, 64, SNAPPROT_MAX_SEQ),
		   SET(durable_seq, 64, SNAPPROT_MAX_SEQ - 1)), -EBADMSG);
	LOG(make, SET(epoch, 32, 0), -EBADMSG);
	LOG(make, SET(next, 64, 0), -EBADMSG);
	LOG(make, SET(next, 64, 99), -EBADMSG);
	LOG(make, SET(next, 64, 512), -EBADMSG);
	LOG(make, SET(next, 64, 32768 + 15), -EBADMSG);
	LOG(make, SET(next, 64, 32768 + 16), 0);
	LOG(make, SET(next, 64, SNAPPROT_MAX_BLOCKS - 1), 0);
	LOG(make, SET(next, 64, SNAPPROT_MAX_BLOCKS + 100), -EBADMSG);
	LOG(make, SET(durable_seq, 64, 30), -EBADMSG);
	LOG(make, SET(durable_seq, 64, ~0ull), -EBADMSG);
	LOG(make, SET(generation, 64, SNAPPROT_MAX_SEQ), -EBADMSG);
	LOG(make, SET(zone[0].start, 64, 201), -EBADMSG);
	LOG(make, SET(zone[0].start, 64, 200), 0);
	LOG(make, SET(zone[1].start, 64, 1), -EBADMSG);
	LOG(make, (SET(zone[1].start, 64, 30),
		   SET(zone[1].end, 64, 30 + SNAPPROT_ZONE_RANGE)), 0);
	LOG(make, (SET(zone[1].start, 64, 30),
		   SET(zone[1].end, 64, 31 + SNAPPROT_ZONE_RANGE)), -EBADMSG);
	LOG(make, (SET(zone[1].start, 64, SNAPPROT_MAX_BLOCKS - 9),
		   SET(zone[1].end, 64, SNAPPROT_MAX_BLOCKS)), 0);
	LOG(make, (SET(zone[1].start, 64, SNAPPROT_MAX_BLOCKS - 9),
		   SET(zone[1].end, 64, SNAPPROT_MAX_BLOCKS + 1)), -EBADMSG);
	LOG(make, SET(reserved, 64, 1), -EBADMSG);
	LOG(make, b.body[sizeof(b.body) - 1] = 1, -EBADMSG);
}

static void log_header(void)
{
	log_header_of(make_batch);
	log_header_of(make_create);
	log_header_of(make_seal);
}

#define BATCH(change, expect)	LOG(make_batch, change, expect)

static void log_batch(void)
{
	u64 zero = SNAPPROT_WHERE(SNAPPROT_KIND_ZERO, 0);
	u64 removed = SNAPPROT_WHERE(SNAPPROT_KIND_REMOVED, 0);
	u64 packed = SNAPPROT_WHERE(SNAPPROT_KIND_PACKED, 99);

	BATCH(SET(durable_seq, 64, 0), 0);
	BATCH(SET(count, 16, 0), -EBADMSG);
	BATCH((SET(count, 16, 0), memset(b.body, 0, sizeof(b.body))), -EBADMSG);
	BATCH(SET(count, 16, SNAPPROT_LOG_ENTRIES), -EBADMSG);
	BATCH(SET(count, 16, SNAPPROT_LOG_ENTRIES + 1), -EBADMSG);
	BATCH(SET(count, 16, 0xffff), -EBADMSG);
	BATCH(SET(count, 16, SNAPPROT_LOG_ENTRIES - 2), -EBADMSG);
	BATCH((SET(count, 16, SNAPPROT_LOG_ENTRIES),
	       b.entry[164] = b.entry[163]), 0);
	BATCH(SET(entry[164].sum, 32, 1), -EBADMSG);
	BATCH(SET(entry[0].epoch, 32, 6), -EBADMSG);
	BATCH(SET(entry[163].epoch, 32, 8), -EBADMSG);
	BATCH(SET(epoch, 32, 8), -EBADMSG);
	BATCH(SET(entry[5].block, 64, SNAPPROT_MAX_BLOCKS - 1), 0);
	BATCH(SET(entry[5].block, 64, SNAPPROT_MAX_BLOCKS), -EBADMSG);
	BATCH(SET(entry[5].where, 64, 0), -EBADMSG);
	BATCH(SET(entry[5].where, 64, 512), -EBADMSG);
	BATCH(SET(entry[5].where, 64, 99 | SNAPPROT_WHERE_PRECOPY), 0);
	BATCH(SET(entry[5].where, 64, 99 | 1ull << 52), -EBADMSG);
	BATCH(SET(entry[5].where, 64, zero), -EBADMSG);
	BATCH((SET(entry[5].where, 64, zero), SET(entry[5].sum, 32, 0)), 0);
	BATCH((SET(entry[5].where, 64, removed), SET(entry[5].sum, 32, 0)),
	      -EBADMSG);
	BATCH(SET(entry[5].where, 64, packed), -EBADMSG);
}

#define RECORD(change, expect)	LOG(make_create, change, expect)

static void log_record(void)
{
	RECORD(SET(count, 16, 0), -EBADMSG);
	RECORD(SET(count, 16, 2), -EBADMSG);
	RECORD(SET(snap.epoch, 32, 6), -EBADMSG);
	RECORD(SET(snap.epoch, 32, 8), -EBADMSG);
	RECORD((SET(type, 16, SNAPPROT_LOG_DELETE),
		SET(snap.epoch, 32, 6)), 0);
	RECORD((SET(type, 16, SNAPPROT_LOG_SET), SET(snap.epoch, 32, 7)), 0);
	RECORD((SET(type, 16, SNAPPROT_LOG_SET),
		SET(snap.epoch, 32, 8)), -EBADMSG);
	RECORD((SET(type, 16, SNAPPROT_LOG_DELETE),
		SET(snap.epoch, 32, 0)), -EBADMSG);
	RECORD(b.body[256] = 1, -EBADMSG);
	RECORD(SET(snap.id, 32, 0), -EBADMSG);
	RECORD(SET(snap.flags, 32, 1), -EBADMSG);
	RECORD(SET(snap.branch, 32, 1), -EBADMSG);
	RECORD(SET(snap.sectors, 64, 0), -EBADMSG);
	RECORD(SET(snap.sectors, 64, SNAPPROT_MAX_BLOCKS * 8), -EBADMSG);
	RECORD(b.snap.reserved[0] = 1, -EBADMSG);
	RECORD(b.snap.reserved[119] = 1, -EBADMSG);
	RECORD(memset(b.snap.name, 0, 64), 0);
	RECORD(memset(b.snap.name, 'x', 63), 0);
	RECORD(memset(b.snap.name, 'x', 64), -EBADMSG);
	RECORD(b.snap.name[0] = '/', -EBADMSG);
	RECORD(b.snap.name[0] = 0, -EBADMSG);
	RECORD(b.snap.name[63] = 'x', -EBADMSG);
}

static void log_types(void)
{
	LOG(make_seal, SET(count, 16, 1), -EBADMSG);
	LOG(make_seal, SET(durable_seq, 64, 28), -EBADMSG);
	LOG(make_seal, b.body[0] = 1, -EBADMSG);
	LOG(make_seal, (SET(h.seq, 64, 1), SET(durable_seq, 64, 0)), 0);
	/* What is not known, with whatever is in it, is the reader's. */
	LOG(make_seal, SET(type, 16, 0), -EBADMSG);
	LOG(make_batch, SET(type, 16, 6), 0);
	LOG(make_batch, SET(type, 16, 0x7fff), 0);
	LOG(make_batch, SET(type, 16, 0x8000), 0);
	LOG(make_batch, SET(type, 16, 0x8001), 0);
	LOG(make_create, (SET(type, 16, 0xffff), SET(count, 16, 9)), 0);
	LOG(make_batch, (SET(type, 16, 0x8001), SET(next, 64, 0)), -EBADMSG);
	LOG(make_batch, (SET(type, 16, 6), SET(next, 64, 0)), -EBADMSG);
}

/* ---- runs --------------------------------------------------------------- */

static void make_leaf(struct snapprot_disk_node *n)
{
	u32 i;

	memset(n, 0, sizeof(*n));
	snapprot_block_init(n, SNAPPROT_MAGIC_NODE, 99, 3, block_uuid);
	n->count = cpu_to_le16(SNAPPROT_LEAF_ENTRIES - 1);
	for (i = 0; i < SNAPPROT_LEAF_ENTRIES - 1; i++) {
		n->entry[i].block = cpu_to_le64(i / 2);
		n->entry[i].epoch = cpu_to_le32(i + 1);
		n->entry[i].where = cpu_to_le64(100 + i);
		n->entry[i].sum = cpu_to_le32(i);
	}
}

static void make_inner(struct snapprot_disk_node *n)
{
	u32 i;

	memset(n, 0, sizeof(*n));
	snapprot_block_init(n, SNAPPROT_MAGIC_NODE, 99, 3, block_uuid);
	n->level = cpu_to_le16(1);
	n->count = cpu_to_le16(SNAPPROT_INNER_ENTRIES - 1);
	for (i = 0; i < SNAPPROT_INNER_ENTRIES - 1; i++) {
		n->child[i].block = cpu_to_le64(i / 2);
		n->child[i].epoch = cpu_to_le32(i + 1);
		n->child[i].max_epoch = cpu_to_le32(2 * i + 1);
		n->child[i].place = cpu_to_le64(100 + i);
		n->child[i].sum = cpu_to_le64(~0ull - i);
	}
}

#define NODE(make, change, expect)					\
	CASE(snapprot_disk_node, make, change, expect,			\
	     verdict(&b, SNAPPROT_MAGIC_NODE, 99))
#define LEAF(change, expect)	NODE(make_leaf, change, expect)
#define INNER(change, expect)	NODE(make_inner, change, expect)

static void leaf_rules(void)
{
	LEAF((void)0, 0);
	LEAF(SET(count, 16, 0), -EBADMSG);
	LEAF((SET(count, 16, 0), memset(b.entry, 0, sizeof(b.entry))),
	     -EBADMSG);
	LEAF(SET(count, 16, 166), -EBADMSG);
	LEAF(SET(count, 16, 168), -EBADMSG);
	LEAF(SET(count, 16, 169), -EBADMSG);
	LEAF(SET(count, 16, 0xffff), -EBADMSG);
	LEAF((SET(count, 16, 168), b.entry[167] = b.entry[166],
	      SET(entry[167].epoch, 32, 168)), 0);
	LEAF((SET(count, 16, 168), b.entry[167] = b.entry[166]), -EBADMSG);
	LEAF(b.reserved[11] = 1, -EBADMSG);
	LEAF(SET(entry[167].sum, 32, 1), -EBADMSG);
	LEAF(SET(entry[9].epoch, 32, 9), -EBADMSG);
	LEAF(SET(entry[9].epoch, 32, 8), -EBADMSG);
	LEAF(SET(entry[0].epoch, 32, 0), -EBADMSG);
	LEAF(SET(entry[10].block, 64, 3), -EBADMSG);
	LEAF(SET(entry[166].block, 64, 81), -EBADMSG);
	LEAF(SET(entry[166].block, 64, SNAPPROT_MAX_BLOCKS - 1), 0);
	LEAF(SET(entry[166].block, 64, SNAPPROT_MAX_BLOCKS), -EBADMSG);
	LEAF(SET(h.seq, 64, 0), -EBADMSG);
	LEAF(SET(h.seq, 64, SNAPPROT_MAX_SEQ), -EBADMSG);
	LEAF(SET(h.zero, 32, 1), -EBADMSG);
	LEAF(SET(h.sum, 64, 1), -EBADMSG);
	LEAF(SET(h.block, 64, 98), -EBADMSG);
	LEAF(SET(h.magic, 32, SNAPPROT_MAGIC_DIR), -EBADMSG);
	/* As an inner node it is none. */
	LEAF(SET(level, 16, 1), -EBADMSG);
}

static void leaf_kinds(void)
{
	u64 zero = SNAPPROT_WHERE(SNAPPROT_KIND_ZERO, 0);
	u64 removed = SNAPPROT_WHERE(SNAPPROT_KIND_REMOVED, 0);
	u32 kind;

	LEAF(SET(entry[9].where, 64, 0), -EBADMSG);
	LEAF(SET(entry[9].where, 64, 15), -EBADMSG);
	LEAF(SET(entry[9].where, 64, 16), 0);
	LEAF(SET(entry[9].where, 64, 512), -EBADMSG);
	LEAF(SET(entry[9].where, 64, SNAPPROT_MAX_BLOCKS - 1), 0);
	LEAF(SET(entry[9].where, 64, 99 | SNAPPROT_WHERE_PRECOPY), 0);
	LEAF(SET(entry[9].where, 64, 99 | 1ull << 52), -EBADMSG);
	LEAF(SET(entry[9].where, 64, 99 | 1ull << 63), -EBADMSG);
	LEAF(SET(entry[9].where, 64, zero), -EBADMSG);
	LEAF(SET(entry[9].where, 64, removed), -EBADMSG);
	LEAF((SET(entry[9].where, 64, zero), b.entry[9].sum = 0), 0);
	LEAF((SET(entry[9].where, 64, removed), b.entry[9].sum = 0), 0);
	LEAF((SET(entry[9].where, 64, zero | 99), b.entry[9].sum = 0),
	     -EBADMSG);
	LEAF((SET(entry[9].where, 64, removed | 99), b.entry[9].sum = 0),
	     -EBADMSG);
	LEAF((SET(entry[9].where, 64, zero | 1ull << 52), b.entry[9].sum = 0),
	     -EBADMSG);
	for (kind = SNAPPROT_KIND_PACKED; kind < 8; kind++) {
		LEAF(SET(entry[9].where, 64, SNAPPROT_WHERE(kind, 99)),
		     -EBADMSG);
		LEAF((SET(entry[9].where, 64, SNAPPROT_WHERE(kind, 0)),
		      b.entry[9].sum = 0), -EBADMSG);
	}
}

static void inner_rules(void)
{
	INNER((void)0, 0);
	INNER(SET(level, 16, 7), 0);
	INNER(SET(level, 16, 8), -EBADMSG);
	INNER(SET(level, 16, 0x8001), -EBADMSG);
	INNER(SET(level, 16, 0), -EBADMSG);
	INNER(SET(count, 16, 0), -EBADMSG);
	INNER((SET(count, 16, 0), memset(b.child, 0, sizeof(b.child))),
	      -EBADMSG);
	INNER(SET(count, 16, 124), -EBADMSG);
	INNER(SET(count, 16, 126), -EBADMSG);
	INNER(SET(count, 16, 127), -EBADMSG);
	INNER((SET(count, 16, 126), b.child[125] = b.child[124],
	       SET(child[125].epoch, 32, 126)), 0);
	INNER(SET(child[125].sum, 64, 1), -EBADMSG);
	INNER(b.reserved[0] = 1, -EBADMSG);
	INNER(SET(child[9].epoch, 32, 9), -EBADMSG);
	INNER(SET(child[10].block, 64, 3), -EBADMSG);
	INNER(SET(child[0].epoch, 32, 0), -EBADMSG);
	INNER(SET(child[9].max_epoch, 32, 9), -EBADMSG);
	INNER(SET(child[9].max_epoch, 32, 10), 0);
	INNER(SET(child[9].max_epoch, 32, ~0u), 0);
	INNER(SET(child[9].place, 64, 0), -EBADMSG);
	INNER(SET(child[9].place, 64, 15), -EBADMSG);
	INNER(SET(child[9].place, 64, SNAPPROT_MAX_BLOCKS - 1), 0);
	INNER(SET(child[9].place, 64, SNAPPROT_MAX_BLOCKS + 99), -EBADMSG);
	INNER(SET(child[124].block, 64, SNAPPROT_MAX_BLOCKS), -EBADMSG);
	INNER(SET(child[9].sum, 64, 0), 0);
}

/* ---- space -------------------------------------------------------------- */

struct bitmap {
	u8 bits[SNAPPROT_BITMAP_BYTES];
};

static void make_bitmap(struct bitmap *b)
{
	memset(b, 0xff, sizeof(*b));
	b->bits[0] = 0;
	b->bits[1] = 0;
	b->bits[512 / 8] = 0xfc;
}

#define BITMAP(change, place, expect)					\
	CASE(bitmap, make_bitmap, change, expect,			\
	     verdict(&b, SNAPPROT_MAGIC_BITMAP, place))

static void bitmap_rules(void)
{
	u32 i;

	BITMAP((void)0, 1, 0);
	BITMAP((void)0, 2, 0);
	BITMAP((void)0, 0, -EBADMSG);
	BITMAP((void)0, 3, -EBADMSG);
	BITMAP((void)0, 100, -EBADMSG);
	BITMAP((void)0, 32768 + 1, 0);
	BITMAP((void)0, 32768 + 2, 0);
	BITMAP((void)0, 32768 + 3, -EBADMSG);
	BITMAP((void)0, SNAPPROT_MAX_BLOCKS + 1, -EBADMSG);
	for (i = 0; i < 16; i++) {
		BITMAP(b.bits[i / 8] = 1 << i % 8, 1, -EBADMSG);
		BITMAP(b.bits[i / 8] = 1 << i % 8, 32768 + 2, -EBADMSG);
	}
	BITMAP(b.bits[64] = 0xff, 1, -EBADMSG);
	BITMAP(b.bits[64] = 0xff, 2, -EBADMSG);
	BITMAP(b.bits[64] = 0xff, 32768 + 1, 0);
	BITMAP(memset(b.bits, 0, sizeof(b.bits)), 1, 0);
}

static void make_space(struct snapprot_disk_space *s)
{
	u32 i;

	memset(s, 0, sizeof(*s));
	snapprot_block_init(s, SNAPPROT_MAGIC_SPACE, 3, 3, block_uuid);
	for (i = 0; i < SNAPPROT_SPACE_FANOUT; i += 2) {
		s->entry[i].sum = cpu_to_le64(i + 1);
		s->entry[i].used = cpu_to_le64(i);
		s->entry[i].slot = cpu_to_le32(1 + (i & 2));
	}
}

#define SPACE_AT(change, place, expect)					\
	CASE(snapprot_disk_space, make_space,				\
	     (SET(h.block, 64, place), change), expect,			\
	     verdict(&b, SNAPPROT_MAGIC_SPACE, place))
#define SPACE(change, expect)	SPACE_AT(change, 3, expect)

static void space_rules(void)
{
	SPACE((void)0, 0);
	SPACE(SET(entry[0].used, 64, 32768 - 16 - 1), 0);
	SPACE(SET(entry[0].used, 64, 32768 - 16), -EBADMSG);
	SPACE(SET(entry[2].used, 64, 32768 - 16), 0);
	SPACE(SET(entry[2].used, 64, 32768 - 15), -EBADMSG);
	SPACE(SET(entry[2].used, 64, ~0ull), -EBADMSG);
	SPACE(SET(entry[2].slot, 32, 0), -EBADMSG);
	SPACE(SET(entry[2].slot, 32, 2), -EBADMSG);
	SPACE(SET(entry[2].slot, 32, 4), -EBADMSG);
	SPACE(SET(entry[2].slot, 32, 7), -EBADMSG);
	SPACE(SET(entry[1].slot, 32, 1), 0);
	SPACE(SET(entry[1].sum, 64, 1), -EBADMSG);
	SPACE(SET(entry[1].used, 64, 1), -EBADMSG);
	SPACE(SET(entry[127].reserved, 32, 1), -EBADMSG);
	SPACE(b.reserved[0] = 1, -EBADMSG);
	SPACE(b.reserved[sizeof(b.reserved) - 1] = 1, -EBADMSG);
	SPACE(SET(h.sum, 64, 1), -EBADMSG);
	SPACE(SET(h.seq, 64, 0), -EBADMSG);
	SPACE(SET(level, 64, 1), -EBADMSG);
	SPACE(SET(level, 64, 5), -EBADMSG);
	SPACE_AT((SET(level, 64, 5), memset(&b.entry[1], 0, 127 * 24)), 13,
		 -EBADMSG);
	SPACE(SET(level, 64, 1ull << 32), -EBADMSG);
	SPACE(SET(index, 64, 1), -EBADMSG);
	SPACE(SET(index, 64, 1ull << 57), -EBADMSG);
}

/* Of the numbers that a node has each follows from its place. */
static void space_places(void)
{
	u64 second = 128ull << 15;
	u32 level;

	SPACE_AT((void)0, 4, 0);
	SPACE_AT((void)0, 5, -EBADMSG);
	SPACE_AT((void)0, 2, -EBADMSG);
	SPACE_AT((void)0, 32768 + 3, -EBADMSG);
	SPACE_AT((void)0, second + 3, -EBADMSG);
	SPACE_AT(SET(index, 64, 1), second + 3, 0);
	SPACE_AT(SET(index, 64, 1), second + 4, 0);
	SPACE_AT((SET(index, 64, 1), SET(entry[0].used, 64, 32768 - 16)),
		 second + 3, 0);
	SPACE_AT(SET(index, 64, 1ull << 33 >> 7),
		 SNAPPROT_MAX_BLOCKS + 3, -EBADMSG);
	for (level = 1; level < 4; level++) {
		u64 group = 1ull << 7 * (level + 1);
		u64 at = 3 + 2 * level;

		SPACE_AT(SET(level, 64, level), at, 0);
		SPACE_AT(SET(level, 64, level), at + 1, 0);
		SPACE_AT(SET(level, 64, level), at + 2, -EBADMSG);
		SPACE_AT((SET(level, 64, level), SET(index, 64, 1)), at,
			 -EBADMSG);
		SPACE_AT((SET(level, 64, level), SET(index, 64, 1)),
			 (group << 15) + at, 0);
		SPACE_AT((SET(level, 64, level), SET(index, 64, 1)),
			 ((group + 1) << 15) + at, -EBADMSG);
		SPACE_AT((SET(level, 64, level),
			  SET(entry[2].used, 64, (32768ull - 16) << 7 * level)),
			 at, 0);
		SPACE_AT((SET(level, 64, level),
			  SET(entry[2].used, 64,
			      ((32768ull - 16) << 7 * level) + 1)),
			 at, -EBADMSG);
	}
	/* The highest has room for more groups than there may be. */
	SPACE_AT(SET(level, 64, 4), 11, -EBADMSG);
	SPACE_AT((SET(level, 64, 4), memset(&b.entry[32], 0, 96 * 24)), 11, 0);
	SPACE_AT((SET(level, 64, 4), memset(&b.entry[33], 0, 95 * 24)), 11,
		 -EBADMSG);
}

/* ---- directory, tables -------------------------------------------------- */

static u32 put_item(struct snapprot_disk_dir *d, u32 at, u32 type, u32 size)
{
	struct snapprot_disk_item item = {
		.type = cpu_to_le16(type),
		.size = cpu_to_le16(size),
	};

	memset(d->items + at, 0x55, size);
	memcpy(d->items + at, &item, sizeof(item));
	return at + size;
}

static void make_dir(struct snapprot_disk_dir *d)
{
	u32 at;

	memset(d, 0, sizeof(*d));
	snapprot_block_init(d, SNAPPROT_MAGIC_DIR, 99, 3, block_uuid);
	d->next = cpu_to_le64(77);
	d->next_sum = cpu_to_le64(1234);
	at = put_item(d, 0, SNAPPROT_ITEM_RUN, 72);
	at = put_item(d, at, SNAPPROT_ITEM_SNAPS, 24);
	at = put_item(d, at, SNAPPROT_ITEM_MERGE, 40);
	at = put_item(d, at, SNAPPROT_ITEM_COUNTS, 32);
	at = put_item(d, at, 0x7777, 8);
	d->used = cpu_to_le32(at);
}

#define DIR(change, expect)						\
	CASE(snapprot_disk_dir, make_dir, change, expect,		\
	     verdict(&b, SNAPPROT_MAGIC_DIR, 99))
/* An item of its own in an empty block. */
#define ITEM(type, size, expect)					\
	DIR((memset(b.items, 0, sizeof(b.items)),			\
	     SET(used, 32, put_item(&b, 0, type, size))), expect)

static void dir_rules(void)
{
	DIR((void)0, 0);
	DIR(SET(next, 64, 0), -EBADMSG);
	DIR((SET(next, 64, 0), SET(next_sum, 64, 0)), 0);
	DIR(SET(next, 64, 99), -EBADMSG);
	DIR(SET(next, 64, 1), -EBADMSG);
	DIR(SET(next, 64, SNAPPROT_MAX_BLOCKS + 99), -EBADMSG);
	DIR(b.reserved[3] = 1, -EBADMSG);
	DIR(SET(h.sum, 64, 1), -EBADMSG);
	DIR(SET(h.zero, 32, 1), -EBADMSG);
	DIR(SET(used, 32, 176 - 8), -EBADMSG);
	DIR(SET(used, 32, 176 + 8), -EBADMSG);
	DIR(SET(used, 32, 176 - 1), -EBADMSG);
	DIR(SET(used, 32, SNAPPROT_DIR_BYTES + 8), -EBADMSG);
	DIR(SET(used, 32, ~7u), -EBADMSG);
	DIR(b.items[4015] = 1, -EBADMSG);
	DIR(b.items[4] = 1, -EBADMSG);
	DIR((memset(b.items, 0, sizeof(b.items)), b.used = 0), 0);
	ITEM(SNAPPROT_ITEM_RUN, 72, 0);
	ITEM(SNAPPROT_ITEM_RUN, 80, -EBADMSG);
	ITEM(SNAPPROT_ITEM_RUN, 64, -EBADMSG);
	ITEM(SNAPPROT_ITEM_SNAPS, 16, -EBADMSG);
	ITEM(SNAPPROT_ITEM_MERGE, 48, -EBADMSG);
	ITEM(0x1234, 8, 0);
	ITEM(0x1234, SNAPPROT_DIR_BYTES, 0);
	ITEM(0x9234, 12, -EBADMSG);
	DIR(SET(used, 32, put_item(&b, 0, 9, SNAPPROT_DIR_BYTES) + 8),
	    -EBADMSG);
	/* Sizes that lead nowhere, or past the end. */
	DIR(b.items[2] = 0, -EBADMSG);
	DIR(b.items[72 + 24 + 40 + 2] = 0, -EBADMSG);
	DIR(b.items[72 + 24 + 40 + 2] = 40, 0);
	DIR(b.items[72 + 24 + 40 + 2] = 48, -EBADMSG);
	DIR(b.items[72 + 24 + 40 + 3] = 0xff, -EBADMSG);
}

static void make_snaps(struct snapprot_disk_snaps *t)
{
	memset(t, 0, sizeof(*t));
	snapprot_block_init(t, SNAPPROT_MAGIC_SNAPS, 99, 3, block_uuid);
	t->count = cpu_to_le32(3);
	make_snap(&t->snap[0], 5, 1);
	make_snap(&t->snap[1], 2, 2);
	make_snap(&t->snap[2], 9, 8);
}

#define SNAPS(change, expect)						\
	CASE(snapprot_disk_snaps, make_snaps, change, expect,		\
	     verdict(&b, SNAPPROT_MAGIC_SNAPS, 99))

static void fill_snaps(struct snapprot_disk_snaps *t)
{
	u32 i;

	t->count = cpu_to_le32(SNAPPROT_SNAPS_PER_BLOCK);
	for (i = 0; i < SNAPPROT_SNAPS_PER_BLOCK; i++)
		make_snap(&t->snap[i], i + 1, i + 1);
}

static void snaps_rules(void)
{
	SNAPS(fill_snaps(&b), 0);
	SNAPS((fill_snaps(&b), SET(count, 32, 16)), -EBADMSG);
	SNAPS((SET(count, 32, 0), memset(b.snap, 0, sizeof(b.snap))), -EBADMSG);
	SNAPS(SET(h.block, 64, 15), -EBADMSG);
	SNAPS((void)0, 0);
	SNAPS(SET(count, 32, 0), -EBADMSG);
	SNAPS(SET(count, 32, 2), -EBADMSG);
	SNAPS(SET(count, 32, 4), -EBADMSG);
	SNAPS(SET(count, 32, 16), -EBADMSG);
	SNAPS(SET(count, 32, ~0u), -EBADMSG);
	SNAPS(SET(snap[1].epoch, 32, 1), -EBADMSG);
	SNAPS(SET(snap[0].epoch, 32, 0), -EBADMSG);
	SNAPS(SET(snap[2].epoch, 32, 1), -EBADMSG);
	SNAPS(SET(snap[1].id, 32, 0), -EBADMSG);
	SNAPS(SET(snap[1].flags, 32, 1), -EBADMSG);
	SNAPS(SET(snap[1].branch, 32, 1), -EBADMSG);
	SNAPS(SET(snap[1].sectors, 64, ~0ull), -EBADMSG);
	SNAPS(b.snap[1].reserved[5] = 1, -EBADMSG);
	SNAPS(b.snap[1].name[5] = ' ', -EBADMSG);
	SNAPS(b.snap[14].reserved[119] = 1, -EBADMSG);
	SNAPS(b.reserved[203] = 1, -EBADMSG);
	SNAPS(SET(h.sum, 64, 1), -EBADMSG);
}

static void make_counts(struct snapprot_disk_counts *c)
{
	u32 i;

	memset(c, 0, sizeof(*c));
	snapprot_block_init(c, SNAPPROT_MAGIC_COUNTS, 99, 3, block_uuid);
	c->count = cpu_to_le32(10);
	for (i = 0; i < 10; i++) {
		c->pair[i].prev = cpu_to_le32(i);
		c->pair[i].epoch = cpu_to_le32(i / 2 * 2 + 1);
		c->pair[i].count = cpu_to_le64(i);
	}
}

#define COUNTS(change, expect)						\
	CASE(snapprot_disk_counts, make_counts, change, expect,		\
	     verdict(&b, SNAPPROT_MAGIC_COUNTS, 99))

static void fill_counts(struct snapprot_disk_counts *c)
{
	u32 i;

	c->count = cpu_to_le32(SNAPPROT_PAIRS_PER_BLOCK);
	for (i = 0; i < SNAPPROT_PAIRS_PER_BLOCK; i++) {
		c->pair[i].prev = cpu_to_le32(i);
		c->pair[i].epoch = cpu_to_le32(SNAPPROT_PAIRS_PER_BLOCK);
	}
}

static void counts_rules(void)
{
	COUNTS(fill_counts(&b), 0);
	COUNTS((fill_counts(&b), SET(count, 32, 253)), -EBADMSG);
	COUNTS((SET(count, 32, 0), memset(b.pair, 0, sizeof(b.pair))),
	       -EBADMSG);
	COUNTS((void)0, 0);
	COUNTS(SET(count, 32, 0), -EBADMSG);
	COUNTS(SET(count, 32, 9), -EBADMSG);
	COUNTS(SET(count, 32, 11), -EBADMSG);
	COUNTS(SET(count, 32, 253), -EBADMSG);
	COUNTS(SET(pair[5].prev, 32, 4), -EBADMSG);
	COUNTS(SET(pair[5].prev, 32, 6), -EBADMSG);
	COUNTS(SET(pair[5].epoch, 32, 4), -EBADMSG);
	COUNTS(SET(pair[0].epoch, 32, 0), -EBADMSG);
	COUNTS(SET(pair[5].count, 64, SNAPPROT_MAX_BLOCKS - 1), 0);
	COUNTS(SET(pair[5].count, 64, SNAPPROT_MAX_BLOCKS), -EBADMSG);
	COUNTS(SET(pair[251].count, 64, 1), -EBADMSG);
	COUNTS(b.reserved[0] = 1, -EBADMSG);
	COUNTS(SET(h.sum, 64, 1), -EBADMSG);
}

/* ---- sums --------------------------------------------------------------- */

/* With the sum that it had no bit of a block may change. */
static void every_bit_of(void *block, u32 magic, u64 place)
{
	siphash_key_t key = test_key();
	u64 sum = snapprot_block_sum(&key, block, magic, place);
	u8 *p = block;
	u32 i;

	CHECK_EQ(verdict(block, magic, place), 0);
	for (i = 0; i < 4096 * 8; i++) {
		p[i / 8] ^= 1 << i % 8;
		CHECK_EQ(snapprot_block_verify(&key, p, magic, place, sum),
			 -EBADMSG);
		p[i / 8] ^= 1 << i % 8;
	}
	CHECK_EQ(snapprot_block_verify(&key, p, magic, place, sum), 0);
}

static void every_bit(void)
{
	struct snapprot_disk_log l;
	struct snapprot_disk_node n;
	struct bitmap b;

	make_batch(&l);
	every_bit_of(&l, SNAPPROT_MAGIC_LOG, 99);
	make_leaf(&n);
	every_bit_of(&n, SNAPPROT_MAGIC_NODE, 99);
	make_bitmap(&b);
	every_bit_of(&b, SNAPPROT_MAGIC_BITMAP, 32769);
}

static void sum_of_pointer(void)
{
	siphash_key_t key = test_key();
	struct snapprot_disk_node n;
	u64 sum;
	u32 i;

	make_leaf(&n);
	sum = snapprot_block_sum(&key, &n, SNAPPROT_MAGIC_NODE, 99);
	for (i = 0; i < 64; i++)
		CHECK_EQ(snapprot_block_verify(&key, &n, SNAPPROT_MAGIC_NODE,
					       99, sum ^ 1ull << i), -EBADMSG);
	for (i = 0; i < 128; i++) {
		key.key[i / 64] ^= 1ull << i % 64;
		CHECK_EQ(snapprot_block_verify(&key, &n, SNAPPROT_MAGIC_NODE,
					       99, sum), -EBADMSG);
		key.key[i / 64] ^= 1ull << i % 64;
	}
	CHECK_EQ(snapprot_block_verify(&key, &n, SNAPPROT_MAGIC_NODE, 99, sum),
		 0);
}

/* What is right at one place, or as one kind, is not so at another. */
static void moved(void)
{
	siphash_key_t key = test_key(), other = test_key();
	struct snapprot_disk_node n;
	struct snapprot_disk_log l;
	struct bitmap b;
	u64 sum;

	make_leaf(&n);
	sum = snapprot_block_sum(&key, &n, SNAPPROT_MAGIC_NODE, 99);
	CHECK_EQ(snapprot_block_verify(&key, &n, SNAPPROT_MAGIC_NODE, 98, sum),
		 -EBADMSG);
	n.h.block = cpu_to_le64(98);
	CHECK_EQ(snapprot_block_verify(&key, &n, SNAPPROT_MAGIC_NODE, 98, sum),
		 -EBADMSG);

	make_bitmap(&b);
	sum = snapprot_block_sum(&key, &b, SNAPPROT_MAGIC_BITMAP, 32769);
	CHECK_EQ(snapprot_block_verify(&key, &b, SNAPPROT_MAGIC_BITMAP, 32770,
				       sum), -EBADMSG);
	CHECK_EQ(snapprot_block_verify(&key, &b, SNAPPROT_MAGIC_BITMAP, 65537,
				       sum), -EBADMSG);

	make_batch(&l);
	CHECK_EQ(verdict(&l, SNAPPROT_MAGIC_LOG, 99), 0);
	CHECK_EQ(snapprot_block_verify(&key, &l, SNAPPROT_MAGIC_LOG, 98, 0),
		 -EBADMSG);
	other.key[1]++;
	CHECK_EQ(snapprot_block_verify(&other, &l, SNAPPROT_MAGIC_LOG, 99, 0),
		 -EBADMSG);
	l.h.block = cpu_to_le64(98);
	CHECK_EQ(snapprot_block_verify(&key, &l, SNAPPROT_MAGIC_LOG, 98, 0),
		 -EBADMSG);
}

static void other_kinds(void)
{
	struct snapprot_disk_node n;
	struct snapprot_disk_super s;

	make_leaf(&n);
	CHECK_EQ(verdict(&n, SNAPPROT_MAGIC_DIR, 99), -EBADMSG);
	CHECK_EQ(verdict(&n, 12345, 99), -EBADMSG);
	n.h.magic = cpu_to_le32(12345);
	CHECK_EQ(verdict(&n, 12345, 99), -EBADMSG);
	/* These have functions of their own. */
	make_super(&s);
	CHECK_EQ(verdict(&s, SNAPPROT_MAGIC_SUPER, 0), -EBADMSG);
	s.h.sum = 0;
	CHECK_EQ(verdict(&s, SNAPPROT_MAGIC_SUPER, 0), -EBADMSG);
}

/* Magic and place count apart from the bytes; a header's first 16 do not. */
static void what_is_summed(void)
{
	siphash_key_t key = test_key();
	u8 block[SNAPPROT_BLOCK_SIZE];
	u64 sum, bitmap;
	u32 i;

	for (i = 0; i < sizeof(block); i++)
		block[i] = unit_random();
	sum = snapprot_block_sum(&key, block, SNAPPROT_MAGIC_DIR, 7);
	bitmap = snapprot_block_sum(&key, block, SNAPPROT_MAGIC_BITMAP, 7);
	CHECK(sum == siphash_3u64(siphash(block + 16, 4080, &key),
				  SNAPPROT_MAGIC_DIR, 7, &key));
	CHECK(bitmap == siphash_3u64(siphash(block, 4096, &key),
				     SNAPPROT_MAGIC_BITMAP, 7, &key));
	CHECK(sum != snapprot_block_sum(&key, block, SNAPPROT_MAGIC_DIR, 8));
	CHECK(sum != snapprot_block_sum(&key, block, SNAPPROT_MAGIC_NODE, 7));
	block[15]++;
	CHECK(sum == snapprot_block_sum(&key, block, SNAPPROT_MAGIC_DIR, 7));
	CHECK(bitmap !=
	      snapprot_block_sum(&key, block, SNAPPROT_MAGIC_BITMAP, 7));
}

static void header_init(void)
{
	struct snapprot_disk_header h;

	memset(&h, 0xff, sizeof(h));
	snapprot_block_init(&h, SNAPPROT_MAGIC_DIR, 1ull << 40, 1ull << 50,
			    block_uuid);
	CHECK(!memcmp(&h, "SSPD\0\0\0\0", 8) && !h.sum);
	CHECK(le64_to_cpu(h.block) == 1ull << 40);
	CHECK(le64_to_cpu(h.seq) == 1ull << 50);
	CHECK(!memcmp(h.uuid, block_uuid, 16));
}

static const struct unit_test tests[] = {
	UNIT_TEST(log_header),
	UNIT_TEST(log_batch),
	UNIT_TEST(log_record),
	UNIT_TEST(log_types),
	UNIT_TEST(leaf_rules),
	UNIT_TEST(leaf_kinds),
	UNIT_TEST(inner_rules),
	UNIT_TEST(bitmap_rules),
	UNIT_TEST(space_rules),
	UNIT_TEST(space_places),
	UNIT_TEST(dir_rules),
	UNIT_TEST(snaps_rules),
	UNIT_TEST(counts_rules),
	UNIT_TEST(every_bit),
	UNIT_TEST(sum_of_pointer),
	UNIT_TEST(moved),
	UNIT_TEST(other_kinds),
	UNIT_TEST(what_is_summed),
	UNIT_TEST(header_init),
};

UNIT_MAIN(tests)
