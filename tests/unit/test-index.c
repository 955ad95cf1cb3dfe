// SPDX-License-Identifier: GPL-2.0-only
/* The index against a sorted array, through many checkpoints. */
#include <stdlib.h>

#include "sim.h"

static const u8 uuid[16] = "test of an index";

static struct sim *sim;
static struct snapprot_core core;
static struct snapprot_entry *model;
static u32 nr_model;
static u32 max_model;

static void open_store(u64 blocks)
{
	sim = sim_new(blocks);
	max_model = blocks;
	nr_model = 0;
	model = calloc(max_model, sizeof(*model));
	CHECK_EQ(snapprot_store_format(&sim->env, uuid,
				       SNAPPROT_MAX_BLOCKS * 4, blocks, 1, 0),
		 0);
	CHECK_EQ(snapprot_store_load(&core, &sim->env, blocks), 0);
	/* So that entries of any epoch pass the check. */
	core.epoch = ~0u;
	CHECK_EQ(snapprot_ckpt_freeze(&core), 0);
}

static void close_store(void)
{
	snapprot_store_exit(&core);
	sim_free(sim);
	free(model);
}

static void report(void *ctx, u64 block, const char *what)
{
	printf("# block %llu: %s\n", (unsigned long long)block, what);
}

/* End the checkpoint, look at all of it, and begin another. */
static void checkpoint(void)
{
	static const struct snapprot_check_ops ops = { .problem = report };

	CHECK_EQ(snapprot_ckpt_step(&core, 1), 0);
	CHECK_EQ(snapprot_ckpt_prepare(&core), 0);
	CHECK_EQ(snapprot_ckpt_write(&core), 0);
	CHECK_EQ(snapprot_ckpt_finish(&core), 0);
	CHECK_EQ(snapprot_store_check(&core, false, &ops, NULL), 0);
	CHECK_EQ(snapprot_ckpt_freeze(&core), 0);
	CHECK_EQ(sim->nr_held, 0);
}

/* The first entry of the model that is not below a key. */
static u32 model_search(u64 block, u32 epoch)
{
	u32 low = 0, high = nr_model;

	while (low < high) {
		u32 mid = (low + high) / 2;

		if (snapprot_key_cmp(model[mid].block, model[mid].epoch,
				     block, epoch) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void insert(u64 block, u32 epoch)
{
	struct snapprot_entry e = {
		.block = block, .epoch = epoch, .sum = unit_random(),
	};
	u32 i = model_search(block, epoch);

	if (i < nr_model && model[i].block == block &&
	    model[i].epoch == epoch) {
		e.place = model[i].place;
		CHECK_EQ(snapprot_index_insert(&core, &e), -EEXIST);
		return;
	}
	CHECK_EQ(snapprot_space_take_meta(&core, &e.place), 0);
	CHECK_EQ(snapprot_index_insert(&core, &e), 0);
	memmove(&model[i + 1], &model[i], (nr_model++ - i) * sizeof(e));
	model[i] = e;
}

/* Remove some entries of the leaf that a key belongs to. */
static void prune(u64 block, u32 epoch, u32 one_in)
{
	const struct snapprot_disk_node *n;
	struct snapprot_mask mask = { 0 };
	struct snapprot_bounds bounds;
	struct snapprot_buf buf;
	bool any = false;
	u32 i, at;

	if (!core.root)
		return;
	CHECK_EQ(snapprot_leaf_get(&core, block, epoch, &bounds, &buf), 0);
	n = buf.data;
	for (i = 0; i < le16_to_cpu(n->count); i++) {
		if (!unit_once_in(one_in))
			continue;
		snapprot_bit_set(mask.bits, i);
		any = true;
		at = model_search(le64_to_cpu(n->entry[i].block),
				  le32_to_cpu(n->entry[i].epoch));
		CHECK_EQ(model[at].place, le64_to_cpu(n->entry[i].place));
		memmove(&model[at], &model[at + 1],
			(--nr_model - at) * sizeof(*model));
	}
	sim->env.ops->put(&sim->env, &buf);
	if (any)
		CHECK_EQ(snapprot_index_prune(&core, block, epoch, &mask), 0);
}

static void find(u64 block, u32 epoch)
{
	u32 i = model_search(block, epoch);
	bool want = i < nr_model && model[i].block == block;
	struct snapprot_entry e;

	CHECK_EQ(snapprot_index_find(&core, block, epoch, &e), want);
	CHECK(!want || !memcmp(&e, &model[i], sizeof(e)));
}

static int walked(void *ctx, const struct snapprot_entry *e)
{
	u32 *i = ctx;

	CHECK(*i < nr_model && !memcmp(e, &model[*i], sizeof(*e)));
	++*i;
	return 0;
}

static void walk(u64 block)
{
	u32 i = model_search(block, 0);

	CHECK_EQ(snapprot_index_walk(&core, block, walked, &i), 0);
	CHECK_EQ(i, nr_model);
	CHECK_EQ(core.nr_entries, nr_model);
}

/* Keys of several kinds: dense, sparse, huge, and few blocks of many epochs. */
static u64 random_block(u32 kind)
{
	switch (kind) {
	case 0:
		return unit_below(3000);
	case 1:
		return unit_below(SNAPPROT_MAX_BLOCKS / 2 - 1);
	case 2:
		return unit_below(4) * (SNAPPROT_MAX_BLOCKS / 8);
	}
	return unit_below(200);
}

static u32 random_epoch(u32 kind)
{
	switch (kind) {
	case 0:
		return 1 + unit_below(5);
	case 1:
		return unit_random() | 1;
	case 2:
		return 1 + unit_below(5000);
	}
	return ~0u - unit_below(60);
}

static void random_ops(u32 kind, u32 ops)
{
	/* Times of growing and times of shrinking. */
	bool growing = true;
	u32 i;

	open_store(40000);
	for (i = 0; i < ops; i++) {
		u64 block = random_block(kind);
		u32 epoch = random_epoch(kind);

		if (unit_once_in(4000) || nr_model > 9000)
			growing = nr_model < 9000 && !growing;
		if (growing ? !unit_once_in(4) : unit_once_in(8))
			insert(block, epoch);
		else if (!growing || unit_once_in(200))
			prune(block, epoch, 1 + unit_below(20));
		find(block, epoch);
		find(random_block(kind), random_epoch(kind));
		if (unit_once_in(1500) || core.nr_free < 4000)
			checkpoint();
		if (unit_once_in(1500))
			walk(unit_once_in(2) ? 0 : block);
	}
	walk(0);
	while (nr_model) {
		prune(random_block(kind), random_epoch(kind), 1);
		if (core.nr_free < 4000)
			checkpoint();
	}
	checkpoint();
	checkpoint();
	CHECK(!core.root && !core.nr_nodes && !core.nr_entries);
	CHECK_EQ(core.nr_free, snapprot_allocatable(core.blocks) - 1 -
			       core.nr_ckpt_blocks);
	close_store();
}

static void dense_keys(void)
{
	random_ops(0, 20000);
}

static void huge_keys(void)
{
	random_ops(1, 20000);
}

static void many_epochs(void)
{
	random_ops(2, 20000);
}

static void last_epochs(void)
{
	random_ops(3, 20000);
}

/* Sequential keys must leave full nodes behind them. */
static void sequential_is_compact(void)
{
	u32 i;

	open_store(40000);
	for (i = 0; i < 16800; i++)
		insert(i, 7);
	walk(0);
	CHECK(core.nr_nodes <= 16800 / (SNAPPROT_NODE_ENTRIES - 1) + 4);
	checkpoint();
	for (i = 0; i < 16800; i++)
		find(i, unit_below(9));
	close_store();
}

static void descending(void)
{
	u32 i;

	open_store(40000);
	for (i = 16000; i; i--)
		insert(i, 7);
	walk(0);
	checkpoint();
	walk(5000);
	close_store();
}

/* Three levels, up and down again. */
static void deep(void)
{
	u32 i;

	open_store(100000);
	for (i = 0; i < 40000; i++)
		insert(i * 3, 7);
	CHECK_EQ(core.root_level, 2);
	for (i = 0; i < 1500; i++)
		insert(unit_below(120000), 1 + unit_below(9));
	walk(0);
	checkpoint();
	for (i = 0; i < 100; i++) {
		prune(unit_below(120000), 0, 1 + unit_below(3));
		find(unit_below(120000), unit_below(9));
	}
	checkpoint();
	walk(unit_below(120000));
	while (nr_model) {
		if (unit_once_in(100))
			checkpoint();
		prune(model[nr_model - 1].block, ~0u, 1 + unit_below(2));
	}
	CHECK(!core.root && !core.nr_nodes);
	checkpoint();
	close_store();
}

/* What the last superblock leads to is never written to. */
static void shadows(void)
{
	struct snapprot_core old;
	struct sim *copy;
	u32 count, i;

	open_store(20000);
	for (i = 0; i < 3000; i++)
		insert(random_block(0), random_epoch(0));
	checkpoint();
	count = nr_model;
	for (i = 0; i < 2000; i++) {
		insert(random_block(0), random_epoch(0));
		if (unit_once_in(20))
			prune(random_block(0), random_epoch(0), 3);
	}
	/* Everything reaches the disk but the superblock. */
	CHECK_EQ(sim->env.ops->commit(&sim->env), 0);
	copy = sim_clone(sim);
	CHECK_EQ(snapprot_store_load(&old, &copy->env, 20000), 0);
	CHECK_EQ(old.nr_entries, count);
	old.epoch = ~0u;
	CHECK_EQ(snapprot_store_check(&old, false, NULL, NULL), 0);
	snapprot_store_exit(&old);
	sim_free(copy);
	close_store();
}

static const struct unit_test tests[] = {
	UNIT_TEST(dense_keys),
	UNIT_TEST(huge_keys),
	UNIT_TEST(many_epochs),
	UNIT_TEST(last_epochs),
	UNIT_TEST(sequential_is_compact),
	UNIT_TEST(descending),
	UNIT_TEST(deep),
	UNIT_TEST(shadows),
};

UNIT_MAIN(tests)
