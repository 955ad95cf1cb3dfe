// SPDX-License-Identifier: GPL-2.0-only
/*
 * The log of a store that is not trusted.
 *
 * A step is taken if its header is right, whether or not its old data is: who asks
 * for that finds out. So there may be steps here that the core drops, of the last
 * group before a crash.
 */
#include "image-internal.h"

#define SEARCH_BLOCKS	64u

static bool apply_batch(struct image *img, const struct snapprot_disk_log *l)
{
	u32 i, count = le16_to_cpu(l->count);
	struct snapprot_entry e;

	if (le32_to_cpu(l->epoch) != img->epoch ||
	    img->nr_entries + count > SNAPPROT_LOG_MAX_ENTRIES)
		return false;
	for (i = 0; i < count; i++) {
		snapprot_entry_decode(&e, &l->entry[i]);
		if (!image_entry_ok(img, &e) || e.epoch != img->epoch)
			return false;
	}
	for (i = 0; i < count; i++) {
		snapprot_entry_decode(&e, &l->entry[i]);
		if (!snapprot_table_add(&img->fill, &e, true))
			return false;
	}
	img->nr_entries += count;
	return true;
}

static bool apply_record(struct image *img, const struct snapprot_disk_log *l)
{
	u32 epoch = le32_to_cpu(l->epoch);
	struct snapprot_snap snap;

	if (!snapprot_snap_ok(&l->snap))
		return false;
	snapprot_snap_decode(&snap, &l->snap);
	if (le16_to_cpu(l->type) == SNAPPROT_LOG_CREATE) {
		if (snap.epoch != epoch || epoch <= img->epoch ||
		    !image_snap_add(img, &snap))
			return false;
		img->epoch = epoch;
		return true;
	}
	if (epoch != img->epoch)
		return false;
	return le16_to_cpu(l->type) == SNAPPROT_LOG_SET ?
	       image_snap_set(img, &snap) : image_snap_remove(img, &snap);
}

static bool apply(struct image *img, const struct snapprot_disk_log *l)
{
	if (!snapprot_place_ok(img->blocks, le64_to_cpu(l->next)) ||
	    le64_to_cpu(l->durable_seq) >= img->log_seq)
		return false;
	switch (le16_to_cpu(l->type)) {
	case SNAPPROT_LOG_BATCH:
		return apply_batch(img, l);
	case SNAPPROT_LOG_CREATE:
	case SNAPPROT_LOG_DELETE:
	case SNAPPROT_LOG_SET:
		return apply_record(img, l);
	}
	return le32_to_cpu(l->epoch) == img->epoch;
}

static void note_step(struct image *img, const struct snapprot_disk_log *l)
{
	struct image_step *s = &img->steps[img->nr_steps++];
	u32 type = le16_to_cpu(l->type);
	u32 i;

	*s = (struct image_step){
		.place = img->log_block,
		.seq = img->log_seq,
		.type = type,
		.count = le16_to_cpu(l->count),
		.epoch = le32_to_cpu(l->epoch),
	};
	if (type == SNAPPROT_LOG_CREATE || type == SNAPPROT_LOG_DELETE ||
	    type == SNAPPROT_LOG_SET)
		s->snap = le32_to_cpu(l->snap.id);
	for (i = 0; i < 2; i++) {
		img->zone[i].start = le64_to_cpu(l->zone[i].start);
		img->zone[i].end = le64_to_cpu(l->zone[i].end);
	}
}

/* ---- headers ------------------------------------------------------------- */

/* As the core has it: of an older generation at a number that this one began anew? */
static bool is_stale(const struct image *img, const struct snapprot_disk_log *l)
{
	const struct snapprot_disk_super *s = img->super;

	if (le64_to_cpu(l->h.seq) >= le64_to_cpu(s->generation_seq))
		return l->generation != s->generation;
	return le64_to_cpu(l->generation) >= le64_to_cpu(s->generation);
}

static bool is_ours(const struct image *img, const struct snapprot_disk_log *l,
		    u64 place)
{
	return snapprot_log_is_ours(&img->se->env.key, l, place);
}

/*
 * Something that is the next header, but for damage? It has the sum of the header
 * before, which nobody can know who has not read it; or it would be right with that.
 * A step that was never finished looks the same.
 */
static bool is_doubtful(struct image *img, struct snapprot_disk_log *l,
			u64 prev_sum)
{
	__le64 was = l->prev_sum;
	bool ours;

	/* Before the first header of a store there is none. */
	if (!prev_sum)
		return (le32_to_cpu(l->h.magic) == SNAPPROT_MAGIC_LOG) +
		       (le64_to_cpu(l->h.block) == img->log_block) +
		       (le64_to_cpu(l->h.seq) == img->log_seq) +
		       !memcmp(l->h.uuid, img->super->h.uuid,
			       sizeof(l->h.uuid)) > 1;
	if (le64_to_cpu(was) == prev_sum)
		return !is_ours(img, l, img->log_block) || !is_stale(img, l);
	l->prev_sum = cpu_to_le64(prev_sum);
	ours = is_ours(img, l, img->log_block) &&
	       le64_to_cpu(l->h.seq) == img->log_seq && !is_stale(img, l);
	l->prev_sum = was;
	return ours;
}

/* 1: a step was read, 0: the end, or a negative errno at a damaged end. */
static int read_step(struct image *img, struct snapprot_disk_log *l,
		     u64 *prev_sum, bool sealed)
{
	struct snapprot_env *env = &img->se->env;
	int err;

	err = env->ops->read(env, img->log_block, 1, l);
	if (err && sealed)
		return 0;
	if (err) {
		image_damage(img, img->log_block,
			     "log cannot be read on from here");
		return -EIO;
	}
	if (!is_ours(img, l, img->log_block) ||
	    le64_to_cpu(l->h.seq) != img->log_seq ||
	    le64_to_cpu(l->prev_sum) != *prev_sum || is_stale(img, l)) {
		if (!is_doubtful(img, l, *prev_sum))
			return 0;
		image_doubt(img, img->log_block,
			    "step of the log that is damaged or was never finished");
		return -EBADMSG;
	}
	if (le16_to_cpu(l->type) > SNAPPROT_LOG_SEAL &&
	    !(le16_to_cpu(l->type) & SNAPPROT_LOG_IGNORABLE))
		return -EPROTONOSUPPORT;
	if (snapprot_block_verify(&env->key, l, SNAPPROT_MAGIC_LOG,
				  img->log_block, 0) ||
	    memcmp(l->h.uuid, img->super->h.uuid, sizeof(l->h.uuid)) ||
	    !apply(img, l)) {
		image_damage(img, img->log_block,
			     "step of the log that breaks its rules");
		return -EBADMSG;
	}
	image_found(img, img->log_block, "log");
	note_step(img, l);
	*prev_sum = le64_to_cpu(l->h.sum);
	img->log_block = le64_to_cpu(l->next);
	img->log_seq++;
	return 1;
}

int image_open_log(struct image *img)
{
	const struct snapprot_disk_super *s = img->super;
	u64 prev_sum = le64_to_cpu(s->log_prev_sum);
	struct snapprot_disk_log *l;
	bool sealed = true;
	u32 i;
	int step;

	img->steps = calloc(SNAPPROT_LOG_MAX_HEADERS, sizeof(*img->steps));
	l = img->se->env.ops->alloc(&img->se->env, sizeof(*l));
	img->log_block = le64_to_cpu(s->log_block);
	img->log_seq = le64_to_cpu(s->log_seq);
	for (i = 0; i < 2; i++) {
		img->zone[i].start = le64_to_cpu(s->zone[i].start);
		img->zone[i].end = le64_to_cpu(s->zone[i].end);
	}
	step = img->steps && l ? 1 : -ENOMEM;
	while (step > 0 && img->nr_steps < SNAPPROT_LOG_MAX_HEADERS) {
		step = read_step(img, l, &prev_sum, sealed);
		sealed = le16_to_cpu(l->type) == SNAPPROT_LOG_SEAL;
	}
	img->se->env.ops->free(&img->se->env, l);
	if (step == -ENOMEM || step == -EPROTONOSUPPORT)
		return step;
	if (step > 0)
		image_damage(img, img->log_block, "log without an end");
	img->log_ok = !step;
	if (img->log_seq <= le64_to_cpu(s->fence_seq) ||
	    img->epoch < le32_to_cpu(s->lost_epoch)) {
		image_damage(img, img->log_block,
			     "log that ends before a step that had counted");
		img->log_ok = false;
	}
	return 0;
}

/* ---- behind the end --------------------------------------------------------- */

/* A word that the step that is missing had counted? */
static bool is_evidence(const struct image *img,
			const struct snapprot_disk_log *l, u64 place)
{
	return le32_to_cpu(l->h.magic) == SNAPPROT_MAGIC_LOG &&
	       le64_to_cpu(l->h.seq) > img->log_seq &&
	       le64_to_cpu(l->durable_seq) >= img->log_seq &&
	       is_ours(img, l, place);
}

/* What cannot be read is no evidence, for the core neither. */
static bool search_piece(struct image *img, u64 place, u32 count, char *data)
{
	struct snapprot_env *env = &img->se->env;
	bool whole = !env->ops->read(env, place, count, data);
	u32 i;

	for (i = 0; i < count; i++) {
		char *at = data + (size_t)i * SNAPPROT_BLOCK_SIZE;

		if (!whole && env->ops->read(env, place + i, 1, at))
			continue;
		if (!is_evidence(img, (const void *)at, place + i))
			continue;
		image_damage(img, place + i,
			     "step of the log behind the log's end");
		return true;
	}
	return false;
}

int image_search(struct image *img)
{
	struct snapprot_env *env = &img->se->env;
	u64 place, end, last = device_blocks(img->se->dev);
	bool found = false;
	u32 i, count;
	char *data;

	data = env->ops->alloc(env, SEARCH_BLOCKS * SNAPPROT_BLOCK_SIZE);
	if (!data)
		return -ENOMEM;
	for (i = 0; i < 2 && !found; i++) {
		end = snapprot_min(img->zone[i].end, last);
		for (place = img->zone[i].start; place < end && !found;
		     place += count) {
			count = (u32)snapprot_min(end - place, SEARCH_BLOCKS);
			found = search_piece(img, place, count, data);
		}
	}
	if (found)
		img->log_ok = false;
	env->ops->free(env, data);
	return 0;
}
