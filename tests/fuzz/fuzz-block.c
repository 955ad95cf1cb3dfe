// SPDX-License-Identifier: GPL-2.0-only
/*
 * The verifiers of single blocks, and the parsers of words. The first byte says
 * which; the rest is the block, or the text. The mutator keeps magic, place and
 * checksum right, most of the time, so that the rules behind them are met.
 */
#include <stdlib.h>

#include "fuzz.h"
#include "state.h"

static const struct {
	u32 magic;
	u64 block;
} kinds[] = {
	{ SNAPPROT_MAGIC_SUPER, 0 },
	{ SNAPPROT_MAGIC_SUPER, 64 },
	{ SNAPPROT_MAGIC_LABEL, 0 },
	{ SNAPPROT_MAGIC_LABEL, 1 },
	{ SNAPPROT_MAGIC_LOG, 700 },
	{ SNAPPROT_MAGIC_NODE, 701 },
	{ SNAPPROT_MAGIC_BITMAP, 1 },
	{ SNAPPROT_MAGIC_BITMAP, 16385 },
	{ SNAPPROT_MAGIC_DIR, 702 },
	{ SNAPPROT_MAGIC_SNAPS, 703 },
};

#define TEXT	ARRAY_SIZE(kinds)

/* A block that verifies keeps what its readers rely on. */
static void check_super(const struct snapprot_disk_super *s, u64 block)
{
	int err;

	if (snapprot_super_verify(s, block))
		return;
	CHECK_EQ(le32_to_cpu(s->block_size), SNAPPROT_BLOCK_SIZE);
	CHECK(le64_to_cpu(s->store_blocks) < SNAPPROT_MAX_BLOCKS);
	CHECK(le64_to_cpu(s->origin_sectors) <
	      SNAPPROT_MAX_BLOCKS * SNAPPROT_SECTORS_PER_BLOCK);
	CHECK(le32_to_cpu(s->root_level) < SNAPPROT_MAX_LEVELS);
	CHECK(le32_to_cpu(s->nr_snaps) <= SNAPPROT_MAX_SNAPSHOTS);
	CHECK(le64_to_cpu(s->log_block) < le64_to_cpu(s->store_blocks));
	CHECK(le64_to_cpu(s->root) < le64_to_cpu(s->store_blocks));
	CHECK(le64_to_cpu(s->dir) < le64_to_cpu(s->store_blocks));
	if (block)
		CHECK(snapprot_super_choose(NULL, s, &err) == s);
	else
		CHECK(snapprot_super_choose(s, NULL, &err) == s);
}

static void check_label(const struct snapprot_disk_label *l, u32 copy)
{
	int err;

	if (snapprot_label_verify(l, copy))
		return;
	CHECK(!(le32_to_cpu(l->flags) & ~SNAPPROT_LABEL_FLAGS));
	CHECK(snapprot_label_choose(copy ? NULL : l, copy ? l : NULL, &err) ==
	      l);
}

static void check_node(const struct snapprot_disk_node *n)
{
	u32 count = le16_to_cpu(n->count), i;

	CHECK(count && count <= SNAPPROT_NODE_ENTRIES);
	CHECK(le16_to_cpu(n->level) < SNAPPROT_MAX_LEVELS);
	for (i = 1; i < count; i++)
		CHECK(snapprot_key_cmp(le64_to_cpu(n->entry[i - 1].block),
				       le32_to_cpu(n->entry[i - 1].epoch),
				       le64_to_cpu(n->entry[i].block),
				       le32_to_cpu(n->entry[i].epoch)) < 0);
	for (i = 0; i < count; i++)
		CHECK(snapprot_node_search(n, le64_to_cpu(n->entry[i].block),
					   le32_to_cpu(n->entry[i].epoch)) <=
		      count);
}

static void check_other(const void *data, u32 magic)
{
	const struct snapprot_disk_log *l = data;
	const struct snapprot_disk_dir *d = data;
	const struct snapprot_disk_snaps *t = data;

	if (magic == SNAPPROT_MAGIC_NODE)
		check_node(data);
	if (magic == SNAPPROT_MAGIC_LOG)
		CHECK(le16_to_cpu(l->count) &&
		      le16_to_cpu(l->count) <= SNAPPROT_LOG_ENTRIES);
	if (magic == SNAPPROT_MAGIC_DIR)
		CHECK(le32_to_cpu(d->count) <= SNAPPROT_DIR_ENTRIES);
	if (magic == SNAPPROT_MAGIC_SNAPS)
		CHECK(le32_to_cpu(t->count) &&
		      le32_to_cpu(t->count) <= SNAPPROT_SNAPS_PER_BLOCK);
}

static void check_text(const char *text)
{
	char again[37];
	u8 uuid[16], second[16];
	int fault;

	if (!snapprot_uuid_parse(text, uuid)) {
		snapprot_uuid_format(uuid, again);
		CHECK(!strcasecmp(again, text));
		CHECK_EQ(snapprot_uuid_parse(again, second), 0);
		CHECK(!memcmp(uuid, second, sizeof(uuid)));
	}
	fault = snapprot_fault_parse(text);
	if (fault >= 0)
		CHECK(!strcmp(snapprot_fault_name(fault), text));
}

struct input {
	const u8 *bytes;
	size_t size;
};

static void run(void *ctx)
{
	const struct input *in = ctx;
	u32 kind = in->bytes[0] % (TEXT + 1);
	/* Of its own, so that a read beyond the end is seen. */
	u8 *data = calloc(1, SNAPPROT_BLOCK_SIZE);
	size_t max = SNAPPROT_BLOCK_SIZE;
	size_t size = in->size - 1;

	/* A text has an end. */
	if (kind == TEXT)
		max--;
	if (size > max)
		size = max;
	memcpy(data, in->bytes + 1, size);
	if (kind == TEXT)
		check_text((char *)data);
	else if (kinds[kind].magic == SNAPPROT_MAGIC_SUPER)
		check_super((void *)data, kinds[kind].block);
	else if (kinds[kind].magic == SNAPPROT_MAGIC_LABEL)
		check_label((void *)data, kinds[kind].block);
	if (kind != TEXT &&
	    !snapprot_block_verify(data, kinds[kind].magic, kinds[kind].block))
		check_other(data, kinds[kind].magic);
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

#ifdef FUZZ_MUTATOR
size_t LLVMFuzzerCustomMutator(u8 *data, size_t size, size_t max,
			       unsigned int seed)
{
	const size_t whole = SNAPPROT_BLOCK_SIZE + 1;
	struct snapprot_disk_header *h = (void *)(data + 1);
	u32 kind;

	size = LLVMFuzzerMutate(data, size, max);
	if (!size)
		return 0;
	kind = data[0] % (TEXT + 1);
	if (kind == TEXT || max < whole || seed % 16 == 0)
		return size;
	if (size < whole)
		memset(data + size, 0, whole - size);
	h->magic = cpu_to_le32(kinds[kind].magic);
	h->block = cpu_to_le64(kinds[kind].block);
	if (seed % 8) {
		/* What is rarely met by chance. */
		memcpy(data + 1 + 40, SNAPPROT_SUPER_IDENT,
		       kind < 4 ? 16 : 0);
	}
	snapprot_block_seal(data + 1);
	return whole;
}
#endif
