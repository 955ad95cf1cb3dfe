// SPDX-License-Identifier: GPL-2.0-only
/*
 * A store read without trusting it: superblocks, directory, snapshots, log.
 * The index is in image-index.c.
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
	if (img->ops->block)
		img->ops->block(img->ctx, block, what);
}

bool image_ours(const struct image *img, const struct snapprot_disk_header *h)
{
	return !memcmp(h->uuid, img->super->h.uuid, sizeof(h->uuid));
}

int image_get(struct image *img, u64 block, u32 magic,
	      struct snapprot_buf *buf)
{
	struct snapprot_env *env = &img->se->env;
	int err;

	if (!snapprot_place_ok(img->blocks, block))
		return -EBADMSG;
	err = env->ops->get(env, block, magic, buf);
	if (!err && !image_ours(img, buf->data)) {
		env->ops->put(env, buf);
		err = -EBADMSG;
	}
	return err;
}

void image_put(struct image *img, struct snapprot_buf *buf)
{
	img->se->env.ops->put(&img->se->env, buf);
}

/* ---- superblocks ---------------------------------------------------------- */

static const u64 super_places[2] = {
	SNAPPROT_SUPER_BLOCK_0, SNAPPROT_SUPER_BLOCK_1
};

static const char * const super_names[2] = {
	"superblock copy 0", "superblock copy 1"
};

static int read_supers(struct image *img, struct snapprot_disk_super *copy)
{
	struct snapprot_env *env = &img->se->env;
	const struct snapprot_disk_super *best;
	int i, err, unread = 0;

	for (i = 0; i < 2; i++) {
		if (env->ops->read(env, super_places[i], 1, &copy[i]))
			unread |= 1 << i;
		else if (!snapprot_super_verify(&copy[i], super_places[i]))
			img->super_ok[i] = true;
	}
	if (unread == 3)
		return -EIO;
	best = snapprot_super_choose(unread & 1 ? NULL : &copy[0],
				     unread & 2 ? NULL : &copy[1], &err);
	if (!best)
		return err;
	*img->super = *best;
	return 0;
}

static int open_super(struct image *img)
{
	struct snapprot_env *env = &img->se->env;
	struct snapprot_disk_super *copy;
	int i, err;

	img->super = env->ops->alloc(env, sizeof(*img->super));
	copy = env->ops->alloc(env, 2 * sizeof(*copy));
	err = img->super && copy ? read_supers(img, copy) : -ENOMEM;
	env->ops->free(env, copy);
	if (err)
		return err;

	for (i = 0; i < 2; i++) {
		image_found(img, super_places[i], "superblock");
		if (!img->super_ok[i])
			image_damage(img, super_places[i], super_names[i]);
	}
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

/* ---- directory ------------------------------------------------------------- */

int image_dir_walk(struct image *img, image_dir_fn fn, void *ctx)
{
	u64 block = le64_to_cpu(img->super->dir);
	/* More than there can be groups and tables means a loop. */
	u64 left = snapprot_group_count(img->blocks) + SNAPPROT_MAX_SNAPSHOTS;
	const struct snapprot_disk_dir *d;
	struct snapprot_buf buf;
	u32 i;

	while (block) {
		if (!left-- || image_get(img, block, SNAPPROT_MAGIC_DIR, &buf))
			return -EBADMSG;
		d = buf.data;
		for (i = 0; i < le32_to_cpu(d->count); i++)
			fn(img, ctx, block, &d->entry[i]);
		fn(img, ctx, block, NULL);
		block = le64_to_cpu(d->next);
		image_put(img, &buf);
	}
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

/* Oldest first, by epoch; a second one of an id or an epoch is none. */
static bool add_snap(struct image *img, const struct snapprot_snap *snap)
{
	u32 i = img->nr_snaps;

	if (i >= SNAPPROT_MAX_SNAPSHOTS || find_snap(img, snap->id))
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

static void remove_snap(struct image *img, u32 id)
{
	struct snapprot_snap *snap = find_snap(img, id);

	if (!snap)
		return;
	img->nr_snaps--;
	memmove(snap, snap + 1,
		(img->nr_snaps - (u32)(snap - img->snaps)) * sizeof(*snap));
}

static void read_table(struct image *img, u64 place, u32 crc)
{
	const struct snapprot_disk_snaps *t;
	struct snapprot_snap snap;
	struct snapprot_buf buf;
	u32 i;

	if (image_get(img, place, SNAPPROT_MAGIC_SNAPS, &buf)) {
		image_damage(img, place, "table of snapshots");
		return;
	}
	t = buf.data;
	if (le32_to_cpu(t->h.crc) != crc) {
		image_damage(img, place,
			     "table of snapshots is not the directory's");
		image_put(img, &buf);
		return;
	}
	image_found(img, place, "snapshots");
	for (i = 0; i < le32_to_cpu(t->count); i++) {
		snapprot_snap_decode(&snap, &t->snap[i]);
		if (snap.epoch > img->epoch || !add_snap(img, &snap))
			image_damage(img, place,
				     "snapshot with an impossible record");
	}
	image_put(img, &buf);
}

static void read_dir_entry(struct image *img, void *ctx, u64 block,
			   const struct snapprot_disk_dir_entry *e)
{
	(void)ctx;
	if (!e)
		image_found(img, block, "directory");
	else if (le32_to_cpu(e->type) == SNAPPROT_DIR_SNAPS)
		read_table(img, le64_to_cpu(e->place), le32_to_cpu(e->crc));
}

static int open_snaps(struct image *img)
{
	struct snapprot_env *env = &img->se->env;
	u32 expected = le32_to_cpu(img->super->nr_snaps);

	img->snaps = env->ops->alloc(env, SNAPPROT_MAX_SNAPSHOTS *
				     sizeof(*img->snaps));
	if (!img->snaps)
		return -ENOMEM;
	if (image_dir_walk(img, read_dir_entry, NULL))
		image_damage(img, le64_to_cpu(img->super->dir), "directory");
	if (img->nr_snaps < expected) {
		img->nr_unknown = expected - img->nr_snaps;
		image_damage(img, le64_to_cpu(img->super->dir),
			     "snapshots are missing from the tables");
	} else if (img->nr_snaps > expected) {
		image_damage(img, le64_to_cpu(img->super->dir),
			     "more snapshots than the superblock counts");
	}
	return 0;
}

/* ---- log --------------------------------------------------------------------- */

static bool entry_ok(const struct image *img, const struct snapprot_entry *e)
{
	return e->block < img->origin_blocks &&
	       snapprot_place_ok(img->blocks, e->place);
}

static bool log_step(struct image *img, const struct snapprot_disk_log *l)
{
	u32 i, count = le16_to_cpu(l->count);
	u32 epoch = le32_to_cpu(l->epoch);
	struct snapprot_entry e;
	struct snapprot_snap snap;

	if (!snapprot_place_ok(img->blocks, le64_to_cpu(l->next)))
		return false;
	switch (le16_to_cpu(l->type)) {
	case SNAPPROT_LOG_BATCH:
		if (epoch != img->epoch ||
		    img->nr_log + count > SNAPPROT_LOG_MAX_ENTRIES)
			return false;
		for (i = 0; i < count; i++) {
			snapprot_entry_decode(&e, &l->entry[i]);
			if (!entry_ok(img, &e) || e.epoch != epoch)
				return false;
			img->log[img->nr_log++] = e;
		}
		return true;
	case SNAPPROT_LOG_CREATE:
		snapprot_snap_decode(&snap, &l->snap);
		if (snap.epoch != epoch || epoch <= img->epoch ||
		    !add_snap(img, &snap))
			return false;
		img->epoch = epoch;
		return true;
	case SNAPPROT_LOG_DELETE:
		snapprot_snap_decode(&snap, &l->snap);
		/* Without the table one may have gone that is not known. */
		if (epoch != img->epoch ||
		    (!find_snap(img, snap.id) && !img->nr_unknown))
			return false;
		if (!find_snap(img, snap.id))
			img->nr_unknown--;
		remove_snap(img, snap.id);
		return true;
	}
	return false;
}

/*
 * What is at the log's end: anything of another kind or age is the normal end.
 * A block that in most of its words is the next header, but fails as a whole,
 * is a step that was never finished, or one that was and is damaged. These two
 * cannot be told apart, so what follows from it cannot be proved. An older
 * header at this place agrees in three of the five: kind, place and volume.
 */
static bool end_is_clean(struct image *img, const struct snapprot_disk_log *l,
			 u32 prev_crc)
{
	bool ours = image_ours(img, &l->h);
	bool next = le64_to_cpu(l->h.seq) == img->log_seq;
	bool chained = le32_to_cpu(l->prev_crc) == prev_crc;
	int agree = ours + next + chained;

	if (le32_to_cpu(l->h.magic) == SNAPPROT_MAGIC_LOG)
		agree++;
	if (le64_to_cpu(l->h.block) == img->log_block)
		agree++;
	return agree < 4 && !(ours && (next || chained));
}

/* 1: a step was read, 0: the end, or a negative errno at a damaged end. */
static int read_step(struct image *img, struct snapprot_disk_log *l,
		     u32 *prev_crc)
{
	struct snapprot_env *env = &img->se->env;

	if (env->ops->read(env, img->log_block, 1, l)) {
		image_damage(img, img->log_block,
			     "log cannot be read on from here");
		return -EIO;
	}
	if (snapprot_block_verify(l, SNAPPROT_MAGIC_LOG, img->log_block) ||
	    !image_ours(img, &l->h) ||
	    le64_to_cpu(l->h.seq) != img->log_seq ||
	    le32_to_cpu(l->prev_crc) != *prev_crc) {
		if (end_is_clean(img, l, *prev_crc))
			return 0;
		image_doubt(img, img->log_block,
			    "step of the log that is damaged or was never finished");
		return -EBADMSG;
	}
	if (!log_step(img, l)) {
		image_damage(img, img->log_block,
			     "step of the log that breaks its rules");
		return -EBADMSG;
	}
	image_found(img, img->log_block, "log");
	*prev_crc = le32_to_cpu(l->h.crc);
	img->log_block = le64_to_cpu(l->next);
	img->log_seq++;
	return 1;
}

static int compare_entries(const void *a, const void *b)
{
	const struct snapprot_entry *x = a, *y = b;

	return snapprot_key_cmp(x->block, x->epoch, y->block, y->epoch);
}

/* A key is preserved once; a second time means that the first did not count. */
static void sort_log(struct image *img)
{
	u32 i, kept = 0;

	qsort(img->log, img->nr_log, sizeof(*img->log), compare_entries);
	for (i = 0; i < img->nr_log; i++) {
		if (kept && !compare_entries(&img->log[kept - 1], &img->log[i]))
			image_damage(img, img->log[i].place,
				     "block that the log preserves twice");
		else
			img->log[kept++] = img->log[i];
	}
	img->nr_log = kept;
}

static int open_log(struct image *img)
{
	struct snapprot_env *env = &img->se->env;
	u32 prev_crc = le32_to_cpu(img->super->log_prev_crc);
	struct snapprot_disk_log *l;
	u32 left = SNAPPROT_LOG_MAX_HEADERS;
	int step;

	img->log = env->ops->alloc(env, SNAPPROT_LOG_MAX_ENTRIES *
				   sizeof(*img->log));
	l = env->ops->alloc(env, sizeof(*l));
	if (!img->log || !l) {
		env->ops->free(env, l);
		return -ENOMEM;
	}
	img->log_block = le64_to_cpu(img->super->log_block);
	img->log_seq = le64_to_cpu(img->super->log_seq);
	do {
		step = read_step(img, l, &prev_crc);
	} while (step > 0 && left--);
	if (step > 0)
		image_damage(img, img->log_block, "log without an end");
	img->log_ok = !step;
	env->ops->free(env, l);
	sort_log(img);
	return 0;
}

/* ---- all of it ------------------------------------------------------------------ */

int image_open(struct image *img, struct store_env *se,
	       const struct image_ops *ops, void *ctx)
{
	int err;

	*img = (struct image){ .se = se, .ops = ops, .ctx = ctx };
	img->ahead = se->env.ops->alloc(&se->env,
					IMAGE_AHEAD * SNAPPROT_BLOCK_SIZE);
	err = img->ahead ? open_super(img) : -ENOMEM;
	if (!err)
		err = open_snaps(img);
	if (!err)
		err = image_open_space(img);
	if (!err)
		err = image_open_index(img);
	if (!err)
		err = open_log(img);
	return err;
}

void image_close(struct image *img)
{
	struct snapprot_env *env = &img->se->env;

	env->ops->free(env, img->ahead);
	env->ops->free(env, img->super);
	env->ops->free(env, img->snaps);
	env->ops->free(env, img->log);
	free(img->bitmaps);
	free(img->leaves);
}

/* Old data was written in runs, and often is read in runs. */
static int read_place(struct image *img, u64 place, void *data)
{
	struct snapprot_env *env = &img->se->env;
	u64 left = device_blocks(img->se->dev) - place;
	u32 count = (u32)snapprot_min(left, IMAGE_AHEAD);
	bool run = place == img->last_place + 1;

	img->last_place = place;
	if (place >= img->ahead_place &&
	    place - img->ahead_place < img->ahead_count) {
		memcpy(data, img->ahead + ((place - img->ahead_place) <<
					   SNAPPROT_BLOCK_SHIFT),
		       SNAPPROT_BLOCK_SIZE);
		return 0;
	}
	img->ahead_count = 0;
	if (!run || env->ops->read(env, place, count, img->ahead))
		return env->ops->read(env, place, 1, data);
	img->ahead_place = place;
	img->ahead_count = count;
	memcpy(data, img->ahead, SNAPPROT_BLOCK_SIZE);
	return 0;
}

int image_read_data(struct image *img, const struct snapprot_entry *e,
		    void *data)
{
	int err;

	if (e->place >= device_blocks(img->se->dev))
		return -ENODATA;
	err = read_place(img, e->place, data);
	if (err)
		return err;
	return snapprot_data_sum(data) == e->sum ? 0 : -EBADMSG;
}
