// SPDX-License-Identifier: GPL-2.0-only
/*
 * The open store: the core with its locks, its device, and its failures.
 */
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
	u64 free = core->nr_free + core->nr_freed;
	bool low = free * 100 < (u64)s->low_water * core->blocks;

	WRITE_ONCE(s->used, snapprot_space_used(core) <<
		   (SNAPPROT_BLOCK_SHIFT - SECTOR_SHIFT));
	WRITE_ONCE(s->total, core->blocks <<
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

static struct snapprot_store *store_alloc(struct snapprot_volume *vol)
{
	struct snapprot_store *s = kzalloc(sizeof(*s), GFP_KERNEL);

	if (!s)
		return NULL;
	s->page = alloc_page(GFP_KERNEL);
	if (!s->page) {
		kfree(s);
		return NULL;
	}
	s->vol = vol;
	s->env.ops = &snapprot_env_ops;
	mutex_init(&s->ckpt);
	mutex_init(&s->log);
	mutex_init(&s->lock);
	INIT_DELAYED_WORK(&s->ckpt_work, snapprot_ckpt_work);
	s->sweep_at = jiffies;
	INIT_WORK(&s->low_work, low_work);
	INIT_DELAYED_WORK(&s->view_watch, snapprot_view_watch);
	return s;
}

/**
 * snapprot_store_open() - load a store
 * @vol: the volume
 * @bdev: its device
 * @config: from its table
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
	snapprot_io_dev_init(&s->dev, &vol->pools, bdev, config->io_timeout);
	snapprot_cache_init(&s->cache, config->cache_kib);
	mutex_lock(&s->lock);
	*err = snapprot_store_load(&s->core, &s->env, config->blocks);
	mutex_unlock(&s->lock);
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
	cancel_work_sync(&s->low_work);
	snapprot_io_dev_drain(&s->dev);
	cancel_delayed_work_sync(&s->view_watch);
	mutex_lock(&s->lock);
	snapprot_store_exit(&s->core);
	snapprot_cache_exit(&s->cache);
	mutex_unlock(&s->lock);
	put_page(s->page);
	kfree(s);
}

/**
 * snapprot_store_record() - append a record to the log, durably
 * @s: the store
 * @type: SNAPPROT_LOG_CREATE or _DELETE
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
	u64 block;
	int err;

	lockdep_assert_held(&s->log);
	if (!snapprot_store_usable(s))
		return -EIO;
	mutex_lock(&s->lock);
	err = snapprot_log_reserve(&s->core, 0, NULL);
	if (!err) {
		block = s->core.log_block;
		snapprot_log_encode_record(&s->core, page_address(s->page),
					   type, snap);
	}
	mutex_unlock(&s->lock);
	if (err)
		return err;

	err = snapprot_io_block(&s->dev, REQ_OP_WRITE | REQ_SYNC | REQ_META |
				REQ_FUA, block, page_address(s->page));
	if (err)
		return err;
	mutex_lock(&s->lock);
	err = snapprot_log_commit(&s->core, page_address(s->page));
	if (!err && bits)
		swap(s->vol->bits, *bits);
	snapprot_store_publish(s);
	mutex_unlock(&s->lock);
	return err;
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
	int err;

	mutex_lock(&s->ckpt);
	mutex_lock(&s->lock);
	if (!snapprot_store_usable(s))
		err = -EIO;
	else
		err = snapprot_store_update(&s->core, generation, flags,
					    lost_epoch, lost_fault);
	snapprot_store_publish(s);
	mutex_unlock(&s->lock);
	mutex_unlock(&s->ckpt);
	return err;
}
