// SPDX-License-Identifier: GPL-2.0-only
/*
 * The open store: the core with its locks, its device, and its failures.
 */
#include <linux/moduleparam.h>
#include <linux/random.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "snapprot.h"

/*
 * What an error means. A timed-out or failed transfer is @io, which depends
 * on what was being done; what the core says of the contents does not.
 */
enum snapprot_fault snapprot_store_fault_of(int err, enum snapprot_fault io)
{
	switch (err) {
	case -EBADMSG:
	case -EPROTONOSUPPORT:
		return SNAPPROT_FAULT_METADATA_CORRUPTION;
	case -EUCLEAN:
		return SNAPPROT_FAULT_EXTERNAL_WRITER;
	case -ENOMEM:
		return SNAPPROT_FAULT_MEMORY;
	case -ENODEV:
	case -ENXIO:
		return SNAPPROT_FAULT_STORE_REMOVED;
	case -EINVAL:
	case -EBUSY:
	case -ENOSPC:		/* the core keeps what it needs itself */
	case -ENOTRECOVERABLE:
		return SNAPPROT_FAULT_INTERNAL;
	case -ETIMEDOUT:
		return SNAPPROT_FAULT_STORE_IO;
	default:
		return io;
	}
}

/**
 * snapprot_store_broken() - nobody is to use the store until it is opened anew
 * @s: the store
 * @err: why, negative errno
 * @io: the fault, if @err is an error of I/O
 *
 * Context: any that may take a spinlock.
 */
void snapprot_store_broken(struct snapprot_store *s, int err,
			   enum snapprot_fault io)
{
	WRITE_ONCE(s->failed, true);
	snapprot_fault_raise(s->vol, snapprot_store_fault_of(err, io), err);
}

void snapprot_store_publish(struct snapprot_store *s)
{
	const struct snapprot_core *core = &s->core;
	u64 free = snapprot_space_free_blocks(core);
	u64 blocks = core->space.blocks;
	bool low = free * 100 < (u64)s->low_water * blocks;

	WRITE_ONCE(s->used, snapprot_space_used(core) <<
		   (SNAPPROT_BLOCK_SHIFT - SECTOR_SHIFT));
	WRITE_ONCE(s->total, blocks <<
		   (SNAPPROT_BLOCK_SHIFT - SECTOR_SHIFT));
	WRITE_ONCE(s->vol->used, s->used);
	WRITE_ONCE(s->vol->total, s->total);
	WRITE_ONCE(s->protected, core->flags & SNAPPROT_SUPER_PROTECTED);
	if (low != READ_ONCE(s->low)) {
		WRITE_ONCE(s->low, low);
		if (low)
			queue_work(s->vol->fault_wq, &s->low_work);
	}
}

static void low_work(struct work_struct *work)
{
	struct snapprot_store *s = container_of(work, struct snapprot_store,
						low_work);
	struct snapprot_volume *vol = s->vol;
	unsigned int noio = memalloc_noio_save();

	mutex_lock(&vol->mutex);
	DMWARN("%s: store is low: %llu of %llu sectors used", vol->name,
	       READ_ONCE(s->used), READ_ONCE(s->total));
	snapprot_event_store(vol, "LOW_WATER");
	mutex_unlock(&vol->mutex);
	memalloc_noio_restore(noio);
}

#ifdef SNAPPROT_DEBUG
/* Tests only: sizes by which a small store is like a large one; 0: as usual. */
static unsigned int debug_tune[4];
module_param_array(debug_tune, uint, NULL, 0600);
MODULE_PARM_DESC(debug_tune, "table, fanout, freeze, zone; for tests");

static void set_tune(struct snapprot_store *s)
{
	s->tune.table = debug_tune[0];
	s->tune.fanout = debug_tune[1];
	s->tune.freeze = debug_tune[2];
	s->tune.zone = debug_tune[3];
	s->env.tune = &s->tune;
}
#else
static void set_tune(struct snapprot_store *s)
{
}
#endif

static void seal_work(struct work_struct *work);

static struct snapprot_store *store_alloc(struct snapprot_volume *vol)
{
	struct snapprot_store *s = kzalloc(sizeof(*s), GFP_KERNEL);

	if (!s)
		return NULL;
	s->page = alloc_page(GFP_KERNEL);
	if (!s->page || snapprot_pools_init_io(&s->pools)) {
		snapprot_pools_exit(&s->pools);
		if (s->page)
			put_page(s->page);
		kfree(s);
		return NULL;
	}
	s->vol = vol;
	s->env.ops = &snapprot_env_ops;
	s->env.salt = get_random_u64();
	set_tune(s);
	mutex_init(&s->ckpt);
	mutex_init(&s->log);
	mutex_init(&s->lock);
	INIT_DELAYED_WORK(&s->ckpt_work, snapprot_ckpt_work);
	INIT_DELAYED_WORK(&s->seal_work, seal_work);
	INIT_WORK(&s->low_work, low_work);
	INIT_DELAYED_WORK(&s->view_watch, snapprot_view_watch);
	init_waitqueue_head(&s->view_wait);
	s->last_step = jiffies;
	return s;
}

/* Under lock: nobody else knows the store. */
static int store_load(struct snapprot_store *s,
		      const struct snapprot_store_config *config)
{
	int err;

	s->waits = true;
	/* How far it has to have got is asked later, see label.c. */
	err = snapprot_store_load(&s->core, &s->env, config->blocks, NULL);
	s->waits = false;
	return err;
}

/**
 * snapprot_store_open() - load a store
 * @vol: the volume
 * @bdev: its device
 * @config: from its table, and how far the store has to have got
 * @err: what snapprot_store_load() returned, when NULL is returned
 *
 * Context: may sleep, reclaim without I/O.
 */
struct snapprot_store *
snapprot_store_open(struct snapprot_volume *vol, struct block_device *bdev,
		    const struct snapprot_store_config *config, int *err)
{
	struct snapprot_store *s = store_alloc(vol);

	*err = -ENOMEM;
	if (!s)
		return NULL;
	s->low_water = config->low_water;
	snapprot_io_dev_init(&s->dev, &s->pools, bdev, config->io_timeout);
	*err = snapprot_cache_init(&s->cache, config->cache_kib);
	mutex_lock(&s->lock);
	if (!*err)
		*err = store_load(s, config);
	mutex_unlock(&s->lock);
	/* What was replayed may have been read from a volatile cache. */
	if (!*err)
		*err = snapprot_io_sync(&s->dev);
	if (*err) {
		snapprot_store_close(s);
		return NULL;
	}
	snapprot_store_publish(s);
	return s;
}

/**
 * snapprot_store_close() - let go of a store that nobody uses any more
 * @s: the store
 *
 * Context: sleeps until the last I/O to its device has ended.
 */
void snapprot_store_close(struct snapprot_store *s)
{
	WRITE_ONCE(s->failed, true);
	cancel_delayed_work_sync(&s->ckpt_work);
	cancel_delayed_work_sync(&s->seal_work);
	cancel_work_sync(&s->low_work);
	snapprot_io_dev_drain(&s->dev);
	cancel_delayed_work_sync(&s->view_watch);
	mutex_lock(&s->lock);
	snapprot_store_exit(&s->core);
	snapprot_cache_exit(&s->cache);
	mutex_unlock(&s->lock);
	snapprot_pools_exit(&s->pools);
	put_page(s->page);
	kfree(s);
}

/* ---- steps of the log but batches ---------------------------------------- */

/* Make the next step, a record of @snap or a seal, in s->page. */
static int step_make(struct snapprot_store *s, enum snapprot_log_type type,
		     const struct snapprot_snap *snap, u64 *place)
{
	void *block = page_address(s->page);
	int err;

	mutex_lock(&s->lock);
	err = snapprot_log_reserve(&s->core, 0, NULL);
	*place = s->core.log.block;
	if (!err && type == SNAPPROT_LOG_SEAL)
		snapprot_log_encode_seal(&s->core, block);
	else if (!err)
		snapprot_log_encode_record(&s->core, block, type, snap);
	mutex_unlock(&s->lock);
	return err;
}

static int step_append(struct snapprot_store *s, enum snapprot_log_type type,
		       const struct snapprot_snap *snap,
		       struct snapprot_bits **bits)
{
	u64 place;
	u32 newest;
	int err;

	lockdep_assert_held(&s->log);
	if (!snapprot_store_usable(s))
		return -EIO;
	err = step_make(s, type, snap, &place);
	if (err)
		return err;
	err = snapprot_io_block(&s->dev, REQ_OP_WRITE | REQ_SYNC | REQ_META |
				REQ_FUA, place, page_address(s->page));
	if (err)
		return err;
	mutex_lock(&s->lock);
	newest = snapprot_snaps_newest(&s->core);
	err = snapprot_log_commit(&s->core, page_address(s->page));
	if (!err && bits)
		swap(s->vol->bits, *bits);
	/* What the one before it needs, the bits do not know. */
	else if (!err && snapprot_snaps_newest(&s->core) < newest)
		WRITE_ONCE(s->vol->bits->complete, false);
	snapprot_store_publish(s);
	mutex_unlock(&s->lock);
	return err;
}

/**
 * snapprot_store_record() - append a record to the log, durably
 * @s: the store
 * @type: SNAPPROT_LOG_CREATE, _DELETE or _SET
 * @snap: the snapshot
 * @bits: where given, change places with the volume's
 *
 * Context: store->log held. -ENOSPC leaves everything as it was; after any
 * other error the store is broken and the caller reports it.
 */
int snapprot_store_record(struct snapprot_store *s, enum snapprot_log_type type,
			  const struct snapprot_snap *snap,
			  struct snapprot_bits **bits)
{
	int err = step_append(s, type, snap, bits);

	if (err == -ENOSPC) {
		/* Space may be there, and only be unknown to the log so far. */
		err = snapprot_store_refill(s);
		if (!err || err == -ENOSPC)
			err = step_append(s, type, snap, bits);
	}
	if (!err)
		snapprot_store_stepped(s);
	return err;
}

/* A seal for which there is no space can wait until there is some. */
static int seal_locked(struct snapprot_store *s)
{
	int err = step_append(s, SNAPPROT_LOG_SEAL, NULL, NULL);

	return err == -ENOSPC || err == -EBUSY || err == -EROFS ? 0 : err;
}

/**
 * snapprot_store_refill() - keep space for the log ahead of need
 * @s: the store
 *
 * Context: store->log held. Return: 0; -ENOSPC if there is no more, and the log
 * has to do with what it has; or an error, after which the store is broken.
 */
int snapprot_store_refill(struct snapprot_store *s)
{
	bool seal;
	int err;

	lockdep_assert_held(&s->log);
	do {
		mutex_lock(&s->lock);
		err = snapprot_log_refill(&s->core);
		seal = snapprot_log_wants_seal(&s->core);
		mutex_unlock(&s->lock);
	} while (snapprot_cache_again(s, &err));
	if (seal && (!err || err == -ENOSPC)) {
		int ret = seal_locked(s);

		if (ret)
			err = ret;
	}
	return err;
}

/* ---- seals ---------------------------------------------------------------- */

/* Behind the last step a seal follows when nothing else has for so long. */
#define SEAL_DELAY	(HZ / 2)

void snapprot_store_stepped(struct snapprot_store *s)
{
	WRITE_ONCE(s->last_step, jiffies);
	snapprot_label_follow(s->vol);
	queue_delayed_work(s->vol->ckpt_wq, &s->seal_work, SEAL_DELAY);
}

/**
 * snapprot_store_seal() - say in the log that all before it is durable
 * @s: the store
 *
 * Nothing happens if the log says so already. Context: takes store->log; store_sem
 * held. Return: 0, or an error, after which the store is broken and the fault
 * has been raised.
 */
int snapprot_store_seal(struct snapprot_store *s)
{
	bool sealed;
	int err = 0;

	mutex_lock(&s->log);
	mutex_lock(&s->lock);
	sealed = s->core.log.sealed;
	mutex_unlock(&s->lock);
	if (!sealed && snapprot_store_usable(s))
		err = seal_locked(s);
	mutex_unlock(&s->log);
	if (err && !READ_ONCE(s->failed))
		snapprot_store_broken(s, err, SNAPPROT_FAULT_COW_WRITE);
	return err;
}

static void seal_work(struct work_struct *work)
{
	struct snapprot_store *s = container_of(to_delayed_work(work),
						struct snapprot_store,
						seal_work);
	unsigned long idle = jiffies - READ_ONCE(s->last_step);
	struct snapprot_volume *vol = s->vol;
	unsigned int noio;

	if (idle < SEAL_DELAY) {
		queue_delayed_work(vol->ckpt_wq, &s->seal_work,
				   SEAL_DELAY - idle);
		return;
	}
	/* See snapprot_ckpt_work(): this must not wait for who closes the store. */
	if (!down_read_trylock(&vol->store_sem)) {
		if (!READ_ONCE(s->failed))
			queue_delayed_work(vol->ckpt_wq, &s->seal_work, 1);
		return;
	}
	noio = memalloc_noio_save();
	if (vol->store == s && vol->attached && snapprot_store_usable(s))
		snapprot_store_seal(s);
	else if (!READ_ONCE(s->failed))
		queue_delayed_work(vol->ckpt_wq, &s->seal_work, HZ);
	memalloc_noio_restore(noio);
	up_read(&vol->store_sem);
}

/**
 * snapprot_store_rewrite() - change flags of the superblock, durably
 * @s: the store
 * @generation: new value
 * @flags: new value, SNAPPROT_SUPER_*
 * @lost_epoch: new value
 * @lost_fault: new value
 *
 * Context: takes store->ckpt. Errors as snapprot_store_update().
 */
int snapprot_store_rewrite(struct snapprot_store *s, u64 generation, u32 flags,
			   u32 lost_epoch, u32 lost_fault)
{
	bool moves;
	int err;

	mutex_lock(&s->ckpt);
	/* With a new generation the log has to stand still, see the core. */
	moves = generation != s->core.generation;
	if (moves)
		mutex_lock(&s->log);
	mutex_lock(&s->lock);
	if (!snapprot_store_usable(s))
		err = -EIO;
	else
		err = snapprot_store_update_begin(&s->core, generation, flags,
						  lost_epoch, lost_fault);
	mutex_unlock(&s->lock);
	if (!err)
		err = snapprot_store_update_write(&s->core);
	mutex_lock(&s->lock);
	if (!err)
		snapprot_store_update_end(&s->core);
	snapprot_store_publish(s);
	mutex_unlock(&s->lock);
	if (moves)
		mutex_unlock(&s->log);
	mutex_unlock(&s->ckpt);
	return err;
}
