// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: where a snapshot's read goes
 *
 * For each block: the smallest epoch not below the snapshot's that the index
 * has, else the origin. A read of the origin is put on a list in the same
 * hold of store->lock as its look-up; a batch that preserves one of its
 * blocks commits under that lock, and lets no write go before such reads have
 * ended. So a read sees the origin's old block, or the index's copy of it,
 * never what came after.
 *
 * Old data carries a checksum, and only what matches it is returned. A part
 * of a block cannot be checked, so the whole of it is read beside.
 */
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "snapprot.h"

/* Per bio of a view. */
struct view_bio {
	struct snapprot_view *view;
	atomic_t pending;
	blk_status_t status;
};

/* A part of it on its way: a run of blocks from one place. */
struct view_part {
	struct list_head list;		/* vol->view_reads, of the origin only */
	struct snapprot_volume *vol;
	struct snapprot_store *store;	/* once it reads from there */
	struct bio *parent;
	struct bvec_iter iter;		/* of the parent's data */
	u64 first, last;		/* origin blocks */
	bool from_origin;
	struct page *page;		/* of a block that is read in part */
	unsigned int offset;		/* where in it */
	struct work_struct work;
	blk_status_t status;
	unsigned int nr_crcs;
	u32 crc[];
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

int snapprot_view_map(struct snapprot_view *v, struct bio *bio)
{
	struct view_bio *vb = dm_per_bio_data(bio, sizeof(*vb));
	struct snapprot_volume *vol = v->vol;
	unsigned long flags;

	if (bio_op(bio) != REQ_OP_READ)
		return DM_MAPIO_KILL;
	vb->view = v;
	vb->status = BLK_STS_OK;
	atomic_set(&vb->pending, 1);
	spin_lock_irqsave(&vol->lock, flags);
	bio_list_add(&vol->view_bios, bio);
	spin_unlock_irqrestore(&vol->lock, flags);
	snapprot_view_kick(vol);
	return DM_MAPIO_SUBMITTED;
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
	struct view_part *p;
	bool found = false;

	spin_lock_irq(&vol->lock);
	list_for_each_entry(p, &vol->view_reads, list)
		if (p->first <= last && p->last >= first) {
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

/* ---- the end of a part -------------------------------------------------- */

/*
 * Last of all, as whoever waits for the origin's or the store's reads to end
 * frees what they need: see snapprot_io_dev_done().
 */
static void part_free(struct view_part *p)
{
	struct snapprot_volume *vol = p->vol;
	struct snapprot_store *s = p->store;
	unsigned long flags;

	if (p->page)
		put_page(p->page);
	kfree(p);
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

/* From here on the part is the store's to wait for, not the origin's. */
static void part_of_store(struct view_part *p, struct snapprot_store *s)
{
	struct snapprot_volume *vol = p->vol;

	atomic_inc(&s->dev.inflight);
	if (atomic_inc_return(&s->view_parts) == 1) {
		WRITE_ONCE(s->view_progress, jiffies);
		queue_delayed_work(vol->view_wq, &s->view_watch,
				   s->dev.timeout);
	}
	p->store = s;
	spin_lock_irq(&vol->view_wait.lock);
	atomic_dec(&vol->view_inflight);
	wake_up_locked(&vol->view_wait);
	spin_unlock_irq(&vol->view_wait.lock);
}

/* Do the whole blocks of a part match their checksums? */
static bool part_sums_match(struct view_part *p)
{
	struct bvec_iter iter;
	struct bio_vec bv;
	unsigned int n = 0, have = 0;
	u32 crc = SNAPPROT_CRC_SEED;

	__bio_for_each_segment(bv, p->parent, iter, p->iter) {
		unsigned int done = 0;

		while (done < bv.bv_len) {
			unsigned int len = min(bv.bv_len - done,
					       SNAPPROT_BLOCK_SIZE - have);
			void *addr = bvec_kmap_local(&bv);

			crc = crc32c(crc, addr + done, len);
			kunmap_local(addr);
			done += len;
			have += len;
			if (have < SNAPPROT_BLOCK_SIZE)
				continue;
			if (n >= p->nr_crcs || crc != p->crc[n++])
				return false;
			have = 0;
			crc = SNAPPROT_CRC_SEED;
		}
	}
	return !have && n == p->nr_crcs;
}

static bool part_copy_checked(struct view_part *p)
{
	char *data = page_address(p->page);
	struct bvec_iter iter;
	struct bio_vec bv;
	unsigned int offset = p->offset;

	if (snapprot_data_crc(data) != p->crc[0])
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
	struct snapprot_volume *vol = p->vol;

	if (!p->status &&
	    !(p->page ? part_copy_checked(p) : part_sums_match(p)))
		p->status = BLK_STS_PROTECTION;
	if (p->status) {
		DMERR_LIMIT("%s: reading preserved block %llu failed: %d",
			    vol->name, p->first,
			    blk_status_to_errno(p->status));
		snapprot_fault_raise(vol, SNAPPROT_FAULT_STORE_IO,
				     blk_status_to_errno(p->status));
	}
	parent_done(p->parent, p->status);
	part_free(p);
}

static void part_endio(struct bio *bio)
{
	struct view_part *p = bio->bi_private;
	struct snapprot_volume *vol = p->vol;
	unsigned long flags;

	p->status = bio->bi_status;
	bio_put(bio);
	if (!p->from_origin) {
		queue_work(view_done_wq, &p->work);
		return;
	}
	spin_lock_irqsave(&vol->lock, flags);
	list_del(&p->list);
	spin_unlock_irqrestore(&vol->lock, flags);
	parent_done(p->parent, p->status);
	part_free(p);
}

/* ---- the start of one --------------------------------------------------- */

static void part_submit(struct view_part *p, struct block_device *bdev,
			u64 place, unsigned int offset)
{
	struct view_bio *vb = dm_per_bio_data(p->parent, sizeof(*vb));
	struct bio *bio;

	atomic_inc(&vb->pending);
	if (p->page) {
		bio = bio_alloc_bioset(bdev, 1, REQ_OP_READ, GFP_NOIO,
				       &p->vol->pools.view_bios);
		__bio_add_page(bio, p->page, SNAPPROT_BLOCK_SIZE, 0);
		bio->bi_iter.bi_sector = place * SNAPPROT_SECTORS_PER_BLOCK;
	} else {
		bio = bio_alloc_clone(bdev, p->parent, GFP_NOIO,
				      &p->vol->pools.view_bios);
		bio->bi_iter = p->iter;
		bio->bi_iter.bi_sector = place * SNAPPROT_SECTORS_PER_BLOCK +
					 offset;
	}
	bio->bi_opf = REQ_OP_READ | (p->parent->bi_opf & REQ_SYNC);
	bio->bi_private = p;
	bio->bi_end_io = part_endio;
	submit_bio_noacct(bio);
}

static struct view_part *part_new(struct snapprot_volume *vol,
				  struct bio *parent, unsigned int crcs)
{
	struct view_part *p = kzalloc(struct_size(p, crc, crcs), GFP_NOIO);

	if (!p)
		return NULL;
	p->vol = vol;
	p->parent = parent;
	INIT_WORK(&p->work, part_work);
	atomic_inc(&vol->view_inflight);
	return p;
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
 * part and returns its length in sectors. Under store->lock.
 */
static int part_find(struct snapprot_volume *vol, struct snapprot_store *s,
		     u32 epoch, const struct bvec_iter *iter,
		     struct view_part *p, u64 *place)
{
	unsigned int left = iter->bi_size >> SECTOR_SHIFT;
	unsigned int sectors = 0, n = in_first_block(iter);
	struct snapprot_entry e;
	u64 block = iter->bi_sector / SNAPPROT_SECTORS_PER_BLOCK;
	int ret;

	p->first = block;
	do {
		ret = snapprot_lookup(&s->core, block, epoch, &e);
		if (ret < 0)
			return ret;
		if (!sectors) {
			p->from_origin = !ret;
			*place = ret ? e.place : block;
		} else if (p->from_origin != !ret ||
			   (ret && e.place != *place + (block - p->first))) {
			break;
		}
		if (ret && n < SNAPPROT_SECTORS_PER_BLOCK && sectors)
			break;		/* a part of a block goes alone */
		if (ret)
			p->crc[p->nr_crcs++] = e.crc;
		sectors += n;
		left -= n;
		block++;
		if (ret && n < SNAPPROT_SECTORS_PER_BLOCK)
			break;
		n = min(left, SNAPPROT_SECTORS_PER_BLOCK);
	} while (left);
	p->last = block - 1;
	return sectors;
}

/* Start what comes first of @iter, and move on behind it. */
static int part_start(struct snapprot_volume *vol, struct snapprot_store *s,
		      struct bio *parent, u32 epoch, struct bvec_iter *iter)
{
	unsigned int offset = iter->bi_sector &
			      (SNAPPROT_SECTORS_PER_BLOCK - 1);
	struct view_part *p;
	u64 place = 0;
	int sectors;

	p = part_new(vol, parent, SNAPPROT_MAX_BIO_BLOCKS + 1);
	if (!p)
		return -ENOMEM;
	mutex_lock(&s->lock);
	sectors = part_find(vol, s, epoch, iter, p, &place);
	if (sectors > 0 && p->from_origin) {
		spin_lock_irq(&vol->lock);
		list_add_tail(&p->list, &vol->view_reads);
		spin_unlock_irq(&vol->lock);
	}
	mutex_unlock(&s->lock);
	if (sectors < 0) {
		part_free(p);
		return sectors;
	}
	p->iter = *iter;
	p->iter.bi_size = sectors << SECTOR_SHIFT;
	if (!p->from_origin)
		part_of_store(p, s);
	if (!p->from_origin && sectors < (int)SNAPPROT_SECTORS_PER_BLOCK) {
		p->page = alloc_page(GFP_NOIO);
		if (!p->page) {
			part_free(p);
			return -ENOMEM;
		}
		p->offset = offset << SECTOR_SHIFT;
	}
	bio_advance_iter(parent, iter, sectors << SECTOR_SHIFT);
	part_submit(p, p->from_origin ? vol->origin_bdev : s->dev.bdev, place,
		    offset);
	return 0;
}

/*
 * One bio of a view: 0 started (or ended with an error), -EAGAIN it has to
 * wait for the store.
 */
static int view_read(struct snapprot_volume *vol, struct bio *bio)
{
	struct view_bio *vb = dm_per_bio_data(bio, sizeof(*vb));
	struct snapprot_store *s = vol->store;
	struct bvec_iter iter = bio->bi_iter;
	struct snapprot_snap *snap;
	u32 epoch = 0;
	int err = 0;

	if (s && vol->attached && READ_ONCE(s->suspended))
		return -EAGAIN;
	if (!snapprot_store_usable(s) || !vol->attached || !vol->origin_bdev) {
		parent_done(bio, BLK_STS_IOERR);
		return 0;
	}
	mutex_lock(&s->lock);
	snap = snapprot_snap_find(&s->core, vb->view->id);
	if (snap && !snapprot_snap_lost(&s->core, snap) &&
	    bio_end_sector(bio) <= snap->sectors)
		epoch = snap->epoch;
	mutex_unlock(&s->lock);
	if (!epoch || READ_ONCE(vol->lost_here))
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

		if (view_read(vol, bio) != -EAGAIN)
			continue;
		if (READ_ONCE(vb->view->suspending))
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
