// SPDX-License-Identifier: GPL-2.0-only
/* The store as a whole: making, opening, resizing, its superblocks. */
#include "model.h"

static const u8 uuid[16] = "test of a store";

static struct sim *sim;
static struct snapprot_core core;

static int format(u64 blocks)
{
	return snapprot_store_format(&sim->env, uuid, 80000, blocks, 99,
				     SNAPPROT_SUPER_PROTECTED);
}

static int load(u64 blocks)
{
	snapprot_store_exit(&core);
	sim_drop_cache(sim);
	return snapprot_store_load(&core, &sim->env, blocks);
}

static void open_store(u64 blocks)
{
	sim = sim_new(blocks);
	CHECK_EQ(format(blocks), 0);
	CHECK_EQ(snapprot_store_load(&core, &sim->env, blocks), 0);
}

static void close_store(void)
{
	snapprot_store_exit(&core);
	sim_free(sim);
}

static void checkpoint(void)
{
	CHECK_EQ(snapprot_ckpt_freeze(&core), 0);
	CHECK_EQ(snapprot_ckpt_step(&core, ~0u), 0);
	CHECK_EQ(snapprot_ckpt_prepare(&core), 0);
	CHECK_EQ(snapprot_ckpt_write(&core), 0);
	CHECK_EQ(snapprot_ckpt_finish(&core), 0);
}

static void empty_store(void)
{
	struct snapprot_entry e;

	open_store(2000);
	CHECK(!memcmp(core.uuid, uuid, 16));
	CHECK_EQ(core.origin_sectors, 80000);
	CHECK_EQ(core.origin_blocks, 10000);
	CHECK_EQ(core.create_time, 99);
	CHECK_EQ(core.flags, SNAPPROT_SUPER_PROTECTED);
	CHECK_EQ(core.blocks, 2000);
	CHECK_EQ(core.nr_free, 2000 - 4);
	CHECK_EQ(snapprot_space_used(&core), 4);
	CHECK_EQ(core.nr_snaps, 0);
	CHECK_EQ(snapprot_snaps_valid(&core), 0);
	CHECK_EQ(snapprot_lookup(&core, 0, 0, &e), 0);
	CHECK_EQ(snapprot_store_check(&core, true, NULL, NULL), 0);
	close_store();
}

static void bad_arguments(void)
{
	sim = sim_new(2000);
	CHECK_EQ(format(1023), -ENOSPC);
	CHECK_EQ(format(SNAPPROT_MAX_BLOCKS), -EINVAL);
	CHECK_EQ(snapprot_store_format(&sim->env, uuid, 0, 2000, 1, 0),
		 -EINVAL);
	CHECK_EQ(snapprot_store_format(&sim->env, uuid, ~0ull, 2000, 1, 0),
		 -EINVAL);
	CHECK_EQ(snapprot_store_format(&sim->env, uuid, 8, 2000, 1, 8),
		 -EINVAL);
	CHECK_EQ(sim->ios, 0);
	CHECK_EQ(load(2000), -ENODEV);
	CHECK_EQ(load(1023), -ENOSPC);
	memset(sim_block(sim, 0), 0x77, 4096);
	memset(sim_block(sim, 64), 0x77, 4096);
	CHECK_EQ(load(2000), -ENODEV);
	CHECK_EQ(format(1024), 0);
	CHECK_EQ(load(1024), 0);
	close_store();
}

static void damaged_super(void)
{
	open_store(2000);
	sim_block(sim, 0)[100]++;
	CHECK_EQ(load(2000), 0);
	CHECK_EQ(core.super_copy, 1);
	/* The next write brings both into order. */
	CHECK_EQ(snapprot_store_update(&core, 5, 0, 0, 0), 0);
	sim_block(sim, 64)[100]++;
	CHECK_EQ(load(2000), 0);
	CHECK_EQ(core.super_copy, 0);
	CHECK_EQ(core.generation, 5);
	sim_block(sim, 0)[100]++;
	CHECK_EQ(load(2000), -EBADMSG);
	close_store();
}

static void newer_super(void)
{
	struct snapprot_disk_super *s;
	u32 i;

	open_store(2000);
	for (i = 0; i < 2; i++) {
		s = (void *)sim_block(sim, i * 64);
		s->incompat = cpu_to_le32(SNAPPROT_INCOMPAT_XXH64 | 2);
		snapprot_block_seal(s);
	}
	CHECK_EQ(load(2000), -EPROTONOSUPPORT);

	/* What may be read and not written. */
	for (i = 0; i < 2; i++) {
		s = (void *)sim_block(sim, i * 64);
		s->incompat = cpu_to_le32(SNAPPROT_INCOMPAT_XXH64);
		s->compat_ro = cpu_to_le32(1);
		snapprot_block_seal(s);
	}
	CHECK_EQ(load(2000), 0);
	CHECK(core.read_only);
	CHECK_EQ(snapprot_store_update(&core, 5, 0, 0, 0), -EROFS);
	CHECK_EQ(snapprot_log_reserve(&core, 0, NULL), -EROFS);
	CHECK_EQ(snapprot_log_room(&core, 1), 0);
	CHECK_EQ(snapprot_ckpt_freeze(&core), -EROFS);
	CHECK_EQ(snapprot_store_check(&core, true, NULL, NULL), 0);
	close_store();
}

/* Load a store whose superblock has another number: may it be written? */
static bool writable_with(__le64 *number, u64 value)
{
	struct snapprot_disk_super *s;
	u64 was = le64_to_cpu(*number);
	bool writable;
	u32 i;

	*number = cpu_to_le64(value);
	for (i = 0; i < 2; i++) {
		s = (void *)sim_block(sim, i * 64);
		memcpy(s, core.super, sizeof(*s));
		s->h.block = cpu_to_le64(i * 64);
		snapprot_block_seal(s);
	}
	*number = cpu_to_le64(was);
	CHECK_EQ(load(2000), 0);
	writable = snapprot_store_update(&core, 5, 0, 0, 0) != -EROFS;
	CHECK_EQ(writable, !core.read_only);
	return writable;
}

/* Numbers that only grow are not counted on to where they would be damage. */
static void numbers_end(void)
{
	static const size_t numbers[] = {
		offsetof(struct snapprot_disk_super, h.seq),
		offsetof(struct snapprot_disk_super, generation),
		offsetof(struct snapprot_disk_super, ckpt_seq),
	};
	u32 i;

	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		open_store(2000);
		CHECK(writable_with((void *)core.super + numbers[i],
				    SNAPPROT_LAST_SEQ - 1));
		close_store();
		open_store(2000);
		CHECK(!writable_with((void *)core.super + numbers[i],
				     SNAPPROT_LAST_SEQ));
		close_store();
		open_store(2000);
		CHECK(!writable_with((void *)core.super + numbers[i],
				     SNAPPROT_MAX_SEQ - 1));
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
		sim->fuse = 1 + unit_below(14);
		format(2000);
		sim->fuse = -1;
		snapprot_store_exit(&core);
		sim_crash(sim);
		err = snapprot_store_load(&core, &sim->env, 2000);
		if (err) {
			CHECK(err == -ENODEV || err == -EBADMSG);
			none++;
		} else {
			CHECK_EQ(snapprot_store_check(&core, true, NULL, NULL),
				 0);
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
	struct snapprot_disk_super *s;

	open_store(2000);
	CHECK_EQ(snapprot_store_update(&core, 5, 0, 0, 0), 0);
	s = (void *)sim_block(sim, core.super_copy ? 64 : 0);
	s->generation = cpu_to_le64(6);
	snapprot_block_seal(s);
	CHECK_EQ(snapprot_store_update(&core, 7, 0, 0, 0), -EUCLEAN);
	CHECK_EQ(snapprot_ckpt_freeze(&core), 0);
	CHECK_EQ(snapprot_ckpt_step(&core, 1), 0);
	CHECK_EQ(snapprot_ckpt_prepare(&core), 0);
	CHECK_EQ(snapprot_ckpt_write(&core), -EUCLEAN);
	close_store();
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
		CHECK_EQ(snapprot_store_load(&core, &sim->env, 2000), 0);
		first = core.generation;
		CHECK(first == 1 || first == 2);
		sim->fuse = 1 + unit_below(5);
		snapprot_store_update(&core, first + 1, 0, 0, 0);
		snapprot_store_exit(&core);
		sim_crash(sim);
		CHECK_EQ(snapprot_store_load(&core, &sim->env, 2000), 0);
		last = core.generation;
		CHECK(last == first || last == first + 1);
		close_store();
	}
}

static void update_rules(void)
{
	open_store(2000);
	CHECK_EQ(snapprot_store_update(&core, 1, 8, 0, 0), -EINVAL);
	CHECK_EQ(snapprot_store_update(&core, 1, 0, 2, 0), -EINVAL);
	CHECK_EQ(snapprot_store_update(&core, 1, 0, 1, 9), 0);
	CHECK_EQ(snapprot_store_update(&core, 1, 0, 0, 0), -EINVAL);
	CHECK(core.flags & SNAPPROT_SUPER_SWEEP);
	/* The sweep is the core's, whatever the caller says. */
	CHECK_EQ(snapprot_store_update(&core, 2, SNAPPROT_SUPER_PROTECTED, 1,
				       9), 0);
	CHECK_EQ(core.flags, SNAPPROT_SUPER_PROTECTED | SNAPPROT_SUPER_SWEEP);
	CHECK_EQ(load(2000), 0);
	CHECK_EQ(core.flags, SNAPPROT_SUPER_PROTECTED | SNAPPROT_SUPER_SWEEP);
	CHECK(core.lost_epoch == 1 && core.lost_fault == 9);
	CHECK_EQ(core.generation, 2);
	close_store();
}

static void grow_and_shrink(void)
{
	u64 block;

	open_store(16384 + 5);
	CHECK_EQ(core.nr_free, 16384 - 4);
	CHECK_EQ(snapprot_store_grow(&core, 16384), -EINVAL);
	sim_resize(sim, 50000);
	CHECK_EQ(snapprot_store_grow(&core, 16384 + 9), 0);
	CHECK_EQ(core.nr_free, 16384 - 4 + 8);
	/* Not written yet, so it is found by loading. */
	CHECK_EQ(load(50000), 0);
	CHECK_EQ(core.nr_free, 50000 - 4 - 3);
	checkpoint();
	CHECK_EQ(load(50000), 0);

	/* Nothing lies behind the new end. */
	CHECK_EQ(load(20000), 0);
	CHECK_EQ(snapprot_allocatable(20000) - core.nr_free,
		 1 + core.nr_ckpt_blocks);
	CHECK_EQ(snapprot_store_check(&core, true, NULL, NULL), 0);
	checkpoint();
	CHECK_EQ(le64_to_cpu(core.super->store_blocks), 20000);

	/* One block does. */
	CHECK_EQ(snapprot_ckpt_freeze(&core), 0);
	core.data_cursor = 19000;
	core.meta_end = 0;
	CHECK_EQ(snapprot_space_take_meta(&core, &block), 0);
	CHECK_EQ(block, 19000);
	CHECK_EQ(snapprot_ckpt_step(&core, 1), 0);
	core.data_cursor = 100;
	core.meta_end = 0;
	CHECK_EQ(snapprot_ckpt_prepare(&core), 0);
	CHECK_EQ(snapprot_ckpt_write(&core), 0);
	CHECK_EQ(snapprot_ckpt_finish(&core), 0);
	CHECK_EQ(load(19001), 0);
	CHECK_EQ(load(19000), -ENOSPC);
	CHECK_EQ(load(2000), -ENOSPC);
	CHECK_EQ(load(20000), 0);
	close_store();
}

/* The log may have used what the last checkpoint did not know of. */
static void grow_without_checkpoint(void)
{
	static u8 header[SNAPPROT_BLOCK_SIZE];
	struct snapprot_snap snap = { 3, 2, 1, 80000 };
	u64 block;

	open_store(2000);
	sim_resize(sim, 40000);
	CHECK_EQ(snapprot_store_grow(&core, 40000), 0);
	core.data_cursor = 39000;
	CHECK_EQ(snapprot_log_reserve(&core, 0, NULL), 0);
	snapprot_log_encode_record(&core, header, SNAPPROT_LOG_CREATE, &snap);
	CHECK_EQ(sim_write(sim, core.log_block, header), 0);
	CHECK_EQ(sim_flush(sim), 0);
	CHECK_EQ(snapprot_log_commit(&core, header), 0);
	block = core.log_block;
	CHECK_EQ(block, 39000);
	CHECK_EQ(load(40000), 0);
	CHECK_EQ(core.log_block, block);
	CHECK_EQ(core.nr_snaps, 1);
	CHECK_EQ(snapprot_store_check(&core, true, NULL, NULL), 0);
	checkpoint();
	CHECK_EQ(load(40000), 0);
	CHECK_EQ(core.nr_groups, 3);
	CHECK_EQ(snapprot_store_check(&core, true, NULL, NULL), 0);
	close_store();
}

/* A device that has really become smaller: nothing may be read beyond. */
static void cut_off(void)
{
	u64 block;

	open_store(50000);
	core.data_cursor = 40000;
	CHECK_EQ(snapprot_ckpt_freeze(&core), 0);
	CHECK_EQ(snapprot_space_take_meta(&core, &block), 0);
	CHECK_EQ(snapprot_ckpt_step(&core, 1), 0);
	CHECK_EQ(snapprot_ckpt_prepare(&core), 0);
	CHECK_EQ(snapprot_ckpt_write(&core), 0);
	CHECK_EQ(snapprot_ckpt_finish(&core), 0);
	snapprot_store_exit(&core);
	sim_drop_cache(sim);
	sim_resize(sim, 30000);
	CHECK_EQ(snapprot_store_load(&core, &sim->env, 30000), -ENOSPC);
	close_store();
}

static void needed_rule(void)
{
	static const u32 epochs[] = { 3, 5, 9 };
	u32 prev, epoch, lost, i;

	open_store(2000);
	for (i = 0; i < 3; i++) {
		struct snapprot_snap s = { i + 1, epochs[i], 0, 8 };

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
	}
	close_store();
}

/* As many snapshots as there may be, through checkpoints and back. */
static void all_snapshots(void)
{
	u32 i;

	open_store(4000);
	for (i = 1; i <= SNAPPROT_MAX_SNAPSHOTS; i++) {
		struct snapprot_snap s = { i * 7, i + 1, i, 80000 };

		CHECK(snapprot_snap_add(&core, &s));
	}
	core.epoch = SNAPPROT_MAX_SNAPSHOTS + 1;
	CHECK(!snapprot_snap_add(&core, &(struct snapprot_snap){ 1, ~0u, 0, 1 }));
	checkpoint();
	CHECK_EQ(snapprot_store_check(&core, true, NULL, NULL), 0);
	CHECK_EQ(load(4000), 0);
	CHECK_EQ(core.nr_snaps, SNAPPROT_MAX_SNAPSHOTS);
	for (i = 1; i <= SNAPPROT_MAX_SNAPSHOTS; i++) {
		struct snapprot_snap *s = snapprot_snap_find(&core, i * 7);

		CHECK(s && s->epoch == i + 1 && s->time == i);
	}
	CHECK_EQ(snapprot_store_check(&core, true, NULL, NULL), 0);
	checkpoint();
	close_store();
}

/* Every allocation fails once: an error, and nothing is lost of the store. */
static void no_memory(void)
{
	struct model *m = model_new(4000, 400, 1);
	u32 i, err, failed = 0;

	for (i = 0; i < 20; i++) {
		CHECK_EQ(model_create(m), 0);
		CHECK_EQ(model_write(m, 40), 0);
		if (i == 10)
			CHECK_EQ(model_checkpoint(m), 0);
	}
	for (i = 0;; i++) {
		snapprot_store_exit(&m->core);
		sim_drop_cache(m->sim);
		m->sim->alloc_fuse = i;
		err = snapprot_store_load(&m->core, &m->sim->env, 4000);
		if (!err)
			break;
		CHECK_EQ((int)err, -ENOMEM);
		failed++;
	}
	CHECK(failed > 10);
	m->sim->alloc_fuse = -1;
	/* And in a checkpoint. */
	for (i = 0;; i++) {
		int e;

		m->sim->alloc_fuse = i;
		e = snapprot_ckpt_freeze(&m->core);
		while (!e && (e = snapprot_ckpt_step(&m->core, 100)) == 1)
			e = 0;
		if (!e)
			e = snapprot_ckpt_prepare(&m->core);
		if (!e)
			e = snapprot_ckpt_write(&m->core);
		if (!e)
			e = snapprot_ckpt_finish(&m->core);
		m->sim->alloc_fuse = -1;
		if (!e)
			break;
		CHECK_EQ(e, -ENOMEM);
		model_reload(m, unit_once_in(2));
	}
	CHECK(i >= 2);
	model_verify(m);
	model_check(m, true);
	model_free(m);
}

static const struct unit_test tests[] = {
	UNIT_TEST(empty_store),
	UNIT_TEST(bad_arguments),
	UNIT_TEST(damaged_super),
	UNIT_TEST(newer_super),
	UNIT_TEST(numbers_end),
	UNIT_TEST(format_torn),
	UNIT_TEST(external_writer),
	UNIT_TEST(torn_twice),
	UNIT_TEST(update_rules),
	UNIT_TEST(grow_and_shrink),
	UNIT_TEST(grow_without_checkpoint),
	UNIT_TEST(cut_off),
	UNIT_TEST(needed_rule),
	UNIT_TEST(all_snapshots),
	UNIT_TEST(no_memory),
};

UNIT_MAIN(tests)
