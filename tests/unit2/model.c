// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>

#include "model-internal.h"

static const u8 model_uuid[16] = "model of a store";

u64 model_block(const struct model *m, u32 index)
{
	return index * m->stride;
}

void model_fill(void *data, u32 index, u32 version)
{
	u64 word = ((u64)index << 32 | version) * 0x9e3779b97f4a7c15ull;
	u64 *p = data;
	u32 i;

	if (!version) {
		memset(data, 0, BLOCK);
		return;
	}
	for (i = 0; i < BLOCK / sizeof(*p); i++)
		p[i] = word += 0xd1342543de82ef95ull;
}

int model_err_at(struct model *m, int err, const char *file, int line)
{
	if (!m->sim->dead && err)
		unit_fail(file, line, "error %d", err);
	return m->sim->dead ? -EIO : err;
}

/* Something has come to a good end. */
static int model_done(struct model *m)
{
	struct snapprot_evidence ev;

	snapprot_store_evidence(&m->core, &ev);
	CHECK(ev.ckpt_seq >= m->evidence.ckpt_seq);
	CHECK(ev.log_seq >= m->evidence.log_seq);
	CHECK(ev.super_seq >= m->evidence.super_seq);
	CHECK(ev.epoch >= m->evidence.epoch);
	m->evidence = ev;
	return 0;
}

/* -EAGAIN: is it to be called again at once, or some other time? */
static bool give_up(const struct model *m, int err)
{
	return err == -EAGAIN && unit_once_in(2);
}

/* ---- F3: what must not be overwritten ---------------------------------- */

static u64 super_seq(const struct model *m, u32 copy)
{
	u64 place = snapprot_super_place(copy);
	const struct snapprot_disk_super *s =
		(const void *)sim_peek(m->sim, place);

	return snapprot_super_verify(s, place) ? 0 : le64_to_cpu(s->h.seq);
}

/* Not to the pair that was written last, unless it lacks the second copy. */
static bool may_write_super(const struct model *m, u64 place)
{
	u64 seq[SNAPPROT_COPIES], best[2];
	u32 i, pair;

	for (i = 0; i < SNAPPROT_COPIES; i++)
		seq[i] = super_seq(m, i);
	for (i = 0; i < 2; i++)
		best[i] = seq[2 * i] > seq[2 * i + 1] ? seq[2 * i] :
							seq[2 * i + 1];
	pair = place == snapprot_super_place(2) ||
	       place == snapprot_super_place(3);
	return best[pair] <= best[!pair] ||
	       seq[2 * pair] != seq[2 * pair + 1];
}

static bool may_write(void *ctx, u64 place)
{
	struct model *m = ctx;

	if (!m->writable)
		return false;
	return walk_is_super(place) ? may_write_super(m, place) :
				      !places_has(&m->leads, place);
}

static void leads_add(void *ctx, u64 place, enum walk_kind kind)
{
	struct model *m = ctx;

	places_add(&m->leads, place);
}

/* All that the superblock leads to, besides what there is. */
static void leads_more(struct model *m)
{
	walk_store(m->sim, m->core.log.seq, leads_add, m);
}

static void leads_anew(struct model *m)
{
	places_clear(&m->leads);
	leads_more(m);
}

/* ---- F6: where the log may take its blocks from ------------------------ */

static void zones_from(struct model *m, const struct snapprot_disk_range *zone)
{
	u32 i;

	for (i = 0; i < 2; i++) {
		m->zone[i].start = le64_to_cpu(zone[i].start);
		m->zone[i].end = le64_to_cpu(zone[i].end);
	}
}

static void zones_of(void *ctx, u64 place, enum walk_kind kind)
{
	struct model *m = ctx;
	const struct snapprot_disk_log *l = (const void *)sim_peek(m->sim, place);

	if (kind == WALK_LOG)
		zones_from(m, l->zone);
}

/* Those of the superblock, or of the last step behind it. */
static void zones_anew(struct model *m)
{
	zones_from(m, m->core.super->zone);
	walk_store(m->sim, m->core.log.seq, zones_of, m);
}

static bool in_zone(const struct model *m, u64 place)
{
	u32 i;

	for (i = 0; i < 2; i++)
		if (place >= m->zone[i].start && place < m->zone[i].end)
			return true;
	return false;
}

/* ---- the log ----------------------------------------------------------- */

/* What is on its way to the disk: headers and old blocks. */
struct pending {
	u64 place[MODEL_STEPS * (SNAPPROT_LOG_ENTRIES + 1)];
	const void *data[MODEL_STEPS * (SNAPPROT_LOG_ENTRIES + 1)];
	u32 count;
};

static void pend(struct pending *p, u64 place, const void *data)
{
	p->place[p->count] = place;
	p->data[p->count++] = data;
}

/* A device that is measured gets what is written in the order of places. */
static void pending_sort(struct pending *p)
{
	u32 i, n;

	for (i = 1; i < p->count; i++) {
		u64 place = p->place[i];
		const void *data = p->data[i];

		for (n = i; n && p->place[n - 1] > place; n--) {
			p->place[n] = p->place[n - 1];
			p->data[n] = p->data[n - 1];
		}
		p->place[n] = place;
		p->data[n] = data;
	}
}

/* Put it on the disk, in any order, and wait for it. */
static int pending_write(struct model *m, struct pending *p)
{
	u32 step = p->count > 2 && unit_once_in(2) ? p->count - 1 : 1;
	u32 n = unit_below(p->count);
	u32 i;
	int err;

	if (!m->sim->lazy) {
		pending_sort(p);
		step = 1;
		n = 0;
	}
	/* All of them are met: p->count - 1 goes backwards by one. */
	for (i = 0; i < p->count; i++, n = (n + step) % p->count) {
		err = sim_write(m->sim, p->place[n], p->data[n]);
		if (err)
			return err;
	}
	err = sim_flush(m->sim);
	for (i = 0; !err && i < p->count; i++)
		leads_add(m, p->place[i], WALK_LOG);
	return err;
}

/* The newest snapshot that is not lost decides what is preserved already. */
static u32 epoch_wanted(const struct model *m)
{
	return m->precise ? snapprot_snaps_newest(&m->core) : m->core.epoch;
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
	for (i = 0; i < count; i++, data += BLOCK) {
		e[i].block = block[i];
		e[i].where = SNAPPROT_WHERE(SNAPPROT_KIND_DATA, places[i]);
		e[i].epoch = m->core.epoch;
		e[i].sum = snapprot_data_sum(&m->core, data);
		pend(p, places[i], data);
	}
	for (i = 0; i < count; i++)
		CHECK(in_zone(m, places[i]));
	CHECK(in_zone(m, m->core.log.next));
	pend(p, m->core.log.block, header);
	snapprot_log_encode_batch(&m->core, header, e, count);
	return 0;
}

/*
 * As many steps as there is room for, and one flush. Returns how many blocks are
 * preserved, or an error.
 */
static int preserve_group(struct model *m, const u64 *block, const u8 *data,
			  u32 count)
{
	static u8 header[MODEL_STEPS][BLOCK];
	static struct pending p;
	u32 steps = 0, done = 0, most, i;
	int err = 0;

	p.count = 0;
	most = unit_once_in(2) ? 1 : MODEL_STEPS;
	while (!err && steps < most && done < count) {
		u32 n = snapprot_min(count - done, SNAPPROT_LOG_ENTRIES);

		if (most > 1 && n > 1 && unit_once_in(2))
			n = 1 + unit_below(n - 1);
		n = snapprot_log_room(&m->core, n);
		if (!n)
			break;
		err = make_step(m, header[steps], block + done,
				data + (size_t)done * BLOCK, n, &p);
		if (!err && most > 1)
			err = snapprot_log_advance(&m->core, header[steps]);
		done += n;
		steps++;
	}
	if (!err && !steps)
		return 0;
	if (!err)
		err = pending_write(m, &p);
	for (i = 0; !err && i < steps; i++)
		err = snapprot_log_commit(&m->core, header[i]);
	if (err)
		return model_err(m, err);
	zones_from(m, ((struct snapprot_disk_log *)header[steps - 1])->zone);
	model_done(m);
	return done;
}

int model_preserve(struct model *m, const u64 *block, const u8 *data, u32 count)
{
	u32 done = 0;
	int n;

	while (done < count) {
		n = preserve_group(m, block + done, data + (size_t)done * BLOCK,
				   count - done);
		if (n < 0)
			return n;
		done += n;
		if (n)
			continue;
		/* Perhaps only the log has to take some more space. */
		n = model_refill(m);
		if (!n && !snapprot_log_room(&m->core, 1) &&
		    snapprot_log_wants_seal(&m->core))
			n = model_record(m, SNAPPROT_LOG_SEAL, NULL);
		if (n)
			return n;
		if (!snapprot_log_room(&m->core, 1))
			return -ENOSPC;
	}
	return 0;
}

static int preserve(struct model *m, const u32 *index, u32 count)
{
	u8 *data = malloc((size_t)count * BLOCK);
	u64 *block = malloc(count * sizeof(*block));
	u32 i;
	int err;

	for (i = 0; i < count; i++) {
		block[i] = model_block(m, index[i]);
		model_fill(data + (size_t)i * BLOCK, index[i],
			   m->origin[index[i]]);
	}
	err = model_preserve(m, block, data, count);
	free(data);
	free(block);
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
		int found;

		found = MODEL_RETRY(snapprot_lookup(&m->core,
						    model_block(m, index[i]),
						    epoch_wanted(m), &e));
		if (found < 0)
			return model_err(m, found);
		if (!found)
			missing[(*nr)++] = index[i];
	}
	return 0;
}

static void note_written(struct model *m, u32 index)
{
	u32 epoch = m->core.epoch;

	CHECK(epoch < MODEL_EPOCHS);
	if (!m->written[epoch])
		m->written[epoch] = calloc(m->nr_blocks,
					   sizeof(*m->written[epoch]));
	m->written[epoch][index] = true;
}

int model_write(struct model *m, u32 count)
{
	u32 first = unit_below(m->nr_blocks);
	u32 step = unit_once_in(2) ? 1 : 1 + unit_below(7);
	u32 *index, *missing;
	u32 i, nr;
	int err;

	count = snapprot_min(count, m->nr_blocks / 8);
	index = malloc(2 * count * sizeof(*index));
	missing = index + count;
	for (i = 0; i < count; i++)
		index[i] = (first + i * step) % m->nr_blocks;
	err = find_missing(m, index, count, missing, &nr);
	if (!err && nr)
		err = preserve(m, missing, nr);
	for (i = 0; !err && i < count; i++) {
		m->origin[index[i]] = ++m->version;
		note_written(m, index[i]);
	}
	free(index);
	return err;
}

int model_refill(struct model *m)
{
	u32 tries = 0;
	int err;

	do {
		err = snapprot_log_refill(&m->core);
		CHECK(tries++ < MANY);
	} while (err == -EAGAIN && !give_up(m, err));
	if (err == -EAGAIN || err == -ENOSPC)
		return 0;
	return err ? model_err(m, err) : 0;
}

/*
 * Write a record, or a seal. It may be refused for want of space, but never
 * after a checkpoint.
 */
int model_record(struct model *m, enum snapprot_log_type type,
		 const struct snapprot_snap *snap)
{
	static u8 header[BLOCK];
	static struct pending p;
	u32 tries = 0;
	int err;

	p.count = 0;
	for (;;) {
		err = snapprot_log_reserve(&m->core, 0, NULL);
		if (err != -ENOSPC || tries++ > 2)
			break;
		err = model_checkpoint(m);
		if (!err)
			err = model_refill(m);
		if (err)
			break;
	}
	if (err)
		return model_err(m, err);
	if (snap)
		snapprot_log_encode_record(&m->core, header, type, snap);
	else
		snapprot_log_encode_seal(&m->core, header);
	CHECK(in_zone(m, m->core.log.next));
	pend(&p, m->core.log.block, header);
	err = pending_write(m, &p);
	if (!err)
		err = snapprot_log_commit(&m->core, header);
	if (err)
		return model_err(m, err);
	zones_from(m, ((struct snapprot_disk_log *)header)->zone);
	return model_done(m);
}

int model_seal(struct model *m)
{
	int err;

	if (m->core.log.sealed)
		return 0;
	err = model_record(m, SNAPPROT_LOG_SEAL, NULL);
	if (!err)
		CHECK(m->core.log.sealed);
	return err;
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

static void random_bytes(u8 *to, u32 count)
{
	while (count--)
		*to++ = unit_random();
}

/* A name and a hold that change. */
static void random_label(struct snapprot_snap *s)
{
	memset(s->name, 0, sizeof(s->name));
	if (!unit_once_in(4))
		snprintf(s->name, sizeof(s->name), "s%u.%llx", s->id,
			 (unsigned long long)unit_below(1u << 20));
	s->hold = unit_once_in(3) ? SNAPPROT_HOLD_FOREVER : unit_below(1000);
	if (unit_once_in(4))
		random_bytes(s->source, sizeof(s->source));
}

int model_create(struct model *m)
{
	const size_t size = m->nr_blocks * sizeof(u32);
	struct snapprot_snap *s = &m->creating.s;
	int err;

	if (m->nr_snaps == MODEL_SNAPS)
		return 0;
	memset(s, 0, sizeof(*s));
	s->id = m->next_id++;
	s->epoch = m->core.epoch + 1;
	s->time = 70 + unit_below(9);
	s->sectors = m->core.origin_sectors;
	random_bytes(s->uuid, sizeof(s->uuid));
	random_label(s);
	m->creating.content = malloc(size);
	memcpy(m->creating.content, m->origin, size);
	err = model_record(m, SNAPPROT_LOG_CREATE, s);
	if (err)
		return err;
	CHECK_EQ(m->core.epoch, s->epoch);
	snap_add(m, &m->creating);
	s->id = 0;
	return 0;
}

int model_delete(struct model *m, u32 nr)
{
	struct snapprot_snap *found;
	struct snapprot_snap snap;
	int err;

	found = snapprot_snap_find(&m->core, m->snap[nr].s.id);
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

int model_set(struct model *m, u32 nr)
{
	int err;

	m->setting = m->snap[nr].s;
	random_label(&m->setting);
	err = model_record(m, SNAPPROT_LOG_SET, &m->setting);
	if (err)
		return err;
	m->snap[nr].s = m->setting;
	m->setting.id = 0;
	return 0;
}

int model_update(struct model *m, bool lose)
{
	u32 lost = lose ? m->core.epoch : m->core.lost_epoch;
	u32 flags = unit_once_in(2) ? SNAPPROT_SUPER_PROTECTED : 0;
	u64 generation = m->generation + (m->arriving || unit_once_in(2));
	int err;

	if (m->phase >= MODEL_WRITE) {
		CHECK_EQ(snapprot_store_update(&m->core, generation, 0, lost,
					       3), -EBUSY);
		return 0;
	}
	m->losing = lost;
	err = snapprot_store_update(&m->core, generation, flags, lost, 3);
	if (err)
		return model_err(m, err);
	m->generation = generation;
	m->lost_epoch = lost;
	return model_done(m);
}

/* ---- merges and checkpoints -------------------------------------------- */

int model_merge(struct model *m, u32 max)
{
	u32 tries = 0;
	int err;

	/* Not between prepare and finish. */
	if (m->phase >= MODEL_WRITE)
		return 0;
	do {
		err = snapprot_merge_step(&m->core, max);
		CHECK(tries++ < MANY);
	} while (err == -EAGAIN && !give_up(m, err));
	if (err == -EAGAIN)
		return 1;
	return err == 1 || err == -ENOSPC ? err : err ? model_err(m, err) : 0;
}

static bool more_to_merge(struct model *m, bool all)
{
	return snapprot_merge_due(&m->core) ||
	       (all && snapprot_merge_possible(&m->core));
}

int model_merge_all(struct model *m, bool all)
{
	u32 rounds = 0;
	int err;

	do {
		err = m->phase == MODEL_IDLE ? 0 : model_checkpoint(m);
		while (!err && more_to_merge(m, all)) {
			CHECK(rounds++ < MANY);
			err = model_merge(m, 1 + unit_below(3000));
			if (err == 1)
				err = 0;
		}
		if (err == -ENOSPC)
			err = model_checkpoint(m);
		CHECK(rounds++ < MANY);
	} while (!err && more_to_merge(m, all));
	return err;
}

/* ---- maps --------------------------------------------------------------- */

/* The next row of blocks that were written in the map's epoch; 0: no more. */
static u32 map_row(const struct model *m, u32 *from)
{
	const bool *written = m->written[m->map_epoch];
	u32 i, n = 0;

	for (i = m->map_at; written && i < m->nr_blocks && !written[i]; i++)
		;
	*from = i;
	while (written && i + n < m->nr_blocks && written[i + n] &&
	       (m->stride == 1 || !n))
		n++;
	return n;
}

static int map_some(struct model *m)
{
	u32 from, n, max = 1 + unit_below(20);
	int err;

	while (max--) {
		n = map_row(m, &from);
		if (!n)
			break;
		/* A row may come in pieces. */
		if (unit_once_in(4))
			n = 1 + unit_below(n);
		err = snapprot_map_add(&m->core, model_block(m, from), n);
		if (err)
			return err;
		m->map_at = from + n;
	}
	if (map_row(m, &from))
		return 0;
	err = snapprot_map_end(&m->core);
	if (!err)
		m->map_epoch = 0;
	return err;
}

int model_map_tick(struct model *m)
{
	u32 epoch;
	int err;

	if (m->phase >= MODEL_WRITE)
		return 0;
	if (!m->map_epoch) {
		epoch = snapprot_map_missing(&m->core);
		if (!epoch)
			return 0;
		err = snapprot_map_begin(&m->core, epoch);
		if (!err) {
			m->map_epoch = epoch;
			m->map_at = 0;
		}
	} else if (unit_once_in(30)) {
		snapprot_map_abort(&m->core);
		m->map_epoch = 0;
		err = 0;
	} else {
		err = map_some(m);
	}
	/* Some other time, or after something else. */
	if (err == -EAGAIN || err == -ENOSPC || err == -EBUSY)
		return 0;
	return err ? model_err(m, err) : 0;
}

static int tick(struct model *m)
{
	struct snapprot_core *core = &m->core;
	int err;

	switch (m->phase) {
	case MODEL_IDLE:
		err = snapprot_ckpt_freeze(core);
		if (!err)
			m->phase = MODEL_ORDER;
		return err;
	case MODEL_ORDER:
		if (unit_once_in(2))
			snapprot_ckpt_order(core);
		m->phase = MODEL_STEP;
		return 0;
	case MODEL_STEP:
		err = snapprot_ckpt_step(core, 1 + unit_below(200));
		if (!err)
			m->phase = MODEL_PREPARE;
		return err == 1 ? 0 : err;
	case MODEL_PREPARE:
		err = snapprot_ckpt_prepare(core);
		if (!err)
			m->phase = MODEL_WRITE;
		return err;
	case MODEL_WRITE:
		err = snapprot_ckpt_write(core);
		if (!err) {
			m->phase = MODEL_FINISH;
			leads_more(m);
		}
		return err;
	case MODEL_FINISH:
		err = snapprot_ckpt_finish(core);
		if (!err) {
			m->phase = MODEL_IDLE;
			leads_anew(m);
			zones_anew(m);
			model_done(m);
		}
		return err;
	}
	return 0;
}

int model_checkpoint_tick(struct model *m)
{
	u32 tries = 0;
	int err;

	do {
		err = tick(m);
		CHECK(tries++ < MANY);
	} while (err == -EAGAIN && !give_up(m, err));
	return err == -EAGAIN ? 0 : err ? model_err(m, err) : 0;
}

int model_checkpoint(struct model *m)
{
	u32 tries = 0;
	int err;

	do {
		err = model_checkpoint_tick(m);
		CHECK(tries++ < MANY);
	} while (!err && m->phase != MODEL_IDLE);
	return err;
}

/* ---- reload ------------------------------------------------------------ */

bool model_same_snap(const struct snapprot_snap *a,
		     const struct snapprot_snap *b)
{
	return a->id == b->id && a->epoch == b->epoch && a->time == b->time &&
	       a->sectors == b->sectors && a->hold == b->hold &&
	       !memcmp(a->uuid, b->uuid, sizeof(a->uuid)) &&
	       !memcmp(a->source, b->source, sizeof(a->source)) &&
	       !strcmp(a->name, b->name);
}

/* Whatever was under way has happened, or has not. */
static void settle(struct model *m)
{
	struct snapprot_core *core = &m->core;
	struct snapprot_snap *s;
	u32 i;

	if (m->creating.s.id && snapprot_snap_find(core, m->creating.s.id))
		snap_add(m, &m->creating);
	else if (m->creating.s.id)
		free(m->creating.content);
	m->creating.s.id = 0;

	for (i = 0; m->deleting && i < m->nr_snaps; i++)
		if (m->snap[i].s.id == m->deleting &&
		    !snapprot_snap_find(core, m->deleting))
			snap_remove(m, i);
	m->deleting = 0;

	s = m->setting.id ? snapprot_snap_find(core, m->setting.id) : NULL;
	for (i = 0; s && i < m->nr_snaps; i++)
		if (m->snap[i].s.id == s->id && model_same_snap(s, &m->setting))
			m->snap[i].s = m->setting;
	m->setting.id = 0;

	if (core->lost_epoch != m->lost_epoch) {
		CHECK_EQ(core->lost_epoch, m->losing);
		m->lost_epoch = m->losing;
	}
	m->losing = m->lost_epoch;
	CHECK(core->generation == m->generation ||
	      core->generation == m->generation + 1);
	m->generation = core->generation;
}

static void load_once(struct model *m)
{
	struct snapprot_evidence more = m->evidence;
	struct sim *sim = m->sim;

	m->writable = false;
	m->phase = MODEL_IDLE;
	m->map_epoch = 0;
	/* Loading never goes without waiting. */
	sim->async = false;
	if (unit_once_in(8)) {
		switch (unit_below(4)) {
		case 3:
			more.super_seq += 10;
			break;
		case 0:
			more.ckpt_seq += 100;
			break;
		case 1:
			more.log_seq += 10000;
			break;
		case 2:
			more.epoch += 2;
			break;
		}
		CHECK_EQ(snapprot_store_load(&m->core, &sim->env, sim->blocks,
					     &more), -ESTALE);
		snapprot_store_exit(&m->core);
	}
	CHECK_EQ(snapprot_store_load(&m->core, &sim->env, sim->blocks,
				     &m->evidence), 0);
	model_done(m);
	settle(m);
	CHECK(!walk_compare(sim));
	leads_anew(m);
	model_check(m, unit_once_in(2));
	sim->async = m->async;
	m->writable = true;
	model_verify(m, 3000);
	model_check_usage(m);
	CHECK_EQ(model_check_changed(m), 0);
}

void model_load(struct model *m)
{
	int err;

	for (;;) {
		load_once(m);
		/* An arrival makes durable what it has found. */
		m->arriving = true;
		err = model_update(m, false);
		m->arriving = false;
		if (!err) {
			leads_anew(m);
			zones_anew(m);
			return;
		}
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

/* ---- making ------------------------------------------------------------ */

struct model *model_new(u64 blocks, u32 nr_blocks, u64 stride,
			const struct snapprot_tune *tune)
{
	struct model *m = calloc(1, sizeof(*m));
	u8 secret[16], id[16];
	struct snapprot_format f = {
		.uuid = model_uuid, .secret = secret, .store_id = id,
		.origin_sectors = ((nr_blocks - 1) * stride + 1) *
				  SNAPPROT_SECTORS_PER_BLOCK,
		.blocks = blocks, .time = 1,
	};

	random_bytes(secret, sizeof(secret));
	random_bytes(id, sizeof(id));
	m->sim = sim_new(blocks);
	if (tune)
		m->tune = *tune;
	m->sim->env.tune = &m->tune;
	m->nr_blocks = nr_blocks;
	m->stride = stride;
	m->precise = true;
	m->origin = calloc(nr_blocks, sizeof(*m->origin));
	m->next_id = 1;
	CHECK_EQ(snapprot_store_format(&m->sim->env, &f), 0);
	m->sim->may_write = may_write;
	m->sim->may_write_ctx = m;
	model_load(m);
	return m;
}

void model_free(struct model *m)
{
	u32 i;

	snapprot_store_exit(&m->core);
	sim_free(m->sim);
	while (m->nr_snaps)
		snap_remove(m, 0);
	if (m->creating.s.id)
		free(m->creating.content);
	places_clear(&m->leads);
	for (i = 0; i < MODEL_EPOCHS; i++)
		free(m->written[i]);
	free(m->origin);
	free(m);
}
