// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whether a state is one that may follow a crash.
 */
#include <inttypes.h>

#include "crash.h"
#include "image.h"

static char text[256];

#define WRONG(...)	(snprintf(text, sizeof(text), __VA_ARGS__), text)

/* ---- opening -------------------------------------------------------------- */

static void find_label(struct opened *o, const struct part *origin)
{
	const struct snapprot_disk_label *copy[SNAPPROT_COPIES];
	u64 start = snapprot_label_start(origin->sectors);
	u32 i;
	int err;

	for (i = 0; i < SNAPPROT_COPIES; i++)
		copy[i] = (const void *)(origin->data + start * SECTOR +
					 snapprot_label_place(i) * BLOCK);
	o->label = snapprot_label_choose(copy, &err);
	o->lost = o->label &&
		  le32_to_cpu(o->label->flags) & SNAPPROT_LABEL_LOST;
}

/* A label that was made before any store says nothing about one. */
static bool knows_store(const struct snapprot_disk_label *l)
{
	static const u8 none[sizeof(l->store_id)];

	return memcmp(l->store_id, none, sizeof(none));
}

/* In which number is it behind the label? Nothing lied, so in none. */
static const char *say_behind(const struct opened *o,
			      const struct snapprot_evidence *least)
{
	struct snapprot_evidence ev;

	snapprot_store_evidence(&o->core, &ev);
	return WRONG("the store is taken for an old copy: checkpoint %" PRIu64
		     ", step %" PRIu64 ", superblock %" PRIu64 ", epoch %"
		     PRIu32 ", and the label knows of %" PRIu64 ", %" PRIu64
		     ", %" PRIu64 ", %" PRIu32, ev.ckpt_seq, ev.log_seq,
		     ev.super_seq, ev.epoch, least->ckpt_seq, least->log_seq,
		     least->super_seq, least->epoch);
}

const char *judge_open(struct opened *o, struct disk *disk,
		       const struct expect *e)
{
	const struct snapprot_disk_label *l;
	struct snapprot_evidence least;
	int err;

	memset(&o->core, 0, sizeof(o->core));
	find_label(o, &disk->origin);
	l = o->label;
	if (!l)
		return "there is no label";
	least = (struct snapprot_evidence) {
		.ckpt_seq = le64_to_cpu(l->ckpt_seq),
		.log_seq = le64_to_cpu(l->log_seq),
		.super_seq = le64_to_cpu(l->super_seq),
		.epoch = le32_to_cpu(l->epoch),
	};
	disk_env_init(&o->env, &disk->store);
	err = snapprot_store_load(&o->core, &o->env.env,
				  e->store_sectors / BLOCK_SECTORS,
				  knows_store(l) ? &least : NULL);
	if (err == -ESTALE)
		return say_behind(o, &least);
	if (err)
		return WRONG("the store does not open: %s", strerror(-err));
	return NULL;
}

void judge_close(struct opened *o)
{
	snapprot_store_exit(&o->core);
}

bool judge_lost(const struct opened *o, const struct snapprot_snap *snap)
{
	return o->lost || snapprot_snap_lost(&o->core, snap);
}

/* ---- store and label ---------------------------------------------------------- */

/* What an arrival demands. */
static const char *judge_pair(const struct opened *o, const struct expect *e)
{
	u64 store = o->core.generation;
	u64 label = le64_to_cpu(o->label->generation);

	if (memcmp(o->core.uuid, o->label->h.uuid, sizeof(o->core.uuid)))
		return "label and store are not of one volume";
	if (knows_store(o->label) && memcmp(o->core.store_id,
					    o->label->store_id,
					    sizeof(o->core.store_id)))
		return "the label knows of another store";
	if (o->core.origin_sectors != e->blocks * BLOCK_SECTORS ||
	    le64_to_cpu(o->label->origin_sectors) != o->core.origin_sectors)
		return "the origin's length is not what it was";
	if (store != label && store != label + 1)
		return WRONG("generation %" PRIu64 " in the store, %" PRIu64
			     " in the label", store, label);
	if (store < e->generation)
		return WRONG("generation %" PRIu64 " has become %" PRIu64,
			     e->generation, store);
	return NULL;
}

static const char *judge_mode(const struct opened *o, const struct expect *e)
{
	bool store = o->core.flags & SNAPPROT_SUPER_PROTECTED;
	bool label = le32_to_cpu(o->label->flags) & SNAPPROT_LABEL_PROTECTED;

	if (e->mode == MODE_PROTECT && !(store && label))
		return WRONG("protection mode is on, but not in the %s",
			     store ? "label" : "store");
	if (e->mode == MODE_NORMAL && (store || label))
		return WRONG("protection mode is off, but not in the %s",
			     store ? "store" : "label");
	return NULL;
}

/* ---- the witness --------------------------------------------------------------- */

bool judge_witnessed(const struct opened *o)
{
	return o->label &&
	       le32_to_cpu(o->label->flags) & SNAPPROT_LABEL_WITNESS;
}

/* Nobody has written to the origin but the volume, so nothing has changed. */
static const char *judge_witness(const struct opened *o,
				 const struct disk *disk)
{
	const struct snapprot_disk_witness *w = o->label->witness;
	u32 i, count = le32_to_cpu(o->label->nr_witness);

	for (i = 0; judge_witnessed(o) && i < count; i++, w++) {
		u64 block = le64_to_cpu(w->block);
		const u8 *data = disk->origin.data + block * BLOCK;

		if (snapprot_witness_sum(o->label, data, block) !=
		    le64_to_cpu(w->sum))
			return WRONG("the witness says that block %" PRIu64
				     " of the origin was changed", block);
	}
	return NULL;
}

/* ---- snapshots --------------------------------------------------------------------- */

static bool has_words(const struct snapprot_snap *snap, const struct words *w)
{
	return !strcmp(snap->name, w->name) && snap->hold == w->hold;
}

static const char *judge_snap(const struct opened *o, struct snap *s,
			      const struct snapprot_snap *snap)
{
	bool lost = judge_lost(o, snap);

	if (!s || !s->want || s->deleted)
		return WRONG("snapshot %" PRIu32 " should not be there",
			     snap->id);
	if (!has_words(snap, &s->words) && !has_words(snap, &s->next))
		return WRONG("snapshot %" PRIu32 " has another name or hold",
			     s->id);
	if (lost && !s->may_be_lost)
		return WRONG("snapshot %" PRIu32 " is lost", s->id);
	if (!lost && s->is_lost)
		return WRONG("snapshot %" PRIu32 " was lost and is valid",
			     s->id);
	if (!lost &&
	    !(le32_to_cpu(o->label->flags) & SNAPPROT_LABEL_SNAPSHOTS))
		return WRONG("the label does not know of snapshot %" PRIu32,
			     s->id);
	return NULL;
}

static const char *judge_list(struct opened *o, struct expect *e)
{
	const char *wrong = NULL;
	u32 i;

	for (i = 0; !wrong && i < o->core.nr_snaps; i++)
		wrong = judge_snap(o, expect_snap(e, o->core.snaps[i].id),
				   &o->core.snaps[i]);
	for (i = 0; !wrong && i < e->nr_snaps; i++) {
		const struct snap *s = &e->snap[i];

		if (s->created && !s->deleting &&
		    !snapprot_snap_find(&o->core, s->id))
			wrong = WRONG("snapshot %" PRIu32 " is not there",
				      s->id);
	}
	return wrong;
}

bool judge_block(struct opened *o, struct disk *disk, u32 epoch, u64 block,
		 struct shown *shown)
{
	struct snapprot_entry found;
	int got = snapprot_lookup(&o->core, block, epoch, &found);

	*shown = (struct shown) {
		.part = &disk->origin,
		.place = block,
		.up_to = UINT32_MAX,
		.whole = true,
	};
	if (got != 1)
		return !got;
	shown->up_to = found.epoch;
	shown->place = snapprot_entry_place(&found);
	switch (SNAPPROT_WHERE_KIND(found.where)) {
	case SNAPPROT_KIND_DATA:
		shown->part = &disk->store;
		shown->whole = part_data_sum(shown->part, shown->place,
					     &o->core) == found.sum;
		return true;
	case SNAPPROT_KIND_ZERO:
		shown->part = &disk->zeroes;
		return true;
	}
	return false;
}

/* All snapshots up to the epoch that was found share a block. */
static const char *judge_images(struct opened *o, struct disk *disk,
				struct expect *e, u64 block, u32 first)
{
	const struct snapprot_snap *snap = o->core.snaps;
	struct shown shown = { .up_to = 0 };
	u32 i;

	for (i = first; i < o->core.nr_snaps; i++) {
		if (snap[i].epoch > shown.up_to &&
		    !judge_block(o, disk, snap[i].epoch, block, &shown))
			return WRONG("snapshot %" PRIu32 ": block %" PRIu64
				     " cannot be found", snap[i].id, block);
		if (!shown.whole)
			return WRONG("snapshot %" PRIu32 ": block %" PRIu64
				     " has another checksum", snap[i].id,
				     block);
		if (part_hash(shown.part, shown.place) !=
		    expect_snap(e, snap[i].id)->want[block])
			return WRONG("snapshot %" PRIu32 ": block %" PRIu64
				     " is wrong, from the %s", snap[i].id,
				     block, shown.part == &disk->origin ?
				     "origin" : "store");
	}
	return NULL;
}

static u32 first_valid(const struct opened *o)
{
	u32 i = 0;

	while (i < o->core.nr_snaps && judge_lost(o, &o->core.snaps[i]))
		i++;
	return i;
}

static const char *judge_contents(struct opened *o, struct disk *disk,
				  struct expect *e)
{
	u32 first = first_valid(o);
	const char *wrong = NULL;
	u64 block;

	for (block = 0; !wrong && first < o->core.nr_snaps &&
	     block < e->blocks; block++)
		wrong = judge_images(o, disk, e, block, first);
	return wrong;
}

/* ---- the checks ---------------------------------------------------------------------- */

static void check_problem(void *ctx, u64 block, const char *what)
{
	snprintf(ctx, sizeof(text), "check: block %" PRIu64 ": %s", block,
		 what);
}

static const char *judge_check(struct opened *o, bool data)
{
	static const struct snapprot_check_ops ops = {
		.problem = check_problem,
	};
	int n = snapprot_store_check(&o->core, data, &ops, text);

	if (n < 0)
		return WRONG("check: %s", strerror(-n));
	return n ? text : NULL;
}

struct both {
	struct opened *o;
	struct image *img;
};

/*
 * An entry that the tools' reader has found: does the core find it, too? That reader
 * does not look at old data, so it has steps that are not whole, and the core has not.
 */
static int same_entry(void *ctx, const struct snapprot_entry *e, u32 prev)
{
	static u8 data[BLOCK];
	struct both *b = ctx;
	struct snapprot_entry found;

	if (!snapprot_entry_needed(&b->o->core, prev, e->epoch) ||
	    b->img->log_seq != b->o->core.log.seq)
		return 0;
	if (snapprot_lookup(&b->o->core, e->block, e->epoch, &found) != 1 ||
	    found.epoch != e->epoch || found.where != e->where ||
	    found.sum != e->sum) {
		check_problem(text, snapprot_entry_place(e),
			      "an entry that the core does not find");
		return 1;
	}
	if (image_read_data(b->img, e, data))
		check_problem(text, snapprot_entry_place(e),
			      "old data that cannot be read");
	return 0;
}

/* The reader of "snapprot check" and "repair", which does not trust the core. */
static const char *judge_image(struct opened *o, struct disk *disk,
			       const struct expect *e)
{
	static const struct image_ops ops = { .damage = check_problem };
	struct store_env se;
	struct image img;
	struct both both = { .o = o, .img = &img };
	int err;

	*text = 0;
	disk->store.dev.sectors = e->store_sectors;
	err = store_env_init(&se, &disk->store.dev, 0);
	if (!err) {
		err = image_open(&img, &se, &ops, text);
		if (!err)
			err = image_search(&img);
		if (!err && !*text)
			err = image_walk(&img, same_entry, &both);
		image_close(&img);
	}
	store_env_exit(&se);
	if (err < 0)
		return WRONG("check: %s", strerror(-err));
	return *text ? text : NULL;
}

const char *judge(struct opened *o, struct disk *disk, struct expect *e,
		  bool thorough)
{
	const char *wrong = judge_pair(o, e);

	if (!wrong)
		wrong = judge_mode(o, e);
	if (!wrong)
		wrong = judge_witness(o, disk);
	if (!wrong)
		wrong = judge_list(o, e);
	if (!wrong)
		wrong = judge_contents(o, disk, e);
	if (!wrong)
		wrong = judge_check(o, thorough);
	if (!wrong && thorough)
		wrong = judge_image(o, disk, e);
	return wrong;
}

/* ---- the beginning --------------------------------------------------------------------- */

static void adopt_snap(struct opened *o, struct disk *disk, struct expect *e,
		       const struct snapprot_snap *snap)
{
	struct snap *s = &e->snap[e->nr_snaps++];
	struct shown shown;
	u64 block;

	s->id = snap->id;
	memcpy(s->words.name, snap->name, sizeof(s->words.name));
	s->words.hold = snap->hold;
	s->next = s->words;
	s->created = true;
	s->may_be_lost = judge_lost(o, snap);
	s->is_lost = s->may_be_lost;
	s->want = calloc(e->blocks, sizeof(*s->want));
	for (block = 0; !s->is_lost && block < e->blocks; block++)
		if (judge_block(o, disk, snap->epoch, block, &shown))
			s->want[block] = part_hash(shown.part, shown.place);
}

const char *judge_adopt(struct disk *disk, struct expect *e,
			siphash_key_t *key)
{
	struct opened o;
	const char *wrong = judge_open(&o, disk, e);
	bool store, label;
	u32 i;

	if (!wrong && o.core.nr_snaps > MAX_SNAPS)
		wrong = "too many snapshots";
	if (!wrong) {
		e->blocks = o.core.origin_sectors / BLOCK_SECTORS;
		e->generation = o.core.generation;
		*key = o.env.env.key;
		store = o.core.flags & SNAPPROT_SUPER_PROTECTED;
		label = le32_to_cpu(o.label->flags) & SNAPPROT_LABEL_PROTECTED;
		e->mode = store && label ? MODE_PROTECT :
			  store || label ? MODE_EITHER : MODE_NORMAL;
		for (i = 0; i < o.core.nr_snaps; i++)
			adopt_snap(&o, disk, e, &o.core.snaps[i]);
	}
	judge_close(&o);
	return wrong;
}
