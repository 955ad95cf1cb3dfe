// SPDX-License-Identifier: GPL-2.0-only
/*
 * A new store, made of what is known to be right of an old one.
 *
 * Entries go through the core's own memory table and checkpoints, like those
 * of the log, but with the epochs that they have; no log is written. Until the
 * superblocks are released the device holds no store, so an interrupted run
 * leaves nothing that could be believed.
 */
#include "../dm-snapprot/core/internal.h"
#include "rebuild.h"

#define BUFFER_BLOCKS	256u
#define STEP_ENTRIES	1024u

/* ---- old data ----------------------------------------------------------- */

static int flush_data(struct rebuild *rb)
{
	int err;

	if (!rb->count)
		return 0;
	err = device_write(rb->se.dev, rb->start << SNAPPROT_BLOCK_SHIFT,
			   rb->buffer,
			   (size_t)rb->count << SNAPPROT_BLOCK_SHIFT);
	rb->count = 0;
	return err;
}

static int write_data(struct rebuild *rb, u64 place, const void *data)
{
	int err = 0;

	if (rb->count == BUFFER_BLOCKS || place != rb->start + rb->count)
		err = flush_data(rb);
	if (err)
		return err;
	if (!rb->count)
		rb->start = place;
	memcpy(rb->buffer + ((size_t)rb->count++ << SNAPPROT_BLOCK_SHIFT),
	       data, SNAPPROT_BLOCK_SIZE);
	return 0;
}

/* ---- checkpoints ---------------------------------------------------------- */

/* Its commit makes the old data durable as well as the metadata. */
static int checkpoint(struct rebuild *rb)
{
	struct snapprot_core *core = &rb->core;
	int more, err;

	err = flush_data(rb);
	if (!err)
		err = snapprot_ckpt_freeze(core);
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

static int make_room(struct rebuild *rb)
{
	int err;

	if (!snapprot_log_full(&rb->core) && snapprot_log_room(&rb->core, 1))
		return 0;
	err = checkpoint(rb);
	if (err)
		return err;
	return snapprot_log_room(&rb->core, 1) ? 0 : -ENOSPC;
}

/* ---- the whole --------------------------------------------------------------- */

int rebuild_begin(struct rebuild *rb, const struct device *dev,
		  const struct snapprot_disk_super *super, u32 epoch,
		  u32 lost_epoch, u32 lost_fault)
{
	/* Whatever is to be swept is not copied, so that flag is not kept. */
	u32 flags = le32_to_cpu(super->flags) &
		    (SNAPPROT_SUPER_PROTECTED | SNAPPROT_SUPER_UNLABELLED);
	struct snapprot_env *env = &rb->se.env;
	int err;

	memset(rb, 0, sizeof(*rb));
	err = store_env_init(&rb->se, dev, ENV_WRITE | ENV_HOLD_SUPERS);
	if (err)
		return err;
	rb->buffer = env->ops->alloc(env, BUFFER_BLOCKS * SNAPPROT_BLOCK_SIZE);
	if (!rb->buffer)
		return -ENOMEM;
	err = snapprot_store_format(env, super->h.uuid,
				    le64_to_cpu(super->origin_sectors),
				    device_blocks(dev),
				    le64_to_cpu(super->create_time), flags);
	if (!err)
		err = snapprot_store_load(&rb->core, env, device_blocks(dev));
	if (err)
		return err;
	/* What a log would have made of it; the first checkpoint records it. */
	rb->core.epoch = epoch;
	return snapprot_store_update(&rb->core, le64_to_cpu(super->generation),
				     flags, lost_epoch, lost_fault);
}

int rebuild_add_snap(struct rebuild *rb, const struct snapprot_snap *snap)
{
	return snapprot_snap_add(&rb->core, snap) ? 0 : -EINVAL;
}

int rebuild_add(struct rebuild *rb, const struct snapprot_entry *e,
		const void *data)
{
	struct snapprot_entry copy = *e;
	int err;

	err = make_room(rb);
	if (!err)
		err = snapprot_space_take_data(&rb->core, &copy.place);
	if (!err)
		err = write_data(rb, copy.place, data);
	if (!err)
		err = snapprot_memtable_add(&rb->core.active, &copy);
	if (!err)
		rb->copied++;
	return err;
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
				  device_blocks(rb->se.dev));
	if (!err)
		err = snapprot_store_check(&rb->core, true, &ops, NULL);
	return err > 0 ? -EBADMSG : err;
}

int rebuild_end(struct rebuild *rb)
{
	int err;

	err = checkpoint(rb);
	/* A second one brings the bitmaps home; the store begins at rest. */
	if (!err)
		err = checkpoint(rb);
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
	if (rb->buffer)
		rb->se.env.ops->free(&rb->se.env, rb->buffer);
	rb->buffer = NULL;
	store_env_exit(&rb->se);
}
