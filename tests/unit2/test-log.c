// SPDX-License-Identifier: GPL-2.0-only
/* The log: what is replayed, where it ends, and what is no end but damage. */
#include "sim.h"
#include "walk.h"

#include "log-base.h"

static void replay_all(void)
{
	struct snapprot_entry e;
	u64 block, free_blocks;
	u32 i;

	open_store();
	record(SNAPPROT_LOG_CREATE, 7, 2);
	for (i = 1; i <= SNAPPROT_LOG_ENTRIES; i += 23)
		batch(i, true);
	record(SNAPPROT_LOG_CREATE, 9, 3);
	record(SNAPPROT_LOG_DELETE, 7, 2);
	seal();
	batch(5, true);
	block = core.log.block;
	free_blocks = snapprot_space_free_blocks(&core);

	CHECK_EQ(reload(), 0);
	CHECK_EQ(core.log.block, block);
	CHECK_EQ(snapprot_space_free_blocks(&core), free_blocks);
	CHECK_EQ(core.fill.count, next_block);
	CHECK_EQ(core.epoch, 3);
	CHECK(core.nr_snaps == 1 && core.snaps[0].id == 9);
	for (i = 0; i < next_block; i++) {
		CHECK_EQ(snapprot_lookup(&core, i, 1, &e), 1);
		CHECK_EQ(e.epoch, i < next_block - 5 ? 2 : 3);
		CHECK_EQ(sim_block(sim, snapprot_entry_place(&e))[9], (u8)i);
	}
	CHECK_EQ(snapprot_lookup(&core, 0, 3, &e), 0);
	CHECK_EQ(check(), 0);
	close_store();
}

/* The first header, or the old data of the last one, that is not there. */
static void torn_end(void)
{
	u64 first, last, free_blocks;

	open_store();
	first = batch(3, true);
	batch(4, true);
	free_blocks = snapprot_space_free_blocks(&core);
	last = batch(10, true);
	damage(data_place(header, 6));
	CHECK_EQ(reload(), 0);
	CHECK_EQ(core.fill.count, 7);
	CHECK_EQ(core.log.block, last);
	CHECK_EQ(snapprot_space_free_blocks(&core), free_blocks);
	CHECK_EQ(check(), 0);

	/* The same place is written again, and counts. */
	next_block = 100;
	CHECK_EQ(batch(2, true), last);
	CHECK_EQ(reload(), 0);
	CHECK_EQ(core.fill.count, 9);

	damage(last);
	CHECK_EQ(reload(), 0);
	CHECK_EQ(core.fill.count, 7);
	/* One that had a successor is no end. */
	damage(first);
	CHECK_EQ(reload(), -EBADMSG);
	close_store();
}

/* A seal proves the group before it. */
static void sealed(void)
{
	u64 last, end;
	u32 i;

	for (i = 0; i < 5; i++) {
		open_store();
		record(SNAPPROT_LOG_CREATE, 1, 2);
		batch(30, true);
		last = batch(10, true);
		CHECK(!core.log.sealed);
		end = seal();
		CHECK_EQ(reload(), 0);
		CHECK_EQ(core.fill.count, 40);
		CHECK(core.log.sealed);
		switch (i) {
		case 0:	/* the step before it */
			damage(last);
			CHECK_EQ(reload(), -EBADMSG);
			break;
		case 1:	/* the same, where the device says so */
			sim_break(sim, last, true);
			CHECK(reload() < 0);
			break;
		case 2:	/* nothing is lost with the seal itself */
			damage(end);
			CHECK_EQ(reload(), 0);
			CHECK_EQ(core.fill.count, 40);
			break;
		case 3:	/* a block that cannot be read is no step that is missed */
			sim_break(sim, core.log.block, true);
			CHECK_EQ(reload(), 0);
			CHECK_EQ(core.fill.count, 40);
			break;
		case 4:	/* but without a seal nobody knows */
			batch(1, true);
			sim_break(sim, core.log.block, true);
			CHECK_EQ(reload(), -EIO);
			break;
		}
		close_store();
	}
}

#define GROUP	3

/*
 * Steps that share a flush, of 2 blocks each, on the disk and not committed.
 * Their headers go to @steps and their places to @place.
 */
static void group(u8 steps[GROUP][SNAPPROT_BLOCK_SIZE], u64 place[GROUP])
{
	struct snapprot_entry e[2];
	u64 places[2];
	u32 n;

	refill();
	for (n = 0; n < GROUP; n++) {
		place[n] = core.log.block;
		CHECK_EQ(snapprot_log_reserve(&core, 2, places), 0);
		make_entries(e, places, 2);
		snapprot_log_encode_batch(&core, steps[n], e, 2);
		CHECK_EQ(sim_write(sim, place[n], steps[n]), 0);
		CHECK_EQ(snapprot_log_advance(&core, steps[n]), 0);
	}
	CHECK_EQ(sim_flush(sim), 0);
}

static void shared_flush(void)
{
	static u8 steps[GROUP][SNAPPROT_BLOCK_SIZE];
	struct snapprot_disk_log *l = (void *)steps[1];
	u64 place[GROUP], first, free_blocks;
	struct snapprot_entry e;
	u32 room;

	open_store();
	first = batch(1, true);
	room = snapprot_log_room(&core, SNAPPROT_LOG_MAX_ENTRIES);
	group(steps, place);
	/* They take their part before they are in the table. */
	CHECK(snapprot_log_room(&core, SNAPPROT_LOG_MAX_ENTRIES) <=
	      room - 2 * GROUP);
	CHECK_EQ(core.fill.count, 1);
	CHECK_EQ(snapprot_lookup(&core, 1, 1, &e), 0);
	CHECK_EQ(le64_to_cpu(l->durable_seq) + 2, le64_to_cpu(l->h.seq));
	/* Neither a record nor a checkpoint may come between. */
	CHECK_EQ(snapprot_log_reserve(&core, 0, NULL), -EBUSY);
	CHECK_EQ(snapprot_ckpt_freeze(&core), -EBUSY);
	/* In order only. */
	CHECK_EQ(snapprot_log_commit(&core, steps[1]), -EINVAL);
	CHECK_EQ(snapprot_log_commit(&core, steps[0]), 0);
	CHECK_EQ(snapprot_log_commit(&core, steps[0]), -EINVAL);
	CHECK_EQ(snapprot_log_commit(&core, steps[1]), 0);
	CHECK_EQ(snapprot_log_commit(&core, steps[2]), 0);
	CHECK_EQ(core.fill.count, 1 + 2 * GROUP);
	free_blocks = snapprot_space_free_blocks(&core);
	CHECK_EQ(reload(), 0);
	CHECK_EQ(core.fill.count, 1 + 2 * GROUP);
	CHECK_EQ(snapprot_space_free_blocks(&core), free_blocks);

	/* The middle one did not reach the disk: those behind it do not count. */
	damage(data_place(steps[1], 1));
	CHECK_EQ(reload(), 0);
	CHECK_EQ(core.fill.count, 3);
	CHECK_EQ(core.log.block, place[1]);
	CHECK_EQ(check(), 0);
	damage(place[1]);
	CHECK_EQ(reload(), 0);
	CHECK_EQ(core.fill.count, 3);
	/* What is written there next has nothing to do with those. */
	next_block = 100;
	batch(2, true);
	CHECK_EQ(reload(), 0);
	CHECK_EQ(core.fill.count, 5);
	/* The first step was durable before the group began: that is damage. */
	damage(first);
	CHECK_EQ(reload(), -EBADMSG);
	close_store();
}

/* Old data before the last step was known to be durable, so it is not read. */
static void vouched_for(void)
{
	struct snapprot_entry e;
	u64 place, reads;

	open_store();
	record(SNAPPROT_LOG_CREATE, 7, 2);
	batch(100, true);
	place = data_place(header, 50);
	record(SNAPPROT_LOG_CREATE, 1, 3);
	reads = sim->reads;
	CHECK_EQ(reload(), 0);
	/* Superblocks, headers, and a look at what is free in two zones. */
	CHECK(sim->reads - reads < 100 + 2 * SNAPPROT_ZONE_BLOCKS);
	damage(place);
	CHECK_EQ(reload(), 0);
	/* It is damage, and found when it is read. */
	CHECK_EQ(core.fill.count, 100);
	CHECK_EQ(snapprot_lookup(&core, 50, 1, &e), 1);
	CHECK(snapprot_data_sum(&core, sim_block(sim, snapprot_entry_place(&e)))
	      != e.sum);
	CHECK_EQ(snapprot_store_check(&core, false, NULL, NULL), 0);
	CHECK_EQ(check(), 1);
	close_store();
}

/* A header that is ours but for one field. */
static void not_the_next(void)
{
	struct snapprot_disk_log good, *l;
	u64 last, sum;
	u32 i;

	open_store();
	batch(3, true);
	last = batch(3, true);
	l = log_at(last);
	good = *l;
	for (i = 0; i < 6; i++) {
		*l = good;
		switch (i) {
		case 0:
			l->h.seq = cpu_to_le64(le64_to_cpu(l->h.seq) - 1);
			break;
		case 1:
			l->prev_sum = cpu_to_le64(le64_to_cpu(l->prev_sum) + 1);
			break;
		case 2:
			l->h.block = cpu_to_le64(last + 1);
			break;
		case 3:
			l->h.magic = cpu_to_le32(SNAPPROT_MAGIC_NODE);
			break;
		case 4:
			l->generation = cpu_to_le64(77);
			break;
		case 5:
			/* Right, but the sum is that of another place. */
			sum = snapprot_block_sum(&sim->env.key, l,
						 SNAPPROT_MAGIC_LOG, last + 1);
			l->h.sum = cpu_to_le64(sum);
			break;
		}
		if (i < 5)
			reseal(last);
		CHECK_EQ(reload(), 0);
		CHECK_EQ(core.fill.count, 3);
		CHECK_EQ(core.log.block, last);
	}
	close_store();
}

/* A header that is ours in all that identifies it, and wrong: corruption. */
static void broken_rules(void)
{
	struct snapprot_disk_log good, *l;
	u64 first, last;
	u32 i;
	int err;

	open_store();
	first = batch(3, true);
	last = batch(3, true);
	l = log_at(last);
	good = *l;
	for (i = 0; i < 13; i++) {
		*l = good;
		switch (i) {
		case 0:
			l->entry[1].where = cpu_to_le64(store_blocks);
			break;
		case 1:
			l->entry[1].where = cpu_to_le64(512);
			break;
		case 2:
			l->entry[1].where = cpu_to_le64(32768 + 1);
			break;
		case 3:
			l->entry[1].where = l->entry[0].where;
			l->entry[1].sum = l->entry[0].sum;
			break;
		case 4:
			l->next = cpu_to_le64(first);
			break;
		case 5:
			l->next = cpu_to_le64(last);
			break;
		case 6:
			l->next = cpu_to_le64(store_blocks);
			break;
		case 7:
			l->next = cpu_to_le64(data_place(l, 0));
			break;
		case 8:
			l->entry[2].block = cpu_to_le64(1000000);
			break;
		case 9:
			l->entry[2].epoch = cpu_to_le32(2);
			break;
		case 10:
			l->epoch = cpu_to_le32(2);
			break;
		case 11:
			l->durable_seq = l->h.seq;
			break;
		case 12:
			l->zone[1].end = cpu_to_le64(store_blocks + 1);
			break;
		}
		reseal(last);
		err = reload();
		if (err != -EBADMSG)
			unit_fail(__FILE__, __LINE__, "rule %u: %d", i, err);
	}
	/* What this code does not know. */
	*l = good;
	l->type = cpu_to_le16(9);
	reseal(last);
	CHECK_EQ(reload(), -EPROTONOSUPPORT);
	*l = good;
	CHECK_EQ(reload(), 0);
	close_store();
}

/* What may be passed over is passed over. */
static void ignorable(void)
{
	struct snapprot_disk_log *l;
	u64 place;

	open_store();
	record(SNAPPROT_LOG_CREATE, 7, 2);
	batch(3, true);
	place = seal();
	l = log_at(place);
	l->type = cpu_to_le16(SNAPPROT_LOG_IGNORABLE | 3);
	l->count = cpu_to_le16(7);
	memset(l->body, 0x3c, sizeof(l->body));
	reseal(place);
	CHECK_EQ(reload(), 0);
	CHECK_EQ(core.fill.count, 3);
	CHECK(core.log.block != place);
	batch(2, true);
	CHECK_EQ(reload(), 0);
	CHECK_EQ(core.fill.count, 5);
	CHECK_EQ(check(), 0);
	checkpoint();
	CHECK_EQ(reload(), 0);
	CHECK_EQ(core.fill.count, 5);
	CHECK_EQ(check(), 0);
	close_store();
}

/* Records that contradict the table of snapshots. */
static void broken_records(void)
{
	struct snapprot_disk_log good, *l;
	u64 place;
	u32 i;
	int err;

	open_store();
	record(SNAPPROT_LOG_CREATE, 5, 2);
	place = record(SNAPPROT_LOG_CREATE, 6, 3);
	l = log_at(place);
	good = *l;
	for (i = 0; i < 9; i++) {
		*l = good;
		switch (i) {
		case 0:
			l->snap.id = cpu_to_le32(5);
			break;
		case 1:
			l->snap.epoch = cpu_to_le32(2);
			l->epoch = cpu_to_le32(2);
			break;
		case 2:
			l->epoch = cpu_to_le32(4);
			break;
		case 3:
			l->snap.sectors = 0;
			break;
		case 4:
			l->type = cpu_to_le16(SNAPPROT_LOG_DELETE);
			break;
		case 5:
			l->type = cpu_to_le16(SNAPPROT_LOG_DELETE);
			l->snap.id = cpu_to_le32(5);
			break;
		case 6:
			l->type = cpu_to_le16(SNAPPROT_LOG_SET);
			l->epoch = cpu_to_le32(2);
			break;
		case 7:
			l->snap.name[0] = '/';
			break;
		case 8:
			l->type = cpu_to_le16(SNAPPROT_LOG_DELETE);
			l->snap.id = cpu_to_le32(5);
			l->snap.epoch = cpu_to_le32(2);
			l->epoch = cpu_to_le32(2);
			break;
		}
		reseal(place);
		/* The last one is right: it deletes snapshot 5. */
		err = reload();
		if (err != (i == 8 ? 0 : -EBADMSG))
			unit_fail(__FILE__, __LINE__, "rule %u: %d", i, err);
	}
	CHECK_EQ(core.nr_snaps, 0);
	close_store();
}

/*
 * A step that was dropped stays on the disk. A checkpoint that starts where it
 * lies must not bring it back, even if it takes its blocks.
 */
static void dropped_stays_dropped(void)
{
	u64 free_blocks;
	u32 i;

	open_store();
	record(SNAPPROT_LOG_CREATE, 7, 2);
	batch(3, true);
	batch(60, false);
	damage(data_place(header, 0));
	CHECK_EQ(reload(), 0);
	CHECK_EQ(core.fill.count, 3);
	for (i = 0; i < 3; i++) {
		checkpoint();
		free_blocks = snapprot_space_free_blocks(&core);
		CHECK_EQ(reload(), 0);
		CHECK_EQ(core.fill.count, 3);
		CHECK_EQ(snapprot_space_free_blocks(&core), free_blocks);
		CHECK_EQ(check(), 0);
	}
	close_store();
}

/* A log of some batches; if asked, with a checkpoint that is never finished. */
static void long_log(u64 *place, u32 count, bool checkpoint)
{
	u32 i;

	record(SNAPPROT_LOG_CREATE, 1, 2);
	for (i = 0; i < count; i++) {
		if (checkpoint && i == count / 2) {
			CHECK_EQ(snapprot_ckpt_freeze(&core), 0);
			while (snapprot_ckpt_step(&core, 1000))
				;
			CHECK_EQ(snapprot_ckpt_prepare(&core), 0);
			CHECK_EQ(sim->env.ops->commit(&sim->env), 0);
		}
		refill();
		place[i] = batch(snapprot_log_room(&core,
						   1 + unit_below(165)), true);
	}
}

/* Any header but the last is missed. */
static void damaged_middle(void)
{
	static const struct snapprot_tune small = { .zone = 32 };
	u64 place[12];
	u32 i;

	for (i = 0; i < 48; i++) {
		u32 n = i % 12;

		open_tuned(i % 24 < 12 ? NULL : &small);
		long_log(place, 12, i >= 24);
		damage(place[n]);
		CHECK_EQ(reload(), n < 11 ? -EBADMSG : 0);
		/* The same if it is lost altogether. */
		memset(sim_block(sim, place[n]), 0, SNAPPROT_BLOCK_SIZE);
		CHECK_EQ(reload(), n < 11 ? -EBADMSG : 0);
		sim_break(sim, place[n], true);
		CHECK(reload() < 0);
		close_store();
	}
}

struct zones {
	struct snapprot_range r[2];
};

static void zones_of(struct zones *z, const struct snapprot_disk_range *zone)
{
	u32 i;

	for (i = 0; i < 2; i++) {
		z->r[i].start = le64_to_cpu(zone[i].start);
		z->r[i].end = le64_to_cpu(zone[i].end);
	}
}

static bool in_zones(const struct zones *z, u64 place)
{
	return (place >= z->r[0].start && place < z->r[0].end) ||
	       (place >= z->r[1].start && place < z->r[1].end);
}

/*
 * A zone had its blocks far apart, and since then what lay between them has become
 * free: all that is free there is searched.
 */
static void wide_zone(void)
{
	static const u64 far[] = { 30, 1040, 1041, 5000, 29999 };
	u32 i, copy;

	for (i = 0; i < ARRAY_SIZE(far); i++) {
		u64 first;

		open_store();
		for (copy = 0; copy < SNAPPROT_COPIES; copy++) {
			struct snapprot_disk_super *s = (void *)
				sim_block(sim, snapprot_super_place(copy));

			s->zone[0].end = cpu_to_le64(30000);
			memset(&s->zone[1], 0, sizeof(s->zone[1]));
			snapprot_super_seal(s);
		}
		CHECK_EQ(reload(), 0);
		first = core.log.block;
		CHECK_EQ(snapprot_log_reserve(&core, 0, NULL), 0);
		core.log.next = far[i];
		snapprot_log_encode_seal(&core, header);
		put_record();
		CHECK_EQ(snapprot_log_reserve(&core, 0, NULL), 0);
		snapprot_log_encode_seal(&core, header);
		CHECK_EQ(put_record(), far[i]);
		memset(sim_block(sim, first), 0, SNAPPROT_BLOCK_SIZE);
		CHECK_EQ(reload(), -EBADMSG);
		close_store();
	}
}

/* Blocks come from zones that a step names which counts, and ascend in each. */
static void zones(void)
{
	static const struct snapprot_tune small = { .zone = 32 };
	u32 i, b, n, moved = 0;

	for (i = 0; i < 2; i++) {
		struct zones z;
		u64 start;

		open_tuned(i ? &small : NULL);
		zones_of(&z, core.super->zone);
		CHECK(in_zones(&z, core.log.block));
		start = z.r[0].start;
		for (b = 0; b < 60; b++) {
			const struct snapprot_disk_log *l = (void *)header;

			refill();
			batch(snapprot_log_room(&core, 40), true);
			for (n = 0; n < le16_to_cpu(l->count); n++)
				CHECK(in_zones(&z, data_place(l, n)));
			CHECK(in_zones(&z, le64_to_cpu(l->next)));
			zones_of(&z, l->zone);
			/* So that whoever misses the next step finds it. */
			CHECK(in_zones(&z, core.log.block));
			moved += start != z.r[0].start;
			start = z.r[0].start;
			if (b % 16 == 7)
				checkpoint();
			if (b % 16 == 12)
				CHECK_EQ(reload(), 0);
		}
		CHECK_EQ(check(), 0);
		close_store();
	}
	CHECK(moved > 10);
}

/* Made anew with the same UUID, the store must not replay its former life. */
static void format_ends_the_log(void)
{
	u32 wiped, i;

	open_store();
	for (wiped = 0; wiped < 2; wiped++) {
		record(SNAPPROT_LOG_CREATE, 5, 2);
		batch(30, true);
		if (wiped) {
			for (i = 0; i < SNAPPROT_COPIES; i++)
				memset(sim_block(sim, snapprot_super_place(i)),
				       0, SNAPPROT_BLOCK_SIZE);
		}
		/* Only the secret can tell. */
		format_store(wiped ? "another sixteen." : "sixteen others..");
		CHECK_EQ(reload(), 0);
		CHECK_EQ(core.nr_snaps, 0);
		CHECK_EQ(core.fill.count, 0);
		CHECK_EQ(core.epoch, 1);
	}
	close_store();
}

/* As long as a log can get: two halves, the first of them frozen. */
static void longest(void)
{
	u32 room, half = 0, count = 0;

	open_store();
	record(SNAPPROT_LOG_CREATE, 1, 2);
	for (;;) {
		refill();
		room = snapprot_log_room(&core, SNAPPROT_LOG_ENTRIES);
		if (!room)
			break;
		batch(room, true);
		count += room;
	}
	CHECK(snapprot_log_full(&core));
	CHECK(count > SNAPPROT_LOG_HALF_ENTRIES - 1000);
	CHECK(count <= SNAPPROT_LOG_HALF_ENTRIES);
	CHECK_EQ(snapprot_ckpt_freeze(&core), 0);
	for (;;) {
		refill();
		room = snapprot_log_room(&core, SNAPPROT_LOG_ENTRIES);
		if (!room)
			break;
		batch(room, true);
		half += room;
	}
	CHECK(half > SNAPPROT_LOG_HALF_ENTRIES - 1000);
	CHECK(half <= SNAPPROT_LOG_HALF_ENTRIES);
	CHECK_EQ(reload(), 0);
	CHECK_EQ(core.fill.count, count + half);
	CHECK_EQ(snapprot_log_room(&core, 1), 0);
	CHECK_EQ(check(), 0);
	/* All of it in one checkpoint; nothing may be added meanwhile. */
	CHECK_EQ(snapprot_ckpt_freeze(&core), 0);
	CHECK_EQ(snapprot_log_room(&core, 1), 0);
	while ((room = snapprot_ckpt_step(&core, 1000)))
		CHECK_EQ(room, 1);
	CHECK_EQ(snapprot_ckpt_prepare(&core), 0);
	CHECK_EQ(snapprot_ckpt_write(&core), 0);
	CHECK_EQ(snapprot_ckpt_finish(&core), 0);
	refill();
	CHECK(snapprot_log_room(&core, 1));
	CHECK_EQ(check(), 0);
	CHECK_EQ(reload(), 0);
	/* So many that the table has been exchanged. */
	CHECK_EQ(core.drain.count, count + half);
	close_store();
}

/* The same for headers: records are refused before a log gets too long. */
static u32 records_until_full(void)
{
	struct snapprot_snap snap = { .id = 1, .time = 5, .sectors = 8000000 };
	u32 i;

	for (i = 0;; i++) {
		int err;

		refill();
		err = snapprot_log_reserve(&core, 0, NULL);
		if (err) {
			CHECK_EQ(err, -ENOSPC);
			return i;
		}
		snap.epoch = core.nr_snaps ? core.epoch : core.epoch + 1;
		snapprot_log_encode_record(&core, header, core.nr_snaps ?
					   SNAPPROT_LOG_DELETE :
					   SNAPPROT_LOG_CREATE, &snap);
		put_record();
	}
}

static void most_headers(void)
{
	u32 turn, count, all = 0;

	open_store();
	for (turn = 0; turn < 2; turn++) {
		count = records_until_full();
		all += count;
		CHECK(count > SNAPPROT_LOG_HALF_HEADERS - 512);
		CHECK(count <= SNAPPROT_LOG_HALF_HEADERS);
		CHECK_EQ(snapprot_log_room(&core, 1), 0);
		CHECK(snapprot_log_full(&core));
		if (!turn)
			CHECK_EQ(snapprot_ckpt_freeze(&core), 0);
	}
	CHECK_EQ(reload(), 0);
	CHECK_EQ(core.log.nr_headers, all);
	CHECK_EQ(snapprot_log_reserve(&core, 0, NULL), -ENOSPC);
	checkpoint();
	refill();
	CHECK_EQ(snapprot_log_reserve(&core, 0, NULL), 0);
	snapprot_log_encode_seal(&core, header);
	put_record();
	CHECK_EQ(check(), 0);
	close_store();
}

static void merge_all(void)
{
	u32 i = 0;
	int err;

	do {
		err = snapprot_merge_step(&core, 1000);
		if (err == -ENOSPC || (!err && snapprot_merge_possible(&core)))
			checkpoint();
		CHECK(err >= 0 || err == -ENOSPC);
		CHECK(i++ < 10000);
	} while (err || snapprot_merge_possible(&core));
}

/* Fill the store to the last block: deleting must still be possible. */
static void delete_when_full(void)
{
	u32 i, room, idle = 0;
	u64 nodes = 0;

	open_store();
	for (i = 1; i <= 100; i++)
		record(SNAPPROT_LOG_CREATE, i, core.epoch + 1);
	while (idle < 3) {
		refill();
		room = snapprot_log_room(&core, SNAPPROT_LOG_ENTRIES);
		if (room) {
			batch(room, true);
			idle = 0;
			continue;
		}
		merge_all();
		checkpoint();
		idle++;
	}
	CHECK_EQ(check(), 0);
	/* What is kept back is little. */
	CHECK(snapprot_space_free_blocks(&core) < store_blocks / 20);
	for (i = 1; i <= 100; i++) {
		u32 epoch = snapprot_snap_find(&core, i)->epoch;

		/* Each takes a block; a checkpoint gives them all back. */
		if (i % 50 == 0)
			checkpoint();
		record(SNAPPROT_LOG_DELETE, i, epoch);
	}
	merge_all();
	checkpoint();
	checkpoint();
	CHECK_EQ(check(), 0);
	/* The directory, the next header, and what the table's chunks take. */
	for (i = 0; i < core.nr_chunks; i++)
		nodes += core.chunk[i].nr_nodes;
	CHECK(nodes < 200);
	CHECK(snapprot_space_used(&core) <= 2 + nodes);
	for (i = 1; i <= SNAPPROT_MAX_LEVEL; i++)
		CHECK(!core.level[i].cur.root && !core.level[i].up.root);
	/* Zones that were made when there was little space are soon used up. */
	next_block = 0;
	for (i = 0;; i++) {
		CHECK(i < 10);
		refill();
		room = snapprot_log_room(&core, SNAPPROT_LOG_ENTRIES);
		CHECK(room);
		if (room == SNAPPROT_LOG_ENTRIES)
			break;
		batch(room, true);
	}
	close_store();
}

/* The blocks of a step follow each other wherever the space allows. */
static void one_piece(void)
{
	u64 places[SNAPPROT_LOG_ENTRIES];
	u64 block;
	u32 i;

	open_store();
	batch(1, true);
	block = core.log.block;
	CHECK_EQ(snapprot_log_reserve(&core, 100, places), 0);
	for (i = 0; i < 100; i++)
		CHECK_EQ(places[i], block + 1 + i);
	CHECK_EQ(core.log.next, block + 101);
	CHECK_EQ(snapprot_log_reserve(&core, 1, places), -EBUSY);
	CHECK_EQ(snapprot_ckpt_freeze(&core), -EBUSY);
	close_store();
}

/* Old blocks that no snapshot needs do not outlive a checkpoint. */
static void needed_by_nobody(void)
{
	struct snapprot_entry e;
	u64 used;

	open_store();
	used = snapprot_space_used(&core);
	batch(20, true);
	CHECK_EQ(snapprot_lookup(&core, 3, 1, &e), 0);
	CHECK_EQ(check(), 0);
	CHECK_EQ(reload(), 0);
	CHECK_EQ(snapprot_lookup(&core, 3, 1, &e), 0);
	CHECK_EQ(check(), 0);
	checkpoint();
	checkpoint();
	CHECK(snapprot_space_used(&core) <= used + 2);
	CHECK_EQ(check(), 0);
	CHECK_EQ(reload(), 0);
	CHECK_EQ(check(), 0);
	close_store();
}

/* A caller that commits something else than it reserved. */
static void wrong_commit(void)
{
	struct snapprot_entry e = { .where = 1000, .epoch = 1 };
	u64 places[2];

	open_store();
	snapprot_log_encode_batch(&core, header, &e, 1);
	CHECK_EQ(snapprot_log_commit(&core, header), -EINVAL);
	CHECK_EQ(snapprot_log_reserve(&core, 2, places), 0);
	e.where = SNAPPROT_WHERE(SNAPPROT_KIND_DATA, places[0]);
	snapprot_log_encode_batch(&core, header, &e, 1);
	CHECK_EQ(snapprot_log_commit(&core, header), -EINVAL);
	close_store();
}

static const struct unit_test tests[] = {
	UNIT_TEST(replay_all),
	UNIT_TEST(torn_end),
	UNIT_TEST(sealed),
	UNIT_TEST(shared_flush),
	UNIT_TEST(vouched_for),
	UNIT_TEST(not_the_next),
	UNIT_TEST(broken_rules),
	UNIT_TEST(ignorable),
	UNIT_TEST(broken_records),
	UNIT_TEST(dropped_stays_dropped),
	UNIT_TEST(damaged_middle),
	UNIT_TEST(wide_zone),
	UNIT_TEST(zones),
	UNIT_TEST(format_ends_the_log),
	UNIT_TEST(longest),
	UNIT_TEST(most_headers),
	UNIT_TEST(delete_when_full),
	UNIT_TEST(one_piece),
	UNIT_TEST(needed_by_nobody),
	UNIT_TEST(wrong_commit),
};

UNIT_MAIN(tests)
