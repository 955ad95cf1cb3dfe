// SPDX-License-Identifier: GPL-2.0-only
/*
 * Damaged stores: whatever is wrong, every call must return, and where the
 * checksums could tell, nothing wrong may be read.
 */
#include <unistd.h>

#include "model.h"

/* A store with a tree, snapshots, deleted ones, and a log; all of it durable. */
static struct model *make_store(void)
{
	struct model *m = model_new(3000, 200, 1);
	u32 i;

	m->core.data_cursor = 100;
	for (i = 0; i < 120; i++) {
		if (i % 8 == 0)
			CHECK_EQ(model_create(m), 0);
		CHECK_EQ(model_write(m, 1 + unit_below(15)), 0);
		if (i % 30 == 17)
			CHECK_EQ(model_delete(m, unit_below(m->nr_snaps)), 0);
		if (i % 25 == 24)
			CHECK_EQ(model_checkpoint(m), 0);
	}
	CHECK_EQ(model_create(m), 0);
	CHECK_EQ(sim_flush(m->sim), 0);
	return m;
}

/* A block that something is in, superblocks and all. */
static u64 random_block(const struct sim *sim)
{
	u64 block;

	do {
		block = unit_below(sim->blocks);
		if (unit_once_in(20))
			block = unit_below(2) * 64 + unit_below(2);
	} while (!sim->current[block]);
	return block;
}

static bool is_metadata(const u8 *block)
{
	return !memcmp(block + 1, "SPS", 3) || !memcmp(block, "SSP", 3);
}

static void damage(u8 *block, bool reseal)
{
	u32 changes = 1 + unit_below(3);

	while (changes--) {
		/* Where the fields are, more often. */
		u32 at = unit_below(unit_once_in(2) ? 260 : 4096);

		if (unit_once_in(2))
			block[at] ^= 1 << unit_below(8);
		else if (at < 4096 - 8 && unit_once_in(2))
			memset(block + at, unit_once_in(2) ? 0 : 0xff, 8);
		else
			block[at] = unit_random();
	}
	if (reseal && is_metadata(block))
		snapprot_block_seal(block);
}

static void ignore_problem(void *ctx, u64 block, const char *what)
{
	CHECK(what && *what);
}

static const struct snapprot_check_ops quiet = { .problem = ignore_problem };

static int ignore_entry(void *ctx, const struct snapprot_entry *e)
{
	u32 *count = ctx;

	++*count;
	return 0;
}

/* Do a bit of everything; errors are right, hanging and crashing is not. */
static void exercise(struct snapprot_core *core)
{
	struct snapprot_entry e;
	u32 count = 0;
	u64 places[SNAPPROT_LOG_ENTRIES];
	u32 room;
	u32 i;
	int err;

	snapprot_store_check(core, true, &quiet, NULL);
	snapprot_index_walk(core, unit_below(200), ignore_entry, &count);
	CHECK(count <= core->blocks);
	for (i = 0; i < 50; i++)
		snapprot_lookup(core, unit_below(250), unit_below(20), &e);

	snapprot_sweep_start(core);
	err = snapprot_ckpt_freeze(core);
	while (!err && (err = snapprot_ckpt_step(core, 100)) == 1)
		err = 0;
	while (!err && (err = snapprot_ckpt_sweep(core, 100)) == 1)
		err = 0;
	room = snapprot_log_room(core, SNAPPROT_LOG_ENTRIES);
	if (!err && room)
		err = snapprot_log_reserve(core, room, places);
	if (!err)
		err = snapprot_ckpt_prepare(core);
	if (!err)
		err = snapprot_ckpt_write(core);
	if (!err)
		err = snapprot_ckpt_finish(core);
	if (!err)
		snapprot_store_check(core, true, &quiet, NULL);
}

/* Damage with correct checksums, so that it is the rules that must hold. */
static void resealed(void)
{
	struct model *m = make_store();
	u32 rounds = unit_rounds(400);
	u32 i, loaded = 0;

	for (i = 0; i < rounds; i++) {
		struct sim *sim = sim_clone(m->sim);
		struct snapprot_core core;
		u32 blocks = 1 + unit_below(3);

		alarm(60);
		while (blocks--)
			damage(sim_block(sim, random_block(sim)), true);
		if (!snapprot_store_load(&core, &sim->env, sim->blocks)) {
			loaded++;
			exercise(&core);
		}
		CHECK_EQ(sim->nr_held, 0);
		snapprot_store_exit(&core);
		sim_free(sim);
	}
	alarm(0);
	CHECK(loaded);
	model_free(m);
}

/* May this be read as the model has it? False if it is an error at least. */
static bool read_right(struct model *m, struct snapprot_core *core,
		       struct sim *sim, const struct model_snap *snap,
		       u32 index)
{
	u8 want[SNAPPROT_BLOCK_SIZE], *got;
	struct snapprot_entry e, good;
	int found;

	found = snapprot_lookup(core, index, snap->epoch, &e);
	if (found < 0)
		return false;
	if (!found) {
		CHECK_EQ(m->origin[index], snap->content[index]);
		return true;
	}
	got = sim_block(sim, e.place);
	if (snapprot_data_sum(got) != e.sum)
		return false;
	CHECK_EQ(snapprot_lookup(&m->core, index, snap->epoch, &good), 1);
	memcpy(want, sim_block(m->sim, good.place), sizeof(want));
	CHECK(!memcmp(got, want, sizeof(want)));
	return true;
}

/*
 * Damage that checksums see, anywhere but in the last step of the log (here a
 * record): that cannot be told from a step that was never finished.
 */
static void never_wrong(void)
{
	struct model *m = make_store();
	u32 rounds = unit_rounds(120);
	u32 i, j, b, right = 0, wrong = 0, refused = 0;
	u64 last = m->core.headers[m->core.nr_headers - 1];

	/* Few blocks are such that loading refuses: go on until one was hit. */
	for (i = 0; i < rounds || (!refused && i < 50 * rounds); i++) {
		struct sim *sim = sim_clone(m->sim);
		struct snapprot_core core;
		u64 block;

		alarm(60);
		do {
			block = random_block(sim);
		} while (block == last);
		damage(sim_block(sim, block), false);
		if (snapprot_store_load(&core, &sim->env, sim->blocks)) {
			refused++;
		} else {
			CHECK_EQ(core.nr_snaps, m->nr_snaps);
			for (j = 0; j < m->nr_snaps; j++)
				for (b = 0; b < m->nr_blocks; b++)
					if (read_right(m, &core, sim,
						       &m->snap[j], b))
						right++;
					else
						wrong++;
			exercise(&core);
		}
		CHECK_EQ(sim->nr_held, 0);
		snapprot_store_exit(&core);
		sim_free(sim);
	}
	alarm(0);
	CHECK(right && wrong && refused);
	model_free(m);
}

/* What the check is for: each kind of damage that loading lets pass. */
static void check_finds(void)
{
	struct model *m = make_store();
	struct snapprot_core core;
	struct snapprot_entry e;
	struct snapprot_group *g;
	struct sim *sim;
	u64 place;
	u32 i, bit;

	for (i = 0; i < 7; i++) {
		sim = sim_clone(m->sim);
		CHECK_EQ(snapprot_store_load(&core, &sim->env, sim->blocks), 0);
		CHECK_EQ(snapprot_store_check(&core, true, &quiet, NULL), 0);
		g = snapprot_group_find(&core, 0);
		place = core.root;
		bit = place;
		switch (i) {
		case 0:	/* in use, marked free */
			snapprot_bit_clear((u8 *)g->used, bit);
			core.nr_free++;
			break;
		case 1:	/* without owner */
			CHECK_EQ(snapprot_space_take_meta(&core, &place), 0);
			break;
		case 2:
			core.nr_free--;
			break;
		case 3:
			core.nr_nodes++;
			break;
		case 4:
			core.nr_entries--;
			break;
		case 5:	/* two owners */
			core.active.entry[0].place = core.log_block;
			break;
		case 6:	/* old data */
			e = core.active.entry[0];
			sim_block(sim, e.place)[77]++;
			CHECK_EQ(snapprot_store_check(&core, false, &quiet,
						      NULL), 0);
			break;
		}
		CHECK(snapprot_store_check(&core, true, &quiet, NULL) > 0);
		snapprot_store_exit(&core);
		sim_free(sim);
	}
	model_free(m);
}

static const struct unit_test tests[] = {
	UNIT_TEST(resealed),
	UNIT_TEST(never_wrong),
	UNIT_TEST(check_finds),
};

UNIT_MAIN(tests)
