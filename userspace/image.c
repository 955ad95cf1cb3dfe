// SPDX-License-Identifier: GPL-2.0-only
/*
 * A store read without trusting it: superblocks, directory, snapshots. The index
 * is in image-index.c, the log in image-log.c, the bitmaps in image-space.c.
 */
#include "image-internal.h"

void image_damage(struct image *img, u64 block, const char *what)
{
	img->nr_damage++;
	if (img->ops->damage)
		img->ops->damage(img->ctx, block, what);
}

void image_doubt(struct image *img, u64 block, const char *what)
{
	if (img->ops->doubt)
		img->ops->doubt(img->ctx, block, what);
}

void image_found(struct image *img, u64 block, const char *what)
{
	if (img->loud && img->ops->block)
		img->ops->block(img->ctx, block, what);
}

int image_get(struct image *img, u64 block, u32 magic, u64 sum,
	      struct snapprot_buf *buf)
{
	struct snapprot_env *env = &img->se->env;
	const struct snapprot_disk_header *h;
	int err;

	err = env->ops->get(env, block, magic, sum, buf);
	if (err == -ENOMEM)
		img->err = err;
	if (err || magic == SNAPPROT_MAGIC_BITMAP)
		return err;
	h = buf->data;
	if (!memcmp(h->uuid, img->super->h.uuid, sizeof(h->uuid)))
		return 0;
	env->ops->put(env, buf);
	return -EBADMSG;
}

void image_put(struct image *img, struct snapprot_buf *buf)
{
	img->se->env.ops->put(&img->se->env, buf);
}

/* ---- superblocks ---------------------------------------------------------- */

/* What is there of a copy. */
enum copy_state {
	COPY_SOUND,
	COPY_DAMAGED,
	COPY_UNREAD,
};

static const char * const copy_damaged[SNAPPROT_COPIES] = {
	"superblock copy 0 is damaged", "superblock copy 1 is damaged",
	"superblock copy 2 is damaged", "superblock copy 3 is damaged",
};

static const char * const copy_unread[SNAPPROT_COPIES] = {
	"superblock copy 0 cannot be read", "superblock copy 1 cannot be read",
	"superblock copy 2 cannot be read", "superblock copy 3 cannot be read",
};

static const char * const copy_behind[SNAPPROT_COPIES] = {
	"superblock copy 0 is behind, by a crash or a lost write",
	"superblock copy 1 is behind, by a crash or a lost write",
	"superblock copy 2 is behind, by a crash or a lost write",
	"superblock copy 3 is behind, by a crash or a lost write",
};

/* Of a pair both are of the last write but one, or older: which is right? */
static bool is_behind(const struct image *img,
		      const struct snapprot_disk_super *s, u32 copy)
{
	u64 seq = le64_to_cpu(img->super->h.seq);
	u64 least = (copy & ~1u) == snapprot_pair_of(seq) ? seq : seq - 1;

	return le64_to_cpu(s->h.seq) < least;
}

static void report_supers(struct image *img,
			  const struct snapprot_disk_super *copy,
			  const enum copy_state *state)
{
	u32 i;

	for (i = 0; i < SNAPPROT_COPIES; i++) {
		u64 place = snapprot_super_place(i);

		image_found(img, place, "superblock");
		if (state[i] == COPY_UNREAD)
			image_damage(img, place, copy_unread[i]);
		else if (state[i] == COPY_DAMAGED)
			image_damage(img, place, copy_damaged[i]);
		else if (is_behind(img, &copy[i], i))
			image_doubt(img, place, copy_behind[i]);
	}
}

static int read_supers(struct image *img, struct snapprot_disk_super *copy)
{
	const struct snapprot_disk_super *c[SNAPPROT_COPIES], *best;
	struct snapprot_env *env = &img->se->env;
	enum copy_state state[SNAPPROT_COPIES];
	u32 i, unread = 0;
	int err;

	for (i = 0; i < SNAPPROT_COPIES; i++) {
		u64 place = snapprot_super_place(i);

		c[i] = NULL;
		state[i] = COPY_UNREAD;
		if (env->ops->read(env, place, 1, &copy[i])) {
			unread++;
			continue;
		}
		c[i] = &copy[i];
		state[i] = snapprot_super_verify(c[i], place) ? COPY_DAMAGED :
								COPY_SOUND;
		img->version_1 |= snapprot_is_version_1(c[i]);
	}
	if (unread == SNAPPROT_COPIES)
		return -EIO;
	best = snapprot_super_choose(c, &err);
	if (!best)
		return err;
	*img->super = *best;
	report_supers(img, copy, state);
	return 0;
}

static int open_super(struct image *img)
{
	struct snapprot_env *env = &img->se->env;
	struct snapprot_disk_super *copy;
	int err;

	img->super = env->ops->alloc(env, sizeof(*img->super));
	copy = env->ops->alloc(env, SNAPPROT_COPIES * sizeof(*copy));
	err = img->super && copy ? read_supers(img, copy) : -ENOMEM;
	env->ops->free(env, copy);
	if (err)
		return err;

	snapprot_key_init(&env->key, img->super->secret);
	img->data_seed = siphash("data", 4, &env->key);
	/* The store may have grown since its superblock was written. */
	img->blocks = device_blocks(img->se->dev);
	if (img->blocks < le64_to_cpu(img->super->store_blocks))
		img->blocks = le64_to_cpu(img->super->store_blocks);
	img->origin_blocks = (le64_to_cpu(img->super->origin_sectors) +
			      SNAPPROT_SECTORS_PER_BLOCK - 1) /
			     SNAPPROT_SECTORS_PER_BLOCK;
	img->epoch = le32_to_cpu(img->super->epoch);
	return 0;
}

/* ---- snapshots -------------------------------------------------------------- */

static struct snapprot_snap *find_snap(struct image *img, u32 id)
{
	u32 i;

	for (i = 0; i < img->nr_snaps; i++)
		if (img->snaps[i].id == id)
			return &img->snaps[i];
	return NULL;
}

static bool name_taken(const struct image *img, const char *name, u32 id)
{
	u32 i;

	for (i = 0; *name && i < img->nr_snaps; i++)
		if (img->snaps[i].id != id &&
		    !strcmp(img->snaps[i].name, name))
			return true;
	return false;
}

/* Oldest first, by epoch; a second one of an id or an epoch is none. */
bool image_snap_add(struct image *img, const struct snapprot_snap *snap)
{
	u32 i = img->nr_snaps;

	if (i >= SNAPPROT_MAX_SNAPSHOTS || !snap->id || !snap->epoch ||
	    find_snap(img, snap->id) || name_taken(img, snap->name, snap->id))
		return false;
	while (i && img->snaps[i - 1].epoch > snap->epoch)
		i--;
	if (i && img->snaps[i - 1].epoch == snap->epoch)
		return false;
	memmove(&img->snaps[i + 1], &img->snaps[i],
		(img->nr_snaps - i) * sizeof(*snap));
	img->snaps[i] = *snap;
	img->nr_snaps++;
	return true;
}

/* Without the table one may go, or change, that is not known. */
bool image_snap_remove(struct image *img, const struct snapprot_snap *snap)
{
	struct snapprot_snap *s = find_snap(img, snap->id);

	if (!s && img->nr_unknown) {
		img->nr_unknown--;
		return true;
	}
	if (!s || s->epoch != snap->epoch)
		return false;
	img->nr_snaps--;
	memmove(s, s + 1, (img->nr_snaps - (u32)(s - img->snaps)) * sizeof(*s));
	return true;
}

bool image_snap_set(struct image *img, const struct snapprot_snap *snap)
{
	struct snapprot_snap *s = find_snap(img, snap->id);

	if (!s)
		return img->nr_unknown;
	if (s->epoch != snap->epoch || s->time != snap->time ||
	    s->sectors != snap->sectors ||
	    memcmp(s->uuid, snap->uuid, sizeof(s->uuid)) ||
	    name_taken(img, snap->name, snap->id))
		return false;
	*s = *snap;
	return true;
}

u32 image_snap_below(const struct image *img, u32 epoch)
{
	u32 i = img->nr_snaps;

	while (i && img->snaps[i - 1].epoch > epoch)
		i--;
	return i && !image_snap_lost(img, &img->snaps[i - 1]) ?
	       img->snaps[i - 1].epoch : 0;
}

/* ---- directory ------------------------------------------------------------- */

static int add_run(struct image *img, const struct snapprot_disk_run *d)
{
	struct image_run *runs, *r;

	if (img->nr_runs == img->max_runs) {
		img->max_runs = img->max_runs * 2 + 64;
		runs = realloc(img->runs, img->max_runs * sizeof(*runs));
		if (!runs)
			return -ENOMEM;
		img->runs = runs;
	}
	r = &img->runs[img->nr_runs++];
	*r = (struct image_run){
		.role = le16_to_cpu(d->role),
		.level = le16_to_cpu(d->level),
		.ok = true,
	};
	r->run.root = le64_to_cpu(d->root);
	r->run.root_sum = le64_to_cpu(d->root_sum);
	r->run.height = le16_to_cpu(d->height);
	r->run.nr_entries = le64_to_cpu(d->nr_entries);
	r->run.nr_nodes = le64_to_cpu(d->nr_nodes);
	r->run.from.block = le64_to_cpu(d->from_block);
	r->run.from.epoch = le32_to_cpu(d->from_epoch);
	r->run.min_epoch = le32_to_cpu(d->min_epoch);
	r->run.max_epoch = le32_to_cpu(d->max_epoch);
	return 0;
}

static bool add_merge(struct image *img, const struct snapprot_disk_merge *d)
{
	u32 level = le16_to_cpu(d->level);
	struct image_merge *m;

	if (!level || level > SNAPPROT_MAX_LEVEL || img->merge[level].there)
		return false;
	m = &img->merge[level];
	m->there = true;
	m->source = le16_to_cpu(d->source);
	m->cut.block = le64_to_cpu(d->cut_block);
	m->cut.epoch = le32_to_cpu(d->cut_epoch);
	m->done = le64_to_cpu(d->done);
	m->total = le64_to_cpu(d->total);
	return true;
}

static void read_table(struct image *img,
		       const struct snapprot_disk_snaps_item *item)
{
	u64 place = le64_to_cpu(item->place);
	const struct snapprot_disk_snaps *t;
	struct snapprot_snap snap;
	struct snapprot_buf buf;
	u32 i;

	if (!snapprot_place_ok(img->blocks, place) ||
	    image_get(img, place, SNAPPROT_MAGIC_SNAPS,
		      le64_to_cpu(item->sum), &buf)) {
		image_damage(img, place, "table of snapshots");
		return;
	}
	t = buf.data;
	image_found(img, place, "snapshots");
	for (i = 0; i < le32_to_cpu(t->count); i++) {
		snapprot_snap_decode(&snap, &t->snap[i]);
		if (!snapprot_snap_ok(&t->snap[i]) || snap.epoch > img->epoch ||
		    !image_snap_add(img, &snap))
			image_damage(img, place,
				     "snapshot with an impossible record");
	}
	image_put(img, &buf);
}

/* Nothing depends on these. */
static void read_counts(struct image *img,
			const struct snapprot_disk_snaps_item *item)
{
	u64 place = le64_to_cpu(item->place);
	struct snapprot_buf buf;

	if (!snapprot_place_ok(img->blocks, place) ||
	    image_get(img, place, SNAPPROT_MAGIC_COUNTS,
		      le64_to_cpu(item->sum), &buf)) {
		image_damage(img, place, "counts of a run");
		return;
	}
	image_found(img, place, "counts");
	image_put(img, &buf);
}

static int read_item(struct image *img, u64 place,
		     const struct snapprot_disk_item *item)
{
	u32 type = le16_to_cpu(item->type), size = le16_to_cpu(item->size);
	static const u32 sizes[] = {
		[SNAPPROT_ITEM_RUN] = sizeof(struct snapprot_disk_run),
		[SNAPPROT_ITEM_SNAPS] = sizeof(struct snapprot_disk_snaps_item),
		[SNAPPROT_ITEM_MERGE] = sizeof(struct snapprot_disk_merge),
	};

	if (type < ARRAY_SIZE(sizes) && sizes[type] && size != sizes[type]) {
		image_damage(img, place, "directory with an impossible item");
		img->dir_ok = false;
		return 0;
	}
	switch (type) {
	case SNAPPROT_ITEM_RUN:
		return add_run(img, (const void *)item);
	case SNAPPROT_ITEM_SNAPS:
		read_table(img, (const void *)item);
		return 0;
	case SNAPPROT_ITEM_MERGE:
		if (!add_merge(img, (const void *)item)) {
			image_damage(img, place,
				     "directory with an impossible item");
			img->dir_ok = false;
		}
		return 0;
	case SNAPPROT_ITEM_COUNTS:
		if (size == sizes[SNAPPROT_ITEM_SNAPS])
			read_counts(img, (const void *)item);
		return 0;
	}
	return type < SNAPPROT_ITEM_REFUSE_END ? -EPROTONOSUPPORT : 0;
}

static int read_items(struct image *img, u64 place,
		      const struct snapprot_disk_dir *d)
{
	u32 at = 0, used = le32_to_cpu(d->used);
	int err = 0;

	/* The block has been verified: the sizes of its items are right. */
	while (!err && at < used) {
		const struct snapprot_disk_item *item =
			(const void *)(d->items + at);

		err = read_item(img, place, item);
		at += le16_to_cpu(item->size);
	}
	return err;
}

static int open_dir(struct image *img)
{
	u64 place = le64_to_cpu(img->super->dir);
	u64 sum = le64_to_cpu(img->super->dir_sum);
	u32 left = le32_to_cpu(img->super->nr_dirs);
	const struct snapprot_disk_dir *d;
	struct snapprot_buf buf;
	int err = 0;

	img->dir_ok = true;
	for (; place && !err; left--) {
		if (!left || !snapprot_place_ok(img->blocks, place) ||
		    image_get(img, place, SNAPPROT_MAGIC_DIR, sum, &buf)) {
			image_damage(img, place, "directory");
			img->dir_ok = false;
			return img->err;
		}
		d = buf.data;
		image_found(img, place, "directory");
		err = read_items(img, place, d);
		place = le64_to_cpu(d->next);
		sum = le64_to_cpu(d->next_sum);
		image_put(img, &buf);
	}
	if (!err && left) {
		image_damage(img, le64_to_cpu(img->super->dir),
			     "directory is shorter than the superblock says");
		img->dir_ok = false;
	}
	return err;
}

static void count_snaps(struct image *img)
{
	u32 expected = le32_to_cpu(img->super->nr_snaps);

	if (img->nr_snaps < expected) {
		img->nr_unknown = expected - img->nr_snaps;
		image_damage(img, le64_to_cpu(img->super->dir),
			     "snapshots are missing from the tables");
	} else if (img->nr_snaps > expected) {
		image_damage(img, le64_to_cpu(img->super->dir),
			     "more snapshots than the superblock counts");
	}
}

/* ---- all of it ------------------------------------------------------------------ */

int image_open(struct image *img, struct store_env *se,
	       const struct image_ops *ops, void *ctx)
{
	struct snapprot_env *env = &se->env;
	int err;

	*img = (struct image){ .se = se, .ops = ops, .ctx = ctx };
	img->loud = true;
	img->snaps = env->ops->alloc(env, SNAPPROT_MAX_SNAPSHOTS *
					  sizeof(*img->snaps));
	if (!img->snaps)
		return -ENOMEM;
	err = open_super(img);
	if (!err)
		err = open_dir(img);
	if (!err) {
		count_snaps(img);
		err = image_open_space(img);
	}
	if (!err)
		err = image_open_index(img);
	if (!err)
		err = image_open_log(img);
	img->loud = false;
	return err ? err : img->err;
}

void image_close(struct image *img)
{
	struct snapprot_env *env = &img->se->env;

	snapprot_table_exit(&img->fill, env);
	snapprot_table_exit(&img->drain, env);
	env->ops->free(env, img->super);
	env->ops->free(env, img->snaps);
	free(img->runs);
	free(img->steps);
}

int image_read_data(struct image *img, const struct snapprot_entry *e,
		    void *data)
{
	struct snapprot_env *env = &img->se->env;
	int err;

	if (snapprot_entry_kind(e) == SNAPPROT_KIND_ZERO) {
		memset(data, 0, SNAPPROT_BLOCK_SIZE);
		return 0;
	}
	err = env->ops->read(env, snapprot_entry_place(e), 1, data);
	if (err)
		return err;
	return (u32)xxh64(data, SNAPPROT_BLOCK_SIZE, img->data_seed) == e->sum ?
	       0 : -EBADMSG;
}

const char *image_refusal(const struct image *img, int err)
{
	switch (err) {
	case -ENODEV:
		return "is not a store";
	case -EPROTONOSUPPORT:
		return img->version_1 ?
		       "is a store of a version before the first release" :
		       "is a store of a version unknown here";
	}
	return NULL;
}
