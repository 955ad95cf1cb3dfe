// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: the label
 *
 * Four copies in an area of 1 MiB on the origin's side, two pairs. Each write goes
 * to the pair that the last one has not touched, its two copies one after the
 * other, each durable before the next step. So at any moment the label of before
 * or that of now is there whole, and the loss of one copy is harmless. Before a
 * write the pair of the last one is read again: a label that somebody else has
 * changed, or that the device has lost, is not written over as if it were ours.
 *
 * A write that fails may have reached the disk or not. The next one goes to the
 * same pair again, under a number that was never used, so that the last good pair
 * stays as it is.
 *
 * What the label says of the store (identity, numbers) is what was durable there
 * before. It follows about a second behind, written by a work of its own, so that
 * a copy of the store that stopped following is found out when it comes; see
 * snapprot_label_believes(). The label has reserves of its own (bios), as the
 * store may keep all others while it hangs, and a loss must be recorded then.
 */
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "snapprot.h"

/* Between two writes of the numbers, and after one that has failed. */
#define FOLLOW_DELAY	HZ
#define FOLLOW_RETRY	(10 * HZ)

#define AREA_SECTORS	((sector_t)SNAPPROT_LABEL_AREA >> SECTOR_SHIFT)

static sector_t copy_sector(sector_t start, u32 copy)
{
	return start + (sector_t)snapprot_label_place(copy) *
		       SNAPPROT_SECTORS_PER_BLOCK;
}

/* What tells one content of a copy from any other; never 0. */
static u64 copy_sum(const void *data)
{
	return xxh64(data, SNAPPROT_BLOCK_SIZE, 1) | 1;
}

static int label_io(struct snapprot_io_dev *d, blk_opf_t opf, sector_t sector,
		    void *data)
{
	struct snapprot_io_set *set = snapprot_io_set_new(d);
	int err;

	snapprot_io_add_sectors(set, opf | REQ_META, sector, &data, 1,
				SNAPPROT_BLOCK_SIZE);
	err = snapprot_io_wait(set);
	snapprot_io_dev_drain(d);
	return err;
}

/* ---- looking for it ------------------------------------------------------ */

/**
 * struct found - what an area holds
 * @page: its copies
 * @sum: of each; 0: it could not be read
 * @best: the one to go by, or NULL
 * @whole: so is the other one of its pair
 * @bdev: where it is
 * @start: sector of the area
 * @err: if there is none: -ENODATA no label, -EPROTONOSUPPORT one of another
 *	version, or why none could be read
 * @old: it is of a version before the first release
 */
struct found {
	struct page *page[SNAPPROT_COPIES];
	u64 sum[SNAPPROT_COPIES];
	const struct snapprot_disk_label *best;
	bool whole;
	struct block_device *bdev;
	sector_t start;
	int err;
	bool old;
};

static void found_free(struct found *f)
{
	unsigned int i;

	for (i = 0; i < SNAPPROT_COPIES; i++)
		if (f->page[i])
			put_page(f->page[i]);
}

static int found_alloc(struct found *f, gfp_t gfp)
{
	unsigned int i;

	memset(f, 0, sizeof(*f));
	for (i = 0; i < SNAPPROT_COPIES; i++) {
		f->page[i] = alloc_page(gfp);
		if (!f->page[i]) {
			found_free(f);
			return -ENOMEM;
		}
	}
	return 0;
}

static bool pair_is_whole(const struct snapprot_disk_label *const *copy, u64 seq)
{
	u32 first = snapprot_pair_of(seq), i;

	for (i = first; i < first + 2; i++)
		if (!copy[i] || snapprot_label_verify(copy[i], i) ||
		    le64_to_cpu(copy[i]->h.seq) != seq)
			return false;
	return true;
}

/* Each copy by itself: one that cannot be read leaves the others. */
static void read_area(struct found *f, struct snapprot_pools *pools,
		      struct block_device *bdev, sector_t start)
{
	const struct snapprot_disk_label *copy[SNAPPROT_COPIES];
	struct snapprot_io_dev d;
	int err, read_err = 0;
	u32 i;

	f->bdev = bdev;
	f->start = start;
	f->best = NULL;
	f->whole = false;
	f->old = false;
	f->err = -ENODATA;
	if (bdev_nr_sectors(bdev) < start + AREA_SECTORS)
		return;
	snapprot_io_dev_init(&d, pools, bdev, 0);
	for (i = 0; i < SNAPPROT_COPIES; i++) {
		void *data = page_address(f->page[i]);

		err = label_io(&d, REQ_OP_READ, copy_sector(start, i), data);
		copy[i] = err ? NULL : data;
		f->sum[i] = err ? 0 : copy_sum(data);
		if (err)
			read_err = err;
		else
			f->old |= snapprot_is_version_1(data);
	}
	f->best = snapprot_label_choose(copy, &err);
	f->whole = f->best && pair_is_whole(copy, le64_to_cpu(f->best->h.seq));
	if (f->best)
		f->err = 0;
	else if (err == -EPROTONOSUPPORT)
		f->err = err;
	else if (read_err)
		f->err = read_err;
}

/* A label of this volume, where it was made to be? */
static bool is_ours(const struct found *f, const struct snapprot_origin *o)
{
	return f->best && le64_to_cpu(f->best->area_start) == f->start &&
	       !memcmp(f->best->h.uuid, o->uuid, sizeof(o->uuid));
}

/*
 * At the end of the origin, which after it has grown is not where it was when the
 * label was made: that is where the table ends. So what lies there counts if it is
 * this volume's, and otherwise what lies at the end of the device.
 */
static void find_label(struct found *f, struct snapprot_origin *o,
		       struct snapprot_pools *pools)
{
	struct block_device *bdev = o->dev->bdev;
	sector_t start = snapprot_label_start(bdev_nr_sectors(bdev));
	int err = -ENODATA;

	if (o->label_dev) {
		read_area(f, pools, o->label_dev->bdev, 0);
		return;
	}
	if (o->ti->len < start) {
		read_area(f, pools, bdev, o->ti->len);
		if (is_ours(f, o) &&
		    le64_to_cpu(f->best->origin_sectors) == o->ti->len)
			return;
		if (!f->best)
			err = f->err;
	}
	f->best = NULL;
	f->err = -ENODATA;
	if (start)
		read_area(f, pools, bdev, start);
	/* It may be where nothing could be seen. */
	if (f->err == -ENODATA)
		f->err = err;
}

/* Why the table may not be loaded over this label, or none; NULL if it may. */
static char *label_objection(struct snapprot_origin *o, const struct found *f)
{
	const struct snapprot_disk_label *l = f->best;

	if (f->err == -EPROTONOSUPPORT)
		return f->old ? "Label is of a version before the first release" :
				"Label is of a newer version";
	if (f->err == -ENODATA)
		return o->args.protect || o->args.unlabelled ? NULL :
			"No label: only with protect or unlabelled";
	if (f->err)
		return "Cannot read the label";
	if (memcmp(l->h.uuid, o->uuid, sizeof(o->uuid)))
		return "Label belongs to another volume";
	if (le64_to_cpu(l->area_start) != f->start)
		return "Label is not where it was made to be";
	if (le64_to_cpu(l->origin_sectors) != o->ti->len)
		return "Length is not that of the label";
	if (!o->label_dev && o->ti->len > f->start)
		return "Length reaches into the label";
	return NULL;
}

/**
 * snapprot_label_check() - may the table be loaded, as far as the label goes?
 * @o: the live volume's target
 * @error: why not, for ti->error
 *
 * Context: constructor. Return: 0, -EINVAL or -ENOMEM.
 */
int snapprot_label_check(struct snapprot_origin *o, char **error)
{
	struct found f;

	if (found_alloc(&f, GFP_KERNEL)) {
		*error = "Cannot allocate a page";
		return -ENOMEM;
	}
	find_label(&f, o, &snapprot_ctr_pools);
	*error = label_objection(o, &f);
	found_free(&f);
	return *error ? -EINVAL : 0;
}

/* ---- opening --------------------------------------------------------------- */

void snapprot_label_close(struct snapprot_label *label)
{
	if (!label)
		return;
	if (label->page)
		put_page(label->page);
	kfree(label->disk);
	kfree(label);
}

static struct snapprot_label *label_new(struct snapprot_volume *vol,
					const struct found *f)
{
	struct snapprot_label *label = kzalloc(sizeof(*label), GFP_NOIO);

	if (!label)
		return NULL;
	label->disk = kmemdup(f->best, sizeof(*f->best), GFP_NOIO);
	label->page = alloc_page(GFP_NOIO);
	if (!label->disk || !label->page) {
		snapprot_label_close(label);
		return NULL;
	}
	label->name = vol->name;
	label->start = f->start;
	label->next = le64_to_cpu(f->best->h.seq) + 1;
	label->whole = f->whole;
	memcpy(label->sum, f->sum, sizeof(label->sum));
	snapprot_io_dev_init(&label->dev, &vol->label_pools, f->bdev, 0);
	return label;
}

/*
 * The volume has gone by a label until now. One that has fewer writes behind it may
 * have forgotten a loss.
 */
static bool went_back(const struct snapprot_volume *vol,
		      const struct snapprot_disk_label *l)
{
	const struct snapprot_disk_label *old;

	if (!vol->started || !vol->label)
		return false;
	old = vol->label->disk;
	return memcmp(l->secret, old->secret, sizeof(old->secret)) ||
	       le64_to_cpu(l->h.seq) < le64_to_cpu(old->h.seq);
}

/**
 * snapprot_label_open() - read the label that the volume is to go by
 * @vol: the volume
 * @o: the live volume's target, which need not be the volume's yet
 * @label: where it goes; NULL if there is none and the table does without
 *
 * Changes nothing. Context: volume->admin held, sleeps. Return: 0, -EINVAL if it
 * is not the table's, -ESTALE if it is older than what the volume goes by,
 * -ENOMEM, or the error of reading.
 */
int snapprot_label_open(struct snapprot_volume *vol, struct snapprot_origin *o,
			struct snapprot_label **label)
{
	char *objection;
	struct found f;
	int err;

	*label = NULL;
	if (found_alloc(&f, GFP_NOIO))
		return -ENOMEM;
	find_label(&f, o, &vol->label_pools);
	err = f.err == -ENODATA ? 0 : f.err;
	objection = label_objection(o, &f);
	if (objection && !err)
		err = -EINVAL;
	if (!objection && f.best && went_back(vol, f.best)) {
		objection = "Label is older than the one in use";
		err = -ESTALE;
	}
	if (objection) {
		DMERR("%s: %s", vol->name, objection);
	} else if (f.best) {
		*label = label_new(vol, &f);
		err = *label ? 0 : -ENOMEM;
	}
	found_free(&f);
	return err;
}

u32 snapprot_label_flags(const struct snapprot_volume *vol)
{
	return vol->label ? le32_to_cpu(vol->label->disk->flags) : 0;
}

u64 snapprot_label_generation(const struct snapprot_volume *vol)
{
	return vol->label ? le64_to_cpu(vol->label->disk->generation) : 0;
}

/* ---- writing ------------------------------------------------------------- */

/*
 * Is the pair of the last write what we have written, or found? A copy that cannot
 * be read is no sign of somebody else, as long as the other one can.
 */
static int check_last(struct snapprot_label *label)
{
	u32 first = snapprot_pair_of(le64_to_cpu(label->disk->h.seq)), i;
	void *data = page_address(label->page);
	unsigned int same = 0;
	int err, last = 0;

	for (i = first; i < first + 2; i++) {
		if (!label->sum[i])
			continue;
		err = label_io(&label->dev, REQ_OP_READ,
			       copy_sector(label->start, i), data);
		if (!err && copy_sum(data) != label->sum[i])
			return -EUCLEAN;
		if (err)
			last = err;
		else
			same++;
	}
	return same ? 0 : last;
}

static int put_pair(struct snapprot_label *label,
		    struct snapprot_disk_label *l)
{
	u32 first = snapprot_pair_of(le64_to_cpu(l->h.seq)), i;
	void *data = page_address(label->page);
	int err;

	/* Whatever comes of it, this is not there any more. */
	label->sum[first] = 0;
	label->sum[first + 1] = 0;
	for (i = first; i < first + 2; i++) {
		l->h.block = cpu_to_le64(i);
		snapprot_label_seal(l);
		memcpy(data, l, sizeof(*l));
		err = label_io(&label->dev, REQ_OP_WRITE | REQ_SYNC |
			       REQ_PREFLUSH | REQ_FUA,
			       copy_sector(label->start, i), data);
		if (err)
			return err;
		label->sum[i] = copy_sum(data);
	}
	return 0;
}

/* Make @l the label. After an error the disk has the old one or @l. */
static int put_label(struct snapprot_label *label,
		     struct snapprot_disk_label *l)
{
	int err;

	if (label->next >= SNAPPROT_LAST_SEQ) {
		DMERR("%s: the label's numbers are used up", label->name);
		return -EOVERFLOW;
	}
	l->h.seq = cpu_to_le64(label->next);
	err = check_last(label);
	if (err == -EUCLEAN)
		DMERR_LIMIT("%s: somebody else has written to the label",
			    label->name);
	if (!err)
		err = put_pair(label, l);
	label->in_doubt = err;
	if (err) {
		/* Never the same number for two contents; and the same pair. */
		label->next += 2;
		DMERR_LIMIT("%s: cannot write the label: %d", label->name, err);
		return err;
	}
	label->next++;
	label->whole = true;
	memcpy(label->disk, l, sizeof(*l));
	return 0;
}

static void set_flags(struct snapprot_disk_label *l, u32 set, u32 clear)
{
	u32 flags = (le32_to_cpu(l->flags) | set) & ~clear;

	l->flags = cpu_to_le32(flags);
	if (flags & SNAPPROT_LABEL_WITNESS)
		return;
	l->nr_witness = 0;
	memset(l->witness, 0, sizeof(l->witness));
}

/**
 * snapprot_label_amend() - change nothing but the flags
 * @label: the label, which need not be the volume's yet
 * @set: SNAPPROT_LABEL_* to set
 * @clear: to clear
 *
 * Context: volume->admin held, and nobody else has the label, sleeps. Return: as
 * snapprot_label_write().
 */
int snapprot_label_amend(struct snapprot_label *label, u32 set, u32 clear)
{
	struct snapprot_disk_label *l;
	int err;

	l = kmemdup(label->disk, sizeof(*l), GFP_NOIO);
	if (!l)
		return -ENOMEM;
	set_flags(l, set, clear);
	err = put_label(label, l);
	kfree(l);
	return err;
}

static bool no_store_id(const struct snapprot_disk_label *l)
{
	return !memchr_inv(l->store_id, 0, sizeof(l->store_id));
}

static void raise64(__le64 *at, u64 least)
{
	if (le64_to_cpu(*at) < least)
		*at = cpu_to_le64(least);
}

/* How far the store is known to have got. */
static void set_numbers(const struct snapprot_volume *vol,
			struct snapprot_disk_label *l)
{
	const struct snapprot_known *known = &vol->known;

	if (!known->any)
		return;
	if (no_store_id(l))
		memcpy(l->store_id, known->store_id, sizeof(l->store_id));
	if (memcmp(l->store_id, known->store_id, sizeof(l->store_id)))
		return;
	raise64(&l->ckpt_seq, known->least.ckpt_seq);
	raise64(&l->log_seq, known->least.log_seq);
	raise64(&l->super_seq, known->least.super_seq);
	if (le32_to_cpu(l->epoch) < known->least.epoch)
		l->epoch = cpu_to_le32(known->least.epoch);
}

static void set_counts(const struct snapprot_volume *vol,
		       struct snapprot_disk_label *l, bool all_lost)
{
	u32 valid = vol->nr_valid, lost = vol->nr_lost;

	l->nr_valid = cpu_to_le32(all_lost ? 0 : valid);
	l->nr_lost = cpu_to_le32(all_lost ? lost + valid : lost);
}

/* The label as it is to be, to be freed. */
static struct snapprot_disk_label *compose(const struct snapprot_volume *vol)
{
	struct snapprot_disk_label *l;

	l = kmemdup(vol->label->disk, sizeof(*l), GFP_NOIO);
	if (!l)
		return NULL;
	set_numbers(vol, l);
	set_counts(vol, l, le32_to_cpu(l->flags) & SNAPPROT_LABEL_LOST);
	return l;
}

static int put_composed(struct snapprot_volume *vol,
			struct snapprot_disk_label *l)
{
	int err = put_label(vol->label, l);

	WRITE_ONCE(vol->label_at, jiffies + (err ? FOLLOW_RETRY : FOLLOW_DELAY));
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
 * What is known of the store goes in as well. While a snapshot is being taken the
 * label goes on saying that there may be some, whatever @clear says.
 *
 * Context: volume->mutex held, sleeps. Return: 0; without a label too. After
 * an error the disk has the old label or the new one, and the next write
 * replaces both; -EUCLEAN if somebody else has written to it.
 */
int snapprot_label_write(struct snapprot_volume *vol, u32 set, u32 clear,
			 u64 generation, u32 lost_fault)
{
	struct snapprot_disk_label *l;
	int err;

	lockdep_assert_held(&vol->mutex);
	if (!snapprot_label_present(vol))
		return 0;
	l = compose(vol);
	if (!l)
		return -ENOMEM;
	if (vol->creating)
		clear &= ~SNAPPROT_LABEL_SNAPSHOTS;
	set_flags(l, set, clear);
	l->generation = cpu_to_le64(generation);
	if (set & SNAPPROT_LABEL_LOST) {
		l->lost_fault = cpu_to_le32(lost_fault);
		l->lost_time = cpu_to_le64(ktime_get_real_seconds());
	}
	set_counts(vol, l, le32_to_cpu(l->flags) & SNAPPROT_LABEL_LOST);
	err = put_composed(vol, l);
	kfree(l);
	return err;
}

/* ---- what is known of the store ------------------------------------------- */

static void known_merge(struct snapprot_volume *vol,
			const struct snapprot_core *core,
			const struct snapprot_evidence *ev)
{
	struct snapprot_known *known = &vol->known;
	struct snapprot_evidence *least = &known->least;

	lockdep_assert_held(&vol->mutex);
	if (!known->any || memcmp(known->store_id, core->store_id,
				  sizeof(known->store_id))) {
		memset(known, 0, sizeof(*known));
		memcpy(known->store_id, core->store_id,
		       sizeof(known->store_id));
		known->any = true;
	}
	WRITE_ONCE(known->sectors, core->origin_sectors);
	WRITE_ONCE(known->here, vol->started);
	least->ckpt_seq = max(least->ckpt_seq, ev->ckpt_seq);
	least->log_seq = max(least->log_seq, ev->log_seq);
	least->super_seq = max(least->super_seq, ev->super_seq);
	least->epoch = max(least->epoch, ev->epoch);
}

static void evidence(struct snapprot_store *s, struct snapprot_evidence *ev)
{
	mutex_lock(&s->lock);
	snapprot_store_evidence(&s->core, ev);
	mutex_unlock(&s->lock);
}

/**
 * snapprot_known_note() - what is durable in the store may not be missing again
 * @vol: the volume
 * @s: its store, which the caller keeps from going away
 *
 * Context: volume->mutex held; may wait for the store as long as its I/O takes.
 */
void snapprot_known_note(struct snapprot_volume *vol, struct snapprot_store *s)
{
	struct snapprot_evidence ev;

	lockdep_assert_held(&vol->mutex);
	evidence(s, &ev);
	known_merge(vol, &s->core, &ev);
}

/**
 * snapprot_known_remember() - the same without the mutex
 * @vol: the volume
 * @s: its store, which the caller keeps from going away
 *
 * A fault need not wait for the store on behalf of this. Context: sleeps.
 */
void snapprot_known_remember(struct snapprot_volume *vol,
			     struct snapprot_store *s)
{
	struct snapprot_evidence ev;

	evidence(s, &ev);
	mutex_lock(&vol->mutex);
	known_merge(vol, &s->core, &ev);
	mutex_unlock(&vol->mutex);
}

static bool is_behind(const struct snapprot_volume *vol,
		      const struct snapprot_evidence *ev,
		      const struct snapprot_evidence *least, const char *who)
{
	const char *what;
	u64 is, was;

	if (ev->ckpt_seq < least->ckpt_seq) {
		what = "checkpoint";
		is = ev->ckpt_seq;
		was = least->ckpt_seq;
	} else if (ev->log_seq < least->log_seq) {
		what = "step";
		is = ev->log_seq;
		was = least->log_seq;
	} else if (ev->super_seq < least->super_seq) {
		what = "superblock";
		is = ev->super_seq;
		was = least->super_seq;
	} else if (ev->epoch < least->epoch) {
		what = "epoch";
		is = ev->epoch;
		was = least->epoch;
	} else {
		return false;
	}
	DMERR("%s: an old copy of the store: it ends with %s %llu, %s knows of %llu",
	      vol->name, what, is, who, was);
	return true;
}

static int label_believes(struct snapprot_volume *vol,
			  const struct snapprot_core *core,
			  const struct snapprot_evidence *ev)
{
	const struct snapprot_disk_label *l = vol->label->disk;
	u64 generation = le64_to_cpu(l->generation);
	const struct snapprot_evidence least = {
		.ckpt_seq = le64_to_cpu(l->ckpt_seq),
		.log_seq = le64_to_cpu(l->log_seq),
		.super_seq = le64_to_cpu(l->super_seq),
		.epoch = le32_to_cpu(l->epoch),
	};

	if (!no_store_id(l) &&
	    memcmp(l->store_id, core->store_id, sizeof(l->store_id))) {
		DMERR("%s: another store than the label's, made for the same volume",
		      vol->name);
		return -ESTALE;
	}
	if (core->generation != generation &&
	    core->generation != generation + 1) {
		DMERR("%s: %s copy of the store: generation %llu, label %llu",
		      vol->name, core->generation < generation ? "an old" :
		      "a foreign", core->generation, generation);
		return -ESTALE;
	}
	return !no_store_id(l) && is_behind(vol, ev, &least, "the label") ?
		-ESTALE : 0;
}

/**
 * snapprot_label_believes() - may this store be believed?
 * @vol: the volume
 * @s: the store, which is not the volume's yet
 *
 * It has to be the one that the label knows, or that was here before in this boot,
 * and to have all that was durable in it then: a device may have lost what it said
 * was durable, and a copy may have stopped following at any time.
 *
 * Context: volume->mutex held. Return: 0 or -ESTALE.
 */
int snapprot_label_believes(struct snapprot_volume *vol,
			    struct snapprot_store *s)
{
	const struct snapprot_known *known = &vol->known;
	const struct snapprot_core *core = &s->core;
	struct snapprot_evidence ev;
	bool same;
	int err = 0;

	lockdep_assert_held(&vol->mutex);
	evidence(s, &ev);
	if (vol->label)
		err = label_believes(vol, core, &ev);
	if (err || !known->any)
		return err;
	same = !memcmp(known->store_id, core->store_id,
		       sizeof(known->store_id));
	if (same)
		return is_behind(vol, &ev, &known->least, "this boot") ?
			-ESTALE : 0;
	/* The label says otherwise, or the volume has come anew without one. */
	if (known->here && (!vol->label || no_store_id(vol->label->disk))) {
		DMERR("%s: another store than the one before, made for the same volume",
		      vol->name);
		return -ESTALE;
	}
	return 0;
}

/* ---- following -------------------------------------------------------------- */

/**
 * snapprot_label_follow() - the store has moved on, and the label is to follow
 * @vol: the volume
 *
 * After a second at most, and once a second at most. Cheap if that is on its way.
 *
 * Context: any.
 */
void snapprot_label_follow(struct snapprot_volume *vol)
{
	unsigned long delay = READ_ONCE(vol->label_at) - jiffies;

	/* Else that is past, however long ago. */
	if (delay > FOLLOW_RETRY)
		delay = 0;
	queue_delayed_work(vol->label_wq, &vol->label_work, delay);
}

/* Is there anything in @l that the disk does not have? */
static bool is_news(const struct snapprot_label *label,
		    const struct snapprot_disk_label *l)
{
	return label->in_doubt || memcmp(label->disk, l, sizeof(*l));
}

/* Under mutex: what is known of the store, if that is not in the label. */
static int put_numbers(struct snapprot_volume *vol,
		       const struct snapprot_witness *witness)
{
	struct snapprot_disk_label *l;
	int err = 0;

	if (!snapprot_label_present(vol))
		return 0;
	l = compose(vol);
	if (!l)
		return -ENOMEM;
	if (witness) {
		l->nr_witness = cpu_to_le32(witness->count);
		memcpy(l->witness, witness->entry,
		       witness->count * sizeof(witness->entry[0]));
		set_flags(l, SNAPPROT_LABEL_WITNESS, 0);
	}
	if (is_news(vol->label, l))
		err = put_composed(vol, l);
	kfree(l);
	return err;
}

/* Under store_sem, or admin: the store, if what it says counts. */
static struct snapprot_store *paired_store(struct snapprot_volume *vol)
{
	return vol->attached ? vol->store : NULL;
}

void snapprot_label_work(struct work_struct *work)
{
	struct snapprot_volume *vol = container_of(to_delayed_work(work),
						   struct snapprot_volume,
						   label_work);
	unsigned int noio = memalloc_noio_save();
	struct snapprot_store *s;

	down_read(&vol->store_sem);
	s = paired_store(vol);
	if (s)
		snapprot_known_remember(vol, s);
	up_read(&vol->store_sem);
	mutex_lock(&vol->mutex);
	/* A suspended origin may be on its way to another device. */
	if (s && vol->origin && !READ_ONCE(vol->suspending))
		put_numbers(vol, NULL);
	mutex_unlock(&vol->mutex);
	memalloc_noio_restore(noio);
}

/* Is there anything for which a witness is worth its while? */
static bool wants_witness(struct snapprot_volume *vol)
{
	const u32 flags = SNAPPROT_LABEL_SNAPSHOTS | SNAPPROT_LABEL_LOST;
	bool wants;

	mutex_lock(&vol->mutex);
	wants = vol->label && !vol->label->in_doubt &&
		(snapprot_label_flags(vol) & flags) ==
		SNAPPROT_LABEL_SNAPSHOTS &&
		vol->fault != SNAPPROT_FAULT_ORIGIN_CHANGED;
	mutex_unlock(&vol->mutex);
	return wants;
}

/**
 * snapprot_label_settle() - let the label follow at once
 * @vol: the volume
 * @depart: the live volume goes: with a witness of what the origin is now
 *
 * Context: volume->admin held, sleeps; with @depart no write is in flight, and none
 * will come.
 */
void snapprot_label_settle(struct snapprot_volume *vol, bool depart)
{
	struct snapprot_witness *witness = NULL;
	struct snapprot_store *s = paired_store(vol);

	if (s)
		snapprot_known_remember(vol, s);
	if (depart && wants_witness(vol))
		witness = snapprot_witness_take(vol);
	mutex_lock(&vol->mutex);
	if (vol->origin && (s || witness) &&
	    (depart || !READ_ONCE(vol->suspending)))
		put_numbers(vol, witness);
	mutex_unlock(&vol->mutex);
	kfree(witness);
}
