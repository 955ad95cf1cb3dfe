// SPDX-License-Identifier: GPL-2.0-only
/*
 * The bitmaps of a store that is not trusted. What is damaged here costs no
 * snapshot: a repair does not need them, but to believe a leaf that no pointer
 * leads to.
 */
#include "image-internal.h"

static void note_bitmap(struct image *img, void *ctx, u64 block,
			const struct snapprot_disk_dir_entry *e)
{
	struct image_bitmap *bitmaps;
	bool *no_memory = ctx;
	u64 max;

	(void)block;
	if (!e || le32_to_cpu(e->type) != SNAPPROT_DIR_BITMAP)
		return;
	if (img->nr_bitmaps == img->max_bitmaps) {
		max = img->max_bitmaps ? 2 * img->max_bitmaps : 64;
		bitmaps = realloc(img->bitmaps, max * sizeof(*bitmaps));
		if (!bitmaps) {
			*no_memory = true;
			return;
		}
		img->bitmaps = bitmaps;
		img->max_bitmaps = max;
	}
	img->bitmaps[img->nr_bitmaps++] = (struct image_bitmap){
		.group = le64_to_cpu(e->index),
		.place = le64_to_cpu(e->place),
		.crc = le32_to_cpu(e->crc),
	};
}

static int compare_bitmaps(const void *a, const void *b)
{
	const struct image_bitmap *x = a, *y = b;

	return x->group < y->group ? -1 : x->group > y->group;
}

/* The image if the checkpoint has one, else the home, which is as new then. */
static u64 bitmap_place(const struct image *img, u64 group, u32 *crc)
{
	const struct image_bitmap key = { .group = group };
	const struct image_bitmap *b = NULL;

	if (img->nr_bitmaps)
		b = bsearch(&key, img->bitmaps, img->nr_bitmaps, sizeof(key),
			    compare_bitmaps);
	*crc = b ? b->crc : 0;
	return b ? b->place : snapprot_group_home(group);
}

int image_read_bitmap(struct image *img, u64 group,
		      struct snapprot_disk_bitmap *bitmap)
{
	struct snapprot_env *env = &img->se->env;
	u64 home = snapprot_group_home(group);
	u64 place;
	u32 crc;

	if (!img->dir_ok || group >= le64_to_cpu(img->super->nr_groups))
		return -EBADMSG;
	place = bitmap_place(img, group, &crc);
	if (place >= img->blocks || env->ops->read(env, place, 1, bitmap) ||
	    snapprot_block_verify(bitmap, SNAPPROT_MAGIC_BITMAP, home) ||
	    !image_ours(img, &bitmap->h))
		return -EBADMSG;
	if (place != home && le32_to_cpu(bitmap->h.crc) != crc)
		return -EBADMSG;
	return 0;
}

int image_open_space(struct image *img)
{
	struct snapprot_disk_bitmap *bitmap;
	bool no_memory = false;
	u64 group, place;
	u32 crc;

	img->dir_ok = !image_dir_walk(img, note_bitmap, &no_memory);
	if (no_memory)
		return -ENOMEM;
	/* Which bitmaps count is not known then. */
	if (!img->dir_ok)
		return 0;
	if (img->nr_bitmaps)
		qsort(img->bitmaps, img->nr_bitmaps, sizeof(*img->bitmaps),
		      compare_bitmaps);
	bitmap = malloc(sizeof(*bitmap));
	if (!bitmap)
		return -ENOMEM;
	for (group = 0; group < le64_to_cpu(img->super->nr_groups); group++) {
		place = bitmap_place(img, group, &crc);
		if (image_read_bitmap(img, group, bitmap))
			image_damage(img, place, "bitmap");
		else
			image_found(img, place, "bitmap");
	}
	free(bitmap);
	return 0;
}
