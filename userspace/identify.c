// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a device is: a store, a label, or something that was one.
 */
#include "identify.h"

/* Where both a superblock and a label have their ident and their header. */
_Static_assert(offsetof(struct snapprot_disk_super, ident) ==
	       offsetof(struct snapprot_disk_label, ident), "ident");

/* One of magic and ident is enough to make a block suspicious. */
static bool looks_like(const void *block, u32 magic)
{
	const struct snapprot_disk_super *s = block;
	static const char ident[sizeof(s->ident)] = SNAPPROT_SUPER_IDENT;

	if (le32_to_cpu(s->h.magic) == magic)
		return true;
	return !memcmp(s->ident, ident, sizeof(ident)) &&
	       (magic == SNAPPROT_MAGIC_SUPER) !=
	       (le32_to_cpu(s->h.magic) == SNAPPROT_MAGIC_LABEL);
}

static enum trace trace_of(bool seen, int err)
{
	if (!err)
		return TRACE_VALID;
	if (err == -EPROTONOSUPPORT)
		return TRACE_NEWER;
	return seen ? TRACE_DAMAGED : TRACE_NONE;
}

static int read_block(const struct device *dev, u64 offset, void *data)
{
	memset(data, 0, SNAPPROT_BLOCK_SIZE);
	if (offset + SNAPPROT_BLOCK_SIZE > dev->sectors << 9)
		return 0;
	return device_read(dev, offset, data, SNAPPROT_BLOCK_SIZE);
}

/* The newest copy of a version that is not ours is told by its seq alone. */
static const void *newer_copy(const struct snapprot_disk_header *a, int err_a,
			      const struct snapprot_disk_header *b, int err_b)
{
	bool use_a = err_a == -EPROTONOSUPPORT;
	bool use_b = err_b == -EPROTONOSUPPORT;

	if (use_a && use_b)
		return le64_to_cpu(b->seq) > le64_to_cpu(a->seq) ? b : a;
	return use_b ? b : a;
}

static int identify_store(const struct device *dev, struct identity *id)
{
	struct snapprot_disk_super copy[2];
	const struct snapprot_disk_super *best;
	struct snapprot_disk_bitmap bitmap;
	bool seen = false;
	int i, err;

	err = read_block(dev, SNAPPROT_SUPER_BLOCK_0, &copy[0]);
	if (!err)
		err = read_block(dev, (u64)SNAPPROT_SUPER_BLOCK_1 <<
				 SNAPPROT_BLOCK_SHIFT, &copy[1]);
	if (!err)
		err = read_block(dev, SNAPPROT_BLOCK_SIZE, &bitmap);
	if (err)
		return err;

	for (i = 0; i < 2; i++) {
		if (!looks_like(&copy[i], SNAPPROT_MAGIC_SUPER))
			continue;
		seen = true;
		if (le32_to_cpu(copy[i].flags) & SNAPPROT_SUPER_PROTECTED)
			id->store_protected = true;
	}
	/* The first bitmap is what is left when both superblocks are gone. */
	if (!snapprot_block_verify(&bitmap, SNAPPROT_MAGIC_BITMAP,
				   SNAPPROT_BITMAP_OFFSET))
		seen = true;

	best = snapprot_super_choose(&copy[0], &copy[1], &err);
	id->store = trace_of(seen, err);
	if (id->store == TRACE_NEWER)
		best = newer_copy(&copy[0].h,
				  snapprot_super_verify(&copy[0],
							SNAPPROT_SUPER_BLOCK_0),
				  &copy[1].h,
				  snapprot_super_verify(&copy[1],
							SNAPPROT_SUPER_BLOCK_1));
	if (best)
		id->super = *best;
	return 0;
}

u64 label_offset(const struct device *dev, enum label_place place)
{
	return place == LABEL_ON_ORIGIN ?
	       snapprot_label_start(dev->sectors) << 9 : 0;
}

bool label_fits(const struct device *dev, enum label_place place)
{
	if (place == LABEL_ON_ORIGIN)
		return snapprot_label_start(dev->sectors) != 0;
	return device_blocks(dev) >= SNAPPROT_LABEL_COPIES;
}

static int identify_label(const struct device *dev, enum label_place place,
			  struct identity *id)
{
	struct snapprot_disk_label copy[SNAPPROT_LABEL_COPIES];
	const struct snapprot_disk_label *best;
	u64 offset = label_offset(dev, place);
	bool seen = false;
	u32 i;
	int err;

	if (!label_fits(dev, place))
		return 0;
	for (i = 0; i < SNAPPROT_LABEL_COPIES; i++) {
		err = read_block(dev, offset + i * SNAPPROT_BLOCK_SIZE,
				 &copy[i]);
		if (err)
			return err;
		if (!looks_like(&copy[i], SNAPPROT_MAGIC_LABEL))
			continue;
		seen = true;
		if (le32_to_cpu(copy[i].flags) & SNAPPROT_LABEL_PROTECTED)
			id->label_protected[place] = true;
	}
	best = snapprot_label_choose(&copy[0], &copy[1], &err);
	id->label[place] = trace_of(seen, err);
	if (id->label[place] == TRACE_NEWER)
		best = newer_copy(&copy[0].h, snapprot_label_verify(&copy[0], 0),
				  &copy[1].h, snapprot_label_verify(&copy[1], 1));
	if (best)
		id->label_at[place] = *best;
	return 0;
}

int identify(const struct device *dev, struct identity *id)
{
	int err;

	memset(id, 0, sizeof(*id));
	err = identify_store(dev, id);
	if (!err)
		err = identify_label(dev, LABEL_ON_DEVICE, id);
	if (!err)
		err = identify_label(dev, LABEL_ON_ORIGIN, id);
	return err;
}
