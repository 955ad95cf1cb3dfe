// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>

#include "damage.h"

const char *const damage_words[NR_DAMAGES] = {
	"a bit is wrong", "zeros", "it is another one",
	"it is what it was before", "it cannot be read",
};

static void ignore_problem(void *ctx, u64 block, const char *what)
{
	CHECK(what && *what);
}

const struct snapprot_check_ops damage_quiet = { .problem = ignore_problem };

/* ---- what there is ------------------------------------------------------ */

struct find {
	struct model *m;
	struct damage_blocks all;
	u64 seq;		/* of the step that is being walked */
};

static const struct snapprot_disk_log *log_at(const struct model *m, u64 place)
{
	return (const void *)sim_peek(m->sim, place);
}

static void find_known(void *ctx, u64 place, enum walk_kind kind)
{
	struct find *f = ctx;
	u64 durable;

	if (kind != WALK_LOG)
		return;
	durable = le64_to_cpu(log_at(f->m, place)->durable_seq);
	if (durable > f->all.known)
		f->all.known = durable;
}

static void find_block(void *ctx, u64 place, enum walk_kind kind)
{
	struct find *f = ctx;
	struct damage_blocks *all = &f->all;
	struct damage_block *b;

	if (kind == WALK_LOG)
		f->seq = le64_to_cpu(log_at(f->m, place)->h.seq);
	if ((kind == WALK_LOG || kind == WALK_LOG_DATA) && f->seq > all->known)
		return;
	if (all->count == all->max) {
		all->max = all->max * 2 + 256;
		all->b = realloc(all->b, all->max * sizeof(*all->b));
	}
	b = &all->b[all->count++];
	b->place = place;
	b->kind = kind;
	/* Of the superblocks one is enough, and old data that was not needed when it
	 * was preserved, or is of lost snapshots, is nobody's.
	 */
	b->missed = kind != WALK_SUPER &&
		    (kind != WALK_LOG_DATA ||
		     (f->m->precise && !f->m->lost_epoch));
}

struct damage_blocks damage_find(struct model *m)
{
	struct find f = { .m = m };
	u64 end = m->core.log.seq, super = walk_super(m->sim);
	const struct snapprot_disk_super *s =
		(const void *)sim_peek(m->sim, super);
	u32 i;

	f.all.known = le64_to_cpu(s->fence_seq);
	walk_store(m->sim, end, find_known, &f);
	walk_store(m->sim, end, find_block, &f);
	for (i = 0; i < SNAPPROT_COPIES; i++)
		if (snapprot_super_place(i) != super)
			find_block(&f, snapprot_super_place(i), WALK_SUPER);
	return f.all;
}

/* ---- doing it ----------------------------------------------------------- */

static void copy_one(struct sim *sim, const struct damage_blocks *all, u32 n)
{
	u32 i, from = unit_below(all->count);

	/* One of the same kind, if there is any. */
	for (i = 0; i < all->count; i++) {
		const struct damage_block *b = &all->b[(from + i) % all->count];

		if (b->place == all->b[n].place || b->kind != all->b[n].kind)
			continue;
		memcpy(sim_block(sim, all->b[n].place), sim_peek(sim, b->place),
		       SNAPPROT_BLOCK_SIZE);
		return;
	}
}

bool damage_do(struct sim *sim, const struct damage_blocks *all, u32 n,
	       enum damage how)
{
	u64 place = all->b[n].place;
	u8 *data = sim_block(sim, place);
	u8 was[SNAPPROT_BLOCK_SIZE];

	memcpy(was, data, sizeof(was));
	switch (how) {
	case DAMAGE_FLIP:
		/* Where the fields are, more often. */
		data[unit_below(unit_once_in(2) ? 300 : 4096)] ^=
			1 << unit_below(8);
		break;
	case DAMAGE_ZERO:
		memset(data, 0, SNAPPROT_BLOCK_SIZE);
		break;
	case DAMAGE_SWAP:
		copy_one(sim, all, n);
		break;
	case DAMAGE_STALE:
		if (sim_older(sim, place))
			memcpy(data, sim_older(sim, place),
			       SNAPPROT_BLOCK_SIZE);
		break;
	case DAMAGE_UNREADABLE:
		/* Here it is the test that reads old data. */
		if (all->b[n].kind == WALK_DATA ||
		    all->b[n].kind == WALK_LOG_DATA)
			return false;
		sim_break(sim, place, true);
		return true;
	default:
		break;
	}
	return memcmp(was, data, sizeof(was));
}

/* ---- looking at it ------------------------------------------------------ */

/* Is this as the model has it? False if it is an error at least. */
static bool read_right(struct model *m, struct sim *sim,
		       struct snapprot_core *core,
		       const struct model_snap *snap, u32 index)
{
	u8 want[SNAPPROT_BLOCK_SIZE];
	struct snapprot_entry e;
	const u8 *got;
	int found;

	found = snapprot_lookup(core, model_block(m, index), snap->s.epoch, &e);
	if (found < 0)
		return false;
	if (!found) {
		CHECK_EQ(m->origin[index], snap->content[index]);
		return true;
	}
	got = sim_peek(sim, snapprot_entry_place(&e));
	if (snapprot_data_sum(core, got) != e.sum)
		return false;
	model_fill(want, index, snap->content[index]);
	CHECK(!memcmp(got, want, sizeof(want)));
	return true;
}

static void read_all(struct model *m, struct sim *sim,
		     struct snapprot_core *core, u32 step,
		     struct damage_tally *t)
{
	u32 i, b;

	CHECK_EQ(core->nr_snaps, m->nr_snaps);
	for (i = 0; i < m->nr_snaps; i++) {
		if (m->snap[i].s.epoch <= m->lost_epoch)
			continue;
		for (b = unit_below(step); b < m->nr_blocks; b += step)
			if (read_right(m, sim, core, &m->snap[i], b))
				t->right++;
			else
				t->wrong++;
	}
}

void damage_look(struct model *m, struct sim *sim,
		 const struct damage_block *b, enum damage how, u32 step,
		 struct damage_tally *t)
{
	struct snapprot_core core;
	int err;

	err = snapprot_store_load(&core, &sim->env, sim->blocks, NULL);
	if (err) {
		t->refused++;
	} else {
		t->loaded++;
		read_all(m, sim, &core, step, t);
		err = snapprot_store_check(&core, true, &damage_quiet, NULL);
		if (b->missed && !err)
			unit_fail(__FILE__, __LINE__,
				  "%s, block %llu: %s, and the check does not find it",
				  walk_words[b->kind],
				  (unsigned long long)b->place,
				  damage_words[how]);
	}
	snapprot_store_exit(&core);
	CHECK_EQ(sim->nr_held, 0);
}
