// SPDX-License-Identifier: GPL-2.0-only
/*
 * Maps of what was written in an epoch, against arrays of bits: made, joined when a
 * snapshot between them is deleted, dropped with the oldest one, through checkpoints,
 * crashes and reloads.
 */
#include "model.h"

#define BLOCKS		4096u	/* of the origin */
#define EPOCHS		40u

static const u8 uuid[16] = "test of maps";

static struct sim *sim;
static struct snapprot_core core;
/* What was written, by epoch; and whether its map is durable. */
static bool written[EPOCHS + 2][BLOCKS];
static u32 mapped[EPOCHS + 2];

/* The environment may be one that does not wait. */
#define RETRY(call) MODEL_RETRY(call)

static void checkpoint(void)
{
	CHECK_EQ(snapprot_ckpt_freeze(&core), 0);
	while (RETRY(snapprot_ckpt_step(&core, 7)) > 0)
		;
	CHECK_EQ(RETRY(snapprot_ckpt_prepare(&core)), 0);
	CHECK_EQ(snapprot_ckpt_write(&core), 0);
	CHECK_EQ(snapprot_ckpt_finish(&core), 0);
}

static void merge(void)
{
	int ret;

	while (snapprot_merge_due(&core)) {
		ret = RETRY(snapprot_merge_step(&core, 5));
		if (ret == -ENOSPC)
			checkpoint();
		else
			CHECK(ret >= 0);
		if (unit_once_in(20))
			checkpoint();
	}
}

static void record(enum snapprot_log_type type, u32 id, u32 epoch)
{
	static u8 header[SNAPPROT_BLOCK_SIZE];
	struct snapprot_snap snap = {
		.id = id, .epoch = epoch, .time = 5, .sectors = BLOCKS * 8,
	};

	RETRY(snapprot_log_refill(&core));
	CHECK_EQ(snapprot_log_reserve(&core, 0, NULL), 0);
	snapprot_log_encode_record(&core, header, type, &snap);
	CHECK_EQ(sim_write(sim, core.log.block, header), 0);
	CHECK_EQ(sim_flush(sim), 0);
	CHECK_EQ(snapprot_log_commit(&core, header), 0);
}

/* Something of every kind: single blocks, neighbours, long ranges, all, nothing. */
static void write_some(bool *bits)
{
	u32 n = (u32)unit_below(40), i, from, count;

	memset(bits, 0, BLOCKS);
	while (n--) {
		from = (u32)unit_below(BLOCKS);
		count = 1 + (u32)unit_below(unit_once_in(4) ? 600 : 3);
		for (i = from; i < from + count && i < BLOCKS; i++)
			bits[i] = true;
	}
	if (unit_once_in(30))
		memset(bits, 1, BLOCKS);
}

static int make_map(u32 epoch)
{
	const bool *bits = written[epoch];
	u32 i, n;
	int err;

	err = snapprot_map_begin(&core, epoch);
	if (err)
		return err;
	for (i = 0; i < BLOCKS; i += n) {
		n = 1;
		if (!bits[i])
			continue;
		while (i + n < BLOCKS && bits[i + n] && !unit_once_in(50))
			n++;
		err = RETRY(snapprot_map_add(&core, i, n));
		CHECK_EQ(err, 0);
		if (unit_once_in(40))
			checkpoint();
	}
	CHECK_EQ(RETRY(snapprot_map_end(&core)), 0);
	return 0;
}

/* All that is known between two snapshots is right, and known where it has to be. */
static void check_changed(u32 from, u32 to)
{
	bool has[BLOCKS] = { false };
	bool known = true;
	u64 block = 0;
	u32 i, j;

	for (i = from; i < to && i < core.epoch; i++)
		known &= mapped[i];
	while (block != ~(u64)0) {
		struct snapprot_range r[3];
		int n = RETRY(snapprot_changed(&core, from, to, &block, r,
					       1 + (u32)unit_below(3)));

		if (n == -ENODATA) {
			CHECK(!known);
			return;
		}
		CHECK(n >= 0);
		for (j = 0; j < (u32)n; j++)
			for (i = (u32)r[j].start; i < r[j].end; i++) {
				CHECK(i < BLOCKS);
				CHECK(!has[i]);
				has[i] = true;
			}
	}
	for (i = 0; i < BLOCKS; i++) {
		bool was = false;

		for (j = from; j < to && j < core.epoch; j++)
			was |= written[j][i];
		CHECK_EQ(was, has[i]);
	}
}

static void check_all(void)
{
	u32 i, j;

	for (i = 0; i < core.nr_snaps; i++) {
		for (j = i + 1; j < core.nr_snaps; j++)
			check_changed(core.snaps[i].epoch, core.snaps[j].epoch);
		check_changed(core.snaps[i].epoch, core.epoch + 1);
	}
}

static void reload(bool crash)
{
	u32 i, j;

	snapprot_store_exit(&core);
	if (crash)
		sim_crash(sim);
	else
		sim_drop_cache(sim);
	CHECK_EQ(snapprot_store_load(&core, &sim->env, sim->blocks, NULL), 0);
	CHECK_EQ(snapprot_store_update(&core, core.generation + 1, 0, 0, 0), 0);
	CHECK_EQ(snapprot_store_check(&core, true, NULL, NULL), 0);
	/* What no checkpoint has is not known any more. */
	for (i = 1; i < core.epoch; i++) {
		mapped[i] = false;
		for (j = 0; j < core.nr_maps; j++)
			mapped[i] |= core.map[j].min_epoch <= i &&
				     core.map[j].max_epoch >= i;
	}
}

static void random_life(bool async)
{
	struct snapprot_format f = {
		.uuid = uuid, .secret = (const u8 *)"0123456789abcdef",
		.store_id = (const u8 *)"this very store.",
		.origin_sectors = BLOCKS * 8, .blocks = 8192,
	};
	u32 epoch, i;

	sim = sim_new(f.blocks);
	sim->lazy = unit_once_in(2);
	CHECK_EQ(snapprot_store_format(&sim->env, &f), 0);
	CHECK_EQ(snapprot_store_load(&core, &sim->env, f.blocks, NULL), 0);
	memset(mapped, 0, sizeof(mapped));
	record(SNAPPROT_LOG_CREATE, 2, 2);
	for (epoch = 2; epoch < EPOCHS; epoch++) {
		sim->async = async;
		write_some(written[epoch]);
		record(SNAPPROT_LOG_CREATE, epoch + 1, epoch + 1);
		if (!unit_once_in(10))
			mapped[epoch] = !make_map(epoch);
		if (unit_once_in(3) && core.nr_snaps > 1) {
			i = (u32)unit_below(core.nr_snaps);
			record(SNAPPROT_LOG_DELETE, core.snaps[i].id,
			       core.snaps[i].epoch);
		}
		if (unit_once_in(2))
			merge();
		if (unit_once_in(3))
			check_all();
		sim->async = false;
		if (unit_once_in(4))
			checkpoint();
		if (unit_once_in(5))
			reload(unit_once_in(2));
	}
	merge();
	check_all();
	/* No more maps than there are snapshots, and none when none is left. */
	CHECK(core.nr_maps <= core.nr_snaps + EPOCHS / 4);
	while (core.nr_snaps)
		record(SNAPPROT_LOG_DELETE, core.snaps[0].id,
		       core.snaps[0].epoch);
	merge();
	checkpoint();
	CHECK_EQ(core.nr_maps, 0);
	merge();
	checkpoint();
	checkpoint();
	CHECK(snapprot_space_used(&core) <= 2);
	reload(false);
	snapprot_store_exit(&core);
	sim_free(sim);
}

static void changed_blocks(void)
{
	u32 i;

	for (i = unit_rounds(12); i; i--)
		random_life(false);
}

static void changed_blocks_async(void)
{
	u32 i;

	for (i = unit_rounds(12); i; i--)
		random_life(true);
}

static const struct unit_test tests[] = {
	UNIT_TEST(changed_blocks),
	UNIT_TEST(changed_blocks_async),
};

UNIT_MAIN(tests)
