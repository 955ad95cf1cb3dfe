// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: arrival
 *
 * The store's generation moves on, then the label's. A crash in between leaves
 * the store one ahead, which the next arrival accepts. If the label says that
 * the snapshots are lost, the store learns that in the same write, and only
 * then the label forgets it.
 */
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "snapprot.h"

/* ---- pairing: the store meets the origin -------------------------------- */

/* What the label said when the store was written. */
struct seen {
	u64 generation;
	bool lost;
	u32 fault;
	bool protect;
};

static struct seen look_at_label(struct snapprot_volume *vol)
{
	u32 flags = snapprot_label_flags(vol);

	return (struct seen) {
		.generation = snapprot_label_generation(vol),
		.lost = (flags & SNAPPROT_LABEL_LOST) || vol->lost_here,
		.fault = vol->lost_here ? vol->fault :
			le32_to_cpu(vol->label->lost_fault),
		.protect = vol->protect,
	};
}

/* May this store be believed? Under mutex. */
static int pair_check(struct snapprot_volume *vol, struct snapprot_store *s)
{
	struct snapprot_core *core = &s->core;
	struct mapped_device *md = dm_table_get_md(vol->origin->ti->table);
	u64 label;

	if (s->dev.bdev->bd_dev == disk_devt(dm_disk(md)) ||
	    s->dev.bdev == vol->origin_bdev) {
		DMERR("%s: the store is on its own origin", vol->name);
		return -EINVAL;
	}
	if (core->origin_sectors != vol->sectors) {
		DMERR("%s: store is for an origin of %llu sectors, not %llu",
		      vol->name, core->origin_sectors,
		      (unsigned long long)vol->sectors);
		return -EINVAL;
	}
	if (!snapprot_label_present(vol))
		return 0;
	label = snapprot_label_generation(vol);
	if (core->generation == label || core->generation == label + 1)
		return 0;
	DMERR("%s: %s copy of the store: generation %llu, label %llu",
	      vol->name, core->generation < label ? "an old" : "a foreign",
	      core->generation, label);
	return -ESTALE;
}

/* Move the store on. Not under mutex. */
static int pair_store(struct snapprot_store *s, const struct seen *seen,
		      bool lose)
{
	u32 flags = s->core.flags, epoch = s->core.lost_epoch;
	u32 fault = s->core.lost_fault;

	if (seen->protect)
		flags |= SNAPPROT_SUPER_PROTECTED;
	if (lose) {
		epoch = s->core.epoch;
		fault = seen->fault;
		flags |= SNAPPROT_SUPER_SWEEP;
	}
	return snapprot_store_rewrite(s, s->core.generation + 1, flags, epoch,
				      fault);
}

/*
 * The store is one ahead of the label. What was read of it may be in a volatile
 * cache: were the label to follow it and the power to fail, the store would be
 * behind, and refused. So it is written again first. Drops the mutex for that.
 */
static int pair_ahead(struct snapprot_volume *vol, struct snapprot_store *s)
{
	struct snapprot_core *core = &s->core;
	int err;

	mutex_unlock(&vol->mutex);
	err = snapprot_store_rewrite(s, core->generation, core->flags,
				     core->lost_epoch, core->lost_fault);
	mutex_lock(&vol->mutex);
	return err ? err : snapprot_label_write(vol, 0, 0, core->generation, 0);
}

/* The store was moved on; now the label, and the volume. Under mutex. */
static int pair_finish(struct snapprot_volume *vol, struct snapprot_store *s,
		       enum snapprot_input input)
{
	struct snapprot_situation now;
	struct snapprot_outcome out;
	struct snapprot_bits *bits = snapprot_bits_new(false);
	u32 set = vol->protect ? SNAPPROT_LABEL_PROTECTED : 0;
	u32 clear = SNAPPROT_LABEL_LOST;
	int err;

	if (!bits)
		return -ENOMEM;
	down_write(&vol->store_sem);
	vol->store = s;
	vol->attached = true;
	vol->snap_in_doubt = false;
	swap(vol->bits, bits);
	snapprot_volume_count(vol);
	up_write(&vol->store_sem);
	snapprot_bits_retire(vol, bits);
	if (vol->nr_valid)
		set |= SNAPPROT_LABEL_SNAPSHOTS;
	else
		clear |= SNAPPROT_LABEL_SNAPSHOTS;
	err = snapprot_label_write(vol, set, clear, s->core.generation, 0);
	if (err) {
		down_write(&vol->store_sem);
		vol->attached = false;
		up_write(&vol->store_sem);
		return err;
	}
	vol->lost_here = false;
	now = (struct snapprot_situation) {
		.state = vol->state,
		.protect = vol->protect,
		.snapshots = vol->nr_valid,
		.store_works = true,
		.standing = vol->fault,
	};
	out = snapprot_state_next(&now, input);
	if (out.todo & SNAPPROT_DO_CLEAR) {
		snapprot_fault_set(vol, SNAPPROT_FAULT_NONE, 0);
		snapprot_fault_space_back(vol);
	}
	snapprot_grace_stop(vol);
	snapprot_volume_set_state(vol, out.state);
	snapprot_volume_set_gate(vol);
	DMINFO("%s: store arrived, generation %llu, %u snapshots, %s",
	       vol->name, s->core.generation, vol->nr_valid,
	       snapprot_state_name(vol->state));
	snapprot_event(vol, input == SNAPPROT_IN_CLEAR ? "CLEARED" : "ARRIVED");
	snapprot_volume_kick(vol);
	return 0;
}

/*
 * Pair a loaded store with the origin. Under admin. The store is written
 * without the mutex, so that a fault is never kept waiting; if the label
 * changed meanwhile (grace ended), the store is written again.
 */
static int pair(struct snapprot_volume *vol, struct snapprot_store *s,
		enum snapprot_input input)
{
	struct seen seen, now;
	bool lose;
	int err;

	mutex_lock(&vol->mutex);
	err = pair_check(vol, s);
	if (!err && s->core.flags & SNAPPROT_SUPER_PROTECTED && !vol->protect) {
		DMINFO("%s: protection mode on, says the store", vol->name);
		spin_lock_irq(&vol->lock);
		vol->protect = true;
		spin_unlock_irq(&vol->lock);
		snapprot_event(vol, "MODE");
	}
	if (!err && snapprot_label_present(vol) &&
	    s->core.generation != snapprot_label_generation(vol))
		err = pair_ahead(vol, s);
	seen = look_at_label(vol);
	while (!err) {
		/* Writes have gone past this store: nothing of it is right. */
		lose = seen.lost || (vol->state == SNAPPROT_NOSTORE &&
				     vol->running);
		lose = lose && snapprot_snaps_valid(&s->core);
		mutex_unlock(&vol->mutex);
		err = pair_store(s, &seen, lose);
		mutex_lock(&vol->mutex);
		if (err)
			break;
		now = look_at_label(vol);
		if (now.lost == seen.lost && now.protect == seen.protect) {
			err = pair_finish(vol, s, input);
			break;
		}
		err = snapprot_label_write(vol, 0, 0, s->core.generation, 0);
		seen = now;
	}
	mutex_unlock(&vol->mutex);
	if (!err)
		snapprot_ckpt_queue(s);
	return err;
}

/* ---- the origin comes and goes ------------------------------------------ */

static bool snapshots_possible(struct snapprot_volume *vol)
{
	u32 flags = snapprot_label_flags(vol);

	if (!snapprot_label_present(vol))
		return !vol->lost_here;
	return (flags & SNAPPROT_LABEL_SNAPSHOTS) &&
	       !(flags & SNAPPROT_LABEL_LOST);
}

static void adopt_args(struct snapprot_volume *vol, struct snapprot_origin *o)
{
	const struct snapprot_origin_args *a = &o->args;
	bool first = !vol->started;

	spin_lock_irq(&vol->lock);
	vol->queue_on_fault = a->queue_on_fault;
	vol->delete_oldest = a->delete_oldest;
	if (first || a->grace_given)
		vol->grace = a->grace;
	if (first || a->grow_given)
		vol->grow_timeout = a->grow_timeout;
	if (a->protect || (snapprot_label_flags(vol) &
			   SNAPPROT_LABEL_PROTECTED))
		vol->protect = true;
	vol->origin_bdev = o->dev->bdev;
	vol->sectors = o->ti->len;
	vol->suspending = false;
	spin_unlock_irq(&vol->lock);
	vol->origin_dev.bdev = o->dev->bdev;
}

/*
 * Readers of snapshots may be at the old device: let them end. If there is another
 * one in a moment, those that come wait for it.
 */
static void leave_origin(struct snapprot_volume *vol, bool moves)
{
	down_write(&vol->store_sem);
	WRITE_ONCE(vol->origin_moves, moves);
	spin_lock_irq(&vol->lock);
	vol->origin_bdev = NULL;
	spin_unlock_irq(&vol->lock);
	up_write(&vol->store_sem);
	wait_event(vol->view_wait, !atomic_read(&vol->view_inflight));
	spin_lock_irq(&vol->view_wait.lock);
	spin_unlock_irq(&vol->view_wait.lock);
	snapprot_cow_drain(vol);
}

static void start_without_store(struct snapprot_volume *vol)
{
	struct snapprot_situation now = {
		.state = SNAPPROT_NOSTORE,
		.protect = vol->protect,
		.snapshots = snapshots_possible(vol),
	};
	struct snapprot_outcome out;

	out = snapprot_state_next(&now, SNAPPROT_IN_START);
	snapprot_volume_set_state(vol, out.state);
	snapprot_volume_set_gate(vol);
	if (out.todo & SNAPPROT_DO_GRACE) {
		DMWARN("%s: waiting up to %u s for the store", vol->name,
		       vol->grace);
		snapprot_grace_start(vol);
		snapprot_event(vol, "WAITING");
	}
}

/* The store came, and cannot be used: see that the volume knows. */
static void load_fault(struct snapprot_volume *vol, int err)
{
	enum snapprot_fault fault;

	fault = snapprot_store_fault_of(err, SNAPPROT_FAULT_ONLINE_IO);
	snapprot_fault_raise(vol, fault, err);
	flush_work(&vol->fault_work);
}

/* The store was there before the origin. Under admin. */
static void claim_store(struct snapprot_volume *vol)
{
	struct snapprot_store_target *t = vol->store_target;
	int err;

	if (!t)
		return;
	if (t->store && snapprot_store_usable(t->store)) {
		err = pair(vol, t->store, SNAPPROT_IN_ARRIVE);
		if (!err)
			return;
		DMERR("%s: store not accepted: %d", vol->name, err);
		if (err == -ESTALE || err == -EINVAL)
			return;
		WRITE_ONCE(t->store->failed, true);
		t->load_error = err;
	}
	if (t->load_error)
		load_fault(vol, t->load_error);
}

/**
 * snapprot_volume_store_mode() - record the mode in the store, if it is there
 * @vol: the volume
 * @protect: what to record
 *
 * Context: volume->admin held. Return: 0, or -EIO with the fault raised.
 */
int snapprot_volume_store_mode(struct snapprot_volume *vol, bool protect)
{
	struct snapprot_store *s;
	int err = 0;
	u32 flags;

	s = vol->store;
	if (vol->attached && snapprot_store_usable(s)) {
		flags = s->core.flags & ~SNAPPROT_SUPER_PROTECTED;
		if (protect)
			flags |= SNAPPROT_SUPER_PROTECTED;
		err = snapprot_store_rewrite(s, s->core.generation, flags,
					     s->core.lost_epoch,
					     s->core.lost_fault);
		if (err && !READ_ONCE(s->failed))
			snapprot_store_broken(s, err, SNAPPROT_FAULT_STORE_IO);
	}
	return err ? -EIO : 0;
}

/**
 * snapprot_volume_claim() - the live volume's target is about to be resumed
 * @o: the live volume's target
 *
 * Context: dm_target.preresume. Return: 0; -EBUSY another device is this
 * volume, or has its origin; the error of reading the label.
 */
int snapprot_volume_claim(struct snapprot_origin *o)
{
	struct mapped_device *md = dm_table_get_md(o->ti->table);
	struct snapprot_volume *vol = o->vol;
	unsigned int noio = memalloc_noio_save();
	bool first, stricter;
	int err = 0;

	mutex_lock(&vol->admin);
	if (vol->origin == o) {
		spin_lock_irq(&vol->lock);
		vol->suspending = false;
		spin_unlock_irq(&vol->lock);
		snapprot_volume_kick(vol);
		goto out;
	}
	if (vol->origin && dm_table_get_md(vol->origin->ti->table) != md)
		err = -EBUSY;
	if (!err)
		err = snapprot_device_claim(md, o->dev->bdev->bd_dev, o);
	if (!err && o->label_dev)
		err = snapprot_device_claim(md, o->label_dev->bdev->bd_dev, o);
	if (err) {
		DMERR("%s: origin or volume is in use", vol->name);
		goto out;
	}
	if (vol->origin)
		leave_origin(vol, true);
	mutex_lock(&vol->mutex);
	err = snapprot_label_load(vol, o);
	if (err) {
		mutex_unlock(&vol->mutex);
		snapprot_device_release(o);
		goto out;
	}
	first = !vol->started;
	stricter = !vol->protect;
	adopt_args(vol, o);
	stricter &= vol->protect && !first;
	/* Timers that run go by the new limits. */
	if (vol->grace_running)
		snapprot_grace_start(vol);
	if (READ_ONCE(vol->space_out))
		snapprot_grow_start(vol);
	vol->origin = o;
	if (vol->protect && !(snapprot_label_flags(vol) &
			      SNAPPROT_LABEL_PROTECTED))
		err = snapprot_label_write(vol, SNAPPROT_LABEL_PROTECTED, 0,
					   snapprot_label_generation(vol), 0);
	if (err) {
		vol->origin = NULL;
		mutex_unlock(&vol->mutex);
		snapprot_device_release(o);
		goto out;
	}
	vol->started = true;
	if (first)
		start_without_store(vol);
	if (stricter)
		snapprot_event(vol, "MODE");
	mutex_unlock(&vol->mutex);
	if (first)
		claim_store(vol);
	else if (stricter)
		snapprot_volume_store_mode(vol, true);
	vol->running = true;
	snapprot_volume_kick(vol);
out:
	WRITE_ONCE(vol->origin_moves, false);
	snapprot_view_kick(vol);
	mutex_unlock(&vol->admin);
	memalloc_noio_restore(noio);
	return err;
}

/*
 * A log that ends at a checkpoint leaves nothing to be told from a torn end:
 * damage to a store at rest is then noticed, wherever it is.
 */
static void leave_clean(struct snapprot_volume *vol)
{
	down_read(&vol->store_sem);
	if (vol->attached && snapprot_store_usable(vol->store))
		snapprot_ckpt_run(vol->store);
	up_read(&vol->store_sem);
}

/**
 * snapprot_volume_unclaim() - the live volume's target goes
 * @o: the live volume's target
 *
 * Context: destructor, nothing is in flight through it.
 */
void snapprot_volume_unclaim(struct snapprot_origin *o)
{
	struct snapprot_volume *vol = o->vol;

	mutex_lock(&vol->admin);
	if (vol->origin == o) {
		leave_clean(vol);
		mutex_lock(&vol->mutex);
		snapprot_grace_stop(vol);
		vol->origin = NULL;
		vol->started = false;
		vol->running = false;
		vol->snap_in_doubt = false;
		vol->protect = false;
		snapprot_fault_set(vol, SNAPPROT_FAULT_NONE, 0);
		snapprot_fault_space_back(vol);
		snapprot_volume_set_state(vol, SNAPPROT_NOSTORE);
		snapprot_volume_set_gate(vol);
		memset(vol->label, 0, sizeof(*vol->label));
		mutex_unlock(&vol->mutex);
		down_write(&vol->store_sem);
		vol->attached = false;
		up_write(&vol->store_sem);
		leave_origin(vol, false);
		flush_work(&vol->fault_work);
	}
	mutex_unlock(&vol->admin);
	snapprot_device_release(o);
}

/* ---- the store comes and goes ------------------------------------------- */

static void detach_store(struct snapprot_volume *vol, struct snapprot_store *s)
{
	down_write(&vol->store_sem);
	if (vol->store == s) {
		vol->store = NULL;
		vol->attached = false;
	}
	up_write(&vol->store_sem);
}

/* Written under admin and lock, read under either. */
static void set_store(struct snapprot_store_target *t, struct snapprot_store *s)
{
	spin_lock_irq(&t->vol->lock);
	t->store = s;
	spin_unlock_irq(&t->vol->lock);
}

static void close_store(struct snapprot_store_target *t)
{
	struct snapprot_store *s = t->store;

	if (!s)
		return;
	WRITE_ONCE(s->failed, true);
	detach_store(t->vol, s);
	set_store(t, NULL);
	snapprot_store_close(s);
}

/* Load what is on the target's device. Under admin. */
static int open_store(struct snapprot_store_target *t)
{
	struct snapprot_volume *vol = t->vol;
	struct snapprot_store *s;
	int err;

	if (t->store) {
		/* Something that was given up may still land. */
		if (atomic_read(&t->store->dev.inflight))
			return -EBUSY;
		t->super_seq = le64_to_cpu(t->store->core.super->h.seq);
		close_store(t);
	}
	s = snapprot_store_open(vol, t->dev->bdev, &t->config, &err);
	t->load_error = err;
	if (!s) {
		DMERR("%s: cannot load the store: %d", vol->name, err);
		return err;
	}
	if (memcmp(s->core.uuid, vol->uuid, sizeof(vol->uuid))) {
		DMERR("%s: the store's device now holds another volume's",
		      vol->name);
		snapprot_store_close(s);
		t->load_error = -ESTALE;
		return -ESTALE;
	}
	if (le64_to_cpu(s->core.super->h.seq) < t->super_seq) {
		DMERR("%s: somebody put an older superblock back", vol->name);
		snapprot_store_close(s);
		t->load_error = -EUCLEAN;
		return -EUCLEAN;
	}
	set_store(t, s);
	return 0;
}

/* Errors of a store that is the right one but cannot be used: a fault. */
static bool load_is_fault(int err)
{
	return err == -EIO || err == -EBADMSG || err == -ETIMEDOUT ||
	       err == -EUCLEAN || err == -ENOMEM || err == -ENODATA ||
	       err == -EREMOTEIO || err == -EILSEQ || err == -ENOLINK;
}

/* The same device again, after a suspend or with a larger table. */
static int continue_store(struct snapprot_store_target *t,
			  struct snapprot_store_target *old)
{
	struct snapprot_volume *vol = t->vol;
	struct snapprot_store *s = old->store;
	u64 blocks;
	int err = 0;

	down_write(&vol->store_sem);
	mutex_lock(&s->lock);
	blocks = s->core.blocks;
	if (t->config.blocks != blocks)
		err = snapprot_store_grow(&s->core, t->config.blocks);
	if (!err) {
		s->dev.bdev = t->dev->bdev;
		s->dev.timeout = t->config.io_timeout * (unsigned long)HZ;
		s->low_water = t->config.low_water;
		s->cache.max = t->config.cache_kib >>
			       (SNAPPROT_BLOCK_SHIFT - 10);
		WRITE_ONCE(s->suspended, false);
		snapprot_store_publish(s);
	}
	mutex_unlock(&s->lock);
	up_write(&vol->store_sem);
	if (err)
		return err;
	set_store(old, NULL);
	set_store(t, s);
	if (t->config.blocks != blocks) {
		DMINFO("%s: store grown to %llu sectors", vol->name,
		       READ_ONCE(s->total));
		snapprot_ckpt_queue(s);
	}
	return 0;
}

/*
 * The table was no good. Until there is another one the store stays what it
 * was, suspended, but now it is this target's, for the old one goes.
 */
static void keep_suspended(struct snapprot_store_target *t,
			   struct snapprot_store_target *old)
{
	struct snapprot_volume *vol = t->vol;
	struct snapprot_store *s = old->store;

	down_write(&vol->store_sem);
	s->dev.bdev = t->dev->bdev;
	up_write(&vol->store_sem);
	set_store(old, NULL);
	set_store(t, s);
	mutex_lock(&vol->mutex);
	vol->store_target = t;
	mutex_unlock(&vol->mutex);
}

/* Take the place of the target that was the store's until now. */
static int arrive_locked(struct snapprot_store_target *t)
{
	struct snapprot_volume *vol = t->vol;
	struct snapprot_store_target *old = vol->store_target;
	struct snapprot_store *s = old ? old->store : NULL;
	bool same, good;
	int err;

	same = s && s->dev.bdev->bd_dev == t->dev->bdev->bd_dev;
	good = same && !READ_ONCE(s->failed);
	if (good && t->config.blocks >= s->core.blocks) {
		err = continue_store(t, old);
		if (err && old != t)
			keep_suspended(t, old);
		if (err)
			return err;
		s = t->store;
		mutex_lock(&vol->mutex);
		vol->store_target = t;
		mutex_unlock(&vol->mutex);
		if (vol->origin && !vol->attached)
			return pair(vol, s, SNAPPROT_IN_ARRIVE);
		return 0;
	}
	/* Another device, or one that failed, or a smaller table. */
	if (good && old == t)
		return -ENOSPC;		/* refused already */
	if (same && atomic_read(&s->dev.inflight))
		return -EBUSY;
	err = open_store(t);
	if (err && !load_is_fault(err)) {
		if (good)
			keep_suspended(t, old);
		return err;
	}
	if (same && old != t)
		close_store(old);
	if (!err && vol->origin) {
		if (old && old != t && s)
			detach_store(vol, s);
		err = pair(vol, t->store, SNAPPROT_IN_ARRIVE);
		if (err == -ESTALE || err == -EINVAL) {
			close_store(t);
			return err;
		}
		t->load_error = err;
	}
	mutex_lock(&vol->mutex);
	vol->store_target = t;
	mutex_unlock(&vol->mutex);
	if (err && t->store)
		WRITE_ONCE(t->store->failed, true);
	if (err && vol->origin)
		load_fault(vol, err);
	return 0;
}

/**
 * snapprot_volume_arrive() - the store's target is about to be resumed
 * @t: the store's target
 *
 * Context: dm_target.preresume. Return: 0, also where the store has a fault
 * that the volume now knows; -EBUSY there is a store already, or I/O that was
 * given up may still reach the device; -ESTALE an old copy; -EINVAL not for
 * this origin; -ENOSPC shrunk under its data.
 */
int snapprot_volume_arrive(struct snapprot_store_target *t)
{
	struct mapped_device *md = dm_table_get_md(t->ti->table);
	struct snapprot_volume *vol = t->vol;
	unsigned int noio = memalloc_noio_save();
	int err = 0;

	mutex_lock(&vol->admin);
	if (vol->store_target &&
	    dm_table_get_md(vol->store_target->ti->table) != md) {
		DMERR("%s: a second store with this UUID", vol->name);
		err = -EBUSY;
	}
	if (!err)
		err = snapprot_device_claim(md, t->dev->bdev->bd_dev, t);
	if (!err) {
		err = arrive_locked(t);
		if (err && vol->store_target != t)
			snapprot_device_release(t);
	}
	if (!err)
		snapprot_volume_kick(vol);
	mutex_unlock(&vol->admin);
	memalloc_noio_restore(noio);
	return err;
}

/*
 * Start nothing on the store any more, and wait for what is on its way: a
 * checkpoint, reads of snapshots. False if something still is, which was
 * given up or hangs.
 */
static bool store_settle(struct snapprot_volume *vol, struct snapprot_store *s)
{
	down_write(&vol->store_sem);
	WRITE_ONCE(s->suspended, true);
	up_write(&vol->store_sem);
	if (READ_ONCE(s->failed))
		return !atomic_read(&s->dev.inflight);
	return snapprot_io_dev_settle(&s->dev);
}

/* The store's target was suspended: leave it clean, then leave it alone. */
void snapprot_volume_pause(struct snapprot_store_target *t)
{
	struct snapprot_volume *vol = t->vol;
	unsigned int noio = memalloc_noio_save();
	struct snapprot_store *s;

	mutex_lock(&vol->admin);
	s = t->store;
	if (vol->store_target == t && s) {
		leave_clean(vol);
		/* What hangs is dealt with by whoever opens the store again. */
		store_settle(vol, s);
	}
	mutex_unlock(&vol->admin);
	memalloc_noio_restore(noio);
}

/* Nothing was at stake: the store may go without a fault. */
static void go_without_store(struct snapprot_volume *vol)
{
	mutex_lock(&vol->mutex);
	if (vol->state == SNAPPROT_ACTIVE) {
		DMINFO("%s: store removed, no snapshots", vol->name);
		snapprot_volume_set_state(vol, SNAPPROT_NOSTORE);
		snapprot_volume_set_gate(vol);
		snapprot_event(vol, "NOSTORE");
	}
	mutex_unlock(&vol->mutex);
}

/**
 * snapprot_volume_depart() - the store's target goes
 * @t: the store's target
 *
 * Context: destructor. Sleeps until the last I/O to its device has ended.
 */
void snapprot_volume_depart(struct snapprot_store_target *t)
{
	struct snapprot_volume *vol = t->vol;
	struct snapprot_store *s;
	bool attached;

	mutex_lock(&vol->admin);
	s = t->store;
	if (vol->store_target == t) {
		mutex_lock(&vol->mutex);
		vol->store_target = NULL;
		mutex_unlock(&vol->mutex);
		/* After a reload that was refused nothing may be attached. */
		attached = vol->attached || vol->state == SNAPPROT_ACTIVE;
		if (s) {
			WRITE_ONCE(s->failed, true);
			detach_store(vol, s);
		}
		if (attached && vol->nr_valid)
			snapprot_fault_raise(vol, SNAPPROT_FAULT_STORE_REMOVED,
					     -ENODEV);
		else if (attached)
			go_without_store(vol);
		flush_work(&vol->fault_work);
	}
	set_store(t, NULL);
	mutex_unlock(&vol->admin);
	/* A device that hangs keeps its own target waiting, and nobody else. */
	if (s)
		snapprot_store_close(s);
	snapprot_device_release(t);
}

static void check_problem(void *ctx, u64 block, const char *what)
{
	struct snapprot_store *s = ctx;

	DMERR_LIMIT("%s: store block %llu: %s", s->vol->name, block, what);
}

/* All of the metadata, for nothing has been believed since the fault. */
static int check_store(struct snapprot_store *s)
{
	static const struct snapprot_check_ops ops = {
		.problem = check_problem,
	};
	int ret;

	mutex_lock(&s->lock);
	ret = snapprot_store_check(&s->core, false, &ops, s);
	mutex_unlock(&s->lock);
	return ret > 0 ? -EBADMSG : ret;
}

/* Is there room for what the volume was blocked for? */
static int room_again(struct snapprot_volume *vol, struct snapprot_store *s)
{
	int room;

	if (!snapprot_fault_is_space(vol->fault))
		return 0;
	room = snapprot_ckpt_make_room(s);
	if (room < 0)
		return room;
	return room ? 0 : -ENOSPC;
}

/**
 * snapprot_volume_reopen() - load the store again and go on if it is healthy
 * @vol: the volume
 *
 * Context: volume->admin held. Return: 0, or why not: the volume's state is
 * then what it was.
 */
int snapprot_volume_reopen(struct snapprot_volume *vol)
{
	struct snapprot_store_target *t = vol->store_target;
	int err;

	if (!t || (t->store && READ_ONCE(t->store->suspended)))
		return -ENODEV;
	/* A store that lacks nothing but space goes on serving the views. */
	if (vol->attached && snapprot_store_usable(t->store)) {
		err = room_again(vol, t->store);
		if (err)
			return err;
	}
	if (t->store && !store_settle(vol, t->store)) {
		WRITE_ONCE(t->store->suspended, false);
		snapprot_view_kick(vol);
		return -EBUSY;
	}
	err = open_store(t);
	if (err)
		return err;
	err = check_store(t->store);
	if (!err)
		err = room_again(vol, t->store);
	if (!err)
		err = pair(vol, t->store, SNAPPROT_IN_CLEAR);
	if (err) {
		WRITE_ONCE(t->store->failed, true);
		detach_store(vol, t->store);
	}
	return err;
}
