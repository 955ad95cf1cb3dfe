// SPDX-License-Identifier: GPL-2.0-only
/*
 * The label: two copies of 4 KiB on the origin's side. Each write puts both
 * out, one after the other and each durable before the next step, so that at
 * any moment one whole copy is there, and after it the loss of one is harmless.
 */
#include <linux/slab.h>

#include "snapprot.h"

static void label_place(const struct snapprot_origin *o,
			struct block_device **bdev, sector_t *sector)
{
	if (o->label_dev) {
		*bdev = o->label_dev->bdev;
		*sector = 0;
	} else {
		*bdev = o->dev->bdev;
		*sector = snapprot_label_start(bdev_nr_sectors(*bdev));
	}
}

/* Read both copies and return the better one in @page; -ENODATA: no label. */
static int label_read(struct snapprot_origin *o, struct page *page)
{
	struct page *other = alloc_page(GFP_KERNEL);
	const struct snapprot_disk_label *best;
	void *a = page_address(page), *b;
	struct block_device *bdev;
	struct snapprot_io_dev d;
	struct snapprot_io_set *set;
	sector_t sector;
	int err;

	if (!other)
		return -ENOMEM;
	label_place(o, &bdev, &sector);
	snapprot_io_dev_init(&d, &snapprot_ctr_pools, bdev, 0);
	err = -ENODATA;
	if (!o->label_dev && !sector)
		goto out;
	b = page_address(other);
	set = snapprot_io_set_new(&d);
	snapprot_io_add_sectors(set, REQ_OP_READ | REQ_META, sector, &a, 1,
				SNAPPROT_BLOCK_SIZE);
	snapprot_io_add_sectors(set, REQ_OP_READ | REQ_META,
				sector + SNAPPROT_SECTORS_PER_BLOCK, &b, 1,
				SNAPPROT_BLOCK_SIZE);
	err = snapprot_io_wait(set);
	snapprot_io_dev_drain(&d);
	if (err)
		goto out;
	best = snapprot_label_choose(a, b, &err);
	if (!best) {
		if (err != -EPROTONOSUPPORT)
			err = -ENODATA;
		goto out;
	}
	err = 0;
	if (best != a)
		memcpy(a, best, sizeof(*best));
out:
	put_page(other);
	return err;
}

/* Why the table may not be loaded over this label, or none; NULL if it may. */
static char *label_objection(struct snapprot_origin *o, int err,
			     const struct snapprot_disk_label *l)
{
	if (err == -EPROTONOSUPPORT)
		return "Label is of a newer version";
	if (err == -ENODATA)
		return o->args.protect || o->args.unlabelled ? NULL :
			"No label: only with protect or unlabelled";
	if (err)
		return "Cannot read the label";
	if (memcmp(l->h.uuid, o->uuid, sizeof(o->uuid)))
		return "Label belongs to another volume";
	if (le64_to_cpu(l->origin_sectors) != o->ti->len)
		return "Length is not that of the label";
	return NULL;
}

/**
 * snapprot_label_check() - may the table be loaded, as far as the label goes?
 * @o: the live volume's target
 * @error: why not, for ti->error
 *
 * Context: constructor. Return: 0 or -EINVAL.
 */
int snapprot_label_check(struct snapprot_origin *o, char **error)
{
	struct page *page = alloc_page(GFP_KERNEL);
	char *objection;
	sector_t start;
	int err;

	if (!page) {
		*error = "Cannot allocate a page";
		return -ENOMEM;
	}
	err = label_read(o, page);
	objection = label_objection(o, err, page_address(page));
	start = snapprot_label_start(bdev_nr_sectors(o->dev->bdev));
	if (!objection && !err && !o->label_dev && o->ti->len > start)
		objection = "Length reaches into the label";
	put_page(page);
	if (!objection)
		return 0;
	*error = objection;
	return -EINVAL;
}

/**
 * snapprot_label_load() - read the label that the volume goes by from now on
 * @vol: the volume
 * @o: the live volume's target
 *
 * Context: volume->mutex held. Return: 0, also without a label.
 */
int snapprot_label_load(struct snapprot_volume *vol, struct snapprot_origin *o)
{
	struct block_device *bdev;
	struct page *page;
	char *objection;
	int err;

	lockdep_assert_held(&vol->mutex);
	page = alloc_page(GFP_NOIO);
	if (!page)
		return -ENOMEM;
	err = label_read(o, page);
	objection = label_objection(o, err, page_address(page));
	if (objection) {
		DMERR("%s: %s", vol->name, objection);
		put_page(page);
		return err && err != -ENODATA ? err : -EINVAL;
	}
	if (err)
		memset(vol->label, 0, sizeof(*vol->label));
	else
		memcpy(vol->label, page_address(page), sizeof(*vol->label));
	put_page(page);
	vol->label_in_doubt = false;
	label_place(o, &bdev, &vol->label_sector);
	snapprot_io_dev_init(&vol->label_dev, &vol->pools, bdev, 0);
	return 0;
}

u32 snapprot_label_flags(const struct snapprot_volume *vol)
{
	return le32_to_cpu(vol->label->flags);
}

u64 snapprot_label_generation(const struct snapprot_volume *vol)
{
	return le64_to_cpu(vol->label->generation);
}

static int label_put_copy(struct snapprot_volume *vol,
			  struct snapprot_disk_label *l, unsigned int copy)
{
	void *data = page_address(vol->label_page);
	struct snapprot_io_set *set;
	int err;

	l->h.block = cpu_to_le64(copy);
	snapprot_block_seal(l);
	memcpy(data, l, sizeof(*l));
	set = snapprot_io_set_new(&vol->label_dev);
	snapprot_io_add_sectors(set, REQ_OP_WRITE | REQ_META | REQ_SYNC |
				REQ_PREFLUSH | REQ_FUA,
				vol->label_sector +
				copy * SNAPPROT_SECTORS_PER_BLOCK,
				&data, 1, SNAPPROT_BLOCK_SIZE);
	err = snapprot_io_wait(set);
	snapprot_io_dev_drain(&vol->label_dev);
	return err;
}

/**
 * snapprot_label_write() - change the label, durably
 * @vol: the volume
 * @set: SNAPPROT_LABEL_* to set
 * @clear: to clear
 * @generation: of the store that arrived last
 * @lost_fault: why snapshots are lost, if @set says that they are
 *
 * Context: volume->mutex held, sleeps. Return: 0; without a label too. After
 * an error the disk has the old label or the new one, and the next write
 * replaces both.
 */
int snapprot_label_write(struct snapprot_volume *vol, u32 set, u32 clear,
			 u64 generation, u32 lost_fault)
{
	struct snapprot_disk_label *l, *old = vol->label;
	int err;

	lockdep_assert_held(&vol->mutex);
	if (!snapprot_label_present(vol))
		return 0;
	if (le64_to_cpu(old->h.seq) >= SNAPPROT_LAST_SEQ) {
		DMERR("%s: the label's numbers are used up", vol->name);
		return -EOVERFLOW;
	}
	l = kmemdup(old, sizeof(*old), GFP_NOIO);
	if (!l)
		return -ENOMEM;
	l->h.seq = cpu_to_le64(le64_to_cpu(old->h.seq) + 1);
	l->flags = cpu_to_le32((le32_to_cpu(old->flags) | set) & ~clear);
	l->generation = cpu_to_le64(generation);
	if (set & SNAPPROT_LABEL_LOST) {
		l->lost_fault = cpu_to_le32(lost_fault);
		l->lost_time = cpu_to_le64(ktime_get_real_seconds());
	}
	l->nr_valid = cpu_to_le32(vol->nr_valid);
	l->nr_lost = cpu_to_le32(vol->nr_lost);
	/* Never the same number for two contents, even if this one fails. */
	old->h.seq = l->h.seq;
	err = label_put_copy(vol, l, 0);
	if (!err)
		err = label_put_copy(vol, l, 1);
	if (err)
		DMERR("%s: cannot write the label: %d", vol->name, err);
	else
		memcpy(old, l, sizeof(*old));
	/* The disk may have one or the other. */
	vol->label_in_doubt = err;
	kfree(l);
	return err;
}
