// SPDX-License-Identifier: GPL-2.0-only
/*
 * The store as a whole: making, opening, closing, its superblocks and its table
 * of snapshots.
 *
 * Of the two superblocks one is the one we live on (core->super_copy). The other
 * is always written first, so that at every instant there is a sound copy that
 * describes either the state before or the state after, even if the last run
 * ended between the two writes.
 */
#include "internal.h"

static u64 super_place(u32 copy)
{
	return copy ? SNAPPROT_SUPER_BLOCK_1 : SNAPPROT_SUPER_BLOCK_0;
}

/* ---- format ------------------------------------------------------------ */

/*
 * Number of the first header. Numbers that a former store on this device may
 * have left behind must not be taken for later ones, even with the same UUID.
 */
static u64 format_log_seq(struct snapprot_env *env, void *block, u64 time)
{
	const struct snapprot_disk_super *s = block;
	u64 seq = (time & 0xffffffffff) << 20 | 1;
	u32 copy;

	for (copy = 0; copy < 2; copy++) {
		u64 last;

		if (env->ops->read(env, super_place(copy), 1, block) ||
		    snapprot_super_verify(s, super_place(copy)))
			continue;
		last = le64_to_cpu(s->log_seq) + SNAPPROT_LOG_MAX_HEADERS;
		if (seq <= last)
			seq = last + 1;
	}
	return seq;
}

static void format_super(struct snapprot_disk_super *s, const u8 *uuid,
			 u64 origin_sectors, u64 blocks, u64 time, u32 flags)
{
	memset(s, 0, sizeof(*s));
	snapprot_block_init(s, SNAPPROT_MAGIC_SUPER, SNAPPROT_SUPER_BLOCK_0, 1,
			    uuid);
	memcpy(s->ident, SNAPPROT_SUPER_IDENT, sizeof(s->ident));
	s->version = cpu_to_le32(SNAPPROT_FORMAT_VERSION);
	s->incompat = cpu_to_le32(SNAPPROT_INCOMPAT_XXH64);
	s->block_size = cpu_to_le32(SNAPPROT_BLOCK_SIZE);
	s->flags = cpu_to_le32(flags);
	s->origin_sectors = cpu_to_le64(origin_sectors);
	s->store_blocks = cpu_to_le64(blocks);
	s->create_time = cpu_to_le64(time);
	s->ckpt_seq = cpu_to_le64(1);
	s->epoch = cpu_to_le32(1);
	s->log_block = cpu_to_le64(SNAPPROT_BITMAP_OFFSET + 1);
	s->nr_groups = cpu_to_le64(1);
	s->nr_free = cpu_to_le64(snapprot_allocatable(blocks));
}

static void format_bitmap(struct snapprot_disk_bitmap *b, const u8 *uuid)
{
	memset(b, 0, sizeof(*b));
	snapprot_block_init(b, SNAPPROT_MAGIC_BITMAP, snapprot_group_home(0), 1,
			    uuid);
	snapprot_bit_set(b->bits, SNAPPROT_SUPER_BLOCK_0);
	snapprot_bit_set(b->bits, SNAPPROT_BITMAP_OFFSET);
	snapprot_bit_set(b->bits, SNAPPROT_SUPER_BLOCK_1);
	snapprot_block_seal(b);
}

static int format_write(struct snapprot_env *env, void *block, const u8 *uuid,
			u64 origin_sectors, u64 blocks, u64 time, u32 flags)
{
	struct snapprot_disk_super *s = block;
	u64 log_seq = format_log_seq(env, block, time);
	u32 copy;
	int err;

	/* What was here before ends first. */
	memset(block, 0, SNAPPROT_BLOCK_SIZE);
	for (copy = 0; copy < 2; copy++) {
		err = env->ops->write(env, super_place(copy), block);
		if (err)
			return err;
	}
	/* An older store of the same UUID may have left a log behind. */
	err = env->ops->write(env, SNAPPROT_BITMAP_OFFSET + 1, block);
	if (err)
		return err;

	format_bitmap(block, uuid);
	err = env->ops->write(env, snapprot_group_home(0), block);
	if (err)
		return err;

	format_super(s, uuid, origin_sectors, blocks, time, flags);
	s->log_seq = cpu_to_le64(log_seq);
	for (copy = 0; copy < 2; copy++) {
		s->h.block = cpu_to_le64(super_place(copy));
		snapprot_block_seal(s);
		err = snapprot_super_verify(s, super_place(copy));
		if (!err)
			err = env->ops->write(env, super_place(copy), s);
		if (err)
			return err;
	}
	return 0;
}

int snapprot_store_format(struct snapprot_env *env, const u8 *uuid,
			  u64 origin_sectors, u64 blocks, u64 time, u32 flags)
{
	void *block;
	int err;

	if (blocks < SNAPPROT_MIN_STORE_BLOCKS)
		return -ENOSPC;
	if (blocks >= SNAPPROT_MAX_BLOCKS || !origin_sectors ||
	    origin_sectors >= SNAPPROT_MAX_BLOCKS * SNAPPROT_SECTORS_PER_BLOCK)
		return -EINVAL;
	if (flags & ~(SNAPPROT_SUPER_PROTECTED | SNAPPROT_SUPER_UNLABELLED))
		return -EINVAL;
	block = env->ops->alloc(env, SNAPPROT_BLOCK_SIZE);
	if (!block)
		return -ENOMEM;
	err = format_write(env, block, uuid, origin_sectors, blocks, time,
			   flags);
	env->ops->free(env, block);
	return err;
}

/* ---- blocks of metadata ------------------------------------------------ */

/*
 * Hold a metadata block that something points to. The environment has verified
 * it as a block; here it must be one of this volume and not of a checkpoint
 * that never was.
 */
int snapprot_block_get(struct snapprot_core *core, u64 block, u32 magic,
		       struct snapprot_buf *buf)
{
	u64 newest = core->ckpt_seq - (core->frozen_valid ? 0 : 1);
	const struct snapprot_disk_header *h;
	int err;

	if (block >= core->blocks)
		return -EBADMSG;
	if (magic != SNAPPROT_MAGIC_BITMAP &&
	    !snapprot_place_ok(core->blocks, block))
		return -EBADMSG;
	err = core->env->ops->get(core->env, block, magic, buf);
	if (err)
		return err;
	h = buf->data;
	/* The cache may hold the block as something else. */
	if (le32_to_cpu(h->magic) == magic && le64_to_cpu(h->seq) <= newest &&
	    le64_to_cpu(h->block) == block &&
	    !memcmp(h->uuid, core->uuid, sizeof(core->uuid)))
		return 0;
	core->env->ops->put(core->env, buf);
	return -EBADMSG;
}

/* ---- table of snapshots ------------------------------------------------ */

struct snapprot_snap *snapprot_snap_find(struct snapprot_core *core, u32 id)
{
	u32 i;

	for (i = 0; i < core->nr_snaps; i++)
		if (core->snaps[i].id == id)
			return &core->snaps[i];
	return NULL;
}

/* Number of snapshots whose epoch is not above @epoch. */
static u32 snaps_up_to(const struct snapprot_core *core, u32 epoch)
{
	u32 low = 0;
	u32 high = core->nr_snaps;

	while (low < high) {
		u32 mid = low + (high - low) / 2;

		if (core->snaps[mid].epoch <= epoch)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

u32 snapprot_snaps_valid(const struct snapprot_core *core)
{
	return core->nr_snaps - snaps_up_to(core, core->lost_epoch);
}

bool snapprot_entry_needed(const struct snapprot_core *core, u32 prev,
			   u32 epoch)
{
	u32 from = prev > core->lost_epoch ? prev : core->lost_epoch;

	if (epoch <= from)
		return false;
	return snaps_up_to(core, from) < snaps_up_to(core, epoch);
}

/* Add the newest snapshot; false if it breaks a rule. */
bool snapprot_snap_add(struct snapprot_core *core,
		       const struct snapprot_snap *snap)
{
	u32 n = core->nr_snaps;

	if (!snap->id || n >= SNAPPROT_MAX_SNAPSHOTS ||
	    snapprot_snap_find(core, snap->id))
		return false;
	if (!snap->epoch || (n && snap->epoch <= core->snaps[n - 1].epoch))
		return false;
	if (!snap->sectors || snap->sectors >= SNAPPROT_MAX_BLOCKS *
					       SNAPPROT_SECTORS_PER_BLOCK)
		return false;
	core->snaps[n] = *snap;
	core->nr_snaps = n + 1;
	return true;
}

bool snapprot_snap_remove(struct snapprot_core *core,
			  const struct snapprot_snap *snap)
{
	struct snapprot_snap *s = snapprot_snap_find(core, snap->id);
	u32 n;

	if (!s || s->epoch != snap->epoch)
		return false;
	n = --core->nr_snaps - (s - core->snaps);
	memmove(s, s + 1, n * sizeof(*s));
	return true;
}

/*
 * Entries may have become unneeded, in the log too: what is there now will be
 * in the index only after the next freeze, and only a round that starts after
 * that sees everything.
 */
void snapprot_sweep_start(struct snapprot_core *core)
{
	core->flags |= SNAPPROT_SUPER_SWEEP;
	core->sweep_block = 0;
	core->sweep_late = true;
}

/* ---- load -------------------------------------------------------------- */

static int load_alloc(struct snapprot_core *core)
{
	struct snapprot_env *env = core->env;
	const size_t snaps = SNAPPROT_MAX_SNAPSHOTS * sizeof(*core->snaps);
	const size_t headers = SNAPPROT_LOG_MAX_HEADERS * sizeof(u64);
	int err;

	core->super = env->ops->alloc(env, SNAPPROT_BLOCK_SIZE);
	core->super_next = env->ops->alloc(env, SNAPPROT_BLOCK_SIZE);
	core->scratch = env->ops->alloc(env, 2 * SNAPPROT_BLOCK_SIZE);
	core->snaps = env->ops->alloc(env, snaps);
	core->frozen_snaps = env->ops->alloc(env, snaps);
	core->headers = env->ops->alloc(env, headers);
	core->frozen_headers = env->ops->alloc(env, headers);
	if (!core->super || !core->super_next || !core->scratch ||
	    !core->snaps || !core->frozen_snaps || !core->headers ||
	    !core->frozen_headers)
		return -ENOMEM;
	err = snapprot_memtable_init(&core->active, env,
				     SNAPPROT_LOG_MAX_ENTRIES);
	if (err)
		return err;
	return snapprot_memtable_init(&core->frozen, env,
				      SNAPPROT_LOG_MAX_ENTRIES);
}

/* Choose the superblock to live on. */
static int load_super(struct snapprot_core *core)
{
	struct snapprot_env *env = core->env;
	struct snapprot_disk_super *copy[2];
	const struct snapprot_disk_super *best;
	int read_err = 0;
	int err;
	u32 i;

	for (i = 0; i < 2; i++) {
		copy[i] = core->scratch + i * SNAPPROT_BLOCK_SIZE;
		err = env->ops->read(env, super_place(i), 1, copy[i]);
		if (err) {
			copy[i] = NULL;
			read_err = err;
		}
	}
	best = snapprot_super_choose(copy[0], copy[1], &err);
	if (!best)
		return read_err ? read_err : err;
	core->super_copy = best == copy[1];
	memcpy(core->super, best, sizeof(*best));
	return 0;
}

/* Has it been written more often than any store is? */
static bool worn_out(const struct snapprot_disk_super *s)
{
	return (le64_to_cpu(s->h.seq) | le64_to_cpu(s->generation) |
		le64_to_cpu(s->ckpt_seq) | le64_to_cpu(s->log_seq)) >=
	       SNAPPROT_LAST_SEQ;
}

static void load_fields(struct snapprot_core *core)
{
	const struct snapprot_disk_super *s = core->super;

	memcpy(core->uuid, s->h.uuid, sizeof(core->uuid));
	core->generation = le64_to_cpu(s->generation);
	core->origin_sectors = le64_to_cpu(s->origin_sectors);
	core->origin_blocks = (core->origin_sectors +
			       SNAPPROT_SECTORS_PER_BLOCK - 1) >>
			      (SNAPPROT_BLOCK_SHIFT - 9);
	core->create_time = le64_to_cpu(s->create_time);
	core->flags = le32_to_cpu(s->flags);
	core->lost_epoch = le32_to_cpu(s->lost_epoch);
	core->lost_fault = le32_to_cpu(s->lost_fault);
	core->read_only = worn_out(s) || (le32_to_cpu(s->compat_ro) &
					  ~SNAPPROT_COMPAT_RO_KNOWN);
	core->blocks = le64_to_cpu(s->store_blocks);
	core->nr_free = le64_to_cpu(s->nr_free);
	core->nr_groups = le64_to_cpu(s->nr_groups);
	core->epoch = le32_to_cpu(s->epoch);
	core->log_block = le64_to_cpu(s->log_block);
	core->log_seq = le64_to_cpu(s->log_seq);
	core->log_prev_crc = le32_to_cpu(s->log_prev_crc);
	core->root = le64_to_cpu(s->root);
	core->root_level = le32_to_cpu(s->root_level);
	core->nr_nodes = le64_to_cpu(s->nr_nodes);
	core->nr_entries = le64_to_cpu(s->nr_entries);
	core->dir = le64_to_cpu(s->dir);
	core->ckpt_seq = le64_to_cpu(s->ckpt_seq) + 1;
	core->sweep_block = le64_to_cpu(s->sweep_block);
}

static int load_image(struct snapprot_core *core,
		      const struct snapprot_dir_item *item)
{
	struct snapprot_disk_bitmap *image = core->scratch;
	struct snapprot_env *env = core->env;
	int err;

	if (item->index >= core->nr_groups)
		return -EBADMSG;
	/* Not through the cache, for the image says it is at its home. */
	err = env->ops->read(env, item->block, 1, image);
	if (err)
		return err;
	err = snapprot_block_verify(image, SNAPPROT_MAGIC_BITMAP,
				    snapprot_group_home(item->index));
	if (err)
		return err;
	if (le32_to_cpu(image->h.crc) != item->crc ||
	    image->h.seq != core->super->ckpt_seq ||
	    memcmp(image->h.uuid, core->uuid, sizeof(core->uuid)))
		return -EBADMSG;
	return snapprot_group_add_image(core, image);
}

static int load_snaps(struct snapprot_core *core,
		      const struct snapprot_dir_item *item)
{
	const struct snapprot_disk_snaps *table;
	struct snapprot_buf buf;
	int err;
	u32 i;

	err = snapprot_block_get(core, item->block, SNAPPROT_MAGIC_SNAPS, &buf);
	if (err)
		return err;
	table = buf.data;
	if (le32_to_cpu(table->h.crc) != item->crc ||
	    table->h.seq != core->super->ckpt_seq)
		err = -EBADMSG;
	for (i = 0; !err && i < le32_to_cpu(table->count); i++) {
		struct snapprot_snap snap;

		snapprot_snap_decode(&snap, &table->snap[i]);
		if (snap.epoch > core->epoch || !snapprot_snap_add(core, &snap))
			err = -EBADMSG;
	}
	core->env->ops->put(core->env, &buf);
	return err;
}

static int load_item(struct snapprot_core *core, void *ctx,
		     const struct snapprot_dir_item *item)
{
	u64 *count = ctx;

	(*count)++;
	switch (item->type) {
	case SNAPPROT_DIR_BITMAP:
		return load_image(core, item);
	case SNAPPROT_DIR_SNAPS:
		return load_snaps(core, item);
	}
	return 0;
}

static int load_state(struct snapprot_core *core, u64 blocks)
{
	int err;

	err = snapprot_dir_walk(core, load_item, &core->nr_ckpt_blocks);
	if (err)
		return err;
	if (core->nr_snaps != le32_to_cpu(core->super->nr_snaps))
		return -EBADMSG;
	/* The log may have gone beyond the size of the last checkpoint. */
	if (blocks > core->blocks) {
		err = snapprot_space_resize(core, blocks);
		if (err)
			return err;
	}
	err = snapprot_log_replay(core);
	if (err)
		return err;
	/* Not so in the superblock alone: the log moves the epoch on. */
	if (core->lost_epoch > core->epoch)
		return -EBADMSG;
	core->data_cursor = core->log_block + 1;
	if (blocks != core->blocks)
		return snapprot_space_resize(core, blocks);
	return 0;
}

int snapprot_store_load(struct snapprot_core *core, struct snapprot_env *env,
			u64 blocks)
{
	bool shrunk;
	int err;

	memset(core, 0, sizeof(*core));
	core->env = env;
	if (blocks < SNAPPROT_MIN_STORE_BLOCKS)
		return -ENOSPC;
	if (blocks >= SNAPPROT_MAX_BLOCKS)
		return -EINVAL;
	err = load_alloc(core);
	if (err)
		return err;
	err = load_super(core);
	if (err)
		return err;
	load_fields(core);
	err = snapprot_space_init(core);
	if (err)
		return err;
	shrunk = blocks < core->blocks;
	err = load_state(core, blocks);
	/* What could not be read, or not be believed, lies behind the end. */
	return err && err != -ENOMEM && shrunk ? -ENOSPC : err;
}

void snapprot_store_exit(struct snapprot_core *core)
{
	struct snapprot_env *env = core->env;

	if (!env)
		return;
	snapprot_space_exit(core);
	snapprot_memtable_exit(&core->active, env);
	snapprot_memtable_exit(&core->frozen, env);
	env->ops->free(env, core->super);
	env->ops->free(env, core->super_next);
	env->ops->free(env, core->scratch);
	env->ops->free(env, core->snaps);
	env->ops->free(env, core->frozen_snaps);
	env->ops->free(env, core->headers);
	env->ops->free(env, core->frozen_headers);
	memset(core, 0, sizeof(*core));
}

int snapprot_store_grow(struct snapprot_core *core, u64 blocks)
{
	if (blocks < core->blocks || blocks >= SNAPPROT_MAX_BLOCKS)
		return -EINVAL;
	return snapprot_space_resize(core, blocks);
}

/* ---- superblock -------------------------------------------------------- */

/*
 * Make core->super_next the superblock, after a look at whether the one that is
 * there is still ours. Everything it names must be durable. Afterwards
 * core->super_next is what is on disk as core->super_copy; the caller swaps.
 */
int snapprot_super_replace(struct snapprot_core *core)
{
	struct snapprot_disk_super *s = core->super_next;
	struct snapprot_env *env = core->env;
	u32 i;
	int err;

	err = env->ops->read(env, super_place(core->super_copy), 1,
			     core->scratch);
	if (err)
		return err;
	if (memcmp(core->scratch, core->super, sizeof(*core->super)))
		return -EUCLEAN;

	s->h.seq = cpu_to_le64(le64_to_cpu(core->super->h.seq) + 1);
	for (i = 0; i < 2; i++) {
		u64 place = super_place(i ? core->super_copy :
					    !core->super_copy);

		s->h.block = cpu_to_le64(place);
		snapprot_block_seal(s);
		err = env->ops->write(env, place, s);
		if (err)
			return err;
	}
	return 0;
}

int snapprot_store_update(struct snapprot_core *core, u64 generation,
			  u32 flags, u32 lost_epoch, u32 lost_fault)
{
	struct snapprot_disk_super *s = core->super_next;
	u32 sweep = (core->flags | le32_to_cpu(core->super->flags)) &
		    SNAPPROT_SUPER_SWEEP;
	bool lost = lost_epoch != core->lost_epoch;
	int err;

	if (core->read_only)
		return -EROFS;
	if (core->prepared)
		return -EBUSY;
	if (flags & ~SNAPPROT_SUPER_FLAGS || lost_epoch > core->epoch ||
	    lost_epoch < core->lost_epoch)
		return -EINVAL;

	memcpy(s, core->super, sizeof(*s));
	s->generation = cpu_to_le64(generation);
	s->lost_epoch = cpu_to_le32(lost_epoch);
	s->lost_fault = cpu_to_le32(lost_fault);
	if (lost) {
		sweep = SNAPPROT_SUPER_SWEEP;
		s->sweep_block = 0;
	}
	s->flags = cpu_to_le32((flags & ~SNAPPROT_SUPER_SWEEP) | sweep);
	err = snapprot_super_replace(core);
	if (err)
		return err;

	core->super_next = core->super;
	core->super = s;
	core->generation = generation;
	core->flags = (flags & ~SNAPPROT_SUPER_SWEEP) |
		      (core->flags & SNAPPROT_SUPER_SWEEP);
	core->lost_epoch = lost_epoch;
	core->lost_fault = lost_fault;
	if (lost)
		snapprot_sweep_start(core);
	return 0;
}
