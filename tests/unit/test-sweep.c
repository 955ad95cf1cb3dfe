// SPDX-License-Identifier: GPL-2.0-only
/* What deleted snapshots alone needed goes away: all of it, and nothing else. */
#include "sim.h"

static const u8 uuid[16] = "test of a sweep";

static struct sim *sim;
static struct snapprot_core core;
static u8 header[SNAPPROT_BLOCK_SIZE];

static void open_store(u64 blocks)
{
	sim = sim_new(blocks);
	CHECK_EQ(snapprot_store_format(&sim->env, uuid, 80000000, blocks, 1, 0),
		 0);
	CHECK_EQ(snapprot_store_load(&core, &sim->env, blocks), 0);
}

static void close_store(void)
{
	snapprot_store_exit(&core);
	sim_free(sim);
}

static void reload(void)
{
	snapprot_store_exit(&core);
	sim_crash(sim);
	CHECK_EQ(snapprot_store_load(&core, &sim->env, sim->blocks), 0);
}

/* The content of the old blocks does not matter here. */
static void preserve(const u64 *block, u32 count)
{
	static const u8 data[SNAPPROT_BLOCK_SIZE];
	struct snapprot_entry e[SNAPPROT_LOG_ENTRIES];
	u64 places[SNAPPROT_LOG_ENTRIES];
	u32 i;

	CHECK_EQ(snapprot_log_reserve(&core, count, places), 0);
	for (i = 0; i < count; i++) {
		e[i].block = block[i];
		e[i].place = places[i];
		e[i].epoch = core.epoch;
		e[i].sum = snapprot_data_sum(data);
	}
	snapprot_log_encode_batch(&core, header, e, count);
	CHECK_EQ(sim_write(sim, core.log_block, header), 0);
	CHECK_EQ(sim_flush(sim), 0);
	CHECK_EQ(snapprot_log_commit(&core, header), 0);
}

static void record(enum snapprot_log_type type, u32 id, u32 epoch)
{
	struct snapprot_snap snap = {
		.id = id, .epoch = epoch, .sectors = 80000000,
	};

	CHECK_EQ(snapprot_log_reserve(&core, 0, NULL), 0);
	snapprot_log_encode_record(&core, header, type, &snap);
	CHECK_EQ(sim_write(sim, core.log_block, header), 0);
	CHECK_EQ(sim_flush(sim), 0);
	CHECK_EQ(snapprot_log_commit(&core, header), 0);
}

static void create(u32 id)
{
	record(SNAPPROT_LOG_CREATE, id, core.epoch + 1);
}

static void delete(u32 id)
{
	record(SNAPPROT_LOG_DELETE, id, snapprot_snap_find(&core, id)->epoch);
}

static void freeze_and_merge(void)
{
	int more;

	CHECK_EQ(snapprot_ckpt_freeze(&core), 0);
	do {
		more = snapprot_ckpt_step(&core, 500);
		CHECK(more >= 0);
	} while (more);
}

static void finish(void)
{
	CHECK_EQ(snapprot_ckpt_prepare(&core), 0);
	CHECK_EQ(snapprot_ckpt_write(&core), 0);
	CHECK_EQ(snapprot_ckpt_finish(&core), 0);
	CHECK_EQ(snapprot_store_check(&core, false, NULL, NULL), 0);
}

/* A checkpoint that sweeps as far as it can, @max entries at a time. */
static void checkpoint(u32 max)
{
	int more;

	freeze_and_merge();
	do {
		more = snapprot_ckpt_sweep(&core, max);
		CHECK(more >= 0);
	} while (more);
	finish();
}

/* What is unneeded and still in the log is not forgotten by the sweep. */
static void delete_after_freeze(void)
{
	u64 block = 5;

	open_store(2000);
	create(1);
	create(2);
	checkpoint(1);
	freeze_and_merge();
	preserve(&block, 1);
	delete(1);
	delete(2);
	CHECK_EQ(snapprot_ckpt_sweep(&core, 100), 0);
	CHECK(core.flags & SNAPPROT_SUPER_SWEEP);
	finish();
	CHECK(core.flags & SNAPPROT_SUPER_SWEEP);
	/* Neither here nor after a crash. */
	reload();
	CHECK(core.flags & SNAPPROT_SUPER_SWEEP);
	/* Now that a snapshot is there again, it has to be swept. */
	create(3);
	checkpoint(100);
	CHECK(!(core.flags & SNAPPROT_SUPER_SWEEP));
	CHECK_EQ(core.nr_entries, 0);
	CHECK_EQ(core.nr_free, snapprot_allocatable(2000) - 1 -
			       core.nr_ckpt_blocks);
	close_store();
}

/* Hundreds of versions of one block, over several leaves. */
static void long_run(void)
{
	const u32 versions = 700;
	u64 blocks[3] = { 8, 9, 10 };
	struct snapprot_entry e;
	u32 i;

	open_store(10000);
	for (i = 1; i <= versions; i++) {
		create(i);
		preserve(blocks, 3);
		if (i % 100 == 0)
			checkpoint(100);
	}
	CHECK_EQ(core.nr_entries, 3 * versions);
	/* Two neighbours of every three go. */
	for (i = 1; i <= versions; i++)
		if (i % 3)
			delete(i);
	checkpoint(1);
	CHECK(!(core.flags & SNAPPROT_SUPER_SWEEP));
	CHECK_EQ(core.nr_entries, 3 * (versions / 3));
	for (i = 3; i <= versions; i += 3) {
		u32 epoch = snapprot_snap_find(&core, i)->epoch;

		CHECK_EQ(snapprot_lookup(&core, 9, epoch, &e), 1);
		CHECK_EQ(e.epoch, epoch);
	}
	close_store();
}

/* The one version that two snapshots share goes with the second of them. */
static void shared(void)
{
	u64 blocks[2] = { 100, 101 };
	struct snapprot_entry e;

	open_store(2000);
	create(1);
	create(2);
	create(3);
	preserve(blocks, 2);
	checkpoint(10);
	delete(2);
	checkpoint(10);
	CHECK_EQ(core.nr_entries, 2);
	delete(3);
	checkpoint(10);
	CHECK_EQ(core.nr_entries, 2);
	CHECK_EQ(snapprot_lookup(&core, 101, 2, &e), 1);
	create(4);
	preserve(blocks, 1);
	checkpoint(10);
	CHECK_EQ(core.nr_entries, 3);
	delete(1);
	checkpoint(10);
	CHECK_EQ(core.nr_entries, 1);
	CHECK_EQ(snapprot_lookup(&core, 100, 1, &e), 1);
	CHECK_EQ(e.epoch, snapprot_snap_find(&core, 4)->epoch);
	CHECK_EQ(snapprot_lookup(&core, 101, 1, &e), 0);
	close_store();
}

/* Lost snapshots need nothing, but stay in the table. */
static void lost(void)
{
	u64 blocks[2] = { 100, 101 };

	open_store(2000);
	create(1);
	preserve(blocks, 2);
	create(2);
	preserve(blocks, 1);
	checkpoint(10);
	CHECK_EQ(core.nr_entries, 3);
	CHECK_EQ(snapprot_store_update(&core, 1, 0, core.epoch, 7), 0);
	create(3);
	checkpoint(1);
	CHECK_EQ(core.nr_entries, 0);
	CHECK_EQ(core.nr_snaps, 3);
	CHECK_EQ(snapprot_snaps_valid(&core), 1);
	close_store();
}

/* A round goes on where it was, through a crash. */
static void in_parts(void)
{
	u64 blocks[SNAPPROT_LOG_ENTRIES];
	u32 rounds = 0;
	u32 i, j;

	open_store(20000);
	create(1);
	for (i = 0; i < 40; i++) {
		for (j = 0; j < 100; j++)
			blocks[j] = (i * 100 + j) * 7;
		preserve(blocks, 100);
	}
	create(2);
	checkpoint(1);
	delete(1);
	while (core.flags & SNAPPROT_SUPER_SWEEP) {
		u64 left = core.nr_entries;
		u64 from = core.sweep_block;

		freeze_and_merge();
		snapprot_ckpt_sweep(&core, 300);
		finish();
		CHECK(core.nr_entries < left);
		CHECK(core.sweep_block > from ||
		      !(core.flags & SNAPPROT_SUPER_SWEEP));
		from = core.sweep_block;
		reload();
		CHECK_EQ(core.sweep_block, from);
		rounds++;
	}
	CHECK(rounds > 5);
	CHECK_EQ(core.nr_entries, 0);
	close_store();
}

/* Take all space with entries that split every leaf of a full index. */
static void worst_case(void)
{
	u64 blocks[SNAPPROT_LOG_ENTRIES];
	const u64 leaves = 14000;
	u64 next = 0;
	u32 room, i;
	bool first = true;

	open_store(20000);
	create(1);
	/* Full leaves first, as keys that come in order leave them. */
	while (next < leaves) {
		for (i = 0; i < 150; i++)
			blocks[i] = 100 * next++;
		preserve(blocks, 150);
		if (snapprot_log_full(&core))
			checkpoint(1);
	}
	checkpoint(1);
	/* Then everywhere in between, until nothing more is given. */
	for (;;) {
		room = snapprot_log_room(&core, SNAPPROT_LOG_ENTRIES);
		if (!room && first)
			break;
		first = !room;
		if (!room) {
			checkpoint(1);
			continue;
		}
		for (i = 0; i < room; i++, next++)
			blocks[i] = next * 7919 % leaves * 100 + 1 +
				    next / leaves;
		preserve(blocks, room);
	}
	/* Every checkpoint has found its space, and a record still does. */
	delete(1);
	checkpoint(1000);
	for (i = 0; i < 50 && (core.flags & SNAPPROT_SUPER_SWEEP); i++)
		checkpoint(1000);
	CHECK_EQ(core.nr_entries, 0);
	close_store();
}

static const struct unit_test tests[] = {
	UNIT_TEST(delete_after_freeze),
	UNIT_TEST(long_run),
	UNIT_TEST(shared),
	UNIT_TEST(lost),
	UNIT_TEST(in_parts),
	UNIT_TEST(worst_case),
};

UNIT_MAIN(tests)
