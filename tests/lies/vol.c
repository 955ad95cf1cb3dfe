// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>

#include "vol-internal.h"

#define LABEL_BLOCKS	256u
#define MANY		1000u

static const u8 vol_uuid[16] = "a volume of lies";

/* ---- contents ----------------------------------------------------------- */

/* Usual contents are the same for all volumes. */
static struct blob *usual(u32 version)
{
	static struct blob **all;
	static u32 max;
	struct blob *b;

	if (version >= max) {
		u32 to = version * 2 + 1024;

		all = realloc(all, to * sizeof(*all));
		memset(all + max, 0, (to - max) * sizeof(*all));
		max = to;
	}
	b = all[version];
	if (!b) {
		u64 word = version * 0x9e3779b97f4a7c15ull;
		u32 i;

		b = blob_new(NULL);
		b->version = version;
		for (i = 0; i < BLOCK / 8; i++) {
			word += 0xd1342543de82ef95ull;
			memcpy(b->data + 8 * i, &word, 8);
		}
		all[version] = b;
	}
	return blob_get(b);
}

static u32 version_new(struct vol *v, struct blob *b)
{
	u32 n = ++v->version;

	if (n >= v->max_ver) {
		u32 to = n * 2;

		v->ver = realloc(v->ver, to * sizeof(*v->ver));
		v->ver_sum = realloc(v->ver_sum, to * sizeof(*v->ver_sum));
		v->ver_summed = realloc(v->ver_summed, to);
		memset(v->ver_summed + v->max_ver, 0, to - v->max_ver);
		v->max_ver = to;
	}
	v->ver[n] = b ? b : usual(n);
	return n;
}

u32 version_sum(struct vol *v, const struct snapprot_core *core, u32 n)
{
	if (!v->ver_summed[n]) {
		v->ver_sum[n] = snapprot_data_sum(core, v->ver[n]->data);
		v->ver_summed[n] = true;
	}
	return v->ver_sum[n];
}

/*
 * Somebody who can read the store writes to the volume what looks like metadata: a
 * block as it is or was, or with another number or place.
 */
static struct blob *forged(struct vol *v)
{
	struct dev *d = v->store;
	struct snapprot_disk_log *l;
	struct blob *b;
	u64 place = 0;
	u32 i;

	if (once_in(v, 4))
		return NULL;
	for (i = 0; i < 300; i++) {
		place = below(v, snapprot_min(d->blocks, 2000));
		if (d->cur[place] && !d->cur[place]->version)
			break;
	}
	if (i == 300)
		return NULL;
	b = blob_new(d->old[place] && once_in(v, 4) ? d->old[place]->data :
						      d->cur[place]->data);
	b->version = v->version + 1;
	l = (void *)b->data;
	if (b->data[0] && once_in(v, 2)) {
		u64 next = v->core.log.zone[0].count > v->core.log.zone[0].used ?
			   v->core.log.zone[0].place[v->core.log.zone[0].used] :
			   v->core.log.block;

		l->h.seq = cpu_to_le64(v->core.log.seq + below(v, 4));
		l->h.block = cpu_to_le64(next);
		l->durable_seq = cpu_to_le64(v->core.log.seq + below(v, 3));
		l->prev_sum = cpu_to_le64(v->core.log.prev_sum);
		l->generation = cpu_to_le64(v->core.generation);
	}
	return b;
}

/* ---- the label ---------------------------------------------------------- */

u64 copy_sum(const void *data)
{
	return xxh64(data, BLOCK, 1) | 1;
}

/* What was written last is still there? */
static int label_check(struct vol *v)
{
	u32 first = snapprot_pair_of(le64_to_cpu(v->lab.h.seq));
	u32 i;

	for (i = first; i < first + 2; i++) {
		const struct blob *b;

		if (!v->lab_sum[i])
			continue;
		b = dev_read(v->label, snapprot_label_place(i));
		if (!b)
			return -EIO;
		if (copy_sum(b->data) != v->lab_sum[i])
			return -EUCLEAN;
	}
	return 0;
}

int label_write(struct vol *v, u32 set, u32 clear)
{
	struct snapprot_disk_label *l = &v->lab;
	struct snapprot_evidence ev;
	u64 acked = v->acked;
	u32 first, copy;
	int err;

	if (le64_to_cpu(l->h.seq) > 1) {
		err = label_check(v);
		if (err)
			return err;
	}
	l->h.seq = cpu_to_le64(le64_to_cpu(l->h.seq) + 1);
	l->flags = cpu_to_le32((le32_to_cpu(l->flags) | set) & ~clear);
	l->generation = cpu_to_le64(v->generation);
	if (v->open) {
		snapprot_store_evidence(&v->core, &ev);
		l->ckpt_seq = cpu_to_le64(ev.ckpt_seq);
		l->log_seq = cpu_to_le64(ev.log_seq);
		l->super_seq = cpu_to_le64(ev.super_seq);
		l->epoch = cpu_to_le32(ev.epoch);
	}
	first = snapprot_pair_of(le64_to_cpu(l->h.seq));
	for (copy = first; copy < first + 2; copy++) {
		l->h.block = cpu_to_le64(copy);
		snapprot_label_seal(l);
		err = dev_write_fua(v->label, snapprot_label_place(copy), l);
		if (err)
			return err;
		v->lab_sum[copy] = copy_sum(l);
	}
	if (v->open)
		v->label_acked = acked;
	return 0;
}

static bool label_has(const struct vol *v, u32 flag)
{
	return le32_to_cpu(v->lab.flags) & flag;
}

static int label_format(struct vol *v, const struct snapprot_format *f)
{
	struct snapprot_disk_label *l = &v->lab;
	u32 i;
	int err;

	snapprot_block_init(l, SNAPPROT_MAGIC_LABEL, 0, 0, f->uuid);
	memcpy(l->ident, SNAPPROT_SUPER_IDENT, sizeof(l->ident));
	memcpy(l->secret, f->secret, sizeof(l->secret));
	l->secret[3] ^= 77;
	memcpy(l->store_id, f->store_id, sizeof(l->store_id));
	l->version = cpu_to_le32(SNAPPROT_FORMAT_VERSION);
	l->origin_sectors = cpu_to_le64(f->origin_sectors);
	l->create_time = cpu_to_le64(f->time);
	for (i = 0; i < 2; i++) {
		err = label_write(v, 0, 0);
		if (err)
			return err;
	}
	return 0;
}

/* ---- something is durable ----------------------------------------------- */

static void acked(struct vol *v)
{
	v->acked++;
	v->busy = false;
	snapprot_store_evidence(&v->core, &v->boot);
	v->boot_known = true;
}

static void proved(struct vol *v, u64 seq)
{
	if (seq > v->proved)
		v->proved = seq;
}

/* ---- the log ------------------------------------------------------------ */

#define MAX_STEPS	6u

struct out {
	u64 place[MAX_STEPS * (SNAPPROT_LOG_ENTRIES + 1)];
	struct blob *blob[MAX_STEPS * (SNAPPROT_LOG_ENTRIES + 1)];
	u32 count;
};

static void out_add(struct out *o, u64 place, struct blob *b)
{
	o->place[o->count] = place;
	o->blob[o->count++] = b;
}

static void out_drop(struct out *o)
{
	while (o->count)
		blob_put(o->blob[--o->count]);
}

/* In any order. */
static int out_write(struct vol *v, struct out *o)
{
	u32 step = o->count > 2 && once_in(v, 2) ? o->count - 1 : 1;
	u32 n = below(v, o->count), i;
	int err = 0;

	for (i = 0; i < o->count; i++, n = (n + step) % o->count) {
		if (err)
			blob_put(o->blob[n]);
		else
			err = dev_write(v->store, o->place[n], o->blob[n]);
	}
	o->count = 0;
	return err;
}

/* Old data that was made from what lay at a place goes there, if it can be. */
static void permute(struct vol *v, u32 *index, u32 count, const u64 *place)
{
	u32 i, j;

	for (i = 0; i < count; i++) {
		const struct blob *was = v->store->cur[place[i]];
		const struct blob *older = v->store->old[place[i]];

		for (j = i; j < count; j++) {
			const u8 *b = v->ver[v->origin[index[j]]]->data;
			u32 swap = index[i];

			if ((!was || memcmp(was->data, b, BLOCK)) &&
			    (!older || memcmp(older->data, b, BLOCK)))
				continue;
			index[i] = index[j];
			index[j] = swap;
			break;
		}
	}
}

static int make_step(struct vol *v, u8 *header, u32 *index, u32 count,
		     struct out *o)
{
	struct snapprot_entry e[SNAPPROT_LOG_ENTRIES];
	u64 place[SNAPPROT_LOG_ENTRIES];
	u32 i;
	int err;

	err = snapprot_log_reserve(&v->core, count, place);
	if (err)
		return err;
	if (v->wl->forge)
		permute(v, index, count, place);
	for (i = 0; i < count; i++) {
		u32 version = v->origin[index[i]];

		e[i].block = block_of(v, index[i]);
		e[i].where = SNAPPROT_WHERE(SNAPPROT_KIND_DATA, place[i]);
		e[i].epoch = v->core.epoch;
		e[i].sum = version_sum(v, &v->core, version);
		out_add(o, place[i], blob_get(v->ver[version]));
	}
	snapprot_log_encode_batch(&v->core, header, e, count);
	out_add(o, v->core.log.block, blob_new(header));
	return 0;
}

/*
 * As many steps as there is room for, and one flush. How many blocks, or an error.
 * @lose_power: before the flush.
 */
static void last_group(struct vol *v, u32 record, const u32 *index, u32 count)
{
	u32 i;

	memset(v->last_mark, 0, v->wl->origin);
	for (i = 0; i < count; i++)
		v->last_mark[index[i]] = 1;
	v->last_record = record;
}

static int preserve_group(struct vol *v, u32 *index, u32 count, bool lose_power)
{
	static u8 header[MAX_STEPS][BLOCK];
	static struct out o;
	u32 steps = 0, done = 0, i;
	u32 most = 1 + below(v, v->wl->steps);
	u64 first = v->core.log.seq;
	int err = 0;

	while (!err && steps < most && done < count) {
		u32 n = snapprot_min(count - done, SNAPPROT_LOG_ENTRIES);

		if (most > 1 && n > 1 && once_in(v, 2))
			n = 1 + below(v, n - 1);
		n = snapprot_log_room(&v->core, n);
		if (!n)
			break;
		err = make_step(v, header[steps], index + done, n, &o);
		if (!err && most > 1)
			err = snapprot_log_advance(&v->core, header[steps]);
		done += n;
		steps++;
	}
	if (err || !steps) {
		out_drop(&o);
		return err;
	}
	v->busy = true;
	err = out_write(v, &o);
	if (err || lose_power)
		return err;
	err = dev_flush(v->store);
	for (i = 0; !err && i < steps; i++)
		err = snapprot_log_commit(&v->core, header[i]);
	if (err)
		return err;
	proved(v, first - 1);
	last_group(v, 0, index, done);
	acked(v);
	return done;
}

static int record(struct vol *v, enum snapprot_log_type type,
		  const struct snapprot_snap *snap);

static int refill(struct vol *v)
{
	int err = snapprot_log_refill(&v->core);

	return err == -ENOSPC ? 0 : err;
}

static int preserve(struct vol *v, u32 *index, u32 count)
{
	u32 done = 0;
	int n;

	while (done < count) {
		n = preserve_group(v, index + done, count - done, false);
		if (n < 0)
			return n;
		done += n;
		if (n)
			continue;
		n = refill(v);
		if (!n && !snapprot_log_room(&v->core, 1) &&
		    snapprot_log_wants_seal(&v->core))
			n = record(v, SNAPPROT_LOG_SEAL, NULL);
		if (n)
			return n;
		if (!snapprot_log_room(&v->core, 1))
			return -ENOSPC;
	}
	return 0;
}

static int record(struct vol *v, enum snapprot_log_type type,
		  const struct snapprot_snap *snap)
{
	static u8 header[BLOCK];
	u64 seq;
	u32 tries = 0;
	int err;

	for (;;) {
		err = snapprot_log_reserve(&v->core, 0, NULL);
		if (err != -ENOSPC || tries++ > 2)
			break;
		err = checkpoint(v);
		if (!err)
			err = refill(v);
		if (err)
			return err;
	}
	if (err)
		return err;
	seq = v->core.log.seq;
	if (snap)
		snapprot_log_encode_record(&v->core, header, type, snap);
	else
		snapprot_log_encode_seal(&v->core, header);
	v->busy = true;
	err = dev_write(v->store, v->core.log.block, blob_new(header));
	if (!err)
		err = dev_flush(v->store);
	if (!err)
		err = snapprot_log_commit(&v->core, header);
	if (err)
		return err;
	proved(v, seq - 1);
	last_group(v, snap ? snap->id : 0, NULL, 0);
	acked(v);
	return 0;
}

/* A second has passed: what was written is proved. */
int second(struct vol *v)
{
	int err = 0;

	if (!v->core.log.sealed)
		err = record(v, SNAPPROT_LOG_SEAL, NULL);
	if (!err)
		proved(v, v->core.log.seq - 1);
	return err;
}

/* ---- writes ------------------------------------------------------------- */

static int find_missing(struct vol *v, const u32 *index, u32 count, u32 *missing,
			u32 *nr)
{
	u32 i;

	*nr = 0;
	if (!snapprot_snaps_valid(&v->core))
		return 0;
	for (i = 0; i < count; i++) {
		struct snapprot_entry e;
		int found;

		found = snapprot_lookup(&v->core, block_of(v, index[i]),
					snapprot_snaps_newest(&v->core), &e);
		if (found < 0)
			return found;
		if (!found)
			missing[(*nr)++] = index[i];
	}
	return 0;
}

static int write_blocks(struct vol *v, u32 first, u32 step, u32 count,
			bool lose_power)
{
	u32 index[1024], missing[1024];
	u32 i, nr;
	int err;

	count = snapprot_min(count, snapprot_min(v->wl->origin / 2, 1024));
	for (i = 0; i < count; i++)
		index[i] = (first + i * step) % v->wl->origin;
	err = find_missing(v, index, count, missing, &nr);
	if (!err && nr && lose_power)
		return preserve_group(v, missing, nr, true);
	if (!err && nr)
		err = preserve(v, missing, nr);
	for (i = 0; !err && i < count; i++) {
		struct blob *b = v->write_this;

		if (!b && v->wl->forge)
			b = forged(v);
		v->write_this = NULL;
		v->origin[index[i]] = version_new(v, b);
	}
	return err;
}

/* ---- snapshots ---------------------------------------------------------- */

static void random_label(struct vol *v, struct snapprot_snap *s)
{
	memset(s->name, 0, sizeof(s->name));
	if (!once_in(v, 4))
		snprintf(s->name, sizeof(s->name), "s%u.%u", s->id,
			 (u32)below(v, 1u << 20));
	s->hold = once_in(v, 3) ? SNAPPROT_HOLD_FOREVER : below(v, 1000);
}

u32 shots_valid(const struct vol *v)
{
	u32 i, n = 0;

	for (i = 0; i < v->nr_shots; i++)
		n += !shot_lost(v, &v->shot[i]);
	return n;
}

void shot_remove(struct vol *v, u32 nr)
{
	free(v->shot[nr].content);
	memmove(&v->shot[nr], &v->shot[nr + 1],
		(--v->nr_shots - nr) * sizeof(v->shot[0]));
}

static int op_create(struct vol *v)
{
	const size_t size = v->wl->origin * sizeof(u32);
	struct snapprot_snap *s = &v->creating.s;
	u32 i;
	int err;

	if (v->nr_shots >= 12)
		return 0;
	if (!label_has(v, SNAPPROT_LABEL_SNAPSHOTS)) {
		err = label_write(v, SNAPPROT_LABEL_SNAPSHOTS, 0);
		if (err)
			return err;
	}
	memset(s, 0, sizeof(*s));
	s->epoch = v->core.epoch + 1;
	s->time = 70 + below(v, 9);
	s->sectors = v->core.origin_sectors;
	for (i = 0; i < 16; i++)
		s->uuid[i] = below(v, 256);
	v->creating.content = malloc(size);
	memcpy(v->creating.content, v->origin, size);
	s->id = v->next_id++;
	random_label(v, s);
	err = record(v, SNAPPROT_LOG_CREATE, s);
	if (err) {
		if (err == -ENOSPC) {
			free(v->creating.content);
			s->id = 0;
		}
		return err;
	}
	v->shot[v->nr_shots++] = v->creating;
	s->id = 0;
	return 0;
}

static int op_delete(struct vol *v, u32 nr)
{
	struct snapprot_snap *found, snap;
	int err;

	found = snapprot_snap_find(&v->core, v->shot[nr].s.id);
	if (!found)
		return -ENOENT;
	snap = *found;
	v->deleting = snap.id;
	err = record(v, SNAPPROT_LOG_DELETE, &snap);
	if (err) {
		if (err == -ENOSPC)
			v->deleting = 0;
		return err;
	}
	shot_remove(v, nr);
	v->deleting = 0;
	if (!shots_valid(v))
		err = label_write(v, 0, SNAPPROT_LABEL_SNAPSHOTS);
	return err;
}

static int op_set(struct vol *v, u32 nr)
{
	int err;

	v->setting = v->shot[nr].s;
	random_label(v, &v->setting);
	err = record(v, SNAPPROT_LOG_SET, &v->setting);
	if (err) {
		if (err == -ENOSPC)
			v->setting.id = 0;
		return err;
	}
	v->shot[nr].s = v->setting;
	v->setting.id = 0;
	return 0;
}

/* ---- superblock --------------------------------------------------------- */

int update(struct vol *v, u64 generation, u32 flags, u32 lost)
{
	int err;

	v->busy = true;
	err = snapprot_store_update(&v->core, generation, flags, lost, 3);
	if (err)
		return err;
	proved(v, v->core.log.seq - 1);
	acked(v);
	return 0;
}

static int op_lose(struct vol *v)
{
	u32 epoch = v->core.epoch;
	int err;

	if (v->phase >= FLUSH) {
		err = checkpoint(v);
		if (err)
			return err;
	}
	v->losing = epoch;
	err = label_write(v, SNAPPROT_LABEL_LOST, 0);
	if (!err)
		err = update(v, v->core.generation, v->core.flags, epoch);
	if (err)
		return err;
	v->lost_epoch = epoch;
	return label_write(v, 0, SNAPPROT_LABEL_LOST | SNAPPROT_LABEL_SNAPSHOTS);
}

static int op_mode(struct vol *v)
{
	bool on = !v->protect;
	int err;

	if (v->phase >= FLUSH) {
		err = checkpoint(v);
		if (err)
			return err;
	}
	v->mode_moving = true;
	err = on ? label_write(v, SNAPPROT_LABEL_PROTECTED, 0) : 0;
	if (!err)
		err = update(v, v->core.generation,
			     on ? SNAPPROT_SUPER_PROTECTED : 0,
			     v->core.lost_epoch);
	if (!err && !on)
		err = label_write(v, 0, SNAPPROT_LABEL_PROTECTED);
	if (err)
		return err;
	v->protect = on;
	v->mode_moving = false;
	return 0;
}

/* ---- checkpoints and merges --------------------------------------------- */

static int tick(struct vol *v)
{
	struct snapprot_core *core = &v->core;
	int err;

	switch (v->phase) {
	case IDLE:
		err = snapprot_ckpt_freeze(core);
		if (err == -EBUSY)
			err = snapprot_merge_step(core, 500);
		else if (!err)
			v->phase = ORDER;
		return err > 0 ? 0 : err;
	case ORDER:
		if (once_in(v, 2))
			snapprot_ckpt_order(core);
		v->phase = STEP;
		return 0;
	case STEP:
		err = snapprot_ckpt_step(core, 1 + below(v, 200));
		if (!err)
			v->phase = PREPARE;
		return err == 1 ? 0 : err;
	case PREPARE:
		err = snapprot_ckpt_prepare(core);
		if (!err)
			v->phase = FLUSH;
		return err;
	case FLUSH:
		v->busy = true;
		err = snapprot_ckpt_write(core);
		if (!err) {
			v->phase = FINISH;
			proved(v, le64_to_cpu(core->super_next->fence_seq));
		}
		return err;
	case FINISH:
		err = snapprot_ckpt_finish(core);
		if (err)
			return err;
		v->phase = IDLE;
		acked(v);
		return label_write(v, 0, 0);
	}
	return 0;
}

int checkpoint(struct vol *v)
{
	u32 tries = 0;
	int err;

	do {
		err = tick(v);
	} while (!err && v->phase != IDLE && tries++ < MANY);
	return err;
}

static int merge(struct vol *v, u32 max)
{
	int err;

	if (v->phase >= FLUSH)
		return 0;
	err = snapprot_merge_step(&v->core, max);
	return err == 1 || err == -ENOSPC ? 0 : err;
}

/* The store is full. */
static int make_room(struct vol *v)
{
	u32 i;
	int err;

	for (i = 0; i < 8 && snapprot_merge_due(&v->core); i++) {
		err = merge(v, 1 + below(v, 300));
		if (err)
			return err;
	}
	err = checkpoint(v);
	if (!err)
		err = refill(v);
	if (err || snapprot_log_room(&v->core, 1))
		return err;
	if (v->nr_shots && !once_in(v, 6))
		return op_delete(v, once_in(v, 2) ? 0 : below(v, v->nr_shots));
	return once_in(v, 3) ? op_lose(v) : 0;
}

static int grow(struct vol *v)
{
	u64 blocks = v->store->blocks + below(v, 300);

	if (v->phase >= FLUSH || blocks > v->wl->blocks + 4000)
		return 0;
	dev_grow(v->store, blocks);
	v->env.blocks = blocks;
	return snapprot_store_grow(&v->core, blocks);
}

/* ---- what is made of several -------------------------------------------- */

/* A write is cut off, and afterwards tried again, and more. */
static int retry(struct vol *v)
{
	u32 first = below(v, v->wl->origin);
	u32 count = 1 + below(v, 4);
	int err;

	err = write_blocks(v, first, 1, count, true);
	if (err < 0)
		return err;
	err = crash(v, true);
	if (err)
		return err;
	err = write_blocks(v, first, 1, count + below(v, 3), false);
	if (!err && once_in(v, 2))
		err = second(v);
	return err;
}

/*
 * What lies in a free block that the log will soon take is written to the volume, and
 * made old data that goes to just that block: metadata at its own place, as it was.
 */
static int forge(struct vol *v)
{
	const struct snapprot_zone *z = &v->core.log.zone[0];
	u32 index = below(v, v->wl->origin), i;
	const struct blob *was = NULL;
	int err = 0;

	for (i = z->used + 5; i < z->used + 16 && i < z->count; i++) {
		was = v->store->cur[z->place[i]];
		if (was && !was->version && was->data[0])
			break;
		was = NULL;
	}
	if (!was)
		return 0;
	v->write_this = blob_new(was->data);
	v->write_this->version = v->version + 1;
	err = write_blocks(v, index, 1, 1, false);
	if (v->write_this) {
		blob_put(v->write_this);
		v->write_this = NULL;
	}
	if (!err && v->nr_shots >= 12)
		err = op_delete(v, 0);
	if (!err)
		err = op_create(v);
	if (!err)
		err = write_blocks(v, index, 1, 20, false);
	return err;
}

/* ---- operations --------------------------------------------------------- */

static int do_op(struct vol *v, enum op op)
{
	int err;

	switch (op) {
	case OP_WRITE:
		err = write_blocks(v, below(v, v->wl->origin),
				   once_in(v, 2) ? 1 : 1 + below(v, 7),
				   1 + below(v, once_in(v, 3) ? v->wl->write :
						snapprot_min(v->wl->write, 6)),
				   false);
		return err == -ENOSPC ? make_room(v) : err;
	case OP_CREATE:
		return op_create(v);
	case OP_DELETE:
		return v->nr_shots ? op_delete(v, below(v, v->nr_shots)) : 0;
	case OP_SET:
		return v->nr_shots ? op_set(v, below(v, v->nr_shots)) : 0;
	case OP_SECOND:
		return second(v);
	case OP_LABEL:
		return label_write(v, 0, 0);
	case OP_REFILL:
		return refill(v);
	case OP_MERGE:
		return merge(v, 1 + below(v, once_in(v, 3) ? 2000 : 60));
	case OP_TICK:
		return tick(v);
	case OP_CHECKPOINT:
		return checkpoint(v);
	case OP_MODE:
		return op_mode(v);
	case OP_LOSE:
		return op_lose(v);
	case OP_STOP:
		err = end_cleanly(v);
		return err ? err : reload(v);
	case OP_END:
		return crash(v, false);
	case OP_CRASH:
		return crash(v, true);
	case OP_RETRY:
		return retry(v);
	case OP_GROW:
		return grow(v);
	case OP_FORGE:
		err = forge(v);
		return err == -ENOSPC ? make_room(v) : err;
	case NR_OPS:
		break;
	}
	return 0;
}

bool vol_op(struct vol *v, u32 n)
{
	u32 total = 0, draw, i;
	int err;

	v->op = n;
	rng_seed(&v->rng, v->seed, n, 1);
	rng_seed(&v->env.rng, v->seed, n, 2);
	for (i = 0; i < NR_OPS; i++)
		total += v->wl->share[i];
	draw = below(v, total);
	for (i = 0; draw >= v->wl->share[i]; i++)
		draw -= v->wl->share[i];
	err = do_op(v, n == 1 ? OP_CREATE : i);
	if (err == -ENOSPC)
		err = 0;
	v->err = err;
	return !err && v->stopped == RIGHT;
}

void vol_stop(struct vol *v)
{
	rng_seed(&v->rng, v->seed, ~0ull, 3);
	if (!v->err)
		v->err = end_cleanly(v);
	if (v->err == -ENOSPC)
		v->err = 0;
}

/* ---- making ------------------------------------------------------------- */

struct vol *vol_new(const struct workload *wl, u64 seed)
{
	struct vol *v = calloc(1, sizeof(*v));
	u32 i;

	v->wl = wl;
	v->seed = seed;
	rng_seed(&v->w.rng, seed, 0, 4);
	v->tune = wl->tune;
	v->store = dev_new(&v->w, wl->blocks);
	v->label = dev_new(&v->w, LABEL_BLOCKS);
	v->label->twins = LABEL_BLOCKS;
	wenv_init(&v->env, v->store);
	v->env.env.tune = &v->tune;
	renv_init(&v->rs, wl->blocks + 4096);
	renv_init(&v->rl, LABEL_BLOCKS);
	v->origin = calloc(wl->origin, sizeof(*v->origin));
	v->last_mark = calloc(1, wl->origin);
	v->next_id = 1;
	v->ver = NULL;
	for (i = 0; i < wl->origin; i++)
		v->origin[i] = version_new(v, NULL);
	return v;
}

int vol_start(struct vol *v)
{
	u8 secret[16], id[16];
	struct snapprot_format f = {
		.uuid = vol_uuid, .secret = secret, .store_id = id,
		.origin_sectors = ((v->wl->origin - 1) * v->wl->stride + 1) *
				  SNAPPROT_SECTORS_PER_BLOCK -
				  below(v, SNAPPROT_SECTORS_PER_BLOCK),
		.blocks = v->wl->blocks, .time = 1,
	};
	u32 i;
	int err;

	rng_seed(&v->rng, v->seed, ~0ull, 5);
	for (i = 0; i < 16; i++) {
		secret[i] = below(v, 256);
		id[i] = below(v, 256);
	}
	err = snapprot_store_format(&v->env.env, &f);
	if (!err)
		err = label_format(v, &f);
	wenv_drop(&v->env);
	return err ? err : arrive(v);
}

void vol_free(struct vol *v)
{
	u32 i;

	snapprot_store_exit(&v->core);
	wenv_exit(&v->env);
	while (v->nr_shots)
		shot_remove(v, 0);
	if (v->creating.s.id)
		free(v->creating.content);
	for (i = 1; i <= v->version; i++)
		blob_put(v->ver[i]);
	free(v->ver);
	free(v->ver_sum);
	free(v->ver_summed);
	free(v->last_mark);
	free(v->origin);
	dev_free(v->store);
	dev_free(v->label);
	renv_exit(&v->rs);
	renv_exit(&v->rl);
	free(v);
}
