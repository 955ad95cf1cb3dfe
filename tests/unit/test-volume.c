// SPDX-License-Identifier: GPL-2.0-only
/*
 * Properties of a live volume: everything that may happen to it, in any order, on
 * simulated devices, and after each crash the boot in any order as well. No
 * snapshot is ever wrong, none is lost but by a decision that allows it, and in
 * the end all space comes back.
 */
#include <stdlib.h>

#include "property.h"
#include "volume.h"

enum { CRASHES, FAULTS, LOSSES, FULLS, OLD_COPIES };

static const char *const counts[] = {
	"crashes", "faults", "losses", "times full", "old copies", NULL
};

/* ---- operations -------------------------------------------------------- */

static void op_write(struct volume *v)
{
	struct volume_write w = {
		.first = unit_below(v->nr_blocks),
		.count = 1 + unit_below(unit_once_in(2) ? VOLUME_WRITE : 4),
		.discard = unit_once_in(8),
		.to = 8,
		.salt = unit_random(),
	};

	if (w.count > v->nr_blocks - w.first)
		w.count = v->nr_blocks - w.first;
	if (unit_once_in(3)) {
		w.from = unit_below(8);
		w.to = w.from + 1 + unit_below(8 - w.from);
	}
	volume_write(v, &w);
}

static void op_flush(struct volume *v)
{
	volume_flush(v);
}

static void op_tick(struct volume *v)
{
	u32 n = unit_once_in(4) ? 12 : 1 + unit_below(3);

	while (n--)
		volume_tick(v);
}

static void op_create(struct volume *v)
{
	if (v->started)
		volume_create(v);
}

static void op_delete(struct volume *v)
{
	if (v->started && v->nr_snaps && !v->creating.id && !v->deleting)
		volume_delete(v, unit_once_in(2) ? 0 : unit_below(v->nr_snaps));
}

static void op_mode(struct volume *v)
{
	u32 what = unit_below(4);

	if (!v->started)
		return;
	if (what < 2)
		volume_protect(v);
	else if (!v->unlabelled)
		volume_normal(v, what == 3);
}

static void op_clear(struct volume *v)
{
	if (v->started)
		volume_clear(v);
}

/* What an administrator changes by a table or by "set". */
static void op_set(struct volume *v)
{
	if (unit_once_in(2))
		v->queue_on_fault = !v->queue_on_fault;
	else
		v->grow_expected = !v->grow_expected;
}

static void op_origin(struct volume *v)
{
	v->table_protect = v->unlabelled || unit_once_in(4);
	v->delete_oldest = unit_once_in(3);
	if (v->started)
		volume_unclaim(v);
	else
		volume_claim(v);
}

static void op_claim(struct volume *v)
{
	if (!v->started)
		volume_claim(v);
}

/* It is resumed, or suspended and perhaps removed. */
static void op_store(struct volume *v)
{
	if (!v->target) {
		volume_arrive(v);
		return;
	}
	if (!v->suspended && unit_once_in(4)) {
		volume_pause(v);
		return;
	}
	if (v->suspended || unit_once_in(2))
		volume_pause(v);
	volume_depart(v);
}

static void op_store_resume(struct volume *v)
{
	u64 blocks = v->m.sim->blocks;

	if (!v->target) {
		volume_arrive(v);
		return;
	}
	if (v->suspended && unit_once_in(3) && blocks < 6000)
		blocks += unit_below(400);
	if (v->suspended)
		volume_continue(v, blocks);
}

static void op_grow(struct volume *v)
{
	if (!v->space_out || v->m.sim->blocks > 6000) {
		volume_grow_failed(v);
		return;
	}
	if (v->target && !v->suspended) {
		volume_pause(v);
		volume_continue(v, v->m.sim->blocks + 50 + unit_below(300));
	}
}

static void op_grace(struct volume *v)
{
	volume_grace_ends(v);
}

static void op_old_copy(struct volume *v)
{
	u64 label = le64_to_cpu(v->label.generation);

	if (v->old && !v->open && !v->target && v->started && !v->unlabelled &&
	    v->old_generation < label) {
		volume_old_copy(v);
		property_count(OLD_COPIES);
		return;
	}
	if (!v->open || v->failed || !unit_once_in(4))
		return;
	if (v->old)
		sim_free(v->old);
	v->old = sim_clone(v->m.sim);
	v->old_generation = v->m.core.generation;
}

static void op_fault(struct volume *v)
{
	static const enum snapprot_fault faults[] = {
		SNAPPROT_FAULT_COW_READ, SNAPPROT_FAULT_MEMORY,
		SNAPPROT_FAULT_INTERNAL,
	};
	enum snapprot_fault fault = faults[unit_below(ARRAY_SIZE(faults))];

	if (!v->open)
		return;
	if (snapprot_fault_kills_store(fault))
		v->failed = true;
	volume_fault(v, fault);
}

static void op_label(struct volume *v)
{
	v->label_fails = unit_once_in(4);
}

/* From some I/O on the store fails, or the power does. */
static void op_fuse(struct volume *v)
{
	long fuse = 1 + unit_below(unit_once_in(2) ? 12 : 150);

	if (v->m.sim->fuse > 0 || v->origin->fuse > 0 || v->m.sim->dead)
		return;
	v->power = !unit_once_in(4);
	if (v->power && unit_once_in(2))
		v->origin->fuse = fuse;
	else
		v->m.sim->fuse = fuse;
}

static void op_repair(struct volume *v)
{
	bool forgets = unit_once_in(3);

	if (v->m.sim->dead && (!v->open || v->failed))
		volume_repair_device(v, forgets);
}

static void op_crash(struct volume *v)
{
	longjmp(v->lights_out, 1);
}

static void op_verify(struct volume *v)
{
	volume_verify(v);
}

static const struct {
	const char *name;
	void (*fn)(struct volume *v);
	u32 weight;
} ops[] = {
	{ "write", op_write, 360 },
	{ "flush", op_flush, 20 },
	{ "part of a checkpoint", op_tick, 90 },
	{ "create", op_create, 70 },
	{ "delete", op_delete, 15 },
	{ "mode", op_mode, 14 },
	{ "clear_fault", op_clear, 30 },
	{ "set", op_set, 8 },
	{ "origin comes or goes", op_origin, 3 },
	{ "origin comes", op_claim, 80 },
	{ "store comes or goes", op_store, 10 },
	{ "store comes or is resumed", op_store_resume, 60 },
	{ "store grows, or cannot", op_grow, 15 },
	{ "grace ends", op_grace, 6 },
	{ "old copy of the store", op_old_copy, 30 },
	{ "fault", op_fault, 4 },
	{ "label fails or works", op_label, 5 },
	{ "fuse", op_fuse, 30 },
	{ "store works again", op_repair, 40 },
	{ "crash", op_crash, 4 },
	{ "verify", op_verify, 40 },
};

static void random_op(struct volume *v)
{
	u32 sum = 0, i, n;

	for (i = 0; i < ARRAY_SIZE(ops); i++)
		sum += ops[i].weight;
	n = unit_below(sum);
	for (i = 0; n >= ops[i].weight; i++)
		n -= ops[i].weight;
	property_say("%s", ops[i].name);
	ops[i].fn(v);
}

static void say_state(const struct volume *v)
{
	property_say("   %s%s %s %s %s, %u snapshots, %u valid, %u held",
		     v->started ? "" : "(no origin) ",
		     v->protect ? "protect" : "normal",
		     snapprot_state_name(v->state),
		     snapprot_fault_name(v->fault),
		     !v->target ? "no store" : v->suspended ? "suspended" :
		     v->failed ? "failed" : v->attached ? "attached" : "apart",
		     v->nr_snaps, v->nr_valid, v->nr_held);
}

/* One operation, unless the power fails; nothing here lives across that jump. */
static bool survives(struct volume *v)
{
	if (setjmp(v->lights_out))
		return false;
	random_op(v);
	return true;
}

static void op(void *ctx)
{
	struct volume *v = ctx;
	enum snapprot_fault before = v->fault;
	bool was_full = v->space_out, was_lost = v->lost_here;

	if (!survives(v)) {
		property_say("   power fails");
		property_count(CRASHES);
		volume_crash(v);
		return;
	}
	if (v->fault && v->fault != before)
		property_count(FAULTS);
	if (v->space_out && !was_full)
		property_count(FULLS);
	if (v->lost_here && !was_lost)
		property_count(LOSSES);
	say_state(v);
}

/* ---- beginning and end ------------------------------------------------- */

static void *start(void)
{
	struct volume *v = volume_new(1024 + unit_below(200),
				      30 + unit_below(300));

	v->unlabelled = unit_once_in(8);
	v->table_protect = v->unlabelled || unit_once_in(4);
	v->grow_expected = unit_once_in(2);
	return v;
}

static void heal(struct volume *v)
{
	v->label_fails = false;
	v->origin->fuse = -1;
	v->m.sim->fuse = -1;
	v->power = false;
	volume_unclaim(v);
	if (v->target)
		volume_depart(v);
	volume_repair_device(v, false);
	v->table_protect = v->unlabelled;
	volume_claim(v);
	CHECK_EQ(volume_arrive(v), 0);
}

/* Everything works again: nothing is wrong, and all space comes back. */
static void end(void *ctx)
{
	struct volume *v = ctx;
	struct snapprot_core *core = &v->m.core;
	u32 i;

	heal(v);
	CHECK_EQ(v->state, SNAPPROT_ACTIVE);
	CHECK_EQ(v->fault, SNAPPROT_FAULT_NONE);
	volume_verify(v);
	while (v->nr_snaps)
		CHECK_EQ(volume_delete(v, unit_below(v->nr_snaps)), 0);
	for (i = 0; i < 20 && (core->flags & SNAPPROT_SUPER_SWEEP); i++)
		CHECK_EQ(model_checkpoint(&v->m), 0);
	CHECK_EQ(model_checkpoint(&v->m), 0);
	CHECK_EQ(core->nr_entries, 0);
	CHECK_EQ(core->nr_free, snapprot_allocatable(core->blocks) - 1 -
				core->nr_ckpt_blocks);
	model_check(&v->m, true);
	CHECK(v->unlabelled || !(le32_to_cpu(v->label.flags) &
				 SNAPPROT_LABEL_SNAPSHOTS));
	volume_free(v);
}

static void stomp(void)
{
	static const struct property p = {
		.name = "stomp",
		.start = start, .op = op, .end = end, .counts = counts,
	};

	property_check(&p, unit_rounds(48), 500);
}

static const struct unit_test tests[] = {
	UNIT_TEST(stomp),
};

UNIT_MAIN(tests)
