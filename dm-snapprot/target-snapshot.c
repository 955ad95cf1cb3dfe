// SPDX-License-Identifier: GPL-2.0-only
/*
 * The read-only view of a snapshot: dm methods of "snapprot-snap". A longer
 * name would not fit: device-mapper takes 15 characters.
 *
 *   snapprot-snap <volume uuid> <snapshot id>
 */
#include <linux/slab.h>

#include "snapprot.h"

static int view_construct(struct snapprot_view *v, unsigned int argc,
			  char **argv)
{
	struct dm_target *ti = v->ti;
	u8 uuid[16];

	if (argc != 2) {
		ti->error = "Needs a volume UUID and a snapshot id";
		return -EINVAL;
	}
	if (ti->begin) {
		ti->error = "Must start at sector 0";
		return -EINVAL;
	}
	if (dm_table_get_mode(ti->table) & SNAPPROT_MODE_WRITE) {
		ti->error = "Snapshots are read-only: load with --readonly";
		return -EROFS;
	}
	if (snapprot_uuid_parse(argv[0], uuid)) {
		ti->error = "Volume UUID is none";
		return -EINVAL;
	}
	if (snapprot_parse_u32(argv[1], 1, U32_MAX, &v->id)) {
		ti->error = "Snapshot id is none";
		return -EINVAL;
	}
	v->vol = snapprot_volume_get(uuid);
	if (!v->vol) {
		ti->error = "Cannot allocate the volume";
		return -ENOMEM;
	}
	return dm_set_target_max_io_len(ti, SNAPPROT_MAX_BIO_SECTORS);
}

/* With the store online, the snapshot has to be there and to have this length. */
static int view_check(struct snapprot_view *v)
{
	struct snapprot_volume *vol = v->vol;
	struct snapprot_store *s;
	struct snapprot_snap *snap;
	int err = 0;

	down_read(&vol->store_sem);
	s = vol->attached ? vol->store : NULL;
	if (s) {
		mutex_lock(&s->lock);
		snap = snapprot_snap_find(&s->core, v->id);
		if (!snap) {
			v->ti->error = "No such snapshot";
			err = -ENOENT;
		} else if (snap->sectors != v->ti->len) {
			v->ti->error = "Length is not that of the snapshot";
			err = -EINVAL;
		}
		mutex_unlock(&s->lock);
	}
	up_read(&vol->store_sem);
	return err;
}

static int view_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	struct snapprot_view *v = kzalloc(sizeof(*v), GFP_KERNEL);
	int err;

	if (!v) {
		ti->error = "Cannot allocate the target";
		return -ENOMEM;
	}
	v->ti = ti;
	err = view_construct(v, argc, argv);
	if (!err)
		err = view_check(v);
	if (err) {
		if (v->vol)
			snapprot_volume_put(v->vol);
		kfree(v);
		return err;
	}
	ti->private = v;
	ti->num_flush_bios = 1;
	ti->per_io_data_size = snapprot_view_bio_size();
	spin_lock_irq(&v->vol->lock);
	list_add(&v->list, &v->vol->views);
	spin_unlock_irq(&v->vol->lock);
	return 0;
}

static void view_dtr(struct dm_target *ti)
{
	struct snapprot_view *v = ti->private;

	spin_lock_irq(&v->vol->lock);
	list_del(&v->list);
	spin_unlock_irq(&v->vol->lock);
	snapprot_volume_put(v->vol);
	kfree(v);
}

static int view_map(struct dm_target *ti, struct bio *bio)
{
	return snapprot_view_map(ti->private, bio);
}

static int view_end_io(struct dm_target *ti, struct bio *bio,
		       blk_status_t *status)
{
	snapprot_view_endio(ti->private, bio, status);
	return DM_ENDIO_DONE;
}

static void set_suspending(struct snapprot_view *v, bool suspending)
{
	v->noflush = suspending && dm_noflush_suspending(v->ti);
	WRITE_ONCE(v->suspending, suspending);
	snapprot_view_kick(v->vol);
}

static void view_presuspend(struct dm_target *ti)
{
	set_suspending(ti->private, true);
}

static void view_resume(struct dm_target *ti)
{
	set_suspending(ti->private, false);
}

static const char *view_state(struct snapprot_view *v)
{
	struct snapprot_volume *vol = v->vol;
	struct snapprot_store *s;
	struct snapprot_snap *snap;
	const char *state = "offline";

	down_read(&vol->store_sem);
	s = vol->attached ? vol->store : NULL;
	if (s && snapprot_store_usable(s)) {
		mutex_lock(&s->lock);
		snap = snapprot_snap_find(&s->core, v->id);
		state = snap && !snapprot_snap_lost(&s->core, snap) ?
			"valid" : "lost";
		mutex_unlock(&s->lock);
	}
	up_read(&vol->store_sem);
	return READ_ONCE(vol->lost_here) ? "lost" : state;
}

/* <id> <valid|lost|offline> */
static void view_status(struct dm_target *ti, status_type_t type,
			unsigned int status_flags, char *result,
			unsigned int maxlen)
{
	struct snapprot_view *v = ti->private;
	unsigned int sz = 0;

	switch (type) {
	case STATUSTYPE_INFO:
		DMEMIT("%u %s", v->id, view_state(v));
		break;
	case STATUSTYPE_TABLE:
		DMEMIT("%s %u", v->vol->name, v->id);
		break;
	case STATUSTYPE_IMA:
		*result = '\0';
		break;
	}
}

/* Parts of a block are read from the origin as they are asked for. */
static void view_io_hints(struct dm_target *ti, struct queue_limits *limits)
{
	struct snapprot_view *v = ti->private;
	struct snapprot_volume *vol = v->vol;

	down_read(&vol->store_sem);
	if (vol->origin_bdev) {
		limits->logical_block_size =
			max(limits->logical_block_size,
			    bdev_logical_block_size(vol->origin_bdev));
		limits->physical_block_size =
			max(limits->physical_block_size,
			    limits->logical_block_size);
	}
	up_read(&vol->store_sem);
}

struct target_type snapprot_view_target = {
	.name			= "snapprot-snap",
	.version		= {1, 0, 0},
	.module			= THIS_MODULE,
	.ctr			= view_ctr,
	.dtr			= view_dtr,
	.map			= view_map,
	.end_io			= view_end_io,
	.presuspend		= view_presuspend,
	.presuspend_undo	= view_resume,
	.resume			= view_resume,
	.status			= view_status,
	.io_hints		= view_io_hints,
};
