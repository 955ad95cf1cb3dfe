// SPDX-License-Identifier: GPL-2.0-only
/*
 * Damaged stores: whatever is wrong, every call must return, and where the
 * checksums could tell, nothing wrong may be read.
 */
#include <stdlib.h>
#include <unistd.h>

#include "damage.h"

static const struct snapprot_tune small = { 64, 3, 16, 48 };

/*
 * A store with levels, merges under way, chunks, snapshots, deleted ones, and a
 * log that ends with a seal; all of it durable.
 */
static struct model *make_store(void)
{
	struct model *m = model_new(3000, 150, 1, &small);
	u32 i;

	for (i = 0; i < 160; i++) {
		int err;

		if (i % 14 == 0)
			CHECK_EQ(model_create(m), 0);
		err = model_write(m, 1 + unit_below(15));
		CHECK(!err || err == -ENOSPC);
		if (i % 40 == 17)
			CHECK_EQ(model_delete(m, unit_below(m->nr_snaps)), 0);
		if (i % 7 == 2)
			CHECK_EQ(model_checkpoint(m), 0);
		if (i % 3 == 1)
			CHECK(model_merge(m, 20) != -EIO);
	}
	CHECK_EQ(model_checkpoint(m), 0);
	for (i = 0; i < 4; i++) {
		CHECK_EQ(model_write(m, 5), 0);
		if (i == 1)
			CHECK_EQ(model_create(m), 0);
	}
	CHECK_EQ(model_seal(m), 0);
	CHECK_EQ(sim_flush(m->sim), 0);
	return m;
}

static void try_damage(struct model *m, const struct damage_blocks *all, u32 n,
		       enum damage how, struct damage_tally *t)
{
	u64 place = all->b[n].place;
	u8 was[SNAPPROT_BLOCK_SIZE];

	memcpy(was, sim_peek(m->sim, place), sizeof(was));
	unit_cpu_limit(60);
	if (damage_do(m->sim, all, n, how))
		damage_look(m, m->sim, &all->b[n], how,
			    unit_once_in(4) ? 1 : 5, t);
	unit_cpu_limit(0);
	/* Put it back: that is cheaper than a copy of everything. */
	memcpy(sim_block(m->sim, place), was, sizeof(was));
	sim_break(m->sim, place, false);
	sim_drop_cache(m->sim);
}

/* Each block of metadata, and some of old data, with each kind of damage. */
static void every_block(void)
{
	u32 seen[WALK_KINDS] = { 0 };
	struct model *m = make_store();
	struct damage_blocks all = damage_find(m);
	struct damage_tally t = { 0 };
	u32 n, how;

	/* Nothing is written from here on. */
	snapprot_store_exit(&m->core);
	sim_drop_cache(m->sim);
	m->writable = false;
	for (n = 0; n < all.count; n++) {
		if (all.b[n].kind == WALK_DATA && seen[WALK_DATA] > 20 &&
		    !unit_once_in(20))
			continue;
		seen[all.b[n].kind]++;
		for (how = 0; how < NR_DAMAGES; how++)
			try_damage(m, &all, n, how, &t);
	}
	printf("# damaged:");
	for (n = 0; n < WALK_KINDS; n++) {
		printf("%s %u %s", n ? "," : "", seen[n], walk_words[n]);
		CHECK(seen[n]);
	}
	printf("\n# %u loaded, %u refused; %u blocks right, %u errors\n",
	       t.loaded, t.refused, t.right, t.wrong);
	CHECK(t.loaded && t.refused && t.right && t.wrong);
	free(all.b);
	/* Put back, everything is as it was. */
	model_load(m);
	model_free(m);
}

/* ---- damage that checksums do not see ---------------------------------- */

/* Do a bit of everything; errors are right, hanging and crashing is not. */
static void checkpoint(struct snapprot_core *core)
{
	u64 places[SNAPPROT_LOG_ENTRIES];
	u32 room, i;
	int err;

	err = snapprot_ckpt_freeze(core);
	for (i = 0; !err && i < 10000; i++) {
		err = snapprot_ckpt_step(core, 100);
		if (err != 1)
			break;
		err = 0;
	}
	room = snapprot_log_room(core, SNAPPROT_LOG_ENTRIES);
	if (!err && room)
		err = snapprot_log_reserve(core, room, places);
	if (!err)
		err = snapprot_ckpt_prepare(core);
	if (!err)
		err = snapprot_ckpt_write(core);
	if (!err)
		err = snapprot_ckpt_finish(core);
	if (!err)
		snapprot_store_check(core, true, &damage_quiet, NULL);
}

static int ignore_entry(void *ctx, const struct snapprot_entry *e)
{
	++*(u32 *)ctx;
	return 0;
}

static void exercise(struct snapprot_core *core)
{
	struct snapprot_scan scan = { .block = 0 };
	struct snapprot_entry e;
	u64 only, all;
	u32 i, count = 0;
	int err;

	snapprot_store_check(core, true, &damage_quiet, NULL);
	for (i = 0; i < 100000; i++)
		if (snapprot_scan_step(core, &scan, ignore_entry, &count) != 1)
			break;
	CHECK(i < 100000);
	for (i = 0; i < 50; i++)
		snapprot_lookup(core, unit_below(250), unit_below(20), &e);
	for (i = 0; i < core->nr_snaps; i++)
		snapprot_snap_usage(core, &core->snaps[i], &only, &all);
	for (i = 0; i < 200; i++) {
		err = snapprot_merge_step(core, 1 + unit_below(300));
		if (err < 0 && err != -ENOSPC)
			return;
		if (err != 1)
			break;
	}
	if (unit_once_in(2))
		checkpoint(core);
}

/* The sum of a block that is not led to by a pointer with one. */
static void reseal(struct sim *sim, const siphash_key_t *key, u64 place,
		   enum walk_kind kind)
{
	struct snapprot_disk_header *h = (void *)sim_block(sim, place);

	if (kind == WALK_SUPER)
		snapprot_super_seal((void *)h);
	else if (kind == WALK_LOG)
		h->sum = cpu_to_le64(snapprot_block_sum(key, h,
							SNAPPROT_MAGIC_LOG,
							place));
}

static void change(u8 *block)
{
	u32 changes = 1 + unit_below(3);

	while (changes--) {
		u32 at = unit_below(unit_once_in(2) ? 300 : 4096);

		/* Magic, place and UUID are right in what has a right sum. */
		if (at < 48 && !unit_once_in(8))
			continue;
		if (unit_once_in(2))
			block[at] ^= 1 << unit_below(8);
		else if (at < 4096 - 8 && unit_once_in(2))
			memset(block + at, unit_once_in(2) ? 0 : 0xff, 8);
		else
			block[at] = unit_random();
	}
}

/* Damage with correct checksums, so that it is the rules that must hold. */
static void resealed(void)
{
	struct model *m = make_store();
	u32 rounds = unit_rounds(300);
	struct damage_blocks all = damage_find(m);
	siphash_key_t key = m->sim->env.key;
	u32 i, loaded = 0, refused = 0;

	/* Only the one superblock. */
	for (i = 0; i < SNAPPROT_COPIES; i++)
		if (snapprot_super_place(i) != all.b[0].place)
			memset(sim_block(m->sim, snapprot_super_place(i)), 0,
			       SNAPPROT_BLOCK_SIZE);
	for (i = 0; i < rounds; i++) {
		struct sim *sim = sim_clone(m->sim);
		struct snapprot_core core;
		u32 blocks = 1 + unit_below(3);

		unit_cpu_limit(60);
		sim->trusting = true;
		while (blocks) {
			const struct damage_block *b;

			b = &all.b[unit_below(all.count)];

			if (b->kind == WALK_DATA && !unit_once_in(50))
				continue;
			if (b->kind == WALK_SUPER && !unit_once_in(3))
				continue;
			change(sim_block(sim, b->place));
			reseal(sim, &key, b->place, b->kind);
			blocks--;
		}
		if (!snapprot_store_load(&core, &sim->env, sim->blocks, NULL)) {
			loaded++;
			exercise(&core);
		} else {
			refused++;
		}
		snapprot_store_exit(&core);
		CHECK_EQ(sim->nr_held, 0);
		sim_free(sim);
	}
	unit_cpu_limit(0);
	printf("# %u loaded, %u refused\n", loaded, refused);
	CHECK(loaded && refused);
	free(all.b);
	model_free(m);
}

/*
 * F11: two children of a node are exchanged, with all sums right. Whoever looks for a
 * key in either finds that it is not the one.
 */
static void exchanged_children(void)
{
	static const struct snapprot_tune tune = { 64, 10, 16, 48 };
	struct model *m = model_new(3000, 600, 1, &tune);
	struct damage_tally t = { 0 };
	struct damage_blocks all;
	u32 i, nodes = 0;

	for (i = 0; i < 60; i++) {
		if (i % 20 == 0)
			CHECK_EQ(model_create(m), 0);
		CHECK_EQ(model_write(m, 40), 0);
		if (i % 3 == 2)
			CHECK_EQ(model_merge_all(m, true), 0);
	}
	CHECK_EQ(model_checkpoint(m), 0);
	CHECK_EQ(model_merge_all(m, true), 0);
	CHECK_EQ(model_checkpoint(m), 0);
	all = damage_find(m);
	snapprot_store_exit(&m->core);
	sim_drop_cache(m->sim);
	m->writable = false;
	m->sim->trusting = true;
	for (i = 0; i < all.count; i++) {
		struct snapprot_disk_node *n =
			(void *)sim_block(m->sim, all.b[i].place);
		struct snapprot_disk_child a, b;

		if (all.b[i].kind != WALK_NODE || !n->level ||
		    le16_to_cpu(n->count) < 2)
			continue;
		nodes++;
		a = n->child[0];
		b = n->child[1];
		n->child[0].place = b.place;
		n->child[0].sum = b.sum;
		n->child[1].place = a.place;
		n->child[1].sum = a.sum;
		damage_look(m, m->sim, &all.b[i], DAMAGE_SWAP, 1, &t);
		n->child[0] = a;
		n->child[1] = b;
		sim_drop_cache(m->sim);
	}
	printf("# %u nodes; %u blocks right, %u errors\n", nodes, t.right,
	       t.wrong);
	CHECK(nodes && t.loaded && t.wrong);
	m->sim->trusting = false;
	free(all.b);
	model_load(m);
	model_free(m);
}

/* F1: an entry of a leaf has another key, which breaks no rule: the sum tells. */
static void changed_keys(void)
{
	struct model *m = make_store();
	struct damage_blocks all = damage_find(m);
	struct damage_tally t = { 0 };
	u32 i, leaves = 0;

	snapprot_store_exit(&m->core);
	sim_drop_cache(m->sim);
	m->writable = false;
	for (i = 0; i < all.count; i++) {
		struct snapprot_disk_node *n =
			(void *)sim_block(m->sim, all.b[i].place);
		struct snapprot_disk_entry *e;

		if (all.b[i].kind != WALK_NODE || n->level)
			continue;
		leaves++;
		e = &n->entry[le16_to_cpu(n->count) - 1];
		e->block = cpu_to_le64(le64_to_cpu(e->block) + 1);
		damage_look(m, m->sim, &all.b[i], DAMAGE_FLIP, 1, &t);
		e->block = cpu_to_le64(le64_to_cpu(e->block) - 1);
		sim_drop_cache(m->sim);
	}
	CHECK(leaves && t.refused);
	free(all.b);
	model_load(m);
	model_free(m);
}

/* ---- what the check is for --------------------------------------------- */

static void damaged_counts(void)
{
	struct model *m = make_store();
	struct snapprot_core core;
	struct snapprot_entry e;
	u64 place;
	u32 i;

	snapprot_store_exit(&m->core);
	sim_drop_cache(m->sim);
	m->writable = false;
	for (i = 0; i < 3; i++) {
		CHECK_EQ(snapprot_store_load(&core, &m->sim->env,
					     m->sim->blocks, NULL), 0);
		CHECK_EQ(snapprot_store_check(&core, true, &damage_quiet, NULL), 0);
		switch (i) {
		case 0:	/* without owner */
			place = m->sim->blocks - 1;
			while (snapprot_space_mark(&core, place))
				place--;
			break;
		case 1:	/* two owners */
			e = core.fill.entry[core.fill.count - 1];
			core.fill.entry[core.fill.count - 1].where =
				core.log.block;
			/* It has two, and the other one has none. */
			CHECK_EQ(snapprot_store_check(&core, false,
						      &damage_quiet, NULL), 2);
			break;
		case 2:	/* old data */
			e = core.fill.entry[core.fill.count - 1];
			sim_block(m->sim, snapprot_entry_place(&e))[77]++;
			CHECK_EQ(snapprot_store_check(&core, false, &damage_quiet,
						      NULL), 0);
			break;
		}
		CHECK(snapprot_store_check(&core, true, &damage_quiet, NULL) > 0);
		snapprot_store_exit(&core);
		sim_drop_cache(m->sim);
	}
	model_free(m);
}

static const struct unit_test tests[] = {
	UNIT_TEST(every_block),
	UNIT_TEST(resealed),
	UNIT_TEST(exchanged_children),
	UNIT_TEST(changed_keys),
	UNIT_TEST(damaged_counts),
};

UNIT_MAIN(tests)
