// SPDX-License-Identifier: GPL-2.0-only
/*
 * Properties: random operations on small stores, with crashes anywhere, against
 * the model. After every crash the store must load, its check must find nothing,
 * and every snapshot must be what it was.
 */
#include <stdlib.h>

#include "model.h"
#include "property.h"

static const u64 sizes[] = {
	1024, 1024, 1024, 1031, 1500, 2048, 4000, 16383, 16384, 16391, 16392,
	16393, 32767, 32768 + 100,
};

static struct model *random_model(void)
{
	static const u64 strides[] = { 1, 1, 3, 1000, (1ull << 38) + 1 };
	struct model *m;

	m = model_new(sizes[unit_below(ARRAY_SIZE(sizes))],
		      40 + unit_below(500),
		      strides[unit_below(ARRAY_SIZE(strides))]);
	m->precise = !unit_once_in(3);
	return m;
}

/* Out of space: a checkpoint, and if that is not enough something must go. */
static int make_room(struct model *m)
{
	int err = model_checkpoint(m);

	if (err || snapprot_log_room(&m->core, 1))
		return err;
	if (m->nr_snaps && !unit_once_in(8))
		err = model_delete(m, unit_once_in(2) ? 0 :
				      unit_below(m->nr_snaps));
	else if (m->phase < MODEL_WRITE)
		err = model_update(m, true);
	return err ? err : model_checkpoint(m);
}

static int grow(struct model *m)
{
	u64 blocks = m->sim->blocks + unit_below(3000);

	if (blocks > 40000)
		return 0;
	sim_resize(m->sim, blocks);
	CHECK_EQ(snapprot_store_grow(&m->core, blocks), 0);
	return 0;
}

static const char *what_words(u32 what)
{
	static const struct {
		u32 below;
		const char *words;
	} all[] = {
		{ 45, "write" }, { 52, "create" }, { 56, "delete" },
		{ 88, "part of a checkpoint" }, { 91, "checkpoint" },
		{ 93, "superblock" }, { 95, "grow or load" },
	};
	u32 i;

	for (i = 0; i < ARRAY_SIZE(all); i++)
		if (what < all[i].below)
			return all[i].words;
	return "nothing";
}

static int random_op(struct model *m)
{
	u32 what = unit_below(100);
	int err;

	property_say("%s", what_words(what));
	if (what < 45) {
		err = model_write(m, 1 + unit_below(unit_once_in(3) ? 60 : 6));
		return err == -ENOSPC ? make_room(m) : err;
	}
	if (what < 52)
		return model_create(m);
	if (what < 56)
		return m->nr_snaps ?
			model_delete(m, unit_below(m->nr_snaps)) : 0;
	if (what < 88)
		return model_checkpoint_tick(m);
	if (what < 91)
		return model_checkpoint(m);
	if (what < 93)
		return model_update(m, unit_once_in(20));
	if (what < 94 && unit_once_in(10))
		return grow(m);
	if (what < 95)
		model_reload(m, unit_once_in(2));
	return 0;
}

/*
 * In the end delete everything: not one block may stay in use, but the place of
 * the next header and the last checkpoint itself.
 */
static void drain(struct model *m)
{
	struct snapprot_core *core = &m->core;
	u32 i;

	while (m->nr_snaps)
		CHECK_EQ(model_delete(m, unit_below(m->nr_snaps)), 0);
	for (i = 0; i < 40 && (core->flags & SNAPPROT_SUPER_SWEEP); i++)
		CHECK_EQ(model_checkpoint(m), 0);
	CHECK(!(core->flags & SNAPPROT_SUPER_SWEEP));
	CHECK_EQ(model_checkpoint(m), 0);
	CHECK_EQ(core->root, 0);
	CHECK_EQ(core->nr_entries, 0);
	CHECK_EQ(core->nr_nodes, 0);
	CHECK_EQ(core->nr_free, snapprot_allocatable(core->blocks) - 1 -
				core->nr_ckpt_blocks);
	model_check(m, true);
}

/* Compare in the middle of things, without a crash. */
static void look_around(struct model *m)
{
	long fuse = m->sim->fuse;

	/* What is looked at may be written back, but nothing dies of it. */
	m->sim->fuse = -1;
	if (unit_once_in(60))
		model_verify(m);
	if (m->phase == MODEL_IDLE && unit_once_in(20)) {
		model_check(m, unit_once_in(4));
		if (m->precise && !(m->core.flags & SNAPPROT_SUPER_SWEEP))
			model_check_swept(m);
	}
	m->sim->fuse = fuse;
}

static void *start(void)
{
	return random_model();
}

static void op(void *ctx)
{
	struct model *m = ctx;

	if (m->sim->fuse < 0 && unit_once_in(25))
		m->sim->fuse = 1 + unit_below(unit_once_in(2) ? 12 : 150);
	if (random_op(m) || m->sim->dead) {
		property_say("crash");
		property_count(0);
		model_reload(m, true);
	} else {
		look_around(m);
	}
}

static void end(void *ctx)
{
	struct model *m = ctx;

	m->sim->fuse = -1;
	if (m->phase != MODEL_IDLE)
		CHECK_EQ(model_checkpoint(m), 0);
	model_verify(m);
	drain(m);
	model_free(m);
}

static void crash_anywhere(void)
{
	static const char * const counts[] = { "crashes", NULL };
	static const struct property p = {
		.name = "crash_anywhere",
		.start = start, .op = op, .end = end, .counts = counts,
	};

	const char *rounds = getenv("CRASH_ROUNDS");

	property_check(&p, rounds ? (u32)atoi(rounds) : unit_rounds(20), 600);
}

static const struct unit_test tests[] = {
	UNIT_TEST(crash_anywhere),
};

UNIT_MAIN(tests)
