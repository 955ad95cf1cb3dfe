// SPDX-License-Identifier: GPL-2.0-only
/*
 * explore - the states that a crash could have left at each moment of a log
 *
 *   explore [options] LOG
 *
 *   -n STATES      how many, of each workload (10000)
 *   -s SEED        other ones
 *   -o NAME        only this workload
 *   -i N           ignore one flush in N, to see that this is found out
 *   -e DIR         write some of them to DIR, for the module
 *   -c COUNT       how many, of each workload
 *
 * One line a workload. Exit code: 0 all states are right, 1 some are not, 2 the log
 * or the options make no sense.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <time.h>
#include <unistd.h>

#include "../lib/blkpat.h"
#include "crash.h"

#define MAX_WORKLOADS	4096u
#define PER_ENTRY	96u		/* states of a single moment */
#define THOROUGH	16u		/* one state in so many */
#define SAID		5u		/* faults of a workload that are told */

enum { EXIT_RIGHT = 0, EXIT_WRONG = 1, EXIT_BAD = 2 };

/**
 * struct pending - a write that need not be there
 * @must: it has to be, but one before it in the list may not
 */
struct pending {
	struct write w;
	bool must;
};

/* What becomes of a pending write. */
enum fate { FATE_NONE, FATE_WHOLE, FATE_TORN };

/**
 * struct choice - which of the pending writes are there
 * @torn: seeds for which of the sectors are
 */
struct choice {
	u8 *fate;
	u64 *torn;
	u32 max;
};

static struct {
	u64 states;
	u64 ignore;
	const char *only;
	u64 exports;
} opt = { .states = 10000 };

/**
 * struct run - the log as far as it was read, and the workload that is on
 * @whole: the disk with all writes so far
 * @disk: origin and store with those that are durable
 * @bare: blocks that a snapshot has on the origin only, while @bare_known
 * @credit: states owed, in units of 1/@entries
 */
struct run {
	u8 *whole;
	u64 whole_bytes;
	u64 *entries_of;
	u32 workload;

	bool active;
	struct disk disk;
	struct expect expect;
	struct pending *pending;
	u32 nr_pending;
	u32 max_pending;
	struct choice choice;
	bool *bare;
	bool bare_known;

	u64 entries;
	u64 entry;
	u64 credit;
	u64 writes, flushes, states, proved, faults;
	u64 thorough, torn;
	struct timespec began;

	u64 all_states, all_faults, all_workloads;
	u64 until_export, export_every;
};

noreturn void bad(const char *format, ...)
{
	va_list args;

	fputs("explore: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(EXIT_BAD);
}

void *grow(void *array, u32 count, u32 *max, size_t size)
{
	if (count < *max)
		return array;
	*max = *max * 2 + 64;
	array = realloc(array, *max * size);
	if (!array)
		bad("no memory");
	return array;
}

static void fault(struct run *r, const char *what)
{
	if (r->faults++ < SAID)
		printf("# %s: entry %" PRIu64 " of %" PRIu64 ", state %" PRIu64
		       ": %s\n", r->expect.name, r->entry, r->entries,
		       r->states, what);
}

/* ---- a state ------------------------------------------------------------------ */

/* Some sectors: up to one, from one on, or any. */
static void tear_mask(u8 *mask, u64 sectors, u64 seed)
{
	u64 cut = blkpat_mix(seed) % (sectors + 1);
	u64 i;

	memset(mask, 0, (sectors + 7) / 8);
	for (i = 0; i < sectors; i++) {
		bool there = blkpat_mix(seed + i + 1) & 1;

		if (seed % 3 == 0)
			there = i < cut;
		else if (seed % 3 == 1)
			there = i >= cut;
		mask[i / 8] |= there << i % 8;
	}
}

static void apply(struct run *r)
{
	static u8 mask[1u << 16];
	u32 i;

	for (i = 0; i < r->nr_pending; i++) {
		const struct write *w = &r->pending[i].w;

		if (r->choice.fate[i] == FATE_NONE)
			continue;
		if (r->choice.fate[i] == FATE_TORN &&
		    w->sectors <= sizeof(mask) * 8) {
			tear_mask(mask, w->sectors, r->choice.torn[i]);
			disk_write(&r->disk, w, mask, true);
			r->torn++;
		} else {
			disk_write(&r->disk, w, NULL, true);
		}
	}
}

static void try_export(struct run *r, struct opened *o)
{
	if (!opt.exports || r->until_export-- > 1)
		return;
	r->until_export = r->export_every;
	export_state(o, &r->disk, &r->expect);
}

/* The state is in memory: is it right? */
static void look(struct run *r)
{
	bool thorough = once_in(THOROUGH);
	struct opened o;
	const char *wrong;

	r->states++;
	r->thorough += thorough;
	wrong = judge_open(&o, &r->disk, &r->expect);
	if (!wrong)
		wrong = judge(&o, &r->disk, &r->expect, thorough);
	if (wrong)
		fault(r, wrong);
	else
		try_export(r, &o);
	judge_close(&o);
}

/* ---- which states ---------------------------------------------------------------- */

static bool in_store(const struct run *r, u32 i)
{
	return r->pending[i].w.sector >= r->disk.store.start;
}

static enum fate any_fate(u32 tear)
{
	if (once_in(2))
		return FATE_NONE;
	return once_in(tear) ? FATE_TORN : FATE_WHOLE;
}

#define KINDS	14u	/* from 8 on each is left to chance */

static enum fate pick_fate(const struct run *r, u32 kind, u32 i, u32 one)
{
	switch (kind) {
	case 0:		/* all */
		return FATE_WHOLE;
	case 1:		/* none */
		return FATE_NONE;
	case 2:		/* all but one */
		return i == one ? FATE_NONE : FATE_WHOLE;
	case 3:		/* one alone */
		return i == one ? FATE_WHOLE : FATE_NONE;
	case 4:		/* in order, and the last one torn */
		return i < one ? FATE_WHOLE : i == one ? FATE_TORN : FATE_NONE;
	case 5:		/* all, one of them torn */
		return i == one ? FATE_TORN : FATE_WHOLE;
	case 6:		/* what was written to the store */
		return in_store(r, i) ? FATE_WHOLE : any_fate(4);
	case 7:		/* what was written to the origin */
		return in_store(r, i) ? any_fate(4) : FATE_WHOLE;
	}
	return any_fate(kind & 1 ? 3 : 1000);
}

/* Returns what tells this choice from others of the same moment. */
static u64 choose(struct run *r, u32 kind)
{
	struct choice *c = &r->choice;
	u32 one = r->nr_pending ? random_below(r->nr_pending) : 0;
	u64 sign = 0;
	u32 i;

	if (c->max < r->max_pending) {
		c->max = r->max_pending;
		c->fate = realloc(c->fate, c->max * sizeof(*c->fate));
		c->torn = realloc(c->torn, c->max * sizeof(*c->torn));
	}
	for (i = 0; i < r->nr_pending; i++) {
		c->fate[i] = r->pending[i].must ? FATE_WHOLE :
			     pick_fate(r, kind, i, one);
		if (c->fate[i] == FATE_TORN && r->pending[i].w.sectors < 2)
			c->fate[i] = once_in(2) ? FATE_WHOLE : FATE_NONE;
		c->torn[i] = c->fate[i] == FATE_TORN ? random_below(1u << 20) :
						       0;
		sign = blkpat_mix(sign ^ (c->fate[i] + (c->torn[i] << 8)));
	}
	return sign;
}

static bool seen_before(u64 *seen, u32 count, u64 sign)
{
	u32 i;

	for (i = 0; i < count; i++)
		if (seen[i] == sign)
			return true;
	seen[count] = sign;
	return false;
}

/* The power fails now: as many states of this moment as are due. */
static void explore(struct run *r)
{
	u64 seen[PER_ENTRY];
	u32 count = 0, tries = 0;
	bool many;

	r->credit += opt.states;
	many = r->credit / r->entries > 4;
	while (r->credit >= r->entries && count < PER_ENTRY &&
	       tries < 2 * count + 8) {
		/* Where there are to be many, the first two are plain ones. */
		u64 sign = choose(r, many && tries < 2 ? tries :
				     random_below(KINDS));

		tries++;
		if (seen_before(seen, count, sign))
			continue;
		count++;
		r->credit -= r->entries;
		apply(r);
		look(r);
		disk_restore(&r->disk);
	}
}

/* ---- protection, from the log itself --------------------------------------------- */

/* Which blocks would a snapshot have to read from the origin, after a crash now? */
static void find_bare(struct run *r)
{
	struct opened o;
	const char *wrong = judge_open(&o, &r->disk, &r->expect);
	const struct snapprot_snap *newest;
	struct part *part;
	u64 block, place;
	u32 up_to;

	memset(r->bare, 0, r->expect.blocks * sizeof(*r->bare));
	r->bare_known = true;
	newest = o.core.nr_snaps ? &o.core.snaps[o.core.nr_snaps - 1] : NULL;
	if (wrong) {
		fault(r, wrong);
	} else if (newest && !judge_lost(&o, newest)) {
		for (block = 0; block < r->expect.blocks; block++)
			r->bare[block] = judge_block(&o, &r->disk,
						     newest->epoch, block,
						     &part, &place, &up_to) &&
					 part == &r->disk.origin;
	}
	judge_close(&o);
}

/* A write to the origin: the old data was durable in the store before. */
static void prove(struct run *r, const struct write *w)
{
	u64 start = r->disk.origin.start;
	u64 block, first, last;

	if (w->sector < start ||
	    w->sector >= start + r->expect.blocks * BLOCK_SECTORS)
		return;
	if (!r->bare_known)
		find_bare(r);
	first = (w->sector - start) / BLOCK_SECTORS;
	last = (w->sector + w->sectors - 1 - start) / BLOCK_SECTORS;
	for (block = first; block <= last && block < r->expect.blocks;
	     block++) {
		r->proved++;
		if (r->bare[block])
			fault(r, "a write reached the origin before its old data was durable");
	}
}

/* ---- the log ------------------------------------------------------------------------ */

static void settle(struct run *r)
{
	u32 i;

	for (i = 0; i < r->nr_pending; i++)
		disk_write(&r->disk, &r->pending[i].w, NULL, false);
	r->nr_pending = 0;
	r->bare_known = false;
}

static bool overlaps(const struct write *a, const struct write *b)
{
	return a->sector < b->sector + b->sectors &&
	       b->sector < a->sector + a->sectors;
}

static void add_write(struct run *r, const struct write *w)
{
	bool fua = w->flags & WRITES_FUA;
	u32 i;

	r->writes++;
	for (i = 0; fua && i < r->nr_pending; i++)
		if (overlaps(&r->pending[i].w, w))
			break;
	if (fua && i == r->nr_pending) {
		disk_write(&r->disk, w, NULL, false);
		r->bare_known = false;
		return;
	}
	r->pending = grow(r->pending, r->nr_pending, &r->max_pending,
			  sizeof(*r->pending));
	r->pending[r->nr_pending].w = *w;
	r->pending[r->nr_pending++].must = fua;
}

/* Has a snapshot been taken? Its record is a block of the store. */
static void find_record(struct run *r, const struct write *w)
{
	const struct part *store = &r->disk.store;
	u64 sector = (w->sector + BLOCK_SECTORS - 1) & ~(BLOCK_SECTORS - 1ull);

	for (; w->data && w->sector >= store->start &&
	     sector + BLOCK_SECTORS <= w->sector + w->sectors;
	     sector += BLOCK_SECTORS) {
		const void *at = w->data + (sector - w->sector) * SECTOR;
		u64 place = (sector - store->start) / BLOCK_SECTORS;
		struct snapprot_disk_log l;

		memcpy(&l, at, sizeof(l));
		if (le32_to_cpu(l.h.magic) == SNAPPROT_MAGIC_LOG &&
		    le16_to_cpu(l.type) == SNAPPROT_LOG_CREATE &&
		    !snapprot_block_verify(&l, SNAPPROT_MAGIC_LOG, place))
			expect_instant(&r->expect, le32_to_cpu(l.snap.id),
				       r->whole +
				       r->disk.origin.start * SECTOR);
	}
}

static const char *begin(struct run *r, const char *words)
{
	struct expect *e = &r->expect;
	u64 start[2], sectors[2];

	expect_clear(e);
	if (sscanf(words, "%63s %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
		   e->name, &start[0], &sectors[0], &start[1],
		   &sectors[1]) != 5)
		return "mark: of how many words?";
	r->entries = r->entries_of[r->workload++];
	if (opt.only && strcmp(opt.only, e->name))
		return NULL;
	part_init(&r->disk.origin, "origin", start[0], sectors[0],
		  r->whole + start[0] * SECTOR);
	/* It may grow up to the end of the disk. */
	part_init(&r->disk.store, "store", start[1],
		  r->whole_bytes / SECTOR - start[1],
		  r->whole + start[1] * SECTOR);
	e->store_sectors = sectors[1];
	r->active = true;
	r->disk.round = 1;
	r->nr_pending = 0;
	r->entry = 0;
	r->credit = 0;
	r->writes = 0;
	r->flushes = 0;
	r->states = 0;
	r->proved = 0;
	r->faults = 0;
	r->thorough = 0;
	r->torn = 0;
	r->export_every = opt.exports ? opt.states / opt.exports : 0;
	r->until_export = r->export_every;
	r->bare_known = false;
	clock_gettime(CLOCK_MONOTONIC, &r->began);
	export_begin(&r->disk);
	return judge_adopt(&r->disk, e);
}

static void end(struct run *r)
{
	struct timespec now;
	double seconds;

	clock_gettime(CLOCK_MONOTONIC, &now);
	seconds = now.tv_sec - r->began.tv_sec +
		  (now.tv_nsec - r->began.tv_nsec) / 1e9;
	printf("%s: %" PRIu64 " writes, %" PRIu64 " flushes; %" PRIu64
	       " states, %" PRIu64 " torn writes, %" PRIu64
	       " thorough; %" PRIu64 " blocks proved; %" PRIu64
	       " wrong; %.1f s, %.0f/s\n", r->expect.name, r->writes,
	       r->flushes, r->states, r->torn, r->thorough, r->proved,
	       r->faults, seconds, r->states / seconds);
	fflush(stdout);
	r->all_states += r->states;
	r->all_faults += r->faults;
	r->all_workloads++;
	disk_exit(&r->disk);
	free(r->bare);
	r->bare = NULL;
	r->active = false;
}

static const char *mark_of(const struct write *w)
{
	static char text[BLOCK + 1];

	if (w->sector || w->sectors != BLOCK_SECTORS || !w->data ||
	    memcmp(w->data, BLKPAT_MARK, strlen(BLKPAT_MARK)))
		return NULL;
	memcpy(text, w->data + strlen(BLKPAT_MARK),
	       BLOCK - strlen(BLKPAT_MARK));
	text[strcspn(text, "\n")] = 0;
	return text;
}

static void take_mark(struct run *r, const char *mark)
{
	const char *wrong = NULL;

	if (!strncmp(mark, "begin ", 6)) {
		wrong = begin(r, mark + 6);
		if (r->active)
			r->bare = calloc(r->expect.blocks, sizeof(*r->bare));
	} else if (!r->active) {
		return;
	} else if (!strcmp(mark, "end")) {
		end(r);
	} else if (!strncmp(mark, "ask ", 4)) {
		wrong = expect_mark(&r->expect, false, mark + 4);
	} else if (!strncmp(mark, "ack ", 4)) {
		wrong = expect_mark(&r->expect, true, mark + 4);
	}
	if (wrong && !strncmp(wrong, "mark", 4))
		bad("%s: %s: %s", r->expect.name, wrong, mark);
	if (wrong)
		fault(r, wrong);
}

static void put_whole(struct run *r, const struct write *w)
{
	u8 *to = r->whole + w->sector * SECTOR;

	if (w->data)
		memcpy(to, w->data, w->sectors * SECTOR);
	else
		memset(to, 0, w->sectors * SECTOR);
}

static void take_entry(struct run *r, const struct write *w)
{
	const char *mark;

	r->entry++;
	if (w->flags & WRITES_FLUSH && r->active) {
		r->flushes++;
		r->expect.flushed = true;
		if (!opt.ignore || !once_in(opt.ignore))
			settle(r);
	}
	if (w->sectors) {
		put_whole(r, w);
		mark = mark_of(w);
		if (mark) {
			take_mark(r, mark);
		} else if (r->active) {
			if (!opt.ignore)
				prove(r, w);
			add_write(r, w);
			find_record(r, w);
		}
	}
	if (r->active)
		explore(r);
}

/* How large the disk is, and how many entries each workload has. */
static void survey(struct run *r, const char *path)
{
	struct writes log;
	struct write w;
	u64 end, last = 0;
	u32 n = 0;

	r->entries_of = calloc(MAX_WORKLOADS, sizeof(*r->entries_of));
	writes_open(&log, path);
	while (writes_next(&log, &w)) {
		const char *mark = mark_of(&w);

		end = (w.sector + w.sectors) * SECTOR;
		if (end > r->whole_bytes)
			r->whole_bytes = end;
		if (mark && !strncmp(mark, "begin ", 6))
			last = log.next;
		if (mark && !strcmp(mark, "end") && n < MAX_WORKLOADS)
			r->entries_of[n++] = log.next - last;
	}
	r->whole_bytes &= ~(BLOCK - 1ull);
	r->whole = calloc(1, r->whole_bytes + BLOCK);
	if (!r->whole)
		bad("no memory");
}

static int read_log(const char *path)
{
	struct run r = { 0 };
	struct writes log;
	struct write w;

	survey(&r, path);
	writes_open(&log, path);
	while (writes_next(&log, &w))
		take_entry(&r, &w);
	if (r.active)
		bad("%s: the log ends before the workload", r.expect.name);
	if (!r.all_states)
		bad("no state was looked at");
	printf("%" PRIu64 " workloads, %" PRIu64 " states, %" PRIu64
	       " wrong\n", r.all_workloads, r.all_states, r.all_faults);
	return r.all_faults ? EXIT_WRONG : EXIT_RIGHT;
}

int main(int argc, char **argv)
{
	u64 seed = 1;
	int c;

	while ((c = getopt(argc, argv, "n:s:o:i:e:c:")) != -1) {
		switch (c) {
		case 'n':
			opt.states = strtoull(optarg, NULL, 0);
			break;
		case 's':
			seed = strtoull(optarg, NULL, 0);
			break;
		case 'o':
			opt.only = optarg;
			break;
		case 'i':
			opt.ignore = strtoull(optarg, NULL, 0);
			break;
		case 'e':
			export_open(optarg);
			break;
		case 'c':
			opt.exports = strtoull(optarg, NULL, 0);
			break;
		default:
			bad("see the beginning of explore.c");
		}
	}
	if (argc - optind != 1 || !opt.states || opt.exports > opt.states)
		bad("see the beginning of explore.c");
	random_seed(seed);
	return read_log(argv[optind]);
}
