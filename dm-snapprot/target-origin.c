// SPDX-License-Identifier: GPL-2.0-only
/*
 * The live volume: dm methods of "snapprot".
 *
 *   snapprot <origin dev> <volume uuid> [<#feature args> [<arg>]*]
 */
#include <linux/slab.h>

#include "snapprot.h"

static void origin_free(struct snapprot_origin *o)
{
	if (o->label_dev)
		dm_put_device(o->ti, o->label_dev);
	if (o->dev)
		dm_put_device(o->ti, o->dev);
	if (o->vol)
		snapprot_volume_put(o->vol);
	kfree(o);
}

static int check_devices(struct snapprot_origin *o)
{
	struct mapped_device *md = dm_table_get_md(o->ti->table);
	struct dm_target *ti = o->ti;

	if (bdev_nr_sectors(o->dev->bdev) < ti->len) {
		ti->error = "Origin is smaller than the table";
		return -EINVAL;
	}
	if (o->label_dev && o->label_dev->bdev == o->dev->bdev) {
		ti->error = "Label's device is the origin";
		return -EINVAL;
	}
	if (o->label_dev && bdev_nr_sectors(o->label_dev->bdev) <
	    SNAPPROT_LABEL_COPIES * SNAPPROT_SECTORS_PER_BLOCK) {
		ti->error = "Label's device is too small";
		return -EINVAL;
	}
	if (snapprot_device_check(md, o->dev->bdev->bd_dev) ||
	    (o->label_dev &&
	     snapprot_device_check(md, o->label_dev->bdev->bd_dev))) {
		ti->error = "Device is used by another volume or as a store";
		return -EBUSY;
	}
	return 0;
}

static int origin_construct(struct snapprot_origin *o, unsigned int argc,
			    char **argv)
{
	struct dm_target *ti = o->ti;
	int err;

	if (argc < 2) {
		ti->error = "Needs an origin device and a volume UUID";
		return -EINVAL;
	}
	if (ti->begin || ti->len & (SNAPPROT_SECTORS_PER_BLOCK - 1)) {
		ti->error = "Must start at 0 and have whole blocks of 4 KiB";
		return -EINVAL;
	}
	if (snapprot_uuid_parse(argv[1], o->uuid)) {
		ti->error = "Volume UUID is none";
		return -EINVAL;
	}
	err = dm_get_device(ti, argv[0], dm_table_get_mode(ti->table),
			    &o->dev);
	if (err) {
		ti->error = "Cannot get the origin device";
		o->dev = NULL;
		return err;
	}
	err = snapprot_origin_parse(o, argc - 2, argv + 2);
	if (!err)
		err = check_devices(o);
	if (!err)
		err = snapprot_label_check(o, &ti->error);
	if (err)
		return err;
	err = dm_set_target_max_io_len(ti, SNAPPROT_MAX_BIO_SECTORS);
	if (err)
		return err;
	o->vol = snapprot_volume_get(o->uuid);
	if (!o->vol) {
		ti->error = "Cannot allocate the volume";
		return -ENOMEM;
	}
	return 0;
}

static int origin_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	struct snapprot_origin *o = kzalloc(sizeof(*o), GFP_KERNEL);
	int err;

	if (!o) {
		ti->error = "Cannot allocate the target";
		return -ENOMEM;
	}
	o->ti = ti;
	err = origin_construct(o, argc, argv);
	if (err) {
		origin_free(o);
		return err;
	}
	ti->private = o;
	ti->num_flush_bios = 1;
	ti->num_discard_bios = o->args.ignore_discard ? 0 : 1;
	ti->num_write_zeroes_bios = 1;
	ti->per_io_data_size = sizeof(struct snapprot_bio);
	return 0;
}

static void origin_dtr(struct dm_target *ti)
{
	struct snapprot_origin *o = ti->private;

	snapprot_volume_unclaim(o);
	origin_free(o);
}

static int origin_map(struct dm_target *ti, struct bio *bio)
{
	struct snapprot_origin *o = ti->private;

	return snapprot_cow_map(o->vol, bio);
}

static int origin_end_io(struct dm_target *ti, struct bio *bio,
			 blk_status_t *error)
{
	struct snapprot_origin *o = ti->private;

	snapprot_cow_endio(o->vol, bio);
	return DM_ENDIO_DONE;
}

static void set_suspending(struct snapprot_origin *o, bool suspending)
{
	struct snapprot_volume *vol = o->vol;

	if (vol->origin != o)
		return;
	spin_lock_irq(&vol->lock);
	vol->suspending = suspending;
	vol->noflush = suspending && dm_noflush_suspending(o->ti);
	spin_unlock_irq(&vol->lock);
	snapprot_cow_kick(vol);
}

/* What is held must not keep the suspend waiting: it goes back, or fails. */
static void origin_presuspend(struct dm_target *ti)
{
	set_suspending(ti->private, true);
}

static void origin_presuspend_undo(struct dm_target *ti)
{
	set_suspending(ti->private, false);
}

static void origin_postsuspend(struct dm_target *ti)
{
	struct snapprot_origin *o = ti->private;

	if (o->vol->origin == o)
		snapprot_cow_drain(o->vol);
}

static int origin_preresume(struct dm_target *ti)
{
	return snapprot_volume_claim(ti->private);
}

static int origin_message(struct dm_target *ti, unsigned int argc, char **argv,
			  char *result, unsigned int maxlen)
{
	struct snapprot_origin *o = ti->private;

	return snapprot_message(o->vol, argc, argv, result, maxlen);
}

/*
 * <normal|protect> <state> <fault|-> <errno> <#valid> <#lost> <used>/<total>
 * <grace s left|-> <held bios> <label|nolabel>
 */
static void origin_status_info(struct snapprot_volume *vol, char *result,
			       unsigned int maxlen)
{
	struct snapprot_store_target *t;
	unsigned long passed, left = 0;
	unsigned int sz = 0;
	unsigned long flags;

	spin_lock_irqsave(&vol->lock, flags);
	if (vol->grace_running) {
		passed = (jiffies - vol->grace_start) / HZ;
		left = passed < vol->grace ? vol->grace - passed : 0;
	}
	t = vol->attached ? vol->store_target : NULL;
	DMEMIT("%s %s %s %d %u %u ", vol->protect ? "protect" : "normal",
	       snapprot_state_name(vol->state), snapprot_fault_name(vol->fault),
	       vol->fault_errno, vol->nr_valid, vol->nr_lost);
	if (t)
		DMEMIT("%llu/%llu ", READ_ONCE(vol->used),
		       READ_ONCE(vol->total));
	else
		DMEMIT("- ");
	if (vol->grace_running)
		DMEMIT("%lu ", left);
	else
		DMEMIT("- ");
	DMEMIT("%u %s", vol->nr_held,
	       vol->label->h.magic ? "label" : "nolabel");
	spin_unlock_irqrestore(&vol->lock, flags);
}

static void origin_status_table(struct snapprot_origin *o, char *result,
				unsigned int maxlen)
{
	const struct snapprot_origin_args *a = &o->args;
	char uuid[37];
	unsigned int sz = 0, n;

	snapprot_uuid_format(o->uuid, uuid);
	DMEMIT("%s %s", o->dev->name, uuid);
	n = a->protect + a->queue_on_fault + a->unlabelled +
	    a->ignore_discard + a->delete_oldest + 2 * a->grace_given +
	    2 * a->grow_given + 2 * !!o->label_dev;
	if (!n)
		return;
	DMEMIT(" %u", n);
	if (a->protect)
		DMEMIT(" protect");
	if (a->queue_on_fault)
		DMEMIT(" queue_on_fault");
	if (a->unlabelled)
		DMEMIT(" unlabelled");
	if (a->ignore_discard)
		DMEMIT(" ignore_discard");
	if (a->delete_oldest)
		DMEMIT(" delete_oldest");
	if (a->grace_given)
		DMEMIT(" grace %u", a->grace);
	if (a->grow_given)
		DMEMIT(" grow_timeout %u", a->grow_timeout);
	if (o->label_dev)
		DMEMIT(" label %s", o->label_dev->name);
}

static void origin_status(struct dm_target *ti, status_type_t type,
			  unsigned int status_flags, char *result,
			  unsigned int maxlen)
{
	struct snapprot_origin *o = ti->private;

	switch (type) {
	case STATUSTYPE_INFO:
		origin_status_info(o->vol, result, maxlen);
		break;
	case STATUSTYPE_TABLE:
		origin_status_table(o, result, maxlen);
		break;
	case STATUSTYPE_IMA:
		*result = '\0';
		break;
	}
}

static int origin_iterate_devices(struct dm_target *ti,
				  iterate_devices_callout_fn fn, void *data)
{
	struct snapprot_origin *o = ti->private;

	return fn(ti, o->dev, 0, ti->len, data);
}

static void origin_io_hints(struct dm_target *ti, struct queue_limits *limits)
{
	limits->max_hw_discard_sectors =
		min(limits->max_hw_discard_sectors, SNAPPROT_MAX_BIO_SECTORS);
	limits->max_discard_sectors =
		min(limits->max_discard_sectors, SNAPPROT_MAX_BIO_SECTORS);
	limits->max_write_zeroes_sectors =
		min(limits->max_write_zeroes_sectors, SNAPPROT_MAX_BIO_SECTORS);
}

struct target_type snapprot_origin_target = {
	.name			= "snapprot",
	.version		= {1, 0, 0},
	.module			= THIS_MODULE,
	.ctr			= origin_ctr,
	.dtr			= origin_dtr,
	.map			= origin_map,
	.end_io			= origin_end_io,
	.presuspend		= origin_presuspend,
	.presuspend_undo	= origin_presuspend_undo,
	.postsuspend		= origin_postsuspend,
	.preresume		= origin_preresume,
	.message		= origin_message,
	.status			= origin_status,
	.iterate_devices	= origin_iterate_devices,
	.io_hints		= origin_io_hints,
};
