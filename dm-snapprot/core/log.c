// SPDX-License-Identifier: GPL-2.0-only
/*
 * The log: a chain of headers, each with the old blocks that it lists.
 *
 * A header says where the next one will be, so that place is taken before the
 * header is written. The superblock says where the first one is. Its number,
 * the checksum of the header before it and the volume's UUID tell a header from
 * whatever else may lie at its place.
 *
 * A step counts when its header and its old blocks are durable, and all steps
 * before it count. The writer may have several on their way, which one flush
 * makes durable; none of their writes has gone to the origin before it. Each
 * header says up to which step that was known as it was made, and for what lies
 * behind it replay reads the old blocks too. The first of them that is not whole
 * ends the log.
 */
#include "internal.h"

/* ---- writing ----------------------------------------------------------- */

/* Headers that @count entries take. */
static u32 steps_for(u32 count)
{
	return (count + SNAPPROT_LOG_ENTRIES - 1) / SNAPPROT_LOG_ENTRIES;
}

/* How many more entries fit into memory, in steps that have a header each. */
static u32 table_room(const struct snapprot_core *core, u32 max)
{
	const u32 max_headers = SNAPPROT_LOG_HALF_HEADERS -
				SNAPPROT_LOG_RECORD_HEADERS;
	u32 headers = core->nr_headers + core->log_steps;
	u32 count = core->active.count + core->log_entries;
	u32 room;

	if (count >= SNAPPROT_LOG_HALF_ENTRIES || headers >= max_headers)
		return 0;
	room = snapprot_min(SNAPPROT_LOG_HALF_ENTRIES - count,
			    (max_headers - headers) * SNAPPROT_LOG_ENTRIES);
	if (core->frozen_valid) {
		u32 both = count + core->frozen.count;

		if (both >= SNAPPROT_LOG_MAX_ENTRIES)
			return 0;
		room = snapprot_min(room, SNAPPROT_LOG_MAX_ENTRIES - both);
	}
	return snapprot_min(room, max);
}

/* Is there space for @count more old blocks and what they entail? */
static bool space_for(const struct snapprot_core *core, u32 count)
{
	return core->nr_free >= (u64)count + steps_for(count) +
				SNAPPROT_LOG_RECORD_BLOCKS +
				snapprot_space_reserve(core, count);
}

u32 snapprot_log_room(struct snapprot_core *core, u32 max)
{
	u32 high = table_room(core, max);
	u32 low = 0;

	if (core->read_only)
		return 0;
	if (space_for(core, high))
		return high;
	/* Between @low, which fits or is none, and @high, which does not. */
	while (high - low > 1) {
		u32 mid = low + (high - low) / 2;

		if (space_for(core, mid))
			low = mid;
		else
			high = mid;
	}
	return low;
}

bool snapprot_log_full(const struct snapprot_core *core)
{
	return core->active.count > SNAPPROT_LOG_HALF_ENTRIES / 2 ||
	       core->nr_headers > SNAPPROT_LOG_HALF_HEADERS / 2;
}

static bool headers_full(const struct snapprot_core *core)
{
	u32 headers = core->nr_headers + core->log_steps;
	u32 both = headers;

	if (core->frozen_valid)
		both += core->nr_frozen_headers;
	return headers >= SNAPPROT_LOG_HALF_HEADERS ||
	       both >= SNAPPROT_LOG_MAX_HEADERS;
}

int snapprot_log_reserve(struct snapprot_core *core, u32 count, u64 *places)
{
	u32 i;
	int err;

	if (core->read_only)
		return -EROFS;
	if (core->log_next)
		return -EBUSY;
	if (headers_full(core))
		return -ENOSPC;
	if (count) {
		if (count > table_room(core, SNAPPROT_LOG_ENTRIES) ||
		    !space_for(core, count))
			return -ENOSPC;
	} else if (core->log_steps) {
		return -EBUSY;
	} else if (core->nr_free <= snapprot_space_reserve(core, 0)) {
		return -ENOSPC;
	}

	for (i = 0; i < count; i++) {
		err = snapprot_space_take_data(core, &places[i]);
		if (err)
			return err == -ENOSPC ? -EBADMSG : err;
	}
	err = snapprot_space_take_data(core, &core->log_next);
	if (err)
		return err == -ENOSPC ? -EBADMSG : err;
	core->log_count = count;
	return 0;
}

static void encode_header(struct snapprot_core *core,
			  struct snapprot_disk_log *l, u32 type, u32 count,
			  u32 epoch)
{
	memset(l, 0, sizeof(*l));
	snapprot_block_init(l, SNAPPROT_MAGIC_LOG, core->log_block,
			    core->log_seq, core->uuid);
	l->type = cpu_to_le16(type);
	l->count = cpu_to_le16(count);
	l->epoch = cpu_to_le32(epoch);
	l->next = cpu_to_le64(core->log_next);
	l->durable_seq = cpu_to_le64(core->log_seq - core->log_steps - 1);
	l->prev_crc = cpu_to_le32(core->log_prev_crc);
}

void snapprot_log_encode_batch(struct snapprot_core *core, void *block,
			       const struct snapprot_entry *entries, u32 count)
{
	struct snapprot_disk_log *l = block;
	u32 i;

	encode_header(core, l, SNAPPROT_LOG_BATCH, count, core->epoch);
	for (i = 0; i < count; i++)
		snapprot_entry_encode(&l->entry[i], &entries[i]);
	snapprot_block_seal(l);
}

void snapprot_log_encode_record(struct snapprot_core *core, void *block,
				enum snapprot_log_type type,
				const struct snapprot_snap *snap)
{
	struct snapprot_disk_log *l = block;
	u32 epoch = type == SNAPPROT_LOG_CREATE ? snap->epoch : core->epoch;

	encode_header(core, l, type, 1, epoch);
	snapprot_snap_encode(&l->snap, snap);
	snapprot_block_seal(l);
}

/* ---- what a step does -------------------------------------------------- */

/* Rules of the entries of a batch, but for whether the places are free. */
static bool batch_ok(const struct snapprot_core *core,
		     const struct snapprot_disk_log *l)
{
	u32 count = le16_to_cpu(l->count);
	u32 i;

	for (i = 0; i < count; i++) {
		struct snapprot_entry e;

		snapprot_entry_decode(&e, &l->entry[i]);
		if (e.block >= core->origin_blocks || e.epoch != core->epoch ||
		    !snapprot_place_ok(core->blocks, e.place))
			return false;
	}
	return le32_to_cpu(l->epoch) == core->epoch;
}

/* Entries of a batch into memory; false if one is there already. */
static bool batch_apply(struct snapprot_core *core,
			const struct snapprot_disk_log *l)
{
	u32 count = le16_to_cpu(l->count);
	u32 i;

	for (i = 0; i < count; i++) {
		struct snapprot_entry e, old;

		snapprot_entry_decode(&e, &l->entry[i]);
		if (snapprot_memtable_find(&core->active, e.block, e.epoch,
					   &old) ||
		    snapprot_memtable_add(&core->active, &e))
			return false;
	}
	return true;
}

static bool record_apply(struct snapprot_core *core,
			 const struct snapprot_disk_log *l)
{
	u32 epoch = le32_to_cpu(l->epoch);
	struct snapprot_snap snap;

	snapprot_snap_decode(&snap, &l->snap);
	if (le16_to_cpu(l->type) == SNAPPROT_LOG_CREATE) {
		if (snap.epoch != epoch || epoch <= core->epoch ||
		    !snapprot_snap_add(core, &snap))
			return false;
		core->epoch = epoch;
		return true;
	}
	if (epoch != core->epoch || !snapprot_snap_remove(core, &snap))
		return false;
	snapprot_sweep_start(core);
	return true;
}

/* Take over a step. */
static bool step_apply(struct snapprot_core *core,
		       const struct snapprot_disk_log *l)
{
	if (core->nr_headers >= SNAPPROT_LOG_MAX_HEADERS)
		return false;
	if (le16_to_cpu(l->type) == SNAPPROT_LOG_BATCH) {
		if (!batch_ok(core, l) || !batch_apply(core, l))
			return false;
	} else if (!record_apply(core, l)) {
		return false;
	}
	core->headers[core->nr_headers++] = le64_to_cpu(l->h.block);
	return true;
}

/* Stand before the step after this one. */
static void step_pass(struct snapprot_core *core,
		      const struct snapprot_disk_log *l)
{
	core->log_block = le64_to_cpu(l->next);
	core->log_prev_crc = le32_to_cpu(l->h.crc);
	core->log_seq++;
}

static u32 step_entries(const struct snapprot_disk_log *l)
{
	if (le16_to_cpu(l->type) == SNAPPROT_LOG_BATCH)
		return le16_to_cpu(l->count);
	return 0;
}

int snapprot_log_advance(struct snapprot_core *core, const void *block)
{
	const struct snapprot_disk_log *l = block;

	if (!core->log_next || step_entries(l) != core->log_count ||
	    le64_to_cpu(l->next) != core->log_next ||
	    le64_to_cpu(l->h.block) != core->log_block ||
	    le64_to_cpu(l->h.seq) != core->log_seq)
		return -EINVAL;
	core->log_steps++;
	core->log_entries += core->log_count;
	core->log_next = 0;
	core->log_count = 0;
	step_pass(core, l);
	return 0;
}

int snapprot_log_commit(struct snapprot_core *core, const void *block)
{
	const struct snapprot_disk_log *l = block;
	int err;

	if (!core->log_steps) {
		err = snapprot_log_advance(core, block);
		if (err)
			return err;
	}
	if (le64_to_cpu(l->h.seq) != core->log_seq - core->log_steps)
		return -EINVAL;
	if (!step_apply(core, l))
		return -EINVAL;
	core->log_steps--;
	core->log_entries -= step_entries(l);
	return 0;
}

/* ---- replay ------------------------------------------------------------ */

/*
 * Is this the header that has to follow @prev_crc? If not, the log ends here,
 * which is no error.
 */
static bool header_follows(const struct snapprot_core *core,
			   const struct snapprot_disk_log *l, u64 place,
			   u64 seq, u32 prev_crc)
{
	return !snapprot_block_verify(l, SNAPPROT_MAGIC_LOG, place) &&
	       le64_to_cpu(l->h.seq) == seq &&
	       le32_to_cpu(l->prev_crc) == prev_crc &&
	       !memcmp(l->h.uuid, core->uuid, sizeof(core->uuid));
}

/* Did all of a step reach the disk? 1 yes, 0 no, or an error. */
static int step_complete(struct snapprot_core *core,
			 const struct snapprot_disk_log *l)
{
	/* Not in use by anybody until the log is replayed. */
	void *data = core->super_next;
	u32 count = le16_to_cpu(l->count);
	struct snapprot_env *env = core->env;
	u32 i;
	int err;

	if (le16_to_cpu(l->type) != SNAPPROT_LOG_BATCH)
		return 1;
	for (i = 0; i < count; i++) {
		u64 place = le64_to_cpu(l->entry[i].place);

		if (!snapprot_place_ok(core->blocks, place))
			return -EBADMSG;
		err = env->ops->read(env, place, 1, data);
		if (err)
			return err;
		if (snapprot_data_sum(data) != le32_to_cpu(l->entry[i].sum))
			return 0;
	}
	return 1;
}

/* Replay one step that counts; whatever is wrong with it is corruption. */
static int step_replay(struct snapprot_core *core,
		       const struct snapprot_disk_log *l)
{
	u32 i;
	int err;

	if (le64_to_cpu(l->durable_seq) >= core->log_seq)
		return -EBADMSG;
	if (le16_to_cpu(l->type) == SNAPPROT_LOG_BATCH) {
		for (i = 0; i < le16_to_cpu(l->count); i++) {
			u64 place = le64_to_cpu(l->entry[i].place);

			err = snapprot_space_mark(core, place);
			if (err)
				return err;
		}
	}
	err = snapprot_space_mark(core, le64_to_cpu(l->next));
	if (err)
		return err;
	if (!step_apply(core, l))
		return -EBADMSG;
	step_pass(core, l);
	return 0;
}

/* Is this a block of metadata, whole or not, of this volume? */
static bool is_metadata(const struct snapprot_core *core,
			const struct snapprot_disk_header *h)
{
	switch (le32_to_cpu(h->magic)) {
	case SNAPPROT_MAGIC_NODE:
	case SNAPPROT_MAGIC_BITMAP:
	case SNAPPROT_MAGIC_DIR:
	case SNAPPROT_MAGIC_SNAPS:
		return !memcmp(h->uuid, core->uuid, sizeof(core->uuid));
	}
	return false;
}

/* Blocks to look at behind the log; and with a checkpoint in the way. */
#define SEARCH_BLOCKS	256u
#define SEARCH_MAX	4096u

/*
 * The log seems to end. A step that was never finished is the usual reason,
 * but a header that was damaged later looks the same. It had successors then,
 * and those that were begun after it was durable say so. So look where the log
 * would have taken its blocks; such a header there proves damage.
 */
static int log_end(struct snapprot_core *core)
{
	struct snapprot_disk_log *l = core->scratch;
	u64 block = core->log_block;
	u32 looked = 0, all;

	for (all = 0; all < SEARCH_MAX && looked < SEARCH_BLOCKS; all++) {
		int more = snapprot_space_next_free(core, block + 1, &block);

		if (more <= 0)
			return more;
		/* What cannot be read is in use by nobody. */
		if (core->env->ops->read(core->env, block, 1, l))
			continue;
		if (!snapprot_block_verify(l, SNAPPROT_MAGIC_LOG, block) &&
		    !memcmp(l->h.uuid, core->uuid, sizeof(core->uuid)) &&
		    le64_to_cpu(l->h.seq) > core->log_seq &&
		    le64_to_cpu(l->durable_seq) >= core->log_seq)
			return -EBADMSG;
		/* A checkpoint that was not finished cut off a run there. */
		if (!is_metadata(core, &l->h))
			looked++;
	}
	return 0;
}

/*
 * Read the log that follows the superblock into memory. One header is looked
 * ahead, for it may vouch for the one before; where none does, the old blocks
 * have to speak for themselves.
 */
int snapprot_log_replay(struct snapprot_core *core)
{
	struct snapprot_disk_log *this = core->scratch;
	struct snapprot_disk_log *ahead = core->scratch + SNAPPROT_BLOCK_SIZE;
	struct snapprot_env *env = core->env;
	bool follows;
	int err;

	err = snapprot_space_mark(core, core->log_block);
	if (err)
		return err;
	err = env->ops->read(env, core->log_block, 1, this);
	if (err)
		return err;
	follows = header_follows(core, this, core->log_block, core->log_seq,
				 core->log_prev_crc);
	while (follows) {
		u64 next = le64_to_cpu(this->next);
		struct snapprot_disk_log *swap = this;

		if (!snapprot_place_ok(core->blocks, next))
			return -EBADMSG;
		err = env->ops->read(env, next, 1, ahead);
		if (err)
			return err;
		follows = header_follows(core, ahead, next, core->log_seq + 1,
					 le32_to_cpu(this->h.crc));
		if (!follows ||
		    le64_to_cpu(ahead->durable_seq) < core->log_seq) {
			err = step_complete(core, this);
			if (err < 0)
				return err;
			if (!err)
				break;
		}
		err = step_replay(core, this);
		if (err)
			return err;
		this = ahead;
		ahead = swap;
	}
	return log_end(core);
}
