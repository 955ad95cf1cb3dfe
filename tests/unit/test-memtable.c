// SPDX-License-Identifier: GPL-2.0-only
/* The memtable against a plain array. */
#include "sim.h"

#define MAX	500u

static struct snapprot_entry model[MAX];
static u32 nr_model;

static bool model_find(u64 block, u32 epoch, struct snapprot_entry *found)
{
	bool have = false;
	u32 i;

	for (i = 0; i < nr_model; i++) {
		if (model[i].block != block || model[i].epoch < epoch)
			continue;
		if (!have || model[i].epoch < found->epoch)
			*found = model[i];
		have = true;
	}
	return have;
}

static int model_add(const struct snapprot_entry *e)
{
	u32 i;

	for (i = 0; i < nr_model; i++) {
		if (model[i].block == e->block && model[i].epoch == e->epoch) {
			model[i] = *e;
			return 0;
		}
	}
	if (nr_model == MAX)
		return -ENOSPC;
	model[nr_model++] = *e;
	return 0;
}

/* Strictly ascending, so that none is there twice. */
static void check_order(const struct snapprot_memtable *mt)
{
	u32 i;

	for (i = 0; i < mt->count; i++) {
		const struct snapprot_entry *e, *prev;

		CHECK(mt->order[i] < mt->count);
		if (!i)
			continue;
		prev = &mt->entry[mt->order[i - 1]];
		e = &mt->entry[mt->order[i]];
		CHECK(snapprot_key_cmp(prev->block, prev->epoch, e->block,
				       e->epoch) < 0);
	}
}

static void against_array(void)
{
	struct snapprot_memtable mt = { 0 };
	struct sim *sim = sim_new(1024);
	u32 full = 0;
	u32 i;

	CHECK_EQ(snapprot_memtable_init(&mt, &sim->env, MAX), 0);
	for (i = 0; i < 100000; i++) {
		struct snapprot_entry a, b, e = {
			.block = unit_below(90) * 0x100000001ull,
			.epoch = unit_below(8),
			.place = i,
			.sum = unit_random(),
		};
		u32 what = unit_below(2000);

		if (what < 1000) {
			int err = snapprot_memtable_add(&mt, &e);

			CHECK_EQ(err, model_add(&e));
			full += err != 0;
		} else if (what < 1998) {
			bool found = snapprot_memtable_find(&mt, e.block,
							    e.epoch, &a);

			CHECK_EQ(found, model_find(e.block, e.epoch, &b));
			CHECK(!found || !memcmp(&a, &b, sizeof(a)));
		} else if (what < 1999) {
			snapprot_memtable_order(&mt);
			check_order(&mt);
		} else if (unit_once_in(4)) {
			snapprot_memtable_clear(&mt);
			nr_model = 0;
		}
		CHECK_EQ(mt.count, nr_model);
	}
	CHECK(full);
	snapprot_memtable_exit(&mt, &sim->env);
	sim_free(sim);
}

static void no_memory(void)
{
	struct sim *sim = sim_new(1024);
	u32 i;

	for (i = 0; i < 5; i++) {
		struct snapprot_memtable mt = { 0 };

		sim->alloc_fuse = i;
		CHECK_EQ(snapprot_memtable_init(&mt, &sim->env, 9),
			 i < 4 ? -ENOMEM : 0);
		snapprot_memtable_exit(&mt, &sim->env);
	}
	sim_free(sim);
}

static const struct unit_test tests[] = {
	UNIT_TEST(against_array),
	UNIT_TEST(no_memory),
};

UNIT_MAIN(tests)
