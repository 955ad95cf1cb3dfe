// SPDX-License-Identifier: GPL-2.0-only
/* Space: nothing twice, everything once, at every edge of a group. */
#include <stdlib.h>

#include "sim.h"

static const u8 uuid[16] = "test of space";

static const u64 sizes[] = {
	1024, 1025, 16383, 16384, 16385, 16391, 16392, 16393, 32767, 32768,
	32769, 32775, 32776, 40000, 3 * 16384 + 9,
};

static struct sim *sim;
static struct snapprot_core core;

static void open_store(u64 blocks)
{
	sim = sim_new(blocks);
	CHECK_EQ(snapprot_store_format(&sim->env, uuid, 1000000, blocks, 1, 0),
		 0);
	CHECK_EQ(snapprot_store_load(&core, &sim->env, blocks), 0);
}

static void close_store(void)
{
	snapprot_store_exit(&core);
	sim_free(sim);
}

/* How many blocks of a store can be taken, counted one by one. */
static u64 count_places(u64 blocks)
{
	u64 count = 0;
	u64 i;

	for (i = 0; i < blocks; i++) {
		u64 start = i / 16384 * 16384;

		if (i == 0 || i == 64 || i == start + 1)
			continue;
		if (blocks - start < 8)
			continue;
		count++;
		CHECK(snapprot_place_ok(blocks, i));
	}
	CHECK(!snapprot_place_ok(blocks, 0));
	CHECK(!snapprot_place_ok(blocks, 1));
	CHECK(!snapprot_place_ok(blocks, 64));
	CHECK(!snapprot_place_ok(blocks, blocks));
	CHECK(!snapprot_place_ok(blocks, ~0ull));
	return count;
}

static void geometry(void)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		CHECK_EQ(snapprot_allocatable(sizes[i]),
			 count_places(sizes[i]));
}

/* Take all there is, from anywhere; no block may come twice. */
static void fill_size(u64 blocks)
{
	u8 *taken = calloc(1, blocks);
	u64 left, block;
	u32 turn = 0;

	open_store(blocks);
	CHECK_EQ(core.nr_free, snapprot_allocatable(blocks) - 1);
	taken[core.log_block] = 1;
	core.data_cursor = unit_below(blocks);
	for (left = core.nr_free; left; left--) {
		bool meta = turn++ / 50 % 3 == 0;

		CHECK_EQ(meta ? snapprot_space_take_meta(&core, &block) :
				snapprot_space_take_data(&core, &block), 0);
		CHECK(snapprot_place_ok(blocks, block));
		CHECK(!taken[block]);
		taken[block] = 1;
		CHECK_EQ(core.nr_free, left - 1);
	}
	CHECK_EQ(snapprot_space_take_data(&core, &block), -ENOSPC);
	CHECK_EQ(snapprot_space_take_meta(&core, &block), -ENOSPC);
	CHECK_EQ(core.nr_groups, snapprot_group_count(blocks));
	close_store();
	free(taken);
}

static void fill(void)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		fill_size(sizes[i]);
}

/* In free space the log and the metadata run on without holes. */
static void contiguous(void)
{
	u64 block, last, meta = 0;
	u32 i, breaks = 0;

	open_store(40000);
	last = core.log_block;
	for (i = 0; i < 10000; i++) {
		CHECK_EQ(snapprot_space_take_data(&core, &block), 0);
		breaks += block != last + 1;
		last = block;
		if (i % 100)
			continue;
		CHECK_EQ(snapprot_space_take_meta(&core, &block), 0);
		breaks += meta && block != meta + 1;
		meta = block;
	}
	/* Two runs of metadata, each seen from both sides, and block 64. */
	CHECK(breaks <= 4);
	close_store();
}

static void checkpoint_begin(void)
{
	CHECK_EQ(snapprot_ckpt_freeze(&core), 0);
	CHECK_EQ(snapprot_ckpt_step(&core, 1), 0);
}

static void checkpoint_end(void)
{
	CHECK_EQ(snapprot_ckpt_prepare(&core), 0);
	CHECK_EQ(snapprot_ckpt_write(&core), 0);
	CHECK_EQ(snapprot_ckpt_finish(&core), 0);
}

/* What is freed is not taken before the checkpoint is durable. */
static void freed_is_kept(void)
{
	u64 blocks[300];
	u64 block, free_before;
	u32 i, j;

	open_store(1024);
	checkpoint_begin();
	for (i = 0; i < 300; i++)
		CHECK_EQ(snapprot_space_take_meta(&core, &blocks[i]), 0);
	for (i = 0; i < 300; i++)
		CHECK_EQ(snapprot_space_free(&core, blocks[i]), 0);
	CHECK_EQ(core.nr_freed, 300);
	free_before = core.nr_free;
	for (i = 0; i < 200; i++) {
		CHECK_EQ(snapprot_space_take_data(&core, &block), 0);
		for (j = 0; j < 300; j++)
			CHECK(block != blocks[j]);
	}
	CHECK_EQ(core.nr_free, free_before - 200);
	checkpoint_end();
	CHECK_EQ(core.nr_freed, 0);
	CHECK_EQ(core.nr_free, free_before + 300 - 200 - core.nr_ckpt_blocks);
	close_store();
}

/* Blocks that cannot be freed, and places that replay cannot mark. */
static void wrong_blocks(void)
{
	static const u64 bad[] = { 0, 1, 64, 16385, 20000, ~0ull };
	u64 fresh, block;
	u32 i;

	open_store(20000);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		CHECK_EQ(snapprot_space_free(&core, bad[i]), -EBADMSG);
		CHECK_EQ(snapprot_space_mark(&core, bad[i]), -EBADMSG);
	}
	/* Never taken; in a group that was never touched. */
	CHECK_EQ(snapprot_space_free(&core, 500), -EBADMSG);
	CHECK_EQ(snapprot_space_free(&core, 17000), -EBADMSG);
	/* Twice. */
	CHECK_EQ(snapprot_space_mark(&core, 500), 0);
	CHECK_EQ(snapprot_space_mark(&core, 500), -EBADMSG);
	CHECK_EQ(snapprot_space_take_meta(&core, &block), 0);
	CHECK_EQ(snapprot_space_free(&core, block), 0);
	CHECK_EQ(snapprot_space_free(&core, block), -EBADMSG);
	/* What the log has just taken is not a checkpoint's to free. */
	CHECK_EQ(snapprot_space_take_data(&core, &fresh), 0);
	CHECK_EQ(snapprot_space_free(&core, fresh), -EBADMSG);
	CHECK_EQ(snapprot_space_mark(&core, 17000), 0);
	CHECK_EQ(core.nr_groups, 2);
	close_store();
}

/* Groups come and go from memory with the checkpoints, and stay right. */
static void groups_go_home(void)
{
	u64 block, taken[40];
	u64 free_blocks;
	u32 i, round;

	open_store(5 * 16384);
	for (round = 0; round < 30; round++) {
		checkpoint_begin();
		for (i = 0; i < 40; i++) {
			core.meta_end = 0;
			core.data_cursor = unit_below(core.blocks);
			CHECK_EQ(snapprot_space_take_meta(&core, &taken[i]),
				 0);
		}
		checkpoint_end();
		checkpoint_begin();
		for (i = 0; i < 40; i++)
			CHECK_EQ(snapprot_space_free(&core, taken[i]), 0);
		checkpoint_end();
		checkpoint_begin();
		checkpoint_end();
		/* Those of the log and of the checkpoint itself. */
		CHECK(core.nr_loaded <= 3);
		free_blocks = core.nr_free;
		CHECK_EQ(snapprot_store_check(&core, true, NULL, NULL), 0);
		snapprot_store_exit(&core);
		sim_crash(sim);
		CHECK_EQ(snapprot_store_load(&core, &sim->env, sim->blocks),
			 0);
		CHECK_EQ(core.nr_free, free_blocks);
		CHECK_EQ(snapprot_store_check(&core, true, NULL, NULL), 0);
		core.data_cursor = unit_below(core.blocks);
		CHECK_EQ(snapprot_space_take_meta(&core, &block), 0);
		checkpoint_begin();
		CHECK_EQ(snapprot_space_free(&core, block), 0);
		checkpoint_end();
	}
	close_store();
}

static const struct unit_test tests[] = {
	UNIT_TEST(geometry),
	UNIT_TEST(fill),
	UNIT_TEST(contiguous),
	UNIT_TEST(freed_is_kept),
	UNIT_TEST(wrong_blocks),
	UNIT_TEST(groups_go_home),
};

UNIT_MAIN(tests)
