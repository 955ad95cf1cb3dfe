// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: faults
 *
 * A fault is raised from any context, which only notes it and queues work.
 * Until the work is done nothing that the fault concerns moves: writes that
 * have to be preserved wait. The work decides by the state table, with
 * volume->mutex held, and never waits for the store longer than its
 * io_timeout; it must not need anybody who may be waiting for the store.
 *
 * Crash argument of a loss in normal mode: the label says "lost" before any
 * write goes unpreserved. A crash before that finds the snapshots whole; a
 * crash after it finds them lost, whatever the store says.
 */
#include <linux/sched/mm.h>

#include "snapprot.h"

void snapprot_fault_raise(struct snapprot_volume *vol,
			  enum snapprot_fault fault, int err)
{
	unsigned long flags;

	spin_lock_irqsave(&vol->lock, flags);
	if (!vol->raised) {
		vol->raised = fault;
		vol->raised_errno = err < 0 ? -err : err;
	}
	spin_unlock_irqrestore(&vol->lock, flags);
	queue_work(vol->fault_wq, &vol->fault_work);
}

/* Under mutex: what the status says. */
void snapprot_fault_set(struct snapprot_volume *vol, enum snapprot_fault fault,
			int err)
{
	lockdep_assert_held(&vol->mutex);
	spin_lock_irq(&vol->lock);
	vol->fault = fault;
	vol->fault_errno = err < 0 ? -err : err;
	spin_unlock_irq(&vol->lock);
}

/* ---- losing the snapshots ----------------------------------------------- */

static void all_lost(struct snapprot_volume *vol)
{
	spin_lock_irq(&vol->lock);
	vol->nr_lost += vol->nr_valid;
	vol->nr_valid = 0;
	spin_unlock_irq(&vol->lock);
}

/* In the store as well, if it can be reached; the label then may forget it. */
static bool lose_in_store(struct snapprot_volume *vol,
			  enum snapprot_fault fault)
{
	struct snapprot_store *s;
	int err = -ENODEV;

	down_read(&vol->store_sem);
	s = vol->store;
	if (vol->attached && snapprot_store_usable(s)) {
		err = snapprot_store_rewrite(s, s->core.generation,
					     s->core.flags, s->core.epoch,
					     fault);
		if (err)
			WRITE_ONCE(s->failed, true);
		else
			snapprot_ckpt_queue(s);
	}
	up_read(&vol->store_sem);
	return !err;
}

/*
 * Record that all snapshots are lost. Return: 0, or an error if that cannot
 * be made durable, in which case no write may go.
 */
static int record_loss(struct snapprot_volume *vol, enum snapprot_fault fault)
{
	u64 generation = snapprot_label_generation(vol);
	u32 valid = vol->nr_valid;
	int err;

	err = snapprot_label_write(vol, SNAPPROT_LABEL_LOST, 0, generation,
				   fault);
	if (err)
		return err;
	all_lost(vol);
	WRITE_ONCE(vol->lost_here, true);
	DMERR("%s: all snapshots (%u known) are lost, because %s", vol->name,
	      valid, snapprot_fault_name(fault));
	if (lose_in_store(vol, fault)) {
		/* Left over if this fails: nothing but a repeated record. */
		snapprot_label_write(vol, 0, SNAPPROT_LABEL_LOST |
				     SNAPPROT_LABEL_SNAPSHOTS, generation, 0);
		WRITE_ONCE(vol->lost_here, false);
	}
	return 0;
}

/* ---- delete_oldest ------------------------------------------------------ */

static u32 oldest_valid(struct snapprot_store *s)
{
	u32 i, id = 0;

	mutex_lock(&s->lock);
	for (i = 0; !id && i < s->core.nr_snaps; i++)
		if (!snapprot_snap_lost(&s->core, &s->core.snaps[i]))
			id = s->core.snaps[i].id;
	mutex_unlock(&s->lock);
	return id;
}

/* Make room by deleting the oldest snapshot. False: that was not to be. */
static bool delete_oldest(struct snapprot_volume *vol)
{
	struct snapprot_store *s;
	bool deleted = false;
	u32 id;

	if (vol->protect || !vol->delete_oldest)
		return false;
	down_read(&vol->store_sem);
	s = vol->store;
	id = vol->attached && snapprot_store_usable(s) ? oldest_valid(s) : 0;
	if (id && !snapprot_snap_delete(vol, id)) {
		while (snapprot_ckpt_run(s) > 0)
			cond_resched();
		deleted = !READ_ONCE(s->failed);
	}
	up_read(&vol->store_sem);
	if (!deleted)
		return false;
	DMWARN("%s: deleted the oldest snapshot, %u, for want of space",
	       vol->name, id);
	snapprot_fault_space_back(vol);
	snapprot_volume_set_gate(vol);
	snapprot_event(vol, "DELETED_OLDEST");
	return true;
}

/* ---- applying one ------------------------------------------------------- */

static void enter(struct snapprot_volume *vol,
		  const struct snapprot_outcome *out)
{
	snapprot_grace_stop(vol);
	if (out->state != SNAPPROT_BLOCKED)
		snapprot_fault_space_back(vol);
	snapprot_volume_set_state(vol, out->state);
	snapprot_volume_set_gate(vol);
}

static bool store_works(struct snapprot_volume *vol)
{
	bool works;

	down_read(&vol->store_sem);
	works = vol->attached && snapprot_store_usable(vol->store);
	up_read(&vol->store_sem);
	return works;
}

static struct snapprot_situation situation(struct snapprot_volume *vol)
{
	bool unknown = vol->state == SNAPPROT_WAITING;

	return (struct snapprot_situation) {
		.state = vol->state,
		.protect = vol->protect,
		.snapshots = vol->nr_valid || unknown || vol->snap_in_doubt,
		.store_works = store_works(vol),
		.standing = vol->fault,
	};
}

static void fault_apply(struct snapprot_volume *vol, enum snapprot_fault fault,
			int err)
{
	struct snapprot_situation now = situation(vol);
	struct snapprot_outcome out;
	const char *action = "BLOCKED";

	if (snapprot_fault_is_space(fault) && now.state == SNAPPROT_ACTIVE &&
	    delete_oldest(vol))
		return;
	out = snapprot_state_next(&now, SNAPPROT_IN_FAULT);
	if (!(out.todo & SNAPPROT_DO_SET)) {
		DMWARN("%s: %s (errno %d), already %s", vol->name,
		       snapprot_fault_name(fault), err,
		       snapprot_state_name(vol->state));
		return;
	}
	DMERR("%s: fault %s (errno %d)", vol->name, snapprot_fault_name(fault),
	      err);
	snapprot_fault_set(vol, fault, err);
	if (out.todo & SNAPPROT_DO_LOSE) {
		int lost = record_loss(vol, fault);

		action = "LOST";
		out.state = store_works(vol) ? SNAPPROT_ACTIVE :
			SNAPPROT_NOSTORE;
		if (lost) {
			/* Promise 3: no write before the record is durable. */
			DMERR("%s: the loss cannot be recorded: blocked",
			      vol->name);
			out.state = SNAPPROT_BLOCKED;
			action = "BLOCKED";
		}
	} else if (out.state != SNAPPROT_BLOCKED) {
		action = "FAULT";
	}
	enter(vol, &out);
	DMWARN("%s: %s", vol->name, snapprot_state_name(vol->state));
	snapprot_event(vol, action);
}

/**
 * snapprot_fault_drop() - give the snapshots up and let the origin go on
 * @vol: the volume
 *
 * Context: volume->mutex held. Return: 0, or the error of the label's write,
 * with nothing changed.
 */
int snapprot_fault_drop(struct snapprot_volume *vol)
{
	struct snapprot_situation now = situation(vol);
	struct snapprot_outcome out;
	int err;

	out = snapprot_state_next(&now, SNAPPROT_IN_DROP);
	if (out.todo & SNAPPROT_DO_LOSE) {
		err = record_loss(vol, vol->fault);
		if (err)
			return err;
		out.state = store_works(vol) ? SNAPPROT_ACTIVE :
			SNAPPROT_NOSTORE;
	}
	enter(vol, &out);
	snapprot_event(vol, "LOST");
	return 0;
}

void snapprot_fault_work(struct work_struct *work)
{
	struct snapprot_volume *vol = container_of(work, struct snapprot_volume,
						   fault_work);
	unsigned int noio = memalloc_noio_save();
	enum snapprot_fault fault;
	int err;

	mutex_lock(&vol->mutex);
	spin_lock_irq(&vol->lock);
	fault = vol->raised;
	err = vol->raised_errno;
	vol->handling = true;
	vol->raised = SNAPPROT_FAULT_NONE;
	spin_unlock_irq(&vol->lock);
	/* Another one that is raised from here on comes after this one. */
	if (fault && vol->started)
		fault_apply(vol, fault, err);
	spin_lock_irq(&vol->lock);
	vol->handling = false;
	spin_unlock_irq(&vol->lock);
	snapprot_volume_kick(vol);
	mutex_unlock(&vol->mutex);
	memalloc_noio_restore(noio);
}

/*
 * How long to sleep so that @limit has passed since @start. The kernel's timers
 * are late by up to an eighth of their length, 37 s of 300, so a long sleep ends
 * before its time, and whoever wakes sleeps again for what is left.
 */
static unsigned long sleep_for(unsigned long start, unsigned long limit)
{
	unsigned long passed = jiffies - start, left;

	if (passed >= limit)
		return 0;
	left = limit - passed;
	return left > HZ ? left - left / 8 : left;
}

/* ---- grace -------------------------------------------------------------- */

static unsigned long grace_jiffies(const struct snapprot_volume *vol)
{
	return vol->grace * (unsigned long)HZ;
}

/* Under mutex: start, or set a running timer to a changed limit. */
void snapprot_grace_start(struct snapprot_volume *vol)
{
	lockdep_assert_held(&vol->mutex);
	spin_lock_irq(&vol->lock);
	if (!vol->grace_running)
		vol->grace_start = jiffies;
	vol->grace_running = true;
	spin_unlock_irq(&vol->lock);
	mod_delayed_work(vol->fault_wq, &vol->grace_work,
			 sleep_for(vol->grace_start, grace_jiffies(vol)));
}

void snapprot_grace_stop(struct snapprot_volume *vol)
{
	lockdep_assert_held(&vol->mutex);
	spin_lock_irq(&vol->lock);
	vol->grace_running = false;
	spin_unlock_irq(&vol->lock);
	cancel_delayed_work(&vol->grace_work);
}

/*
 * The timer may have fired before it was stopped or set anew, so what counts
 * is what the volume says under the mutex.
 */
void snapprot_grace_work(struct work_struct *work)
{
	struct snapprot_volume *vol = container_of(to_delayed_work(work),
						   struct snapprot_volume,
						   grace_work);
	unsigned int noio = memalloc_noio_save();

	mutex_lock(&vol->mutex);
	if (vol->grace_running && vol->state == SNAPPROT_WAITING) {
		if (jiffies - vol->grace_start >= grace_jiffies(vol)) {
			fault_apply(vol, SNAPPROT_FAULT_STORE_MISSING,
				    ETIMEDOUT);
			snapprot_volume_kick(vol);
		} else {
			snapprot_grace_start(vol);
		}
	}
	mutex_unlock(&vol->mutex);
	memalloc_noio_restore(noio);
}

/* ---- space -------------------------------------------------------------- */

static unsigned long grow_jiffies(const struct snapprot_volume *vol)
{
	return READ_ONCE(vol->grow_timeout) * (unsigned long)HZ;
}

/* Start, or set a running timer to a changed limit. */
void snapprot_grow_start(struct snapprot_volume *vol)
{
	mod_delayed_work(vol->fault_wq, &vol->grow_work,
			 sleep_for(READ_ONCE(vol->grow_start),
				   grow_jiffies(vol)));
}

void snapprot_fault_space_out(struct snapprot_volume *vol)
{
	bool news;

	spin_lock_irq(&vol->lock);
	news = !vol->space_out;
	if (news)
		vol->grow_start = jiffies;
	vol->space_out = true;
	spin_unlock_irq(&vol->lock);
	if (!news)
		return;
	if (!vol->grow_timeout) {
		queue_work(vol->fault_wq, &vol->full_work);
		snapprot_fault_raise(vol, SNAPPROT_FAULT_STORE_FULL, -ENOSPC);
		return;
	}
	queue_work(vol->fault_wq, &vol->full_work);
	snapprot_grow_start(vol);
}

void snapprot_fault_space_back(struct snapprot_volume *vol)
{
	if (!READ_ONCE(vol->space_out))
		return;
	spin_lock_irq(&vol->lock);
	vol->space_out = false;
	spin_unlock_irq(&vol->lock);
	cancel_delayed_work(&vol->grow_work);
}

void snapprot_full_work(struct work_struct *work)
{
	struct snapprot_volume *vol = container_of(work, struct snapprot_volume,
						   full_work);
	unsigned int noio = memalloc_noio_save();

	mutex_lock(&vol->mutex);
	DMWARN("%s: no space left in the store", vol->name);
	snapprot_event(vol, "FULL");
	mutex_unlock(&vol->mutex);
	memalloc_noio_restore(noio);
}

void snapprot_grow_work(struct work_struct *work)
{
	struct snapprot_volume *vol = container_of(to_delayed_work(work),
						   struct snapprot_volume,
						   grow_work);

	if (!READ_ONCE(vol->space_out))
		return;
	if (jiffies - READ_ONCE(vol->grow_start) >= grow_jiffies(vol))
		snapprot_fault_raise(vol, SNAPPROT_FAULT_GROW_TOO_SLOW,
				     -ENOSPC);
	else
		snapprot_grow_start(vol);
}
