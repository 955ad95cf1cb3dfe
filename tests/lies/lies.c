// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table of faults: devices that lie.
 *
 * A workload is run with a device that lies once: a write that is dropped, torn, put
 * elsewhere or never gets durable, a flush that does nothing, a read that is answered
 * by what was there before, or fails. The writer goes on, if it does not notice. At
 * several later points, and at the end, everything is loaded as the module would, and
 * all snapshots are read. So are stores of which one block has gone bad, or that are
 * an old copy of themselves.
 *
 * Each is right, or an error, or wrong; and no error if all that was lost is one copy
 * of a superblock or label. Not counted as wrong is what the format promises nothing
 * about: the last group of the log within its second, and an old copy of which
 * nothing was known to the label a second ago.
 */
#include <stdlib.h>
#include <stdnoreturn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "vol.h"

/* ---- workloads ---------------------------------------------------------- */

#define USUAL							\
	[OP_WRITE] = 400, [OP_CREATE] = 60, [OP_DELETE] = 30,	\
	[OP_SET] = 10, [OP_SECOND] = 60, [OP_LABEL] = 40,	\
	[OP_REFILL] = 20, [OP_MERGE] = 100, [OP_TICK] = 150,	\
	[OP_CHECKPOINT] = 30, [OP_STOP] = 8, [OP_END] = 5, [OP_CRASH] = 8

static const struct workload workloads[] = {
	{
		.name = "groups", .ops = 40, .blocks = 8192, .origin = 500,
		.stride = 1, .write = 250, .steps = 6,
		.tune = { .table = 500, .fanout = 2, .freeze = 200, .zone = 600 },
		.share = {
			[OP_WRITE] = 400, [OP_CREATE] = 150, [OP_DELETE] = 30,
			[OP_SECOND] = 80, [OP_LABEL] = 60, [OP_REFILL] = 20,
			[OP_MERGE] = 20, [OP_TICK] = 50, [OP_CHECKPOINT] = 30,
			[OP_CRASH] = 10,
		},
	}, {
		.name = "levels", .ops = 160, .blocks = 4000, .origin = 250,
		.stride = 3, .write = 40, .steps = 3,
		.tune = { .table = 32, .fanout = 2, .freeze = 16, .zone = 60 },
		.share = {
			[OP_WRITE] = 400, [OP_CREATE] = 80, [OP_DELETE] = 15,
			[OP_SECOND] = 30, [OP_LABEL] = 20, [OP_MERGE] = 300,
			[OP_CHECKPOINT] = 150, [OP_STOP] = 5,
		},
	}, {
		.name = "merges", .ops = 160, .blocks = 2048, .origin = 200,
		.stride = 1, .write = 30, .steps = 3,
		.tune = { .table = 64, .fanout = 3, .freeze = 16, .zone = 24 },
		.share = {
			[OP_WRITE] = 350, [OP_CREATE] = 60, [OP_DELETE] = 20,
			[OP_SECOND] = 30, [OP_LABEL] = 20, [OP_MERGE] = 250,
			[OP_TICK] = 350, [OP_STOP] = 5, [OP_CRASH] = 10,
		},
	}, {
		.name = "deletions", .ops = 160, .blocks = 1500, .origin = 150,
		.stride = 1000, .write = 30, .steps = 3,
		.tune = { .table = 64, .fanout = 2, .freeze = 16, .zone = 24 },
		.share = {
			[OP_WRITE] = 350, [OP_CREATE] = 140, [OP_DELETE] = 120,
			[OP_SECOND] = 40, [OP_LABEL] = 30, [OP_MERGE] = 150,
			[OP_TICK] = 150, [OP_CHECKPOINT] = 30, [OP_STOP] = 5,
			[OP_CRASH] = 10,
		},
	}, {
		.name = "arrivals", .ops = 100, .blocks = 1024, .origin = 60,
		.stride = 1, .write = 8, .steps = 3,
		.tune = { .table = 64, .fanout = 2, .freeze = 16, .zone = 24 },
		.share = {
			[OP_WRITE] = 300, [OP_CREATE] = 100, [OP_DELETE] = 20,
			[OP_SECOND] = 60, [OP_LABEL] = 30, [OP_MERGE] = 40,
			[OP_TICK] = 60, [OP_CHECKPOINT] = 20, [OP_STOP] = 50,
			[OP_END] = 50, [OP_CRASH] = 60, [OP_RETRY] = 150,
		},
	}, {
		.name = "modes", .ops = 120, .blocks = 1024, .origin = 80,
		.stride = 1, .write = 12, .steps = 2,
		.tune = { .table = 64, .fanout = 2, .freeze = 16, .zone = 24 },
		.share = { USUAL, [OP_MODE] = 200 },
	}, {
		.name = "lost", .ops = 140, .blocks = 1031, .origin = 80,
		.stride = 1, .write = 16, .steps = 2,
		.tune = { .table = 64, .fanout = 2, .freeze = 16, .zone = 24 },
		.share = { USUAL, [OP_LOSE] = 60 },
	}, {
		.name = "full", .ops = 140, .blocks = 1024, .origin = 600,
		.stride = 1, .write = 120, .steps = 3,
		.tune = { .table = 128, .fanout = 2, .freeze = 64, .zone = 60 },
		.share = {
			[OP_WRITE] = 500, [OP_CREATE] = 150, [OP_DELETE] = 20,
			[OP_SECOND] = 30, [OP_LABEL] = 20, [OP_MERGE] = 60,
			[OP_TICK] = 60, [OP_CHECKPOINT] = 20, [OP_CRASH] = 10,
		},
	}, {
		.name = "far", .ops = 120, .blocks = 3 * 32768 + 63, .origin = 120,
		.stride = (1ull << 38) + 1, .write = 40, .steps = 3,
		.tune = { .table = 64, .fanout = 2, .freeze = 16, .zone = 200 },
		.share = { USUAL },
	}, {
		.name = "grown", .ops = 120, .blocks = 32768 - 100, .origin = 120,
		.stride = 7, .write = 30, .steps = 3,
		.tune = { .table = 32, .fanout = 3, .freeze = 8, .zone = 16 },
		.share = { USUAL, [OP_GROW] = 60 },
	}, {
		.name = "names", .ops = 140, .blocks = 1024, .origin = 40,
		.stride = 1, .write = 4, .steps = 1,
		.tune = { .table = 64, .fanout = 2, .freeze = 16, .zone = 16 },
		.share = {
			[OP_WRITE] = 100, [OP_CREATE] = 150, [OP_DELETE] = 60,
			[OP_SET] = 300, [OP_SECOND] = 100, [OP_LABEL] = 60,
			[OP_TICK] = 100, [OP_CHECKPOINT] = 20, [OP_STOP] = 10,
			[OP_CRASH] = 10,
		},
	}, {
		.name = "forged", .ops = 800, .blocks = 1024, .origin = 100,
		.stride = 1, .write = 30, .steps = 3, .limit = 60, .forge = true,
		.tune = { .table = 64, .fanout = 2, .freeze = 16, .zone = 40 },
		.share = { USUAL, [OP_RETRY] = 15, [OP_FORGE] = 120 },
	}, {
		/* Places are used again and again. */
		.name = "churn", .ops = 1200, .blocks = 1024, .origin = 120,
		.stride = 1, .write = 30, .steps = 2, .limit = 100,
		.tune = { .table = 32, .fanout = 2, .freeze = 16, .zone = 24 },
		.share = {
			[OP_WRITE] = 300, [OP_CREATE] = 120, [OP_DELETE] = 110,
			[OP_SECOND] = 10, [OP_LABEL] = 10, [OP_MERGE] = 200,
			[OP_CHECKPOINT] = 300, [OP_STOP] = 5,
		},
	}, {
		.name = "usual", .ops = 120, .blocks = 4096, .origin = 300,
		.stride = 1, .write = 60, .steps = 3,
		.share = { USUAL },
	},
};

#define NR_WORKLOADS	ARRAY_SIZE(workloads)

static const char *const kind_words[NR_LIES] = {
	[LIE_NONE] = "none", [LIE_DROP] = "drop", [LIE_TEAR] = "tear",
	[LIE_PLACE] = "place", [LIE_CACHE] = "cache", [LIE_FLUSH] = "flush",
	[LIE_READ_OLD] = "read-old", [LIE_READ_EIO] = "read-eio",
	[LIE_FLIP] = "flip", [LIE_ZERO] = "zero", [LIE_OLD] = "old",
	[LIE_OLD_ONCE] = "old-once", [LIE_EIO] = "eio", [LIE_COPY] = "copy",
	[LIE_COPY_BOOT] = "copy-boot",
};

/* ---- results ------------------------------------------------------------- */

struct counts {
	u64 n[NR_WORKLOADS][NR_LIES][NR_VERDICTS];
	u64 total;
	u64 runs;
	u64 shown;
	u64 broken;		/* tasks that crashed */
};

static struct counts *counts;
static const char *self;
static bool verbose;
static u64 seed;
static u32 task_workload;

static u64 *count_of(enum lie_kind kind, enum verdict verdict)
{
	return &counts->n[task_workload][kind][verdict];
}

static bool is_bad(enum verdict verdict)
{
	return verdict >= WRONG;
}

static void count(struct vol *v, enum lie_kind kind, enum verdict verdict,
		  const char *when)
{
	struct world *w = &v->w;

	__atomic_add_fetch(count_of(kind, verdict), 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&counts->total, 1, __ATOMIC_RELAXED);
	if (!verbose && (!is_bad(verdict) ||
			 __atomic_add_fetch(&counts->shown, 1,
					    __ATOMIC_RELAXED) > 40))
		return;
	printf("# %s: %s, %s (op %u, event %llu)%s%s\n#   %s -s %llu -w %s -k %s",
	       verdict_words[verdict], kind_words[kind], when, v->op,
	       (unsigned long long)w->events, v->why[0] ? ": " : "", v->why,
	       self, (unsigned long long)v->seed, v->wl->name,
	       kind_words[kind]);
	if (kind >= LIE_DROP && kind <= LIE_READ_EIO)
		printf(" -n %llu -a %u", (unsigned long long)w->at, w->arg);
	putchar('\n');
	fflush(stdout);
}

/* ---- runs with a lie -------------------------------------------------------- */

/* Times that power is cut in one run. */
#define CUTS	10u

struct live {
	struct vol *v;
	struct rng rng;
	bool hit;
	u64 hit_event;
	u64 next;
	u32 cuts, extra;
	u32 max_cuts;
};

/* Refusing is no answer to this. */
static bool must_be_right(const struct vol *v)
{
	switch (v->w.kind) {
	case LIE_NONE:
	case LIE_READ_OLD:
	case LIE_READ_EIO:
		return true;
	case LIE_DROP:
	case LIE_TEAR:
	case LIE_CACHE:
		return one_copy_only(v);
	default:
		return false;
	}
}

static enum verdict strict(const struct vol *v, enum verdict verdict)
{
	if ((verdict == REFUSED || verdict == ERRORS) && must_be_right(v))
		return NEEDLESS;
	return verdict;
}

static void look(struct live *l, struct blob **store, struct blob **label,
		 bool boot, const char *when)
{
	struct vol *v = l->v;
	enum verdict verdict;

	v->judging = true;
	renv_set(&v->rs, store, v->store->blocks);
	renv_set(&v->rl, label, v->label->blocks);
	verdict = strict(v, judge(v, boot));
	count(v, v->w.kind, verdict, when);
	v->judging = false;
}

static void cut_power(struct live *l)
{
	struct vol *v = l->v;
	bool boot = rng_once_in(&l->rng, 3);

	dev_cut(v->store, rng_below(&l->rng, NR_CUTS), &l->rng);
	dev_cut(v->label, rng_below(&l->rng, NR_CUTS), &l->rng);
	look(l, v->store->dur, v->label->dur, boot,
	     boot ? "power cut within the boot" : "power cut");
	dev_uncut(v->store);
	dev_uncut(v->label);
}

/* Is a copy of the superblock or of the label being written? */
static bool copy_under_way(const struct vol *v)
{
	const struct dev *d = v->store;
	u32 i;

	if (v->label->nr_pending)
		return true;
	for (i = 0; d->nr_pending && i < SNAPPROT_COPIES; i++)
		if (d->pending[d->nr_pending - 1].block ==
		    snapprot_super_place(i))
			return true;
	return false;
}

static void live_event(void *ctx)
{
	struct live *l = ctx;
	struct vol *v = l->v;
	u64 since;

	if (v->judging || l->cuts >= l->max_cuts)
		return;
	if (v->w.kind != LIE_NONE && !v->w.lied)
		return;
	if (!l->hit) {
		l->hit = true;
		l->hit_event = v->w.events;
	}
	since = v->w.events - l->hit_event;
	if (since < l->next && !(one_copy_only(v) && copy_under_way(v)))
		return;
	if (since < l->next) {
		/* When the next ones are written it is the lie's hour. */
		if (l->extra++ >= 2 * CUTS)
			return;
		cut_power(l);
		return;
	}
	l->next = since + 1 + rng_below(&l->rng, since + 2);
	l->cuts++;
	cut_power(l);
}

/* Writes, flushes and reads that a run has. */
struct length {
	u64 writes, flushes, reads;
	u64 over[2000];		/* see struct world */
	u32 nr_over;
};

static struct vol *begin(enum lie_kind kind, u64 at, u32 arg)
{
	struct vol *v = vol_new(&workloads[task_workload], seed);
	int err;

	err = vol_start(v);
	if (err) {
		printf("Bail out! start: %d\n", err);
		exit(2);
	}
	v->w.kind = kind;
	v->w.at = at;
	v->w.arg = arg;
	v->w.writes = 0;
	v->w.flushes = 0;
	v->w.reads = 0;
	v->w.events = 0;
	v->w.armed = true;
	return v;
}

/* Without a lie nothing may go wrong. */
static void expect_sound(struct vol *v)
{
	if (v->w.kind != LIE_NONE || (!v->err && v->stopped == RIGHT))
		return;
	printf("# the writer gave up: %d, %s, op %u: %s\n#   %s -s %llu -w %s -k none\n",
	       v->err, verdict_words[v->stopped], v->op, v->why, self,
	       (unsigned long long)seed, v->wl->name);
	/* Else it has been counted as what it is. */
	if (v->stopped == RIGHT)
		__atomic_add_fetch(&counts->broken, 1, __ATOMIC_RELAXED);
}

static void run_live(enum lie_kind kind, u64 at, u32 arg, struct length *length)
{
	struct vol *v = begin(kind, at, arg);
	struct live l = { .v = v, .max_cuts = kind ? CUTS : 60 };
	u32 n;

	rng_seed(&l.rng, seed, at * 16 + arg, 100 + kind);
	if (length) {
		v->w.over = length->over;
		v->w.max_over = ARRAY_SIZE(length->over);
	}
	v->w.event = live_event;
	v->w.ctx = &l;
	for (n = 0; n < v->wl->ops && vol_op(v, n); n++)
		;
	if (v->stopped == RIGHT)
		vol_stop(v);
	expect_sound(v);
	v->w.event = NULL;
	if (verbose && v->w.lied)
		printf("# the lie was told of block %llu of the %s; the writer ends with %d\n",
		       (unsigned long long)v->w.lie_block,
		       v->w.lie_dev == v->label ? "label" : "store", v->err);
	if (length) {
		length->writes = v->w.writes;
		length->flushes = v->w.flushes;
		length->reads = v->w.reads;
		length->nr_over = v->w.nr_over;
	}
	if (v->stopped != RIGHT) {
		/* What the writer was told when it read is its own matter. */
		count(v, kind, kind == LIE_READ_OLD || kind == LIE_READ_EIO ?
			       v->stopped : strict(v, v->stopped), "load");
	} else if (v->w.lied || kind == LIE_NONE) {
		look(&l, v->store->cur, v->label->cur, false, "end");
		look(&l, v->store->cur, v->label->cur, true,
		     "end within the boot");
		cut_power(&l);
	}
	counts->runs++;
	vol_free(v);
}

/* ---- contents with a fault ---------------------------------------------------- */

struct image {
	struct live l;
	u32 bits;		/* flipped of each block */
	u32 most;		/* places at each moment; 0: all */
	u32 every;		/* moments: one event in so many */
	u8 *touched;
};

static void fault(struct image *im, bool label, u64 place, enum lie_kind kind,
		  struct blob *b)
{
	struct vol *v = im->l.v;
	struct renv *r = label ? &v->rl : &v->rs;
	enum verdict verdict;
	bool spare = label, boot = rng_once_in(&im->l.rng, 4);
	u32 i;

	renv_set(&v->rs, v->rs.img, v->store->blocks);
	renv_set(&v->rl, v->rl.img, v->label->blocks);
	r->kind = kind;
	r->place = place;
	r->fault = b;
	for (i = 0; !label && i < SNAPPROT_COPIES; i++)
		spare |= place == snapprot_super_place(i);
	/* Where the next header will be is nothing that is needed. */
	spare |= !label && v->open && place == v->core.log.block &&
		 v->core.log.sealed && !v->core.log.next && !v->core.log.steps &&
		 kind == LIE_EIO;
	verdict = judge(v, boot);
	if ((verdict == REFUSED || verdict == ERRORS) && spare)
		verdict = NEEDLESS;
	if (is_bad(verdict) && strlen(v->why) < 100)
		sprintf(v->why + strlen(v->why), " (%s block %llu)",
			label ? "label" : "store", (unsigned long long)place);
	count(v, kind, verdict, boot ? "within the boot" : "load");
	r->kind = LIE_NONE;
}

static void faults(struct image *im, bool label, u64 place)
{
	struct vol *v = im->l.v;
	struct dev *d = label ? v->label : v->store;
	struct blob **img = label ? v->rl.img : v->rs.img;
	bool data = img[place] && img[place]->version;
	u32 bits = data ? 1 : im->bits;
	u32 i;

	for (i = 0; i < bits; i++) {
		struct blob *b = blob_new(blob_data(img[place]));

		/* Where the fields are, more often. */
		b->data[rng_below(&im->l.rng, rng_once_in(&im->l.rng, 2) ?
						300 : BLOCK)] ^=
			1 << rng_below(&im->l.rng, 8);
		fault(im, label, place, LIE_FLIP, b);
		blob_put(b);
	}
	fault(im, label, place, LIE_EIO, NULL);
	if (data)
		return;
	fault(im, label, place, LIE_ZERO, NULL);
	if (!d->old[place])
		return;
	fault(im, label, place, LIE_OLD, d->old[place]);
	fault(im, label, place, LIE_OLD_ONCE, d->old[place]);
}

static void image_look(struct image *im, struct blob **store,
		       struct blob **label)
{
	struct vol *v = im->l.v;
	u64 i, places = 0;

	/* Which blocks does it take to read everything? */
	memset(im->touched, 0, v->store->blocks);
	renv_set(&v->rs, store, v->store->blocks);
	renv_set(&v->rl, label, v->label->blocks);
	v->rs.touched = im->touched;
	count(v, LIE_NONE, strict(v, judge(v, false)), "image");
	v->rs.touched = NULL;
	for (i = 0; i < v->store->blocks; i++)
		places += im->touched[i];
	for (i = 0; i < v->store->blocks; i++) {
		bool data = store[i] && store[i]->version;

		if (!im->touched[i])
			continue;
		if (data && !rng_once_in(&im->l.rng, 10))
			continue;
		if (im->most && places > im->most &&
		    rng_below(&im->l.rng, places) >= im->most)
			continue;
		faults(im, false, i);
	}
	for (i = 0; i < SNAPPROT_COPIES; i++)
		faults(im, true, snapprot_label_place(i));
}

static void image_event(void *ctx)
{
	struct image *im = ctx;
	struct vol *v = im->l.v;

	if (v->judging || !rng_once_in(&im->l.rng, im->every))
		return;
	v->judging = true;
	if (rng_once_in(&im->l.rng, 2)) {
		image_look(im, v->store->cur, v->label->cur);
	} else {
		dev_cut(v->store, rng_below(&im->l.rng, NR_CUTS), &im->l.rng);
		dev_cut(v->label, rng_below(&im->l.rng, NR_CUTS), &im->l.rng);
		image_look(im, v->store->dur, v->label->dur);
		dev_uncut(v->store);
		dev_uncut(v->label);
	}
	v->judging = false;
}

static void run_images(u64 events, u32 moments, u32 bits, u32 most)
{
	struct vol *v = begin(LIE_NONE, 0, 0);
	struct image im = {
		.l = { .v = v }, .bits = bits, .most = most,
		.every = events / moments + 1,
	};
	u32 n;

	im.touched = calloc(1, v->wl->blocks + 4096);
	rng_seed(&im.l.rng, seed, 7, 7);
	v->w.event = image_event;
	v->w.ctx = &im;
	for (n = 0; n < v->wl->ops && vol_op(v, n); n++)
		;
	if (v->stopped == RIGHT)
		vol_stop(v);
	expect_sound(v);
	v->w.event = NULL;
	counts->runs++;
	free(im.touched);
	vol_free(v);
}

/* ---- old copies ------------------------------------------------------------------ */

#define MAX_COPIES	40u

struct old_copy {
	struct blob **store;
	u64 blocks;
	u64 acked;		/* of what was made durable, it has so many */
	u64 most;		/* or perhaps one more */
};

struct copies {
	struct live l;
	struct old_copy copy[MAX_COPIES];
	u32 nr;
	u32 every;
	u32 most;		/* looked at, each time */
	struct blob **mix;
};

static void copy_take(struct copies *c)
{
	struct vol *v = c->l.v;
	struct old_copy *o = &c->copy[c->nr];
	bool cut = rng_once_in(&c->l.rng, 2);
	struct blob **from;
	u64 i;

	if (c->nr == MAX_COPIES) {
		/* One of them makes room. */
		o = &c->copy[rng_below(&c->l.rng, c->nr)];
		for (i = 0; i < o->blocks; i++)
			blob_put(o->store[i]);
		free(o->store);
	} else {
		c->nr++;
	}
	if (cut)
		dev_cut(v->store, rng_below(&c->l.rng, NR_CUTS), &c->l.rng);
	from = cut ? v->store->dur : v->store->cur;
	o->blocks = v->store->blocks;
	o->store = malloc(o->blocks * sizeof(*o->store));
	for (i = 0; i < o->blocks; i++)
		o->store[i] = from[i] ? blob_get(from[i]) : NULL;
	o->acked = v->acked;
	o->most = v->acked + (v->busy || v->phase == FINISH);
	if (cut)
		dev_uncut(v->store);
}

/*
 * Give back @a, or what was copied from @a up to a block, and from @b from there on.
 * What was acknowledged since it was taken is not there.
 */
static void copy_look(struct copies *c, const struct old_copy *a,
		      const struct old_copy *b, bool boot)
{
	struct vol *v = c->l.v;
	u64 known = boot ? v->acked : v->label_acked;
	enum verdict verdict;
	struct blob **img = a->store;

	if (a != b) {
		u64 at = rng_below(&c->l.rng, rng_once_in(&c->l.rng, 2) ?
						600 : a->blocks);

		if (a->blocks != b->blocks || a->acked > b->acked)
			return;
		memcpy(c->mix, a->store, at * sizeof(*c->mix));
		memcpy(c->mix + at, b->store + at,
		       (a->blocks - at) * sizeof(*c->mix));
		img = c->mix;
	}
	renv_set(&v->rs, img, a->blocks);
	renv_set(&v->rl, v->label->cur, v->label->blocks);
	verdict = judge(v, boot);
	if (verdict == LAST || verdict == WRONG)
		verdict = known > b->most || (!boot && known == v->acked &&
					      known > a->most) ||
			  (boot && known > a->most) ? WRONG : SECOND;
	/* Even one that reads right is no longer the store. */
	if (verdict == RIGHT && known > b->most) {
		snprintf(v->why, sizeof(v->why), "an old copy is taken for the store");
		verdict = WRONG;
	}
	/* Nothing at all has happened since. */
	if (verdict == REFUSED && a == b && v->acked == a->acked)
		snprintf(v->why, sizeof(v->why), "not old");
	if (verdict == WRONG && strlen(v->why) < 100)
		sprintf(v->why + strlen(v->why), " (of %llu and %llu; known %llu of %llu)",
			(unsigned long long)a->acked,
			(unsigned long long)b->acked, (unsigned long long)known,
			(unsigned long long)v->acked);
	count(v, boot ? LIE_COPY_BOOT : LIE_COPY, verdict, "old copy");
}

static void copies_event(void *ctx)
{
	struct copies *c = ctx;
	struct vol *v = c->l.v;
	u32 i, n;

	if (v->judging || !rng_once_in(&c->l.rng, c->every))
		return;
	v->judging = true;
	if (rng_once_in(&c->l.rng, 2)) {
		copy_take(c);
	} else {
		for (i = 0; c->nr && i < c->most; i++) {
			n = rng_below(&c->l.rng, c->nr);
			copy_look(c, &c->copy[n], &c->copy[n],
				  rng_once_in(&c->l.rng, 3));
			copy_look(c, &c->copy[n],
				  &c->copy[rng_below(&c->l.rng, c->nr)],
				  rng_once_in(&c->l.rng, 3));
		}
	}
	v->judging = false;
}

static void run_copies(u64 events, u32 moments, u32 most)
{
	struct vol *v = begin(LIE_NONE, 0, 0);
	struct copies c = {
		.l = { .v = v }, .every = events / moments + 1, .most = most,
	};
	u32 n;
	u64 i;

	c.mix = malloc((v->wl->blocks + 4096) * sizeof(*c.mix));
	rng_seed(&c.l.rng, seed, 8, 8);
	v->w.event = copies_event;
	v->w.ctx = &c;
	for (n = 0; n < v->wl->ops && vol_op(v, n); n++)
		;
	if (v->stopped == RIGHT)
		vol_stop(v);
	expect_sound(v);
	v->w.event = NULL;
	for (n = 0; n < c.nr; n++) {
		for (i = 0; i < c.copy[n].blocks; i++)
			blob_put(c.copy[n].store[i]);
		free(c.copy[n].store);
	}
	free(c.mix);
	counts->runs++;
	vol_free(v);
}

/* ---- tasks ---------------------------------------------------------------------------- */

/* What is done, by options. */
static u32 most;		/* lies of a kind in a task; 0: all */
static u32 jobs = 1;
static u64 want = 20000;	/* faults */
static int only_workload = -1, only_kind = -1;
static s64 only_at = -1;
static int only_arg = -1;

static bool wanted(enum lie_kind kind)
{
	return only_kind < 0 || only_kind == (int)kind;
}

static void lie_at(enum lie_kind kind, u64 at, struct rng *rng)
{
	u32 args = kind == LIE_TEAR ? 7 : kind == LIE_PLACE ? NR_PLACES : 1;
	u32 first = kind == LIE_TEAR ? 1 : 0;
	u32 i;

	if (only_arg >= 0)
		run_live(kind, at, only_arg, NULL);
	else if (most)
		run_live(kind, at, first + rng_below(rng, args), NULL);
	else
		for (i = 0; i < args; i++)
			run_live(kind, at, first + i, NULL);
}

static void lies_of(enum lie_kind kind, const struct length *length)
{
	u64 n = kind == LIE_FLUSH ? length->flushes :
		kind == LIE_READ_OLD || kind == LIE_READ_EIO ? length->reads :
							       length->writes;
	/* Of reads there are so many, and most are the load's. */
	u32 limit = most ? most : kind >= LIE_READ_OLD ? 300 : 0;
	bool writes = kind < LIE_FLUSH;
	struct rng rng;
	u64 i;

	if (!limit)
		limit = workloads[task_workload].limit;

	rng_seed(&rng, seed, kind, 9);
	if (only_at >= 0) {
		lie_at(kind, only_at, &rng);
		return;
	}
	if (!limit || limit > n)
		for (i = 0; i < n; i++)
			lie_at(kind, i, &rng);
	else
		for (i = 0; i < limit; i++)
			lie_at(kind, writes && length->nr_over && i % 3 == 0 ?
			       length->over[rng_below(&rng, length->nr_over)] :
			       rng_below(&rng, n), &rng);
}

static void task(void)
{
	static struct length length;
	enum lie_kind kind;
	u64 events;

	run_live(LIE_NONE, 0, 0, &length);
	events = length.writes + 2 * length.flushes;
	for (kind = LIE_DROP; kind <= LIE_READ_EIO; kind++)
		if (wanted(kind))
			lies_of(kind, &length);
	if (wanted(LIE_FLIP) || wanted(LIE_ZERO) || wanted(LIE_OLD) ||
	    wanted(LIE_OLD_ONCE) || wanted(LIE_EIO))
		run_images(events, most ? 2 : 12, most ? 2 : 16,
			   most ? most : 0);
	if (wanted(LIE_COPY) || wanted(LIE_COPY_BOOT))
		run_copies(events, most ? 30 : 150, most ? 3 : 10);
}

static u64 total_of(enum verdict verdict);

static void progress(void)
{
	static time_t last;
	time_t now = time(NULL);

	if (!last)
		last = now;
	if (now - last < 60)
		return;
	last = now;
	printf("# so far %llu faults, %llu wrong\n",
	       (unsigned long long)counts->total,
	       (unsigned long long)total_of(WRONG));
	fflush(stdout);
}

static void reap(u32 *running)
{
	int status;

	progress();

	if (wait(&status) < 0)
		exit(2);
	(*running)--;
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		counts->broken++;
}

static u64 all_tasks(u64 first)
{
	u64 s = first, done = 0;
	u32 running = 0;

	while (!done || counts->total < want) {
		for (task_workload = 0; task_workload < NR_WORKLOADS;
		     task_workload++) {
			if (only_workload >= 0 &&
			    only_workload != (int)task_workload)
				continue;
			seed = s;
			while (running >= jobs)
				reap(&running);
			fflush(stdout);
			if (!fork()) {
				task();
				fflush(stdout);
				_exit(0);
			}
			running++;
		}
		s++;
		done++;
		if (only_at >= 0)
			break;
	}
	while (running)
		reap(&running);
	return s - first;
}

/* ---- the table ---------------------------------------------------------------------------- */

static u64 sum(u32 from, u32 to, enum lie_kind kind, enum verdict verdict)
{
	u64 n = 0;

	for (; from < to; from++)
		n += counts->n[from][kind][verdict];
	return n;
}

static void row(const char *name, u32 from, u32 to, enum lie_kind first,
		enum lie_kind end, const char *kind_name)
{
	u64 n[NR_VERDICTS] = { 0 }, total = 0;
	enum verdict i;
	enum lie_kind k;

	for (k = first; k < end; k++)
		for (i = 0; i < NR_VERDICTS; i++)
			n[i] += sum(from, to, k, i);
	for (i = 0; i < NR_VERDICTS; i++)
		total += n[i];
	if (!total)
		return;
	printf("# %-10s %-9s", name, kind_name);
	for (i = 0; i < NR_VERDICTS; i++)
		printf(" %10llu", (unsigned long long)n[i]);
	putchar('\n');
}

static void table(void)
{
	enum lie_kind k;
	enum verdict i;
	u32 w;

	printf("# %-10s %-9s", "workload", "lie");
	for (i = 0; i < NR_VERDICTS; i++)
		printf(" %10s", verdict_words[i]);
	putchar('\n');
	for (w = 0; w < NR_WORKLOADS; w++) {
		for (k = 0; k < NR_LIES; k++)
			row(workloads[w].name, w, w + 1, k, k + 1,
			    kind_words[k]);
		row(workloads[w].name, w, w + 1, 0, NR_LIES, "all");
	}
	for (k = 0; k < NR_LIES; k++)
		row("all", 0, NR_WORKLOADS, k, k + 1, kind_words[k]);
	row("all", 0, NR_WORKLOADS, 0, NR_LIES, "all");
}

static u64 total_of(enum verdict verdict)
{
	enum lie_kind k;
	u64 n = 0;

	for (k = 0; k < NR_LIES; k++)
		n += sum(0, NR_WORKLOADS, k, verdict);
	return n;
}

/* ---- options ------------------------------------------------------------------------------- */

static int find(const char *const *words, u32 nr, const char *word)
{
	u32 i;

	for (i = 0; i < nr; i++)
		if (!strcmp(words[i], word))
			return i;
	fprintf(stderr, "no such thing: %s\n", word);
	exit(2);
}

static noreturn void show_usage(void)
{
	fprintf(stderr,
		"usage: %s [-s SEED] [-f FAULTS] [-m MOST] [-j JOBS] [-w WORKLOAD] [-k LIE] [-n AT] [-a ARG] [-v]\n"
		"  -f  go on with the next seeds until there are so many faults (20000)\n"
		"  -m  lies of a kind in each run (all of them)\n"
		"  -w -k -n -a  only this workload, lie, write, variant\n"
		"  -v  say what becomes of each\n", self);
	exit(2);
}

int main(int argc, char **argv)
{
	const char *names[NR_WORKLOADS];
	u64 first = time(NULL), seeds, wrong, needless, missed;
	bool failed;
	u32 i;
	int opt;

	self = argv[0];
	for (i = 0; i < NR_WORKLOADS; i++)
		names[i] = workloads[i].name;
	while ((opt = getopt(argc, argv, "s:f:m:j:w:k:n:a:v")) != -1) {
		switch (opt) {
		case 's':
			first = strtoull(optarg, NULL, 0);
			break;
		case 'f':
			want = strtoull(optarg, NULL, 0);
			break;
		case 'm':
			most = atoi(optarg);
			break;
		case 'j':
			jobs = atoi(optarg);
			break;
		case 'w':
			only_workload = find(names, NR_WORKLOADS, optarg);
			break;
		case 'k':
			only_kind = find(kind_words, NR_LIES, optarg);
			break;
		case 'n':
			only_at = strtoll(optarg, NULL, 0);
			break;
		case 'a':
			only_arg = atoi(optarg);
			break;
		case 'v':
			verbose = true;
			break;
		default:
			show_usage();
		}
	}
	if (optind != argc)
		show_usage();
	counts = mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (counts == MAP_FAILED)
		return 2;
	printf("KTAP version 1\n1..1\n# seed %llu\n", (unsigned long long)first);
	seeds = all_tasks(first);
	table();
	wrong = total_of(WRONG);
	needless = total_of(NEEDLESS);
	missed = total_of(MISSED);
	failed = wrong || needless || missed || counts->broken;
	printf("# %llu seeds from %llu, %llu runs; %llu refused for want of one copy, %llu not found by the check, %llu runs broken\n",
	       (unsigned long long)seeds, (unsigned long long)first,
	       (unsigned long long)counts->runs, (unsigned long long)needless,
	       (unsigned long long)missed, (unsigned long long)counts->broken);
	printf("# %llu faults, %llu wrong\n", (unsigned long long)counts->total,
	       (unsigned long long)wrong);
	printf("%s 1 lies\n", failed ? "not ok" : "ok");
	return failed;
}
