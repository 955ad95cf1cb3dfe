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
	u64 start = snapprot_label_start(origin->sectors);
	const u8 *copy = origin->data + start * SECTOR;
	int err;

	o->label = snapprot_label_choose((const void *)copy,
					 (const void *)(copy + BLOCK), &err);
	o->lost = o->label &&
		  le32_to_cpu(o->label->flags) & SNAPPROT_LABEL_LOST;
}

const char *judge_open(struct opened *o, struct disk *disk,
		       const struct expect *e)
{
	int err;

	find_label(o, &disk->origin);
	disk_env_init(&o->env, &disk->store);
	err = snapprot_store_load(&o->core, &o->env.env,
				  e->store_sectors / BLOCK_SECTORS);
	if (err)
		return WRONG("the store does not open: %s", strerror(-err));
	return o->label ? NULL : "there is no label";
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

/* ---- snapshots --------------------------------------------------------------------- */

static const char *judge_snap(const struct opened *o, struct snap *s,
			      const struct snapprot_snap *snap)
{
	bool lost = judge_lost(o, snap);

	if (!s || !s->want || s->deleted)
		return WRONG("snapshot %" PRIu32 " should not be there",
			     snap->id);
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
		 struct part **part, u64 *place, u32 *up_to)
{
	struct snapprot_entry found;
	int got = snapprot_lookup(&o->core, block, epoch, &found);

	*part = got == 1 ? &disk->store : &disk->origin;
	*place = got == 1 ? found.place : block;
	*up_to = got == 1 ? found.epoch : UINT32_MAX;
	return got >= 0;
}

/* All snapshots up to the epoch that was found share a block. */
static const char *judge_images(struct opened *o, struct disk *disk,
				struct expect *e, u64 block, u32 first)
{
	const struct snapprot_snap *snap = o->core.snaps;
	struct part *part = NULL;
	u32 i, up_to = 0;
	u64 place = 0;

	for (i = first; i < o->core.nr_snaps; i++) {
		if (snap[i].epoch > up_to &&
		    !judge_block(o, disk, snap[i].epoch, block, &part, &place,
				 &up_to))
			return WRONG("snapshot %" PRIu32 ": block %" PRIu64
				     " cannot be found", snap[i].id, block);
		if (part_hash(part, place) !=
		    expect_snap(e, snap[i].id)->want[block])
			return WRONG("snapshot %" PRIu32 ": block %" PRIu64
				     " is wrong, from the %s", snap[i].id,
				     block, part == &disk->store ? "store" :
				     "origin");
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

/* The reader of "snapprot check", which does not trust the core. */
static const char *judge_image(struct disk *disk, const struct expect *e)
{
	static const struct image_ops ops = { .damage = check_problem };
	struct store_env se;
	struct image img;
	int err;

	*text = 0;
	disk->store.dev.sectors = e->store_sectors;
	err = store_env_init(&se, &disk->store.dev, 0);
	if (!err) {
		err = image_open(&img, &se, &ops, text);
		if (!err)
			err = image_search(&img);
		image_close(&img);
	}
	store_env_exit(&se);
	if (err)
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
		wrong = judge_list(o, e);
	if (!wrong)
		wrong = judge_contents(o, disk, e);
	if (!wrong)
		wrong = judge_check(o, thorough);
	if (!wrong && thorough)
		wrong = judge_image(disk, e);
	return wrong;
}

/* ---- the beginning --------------------------------------------------------------------- */

static void adopt_snap(struct opened *o, struct disk *disk, struct expect *e,
		       const struct snapprot_snap *snap)
{
	struct snap *s = &e->snap[e->nr_snaps++];
	struct part *part;
	u64 block, place;
	u32 up_to;

	s->id = snap->id;
	s->created = true;
	s->may_be_lost = judge_lost(o, snap);
	s->is_lost = s->may_be_lost;
	s->want = calloc(e->blocks, sizeof(*s->want));
	for (block = 0; !s->is_lost && block < e->blocks; block++)
		if (judge_block(o, disk, snap->epoch, block, &part, &place,
				&up_to))
			s->want[block] = part_hash(part, place);
}

const char *judge_adopt(struct disk *disk, struct expect *e)
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
