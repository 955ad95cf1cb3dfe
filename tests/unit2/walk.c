// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>

#include "walk.h"

const char *const walk_words[WALK_KINDS] = {
	"superblock", "bitmap", "node of the space table", "directory",
	"snapshots", "counts", "node", "old data", "log", "data of the log",
};

/* ---- sets of places ---------------------------------------------------- */

static u64 *places_slot(const struct places *p, u64 place)
{
	u32 i = place * 0x9e3779b97f4a7c15ull >> 32 & (p->slots - 1);

	while (p->slot[i] && p->slot[i] != place + 1)
		i = (i + 1) & (p->slots - 1);
	return &p->slot[i];
}

bool places_has(const struct places *p, u64 place)
{
	return p->slots && *places_slot(p, place);
}

static void places_grow(struct places *p)
{
	struct places old = *p;
	u32 i;

	p->slots = old.slots ? old.slots * 2 : 256;
	p->slot = calloc(p->slots, sizeof(*p->slot));
	for (i = 0; i < old.slots; i++)
		if (old.slot[i])
			*places_slot(p, old.slot[i] - 1) = old.slot[i];
	free(old.slot);
}

/* False if it was there already. */
bool places_add(struct places *p, u64 place)
{
	u64 *slot;

	if (p->count * 2 >= p->slots)
		places_grow(p);
	slot = places_slot(p, place);
	if (*slot)
		return false;
	*slot = place + 1;
	p->count++;
	return true;
}

void places_clear(struct places *p)
{
	free(p->slot);
	memset(p, 0, sizeof(*p));
}

/* ---- the walk ---------------------------------------------------------- */

/* Entry of a table in memory, as its chunks have it. */
struct kept {
	u64 block;
	u64 place;		/* 0: it was taken out again, or has no data */
	u32 epoch;
	u32 turn;
};

struct walk {
	const struct sim *sim;
	void (*fn)(void *ctx, u64 place, enum walk_kind kind);
	void *ctx;

	struct kept *kept;	/* of the chunks of one table */
	u32 nr_kept, max_kept;
	u32 role;		/* which */
	u64 drain_block;	/* what is merged of the other one */
	u32 drain_epoch;
};

static const void *look(struct walk *w, u64 place, enum walk_kind kind)
{
	w->fn(w->ctx, place, kind);
	return sim_peek(w->sim, place);
}

static bool below(u64 block, u32 epoch, u64 than_block, u32 than_epoch)
{
	return block < than_block ||
	       (block == than_block && epoch < than_epoch);
}

static void keep(struct walk *w, const struct snapprot_disk_entry *e)
{
	u64 where = le64_to_cpu(e->where);
	struct kept *k;

	if (w->nr_kept == w->max_kept) {
		w->max_kept = w->max_kept * 2 + 256;
		w->kept = realloc(w->kept, w->max_kept * sizeof(*w->kept));
	}
	k = &w->kept[w->nr_kept];
	k->block = le64_to_cpu(e->block);
	k->epoch = le32_to_cpu(e->epoch);
	k->turn = w->nr_kept++;
	k->place = SNAPPROT_WHERE_KIND(where) == SNAPPROT_KIND_DATA ?
		   SNAPPROT_WHERE_PLACE(where) : 0;
}

static int cmp_kept(const void *a, const void *b)
{
	const struct kept *x = a, *y = b;

	if (x->block != y->block)
		return x->block < y->block ? -1 : 1;
	if (x->epoch != y->epoch)
		return x->epoch < y->epoch ? -1 : 1;
	return x->turn < y->turn ? -1 : 1;
}

/* All chunks of a table have been seen: of each key the last word counts. */
static void kept_done(struct walk *w)
{
	u32 i;

	if (w->nr_kept)
		qsort(w->kept, w->nr_kept, sizeof(*w->kept), cmp_kept);
	for (i = 0; i < w->nr_kept; i++) {
		const struct kept *k = &w->kept[i];

		if (i + 1 < w->nr_kept && k[1].block == k->block &&
		    k[1].epoch == k->epoch)
			continue;
		if (w->role == SNAPPROT_RUN_DRAIN &&
		    below(k->block, k->epoch, w->drain_block, w->drain_epoch))
			continue;
		if (k->place)
			w->fn(w->ctx, k->place, WALK_DATA);
	}
	w->nr_kept = 0;
}

static void walk_node(struct walk *w, const struct snapprot_disk_run *run,
		      u64 place)
{
	const struct snapprot_disk_node *n = look(w, place, WALK_NODE);
	u64 from_block = le64_to_cpu(run->from_block);
	u32 from_epoch = le32_to_cpu(run->from_epoch);
	u32 role = le16_to_cpu(run->role);
	u32 i, count = le16_to_cpu(n->count);

	for (i = 0; i < count && le16_to_cpu(n->level); i++) {
		/* What lies before a child that begins at "from" is gone. */
		if (i + 1 < count &&
		    !below(from_block, from_epoch,
			   le64_to_cpu(n->child[i + 1].block),
			   le32_to_cpu(n->child[i + 1].epoch)))
			continue;
		walk_node(w, run, le64_to_cpu(n->child[i].place));
	}
	for (i = 0; i < count && !le16_to_cpu(n->level); i++) {
		const struct snapprot_disk_entry *e = &n->entry[i];
		u64 where = le64_to_cpu(e->where);

		if (below(le64_to_cpu(e->block), le32_to_cpu(e->epoch),
			  from_block, from_epoch))
			continue;
		/* The entries of what is to be freed are elsewhere; maps have bits. */
		if (role == SNAPPROT_RUN_TRASH || role == SNAPPROT_RUN_MAP)
			continue;
		if (role == SNAPPROT_RUN_FILL || role == SNAPPROT_RUN_DRAIN)
			keep(w, e);
		else if (SNAPPROT_WHERE_KIND(where) == SNAPPROT_KIND_DATA)
			w->fn(w->ctx, SNAPPROT_WHERE_PLACE(where), WALK_DATA);
	}
}

static void walk_run(struct walk *w, const struct snapprot_disk_run *run)
{
	u32 role = le16_to_cpu(run->role);

	if (role != w->role) {
		kept_done(w);
		w->role = role;
	}
	/* Unless a merge has passed all of it. */
	if (run->root && run->from_block != cpu_to_le64(~0ull))
		walk_node(w, run, le64_to_cpu(run->root));
}

static void find_drain(struct walk *w, const struct snapprot_disk_item *item)
{
	const struct snapprot_disk_merge *m = (const void *)item;

	if (le16_to_cpu(item->type) != SNAPPROT_ITEM_MERGE ||
	    le16_to_cpu(m->level) != 1 || !m->source)
		return;
	w->drain_block = le64_to_cpu(m->cut_block);
	w->drain_epoch = le32_to_cpu(m->cut_epoch);
}

static void walk_item(struct walk *w, const struct snapprot_disk_item *item)
{
	const struct snapprot_disk_snaps_item *table = (const void *)item;

	switch (le16_to_cpu(item->type)) {
	case SNAPPROT_ITEM_RUN:
		walk_run(w, (const void *)item);
		break;
	case SNAPPROT_ITEM_SNAPS:
		look(w, le64_to_cpu(table->place), WALK_SNAPS);
		break;
	case SNAPPROT_ITEM_COUNTS:
		look(w, le64_to_cpu(table->place), WALK_COUNTS);
		break;
	}
}

static void walk_items(struct walk *w, u64 place, enum walk_kind kind,
		       void (*fn)(struct walk *w,
				  const struct snapprot_disk_item *item))
{
	const struct snapprot_disk_dir *d;
	u32 at, used;

	for (; place; place = le64_to_cpu(d->next)) {
		d = (const void *)sim_peek(w->sim, place);
		if (kind == WALK_DIR)
			w->fn(w->ctx, place, kind);
		used = le32_to_cpu(d->used);
		for (at = 0; at < used;) {
			const struct snapprot_disk_item *item =
				(const void *)(d->items + at);

			CHECK(item->size);
			fn(w, item);
			at += le16_to_cpu(item->size);
		}
	}
}

static void walk_space(struct walk *w, u32 level, u64 index, u32 slot)
{
	const struct snapprot_disk_space *s;
	u64 group = index << SNAPPROT_SPACE_SHIFT * (level + 1);
	u32 i;

	s = look(w, group * SNAPPROT_GROUP_BLOCKS + SNAPPROT_SPACE_OFFSET +
		    2 * level + !!(slot & SNAPPROT_SLOT_SECOND), WALK_SPACE);
	for (i = 0; i < SNAPPROT_SPACE_FANOUT; i++) {
		u64 below_index = index * SNAPPROT_SPACE_FANOUT + i;

		slot = le32_to_cpu(s->entry[i].slot);
		if (!(slot & SNAPPROT_SLOT_VALID))
			continue;
		if (level)
			walk_space(w, level - 1, below_index, slot);
		else
			look(w, below_index * SNAPPROT_GROUP_BLOCKS +
				SNAPPROT_BITMAP_OFFSET +
				!!(slot & SNAPPROT_SLOT_SECOND), WALK_BITMAP);
	}
}

static void walk_log(struct walk *w, const struct snapprot_disk_super *s,
		     u64 end)
{
	u64 place = le64_to_cpu(s->log_block);
	u64 seq = le64_to_cpu(s->log_seq);
	u32 i;

	for (; seq < end; seq++) {
		const struct snapprot_disk_log *l = look(w, place, WALK_LOG);

		CHECK_EQ(le64_to_cpu(l->h.seq), seq);
		for (i = 0; le16_to_cpu(l->type) == SNAPPROT_LOG_BATCH &&
		     i < le16_to_cpu(l->count); i++) {
			u64 where = le64_to_cpu(l->entry[i].where);

			if (SNAPPROT_WHERE_KIND(where) == SNAPPROT_KIND_DATA)
				w->fn(w->ctx, SNAPPROT_WHERE_PLACE(where),
				      WALK_LOG_DATA);
		}
		place = le64_to_cpu(l->next);
	}
	/* Reserved for the next one; what is there does not matter. */
}

bool walk_is_super(u64 place)
{
	return place == SNAPPROT_SUPER_BLOCK_0 ||
	       place == SNAPPROT_SUPER_BLOCK_1 ||
	       place == SNAPPROT_SUPER_BLOCK_2 ||
	       place == SNAPPROT_SUPER_BLOCK_3;
}

u64 walk_super(const struct sim *sim)
{
	u64 best = 0, best_seq = 0;
	u32 i;

	for (i = 0; i < SNAPPROT_COPIES; i++) {
		u64 place = snapprot_super_place(i);
		const struct snapprot_disk_super *s =
			(const void *)sim_peek(sim, place);

		if (snapprot_super_verify(s, place) ||
		    le64_to_cpu(s->h.seq) <= best_seq)
			continue;
		best = place;
		best_seq = le64_to_cpu(s->h.seq);
	}
	CHECK(best_seq);
	return best;
}

static void walk_checkpoint(struct walk *w,
			    const struct snapprot_disk_super *s)
{
	u64 dir = le64_to_cpu(s->dir);
	u32 slot = le32_to_cpu(s->space_slot);

	walk_items(w, dir, WALK_KINDS, find_drain);
	walk_items(w, dir, WALK_DIR, walk_item);
	kept_done(w);
	free(w->kept);
	if (slot & SNAPPROT_SLOT_VALID)
		walk_space(w, le32_to_cpu(s->space_level), 0, slot);
}

void walk_store(const struct sim *sim, u64 log_end,
		void (*fn)(void *ctx, u64 place, enum walk_kind kind),
		void *ctx)
{
	struct walk w = { .sim = sim, .fn = fn, .ctx = ctx };

	u64 super = walk_super(sim);

	fn(ctx, super, WALK_SUPER);
	walk_checkpoint(&w, (const void *)sim_peek(sim, super));
	walk_log(&w, (const void *)sim_peek(sim, super), log_end);
}

/* ---- the bitmaps ------------------------------------------------------- */

struct compare {
	const struct sim *sim;
	struct places owned;
	u64 marked;		/* bits that are set */
	const char *wrong;
};

static void compare_wrong(struct compare *c, u64 place, const char *what)
{
	if (!c->wrong)
		printf("# block %llu: %s\n", (unsigned long long)place, what);
	c->wrong = what;
}

static void compare_owned(void *ctx, u64 place, enum walk_kind kind)
{
	struct compare *c = ctx;

	if (kind == WALK_SUPER || kind == WALK_BITMAP || kind == WALK_SPACE)
		return;
	if (!snapprot_place_ok(c->sim->blocks, place))
		compare_wrong(c, place, "never allocated, and has an owner");
	if (!places_add(&c->owned, place))
		compare_wrong(c, place, "has two owners");
}

static void compare_marked(void *ctx, u64 place, enum walk_kind kind)
{
	struct compare *c = ctx;
	const u8 *bits;
	u64 start;
	u32 i;

	if (kind != WALK_BITMAP)
		return;
	bits = sim_peek(c->sim, place);
	start = place & ~(u64)(SNAPPROT_GROUP_BLOCKS - 1);
	for (i = 0; i < SNAPPROT_GROUP_BLOCKS; i++) {
		if (!bits[i / 8]) {
			i |= 7;
			continue;
		}
		if (!(bits[i / 8] >> i % 8 & 1))
			continue;
		c->marked++;
		if (!places_has(&c->owned, start + i))
			compare_wrong(c, start + i, "is used by nobody");
	}
}

const char *walk_compare(const struct sim *sim)
{
	const struct snapprot_disk_super *s =
		(const void *)sim_peek(sim, walk_super(sim));
	struct compare c = { .sim = sim };
	struct walk w = { .sim = sim, .fn = compare_owned, .ctx = &c };

	walk_checkpoint(&w, s);
	w = (struct walk){ .sim = sim, .fn = compare_marked, .ctx = &c };
	walk_checkpoint(&w, s);
	if (!c.wrong && c.marked != c.owned.count)
		c.wrong = "a block has an owner and is not marked";
	if (!c.wrong && le64_to_cpu(s->space_used) != c.marked)
		c.wrong = "the superblock's count is wrong";
	places_clear(&c.owned);
	return c.wrong;
}
