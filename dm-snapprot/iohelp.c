// SPDX-License-Identifier: GPL-2.0-only
/*
 * I/O that somebody waits for, but not for ever.
 *
 * A device that hangs must not take the live volume with it, so a waiter may
 * give up: it gets -ETIMEDOUT, and the set of bios lives on until the last of
 * them ends. Pages are held by reference for as long as a bio points to them, one
 * for each block, of which a page may have several.
 * snapprot_io_dev.inflight tells whether anything that was given up may still
 * land; a store is not opened again before that.
 */
#include <linux/slab.h>

#include "snapprot.h"

#define MIN_SETS	16
#define MIN_BIOS	64

struct snapprot_io_set {
	struct snapprot_io_dev *dev;
	struct kref ref;		/* the owner, and each bio */
	atomic_t pending;		/* bios, and the owner until it closes */
	bool closed;
	int error;			/* the first, set once */
	struct completion done;
	struct workqueue_struct *wq;	/* where work is queued then */
	struct work_struct *work;	/* or NULL */
};

struct snapprot_pools snapprot_ctr_pools;

void snapprot_io_dev_init(struct snapprot_io_dev *d,
			  struct snapprot_pools *pools,
			  struct block_device *bdev, unsigned int seconds)
{
	d->pools = pools;
	d->bdev = bdev;
	d->timeout = seconds * (unsigned long)HZ;
	atomic_set(&d->inflight, 0);
	init_waitqueue_head(&d->idle);
}

void snapprot_io_dev_drain(struct snapprot_io_dev *d)
{
	wait_event(d->idle, !atomic_read(&d->inflight));
	/* The last one may still hold the lock, see snapprot_io_dev_done(). */
	spin_lock_irq(&d->idle.lock);
	spin_unlock_irq(&d->idle.lock);
}

bool snapprot_io_dev_settle(struct snapprot_io_dev *d)
{
	unsigned long timeout = d->timeout ? d->timeout :
				SNAPPROT_IO_TIMEOUT_DEFAULT *
				(unsigned long)HZ;

	return wait_event_timeout(d->idle, !atomic_read(&d->inflight),
				  timeout);
}

bool snapprot_io_is_one(struct snapprot_io_dev *d, unsigned int count)
{
	struct request_queue *q = bdev_get_queue(d->bdev);

	return count <= BIO_MAX_VECS && count <= queue_max_segments(q) &&
	       count <= queue_max_sectors(q) / SNAPPROT_SECTORS_PER_BLOCK;
}

static void set_release(struct kref *ref)
{
	struct snapprot_io_set *set = container_of(ref, struct snapprot_io_set,
						   ref);

	mempool_free(set, &set->dev->pools->sets);
}

/* NULL only if @gfp does not wait. */
static struct snapprot_io_set *set_new(struct snapprot_io_dev *d, gfp_t gfp)
{
	struct snapprot_io_set *set = mempool_alloc(&d->pools->sets, gfp);

	if (!set)
		return NULL;
	memset(set, 0, sizeof(*set));
	set->dev = d;
	kref_init(&set->ref);
	atomic_set(&set->pending, 1);
	init_completion(&set->done);
	return set;
}

struct snapprot_io_set *snapprot_io_set_new(struct snapprot_io_dev *d)
{
	return set_new(d, GFP_NOIO);
}

/*
 * Whoever waits for the device to be idle frees it. So the last one down
 * counts and wakes under the lock of the wait queue, which the waiter takes
 * as well before it believes the count.
 */
void snapprot_io_dev_done(struct snapprot_io_dev *d)
{
	unsigned long flags;

	if (atomic_add_unless(&d->inflight, -1, 1))
		return;
	spin_lock_irqsave(&d->idle.lock, flags);
	if (atomic_dec_and_test(&d->inflight))
		wake_up_locked(&d->idle);
	spin_unlock_irqrestore(&d->idle.lock, flags);
}

static void set_put(struct snapprot_io_set *set)
{
	if (!atomic_dec_and_test(&set->pending))
		return;
	complete_all(&set->done);
	if (set->work)
		queue_work(set->wq, set->work);
}

static void set_endio(struct bio *bio)
{
	struct snapprot_io_set *set = bio->bi_private;
	struct snapprot_io_dev *d = set->dev;
	struct bio_vec *bv;
	struct bvec_iter_all iter;

	if (bio->bi_status)
		cmpxchg(&set->error, 0, blk_status_to_errno(bio->bi_status));
	bio_for_each_segment_all(bv, bio, iter) {
		unsigned int n = DIV_ROUND_UP(bv->bv_len, SNAPPROT_BLOCK_SIZE);

		while (n--)
			put_page(bv->bv_page);
	}
	bio_put(bio);
	set_put(set);
	kref_put(&set->ref, set_release);
	snapprot_io_dev_done(d);
}

static struct bio *set_bio(struct snapprot_io_set *set, blk_opf_t opf,
			   unsigned int vecs, sector_t sector, gfp_t gfp)
{
	struct bio *bio = bio_alloc_bioset(set->dev->bdev, vecs, opf, gfp,
					   &set->dev->pools->bios);

	if (!bio)
		return NULL;
	bio->bi_iter.bi_sector = sector;
	bio->bi_private = set;
	bio->bi_end_io = set_endio;
	kref_get(&set->ref);
	atomic_inc(&set->pending);
	atomic_inc(&set->dev->inflight);
	return bio;
}

int snapprot_io_add_sectors(struct snapprot_io_set *set, blk_opf_t opf,
			    sector_t sector, void **data,
			    unsigned int count, unsigned int last_bytes)
{
	while (count) {
		unsigned int n = min_t(unsigned int, count,
					     BIO_MAX_VECS);
		struct bio *bio = set_bio(set, opf, n, sector, GFP_NOIO);
		unsigned int i;

		for (i = 0; i < n; i++) {
			unsigned int len = i == count - 1 ?
				last_bytes : SNAPPROT_BLOCK_SIZE;
			struct page *page = virt_to_page(data[i]);

			get_page(page);
			/* Merges neighbours; there is a vector for each block. */
			if (WARN_ON_ONCE(bio_add_page(bio, page, len,
						      offset_in_page(data[i])) !=
					 len)) {
				put_page(page);
				cmpxchg(&set->error, 0, -EIO);
			}
		}
		sector += n * SNAPPROT_SECTORS_PER_BLOCK;
		data += n;
		count -= n;
		submit_bio_noacct(bio);
	}
	return 0;
}

int snapprot_io_add(struct snapprot_io_set *set, blk_opf_t opf, u64 block,
		    void **data, unsigned int count)
{
	return snapprot_io_add_sectors(set, opf,
				       block * SNAPPROT_SECTORS_PER_BLOCK,
				       data, count, SNAPPROT_BLOCK_SIZE);
}

int snapprot_io_flush(struct snapprot_io_set *set)
{
	submit_bio_noacct(set_bio(set, REQ_OP_WRITE | REQ_PREFLUSH | REQ_SYNC,
				  0, 0, GFP_NOIO));
	return 0;
}

bool snapprot_io_pending(struct snapprot_io_set *set)
{
	/* Who sees that it has ended sees its data: pairs with set_endio(). */
	return atomic_read_acquire(&set->pending) > (set->closed ? 0 : 1);
}

void snapprot_io_close(struct snapprot_io_set *set)
{
	set->closed = true;
	set_put(set);
}

int snapprot_io_join(struct snapprot_io_set *set)
{
	unsigned long timeout = set->dev->timeout;

	if (!timeout)
		wait_for_completion_io(&set->done);
	else if (!wait_for_completion_io_timeout(&set->done, timeout))
		cmpxchg(&set->error, 0, -ETIMEDOUT);
	return READ_ONCE(set->error);
}

int snapprot_io_wait(struct snapprot_io_set *set)
{
	int err;

	if (!set->closed)
		snapprot_io_close(set);
	err = snapprot_io_join(set);
	kref_put(&set->ref, set_release);
	return err;
}

struct snapprot_io_set *snapprot_io_read_nowait(struct snapprot_io_dev *d,
						u64 block, void *data,
						struct workqueue_struct *wq,
						struct work_struct *work)
{
	struct snapprot_io_set *set = set_new(d, GFP_NOWAIT | __GFP_NOWARN);
	struct bio *bio;

	if (!set)
		return NULL;
	bio = set_bio(set, REQ_OP_READ, 1, block * SNAPPROT_SECTORS_PER_BLOCK,
		      GFP_NOWAIT | __GFP_NOWARN);
	if (!bio) {
		kref_put(&set->ref, set_release);
		return NULL;
	}
	get_page(virt_to_page(data));
	__bio_add_page(bio, virt_to_page(data), SNAPPROT_BLOCK_SIZE,
		       offset_in_page(data));
	set->wq = wq;
	set->work = work;
	submit_bio_noacct(bio);
	snapprot_io_close(set);
	return set;
}

int snapprot_io_block(struct snapprot_io_dev *d, blk_opf_t opf, u64 block,
		      void *data)
{
	struct snapprot_io_set *set = snapprot_io_set_new(d);

	snapprot_io_add(set, opf, block, &data, 1);
	return snapprot_io_wait(set);
}

int snapprot_io_sync(struct snapprot_io_dev *d)
{
	struct snapprot_io_set *set = snapprot_io_set_new(d);

	snapprot_io_flush(set);
	return snapprot_io_wait(set);
}

int snapprot_pools_init(struct snapprot_pools *pools)
{
	int err;

	err = mempool_init_kmalloc_pool(&pools->sets, MIN_SETS,
					sizeof(struct snapprot_io_set));
	if (!err)
		err = bioset_init(&pools->bios, MIN_BIOS, 0, BIOSET_NEED_BVECS);
	if (!err)
		err = bioset_init(&pools->view_bios, MIN_BIOS, 0,
				  BIOSET_NEED_BVECS);
	return err;
}

void snapprot_pools_exit(struct snapprot_pools *pools)
{
	bioset_exit(&pools->view_bios);
	bioset_exit(&pools->bios);
	mempool_exit(&pools->sets);
}
