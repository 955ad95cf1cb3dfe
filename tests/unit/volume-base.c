// SPDX-License-Identifier: GPL-2.0-only
/* What a volume stands on: devices, the label, and the truth about snapshots. */
#include <stdlib.h>

#include "volume-internal.h"

/* ---- devices ----------------------------------------------------------- */

/* If a fuse has burnt down that was the power, nothing goes on. */
void power_check(struct volume *v)
{
	if (v->power && (v->origin->dead || v->m.sim->dead))
		longjmp(v->lights_out, 1);
}

/* What the core or the store's device said. */
int store_ret(struct volume *v, int err)
{
	power_check(v);
	return err;
}

static u64 sum_of(const u8 *data)
{
	u64 sum = 0, word;
	u32 i;

	for (i = 0; i < SNAPPROT_BLOCK_SIZE; i += sizeof(word)) {
		memcpy(&word, data + i, sizeof(word));
		sum = (sum ^ word) * 0x9e3779b97f4a7c15ull;
		sum ^= sum >> 29;
	}
	return sum;
}

void origin_flush(struct volume *v)
{
	sim_flush(v->origin);
	power_check(v);
}

/* ---- label ------------------------------------------------------------- */

bool label_present(const struct volume *v)
{
	return v->label.h.magic;
}

u32 label_flags(const struct volume *v)
{
	return le32_to_cpu(v->label.flags);
}

u64 label_generation(const struct volume *v)
{
	return le64_to_cpu(v->label.generation);
}

void label_load(struct volume *v)
{
	const struct snapprot_disk_label *best;
	int err;

	memset(&v->label, 0, sizeof(v->label));
	if (v->unlabelled)
		return;
	best = snapprot_label_choose((void *)sim_block(v->origin, v->nr_blocks),
				     (void *)sim_block(v->origin,
						       v->nr_blocks + 1), &err);
	/* One copy is whole, whatever has happened. */
	CHECK(best);
	memcpy(&v->label, best, sizeof(v->label));
	v->label_in_doubt = false;
}

static int label_put_copy(struct volume *v, struct snapprot_disk_label *l,
			  u32 copy)
{
	struct snapprot_env *env = &v->origin->env;

	if (v->label_fails && unit_once_in(2))
		return -EIO;
	l->h.block = cpu_to_le64(copy);
	snapprot_block_seal(l);
	env->ops->write(env, v->nr_blocks + copy, l);
	power_check(v);
	return 0;
}

/* Is it on the disk that the store may have snapshots, and no loss? */
bool label_allows(const struct volume *v)
{
	const u32 flags = SNAPPROT_LABEL_SNAPSHOTS | SNAPPROT_LABEL_LOST;

	return !label_present(v) ||
	       (!v->label_in_doubt &&
		(label_flags(v) & flags) == SNAPPROT_LABEL_SNAPSHOTS);
}

int label_write(struct volume *v, u32 set, u32 clear, u64 generation,
		u32 fault)
{
	struct snapprot_disk_label l = v->label;
	int err;

	if (!label_present(v))
		return 0;
	l.h.seq = cpu_to_le64(le64_to_cpu(l.h.seq) + 1);
	l.flags = cpu_to_le32((le32_to_cpu(l.flags) | set) & ~clear);
	l.generation = cpu_to_le64(generation);
	if (set & SNAPPROT_LABEL_LOST)
		l.lost_fault = cpu_to_le32(fault);
	v->label.h.seq = l.h.seq;
	err = label_put_copy(v, &l, 0);
	if (!err)
		err = label_put_copy(v, &l, 1);
	if (!err)
		v->label = l;
	v->label_in_doubt = err;
	return err;
}

void label_format(struct volume *v)
{
	struct snapprot_disk_label l = { .flags = 0 };
	u32 copy;

	snapprot_block_init(&l, SNAPPROT_MAGIC_LABEL, 0, 1, volume_uuid);
	memcpy(l.ident, SNAPPROT_SUPER_IDENT, sizeof(l.ident));
	l.version = cpu_to_le32(SNAPPROT_FORMAT_VERSION);
	l.origin_sectors = cpu_to_le64(v->nr_blocks *
				       SNAPPROT_SECTORS_PER_BLOCK);
	for (copy = 0; copy < 2; copy++)
		CHECK(!label_put_copy(v, &l, copy));
	CHECK(!snapprot_label_verify(&l, 1));
}

/* ---- the truth about snapshots ----------------------------------------- */

void snap_forget(struct volume *v, u32 nr)
{
	free(v->snap[nr].sum);
	memmove(&v->snap[nr], &v->snap[nr + 1],
		(--v->nr_snaps - nr) * sizeof(v->snap[0]));
}

/* The store has come: what was under way has happened, or has not. */
void settle(struct volume *v)
{
	struct snapprot_core *core = &v->m.core;
	u32 i;

	if (v->creating.id && snapprot_snap_find(core, v->creating.id))
		v->snap[v->nr_snaps++] = v->creating;
	else
		free(v->creating.sum);
	memset(&v->creating, 0, sizeof(v->creating));
	for (i = 0; v->deleting && i < v->nr_snaps; i++)
		if (v->snap[i].id == v->deleting &&
		    !snapprot_snap_find(core, v->deleting))
			snap_forget(v, i);
	v->deleting = 0;
}

void excuse_all(struct volume *v)
{
	u32 i;

	/* Promise 2. */
	CHECK(!v->protect || v->dropping);
	for (i = 0; i < v->nr_snaps; i++)
		v->snap[i].excused = true;
	v->creating.excused = true;
}

static void verify_snap(struct volume *v, const struct volume_snap *snap,
			u32 epoch)
{
	struct snapprot_entry e;
	u32 b;

	for (b = 0; b < v->nr_blocks; b++) {
		int found = snapprot_lookup(&v->m.core, b, epoch, &e);
		const u8 *data;

		if (found < 0) {
			/* An error is no wrong data, but has to have a cause. */
			CHECK(v->m.sim->dead);
			return;
		}
		data = found ? sim_block(v->m.sim, e.place) :
			       sim_block(v->origin, b);
		CHECK_EQ(sum_of(data), snap->sum[b]);
		if (found)
			CHECK_EQ(e.sum, snapprot_data_sum(data));
	}
}

void volume_verify(struct volume *v)
{
	struct snapprot_core *core = &v->m.core;
	long fuse = v->m.sim->fuse;
	u32 valid = 0, i;

	CHECK(v->state != SNAPPROT_BLOCKED || v->fault);
	if (!v->attached || !store_usable(v))
		return;
	/* What is looked at may be written back, but nothing dies of it. */
	v->m.sim->fuse = -1;
	CHECK_EQ(core->nr_snaps, v->nr_snaps);
	for (i = 0; i < v->nr_snaps; i++) {
		struct snapprot_snap *s = snapprot_snap_find(core,
							     v->snap[i].id);

		CHECK(s);
		if (v->lost_here || snapprot_snap_lost(core, s)) {
			CHECK(v->snap[i].excused);
			continue;
		}
		valid++;
		verify_snap(v, &v->snap[i], s->epoch);
	}
	if (!v->lost_here)
		CHECK_EQ(v->nr_valid, valid);
	if (v->m.phase == MODEL_IDLE && !v->m.sim->dead && unit_once_in(4))
		model_check(&v->m, unit_once_in(3));
	v->m.sim->fuse = fuse;
}

void take_sums(struct volume *v, struct volume_snap *snap)
{
	u32 b;

	snap->sum = malloc(v->nr_blocks * sizeof(*snap->sum));
	for (b = 0; b < v->nr_blocks; b++)
		snap->sum[b] = sum_of(sim_block(v->origin, b));
}
