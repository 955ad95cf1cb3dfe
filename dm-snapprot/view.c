// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: where a snapshot's read goes
 *
 * For each block: the smallest epoch not below the snapshot's that the index
 * has, else the origin. A read of the origin is put on a list in the same
 * hold of store->lock as its look-up; a batch that preserves one of its
 * blocks commits under that lock, and lets no write go before such reads have
 * ended. So a read sees the origin's old block, or the index's copy of it,
 * never what came after. Where the snapshot is lost meanwhile writes do not wait
 * for anything, and a read of the origin fails.
 *
 * Old data carries a checksum, and only what matches it is returned. A part
 * of a block cannot be checked, so the whole of it is read beside.
 */
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "snapprot.h"

/* Blocks that a read may have to be sent on as it is. */
#define DIRECT_BLOCKS	4

/* Blocks in a row that come from one place, on their way. */
struct view_run {
	struct list_head list;		/* vol->view_reads, of the origin only */
	struct snapprot_store *store;	/* that it comes from, if it does */
	u64 first, last;		/* blocks of the origin */
	u64 place;			/* where the first is */
	unsigned int nr_sums;
};

/* Per bio of a view. */
struct view_bio {
	struct snapprot_view *view;
	atomic_t pending;
	blk_status_t status;
	unsigned int passes;		/* volume->passes as it was looked up */
	/* sent on as it is, see view_direct() */
	bool direct;
	struct view_run run;
	struct bvec_iter iter;
	u32 sum[DIRECT_BLOCKS];
};

/* Of others, a part that is on its way. */
struct view_part {
	struct view_run run;
	struct snapprot_volume *vol;
	struct bio *parent;
	struct bvec_iter iter;		/* of the parent's data */
	struct page *page;		/* of a block that is read in part */
	unsigned int offset;		/* where in it */
	struct work_struct work;
	blk_status_t status;
	u32 sum[];
};

static struct workqueue_struct *view_done_wq;

size_t snapprot_view_bio_size(void)
{
	return sizeof(struct view_bio);
}

void snapprot_view_init(struct snapprot_volume *vol)
{
	INIT_LIST_HEAD(&vol->views);
	INIT_LIST_HEAD(&vol->view_reads);
	bio_list_init(&vol->view_bios);
	init_waitqueue_head(&vol->view_wait);
	atomic_set(&vol->view_inflight, 0);
	INIT_WORK(&vol->view_work, snapprot_view_work);
}

void snapprot_view_kick(struct snapprot_volume *vol)
{
	queue_work(vol->view_wq, &vol->view_work);
}

static void parent_done(struct bio *parent, blk_status_t status)
{
	struct view_bio *vb = dm_per_bio_data(parent, sizeof(*vb));

	if (status)
		WRITE_ONCE(vb->status, status);
	if (atomic_dec_and_test(&vb->pending)) {
		parent->bi_status = vb->status;
		bio_endio(parent);
	}
}

/* ---- reads of the origin ------------------------------------------------ */

static bool origin_read_overlaps(struct snapprot_volume *vol, u64 first,
				 u64 last)
{
	struct view_run *run;
	bool found = false;

	spin_lock_irq(&vol->lock);
	list_for_each_entry(run, &vol->view_reads, list)
		if (run->first <= last && run->last >= first) {
			found = true;
			break;
		}
	spin_unlock_irq(&vol->lock);
	return found;
}

void snapprot_view_wait(struct snapprot_volume *vol, u64 first, u64 last)
{
	if (list_empty_careful(&vol->view_reads))
		return;
	wait_event(vol->view_wait, !origin_read_overlaps(vol, first, last));
}

/* ---- runs ---------------------------------------------------------------- */

/*
 * It is going to be read: from now on whoever changes what it reads waits for
 * it, as does whoever lets go of the device. In the same hold of store->lock
 * as the look-up.
 */
static void run_begin(struct snapprot_volume *vol, struct view_run *run)
{
	struct snapprot_store *s = run->store;

	if (s) {
		atomic_inc(&s->dev.inflight);
		if (atomic_inc_return(&s->view_parts) > 1)
			return;
		WRITE_ONCE(s->view_progress, jiffies);
		queue_delayed_work(vol->view_wq, &s->view_watch,
				   s->dev.timeout);
		return;
	}
	atomic_inc(&vol->view_inflight);
	spin_lock_irq(&vol->lock);
	list_add_tail(&run->list, &vol->view_reads);
	spin_unlock_irq(&vol->lock);
}

/* Its data is here: a write that waits for that may go. */
static void run_is_read(struct snapprot_volume *vol, struct view_run *run)
{
	unsigned long flags;

	if (run->store)
		return;
	spin_lock_irqsave(&vol->lock, flags);
	list_del(&run->list);
	spin_unlock_irqrestore(&vol->lock, flags);
}

/*
 * Last of all, as whoever waits for the origin's or the store's reads to end
 * frees what they need: see snapprot_io_dev_done().
 */
static void run_end(struct snapprot_volume *vol, struct snapprot_store *s)
{
	unsigned long flags;

	if (s) {
		WRITE_ONCE(s->view_progress, jiffies);
		atomic_dec(&s->view_parts);
		snapprot_io_dev_done(&s->dev);
		return;
	}
	spin_lock_irqsave(&vol->view_wait.lock, flags);
	atomic_dec(&vol->view_inflight);
	wake_up_locked(&vol->view_wait);
	spin_unlock_irqrestore(&vol->view_wait.lock, flags);
}

/* Has the store let readers wait for longer than it may? */
void snapprot_view_watch(struct work_struct *work)
{
	struct snapprot_store *s = container_of(to_delayed_work(work),
						struct snapprot_store,
						view_watch);
	unsigned long idle = jiffies - READ_ONCE(s->view_progress);

	if (!atomic_read(&s->view_parts) || !s->dev.timeout ||
	    READ_ONCE(s->failed))
		return;
	if (idle >= s->dev.timeout)
		snapprot_store_broken(s, -ETIMEDOUT, SNAPPROT_FAULT_STORE_IO);
	else
		queue_delayed_work(s->vol->view_wq, &s->view_watch,
				   s->dev.timeout - idle);
}

/* Sectors of @iter that lie in the block it starts in. */
static unsigned int in_first_block(const struct bvec_iter *iter)
{
	return min_t(unsigned int, iter->bi_size >> SECTOR_SHIFT,
		     SNAPPROT_SECTORS_PER_BLOCK -
		     (iter->bi_sector & (SNAPPROT_SECTORS_PER_BLOCK - 1)));
}

/*
 * How far what starts at @iter comes from one place in a row: fills in the
 * run and its checksums and returns its length in sectors. Under store->lock.
 */
static int run_find(struct snapprot_store *s, u32 epoch,
		    const struct bvec_iter *iter, struct view_run *run,
		    u32 *sum)
{
	unsigned int left = iter->bi_size >> SECTOR_SHIFT;
	unsigned int sectors = 0, n = in_first_block(iter);
	struct snapprot_entry e;
	u64 block = iter->bi_sector / SNAPPROT_SECTORS_PER_BLOCK;
	int ret;

	run->first = block;
	run->nr_sums = 0;
	do {
		ret = snapprot_lookup(&s->core, block, epoch, &e);
		if (ret < 0)
			return ret;
		if (!sectors) {
			run->store = ret ? s : NULL;
			run->place = ret ? e.place : block;
		} else if (!run->store != !ret ||
			   (ret && e.place != run->place +
					      (block - run->first))) {
			break;
		}
		if (ret && n < SNAPPROT_SECTORS_PER_BLOCK && sectors)
			break;		/* a part of a block goes alone */
		if (ret)
			sum[run->nr_sums++] = e.sum;
		sectors += n;
		left -= n;
		block++;
		if (ret && n < SNAPPROT_SECTORS_PER_BLOCK)
			break;
		n = min(left, SNAPPROT_SECTORS_PER_BLOCK);
	} while (left);
	run->last = block - 1;
	return sectors;
}

/* Can anything be read of snapshots? Under store_sem. */
static bool views_readable(const struct snapprot_volume *vol)
{
	return snapprot_store_usable(vol->store) && vol->attached &&
	       vol->origin_bdev;
}

/* The epoch of a view's snapshot, 0 if there is nothing of it to be read. */
static u32 view_epoch(struct snapprot_view *v, struct snapprot_store *s,
		      struct bio *bio)
{
	struct view_bio *vb = dm_per_bio_data(bio, sizeof(*vb));
	struct snapprot_snap *snap;

	/* Before why it may have been opened: pairs with set_gate(). */
	vb->passes = smp_load_acquire(&v->vol->passes);
	snap = snapprot_snap_find(&s->core, v->id);
	if (!snap || snapprot_snap_lost(&s->core, snap) ||
	    bio_end_sector(bio) > snap->sectors ||
	    READ_ONCE(v->vol->lost_here))
		return 0;
	return snap->epoch;
}

/* What was read of the origin: has no write passed that did not wait for it? */
static blk_status_t origin_status(struct snapprot_volume *vol, struct bio *bio,
				  blk_status_t status)
{
	struct view_bio *vb = dm_per_bio_data(bio, sizeof(*vb));

	if (!status && READ_ONCE(vol->passes) != vb->passes)
		return BLK_STS_IOERR;
	return status;
}

/* As snapprot_data_sum() of a block that comes in parts: this one begins at @have. */
static u32 sum_part(struct xxh64_state *state, const void *data,
		    unsigned int have, unsigned int len)
{
	if (len == SNAPPROT_BLOCK_SIZE)
		return snapprot_data_sum(data);
	if (!have)
		xxh64_reset(state, 0);
	xxh64_update(state, data, len);
	return have + len == SNAPPROT_BLOCK_SIZE ? xxh64_digest(state) : 0;
}

/* Do the whole blocks of some data match their checksums? */
static bool sums_match(struct bio *bio, struct bvec_iter data, const u32 *sums,
		       unsigned int nr)
{
	struct bvec_iter iter;
	struct bio_vec bv;
	unsigned int n = 0, have = 0;
	struct xxh64_state state;

	__bio_for_each_segment(bv, bio, iter, data) {
		unsigned int done = 0, len;

		for (; done < bv.bv_len; done += len) {
			void *addr = bvec_kmap_local(&bv);
			u32 sum;

			len = min(bv.bv_len - done, SNAPPROT_BLOCK_SIZE - have);
			sum = sum_part(&state, addr + done, have, len);
			kunmap_local(addr);
			have += len;
			if (have < SNAPPROT_BLOCK_SIZE)
				continue;
			if (n >= nr || sum != sums[n++])
				return false;
			have = 0;
		}
	}
	return !have && n == nr;
}

static void store_read_failed(struct snapprot_volume *vol,
			      const struct view_run *run, blk_status_t status)
{
	int err = blk_status_to_errno(status);

	DMERR_LIMIT("%s: reading preserved block %llu failed: %d", vol->name,
		    run->first, err);
	snapprot_fault_raise(vol, SNAPPROT_FAULT_STORE_IO, err);
}

/* ---- a read that is sent on as it is --------------------------------------- */

/*
 * What is small, lies in one place, and is to be found without waiting for
 * anything. True if the bio has been aimed there.
 */
static bool view_direct(struct snapprot_view *v, struct bio *bio)
{
	struct view_bio *vb = dm_per_bio_data(bio, sizeof(*vb));
	struct snapprot_volume *vol = v->vol;
	struct snapprot_store *s;
	bool found = false;
	u32 epoch;

	if (bio_sectors(bio) > DIRECT_BLOCKS * SNAPPROT_SECTORS_PER_BLOCK ||
	    (bio->bi_iter.bi_sector | bio_sectors(bio)) %
	    SNAPPROT_SECTORS_PER_BLOCK)
		return false;
	if (!down_read_trylock(&vol->store_sem))
		return false;
	s = vol->store;
	if (views_readable(vol) && mutex_trylock(&s->lock)) {
		epoch = view_epoch(v, s, bio);
		s->nowait = true;
		found = epoch && run_find(s, epoch, &bio->bi_iter, &vb->run,
					  vb->sum) == (int)bio_sectors(bio);
		s->nowait = false;
		if (found)
			run_begin(vol, &vb->run);
		mutex_unlock(&s->lock);
	}
	up_read(&vol->store_sem);
	if (!found)
		return false;
	vb->direct = true;
	vb->iter = bio->bi_iter;
	if (vb->run.store) {
		bio_set_dev(bio, s->dev.bdev);
		bio->bi_iter.bi_sector = vb->run.place *
					 SNAPPROT_SECTORS_PER_BLOCK;
	} else {
		bio_set_dev(bio, vol->origin_bdev);
	}
	return true;
}

/**
 * snapprot_view_endio() - a bio of a view ends
 * @v: the view
 * @bio: what has ended
 * @status: with what, which may change
 *
 * Context: as dm_target.end_io, any.
 */
void snapprot_view_endio(struct snapprot_view *v, struct bio *bio,
			 blk_status_t *status)
{
	struct view_bio *vb = dm_per_bio_data(bio, sizeof(*vb));
	struct view_run *run = &vb->run;

	if (!vb->direct)
		return;
	vb->direct = false;
	if (!run->store)
		*status = origin_status(v->vol, bio, *status);
	else if (!*status &&
		 !sums_match(bio, vb->iter, vb->sum, run->nr_sums))
		*status = BLK_STS_PROTECTION;
	if (run->store && *status)
		store_read_failed(v->vol, run, *status);
	run_is_read(v->vol, run);
	run_end(v->vol, run->store);
}

int snapprot_view_map(struct snapprot_view *v, struct bio *bio)
{
	struct view_bio *vb = dm_per_bio_data(bio, sizeof(*vb));
	struct snapprot_volume *vol = v->vol;
	unsigned long flags;

	if (bio_op(bio) != REQ_OP_READ)
		return DM_MAPIO_KILL;
	vb->view = v;
	vb->direct = false;
	if (view_direct(v, bio))
		return DM_MAPIO_REMAPPED;
	vb->status = BLK_STS_OK;
	atomic_set(&vb->pending, 1);
	spin_lock_irqsave(&vol->lock, flags);
	bio_list_add(&vol->view_bios, bio);
	spin_unlock_irqrestore(&vol->lock, flags);
	snapprot_view_kick(vol);
	return DM_MAPIO_SUBMITTED;
}

/* ---- the end of a part -------------------------------------------------- */

static void part_free(struct view_part *p)
{
	if (p->page)
		put_page(p->page);
	kfree(p);
}

/* Of the parent nothing may be touched after this, and the part is gone. */
static void part_done(struct view_part *p)
{
	struct snapprot_volume *vol = p->vol;
	struct snapprot_store *s = p->run.store;

	parent_done(p->parent, p->status);
	part_free(p);
	run_end(vol, s);
}

static bool part_copy_checked(struct view_part *p)
{
	char *data = page_address(p->page);
	struct bvec_iter iter;
	struct bio_vec bv;
	unsigned int offset = p->offset;

	if (snapprot_data_sum(data) != p->sum[0])
		return false;
	__bio_for_each_segment(bv, p->parent, iter, p->iter) {
		memcpy_to_bvec(&bv, data + offset);
		offset += bv.bv_len;
	}
	return true;
}

static void part_work(struct work_struct *work)
{
	struct view_part *p = container_of(work, struct view_part, work);

	if (!p->status &&
	    !(p->page ? part_copy_checked(p) :
			sums_match(p->parent, p->iter, p->sum,
				   p->run.nr_sums)))
		p->status = BLK_STS_PROTECTION;
	if (p->status)
		store_read_failed(p->vol, &p->run, p->status);
	part_done(p);
}

static void part_endio(struct bio *bio)
{
	struct view_part *p = bio->bi_private;

	p->status = bio->bi_status;
	bio_put(bio);
	if (p->run.store) {
		queue_work(view_done_wq, &p->work);
		return;
	}
	p->status = origin_status(p->vol, p->parent, p->status);
	run_is_read(p->vol, &p->run);
	part_done(p);
}

/* ---- the start of one --------------------------------------------------- */

static void part_submit(struct view_part *p, struct snapprot_store *s,
			unsigned int offset)
{
	struct view_bio *vb = dm_per_bio_data(p->parent, sizeof(*vb));
	struct block_device *bdev = p->run.store ? s->dev.bdev :
						   p->vol->origin_bdev;
	sector_t sector = p->run.place * SNAPPROT_SECTORS_PER_BLOCK;
	struct bio *bio;

	atomic_inc(&vb->pending);
	if (p->page) {
		bio = bio_alloc_bioset(bdev, 1, REQ_OP_READ, GFP_NOIO,
				       &p->vol->pools.view_bios);
		__bio_add_page(bio, p->page, SNAPPROT_BLOCK_SIZE, 0);
		bio->bi_iter.bi_sector = sector;
	} else {
		bio = bio_alloc_clone(bdev, p->parent, GFP_NOIO,
				      &p->vol->pools.view_bios);
		bio->bi_iter = p->iter;
		bio->bi_iter.bi_sector = sector + offset;
	}
	bio->bi_opf = REQ_OP_READ | (p->parent->bi_opf & REQ_SYNC);
	bio->bi_private = p;
	bio->bi_end_io = part_endio;
	submit_bio_noacct(bio);
}

static struct view_part *part_new(struct snapprot_volume *vol,
				  struct bio *parent,
				  const struct bvec_iter *iter)
{
	/* Two of them may be blocks that it touches in part. */
	unsigned int blocks = iter->bi_size / SNAPPROT_BLOCK_SIZE + 2;
	struct view_part *p = kzalloc(struct_size(p, sum, blocks), GFP_NOIO);

	if (!p)
		return NULL;
	/* A part of a block may have to be read beside. */
	if (in_first_block(iter) < SNAPPROT_SECTORS_PER_BLOCK) {
		p->page = alloc_page(GFP_NOIO);
		if (!p->page) {
			kfree(p);
			return NULL;
		}
	}
	p->vol = vol;
	p->parent = parent;
	INIT_WORK(&p->work, part_work);
	return p;
}

/* Start what comes first of @iter, and move on behind it. */
static int part_start(struct snapprot_volume *vol, struct snapprot_store *s,
		      struct bio *parent, u32 epoch, struct bvec_iter *iter)
{
	unsigned int offset = iter->bi_sector &
			      (SNAPPROT_SECTORS_PER_BLOCK - 1);
	struct view_part *p = part_new(vol, parent, iter);
	int sectors;

	if (!p)
		return -ENOMEM;
	mutex_lock(&s->lock);
	sectors = run_find(s, epoch, iter, &p->run, p->sum);
	if (sectors > 0)
		run_begin(vol, &p->run);
	mutex_unlock(&s->lock);
	if (sectors < 0) {
		part_free(p);
		return sectors;
	}
	if (!p->run.store && p->page) {
		put_page(p->page);
		p->page = NULL;
	}
	p->offset = offset << SECTOR_SHIFT;
	p->iter = *iter;
	p->iter.bi_size = sectors << SECTOR_SHIFT;
	bio_advance_iter(parent, iter, sectors << SECTOR_SHIFT);
	part_submit(p, s, offset);
	return 0;
}

/*
 * One bio of a view: 0 started (or ended with an error), -EAGAIN it has to
 * wait for the store, -EBUSY for the origin's next table.
 */
static int view_read(struct snapprot_volume *vol, struct bio *bio)
{
	struct view_bio *vb = dm_per_bio_data(bio, sizeof(*vb));
	struct snapprot_store *s = vol->store;
	struct bvec_iter iter = bio->bi_iter;
	u32 epoch;
	int err = 0;

	if (s && vol->attached && READ_ONCE(s->suspended))
		return -EAGAIN;
	if (s && vol->attached && READ_ONCE(vol->origin_moves))
		return -EBUSY;
	if (!views_readable(vol)) {
		parent_done(bio, BLK_STS_IOERR);
		return 0;
	}
	mutex_lock(&s->lock);
	epoch = view_epoch(vb->view, s, bio);
	mutex_unlock(&s->lock);
	if (!epoch)
		err = -EIO;
	while (!err && iter.bi_size)
		err = part_start(vol, s, bio, epoch, &iter);
	if (epoch && err && err != -ENOMEM)
		snapprot_store_broken(s, err, SNAPPROT_FAULT_STORE_IO);
	parent_done(bio, errno_to_blk_status(err));
	return 0;
}

void snapprot_view_work(struct work_struct *work)
{
	struct snapprot_volume *vol = container_of(work, struct snapprot_volume,
						   view_work);
	unsigned int noio = memalloc_noio_save();
	struct bio_list todo, kept;
	struct bio *bio;

	bio_list_init(&kept);
	spin_lock_irq(&vol->lock);
	todo = vol->view_bios;
	bio_list_init(&vol->view_bios);
	spin_unlock_irq(&vol->lock);

	down_read(&vol->store_sem);
	while ((bio = bio_list_pop(&todo))) {
		struct view_bio *vb = dm_per_bio_data(bio, sizeof(*vb));
		int err = view_read(vol, bio);

		if (!err)
			continue;
		/* The origin comes without anybody's help, the store may not. */
		if (err == -EAGAIN && READ_ONCE(vb->view->suspending))
			parent_done(bio, vb->view->noflush ?
				    BLK_STS_DM_REQUEUE : BLK_STS_IOERR);
		else
			bio_list_add(&kept, bio);
	}
	up_read(&vol->store_sem);

	spin_lock_irq(&vol->lock);
	bio_list_merge_head(&vol->view_bios, &kept);
	spin_unlock_irq(&vol->lock);
	memalloc_noio_restore(noio);
}

int __init snapprot_view_setup(void)
{
	view_done_wq = alloc_workqueue("snapprot_view_done",
				       WQ_MEM_RECLAIM | WQ_UNBOUND, 0);
	return view_done_wq ? 0 : -ENOMEM;
}

void snapprot_view_cleanup(void)
{
	destroy_workqueue(view_done_wq);
}
