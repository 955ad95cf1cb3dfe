// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoints: the entries of the log go into the index, and the superblock
 * moves on. In small steps, so that writers and readers get at the core in
 * between; what a crash finds is the old superblock and the whole log, or the
 * new one.
 *
 * Behind a deleted snapshot a sweep goes through the index, a piece with each
 * checkpoint. Nobody waits for it but whoever needs its space, so beside writers
 * it rests for most of the time.
 */
#include <linux/sched/mm.h>

#include "snapprot.h"

#define STEP_ENTRIES	64u
#define SWEEP_ENTRIES	2048u
/* Beside writers: rests for so many times as long as it has worked. */
#define SWEEP_REST	19

void snapprot_ckpt_queue(struct snapprot_store *s)
{
	mod_delayed_work(s->vol->ckpt_wq, &s->ckpt_work, 0);
}

static int insert_all(struct snapprot_store *s)
{
	int err;

	do {
		mutex_lock(&s->lock);
		err = snapprot_ckpt_step(&s->core, STEP_ENTRIES);
		mutex_unlock(&s->lock);
		if (err < 0)
			return err;
		if (snapprot_cache_trim(s))
			return -EIO;
		cond_resched();
	} while (err > 0);
	return 0;
}

static int sweep_some(struct snapprot_store *s)
{
	unsigned int done;
	int more = 1;

	for (done = 0; more > 0 && done < SWEEP_ENTRIES; done += STEP_ENTRIES) {
		mutex_lock(&s->lock);
		more = snapprot_ckpt_sweep(&s->core, STEP_ENTRIES);
		mutex_unlock(&s->lock);
		if (more >= 0 && snapprot_cache_trim(s))
			return -EIO;
		cond_resched();
	}
	return more;
}

static int ckpt_locked(struct snapprot_store *s, bool sweep)
{
	int err, more = 0;

	/* A step of the log is never cut in two. */
	mutex_lock(&s->log);
	mutex_lock(&s->lock);
	err = snapprot_ckpt_freeze(&s->core);
	mutex_unlock(&s->lock);
	mutex_unlock(&s->log);
	if (err)
		return err;

	/* Takes a while, and concerns nobody else. */
	snapprot_ckpt_order(&s->core);
	err = insert_all(s);
	if (!err && (s->core.flags & SNAPPROT_SUPER_SWEEP)) {
		more = sweep ? sweep_some(s) : 1;
		err = more < 0 ? more : 0;
	}
	if (err)
		return err;

	mutex_lock(&s->lock);
	err = snapprot_ckpt_prepare(&s->core);
	mutex_unlock(&s->lock);
	if (!err)
		err = snapprot_ckpt_write(&s->core);
	if (err)
		return err;
	mutex_lock(&s->lock);
	err = snapprot_ckpt_finish(&s->core);
	snapprot_store_publish(s);
	mutex_unlock(&s->lock);
	return err ? err : more;
}

static int ckpt_run(struct snapprot_store *s, bool sweep)
{
	int err;

	mutex_lock(&s->ckpt);
	err = READ_ONCE(s->failed) ? -EIO : ckpt_locked(s, sweep);
	if (err < 0 && !READ_ONCE(s->failed))
		snapprot_store_broken(s, err, SNAPPROT_FAULT_STORE_IO);
	mutex_unlock(&s->ckpt);
	return err;
}

/**
 * snapprot_ckpt_run() - one checkpoint, with a piece of the sweep
 * @s: the store
 *
 * Context: sleeps; store_sem held for reading, or the store is the caller's
 * alone. Return: 1 if there is more to sweep, 0, or an error, after which the
 * store is broken and the fault has been raised.
 */
int snapprot_ckpt_run(struct snapprot_store *s)
{
	return ckpt_run(s, true);
}

/**
 * snapprot_ckpt_make_room() - how many blocks may be preserved now?
 * @s: the store
 *
 * Where there is no room, and checkpoints could give some, they are made.
 *
 * Context: as snapprot_ckpt_run(), without the log. Return: blocks, 0 if there
 * is no room to be had, or the error of a checkpoint.
 */
int snapprot_ckpt_make_room(struct snapprot_store *s)
{
	unsigned int idle = 0;
	bool could_help;
	int more = 1;
	u32 room;

	for (;;) {
		mutex_lock(&s->lock);
		room = snapprot_log_room(&s->core, SNAPPROT_BATCH_BLOCKS);
		/* A sweep that was cut short may go on, but not for ever. */
		could_help = more > 0 || s->core.nr_freed ||
			     ((s->core.flags & SNAPPROT_SUPER_SWEEP) &&
			      idle++ < 4);
		mutex_unlock(&s->lock);
		if (room || !could_help)
			return room;
		more = snapprot_ckpt_run(s);
		if (more < 0)
			return more;
	}
}

/*
 * A checkpoint on nobody's behalf, with a piece of the sweep if it has rested.
 * Return: as snapprot_ckpt_run().
 */
static int ckpt_background(struct snapprot_store *s)
{
	u64 batches = READ_ONCE(s->vol->nr_batches);
	bool sweep = time_after_eq(jiffies, s->sweep_at);
	unsigned long from = jiffies;
	int more;

	more = ckpt_run(s, sweep);
	if (sweep) {
		s->sweep_at = jiffies;
		if (batches != READ_ONCE(s->vol->nr_batches))
			s->sweep_at += (jiffies - from + 1) * SWEEP_REST;
	}
	return more;
}

static unsigned long sweep_delay(const struct snapprot_store *s)
{
	unsigned long now = jiffies;

	return time_after(s->sweep_at, now) ? s->sweep_at - now : 0;
}

void snapprot_ckpt_work(struct work_struct *work)
{
	struct snapprot_store *s = container_of(to_delayed_work(work),
						struct snapprot_store,
						ckpt_work);
	struct snapprot_volume *vol = s->vol;
	unsigned int noio = memalloc_noio_save();
	int more = 0;

	/*
	 * Not to be waited for: whoever closes the store holds store_sem for
	 * writing and cancels this work.
	 */
	if (down_read_trylock(&vol->store_sem)) {
		if (vol->store == s && snapprot_store_usable(s))
			more = ckpt_background(s);
		up_read(&vol->store_sem);
		snapprot_cow_kick(vol);
	} else if (!READ_ONCE(s->failed) && !READ_ONCE(s->suspended)) {
		more = 1;
	}
	memalloc_noio_restore(noio);
	if (more > 0)
		queue_delayed_work(vol->ckpt_wq, &s->ckpt_work, sweep_delay(s));
}
