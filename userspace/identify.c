// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a device is: a store, a label, or something that was one.
 */
#include "identify.h"

/* Where both a superblock and a label have their ident and their header. */
_Static_assert(offsetof(struct snapprot_disk_super, ident) ==
	       offsetof(struct snapprot_disk_label, ident), "ident");

/* Of version 1, before the first release: where its other copies and flags were. */
#define V1_SUPER_BLOCK_1	64u
#define V1_LABEL_BLOCK_1	1u
#define V1_SUPER_FLAGS		76u
#define V1_LABEL_FLAGS		72u

/**
 * struct found - the copies that are looked at
 * @copy: what was read
 * @read: which of them could be
 * @nr_read: how many
 * @err: of the last one that could not be
 */
struct found {
	u8 copy[SNAPPROT_COPIES + 1][SNAPPROT_BLOCK_SIZE];
	const void *read[SNAPPROT_COPIES + 1];
	u32 nr_read;
	int err;
};

/* One of magic and ident is enough to make a block suspicious. */
static bool looks_like(const void *block, u32 magic)
{
	const struct snapprot_disk_super *s = block;
	static const char ident[sizeof(s->ident)] = SNAPPROT_SUPER_IDENT;

	if (!block)
		return false;
	if (le32_to_cpu(s->h.magic) == magic)
		return true;
	return !memcmp(s->ident, ident, sizeof(ident)) &&
	       (magic == SNAPPROT_MAGIC_SUPER) !=
	       (le32_to_cpu(s->h.magic) == SNAPPROT_MAGIC_LABEL);
}

static bool is_version_1(const void *block, u32 magic)
{
	const struct snapprot_disk_header *h = block;

	return block && le32_to_cpu(h->magic) == magic &&
	       snapprot_is_version_1(block);
}

/* A word of a block that no structure describes any more. */
static u32 old_word(const void *block, u32 offset)
{
	__le32 word;

	memcpy(&word, (const u8 *)block + offset, sizeof(word));
	return le32_to_cpu(word);
}

/* Read a copy; where the device is too small there are zeroes. */
static void read_copy(const struct device *dev, u64 offset, struct found *f,
		      u32 i)
{
	int err = 0;

	f->read[i] = NULL;
	memset(f->copy[i], 0, SNAPPROT_BLOCK_SIZE);
	if (offset + SNAPPROT_BLOCK_SIZE <= dev->sectors << 9)
		err = device_read(dev, offset, f->copy[i], SNAPPROT_BLOCK_SIZE);
	if (err) {
		f->err = err;
		return;
	}
	f->read[i] = f->copy[i];
	f->nr_read++;
}

static int copy_verify(const struct found *f, u32 magic, u32 i)
{
	return magic == SNAPPROT_MAGIC_SUPER ?
	       snapprot_super_verify(f->read[i], snapprot_super_place(i)) :
	       snapprot_label_verify(f->read[i], i);
}

/* The newest copy of a version that is not ours is told by its seq alone. */
static const void *newer_copy(const struct found *f, u32 magic)
{
	const struct snapprot_disk_header *h, *best = NULL;
	u32 i;

	for (i = 0; i < SNAPPROT_COPIES; i++) {
		h = f->read[i];
		if (!looks_like(h, magic) || is_version_1(h, magic))
			continue;
		if (copy_verify(f, magic, i) == -EPROTONOSUPPORT &&
		    (!best || le64_to_cpu(h->seq) > le64_to_cpu(best->seq)))
			best = h;
	}
	return best;
}

/* What @err of choosing among the copies means; @best is set to what is newer. */
static enum trace trace_of(const struct found *f, u32 magic, bool seen, int err,
			   const void **best)
{
	if (!err)
		return TRACE_VALID;
	if (is_version_1(f->read[0], magic))
		return TRACE_OLD;
	if (err == -EPROTONOSUPPORT) {
		*best = newer_copy(f, magic);
		return *best ? TRACE_NEWER : TRACE_OLD;
	}
	if (is_version_1(f->read[SNAPPROT_COPIES], magic))
		return TRACE_OLD;
	return seen ? TRACE_DAMAGED : TRACE_NONE;
}

static bool says_protected(const void *block, u32 magic)
{
	const struct snapprot_disk_super *s = block;
	const struct snapprot_disk_label *l = block;

	if (magic == SNAPPROT_MAGIC_SUPER)
		return (is_version_1(block, magic) ?
			old_word(block, V1_SUPER_FLAGS) :
			le32_to_cpu(s->flags)) & SNAPPROT_SUPER_PROTECTED;
	return (is_version_1(block, magic) ? old_word(block, V1_LABEL_FLAGS) :
		le32_to_cpu(l->flags)) & SNAPPROT_LABEL_PROTECTED;
}

/*
 * Is there any copy, sound or not, and does one of them say "protected"? A damaged one
 * is believed, as it may be the newest; a sound one that is older than @best is not.
 */
static bool look_over(const struct found *f, u32 magic, const void *best,
		      bool *protect)
{
	bool seen = false;
	u32 i;

	for (i = 0; i <= SNAPPROT_COPIES; i++) {
		/* The last one is where only version 1 had any. */
		if (i == SNAPPROT_COPIES ? !is_version_1(f->read[i], magic) :
					   !looks_like(f->read[i], magic))
			continue;
		seen = true;
		if (best && f->read[i] != best && i < SNAPPROT_COPIES &&
		    !copy_verify(f, magic, i))
			continue;
		if (says_protected(f->read[i], magic))
			*protect = true;
	}
	return seen;
}

static bool has_header(const struct device *dev, u64 place, u32 magic)
{
	struct snapprot_disk_super block;

	return (place + 1) * SNAPPROT_BLOCK_SIZE <= dev->sectors << 9 &&
	       !device_read(dev, place << SNAPPROT_BLOCK_SHIFT, &block,
			    sizeof(block)) &&
	       le32_to_cpu(block.h.magic) == magic && !block.h.zero &&
	       le64_to_cpu(block.h.block) == place;
}

/*
 * What is left when all superblocks are gone: the root of the space table has a place
 * of its own, and so has the first header of the log that a store has ever had.
 */
static bool has_remains(const struct device *dev)
{
	return has_header(dev, SNAPPROT_SPACE_OFFSET, SNAPPROT_MAGIC_SPACE) ||
	       has_header(dev, SNAPPROT_SPACE_OFFSET + 1,
			  SNAPPROT_MAGIC_SPACE) ||
	       has_header(dev, SNAPPROT_GROUP_FIXED, SNAPPROT_MAGIC_LOG);
}

static int identify_store(const struct device *dev, struct identity *id)
{
	static struct found f;
	const struct snapprot_disk_super *copy[SNAPPROT_COPIES];
	const void *best;
	bool seen;
	u32 i;
	int err;

	f.nr_read = 0;
	for (i = 0; i < SNAPPROT_COPIES; i++) {
		read_copy(dev, snapprot_super_place(i) << SNAPPROT_BLOCK_SHIFT,
			  &f, i);
		copy[i] = looks_like(f.read[i], SNAPPROT_MAGIC_SUPER) ?
			  f.read[i] : NULL;
	}
	if (!f.nr_read)
		return f.err;
	read_copy(dev, V1_SUPER_BLOCK_1 << SNAPPROT_BLOCK_SHIFT, &f, i);
	best = snapprot_super_choose(copy, &err);
	seen = look_over(&f, SNAPPROT_MAGIC_SUPER, best,
			 &id->store_protected) || has_remains(dev);
	id->store = trace_of(&f, SNAPPROT_MAGIC_SUPER, seen, err, &best);
	if (best && id->store >= TRACE_NEWER)
		memcpy(&id->super, best, sizeof(id->super));
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
	return dev->sectors << 9 >= SNAPPROT_LABEL_AREA;
}

bool label_is_here(const struct identity *id, enum label_place place)
{
	return id->label[place] >= TRACE_NEWER &&
	       (id->label[place] == TRACE_NEWER ||
		le64_to_cpu(id->label_at[place].area_start) ==
		id->label_offset[place] >> 9);
}

static int identify_label(const struct device *dev, enum label_place place,
			  u64 offset, struct identity *id)
{
	static struct found f;
	const struct snapprot_disk_label *copy[SNAPPROT_COPIES];
	const void *best;
	bool seen;
	u32 i;
	int err;

	f.nr_read = 0;
	for (i = 0; i < SNAPPROT_COPIES; i++) {
		read_copy(dev, offset + ((u64)snapprot_label_place(i) <<
					 SNAPPROT_BLOCK_SHIFT), &f, i);
		copy[i] = looks_like(f.read[i], SNAPPROT_MAGIC_LABEL) ?
			  f.read[i] : NULL;
	}
	/* Each is read by itself: one that cannot be leaves the others. */
	if (!f.nr_read)
		return f.err;
	read_copy(dev, offset + (V1_LABEL_BLOCK_1 << SNAPPROT_BLOCK_SHIFT), &f,
		  i);
	best = snapprot_label_choose(copy, &err);
	seen = look_over(&f, SNAPPROT_MAGIC_LABEL, best,
			 &id->label_protected[place]);
	id->label[place] = trace_of(&f, SNAPPROT_MAGIC_LABEL, seen, err, &best);
	id->label_offset[place] = offset;
	if (best && id->label[place] >= TRACE_NEWER)
		memcpy(&id->label_at[place], best, sizeof(id->label_at[place]));
	return 0;
}

int identify_label_at(const struct device *dev, u64 sector, struct identity *id)
{
	if (!sector || sector % SNAPPROT_SECTORS_PER_BLOCK ||
	    sector >= dev->sectors)
		return 0;
	return identify_label(dev, LABEL_ON_ORIGIN, sector << 9, id);
}

int identify(const struct device *dev, struct identity *id)
{
	int err;

	memset(id, 0, sizeof(*id));
	err = identify_store(dev, id);
	/* Version 1 took less for one on a device of its own. */
	if (!err && dev->sectors)
		err = identify_label(dev, LABEL_ON_DEVICE, 0, id);
	if (!err && label_fits(dev, LABEL_ON_ORIGIN))
		err = identify_label(dev, LABEL_ON_ORIGIN,
				     label_offset(dev, LABEL_ON_ORIGIN), id);
	return err;
}
