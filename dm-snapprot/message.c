// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages to the live volume: one small function each, from a table.
 */
#include <linux/kstrtox.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uuid.h>

#include "snapprot.h"

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

/* ---- what is said of a snapshot ------------------------------------------ */

/**
 * struct snap_words - words behind the id
 * @name: or NULL
 * @hold: the time, or SNAPPROT_HOLD_FOREVER
 * @hold_given: it was
 */
struct snap_words {
	const char *name;
	u64 hold;
	bool hold_given;
};

/* A time, "forever", or 0 for none. */
static int parse_hold(const char *text, u64 *hold)
{
	if (!strcasecmp(text, "forever")) {
		*hold = SNAPPROT_HOLD_FOREVER;
		return 0;
	}
	/* kstrtou64() would take a sign and a newline. */
	if (*text < '0' || *text > '9' || strchr(text, '\n') ||
	    kstrtou64(text, 10, hold) || *hold == SNAPPROT_HOLD_FOREVER)
		return -EINVAL;
	return 0;
}

/* "name=..." and "hold=...", in any order, each at most once. */
static int parse_words(char **argv, struct snap_words *w)
{
	memset(w, 0, sizeof(*w));
	for (; *argv; argv++) {
		if (!strncasecmp(*argv, "name=", 5) && !w->name) {
			w->name = *argv + 5;
			/* In lists this stands for none. */
			if (!snapprot_name_ok(w->name) ||
			    !strcmp(w->name, "-"))
				return -EINVAL;
		} else if (!strncasecmp(*argv, "hold=", 5) && !w->hold_given) {
			w->hold_given = true;
			if (parse_hold(*argv + 5, &w->hold))
				return -EINVAL;
		} else {
			return -EINVAL;
		}
	}
	return 0;
}

static void set_name(struct snapprot_snap *snap, const char *name)
{
	memset(snap->name, 0, sizeof(snap->name));
	strscpy(snap->name, name, sizeof(snap->name));
}

static bool hold_runs(u64 hold)
{
	return hold == SNAPPROT_HOLD_FOREVER ||
	       hold > (u64)ktime_get_real_seconds();
}

bool snapprot_snap_held(const struct snapprot_snap *snap)
{
	return hold_runs(snap->hold);
}

/*
 * One until a time gets longer, but not shorter before it ends, and so cannot become
 * one for ever either, for that can be taken off.
 */
static bool may_hold(u64 old, u64 hold)
{
	if (old == SNAPPROT_HOLD_FOREVER || !hold_runs(old))
		return true;
	return hold >= old && hold != SNAPPROT_HOLD_FOREVER;
}

/* Write a record, after a checkpoint if there is no space for it without. */
static int put_record(struct snapprot_store *s,
		      int (*write)(struct snapprot_store *s, void *ctx),
		      void *ctx)
{
	int err = write(s, ctx);

	if (err == -ENOSPC && snapprot_ckpt_run(s) >= 0)
		err = write(s, ctx);
	return err;
}

/* Under store->log: a record of a snapshot that there is. */
static int change_record(struct snapprot_store *s, enum snapprot_log_type type,
			 const struct snapprot_snap *snap)
{
	int err = snapprot_store_record(s, type, snap, NULL);

	if (err && err != -ENOSPC && !READ_ONCE(s->failed))
		snapprot_store_broken(s, err, SNAPPROT_FAULT_STORE_IO);
	return err;
}

/* A copy of what the store has of a snapshot. */
static int get_snap(struct snapprot_store *s, u32 id,
		    struct snapprot_snap *snap)
{
	struct snapprot_snap *found;

	mutex_lock(&s->lock);
	found = snapprot_snap_find(&s->core, id);
	if (found)
		*snap = *found;
	mutex_unlock(&s->lock);
	return found ? 0 : -ENOENT;
}

/* ---- create_snap -------------------------------------------------------- */

/*
 * "-" takes an id that was never used. Each snapshot moves the epoch on by one, so
 * it tells how many there were, those included that have been deleted.
 */
static int choose_id(struct snapprot_volume *vol, struct snapprot_store *s,
		     u32 *id)
{
	u32 above;

	mutex_lock(&s->lock);
	above = snapprot_snap_new_id(&s->core);
	*id = max(above, s->core.epoch);
	mutex_unlock(&s->lock);
	if (!above || vol->last_id == U32_MAX)
		return -EOVERFLOW;
	*id = max(*id, vol->last_id + 1);
	return 0;
}

static int create_possible(struct snapprot_store *s,
			   const struct snapprot_snap *snap)
{
	int err = 0;

	mutex_lock(&s->lock);
	if (snapprot_snap_find(&s->core, snap->id) ||
	    snapprot_snap_find_name(&s->core, snap->name))
		err = -EEXIST;
	else if (s->core.nr_snaps >= SNAPPROT_MAX_SNAPSHOTS)
		err = -ENOSPC;
	else if (s->core.epoch == U32_MAX)
		err = -EOVERFLOW;
	mutex_unlock(&s->lock);
	return err;
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
	       (!vol->label->in_doubt &&
		(snapprot_label_flags(vol) & flags) ==
		SNAPPROT_LABEL_SNAPSHOTS);
}

/* The label says "there may be some" before there is one. Under mutex. */
static int label_allow(struct snapprot_volume *vol)
{
	if (label_allows(vol))
		return 0;
	return snapprot_label_write(vol, SNAPPROT_LABEL_SNAPSHOTS,
				    SNAPPROT_LABEL_LOST,
				    snapprot_label_generation(vol), 0) ?
		-EIO : 0;
}

/*
 * From here on a fault takes into account that there may be a snapshot, and leaves
 * what the label says of that. One that has come already may have changed it.
 */
static int begin_doubt(struct snapprot_volume *vol)
{
	int err = -EIO;

	mutex_lock(&vol->mutex);
	if (vol->state == SNAPPROT_ACTIVE && vol->attached && !vol->lost_here)
		err = label_allow(vol);
	vol->snap_in_doubt = !err;
	mutex_unlock(&vol->mutex);
	return err;
}

static void end_doubt(struct snapprot_volume *vol)
{
	mutex_lock(&vol->mutex);
	vol->snap_in_doubt = false;
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
		      struct snapprot_snap *snap)
{
	struct snapprot_bits *bits = snapprot_bits_new(true);
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
	err = begin_doubt(vol);
	if (err)
		goto out;
	mutex_lock(&s->log);
	snap->time = ktime_get_real_seconds();
	snap->epoch = s->core.epoch + 1;
	err = snapprot_store_record(s, SNAPPROT_LOG_CREATE, snap, &bits);
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
	end_doubt(vol);
out:
	snapprot_cow_thaw(vol);
	snapprot_bits_retire(vol, bits);
	return err == -ENOSPC || !err ? err : -EIO;
}

/*
 * With the label first. Until it is over nobody takes back what that says: a fault in
 * between finds no snapshot yet, and would.
 */
static int create_snap(struct snapprot_volume *vol, struct snapprot_store *s,
		       struct snapprot_snap *snap)
{
	int err;

	mutex_lock(&vol->mutex);
	vol->creating++;
	err = label_allow(vol);
	mutex_unlock(&vol->mutex);
	if (!err)
		err = create_now(vol, s, snap);
	mutex_lock(&vol->mutex);
	vol->creating--;
	mutex_unlock(&vol->mutex);
	return err;
}

static int msg_create(struct snapprot_volume *vol, char **argv, char *result,
		      unsigned int maxlen)
{
	bool any = !strcmp(argv[1], "-");
	struct snapprot_snap snap = { };
	struct snapprot_store *s;
	struct snap_words words;
	unsigned int sz = 0;
	int err, room;

	if ((!any && snapprot_parse_u32(argv[1], 1, U32_MAX, &snap.id)) ||
	    parse_words(argv + 2, &words))
		return -EINVAL;
	err = store_ready(vol, false);
	if (err)
		return err;
	/* Under admin, which is what changing the store takes. */
	s = vol->store;
	if (any)
		err = choose_id(vol, s, &snap.id);
	if (err)
		return err;
	if (words.name)
		set_name(&snap, words.name);
	snap.hold = words.hold;
	snap.sectors = vol->sectors;
	generate_random_uuid(snap.uuid);
	err = create_possible(s, &snap);
	if (err)
		return err;
	/* A snapshot that no write could be preserved for is none. */
	room = snapprot_ckpt_make_room(s);
	if (room <= 0)
		return room ? -EIO : -ENOSPC;
	err = create_snap(vol, s, &snap);
	if (err)
		return err;
	vol->last_id = max(vol->last_id, snap.id);
	snapprot_label_follow(vol);
	DMEMIT("%u\n", snap.id);
	return 1;
}

/* ---- delete_snap -------------------------------------------------------- */

/* The record of it, unless there is no space for that. */
static int strike_off(struct snapprot_store *s, void *ctx)
{
	struct snapprot_snap snap;
	int err;

	mutex_lock(&s->log);
	err = get_snap(s, *(u32 *)ctx, &snap);
	if (!err)
		err = change_record(s, SNAPPROT_LOG_DELETE, &snap);
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
	int err = put_record(s, strike_off, &id);

	if (!err) {
		snapprot_volume_count(vol);
		snapprot_ckpt_queue(s);
		snapprot_label_follow(vol);
	}
	return err;
}

static bool view_loaded(struct snapprot_volume *vol,
			const struct snapprot_snap *snap)
{
	struct snapprot_view *v;
	bool found = false;

	spin_lock_irq(&vol->lock);
	list_for_each_entry(v, &vol->views, list)
		found |= v->id == snap->id &&
			 !(READ_ONCE(v->bound) &&
			   memcmp(v->snap, snap->uuid, sizeof(v->snap)));
	spin_unlock_irq(&vol->lock);
	return found;
}

static int msg_delete(struct snapprot_volume *vol, char **argv, char *result,
		      unsigned int maxlen)
{
	struct snapprot_snap snap;
	u32 id;
	int err;

	if (snapprot_parse_u32(argv[1], 1, U32_MAX, &id))
		return -EINVAL;
	err = store_ready(vol, true);
	if (!err)
		err = get_snap(vol->store, id, &snap);
	if (err)
		return err;
	/* Of a lost one there is nothing left that could be held. */
	if (snapprot_snap_held(&snap) && !READ_ONCE(vol->lost_here) &&
	    !snapprot_snap_lost(&vol->store->core, &snap))
		return -EPERM;
	if (view_loaded(vol, &snap))
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

/* ---- set_snap ----------------------------------------------------------- */

struct change {
	u32 id;
	const struct snap_words *words;
};

static int set_snap(struct snapprot_store *s, void *ctx)
{
	const struct snap_words *words = ((struct change *)ctx)->words;
	struct snapprot_snap snap, *same;
	int err;

	mutex_lock(&s->log);
	err = get_snap(s, ((struct change *)ctx)->id, &snap);
	if (err)
		goto out;
	if (words->hold_given) {
		err = may_hold(snap.hold, words->hold) ? 0 : -EPERM;
		snap.hold = words->hold;
	}
	if (words->name && !err) {
		mutex_lock(&s->lock);
		same = snapprot_snap_find_name(&s->core, words->name);
		if (same && same->id != snap.id)
			err = -EEXIST;
		mutex_unlock(&s->lock);
		set_name(&snap, words->name);
	}
	if (!err)
		err = change_record(s, SNAPPROT_LOG_SET, &snap);
out:
	mutex_unlock(&s->log);
	return err;
}

static int msg_set_snap(struct snapprot_volume *vol, char **argv, char *result,
			unsigned int maxlen)
{
	struct snap_words words;
	struct change change = { .words = &words };
	int err;

	if (snapprot_parse_u32(argv[1], 1, U32_MAX, &change.id) ||
	    parse_words(argv + 2, &words))
		return -EINVAL;
	err = store_ready(vol, true);
	if (err)
		return err;
	err = put_record(vol->store, set_snap, &change);
	switch (err) {
	case 0:
		snapprot_label_follow(vol);
		return 0;
	case -ENOENT:
	case -EEXIST:
	case -EPERM:
	case -ENOSPC:
		return err;
	default:
		return -EIO;
	}
}

/* ---- list_snaps, usage -------------------------------------------------- */

/* <id> <valid|lost> <unix time> <sectors> <uuid> <hold|-> <name|-> */
static unsigned int list_one(struct snapprot_volume *vol,
			     const struct snapprot_snap *snap, char *result,
			     unsigned int sz, unsigned int maxlen)
{
	bool lost = snapprot_snap_lost(&vol->store->core, snap) ||
		    READ_ONCE(vol->lost_here);
	char uuid[37];

	snapprot_uuid_format(snap->uuid, uuid);
	DMEMIT("%u %s %llu %llu %s ", snap->id, lost ? "lost" : "valid",
	       snap->time, snap->sectors, uuid);
	if (snap->hold == SNAPPROT_HOLD_FOREVER)
		DMEMIT("forever ");
	else if (snap->hold)
		DMEMIT("%llu ", snap->hold);
	else
		DMEMIT("- ");
	DMEMIT("%s\n", *snap->name ? snap->name : "-");
	return sz;
}

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
	for (i = 0; i < s->core.nr_snaps; i++)
		sz = list_one(vol, &s->core.snaps[i], result, sz, maxlen);
	mutex_unlock(&s->lock);
	if (!sz)
		DMEMIT("\n");
	return 1;
}

/* The first snapshot behind an epoch, with what it costs. False: there is none. */
static bool next_usage(struct snapprot_store *s, u32 *epoch, u32 *id,
		       u64 *only, u64 *all)
{
	const struct snapprot_snap *snap;
	bool found = false;
	u32 i;

	mutex_lock(&s->lock);
	for (i = 0; i < s->core.nr_snaps && !found; i++) {
		snap = &s->core.snaps[i];
		if (snap->epoch <= *epoch)
			continue;
		found = true;
		*epoch = snap->epoch;
		*id = snap->id;
		snapprot_snap_usage(&s->core, snap, only, all);
	}
	mutex_unlock(&s->lock);
	return found;
}

/* <id> <blocks only it needs> <blocks it needs>. Others use the store in between. */
static int msg_usage(struct snapprot_volume *vol, char **argv, char *result,
		     unsigned int maxlen)
{
	u32 epoch = 0, id;
	unsigned int sz = 0;
	struct snapprot_store *s;
	u64 only, all;

	s = vol->attached ? vol->store : NULL;
	if (!s)
		return -ENODEV;
	while (next_usage(s, &epoch, &id, &only, &all)) {
		if (READ_ONCE(vol->lost_here)) {
			only = 0;
			all = 0;
		}
		DMEMIT("%u %llu %llu\n", id, only, all);
		cond_resched();
	}
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
	/* It lacks what was durable: what else it says is worth nothing. */
	if (err == -ESTALE)
		snapprot_fault_set(vol, SNAPPROT_FAULT_METADATA_CORRUPTION,
				   err);
	else if (err != -ENODEV && err != -EBUSY && err != -ENOSPC)
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
	{ "create_snap", 2, 4, msg_create },
	{ "set_snap", 3, 4, msg_set_snap },
	{ "delete_snap", 2, 2, msg_delete },
	{ "list_snaps", 1, 1, msg_list },
	{ "usage", 1, 1, msg_usage },
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
	char *words[5] = { };	/* with a NULL behind the last one */
	unsigned int noio, i;
	int ret;

	for (i = 0; i < argc && i < ARRAY_SIZE(words) - 1; i++)
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
