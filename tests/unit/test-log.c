// SPDX-License-Identifier: GPL-2.0-only
/* The log: what is replayed, where it ends, and what is no end but damage. */
#include "sim.h"

static const u8 uuid[16] = "test of the log";
static const u64 store_blocks = 20000;

static struct sim *sim;
static struct snapprot_core core;
static u8 header[SNAPPROT_BLOCK_SIZE];
static u64 next_block;

static void format_store(u64 time)
{
	CHECK_EQ(snapprot_store_format(&sim->env, uuid, 8000000, store_blocks,
				       time, 0), 0);
}

static void open_store(void)
{
	sim = sim_new(store_blocks);
	next_block = 0;
	format_store(1);
	CHECK_EQ(snapprot_store_load(&core, &sim->env, store_blocks), 0);
}

static void close_store(void)
{
	snapprot_store_exit(&core);
	sim_free(sim);
}

static int reload(void)
{
	snapprot_store_exit(&core);
	sim_drop_cache(sim);
	return snapprot_store_load(&core, &sim->env, store_blocks);
}

/* A batch of new blocks on the disk; committed if @commit. */
static u64 batch(u32 count, bool commit)
{
	static u8 data[SNAPPROT_BLOCK_SIZE];
	struct snapprot_entry e[SNAPPROT_LOG_ENTRIES];
	u64 places[SNAPPROT_LOG_ENTRIES];
	u64 place = core.log_block;
	u32 i;

	CHECK_EQ(snapprot_log_reserve(&core, count, places), 0);
	for (i = 0; i < count; i++) {
		memset(data, next_block + i, sizeof(data));
		e[i].block = next_block + i;
		e[i].place = places[i];
		e[i].epoch = core.epoch;
		e[i].sum = snapprot_data_sum(data);
		CHECK_EQ(sim_write(sim, places[i], data), 0);
	}
	next_block += count;
	snapprot_log_encode_batch(&core, header, e, count);
	CHECK_EQ(sim_write(sim, place, header), 0);
	CHECK_EQ(sim_flush(sim), 0);
	if (commit)
		CHECK_EQ(snapprot_log_commit(&core, header), 0);
	return place;
}

static void record(enum snapprot_log_type type, u32 id, u32 epoch)
{
	struct snapprot_snap snap = {
		.id = id, .epoch = epoch, .time = 5, .sectors = 8000000,
	};

	CHECK_EQ(snapprot_log_reserve(&core, 0, NULL), 0);
	snapprot_log_encode_record(&core, header, type, &snap);
	CHECK_EQ(sim_write(sim, core.log_block, header), 0);
	CHECK_EQ(sim_flush(sim), 0);
	CHECK_EQ(snapprot_log_commit(&core, header), 0);
}

static void checkpoint(void)
{
	int more;

	CHECK_EQ(snapprot_ckpt_freeze(&core), 0);
	do {
		more = snapprot_ckpt_step(&core, 1000);
		CHECK(more >= 0);
	} while (more);
	CHECK_EQ(snapprot_ckpt_prepare(&core), 0);
	CHECK_EQ(snapprot_ckpt_write(&core), 0);
	CHECK_EQ(snapprot_ckpt_finish(&core), 0);
}

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
	batch(5, true);
	block = core.log_block;
	free_blocks = core.nr_free;

	CHECK_EQ(reload(), 0);
	CHECK_EQ(core.log_block, block);
	CHECK_EQ(core.nr_free, free_blocks);
	CHECK_EQ(core.active.count, next_block);
	CHECK_EQ(core.epoch, 3);
	CHECK(core.nr_snaps == 1 && core.snaps[0].id == 9);
	CHECK(core.flags & SNAPPROT_SUPER_SWEEP);
	for (i = 0; i < next_block; i++) {
		CHECK_EQ(snapprot_lookup(&core, i, 1, &e), 1);
		CHECK_EQ(e.epoch, i < next_block - 5 ? 2 : 3);
		CHECK_EQ(sim_block(sim, e.place)[9], (u8)i);
	}
	CHECK_EQ(snapprot_lookup(&core, 0, 3, &e), 0);
	CHECK_EQ(snapprot_store_check(&core, true, NULL, NULL), 0);
	close_store();
}

/* The first header, or the old data of the last one, that is not there. */
static void torn_end(void)
{
	u64 first, last, free_blocks;
	struct snapprot_disk_log *l;

	open_store();
	first = batch(3, true);
	batch(4, true);
	free_blocks = core.nr_free;
	last = batch(10, true);
	l = (void *)header;
	sim_block(sim, le64_to_cpu(l->entry[6].place))[4000] ^= 1;
	CHECK_EQ(reload(), 0);
	CHECK_EQ(core.active.count, 7);
	CHECK_EQ(core.log_block, last);
	CHECK_EQ(core.nr_free, free_blocks);
	CHECK_EQ(snapprot_store_check(&core, true, NULL, NULL), 0);

	/* The same place is written again, and counts. */
	next_block = 100;
	CHECK_EQ(batch(2, true), last);
	CHECK_EQ(reload(), 0);
	CHECK_EQ(core.active.count, 9);

	sim_block(sim, last)[3000] ^= 1;
	CHECK_EQ(reload(), 0);
	CHECK_EQ(core.active.count, 7);
	/* One that had a successor is no end. */
	sim_block(sim, first)[100] ^= 1;
	CHECK_EQ(reload(), -EBADMSG);
	close_store();
}

#define GROUP	3

/*
 * Steps that share a flush, of 2 blocks each, on the disk and not committed.
 * Their headers go to @steps and their places to @place.
 */
static void group(u8 steps[GROUP][SNAPPROT_BLOCK_SIZE], u64 place[GROUP])
{
	static u8 data[SNAPPROT_BLOCK_SIZE];
	struct snapprot_entry e[2];
	u64 places[2];
	u32 i, n;

	for (n = 0; n < GROUP; n++) {
		place[n] = core.log_block;
		CHECK_EQ(snapprot_log_reserve(&core, 2, places), 0);
		for (i = 0; i < 2; i++) {
			memset(data, next_block, sizeof(data));
			e[i].block = next_block++;
			e[i].place = places[i];
			e[i].epoch = core.epoch;
			e[i].sum = snapprot_data_sum(data);
			CHECK_EQ(sim_write(sim, places[i], data), 0);
		}
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
	/* They take their part of the table before they are in it. */
	CHECK_EQ(snapprot_log_room(&core, SNAPPROT_LOG_MAX_ENTRIES),
		 room - 2 * GROUP);
	CHECK_EQ(core.active.count, 1);
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
	CHECK_EQ(core.active.count, 1 + 2 * GROUP);
	free_blocks = core.nr_free;
	CHECK_EQ(reload(), 0);
	CHECK_EQ(core.active.count, 1 + 2 * GROUP);
	CHECK_EQ(core.nr_free, free_blocks);

	/* The middle one did not reach the disk: those behind it do not count. */
	sim_block(sim, le64_to_cpu(l->entry[1].place))[17] ^= 1;
	CHECK_EQ(reload(), 0);
	CHECK_EQ(core.active.count, 3);
	CHECK_EQ(core.log_block, place[1]);
	CHECK_EQ(snapprot_store_check(&core, true, NULL, NULL), 0);
	sim_block(sim, place[1])[17] ^= 1;
	CHECK_EQ(reload(), 0);
	CHECK_EQ(core.active.count, 3);
	/* What is written there next has nothing to do with those. */
	next_block = 100;
	batch(2, true);
	CHECK_EQ(reload(), 0);
	CHECK_EQ(core.active.count, 5);
	/* The first step was durable before the group began: that is damage. */
	sim_block(sim, first)[100] ^= 1;
	CHECK_EQ(reload(), -EBADMSG);
	close_store();
}

/* Old data before the last step was known to be durable, so it is not read. */
static void vouched_for(void)
{
	struct snapprot_disk_log *l;
	struct snapprot_entry e;
	u64 place, reads;

	open_store();
	batch(100, true);
	l = (void *)header;
	place = le64_to_cpu(l->entry[50].place);
	record(SNAPPROT_LOG_CREATE, 1, 2);
	reads = sim->reads;
	CHECK_EQ(reload(), 0);
	/* Superblocks, headers, and a look behind the end. */
	CHECK(sim->reads - reads < 100 + 256);
	sim_block(sim, place)[0] ^= 1;
	CHECK_EQ(reload(), 0);
	/* It is damage, and found when it is read. */
	CHECK_EQ(core.active.count, 100);
	CHECK_EQ(snapprot_lookup(&core, 50, 1, &e), 1);
	CHECK(snapprot_data_sum(sim_block(sim, e.place)) != e.sum);
	CHECK_EQ(snapprot_store_check(&core, false, NULL, NULL), 0);
	CHECK_EQ(snapprot_store_check(&core, true, NULL, NULL), 1);
	close_store();
}

/* A header that is ours but for one field. */
static void not_the_next(void)
{
	struct snapprot_disk_log good, *l;
	u64 last;
	u32 i;

	open_store();
	batch(3, true);
	last = batch(3, true);
	l = (void *)sim_block(sim, last);
	good = *l;
	for (i = 0; i < 6; i++) {
		*l = good;
		switch (i) {
		case 0:
			l->h.seq = cpu_to_le64(le64_to_cpu(l->h.seq) - 1);
			break;
		case 1:
			l->h.uuid[0]++;
			break;
		case 2:
			l->prev_crc = cpu_to_le32(le32_to_cpu(l->prev_crc) + 1);
			break;
		case 3:
			l->h.block = cpu_to_le64(last + 1);
			break;
		case 4:
			l->h.magic = cpu_to_le32(SNAPPROT_MAGIC_NODE);
			break;
		case 5:
			l->type = cpu_to_le16(9);
			break;
		}
		snapprot_block_seal(l);
		CHECK_EQ(reload(), 0);
		CHECK_EQ(core.active.count, 3);
		CHECK_EQ(core.log_block, last);
	}
	close_store();
}

/* A header that is ours in all that identifies it, and wrong: corruption. */
static void broken_rules(void)
{
	struct snapprot_disk_log good, *l;
	u64 first, last;
	u32 i;

	open_store();
	first = batch(3, true);
	last = batch(3, true);
	l = (void *)sim_block(sim, last);
	good = *l;
	for (i = 0; i < 13; i++) {
		*l = good;
		switch (i) {
		case 0:
			l->entry[1].place = cpu_to_le64(store_blocks);
			break;
		case 1:
			l->entry[1].place = cpu_to_le64(64);
			break;
		case 2:
			l->entry[1].place = cpu_to_le64(16385);
			break;
		case 3:
			l->entry[1].place = l->entry[0].place;
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
			l->next = l->entry[0].place;
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
			l->entry[2].block = l->entry[0].block;
			break;
		case 12:
			l->durable_seq = l->h.seq;
			break;
		}
		snapprot_block_seal(l);
		CHECK_EQ(reload(), -EBADMSG);
	}
	*l = good;
	CHECK_EQ(reload(), 0);
	close_store();
}

/* Records that contradict the table of snapshots. */
static void broken_records(void)
{
	struct snapprot_disk_log good, *l;
	u64 place;
	u32 i;

	open_store();
	record(SNAPPROT_LOG_CREATE, 5, 2);
	place = core.log_block;
	record(SNAPPROT_LOG_CREATE, 6, 3);
	l = (void *)sim_block(sim, place);
	good = *l;
	for (i = 0; i < 7; i++) {
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
			l->type = cpu_to_le16(SNAPPROT_LOG_DELETE);
			l->snap.id = cpu_to_le32(5);
			l->snap.epoch = cpu_to_le32(2);
			l->epoch = cpu_to_le32(2);
			break;
		}
		snapprot_block_seal(l);
		/* The last one is right: it deletes snapshot 5. */
		CHECK_EQ(reload(), i == 6 ? 0 : -EBADMSG);
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
	struct snapprot_disk_log *l = (void *)header;
	u64 free_blocks;
	u32 i;

	open_store();
	batch(3, true);
	batch(60, false);
	sim_block(sim, le64_to_cpu(l->entry[0].place))[0] ^= 1;
	CHECK_EQ(reload(), 0);
	CHECK_EQ(core.active.count, 3);
	for (i = 0; i < 3; i++) {
		checkpoint();
		free_blocks = core.nr_free;
		CHECK_EQ(reload(), 0);
		CHECK_EQ(core.active.count, 0);
		CHECK_EQ(core.nr_free, free_blocks);
		CHECK_EQ(snapprot_store_check(&core, true, NULL, NULL), 0);
	}
	close_store();
}

/* A log of some batches; if asked, with a checkpoint that is never finished. */
static void long_log(u64 *place, u32 count, bool checkpoint)
{
	u32 i;

	open_store();
	record(SNAPPROT_LOG_CREATE, 1, 2);
	for (i = 0; i < count; i++) {
		if (checkpoint && i == count / 2) {
			CHECK_EQ(snapprot_ckpt_freeze(&core), 0);
			while (snapprot_ckpt_step(&core, 1000))
				;
			CHECK_EQ(snapprot_ckpt_prepare(&core), 0);
			CHECK_EQ(sim->env.ops->commit(&sim->env), 0);
		}
		place[i] = batch(1 + unit_below(SNAPPROT_LOG_ENTRIES), true);
	}
}

/* Any header but the last is missed. */
static void damaged_middle(void)
{
	u64 place[12];
	u32 i;

	for (i = 0; i < 24; i++) {
		u32 n = i % 12;

		long_log(place, 12, i >= 12);
		sim_block(sim, place[n])[unit_below(4096)] ^= 0x10;
		CHECK_EQ(reload(), n < 11 ? -EBADMSG : 0);
		/* The same if it is lost altogether. */
		memset(sim_block(sim, place[n]), 0, SNAPPROT_BLOCK_SIZE);
		CHECK_EQ(reload(), n < 11 ? -EBADMSG : 0);
		close_store();
	}
}

/* Made anew with the same UUID, the store must not replay its former life. */
static void format_ends_the_log(void)
{
	u32 wiped;

	open_store();
	for (wiped = 0; wiped < 2; wiped++) {
		record(SNAPPROT_LOG_CREATE, 5, 2);
		batch(30, true);
		/* Without its superblocks only the clock can tell. */
		if (wiped) {
			memset(sim_block(sim, 0), 0, SNAPPROT_BLOCK_SIZE);
			memset(sim_block(sim, 64), 0, SNAPPROT_BLOCK_SIZE);
		}
		format_store(1 + wiped);
		CHECK_EQ(reload(), 0);
		CHECK_EQ(core.nr_snaps, 0);
		CHECK_EQ(core.active.count, 0);
		CHECK_EQ(core.epoch, 1);
	}
	/* In the same second, the first header itself must be gone. */
	record(SNAPPROT_LOG_CREATE, 5, 2);
	memset(sim_block(sim, 0), 0, SNAPPROT_BLOCK_SIZE);
	memset(sim_block(sim, 64), 0, SNAPPROT_BLOCK_SIZE);
	format_store(2);
	CHECK_EQ(reload(), 0);
	CHECK_EQ(core.nr_snaps, 0);
	close_store();
}

/* As long as a log can get: two halves, the first of them frozen. */
static void longest(void)
{
	u32 room, half = 0;
	u64 count = 0;

	open_store();
	record(SNAPPROT_LOG_CREATE, 1, 2);
	while ((room = snapprot_log_room(&core, SNAPPROT_LOG_ENTRIES))) {
		batch(room, true);
		CHECK_EQ(snapprot_log_full(&core), core.active.count > 4096);
	}
	count = core.active.count;
	CHECK_EQ(count, SNAPPROT_LOG_MAX_ENTRIES / 2);
	CHECK_EQ(snapprot_log_reserve(&core, 1, &count), -ENOSPC);
	CHECK_EQ(snapprot_ckpt_freeze(&core), 0);
	while ((room = snapprot_log_room(&core, SNAPPROT_LOG_ENTRIES))) {
		batch(room, true);
		half += room;
	}
	CHECK_EQ(half, SNAPPROT_LOG_MAX_ENTRIES / 2);
	CHECK_EQ(reload(), 0);
	CHECK_EQ(core.active.count, SNAPPROT_LOG_MAX_ENTRIES);
	CHECK_EQ(snapprot_log_room(&core, 1), 0);
	/* All of it in one checkpoint; nothing may be added meanwhile. */
	CHECK_EQ(snapprot_ckpt_freeze(&core), 0);
	CHECK_EQ(snapprot_log_room(&core, 1), 0);
	while ((half = snapprot_ckpt_step(&core, 1000)))
		CHECK_EQ(half, 1);
	CHECK_EQ(snapprot_ckpt_prepare(&core), 0);
	CHECK_EQ(snapprot_ckpt_write(&core), 0);
	CHECK_EQ(snapprot_ckpt_finish(&core), 0);
	CHECK_EQ(core.nr_entries, SNAPPROT_LOG_MAX_ENTRIES);
	CHECK(snapprot_log_room(&core, 1));
	CHECK_EQ(snapprot_store_check(&core, true, NULL, NULL), 0);
	close_store();
}

/* The same for headers: records are refused before a log gets too long. */
static void most_headers(void)
{
	u32 turn, i;

	open_store();
	for (turn = 0; turn < 2; turn++) {
		for (i = 0; i < SNAPPROT_LOG_MAX_HEADERS / 2; i++) {
			if (i % 2)
				record(SNAPPROT_LOG_DELETE, 1, core.epoch);
			else
				record(SNAPPROT_LOG_CREATE, 1, core.epoch + 1);
		}
		CHECK_EQ(snapprot_log_reserve(&core, 0, NULL), -ENOSPC);
		CHECK_EQ(snapprot_log_room(&core, 1), 0);
		CHECK(snapprot_log_full(&core));
		if (!turn)
			CHECK_EQ(snapprot_ckpt_freeze(&core), 0);
	}
	CHECK_EQ(reload(), 0);
	CHECK_EQ(core.nr_headers, SNAPPROT_LOG_MAX_HEADERS);
	CHECK_EQ(snapprot_log_reserve(&core, 0, NULL), -ENOSPC);
	checkpoint();
	record(SNAPPROT_LOG_CREATE, 1, core.epoch + 1);
	CHECK_EQ(snapprot_store_check(&core, true, NULL, NULL), 0);
	close_store();
}

/* Fill the store to the last block: deleting must still be possible. */
static void delete_when_full(void)
{
	u64 blocks = store_blocks;
	u32 room, i;

	open_store();
	for (i = 1; i <= 100; i++)
		record(SNAPPROT_LOG_CREATE, i, core.epoch + 1);
	for (;;) {
		room = snapprot_log_room(&core, SNAPPROT_LOG_ENTRIES);
		if (room)
			batch(room, true);
		else if (core.active.count || core.nr_headers)
			checkpoint();
		else
			break;
	}
	/* What is kept back is little. */
	CHECK(core.nr_free < blocks / 20);
	for (i = 1; i <= 100; i++) {
		u32 epoch = snapprot_snap_find(&core, i)->epoch;

		/* Each takes a block; a checkpoint gives them all back. */
		if (i % 50 == 0)
			checkpoint();
		record(SNAPPROT_LOG_DELETE, i, epoch);
	}
	CHECK_EQ(snapprot_log_room(&core, 1), 0);
	do {
		CHECK_EQ(snapprot_ckpt_freeze(&core), 0);
		CHECK_EQ(snapprot_ckpt_step(&core, 1), 0);
		while (snapprot_ckpt_sweep(&core, 100) == 1)
			;
		CHECK_EQ(snapprot_ckpt_prepare(&core), 0);
		CHECK_EQ(snapprot_ckpt_write(&core), 0);
		CHECK_EQ(snapprot_ckpt_finish(&core), 0);
	} while (core.flags & SNAPPROT_SUPER_SWEEP);
	CHECK_EQ(core.nr_entries, 0);
	CHECK_EQ(snapprot_log_room(&core, SNAPPROT_LOG_ENTRIES),
		 SNAPPROT_LOG_ENTRIES);
	close_store();
}

/* One run that follows the header, wherever there is space for it. */
static void one_run(void)
{
	u64 places[SNAPPROT_LOG_ENTRIES];
	u32 i;

	open_store();
	core.data_cursor = 1000;
	batch(1, true);
	CHECK_EQ(core.log_block, 1001);
	CHECK_EQ(snapprot_log_reserve(&core, 100, places), 0);
	for (i = 0; i < 100; i++)
		CHECK_EQ(places[i], 1002 + i);
	CHECK_EQ(core.log_next, 1102);
	CHECK_EQ(snapprot_log_reserve(&core, 1, places), -EBUSY);
	CHECK_EQ(snapprot_ckpt_freeze(&core), -EBUSY);
	CHECK_EQ(snapprot_store_check(&core, true, NULL, NULL), 0);
	close_store();
}

/* A caller that commits something else than it reserved. */
static void wrong_commit(void)
{
	struct snapprot_entry e = { .place = 1000, .epoch = 1 };
	u64 places[2];

	open_store();
	snapprot_log_encode_batch(&core, header, &e, 1);
	CHECK_EQ(snapprot_log_commit(&core, header), -EINVAL);
	CHECK_EQ(snapprot_log_reserve(&core, 2, places), 0);
	e.place = places[0];
	snapprot_log_encode_batch(&core, header, &e, 1);
	CHECK_EQ(snapprot_log_commit(&core, header), -EINVAL);
	close_store();
}

static const struct unit_test tests[] = {
	UNIT_TEST(replay_all),
	UNIT_TEST(torn_end),
	UNIT_TEST(shared_flush),
	UNIT_TEST(vouched_for),
	UNIT_TEST(not_the_next),
	UNIT_TEST(broken_rules),
	UNIT_TEST(broken_records),
	UNIT_TEST(dropped_stays_dropped),
	UNIT_TEST(damaged_middle),
	UNIT_TEST(format_ends_the_log),
	UNIT_TEST(longest),
	UNIT_TEST(most_headers),
	UNIT_TEST(delete_when_full),
	UNIT_TEST(one_run),
	UNIT_TEST(wrong_commit),
};

UNIT_MAIN(tests)
