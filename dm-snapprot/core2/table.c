// SPDX-License-Identifier: GPL-2.0-only
/*
 * Entries in memory: an array in the order of arrival and a hash over it. Its size
 * is set once, so that adding needs no memory. And counts of entries by epoch and
 * epoch of the predecessor.
 */
#include "internal.h"

static u32 bucket_of(const struct snapprot_table *t, u64 block)
{
	/*
	 * Multiplicative, so that neighbours go to different buckets; and with a
	 * secret, so that no set of blocks is made to go to one.
	 */
	return (u32)((block * t->multiplier) >> t->shift);
}

/**
 * snapprot_table_init() - get the memory of a table
 * @t: zeroed
 * @env: whose alloc is used
 * @max: entries it can hold
 *
 * Return: 0, or -ENOMEM; snapprot_table_exit() is right after either.
 */
int snapprot_table_init(struct snapprot_table *t, struct snapprot_env *env,
			u32 max)
{
	u32 buckets = 16;

	t->shift = 60;
	while (buckets < max) {
		buckets *= 2;
		t->shift--;
	}
	t->multiplier = (0x9e3779b97f4a7c15ull ^ env->salt) | 1;
	t->max = max;
	t->buckets = buckets;
	t->entry = env->ops->alloc(env, max * sizeof(*t->entry));
	t->next = env->ops->alloc(env, max * sizeof(*t->next));
	t->head = env->ops->alloc(env, buckets * sizeof(*t->head));
	t->order = env->ops->alloc(env, max * sizeof(*t->order));
	if (!t->entry || !t->next || !t->head || !t->order)
		return -ENOMEM;
	return snapprot_pairs_reserve(&t->pairs, env, 64);
}

/**
 * snapprot_table_exit() - give the memory back
 * @t: initialised or zeroed
 * @env: as for init
 */
void snapprot_table_exit(struct snapprot_table *t, struct snapprot_env *env)
{
	env->ops->free(env, t->entry);
	env->ops->free(env, t->next);
	env->ops->free(env, t->head);
	env->ops->free(env, t->order);
	snapprot_pairs_exit(&t->pairs, env);
	memset(t, 0, sizeof(*t));
}

/* Forget all entries. */
void snapprot_table_clear(struct snapprot_table *t)
{
	t->count = 0;
	t->ordered = 0;
	t->chunked = 0;
	t->nr_dead = 0;
	t->removed = 0;
	t->stale = 0;
	t->pairs.count = 0;
	memset(t->head, 0, t->buckets * sizeof(*t->head));
}

static u32 *find_link(const struct snapprot_table *t, u64 block, u32 epoch)
{
	u32 *link;

	for (link = &t->head[bucket_of(t, block)]; *link;
	     link = &t->next[*link - 1]) {
		const struct snapprot_entry *e = &t->entry[*link - 1];

		if (e->block == block && e->epoch == epoch)
			return link;
	}
	return NULL;
}

/**
 * snapprot_table_prev() - epoch of the predecessor of an entry
 * @t: the table
 * @block: of the entry
 * @epoch: and its epoch, whether it is in the table or not
 *
 * Return: the highest epoch below, 0 if there is none.
 */
u32 snapprot_table_prev(const struct snapprot_table *t, u64 block, u32 epoch)
{
	u32 i, best = 0;

	if (!t->count)
		return 0;
	for (i = t->head[bucket_of(t, block)]; i; i = t->next[i - 1]) {
		const struct snapprot_entry *e = &t->entry[i - 1];

		if (e->block == block && e->epoch < epoch && e->epoch > best)
			best = e->epoch;
	}
	return best;
}

/**
 * snapprot_table_add() - add an entry
 * @t: the table
 * @e: the entry
 * @needed: by some snapshot
 *
 * If it is not needed, or its key is there already, which comes to the same (it had
 * been dropped, was preserved again, and a crash brought the first one back), it is an
 * orphan: nobody finds it, and the next checkpoint frees its place.
 *
 * Return: false if the table is full.
 */
bool snapprot_table_add(struct snapprot_table *t,
			const struct snapprot_entry *e, bool needed)
{
	u32 b = bucket_of(t, e->block);

	if (t->count == t->max)
		return false;
	if (!needed || find_link(t, e->block, e->epoch)) {
		t->entry[t->count] = *e;
		t->entry[t->count].where =
			SNAPPROT_WHERE(SNAPPROT_KIND_REMOVED,
				       snapprot_entry_place(e));
		t->entry[t->count].sum = 0;
		t->next[t->count++] = 0;
		t->nr_dead++;
		return true;
	}
	snapprot_pairs_add(&t->pairs,
			   snapprot_table_prev(t, e->block, e->epoch),
			   e->epoch, 1);
	t->entry[t->count] = *e;
	t->next[t->count] = t->head[b];
	t->head[b] = ++t->count;
	return true;
}

/**
 * snapprot_table_remove() - take an entry out
 * @t: the table
 * @i: its index; it is not dead
 *
 * Its slot stays, so that the order of arrival stays what it was.
 */
void snapprot_table_remove(struct snapprot_table *t, u32 i)
{
	struct snapprot_entry *e = &t->entry[i];
	u32 *link = find_link(t, e->block, e->epoch);

	*link = t->next[i];
	snapprot_pairs_sub(&t->pairs,
			   snapprot_table_prev(t, e->block, e->epoch),
			   e->epoch);
	e->where = SNAPPROT_WHERE(SNAPPROT_KIND_REMOVED, 0);
	/* Here the sum says that the chunks do not know it yet. */
	e->sum = i < t->chunked;
	t->removed += e->sum;
	t->nr_dead++;
}

/* The chunks know now what was taken out. */
void snapprot_table_recorded(struct snapprot_table *t)
{
	u32 i;

	for (i = 0; t->removed && i < t->chunked; i++) {
		if (!snapprot_table_dead(t, i) || !t->entry[i].sum)
			continue;
		t->entry[i].sum = 0;
		t->removed--;
		t->stale += 2;
	}
}

/* The same by key, at a load; false if it is not there. */
bool snapprot_table_remove_key(struct snapprot_table *t, u64 block, u32 epoch)
{
	u32 *link = t->count ? find_link(t, block, epoch) : NULL;
	u32 chunked = t->chunked;

	if (!link)
		return false;
	t->chunked = 0;
	snapprot_table_remove(t, *link - 1);
	t->chunked = chunked;
	return true;
}

/**
 * snapprot_table_find() - the version of a block that an epoch sees
 * @t: the table
 * @block: of the origin
 * @epoch: smallest that counts
 * @found: the entry of @block with the smallest epoch that is not below @epoch
 *
 * Return: whether there is one.
 */
bool snapprot_table_find(const struct snapprot_table *t, u64 block, u32 epoch,
			 struct snapprot_entry *found)
{
	const struct snapprot_entry *best = NULL;
	u32 i;

	if (!t->count)
		return false;
	for (i = t->head[bucket_of(t, block)]; i; i = t->next[i - 1]) {
		const struct snapprot_entry *e = &t->entry[i - 1];

		if (e->block != block || e->epoch < epoch)
			continue;
		if (!best || e->epoch < best->epoch)
			best = e;
	}
	if (!best)
		return false;
	*found = *best;
	return true;
}

static int order_cmp(const void *a, const void *b, const void *entries)
{
	const struct snapprot_entry *x = entries, *y = entries;
	struct snapprot_key kx, ky;

	x += *(const u32 *)a;
	y += *(const u32 *)b;
	kx = snapprot_entry_key(x);
	ky = snapprot_entry_key(y);
	return snapprot_key_cmp(&kx, &ky);
}

/**
 * snapprot_table_order() - find the order of keys of some entries
 * @t: the table; entries may be added meanwhile
 * @from: the first of them
 * @end: and behind the last
 * @all: those before @from are among them; else of those only the ones that were
 *	taken out, and of which the chunks do not know it yet
 *
 * What was written in order is found in order, which costs a look at each.
 *
 * Return: how many there are in @t->order.
 */
u32 snapprot_table_order(struct snapprot_table *t, u32 from, u32 end,
			 bool all)
{
	bool ordered = true;
	u32 i, n = 0;

	for (i = t->removed || all ? 0 : from; i < end; i++) {
		bool dead = snapprot_table_dead(t, i);

		if (dead ? i < from && t->entry[i].sum : all || i >= from)
			t->order[n++] = i;
	}
	for (i = 1; ordered && i < n; i++)
		ordered = order_cmp(&t->order[i - 1], &t->order[i],
				    t->entry) < 0;
	if (!ordered)
		snapprot_sort_r(t->order, n, sizeof(*t->order), order_cmp,
				t->entry);
	t->ordered = n;
	return n;
}

/* ---- counts by pairs ---------------------------------------------------- */

/**
 * snapprot_pairs_reserve() - have room for some more pairs
 * @p: zeroed, or as it is
 * @env: whose alloc is used
 * @more: pairs
 *
 * Beyond SNAPPROT_MAX_PAIRS there is none, which is no error: see
 * snapprot_pairs_add().
 *
 * Return: 0, or -ENOMEM.
 */
int snapprot_pairs_reserve(struct snapprot_pairs *p, struct snapprot_env *env,
			   u32 more)
{
	struct snapprot_pair *pair;
	u32 max = p->max ? p->max : 64;

	while (max < p->count + more && max < SNAPPROT_MAX_PAIRS)
		max *= 2;
	if (max <= p->max)
		return 0;
	pair = env->ops->alloc(env, max * sizeof(*pair));
	if (!pair)
		return -ENOMEM;
	if (p->count)
		memcpy(pair, p->pair, p->count * sizeof(*pair));
	env->ops->free(env, p->pair);
	p->pair = pair;
	p->max = max;
	return 0;
}

void snapprot_pairs_exit(struct snapprot_pairs *p, struct snapprot_env *env)
{
	env->ops->free(env, p->pair);
	memset(p, 0, sizeof(*p));
}

/* Where a pair is, or has to be put. */
static u32 pair_index(const struct snapprot_pairs *p, u32 prev, u32 epoch)
{
	u32 low = 0, high = p->count;

	while (low < high) {
		u32 mid = low + (high - low) / 2;
		const struct snapprot_pair *x = &p->pair[mid];

		if (x->epoch < epoch || (x->epoch == epoch && x->prev < prev))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool pair_is(const struct snapprot_pairs *p, u32 i, u32 prev, u32 epoch)
{
	return i < p->count && p->pair[i].prev == prev &&
	       p->pair[i].epoch == epoch;
}

/**
 * snapprot_pairs_add() - count entries
 * @p: the counts
 * @prev: epoch of their predecessors
 * @epoch: and theirs
 * @count: how many
 *
 * If there is no room they are counted with the pair before: too much may then be
 * taken for needed, and never too little.
 */
void snapprot_pairs_add(struct snapprot_pairs *p, u32 prev, u32 epoch,
			u64 count)
{
	u32 i = pair_index(p, prev, epoch);

	if (pair_is(p, i, prev, epoch)) {
		p->pair[i].count += count;
		return;
	}
	if (p->count == p->max) {
		if (p->count)
			p->pair[i ? i - 1 : 0].count += count;
		return;
	}
	memmove(p->pair + i + 1, p->pair + i,
		(p->count - i) * sizeof(*p->pair));
	p->pair[i].prev = prev;
	p->pair[i].epoch = epoch;
	p->pair[i].count = count;
	p->count++;
}

/* One entry less. */
void snapprot_pairs_sub(struct snapprot_pairs *p, u32 prev, u32 epoch)
{
	u32 i = pair_index(p, prev, epoch);

	if (pair_is(p, i, prev, epoch) && p->pair[i].count)
		p->pair[i].count--;
}
