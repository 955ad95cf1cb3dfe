// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a volume does. The order in which things are written is that of
 * doc/format.rst, as in the module.
 */
#include <inttypes.h>

#include "../lib/blkpat.h"
#include "perform.h"

#define MAX_STEPS	4u
#define MAX_HERE	12u	/* snapshots at a time */

struct volume vol;

/* Nothing lies here, so that any error is one of the core, or of this program. */
void must(int err, const char *what)
{
	if (err)
		bad("%s: %s", what, strerror(-err));
}

static u64 smaller(u64 a, u64 b)
{
	return a < b ? a : b;
}

static void flush(void)
{
	media_flush(&vol.media);
}

static u8 *origin_at(u64 block)
{
	return vol.media.now + (ORIGIN_START + block * BLOCK_SECTORS) * SECTOR;
}

/* ---- the label --------------------------------------------------------------- */

static u64 label_sector(u32 copy)
{
	return vol.area + snapprot_label_place(copy) * BLOCK_SECTORS;
}

static bool label_has(u32 flag)
{
	return le32_to_cpu(vol.label.flags) & flag;
}

/* To the pair that the last write has not touched, one copy after the other. */
static void label_put(struct snapprot_disk_label *l)
{
	u32 first, copy;

	l->h.seq = cpu_to_le64(le64_to_cpu(l->h.seq) + 1);
	first = snapprot_pair_of(le64_to_cpu(l->h.seq));
	for (copy = first; copy < first + 2; copy++) {
		l->h.block = cpu_to_le64(copy);
		snapprot_label_seal(l);
		media_write(&vol.media, label_sector(copy), BLOCK_SECTORS, l,
			    wrongly(WITNESS_NO_FLUSH) ? WRITES_FUA :
			    WRITES_FLUSH | WRITES_FUA);
	}
}

/* With what is known of the store, if it is open. @more: than is durable */
static void label_write_more(u32 set, u32 clear, u64 more)
{
	struct snapprot_disk_label *l = &vol.label;
	u32 flags = (le32_to_cpu(l->flags) | set) & ~clear;
	struct snapprot_evidence ev;

	l->flags = cpu_to_le32(flags);
	if (!(flags & SNAPPROT_LABEL_WITNESS)) {
		l->nr_witness = 0;
		memset(l->witness, 0, sizeof(l->witness));
	}
	if (vol.core.env) {
		snapprot_store_evidence(&vol.core, &ev);
		l->ckpt_seq = cpu_to_le64(ev.ckpt_seq);
		l->log_seq = cpu_to_le64(ev.log_seq + more);
		l->super_seq = cpu_to_le64(ev.super_seq);
		l->epoch = cpu_to_le32(ev.epoch);
	}
	label_put(l);
}

void vol_label_write(u32 set, u32 clear)
{
	label_write_more(set, clear, 0);
}

static void witness_add(u64 block)
{
	struct snapprot_disk_label *l = &vol.label;
	u32 count = le32_to_cpu(l->nr_witness), i;

	for (i = 0; i < count; i++)
		if (le64_to_cpu(l->witness[i].block) == block)
			return;
	l->witness[count].block = cpu_to_le64(block);
	l->witness[count].sum =
		cpu_to_le64(snapprot_witness_sum(l, origin_at(block), block));
	l->nr_witness = cpu_to_le32(count + 1);
}

/* The volume is shut down, and nobody writes any more. */
static void witness_take(void)
{
	u32 i;

	if (!wrongly(WITNESS_NO_FLUSH))
		flush();
	vol.label.nr_witness = 0;
	for (i = 0; i < SNAPPROT_WITNESS_HEAD; i++)
		witness_add(i);
	for (i = 0; i < RECENT && i < vol.nr_recent; i++)
		witness_add(vol.recent[i]);
	for (i = 0; i < 8; i++)
		witness_add(random_below(vol.blocks));
	vol_label_write(SNAPPROT_LABEL_WITNESS, 0);
}

static void witness_compare(void)
{
	const struct snapprot_disk_label *l = &vol.label;
	u32 i;

	for (i = 0; label_has(SNAPPROT_LABEL_WITNESS) &&
	     i < le32_to_cpu(l->nr_witness); i++) {
		u64 block = le64_to_cpu(l->witness[i].block);

		if (snapprot_witness_sum(l, origin_at(block), block) !=
		    le64_to_cpu(l->witness[i].sum) && !vol.mistake)
			bad("block %" PRIu64 " has changed", block);
	}
}

/* The label that is there. Is it on the disk in both copies of its pair? */
static bool label_read(void)
{
	const struct snapprot_disk_label *copy[SNAPPROT_COPIES], *best;
	u32 first, i;
	u64 seq;
	int err;

	for (i = 0; i < SNAPPROT_COPIES; i++)
		copy[i] = (const void *)(vol.media.now +
					 label_sector(i) * SECTOR);
	best = snapprot_label_choose(copy, &err);
	must(best ? 0 : err, "the label");
	vol.label = *best;
	seq = le64_to_cpu(best->h.seq);
	first = snapprot_pair_of(seq);
	for (i = first; i < first + 2; i++)
		if (snapprot_label_verify(copy[i], i) ||
		    le64_to_cpu(copy[i]->h.seq) != seq)
			return false;
	return true;
}

/* ---- the log ----------------------------------------------------------------- */

/**
 * struct step - a step that is on its way
 * @block: the last one of the origin that it has
 */
struct step {
	u8 header[BLOCK];
	u64 place[SNAPPROT_LOG_ENTRIES + 1];
	const void *data[SNAPPROT_LOG_ENTRIES + 1];
	u32 count;
	u64 block;
};

static void merge_some(void);
static void drop_oldest(void);

void vol_refill(void)
{
	int err = snapprot_log_refill(&vol.core);

	must(err == -ENOSPC ? 0 : err, "more space for the log");
}

static void step_write(const struct step *s)
{
	media_env_write(&vol.env, s->place, s->data, s->count);
}

static void put_record(enum snapprot_log_type type, const struct snapprot_snap *snap)
{
	static struct step s;
	u32 tries = 0;
	int err;

	while ((err = snapprot_log_reserve(&vol.core, 0, NULL)) == -ENOSPC &&
	       tries++ < 3) {
		vol_checkpoint();
		vol_refill();
	}
	must(err, "a record");
	if (wrongly(LABEL_AHEAD) && once_in(2))
		label_write_more(0, 0, 1);
	if (snap)
		snapprot_log_encode_record(&vol.core, s.header, type, snap);
	else
		snapprot_log_encode_seal(&vol.core, s.header);
	s.place[0] = vol.core.log.block;
	s.data[0] = s.header;
	s.count = 1;
	step_write(&s);
	if (!wrongly(LOG_NO_FLUSH))
		flush();
	must(snapprot_log_commit(&vol.core, s.header), "commit of a record");
}

void vol_seal(void)
{
	if (!vol.core.log.sealed)
		put_record(SNAPPROT_LOG_SEAL, NULL);
}

/* Make a step of the first blocks of these; how many. */
static u32 step_make(struct step *s, const u64 *block, u32 count)
{
	struct snapprot_entry e[SNAPPROT_LOG_ENTRIES];
	u32 i, n;

	n = 1 + random_below(smaller(count, 12));
	n = snapprot_log_room(&vol.core, n);
	if (!n)
		return 0;
	must(snapprot_log_reserve(&vol.core, n, s->place), "a batch");
	for (i = 0; i < n; i++) {
		s->data[i] = origin_at(block[i]);
		e[i].block = block[i];
		e[i].where = SNAPPROT_WHERE(SNAPPROT_KIND_DATA, s->place[i]);
		e[i].epoch = vol.core.epoch;
		e[i].sum = snapprot_data_sum(&vol.core, s->data[i]);
	}
	snapprot_log_encode_batch(&vol.core, s->header, e, n);
	s->place[n] = vol.core.log.block;
	s->data[n] = s->header;
	s->count = n + 1;
	s->block = block[n - 1];
	must(snapprot_log_advance(&vol.core, s->header), "a batch");
	return n;
}

/* What is to be written to the origin, and up to where that was done. */
struct change {
	u64 sector;
	u64 end;
	u8 *data;	/* NULL: discarded */
	u64 first;
};

/* Up to block @to, in pieces; what is before that is preserved. */
static void change_origin(struct change *c, u64 to)
{
	u64 limit = smaller(to * BLOCK_SECTORS, c->end);

	while (c->sector < limit) {
		u64 n = limit - c->sector;

		if (c->data && !once_in(3))
			n = 1 + random_below(n);
		vol.recent[vol.nr_recent++ % RECENT] =
			c->sector / BLOCK_SECTORS;
		media_write(&vol.media, ORIGIN_START + c->sector, n, c->data,
			    !c->data ? WRITES_DISCARD :
			    once_in(12) ? WRITES_FUA : 0);
		if (c->data)
			c->data += n * SECTOR;
		c->sector += n;
	}
}

/* The steps become durable in one flush, or in two. */
static void steps_end(struct step *s, u32 steps, struct change *c)
{
	u32 split = 1 + random_below(steps), i;

	for (i = 0; i < split; i++)
		step_write(&s[i]);
	/* Of the others something may be on its way already. */
	for (i = split; i < steps; i++)
		if (once_in(2))
			media_env_write(&vol.env, s[i].place, s[i].data,
					1 + random_below(s[i].count));
	if (wrongly(WRITE_FIRST) && once_in(2))
		change_origin(c, s[0].block + 1);
	if (!wrongly(LOG_NO_FLUSH))
		flush();
	for (i = 0; i < split; i++)
		must(snapprot_log_commit(&vol.core, s[i].header), "commit");
	change_origin(c, s[split - 1].block + 1);
	if (split == steps)
		return;
	for (i = split; i < steps; i++)
		step_write(&s[i]);
	flush();
	for (i = split; i < steps; i++)
		must(snapprot_log_commit(&vol.core, s[i].header), "commit");
	change_origin(c, s[steps - 1].block + 1);
}

/* There was no room for a single block. */
static void make_room(void)
{
	vol_refill();
	if (!snapprot_log_room(&vol.core, 1) &&
	    snapprot_log_wants_seal(&vol.core))
		put_record(SNAPPROT_LOG_SEAL, NULL);
	if (snapprot_log_room(&vol.core, 1))
		return;
	merge_some();
	vol_checkpoint();
	vol_refill();
	if (!snapprot_log_room(&vol.core, 1) &&
	    !snapprot_log_wants_seal(&vol.core))
		drop_oldest();
}

static void preserve(const u64 *block, u32 count, struct change *c)
{
	static struct step s[MAX_STEPS];
	u32 steps, n, most;

	while (count) {
		most = 1 + random_below(MAX_STEPS);
		for (steps = 0; steps < most && count; steps++) {
			n = step_make(&s[steps], block, count);
			if (!n)
				break;
			block += n;
			count -= n;
		}
		if (steps)
			steps_end(s, steps, c);
		else
			make_room();
	}
}

/* ---- writes to the live volume ----------------------------------------------- */

/* Of the blocks that a change touches, those that are not preserved. */
static u32 find_missing(const struct change *c, u64 *block)
{
	u32 epoch = snapprot_snaps_newest(&vol.core), count = 0;
	struct snapprot_entry e;
	u64 b;
	int found;

	for (b = c->sector / BLOCK_SECTORS;
	     epoch && b * BLOCK_SECTORS < c->end; b++) {
		found = snapprot_lookup(&vol.core, b, epoch, &e);
		must(found < 0 ? found : 0, "a lookup");
		if (!found)
			block[count++] = b;
	}
	return count;
}

static void fill(u8 *data, u64 sectors)
{
	u64 seed = blkpat_mix(++vol.seed), i;

	for (i = 0; i < sectors * SECTOR; i += 8) {
		seed += 0xd1342543de82ef95ull;
		memcpy(data + i, &seed, 8);
	}
}

#define MOST	64u	/* blocks of a write */

static void change_live(u64 sector, u64 sectors, u8 *data)
{
	struct change c = {
		.sector = sector, .end = sector + sectors, .data = data,
	};
	u64 block[MOST + 1];
	u32 count = find_missing(&c, block);

	if (count)
		preserve(block, count, &c);
	change_origin(&c, vol.blocks);
}

void vol_write(void)
{
	static u8 data[MOST * BLOCK];
	u64 most = once_in(4) ? MOST : 6, count, first;

	count = 1 + random_below(most);
	first = random_below(vol.blocks - count + 1);
	if (once_in(4)) {
		u64 sectors = 1 + random_below(2 * BLOCK_SECTORS);

		fill(data, sectors);
		change_live(random_below(vol.blocks * BLOCK_SECTORS - sectors),
			    sectors, data);
	} else if (once_in(10)) {
		change_live(first * BLOCK_SECTORS, count * BLOCK_SECTORS, NULL);
	} else {
		fill(data, count * BLOCK_SECTORS);
		change_live(first * BLOCK_SECTORS, count * BLOCK_SECTORS, data);
	}
}

void vol_sync(void)
{
	media_mark(&vol.media, "ask sync");
	flush();
	media_mark(&vol.media, "ack sync");
}

/* ---- snapshots --------------------------------------------------------------- */

static void mark_snap(const char *what, const struct snapprot_snap *s)
{
	media_mark(&vol.media, "%s %" PRIu32 " %s %" PRIu64, what, s->id,
		   *s->name ? s->name : "-", s->hold);
}

void vol_create(void)
{
	struct snapprot_snap s = { .id = vol.next_id };
	u32 i;

	if (vol.core.nr_snaps >= MAX_HERE)
		return;
	vol.next_id++;
	if (once_in(2))
		snprintf(s.name, sizeof(s.name), "s%" PRIu32, s.id);
	mark_snap("ask create", &s);
	if (!label_has(SNAPPROT_LABEL_SNAPSHOTS) && !wrongly(LABEL_LATE))
		vol_label_write(SNAPPROT_LABEL_SNAPSHOTS, 0);
	if (!wrongly(CREATE_NO_FLUSH))
		flush();
	s.epoch = vol.core.epoch + 1;
	s.time = 1000 + s.id;
	s.sectors = vol.core.origin_sectors;
	for (i = 0; i < sizeof(s.uuid); i++)
		s.uuid[i] = random_below(256);
	put_record(SNAPPROT_LOG_CREATE, &s);
	if (!label_has(SNAPPROT_LABEL_SNAPSHOTS))
		vol_label_write(SNAPPROT_LABEL_SNAPSHOTS, 0);
	mark_snap("ack create", &s);
}

void vol_drop(u32 nr)
{
	struct snapprot_snap s = vol.core.snaps[nr];

	media_mark(&vol.media, "ask delete %" PRIu32, s.id);
	put_record(SNAPPROT_LOG_DELETE, &s);
	if (!snapprot_snaps_valid(&vol.core))
		vol_label_write(0, SNAPPROT_LABEL_SNAPSHOTS);
	media_mark(&vol.media, "ack delete %" PRIu32, s.id);
}

static void drop_oldest(void)
{
	if (!vol.core.nr_snaps)
		bad("a store without snapshots is full");
	vol_drop(0);
}

/* Another name and hold; a hold forbids nothing here. */
void vol_set(void)
{
	struct snapprot_snap s;

	if (!vol.core.nr_snaps)
		return;
	s = vol.core.snaps[random_below(vol.core.nr_snaps)];
	memset(s.name, 0, sizeof(s.name));
	snprintf(s.name, sizeof(s.name), "t%" PRIu32, ++vol.seed);
	s.hold = random_below(1000);
	mark_snap("ask set", &s);
	put_record(SNAPPROT_LOG_SET, &s);
	mark_snap("ack set", &s);
}

/* ---- merges and checkpoints -------------------------------------------------- */

void vol_merge(u32 max)
{
	int err;

	if (vol.phase >= WRITE)
		return;
	err = snapprot_merge_step(&vol.core, max);
	must(err == 1 || err == -ENOSPC ? 0 : err, "a merge");
}

static void merge_some(void)
{
	u32 i;

	for (i = 0; i < 8; i++)
		vol_merge(1 + random_below(300));
}

static int tick_do(void)
{
	switch (vol.phase) {
	case IDLE:
		return snapprot_ckpt_freeze(&vol.core);
	case STEP:
		return snapprot_ckpt_step(&vol.core, 1 + random_below(40));
	case PREPARE:
		return snapprot_ckpt_prepare(&vol.core);
	case WRITE:
		return snapprot_ckpt_write(&vol.core);
	case FINISH:
		return snapprot_ckpt_finish(&vol.core);
	}
	return 0;
}

void vol_tick(void)
{
	int err = tick_do();

	if (vol.phase == IDLE && err == -EBUSY) {
		vol_merge(1000);
		return;
	}
	must(err == 1 ? 0 : err, "a checkpoint");
	if (!err)
		vol.phase = vol.phase == FINISH ? IDLE : vol.phase + 1;
}

void vol_checkpoint(void)
{
	do {
		vol_tick();
	} while (vol.phase != IDLE);
}

/* Between prepare and finish the superblock is the checkpoint's. */
static void super_free(void)
{
	if (vol.phase >= WRITE)
		vol_checkpoint();
}

void vol_grow(void)
{
	u64 size = vol.size + random_below(500);

	if (size > vol.max_size)
		return;
	super_free();
	media_mark(&vol.media, "ask grow %" PRIu64, size * BLOCK_SECTORS);
	must(snapprot_store_grow(&vol.core, size), "the store grows");
	vol.size = size;
	media_mark(&vol.media, "ack grow %" PRIu64, size * BLOCK_SECTORS);
}

/* ---- mode, arrival, end ------------------------------------------------------ */

static void update(u64 generation, u32 flags, u32 lost)
{
	must(snapprot_store_update(&vol.core, generation, flags, lost, 3),
	     "the superblock");
}

void vol_protect(bool on)
{
	u32 set = on ? SNAPPROT_LABEL_PROTECTED : 0;
	u32 clear = on ? 0 : SNAPPROT_LABEL_PROTECTED;
	u32 flags = on ? SNAPPROT_SUPER_PROTECTED : 0;

	super_free();
	vol.moving = true;
	media_mark(&vol.media, "ask %s", on ? "protect" : "normal");
	if (on)
		vol_label_write(set, clear);
	if (wrongly(MODE_FIRST))
		media_mark(&vol.media, "ack %s", on ? "protect" : "normal");
	update(vol.core.generation, flags, vol.core.lost_epoch);
	if (!on)
		vol_label_write(set, clear);
	media_mark(&vol.media, "ack %s", on ? "protect" : "normal");
	vol.moving = false;
}

static void load(void)
{
	const struct snapprot_disk_label *l = &vol.label;
	struct snapprot_evidence least = {
		.ckpt_seq = le64_to_cpu(l->ckpt_seq),
		.log_seq = le64_to_cpu(l->log_seq),
		.super_seq = le64_to_cpu(l->super_seq),
		.epoch = le32_to_cpu(l->epoch),
	};

	vol.env.env.tune = &vol.tune;
	must(snapprot_store_load(&vol.core, &vol.env.env, vol.size, &least),
	     "the store");
	vol.phase = IDLE;
}

static void label_generation(u64 generation)
{
	vol.label.generation = cpu_to_le64(generation);
}

/* Store and label move on, and forget nothing on the way. */
static void pair(void)
{
	bool lost = label_has(SNAPPROT_LABEL_LOST);
	bool protected = label_has(SNAPPROT_LABEL_PROTECTED) ||
			 vol.core.flags & SNAPPROT_SUPER_PROTECTED;
	u32 flags = protected ? SNAPPROT_SUPER_PROTECTED : 0;
	u32 epoch = lost ? vol.core.epoch : vol.core.lost_epoch;
	u32 set = protected ? SNAPPROT_LABEL_PROTECTED : 0;
	u32 clear = SNAPPROT_LABEL_LOST | SNAPPROT_LABEL_WITNESS;
	u64 generation = vol.core.generation;

	if (wrongly(WITNESS_STAYS))
		clear &= ~SNAPPROT_LABEL_WITNESS;
	if (generation != le64_to_cpu(vol.label.generation)) {
		update(generation, vol.core.flags, vol.core.lost_epoch);
		label_generation(generation);
		vol_label_write(0, 0);
	}
	if (wrongly(LABEL_FORGETS))
		vol_label_write(0, SNAPPROT_LABEL_LOST);
	if (wrongly(LABEL_FIRST)) {
		label_generation(generation + 1);
		vol_label_write(0, 0);
	}
	update(generation + 1, flags, epoch);
	label_generation(generation + 1);
	if (snapprot_snaps_valid(&vol.core))
		set |= SNAPPROT_LABEL_SNAPSHOTS;
	else
		clear |= SNAPPROT_LABEL_SNAPSHOTS;
	vol_label_write(set, clear);
}

/* Everything is read anew, also what may be in a cache only. */
void vol_arrive(void)
{
	bool whole = label_read();

	media_mark(&vol.media, "ask arrive");
	witness_compare();
	if (!whole)
		vol_label_write(0, 0);
	load();
	pair();
	media_mark(&vol.media, "ack arrive");
}

void vol_leave(void)
{
	snapprot_store_exit(&vol.core);
	media_env_drop(&vol.env);
	vol.phase = IDLE;
}

/* As it should be, or only some of it. */
void vol_shut_down(void)
{
	if (vol.phase != IDLE || once_in(2))
		vol_checkpoint();
	if (!once_in(4))
		vol_seal();
	/* The last writes may not be durable yet. */
	if (once_in(2))
		vol_write();
	if (!once_in(4) && label_has(SNAPPROT_LABEL_SNAPSHOTS))
		witness_take();
	else
		vol_label_write(0, 0);
	vol_leave();
	/* Time goes by. */
	media_mark(&vol.media, "nothing");
	flush();
}

void vol_restart(void)
{
	if (once_in(2))
		vol_shut_down();
	else
		vol_leave();
	vol_arrive();
}

/* The store is gone, and writes go on without it. */
void vol_lose(void)
{
	static u8 data[8 * BLOCK];
	u32 i, count = 1 + random_below(4);

	if (vol.core.flags & SNAPPROT_SUPER_PROTECTED)
		vol_protect(false);
	media_mark(&vol.media, "ask drop");
	vol_leave();
	vol_label_write(SNAPPROT_LABEL_LOST, 0);
	media_mark(&vol.media, "ack drop");
	for (i = 0; i < count; i++) {
		struct change c = { .data = data };

		c.sector = random_below(vol.blocks - 8) * BLOCK_SECTORS;
		c.end = c.sector + 8 * BLOCK_SECTORS;
		fill(data, 8 * BLOCK_SECTORS);
		change_origin(&c, vol.blocks);
	}
	vol_arrive();
}
