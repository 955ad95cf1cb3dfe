// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: where a write goes
 *
 * map() lets a write pass if nothing is to be protected, or if the bit of
 * every block that it touches is set; it takes no lock and allocates nothing.
 * Anything else is queued for the volume's worker, which is the only one that
 * preserves, with one piece of it done in map(), see begin_alone():
 *
 *   collect   blocks whose old data is not in the store go into a batch, with
 *             the writes that wait for it
 *   read      the old data, from the origin
 *   write     headers and data as steps of the log, then one flush (or FUA)
 *   commit    the entries count: reads of snapshots find them
 *   wait      for reads of the origin that began before that
 *   bits      are set, and the writes go
 *
 * While one batch is written the next one is collected and read, so whatever
 * came in the meantime shares a flush. A large batch is several steps of the
 * log, each of which is written as soon as it is read. Where flushes are dear,
 * one batch waits for the writes that the one before it let go to be followed
 * by others: see gather().
 *
 * Between read and write the last snapshot may be deleted and another one be
 * taken. What was read is not of the new one if other writes have passed in
 * between, which vol->passes tells; then it is read again.
 *
 * A crash before the flush leaves steps each of which recovery drops or keeps
 * whole; no write of the batch has gone to the origin. A crash after it finds the
 * old data. A failure anywhere sets no bit and releases no write.
 *
 * Holding vol->writes stands for "a write is on its way to the origin". The
 * decision to let one pass is taken with it held, so that freezing it (a new
 * snapshot) leaves no decision of the old epoch behind.
 */
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "snapprot.h"

/* Between the end of writing and giving back the memory that it took. */
#define TRIM_DELAY	HZ

/* A flush is dear from here on, and this is the most that is waited to share it. */
#define GATHER_DEAR_NS	(500 * NSEC_PER_USEC)
#define GATHER_MAX_NS	(10 * NSEC_PER_MSEC)
/* How often in a row waiting may have paid off, and rounds without after it has not. */
#define GATHER_LUCK	4
#define GATHER_REST	16

enum verdict {
	ISSUED,		/* gone, one way or the other */
	QUEUED,		/* waits for a batch */
	LATER,		/* something of ours will look at it again */
	HELD,		/* until something happens that may never happen */
};

static struct snapprot_bio *to_snapprot_bio(struct bio *bio)
{
	return dm_per_bio_data(bio, sizeof(struct snapprot_bio));
}

static u64 first_block(const struct bio *bio)
{
	return bio->bi_iter.bi_sector >> (SNAPPROT_BLOCK_SHIFT - SECTOR_SHIFT);
}

static u64 last_block(const struct bio *bio)
{
	return (bio_end_sector(bio) - 1) >>
		(SNAPPROT_BLOCK_SHIFT - SECTOR_SHIFT);
}

/* May this write go now? If so vol->writes is held for it. */
static bool may_pass(struct snapprot_volume *vol, struct bio *bio)
{
	enum snapprot_gate gate;

	if (!percpu_ref_tryget_live(&vol->writes))
		return false;
	gate = READ_ONCE(vol->gate);
	if (gate == SNAPPROT_GATE_PASS ||
	    (gate == SNAPPROT_GATE_COW &&
	     snapprot_bits_test(vol->bits, first_block(bio),
				last_block(bio)))) {
		to_snapprot_bio(bio)->counted = true;
		return true;
	}
	percpu_ref_put(&vol->writes);
	return false;
}

/* As many writes are there as were before the last batch went. */
static bool gathered(struct snapprot_volume *vol)
{
	return READ_ONCE(vol->nr_held) >= READ_ONCE(vol->gather_count);
}

/*
 * Is this the write of somebody who writes alone, one block, and waits for each
 * write before the next? And is nothing else going on? Under vol->lock.
 */
static bool is_alone(struct snapprot_volume *vol, struct bio *bio)
{
	return !vol->working && !vol->beginning && !vol->nr_held &&
	       READ_ONCE(vol->gather_count) <= 1 &&
	       vol->gate == SNAPPROT_GATE_COW && !vol->raised &&
	       !vol->handling && !vol->suspending &&
	       bio_op(bio) == REQ_OP_WRITE && first_block(bio) == last_block(bio);
}

/* Put its block into the batch, and begin to read it. */
static bool batch_alone(struct snapprot_volume *vol, struct bio *bio)
{
	struct snapprot_batch *b = vol->filling;
	u64 block = first_block(bio);

	if (!vol->bits->complete || snapprot_bits_test(vol->bits, block, block) ||
	    !snapprot_batch_has_room(b))
		return false;
	b->entry[0].block = block;
	hash_add(vol->inflight, &b->entry[0].node, block);
	b->count = 1;
	if (snapprot_batch_read_nowait(vol, b)) {
		bio_list_add(&b->bios, bio);
		return true;
	}
	snapprot_batch_cut(b, 0);
	return false;
}

/*
 * A lone write waits for nothing but what is done for it, so waking the worker
 * only to begin to read would be a good part of that. map() does it: the batches are
 * its own for that long (vol->beginning), and the worker, which would not have them
 * for anything else, goes on when the old data is here. Nothing is waited for; where
 * that would be needed, the worker is left to do all of it.
 *
 * Until then anything may happen to gate, snapshots and store, as between the
 * worker's reading and writing: vol->passes and the state of the store tell.
 */
static void begin_alone(struct snapprot_volume *vol, struct bio *bio)
{
	bool begun = batch_alone(vol, bio), kick;
	unsigned long flags;

	spin_lock_irqsave(&vol->lock, flags);
	if (!begun)
		bio_list_add(&vol->deferred, bio);
	kick = !begun || vol->missed;
	vol->missed = false;
	vol->beginning = false;
	spin_unlock_irqrestore(&vol->lock, flags);
	if (kick)
		snapprot_cow_kick(vol);
}

/**
 * snapprot_cow_map() - map a bio of the live volume
 * @vol: the volume
 * @bio: what to map
 *
 * Context: as dm_target.map. Return: DM_MAPIO_*.
 */
int snapprot_cow_map(struct snapprot_volume *vol, struct bio *bio)
{
	struct snapprot_bio *sb = to_snapprot_bio(bio);
	unsigned long flags;
	bool alone;

	sb->counted = false;
	sb->is_write = op_is_write(bio_op(bio)) && bio_sectors(bio);
	if (sb->is_write) {
		unsigned int room = SNAPPROT_MAX_BIO_SECTORS -
			(bio->bi_iter.bi_sector &
			 (SNAPPROT_MAX_BIO_SECTORS - 1));

		/* Of discards: others have been split already. */
		if (bio_sectors(bio) > room)
			dm_accept_partial_bio(bio, room);
		if (may_pass(vol, bio))
			goto remap;
	} else if (READ_ONCE(vol->gate) != SNAPPROT_GATE_FAIL) {
		goto remap;
	}
	if (READ_ONCE(vol->gate) == SNAPPROT_GATE_FAIL &&
	    !READ_ONCE(vol->queue_on_fault))
		return DM_MAPIO_KILL;

	spin_lock_irqsave(&vol->lock, flags);
	alone = sb->is_write && is_alone(vol, bio);
	if (alone) {
		vol->beginning = true;
		vol->filling->passes = vol->passes;
	} else {
		bio_list_add(&vol->deferred, bio);
	}
	vol->nr_held++;
	spin_unlock_irqrestore(&vol->lock, flags);
	if (alone) {
		begin_alone(vol, bio);
		return DM_MAPIO_SUBMITTED;
	}
	snapprot_cow_kick(vol);
	if (gathered(vol) && wq_has_sleeper(&vol->gather_wait))
		wake_up(&vol->gather_wait);
	return DM_MAPIO_SUBMITTED;

remap:
	bio_set_dev(bio, vol->origin_bdev);
	return DM_MAPIO_REMAPPED;
}

void snapprot_cow_endio(struct snapprot_volume *vol, struct bio *bio)
{
	struct snapprot_bio *sb = to_snapprot_bio(bio);

	if (sb->counted) {
		sb->counted = false;
		percpu_ref_put(&vol->writes);
	}
}

void snapprot_cow_kick(struct snapprot_volume *vol)
{
	queue_work(vol->cow_wq, &vol->cow_work);
}

static void unhold(struct snapprot_volume *vol)
{
	spin_lock_irq(&vol->lock);
	vol->nr_held--;
	spin_unlock_irq(&vol->lock);
}

static void issue(struct snapprot_volume *vol, struct bio *bio)
{
	unhold(vol);
	bio_set_dev(bio, vol->origin_bdev);
	submit_bio_noacct(bio);
}

/* Let a write go if it may. */
static bool issue_if_may(struct snapprot_volume *vol, struct bio *bio)
{
	if (!may_pass(vol, bio))
		return false;
	issue(vol, bio);
	return true;
}

static void end_held(struct snapprot_volume *vol, struct bio *bio,
		     blk_status_t status)
{
	unhold(vol);
	bio->bi_status = status;
	bio_endio(bio);
}

/* ---- collecting --------------------------------------------------------- */

static struct snapprot_batch_entry *inflight_find(struct snapprot_volume *vol,
						  u64 block)
{
	struct snapprot_batch_entry *e;

	hash_for_each_possible(vol->inflight, e, node, block)
		if (e->block == block)
			return e;
	return NULL;
}

static bool in_batch(const struct snapprot_batch *b,
		     const struct snapprot_batch_entry *e)
{
	return b && e >= b->entry && e < b->entry + SNAPPROT_BATCH_BLOCKS;
}

/*
 * Preserved already, although the bit says nothing? Only asked while the bits
 * are not complete: after the store was opened, or when memory was short.
 */
static int known_preserved(struct snapprot_volume *vol,
			   struct snapprot_store *s, u64 block)
{
	struct snapprot_entry found;
	int ret;

	if (vol->bits->complete)
		return 0;
	mutex_lock(&s->lock);
	ret = snapprot_lookup(&s->core, block, s->core.epoch, &found);
	if (ret > 0)
		snapprot_bits_set(vol->bits, block);
	mutex_unlock(&s->lock);
	return ret;
}

/*
 * Put the blocks of a write that are to be preserved into the batch, and the
 * write on the list of the last batch that it depends on.
 */
static enum verdict collect(struct snapprot_volume *vol,
			    struct snapprot_store *s, struct bio *bio,
			    unsigned int limit)
{
	struct snapprot_batch *b = vol->filling, *waits_for = NULL;
	u64 block, last = last_block(bio);

	for (block = first_block(bio); block <= last; block++) {
		struct snapprot_batch_entry *e;
		int ret;

		if (snapprot_bits_test(vol->bits, block, block))
			continue;
		e = inflight_find(vol, block);
		if (e) {
			if (in_batch(b, e))
				waits_for = b;
			else if (!waits_for)
				waits_for = vol->writing;
			continue;
		}
		ret = known_preserved(vol, s, block);
		if (ret > 0)
			continue;
		if (ret < 0) {
			snapprot_store_broken(s, ret, SNAPPROT_FAULT_STORE_IO);
			return LATER;
		}
		if (b->count >= limit || !snapprot_batch_has_room(b))
			return LATER;
		e = &b->entry[b->count++];
		e->block = block;
		hash_add(vol->inflight, &e->node, block);
		waits_for = b;
	}
	if (!waits_for) {
		/* All of it is preserved, the index says. */
		return issue_if_may(vol, bio) ? ISSUED : LATER;
	}
	bio_list_add(&waits_for->bios, bio);
	return QUEUED;
}

/*
 * Let the writes of a batch go. Those that still may not are given back to the
 * list, and looked at anew.
 */
static void batch_release(struct snapprot_volume *vol, struct snapprot_batch *b)
{
	struct bio_list rest;
	struct blk_plug plug;
	struct bio *bio;

	WRITE_ONCE(vol->gather_count, READ_ONCE(vol->nr_held));
	bio_list_init(&rest);
	blk_start_plug(&plug);
	while ((bio = bio_list_pop(&b->bios)))
		if (!issue_if_may(vol, bio))
			bio_list_add(&rest, bio);
	blk_finish_plug(&plug);
	spin_lock_irq(&vol->lock);
	bio_list_merge_head(&vol->deferred, &rest);
	spin_unlock_irq(&vol->lock);
	snapprot_batch_cut(b, 0);
}

/*
 * Wait for the batch that is written, while @next, if any, is being read; drops
 * store->log.
 */
static void batch_finish(struct snapprot_volume *vol, struct snapprot_store *s,
			 struct snapprot_batch *next)
{
	struct snapprot_batch *b = vol->writing;
	bool full;
	int err;

	err = snapprot_batch_wait(s, b, next);
	if (b->steps == 1) {
		u64 ns = ktime_get_ns() - b->started;

		vol->commit_ns = vol->commit_ns ?
			(vol->commit_ns * 7 + ns) / 8 : ns;
	}
	if (!err)
		err = snapprot_batch_commit(vol, s, b);
	WRITE_ONCE(vol->nr_batches, vol->nr_batches + 1);
	if (err)
		snapprot_store_broken(s, err, SNAPPROT_FAULT_COW_WRITE);
	full = snapprot_log_full(&s->core);
	mutex_unlock(&s->log);
	vol->writing = NULL;
	batch_release(vol, b);
	if (!err && full)
		snapprot_ckpt_queue(s);
}

/* ---- the worker --------------------------------------------------------- */

/*
 * How many blocks the next batch may have. Where a checkpoint would give
 * more, it is made here and now: somebody waits for it. Not while a batch is
 * being written, for a checkpoint wants the log.
 */
static unsigned int batch_limit(struct snapprot_volume *vol,
				struct snapprot_store *s)
{
	unsigned int room;

	if (!vol->writing)
		return max(snapprot_ckpt_make_room(s), 0);
	mutex_lock(&s->lock);
	room = snapprot_log_room(&s->core, SNAPPROT_BATCH_BLOCKS);
	mutex_unlock(&s->lock);
	return room;
}

static enum verdict look_at_write(struct snapprot_volume *vol,
				  struct snapprot_store *s, struct bio *bio,
				  unsigned int *limit)
{
	if (issue_if_may(vol, bio))
		return ISSUED;
	switch (READ_ONCE(vol->gate)) {
	case SNAPPROT_GATE_FAIL:
		if (READ_ONCE(vol->queue_on_fault))
			return HELD;
		end_held(vol, bio, BLK_STS_IOERR);
		return ISSUED;
	case SNAPPROT_GATE_HOLD:
		return HELD;
	case SNAPPROT_GATE_PASS:
		return LATER;	/* frozen: the thaw looks again */
	case SNAPPROT_GATE_COW:
		break;
	}
	/* The fault's work is on its way, and will look again. */
	if (READ_ONCE(vol->raised) || READ_ONCE(vol->handling))
		return LATER;
	if (!snapprot_store_usable(s))
		return HELD;
	if (*limit == UINT_MAX) {
		*limit = batch_limit(vol, s);
		if (!*limit && !vol->writing && !READ_ONCE(s->failed))
			snapprot_fault_space_out(vol);
		else if (*limit)
			snapprot_fault_space_back(vol);
	}
	if (!*limit)
		return vol->writing ? LATER : HELD;
	return collect(vol, s, bio, min(*limit, SNAPPROT_BATCH_BLOCKS));
}

static enum verdict look_at(struct snapprot_volume *vol,
			    struct snapprot_store *s, struct bio *bio,
			    unsigned int *limit)
{
	if (to_snapprot_bio(bio)->is_write)
		return look_at_write(vol, s, bio, limit);
	if (READ_ONCE(vol->gate) != SNAPPROT_GATE_FAIL) {
		issue(vol, bio);
		return ISSUED;
	}
	if (READ_ONCE(vol->queue_on_fault))
		return HELD;
	end_held(vol, bio, BLK_STS_IOERR);
	return ISSUED;
}

/*
 * Look at everything that waits. Return: something of it has moved, so that
 * another look is worth it.
 */
static bool look_at_all(struct snapprot_volume *vol, struct snapprot_store *s)
{
	unsigned int limit = UINT_MAX;
	struct bio_list todo, kept;
	bool moved = false, suspending, noflush;
	struct bio *bio;

	bio_list_init(&kept);
	spin_lock_irq(&vol->lock);
	todo = vol->deferred;
	bio_list_init(&vol->deferred);
	vol->filling->passes = vol->passes;
	suspending = vol->suspending;
	noflush = vol->noflush;
	spin_unlock_irq(&vol->lock);

	while ((bio = bio_list_pop(&todo))) {
		switch (look_at(vol, s, bio, &limit)) {
		case ISSUED:
		case QUEUED:
			moved = true;
			break;
		case HELD:
			if (suspending) {
				end_held(vol, bio, noflush ?
					 BLK_STS_DM_REQUEUE : BLK_STS_IOERR);
				break;
			}
			fallthrough;
		case LATER:
			bio_list_add(&kept, bio);
			break;
		}
	}
	spin_lock_irq(&vol->lock);
	bio_list_merge_head(&vol->deferred, &kept);
	spin_unlock_irq(&vol->lock);
	return moved;
}

/* Write a batch that is being read. False if that was not to be. */
static bool read_and_write(struct snapprot_volume *vol,
			   struct snapprot_store *s, struct snapprot_batch *b)
{
	int read_err = 0, err;

	err = snapprot_batch_write(s, b, &read_err);
	if (read_err) {
		snapprot_fault_raise(vol, SNAPPROT_FAULT_COW_READ, read_err);
		return !err;
	}
	if (err == -EAGAIN)
		return false;	/* it is not what a snapshot would want */
	if (err == -ENOSPC && ++b->refused < 3)
		return false;	/* a record has taken the room: look again */
	b->refused = 0;
	if (err && !READ_ONCE(s->failed))
		snapprot_store_broken(s, err == -ENOSPC ? -ENOTRECOVERABLE :
				      err, SNAPPROT_FAULT_COW_WRITE);
	return !err;
}

static void free_old_bits(struct snapprot_volume *vol)
{
	struct snapprot_bits *b, *next;

	spin_lock_irq(&vol->lock);
	b = vol->old_bits;
	vol->old_bits = NULL;
	spin_unlock_irq(&vol->lock);
	for (; b; b = next) {
		next = b->next;
		snapprot_bits_free(b);
	}
}

/*
 * Writers that wait for each other's flush come in two halves, and each half
 * waits for the other's flush as well. Together they need one: so what is held
 * waits until those that were let go have come back, for no longer than a flush
 * takes. Where most of them do not come back that is left alone for a while.
 */
static bool gathers(const struct snapprot_volume *vol)
{
	return vol->commit_ns > GATHER_DEAR_NS && vol->gather_luck > 0;
}

static void gather(struct snapprot_volume *vol)
{
	u64 ns = min_t(u64, vol->commit_ns, GATHER_MAX_NS);
	unsigned int most = vol->gather_count - vol->gather_count / 4;

	if (!READ_ONCE(vol->nr_held) || gathered(vol))
		return;
	if (!gathers(vol)) {
		if (vol->gather_luck <= 0)
			vol->gather_luck++;
		return;
	}
	if (!wait_event_hrtimeout(vol->gather_wait, gathered(vol),
				  ns_to_ktime(ns)))
		vol->gather_luck = min(vol->gather_luck + 1, GATHER_LUCK);
	else if (READ_ONCE(vol->nr_held) < most && --vol->gather_luck <= 0)
		vol->gather_luck = -GATHER_REST;
}

/* Collect a batch and begin to read it. True if anything has moved. */
static bool cow_collect(struct snapprot_volume *vol, struct snapprot_store *s)
{
	struct snapprot_batch *b = vol->filling;
	struct blk_plug plug;
	bool moved;

	if (!vol->writing)
		gather(vol);
	blk_start_plug(&plug);
	moved = look_at_all(vol, s);
	blk_finish_plug(&plug);
	if (b->count)
		snapprot_batch_read(vol, b);
	return moved;
}

/* One round: collect and read a batch while the one before it is written. */
static bool cow_round(struct snapprot_volume *vol)
{
	struct snapprot_store *s = vol->store;
	struct snapprot_batch *b = vol->filling;
	bool moved = true;

	free_old_bits(vol);
	if (vol->writing && vol->writing->steps == 1 && gathers(vol)) {
		batch_finish(vol, s, NULL);
		return true;
	}
	/* Otherwise map() has begun one. */
	if (!b->count)
		moved = cow_collect(vol, s);
	if (vol->writing) {
		batch_finish(vol, s, b);
		moved = true;
	}
	if (!b->count)
		return moved;

	if (!snapprot_store_usable(s) || !read_and_write(vol, s, b)) {
		snapprot_batch_give_up(b);
		batch_release(vol, b);
		return true;
	}
	vol->writing = b;
	vol->filling = b == vol->batch[0] ? vol->batch[1] : vol->batch[0];
	return true;
}

/* Both batches are empty. */
static void trim(struct snapprot_volume *vol)
{
	unsigned int i;

	for (i = 0; i < SNAPPROT_NR_BATCHES; i++)
		snapprot_batch_trim(vol->batch[i], SNAPPROT_BATCH_RESERVE);
}

/* The batches are the worker's now, unless map() is about to kick it again. */
static bool work_begin(struct snapprot_volume *vol)
{
	bool mine;

	spin_lock_irq(&vol->lock);
	mine = !vol->beginning;
	vol->working = mine;
	vol->missed |= !mine;
	spin_unlock_irq(&vol->lock);
	return mine;
}

static void work_end(struct snapprot_volume *vol)
{
	spin_lock_irq(&vol->lock);
	vol->working = false;
	spin_unlock_irq(&vol->lock);
}

static void snapprot_cow_work(struct work_struct *work)
{
	struct snapprot_volume *vol = container_of(work, struct snapprot_volume,
						   cow_work);
	unsigned int noio;
	bool again;

	if (!work_begin(vol))
		return;
	noio = memalloc_noio_save();
	do {
		down_read(&vol->store_sem);
		do {
			again = cow_round(vol);
		} while (again && !rwsem_is_contended(&vol->store_sem));
		if (vol->writing)
			batch_finish(vol, vol->store, NULL);
		up_read(&vol->store_sem);
		cond_resched();
	} while (again);
	if (xchg(&vol->trim, false))
		trim(vol);
	else
		queue_delayed_work(vol->cow_wq, &vol->trim_work, TRIM_DELAY);
	work_end(vol);
	memalloc_noio_restore(noio);
}

/* The batches are the worker's: have it done there. */
static void snapprot_cow_trim(struct work_struct *work)
{
	struct snapprot_volume *vol = container_of(to_delayed_work(work),
						   struct snapprot_volume,
						   trim_work);

	WRITE_ONCE(vol->trim, true);
	snapprot_cow_kick(vol);
}

/* ---- freezing ----------------------------------------------------------- */

static void writes_gone(struct percpu_ref *ref)
{
	complete(&container_of(ref, struct snapprot_volume, writes)->writes_gone);
}

/**
 * snapprot_cow_freeze() - let the writes in flight end, start no other
 * @vol: the volume
 *
 * Context: sleeps for as long as the origin takes. One caller at a time
 * (volume->admin).
 */
void snapprot_cow_freeze(struct snapprot_volume *vol)
{
	reinit_completion(&vol->writes_gone);
	percpu_ref_kill(&vol->writes);
	wait_for_completion(&vol->writes_gone);
}

void snapprot_cow_thaw(struct snapprot_volume *vol)
{
	percpu_ref_reinit(&vol->writes);
	snapprot_cow_kick(vol);
}

void snapprot_cow_drain(struct snapprot_volume *vol)
{
	flush_work(&vol->cow_work);
	snapprot_io_dev_drain(&vol->origin_dev);
}

int snapprot_cow_init(struct snapprot_volume *vol)
{
	unsigned int i;

	bio_list_init(&vol->deferred);
	hash_init(vol->inflight);
	init_waitqueue_head(&vol->gather_wait);
	vol->gather_luck = 1;
	init_completion(&vol->writes_gone);
	snapprot_io_dev_init(&vol->origin_dev, &vol->pools, NULL, 0);
	INIT_WORK(&vol->cow_work, snapprot_cow_work);
	INIT_DELAYED_WORK(&vol->trim_work, snapprot_cow_trim);
	vol->bits = snapprot_bits_new(false);
	if (!vol->bits)
		return -ENOMEM;
	for (i = 0; i < SNAPPROT_NR_BATCHES; i++) {
		vol->batch[i] = snapprot_batch_new();
		if (!vol->batch[i])
			return -ENOMEM;
	}
	vol->filling = vol->batch[0];
	return percpu_ref_init(&vol->writes, writes_gone,
			       PERCPU_REF_ALLOW_REINIT, GFP_KERNEL);
}

void snapprot_cow_exit(struct snapprot_volume *vol)
{
	unsigned int i;

	if (vol->writes.data) {
		snapprot_cow_freeze(vol);
		percpu_ref_exit(&vol->writes);
	}
	for (i = 0; i < SNAPPROT_NR_BATCHES; i++)
		snapprot_batch_free(vol->batch[i]);
	free_old_bits(vol);
	snapprot_bits_free(vol->bits);
}
