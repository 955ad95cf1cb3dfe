// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: the witness
 *
 * A snapshot shows the origin's own data wherever that has not been overwritten
 * since. Whoever writes to the origin while the live volume is not there changes
 * its snapshots, and nothing could tell. So when the live volume goes, the label
 * gets the sums of some blocks of the origin: the first ones, which a file system,
 * a partition table or a format overwrites first of all, those that were written
 * last, and some at random. When it comes again they are compared, before anything
 * is written. Most that can go wrong is seen by that, not all of it.
 *
 * A block that was discarded may read as anything, and differently each time. So
 * those that have been discarded since they were written are left out, and the
 * random ones where there may have been discards before.
 */
#include <linux/percpu.h>
#include <linux/random.h>
#include <linux/slab.h>

#include "snapprot.h"

#define RANDOM		16u
/* Blocks that are read as one. */
#define SOME		16u

static_assert(SNAPPROT_WITNESS_HEAD + SNAPPROT_RECENT + RANDOM <=
	      SNAPPROT_WITNESS_MAX);

/* ---- what was written last ------------------------------------------------ */

/**
 * snapprot_witness_note() - a block is being written
 * @vol: the volume
 * @block: the first one of the write
 *
 * Context: map(), any. A writer that is moved to another processor in the middle of
 * it, or interrupted by another one, costs an entry.
 */
void snapprot_witness_note(struct snapprot_volume *vol, u64 block)
{
	struct snapprot_recent *r = raw_cpu_ptr(vol->recent);
	unsigned int next = READ_ONCE(r->next);

	if (READ_ONCE(r->block[(next - 1) % SNAPPROT_RECENT]) == block + 1)
		return;
	WRITE_ONCE(r->block[next % SNAPPROT_RECENT], block + 1);
	WRITE_ONCE(r->next, next + 1);
}

/**
 * snapprot_witness_forget() - blocks are being discarded
 * @vol: the volume
 * @first: of them
 * @last: and the last one
 *
 * Context: map(), any.
 */
void snapprot_witness_forget(struct snapprot_volume *vol, u64 first, u64 last)
{
	unsigned int cpu, i;

	for_each_possible_cpu(cpu) {
		struct snapprot_recent *r = per_cpu_ptr(vol->recent, cpu);

		for (i = 0; i < SNAPPROT_RECENT; i++) {
			u64 block = READ_ONCE(r->block[i]);

			if (block > first && block - 1 <= last)
				WRITE_ONCE(r->block[i], 0);
		}
	}
}

/* ---- reading -------------------------------------------------------------- */

struct reader {
	struct snapprot_io_dev dev;
	struct page *page[SOME];
};

static int reader_init(struct reader *r, struct snapprot_volume *vol,
		       struct block_device *bdev)
{
	unsigned int i;

	snapprot_io_dev_init(&r->dev, &vol->label_pools, bdev, 0);
	for (i = 0; i < SOME; i++) {
		r->page[i] = alloc_page(GFP_NOIO);
		if (!r->page[i])
			return -ENOMEM;
	}
	return 0;
}

static void reader_exit(struct reader *r)
{
	unsigned int i;

	for (i = 0; i < SOME; i++)
		if (r->page[i])
			put_page(r->page[i]);
}

static int read_blocks(struct reader *r, const __le64 *block, size_t stride,
		       unsigned int from, unsigned int count)
{
	struct snapprot_io_set *set = snapprot_io_set_new(&r->dev);
	unsigned int i;
	int err;

	for (i = from; i < from + count; i++) {
		void *data = page_address(r->page[i]);
		u64 b = le64_to_cpu(*(const __le64 *)((const char *)block +
						      i * stride));

		snapprot_io_add_sectors(set, REQ_OP_READ,
					b * SNAPPROT_SECTORS_PER_BLOCK, &data,
					1, SNAPPROT_BLOCK_SIZE);
	}
	err = snapprot_io_wait(set);
	snapprot_io_dev_drain(&r->dev);
	return err;
}

/* Those that could be read of at most SOME, as bits. */
static unsigned long read_some(struct reader *r,
			       const struct snapprot_disk_witness *w,
			       unsigned int count)
{
	unsigned long good = 0;
	unsigned int i;

	if (!read_blocks(r, &w->block, sizeof(*w), 0, count))
		return ~0ul;
	for (i = 0; i < count; i++)
		if (!read_blocks(r, &w->block, sizeof(*w), i, 1))
			good |= 1ul << i;
	return good;
}

/* ---- taking it ------------------------------------------------------------- */

static void add(struct snapprot_witness *w, u64 block, u64 blocks)
{
	unsigned int i;

	if (block >= blocks || w->count == SNAPPROT_WITNESS_MAX)
		return;
	for (i = 0; i < w->count; i++)
		if (le64_to_cpu(w->entry[i].block) == block)
			return;
	w->entry[w->count++].block = cpu_to_le64(block);
}

/* From each processor's, the newest first. */
static void add_recent(struct snapprot_volume *vol, struct snapprot_witness *w,
		       u64 blocks)
{
	unsigned int most = w->count + SNAPPROT_RECENT, back, cpu;

	for (back = 1; back <= SNAPPROT_RECENT; back++) {
		for_each_possible_cpu(cpu) {
			struct snapprot_recent *r =
				per_cpu_ptr(vol->recent, cpu);
			unsigned int i = r->next - back;
			u64 block = r->block[i % SNAPPROT_RECENT];

			if (block && w->count < most)
				add(w, block - 1, blocks);
		}
	}
}

static void choose_blocks(struct snapprot_volume *vol,
			  struct snapprot_witness *w)
{
	struct snapprot_origin *o = vol->origin;
	u64 blocks = vol->sectors / SNAPPROT_SECTORS_PER_BLOCK, block;
	unsigned int i;

	for (i = 0; i < SNAPPROT_WITNESS_HEAD; i++)
		add(w, i, blocks);
	add_recent(vol, w, blocks);
	if (bdev_max_discard_sectors(o->dev->bdev) && !o->args.ignore_discard)
		return;
	for (i = 0; i < RANDOM && blocks; i++) {
		div64_u64_rem(get_random_u64(), blocks, &block);
		add(w, block, blocks);
	}
}

/* Put the sums in; what cannot be read is left out. */
static void take_sums(struct reader *r, struct snapprot_witness *w,
		      const struct snapprot_disk_label *l)
{
	unsigned int from, i, n, kept = 0;
	unsigned long good;

	for (from = 0; from < w->count; from += n) {
		n = min(w->count - from, SOME);
		good = read_some(r, &w->entry[from], n);
		for (i = 0; i < n; i++) {
			u64 block = le64_to_cpu(w->entry[from + i].block), sum;

			if (!(good & 1ul << i))
				continue;
			sum = snapprot_witness_sum(l, page_address(r->page[i]),
						   block);
			w->entry[kept].block = cpu_to_le64(block);
			w->entry[kept++].sum = cpu_to_le64(sum);
		}
	}
	w->count = kept;
}

/**
 * snapprot_witness_take() - make what is on the origin durable, and look at it
 * @vol: the volume
 *
 * Context: volume->admin held, no write is in flight and none will come. Return:
 * NULL if it cannot be flushed or read, or without memory; to be freed.
 */
struct snapprot_witness *snapprot_witness_take(struct snapprot_volume *vol)
{
	struct snapprot_witness *w = kzalloc(sizeof(*w), GFP_NOIO);
	struct reader *r = kzalloc(sizeof(*r), GFP_NOIO);
	int err = -ENOMEM;

	if (w && r)
		err = reader_init(r, vol, vol->origin->dev->bdev);
	if (!err)
		err = snapprot_io_sync(&r->dev);
	if (!err) {
		choose_blocks(vol, w);
		take_sums(r, w, vol->label->disk);
		err = w->count ? 0 : -EIO;
	}
	if (err) {
		DMWARN("%s: no witness of the origin: %d", vol->name, err);
		kfree(w);
		w = NULL;
	}
	if (r)
		reader_exit(r);
	kfree(r);
	return w;
}

/* ---- comparing ------------------------------------------------------------- */

static int compare(struct snapprot_volume *vol, struct reader *r,
		   const struct snapprot_disk_label *l)
{
	unsigned int count = le32_to_cpu(l->nr_witness), from, i, n;
	unsigned long good;

	for (from = 0; from < count; from += n) {
		const struct snapprot_disk_witness *w = &l->witness[from];

		n = min(count - from, SOME);
		good = read_some(r, w, n);
		for (i = 0; i < n; i++) {
			u64 block = le64_to_cpu(w[i].block);

			if (!(good & 1ul << i)) {
				DMWARN("%s: block %llu of the origin cannot be compared",
				       vol->name, block);
				continue;
			}
			if (snapprot_witness_sum(l, page_address(r->page[i]),
						 block) ==
			    le64_to_cpu(w[i].sum))
				continue;
			DMERR("%s: block %llu of the origin was changed while the volume was away",
			      vol->name, block);
			return 1;
		}
	}
	return 0;
}

/**
 * snapprot_witness_differs() - was the origin written since the witness was taken?
 * @vol: the volume
 * @o: the live volume's target
 * @l: a label with SNAPPROT_LABEL_WITNESS
 *
 * A block that cannot be read has not changed, as far as is known.
 *
 * Context: volume->admin held, before any write may pass. Return: 1, 0 or -ENOMEM.
 */
int snapprot_witness_differs(struct snapprot_volume *vol,
			     struct snapprot_origin *o,
			     const struct snapprot_disk_label *l)
{
	struct reader *r = kzalloc(sizeof(*r), GFP_NOIO);
	int ret;

	if (!r)
		return -ENOMEM;
	ret = reader_init(r, vol, o->dev->bdev);
	if (!ret)
		ret = compare(vol, r, l);
	reader_exit(r);
	kfree(r);
	return ret;
}
