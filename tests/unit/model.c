// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>

#include "model.h"

static const u8 model_uuid[16] = "model of a store";

static u64 model_block(const struct model *m, u32 index)
{
	return index * m->stride;
}

/* What a version of a block looks like. */
static void model_fill(void *data, u32 index, u32 version)
{
	u64 word = ((u64)index << 32 | version) * 0x9e3779b97f4a7c15ull;
	u64 *p = data;
	u32 i;

	for (i = 0; i < SNAPPROT_BLOCK_SIZE / sizeof(*p); i++)
		p[i] = word += 0xd1342543de82ef95ull;
}

/* An error is right only if the device has died. */
static int model_err(struct model *m, int err)
{
	if (!m->sim->dead)
		CHECK_EQ(err, 0);
	CHECK_EQ(m->sim->nr_held, 0);
	return err;
}

/* ---- the log ----------------------------------------------------------- */

/* What is on its way to the disk: headers and old blocks. */
struct pending {
	u64 place[SNAPPROT_LOG_ENTRIES + MODEL_STEPS];
	const void *data[SNAPPROT_LOG_ENTRIES + MODEL_STEPS];
	u32 count;
};

static void pend(struct pending *p, u64 place, const void *data)
{
	p->place[p->count] = place;
	p->data[p->count++] = data;
}

/* Put it on the disk, in any order, and wait for it. */
static int pending_write(struct model *m, const struct pending *p)
{
	u32 step = p->count > 2 && unit_once_in(2) ? p->count - 1 : 1;
	u32 n = unit_below(p->count);
	u32 i;
	int err;

	/* All of them are met: p->count - 1 goes backwards by one. */
	for (i = 0; i < p->count; i++, n = (n + step) % p->count) {
		err = sim_write(m->sim, p->place[n], p->data[n]);
		if (err)
			return err;
	}
	return sim_flush(m->sim);
}

/* The newest snapshot that is not lost decides what is preserved already. */
static u32 epoch_wanted(const struct model *m)
{
	const struct snapprot_core *core = &m->core;

	if (!m->precise)
		return core->epoch;
	return core->snaps[core->nr_snaps - 1].epoch;
}

/* Make a step of @count blocks and add it to what is on its way. */
static int make_step(struct model *m, void *header, const u64 *block,
		     const u8 *data, u32 count, struct pending *p)
{
	struct snapprot_entry e[SNAPPROT_LOG_ENTRIES];
	u64 places[SNAPPROT_LOG_ENTRIES];
	u32 i;
	int err;

	err = snapprot_log_reserve(&m->core, count, places);
	if (err)
		return err;
	for (i = 0; i < count; i++, data += SNAPPROT_BLOCK_SIZE) {
		e[i].block = block[i];
		e[i].place = places[i];
		e[i].epoch = m->core.epoch;
		e[i].sum = snapprot_data_sum(data);
		pend(p, places[i], data);
	}
	pend(p, m->core.log_block, header);
	snapprot_log_encode_batch(&m->core, header, e, count);
	return 0;
}

int model_preserve(struct model *m, const u64 *block, const u8 *data, u32 count)
{
	static u8 header[MODEL_STEPS][SNAPPROT_BLOCK_SIZE];
	static struct pending p;
	u32 steps = 0, done = 0, i;
	int err;

	p.count = 0;
	do {
		u32 n = count - done;

		if (steps < MODEL_STEPS - 1 && n > 1 && unit_once_in(2))
			n = 1 + unit_below(n - 1);
		err = make_step(m, header[steps], block + done,
				data + done * SNAPPROT_BLOCK_SIZE, n, &p);
		if (!err && (steps || n < count))
			err = snapprot_log_advance(&m->core, header[steps]);
		done += n;
		steps++;
	} while (!err && done < count);
	if (!err)
		err = pending_write(m, &p);
	for (i = 0; !err && i < steps; i++)
		err = snapprot_log_commit(&m->core, header[i]);
	return model_err(m, err);
}

static int preserve(struct model *m, const u32 *index, u32 count)
{
	u8 *data = malloc(count * SNAPPROT_BLOCK_SIZE);
	u64 block[SNAPPROT_LOG_ENTRIES];
	u32 i;
	int err;

	for (i = 0; i < count; i++) {
		block[i] = model_block(m, index[i]);
		model_fill(data + i * SNAPPROT_BLOCK_SIZE, index[i],
			   m->origin[index[i]]);
	}
	err = model_preserve(m, block, data, count);
	free(data);
	return err;
}

/* Find the blocks of a write that are to be preserved. */
static int find_missing(struct model *m, const u32 *index, u32 count,
			u32 *missing, u32 *nr)
{
	u32 i;

	*nr = 0;
	if (!snapprot_snaps_valid(&m->core))
		return 0;
	for (i = 0; i < count; i++) {
		struct snapprot_entry e;
		int found = snapprot_lookup(&m->core, model_block(m, index[i]),
					    epoch_wanted(m), &e);

		if (found < 0)
			return model_err(m, found);
		if (!found)
			missing[(*nr)++] = index[i];
	}
	return 0;
}

int model_write(struct model *m, u32 count)
{
	u32 index[SNAPPROT_LOG_ENTRIES], missing[SNAPPROT_LOG_ENTRIES];
	u32 first = unit_below(m->nr_blocks);
	u32 step = unit_once_in(2) ? 1 : 1 + unit_below(7);
	u32 i, nr, room;
	int err;

	if (count > m->nr_blocks / 8)
		count = m->nr_blocks / 8;
	for (i = 0; i < count; i++)
		index[i] = (first + i * step) % m->nr_blocks;
	err = find_missing(m, index, count, missing, &nr);
	if (err)
		return err;
	/* Each step that shares the flush takes a header of its own. */
	room = snapprot_log_room(&m->core, nr + MODEL_STEPS - 1);
	if (nr && nr + MODEL_STEPS - 1 > room)
		return -ENOSPC;
	if (nr) {
		err = preserve(m, missing, nr);
		if (err)
			return err;
	}
	for (i = 0; i < count; i++)
		m->origin[index[i]] = ++m->version;
	return 0;
}

/*
 * Write a record. It may be refused for want of space, but never after a
 * checkpoint.
 */
int model_record(struct model *m, enum snapprot_log_type type,
		 const struct snapprot_snap *snap)
{
	static u8 header[SNAPPROT_BLOCK_SIZE];
	static struct pending p;
	int err;

	p.count = 0;
	err = snapprot_log_reserve(&m->core, 0, NULL);
	if (err == -ENOSPC) {
		err = model_checkpoint(m);
		if (!err && m->phase == MODEL_IDLE)
			err = snapprot_log_reserve(&m->core, 0, NULL);
	}
	if (err)
		return model_err(m, err);
	snapprot_log_encode_record(&m->core, header, type, snap);
	pend(&p, m->core.log_block, header);
	err = pending_write(m, &p);
	if (!err)
		err = snapprot_log_commit(&m->core, header);
	return model_err(m, err);
}

/* ---- snapshots --------------------------------------------------------- */

static void snap_add(struct model *m, const struct model_snap *snap)
{
	m->snap[m->nr_snaps++] = *snap;
}

static void snap_remove(struct model *m, u32 nr)
{
	free(m->snap[nr].content);
	memmove(&m->snap[nr], &m->snap[nr + 1],
		(--m->nr_snaps - nr) * sizeof(m->snap[0]));
}

int model_create(struct model *m)
{
	const size_t size = m->nr_blocks * sizeof(u32);
	struct snapprot_snap snap = {
		.id = m->next_id++, .epoch = m->core.epoch + 1, .time = 77,
		.sectors = m->core.origin_sectors,
	};
	int err;

	if (m->nr_snaps == MODEL_SNAPS)
		return 0;
	m->creating.id = snap.id;
	m->creating.epoch = snap.epoch;
	m->creating.content = malloc(size);
	memcpy(m->creating.content, m->origin, size);
	err = model_record(m, SNAPPROT_LOG_CREATE, &snap);
	if (err)
		return err;
	snap_add(m, &m->creating);
	m->creating.id = 0;
	return 0;
}

int model_delete(struct model *m, u32 nr)
{
	struct snapprot_snap *found;
	struct snapprot_snap snap;
	int err;

	found = snapprot_snap_find(&m->core, m->snap[nr].id);
	CHECK(found);
	snap = *found;
	m->deleting = snap.id;
	err = model_record(m, SNAPPROT_LOG_DELETE, &snap);
	if (err)
		return err;
	CHECK(!snapprot_snap_find(&m->core, snap.id));
	snap_remove(m, nr);
	m->deleting = 0;
	return 0;
}

int model_update(struct model *m, bool lose)
{
	u32 lost = lose ? m->core.epoch : m->core.lost_epoch;
	int err;

	if (m->phase >= MODEL_WRITE) {
		CHECK_EQ(snapprot_store_update(&m->core, 1, 0, 0, 0), -EBUSY);
		return 0;
	}
	m->losing = lost;
	err = snapprot_store_update(&m->core, m->generation + 1, 0, lost, 3);
	if (err)
		return model_err(m, err);
	m->generation++;
	m->lost_epoch = lost;
	return 0;
}

/* ---- checkpoints ------------------------------------------------------- */

static int tick(struct model *m)
{
	struct snapprot_core *core = &m->core;
	int err;

	switch (m->phase) {
	case MODEL_IDLE:
		err = snapprot_ckpt_freeze(core);
		m->phase = MODEL_STEP;
		return err;
	case MODEL_STEP:
		err = snapprot_ckpt_step(core, 1 + unit_below(200));
		if (!err)
			m->phase = MODEL_SWEEP;
		return err < 0 ? err : 0;
	case MODEL_SWEEP:
		err = 0;
		if (!unit_once_in(10))
			err = snapprot_ckpt_sweep(core, 1 + unit_below(500));
		if (err)
			return err < 0 ? err : 0;
		err = snapprot_ckpt_prepare(core);
		m->phase = MODEL_WRITE;
		return err;
	case MODEL_WRITE:
		err = snapprot_ckpt_write(core);
		m->phase = MODEL_FINISH;
		return err;
	case MODEL_FINISH:
		err = snapprot_ckpt_finish(core);
		m->phase = MODEL_IDLE;
		return err;
	}
	return 0;
}

int model_checkpoint_tick(struct model *m)
{
	return model_err(m, tick(m));
}

int model_checkpoint(struct model *m)
{
	int err;

	do {
		err = model_checkpoint_tick(m);
	} while (!err && m->phase != MODEL_IDLE);
	return err;
}

/* ---- reload ------------------------------------------------------------ */

/* Whatever was under way has happened, or has not. */
static void settle(struct model *m)
{
	struct snapprot_core *core = &m->core;
	u32 i;

	if (m->creating.id && snapprot_snap_find(core, m->creating.id))
		snap_add(m, &m->creating);
	else if (m->creating.id)
		free(m->creating.content);
	m->creating.id = 0;

	for (i = 0; m->deleting && i < m->nr_snaps; i++)
		if (m->snap[i].id == m->deleting &&
		    !snapprot_snap_find(core, m->deleting))
			snap_remove(m, i);
	m->deleting = 0;

	if (core->lost_epoch != m->lost_epoch) {
		CHECK_EQ(core->lost_epoch, m->losing);
		m->lost_epoch = m->losing;
	}
	m->losing = m->lost_epoch;
	CHECK(core->generation == m->generation ||
	      core->generation == m->generation + 1);
	m->generation = core->generation;
}

void model_load(struct model *m)
{
	for (;;) {
		CHECK_EQ(snapprot_store_load(&m->core, &m->sim->env,
					     m->sim->blocks), 0);
		m->phase = MODEL_IDLE;
		settle(m);
		model_verify(m);
		model_check(m, true);
		/* Anywhere is a place to go on. */
		if (unit_once_in(2))
			m->core.data_cursor = unit_below(m->core.blocks);
		/* An arrival makes durable what it has found. */
		if (!model_update(m, false))
			return;
		snapprot_store_exit(&m->core);
		sim_crash(m->sim);
	}
}

void model_reload(struct model *m, bool crash)
{
	snapprot_store_exit(&m->core);
	if (crash)
		sim_crash(m->sim);
	else
		sim_drop_cache(m->sim);
	model_load(m);
}

/* ---- comparing --------------------------------------------------------- */

static void verify_block(struct model *m, const struct model_snap *snap,
			 u32 index)
{
	u8 want[SNAPPROT_BLOCK_SIZE];
	struct snapprot_entry e;
	int found;

	found = snapprot_lookup(&m->core, model_block(m, index), snap->epoch,
				&e);
	CHECK(found >= 0);
	if (!found) {
		CHECK_EQ(m->origin[index], snap->content[index]);
		return;
	}
	CHECK(e.epoch >= snap->epoch && e.block == model_block(m, index));
	model_fill(want, index, snap->content[index]);
	CHECK(!memcmp(sim_block(m->sim, e.place), want, sizeof(want)));
	CHECK_EQ(e.sum, snapprot_data_sum(want));
}

void model_verify(struct model *m)
{
	struct snapprot_core *core = &m->core;
	u32 valid = 0;
	u32 i, b;

	CHECK_EQ(core->nr_snaps, m->nr_snaps);
	for (i = 0; i < m->nr_snaps; i++) {
		struct model_snap *snap = &m->snap[i];
		struct snapprot_snap *s = snapprot_snap_find(core, snap->id);

		CHECK(s && s->epoch == snap->epoch && s->time == 77);
		CHECK_EQ(snapprot_snap_lost(core, s),
			 snap->epoch <= m->lost_epoch);
		if (snap->epoch <= m->lost_epoch)
			continue;
		valid++;
		for (b = 0; b < m->nr_blocks; b++)
			verify_block(m, snap, b);
	}
	CHECK_EQ(snapprot_snaps_valid(core), valid);
	CHECK_EQ(m->sim->nr_held, 0);
}

static void report(void *ctx, u64 block, const char *what)
{
	printf("# block %llu: %s\n", (unsigned long long)block, what);
}

void model_check(struct model *m, bool data)
{
	static const struct snapprot_check_ops ops = { .problem = report };

	CHECK_EQ(snapprot_store_check(&m->core, data, &ops, NULL), 0);
	CHECK_EQ(m->sim->nr_held, 0);
}

struct swept {
	struct model *m;
	u64 block;
	u32 epoch;
};

static int entry_swept(void *ctx, const struct snapprot_entry *e)
{
	struct swept *s = ctx;
	u32 prev = s->block == e->block ? s->epoch : 0;

	CHECK(snapprot_entry_needed(&s->m->core, prev, e->epoch));
	s->block = e->block;
	s->epoch = e->epoch;
	return 0;
}

void model_check_swept(struct model *m)
{
	struct swept s = { .m = m };

	CHECK_EQ(snapprot_index_walk(&m->core, 0, entry_swept, &s), 0);
}

/* ---- making ------------------------------------------------------------ */

struct model *model_new(u64 blocks, u32 nr_blocks, u64 stride)
{
	struct model *m = calloc(1, sizeof(*m));
	u64 sectors = ((nr_blocks - 1) * stride + 1) *
		      SNAPPROT_SECTORS_PER_BLOCK;

	m->sim = sim_new(blocks);
	m->nr_blocks = nr_blocks;
	m->stride = stride;
	m->precise = true;
	m->origin = calloc(nr_blocks, sizeof(*m->origin));
	m->next_id = 1;
	CHECK_EQ(snapprot_store_format(&m->sim->env, model_uuid, sectors,
				       blocks, 1, 0), 0);
	model_load(m);
	return m;
}

void model_free(struct model *m)
{
	snapprot_store_exit(&m->core);
	sim_free(m->sim);
	while (m->nr_snaps)
		snap_remove(m, 0);
	free(m->origin);
	free(m);
}
