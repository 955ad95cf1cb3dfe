// SPDX-License-Identifier: GPL-2.0-only
/*
 * A damaged store, as the kernel would have it: loading, look-ups, the check, and
 * if the check finds nothing, going on with it.
 */
#include "fuzz.h"

struct run {
	struct fuzz_image img;
	struct sim *sim;
	struct snapprot_core core;
};

static int checkpoint(struct snapprot_core *core)
{
	int err = snapprot_ckpt_freeze(core);

	while (!err && (err = snapprot_ckpt_step(core, 100)) == 1)
		err = 0;
	while (!err && (err = snapprot_ckpt_sweep(core, 100)) == 1)
		err = 0;
	if (!err)
		err = snapprot_ckpt_prepare(core);
	if (!err)
		err = snapprot_ckpt_write(core);
	if (!err)
		err = snapprot_ckpt_finish(core);
	return err;
}

static int ignore_entry(void *ctx, const struct snapprot_entry *e)
{
	u32 *count = ctx;

	++*count;
	return 0;
}

static void look(struct run *r)
{
	const struct model *m = r->img.base->m;
	struct snapprot_entry e;
	u32 count = 0, i;

	snapprot_index_walk(&r->core, 0, ignore_entry, &count);
	CHECK(count <= r->core.blocks);
	for (i = 0; i < m->nr_blocks; i++)
		snapprot_lookup(&r->core, i * m->stride, 1 + i % 20, &e);
	if (r->img.honest)
		fuzz_never_wrong(&r->img, &r->core);
}

/* What the check accepts can be used: written to, loaded, and checked again. */
static void go_on(struct run *r, bool sound)
{
	u64 places[4];
	int err = 0;

	if (snapprot_log_room(&r->core, 4) == 4)
		err = snapprot_log_reserve(&r->core, 4, places);
	if (sound)
		CHECK_EQ(err, 0);
	/* Reserved and never written, as if the power had failed. */
	snapprot_store_exit(&r->core);
	sim_drop_cache(r->sim);
	CHECK_EQ(snapprot_store_load(&r->core, &r->sim->env, r->sim->blocks),
		 0);
	snapprot_sweep_start(&r->core);
	err = checkpoint(&r->core);
	if (!sound)
		return;
	if (err == -EUCLEAN)
		return;
	CHECK_EQ(err, 0);
	CHECK_EQ(fuzz_check(&r->core), 0);
	snapprot_store_exit(&r->core);
	sim_drop_cache(r->sim);
	CHECK_EQ(snapprot_store_load(&r->core, &r->sim->env, r->sim->blocks),
		 0);
	CHECK_EQ(fuzz_check(&r->core), 0);
}

static void run(void *ctx)
{
	struct run *r = ctx;
	u32 i;

	unit_seed(1);
	r->sim = sim_clone(r->img.base->m->sim);
	for (i = 0; i < r->img.nr; i++)
		memcpy(sim_block(r->sim, r->img.block[i]), r->img.data[i],
		       SNAPPROT_BLOCK_SIZE);
	if (!snapprot_store_load(&r->core, &r->sim->env, r->sim->blocks)) {
		look(r);
		go_on(r, !fuzz_check(&r->core) && !r->core.read_only);
	}
	CHECK_EQ(r->sim->nr_held, 0);
	snapprot_store_exit(&r->core);
	sim_free(r->sim);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	u32 i;

	for (i = 0; i < FUZZ_BASES; i++)
		fuzz_base(i);
	return 0;
}

int LLVMFuzzerTestOneInput(const u8 *input, size_t size)
{
	static struct run r;

	fuzz_image(&r.img, input, size);
	fuzz_run(run, &r);
	return 0;
}
