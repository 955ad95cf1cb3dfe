// SPDX-License-Identifier: GPL-2.0-only
/*
 * A store at work: it preserves, makes checkpoints, merges, as the module would have it
 * do so.
 */
#include <inttypes.h>
#include <time.h>

#include "work.h"

static u64 cpu_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

void work_open(struct work *w)
{
	static const u8 zeros[SNAPPROT_BLOCK_SIZE];
	int err;

	w->cache = cache_new(w->disk, CACHE_BLOCKS);
	w->cache->env.tune = &tune;
	err = snapprot_store_load(&w->core, &w->cache->env,
				  disk_blocks(w->disk), NULL);
	CHECK(!err, "load: %d", err);
	err = snapprot_store_update(&w->core, w->core.generation + 1,
				    w->core.flags | SNAPPROT_SUPER_PROTECTED,
				    w->core.lost_epoch, w->core.lost_fault);
	CHECK(!err, "update: %d", err);
	w->zero_sum = snapprot_data_sum(&w->core, zeros);
	w->base = w->cache->tally;
}

void work_close(struct work *w)
{
	snapprot_store_exit(&w->core);
	cache_free(w->cache);
	w->cache = NULL;
}

struct work *work_new(u64 store_blocks, u64 origin_blocks)
{
	static const u8 id[16] = "scale";
	struct snapprot_format f = {
		.uuid = id,
		.secret = id,
		.store_id = id,
		.origin_sectors = origin_blocks * SNAPPROT_SECTORS_PER_BLOCK,
		.blocks = store_blocks,
		.time = 1,
	};
	struct work *w = must(calloc(1, sizeof(*w)));
	struct cache *c;
	int err;

	w->disk = disk_new(store_blocks);
	c = cache_new(w->disk, CACHE_BLOCKS);
	err = snapprot_store_format(&c->env, &f);
	CHECK(!err, "format: %d", err);
	cache_free(c);
	work_open(w);
	return w;
}

void work_free(struct work *w)
{
	work_close(w);
	disk_free(w->disk);
	free(w->header);
	free(w);
}

/* ---- checkpoints --------------------------------------------------------- */

static void ckpt_begin(struct work *w)
{
	int err = snapprot_ckpt_freeze(&w->core);

	CHECK(!err, "freeze: %d, %" PRIu64 " entries", err, w->entries);
	w->frozen = w->nr_headers;
	snapprot_ckpt_order(&w->core);
	w->phase = CKPT_CHUNK;
}

static void ckpt_write(struct work *w)
{
	int err = snapprot_ckpt_prepare(&w->core);
	u64 cpu = cpu_now();

	CHECK(!err, "prepare: %d, %" PRIu64 " entries", err, w->entries);
	if (w->at_worst)
		w->at_worst(w, w->ctx);
	w->cpu -= cpu_now() - cpu;
	err = snapprot_ckpt_write(&w->core);
	CHECK(!err, "write: %d, %" PRIu64 " entries", err, w->entries);
	w->phase = CKPT_WRITTEN;
}

static void ckpt_finish(struct work *w)
{
	int err = snapprot_ckpt_finish(&w->core);
	u32 i;

	CHECK(!err, "finish: %d, %" PRIu64 " entries", err, w->entries);
	for (i = 0; i < w->frozen; i++)
		disk_drop(w->disk, w->header[i]);
	w->nr_headers -= w->frozen;
	memmove(w->header, w->header + w->frozen,
		w->nr_headers * sizeof(*w->header));
	w->frozen = 0;
	w->checkpoints++;
	w->phase = CKPT_NONE;
	disk_checkpoint(w->disk);
}

/* Entries that are written to a chunk while one batch is. */
#define CKPT_ENTRIES	256u

/*
 * The checkpoint that is in work goes on, if there is one. It takes as long as some five
 * hundred entries of the log: 10 ms, at 50000 a second.
 */
static void ckpt_advance(struct work *w)
{
	const struct snapprot_run *chunk = &w->core.ckpt.run;
	u64 goal = chunk->nr_entries + CKPT_ENTRIES;
	u64 cpu = cpu_now();
	int err;

	switch (w->phase) {
	case CKPT_NONE:
		break;
	case CKPT_CHUNK:
		do {
			err = snapprot_ckpt_step(&w->core, STEP);
			cache_trim(w->cache);
		} while (err > 0 && chunk->nr_entries < goal);
		CHECK(err >= 0, "step: %d, %" PRIu64 " entries", err,
		      w->entries);
		if (!err)
			ckpt_write(w);
		break;
	case CKPT_WRITTEN:
		ckpt_finish(w);
		break;
	}
	w->cpu += cpu_now() - cpu;
}

/* One that is complete before anything else is done. */
void checkpoint(struct work *w)
{
	if (w->phase == CKPT_NONE)
		ckpt_begin(w);
	while (w->phase != CKPT_NONE)
		ckpt_advance(w);
}

/* ---- merging ------------------------------------------------------------- */

/* How far the merges are. */
struct progress {
	const struct snapprot_merge *merge[SNAPPROT_MAX_LEVEL + 1];
	u64 done[SNAPPROT_MAX_LEVEL + 1];
	u64 total[SNAPPROT_MAX_LEVEL + 1];
};

static void progress_get(const struct snapprot_core *core, struct progress *p)
{
	u32 i;

	for (i = 1; i <= SNAPPROT_MAX_LEVEL; i++) {
		const struct snapprot_merge *m = core->level[i].merge;

		p->merge[i] = m;
		p->done[i] = m ? m->done : 0;
		p->total[i] = m ? m->total : 0;
	}
}

/* Entries that were looked at meanwhile; of a merge that has ended, all the rest. */
static u64 progress_made(const struct progress *then,
			 const struct progress *now)
{
	u64 made = 0;
	u32 i;

	for (i = 1; i <= SNAPPROT_MAX_LEVEL; i++) {
		if (now->merge[i] && now->done[i] >= then->done[i])
			made += now->done[i] - then->done[i];
		else if (then->merge[i] && then->total[i] > then->done[i])
			made += then->total[i] - then->done[i];
	}
	return made;
}

void work_steps_clear(struct work *w)
{
	memset(&w->step_entries, 0, sizeof(w->step_entries));
	memset(&w->step_reads, 0, sizeof(w->step_reads));
	memset(&w->step_waits, 0, sizeof(w->step_waits));
}

/* Return: is there more? */
static bool merge_step(struct work *w)
{
	struct progress then, now;
	struct tally before = w->cache->tally, t;
	u64 cpu;
	int err;

	progress_get(&w->core, &then);
	cpu = cpu_now();
	err = snapprot_merge_step(&w->core, STEP);
	w->cpu += cpu_now() - cpu;
	progress_get(&w->core, &now);
	t = tally_since(&w->cache->tally, &before);
	stat_add(&w->step_entries, progress_made(&then, &now));
	stat_add(&w->step_reads, t.read_pieces);
	stat_add(&w->step_waits, t.waits);
	if (err == -ENOSPC)
		checkpoint(w);
	else
		CHECK(err >= 0, "merge: %d, %" PRIu64 " entries", err,
		      w->entries);
	cache_trim(w->cache);
	return err;
}

#define MANY_STEPS	100000000u

/* What is due by now. */
static void merge_due(struct work *w)
{
	u32 steps = 0;

	while (snapprot_merge_due(&w->core)) {
		CHECK(steps++ < MANY_STEPS, "%" PRIu64 " entries", w->entries);
		if (!merge_step(w) && snapprot_merge_due(&w->core))
			fail(__func__, "nothing left when something is due",
			     "%" PRIu64 " entries", w->entries);
	}
	stat_add(&w->burst, steps);
}

/* Merge until nothing is due or, @all, possible. A checkpoint now and then, as some
 * seconds pass.
 */
void merge_settle(struct work *w, bool all)
{
	u32 steps = 0;

	while (all ? snapprot_merge_possible(&w->core) :
	       snapprot_merge_due(&w->core)) {
		CHECK(steps++ < MANY_STEPS, "%" PRIu64 " entries", w->entries);
		merge_step(w);
		if (!(steps % 4096))
			checkpoint(w);
	}
	/* The one in work may have begun before. */
	if (w->phase != CKPT_NONE)
		checkpoint(w);
	checkpoint(w);
}

/* ---- the log ------------------------------------------------------------- */

static void log_write(struct work *w, u64 place, const void *block)
{
	disk_write(w->disk, place, block);
	w->cache->tally.written[CLASS_LOG]++;
	w->cache->tally.write_pieces++;
	if (w->nr_headers == w->max_headers) {
		w->max_headers = w->max_headers * 2 + 64;
		w->header = must(realloc(w->header, w->max_headers *
					 sizeof(*w->header)));
	}
	w->header[w->nr_headers++] = place;
}

/* Was a zone got since? */
static void alloc_note(struct work *w, const struct tally *before, u64 serial)
{
	struct tally t = tally_since(&w->cache->tally, before);

	if (w->core.log.serial == serial)
		return;
	stat_add(&w->alloc_reads, t.read_pieces);
}

static void refill(struct work *w)
{
	struct tally before = w->cache->tally;
	u64 serial = w->core.log.serial;
	int err = snapprot_log_refill(&w->core);

	CHECK(!err || err == -ENOSPC, "%d, %" PRIu64 " entries", err,
	      w->entries);
	alloc_note(w, &before, serial);
}

/* How many entries a batch may have that wants @count. */
static u32 room(struct work *w, u32 count)
{
	u32 tries, n;

	for (tries = 0; tries < 4; tries++) {
		n = snapprot_log_room(&w->core, count);
		if (n)
			return n;
		refill(w);
		n = snapprot_log_room(&w->core, count);
		if (n)
			return n;
		checkpoint(w);
		merge_due(w);
	}
	fail(__func__, "room", "%" PRIu64 " entries, %" PRIu64 " blocks free",
	     w->entries, snapprot_space_free_blocks(&w->core));
}

static void preserve_some(struct work *w, const u64 *block, u32 count)
{
	struct snapprot_entry entry[SNAPPROT_LOG_ENTRIES];
	u64 place[SNAPPROT_LOG_ENTRIES];
	static u8 header[SNAPPROT_BLOCK_SIZE];
	struct tally before;
	u64 cpu, at, serial;
	u32 i;
	int err;

	before = w->cache->tally;
	serial = w->core.log.serial;
	cpu = cpu_now();
	err = snapprot_log_reserve(&w->core, count, place);
	CHECK(!err, "reserve: %d, %" PRIu64 " entries", err, w->entries);
	alloc_note(w, &before, serial);
	at = w->core.log.block;
	for (i = 0; i < count; i++) {
		entry[i] = (struct snapprot_entry){
			.block = block[i],
			.where = SNAPPROT_WHERE(SNAPPROT_KIND_DATA, place[i]),
			.epoch = w->core.epoch,
			.sum = w->zero_sum,
		};
		disk_drop(w->disk, place[i]);
	}
	snapprot_log_encode_batch(&w->core, header, entry, count);
	log_write(w, at, header);
	err = snapprot_log_commit(&w->core, header);
	CHECK(!err, "commit: %d, %" PRIu64 " entries", err, w->entries);
	w->entries += count;
	refill(w);
	w->cpu += cpu_now() - cpu;

	ckpt_advance(w);
	if (w->phase == CKPT_NONE && snapprot_log_full(&w->core))
		ckpt_begin(w);
	merge_due(w);
}

/* Preserve blocks that were not, in this epoch. */
void preserve(struct work *w, const u64 *block, u32 count)
{
	while (count) {
		u32 n = room(w, count);

		preserve_some(w, block, n);
		block += n;
		count -= n;
	}
}

static void record(struct work *w, enum snapprot_log_type type,
		   const struct snapprot_snap *snap)
{
	static u8 header[SNAPPROT_BLOCK_SIZE];
	u64 at;
	int err;

	err = snapprot_log_reserve(&w->core, 0, NULL);
	CHECK(!err, "reserve: %d, %" PRIu64 " entries", err, w->entries);
	at = w->core.log.block;
	snapprot_log_encode_record(&w->core, header, type, snap);
	log_write(w, at, header);
	err = snapprot_log_commit(&w->core, header);
	CHECK(!err, "commit: %d, %" PRIu64 " entries", err, w->entries);
	refill(w);
}

/* Return: its epoch. */
u32 snap_create(struct work *w)
{
	struct snapprot_snap snap = {
		.id = snapprot_snap_new_id(&w->core),
		.epoch = w->core.epoch + 1,
		.time = 1,
		.sectors = w->core.origin_sectors,
	};

	snprintf(snap.name, sizeof(snap.name), "s%u", snap.id);
	memcpy(snap.uuid, &snap.id, sizeof(snap.id));
	record(w, SNAPPROT_LOG_CREATE, &snap);
	CHECK(w->core.epoch == snap.epoch, "epoch %u", w->core.epoch);
	return snap.epoch;
}

void snap_delete(struct work *w, u32 epoch)
{
	struct snapprot_snap snap;
	u32 i;

	for (i = 0; i < w->core.nr_snaps; i++)
		if (w->core.snaps[i].epoch == epoch)
			break;
	CHECK(i < w->core.nr_snaps, "epoch %u", epoch);
	snap = w->core.snaps[i];
	record(w, SNAPPROT_LOG_DELETE, &snap);
}
