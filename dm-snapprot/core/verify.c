// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checksums and rules of single blocks: what can be said of a block by looking
 * at nothing else. Rules that need the rest of the store are kept by those who
 * follow the pointers.
 */
#include "internal.h"

/* The checksum covers everything behind itself. */
#define CRC_START	offsetof(struct snapprot_disk_header, block)

static u32 block_crc(const void *data)
{
	return crc32c(SNAPPROT_CRC_SEED, (const u8 *)data + CRC_START,
		      SNAPPROT_BLOCK_SIZE - CRC_START);
}

/**
 * snapprot_block_seal() - set the checksum of a metadata block
 * @data: the block, complete but for its crc
 */
void snapprot_block_seal(void *data)
{
	struct snapprot_disk_header *h = data;

	h->crc = cpu_to_le32(block_crc(data));
}

/**
 * snapprot_block_init() - fill the header of a metadata block
 * @data: the block; what is behind the header stays as it is
 * @magic: SNAPPROT_MAGIC_*
 * @block: where it belongs
 * @seq: see struct snapprot_disk_header
 * @uuid: of the volume
 */
void snapprot_block_init(void *data, u32 magic, u64 block, u64 seq,
			 const u8 *uuid)
{
	struct snapprot_disk_header *h = data;

	h->magic = cpu_to_le32(magic);
	h->crc = 0;
	h->block = cpu_to_le64(block);
	h->seq = cpu_to_le64(seq);
	memcpy(h->uuid, uuid, sizeof(h->uuid));
}

static bool log_ok(const struct snapprot_disk_log *l)
{
	u32 count = le16_to_cpu(l->count);

	switch (le16_to_cpu(l->type)) {
	case SNAPPROT_LOG_BATCH:
		return count >= 1 && count <= SNAPPROT_LOG_ENTRIES;
	case SNAPPROT_LOG_CREATE:
	case SNAPPROT_LOG_DELETE:
		return count == 1 && l->snap.id && l->snap.epoch;
	}
	return false;
}

static bool node_ok(const struct snapprot_disk_node *n)
{
	u32 count = le16_to_cpu(n->count);
	u32 level = le16_to_cpu(n->level);
	u32 i;

	if (!count || count > SNAPPROT_NODE_ENTRIES)
		return false;
	if (level >= SNAPPROT_MAX_LEVELS)
		return false;
	for (i = 0; i < count; i++) {
		const struct snapprot_disk_entry *e = &n->entry[i];

		if (!e->place || (level && e->sum))
			return false;
		if (i && snapprot_key_cmp(le64_to_cpu(e[-1].block),
					  le32_to_cpu(e[-1].epoch),
					  le64_to_cpu(e->block),
					  le32_to_cpu(e->epoch)) >= 0)
			return false;
	}
	return true;
}

static bool bitmap_ok(const struct snapprot_disk_bitmap *b)
{
	u64 group = le64_to_cpu(b->group);

	if (group > snapprot_group_of(SNAPPROT_MAX_BLOCKS))
		return false;
	if (le64_to_cpu(b->h.block) != snapprot_group_home(group))
		return false;
	if (!snapprot_bit_test(b->bits, SNAPPROT_BITMAP_OFFSET))
		return false;
	return group || (snapprot_bit_test(b->bits, SNAPPROT_SUPER_BLOCK_0) &&
			 snapprot_bit_test(b->bits, SNAPPROT_SUPER_BLOCK_1));
}

static bool dir_ok(const struct snapprot_disk_dir *d)
{
	u32 count = le32_to_cpu(d->count);
	u32 i;

	if (!count || count > SNAPPROT_DIR_ENTRIES)
		return false;
	for (i = 0; i < count; i++) {
		u32 type = le32_to_cpu(d->entry[i].type);

		if (type != SNAPPROT_DIR_BITMAP && type != SNAPPROT_DIR_SNAPS)
			return false;
	}
	return true;
}

static bool snaps_ok(const struct snapprot_disk_snaps *t)
{
	u32 count = le32_to_cpu(t->count);
	u32 last = 0;
	u32 i;

	if (!count || count > SNAPPROT_SNAPS_PER_BLOCK)
		return false;
	for (i = 0; i < count; i++) {
		u32 epoch = le32_to_cpu(t->snap[i].epoch);

		if (epoch <= last || !t->snap[i].id || t->snap[i].flags)
			return false;
		last = epoch;
	}
	return true;
}

/* Checksum, magic and place. */
static bool header_ok(const void *data, u32 magic, u64 block)
{
	const struct snapprot_disk_header *h = data;

	return le32_to_cpu(h->magic) == magic &&
	       le64_to_cpu(h->block) == block &&
	       le32_to_cpu(h->crc) == block_crc(data);
}

/**
 * snapprot_block_verify() - is this the block that should be here?
 * @data: 4 KiB
 * @magic: what it should be
 * @block: where it was read; for an image of a bitmap the bitmap's home
 *
 * Superblocks and labels have a function of their own.
 *
 * Return: 0, or -EBADMSG.
 */
int snapprot_block_verify(const void *data, u32 magic, u64 block)
{
	bool ok = false;

	if (!header_ok(data, magic, block))
		return -EBADMSG;

	switch (magic) {
	case SNAPPROT_MAGIC_LOG:
		ok = log_ok(data);
		break;
	case SNAPPROT_MAGIC_NODE:
		ok = node_ok(data);
		break;
	case SNAPPROT_MAGIC_BITMAP:
		ok = bitmap_ok(data);
		break;
	case SNAPPROT_MAGIC_DIR:
		ok = dir_ok(data);
		break;
	case SNAPPROT_MAGIC_SNAPS:
		ok = snaps_ok(data);
		break;
	}
	return ok ? 0 : -EBADMSG;
}

/* ---- superblock -------------------------------------------------------- */

static bool ident_ok(const u8 *ident)
{
	return !memcmp(ident, SNAPPROT_SUPER_IDENT, 16);
}

static bool sectors_ok(u64 sectors)
{
	return sectors &&
	       sectors < SNAPPROT_MAX_BLOCKS * SNAPPROT_SECTORS_PER_BLOCK;
}

/* A number that counts from 1 and only grows */
static bool seq_ok(__le64 seq)
{
	return seq && le64_to_cpu(seq) < SNAPPROT_MAX_SEQ;
}

static bool super_index_ok(const struct snapprot_disk_super *s, u64 blocks)
{
	u64 root = le64_to_cpu(s->root);

	if (!root)
		return !s->root_level && !s->nr_nodes && !s->nr_entries;
	return snapprot_place_ok(blocks, root) &&
	       le32_to_cpu(s->root_level) < SNAPPROT_MAX_LEVELS &&
	       s->nr_nodes && le64_to_cpu(s->nr_nodes) < blocks &&
	       s->nr_entries && le64_to_cpu(s->nr_entries) < blocks;
}

static bool super_space_ok(const struct snapprot_disk_super *s, u64 blocks)
{
	u64 dir = le64_to_cpu(s->dir);
	u64 groups = le64_to_cpu(s->nr_groups);

	if (blocks < SNAPPROT_MIN_STORE_BLOCKS || blocks >= SNAPPROT_MAX_BLOCKS)
		return false;
	if (!groups || groups > snapprot_group_count(blocks))
		return false;
	if (dir ? !snapprot_place_ok(blocks, dir) : s->nr_snaps != 0)
		return false;
	return le64_to_cpu(s->nr_free) <= snapprot_allocatable(blocks) &&
	       snapprot_place_ok(blocks, le64_to_cpu(s->log_block));
}

static bool super_ok(const struct snapprot_disk_super *s)
{
	u64 blocks = le64_to_cpu(s->store_blocks);

	return le32_to_cpu(s->block_size) == SNAPPROT_BLOCK_SIZE &&
	       !(le32_to_cpu(s->flags) & ~SNAPPROT_SUPER_FLAGS) &&
	       sectors_ok(le64_to_cpu(s->origin_sectors)) &&
	       s->epoch && seq_ok(s->ckpt_seq) && seq_ok(s->log_seq) &&
	       seq_ok(s->h.seq) &&
	       le64_to_cpu(s->generation) < SNAPPROT_MAX_SEQ &&
	       le32_to_cpu(s->nr_snaps) <= SNAPPROT_MAX_SNAPSHOTS &&
	       le64_to_cpu(s->sweep_block) < SNAPPROT_MAX_BLOCKS &&
	       super_space_ok(s, blocks) && super_index_ok(s, blocks);
}

/**
 * snapprot_super_verify() - check a copy of the superblock
 * @s: the copy
 * @block: SNAPPROT_SUPER_BLOCK_0 or SNAPPROT_SUPER_BLOCK_1
 *
 * Unknown compat_ro flags pass, and so do numbers from SNAPPROT_LAST_SEQ on: such a
 * store may be read, and snapprot_store_load() makes it read-only.
 *
 * Return: 0, -EBADMSG, or -EPROTONOSUPPORT for a version or incompat flag that
 * this code does not know.
 */
int snapprot_super_verify(const struct snapprot_disk_super *s, u64 block)
{
	if (!header_ok(s, SNAPPROT_MAGIC_SUPER, block) || !ident_ok(s->ident))
		return -EBADMSG;
	if (le32_to_cpu(s->version) != SNAPPROT_FORMAT_VERSION ||
	    le32_to_cpu(s->incompat) != SNAPPROT_INCOMPAT_XXH64)
		return -EPROTONOSUPPORT;
	return super_ok(s) ? 0 : -EBADMSG;
}

/*
 * Of two copies, each with the verdict on it, take the newer one. -ENODEV from
 * neither means that nothing here looks like ours at all.
 */
static int choose(const struct snapprot_disk_header *a, int err_a,
		  const struct snapprot_disk_header *b, int err_b,
		  const void **best)
{
	bool known_a = !err_a || err_a == -EPROTONOSUPPORT;
	bool known_b = !err_b || err_b == -EPROTONOSUPPORT;
	bool take_b;

	*best = NULL;
	if (!known_a && !known_b)
		return err_a == -ENODEV ? err_b : err_a;
	/* Nothing that we do leaves two volumes on one device. */
	if (known_a && known_b && memcmp(a->uuid, b->uuid, sizeof(a->uuid)))
		return -EBADMSG;

	if (known_a && known_b)
		take_b = le64_to_cpu(b->seq) > le64_to_cpu(a->seq);
	else
		take_b = known_b;
	if (take_b ? err_b : err_a)
		return -EPROTONOSUPPORT;
	*best = take_b ? b : a;
	return 0;
}

static int super_verdict(const struct snapprot_disk_super *s, u64 block)
{
	if (!s)
		return -ENODEV;
	if (le32_to_cpu(s->h.magic) != SNAPPROT_MAGIC_SUPER &&
	    !ident_ok(s->ident))
		return -ENODEV;
	return snapprot_super_verify(s, block);
}

/**
 * snapprot_super_choose() - the better of two copies
 * @a: first copy, or NULL
 * @b: second copy, or NULL
 * @err: 0; -ENODEV if neither is a superblock, damaged or not; -EBADMSG if
 *	none that is one is sound, or if they are of two volumes;
 *	-EPROTONOSUPPORT if the newer one is of an unknown kind
 *
 * Return: the valid copy with the highest seq, the first if they are equal; NULL
 * if there is an error.
 */
const struct snapprot_disk_super *
snapprot_super_choose(const struct snapprot_disk_super *a,
		      const struct snapprot_disk_super *b, int *err)
{
	const void *best;

	*err = choose((const void *)a, super_verdict(a, SNAPPROT_SUPER_BLOCK_0),
		      (const void *)b, super_verdict(b, SNAPPROT_SUPER_BLOCK_1),
		      &best);
	return best;
}

/* ---- label ------------------------------------------------------------- */

/**
 * snapprot_label_verify() - check a copy of the label
 * @l: the copy
 * @copy: 0 or 1
 *
 * A label is of no use to one that may not write it, so that unknown compat_ro
 * flags are refused as well.
 *
 * Return: 0, -EBADMSG or -EPROTONOSUPPORT.
 */
int snapprot_label_verify(const struct snapprot_disk_label *l, u32 copy)
{
	if (!header_ok(l, SNAPPROT_MAGIC_LABEL, copy) || !ident_ok(l->ident))
		return -EBADMSG;
	if (le32_to_cpu(l->version) != SNAPPROT_FORMAT_VERSION ||
	    l->incompat ||
	    le32_to_cpu(l->compat_ro) & ~SNAPPROT_COMPAT_RO_KNOWN)
		return -EPROTONOSUPPORT;
	if (le32_to_cpu(l->flags) & ~SNAPPROT_LABEL_FLAGS ||
	    !sectors_ok(le64_to_cpu(l->origin_sectors)) ||
	    !seq_ok(l->h.seq) ||
	    le64_to_cpu(l->generation) >= SNAPPROT_MAX_SEQ ||
	    le32_to_cpu(l->nr_valid) > SNAPPROT_MAX_SNAPSHOTS ||
	    le32_to_cpu(l->nr_lost) > SNAPPROT_MAX_SNAPSHOTS)
		return -EBADMSG;
	return 0;
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
 * snapprot_label_choose() - the better of two copies
 * @a: first copy, or NULL
 * @b: second copy, or NULL
 * @err: as for snapprot_super_choose()
 *
 * Return: as for snapprot_super_choose().
 */
const struct snapprot_disk_label *
snapprot_label_choose(const struct snapprot_disk_label *a,
		      const struct snapprot_disk_label *b, int *err)
{
	const void *best;

	*err = choose((const void *)a, label_verdict(a, 0),
		      (const void *)b, label_verdict(b, 1), &best);
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

/* ---- UUID as text ------------------------------------------------------ */

/* Is there a dash before byte @i of the text form? */
static bool uuid_dash(u32 i)
{
	return i == 4 || i == 6 || i == 8 || i == 10;
}

/**
 * snapprot_uuid_format() - text form of a UUID
 * @uuid: 16 bytes
 * @text: 37 bytes, lower case and a NUL
 */
void snapprot_uuid_format(const u8 *uuid, char *text)
{
	static const char digit[] = "0123456789abcdef";
	u32 i;

	for (i = 0; i < 16; i++) {
		if (uuid_dash(i))
			*text++ = '-';
		*text++ = digit[uuid[i] >> 4];
		*text++ = digit[uuid[i] & 15];
	}
	*text = '\0';
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/**
 * snapprot_uuid_parse() - read the text form of a UUID
 * @text: 36 characters and a NUL, in upper or lower case
 * @uuid: 16 bytes; changed only on success
 *
 * Return: 0, or -EINVAL.
 */
int snapprot_uuid_parse(const char *text, u8 *uuid)
{
	u8 bytes[16];
	u32 i;

	for (i = 0; i < 16; i++) {
		int high, low;

		if (uuid_dash(i) && *text++ != '-')
			return -EINVAL;
		high = hex_digit(*text++);
		if (high < 0)
			return -EINVAL;
		low = hex_digit(*text++);
		if (low < 0)
			return -EINVAL;
		bytes[i] = high << 4 | low;
	}
	if (*text)
		return -EINVAL;
	memcpy(uuid, bytes, sizeof(bytes));
	return 0;
}
