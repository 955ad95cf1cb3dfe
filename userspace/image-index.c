// SPDX-License-Identifier: GPL-2.0-only
/*
 * The index of a store that is not trusted: its runs by their pointers, its chunks as
 * the tables that they were written from, and all of it in the order of keys.
 */
#include "image-internal.h"

bool image_entry_ok(const struct image *img, const struct snapprot_entry *e)
{
	if (e->block >= img->origin_blocks || !e->epoch)
		return false;
	switch (snapprot_entry_kind(e)) {
	case SNAPPROT_KIND_DATA:
		return snapprot_place_ok(img->blocks, snapprot_entry_place(e));
	case SNAPPROT_KIND_ZERO:
		return true;
	}
	return false;
}

/* ---- a walk over a run --------------------------------------------------- */

/* A node on the way to where a walk is. */
struct walk_step {
	struct snapprot_buf buf;
	bool held;
	u64 place;
	u32 at;
	u32 max_epoch;
	struct snapprot_key hi;		/* the keys of the node are below */
};

/**
 * struct walk - a walk over the entries of a run, in the order of keys
 * @step: by level of the node, 0 the leaf
 * @from: entries below are left out
 * @quiet: what is wrong has been told
 * @started: the root has been looked at
 * @nodes: that were sound
 * @entries: the same
 *
 * What is wrong makes the run one that is not ok; the walk goes on behind it.
 */
struct walk {
	struct image *img;
	struct image_run *run;
	struct walk_step step[SNAPPROT_MAX_HEIGHT];
	struct snapprot_key from;
	bool quiet;
	bool started;
	u64 nodes;
	u64 entries;
};

static void walk_wrong(struct walk *w, u64 place, const char *what)
{
	w->run->ok = false;
	if (!w->quiet)
		image_damage(w->img, place, what);
}

static struct snapprot_key node_key(const struct snapprot_disk_node *n, u32 i)
{
	if (le16_to_cpu(n->level))
		return (struct snapprot_key){ le64_to_cpu(n->child[i].block),
					      le32_to_cpu(n->child[i].epoch) };
	return (struct snapprot_key){ le64_to_cpu(n->entry[i].block),
				      le32_to_cpu(n->entry[i].epoch) };
}

static const char *node_kind(const struct walk *w, u32 level)
{
	switch (w->run->role) {
	case SNAPPROT_RUN_FILL:
	case SNAPPROT_RUN_DRAIN:
		return "chunk";
	case SNAPPROT_RUN_MAP:
		return "map";
	case SNAPPROT_RUN_TRASH:
		return "trash";
	}
	return level ? "node" : "leaf";
}

/* Does a node have what its parent says of it? */
static bool node_fits(const struct walk *w, const struct snapprot_disk_node *n,
		      u32 level, const struct snapprot_key *lo,
		      const struct snapprot_key *hi, u32 max_epoch)
{
	u32 i, count = le16_to_cpu(n->count);
	struct snapprot_key first = node_key(n, 0);
	struct snapprot_key last = node_key(n, count - 1);

	if (le16_to_cpu(n->level) != level ||
	    (lo && snapprot_key_cmp(&first, lo)) ||
	    snapprot_key_cmp(&last, hi) >= 0)
		return false;
	for (i = 0; i < count; i++) {
		u32 epoch = level ? le32_to_cpu(n->child[i].max_epoch) :
				    le32_to_cpu(n->entry[i].epoch);

		if (epoch > max_epoch ||
		    (!level && epoch < w->run->run.min_epoch))
			return false;
	}
	return true;
}

/* Go down to a node; false if it is not as it should be. */
static bool walk_down(struct walk *w, u32 level, u64 place, u64 sum,
		      const struct snapprot_key *lo,
		      const struct snapprot_key *hi, u32 max_epoch)
{
	struct walk_step *s = &w->step[level];

	if (!snapprot_place_ok(w->img->blocks, place) ||
	    image_get(w->img, place, SNAPPROT_MAGIC_NODE, sum, &s->buf)) {
		walk_wrong(w, place, "node of the index");
		return false;
	}
	if (!node_fits(w, s->buf.data, level, lo, hi, max_epoch)) {
		image_put(w->img, &s->buf);
		walk_wrong(w, place, "node of the index that is out of place");
		return false;
	}
	s->held = true;
	s->place = place;
	s->at = 0;
	s->max_epoch = max_epoch;
	s->hi = *hi;
	w->nodes++;
	image_found(w->img, place, node_kind(w, level));
	return true;
}

static void walk_begin(struct walk *w, struct image *img, struct image_run *run,
		       bool quiet)
{
	*w = (struct walk){ .img = img, .run = run, .quiet = quiet };
	w->from = run->run.from;
}

static void walk_start(struct walk *w)
{
	const struct snapprot_run *run = &w->run->run;

	w->started = true;
	if (!run->root || snapprot_key_is_end(&run->from))
		return;
	if (run->height >= SNAPPROT_MAX_HEIGHT)
		walk_wrong(w, run->root, "node of the index that is out of place");
	else
		walk_down(w, run->height, run->root, run->root_sum, NULL,
			  &SNAPPROT_KEY_END, run->max_epoch);
}

/* On to the next child of an inner node. */
static void walk_child(struct walk *w, u32 level)
{
	struct walk_step *s = &w->step[level];
	const struct snapprot_disk_node *n = s->buf.data;
	u32 i = s->at++;
	struct snapprot_key lo = node_key(n, i), hi = s->hi;

	if (i + 1 < le16_to_cpu(n->count))
		hi = node_key(n, i + 1);
	/* A merge has passed it. */
	if (snapprot_key_cmp(&hi, &w->run->run.from) <= 0)
		return;
	walk_down(w, level - 1, le64_to_cpu(n->child[i].place),
		  le64_to_cpu(n->child[i].sum), &lo, &hi,
		  le32_to_cpu(n->child[i].max_epoch));
}

/* The next entry: 1, or 0 if there is none. */
static int walk_next(struct walk *w, struct snapprot_entry *e)
{
	const struct snapprot_disk_node *n;
	struct snapprot_key key;
	u32 level = 0;

	if (!w->started)
		walk_start(w);
	while (level < SNAPPROT_MAX_HEIGHT) {
		struct walk_step *s = &w->step[level];

		n = s->held ? s->buf.data : NULL;
		if (!n) {
			level++;
		} else if (s->at == le16_to_cpu(n->count)) {
			image_put(w->img, &s->buf);
			s->held = false;
		} else if (level) {
			walk_child(w, level);
			level = 0;
		} else {
			snapprot_entry_decode(e, &n->entry[s->at++]);
			key = snapprot_entry_key(e);
			if (snapprot_key_cmp(&key, &w->from) < 0)
				continue;
			w->entries++;
			return 1;
		}
	}
	return 0;
}

static void walk_end(struct walk *w)
{
	u32 i;

	for (i = 0; i < SNAPPROT_MAX_HEIGHT; i++)
		if (w->step[i].held)
			image_put(w->img, &w->step[i].buf);
}

/* ---- reading all of it ------------------------------------------------------ */

static bool is_level(const struct image_run *r)
{
	return r->role == SNAPPROT_RUN_CUR || r->role == SNAPPROT_RUN_NEXT ||
	       r->role == SNAPPROT_RUN_UP;
}

static bool is_chunk(const struct image_run *r)
{
	return r->role == SNAPPROT_RUN_FILL || r->role == SNAPPROT_RUN_DRAIN;
}

static struct image_run *find_run(struct image *img, u32 role, u32 level)
{
	u32 i;

	for (i = 0; i < img->nr_runs; i++)
		if (img->runs[i].role == role && img->runs[i].level == level)
			return &img->runs[i];
	return NULL;
}

/* Does the directory name a run that can be? */
static bool run_possible(const struct image_run *r)
{
	if (is_level(r))
		return r->level && r->level <= SNAPPROT_MAX_LEVEL;
	return !r->level && r->role >= SNAPPROT_RUN_FILL &&
	       r->role <= SNAPPROT_RUN_TRASH;
}

/* Of a chunk: what the table had then, or had not any more. */
static bool table_take(struct image *img, struct snapprot_table *t,
		       const struct snapprot_entry *e)
{
	struct snapprot_entry other;

	if (snapprot_entry_kind(e) == SNAPPROT_KIND_REMOVED)
		return snapprot_table_remove_key(t, e->block, e->epoch);
	if (!image_entry_ok(img, e))
		return false;
	if (snapprot_table_find(t, e->block, e->epoch, &other) &&
	    other.epoch == e->epoch)
		return false;
	return snapprot_table_add(t, e, true);
}

static void read_run(struct image *img, struct image_run *r)
{
	struct snapprot_table *t = r->role == SNAPPROT_RUN_FILL ? &img->fill :
								  &img->drain;
	bool whole = !r->run.from.block && !r->run.from.epoch;
	struct snapprot_entry e;
	struct walk w;

	walk_begin(&w, img, r, false);
	while (walk_next(&w, &e)) {
		bool ok = true;

		if (is_chunk(r))
			ok = table_take(img, t, &e);
		else if (is_level(r))
			ok = image_entry_ok(img, &e);
		if (!ok || e.epoch > le32_to_cpu(img->super->epoch))
			walk_wrong(&w, w.step[0].place,
				   "node of the index with an impossible entry");
	}
	walk_end(&w);
	/* Of what a merge has passed nobody knows how much is left. */
	if (r->ok && r->run.root && whole &&
	    (w.nodes != r->run.nr_nodes || w.entries != r->run.nr_entries))
		walk_wrong(&w, r->run.root,
			   "run with another count than the directory's");
}

static int make_tables(struct image *img)
{
	const u64 most = 2 * (SNAPPROT_MAX_TABLE + SNAPPROT_LOG_MAX_ENTRIES);
	u64 max[2] = { SNAPPROT_LOG_MAX_ENTRIES, 1 };
	u32 i;
	int err;

	for (i = 0; i < img->nr_runs; i++)
		if (is_chunk(&img->runs[i]))
			max[img->runs[i].role == SNAPPROT_RUN_DRAIN] +=
				snapprot_min(img->runs[i].run.nr_entries, most);
	for (i = 0; i < 2; i++)
		if (max[i] > most + SNAPPROT_LOG_MAX_ENTRIES)
			max[i] = most + SNAPPROT_LOG_MAX_ENTRIES;
	err = snapprot_table_init(&img->fill, &img->se->env, (u32)max[0]);
	if (!err)
		err = snapprot_table_init(&img->drain, &img->se->env,
					  (u32)max[1]);
	return err;
}

/* Do the runs of the directory go together? */
static bool runs_fit(struct image *img)
{
	bool fill = false;
	u32 i;

	for (i = 0; i < img->nr_runs; i++) {
		const struct image_run *r = &img->runs[i];

		if (!run_possible(r))
			return false;
		if (is_level(r) && find_run(img, r->role, r->level) != r)
			return false;
		if (r->role == SNAPPROT_RUN_NEXT && r->run.root &&
		    !img->merge[r->level].there)
			return false;
		/* In this order they are applied. */
		fill |= r->role == SNAPPROT_RUN_FILL;
		if (fill && r->role == SNAPPROT_RUN_DRAIN)
			return false;
	}
	for (i = 2; i <= SNAPPROT_MAX_LEVEL; i++)
		if (img->merge[i].there && img->merge[i].source &&
		    !find_run(img, SNAPPROT_RUN_UP, i - 1))
			return false;
	return true;
}

int image_open_index(struct image *img)
{
	u32 i;
	int err;

	err = make_tables(img);
	if (err)
		return err;
	img->index_ok = img->dir_ok;
	if (!runs_fit(img)) {
		image_damage(img, le64_to_cpu(img->super->dir),
			     "directory with an impossible run");
		img->index_ok = false;
	}
	for (i = 0; i < img->nr_runs && !img->err; i++) {
		struct image_run *r = &img->runs[i];

		if (run_possible(r))
			read_run(img, r);
		/* Nothing is read by way of the others. */
		if (!r->ok && (is_level(r) || is_chunk(r)))
			img->index_ok = false;
	}
	img->nr_chunked = img->fill.count;
	return img->err;
}

/* ---- entries, all together --------------------------------------------------- */

/* So many parts can have entries: three runs a level, and two tables. */
#define MAX_SOURCES	(3 * SNAPPROT_MAX_LEVEL + 2)

/**
 * struct source - a part of the index, the oldest first
 * @walk: over a run, or NULL
 * @table: or the table
 * @index: in its order
 * @count: of its order
 * @from: its entries below do not count
 * @end: nor those from here on
 * @e: the next one
 * @any: there is one
 */
struct source {
	struct walk *walk;
	struct snapprot_table *table;
	u32 index;
	u32 count;
	struct snapprot_key from;
	struct snapprot_key end;
	struct snapprot_entry e;
	bool any;
};

struct sources {
	struct source s[MAX_SOURCES];
	u32 count;
};

static void source_next(struct source *s)
{
	struct snapprot_key key;

	do {
		if (s->walk) {
			s->any = walk_next(s->walk, &s->e);
		} else {
			s->any = s->index < s->count;
			if (s->any)
				s->e = s->table->entry[s->table->order[s->index++]];
		}
		key = snapprot_entry_key(&s->e);
	} while (s->any && snapprot_key_cmp(&key, &s->from) < 0);
	if (s->any && snapprot_key_cmp(&key, &s->end) >= 0)
		s->any = false;
}

static void add_table(struct sources *all, struct snapprot_table *t,
		      const struct snapprot_key *from)
{
	struct source *s = &all->s[all->count++];

	s->table = t;
	s->count = snapprot_table_order(t, 0, t->count, true);
	s->from = *from;
	s->end = SNAPPROT_KEY_END;
	source_next(s);
}

static int add_run(struct image *img, struct sources *all, u32 role, u32 level,
		   const struct snapprot_key *from,
		   const struct snapprot_key *end)
{
	struct image_run *r = find_run(img, role, level);
	struct source *s;
	bool ok;

	if (!r || !run_possible(r))
		return 0;
	s = &all->s[all->count];
	s->walk = calloc(1, sizeof(*s->walk));
	if (!s->walk)
		return -ENOMEM;
	all->count++;
	ok = r->ok;
	walk_begin(s->walk, img, r, true);
	s->from = *from;
	s->end = *end;
	source_next(s);
	r->ok = ok;
	return 0;
}

static int add_level(struct image *img, struct sources *all, u32 level)
{
	static const struct snapprot_key first;
	const struct image_merge *m = &img->merge[level];
	const struct snapprot_key *cut = m->there ? &m->cut : &first;
	int err = 0;

	if (m->there)
		err = add_run(img, all, SNAPPROT_RUN_NEXT, level, &first, cut);
	if (!err)
		err = add_run(img, all, SNAPPROT_RUN_CUR, level, cut,
			      &SNAPPROT_KEY_END);
	if (!err && level > 1)
		err = add_run(img, all, SNAPPROT_RUN_UP, level - 1,
			      m->there && m->source ? cut : &first,
			      &SNAPPROT_KEY_END);
	return err;
}

static int open_sources(struct image *img, struct sources *all)
{
	static const struct snapprot_key first;
	const struct image_merge *m = &img->merge[1];
	u32 i;
	int err = 0;

	for (i = SNAPPROT_MAX_LEVEL; i && !err; i--)
		err = add_level(img, all, i);
	if (err)
		return err;
	add_table(all, &img->drain, m->there && m->source ? &m->cut : &first);
	add_table(all, &img->fill, &first);
	return 0;
}

static void close_sources(struct sources *all)
{
	u32 i;

	for (i = 0; i < all->count; i++) {
		if (!all->s[i].walk)
			continue;
		walk_end(all->s[i].walk);
		free(all->s[i].walk);
	}
}

/* The one with the smallest key; of two that are alike the oldest. */
static struct source *first_source(struct sources *all)
{
	struct source *best = NULL;
	struct snapprot_key key, best_key;
	u32 i;

	for (i = 0; i < all->count; i++) {
		if (!all->s[i].any)
			continue;
		key = snapprot_entry_key(&all->s[i].e);
		if (best && snapprot_key_cmp(&key, &best_key) >= 0)
			continue;
		best = &all->s[i];
		best_key = key;
	}
	return best;
}

int image_walk(struct image *img,
	       int (*fn)(void *ctx, const struct snapprot_entry *e, u32 prev),
	       void *ctx)
{
	struct snapprot_entry last = { .epoch = 0 };
	struct sources *all;
	struct source *s;
	int err;

	all = calloc(1, sizeof(*all));
	if (!all)
		return -ENOMEM;
	err = open_sources(img, all);
	while (!err && (s = first_source(all))) {
		struct snapprot_entry e = s->e;
		u32 prev = e.block == last.block ? last.epoch : 0;

		source_next(s);
		/* The same key again: what was first counts, nobody needs either. */
		if (prev == e.epoch)
			continue;
		err = fn(ctx, &e, prev);
		last = e;
	}
	close_sources(all);
	free(all);
	return err ? err : img->err;
}
