// SPDX-License-Identifier: GPL-2.0-only
/*
 * What goes on behind the writes: checkpoints, by which the entries of the log go into
 * the index and the superblock moves on, and merging, which keeps the index in order
 * and drops what no snapshot needs any more.
 *
 * All of it is done in small pieces, so that writers and readers get at the core in
 * between, and nothing of it waits for I/O under store->lock. What a crash finds is
 * the old superblock and the whole log, or the new one and the log behind it.
 *
 * Beside writers, what is due is done, which the core paces by what they write. When
 * nobody has written for a while, or somebody waits for space, all is done that can be.
 *
 * A piece holds store->ckpt, and store_sem for reading, for as long as one checkpoint
 * takes and not longer: whoever waits for room waits elsewhere, and looks again when
 * he is told to.
 */
#include <linux/sched/mm.h>

#include "snapprot.h"

#define STEP_ENTRIES	64u
/* The work gives way after so long. */
#define PIECE		(HZ / 10 + 1)
/* Without writes for so long nobody is in the way. */
#define IDLE		HZ
/* What an administrator waits for room at most. */
#define ROOM_TIMEOUT	(30 * HZ)

void snapprot_ckpt_queue(struct snapprot_store *s)
{
	mod_delayed_work(s->vol->ckpt_wq, &s->ckpt_work, 0);
}

/* ---- checkpoints --------------------------------------------------------- */

static int freeze(struct snapprot_store *s)
{
	int err;

	/* A step of the log is never cut in two. */
	mutex_lock(&s->log);
	mutex_lock(&s->lock);
	err = snapprot_ckpt_freeze(&s->core);
	mutex_unlock(&s->lock);
	mutex_unlock(&s->log);
	return err;
}

static int insert_all(struct snapprot_store *s)
{
	int err;

	do {
		do {
			mutex_lock(&s->lock);
			err = snapprot_ckpt_step(&s->core, STEP_ENTRIES);
			mutex_unlock(&s->lock);
		} while (snapprot_cache_again(s, &err));
		if (err < 0)
			return err;
		if (snapprot_cache_trim(s))
			return -EIO;
		cond_resched();
	} while (err > 0);
	return 0;
}

/*
 * From here on nothing more becomes free by this checkpoint. What has become so
 * is still being read by those who looked it up before: readers are counted by turns.
 */
static int prepare(struct snapprot_store *s, unsigned int *turn)
{
	int err;

	do {
		mutex_lock(&s->lock);
		err = snapprot_ckpt_prepare(&s->core);
		if (!err) {
			*turn = s->view_turn;
			s->view_turn ^= 1;
		}
		mutex_unlock(&s->lock);
	} while (snapprot_cache_again(s, &err));
	return err;
}

/* Wait for the readers of before. Those that hang are the store's fault. */
static int readers_wait(struct snapprot_store *s, unsigned int turn)
{
	unsigned long from = jiffies;

	while (!wait_event_timeout(s->view_wait,
				   !atomic_read(&s->view_turns[turn]), HZ)) {
		if (READ_ONCE(s->failed))
			return -EIO;
		if (s->dev.timeout && jiffies - from > s->dev.timeout)
			return -ETIMEDOUT;
	}
	return 0;
}

static int finish(struct snapprot_store *s)
{
	int err;

	mutex_lock(&s->lock);
	err = snapprot_ckpt_finish(&s->core);
	snapprot_store_publish(s);
	mutex_unlock(&s->lock);
	if (err)
		return err;
	snapprot_label_follow(s->vol);
	/* What has become free is the log's first of all. */
	mutex_lock(&s->log);
	err = snapprot_store_refill(s);
	mutex_unlock(&s->log);
	return err == -ENOSPC ? 0 : err;
}

/* 0, -EBUSY if merging has to come first, or an error. */
static int checkpoint(struct snapprot_store *s)
{
	unsigned int turn;
	int err;

	lockdep_assert_held(&s->ckpt);
	err = freeze(s);
	if (err)
		return err;
	/* Takes a while, and concerns nobody else. */
	snapprot_ckpt_order(&s->core);
	err = insert_all(s);
	if (!err)
		err = prepare(s, &turn);
	if (!err)
		err = snapprot_ckpt_write(&s->core);
	if (!err)
		err = readers_wait(s, turn);
	return err ? err : finish(s);
}

/* ---- merging --------------------------------------------------------------- */

/* As snapprot_merge_step(), without -EAGAIN. */
static int merge(struct snapprot_store *s)
{
	int ret;

	lockdep_assert_held(&s->ckpt);
	do {
		mutex_lock(&s->lock);
		ret = snapprot_merge_step(&s->core, STEP_ENTRIES);
		mutex_unlock(&s->lock);
	} while (snapprot_cache_again(s, &ret));
	if (ret >= 0 && snapprot_cache_trim(s))
		return -EIO;
	cond_resched();
	return ret;
}

/*
 * Merging has found no space, and a checkpoint would give none: until a snapshot is
 * deleted, or the store grows, there is no sense in trying again.
 */
static bool is_stuck(const struct snapprot_store *s)
{
	return s->stuck && s->stuck_deletions == s->core.deletions &&
	       s->stuck_free >= snapprot_space_free_blocks(&s->core);
}

static void set_stuck(struct snapprot_store *s)
{
	mutex_lock(&s->lock);
	s->stuck = true;
	s->stuck_deletions = s->core.deletions;
	s->stuck_free = snapprot_space_free_blocks(&s->core);
	mutex_unlock(&s->lock);
}

/* ---- what there is to do ---------------------------------------------------- */

/**
 * struct todo - what there is to do
 * @full: the log is: a checkpoint is due
 * @merge: there is something to merge
 * @frees: a checkpoint makes something free
 * @empties: or the log shorter
 */
struct todo {
	bool full;
	bool merge;
	bool frees;
	bool empties;
};

static void look(struct snapprot_store *s, bool all, struct todo *todo)
{
	const struct snapprot_core *core = &s->core;

	mutex_lock(&s->lock);
	todo->full = snapprot_log_full(core);
	todo->merge = !is_stuck(s) && (all ? snapprot_merge_possible(core) :
					     snapprot_merge_due(core));
	todo->frees = core->space.freed || core->space.queue_count;
	todo->empties = core->log.nr_entries || core->log.nr_headers;
	mutex_unlock(&s->lock);
	if (core->read_only)
		memset(todo, 0, sizeof(*todo));
}

/* One checkpoint, with some merging if that has to come first. */
static int checkpoint_now(struct snapprot_store *s)
{
	unsigned int idle = 0;
	int err;

	while ((err = checkpoint(s)) == -EBUSY) {
		err = merge(s);
		/* Too much to merge, and no space for it: there is no way on. */
		if (err == -ENOSPC || (!err && idle++))
			return -ENOTRECOVERABLE;
		if (err < 0)
			return err;
	}
	return err;
}

/**
 * struct aim - how far to go
 * @all: everything that can be done, not only what is due
 * @room: somebody waits for room: the log is to be as short as can be
 */
struct aim {
	bool all;
	bool room;
};

/* The next thing to do: 1 it is done, 0 there is nothing, or an error. */
static int advance_locked(struct snapprot_store *s, const struct aim *aim)
{
	struct todo todo;
	int ret;

	look(s, aim->all, &todo);
	if (todo.full) {
		ret = checkpoint_now(s);
		return ret ? ret : 1;
	}
	if (todo.merge) {
		ret = merge(s);
		if (ret != -ENOSPC)
			return ret < 0 ? ret : 1;
		/* A checkpoint has to come first. */
		look(s, aim->all, &todo);
		if (!todo.frees && !todo.empties) {
			set_stuck(s);
			return 1;
		}
	} else if (!(aim->all && todo.frees) && !(aim->room && todo.empties)) {
		return 0;
	}
	ret = checkpoint_now(s);
	return ret ? ret : 1;
}

static int advance(struct snapprot_store *s, const struct aim *aim)
{
	int ret;

	mutex_lock(&s->ckpt);
	ret = snapprot_store_usable(s) ? advance_locked(s, aim) : -EIO;
	if (ret < 0 && snapprot_store_usable(s))
		snapprot_store_broken(s, ret, SNAPPROT_FAULT_STORE_IO);
	mutex_unlock(&s->ckpt);
	return ret;
}

/**
 * snapprot_ckpt_run() - some merging, and one checkpoint
 * @s: the store
 *
 * Context: sleeps; store_sem held for reading, or the store is the caller's
 * alone. Return: 1 if there is more to merge, 0, or an error, after which the
 * store is broken and the fault has been raised.
 */
int snapprot_ckpt_run(struct snapprot_store *s)
{
	unsigned long until = jiffies + PIECE;
	struct todo todo;
	int ret = 0;

	if (s->core.read_only)
		return 0;
	mutex_lock(&s->ckpt);
	do {
		if (!snapprot_store_usable(s)) {
			ret = -EIO;
			break;
		}
		look(s, true, &todo);
		if (todo.merge)
			ret = merge(s);
	} while (todo.merge && ret >= 0 && time_before(jiffies, until));
	if (ret >= 0 || ret == -ENOSPC)
		ret = checkpoint_now(s);
	if (ret < 0 && snapprot_store_usable(s))
		snapprot_store_broken(s, ret, SNAPPROT_FAULT_STORE_IO);
	mutex_unlock(&s->ckpt);
	return ret < 0 ? ret : todo.merge;
}

/* ---- room for batches ---------------------------------------------------------- */

static int room_now(struct snapprot_store *s)
{
	int room;

	mutex_lock(&s->lock);
	room = snapprot_log_room(&s->core, SNAPPROT_BATCH_BLOCKS);
	if (room) {
		s->starved = false;
		s->core.hurry = false;
	}
	mutex_unlock(&s->lock);
	return room;
}

/**
 * snapprot_ckpt_room() - how many blocks may be preserved now?
 * @s: the store
 *
 * Context: takes store->log; store_sem held for reading. Waits for no checkpoint and
 * no merging. Return: blocks; 0 if there is no room to be had; -EAGAIN if some may
 * be, for which everything is on its way: the cow worker is kicked then; or
 * another error, after which the store is broken and the fault has been raised.
 */
int snapprot_ckpt_room(struct snapprot_store *s)
{
	struct todo todo;
	int room, err;

	room = room_now(s);
	if (room)
		return room;
	mutex_lock(&s->log);
	err = snapprot_store_usable(s) ? snapprot_store_refill(s) : -EIO;
	mutex_unlock(&s->log);
	if (err && err != -ENOSPC) {
		if (snapprot_store_usable(s))
			snapprot_store_broken(s, err, SNAPPROT_FAULT_COW_WRITE);
		return err == -EAGAIN ? -EIO : err;
	}
	room = room_now(s);
	if (room)
		return room;
	mutex_lock(&s->lock);
	/* Else it is only the memory that is full, for a moment. */
	s->core.hurry = err == -ENOSPC;
	s->starved = true;
	mutex_unlock(&s->lock);
	look(s, true, &todo);
	if (!todo.merge && !todo.frees && !todo.empties)
		return 0;
	snapprot_ckpt_queue(s);
	return -EAGAIN;
}

/**
 * snapprot_ckpt_make_room() - the same, for somebody who waits for it
 * @s: the store
 *
 * Context: as snapprot_ckpt_run(), without the log. Return: blocks, 0 if there
 * is no room to be had within some time, or an error.
 */
int snapprot_ckpt_make_room(struct snapprot_store *s)
{
	static const struct aim aim = { .all = true, .room = true };
	unsigned long until = jiffies + ROOM_TIMEOUT;
	int ret;

	for (;;) {
		ret = snapprot_ckpt_room(s);
		if (ret != -EAGAIN)
			return ret;
		ret = advance(s, &aim);
		if (ret < 0)
			return ret;
		if (time_after(jiffies, until))
			return 0;
	}
}

/* ---- the work ------------------------------------------------------------------- */

static bool wants_room(const struct snapprot_store *s)
{
	return READ_ONCE(s->starved) || READ_ONCE(s->vol->space_out);
}

static bool is_idle(const struct snapprot_store *s)
{
	return jiffies - READ_ONCE(s->last_step) >= IDLE;
}

/* Of the bits that say what is preserved, a piece: 1 more, 0 done, or an error. */
static int rebuild(struct snapprot_store *s)
{
	int ret = snapprot_bits_rebuild(s);

	if (ret < 0 && snapprot_store_usable(s))
		snapprot_store_broken(s, ret, SNAPPROT_FAULT_STORE_IO);
	return ret;
}

/* Work for a while. Return: when to go on, in jiffies; -1: not by itself. */
static long work_piece(struct snapprot_store *s)
{
	unsigned long until = jiffies + PIECE;
	struct todo todo;
	int ret;

	do {
		struct aim aim = { .room = wants_room(s) };
		int more = rebuild(s);

		aim.all = aim.room || is_idle(s);
		ret = advance(s, &aim);
		if (ret > 0 && aim.room)
			snapprot_cow_kick(s->vol);
		if (!ret)
			ret = more;
	} while (ret > 0 && time_before(jiffies, until) &&
		 !rwsem_is_contended(&s->vol->store_sem));
	if (ret < 0)
		return -1;
	if (ret > 0)
		return 0;
	/* Beside writers no more is due; there may be more when they pause. */
	look(s, true, &todo);
	return todo.merge || todo.frees ? IDLE : -1;
}

void snapprot_ckpt_work(struct work_struct *work)
{
	struct snapprot_store *s = container_of(to_delayed_work(work),
						struct snapprot_store,
						ckpt_work);
	struct snapprot_volume *vol = s->vol;
	unsigned int noio = memalloc_noio_save();
	long delay = -1;

	/*
	 * Not to be waited for: whoever closes the store holds store_sem for
	 * writing and cancels this work.
	 */
	if (down_read_trylock(&vol->store_sem)) {
		if (vol->store == s && vol->attached && snapprot_store_usable(s))
			delay = work_piece(s);
		up_read(&vol->store_sem);
		snapprot_cow_kick(vol);
	} else if (!READ_ONCE(s->failed) && !READ_ONCE(s->suspended)) {
		delay = 1;
	}
	memalloc_noio_restore(noio);
	if (delay >= 0)
		queue_delayed_work(vol->ckpt_wq, &s->ckpt_work, delay);
}
