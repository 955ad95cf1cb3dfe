// SPDX-License-Identifier: GPL-2.0-only
/*
 * The log: a chain of headers, each with the old blocks that it lists.
 *
 * A header says where the next one will be, so that place is taken before the
 * header is written. The superblock says where the first one is. Its number, the
 * sum of the header before it and its own, keyed sum tell a header from whatever
 * else may lie at its place.
 *
 * A step counts when its header and its old blocks are durable, and all steps
 * before it count (F4). The writer may have several on their way, which one flush
 * makes durable; none of their writes has gone to the origin before it (F5). Each
 * header says up to which step that was known as it was made, and for what lies
 * behind it replay reads the old blocks too. The first of them that is not whole
 * ends the log.
 *
 * Where the log ends it must be told whether a step is missing that had counted
 * (F6). Its successor says so, if it can be found: all blocks that were taken
 * before the missing step counted lie in zones that a step before it names, and
 * the place of its successor is one of those. So both zones are searched.
 */
#include "internal.h"

/* What a zone has that is made for records only, when there is no more space. */
#define FEW_BLOCKS	4u
/* And so many headers may be waiting for a checkpoint then. */
#define FEW_HEADERS	16u

/* ---- zones ------------------------------------------------------------- */

static u32 zone_left(const struct snapprot_core *core, u32 i)
{
	const struct snapprot_zone *z = &core->log.zone[i];

	return z->serial <= core->log.anchor ? z->count - z->used : 0;
}

static u32 zones_left(const struct snapprot_core *core)
{
	return zone_left(core, 0) + zone_left(core, 1);
}

/* Blocks that batches leave to records and seals. */
u32 snapprot_log_records(const struct snapprot_core *core)
{
	return (u32)snapprot_min(core->tune.zone / 4, 64);
}

/* The first zone is used up: the second one comes after it. */
static void zones_move(struct snapprot_log *log)
{
	struct snapprot_zone swap = log->zone[0];

	log->zone[0] = log->zone[1];
	log->zone[1] = swap;
	log->zone[1].count = 0;
	log->zone[1].used = 0;
	memset(&log->zone[1].range, 0, sizeof(log->zone[1].range));
}

/* Take the next block, of which there is one. */
static u64 zone_take(struct snapprot_core *core)
{
	struct snapprot_zone *z = &core->log.zone[0];

	if (z->used == z->count)
		zones_move(&core->log);
	return z->place[z->used++];
}

/* Blocks that a new zone may have. */
static u32 zone_want(const struct snapprot_core *core)
{
	const struct snapprot_log *log = &core->log;
	u64 reserve = snapprot_space_reserve(core);
	u64 avail = snapprot_space_avail(core);

	if (avail > reserve + FEW_BLOCKS)
		return (u32)snapprot_min(core->tune.zone, avail - reserve);
	/* A record is always possible: a checkpoint gives its block back. */
	if (zones_left(core) < 2 &&
	    log->nr_headers + log->nr_frozen < FEW_HEADERS)
		return (u32)snapprot_min(FEW_BLOCKS, avail);
	return 0;
}

/*
 * Is the second zone, which was made when there was little space, in the way of
 * one that is large enough for batches? Nothing of it has been used, and nothing
 * will be looked for there that is not in the first one.
 */
static bool zone_too_small(const struct snapprot_core *core, u32 want)
{
	const struct snapprot_log *log = &core->log;
	u32 left = log->zone[0].count - log->zone[0].used + log->zone[1].count;
	u32 records = snapprot_log_records(core);

	return !log->next && !log->steps && left <= records + 2 &&
	       want > records + 2 && want > 2 * log->zone[1].count;
}

int snapprot_log_refill(struct snapprot_core *core)
{
	struct snapprot_log *log = &core->log;
	struct snapprot_zone *z = &log->zone[1];
	u32 want, n;
	int err;

	if (core->read_only)
		return -EROFS;
	/* While a step is made its next header has to be in the first zone. */
	if (z->count && !log->next && log->zone[0].used == log->zone[0].count)
		zones_move(log);
	want = zone_want(core);
	if (z->count && !zone_too_small(core, want))
		return 0;
	if (!want)
		return -ENOSPC;
	while (z->count)
		snapprot_space_unkeep(core, z->place[--z->count]);
	memset(&z->range, 0, sizeof(z->range));
	err = snapprot_space_gather(core, want, 2 * snapprot_log_records(core),
				    z->place, &n);
	if (err)
		return err;
	z->count = n;
	z->used = 0;
	z->range.start = z->place[0];
	z->range.end = z->place[n - 1] + 1;
	z->serial = ++log->serial;
	return 0;
}

bool snapprot_log_wants_seal(const struct snapprot_core *core)
{
	const struct snapprot_log *log = &core->log;

	return !log->steps && !log->next && log->zone[1].count &&
	       log->zone[1].serial > log->anchor &&
	       zones_left(core) <= snapprot_log_records(core) + 1;
}

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
	const struct snapprot_log *log = &core->log;
	u32 headers = log->nr_headers + log->steps;
	u32 count = log->nr_entries + log->entries;
	u32 both = count + log->nr_frozen_entries;
	u32 table = core->fill.count + log->entries;
	u32 table_max = core->tune.table + SNAPPROT_LOG_MAX_ENTRIES;

	if (count >= SNAPPROT_LOG_HALF_ENTRIES || headers >= max_headers ||
	    both >= SNAPPROT_LOG_MAX_ENTRIES || table >= table_max)
		return 0;
	max = (u32)snapprot_min(max, SNAPPROT_LOG_HALF_ENTRIES - count);
	max = (u32)snapprot_min(max, (u64)(max_headers - headers) *
				     SNAPPROT_LOG_ENTRIES);
	max = (u32)snapprot_min(max, SNAPPROT_LOG_MAX_ENTRIES - both);
	return (u32)snapprot_min(max, table_max - table);
}

u32 snapprot_log_room(const struct snapprot_core *core, u32 max)
{
	u32 left = zones_left(core), records = snapprot_log_records(core);
	u32 room;

	if (core->read_only || left <= records)
		return 0;
	left -= records;
	/* A header for each step, and its own place. */
	room = left - steps_for(left);
	while (room && room + steps_for(room) > left)
		room--;
	return table_room(core, (u32)snapprot_min(max, room));
}

bool snapprot_log_full(const struct snapprot_core *core)
{
	return core->log.nr_entries >= core->tune.freeze ||
	       core->log.nr_headers >= SNAPPROT_LOG_HALF_HEADERS / 2;
}

static bool headers_full(const struct snapprot_core *core)
{
	u32 headers = core->log.nr_headers + core->log.steps;

	return headers >= SNAPPROT_LOG_HALF_HEADERS ||
	       headers + core->log.nr_frozen >= SNAPPROT_LOG_MAX_HEADERS;
}

int snapprot_log_reserve(struct snapprot_core *core, u32 count, u64 *places)
{
	struct snapprot_log *log = &core->log;
	u32 i;
	int err;

	if (core->read_only)
		return -EROFS;
	if (log->next)
		return -EBUSY;
	if (headers_full(core))
		return -ENOSPC;
	if (count) {
		if (count > SNAPPROT_LOG_ENTRIES ||
		    count > snapprot_log_room(core, count))
			return -ENOSPC;
		err = snapprot_pairs_reserve(&core->fill.pairs, core->env,
					     count);
		if (err)
			return err;
	} else if (log->steps) {
		return -EBUSY;
	} else if (zones_left(core) < 2 &&
		   !(zones_left(core) && snapprot_log_wants_seal(core))) {
		return -ENOSPC;
	}
	for (i = 0; i < count; i++)
		places[i] = zone_take(core);
	log->next = zone_take(core);
	log->count = count;
	/* The sooner it is named, the sooner it may be used. */
	err = snapprot_log_refill(core);
	return err == -EAGAIN || err == -ENOSPC ? 0 : err;
}

static void encode_header(struct snapprot_core *core,
			  struct snapprot_disk_log *l, u32 type, u32 count,
			  u32 epoch)
{
	const struct snapprot_log *log = &core->log;
	u32 i;

	memset(l, 0, sizeof(*l));
	snapprot_block_init(l, SNAPPROT_MAGIC_LOG, log->block, log->seq,
			    core->uuid);
	l->type = cpu_to_le16(type);
	l->count = cpu_to_le16(count);
	l->epoch = cpu_to_le32(epoch);
	l->next = cpu_to_le64(log->next);
	l->durable_seq = cpu_to_le64(log->seq - log->steps - 1);
	l->prev_sum = cpu_to_le64(log->prev_sum);
	l->generation = cpu_to_le64(core->generation);
	for (i = 0; i < 2; i++) {
		l->zone[i].start = cpu_to_le64(log->zone[i].range.start);
		l->zone[i].end = cpu_to_le64(log->zone[i].range.end);
	}
}

static void seal_header(struct snapprot_core *core, struct snapprot_disk_log *l)
{
	l->h.sum = cpu_to_le64(snapprot_block_sum(&core->env->key, l,
						  SNAPPROT_MAGIC_LOG,
						  le64_to_cpu(l->h.block)));
}

void snapprot_log_encode_batch(struct snapprot_core *core, void *block,
			       const struct snapprot_entry *entries, u32 count)
{
	struct snapprot_disk_log *l = block;
	u32 i;

	encode_header(core, l, SNAPPROT_LOG_BATCH, count, core->epoch);
	for (i = 0; i < count; i++)
		snapprot_entry_encode(&l->entry[i], &entries[i]);
	seal_header(core, l);
}

void snapprot_log_encode_record(struct snapprot_core *core, void *block,
				enum snapprot_log_type type,
				const struct snapprot_snap *snap)
{
	struct snapprot_disk_log *l = block;
	u32 epoch = type == SNAPPROT_LOG_CREATE ? snap->epoch : core->epoch;

	encode_header(core, l, type, 1, epoch);
	snapprot_snap_encode(&l->snap, snap);
	seal_header(core, l);
}

void snapprot_log_encode_seal(struct snapprot_core *core, void *block)
{
	encode_header(core, block, SNAPPROT_LOG_SEAL, 0, core->epoch);
	seal_header(core, block);
}

/* ---- what a step does -------------------------------------------------- */

static u32 step_entries(const struct snapprot_disk_log *l)
{
	if (le16_to_cpu(l->type) == SNAPPROT_LOG_BATCH)
		return le16_to_cpu(l->count);
	return 0;
}

/* Rules of an entry of a batch, but for whether its place is free. */
static bool entry_ok(const struct snapprot_core *core,
		     const struct snapprot_entry *e)
{
	if (e->block >= core->origin_blocks || e->epoch != core->epoch)
		return false;
	switch (snapprot_entry_kind(e)) {
	case SNAPPROT_KIND_DATA:
		return snapprot_place_ok(core->space.blocks,
					 snapprot_entry_place(e));
	case SNAPPROT_KIND_ZERO:
		return !snapprot_entry_place(e) && !e->sum;
	}
	return false;
}

static bool batch_apply(struct snapprot_core *core,
			const struct snapprot_disk_log *l)
{
	u32 i, count = step_entries(l);
	struct snapprot_entry e;

	if (le32_to_cpu(l->epoch) != core->epoch)
		return false;
	for (i = 0; i < count; i++) {
		snapprot_entry_decode(&e, &l->entry[i]);
		if (!entry_ok(core, &e))
			return false;
	}
	for (i = 0; i < count; i++) {
		bool needed;

		/* What no snapshot needs now none will need: nothing is kept of it. */
		snapprot_entry_decode(&e, &l->entry[i]);
		needed = snapprot_entry_needed(core,
					       snapprot_table_prev(&core->fill,
								   e.block,
								   e.epoch),
					       e.epoch);
		if (!snapprot_table_add(&core->fill, &e, needed))
			return false;
	}
	core->log.nr_entries += count;
	core->admitted += count;
	return true;
}

static bool record_apply(struct snapprot_core *core,
			 const struct snapprot_disk_log *l)
{
	u32 epoch = le32_to_cpu(l->epoch);
	struct snapprot_snap snap;

	if (!snapprot_snap_ok(&l->snap))
		return false;
	snapprot_snap_decode(&snap, &l->snap);
	if (le16_to_cpu(l->type) == SNAPPROT_LOG_CREATE) {
		if (snap.epoch != epoch || epoch <= core->epoch ||
		    !snapprot_snap_add(core, &snap))
			return false;
		core->epoch = epoch;
		return true;
	}
	if (epoch != core->epoch)
		return false;
	if (le16_to_cpu(l->type) == SNAPPROT_LOG_SET)
		return snapprot_snap_set(core, &snap);
	if (!snapprot_snap_remove(core, &snap))
		return false;
	snapprot_sweep_start(core);
	return true;
}

/* Take over a step. */
static bool step_apply(struct snapprot_core *core,
		       const struct snapprot_disk_log *l)
{
	struct snapprot_log *log = &core->log;
	u32 type = le16_to_cpu(l->type);
	bool ok = true;

	if (log->nr_headers >= SNAPPROT_LOG_MAX_HEADERS)
		return false;
	switch (type) {
	case SNAPPROT_LOG_BATCH:
		ok = batch_apply(core, l);
		break;
	case SNAPPROT_LOG_CREATE:
	case SNAPPROT_LOG_DELETE:
	case SNAPPROT_LOG_SET:
		ok = record_apply(core, l);
		break;
	default:
		ok = le32_to_cpu(l->epoch) == core->epoch;
	}
	log->sealed = type == SNAPPROT_LOG_SEAL;
	log->headers[log->nr_headers++] = le64_to_cpu(l->h.block);
	return ok;
}

/* Stand before the step after this one. */
static void step_pass(struct snapprot_core *core,
		      const struct snapprot_disk_log *l)
{
	core->log.block = le64_to_cpu(l->next);
	core->log.prev_sum = le64_to_cpu(l->h.sum);
	core->log.seq++;
}

int snapprot_log_advance(struct snapprot_core *core, const void *block)
{
	const struct snapprot_disk_log *l = block;
	struct snapprot_log *log = &core->log;

	if (!log->next || step_entries(l) != log->count ||
	    le64_to_cpu(l->next) != log->next ||
	    le64_to_cpu(l->h.block) != log->block ||
	    le64_to_cpu(l->h.seq) != log->seq)
		return -EINVAL;
	log->steps++;
	log->entries += log->count;
	log->next = 0;
	log->count = 0;
	step_pass(core, l);
	return 0;
}

/* The zones that a step names may be used from now on, as it counts. */
static void anchor_move(struct snapprot_core *core,
			const struct snapprot_disk_log *l)
{
	struct snapprot_log *log = &core->log;
	u32 i;

	for (i = 0; i < 2; i++) {
		const struct snapprot_zone *z = &log->zone[i];
		bool named = le64_to_cpu(l->zone[0].start) == z->range.start ||
			     le64_to_cpu(l->zone[1].start) == z->range.start;

		if (z->count && named && z->serial > log->anchor)
			log->anchor = z->serial;
	}
}

int snapprot_log_commit(struct snapprot_core *core, const void *block)
{
	const struct snapprot_disk_log *l = block;
	struct snapprot_log *log = &core->log;
	int err;

	if (!log->steps) {
		err = snapprot_log_advance(core, block);
		if (err)
			return err;
	}
	if (le64_to_cpu(l->h.seq) != log->seq - log->steps)
		return -EINVAL;
	if (!step_apply(core, l))
		return -EINVAL;
	log->steps--;
	log->entries -= step_entries(l);
	anchor_move(core, l);
	return 0;
}

/* The last step that is known to be durable. */
u64 snapprot_log_durable(const struct snapprot_core *core)
{
	return core->log.seq - core->log.steps - 1;
}

/* ---- replay ------------------------------------------------------------ */

/* Of an older generation at a number that this one has begun anew? */
static bool is_stale(const struct snapprot_core *core,
		     const struct snapprot_disk_log *l)
{
	const struct snapprot_disk_super *s = core->super;

	if (le64_to_cpu(l->h.seq) >= le64_to_cpu(s->generation_seq))
		return l->generation != s->generation;
	return le64_to_cpu(l->generation) >= le64_to_cpu(s->generation);
}

/*
 * Is this the header that has to follow? 1, or 0 if the log ends here, or an error
 * if it is the header and breaks a rule. One that was dropped after a crash may lie
 * where another one was written since, which the device has lost: it has the number,
 * the place and the predecessor, and is told by its generation.
 */
static int header_follows(const struct snapprot_core *core,
			  const struct snapprot_disk_log *l, u64 place,
			  u64 seq, u64 prev_sum)
{
	const siphash_key_t *key = &core->env->key;

	if (!snapprot_log_is_ours(key, l, place) ||
	    le64_to_cpu(l->h.seq) != seq ||
	    le64_to_cpu(l->prev_sum) != prev_sum || is_stale(core, l))
		return 0;
	if (snapprot_block_verify(key, l, SNAPPROT_MAGIC_LOG, place, 0) ||
	    memcmp(l->h.uuid, core->uuid, sizeof(core->uuid)))
		return -EBADMSG;
	return 1;
}

/* Did all of a step reach the disk? 1 yes, 0 no, or an error. */
static int step_complete(struct snapprot_core *core,
			 const struct snapprot_disk_log *l, void *data)
{
	const u32 max = SNAPPROT_SCRATCH - 3;
	struct snapprot_env *env = core->env;
	u32 count = step_entries(l), i, j, n;
	int err;

	for (i = 0; i < count; i += n) {
		struct snapprot_entry e;
		u64 place;

		n = 1;
		snapprot_entry_decode(&e, &l->entry[i]);
		if (!entry_ok(core, &e))
			return -EBADMSG;
		if (snapprot_entry_kind(&e) != SNAPPROT_KIND_DATA)
			continue;
		place = snapprot_entry_place(&e);
		while (i + n < count && n < max &&
		       place + n < core->space.blocks &&
		       le64_to_cpu(l->entry[i + n].where) == place + n)
			n++;
		err = env->ops->read(env, place, n, data);
		if (err)
			return err;
		for (j = 0; j < n; j++)
			if (snapprot_data_sum(core, data +
					      j * SNAPPROT_BLOCK_SIZE) !=
			    le32_to_cpu(l->entry[i + j].sum))
				return 0;
	}
	return 1;
}

static int mark_step(struct snapprot_core *core,
		     const struct snapprot_disk_log *l)
{
	u32 i;
	int err;

	for (i = 0; i < step_entries(l); i++) {
		struct snapprot_entry e;

		snapprot_entry_decode(&e, &l->entry[i]);
		if (snapprot_entry_kind(&e) != SNAPPROT_KIND_DATA)
			continue;
		err = snapprot_space_mark(core, snapprot_entry_place(&e));
		if (err)
			return err;
	}
	return snapprot_space_mark(core, le64_to_cpu(l->next));
}

static void zone_name(struct snapprot_core *core,
		      const struct snapprot_disk_range *range)
{
	u32 i;

	for (i = 0; i < 2; i++) {
		core->log.zone[i].range.start = le64_to_cpu(range[i].start);
		core->log.zone[i].range.end = le64_to_cpu(range[i].end);
	}
}

/* Replay one step that counts; whatever is wrong with it is corruption. */
static int step_replay(struct snapprot_core *core,
		       const struct snapprot_disk_log *l)
{
	u32 type = le16_to_cpu(l->type);
	int err;

	if (le64_to_cpu(l->durable_seq) >= core->log.seq)
		return -EBADMSG;
	if (type > SNAPPROT_LOG_SEAL && !(type & SNAPPROT_LOG_IGNORABLE))
		return -EPROTONOSUPPORT;
	err = snapprot_pairs_reserve(&core->fill.pairs, core->env,
				     SNAPPROT_LOG_ENTRIES);
	if (!err)
		err = mark_step(core, l);
	if (err)
		return err;
	if (core->log.nr_entries + step_entries(l) > SNAPPROT_LOG_MAX_ENTRIES)
		return -EBADMSG;
	if (!step_apply(core, l))
		return -EBADMSG;
	step_pass(core, l);
	zone_name(core, l->zone);
	return 0;
}

/* Is this block a word that the step that is missing had counted? */
static bool is_evidence(const struct snapprot_core *core,
			const struct snapprot_disk_log *l, u64 place)
{
	return snapprot_log_is_ours(&core->env->key, l, place) &&
	       le64_to_cpu(l->h.seq) > core->log.seq &&
	       le64_to_cpu(l->durable_seq) >= core->log.seq;
}

static int search_places(struct snapprot_core *core, const u64 *place,
			 u32 count)
{
	struct snapprot_env *env = core->env;
	u32 i, j, n;

	for (i = 0; i < count; i += n) {
		n = 1;
		while (i + n < count && n < SNAPPROT_SCRATCH &&
		       place[i + n] == place[i] + n)
			n++;
		/* What cannot be read is looked at alone. */
		if (env->ops->read(env, place[i], n, core->scratch)) {
			if (n == 1)
				continue;
			n = 1;
			if (env->ops->read(env, place[i], 1, core->scratch))
				continue;
		}
		for (j = 0; j < n; j++)
			if (is_evidence(core, core->scratch +
					j * SNAPPROT_BLOCK_SIZE, place[i + j]))
				return -EBADMSG;
	}
	return 0;
}

/*
 * All of a zone: its own blocks, and if there are more free ones in its range now,
 * those too, for nobody knows any more which were its own.
 */
static int search_zone(struct snapprot_core *core,
		       const struct snapprot_zone *z)
{
	u64 *more = core->log.frozen;
	u32 i, n = SNAPPROT_LOG_MAX_HEADERS;
	u64 from;
	int err;

	err = search_places(core, z->place, z->count);
	if (!z->count)
		return err;
	/* Those that are kept already are not found again. */
	from = z->place[z->count - 1] + 1;
	while (!err && n == SNAPPROT_LOG_MAX_HEADERS) {
		err = snapprot_space_in_range(core, &z->range, from, n, more,
					      &n);
		if (err)
			break;
		err = search_places(core, more, n);
		for (i = 0; i < n; i++)
			snapprot_space_unkeep(core, more[i]);
		if (n)
			from = more[n - 1] + 1;
	}
	return err;
}

/* Have the zones again as they were when the last step was made. */
static int zones_open(struct snapprot_core *core)
{
	struct snapprot_log *log = &core->log;
	u32 i;
	int err;

	for (i = 0; i < 2; i++) {
		struct snapprot_zone *z = &log->zone[i];
		u64 from = 0;

		/* Or the first one was used up with the place of the header. */
		if (!i && log->block >= z->range.start &&
		    log->block < z->range.end)
			from = log->block + 1;
		if (z->range.start > z->range.end ||
		    z->range.end > core->space.blocks)
			return -EBADMSG;
		err = snapprot_space_in_range(core, &z->range, from,
					      SNAPPROT_ZONE_BLOCKS, z->place,
					      &z->count);
		if (err)
			return err;
		z->used = 0;
		z->serial = ++log->serial;
	}
	log->anchor = log->serial;
	return 0;
}

/* The log ends here: is a step missing that had counted? */
static int log_end(struct snapprot_core *core)
{
	u32 i;
	int err;

	err = zones_open(core);
	for (i = 0; !err && i < 2; i++)
		err = search_zone(core, &core->log.zone[i]);
	if (!err && snapprot_log_durable(core) <
		    le64_to_cpu(core->super->fence_seq))
		err = -EBADMSG;
	return err;
}

/*
 * What lies at the place of the next header. A block that cannot be read is the
 * end if the last step is a seal: nothing is written behind one that is not proved
 * soon.
 */
static int header_read(struct snapprot_core *core, u64 place, bool sealed,
		       struct snapprot_disk_log *l)
{
	struct snapprot_env *env = core->env;
	int err;

	if (!snapprot_place_ok(core->space.blocks, place))
		return -EBADMSG;
	err = env->ops->read(env, place, 1, l);
	if (!err || !sealed || err == -ENOMEM)
		return err;
	memset(l, 0, sizeof(*l));
	return 0;
}

/**
 * snapprot_log_replay() - read the log that follows the superblock into memory
 * @core: the store, with everything that the checkpoint has
 *
 * One header is looked ahead, for it may vouch for the one before; where none
 * does, the old blocks have to speak for themselves.
 *
 * Return: 0, or an error.
 */
int snapprot_log_replay(struct snapprot_core *core)
{
	struct snapprot_disk_log *this = core->scratch;
	struct snapprot_disk_log *ahead = core->scratch + SNAPPROT_BLOCK_SIZE;
	void *data = core->scratch + 2 * SNAPPROT_BLOCK_SIZE;
	struct snapprot_log *log = &core->log;
	int follows, err;

	zone_name(core, core->super->zone);
	/* Nothing since the checkpoint: as good as behind a seal. */
	log->sealed = true;
	err = snapprot_space_mark(core, log->block);
	if (!err)
		err = header_read(core, log->block, true, this);
	if (err)
		return err;
	follows = header_follows(core, this, log->block, log->seq,
				 log->prev_sum);
	while (follows > 0) {
		struct snapprot_disk_log *swap = this;
		bool seal = le16_to_cpu(this->type) == SNAPPROT_LOG_SEAL;

		err = header_read(core, le64_to_cpu(this->next), seal, ahead);
		if (err)
			return err;
		follows = header_follows(core, ahead, le64_to_cpu(this->next),
					 log->seq + 1,
					 le64_to_cpu(this->h.sum));
		if (follows < 0)
			break;
		if (!follows || le64_to_cpu(ahead->durable_seq) < log->seq) {
			err = step_complete(core, this, data);
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
	return follows < 0 ? follows : log_end(core);
}

void snapprot_log_exit(struct snapprot_core *core)
{
	struct snapprot_env *env = core->env;

	env->ops->free(env, core->log.headers);
	env->ops->free(env, core->log.frozen);
	env->ops->free(env, core->log.zone[0].place);
	env->ops->free(env, core->log.zone[1].place);
}
