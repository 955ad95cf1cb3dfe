// SPDX-License-Identifier: GPL-2.0-only
/*
 * The snapshots of a store: an array by ascending epoch, and what they need.
 */
#include "internal.h"

void snapprot_snap_decode(struct snapprot_snap *s,
			  const struct snapprot_disk_snap *d)
{
	s->id = le32_to_cpu(d->id);
	s->epoch = le32_to_cpu(d->epoch);
	s->time = le64_to_cpu(d->time);
	s->sectors = le64_to_cpu(d->sectors);
	s->hold = le64_to_cpu(d->hold);
	memcpy(s->uuid, d->uuid, sizeof(s->uuid));
	memcpy(s->source, d->source, sizeof(s->source));
	memcpy(s->name, d->name, sizeof(s->name));
}

void snapprot_snap_encode(struct snapprot_disk_snap *d,
			  const struct snapprot_snap *s)
{
	size_t length = strnlen(s->name, sizeof(d->name) - 1);

	memset(d, 0, sizeof(*d));
	d->id = cpu_to_le32(s->id);
	d->epoch = cpu_to_le32(s->epoch);
	d->time = cpu_to_le64(s->time);
	d->sectors = cpu_to_le64(s->sectors);
	d->hold = cpu_to_le64(s->hold);
	memcpy(d->uuid, s->uuid, sizeof(d->uuid));
	memcpy(d->source, s->source, sizeof(d->source));
	memcpy(d->name, s->name, length);
}

struct snapprot_snap *snapprot_snap_find(struct snapprot_core *core, u32 id)
{
	u32 i;

	for (i = 0; i < core->nr_snaps; i++)
		if (core->snaps[i].id == id)
			return &core->snaps[i];
	return NULL;
}

struct snapprot_snap *snapprot_snap_find_name(struct snapprot_core *core,
					      const char *name)
{
	u32 i;

	for (i = 0; *name && i < core->nr_snaps; i++)
		if (!strcmp(core->snaps[i].name, name))
			return &core->snaps[i];
	return NULL;
}

u32 snapprot_snap_new_id(const struct snapprot_core *core)
{
	u32 i, id = 0;

	for (i = 0; i < core->nr_snaps; i++)
		if (core->snaps[i].id > id)
			id = core->snaps[i].id;
	return id + 1;
}

/* Number of snapshots whose epoch is not above @epoch. */
static u32 snaps_up_to(const struct snapprot_core *core, u32 epoch)
{
	u32 low = 0;
	u32 high = core->nr_snaps;

	while (low < high) {
		u32 mid = low + (high - low) / 2;

		if (core->snaps[mid].epoch <= epoch)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

u32 snapprot_snaps_valid(const struct snapprot_core *core)
{
	return core->nr_snaps - snaps_up_to(core, core->lost_epoch);
}

u32 snapprot_snaps_newest(const struct snapprot_core *core)
{
	return snapprot_snaps_valid(core) ?
	       core->snaps[core->nr_snaps - 1].epoch : 0;
}

bool snapprot_entry_needed(const struct snapprot_core *core, u32 prev,
			   u32 epoch)
{
	u32 from = prev > core->lost_epoch ? prev : core->lost_epoch;

	if (epoch <= from)
		return false;
	return snaps_up_to(core, from) < snaps_up_to(core, epoch);
}

/* Add the newest snapshot; false if it breaks a rule. */
bool snapprot_snap_add(struct snapprot_core *core,
		       const struct snapprot_snap *snap)
{
	u32 n = core->nr_snaps;

	if (!snap->id || n >= SNAPPROT_MAX_SNAPSHOTS ||
	    snapprot_snap_find(core, snap->id) ||
	    snapprot_snap_find_name(core, snap->name))
		return false;
	if (!snap->epoch || (n && snap->epoch <= core->snaps[n - 1].epoch))
		return false;
	core->snaps[n] = *snap;
	core->nr_snaps = n + 1;
	return true;
}

bool snapprot_snap_remove(struct snapprot_core *core,
			  const struct snapprot_snap *snap)
{
	struct snapprot_snap *s = snapprot_snap_find(core, snap->id);
	u32 n;

	if (!s || s->epoch != snap->epoch)
		return false;
	n = --core->nr_snaps - (u32)(s - core->snaps);
	memmove(s, s + 1, n * sizeof(*s));
	return true;
}

/* Name, hold and source of a snapshot change; false if that breaks a rule. */
bool snapprot_snap_set(struct snapprot_core *core,
		       const struct snapprot_snap *snap)
{
	struct snapprot_snap *s = snapprot_snap_find(core, snap->id);
	struct snapprot_snap *other = snapprot_snap_find_name(core, snap->name);

	if (!s || s->epoch != snap->epoch || s->time != snap->time ||
	    s->sectors != snap->sectors ||
	    memcmp(s->uuid, snap->uuid, sizeof(s->uuid)) ||
	    (other && other != s))
		return false;
	*s = *snap;
	return true;
}

/* How many of these entries does no snapshot need? */
u64 snapprot_pairs_dead(const struct snapprot_core *core,
			const struct snapprot_pairs *p)
{
	u64 sum = 0;
	u32 i;

	for (i = 0; i < p->count; i++)
		if (!snapprot_entry_needed(core, p->pair[i].prev,
					   p->pair[i].epoch))
			sum += p->pair[i].count;
	return sum;
}

/*
 * Add what a run has; of @total entries @done have been merged elsewhere, where they
 * are counted too.
 */
static void usage_add(const struct snapprot_core *core,
		      const struct snapprot_pairs *p, u32 epoch, u64 done,
		      u64 total, u64 *only, u64 *all)
{
	u32 i;

	while (total > ~(u32)0) {
		total >>= 1;
		done >>= 1;
	}
	for (i = 0; i < p->count; i++) {
		const struct snapprot_pair *x = &p->pair[i];
		u32 from = x->prev > core->lost_epoch ? x->prev :
							core->lost_epoch;
		u64 count = x->count;

		if (epoch <= from || epoch > x->epoch)
			continue;
		if (done)
			count = done < total ?
				div64_u64(count * (total - done), total) : 0;
		*all += count;
		if (snaps_up_to(core, x->epoch) - snaps_up_to(core, from) == 1)
			*only += count;
	}
}

void snapprot_snap_usage(const struct snapprot_core *core,
			 const struct snapprot_snap *snap, u64 *only,
			 u64 *all)
{
	u32 epoch = snap->epoch;
	u64 done = 0, total = 0;
	u32 i;

	*only = 0;
	*all = 0;
	if (snapprot_snap_lost(core, snap))
		return;
	for (i = SNAPPROT_MAX_LEVEL; i; i--) {
		const struct snapprot_level *l = &core->level[i];

		usage_add(core, &l->up.pairs, epoch, done, total, only, all);
		done = l->merge ? l->merge->done : 0;
		total = l->merge ? l->merge->total : 0;
		usage_add(core, &l->cur.pairs, epoch, done, total, only, all);
		usage_add(core, &l->next.pairs, epoch, 0, 0, only, all);
	}
	usage_add(core, &core->drain.pairs, epoch, done, total, only, all);
	usage_add(core, &core->fill.pairs, epoch, 0, 0, only, all);
}
