// SPDX-License-Identifier: GPL-2.0-only
/* The store as a whole: making, opening, resizing, its superblocks. */
#include "model.h"

static const u8 uuid[16] = "test of a store";

static struct sim *sim;
static struct snapprot_core core;

static struct snapprot_format format_of(u64 blocks)
{
	return (struct snapprot_format){
		.uuid = uuid, .secret = (const u8 *)"0123456789abcdef",
		.store_id = (const u8 *)"this very store.",
		.origin_sectors = 80000, .blocks = blocks, .time = 99,
		.flags = SNAPPROT_SUPER_PROTECTED,
		.role = SNAPPROT_ROLE_MAIN,
	};
}

static int format(u64 blocks)
{
	struct snapprot_format f = format_of(blocks);

	return snapprot_store_format(&sim->env, &f);
}

static int load_least(u64 blocks, const struct snapprot_evidence *least)
{
	snapprot_store_exit(&core);
	sim_drop_cache(sim);
	return snapprot_store_load(&core, &sim->env, blocks, least);
}

static int load(u64 blocks)
{
	return load_least(blocks, NULL);
}

static void open_store(u64 blocks)
{
	sim = sim_new(blocks);
	CHECK_EQ(format(blocks), 0);
	CHECK_EQ(snapprot_store_load(&core, &sim->env, blocks, NULL), 0);
}

static void close_store(void)
{
	snapprot_store_exit(&core);
	sim_free(sim);
}

static int checkpoint_err(void)
{
	int err;

	err = snapprot_ckpt_freeze(&core);
	while (!err && (err = snapprot_ckpt_step(&core, 1000)) == 1)
		err = 0;
	if (!err)
		err = snapprot_ckpt_prepare(&core);
	if (!err)
		err = snapprot_ckpt_write(&core);
	if (!err)
		err = snapprot_ckpt_finish(&core);
	return err;
}

static void checkpoint(void)
{
	CHECK_EQ(checkpoint_err(), 0);
}

static int check(void)
{
	return snapprot_store_check(&core, true, NULL, NULL);
}

static void record(enum snapprot_log_type type, u32 id, u32 epoch,
		   const char *name)
{
	static u8 header[SNAPPROT_BLOCK_SIZE];
	struct snapprot_snap snap = {
		.id = id, .epoch = epoch, .time = 5, .sectors = 80000,
	};

	snprintf(snap.name, sizeof(snap.name), "%s", name);
	CHECK_EQ(snapprot_log_reserve(&core, 0, NULL), 0);
	snapprot_log_encode_record(&core, header, type, &snap);
	CHECK_EQ(sim_write(sim, core.log.block, header), 0);
	CHECK_EQ(sim_flush(sim), 0);
	CHECK_EQ(snapprot_log_commit(&core, header), 0);
}

static void empty_store(void)
{
	struct snapprot_scan scan = { .block = 0 };
	struct snapprot_entry e;
	u32 i = 0;

	open_store(2000);
	CHECK(!memcmp(core.uuid, uuid, 16));
	CHECK(!memcmp(core.store_id, "this very store.", 16));
	CHECK_EQ(core.origin_sectors, 80000);
	CHECK_EQ(core.origin_blocks, 10000);
	CHECK_EQ(core.create_time, 99);
	CHECK_EQ(core.flags, SNAPPROT_SUPER_PROTECTED);
	CHECK_EQ(core.role, SNAPPROT_ROLE_MAIN);
	CHECK_EQ(core.generation, 0);
	CHECK_EQ(core.epoch, 1);
	CHECK_EQ(core.space.blocks, 2000);
	CHECK_EQ(core.space.capacity, 2000 - 16 - 2);
	CHECK(snapprot_space_used(&core) <= 2);
	CHECK(snapprot_space_free_blocks(&core) >= 2000 - 16 - 2 - 2);
	CHECK_EQ(core.nr_snaps, 0);
	CHECK_EQ(snapprot_snaps_valid(&core), 0);
	CHECK_EQ(snapprot_snaps_newest(&core), 0);
	CHECK_EQ(snapprot_snap_new_id(&core), 1);
	CHECK_EQ(snapprot_lookup(&core, 0, 0, &e), 0);
	while (snapprot_scan_step(&core, &scan, NULL, NULL))
		CHECK(i++ < 10);
	CHECK_EQ(snapprot_merge_step(&core, 100), 0);
	CHECK(!snapprot_merge_due(&core));
	CHECK(!snapprot_merge_possible(&core));
	CHECK_EQ(check(), 0);
	CHECK(!walk_compare(sim));
	close_store();
}

static void bad_arguments(void)
{
	struct snapprot_format f;
	u32 i;

	sim = sim_new(2000);
	CHECK_EQ(format(1023), -ENOSPC);
	CHECK_EQ(format(SNAPPROT_MAX_BLOCKS), -EINVAL);
	f = format_of(2000);
	f.origin_sectors = 0;
	CHECK_EQ(snapprot_store_format(&sim->env, &f), -EINVAL);
	f.origin_sectors = ~0ull;
	CHECK_EQ(snapprot_store_format(&sim->env, &f), -EINVAL);
	f = format_of(2000);
	f.flags = 8;
	CHECK_EQ(snapprot_store_format(&sim->env, &f), -EINVAL);
	f = format_of(2000);
	f.role = 2;
	CHECK_EQ(snapprot_store_format(&sim->env, &f), -EINVAL);
	CHECK_EQ(sim->ios, 0);
	CHECK_EQ(load(2000), -ENODEV);
	CHECK_EQ(load(1023), -ENOSPC);
	for (i = 0; i < SNAPPROT_COPIES; i++)
		memset(sim_block(sim, snapprot_super_place(i)), 0x77, 4096);
	CHECK_EQ(load(2000), -ENODEV);
	CHECK_EQ(format(1024), 0);
	CHECK_EQ(load(1024), 0);
	close_store();
}

static struct snapprot_disk_super *super(u32 copy)
{
	return (void *)sim_block(sim, snapprot_super_place(copy));
}

/* Any copy may be lost, torn or unreadable, as long as one of its pair is left. */
static void damaged_super(void)
{
	u32 pair, i, how;

	for (i = 0; i < 2 * 2 * 3; i++) {
		u64 place;

		open_store(2000);
		CHECK_EQ(snapprot_store_update(&core, 4, 0, 0, 0), 0);
		if (i & 1)
			CHECK_EQ(snapprot_store_update(&core, 4, 0, 0, 0), 0);
		CHECK_EQ(snapprot_store_update(&core, 5, 0, 0, 0), 0);
		pair = snapprot_pair_of(le64_to_cpu(core.super->h.seq));
		place = snapprot_super_place(pair + (i >> 1 & 1));
		how = i / 4;
		if (how == 0)
			sim_block(sim, place)[100]++;
		else if (how == 1)
			memset(sim_block(sim, place), 0, 4096);
		else
			sim_break(sim, place, true);
		CHECK_EQ(load(2000), 0);
		CHECK_EQ(core.generation, 5);
		/* The next writes bring all into order. */
		CHECK_EQ(snapprot_store_update(&core, 6, 0, 0, 0), 0);
		CHECK_EQ(load(2000), 0);
		CHECK_EQ(core.generation, 6);
		CHECK_EQ(snapprot_store_update(&core, 7, 0, 0, 0), 0);
		CHECK_EQ(load(2000), 0);
		CHECK_EQ(core.generation, 7);
		close_store();
	}
}

/* Without any there is no store. */
static void no_super(void)
{
	u32 i;

	open_store(2000);
	for (i = 0; i < SNAPPROT_COPIES; i++) {
		CHECK_EQ(load(2000), 0);
		sim_block(sim, snapprot_super_place(i))[100]++;
	}
	CHECK_EQ(load(2000), -EBADMSG);
	for (i = 0; i < SNAPPROT_COPIES; i++)
		sim_break(sim, snapprot_super_place(i), true);
	CHECK_EQ(load(2000), -EIO);
	close_store();
}

/* A write that the device has lost, and then one that a crash has torn. */
static void lost_then_torn(void)
{
	u32 i, new = 0;

	for (i = 0; i < 100; i++) {
		u8 old[2][SNAPPROT_BLOCK_SIZE];
		u32 pair, which = unit_below(2);

		open_store(2000);
		CHECK_EQ(snapprot_store_update(&core, 4, 0, 0, 0), 0);
		pair = 2 - snapprot_pair_of(le64_to_cpu(core.super->h.seq));
		memcpy(old[0], super(pair), sizeof(old[0]));
		memcpy(old[1], super(pair + 1), sizeof(old[1]));
		CHECK_EQ(snapprot_store_update(&core, 5, 0, 0, 0), 0);
		/* One copy of this write was never written, unseen by us. */
		sim_write(sim, snapprot_super_place(pair + which), old[which]);
		CHECK_EQ(sim_flush(sim), 0);
		CHECK_EQ(load(2000), 0);
		CHECK_EQ(core.generation, 5);
		sim->fuse = 1 + unit_below(5);
		snapprot_store_update(&core, 6, 0, 0, 0);
		sim->fuse = -1;
		snapprot_store_exit(&core);
		sim_crash(sim);
		CHECK_EQ(snapprot_store_load(&core, &sim->env, 2000, NULL), 0);
		CHECK(core.generation == 5 || core.generation == 6);
		new += core.generation == 6;
		close_store();
	}
	CHECK(new && new < 100);
}

static void newer_super(void)
{
	u32 i;

	open_store(2000);
	for (i = 0; i < SNAPPROT_COPIES; i++) {
		super(i)->incompat = cpu_to_le32(2);
		snapprot_super_seal(super(i));
	}
	CHECK_EQ(load(2000), -EPROTONOSUPPORT);

	/* What may be read and not written. */
	for (i = 0; i < SNAPPROT_COPIES; i++) {
		super(i)->incompat = 0;
		super(i)->compat_ro = cpu_to_le32(1);
		snapprot_super_seal(super(i));
	}
	CHECK_EQ(load(2000), 0);
	CHECK(core.read_only);
	CHECK_EQ(snapprot_store_update(&core, 5, 0, 0, 0), -EROFS);
	CHECK_EQ(snapprot_log_reserve(&core, 0, NULL), -EROFS);
	CHECK_EQ(snapprot_log_room(&core, 1), 0);
	CHECK_EQ(snapprot_ckpt_freeze(&core), -EROFS);
	CHECK_EQ(check(), 0);
	close_store();
}

/* Load a store whose superblock has another number: may it be written? */
static bool writable_with(u32 offset, u64 value)
{
	struct snapprot_disk_super s = *core.super;
	__le64 number = cpu_to_le64(value);
	bool writable;
	u32 i;

	memcpy((u8 *)&s + offset, &number, sizeof(number));
	for (i = 0; i < SNAPPROT_COPIES; i++) {
		s.h.block = cpu_to_le64(snapprot_super_place(i));
		*super(i) = s;
		snapprot_super_seal(super(i));
	}
	CHECK_EQ(load(2000), 0);
	writable = snapprot_store_update(&core, SNAPPROT_LAST_SEQ, 0, 0, 0) !=
		   -EROFS;
	CHECK_EQ(writable, !core.read_only);
	return writable;
}

/* Numbers that only grow are not counted on to where they would be damage. */
static void numbers_end(void)
{
	static const u32 numbers[] = {
		offsetof(struct snapprot_disk_super, h.seq),
		offsetof(struct snapprot_disk_super, generation),
		offsetof(struct snapprot_disk_super, ckpt_seq),
	};
	u32 i;

	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		open_store(2000);
		CHECK(writable_with(numbers[i], SNAPPROT_LAST_SEQ - 1));
		close_store();
		open_store(2000);
		CHECK(!writable_with(numbers[i], SNAPPROT_LAST_SEQ));
		close_store();
		open_store(2000);
		CHECK(!writable_with(numbers[i], SNAPPROT_MAX_SEQ - 1));
		close_store();
	}
}

/* A crash while formatting leaves no store, the old one or the new one. */
static void format_torn(void)
{
	u32 i, none = 0, old = 0, new = 0;

	for (i = 0; i < 300; i++) {
		int err;

		open_store(2000);
		CHECK_EQ(snapprot_store_update(&core, 5, 0, 0, 0), 0);
		sim->fuse = 1 + unit_below(18);
		format(2000);
		sim->fuse = -1;
		snapprot_store_exit(&core);
		sim_crash(sim);
		err = snapprot_store_load(&core, &sim->env, 2000, NULL);
		if (err) {
			CHECK(err == -ENODEV || err == -EBADMSG);
			none++;
		} else {
			CHECK_EQ(check(), 0);
			if (core.generation)
				old++;
			else
				new++;
		}
		close_store();
	}
	CHECK(none && old && new);
}

static void external_writer(void)
{
	u32 i, pair;

	for (i = 0; i < 4; i++) {
		open_store(2000);
		CHECK_EQ(snapprot_store_update(&core, 5, 0, 0, 0), 0);
		/* Either copy of the last write is looked at before the next. */
		pair = snapprot_pair_of(le64_to_cpu(core.super->h.seq)) +
		       i % 2;
		if (i < 2) {
			super(pair)->generation = cpu_to_le64(6);
			snapprot_super_seal(super(pair));
		} else {
			super(pair)->reserved[0]++;
		}
		CHECK_EQ(snapprot_store_update(&core, 7, 0, 0, 0), -EUCLEAN);
		CHECK_EQ(checkpoint_err(), -EUCLEAN);
		close_store();
	}
}

/* Two updates torn in a row must not lead back behind the first one. */
static void torn_twice(void)
{
	u32 i, first, last;

	for (i = 0; i < 400; i++) {
		open_store(2000);
		CHECK_EQ(snapprot_store_update(&core, 1, 0, 0, 0), 0);
		sim->fuse = 1 + unit_below(5);
		snapprot_store_update(&core, 2, 0, 0, 0);
		snapprot_store_exit(&core);
		sim_crash(sim);
		CHECK_EQ(snapprot_store_load(&core, &sim->env, 2000, NULL), 0);
		first = core.generation;
		CHECK(first == 1 || first == 2);
		sim->fuse = 1 + unit_below(5);
		snapprot_store_update(&core, first + 1, 0, 0, 0);
		snapprot_store_exit(&core);
		sim_crash(sim);
		CHECK_EQ(snapprot_store_load(&core, &sim->env, 2000, NULL), 0);
		last = core.generation;
		CHECK(last == first || last == first + 1);
		close_store();
	}
}

static void update_rules(void)
{
	open_store(2000);
	CHECK_EQ(snapprot_store_update(&core, 1, 8, 0, 0), -EINVAL);
	/* Not beyond the current epoch, and not back. */
	CHECK_EQ(snapprot_store_update(&core, 1, 0, 2, 0), -EINVAL);
	CHECK_EQ(snapprot_store_update(&core, 1, 0, 1, 9), 0);
	CHECK_EQ(snapprot_store_update(&core, 1, 0, 0, 0), -EINVAL);
	CHECK_EQ(snapprot_store_update(&core, 2, SNAPPROT_SUPER_PROTECTED, 1,
				       9), 0);
	CHECK(core.flags & SNAPPROT_SUPER_PROTECTED);
	CHECK_EQ(load(2000), 0);
	CHECK(core.flags & SNAPPROT_SUPER_PROTECTED);
	CHECK(core.lost_epoch == 1 && core.lost_fault == 9);
	CHECK_EQ(core.generation, 2);
	close_store();
}

/* A store that is behind what was known of it. */
static void stale(void)
{
	struct snapprot_evidence ev, more;
	struct sim *old;

	open_store(2000);
	record(SNAPPROT_LOG_CREATE, 1, 2, "one");
	checkpoint();
	record(SNAPPROT_LOG_CREATE, 2, 3, "two");
	old = sim_clone(sim);
	snapprot_store_evidence(&core, &ev);
	CHECK_EQ(ev.epoch, 3);
	CHECK_EQ(load_least(2000, &ev), 0);
	more = ev;
	more.ckpt_seq++;
	CHECK_EQ(load_least(2000, &more), -ESTALE);
	more = ev;
	more.log_seq++;
	CHECK_EQ(load_least(2000, &more), -ESTALE);
	more = ev;
	more.epoch++;
	CHECK_EQ(load_least(2000, &more), -ESTALE);

	/* One step is enough. */
	CHECK_EQ(load_least(2000, &ev), 0);
	record(SNAPPROT_LOG_DELETE, 2, 3, "");
	snapprot_store_evidence(&core, &more);
	CHECK(more.log_seq == ev.log_seq + 1);
	CHECK_EQ(load_least(2000, &more), 0);
	snapprot_store_exit(&core);
	CHECK_EQ(snapprot_store_load(&core, &old->env, 2000, &more), -ESTALE);
	snapprot_store_exit(&core);
	CHECK_EQ(snapprot_store_load(&core, &old->env, 2000, &ev), 0);
	snapprot_store_exit(&core);
	sim_free(old);
	sim_free(sim);
}

static void grow_and_shrink(void)
{
	u64 used, top;
	u32 i;

	/* The last group is too short to be used. */
	open_store(32768 + 63);
	CHECK_EQ(core.space.capacity, 32768 - 16 - 2);
	CHECK_EQ(snapprot_store_grow(&core, 32768), -EINVAL);
	sim_resize(sim, 100000);
	CHECK_EQ(snapprot_store_grow(&core, 32768 + 64), 0);
	CHECK_EQ(core.space.capacity, 32768 - 16 - 2 + 64 - 16);
	/* Not written yet, so it is found by loading. */
	CHECK_EQ(load(100000), 0);
	CHECK_EQ(core.space.capacity, 100000 - 4 * 16 - 2);
	checkpoint();
	CHECK_EQ(load(100000), 0);
	CHECK_EQ(check(), 0);

	/* Nothing lies behind the new end. */
	CHECK_EQ(load(20000), 0);
	used = snapprot_space_used(&core);
	CHECK(used <= 2);
	CHECK_EQ(check(), 0);
	checkpoint();
	CHECK_EQ(le64_to_cpu(core.super->store_blocks), 20000);
	CHECK(!walk_compare(sim));
	CHECK_EQ(load(100000), 0);
	CHECK_EQ(check(), 0);

	/* Something does: the log, wherever it has got to. */
	for (i = 1; i <= 20; i++) {
		record(SNAPPROT_LOG_CREATE, i, core.epoch + 1, "");
		if (i % 5 == 0)
			checkpoint();
	}
	top = core.log.block;
	if (top > 1024) {
		CHECK_EQ(load(top), -ENOSPC);
		CHECK_EQ(load(1024), -ENOSPC);
	}
	CHECK_EQ(load(100000), 0);
	CHECK_EQ(core.nr_snaps, 20);
	close_store();
}

struct top {
	u64 place;
};

static void find_top(void *ctx, u64 place, enum walk_kind kind)
{
	struct top *t = ctx;

	if (kind > WALK_SPACE && place > t->place)
		t->place = place;
}

/* A device that has really become smaller: nothing may be read beyond. */
static void cut_off(void)
{
	struct model *m = model_new(4000, 1000, 1, NULL);
	struct top t = { 0 };
	u64 blocks;
	u32 i;

	for (i = 0; i < 12; i++) {
		CHECK_EQ(model_create(m), 0);
		CHECK_EQ(model_write(m, 100), 0);
	}
	CHECK_EQ(model_checkpoint(m), 0);
	walk_store(m->sim, m->core.log.seq, find_top, &t);
	for (blocks = 1024; blocks <= t.place; blocks += 1 + unit_below(100)) {
		struct sim *copy = sim_clone(m->sim);
		int err;

		sim_resize(copy, blocks);
		err = snapprot_store_load(&core, &copy->env, blocks, NULL);
		CHECK_EQ(err, -ENOSPC);
		snapprot_store_exit(&core);
		sim_free(copy);
	}
	CHECK(t.place >= 1024);
	model_reload(m, false);
	model_free(m);
}

static void needed_rule(void)
{
	static const u32 epochs[] = { 3, 5, 9 };
	u32 prev, epoch, lost, i;

	open_store(2000);
	for (i = 0; i < 3; i++) {
		struct snapprot_snap s = { .id = i + 1, .epoch = epochs[i],
					   .sectors = 8 };

		CHECK(snapprot_snap_add(&core, &s));
		CHECK(!snapprot_snap_add(&core, &s));
	}
	for (lost = 0; lost < 12; lost++) {
		core.lost_epoch = lost;
		for (prev = 0; prev < 12; prev++) {
			for (epoch = 0; epoch < 12; epoch++) {
				bool want = false;

				for (i = 0; i < 3; i++)
					want |= epochs[i] > lost &&
						epochs[i] > prev &&
						epochs[i] <= epoch;
				CHECK_EQ(snapprot_entry_needed(&core, prev,
							       epoch), want);
			}
		}
		CHECK_EQ(snapprot_snaps_valid(&core),
			 (lost < 3) + (lost < 5) + (lost < 9));
		CHECK_EQ(snapprot_snaps_newest(&core), lost < 9 ? 9 : 0);
	}
	close_store();
}

/* Names and holds, through the log and through a checkpoint. */
static void names(void)
{
	u32 turn;

	open_store(2000);
	record(SNAPPROT_LOG_CREATE, 7, 2, "daily");
	record(SNAPPROT_LOG_CREATE, 9, 3, "");
	CHECK_EQ(snapprot_snap_new_id(&core), 10);
	record(SNAPPROT_LOG_SET, 9, 3, "\xc3\xa4lter");
	record(SNAPPROT_LOG_SET, 7, 2, "weekly");
	for (turn = 0; turn < 3; turn++) {
		CHECK_EQ(core.nr_snaps, 2);
		CHECK(!snapprot_snap_find_name(&core, "daily"));
		CHECK(!snapprot_snap_find_name(&core, ""));
		CHECK_EQ(snapprot_snap_find_name(&core, "weekly")->id, 7);
		CHECK_EQ(snapprot_snap_find_name(&core, "\xc3\xa4lter")->id,
			 9);
		if (turn == 1)
			checkpoint();
		CHECK_EQ(load(2000), 0);
	}
	close_store();
}

/* As many snapshots as there may be, through checkpoints and back. */
static void all_snapshots(void)
{
	u32 i;

	open_store(4000);
	for (i = 1; i <= SNAPPROT_MAX_SNAPSHOTS; i++) {
		struct snapprot_snap s = {
			.id = i * 7, .epoch = i + 1, .time = i,
			.sectors = 80000,
		};

		snprintf(s.name, sizeof(s.name), "%0*u", i % 60 + 4, i);
		CHECK(snapprot_snap_add(&core, &s));
	}
	core.epoch = SNAPPROT_MAX_SNAPSHOTS + 1;
	CHECK(!snapprot_snap_add(&core, &(struct snapprot_snap){
					.id = 1, .epoch = ~0u,
					.sectors = 1 }));
	for (i = 0; i < 2; i++)
		checkpoint();
	CHECK_EQ(check(), 0);
	CHECK(!walk_compare(sim));
	CHECK_EQ(load(4000), 0);
	CHECK_EQ(core.nr_snaps, SNAPPROT_MAX_SNAPSHOTS);
	for (i = 1; i <= SNAPPROT_MAX_SNAPSHOTS; i++) {
		struct snapprot_snap *s = snapprot_snap_find(&core, i * 7);
		char name[SNAPPROT_NAME_SIZE];

		snprintf(name, sizeof(name), "%0*u", i % 60 + 4, i);
		CHECK(s && s->epoch == i + 1 && s->time == i);
		CHECK(!strcmp(s->name, name));
	}
	CHECK_EQ(check(), 0);
	checkpoint();
	close_store();
}

/* The largest store there can be; only what is used takes memory. */
static void largest(void)
{
	u64 blocks = SNAPPROT_MAX_BLOCKS - 1;

	open_store(blocks);
	CHECK_EQ(core.space.capacity,
		 snapprot_capacity(blocks, snapprot_group_count(blocks)));
	record(SNAPPROT_LOG_CREATE, 1, 2, "");
	checkpoint();
	CHECK_EQ(load(blocks), 0);
	CHECK_EQ(core.nr_snaps, 1);
	CHECK_EQ(check(), 0);
	CHECK(sim->nr_pages < 200);
	close_store();
}

/* Every allocation fails once: an error, and nothing is lost of the store. */
static void no_memory(void)
{
	static const struct snapprot_tune tune = { 64, 3, 16, 24 };
	struct model *m = model_new(4000, 400, 1, &tune);
	u32 i, failed = 0;
	int err;

	for (i = 0; i < 20; i++) {
		CHECK_EQ(model_create(m), 0);
		err = model_write(m, 40);
		CHECK(!err || err == -ENOSPC);
		if (i % 3 == 1)
			CHECK_EQ(model_checkpoint(m), 0);
		CHECK(model_merge(m, 50) >= 0);
	}
	for (i = 0;; i++) {
		snapprot_store_exit(&m->core);
		sim_drop_cache(m->sim);
		m->sim->alloc_fuse = i;
		err = snapprot_store_load(&m->core, &m->sim->env, 4000, NULL);
		m->sim->alloc_fuse = -1;
		if (!err)
			break;
		CHECK_EQ(err, -ENOMEM);
		failed++;
	}
	CHECK(failed > 10);
	snapprot_store_exit(&m->core);
	sim_drop_cache(m->sim);
	model_load(m);
	/* And in merges and checkpoints. */
	for (i = 0;; i++) {
		m->sim->alloc_fuse = i;
		err = 0;
		do {
			err = snapprot_merge_step(&m->core, 100);
		} while (err == 1);
		if (err == -ENOSPC)
			err = 0;
		if (!err)
			err = snapprot_ckpt_freeze(&m->core);
		while (!err && (err = snapprot_ckpt_step(&m->core, 100)) == 1)
			err = 0;
		if (!err)
			err = snapprot_ckpt_prepare(&m->core);
		if (!err)
			err = snapprot_ckpt_write(&m->core);
		if (!err)
			err = snapprot_ckpt_finish(&m->core);
		m->sim->alloc_fuse = -1;
		if (!err)
			break;
		CHECK_EQ(err, -ENOMEM);
		model_reload(m, unit_once_in(2));
	}
	model_reload(m, false);
	model_verify(m, MODEL_ALL);
	model_check(m, true);
	model_free(m);
}

/* What happens on a device, in numbers: a batch is one piece, and one flush. */
static void few_pieces(void)
{
	struct model *m = model_new(50000, 4000, 1, NULL);
	u64 flushes, pieces, writes;

	m->sim->lazy = false;
	CHECK_EQ(model_create(m), 0);
	CHECK_EQ(model_refill(m), 0);
	flushes = m->sim->flushes;
	pieces = m->sim->write_pieces;
	writes = m->sim->writes;
	while (m->sim->writes - writes < 2000)
		CHECK_EQ(model_write(m, 400), 0);
	CHECK(m->sim->write_pieces - pieces < 2000 / 5);
	CHECK(m->sim->flushes - flushes < 60);
	flushes = m->sim->flushes;
	CHECK_EQ(model_checkpoint(m), 0);
	/* All of it, and the two superblocks with what comes before them. */
	CHECK(m->sim->flushes - flushes <= 3);
	model_free(m);
}

static const struct unit_test tests[] = {
	UNIT_TEST(empty_store),
	UNIT_TEST(bad_arguments),
	UNIT_TEST(damaged_super),
	UNIT_TEST(no_super),
	UNIT_TEST(lost_then_torn),
	UNIT_TEST(newer_super),
	UNIT_TEST(numbers_end),
	UNIT_TEST(format_torn),
	UNIT_TEST(external_writer),
	UNIT_TEST(torn_twice),
	UNIT_TEST(update_rules),
	UNIT_TEST(stale),
	UNIT_TEST(grow_and_shrink),
	UNIT_TEST(cut_off),
	UNIT_TEST(needed_rule),
	UNIT_TEST(names),
	UNIT_TEST(all_snapshots),
	UNIT_TEST(largest),
	UNIT_TEST(no_memory),
	UNIT_TEST(few_pieces),
};

UNIT_MAIN(tests)
