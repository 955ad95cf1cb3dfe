// SPDX-License-Identifier: GPL-2.0-only
/* What the module does: writes, faults, arrival, messages. */
#include <stdlib.h>

#include "volume-internal.h"

/* ---- the store's I/O --------------------------------------------------- */

static enum snapprot_fault fault_of(int err, enum snapprot_fault io)
{
	/* Nothing else may come of devices that do what they should. */
	CHECK_EQ(err, -EIO);
	return io;
}

static void store_broken(struct volume *v, int err, enum snapprot_fault io)
{
	v->failed = true;
	volume_fault(v, fault_of(err, io));
}

static void store_close(struct volume *v)
{
	v->failed = true;
	v->attached = false;
	v->open = false;
	snapprot_store_exit(&v->m.core);
	sim_drop_cache(v->m.sim);
	v->m.phase = MODEL_IDLE;
}

/* A superblock is not written while a checkpoint is. */
static int store_rewrite(struct volume *v, u64 generation, u32 flags,
			 u32 lost_epoch, u32 lost_fault)
{
	int err = 0;

	while (!err && v->m.phase >= MODEL_WRITE)
		err = store_ret(v, model_checkpoint_tick(&v->m));
	if (err)
		return err;
	return store_ret(v, snapprot_store_update(&v->m.core, generation, flags,
						  lost_epoch, lost_fault));
}

static int ckpt_run(struct volume *v)
{
	int err = v->failed ? -EIO : 0;

	if (!err)
		err = store_ret(v, model_checkpoint(&v->m));
	if (err && !v->failed)
		store_broken(v, err, SNAPPROT_FAULT_STORE_IO);
	return err;
}

static int make_room(struct volume *v)
{
	struct snapprot_core *core = &v->m.core;
	u32 idle = 0, room;
	bool could_help;

	for (;;) {
		room = snapprot_log_room(core, SNAPPROT_LOG_ENTRIES);
		could_help = core->nr_freed ||
			     ((core->flags & SNAPPROT_SUPER_SWEEP) &&
			      idle++ < 8);
		if (room || !could_help)
			return room;
		if (ckpt_run(v))
			return -EIO;
	}
}

static void leave_clean(struct volume *v)
{
	if (v->attached && store_usable(v))
		ckpt_run(v);
}

/* ---- writes ------------------------------------------------------------ */

static bool bits_test(const struct volume *v, const struct volume_write *w)
{
	u32 i;

	for (i = 0; i < w->count; i++)
		if (!v->bits[w->first + i])
			return false;
	return true;
}

static void bits_reset(struct volume *v, bool complete)
{
	memset(v->bits, 0, v->nr_blocks);
	v->bits_complete = complete;
}

/* The blocks go to the origin, in any order. */
static void origin_write(struct volume *v, const struct volume_write *w)
{
	static u8 data[SNAPPROT_BLOCK_SIZE];
	u32 start = unit_below(w->count), i, j;

	for (i = 0; i < w->count; i++) {
		u32 nr = (start + i) % w->count, to = SNAPPROT_BLOCK_SIZE / 512;
		u32 from = 0;
		u64 word;

		memcpy(data, sim_block(v->origin, w->first + nr), sizeof(data));
		if (nr == w->count - 1) {
			from = w->from;
			to = w->to;
		}
		for (j = from * 64; j < to * 64; j++) {
			word = w->discard ? 0 : ((u64)w->salt << 32 | nr << 16 |
						 j) * 0xd1342543de82ef95ull;
			memcpy(data + j * 8, &word, sizeof(word));
		}
		sim_write(v->origin, w->first + nr, data);
		power_check(v);
	}
}

/* Old data of the blocks whose bit is not set; 0, or the error. */
static int preserve(struct volume *v, const struct volume_write *w)
{
	static u8 data[VOLUME_WRITE * SNAPPROT_BLOCK_SIZE];
	u64 block[VOLUME_WRITE];
	u32 nr = 0, i;
	int err;

	for (i = 0; i < w->count; i++) {
		u32 b = w->first + i;
		struct snapprot_entry e;

		if (v->bits[b])
			continue;
		if (!v->bits_complete) {
			int found = snapprot_lookup(&v->m.core, b,
						    v->m.core.epoch, &e);

			if (found < 0)
				return store_ret(v, found);
			v->bits[b] = found;
			if (found)
				continue;
		}
		block[nr] = b;
		memcpy(data + nr++ * SNAPPROT_BLOCK_SIZE,
		       sim_block(v->origin, b), SNAPPROT_BLOCK_SIZE);
	}
	if (!nr)
		return 0;
	err = store_ret(v, model_preserve(&v->m, block, data, nr));
	for (i = 0; !err && i < nr; i++)
		v->bits[block[i]] = 1;
	return err;
}

static void space_out(struct volume *v)
{
	if (v->space_out)
		return;
	v->space_out = true;
	if (!v->grow_expected)
		volume_fault(v, SNAPPROT_FAULT_STORE_FULL);
}

/* Write with old data to be preserved. False: it has to wait. */
static bool cow_write(struct volume *v, const struct volume_write *w)
{
	int room, err;

	if (!store_usable(v))
		return false;
	room = make_room(v);
	if (room < 0)
		return false;
	/* Each step that shares a flush takes a header of its own. */
	if (room < (int)(w->count + MODEL_STEPS)) {
		space_out(v);
		return false;
	}
	v->space_out = false;
	err = preserve(v, w);
	if (err) {
		store_broken(v, err, SNAPPROT_FAULT_COW_WRITE);
		return false;
	}
	/* The fault that a preserve ran into decides anew. */
	if (v->state != SNAPPROT_ACTIVE || !bits_test(v, w))
		return false;
	origin_write(v, w);
	return true;
}

/* True: it has gone, or failed. */
static bool look_at_write(struct volume *v, const struct volume_write *w)
{
	switch (v->state) {
	case SNAPPROT_BLOCKED:
		return !v->queue_on_fault;
	case SNAPPROT_WAITING:
		return false;
	case SNAPPROT_NOSTORE:
		break;
	case SNAPPROT_ACTIVE:
		if (v->nr_valid && !bits_test(v, w))
			return cow_write(v, w);
		break;
	default:
		CHECK(false);
	}
	origin_write(v, w);
	return true;
}

/* Look at what is held, until nothing moves any more. */
static void volume_kick(struct volume *v)
{
	u32 i = 0;

	while (i < v->nr_held) {
		enum snapprot_state state = v->state;

		if (look_at_write(v, &v->held[i])) {
			memmove(&v->held[i], &v->held[i + 1],
				(--v->nr_held - i) * sizeof(v->held[0]));
			i = 0;
		} else if (v->state != state) {
			i = 0;
		} else {
			i++;
		}
	}
}

void volume_write(struct volume *v, const struct volume_write *w)
{
	if (!v->started || v->nr_held == VOLUME_HELD)
		return;
	v->held[v->nr_held++] = *w;
	volume_kick(v);
}

void volume_flush(struct volume *v)
{
	origin_flush(v);
}

/* A part of a checkpoint, as its worker makes it. */
void volume_tick(struct volume *v)
{
	int err;

	if (!v->attached || !store_usable(v))
		return;
	err = store_ret(v, model_checkpoint_tick(&v->m));
	if (err)
		store_broken(v, err, SNAPPROT_FAULT_STORE_IO);
	volume_kick(v);
}

/* ---- faults ------------------------------------------------------------ */

static void volume_count(struct volume *v)
{
	v->nr_valid = snapprot_snaps_valid(&v->m.core);
}

static bool store_works(const struct volume *v)
{
	return v->attached && store_usable(v);
}

static bool lose_in_store(struct volume *v, enum snapprot_fault fault)
{
	const struct snapprot_core *core = &v->m.core;
	int err;

	if (!store_works(v))
		return false;
	err = store_rewrite(v, core->generation, core->flags, core->epoch,
			    fault);
	if (err)
		v->failed = true;
	return !err;
}

static int record_loss(struct volume *v, enum snapprot_fault fault)
{
	u64 generation = label_generation(v);
	int err;

	excuse_all(v);
	err = label_write(v, SNAPPROT_LABEL_LOST, 0, generation, fault);
	if (err)
		return err;
	v->nr_valid = 0;
	v->lost_here = true;
	if (lose_in_store(v, fault)) {
		label_write(v, 0, SNAPPROT_LABEL_LOST |
			    SNAPPROT_LABEL_SNAPSHOTS, generation, 0);
		v->lost_here = false;
	}
	return 0;
}

static struct snapprot_situation situation(const struct volume *v)
{
	return (struct snapprot_situation) {
		.state = v->state,
		.protect = v->protect,
		.snapshots = v->nr_valid || v->state == SNAPPROT_WAITING ||
			     v->snap_in_doubt,
		.store_works = store_works(v),
		.standing = v->fault,
	};
}

static void enter(struct volume *v, enum snapprot_state state)
{
	v->grace_running = false;
	if (state != SNAPPROT_BLOCKED)
		v->space_out = false;
	v->state = state;
}

static int snap_delete(struct volume *v, u32 nr);

static bool delete_oldest(struct volume *v)
{
	struct snapprot_core *core = &v->m.core;
	u32 i, nr;

	if (v->protect || !v->delete_oldest || !store_works(v))
		return false;
	for (nr = 0; nr < v->nr_snaps; nr++) {
		struct snapprot_snap *s = snapprot_snap_find(core,
							     v->snap[nr].id);

		if (!snapprot_snap_lost(core, s))
			break;
	}
	if (nr == v->nr_snaps || snap_delete(v, nr))
		return false;
	for (i = 0; i < 8 && !v->failed; i++)
		if (ckpt_run(v) || !(core->flags & SNAPPROT_SUPER_SWEEP))
			break;
	if (v->failed)
		return false;
	v->space_out = false;
	return true;
}

void volume_fault(struct volume *v, enum snapprot_fault fault)
{
	struct snapprot_situation now = situation(v);
	struct snapprot_outcome out;

	if (!v->started)
		return;
	if (snapprot_fault_is_space(fault) && now.state == SNAPPROT_ACTIVE &&
	    delete_oldest(v))
		return;
	/* What that has broken counts. */
	now = situation(v);
	out = snapprot_state_next(&now, SNAPPROT_IN_FAULT);
	if (!(out.todo & SNAPPROT_DO_SET))
		return;
	v->fault = fault;
	if (out.todo & SNAPPROT_DO_LOSE) {
		int lost = record_loss(v, fault);

		out.state = store_works(v) ? SNAPPROT_ACTIVE : SNAPPROT_NOSTORE;
		if (lost)
			out.state = SNAPPROT_BLOCKED;
	}
	enter(v, out.state);
}

void volume_grace_ends(struct volume *v)
{
	if (v->grace_running && v->state == SNAPPROT_WAITING)
		volume_fault(v, SNAPPROT_FAULT_STORE_MISSING);
	volume_kick(v);
}

/* ---- arrival ----------------------------------------------------------- */

struct seen {
	bool lost;
	u32 fault;
	bool protect;
};

static struct seen look_at_label(const struct volume *v)
{
	return (struct seen) {
		.lost = (label_flags(v) & SNAPPROT_LABEL_LOST) || v->lost_here,
		.fault = v->lost_here ? v->fault :
			le32_to_cpu(v->label.lost_fault),
		.protect = v->protect,
	};
}

static int pair_check(struct volume *v)
{
	u64 label = label_generation(v);

	if (!label_present(v) || v->m.core.generation == label ||
	    v->m.core.generation == label + 1)
		return 0;
	return -ESTALE;
}

static int pair_store(struct volume *v, const struct seen *seen, bool lose)
{
	const struct snapprot_core *core = &v->m.core;
	u32 flags = core->flags, epoch = core->lost_epoch;
	u32 fault = core->lost_fault;

	if (seen->protect)
		flags |= SNAPPROT_SUPER_PROTECTED;
	if (lose) {
		epoch = core->epoch;
		fault = seen->fault;
		flags |= SNAPPROT_SUPER_SWEEP;
	}
	return store_rewrite(v, core->generation + 1, flags, epoch, fault);
}

static int pair_finish(struct volume *v, enum snapprot_input input)
{
	u32 set = v->protect ? SNAPPROT_LABEL_PROTECTED : 0;
	u32 clear = SNAPPROT_LABEL_LOST;
	struct snapprot_situation now;
	struct snapprot_outcome out;
	int err;

	/* What was read of the store is durable by now. */
	settle(v);
	v->attached = true;
	v->snap_in_doubt = false;
	bits_reset(v, false);
	volume_count(v);
	if (v->nr_valid)
		set |= SNAPPROT_LABEL_SNAPSHOTS;
	else
		clear |= SNAPPROT_LABEL_SNAPSHOTS;
	err = label_write(v, set, clear, v->m.core.generation, 0);
	if (err) {
		v->attached = false;
		return err;
	}
	v->lost_here = false;
	now = situation(v);
	now.snapshots = v->nr_valid;
	now.store_works = true;
	out = snapprot_state_next(&now, input);
	if (out.todo & SNAPPROT_DO_CLEAR) {
		v->fault = SNAPPROT_FAULT_NONE;
		v->space_out = false;
	}
	v->grace_running = false;
	v->state = out.state;
	return 0;
}

static int pair(struct volume *v, enum snapprot_input input)
{
	struct snapprot_core *core = &v->m.core;
	struct seen seen, now;
	int err = pair_check(v);

	if (!err && core->flags & SNAPPROT_SUPER_PROTECTED)
		v->protect = true;
	if (!err && label_present(v) &&
	    core->generation != label_generation(v)) {
		/* What was read of it may be in a volatile cache. */
		err = store_rewrite(v, core->generation, core->flags,
				    core->lost_epoch, core->lost_fault);
		if (!err)
			err = label_write(v, 0, 0, core->generation, 0);
	}
	seen = look_at_label(v);
	while (!err) {
		bool lose = seen.lost || (v->state == SNAPPROT_NOSTORE &&
					  v->running);

		lose = lose && snapprot_snaps_valid(core);
		/* Grace may end while the store is being written. */
		if (unit_once_in(6))
			volume_grace_ends(v);
		err = pair_store(v, &seen, lose);
		if (unit_once_in(6))
			volume_grace_ends(v);
		if (err)
			break;
		now = look_at_label(v);
		if (now.lost == seen.lost && now.protect == seen.protect)
			return pair_finish(v, input);
		err = label_write(v, 0, 0, core->generation, 0);
		seen = now;
	}
	return err;
}

static int open_store(struct volume *v)
{
	int err;

	if (v->open)
		store_close(v);
	v->failed = false;
	v->suspended = false;
	err = store_ret(v, snapprot_store_load(&v->m.core, &v->m.sim->env,
					       v->m.sim->blocks));
	if (err) {
		snapprot_store_exit(&v->m.core);
		sim_drop_cache(v->m.sim);
		/* Power and failing devices damage nothing. */
		CHECK_EQ(err, -EIO);
		CHECK(v->m.sim->dead);
		return err;
	}
	v->open = true;
	v->m.phase = MODEL_IDLE;
	if (unit_once_in(3))
		v->m.core.data_cursor = unit_below(v->m.core.blocks);
	return 0;
}

static int meet(struct volume *v)
{
	int err = v->open ? 0 : open_store(v);

	if (!err && v->started)
		err = pair(v, SNAPPROT_IN_ARRIVE);
	if (err == -ESTALE)
		return err;
	if (err && v->open)
		v->failed = true;
	v->load_error = err;
	if (err && v->started)
		volume_fault(v, SNAPPROT_FAULT_ONLINE_IO);
	return 0;
}

int volume_arrive(struct volume *v)
{
	int err;

	CHECK(!v->target && !v->open);
	v->target = true;
	err = meet(v);
	if (err) {
		store_close(v);
		v->target = false;
	}
	volume_kick(v);
	return err;
}

void volume_pause(struct volume *v)
{
	leave_clean(v);
	v->suspended = true;
}

void volume_continue(struct volume *v, u64 blocks)
{
	if (v->m.sim->dead)
		blocks = v->m.sim->blocks;
	if (blocks != v->m.sim->blocks)
		sim_resize(v->m.sim, blocks);
	power_check(v);
	v->suspended = false;
	if (v->open && !v->failed) {
		CHECK_EQ(snapprot_store_grow(&v->m.core, blocks), 0);
		if (v->started && !v->attached)
			meet(v);
	} else {
		if (v->open)
			store_close(v);
		meet(v);
	}
	volume_kick(v);
}

void volume_depart(struct volume *v)
{
	bool attached = v->attached || v->state == SNAPPROT_ACTIVE;

	v->target = false;
	v->suspended = false;
	if (v->open)
		store_close(v);
	if (attached && v->nr_valid)
		volume_fault(v, SNAPPROT_FAULT_STORE_REMOVED);
	else if (attached && v->state == SNAPPROT_ACTIVE)
		v->state = SNAPPROT_NOSTORE;
	if (!v->started)
		v->lost_here = false;
	volume_kick(v);
}

void volume_old_copy(struct volume *v)
{
	struct sim *right = v->m.sim;
	enum snapprot_state state = v->state;
	bool protect = v->protect;

	v->m.sim = v->old;
	CHECK_EQ(volume_arrive(v), -ESTALE);
	v->m.sim = right;
	CHECK(v->state == state && v->protect == protect);
}

void volume_repair_device(struct volume *v, bool forgets)
{
	if (forgets && v->open)
		store_close(v);
	if (forgets)
		sim_crash(v->m.sim);
	v->m.sim->dead = false;
	v->m.sim->fuse = -1;
}

/* ---- the origin's table ------------------------------------------------ */

static bool snapshots_possible(const struct volume *v)
{
	if (!label_present(v))
		return !v->lost_here;
	return (label_flags(v) & SNAPPROT_LABEL_SNAPSHOTS) &&
	       !(label_flags(v) & SNAPPROT_LABEL_LOST);
}

static void start_without_store(struct volume *v)
{
	struct snapprot_situation now = {
		.state = SNAPPROT_NOSTORE,
		.protect = v->protect,
		.snapshots = snapshots_possible(v),
	};
	struct snapprot_outcome out;

	out = snapprot_state_next(&now, SNAPPROT_IN_START);
	v->state = out.state;
	v->grace_running = out.todo & SNAPPROT_DO_GRACE;
}

void volume_claim(struct volume *v)
{
	CHECK(!v->started);
	label_load(v);
	if (v->table_protect ||
	    (label_flags(v) & SNAPPROT_LABEL_PROTECTED))
		v->protect = true;
	if (v->protect && !(label_flags(v) & SNAPPROT_LABEL_PROTECTED) &&
	    label_write(v, SNAPPROT_LABEL_PROTECTED, 0, label_generation(v),
			0)) {
		v->protect = false;
		return;
	}
	/* The only way out of protection mode is the message. */
	CHECK(v->protect || !v->must_protect);
	v->started = true;
	start_without_store(v);
	/* The store was there first. */
	if (v->target && store_usable(v))
		CHECK_EQ(meet(v), 0);
	else if (v->target && v->load_error)
		volume_fault(v, SNAPPROT_FAULT_ONLINE_IO);
	v->running = true;
	volume_kick(v);
}

void volume_unclaim(struct volume *v)
{
	leave_clean(v);
	v->started = false;
	v->running = false;
	v->protect = false;
	v->fault = SNAPPROT_FAULT_NONE;
	v->state = SNAPPROT_NOSTORE;
	v->grace_running = false;
	v->space_out = false;
	v->snap_in_doubt = false;
	v->attached = false;
	v->nr_held = 0;
	memset(&v->label, 0, sizeof(v->label));
	/* Nobody is left to remember. */
	if (!v->target)
		v->lost_here = false;
}

/* ---- messages ---------------------------------------------------------- */

static int store_ready(const struct volume *v, bool while_blocked)
{
	if (v->state == SNAPPROT_BLOCKED && !while_blocked)
		return -EIO;
	if (!v->attached || !v->open || v->suspended)
		return -ENODEV;
	if (v->failed)
		return while_blocked ? -EIO : -ENODEV;
	return v->state == SNAPPROT_ACTIVE || while_blocked ? 0 : -ENODEV;
}

int volume_create(struct volume *v)
{
	struct snapprot_snap snap = {
		.id = v->next_id, .time = 77,
		.sectors = v->nr_blocks * SNAPPROT_SECTORS_PER_BLOCK,
	};
	int err = store_ready(v, false);

	if (err || v->nr_snaps == VOLUME_SNAPS)
		return err;
	err = make_room(v);
	if (err <= 0)
		return err ? err : -ENOSPC;
	if (!label_allows(v) &&
	    label_write(v, SNAPPROT_LABEL_SNAPSHOTS, SNAPPROT_LABEL_LOST,
			label_generation(v), 0))
		return -EIO;
	v->next_id++;
	/* What was written before the instant must not be lost after it. */
	origin_flush(v);
	snap.epoch = v->m.core.epoch + 1;
	v->creating.id = snap.id;
	v->creating.excused = false;
	take_sums(v, &v->creating);
	v->snap_in_doubt = true;
	err = store_ret(v, model_record(&v->m, SNAPPROT_LOG_CREATE, &snap));
	if (err) {
		store_broken(v, err, SNAPPROT_FAULT_STORE_IO);
		return -EIO;
	}
	v->snap_in_doubt = false;
	v->snap[v->nr_snaps++] = v->creating;
	memset(&v->creating, 0, sizeof(v->creating));
	bits_reset(v, true);
	volume_count(v);
	return 0;
}

static int snap_delete(struct volume *v, u32 nr)
{
	struct snapprot_snap snap =
		*snapprot_snap_find(&v->m.core, v->snap[nr].id);
	int err;

	v->deleting = snap.id;
	err = store_ret(v, model_record(&v->m, SNAPPROT_LOG_DELETE, &snap));
	if (err) {
		store_broken(v, err, SNAPPROT_FAULT_STORE_IO);
		return -EIO;
	}
	v->deleting = 0;
	snap_forget(v, nr);
	volume_count(v);
	return 0;
}

int volume_delete(struct volume *v, u32 nr)
{
	int err = store_ready(v, true);

	if (!err)
		err = snap_delete(v, nr);
	if (err)
		return err;
	if (!v->nr_valid && label_present(v) &&
	    (label_flags(v) & SNAPPROT_LABEL_SNAPSHOTS))
		label_write(v, 0, SNAPPROT_LABEL_SNAPSHOTS,
			    label_generation(v), 0);
	volume_kick(v);
	return 0;
}

static int store_mode(struct volume *v, bool protect)
{
	const struct snapprot_core *core = &v->m.core;
	u32 flags = core->flags & ~SNAPPROT_SUPER_PROTECTED;
	int err;

	if (!store_works(v))
		return 0;
	if (protect)
		flags |= SNAPPROT_SUPER_PROTECTED;
	err = store_rewrite(v, core->generation, flags, core->lost_epoch,
			    core->lost_fault);
	if (err && !v->failed)
		store_broken(v, err, SNAPPROT_FAULT_STORE_IO);
	return err ? -EIO : 0;
}

int volume_protect(struct volume *v)
{
	int err;

	v->protect = true;
	err = label_write(v, SNAPPROT_LABEL_PROTECTED, 0, label_generation(v),
			  0);
	if (!err)
		v->must_protect = label_present(v);
	return err ? -EIO : store_mode(v, true);
}

static int fault_drop(struct volume *v)
{
	struct snapprot_situation now = situation(v);
	struct snapprot_outcome out;
	int err = 0;

	out = snapprot_state_next(&now, SNAPPROT_IN_DROP);
	if (out.todo & SNAPPROT_DO_LOSE) {
		v->dropping = true;
		err = record_loss(v, v->fault);
		v->dropping = false;
		if (err)
			return err;
		out.state = store_works(v) ? SNAPPROT_ACTIVE : SNAPPROT_NOSTORE;
	}
	enter(v, out.state);
	return 0;
}

int volume_normal(struct volume *v, bool drop)
{
	int err;

	if (v->state == SNAPPROT_BLOCKED && !drop)
		return -EBUSY;
	v->must_protect = false;
	err = store_mode(v, false);
	if (err && !drop)
		return err;
	if (v->state == SNAPPROT_BLOCKED && !drop)
		return -EBUSY;
	err = label_write(v, 0, SNAPPROT_LABEL_PROTECTED, label_generation(v),
			  0);
	if (!err && v->state == SNAPPROT_BLOCKED)
		err = fault_drop(v);
	if (!err) {
		v->protect = false;
		volume_kick(v);
	}
	return err;
}

static int room_again(struct volume *v)
{
	int room;

	if (!snapprot_fault_is_space(v->fault))
		return 0;
	room = make_room(v);
	if (room < 0)
		return room;
	return room ? 0 : -ENOSPC;
}

static int reopen(struct volume *v)
{
	int err;

	if (!v->target || v->suspended)
		return -ENODEV;
	if (v->attached && store_usable(v)) {
		err = room_again(v);
		if (err)
			return err;
	}
	err = open_store(v);
	if (err)
		return err;
	CHECK_EQ(snapprot_store_check(&v->m.core, false, NULL, NULL), 0);
	err = room_again(v);
	if (!err)
		err = pair(v, SNAPPROT_IN_CLEAR);
	if (err) {
		v->failed = true;
		v->attached = false;
	}
	return err;
}

int volume_clear(struct volume *v)
{
	int err;

	if (!v->fault)
		return 0;
	if (v->state == SNAPPROT_ACTIVE) {
		v->fault = SNAPPROT_FAULT_NONE;
		return 0;
	}
	err = reopen(v);
	if (err == -EIO)
		v->fault = SNAPPROT_FAULT_ONLINE_IO;
	volume_kick(v);
	return err;
}

int volume_grow_failed(struct volume *v)
{
	if (v->space_out && v->state == SNAPPROT_ACTIVE)
		volume_fault(v, SNAPPROT_FAULT_GROW_FAILED);
	volume_kick(v);
	return 0;
}

/* ---- making, ending, power --------------------------------------------- */

/* The module is gone; the devices are as they are. */
static void forget(struct volume *v)
{
	if (v->open)
		store_close(v);
	v->target = false;
	v->started = false;
	v->running = false;
	v->protect = false;
	v->lost_here = false;
	v->fault = SNAPPROT_FAULT_NONE;
	v->state = SNAPPROT_NOSTORE;
	v->grace_running = false;
	v->space_out = false;
	v->snap_in_doubt = false;
	v->suspended = false;
	v->failed = false;
	v->dropping = false;
	v->nr_valid = 0;
	v->nr_held = 0;
	memset(&v->label, 0, sizeof(v->label));
}

void volume_crash(struct volume *v)
{
	snapprot_store_exit(&v->m.core);
	sim_crash(v->m.sim);
	sim_crash(v->origin);
	v->open = false;
	v->attached = false;
	v->m.phase = MODEL_IDLE;
	forget(v);
}

struct volume *volume_new(u64 blocks, u32 nr_blocks)
{
	struct volume *v = calloc(1, sizeof(*v));

	v->nr_blocks = nr_blocks;
	v->next_id = 1;
	v->origin = sim_new(nr_blocks + SNAPPROT_LABEL_COPIES);
	v->m.sim = sim_new(blocks);
	v->bits = calloc(1, nr_blocks);
	CHECK_EQ(snapprot_store_format(&v->m.sim->env, volume_uuid,
				       nr_blocks * SNAPPROT_SECTORS_PER_BLOCK,
				       blocks, 1, 0), 0);
	label_format(v);
	forget(v);
	return v;
}

void volume_free(struct volume *v)
{
	forget(v);
	while (v->nr_snaps)
		snap_forget(v, 0);
	free(v->creating.sum);
	sim_free(v->m.sim);
	sim_free(v->origin);
	if (v->old)
		sim_free(v->old);
	free(v->bits);
	free(v);
}
