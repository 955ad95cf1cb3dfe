// SPDX-License-Identifier: GPL-2.0-only
/*
 * Properties: random operations on small stores, with crashes anywhere, against
 * the model. After every crash the store must load, its check must find nothing,
 * and every snapshot must be what it was.
 */
#include <stdlib.h>

#include "damage.h"
#include "property.h"

static const u64 sizes[] = {
	1024, 1024, 1024, 1031, 1500, 2048, 4000, 8000, 32767, 32768,
	32768 + 63, 32768 + 64, 32768 + 500, 70000, 129 * 32768ull + 100,
	3000000000ull,
};

enum counts { CRASHES, FULL, LOADS, REFUSED, DAMAGED };

static const char *const count_words[] = {
	"crashes", "times full", "loads", "lost steps found", "damaged blocks",
	NULL
};

/* Small tables, so that a few entries are enough for levels and merges. */
static void random_tune(struct snapprot_tune *tune)
{
	static const u32 tables[] = { 32, 64, 64, 128, 500, 0 };
	static const u32 freezes[] = { 8, 16, 16, 64, 0 };
	static const u32 zones[] = { 16, 24, 24, 60, 200, 0 };

	tune->table = tables[unit_below(ARRAY_SIZE(tables))];
	tune->fanout = unit_once_in(6) ? 0 : 2 + unit_below(3);
	tune->freeze = freezes[unit_below(ARRAY_SIZE(freezes))];
	tune->zone = zones[unit_below(ARRAY_SIZE(zones))];
}

static void *start(bool async)
{
	static const u64 strides[] = { 1, 1, 3, 1000, (1ull << 36) + 1 };
	struct snapprot_tune tune;
	struct model *m;

	random_tune(&tune);
	m = model_new(sizes[unit_below(ARRAY_SIZE(sizes))],
		      40 + unit_below(unit_once_in(4) ? 2500 : 500),
		      strides[unit_below(ARRAY_SIZE(strides))], &tune);
	property_say("store of %llu blocks, tables of %u, ratio %u, freeze at %u, zones of %u",
		     (unsigned long long)m->sim->blocks, tune.table,
		     tune.fanout, tune.freeze, tune.zone);
	m->precise = !unit_once_in(3);
	m->async = async;
	m->sim->async = async;
	return m;
}

static void *start_sync(void)
{
	return start(false);
}

static void *start_async(void)
{
	return start(true);
}

/* Out of space: merge, make a checkpoint, and if all that is not enough
 * something must go, or the write is refused.
 */
static int make_room(struct model *m)
{
	u32 i;
	int err;

	for (i = 0; i < 8; i++) {
		err = model_merge(m, 1 + unit_below(300));
		if (!err)
			break;
		if (err != 1 && err != -ENOSPC)
			return err;
	}
	err = model_checkpoint(m);
	if (!err)
		err = model_refill(m);
	if (err || snapprot_log_room(&m->core, 1))
		return err;
	property_count(FULL);
	property_say("full");
	if (unit_once_in(3))
		return 0;
	if (m->nr_snaps && !unit_once_in(8))
		return model_delete(m, unit_once_in(2) ? 0 :
				       unit_below(m->nr_snaps));
	return model_update(m, true);
}

static int grow(struct model *m)
{
	u64 blocks = m->sim->blocks + unit_below(3000);

	if (m->phase >= MODEL_WRITE)
		return 0;
	sim_resize(m->sim, blocks);
	CHECK_EQ(MODEL_RETRY(snapprot_store_grow(&m->core, blocks)), 0);
	return 0;
}

/* ---- steps that the device loses --------------------------------------- */

struct steps {
	u64 place[64];		/* of headers, the last ones */
	u32 count;
};

static void find_step(void *ctx, u64 place, enum walk_kind kind)
{
	struct steps *s = ctx;

	if (kind == WALK_LOG)
		s->place[s->count++ % ARRAY_SIZE(s->place)] = place;
}

static u64 known_durable(const struct model *m, const struct steps *s)
{
	const struct snapprot_disk_super *super =
		(const void *)sim_peek(m->sim, walk_super(m->sim));
	u64 known = le64_to_cpu(super->fence_seq);
	const struct snapprot_disk_log *last;

	if (!s->count)
		return known;
	last = (const void *)sim_peek(m->sim, s->place[(s->count - 1) %
						       ARRAY_SIZE(s->place)]);
	if (le64_to_cpu(last->durable_seq) > known)
		known = le64_to_cpu(last->durable_seq);
	return known;
}

/* F6: in a copy of the device one header of the log is not what was written. */
static void lose_step(struct model *m)
{
	struct steps s = { .count = 0 };
	const struct snapprot_disk_log *l;
	struct snapprot_core core;
	struct sim *sim;
	u64 place, seq;
	int err;

	walk_store(m->sim, m->core.log.seq, find_step, &s);
	if (!s.count)
		return;
	place = s.place[unit_below(snapprot_min(s.count,
						ARRAY_SIZE(s.place)))];
	l = (const void *)sim_peek(m->sim, place);
	seq = le64_to_cpu(l->h.seq);
	sim = sim_clone(m->sim);
	sim->async = false;
	switch (unit_below(3)) {
	case 0:
		memset(sim_block(sim, place), 0, SNAPPROT_BLOCK_SIZE);
		break;
	case 1:
		sim_block(sim, place)[unit_below(4096)] ^= 1 << unit_below(8);
		break;
	case 2:
		if (sim_older(sim, place))
			memcpy(sim_block(sim, place), sim_older(sim, place),
			       SNAPPROT_BLOCK_SIZE);
		else
			sim_break(sim, place, true);
		break;
	}
	err = snapprot_store_load(&core, &sim->env, sim->blocks, NULL);
	if (seq <= known_durable(m, &s)) {
		CHECK(err == -EBADMSG || err == -EIO);
		property_count(REFUSED);
	} else if (!err) {
		CHECK(core.log.seq <= seq);
	} else {
		CHECK(err == -EBADMSG || err == -EIO);
	}
	snapprot_store_exit(&core);
	sim_free(sim);
}

/* Damage to one block of a copy: never is anything wrong read there. */
static void damage_copy(struct model *m)
{
	struct damage_blocks all = damage_find(m);
	struct damage_tally t = { 0 };
	struct sim *sim = sim_clone(m->sim);
	enum damage how = unit_below(NR_DAMAGES);
	u32 n, tries = 0;

	sim->async = false;
	/* Of old data there is so much that it would mostly be that. */
	do {
		n = unit_below(all.count);
	} while (tries++ < 100 && (all.b[n].kind == WALK_DATA ||
				   all.b[n].kind == WALK_LOG_DATA));
	if (damage_do(sim, &all, n, how)) {
		damage_look(m, sim, &all.b[n], how, 5, &t);
		property_count(DAMAGED);
	}
	free(all.b);
	sim_free(sim);
}

/* ---- operations --------------------------------------------------------- */

enum what {
	WRITE, CREATE, DELETE, SET, SEAL, REFILL, MERGE, TICK, CHECKPOINT,
	UPDATE, LOSE, SCAN, GROW, RELOAD, LOSE_STEP, DAMAGE, MAP, CHANGED,
	NOTHING
};

static const struct {
	const char *words;
	u32 share;	/* of 1000 */
} whats[] = {
	[WRITE] = { "write", 344 },
	[CREATE] = { "create", 60 },
	[DELETE] = { "delete", 40 },
	[SET] = { "set", 15 },
	[SEAL] = { "seal", 25 },
	[REFILL] = { "refill", 30 },
	[MERGE] = { "merge", 150 },
	[TICK] = { "part of a checkpoint", 220 },
	[CHECKPOINT] = { "checkpoint", 25 },
	[UPDATE] = { "superblock", 10 },
	[LOSE] = { "lose", 1 },
	[SCAN] = { "scan", 5 },
	[GROW] = { "grow", 3 },
	[RELOAD] = { "load", 8 },
	[LOSE_STEP] = { "a step is lost", 8 },
	[DAMAGE] = { "a block is damaged", 6 },
	[MAP] = { "part of a map", 40 },
	[CHANGED] = { "what has changed", 10 },
	[NOTHING] = { "nothing", 0 },
};

static int do_op(struct model *m, enum what what)
{
	int err;

	switch (what) {
	case WRITE:
		err = model_write(m, 1 + unit_below(!unit_once_in(3) ? 6 :
						    unit_once_in(8) ? 300 :
								      60));
		return err == -ENOSPC ? make_room(m) : err;
	case CREATE:
		return model_create(m);
	case DELETE:
		return m->nr_snaps ?
			model_delete(m, unit_below(m->nr_snaps)) : 0;
	case SET:
		return m->nr_snaps ?
			model_set(m, unit_below(m->nr_snaps)) : 0;
	case SEAL:
		return model_seal(m);
	case REFILL:
		return model_refill(m);
	case MERGE:
		err = model_merge(m, 1 + unit_below(unit_once_in(3) ? 2000 :
								      100));
		return err == -EIO ? err : 0;
	case TICK:
		return model_checkpoint_tick(m);
	case CHECKPOINT:
		return model_checkpoint(m);
	case UPDATE:
		return model_update(m, false);
	case LOSE:
		return model_update(m, true);
	case SCAN:
		return model_scan(m);
	case GROW:
		return grow(m);
	case RELOAD:
		property_count(LOADS);
		model_reload(m, unit_once_in(2));
		return 0;
	case LOSE_STEP:
		if (m->sim->fuse < 0)
			lose_step(m);
		return 0;
	case DAMAGE:
		if (m->sim->fuse < 0)
			damage_copy(m);
		return 0;
	case MAP:
		return model_map_tick(m);
	case CHANGED:
		return model_check_changed(m);
	case NOTHING:
		return 0;
	}
	return 0;
}

static int random_op(struct model *m)
{
	u32 draw = unit_below(1000);
	enum what what = 0;

	while (what < NOTHING && draw >= whats[what].share)
		draw -= whats[what++].share;
	property_say("%s", whats[what].words);
	return do_op(m, what);
}

/* Compare in the middle of things, without a crash. */
static void look_around(struct model *m)
{
	long fuse = m->sim->fuse;

	/* What is looked at may be written back, but nothing dies of it. */
	m->sim->fuse = -1;
	if (unit_once_in(30))
		model_verify(m, 2000);
	if (unit_once_in(60))
		model_check_usage(m);
	if (m->phase == MODEL_IDLE ? unit_once_in(15) : unit_once_in(60))
		model_check(m, unit_once_in(4));
	m->sim->fuse = fuse;
}

static void op(void *ctx)
{
	struct model *m = ctx;

	if (m->sim->fuse < 0 && unit_once_in(25))
		m->sim->fuse = 1 + unit_below(unit_once_in(2) ? 12 : 150);
	if (random_op(m) || m->sim->dead) {
		property_say("crash");
		property_count(CRASHES);
		model_reload(m, true);
	} else {
		look_around(m);
	}
}

static void left_over(void *ctx, u64 place, enum walk_kind kind)
{
	u32 *left = ctx;

	left[kind]++;
}

/*
 * In the end delete everything: nothing may stay in use, but the last checkpoint
 * itself, with the chunks of a table that has nothing but what was taken out.
 */
static void drain(struct model *m)
{
	u32 left[WALK_KINDS] = { 0 };
	u64 nodes = 0;
	u32 i;

	while (m->nr_snaps)
		CHECK_EQ(model_delete(m, unit_below(m->nr_snaps)), 0);
	CHECK_EQ(model_merge_all(m, true), 0);
	for (i = 0; i < 3; i++)
		CHECK_EQ(model_checkpoint(m), 0);
	walk_store(m->sim, m->core.log.seq, left_over, left);
	for (i = 0; i < WALK_KINDS; i++)
		property_say("%u times %s", left[i], walk_words[i]);
	for (i = 0; i < m->core.nr_chunks; i++)
		nodes += m->core.chunk[i].nr_nodes;
	CHECK_EQ(left[WALK_DATA], 0);
	CHECK_EQ(left[WALK_SNAPS], 0);
	CHECK_EQ(left[WALK_NODE], nodes);
	model_check(m, true);
}

static void end(void *ctx)
{
	struct model *m = ctx;

	m->sim->fuse = -1;
	if (m->phase != MODEL_IDLE)
		CHECK_EQ(model_checkpoint(m), 0);
	model_verify(m, MODEL_ALL);
	CHECK_EQ(model_scan(m), 0);
	/* With everything in its place, what is counted has to be exact. */
	CHECK_EQ(model_merge_all(m, unit_once_in(2)), 0);
	model_check_usage(m);
	model_check(m, true);
	model_reload(m, unit_once_in(2));
	drain(m);
	model_free(m);
}

static u32 rounds(void)
{
	const char *text = getenv("CRASH_ROUNDS");

	return text && *text ? (u32)atoi(text) : unit_rounds(20);
}

static void crash_anywhere(void)
{
	static const struct property p = {
		.name = "crash_anywhere",
		.start = start_sync, .op = op, .end = end,
		.counts = count_words,
	};

	property_check(&p, rounds(), 600);
}

/* The same, and whatever is not in the cache is not there at once. */
static void without_waiting(void)
{
	static const struct property p = {
		.name = "without_waiting",
		.start = start_async, .op = op, .end = end,
		.counts = count_words,
	};

	property_check(&p, rounds(), 600);
}

static const struct unit_test tests[] = {
	UNIT_TEST(crash_anywhere),
	UNIT_TEST(without_waiting),
};

UNIT_MAIN(tests)
