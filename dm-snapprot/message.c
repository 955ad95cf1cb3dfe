// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages to the live volume: one small function each, from a table.
 */
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "snapprot.h"

/* ---- create_snap -------------------------------------------------------- */

/* Under admin: is there a store that can take a record? */
static int store_ready(struct snapprot_volume *vol, bool while_blocked)
{
	struct snapprot_store *s = vol->store;

	if (vol->state == SNAPPROT_BLOCKED && !while_blocked)
		return -EIO;
	if (!vol->attached || !s || READ_ONCE(s->suspended))
		return -ENODEV;
	if (READ_ONCE(s->failed))
		return while_blocked ? -EIO : -ENODEV;
	return vol->state == SNAPPROT_ACTIVE || while_blocked ? 0 : -ENODEV;
}

static int create_possible(struct snapprot_store *s, u32 id)
{
	int err = 0;

	mutex_lock(&s->lock);
	if (snapprot_snap_find(&s->core, id))
		err = -EEXIST;
	else if (s->core.nr_snaps >= SNAPPROT_MAX_SNAPSHOTS)
		err = -ENOSPC;
	else if (s->core.epoch == U32_MAX)
		err = -EOVERFLOW;
	mutex_unlock(&s->lock);
	return err;
}

static void set_doubt(struct snapprot_volume *vol, bool doubt)
{
	mutex_lock(&vol->mutex);
	vol->snap_in_doubt = doubt;
	mutex_unlock(&vol->mutex);
}

/*
 * Writes in flight land and are made durable, for what the snapshot shows must
 * not go with a crash; new ones wait; the record makes the epoch move on, and the
 * bits start empty in the same moment.
 *
 * Crash: before the record is durable there is no snapshot; after it, every
 * write that was not yet acknowledged at its instant either landed before, or
 * is preserved first.
 *
 * A record that failed may be on the disk all the same, and then there is a
 * snapshot. So no write goes before the fault has been dealt with, which takes
 * the one in doubt into account.
 */
static int create_now(struct snapprot_volume *vol, struct snapprot_store *s,
		      u32 id)
{
	struct snapprot_bits *bits = snapprot_bits_new(true);
	struct snapprot_snap snap = {
		.id = id,
		.time = ktime_get_real_seconds(),
		.sectors = vol->sectors,
	};
	int err;

	if (!bits)
		return -ENOMEM;
	snapprot_cow_freeze(vol);
	err = snapprot_io_sync(&vol->origin_dev);
	if (err) {
		DMERR("%s: no snapshot, the origin cannot be flushed: %d",
		      vol->name, err);
		goto out;
	}
	set_doubt(vol, true);
	mutex_lock(&s->log);
	snap.epoch = s->core.epoch + 1;
	err = snapprot_store_record(s, SNAPPROT_LOG_CREATE, &snap, &bits);
	mutex_unlock(&s->log);
	if (!err) {
		mutex_lock(&vol->mutex);
		snapprot_volume_count(vol);
		snapprot_volume_set_gate(vol);
		mutex_unlock(&vol->mutex);
	} else if (err != -ENOSPC) {
		if (!READ_ONCE(s->failed))
			snapprot_store_broken(s, err, SNAPPROT_FAULT_STORE_IO);
		flush_work(&vol->fault_work);
		goto out;
	}
	set_doubt(vol, false);
out:
	snapprot_cow_thaw(vol);
	snapprot_bits_retire(vol, bits);
	return err == -ENOSPC || !err ? err : -EIO;
}

/*
 * Is it on the disk that there may be snapshots, and none of a loss? What a loss
 * has left on the label would count against the new snapshot as well; the store
 * knows of that loss, or it would not be attached.
 */
static bool label_allows(const struct snapprot_volume *vol)
{
	const u32 flags = SNAPPROT_LABEL_SNAPSHOTS | SNAPPROT_LABEL_LOST;

	return !snapprot_label_present(vol) ||
	       (!vol->label_in_doubt &&
		(snapprot_label_flags(vol) & flags) ==
		SNAPPROT_LABEL_SNAPSHOTS);
}

static int msg_create(struct snapprot_volume *vol, char **argv, char *result,
		      unsigned int maxlen)
{
	struct snapprot_store *s;
	int err, room;
	u32 id;

	if (snapprot_parse_u32(argv[1], 1, U32_MAX, &id))
		return -EINVAL;
	err = store_ready(vol, false);
	if (err)
		return err;
	/* Under admin, which is what changing the store takes. */
	s = vol->store;
	err = create_possible(s, id);
	if (err)
		return err;
	/* A snapshot that no write could be preserved for is none. */
	room = snapprot_ckpt_make_room(s);
	if (room <= 0)
		return room ? -EIO : -ENOSPC;
	mutex_lock(&vol->mutex);
	/* The label says "there may be some" before there is one. */
	if (!label_allows(vol) &&
	    snapprot_label_write(vol, SNAPPROT_LABEL_SNAPSHOTS,
				 SNAPPROT_LABEL_LOST,
				 snapprot_label_generation(vol), 0))
		err = -EIO;
	mutex_unlock(&vol->mutex);
	return err ? err : create_now(vol, s, id);
}

/* ---- delete_snap -------------------------------------------------------- */

/* The record of it, unless there is no space for that. */
static int strike_off(struct snapprot_store *s, u32 id)
{
	struct snapprot_snap *found, snap;
	int err = 0;

	mutex_lock(&s->log);
	mutex_lock(&s->lock);
	found = snapprot_snap_find(&s->core, id);
	if (found)
		snap = *found;
	else
		err = -ENOENT;
	mutex_unlock(&s->lock);
	if (!err) {
		err = snapprot_store_record(s, SNAPPROT_LOG_DELETE, &snap,
					    NULL);
		if (err && err != -ENOSPC && !READ_ONCE(s->failed))
			snapprot_store_broken(s, err,
					      SNAPPROT_FAULT_STORE_IO);
	}
	mutex_unlock(&s->log);
	return err;
}

/**
 * snapprot_snap_delete() - strike a snapshot off, durably
 * @vol: the volume
 * @id: of the snapshot
 *
 * Context: admin or store_sem held, the store attached. Return: 0, -ENOENT, or the
 * error of the record, after which the store is broken (but for -ENOSPC).
 */
int snapprot_snap_delete(struct snapprot_volume *vol, u32 id)
{
	struct snapprot_store *s = vol->store;
	int err = strike_off(s, id);

	/* A checkpoint gives back what earlier records have taken. */
	if (err == -ENOSPC && snapprot_ckpt_run(s) >= 0)
		err = strike_off(s, id);
	if (!err) {
		snapprot_volume_count(vol);
		snapprot_ckpt_queue(s);
	}
	return err;
}

static bool view_loaded(struct snapprot_volume *vol, u32 id)
{
	struct snapprot_view *v;
	bool found = false;

	spin_lock_irq(&vol->lock);
	list_for_each_entry(v, &vol->views, list)
		found |= v->id == id;
	spin_unlock_irq(&vol->lock);
	return found;
}

static int msg_delete(struct snapprot_volume *vol, char **argv, char *result,
		      unsigned int maxlen)
{
	u32 id;
	int err;

	if (snapprot_parse_u32(argv[1], 1, U32_MAX, &id))
		return -EINVAL;
	err = store_ready(vol, true);
	if (err)
		return err;
	if (view_loaded(vol, id))
		return -EBUSY;
	err = snapprot_snap_delete(vol, id);
	if (err)
		return err == -ENOENT || err == -ENOSPC ? err : -EIO;

	mutex_lock(&vol->mutex);
	if (!vol->nr_valid && snapprot_label_present(vol) &&
	    (snapprot_label_flags(vol) & SNAPPROT_LABEL_SNAPSHOTS) &&
	    snapprot_label_write(vol, 0, SNAPPROT_LABEL_SNAPSHOTS,
				 snapprot_label_generation(vol), 0))
		DMWARN("%s: label still says that there may be snapshots",
		       vol->name);
	snapprot_volume_set_gate(vol);
	snapprot_volume_kick(vol);
	mutex_unlock(&vol->mutex);
	return 0;
}

/* ---- list_snaps --------------------------------------------------------- */

static int msg_list(struct snapprot_volume *vol, char **argv, char *result,
		    unsigned int maxlen)
{
	struct snapprot_store *s;
	unsigned int sz = 0;
	u32 i;

	s = vol->attached ? vol->store : NULL;
	if (!s)
		return -ENODEV;
	mutex_lock(&s->lock);
	for (i = 0; i < s->core.nr_snaps; i++) {
		const struct snapprot_snap *snap = &s->core.snaps[i];
		bool lost = snapprot_snap_lost(&s->core, snap) ||
			    READ_ONCE(vol->lost_here);

		DMEMIT("%u %s %llu %llu\n", snap->id, lost ? "lost" : "valid",
		       snap->time, snap->sectors);
	}
	mutex_unlock(&s->lock);
	if (!sz)
		DMEMIT("\n");
	return 1;
}

/* ---- modes -------------------------------------------------------------- */

static void set_mode(struct snapprot_volume *vol, bool protect)
{
	bool news = vol->protect != protect;

	spin_lock_irq(&vol->lock);
	vol->protect = protect;
	spin_unlock_irq(&vol->lock);
	if (news) {
		DMINFO("%s: protection mode %s", vol->name,
		       protect ? "on" : "off");
		snapprot_event(vol, "MODE");
	}
}

/* Stricter at once, and recorded before it is said to be done. */
static int msg_protect(struct snapprot_volume *vol, char **argv, char *result,
		       unsigned int maxlen)
{
	int err;

	mutex_lock(&vol->mutex);
	set_mode(vol, true);
	err = snapprot_label_write(vol, SNAPPROT_LABEL_PROTECTED, 0,
				   snapprot_label_generation(vol), 0);
	mutex_unlock(&vol->mutex);
	return err ? -EIO : snapprot_volume_store_mode(vol, true);
}

/*
 * Looser only when all records say so: the store first, for a table, a label
 * or a store that still says "protect" wins.
 */
static int msg_normal(struct snapprot_volume *vol, char **argv, char *result,
		      unsigned int maxlen)
{
	bool drop = argv[1];
	int err;

	if (drop && strcasecmp(argv[1], "drop_snapshots"))
		return -EINVAL;
	if (vol->state == SNAPPROT_BLOCKED && !drop)
		return -EBUSY;
	err = snapprot_volume_store_mode(vol, false);
	if (err && !drop)
		return err;
	mutex_lock(&vol->mutex);
	/* A fault may have come in between. */
	if (vol->state == SNAPPROT_BLOCKED && !drop)
		err = -EBUSY;
	else
		err = snapprot_label_write(vol, 0, SNAPPROT_LABEL_PROTECTED,
					   snapprot_label_generation(vol), 0);
	if (!err && vol->state == SNAPPROT_BLOCKED)
		err = snapprot_fault_drop(vol);
	if (!err) {
		set_mode(vol, false);
		snapprot_volume_kick(vol);
	}
	mutex_unlock(&vol->mutex);
	return err == -EBUSY ? err : err ? -EIO : 0;
}

/* ---- faults ------------------------------------------------------------- */

static int msg_clear(struct snapprot_volume *vol, char **argv, char *result,
		     unsigned int maxlen)
{
	int only = 0, err;

	if (argv[1]) {
		only = snapprot_fault_parse(argv[1]);
		if (only < 0)
			return -EINVAL;
	}
	flush_work(&vol->fault_work);
	if (!vol->fault)
		return 0;
	if (only && only != vol->fault)
		return -EINVAL;
	if (vol->state == SNAPPROT_ACTIVE) {
		mutex_lock(&vol->mutex);
		snapprot_fault_set(vol, SNAPPROT_FAULT_NONE, 0);
		snapprot_event(vol, "CLEARED");
		mutex_unlock(&vol->mutex);
		return 0;
	}
	err = snapprot_volume_reopen(vol);
	if (!err)
		return 0;
	mutex_lock(&vol->mutex);
	if (err != -ENODEV && err != -EBUSY && err != -ENOSPC)
		snapprot_fault_set(vol,
				   snapprot_store_fault_of(err, SNAPPROT_FAULT_ONLINE_IO),
				   err);
	DMERR("%s: not cleared: %s (%d)", vol->name,
	      snapprot_fault_name(vol->fault), err);
	mutex_unlock(&vol->mutex);
	return err == -ENODEV || err == -ENOSPC ? err : -EIO;
}

static int msg_grow_failed(struct snapprot_volume *vol, char **argv,
			   char *result, unsigned int maxlen)
{
	if (READ_ONCE(vol->space_out) && vol->state == SNAPPROT_ACTIVE) {
		snapprot_fault_raise(vol, SNAPPROT_FAULT_GROW_FAILED, -ENOSPC);
		flush_work(&vol->fault_work);
	}
	return 0;
}

static int msg_set(struct snapprot_volume *vol, char **argv, char *result,
		   unsigned int maxlen)
{
	bool queue = !strcasecmp(argv[1], "queue_on_fault");
	bool grace = !strcasecmp(argv[1], "grace");
	u32 value;

	if (!queue && !grace && strcasecmp(argv[1], "grow_timeout"))
		return -EINVAL;
	if (snapprot_parse_u32(argv[2], 0, queue ? 1 : SNAPPROT_SECONDS_MAX,
			       &value))
		return -EINVAL;
	mutex_lock(&vol->mutex);
	spin_lock_irq(&vol->lock);
	if (queue)
		vol->queue_on_fault = value;
	else if (grace)
		vol->grace = value;
	else
		vol->grow_timeout = value;
	spin_unlock_irq(&vol->lock);
	if (grace && vol->grace_running)
		snapprot_grace_start(vol);
	if (!queue && !grace && READ_ONCE(vol->space_out))
		snapprot_grow_start(vol);
	snapprot_volume_kick(vol);
	mutex_unlock(&vol->mutex);
	return 0;
}

#ifdef SNAPPROT_DEBUG
/* Tests only: a fault that nothing else can provoke. */
static int msg_debug_fault(struct snapprot_volume *vol, char **argv,
			   char *result, unsigned int maxlen)
{
	int fault = snapprot_fault_parse(argv[1]);

	if (fault < 0)
		return -EINVAL;
	if (vol->store && snapprot_fault_kills_store(fault))
		WRITE_ONCE(vol->store->failed, true);
	snapprot_fault_raise(vol, fault, -EIO);
	flush_work(&vol->fault_work);
	return 0;
}
#endif

static const struct message {
	const char *name;
	unsigned int min, max;		/* words, the name included */
	int (*fn)(struct snapprot_volume *vol, char **argv, char *result,
		  unsigned int maxlen);
} messages[] = {
	{ "create_snap", 2, 2, msg_create },
	{ "delete_snap", 2, 2, msg_delete },
	{ "list_snaps", 1, 1, msg_list },
	{ "protect", 1, 1, msg_protect },
	{ "normal", 1, 2, msg_normal },
	{ "clear_fault", 1, 2, msg_clear },
	{ "grow_failed", 1, 1, msg_grow_failed },
	{ "set", 3, 3, msg_set },
#ifdef SNAPPROT_DEBUG
	{ "debug_fault", 2, 2, msg_debug_fault },
#endif
};

/**
 * snapprot_message() - a message to the live volume
 * @vol: the volume
 * @argc: number of words
 * @argv: the words
 * @result: room for an answer
 * @maxlen: how much, in bytes
 *
 * Context: dm_target.message. Return: 0, 1 with a result, or an error.
 */
int snapprot_message(struct snapprot_volume *vol, unsigned int argc,
		     char **argv, char *result, unsigned int maxlen)
{
	char *words[4] = { };
	unsigned int noio, i;
	int ret;

	for (i = 0; i < argc && i < ARRAY_SIZE(words); i++)
		words[i] = argv[i];
	for (i = 0; i < ARRAY_SIZE(messages); i++)
		if (argc && !strcasecmp(argv[0], messages[i].name))
			break;
	if (i == ARRAY_SIZE(messages) || argc < messages[i].min ||
	    argc > messages[i].max) {
		DMWARN("%s: message '%s' unknown, or wrong number of words",
		       vol->name, argc ? argv[0] : "");
		return -EINVAL;
	}
	noio = memalloc_noio_save();
	mutex_lock(&vol->admin);
	ret = vol->started ? messages[i].fn(vol, words, result, maxlen) :
		-ENODEV;
	mutex_unlock(&vol->admin);
	memalloc_noio_restore(noio);
	if (ret < 0)
		DMWARN("%s: message '%s' failed: %d", vol->name, argv[0], ret);
	return ret;
}
