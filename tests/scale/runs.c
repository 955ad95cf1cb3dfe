// SPDX-License-Identifier: GPL-2.0-only
/*
 * The runs that scale.c knows: each makes a store of its own, puts it to work, and
 * reports figures.
 */
#include <inttypes.h>
#include <time.h>

#include "work.h"

/* ---- what was written and read ------------------------------------------- */

static u64 metadata(const struct tally *t)
{
	return tally_sum(t->written) - t->written[CLASS_LOG];
}

/* Blocks written for each that somebody wrote: its own, the old data, and ours. */
static double written(const struct tally *t, u64 entries)
{
	return 2 + (double)tally_sum(t->written) / entries;
}

static void print_classes(const struct tally *t, u64 entries)
{
	u32 i;

	if (!verbose)
		return;
	for (i = 0; i < NR_CLASSES; i++)
		if (t->written[i] || t->read[i])
			printf("    %-20s written %.5f read %.5f an entry\n",
			       class_name[i], (double)t->written[i] / entries,
			       (double)t->read[i] / entries);
	printf("    waits %.5f ahead %.5f wasted %.5f an entry\n",
	       (double)t->waits / entries, (double)t->ahead / entries,
	       (double)t->wasted / entries);
}

/* ---- after a crash, and lookups ------------------------------------------ */

/**
 * struct found - what crashes and lookups in a stretch of a run have shown
 * @next: entries at which the next crash is due
 * @every: and from there to the next
 */
struct found {
	struct shuffle order;
	u32 epoch;
	u64 next;
	u64 every;
	struct stat load_reads, load_blocks, load_waits, load_bytes, load_ms;
	struct stat cold_reads, cold_waits, warm_reads, warm_waits;
};

/* One lookup as the module makes it: whatever is missing is read, and it is made
 * again.
 */
static void lookup(struct cache *c, struct snapprot_core *core,
		   const struct found *f, u64 entries, struct stat *reads,
		   struct stat *waits)
{
	bool kept = random_below(2);
	u64 i = kept ? random_below(entries) :
		entries + random_below(f->order.n - entries);
	u64 block = shuffle_at(&f->order, i);
	struct snapprot_entry e;
	u32 nr_reads = 0, nr_waits = 0;
	int err;

	for (;;) {
		err = snapprot_lookup(core, block, f->epoch, &e);
		if (err != -EAGAIN)
			break;
		CHECK(c->wave_count, "-EAGAIN for nothing");
		nr_reads += cache_wave(c);
		nr_waits++;
	}
	nr_reads += cache_wave(c);
	CHECK(err == kept, "%d, %" PRIu64 " of %" PRIu64 " entries", err,
	      i, entries);
	CHECK(!kept || e.block == block, "%" PRIu64, block);
	stat_add(reads, nr_reads);
	stat_add(waits, nr_waits);
}

#define COLD_LOOKUPS	20u
#define WARM_UP		400u
#define WARM_LOOKUPS	20u

/* Power fails now: load, and look up. The store at work knows nothing of it. */
static void power_fails(struct work *w, struct found *f)
{
	static struct snapprot_core core;
	struct cache *c = cache_new(w->disk, CACHE_BLOCKS);
	struct stat ignored = { 0 };
	struct cache_set set;
	struct timespec from, to;
	u32 i;
	int err;

	c->env.tune = &tune;
	clock_gettime(CLOCK_MONOTONIC, &from);
	err = snapprot_store_load(&core, &c->env, disk_blocks(w->disk), NULL);
	clock_gettime(CLOCK_MONOTONIC, &to);
	CHECK(!err, "load: %d, %" PRIu64 " entries", err, w->entries);
	CHECK(core.log.seq == w->core.log.seq,
	      "log ends at %" PRIu64 ", not at %" PRIu64, core.log.seq,
	      w->core.log.seq);
	stat_add(&f->load_reads, c->tally.read_pieces);
	stat_add(&f->load_blocks, tally_sum(c->tally.read));
	stat_add(&f->load_waits, c->tally.waits);
	stat_add(&f->load_bytes, c->peak_bytes +
		 (u64)c->peak * SNAPPROT_BLOCK_SIZE);
	stat_add(&f->load_ms, (to.tv_sec - from.tv_sec) * 1000 +
		 (to.tv_nsec - from.tv_nsec) / 1000000);
	if (verbose) {
		printf("  crash at %" PRIu64 ": %" PRIu64 " reads, %" PRIu64
		       " blocks", w->entries, c->tally.read_pieces,
		       tally_sum(c->tally.read));
		for (i = 0; i < NR_CLASSES; i++)
			if (c->tally.read[i])
				printf(", %" PRIu64 " %s", c->tally.read[i],
				       class_name[i]);
		printf(", %.1f MiB\n", c->peak_bytes / MIB);
	}

	c->async = true;
	set = cache_save(c);
	for (i = 0; i < COLD_LOOKUPS; i++) {
		cache_restore(c, &set);
		lookup(c, &core, f, w->entries, &f->cold_reads, &f->cold_waits);
	}
	for (i = 0; i < WARM_UP; i++)
		lookup(c, &core, f, w->entries, &ignored, &ignored);
	for (i = 0; i < WARM_LOOKUPS; i++)
		lookup(c, &core, f, w->entries, &f->warm_reads, &f->warm_waits);
	free(set.place);
	snapprot_store_exit(&core);
	CHECK(!c->bytes, "%" PRIu64 " bytes were not freed", c->bytes);
	cache_free(c);
}

static void crash_at_worst(struct work *w, void *ctx)
{
	struct found *f = ctx;

	if (w->entries < f->next)
		return;
	f->next += f->every;
	power_fails(w, f);
}

/* ---- random first writes ------------------------------------------------- */

static void report_lookups(u64 n, const struct found *f)
{
	report("load after a crash: reads", n, f->load_reads.max, 600,
	       "worst of %" PRIu64 ", mean %.0f; blocks %" PRIu64
	       ", one after the other %" PRIu64 ", %" PRIu64 " ms",
	       f->load_reads.count, stat_mean(&f->load_reads),
	       f->load_blocks.max, f->load_waits.max, f->load_ms.max);
	report("load after a crash: MiB, with the cache", n,
	       f->load_bytes.max / MIB, 64, "worst");
	report("lookup, cold: reads", n, f->cold_reads.max, 8,
	       "worst of %" PRIu64 ", mean %.2f", f->cold_reads.count,
	       stat_mean(&f->cold_reads));
	report("lookup, cold: one after the other", n, f->cold_waits.max, 3,
	       "worst, mean %.2f", stat_mean(&f->cold_waits));
	report("lookup, upper levels cached: one after other", n,
	       f->warm_waits.max, 2, "worst of %" PRIu64 ", mean %.2f; reads %"
	       PRIu64 ", mean %.2f", f->warm_waits.count,
	       stat_mean(&f->warm_waits), f->warm_reads.max,
	       stat_mean(&f->warm_reads));
}

static void report_writes(struct work *w, u64 n, const struct tally *t, u64 count,
			  u64 cpu)
{
	struct tally all = tally_since(&w->cache->tally, &w->base);
	u64 blocks = tally_sum(t->read), nodes = t->read[CLASS_NODE];

	report("random: written per KiB", n, written(t, count), 2.20,
	       "since the row before; %.3f since the start",
	       written(&all, w->entries));
	report("random: metadata read, blocks a write", n,
	       (double)blocks / count, 0.15, "%.3f since the start",
	       (double)tally_sum(all.read) / w->entries);
	report("random: share of nodes read in less than 64 KiB", n,
	       nodes ? 1 - (double)t->read_large / nodes : 0, 0.1,
	       "mean piece of all %.0f KiB, %" PRIu64 " pieces",
	       4.0 * blocks / t->read_pieces, t->read_pieces);
	report("memory: MiB, with the cache, without bits", n,
	       (w->cache->peak_bytes +
		(double)w->cache->peak * SNAPPROT_BLOCK_SIZE) / MIB, 64,
	       "worst; now %.1f of alloc", w->cache->bytes / MIB);
	report("random: CPU of the core, ns a write", n,
	       (double)cpu / count, -1, "with its environment here");
	report("random: merging, steps between batches", n, w->burst.max, -1,
	       "worst, mean %.1f of %u entries; a step: at most %" PRIu64
	       " entries, %" PRIu64 " reads, waits for %" PRIu64,
	       stat_mean(&w->burst), STEP, w->step_entries.max,
	       w->step_reads.max, w->step_waits.max);
	print_classes(t, count);
}

/* A tenfold of entries, from @from to @to. */
static void random_stretch(struct work *w, struct found *f, u64 from, u64 to)
{
	struct tally before = w->cache->tally, t;
	u64 cpu = w->cpu;
	u64 block[BATCH];
	u32 i, n;

	f->every = (to - from) / 32 + 1;
	f->next = from + f->every;
	w->burst = (struct stat){ 0 };
	work_steps_clear(w);
	while (w->entries < to) {
		n = (u32)snapprot_min(BATCH, to - w->entries);
		for (i = 0; i < n; i++)
			block[i] = shuffle_at(&f->order, w->entries + i);
		preserve(w, block, n);
	}
	t = tally_since(&w->cache->tally, &before);
	report_writes(w, to, &t, to - from, w->cpu - cpu);
	power_fails(w, f);
	report_lookups(to, f);
	if (verbose)
		printf("    disk: %" PRIu64 " pages, at most %" PRIu64 "\n",
		       disk_pages(w->disk), disk_peak(w->disk));
}

static u64 next_power(u64 n)
{
	u64 p = 1;

	while (p <= n)
		p *= 10;
	return p;
}

/* 1 TiB of origin, or what keeps it a quarter full; a store that is large enough. */
void run_random(u64 max)
{
	u64 blocks = 1ull << 28;
	struct shuffle order;
	struct work *w;
	u64 from, to;
	u32 epoch;

	while (blocks < 2 * max)
		blocks *= 2;
	head("random first writes of 4 KiB, 32 at a time");
	order = shuffle_of(blocks, 1);
	w = work_new(blocks, blocks);
	epoch = snap_create(w);
	w->at_worst = crash_at_worst;
	for (from = 0; from < max; from = to) {
		struct found f = { .order = order, .epoch = epoch };

		to = from ? snapprot_min(next_power(from), max) :
			snapprot_min(10000, max);
		w->ctx = &f;
		random_stretch(w, &f, from, to);
	}
	work_free(w);
}

/* ---- sequential first writes --------------------------------------------- */

static void write_sequentially(u64 max, u32 batch, double limit)
{
	u64 blocks = 1ull << 28;
	struct work *w = work_new(blocks, blocks);
	struct tally before;
	u64 block[SNAPPROT_LOG_ENTRIES];
	u32 i;

	snap_create(w);
	before = w->cache->tally;
	while (w->entries < max) {
		for (i = 0; i < batch; i++)
			block[i] = w->entries + i;
		preserve(w, block, batch);
	}
	before = tally_since(&w->cache->tally, &before);
	report("sequential: written per KiB", max, written(&before, w->entries),
	       limit, "%u a batch; metadata read %.4f blocks a write", batch,
	       (double)tally_sum(before.read) / w->entries);
	print_classes(&before, w->entries);
	work_free(w);
}

void run_sequential(u64 max)
{
	head("sequential first writes of 4 KiB");
	write_sequentially(max, BATCH, 2.05);
	write_sequentially(max, SNAPPROT_LOG_ENTRIES, -1);
}

/* ---- deletion ------------------------------------------------------------ */

#define SNAPS		64u

/**
 * struct history - in which epochs each block of an origin was preserved
 * @mask: by block: bit n: in that of snapshot n
 * @valid: snapshots that there are
 */
struct history {
	u64 *mask;
	u64 blocks;
	u64 valid;
};

/* Entries that are needed: a valid snapshot lies behind the one before. */
static u64 history_needed(const struct history *h)
{
	u64 i, needed = 0;

	for (i = 0; i < h->blocks; i++) {
		u64 left = h->mask[i];
		u64 passed = 0;

		while (left) {
			u64 low = left & -left;
			u64 mask = low | (low - 1);

			needed += !!(h->valid & mask & ~passed);
			passed = mask;
			left ^= low;
		}
	}
	return needed;
}

/* SNAPS snapshots; between two of them half of the blocks is written, at random. */
static struct work *work_with_history(u64 entries, struct history *h,
				      u32 *epoch)
{
	u64 each = entries / SNAPS;
	struct work *w;
	u64 block[BATCH];
	u64 done;
	u32 s, i, n;

	h->blocks = each * 2;
	h->mask = must(calloc(h->blocks, sizeof(u64)));
	h->valid = ~0ull;
	w = work_new(snapprot_min(entries * 2 + (1 << 20), 1ull << 28),
		     h->blocks);
	for (s = 0; s < SNAPS; s++) {
		struct shuffle order = shuffle_of(h->blocks, 100 + s);

		epoch[s] = snap_create(w);
		for (done = 0; done < each; done += n) {
			n = (u32)snapprot_min(BATCH, each - done);
			for (i = 0; i < n; i++) {
				block[i] = shuffle_at(&order, done + i);
				h->mask[block[i]] |= 1ull << s;
			}
			preserve(w, block, n);
		}
	}
	return w;
}

static void report_deletion(struct work *w, const char *figure, u64 n,
			    const struct tally *t, u64 freed, u64 needed,
			    double limit)
{
	report(figure, n, freed ? (double)metadata(t) / freed : 0, limit,
	       "%" PRIu64 " blocks freed, %" PRIu64 " of metadata written, %"
	       PRIu64 " read; held / needed %.3f", freed, metadata(t),
	       tally_sum(t->read),
	       (double)snapprot_space_used(&w->core) / needed);
	print_classes(t, freed ? freed : 1);
}

static void report_steps(struct work *w, const char *figure, u64 n)
{
	report(figure, n, w->step_entries.max, 64,
	       "entries; %" PRIu64 " reads, of which waited for %" PRIu64
	       "; mean %.1f and %.3f, %" PRIu64 " steps", w->step_reads.max,
	       w->step_waits.max, stat_mean(&w->step_entries),
	       stat_mean(&w->step_reads), w->step_reads.count);
	report("deletion: longest step, reads", n, w->step_waits.max, 2,
	       "requests that the step waits for");
}

/*
 * One in the middle; then half of the others, one by one, each with what there is to do
 * for it when nobody writes.
 */
void run_delete(u64 max)
{
	u32 epoch[SNAPS];
	struct history h;
	struct tally t;
	struct work *w;
	u64 used, entries;
	u32 s;

	max = snapprot_min(max, 10000000);
	head("deleting snapshots, of 64 that share most");
	w = work_with_history(max, &h, epoch);
	entries = w->entries;
	merge_settle(w, true);

	work_steps_clear(w);
	t = w->cache->tally;
	used = snapprot_space_used(&w->core);
	snap_delete(w, epoch[SNAPS / 2]);
	h.valid &= ~(1ull << SNAPS / 2);
	merge_settle(w, true);
	t = tally_since(&w->cache->tally, &t);
	report_deletion(w, "deletion of one: metadata an entry freed", entries, &t,
			used - snapprot_space_used(&w->core),
			history_needed(&h), -1);

	t = w->cache->tally;
	used = snapprot_space_used(&w->core);
	for (s = 1; s < SNAPS; s += 2) {
		snap_delete(w, epoch[s]);
		h.valid &= ~(1ull << s);
		merge_settle(w, true);
	}
	t = tally_since(&w->cache->tally, &t);
	report_deletion(w, "deletion of many: metadata an entry freed", entries,
			&t, used - snapprot_space_used(&w->core),
			history_needed(&h), 0.05);
	report_steps(w, "deletion: longest step", entries);
	free(h.mask);
	work_free(w);
}

/* ---- hourly snapshots ---------------------------------------------------- */

#define HOURS		1000u
#define KEEP		24u

/*
 * Keeps KEEP of them; each hour @each of @blocks blocks are written. @idle: between two
 * hours there is time for all that can be done, else only what is due is.
 */
static void hourly(const char *figure, u64 blocks, u64 each, bool idle)
{
	struct work *w = work_new(1 << 23, blocks);
	struct history h = { must(calloc(blocks, sizeof(u64))), blocks, 0 };
	struct tally t = w->cache->tally;
	u32 epoch[KEEP + 1];
	double worst = 0, end = 0;
	u64 block[BATCH], done, i;
	u32 hour, have = 0, n, at = 0;

	for (hour = 0; hour < HOURS; hour++) {
		struct shuffle order = shuffle_of(blocks, 1000 + hour);

		/* The newest snapshot has bit KEEP; bit 0 are all before the 24. */
		h.valid = h.valid >> 1 | 1ull << KEEP;
		for (i = 0; i < blocks; i++)
			h.mask[i] = h.mask[i] >> 1 | (h.mask[i] & 1);
		epoch[have++] = snap_create(w);
		for (done = 0; done < each; done += n) {
			n = (u32)snapprot_min(BATCH, each - done);
			for (i = 0; i < n; i++) {
				block[i] = shuffle_at(&order, done + i);
				h.mask[block[i]] |= 1ull << KEEP;
			}
			preserve(w, block, n);
		}
		if (have > KEEP) {
			snap_delete(w, epoch[0]);
			have--;
			memmove(epoch, epoch + 1, have * sizeof(*epoch));
			h.valid &= ~1ull;
		}
		merge_settle(w, idle);
		end = (double)snapprot_space_used(&w->core) / history_needed(&h);
		if (end > worst) {
			worst = end;
			at = hour;
		}
	}
	t = tally_since(&w->cache->tally, &t);
	report(figure, each, worst, idle ? 1.2 : -1,
	       "in hour %u; %.3f at the end, with %" PRIu64
	       " needed; metadata %.3f blocks a write", at, end,
	       history_needed(&h), (double)metadata(&t) / w->entries);
	print_classes(&t, w->entries);
	free(h.mask);
	work_free(w);
}

void run_hourly(u64 max)
{
	bool all = max >= 10000000;

	head("a snapshot each hour for 1000 hours, 24 of them are kept");
	hourly("the same blocks each hour: held / needed", 1000, 1000, true);
	hourly("of 20 as many: held / needed", 20000, 1000, true);
	if (all)
		hourly("of 5 as many: held / needed", 100000, 20000, true);
	hourly("the same, never idle: held / needed", 1000, 1000, false);
	if (all)
		hourly("of 5 as many, never idle: held / needed", 100000, 20000,
		       false);
}

/* ---- a store that is nearly full ----------------------------------------- */

#define FULL_BLOCKS	(1ull << 32)	/* 16 TiB */

/* Each such group has free blocks, and so many. */
static u32 roomy, room_in;

/* Of a group behind the first one: full, or nearly so. */
static void full_bits(u64 group, u8 *bits)
{
	u32 i;

	memset(bits, 0xff, SNAPPROT_BITMAP_BYTES);
	memset(bits, 0, SNAPPROT_GROUP_FIXED / 8);
	if (group % roomy)
		return;
	for (i = 0; i < room_in; i++)
		snapprot_bit_clear(bits, 100 + i * 63);
}

static u32 full_used(u64 group)
{
	return SNAPPROT_GROUP_BLOCKS - SNAPPROT_GROUP_FIXED -
		(group % roomy ? 0 : room_in);
}

static bool full_fill(u64 place, void *data)
{
	u64 group = snapprot_group_of(place);

	if (!group || place != snapprot_bitmap_place(group, SNAPPROT_SLOT_VALID))
		return false;
	full_bits(group, data);
	return true;
}

/*
 * Make the entry of the space table that leads to node @index of @level: what is there
 * stays, all other groups are full. Return: blocks in use below.
 */
static u64 full_node(struct disk *d, const siphash_key_t *key,
		     const struct snapprot_disk_super *super, u32 level,
		     u64 index, struct snapprot_disk_space_entry *e)
{
	u64 groups = snapprot_group_count(FULL_BLOCKS);
	u32 slot = le32_to_cpu(e->slot);
	struct snapprot_disk_space node;
	u64 at, used = 0;
	u32 i;

	if (!slot)
		slot = SNAPPROT_SLOT_VALID;
	at = snapprot_node_place(level, index, slot);
	if (e->slot) {
		disk_read(d, at, &node);
	} else {
		memset(&node, 0, sizeof(node));
		snapprot_block_init(&node, SNAPPROT_MAGIC_SPACE, at,
				    le64_to_cpu(super->ckpt_seq), super->h.uuid);
		node.level = cpu_to_le64(level);
		node.index = cpu_to_le64(index);
	}
	for (i = 0; i < SNAPPROT_SPACE_FANOUT; i++) {
		struct snapprot_disk_space_entry *child = &node.entry[i];
		u64 n = index * SNAPPROT_SPACE_FANOUT + i;
		u8 bits[SNAPPROT_BITMAP_BYTES];
		u64 place, sum;

		if ((n << SNAPPROT_SPACE_SHIFT * level) >= groups)
			break;
		if (level) {
			used += full_node(d, key, super, level - 1, n, child);
			continue;
		}
		if (n) {
			place = snapprot_bitmap_place(n, SNAPPROT_SLOT_VALID);
			full_bits(n, bits);
			sum = snapprot_block_sum(key, bits,
						 SNAPPROT_MAGIC_BITMAP, place);
			child->slot = cpu_to_le32(SNAPPROT_SLOT_VALID);
			child->used = cpu_to_le64(full_used(n));
			child->sum = cpu_to_le64(sum);
		}
		used += le64_to_cpu(child->used);
	}
	disk_write(d, at, &node);
	e->slot = cpu_to_le32(slot);
	e->used = cpu_to_le64(used);
	e->sum = cpu_to_le64(snapprot_block_sum(key, &node,
						SNAPPROT_MAGIC_SPACE, at));
	return used;
}

/* Read a copy of the superblock; false if it is none. */
static bool super_read(struct disk *d, u32 copy,
		       struct snapprot_disk_super *super)
{
	static const u64 place[] = {
		SNAPPROT_SUPER_BLOCK_0, SNAPPROT_SUPER_BLOCK_1,
		SNAPPROT_SUPER_BLOCK_2, SNAPPROT_SUPER_BLOCK_3,
	};

	disk_read(d, place[copy], super);
	return !snapprot_super_verify(super, place[copy]);
}

#define SUPERS		4u

/* Fill all groups but the first, behind the back of a store that is closed. */
static void make_full(struct work *w)
{
	struct snapprot_disk_super super, best = { 0 };
	struct snapprot_disk_space_entry root;
	siphash_key_t key;
	u32 copy;
	u64 used;

	for (copy = 0; copy < SUPERS; copy++)
		if (super_read(w->disk, copy, &super) &&
		    le64_to_cpu(super.h.seq) > le64_to_cpu(best.h.seq))
			best = super;
	snapprot_key_init(&key, best.secret);
	root.slot = best.space_slot;
	root.sum = best.space_sum;
	root.used = best.space_used;
	used = full_node(w->disk, &key, &best, le32_to_cpu(best.space_level),
			 0, &root);
	for (copy = 0; copy < SUPERS; copy++) {
		if (!super_read(w->disk, copy, &super) ||
		    super.h.seq != best.h.seq)
			continue;
		super.space_slot = root.slot;
		super.space_sum = root.sum;
		super.space_used = cpu_to_le64(used);
		snapprot_super_seal(&super);
		disk_write(w->disk, le64_to_cpu(super.h.block), &super);
	}
	disk_set_fill(w->disk, full_fill);
}

static void nearfull(const char *figure, u64 entries, u32 each, u32 blocks)
{
	struct work *w = work_new(FULL_BLOCKS, FULL_BLOCKS);
	u64 block[BATCH], first;
	u32 i;

	roomy = each;
	room_in = blocks;
	snap_create(w);
	for (i = 0; i < BATCH; i++)
		block[i] = i;
	preserve(w, block, BATCH);
	checkpoint(w);
	work_close(w);
	make_full(w);
	w->nr_headers = 0;
	work_open(w);
	first = snapprot_space_free_blocks(&w->core);
	CHECK(first < FULL_BLOCKS / 256, "%" PRIu64 " blocks are free", first);
	while (w->entries < entries) {
		/* Those of the first group are no feat. */
		if (w->entries < SNAPPROT_GROUP_BLOCKS)
			memset(&w->alloc_reads, 0, sizeof(w->alloc_reads));
		for (i = 0; i < BATCH; i++)
			block[i] = (w->entries + i) * 1000;
		preserve(w, block, BATCH);
	}
	report(figure, entries, w->alloc_reads.max, 4,
	       "worst of %" PRIu64 ", mean %.2f; %.1f batches for each; %.3f %% were free",
	       w->alloc_reads.count, stat_mean(&w->alloc_reads),
	       (double)(entries - SNAPPROT_GROUP_BLOCKS) / BATCH /
	       w->alloc_reads.count, 100.0 * first / FULL_BLOCKS);
	work_free(w);
}

void run_nearfull(u64 max)
{
	u64 entries = snapprot_min(max, 200000);

	head("a store of 16 TiB that is nearly full");
	nearfull("512 blocks free in each 64th group: reads", entries, 64, 512);
	nearfull("64 blocks free in each group: reads", entries, 1, 64);
	nearfull("33 blocks free in each group: reads", entries, 1, 33);
}

/* ---- what changed -------------------------------------------------------- */

void run_changed(u64 max)
{
	head("what changed between two snapshots");
	printf("%-48s not yet\n", "changed, between neighbours");
}
