// SPDX-License-Identifier: GPL-2.0-only
/*
 * A damaged store, as the kernel would have it: loading, look-ups, the check, and
 * going on with it. What the check has nothing against has to work.
 */
#include <stdlib.h>

#include "fuzz.h"

/* More than any call may have to be made, and less than for ever. */
#define MANY		20000u
/* Blocks that a load reads: all that is in use, the log, and two zones. */
#define MANY_READS	400000u

struct run {
	struct fuzz_image img;
	struct fuzz_env env;
	struct snapprot_core core;
	u32 calls;
};

#define RETRY(call) ({							\
	u32 __tries = 0;						\
	int __err;							\
									\
	while ((__err = (call)) == -EAGAIN)				\
		CHECK(__tries++ < MANY);				\
	__err;								\
})

/* ---- looking ----------------------------------------------------------------- */

static int ignore_entry(void *ctx, const struct snapprot_entry *e)
{
	++*(u32 *)ctx;
	return 0;
}

static void look_changed(struct run *r, u32 from)
{
	struct snapprot_range range[8];
	u64 block = 0, last = 0;
	u32 i, calls = 0;
	int n;

	do {
		n = RETRY(snapprot_changed(&r->core, from, r->core.epoch + 1,
					   &block, range, 8));
		for (i = 0; n > 0 && i < (u32)n; i++) {
			CHECK(range[i].start >= last);
			CHECK(range[i].end > range[i].start);
			last = range[i].end;
		}
		CHECK(calls++ < MANY);
	} while (n >= 0 && block != ~(u64)0);
}

static void look(struct run *r)
{
	const struct model *m = r->img.disk.base->m;
	struct snapprot_scan scan = { .block = 0 };
	struct snapprot_core *core = &r->core;
	struct snapprot_entry e;
	u32 count = 0, i;
	u64 only, all;
	int err;

	if (r->img.honest) {
		CHECK_EQ(fuzz_never_wrong(r->img.disk.base, core), m->nr_snaps);
		CHECK_EQ(core->nr_snaps, m->nr_snaps);
	}
	r->env.async = r->img.mode & FUZZ_ASYNC;
	for (i = 0; i < m->nr_blocks; i++) {
		err = RETRY(snapprot_lookup(core, model_block(m, i),
					    1 + i % 20, &e));
		/* Whatever is found can be read. */
		if (err > 0 && snapprot_entry_kind(&e) == SNAPPROT_KIND_DATA)
			CHECK(snapprot_entry_place(&e) < core->space.blocks);
	}
	for (i = 0; i < MANY; i++) {
		err = RETRY(snapprot_scan_step(core, &scan, ignore_entry,
					       &count));
		if (err != 1)
			break;
	}
	CHECK(i < MANY);
	for (i = 0; i < core->nr_snaps; i++) {
		snapprot_snap_usage(core, &core->snaps[i], &only, &all);
		if (i % 3 == 0)
			look_changed(r, core->snaps[i].epoch);
	}
}

/* ---- going on ------------------------------------------------------------------ */

static int checkpoint(struct run *r)
{
	struct snapprot_core *core = &r->core;
	int err;

	err = snapprot_ckpt_freeze(core);
	/* Too many parts: merging comes first, and it is made anyway. */
	if (err == -EBUSY)
		return 0;
	while (!err) {
		err = RETRY(snapprot_ckpt_step(core, 50));
		if (err <= 0)
			break;
		err = 0;
		CHECK(r->calls++ < MANY);
	}
	if (!err)
		err = RETRY(snapprot_ckpt_prepare(core));
	if (!err)
		err = snapprot_ckpt_write(core);
	if (!err)
		err = snapprot_ckpt_finish(core);
	return err;
}

static int refill(struct run *r)
{
	int err = RETRY(snapprot_log_refill(&r->core));

	return err == -ENOSPC ? 0 : err;
}

static int step_write(struct run *r, const void *header)
{
	memcpy(fuzz_block(&r->img.disk, r->core.log.block), header,
	       SNAPPROT_BLOCK_SIZE);
	return snapprot_log_commit(&r->core, header);
}

/* Preserve some blocks that the newest snapshot has not. */
static int batch(struct run *r, u32 from)
{
	const struct model *m = r->img.disk.base->m;
	struct snapprot_core *core = &r->core;
	u32 epoch = snapprot_snaps_newest(core), n = 0, i, room;
	struct snapprot_entry e[16], found;
	static u8 block[SNAPPROT_BLOCK_SIZE];
	u64 places[16];
	int err = refill(r);

	if (err || !epoch)
		return err;
	if (!snapprot_log_room(core, 1) && snapprot_log_wants_seal(core)) {
		err = snapprot_log_reserve(core, 0, NULL);
		if (err)
			return err == -ENOSPC ? 0 : err;
		snapprot_log_encode_seal(core, block);
		err = step_write(r, block);
		if (err)
			return err;
	}
	room = snapprot_log_room(core, 16);
	for (i = 0; i < 60 && n < room; i++) {
		u64 b = model_block(m, (from + i) % m->nr_blocks);

		if (b >= core->origin_blocks || i >= m->nr_blocks)
			continue;
		err = RETRY(snapprot_lookup(core, b, epoch, &found));
		if (err < 0)
			return err;
		if (err)
			continue;
		e[n].block = b;
		e[n++].epoch = core->epoch;
	}
	if (!n)
		return 0;
	err = snapprot_log_reserve(core, n, places);
	if (err)
		return err;
	for (i = 0; i < n; i++) {
		model_fill(block, i, from + 1);
		memcpy(fuzz_block(&r->img.disk, places[i]), block,
		       SNAPPROT_BLOCK_SIZE);
		e[i].where = SNAPPROT_WHERE(SNAPPROT_KIND_DATA, places[i]);
		e[i].sum = snapprot_data_sum(core, block);
	}
	snapprot_log_encode_batch(core, block, e, n);
	return step_write(r, block);
}

static int record(struct run *r, enum snapprot_log_type type,
		  const struct snapprot_snap *snap)
{
	static u8 block[SNAPPROT_BLOCK_SIZE];
	int err = refill(r);

	if (!err)
		err = snapprot_log_reserve(&r->core, 0, NULL);
	/* However full it is, after a checkpoint there is room for this. */
	if (err == -ENOSPC) {
		err = checkpoint(r);
		if (!err)
			err = refill(r);
		if (!err)
			err = snapprot_log_reserve(&r->core, 0, NULL);
	}
	if (err)
		return err;
	snapprot_log_encode_record(&r->core, block, type, snap);
	return step_write(r, block);
}

static int create(struct run *r)
{
	struct snapprot_core *core = &r->core;
	struct snapprot_snap snap = {
		.id = snapprot_snap_new_id(core),
		.epoch = core->epoch + 1,
		.sectors = core->origin_sectors,
	};

	if (!snap.id || !snap.epoch ||
	    core->nr_snaps == SNAPPROT_MAX_SNAPSHOTS)
		return 0;
	return record(r, SNAPPROT_LOG_CREATE, &snap);
}

static int delete(struct run *r, u32 nr)
{
	struct snapprot_snap snap;

	if (!r->core.nr_snaps)
		return 0;
	snap = r->core.snaps[nr % r->core.nr_snaps];
	return record(r, SNAPPROT_LOG_DELETE, &snap);
}

static int map(struct run *r)
{
	struct snapprot_core *core = &r->core;
	u32 epoch = snapprot_map_missing(core);
	int err;

	if (!epoch)
		return 0;
	err = snapprot_map_begin(core, epoch);
	if (err == -EBUSY)
		return 0;
	if (!err)
		err = RETRY(snapprot_map_add(core, 5, 100));
	if (!err)
		err = RETRY(snapprot_map_add(core, 1000, 3));
	if (!err)
		err = RETRY(snapprot_map_end(core));
	if (err != -ENOSPC && err != -EBUSY)
		return err;
	snapprot_map_abort(core);
	return 0;
}

/* Until nothing is possible any more. */
static int merge(struct run *r)
{
	u32 full = 0;
	int err = 0;

	while (!err && snapprot_merge_possible(&r->core)) {
		err = RETRY(snapprot_merge_step(&r->core, 40));
		if (err == -ENOSPC) {
			/* A checkpoint gives space back, or there is none. */
			if (full++ > 20)
				return 0;
			err = checkpoint(r);
		} else if (err > 0) {
			err = 0;
		}
		CHECK(r->calls++ < MANY);
		if (!err && r->calls % 16 == 0)
			err = checkpoint(r);
	}
	return err;
}

static int go_on(struct run *r)
{
	struct snapprot_core *core = &r->core;
	u32 i;
	int err;

	err = snapprot_store_update(core, core->generation + 1, core->flags,
				    core->lost_epoch, core->lost_fault);
	for (i = 0; !err && i < 3; i++) {
		err = batch(r, 7 * i);
		if (!err)
			err = create(r);
		if (!err)
			err = map(r);
		if (!err)
			err = batch(r, 40 * i);
		if (!err && i != 1)
			err = delete(r, i);
		if (!err && i)
			err = checkpoint(r);
		if (!err)
			err = merge(r);
	}
	if (!err)
		err = checkpoint(r);
	if (!err)
		err = batch(r, 3);
	return err;
}

/* ---- all of it ----------------------------------------------------------------- */

static int load(struct run *r, const struct snapprot_evidence *least)
{
	u64 reads = r->img.disk.reads;
	int err;

	r->env.async = false;
	err = snapprot_store_load(&r->core, &r->env.env, r->img.disk.blocks,
				  least);
	CHECK(r->img.disk.reads - reads < MANY_READS);
	return err;
}

static void end(struct run *r)
{
	snapprot_store_exit(&r->core);
	fuzz_env_drop(&r->env);
	CHECK_EQ(r->env.memory, 0);
}

/* It was sound, so it still is, with all that was done. */
static void check_again(struct run *r)
{
	struct snapprot_evidence ev;

	CHECK_EQ(checkpoint(r), 0);
	snapprot_store_evidence(&r->core, &ev);
	end(r);
	CHECK_EQ(load(r, &ev), 0);
	CHECK_EQ(fuzz_check(&r->core), 0);
}

static void run(void *ctx)
{
	struct run *r = ctx;
	bool sound = false;
	int err;

	unit_seed(1);
	fuzz_env_init(&r->env, &r->img.disk);
	r->calls = 0;
	err = load(r, r->img.honest ? &r->img.disk.base->ev : NULL);
	if (!err) {
		look(r);
		r->env.async = false;
		sound = !fuzz_check(&r->core) && !r->core.read_only;
		r->env.async = r->img.mode & FUZZ_ASYNC;
		r->env.sound = sound;
		r->core.hurry = r->img.mode & FUZZ_HURRY;
		err = go_on(r);
		if (sound) {
			CHECK_EQ(err, 0);
			check_again(r);
		}
	}
	if (getenv("FUZZ_SAY"))
		printf("# %s, %u calls, %d\n", sound ? "sound" : "not sound",
		       r->calls, err);
	end(r);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	return 0;
}

int LLVMFuzzerTestOneInput(const u8 *input, size_t size)
{
	static struct run r;

	fuzz_image(&r.img, input, size);
	fuzz_run(run, &r);
	fuzz_image_free(&r.img);
	return 0;
}
