// SPDX-License-Identifier: GPL-2.0-only
/*
 * The verifiers of single blocks, and the parsers of words. The first byte of an
 * input says which; what follows damages a block of that kind, or is the text. Sums
 * are set right: whoever made the block knows the secret.
 */
#include <stdlib.h>

#include "fuzz.h"
#include "state.h"

#define RAW	0x80	/* in the first byte: sums stay as they are */
#define BLANK	0x40	/* begin with a block of zeros, and a right header */

static const struct {
	u32 magic;
	enum walk_kind kind;
	u32 copy;
} kinds[] = {
	{ SNAPPROT_MAGIC_SUPER, WALK_SUPER, 0 },
	{ SNAPPROT_MAGIC_SUPER, WALK_SUPER, 1 },
	{ SNAPPROT_MAGIC_SUPER, WALK_SUPER, 2 },
	{ SNAPPROT_MAGIC_SUPER, WALK_SUPER, 3 },
	{ SNAPPROT_MAGIC_LABEL, WALK_KINDS, 0 },
	{ SNAPPROT_MAGIC_LABEL, WALK_KINDS, 3 },
	{ SNAPPROT_MAGIC_LOG, WALK_LOG, 0 },
	{ SNAPPROT_MAGIC_LOG, WALK_LOG, 4 },
	{ SNAPPROT_MAGIC_LOG, WALK_LOG, 9 },
	{ SNAPPROT_MAGIC_NODE, WALK_NODE, 0 },
	{ SNAPPROT_MAGIC_NODE, WALK_NODE, 1 },
	{ SNAPPROT_MAGIC_BITMAP, WALK_BITMAP, 0 },
	{ SNAPPROT_MAGIC_SPACE, WALK_SPACE, 0 },
	{ SNAPPROT_MAGIC_SPACE, WALK_SPACE, 1 },
	{ SNAPPROT_MAGIC_DIR, WALK_DIR, 0 },
	{ SNAPPROT_MAGIC_SNAPS, WALK_SNAPS, 0 },
	{ SNAPPROT_MAGIC_COUNTS, WALK_COUNTS, 0 },
};

#define TEXT	ARRAY_SIZE(kinds)

static const u8 uuid[16] = "fuzzed blocks";

/* ---- blocks that verify keep what their readers rely on --------------------- */

static void check_super(const struct snapprot_disk_super *s, u32 copy)
{
	const struct snapprot_disk_super *all[SNAPPROT_COPIES] = { NULL };
	u64 blocks = le64_to_cpu(s->store_blocks);
	int err;

	all[copy] = s;
	if (snapprot_super_verify(s, snapprot_super_place(copy))) {
		CHECK(!snapprot_super_choose(all, &err) && err);
		return;
	}
	CHECK(snapprot_super_choose(all, &err) == s && !err);
	CHECK_EQ(le32_to_cpu(s->block_size), SNAPPROT_BLOCK_SIZE);
	CHECK(blocks >= SNAPPROT_MIN_STORE_BLOCKS &&
	      blocks < SNAPPROT_MAX_BLOCKS);
	CHECK(le64_to_cpu(s->origin_sectors) <
	      SNAPPROT_MAX_BLOCKS * SNAPPROT_SECTORS_PER_BLOCK);
	CHECK(le32_to_cpu(s->space_level) < SNAPPROT_SPACE_LEVELS);
	CHECK(le64_to_cpu(s->space_used) < blocks);
	CHECK(le32_to_cpu(s->nr_snaps) <= SNAPPROT_MAX_SNAPSHOTS);
	CHECK(le64_to_cpu(s->log_block) < blocks);
	CHECK(le64_to_cpu(s->dir) < blocks);
	CHECK(le64_to_cpu(s->zone[0].end) <= blocks);
	CHECK(le64_to_cpu(s->zone[1].start) <= le64_to_cpu(s->zone[1].end));
	CHECK(le64_to_cpu(s->h.seq) < SNAPPROT_MAX_SEQ);
}

static void check_label(const struct snapprot_disk_label *l, u32 copy)
{
	const struct snapprot_disk_label *all[SNAPPROT_COPIES] = { NULL };
	int err;

	all[copy] = l;
	if (snapprot_label_verify(l, copy)) {
		CHECK(!snapprot_label_choose(all, &err) && err);
		return;
	}
	CHECK(snapprot_label_choose(all, &err) == l && !err);
	CHECK(!(le32_to_cpu(l->flags) & ~SNAPPROT_LABEL_FLAGS));
	CHECK(le32_to_cpu(l->nr_witness) <= SNAPPROT_WITNESS_MAX);
}

static struct snapprot_key key_of(const struct snapprot_disk_node *n, u32 i)
{
	struct snapprot_key key;

	if (n->level) {
		key.block = le64_to_cpu(n->child[i].block);
		key.epoch = le32_to_cpu(n->child[i].epoch);
	} else {
		key.block = le64_to_cpu(n->entry[i].block);
		key.epoch = le32_to_cpu(n->entry[i].epoch);
	}
	return key;
}

static void check_node(const struct snapprot_disk_node *n)
{
	u32 count = le16_to_cpu(n->count), i;

	CHECK(count && count <= (n->level ? SNAPPROT_INNER_ENTRIES :
					    SNAPPROT_LEAF_ENTRIES));
	CHECK(le16_to_cpu(n->level) < SNAPPROT_MAX_HEIGHT);
	for (i = 0; i < count; i++) {
		struct snapprot_key key = key_of(n, i), last;

		CHECK(key.block < SNAPPROT_MAX_BLOCKS && key.epoch);
		if (!i)
			continue;
		last = key_of(n, i - 1);
		CHECK(snapprot_key_cmp(&last, &key) < 0);
	}
}

static void check_log(const struct snapprot_disk_log *l)
{
	if (le16_to_cpu(l->type) == SNAPPROT_LOG_BATCH)
		CHECK(l->count && le16_to_cpu(l->count) <= SNAPPROT_LOG_ENTRIES);
	if (le16_to_cpu(l->type) > SNAPPROT_LOG_BATCH &&
	    le16_to_cpu(l->type) < SNAPPROT_LOG_SEAL)
		CHECK(!l->snap.name[SNAPPROT_NAME_SIZE - 1] && l->snap.id);
	CHECK(l->next != l->h.block);
	CHECK(le64_to_cpu(l->next) < SNAPPROT_MAX_BLOCKS);
	CHECK(le64_to_cpu(l->durable_seq) < le64_to_cpu(l->h.seq));
}

static void check_dir(const struct snapprot_disk_dir *d)
{
	u32 used = le32_to_cpu(d->used), at = 0;

	CHECK(used <= SNAPPROT_DIR_BYTES);
	while (at < used) {
		const struct snapprot_disk_item *item =
			(const void *)(d->items + at);

		CHECK(used - at >= sizeof(*item));
		CHECK(le16_to_cpu(item->size) >= sizeof(*item));
		at += le16_to_cpu(item->size);
	}
	CHECK_EQ(at, used);
}

static void check_tables(const void *data, u32 magic)
{
	const struct snapprot_disk_snaps *t = data;
	const struct snapprot_disk_counts *c = data;
	u32 i;

	if (magic == SNAPPROT_MAGIC_COUNTS) {
		CHECK(c->count &&
		      le32_to_cpu(c->count) <= SNAPPROT_PAIRS_PER_BLOCK);
		return;
	}
	CHECK(t->count && le32_to_cpu(t->count) <= SNAPPROT_SNAPS_PER_BLOCK);
	for (i = 0; i < le32_to_cpu(t->count); i++) {
		struct snapprot_snap s;

		snapprot_snap_decode(&s, &t->snap[i]);
		CHECK(!s.name[SNAPPROT_NAME_SIZE - 1]);
		CHECK(snapprot_name_ok(s.name));
	}
}

static void check_space(const void *data, u32 magic)
{
	const struct snapprot_disk_space *s = data;
	const u8 *bits = data;
	u32 i;

	if (magic == SNAPPROT_MAGIC_BITMAP) {
		for (i = 0; i < SNAPPROT_GROUP_FIXED; i++)
			CHECK(!snapprot_bit_test(bits, i));
		return;
	}
	CHECK(le64_to_cpu(s->level) < SNAPPROT_SPACE_LEVELS);
	for (i = 0; i < SNAPPROT_SPACE_FANOUT; i++)
		CHECK(s->entry[i].slot || !s->entry[i].used);
}

static void check_other(const void *data, u32 magic)
{
	switch (magic) {
	case SNAPPROT_MAGIC_NODE:
		check_node(data);
		break;
	case SNAPPROT_MAGIC_LOG:
		check_log(data);
		break;
	case SNAPPROT_MAGIC_DIR:
		check_dir(data);
		break;
	case SNAPPROT_MAGIC_SNAPS:
	case SNAPPROT_MAGIC_COUNTS:
		check_tables(data, magic);
		break;
	case SNAPPROT_MAGIC_SPACE:
	case SNAPPROT_MAGIC_BITMAP:
		check_space(data, magic);
		break;
	}
}

/* ---- words ------------------------------------------------------------------ */

static void check_text(const char *text)
{
	char again[37], name[SNAPPROT_NAME_SIZE + 1] = "";
	u8 bytes[16], second[16];
	int fault;

	if (!snapprot_uuid_parse(text, bytes)) {
		snapprot_uuid_format(bytes, again);
		CHECK(!strcasecmp(again, text));
		CHECK_EQ(snapprot_uuid_parse(again, second), 0);
		CHECK(!memcmp(bytes, second, sizeof(bytes)));
	}
	fault = snapprot_fault_parse(text);
	if (fault >= 0)
		CHECK(!strcmp(snapprot_fault_name(fault), text));
	if (snapprot_name_ok(text)) {
		CHECK(strlen(text) < SNAPPROT_NAME_SIZE);
		CHECK(!strchr(text, '/') && !strchr(text, ' '));
	}
	/* One that has no end is not read beyond it. */
	memset(name, 'x', SNAPPROT_NAME_SIZE);
	memcpy(name, text, strnlen(text, SNAPPROT_NAME_SIZE));
	CHECK(!snapprot_name_ok(name) || strnlen(text, 64) < 64);
}

/* ---- all of it --------------------------------------------------------------- */

struct input {
	const u8 *bytes;
	size_t size;
};

static void blank(u8 *data, u32 kind, u64 *place)
{
	struct snapprot_disk_super *s = (void *)data;

	memset(data, 0, SNAPPROT_BLOCK_SIZE);
	if (kinds[kind].magic == SNAPPROT_MAGIC_BITMAP)
		return;
	snapprot_block_init(data, kinds[kind].magic, *place, 7, uuid);
	if (kinds[kind].magic != SNAPPROT_MAGIC_LABEL)
		return;
	memcpy(s->ident, SNAPPROT_SUPER_IDENT, sizeof(s->ident));
	s->version = cpu_to_le32(SNAPPROT_FORMAT_VERSION);
	s->origin_sectors = cpu_to_le64(5000);
}

/* A block of this kind out of a store; labels are in none. */
static void begin(u8 *data, u8 first, u32 kind, u64 *place)
{
	const struct fuzz_base *b = fuzz_base(1 + 3 * (kinds[kind].copy % 2));
	const struct fuzz_used *u;

	if (kinds[kind].magic == SNAPPROT_MAGIC_LABEL) {
		*place = kinds[kind].copy;
		blank(data, kind, place);
		return;
	}
	u = &b->used[b->first[kinds[kind].kind]];
	if (u[kinds[kind].copy].kind == kinds[kind].kind)
		u += kinds[kind].copy;
	*place = u->place;
	if (kinds[kind].magic == SNAPPROT_MAGIC_SUPER)
		*place = snapprot_super_place(kinds[kind].copy);
	memcpy(data, sim_peek(b->m->sim, *place), SNAPPROT_BLOCK_SIZE);
	if (first & BLANK)
		blank(data, kind, place);
}

static void run_block(const struct input *in, u8 *data, u32 kind)
{
	static const siphash_key_t key = { { 1, 2 } };
	struct snapprot_disk_header *h = (void *)data;
	u32 magic = kinds[kind].magic, i;
	const u8 *input = in->bytes + 1;
	size_t size = in->size - 1, n;
	bool raw = in->bytes[0] & RAW;
	u64 place, sum = 0;

	begin(data, in->bytes[0], kind, &place);
	for (i = 0; i < FUZZ_PATCHES; i++) {
		n = fuzz_patch_block(data, input, size);
		if (!n)
			break;
		input += n;
		size -= n;
	}
	if (magic == SNAPPROT_MAGIC_SUPER) {
		if (!raw)
			snapprot_super_seal((void *)data);
		check_super((void *)data, kinds[kind].copy);
		return;
	}
	if (magic == SNAPPROT_MAGIC_LABEL) {
		if (!raw)
			snapprot_label_seal((void *)data);
		check_label((void *)data, kinds[kind].copy);
		return;
	}
	if (!raw)
		sum = snapprot_block_sum(&key, data, magic, place);
	if (!raw && magic == SNAPPROT_MAGIC_LOG)
		h->sum = cpu_to_le64(sum);
	if (!snapprot_block_verify(&key, data, magic, place, sum)) {
		/* Of another kind, or elsewhere, it is nothing. */
		CHECK(snapprot_block_verify(&key, data, magic, place + 1, sum));
		check_other(data, magic);
	}
}

static void run(void *ctx)
{
	const struct input *in = ctx;
	u32 kind = (in->bytes[0] & 63) % (TEXT + 1);
	/* Of its own, so that a read beyond the end is seen. */
	u8 *data;
	size_t size = in->size - 1;

	if (kind == TEXT) {
		data = calloc(1, size + 1);
		memcpy(data, in->bytes + 1, size);
		check_text((char *)data);
	} else {
		data = malloc(SNAPPROT_BLOCK_SIZE);
		run_block(in, data, kind);
	}
	free(data);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	return 0;
}

int LLVMFuzzerTestOneInput(const u8 *input, size_t size)
{
	struct input in = { .bytes = input, .size = size };

	if (size > 1)
		fuzz_run(run, &in);
	return 0;
}
