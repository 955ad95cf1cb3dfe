// SPDX-License-Identifier: GPL-2.0-only
/*
 * A new store, made of what is known to be right of an old one.
 *
 * It lives through what the old one did: snapshots are taken, and after each the
 * blocks are preserved that it needs, by the core's own log, checkpoints and merges.
 * Until the superblocks are released the device holds no store, so an interrupted
 * run leaves nothing that could be believed, and nothing needs to be durable before.
 */
#include "../dm-snapprot/core/internal.h"
#include "rebuild.h"

#define STEP_ENTRIES	1024u
/* The log may have to wait for a seal, a merge and some checkpoints. */
#define MAX_TRIES	16u

/* ---- checkpoints ---------------------------------------------------------- */

static int checkpoint(struct rebuild *rb)
{
	struct snapprot_core *core = &rb->core;
	int more, err;

	err = snapprot_ckpt_freeze(core);
	/* Too many parts: they have to be merged first. */
	while (err == -EBUSY && snapprot_merge_due(core)) {
		more = snapprot_merge_step(core, STEP_ENTRIES);
		if (more < 0)
			return more;
		err = snapprot_ckpt_freeze(core);
	}
	if (err)
		return err;
	do {
		more = snapprot_ckpt_step(core, STEP_ENTRIES);
	} while (more > 0);
	err = more;
	if (!err)
		err = snapprot_ckpt_prepare(core);
	if (!err)
		err = snapprot_ckpt_write(core);
	if (!err)
		err = snapprot_ckpt_finish(core);
	return err;
}

/* Until nothing is due; what a merge frees it may need itself. */
static int merge(struct rebuild *rb)
{
	u32 waited = 0;
	int err = 0;

	while (err >= 0 && snapprot_merge_due(&rb->core)) {
		err = snapprot_merge_step(&rb->core, STEP_ENTRIES);
		if (err == -ENOSPC && waited++ < 3)
			err = checkpoint(rb);
	}
	return err < 0 ? err : 0;
}

/* ---- the log ----------------------------------------------------------------- */

/*
 * A header with a number that the store has not reached would be evidence of a step
 * that is missing, and is wiped in the end.
 */
static int note_excess(struct rebuild *rb, u64 place)
{
	u64 *excess;

	if (rb->nr_excess == rb->max_excess) {
		rb->max_excess = rb->max_excess * 2 + 64;
		excess = realloc(rb->excess, rb->max_excess * sizeof(*excess));
		if (!excess)
			return -ENOMEM;
		rb->excess = excess;
	}
	rb->excess[rb->nr_excess++] = place;
	return 0;
}

static int wipe_excess(struct rebuild *rb)
{
	static const u8 zeroes[SNAPPROT_BLOCK_SIZE];
	u8 block[SNAPPROT_BLOCK_SIZE];
	u32 i;
	int err = 0;

	for (i = 0; i < rb->nr_excess && !err; i++) {
		u64 place = rb->excess[i];

		err = device_read(rb->se.dev, place << SNAPPROT_BLOCK_SHIFT,
				  block, sizeof(block));
		/* Or somebody has it again by now. */
		if (!err && snapprot_log_is_ours(&rb->se.env.key,
						 (const void *)block, place))
			err = device_write(rb->se.dev,
					   place << SNAPPROT_BLOCK_SHIFT,
					   zeroes, sizeof(zeroes));
	}
	return err;
}

static int write_header(struct rebuild *rb, const void *header)
{
	const struct snapprot_disk_log *l = header;
	int err = 0;

	if (le64_to_cpu(l->h.seq) >= rb->plan->log_seq)
		err = note_excess(rb, le64_to_cpu(l->h.block));
	return err ? err :
	       device_write(rb->se.dev,
			    le64_to_cpu(l->h.block) << SNAPPROT_BLOCK_SHIFT,
			    header, SNAPPROT_BLOCK_SIZE);
}

static int write_record(struct rebuild *rb, enum snapprot_log_type type,
			const struct snapprot_snap *snap)
{
	u8 header[SNAPPROT_BLOCK_SIZE];
	int err;

	err = snapprot_log_reserve(&rb->core, 0, NULL);
	if (err)
		return err;
	if (snap)
		snapprot_log_encode_record(&rb->core, header, type, snap);
	else
		snapprot_log_encode_seal(&rb->core, header);
	err = write_header(rb, header);
	return err ? err : snapprot_log_commit(&rb->core, header);
}

/* Have room for @count entries, or as many as there ever is. */
static int make_room(struct rebuild *rb, u32 *count)
{
	struct snapprot_core *core = &rb->core;
	u32 room, tries;
	int err;

	for (tries = 0; tries < MAX_TRIES; tries++) {
		err = snapprot_log_full(core) ? checkpoint(rb) : 0;
		if (!err)
			err = merge(rb);
		if (!err)
			err = snapprot_log_refill(core);
		if (err && err != -ENOSPC)
			return err;
		room = snapprot_log_room(core, *count);
		/* A piece is enough, but rather a large one. */
		if (room == *count || (room && tries > MAX_TRIES / 2)) {
			*count = room;
			return 0;
		}
		err = snapprot_log_wants_seal(core) ?
		      write_record(rb, SNAPPROT_LOG_SEAL, NULL) :
		      checkpoint(rb);
		if (err && err != -ENOSPC)
			return err;
	}
	return -ENOSPC;
}

static int write_data(struct rebuild *rb, const u64 *places, const u8 *data,
		      u32 count)
{
	u32 i, n;
	int err = 0;

	for (i = 0; i < count && !err; i += n) {
		n = 1;
		while (i + n < count && places[i + n] == places[i] + n)
			n++;
		err = device_write(rb->se.dev,
				   places[i] << SNAPPROT_BLOCK_SHIFT,
				   data + (size_t)i * SNAPPROT_BLOCK_SIZE,
				   (size_t)n << SNAPPROT_BLOCK_SHIFT);
	}
	return err;
}

static int write_batch(struct rebuild *rb, struct snapprot_entry *e,
		       const u8 *data, u32 count)
{
	u64 places[SNAPPROT_LOG_ENTRIES];
	u8 header[SNAPPROT_BLOCK_SIZE];
	u32 i;
	int err;

	err = snapprot_log_reserve(&rb->core, count, places);
	if (err)
		return err;
	for (i = 0; i < count; i++)
		e[i].where = SNAPPROT_WHERE(SNAPPROT_KIND_DATA, places[i]);
	snapprot_log_encode_batch(&rb->core, header, e, count);
	err = write_data(rb, places, data, count);
	if (!err)
		err = write_header(rb, header);
	return err ? err : snapprot_log_commit(&rb->core, header);
}

static int flush(struct rebuild *rb)
{
	u32 done = 0, count;
	int err = 0;

	while (done < rb->count && !err) {
		count = rb->count - done;
		err = make_room(rb, &count);
		if (!err)
			err = write_batch(rb, rb->entry + done, rb->data +
					  (size_t)done * SNAPPROT_BLOCK_SIZE,
					  count);
		done += count;
	}
	rb->count = 0;
	return err;
}

/* ---- the whole --------------------------------------------------------------- */

int rebuild_begin(struct rebuild *rb, const struct device *dev,
		  const struct rebuild_plan *plan)
{
	const struct snapprot_disk_super *s = plan->super;
	const struct snapprot_format f = {
		.uuid = s->h.uuid,
		.secret = s->secret,
		.store_id = s->store_id,
		.origin_sectors = le64_to_cpu(s->origin_sectors),
		.blocks = device_blocks(dev),
		.time = le64_to_cpu(s->create_time),
		.flags = le32_to_cpu(s->flags),
		.role = le32_to_cpu(s->role),
	};
	struct snapprot_env *env = &rb->se.env;
	int err;

	memset(rb, 0, sizeof(*rb));
	rb->plan = plan;
	err = store_env_init(&rb->se, dev, ENV_WRITE | ENV_HOLD_SUPERS);
	if (err)
		return err;
	rb->data = env->ops->alloc(env, SNAPPROT_LOG_ENTRIES *
					SNAPPROT_BLOCK_SIZE);
	if (!rb->data)
		return -ENOMEM;
	err = snapprot_store_format(env, &f);
	return err ? err : snapprot_store_load(&rb->core, env,
					       device_blocks(dev), NULL);
}

int rebuild_add_snap(struct rebuild *rb, const struct snapprot_snap *snap)
{
	u32 room = 1;
	int err;

	err = flush(rb);
	if (!err)
		err = make_room(rb, &room);
	return err ? err : write_record(rb, SNAPPROT_LOG_CREATE, snap);
}

int rebuild_add(struct rebuild *rb, u64 block, const void *data)
{
	int err = rb->count == SNAPPROT_LOG_ENTRIES ? flush(rb) : 0;

	if (err)
		return err;
	rb->entry[rb->count] = (struct snapprot_entry){
		.block = block,
		.epoch = rb->core.epoch,
		.sum = snapprot_data_sum(&rb->core, data),
	};
	memcpy(rb->data + (size_t)rb->count * SNAPPROT_BLOCK_SIZE, data,
	       SNAPPROT_BLOCK_SIZE);
	rb->count++;
	rb->copied++;
	return 0;
}

/* The store is at rest, no step of the log is needed: so its numbers can be any. */
static void set_numbers(struct rebuild *rb)
{
	const struct rebuild_plan *plan = rb->plan;
	u32 i;

	for (i = 0; i < SNAPPROT_COPIES; i++) {
		u32 copy = snapprot_pair_of(plan->super_seq) ^ i;
		struct snapprot_disk_super *s = rb->se.held[copy];
		u64 seq = plan->super_seq;

		/* All are the last one: the others describe what is no more. */
		memcpy(s, rb->core.super, sizeof(*s));
		s->h.seq = cpu_to_le64(i > 1 && seq > 1 ? seq - 1 : seq);
		s->h.block = cpu_to_le64(snapprot_super_place(copy));
		s->generation = plan->super->generation;
		s->generation_seq = cpu_to_le64(plan->log_seq);
		s->fence_seq = cpu_to_le64(plan->log_seq - 1);
		s->log_seq = cpu_to_le64(plan->log_seq);
		s->ckpt_seq = cpu_to_le64(plan->ckpt_seq);
		snapprot_super_seal(s);
	}
}

static void ignore_problem(void *ctx, u64 block, const char *what)
{
	(void)ctx;
	(void)block;
	(void)what;
}

/* From the device, not from memory. */
static int read_back(struct rebuild *rb)
{
	static const struct snapprot_check_ops ops = {
		.problem = ignore_problem,
	};
	int err;

	snapprot_store_exit(&rb->core);
	store_env_drop(&rb->se);
	err = snapprot_store_load(&rb->core, &rb->se.env,
				  device_blocks(rb->se.dev), NULL);
	if (!err)
		err = snapprot_store_check(&rb->core, true, &ops, NULL);
	return err > 0 ? -EBADMSG : err;
}

int rebuild_end(struct rebuild *rb)
{
	const struct rebuild_plan *plan = rb->plan;
	int err;

	err = flush(rb);
	if (!err)
		err = merge(rb);
	/* What a log would have made of it; the checkpoint records it. */
	rb->core.epoch = plan->epoch;
	if (!err)
		err = checkpoint(rb);
	if (!err)
		err = snapprot_store_update(&rb->core, rb->core.generation,
					    rb->core.flags, plan->lost_epoch,
					    plan->lost_fault);
	/* Another one, for which the log has nothing. */
	if (!err)
		err = checkpoint(rb);
	if (!err) {
		set_numbers(rb);
		err = wipe_excess(rb);
	}
	if (!err)
		err = read_back(rb);
	if (!err)
		err = store_env_release(&rb->se);
	rebuild_cancel(rb);
	return err;
}

void rebuild_cancel(struct rebuild *rb)
{
	snapprot_store_exit(&rb->core);
	if (rb->data)
		rb->se.env.ops->free(&rb->se.env, rb->data);
	rb->data = NULL;
	free(rb->excess);
	rb->excess = NULL;
	store_env_exit(&rb->se);
}
