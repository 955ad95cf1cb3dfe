// SPDX-License-Identifier: GPL-2.0-only
/*
 * The store coming online: dm methods of "snapprot-store".
 *
 *   snapprot-store <store dev> [<#feature args> [<arg>]*]
 */
#include <linux/slab.h>

#include "snapprot.h"

static void store_free(struct snapprot_store_target *t)
{
	if (t->dev)
		dm_put_device(t->ti, t->dev);
	if (t->vol)
		snapprot_volume_put(t->vol);
	kfree(t);
}

static struct page *read_super(struct snapprot_io_dev *d, u64 block)
{
	struct page *page = alloc_page(GFP_KERNEL);

	if (page && snapprot_io_block(d, REQ_OP_READ | REQ_META, block,
				      page_address(page))) {
		put_page(page);
		return NULL;
	}
	return page;
}

/* Whose store is this? Reads the superblocks, and believes the better one. */
static int identify(struct snapprot_store_target *t)
{
	const struct snapprot_disk_super *best;
	struct snapprot_io_dev d;
	struct page *a, *b;
	int err = -EIO;

	snapprot_io_dev_init(&d, &snapprot_ctr_pools, t->dev->bdev,
			     t->config.io_timeout);
	a = read_super(&d, SNAPPROT_SUPER_BLOCK_0);
	b = read_super(&d, SNAPPROT_SUPER_BLOCK_1);
	best = snapprot_super_choose(a ? page_address(a) : NULL,
				     b ? page_address(b) : NULL, &err);
	if (best) {
		err = 0;
		memcpy(t->uuid, best->h.uuid, sizeof(t->uuid));
	} else if (!a && !b) {
		err = -EIO;
		t->ti->error = "Cannot read the superblocks";
	} else if (err == -EPROTONOSUPPORT) {
		t->ti->error = "Store is of a newer version";
	} else {
		err = -EINVAL;
		t->ti->error = "Not a store: use snapprot format to make one";
	}
	if (a)
		put_page(a);
	if (b)
		put_page(b);
	snapprot_io_dev_drain(&d);
	return err;
}

static int store_construct(struct snapprot_store_target *t, unsigned int argc,
			   char **argv)
{
	struct dm_target *ti = t->ti;
	int err;

	if (!argc) {
		ti->error = "Needs a store device";
		return -EINVAL;
	}
	if (ti->begin) {
		ti->error = "Must start at sector 0";
		return -EINVAL;
	}
	t->config.blocks = ti->len / SNAPPROT_SECTORS_PER_BLOCK;
	if (t->config.blocks < SNAPPROT_MIN_STORE_BLOCKS) {
		ti->error = "Store is too small";
		return -EINVAL;
	}
	err = dm_get_device(ti, argv[0], dm_table_get_mode(ti->table), &t->dev);
	if (err) {
		ti->error = "Cannot get the store device";
		t->dev = NULL;
		return err;
	}
	if (bdev_nr_sectors(t->dev->bdev) < ti->len) {
		ti->error = "Device is smaller than the table";
		return -EINVAL;
	}
	if (snapprot_device_check(dm_table_get_md(ti->table),
				  t->dev->bdev->bd_dev)) {
		ti->error = "Device is used by another volume or as a store";
		return -EBUSY;
	}
	err = snapprot_store_parse(t, argc - 1, argv + 1);
	if (!err)
		err = identify(t);
	if (err)
		return err;
	t->vol = snapprot_volume_get(t->uuid);
	if (!t->vol) {
		ti->error = "Cannot allocate the volume";
		return -ENOMEM;
	}
	return 0;
}

static int store_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	struct snapprot_store_target *t = kzalloc(sizeof(*t), GFP_KERNEL);
	int err;

	if (!t) {
		ti->error = "Cannot allocate the target";
		return -ENOMEM;
	}
	t->ti = ti;
	err = store_construct(t, argc, argv);
	if (err) {
		store_free(t);
		return err;
	}
	ti->private = t;
	ti->num_flush_bios = 1;
	return 0;
}

static void store_dtr(struct dm_target *ti)
{
	struct snapprot_store_target *t = ti->private;

	snapprot_volume_depart(t);
	store_free(t);
}

/* For probing: reads pass, nothing else does. */
static int store_map(struct dm_target *ti, struct bio *bio)
{
	struct snapprot_store_target *t = ti->private;

	if (op_is_write(bio_op(bio)) && bio_sectors(bio))
		return DM_MAPIO_KILL;
	bio_set_dev(bio, t->dev->bdev);
	return DM_MAPIO_REMAPPED;
}

static void store_postsuspend(struct dm_target *ti)
{
	snapprot_volume_pause(ti->private);
}

static int store_preresume(struct dm_target *ti)
{
	return snapprot_volume_arrive(ti->private);
}

static const char *store_state(struct snapprot_store_target *t,
			       struct snapprot_store *s)
{
	if (!s || READ_ONCE(s->failed))
		return t->load_error || s ? "failed" : "unclaimed";
	if (READ_ONCE(s->suspended))
		return "suspended";
	return READ_ONCE(t->vol->attached) ? "online" : "unclaimed";
}

/* <volume uuid> <state> <used>/<total> <low|-> <protected|-> */
static void store_status_info(struct snapprot_store_target *t, char *result,
			      unsigned int maxlen)
{
	struct snapprot_volume *vol = t->vol;
	struct snapprot_store *s;
	unsigned int sz = 0;
	unsigned long flags;

	spin_lock_irqsave(&vol->lock, flags);
	s = t->store;
	DMEMIT("%s %s ", vol->name, store_state(t, s));
	if (s)
		DMEMIT("%llu/%llu %s %s", READ_ONCE(s->used),
		       READ_ONCE(s->total), READ_ONCE(s->low) ? "low" : "-",
		       READ_ONCE(s->protected) ? "protected" : "-");
	else
		DMEMIT("- - -");
	spin_unlock_irqrestore(&vol->lock, flags);
}

static void store_status_table(struct snapprot_store_target *t, char *result,
			       unsigned int maxlen)
{
	unsigned int sz = 0, n;

	DMEMIT("%s", t->dev->name);
	n = 2 * (t->low_water_given + t->io_timeout_given + t->cache_given);
	if (!n)
		return;
	DMEMIT(" %u", n);
	if (t->low_water_given)
		DMEMIT(" low_water %u", t->config.low_water);
	if (t->io_timeout_given)
		DMEMIT(" io_timeout %u", t->config.io_timeout);
	if (t->cache_given)
		DMEMIT(" cache %u", t->config.cache_kib);
}

static void store_status(struct dm_target *ti, status_type_t type,
			 unsigned int status_flags, char *result,
			 unsigned int maxlen)
{
	switch (type) {
	case STATUSTYPE_INFO:
		store_status_info(ti->private, result, maxlen);
		break;
	case STATUSTYPE_TABLE:
		store_status_table(ti->private, result, maxlen);
		break;
	case STATUSTYPE_IMA:
		*result = '\0';
		break;
	}
}

static int store_iterate_devices(struct dm_target *ti,
				 iterate_devices_callout_fn fn, void *data)
{
	struct snapprot_store_target *t = ti->private;

	return fn(ti, t->dev, 0, ti->len, data);
}

struct target_type snapprot_store_target_type = {
	.name			= "snapprot-store",
	.version		= {1, 0, 0},
	.module			= THIS_MODULE,
	.ctr			= store_ctr,
	.dtr			= store_dtr,
	.map			= store_map,
	.postsuspend		= store_postsuspend,
	.preresume		= store_preresume,
	.status			= store_status,
	.iterate_devices	= store_iterate_devices,
};
