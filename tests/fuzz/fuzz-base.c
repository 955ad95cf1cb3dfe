// SPDX-License-Identifier: GPL-2.0-only
/*
 * The stores that inputs of the fuzzers start from: sound ones, of several kinds.
 */
#include <stdlib.h>

#include "fuzz.h"

static struct fuzz_base bases[FUZZ_BASES];

static const struct {
	u64 blocks;
	u32 nr_blocks;
	u64 stride;
	u32 steps;
	struct snapprot_tune tune;
} kinds[FUZZ_BASES] = {
	{ 1024, 40, 1, 3, { 64, 3, 16, 24 } },		/* hardly used */
	{ 2000, 130, 1, 110, { 64, 3, 16, 32 } },	/* some levels */
	{ 6000, 900, 1, 150, { 128, 2, 16, 48 } },	/* with inner nodes */
	{ 70000, 200, 1000, 90, { 500, 3, 30, 60 } },	/* many chunks, no level */
	/* Two levels of the space table. */
	{ 129 * 32768ull + 100, 100, (1ull << 38) + 1, 70, { 64, 2, 16, 24 } },
};

static void full(struct model *m, int err)
{
	CHECK(!err || err == -ENOSPC);
}

/* What was written in the epoch that has ended; it need not be the truth. */
static void make_map(struct model *m)
{
	struct snapprot_core *core = &m->core;
	u32 epoch = snapprot_map_missing(core);
	u64 block = 0;
	u32 i;

	if (!epoch || snapprot_map_begin(core, epoch))
		return;
	for (i = 0; i < 20; i++) {
		u32 count = 1 + (u32)unit_below(i % 4 ? 5 : 200);

		CHECK_EQ(snapprot_map_add(core, block, count), 0);
		block += count + unit_below(300);
	}
	CHECK_EQ(snapprot_map_end(core), 0);
}

/*
 * Snapshots, deleted ones, levels, merges under way, chunks, maps, and a log; all of
 * it durable, and the last step of the log a seal.
 */
static struct model *make_store(u32 nr)
{
	struct model *m = model_new(kinds[nr].blocks, kinds[nr].nr_blocks,
				    kinds[nr].stride, &kinds[nr].tune);
	u32 i;

	for (i = 0; i < kinds[nr].steps; i++) {
		if (i % 8 == 0)
			CHECK_EQ(model_create(m), 0);
		if (i % 16 == 9)
			make_map(m);
		full(m, model_write(m, 1 + unit_below(nr == 2 ? 60 : 12)));
		if (i % 30 == 17)
			CHECK_EQ(model_delete(m, unit_below(m->nr_snaps)), 0);
		if (i % 50 == 33)
			CHECK_EQ(model_set(m, unit_below(m->nr_snaps)), 0);
		if (i == 60 && nr == 3)
			CHECK_EQ(model_update(m, true), 0);
		if (i % 7 == 2)
			CHECK_EQ(model_checkpoint(m), 0);
		if (i % 3 == 1)
			CHECK(model_merge(m, nr == 2 ? 200 : 15) != -EIO);
		/* Later they are left in the middle. */
		if (nr && i % 12 == 11 && i < kinds[nr].steps * 3 / 4)
			CHECK_EQ(model_merge_all(m, nr == 1), 0);
	}
	if (nr)
		CHECK_EQ(model_checkpoint(m), 0);
	for (i = 0; i < 5; i++) {
		full(m, model_write(m, 4));
		if (i == 1)
			CHECK_EQ(model_create(m), 0);
		if (i == 2 && nr)
			CHECK_EQ(model_delete(m, 1), 0);
		if (i == 3)
			CHECK_EQ(model_set(m, 0), 0);
	}
	CHECK_EQ(model_seal(m), 0);
	CHECK_EQ(sim_flush(m->sim), 0);
	return m;
}

static void add_used(void *ctx, u64 place, enum walk_kind kind)
{
	struct fuzz_base *b = ctx;

	b->used = realloc(b->used, (b->nr_used + 1) * sizeof(*b->used));
	b->used[b->nr_used++] = (struct fuzz_used){ place, kind };
}

static int cmp_used(const void *a, const void *b)
{
	const struct fuzz_used *x = a, *y = b;

	/* The superblock that counts is the first one, as it was found first. */
	if (x->kind != y->kind || x->kind == WALK_SUPER)
		return (int)x->kind - (int)y->kind;
	return x->place < y->place ? -1 : x->place > y->place;
}

static void say_what(const struct fuzz_base *b)
{
	const struct snapprot_core *core = &b->m->core;
	u32 i, inner = 0;

	if (!getenv("FUZZ_SAY"))
		return;
	for (i = b->first[WALK_NODE]; i < b->first[WALK_NODE + 1]; i++)
		inner += sim_peek(b->m->sim, b->used[i].place)[48];
	printf("# store %u:", fuzz_base_nr(b));
	for (i = 0; i < WALK_KINDS; i++)
		printf(" %u %s,", b->first[i + 1] - b->first[i], walk_words[i]);
	printf("\n# %u inner nodes, %u chunks, %u maps; levels:", inner,
	       core->nr_chunks, core->nr_maps);
	for (i = 1; i <= SNAPPROT_MAX_LEVEL; i++)
		printf(" %llu/%llu/%llu%s",
		       (unsigned long long)core->level[i].cur.nr_nodes,
		       (unsigned long long)core->level[i].next.nr_nodes,
		       (unsigned long long)core->level[i].up.nr_nodes,
		       core->level[i].merge ? "*" : "");
	printf("\n");
}

static void make_base(void *ctx)
{
	struct fuzz_base *b = ctx;
	u64 super;
	u32 i;

	unit_seed(b - bases + 1);
	b->m = make_store(b - bases);
	snapprot_store_evidence(&b->m->core, &b->ev);
	super = walk_super(b->m->sim);
	walk_store(b->m->sim, b->m->core.log.seq, add_used, b);
	for (i = 0; i < SNAPPROT_COPIES; i++)
		if (snapprot_super_place(i) != super)
			add_used(b, snapprot_super_place(i), WALK_SUPER);
	qsort(b->used, b->nr_used, sizeof(*b->used), cmp_used);
	for (i = b->nr_used; i--; )
		b->first[b->used[i].kind] = i;
	b->first[WALK_KINDS] = b->nr_used;
	for (i = WALK_KINDS; i--; )
		if (!b->first[i] && i)
			b->first[i] = b->first[i + 1];
	say_what(b);
}

const struct fuzz_base *fuzz_base(u32 nr)
{
	struct fuzz_base *b = &bases[nr % FUZZ_BASES];

	if (!b->m)
		fuzz_run(make_base, b);
	return b;
}

u32 fuzz_base_nr(const struct fuzz_base *base)
{
	return base - bases;
}
