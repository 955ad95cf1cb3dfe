// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checksums and rules of single blocks: what can be said of a block by looking
 * at nothing else. Rules that need the rest of the store are kept by those who
 * follow the pointers.
 *
 * Whoever gets past a sum either knows the secret or is this code. So the rules
 * are not there against damage, but so that a reader may index by any count and
 * follow any place without a second thought, whoever wrote the block.
 */
#include "internal.h"

/* The sum covers everything behind itself. */
#define SUM_START	offsetof(struct snapprot_disk_header, block)

static u64 get_le64(const u8 *p)
{
	__le64 v;

	memcpy(&v, p, sizeof(v));
	return le64_to_cpu(v);
}

/**
 * snapprot_key_init() - the key of sums
 * @key: filled in
 * @secret: 16 bytes, as on disk
 */
void snapprot_key_init(siphash_key_t *key, const u8 *secret)
{
	key->key[0] = get_le64(secret);
	key->key[1] = get_le64(secret + 8);
}

/**
 * snapprot_block_sum() - sum of a block of metadata
 * @key: of the store, or of the label
 * @data: 4 KiB, complete
 * @magic: what it is
 * @place: where it belongs; for a label the number of the copy
 *
 * Magic and place are hashed apart from the bytes: a bitmap has no header that
 * would tell, and in no other block is it left to a rule.
 *
 * Return: the sum.
 */
u64 snapprot_block_sum(const siphash_key_t *key, const void *data, u32 magic,
		       u64 place)
{
	u32 from = magic == SNAPPROT_MAGIC_BITMAP ? 0 : SUM_START;
	u64 sum = siphash((const u8 *)data + from, SNAPPROT_BLOCK_SIZE - from,
			  key);

	return siphash_3u64(sum, magic, place, key);
}

/**
 * snapprot_block_init() - fill the header of a metadata block
 * @data: the block; what is behind the header stays as it is
 * @magic: SNAPPROT_MAGIC_*
 * @place: where it belongs
 * @seq: see struct snapprot_disk_header
 * @uuid: of the volume
 */
void snapprot_block_init(void *data, u32 magic, u64 place, u64 seq,
			 const u8 *uuid)
{
	struct snapprot_disk_header *h = data;

	h->magic = cpu_to_le32(magic);
	h->zero = 0;
	h->sum = 0;
	h->block = cpu_to_le64(place);
	h->seq = cpu_to_le64(seq);
	memcpy(h->uuid, uuid, sizeof(h->uuid));
}

/* ---- what the rules have in common -------------------------------------- */

/* Equal to the byte before, all along, and the first is zero. */
static bool all_zero(const void *data, size_t len)
{
	const u8 *p = data;

	return !len || (!p[0] && !memcmp(p, p + 1, len - 1));
}

/* Nothing from @offset to the end of the block? */
static bool rest_zero(const void *block, size_t offset)
{
	return all_zero((const u8 *)block + offset,
			SNAPPROT_BLOCK_SIZE - offset);
}

/* May anything that is allocated be here, if the store is large enough? */
static bool somewhere(u64 place)
{
	return place < SNAPPROT_MAX_BLOCKS && !snapprot_block_fixed(place);
}

/* A number that counts from 1 and only grows. */
static bool seq_ok(__le64 seq)
{
	return seq && le64_to_cpu(seq) < SNAPPROT_MAX_SEQ;
}

/* One that may not have begun to. */
static bool seq_or_none(__le64 seq)
{
	return le64_to_cpu(seq) < SNAPPROT_MAX_SEQ;
}

static bool sectors_ok(u64 sectors)
{
	return sectors < SNAPPROT_MAX_BLOCKS * SNAPPROT_SECTORS_PER_BLOCK;
}

/* Two zones, each within a store of @blocks. */
static bool zones_ok(const struct snapprot_disk_range *zone, u64 blocks)
{
	u32 i;

	for (i = 0; i < 2; i++) {
		u64 start = le64_to_cpu(zone[i].start);
		u64 end = le64_to_cpu(zone[i].end);

		/* A reader searches all that is free there. */
		if (start > end || end > blocks ||
		    end - start > SNAPPROT_ZONE_RANGE)
			return false;
	}
	return true;
}

/* Is key (@block, @epoch) one that may come after @last? Moves @last on. */
static bool key_follows(struct snapprot_key *last, bool first, __le64 block,
			__le32 epoch)
{
	struct snapprot_key key = { le64_to_cpu(block), le32_to_cpu(epoch) };

	/* There are no branches yet, which would be in the bits above. */
	if (key.block >= SNAPPROT_MAX_BLOCKS || !key.epoch)
		return false;
	if (!first && snapprot_key_cmp(last, &key) >= 0)
		return false;
	*last = key;
	return true;
}

/* How the old data is kept: a kind that is known, and nothing it has not. */
static bool where_ok(const struct snapprot_disk_entry *e)
{
	u64 where = le64_to_cpu(e->where);

	if (SNAPPROT_WHERE_ARG(where))
		return false;
	switch (SNAPPROT_WHERE_KIND(where)) {
	case SNAPPROT_KIND_DATA:
		return somewhere(SNAPPROT_WHERE_PLACE(where));
	case SNAPPROT_KIND_ZERO:
	case SNAPPROT_KIND_REMOVED:
		return !SNAPPROT_WHERE_PLACE(where) && !e->sum;
	case SNAPPROT_KIND_SET:
		return SNAPPROT_WHERE_PLACE(where) <= ~(u32)0 &&
		       (SNAPPROT_WHERE_PLACE(where) || e->sum) &&
		       !(le64_to_cpu(e->block) & 63);
	case SNAPPROT_KIND_RANGE:
		return SNAPPROT_WHERE_PLACE(where) && !e->sum &&
		       SNAPPROT_WHERE_PLACE(where) <=
		       SNAPPROT_MAX_BLOCKS - le64_to_cpu(e->block);
	}
	return false;
}

static bool snap_name_ok(const u8 *name)
{
	u32 len;

	if (!snapprot_name_ok((const char *)name))
		return false;
	len = strlen((const char *)name);
	return all_zero(name + len, SNAPPROT_NAME_SIZE - len);
}

bool snapprot_snap_ok(const struct snapprot_disk_snap *s)
{
	return s->id && s->epoch && !s->flags && !s->branch && s->sectors &&
	       sectors_ok(le64_to_cpu(s->sectors)) &&
	       snap_name_ok(s->name) &&
	       all_zero(s->reserved, sizeof(s->reserved));
}

/* ---- log ---------------------------------------------------------------- */

static bool batch_ok(const struct snapprot_disk_log *l)
{
	u32 count = le16_to_cpu(l->count);
	u32 i;

	if (!count || count > SNAPPROT_LOG_ENTRIES)
		return false;
	for (i = 0; i < count; i++) {
		const struct snapprot_disk_entry *e = &l->entry[i];

		/* The log adds entries, it does not take them back. */
		if (!where_ok(e) ||
		    SNAPPROT_WHERE_KIND(le64_to_cpu(e->where)) >
		    SNAPPROT_KIND_ZERO)
			return false;
		if (le64_to_cpu(e->block) >= SNAPPROT_MAX_BLOCKS ||
		    e->epoch != l->epoch)
			return false;
	}
	return rest_zero(l, offsetof(struct snapprot_disk_log, entry) +
			 count * sizeof(l->entry[0]));
}

static bool record_ok(const struct snapprot_disk_log *l)
{
	u32 epoch = le32_to_cpu(l->snap.epoch);

	if (le16_to_cpu(l->count) != 1 || !snapprot_snap_ok(&l->snap))
		return false;
	/* A new snapshot begins the epoch, any other is of it or before. */
	if (le16_to_cpu(l->type) == SNAPPROT_LOG_CREATE ?
	    epoch != le32_to_cpu(l->epoch) : epoch > le32_to_cpu(l->epoch))
		return false;
	return rest_zero(l, offsetof(struct snapprot_disk_log, snap) +
			 sizeof(l->snap));
}

static bool seal_ok(const struct snapprot_disk_log *l)
{
	return !l->count &&
	       le64_to_cpu(l->durable_seq) + 1 == le64_to_cpu(l->h.seq) &&
	       rest_zero(l, offsetof(struct snapprot_disk_log, body));
}

/* What all steps have, those of unknown types too. */
static bool step_ok(const struct snapprot_disk_log *l)
{
	return l->epoch && !l->reserved && l->next != l->h.block &&
	       somewhere(le64_to_cpu(l->h.block)) &&
	       somewhere(le64_to_cpu(l->next)) &&
	       le64_to_cpu(l->durable_seq) < le64_to_cpu(l->h.seq) &&
	       seq_or_none(l->generation) &&
	       zones_ok(l->zone, SNAPPROT_MAX_BLOCKS);
}

/*
 * A type that is not known passes. If it failed here it would look like a
 * header that is not there, and the log would end before it: it is the reader's
 * to refuse the store, or to pass over the step.
 */
static bool log_ok(const struct snapprot_disk_log *l)
{
	if (!step_ok(l))
		return false;
	switch (le16_to_cpu(l->type)) {
	case 0:
		return false;
	case SNAPPROT_LOG_BATCH:
		return batch_ok(l);
	case SNAPPROT_LOG_CREATE:
	case SNAPPROT_LOG_DELETE:
	case SNAPPROT_LOG_SET:
		return record_ok(l);
	case SNAPPROT_LOG_SEAL:
		return seal_ok(l);
	}
	return true;
}

/* ---- runs --------------------------------------------------------------- */

static bool leaf_ok(const struct snapprot_disk_node *n, u32 count)
{
	struct snapprot_key last;
	u32 i;

	if (!count || count > SNAPPROT_LEAF_ENTRIES)
		return false;
	for (i = 0; i < count; i++) {
		const struct snapprot_disk_entry *e = &n->entry[i];

		if (!key_follows(&last, !i, e->block, e->epoch) ||
		    !where_ok(e))
			return false;
	}
	return rest_zero(n, offsetof(struct snapprot_disk_node, entry) +
			 count * sizeof(n->entry[0]));
}

static bool inner_ok(const struct snapprot_disk_node *n, u32 count)
{
	struct snapprot_key last;
	u32 i;

	if (!count || count > SNAPPROT_INNER_ENTRIES)
		return false;
	for (i = 0; i < count; i++) {
		const struct snapprot_disk_child *c = &n->child[i];

		if (!key_follows(&last, !i, c->block, c->epoch) ||
		    le32_to_cpu(c->max_epoch) < le32_to_cpu(c->epoch) ||
		    !somewhere(le64_to_cpu(c->place)))
			return false;
	}
	return rest_zero(n, offsetof(struct snapprot_disk_node, child) +
			 count * sizeof(n->child[0]));
}

static bool node_ok(const struct snapprot_disk_node *n)
{
	u32 count = le16_to_cpu(n->count);
	u32 level = le16_to_cpu(n->level);

	if (level >= SNAPPROT_MAX_HEIGHT ||
	    !somewhere(le64_to_cpu(n->h.block)) ||
	    !all_zero(n->reserved, sizeof(n->reserved)))
		return false;
	return level ? inner_ok(n, count) : leaf_ok(n, count);
}

/* ---- space -------------------------------------------------------------- */

/* Nothing that is fixed is ever taken, so that its bits cannot be set. */
static bool bitmap_ok(const u8 *bits, u64 place)
{
	u32 slot = snapprot_group_bit(place) - SNAPPROT_BITMAP_OFFSET;

	if (place >= SNAPPROT_MAX_BLOCKS || slot > 1)
		return false;
	if (!all_zero(bits, SNAPPROT_GROUP_FIXED / 8))
		return false;
	return snapprot_group_of(place) ||
	       !(snapprot_bit_test(bits, SNAPPROT_SUPER_BLOCK_1) ||
		 snapprot_bit_test(bits, SNAPPROT_SUPER_BLOCK_3));
}

/* Bits of a slot, and what there is if there is none. */
static bool slot_ok(__le32 slot, __le64 sum, __le64 used)
{
	switch (le32_to_cpu(slot)) {
	case 0:
		return !sum && !used;
	case SNAPPROT_SLOT_VALID:
	case SNAPPROT_SLOT_VALID | SNAPPROT_SLOT_SECOND:
		return true;
	}
	return false;
}

/* First group below a node that is here; false if no such node can be. */
static bool space_place_ok(const struct snapprot_disk_space *s, u64 *first)
{
	u64 group = snapprot_group_of(le64_to_cpu(s->h.block));
	u64 level = le64_to_cpu(s->level);
	u32 shift, slot;

	if (le64_to_cpu(s->h.block) >= SNAPPROT_MAX_BLOCKS ||
	    level >= SNAPPROT_SPACE_LEVELS)
		return false;
	slot = snapprot_group_bit(le64_to_cpu(s->h.block)) -
	       SNAPPROT_SPACE_OFFSET - 2 * (u32)level;
	shift = SNAPPROT_SPACE_SHIFT * ((u32)level + 1);
	*first = group;
	return slot <= 1 && le64_to_cpu(s->index) == group >> shift &&
	       !(group & ((1ull << shift) - 1));
}

static bool space_ok(const struct snapprot_disk_space *s)
{
	u64 below, room, group;
	u32 i;

	if (!space_place_ok(s, &group))
		return false;
	/* Groups below an entry, and blocks that there are to be used. */
	below = 1ull << (SNAPPROT_SPACE_SHIFT * (u32)le64_to_cpu(s->level));
	room = below * (SNAPPROT_GROUP_BLOCKS - SNAPPROT_GROUP_FIXED);
	for (i = 0; i < SNAPPROT_SPACE_FANOUT; i++, group += below) {
		const struct snapprot_disk_space_entry *e = &s->entry[i];

		if (!slot_ok(e->slot, e->sum, e->used) || e->reserved)
			return false;
		if (le64_to_cpu(e->used) > room - !group)
			return false;
		if (e->slot && group >= snapprot_group_of(SNAPPROT_MAX_BLOCKS))
			return false;
	}
	return all_zero(s->reserved, sizeof(s->reserved));
}

/* ---- directory, tables -------------------------------------------------- */

/* Size of an item of this type; 0 if any will do. */
static u32 item_size(u32 type)
{
	switch (type) {
	case SNAPPROT_ITEM_RUN:
		return sizeof(struct snapprot_disk_run);
	case SNAPPROT_ITEM_SNAPS:
		return sizeof(struct snapprot_disk_snaps_item);
	case SNAPPROT_ITEM_MERGE:
		return sizeof(struct snapprot_disk_merge);
	}
	return 0;
}

/* Each item lies within @items, and no byte between them. */
static bool items_ok(const u8 *items, u32 used)
{
	u32 at = 0;

	while (at < used) {
		const struct snapprot_disk_item *item =
			(const void *)(items + at);
		u32 size = le16_to_cpu(item->size);
		u32 want = item_size(le16_to_cpu(item->type));

		/* As used is a multiple of 8, there is an item to look at. */
		if (size < sizeof(*item) || size % 8 || size > used - at ||
		    item->reserved || (want && size != want))
			return false;
		at += size;
	}
	return true;
}

static bool dir_ok(const struct snapprot_disk_dir *d)
{
	u32 used = le32_to_cpu(d->used);

	if (used > SNAPPROT_DIR_BYTES || used % 8)
		return false;
	if (d->next ? !somewhere(le64_to_cpu(d->next)) ||
	    d->next == d->h.block : d->next_sum != 0)
		return false;
	return somewhere(le64_to_cpu(d->h.block)) &&
	       all_zero(d->reserved, sizeof(d->reserved)) &&
	       items_ok(d->items, used) &&
	       rest_zero(d, offsetof(struct snapprot_disk_dir, items) + used);
}

static bool snaps_ok(const struct snapprot_disk_snaps *t)
{
	u32 count = le32_to_cpu(t->count);
	u32 last = 0;
	u32 i;

	if (!count || count > SNAPPROT_SNAPS_PER_BLOCK ||
	    !somewhere(le64_to_cpu(t->h.block)))
		return false;
	for (i = 0; i < count; i++) {
		u32 epoch = le32_to_cpu(t->snap[i].epoch);

		if (epoch <= last || !snapprot_snap_ok(&t->snap[i]))
			return false;
		last = epoch;
	}
	return all_zero(t->reserved, sizeof(t->reserved)) &&
	       rest_zero(t, offsetof(struct snapprot_disk_snaps, snap) +
			 count * sizeof(t->snap[0]));
}

/*
 * Lowering both numbers to those of snapshots may make them equal. A count is
 * bounded so that a sum of all that there may be does not wrap.
 */
static bool counts_ok(const struct snapprot_disk_counts *c)
{
	u32 count = le32_to_cpu(c->count);
	u64 last = 0;
	u32 i;

	if (!count || count > SNAPPROT_PAIRS_PER_BLOCK ||
	    !somewhere(le64_to_cpu(c->h.block)))
		return false;
	for (i = 0; i < count; i++) {
		u32 prev = le32_to_cpu(c->pair[i].prev);
		u32 epoch = le32_to_cpu(c->pair[i].epoch);
		u64 key = (u64)epoch << 32 | prev;

		if (!epoch || prev > epoch || key <= last ||
		    le64_to_cpu(c->pair[i].count) >= SNAPPROT_MAX_BLOCKS)
			return false;
		last = key;
	}
	return all_zero(c->reserved, sizeof(c->reserved)) &&
	       rest_zero(c, offsetof(struct snapprot_disk_counts, pair) +
			 count * sizeof(c->pair[0]));
}

/* ---- blocks that are pointed to, and the log ---------------------------- */

static bool header_ok(const struct snapprot_disk_header *h, u32 magic,
		      u64 place)
{
	return le32_to_cpu(h->magic) == magic && !h->zero &&
	       le64_to_cpu(h->block) == place && seq_ok(h->seq);
}

/* The header, which costs nothing, goes before the sum. */
static bool sum_ok(const siphash_key_t *key, const void *data, u32 magic,
		   u64 place, u64 sum)
{
	const struct snapprot_disk_header *h = data;

	if (magic != SNAPPROT_MAGIC_BITMAP) {
		if (!header_ok(h, magic, place))
			return false;
		if (magic == SNAPPROT_MAGIC_LOG)
			sum = le64_to_cpu(h->sum);
		else if (h->sum)
			return false;
	}
	return snapprot_block_sum(key, data, magic, place) == sum;
}

/* The rules of its kind that need nothing but the block. */
static bool rules_ok(const void *data, u32 magic, u64 place)
{
	switch (magic) {
	case SNAPPROT_MAGIC_LOG:
		return log_ok(data);
	case SNAPPROT_MAGIC_NODE:
		return node_ok(data);
	case SNAPPROT_MAGIC_BITMAP:
		return bitmap_ok(data, place);
	case SNAPPROT_MAGIC_SPACE:
		return space_ok(data);
	case SNAPPROT_MAGIC_DIR:
		return dir_ok(data);
	case SNAPPROT_MAGIC_SNAPS:
		return snaps_ok(data);
	case SNAPPROT_MAGIC_COUNTS:
		return counts_ok(data);
	}
	return false;
}

/**
 * snapprot_block_verify() - is this the block that should be here?
 * @key: of the store
 * @data: 4 KiB
 * @magic: what it should be
 * @place: where it was read
 * @sum: that the pointer to it has; not used for a header of the log, which
 *	has its own
 *
 * Superblocks and labels have a function of their own. What the items of a
 * directory say is left to those who know how large the store is, and so is
 * what to do about a step of the log of an unknown type.
 *
 * Return: 0, or -EBADMSG.
 */
int snapprot_block_verify(const siphash_key_t *key, const void *data,
			  u32 magic, u64 place, u64 sum)
{
	if (!sum_ok(key, data, magic, place, sum) ||
	    !rules_ok(data, magic, place))
		return -EBADMSG;
	return 0;
}

/**
 * snapprot_block_finish() - a block from get_new is complete
 * @env: the environment
 * @buf: the block, which is let go
 * @magic: what it is
 * @place: where it belongs
 * @sum: its sum
 *
 * What no reader would take is not written: better a store that cannot go on than one
 * that cannot be opened.
 *
 * Return: 0, or -ENOTRECOVERABLE.
 */
int snapprot_block_finish(struct snapprot_env *env, struct snapprot_buf *buf,
			  u32 magic, u64 place, u64 *sum)
{
	bool ok = rules_ok(buf->data, magic, place);

	*sum = snapprot_block_sum(&env->key, buf->data, magic, place);
	if (ok)
		env->ops->dirty(env, buf, *sum);
	env->ops->put(env, buf);
	return ok ? 0 : -ENOTRECOVERABLE;
}

bool snapprot_log_is_ours(const siphash_key_t *key, const void *data,
			  u64 place)
{
	return sum_ok(key, data, SNAPPROT_MAGIC_LOG, place, 0);
}

/* ---- superblock and label, in common ------------------------------------ */

static bool ident_ok(const u8 *ident)
{
	return !memcmp(ident, SNAPPROT_SUPER_IDENT, 16);
}

/* How superblock and label began before the first release. */
struct disk_version_1 {
	__le32	magic;
	__u8	header[36];
	__u8	ident[16];
	__le32	version;
} __packed;

static_assert(offsetof(struct disk_version_1, ident) == 40, "version 1");
static_assert(offsetof(struct disk_version_1, version) == 56, "version 1");

/**
 * snapprot_is_version_1() - of a version before the first release?
 * @data: what may be a superblock or a label
 *
 * No checksum is looked at: a damaged one is none of this version either.
 *
 * Return: does it have magic, ident and version where that had them?
 */
bool snapprot_is_version_1(const void *data)
{
	const struct disk_version_1 *v = data;
	u32 magic = le32_to_cpu(v->magic);

	return (magic == SNAPPROT_MAGIC_SUPER ||
		magic == SNAPPROT_MAGIC_LABEL) &&
	       ident_ok(v->ident) && le32_to_cpu(v->version) == 1;
}

/* Sum of a block whose key is in itself. */
static u64 own_sum(const void *data, u32 magic, u64 place, const u8 *secret)
{
	siphash_key_t key;

	snapprot_key_init(&key, secret);
	return snapprot_block_sum(&key, data, magic, place);
}

/*
 * Of the copies, each with the verdict on it, take the newest one. -ENODEV from all
 * means that nothing here looks like ours at all.
 */
static int choose(const void *const *copy, const int *verdict,
		  const void **best)
{
	const struct snapprot_disk_header *h, *newest = NULL;
	bool version_1 = false, damaged = false;
	u32 i, chosen = 0;

	*best = NULL;
	/*
	 * The other copies of version 1 were elsewhere. So a first one of it
	 * says what is here, and a sound later copy of ours is from before. A
	 * later one of it is only what lay there, unless nothing else is left.
	 */
	if (copy[0] && snapprot_is_version_1(copy[0]))
		return -EPROTONOSUPPORT;
	for (i = 0; i < SNAPPROT_COPIES; i++) {
		if (copy[i] && snapprot_is_version_1(copy[i])) {
			version_1 = true;
			continue;
		}
		if (verdict[i] && verdict[i] != -EPROTONOSUPPORT) {
			damaged |= verdict[i] != -ENODEV;
			continue;
		}
		h = copy[i];
		/* Nothing that we do leaves two volumes on one device. */
		if (newest && memcmp(h->uuid, newest->uuid, sizeof(h->uuid)))
			return -EBADMSG;
		if (newest && le64_to_cpu(h->seq) <= le64_to_cpu(newest->seq))
			continue;
		newest = h;
		chosen = i;
	}
	if (!newest)
		return version_1 ? -EPROTONOSUPPORT :
		       damaged ? -EBADMSG : -ENODEV;
	if (verdict[chosen])
		return -EPROTONOSUPPORT;
	*best = newest;
	return 0;
}

/* ---- superblock --------------------------------------------------------- */

static bool super_space_ok(const struct snapprot_disk_super *s, u64 blocks)
{
	u64 capacity = snapprot_capacity(blocks, snapprot_group_count(blocks));

	return le32_to_cpu(s->space_level) < SNAPPROT_SPACE_LEVELS &&
	       slot_ok(s->space_slot, s->space_sum, s->space_used) &&
	       le64_to_cpu(s->space_used) <= capacity;
}

static bool super_dir_ok(const struct snapprot_disk_super *s, u64 blocks)
{
	if (!s->dir)
		return !s->dir_sum && !s->nr_dirs && !s->nr_snaps;
	return snapprot_place_ok(blocks, le64_to_cpu(s->dir)) &&
	       s->nr_dirs && le32_to_cpu(s->nr_dirs) <= SNAPPROT_MAX_DIRS &&
	       le32_to_cpu(s->nr_snaps) <= SNAPPROT_MAX_SNAPSHOTS;
}

static bool super_log_ok(const struct snapprot_disk_super *s, u64 blocks)
{
	return seq_ok(s->log_seq) && seq_or_none(s->fence_seq) &&
	       seq_or_none(s->generation_seq) &&
	       snapprot_place_ok(blocks, le64_to_cpu(s->log_block)) &&
	       zones_ok(s->zone, blocks);
}

/*
 * lost_epoch may be above epoch, as the log moves that on: the loader looks at
 * it. The reserved bytes belong to what compat flags may bring.
 */
static bool super_ok(const struct snapprot_disk_super *s)
{
	u64 blocks = le64_to_cpu(s->store_blocks);

	return le32_to_cpu(s->block_size) == SNAPPROT_BLOCK_SIZE &&
	       !(le32_to_cpu(s->flags) & ~SNAPPROT_SUPER_FLAGS) &&
	       le32_to_cpu(s->role) <= SNAPPROT_ROLE_RESERVE &&
	       s->origin_sectors &&
	       sectors_ok(le64_to_cpu(s->origin_sectors)) &&
	       blocks >= SNAPPROT_MIN_STORE_BLOCKS &&
	       blocks < SNAPPROT_MAX_BLOCKS &&
	       s->epoch && seq_ok(s->ckpt_seq) &&
	       seq_or_none(s->generation) && super_log_ok(s, blocks) &&
	       super_dir_ok(s, blocks) && super_space_ok(s, blocks);
}

/**
 * snapprot_super_verify() - check a copy of the superblock
 * @s: the copy
 * @place: of the copy
 *
 * Unknown compat_ro flags pass, and so do numbers from SNAPPROT_LAST_SEQ on:
 * such a store may be read, and snapprot_store_load() makes it read-only.
 *
 * Return: 0, -EBADMSG, or -EPROTONOSUPPORT for a version or incompat flag that
 * this code does not know.
 */
int snapprot_super_verify(const struct snapprot_disk_super *s, u64 place)
{
	if (snapprot_is_version_1(s))
		return -EPROTONOSUPPORT;
	if (!header_ok(&s->h, SNAPPROT_MAGIC_SUPER, place) ||
	    !ident_ok(s->ident) ||
	    le64_to_cpu(s->h.sum) != own_sum(s, SNAPPROT_MAGIC_SUPER, place,
					     s->secret))
		return -EBADMSG;
	if (le32_to_cpu(s->version) != SNAPPROT_FORMAT_VERSION ||
	    le32_to_cpu(s->incompat) & ~SNAPPROT_INCOMPAT_KNOWN)
		return -EPROTONOSUPPORT;
	return super_ok(s) ? 0 : -EBADMSG;
}

/**
 * snapprot_super_seal() - set the sum of a superblock
 * @s: complete but for that, with the place of the copy in its header
 */
void snapprot_super_seal(struct snapprot_disk_super *s)
{
	s->h.sum = cpu_to_le64(own_sum(s, SNAPPROT_MAGIC_SUPER,
				       le64_to_cpu(s->h.block), s->secret));
}

static int super_verdict(const struct snapprot_disk_super *s, u64 place)
{
	if (!s)
		return -ENODEV;
	if (le32_to_cpu(s->h.magic) != SNAPPROT_MAGIC_SUPER &&
	    !ident_ok(s->ident))
		return -ENODEV;
	return snapprot_super_verify(s, place);
}

/**
 * snapprot_super_choose() - the best of the copies
 * @copy: SNAPPROT_COPIES of them, each may be NULL
 * @err: 0; -ENODEV if none is a superblock, damaged or not; -EBADMSG if none that
 *	is one is sound, or if they are of two volumes or two stores;
 *	-EPROTONOSUPPORT if the newest one is of an unknown kind, or the store of
 *	a version before the first release
 *
 * Return: the valid copy with the highest seq, the first of those; NULL if there is
 * an error.
 */
const struct snapprot_disk_super *
snapprot_super_choose(const struct snapprot_disk_super *const *copy, int *err)
{
	const struct snapprot_disk_super *s;
	int verdict[SNAPPROT_COPIES];
	const void *best;
	u32 i;

	for (i = 0; i < SNAPPROT_COPIES; i++)
		verdict[i] = super_verdict(copy[i], snapprot_super_place(i));
	*err = choose((const void *const *)copy, verdict, &best);
	s = best;
	/* Nor two stores: one of them is from before the volume's format. */
	for (i = 0; s && i < SNAPPROT_COPIES; i++) {
		if (!verdict[i] && memcmp(copy[i]->store_id, s->store_id,
					  sizeof(s->store_id))) {
			*err = -EBADMSG;
			return NULL;
		}
	}
	return s;
}

/* ---- label -------------------------------------------------------------- */

static bool witness_ok(const struct snapprot_disk_label *l)
{
	u32 count = le32_to_cpu(l->nr_witness);
	u64 end = (le64_to_cpu(l->origin_sectors) +
		   SNAPPROT_SECTORS_PER_BLOCK - 1) / SNAPPROT_SECTORS_PER_BLOCK;
	u32 i;

	if (count > SNAPPROT_WITNESS_MAX)
		return false;
	for (i = 0; i < count; i++) {
		if (le64_to_cpu(l->witness[i].block) >= end)
			return false;
	}
	return true;
}

/* A label may be older than its first store: its numbers may be zero. */
static bool label_ok(const struct snapprot_disk_label *l)
{
	u64 area = le64_to_cpu(l->area_start);

	return !(le32_to_cpu(l->flags) & ~SNAPPROT_LABEL_FLAGS) &&
	       l->origin_sectors &&
	       sectors_ok(le64_to_cpu(l->origin_sectors)) &&
	       sectors_ok(area) && !(area % SNAPPROT_SECTORS_PER_BLOCK) &&
	       seq_or_none(l->generation) && seq_or_none(l->ckpt_seq) &&
	       seq_or_none(l->log_seq) && seq_or_none(l->super_seq) &&
	       le32_to_cpu(l->nr_valid) <= SNAPPROT_MAX_SNAPSHOTS &&
	       le32_to_cpu(l->nr_lost) <= SNAPPROT_MAX_SNAPSHOTS &&
	       witness_ok(l);
}

/**
 * snapprot_label_verify() - check a copy of the label
 * @l: the copy
 * @copy: number of the copy
 *
 * A label is of no use to one that may not write it, so that unknown compat_ro
 * flags are refused as well.
 *
 * Return: 0, -EBADMSG or -EPROTONOSUPPORT.
 */
int snapprot_label_verify(const struct snapprot_disk_label *l, u32 copy)
{
	if (snapprot_is_version_1(l))
		return -EPROTONOSUPPORT;
	if (!header_ok(&l->h, SNAPPROT_MAGIC_LABEL, copy) ||
	    !ident_ok(l->ident) ||
	    le64_to_cpu(l->h.sum) != own_sum(l, SNAPPROT_MAGIC_LABEL, copy,
					     l->secret))
		return -EBADMSG;
	if (le32_to_cpu(l->version) != SNAPPROT_FORMAT_VERSION ||
	    le32_to_cpu(l->incompat) & ~SNAPPROT_INCOMPAT_KNOWN ||
	    le32_to_cpu(l->compat_ro) & ~SNAPPROT_COMPAT_RO_KNOWN)
		return -EPROTONOSUPPORT;
	return label_ok(l) ? 0 : -EBADMSG;
}

/**
 * snapprot_label_seal() - set the sum of a label
 * @l: complete but for that, with the number of the copy in its header
 */
void snapprot_label_seal(struct snapprot_disk_label *l)
{
	l->h.sum = cpu_to_le64(own_sum(l, SNAPPROT_MAGIC_LABEL,
				       le64_to_cpu(l->h.block), l->secret));
}

static int label_verdict(const struct snapprot_disk_label *l, u32 copy)
{
	if (!l)
		return -ENODEV;
	if (le32_to_cpu(l->h.magic) != SNAPPROT_MAGIC_LABEL &&
	    !ident_ok(l->ident))
		return -ENODEV;
	return snapprot_label_verify(l, copy);
}

/**
 * snapprot_label_choose() - the best of the copies
 * @copy: SNAPPROT_COPIES of them, each may be NULL
 * @err: as for snapprot_super_choose()
 *
 * Return: as for snapprot_super_choose().
 */
const struct snapprot_disk_label *
snapprot_label_choose(const struct snapprot_disk_label *const *copy, int *err)
{
	int verdict[SNAPPROT_COPIES];
	const void *best;
	u32 i;

	for (i = 0; i < SNAPPROT_COPIES; i++)
		verdict[i] = label_verdict(copy[i], i);
	*err = choose((const void *const *)copy, verdict, &best);
	return best;
}

/**
 * snapprot_label_start() - where the label's area starts on an origin
 * @sectors: size of the origin, 512-byte sectors
 *
 * Return: sector, a multiple of a block; 0 if there is no room for anything
 * before it.
 */
u64 snapprot_label_start(u64 sectors)
{
	const u64 area = SNAPPROT_LABEL_AREA >> 9;

	if (sectors < area)
		return 0;
	return (sectors - area) & ~(u64)(SNAPPROT_SECTORS_PER_BLOCK - 1);
}

/**
 * snapprot_witness_sum() - sum of a block of the origin for the witness
 * @l: the label, for its secret
 * @data: 4 KiB
 * @block: where on the origin
 *
 * With no magic, so that it is never the sum of a label, whatever is written to
 * the origin.
 *
 * Return: the sum.
 */
u64 snapprot_witness_sum(const struct snapprot_disk_label *l, const void *data,
			 u64 block)
{
	siphash_key_t key;

	snapprot_key_init(&key, l->secret);
	return siphash_3u64(siphash(data, SNAPPROT_BLOCK_SIZE, &key), 0, block,
			    &key);
}
