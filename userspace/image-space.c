// SPDX-License-Identifier: GPL-2.0-only
/*
 * The bitmaps of a store that is not trusted. What is damaged here costs no
 * snapshot: a repair does not need them.
 */
#include "image-internal.h"

static void read_bitmap(struct image *img, u64 group, u32 slot, u64 sum)
{
	u64 place = snapprot_bitmap_place(group, slot);
	struct snapprot_buf buf;

	if (group >= snapprot_group_count(img->blocks) ||
	    image_get(img, place, SNAPPROT_MAGIC_BITMAP, sum, &buf)) {
		image_damage(img, place, "bitmap");
		return;
	}
	image_found(img, place, "bitmap");
	image_put(img, &buf);
}

static void read_node(struct image *img, u32 level, u64 index, u32 slot,
		      u64 sum)
{
	u64 place = snapprot_node_place(level, index, slot);
	const struct snapprot_disk_space *s;
	struct snapprot_buf buf;
	u32 i;

	if (snapprot_node_group(level, index) >=
	    snapprot_group_count(img->blocks) ||
	    image_get(img, place, SNAPPROT_MAGIC_SPACE, sum, &buf)) {
		image_damage(img, place, "node of the space table");
		return;
	}
	s = buf.data;
	if (le64_to_cpu(s->level) != level || le64_to_cpu(s->index) != index) {
		image_damage(img, place, "node of the space table");
		image_put(img, &buf);
		return;
	}
	image_found(img, place, "space");
	for (i = 0; i < SNAPPROT_SPACE_FANOUT && !img->err; i++) {
		u64 below = (index << SNAPPROT_SPACE_SHIFT) + i;
		u64 below_sum = le64_to_cpu(s->entry[i].sum);

		slot = le32_to_cpu(s->entry[i].slot);
		if (!(slot & SNAPPROT_SLOT_VALID))
			continue;
		if (level)
			read_node(img, level - 1, below, slot, below_sum);
		else
			read_bitmap(img, below, slot, below_sum);
	}
	image_put(img, &buf);
}

int image_open_space(struct image *img)
{
	u32 level = le32_to_cpu(img->super->space_level);
	u32 slot = le32_to_cpu(img->super->space_slot);

	/* Nothing but the log's blocks has ever been in use. */
	if (!(slot & SNAPPROT_SLOT_VALID))
		return 0;
	if (level < SNAPPROT_SPACE_LEVELS)
		read_node(img, level, 0, slot,
			  le64_to_cpu(img->super->space_sum));
	else
		image_damage(img, 0, "space table of an impossible height");
	return img->err;
}
