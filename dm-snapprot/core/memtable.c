// SPDX-License-Identifier: GPL-2.0-only
/*
 * Entries since a checkpoint, in RAM: an array in the order of arrival and a
 * hash over it. Its size is set once, so that adding needs no memory.
 */
#include "internal.h"

static u32 bucket_of(const struct snapprot_memtable *mt, u64 block)
{
	/* Multiplicative hash: neighbours go to different buckets. */
	return (u32)((block * 0x9e3779b97f4a7c15ull) >> 32) & (mt->buckets - 1);
}

/**
 * snapprot_memtable_init() - get the memory of a table
 * @mt: zeroed
 * @env: whose alloc is used
 * @max: entries it can hold
 *
 * Return: 0, or -ENOMEM; snapprot_memtable_exit() is right after either.
 */
int snapprot_memtable_init(struct snapprot_memtable *mt,
			   struct snapprot_env *env, u32 max)
{
	u32 buckets = 16;

	while (buckets < max)
		buckets *= 2;
	mt->count = 0;
	mt->max = max;
	mt->buckets = buckets;
	mt->entry = env->ops->alloc(env, max * sizeof(*mt->entry));
	mt->next = env->ops->alloc(env, max * sizeof(*mt->next));
	mt->head = env->ops->alloc(env, buckets * sizeof(*mt->head));
	mt->order = env->ops->alloc(env, max * sizeof(*mt->order));
	return mt->entry && mt->next && mt->head && mt->order ? 0 : -ENOMEM;
}

/**
 * snapprot_memtable_exit() - give the memory back
 * @mt: initialised or zeroed
 * @env: as for init
 */
void snapprot_memtable_exit(struct snapprot_memtable *mt,
			    struct snapprot_env *env)
{
	env->ops->free(env, mt->entry);
	env->ops->free(env, mt->next);
	env->ops->free(env, mt->head);
	env->ops->free(env, mt->order);
	memset(mt, 0, sizeof(*mt));
}

/**
 * snapprot_memtable_clear() - forget all entries
 * @mt: the table
 */
void snapprot_memtable_clear(struct snapprot_memtable *mt)
{
	mt->count = 0;
	memset(mt->head, 0, mt->buckets * sizeof(*mt->head));
}

/**
 * snapprot_memtable_add() - add an entry, or replace the one of the same key
 * @mt: the table
 * @e: the entry
 *
 * Return: 0, or -ENOSPC if the table is full.
 */
int snapprot_memtable_add(struct snapprot_memtable *mt,
			  const struct snapprot_entry *e)
{
	u32 b = bucket_of(mt, e->block);
	u32 i;

	for (i = mt->head[b]; i; i = mt->next[i - 1]) {
		struct snapprot_entry *old = &mt->entry[i - 1];

		if (old->block == e->block && old->epoch == e->epoch) {
			*old = *e;
			return 0;
		}
	}
	if (mt->count == mt->max)
		return -ENOSPC;
	mt->entry[mt->count] = *e;
	mt->next[mt->count] = mt->head[b];
	mt->head[b] = ++mt->count;
	return 0;
}

/**
 * snapprot_memtable_find() - the version of a block that an epoch sees
 * @mt: the table
 * @block: of the origin
 * @epoch: smallest that counts
 * @found: the entry of @block with the smallest epoch that is not below @epoch
 *
 * Return: whether there is one.
 */
bool snapprot_memtable_find(const struct snapprot_memtable *mt, u64 block,
			    u32 epoch, struct snapprot_entry *found)
{
	const struct snapprot_entry *best = NULL;
	u32 i;

	if (!mt->count)
		return false;
	for (i = mt->head[bucket_of(mt, block)]; i; i = mt->next[i - 1]) {
		const struct snapprot_entry *e = &mt->entry[i - 1];

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

	x += *(const u32 *)a;
	y += *(const u32 *)b;
	return snapprot_key_cmp(x->block, x->epoch, y->block, y->epoch);
}

/**
 * snapprot_memtable_order() - find the order of keys
 * @mt: the table, to which nothing is added meanwhile; nothing moves
 *
 * What was written in order is found in order, which costs a look at each.
 */
void snapprot_memtable_order(struct snapprot_memtable *mt)
{
	bool ordered = true;
	u32 i;

	for (i = 0; i < mt->count; i++)
		mt->order[i] = i;
	for (i = 1; ordered && i < mt->count; i++)
		ordered = order_cmp(&mt->order[i - 1], &mt->order[i],
				    mt->entry) < 0;
	if (!ordered)
		snapprot_sort_r(mt->order, mt->count, sizeof(*mt->order),
				order_cmp, mt->entry);
}
