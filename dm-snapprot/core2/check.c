// SPDX-License-Identifier: GPL-2.0-only
/*
 * Verifying a store that has been loaded: everything that can be reached is read,
 * every block is claimed by whoever owns it, and what is claimed is compared with
 * what is in use. So each block in use is looked at about once, and the others not at
 * all.
 */
#include "internal.h"

#define BUCKETS		256u

/* Who owns what, of a group. */
struct claims {
	struct claims *next;
	u64 number;
	u8 bits[SNAPPROT_BITMAP_BYTES];
};

struct check {
	struct snapprot_core *core;
	const struct snapprot_check_ops *ops;
	void *ctx;
	bool data;
	struct claims *claims[BUCKETS];
	void *block;		/* of old data */
	u64 done;
	int problems;
	/* of the run that is being walked */
	const struct snapprot_run *run;
	bool leaves_own;	/* what its entries lead to is its own */
	bool map;		/* it is one */
	u64 nodes;
	u64 entries;
	struct snapprot_key last;
};

static void problem(struct check *c, u64 block, const char *what)
{
	if (c->ops)
		c->ops->problem(c->ctx, block, what);
	if (c->problems < 1000000)
		c->problems++;
}

static void progress(struct check *c)
{
	if (c->ops && c->ops->progress && !(++c->done & 1023))
		c->ops->progress(c->ctx, c->done, c->core->space.used);
}

/* The claims of a group; made if there are none. NULL: no memory. */
static struct claims *claims_get(struct check *c, u64 number)
{
	struct claims **bucket = &c->claims[(u32)number & (BUCKETS - 1)];
	struct claims *m;

	for (m = *bucket; m; m = m->next)
		if (m->number == number)
			return m;
	m = c->core->env->ops->alloc(c->core->env, sizeof(*m));
	if (m) {
		m->number = number;
		m->next = *bucket;
		*bucket = m;
	}
	return m;
}

static bool is_claimed(struct check *c, u64 place)
{
	u64 number = snapprot_group_of(place);
	struct claims *m;

	for (m = c->claims[(u32)number & (BUCKETS - 1)]; m; m = m->next)
		if (m->number == number)
			return snapprot_bit_test(m->bits,
						 snapprot_group_bit(place));
	return false;
}

/* Somebody says that a block is his own. */
static int claim(struct check *c, u64 place, const char *twice)
{
	struct claims *m;
	u32 bit = snapprot_group_bit(place);

	progress(c);
	if (!snapprot_place_ok(c->core->space.blocks, place)) {
		problem(c, place, "a place that cannot be");
		return 0;
	}
	m = claims_get(c, snapprot_group_of(place));
	if (!m)
		return -ENOMEM;
	if (snapprot_bit_test(m->bits, bit))
		problem(c, place, twice);
	snapprot_bit_set(m->bits, bit);
	return 0;
}

/* An entry and the old data that it leads to. */
static int check_entry(struct check *c, const struct snapprot_entry *e)
{
	struct snapprot_core *core = c->core;
	u64 place = snapprot_entry_place(e);
	int err;

	if (e->block >= core->origin_blocks)
		problem(c, place, "an entry for a block that is not there");
	if (e->epoch > core->epoch)
		problem(c, place, "an entry of an epoch that is to come");
	if (snapprot_entry_kind(e) != SNAPPROT_KIND_DATA)
		return 0;
	err = claim(c, place, "old data that is also something else");
	if (err || !c->data || !snapprot_place_ok(core->space.blocks, place))
		return err;
	err = core->env->ops->read(core->env, place, 1, c->block);
	if (err)
		problem(c, place, "old data cannot be read");
	else if (snapprot_data_sum(core, c->block) != e->sum)
		problem(c, place, "old data has another checksum");
	return 0;
}

/* ---- runs ------------------------------------------------------------------- */

static int check_leaf(struct check *c, const struct snapprot_run_visit *v)
{
	u32 i;
	int err = 0;

	for (i = 0; !err && i < le16_to_cpu(v->node->count); i++) {
		struct snapprot_entry e;
		struct snapprot_key key;

		snapprot_entry_decode(&e, &v->node->entry[i]);
		key = snapprot_entry_key(&e);
		if (e.epoch > v->max_epoch)
			problem(c, v->place, "an epoch that is too high here");
		if (e.epoch < c->run->min_epoch || e.epoch > c->run->max_epoch)
			problem(c, v->place, "an epoch that its run has not");
		if (snapprot_key_cmp(&key, &c->run->from) < 0)
			continue;
		c->entries++;
		c->last = key;
		if (c->map && snapprot_entry_kind(&e) < SNAPPROT_KIND_SET)
			problem(c, v->place, "an entry that does not belong here");
		if (!c->leaves_own)
			continue;
		if (snapprot_entry_kind(&e) > SNAPPROT_KIND_ZERO)
			problem(c, v->place, "an entry that does not belong here");
		err = check_entry(c, &e);
	}
	return err;
}

static int check_node(void *ctx, const struct snapprot_run_visit *v)
{
	struct check *c = ctx;
	u32 i;
	int err;

	/* What lies below it has been looked at. */
	if (is_claimed(c, v->place)) {
		problem(c, v->place, "a node that is also something else");
		return -EBADMSG;
	}
	err = claim(c, v->place, "");
	if (err)
		return err;
	c->nodes++;
	if (v->level) {
		for (i = 0; i < le16_to_cpu(v->node->count); i++)
			if (le32_to_cpu(v->node->child[i].max_epoch) >
			    v->max_epoch)
				problem(c, v->place,
					"an epoch that is too high here");
		return 0;
	}
	return check_leaf(c, v);
}

static u64 pairs_sum(const struct snapprot_pairs *p)
{
	u64 sum = 0;
	u32 i;

	for (i = 0; i < p->count; i++)
		sum += p->pair[i].count;
	return sum;
}

static int check_run(struct check *c, const struct snapprot_run *run,
		     bool leaves_own, bool counts)
{
	bool whole = !run->from.block && !run->from.epoch;
	int err;

	if (!run->root)
		return 0;
	c->run = run;
	c->leaves_own = leaves_own;
	c->nodes = 0;
	c->entries = 0;
	memset(&c->last, 0, sizeof(c->last));
	err = snapprot_run_walk(c->core, run, check_node, c);
	if (err == -EBADMSG || err == -EIO) {
		problem(c, run->root, err == -EIO ?
			"a node of a run cannot be read" :
			"a node of a run is damaged");
		return 0;
	}
	if (err)
		return err;
	if (counts && whole && c->nodes != run->nr_nodes)
		problem(c, run->root, "a run has another number of nodes");
	if (counts && whole && c->entries != run->nr_entries)
		problem(c, run->root, "a run has another number of entries");
	if (leaves_own && pairs_sum(&run->pairs) != run->nr_entries)
		problem(c, run->root, "a run has other counts of entries");
	return 0;
}

static bool begins_before(const struct snapprot_run *run,
			  const struct snapprot_key *cut)
{
	return run->root && snapprot_key_cmp(&run->from, cut) < 0;
}

/* A merge is under way: what is in "next" lies below the cut, all else does not. */
static void check_cut(struct check *c, u32 level)
{
	const struct snapprot_level *l = &c->core->level[level];

	if (!l->merge)
		return;
	if (l->next.root && snapprot_key_cmp(&c->last, &l->cut) >= 0)
		problem(c, l->next.root, "an entry behind the cut of its merge");
	if (begins_before(&l->cur, &l->cut) ||
	    (l->merge->source && level > 1 &&
	     begins_before(&c->core->level[level - 1].up, &l->cut)))
		problem(c, l->next.root, "entries before the cut of a merge");
}

/* Of what is to be freed only the nodes that can still be seen count. */
static int check_runs(struct check *c)
{
	struct snapprot_core *core = c->core;
	u32 i;
	int err = 0;

	for (i = 1; !err && i <= SNAPPROT_MAX_LEVEL; i++) {
		const struct snapprot_level *l = &core->level[i];

		err = check_run(c, &l->cur, true, true);
		if (!err)
			err = check_run(c, &l->next, true, true);
		if (!err)
			check_cut(c, i);
		if (!err)
			err = check_run(c, &l->up, true, true);
	}
	for (i = 0; !err && i < core->nr_chunks; i++)
		err = check_run(c, &core->chunk[i], false, true);
	c->map = true;
	for (i = 0; !err && i < core->nr_maps; i++)
		err = check_run(c, &core->map[i], false, true);
	return err;
}

/* ---- tables, log, checkpoint ---------------------------------------------------- */

static int check_table(struct check *c, const struct snapprot_table *t,
		       const struct snapprot_key *from)
{
	u32 i;
	int err = 0;

	for (i = 0; !err && i < t->count; i++) {
		struct snapprot_entry e = t->entry[i];
		struct snapprot_key key = snapprot_entry_key(&e);

		if (snapprot_table_dead(t, i)) {
			/* Preserved twice: the next checkpoint frees it. */
			if (snapprot_entry_place(&e))
				err = claim(c, snapprot_entry_place(&e),
					    "a place that is used twice");
			continue;
		}
		if (snapprot_key_cmp(&key, from) >= 0)
			err = check_entry(c, &e);
	}
	return err;
}

static int check_log(struct check *c)
{
	const struct snapprot_log *log = &c->core->log;
	u32 i, j;
	int err;

	err = claim(c, log->block, "the place of the log's next header");
	for (i = 0; !err && i < log->nr_headers; i++)
		err = claim(c, log->headers[i], "a header of the log");
	for (i = 0; !err && i < 2; i++)
		for (j = log->zone[i].used; !err && j < log->zone[i].count; j++)
			err = claim(c, log->zone[i].place[j],
				    "a block that is kept for the log");
	return err;
}

static int check_ckpt(struct check *c)
{
	const struct snapprot_ckpt *ckpt = &c->core->ckpt;
	const struct snapprot_space *space = &c->core->space;
	u32 i;
	int err = 0;

	for (i = 0; !err && i < ckpt->nr_old; i++)
		err = claim(c, ckpt->old[i], "a block of the directory");
	for (i = space->pool.next; !err && i < space->pool.count; i++)
		err = claim(c, space->pool.place[i], "a block that is kept");
	for (i = 0; !err && i < space->queue_count; i++)
		err = claim(c, space->queue[i], "a block that will be free");
	return err;
}

/* Snapshots: what the loader lets pass. */
static void check_snaps(struct check *c)
{
	const struct snapprot_core *core = c->core;
	u32 i;

	for (i = 1; i < core->nr_snaps; i++)
		if (core->snaps[i].time < core->snaps[i - 1].time)
			continue;	/* clocks may be set back */
	if (core->nr_snaps &&
	    core->snaps[core->nr_snaps - 1].epoch > core->epoch)
		problem(c, 0, "a snapshot of an epoch that is to come");
}

/* ---- space ------------------------------------------------------------------------ */

static int compare(void *ctx, const struct snapprot_space_item *item)
{
	struct check *c = ctx;
	struct claims *m;
	u64 start;
	u32 i;

	progress(c);
	if (!item->bits)
		return 0;
	m = claims_get(c, item->group);
	if (!m)
		return -ENOMEM;
	start = snapprot_group_start(item->group);
	for (i = 0; i < SNAPPROT_GROUP_BLOCKS; i++) {
		bool used;

		/* Most of the time whole bytes are alike. */
		if (!(i & 7) && m->bits[i / 8] == item->bits[i / 8]) {
			i += 7;
			continue;
		}
		used = snapprot_bit_test(item->bits, i);
		if (used == snapprot_bit_test(m->bits, i))
			continue;
		problem(c, start + i, used ? "in use, and nobody owns it" :
			"not in use, but it belongs to somebody");
	}
	m->number = ~(u64)0;
	return 0;
}

/* A group of which something is owned, and that has no bitmap at all. */
static void compare_rest(struct check *c)
{
	struct claims *m;
	u32 i, j;

	for (i = 0; i < BUCKETS; i++)
		for (m = c->claims[i]; m; m = m->next)
			for (j = 0; m->number != ~(u64)0 &&
			     j < SNAPPROT_BITMAP_BYTES; j++)
				if (m->bits[j])
					problem(c, snapprot_group_start(m->number),
						"not in use, but some of it belongs to somebody");
}

static int check_space(struct check *c)
{
	int err = snapprot_space_walk(c->core, compare, c);

	if (err == -EBADMSG || err == -EIO) {
		problem(c, 0, err == -EIO ? "a bitmap cannot be read" :
					    "a bitmap is damaged");
		return 0;
	}
	if (!err)
		compare_rest(c);
	return err;
}

static void check_free(struct check *c)
{
	struct snapprot_env *env = c->core->env;
	u32 i;

	for (i = 0; i < BUCKETS; i++) {
		while (c->claims[i]) {
			struct claims *m = c->claims[i];

			c->claims[i] = m->next;
			env->ops->free(env, m);
		}
	}
	env->ops->free(env, c->block);
	env->ops->free(env, c);
}

int snapprot_store_check(struct snapprot_core *core, bool data,
			 const struct snapprot_check_ops *ops, void *ctx)
{
	static const struct snapprot_key all;
	struct snapprot_env *env = core->env;
	struct check *c;
	u32 i;
	int err;

	if (core->ckpt.frozen || core->log.steps || core->log.next)
		return -EBUSY;
	for (i = 1; i <= SNAPPROT_MAX_LEVEL; i++)
		if (core->level[i].next.build)
			return -EBUSY;
	if (core->map_build)
		return -EBUSY;
	c = env->ops->alloc(env, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->core = core;
	c->ops = ops;
	c->ctx = ctx;
	c->data = data;
	c->block = env->ops->alloc(env, SNAPPROT_BLOCK_SIZE);
	err = c->block ? 0 : -ENOMEM;
	check_snaps(c);
	if (!err)
		err = check_runs(c);
	if (!err)
		err = check_table(c, &core->fill, &all);
	if (!err)
		err = check_table(c, &core->drain, &core->drain_from);
	if (!err)
		err = check_log(c);
	if (!err)
		err = check_ckpt(c);
	if (!err)
		err = check_space(c);
	if (!err)
		err = c->problems;
	check_free(c);
	return err;
}
