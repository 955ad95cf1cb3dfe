// SPDX-License-Identifier: GPL-2.0-only
/*
 * One batch of old blocks on its way from the origin to the store; cow.c says
 * when, and what waits for it.
 *
 * All of it is the cow worker's, but for the checksums: whoever is free takes
 * the next piece, the worker while it would wait for a device, and a helper on
 * another processor. While the worker has nothing to do map() may begin a batch of
 * one block for it.
 *
 * Of the memory a part is always there, so that a batch, if a small one, needs
 * none. The rest is taken as it is needed, and given back when there has been
 * nothing to write for a while.
 */
#include <linux/slab.h>

#include "snapprot.h"

/* Where step @step of a batch begins, among its blocks. */
static unsigned int step_first(const struct snapprot_batch *b,
			       unsigned int step)
{
	return min(step * SNAPPROT_LOG_ENTRIES, b->count);
}

static unsigned int nr_steps(const struct snapprot_batch *b)
{
	return DIV_ROUND_UP(b->count, SNAPPROT_LOG_ENTRIES);
}

/* Read the old data of blocks [first, end). */
static struct snapprot_io_set *step_read(struct snapprot_volume *vol,
					 struct snapprot_batch *b,
					 unsigned int first, unsigned int end)
{
	struct snapprot_io_set *set = snapprot_io_set_new(&vol->origin_dev);
	unsigned int i, n;

	for (i = first; i < end; i += n) {
		n = 1;
		while (i + n < end &&
		       b->entry[i + n].block == b->entry[i].block + n)
			n++;
		snapprot_io_add(set, REQ_OP_READ, b->entry[i].block,
				b->data + i, n);
	}
	snapprot_io_close(set);
	return set;
}

/* ---- checksums --------------------------------------------------------- */

/* A step's are computed in pieces. */
#define SUM_BLOCKS	32u
#define STEP_PIECES	DIV_ROUND_UP(SNAPPROT_LOG_ENTRIES, SUM_BLOCKS)

static unsigned int step_pieces(const struct snapprot_batch *b,
				unsigned int step)
{
	return DIV_ROUND_UP(step_first(b, step + 1) - step_first(b, step),
			    SUM_BLOCKS);
}

/* Take a piece before @end that nobody else has; -1: there is none. */
static int sum_take(struct snapprot_batch *b, int end)
{
	int piece = atomic_read(&b->sum_next);

	do {
		if (piece >= min(end, b->sum_end))
			return -1;
	} while (!atomic_try_cmpxchg(&b->sum_next, &piece, piece + 1));
	return piece;
}

/* What could not be read has some checksum; nobody will use it. */
static void sum_piece(struct snapprot_batch *b, int piece)
{
	unsigned int step = piece / STEP_PIECES;
	unsigned int i = step_first(b, step) + piece % STEP_PIECES * SUM_BLOCKS;
	unsigned int end = min(i + SUM_BLOCKS, step_first(b, step + 1));

	for (; i < end; i++) {
		b->core[i].block = b->entry[i].block;
		b->core[i].sum = snapprot_data_sum(b->data[i]);
	}
	if (atomic_dec_and_test(&b->sum_left[step]))
		complete(&b->summed[step]);
}

static void sum_work(struct work_struct *work)
{
	struct snapprot_batch *b = container_of(work, struct snapprot_batch,
						sum_work);
	int piece;

	while ((piece = sum_take(b, b->sum_end)) >= 0) {
		snapprot_io_join(b->read[piece / STEP_PIECES]);
		sum_piece(b, piece);
	}
}

static void sum_start(struct snapprot_volume *vol, struct snapprot_batch *b)
{
	unsigned int i, steps = nr_steps(b);

	atomic_set(&b->sum_next, 0);
	for (i = 0; i < steps; i++) {
		atomic_set(&b->sum_left[i], step_pieces(b, i));
		reinit_completion(&b->summed[i]);
	}
	b->sum_end = (steps - 1) * STEP_PIECES + step_pieces(b, steps - 1);
	if (b->sum_end > 1 && num_online_cpus() > 1)
		queue_work(vol->sum_wq, &b->sum_work);
}

/* Of a step whose old data is here. */
static void step_sum(struct snapprot_batch *b, unsigned int step)
{
	int piece;

	while ((piece = sum_take(b, (step + 1) * STEP_PIECES)) >= 0)
		sum_piece(b, piece);
	wait_for_completion(&b->summed[step]);
}

/*
 * Something to do while @set is on its way: checksums of the next batch. The
 * block layer has works for this processor, with which @set goes on: let them.
 */
static void sum_meanwhile(struct snapprot_batch *b, struct snapprot_io_set *set)
{
	cond_resched();
	while (b && snapprot_io_pending(set)) {
		int piece = atomic_read(&b->sum_next);

		if (piece >= b->sum_end ||
		    snapprot_io_pending(b->read[piece / STEP_PIECES]))
			break;
		piece = sum_take(b, piece + 1);
		if (piece >= 0)
			sum_piece(b, piece);
		cond_resched();
	}
}

/* ---- reading ------------------------------------------------------------ */

/**
 * snapprot_batch_read() - begin to read the old data of a batch
 * @vol: the volume
 * @b: has some blocks
 */
void snapprot_batch_read(struct snapprot_volume *vol, struct snapprot_batch *b)
{
	struct blk_plug plug;
	unsigned int i;

	blk_start_plug(&plug);
	for (i = 0; i < nr_steps(b); i++)
		b->read[i] = step_read(vol, b, step_first(b, i),
				       step_first(b, i + 1));
	blk_finish_plug(&plug);
	sum_start(vol, b);
}

/**
 * snapprot_batch_read_nowait() - begin to read the old data of a batch of one block
 * @vol: the volume, whose worker is queued when it is here
 * @b: has the block
 *
 * Context: map(); waits for nothing. Return: false if there is no memory without
 * waiting, and nothing has begun.
 */
bool snapprot_batch_read_nowait(struct snapprot_volume *vol,
				struct snapprot_batch *b)
{
	b->read[0] = snapprot_io_read_nowait(&vol->origin_dev,
					     b->entry[0].block, b->data[0],
					     vol->cow_wq, &vol->cow_work);
	if (!b->read[0])
		return false;
	sum_start(vol, b);
	return true;
}

/* Nobody wants to know any more, but the memory is to be used again. */
static void read_end(struct snapprot_batch *b)
{
	unsigned int i;

	if (b->sum_end > 1)
		cancel_work_sync(&b->sum_work);
	for (i = 0; i < SNAPPROT_BATCH_STEPS; i++) {
		if (b->read[i])
			snapprot_io_wait(b->read[i]);
		b->read[i] = NULL;
	}
}

void snapprot_batch_give_up(struct snapprot_batch *b)
{
	read_end(b);
}

/* ---- writing ------------------------------------------------------------ */

/*
 * Find places for step @step, and write its header. The places begin at
 * index @at.
 */
static int step_make(struct snapprot_store *s, struct snapprot_batch *b,
		     unsigned int step, unsigned int at)
{
	unsigned int first = step_first(b, step);
	unsigned int count = step_first(b, step + 1) - first;
	void *header = b->header[step];
	unsigned int i;
	int err;

	b->place[at] = s->core.log_block;
	b->out[at++] = header;
	err = snapprot_log_reserve(&s->core, count, b->place + at);
	if (err)
		return err;
	for (i = first; i < first + count; i++, at++) {
		b->core[i].place = b->place[at];
		b->core[i].epoch = s->core.epoch;
		b->out[at] = b->data[i];
	}
	snapprot_log_encode_batch(&s->core, header, b->core + first, count);
	return snapprot_log_advance(&s->core, header);
}

/* Submit header and data of a step: @count blocks from index @at on. */
static void step_submit(struct snapprot_store *s, struct snapprot_batch *b,
			unsigned int at, unsigned int count)
{
	blk_opf_t opf = REQ_OP_WRITE | REQ_SYNC;
	unsigned int end = at + count, n;
	struct blk_plug plug;

	/*
	 * All of the batch in one request: the device makes it durable as it
	 * writes, or the block layer flushes after it. More than one would be
	 * flushed each.
	 */
	b->durable = nr_steps(b) == 1 &&
		b->place[end - 1] - b->place[at] == count - 1 &&
		snapprot_io_is_one(&s->dev, count);
	if (b->durable)
		opf |= REQ_FUA;
	blk_start_plug(&plug);
	for (; at < end; at += n) {
		n = 1;
		while (at + n < end && b->place[at + n] == b->place[at] + n)
			n++;
		snapprot_io_add(b->io, opf, b->place[at], b->out + at, n);
	}
	blk_finish_plug(&plug);
}

/* The old data of step @step is here: write it. */
static int step_write(struct snapprot_store *s, struct snapprot_batch *b,
		      unsigned int step)
{
	unsigned int first = step_first(b, step);
	unsigned int end = step_first(b, step + 1);
	unsigned int at = first + step;
	int err;

	step_sum(b, step);
	mutex_lock(&s->lock);
	err = snapprot_store_usable(s) ? step_make(s, b, step, at) : -EIO;
	mutex_unlock(&s->lock);
	if (err)
		return err;
	step_submit(s, b, at, end - first + 1);
	b->steps++;
	return 0;
}

/*
 * Take the log, with room in it for all of the batch; else -ENOSPC.
 *
 * A step preserves for the epoch in which it is written, which may be another one
 * than when its data was read. That is what the newest snapshot is to show unless
 * writes have passed in between, for then there was no snapshot, and this one is of
 * what they wrote: -EAGAIN. The log is held, so that no further one comes.
 */
static int batch_begin(struct snapprot_store *s, struct snapprot_batch *b)
{
	int err = 0;

	mutex_lock(&s->log);
	mutex_lock(&s->lock);
	if (!snapprot_store_usable(s))
		err = -EIO;
	else if (READ_ONCE(s->vol->passes) != b->passes)
		err = -EAGAIN;
	else if (snapprot_log_room(&s->core, b->count) < b->count)
		err = -ENOSPC;
	mutex_unlock(&s->lock);
	if (err)
		mutex_unlock(&s->log);
	return err;
}

static int write_steps(struct snapprot_store *s, struct snapprot_batch *b,
		       int *read_err)
{
	unsigned int i;
	int err;

	*read_err = snapprot_io_join(b->read[0]);
	if (*read_err)
		return *read_err;
	err = batch_begin(s, b);
	if (err)
		return err;
	b->started = ktime_get_ns();
	b->io = snapprot_io_set_new(&s->dev);
	for (i = 0; i < nr_steps(b); i++) {
		if (i)
			*read_err = snapprot_io_join(b->read[i]);
		if (*read_err)
			return 0;
		err = step_write(s, b, i);
		if (err)
			break;
	}
	if (!err)
		return 0;
	snapprot_io_wait(b->io);
	mutex_unlock(&s->log);
	/* There was room. */
	return err == -ENOSPC ? -ENOTRECOVERABLE : err;
}

/**
 * snapprot_batch_write() - write a batch, step by step as its old data comes in
 * @s: the store
 * @b: snapprot_batch_read() has begun
 * @read_err: why some of it could not be read, or 0; the batch is what was
 *	before that, and if that is nothing the same error is returned
 *
 * While one step is written the next one is being read.
 *
 * Return: 0, and store->log stays held until the caller has waited for it;
 * -ENOSPC or -EAGAIN, nothing has happened, see batch_begin(); or an error of the
 * store.
 */
int snapprot_batch_write(struct snapprot_store *s, struct snapprot_batch *b,
			 int *read_err)
{
	int err;

	b->steps = 0;
	err = write_steps(s, b, read_err);
	read_end(b);
	if (b->steps)
		snapprot_batch_cut(b, step_first(b, b->steps));
	return err;
}

/**
 * snapprot_batch_wait() - wait until a batch is durable
 * @s: the store
 * @b: snapprot_batch_write() has succeeded
 * @next: one that is being read, or NULL; its checksums pass the time
 *
 * Return: 0 or the error of the store.
 */
int snapprot_batch_wait(struct snapprot_store *s, struct snapprot_batch *b,
			struct snapprot_batch *next)
{
	int err;

	sum_meanwhile(next, b->io);
	err = snapprot_io_wait(b->io);
	if (err || b->durable)
		return err;
	b->io = snapprot_io_set_new(&s->dev);
	snapprot_io_flush(b->io);
	sum_meanwhile(next, b->io);
	return snapprot_io_wait(b->io);
}

/**
 * snapprot_batch_commit() - let the entries of a durable batch count
 * @vol: the volume
 * @s: the store, whose log is held
 * @b: the batch
 *
 * Afterwards its blocks may be overwritten.
 *
 * Return: 0 or the error of the core.
 */
int snapprot_batch_commit(struct snapprot_volume *vol, struct snapprot_store *s,
			  struct snapprot_batch *b)
{
	unsigned int i;
	int err = 0;

	mutex_lock(&s->lock);
	for (i = 0; !err && i < b->steps; i++)
		err = snapprot_log_commit(&s->core, b->header[i]);
	snapprot_store_publish(s);
	mutex_unlock(&s->lock);
	if (err)
		return err;

	/* Readers that looked before the commit are still at the origin. */
	for (i = 0; i < b->count; i++)
		snapprot_view_wait(vol, b->entry[i].block, b->entry[i].block);

	mutex_lock(&s->lock);
	for (i = 0; i < b->count; i++)
		snapprot_bits_set(vol->bits, b->entry[i].block);
	mutex_unlock(&s->lock);
	return 0;
}

/**
 * snapprot_batch_cut() - forget the blocks from a number on
 * @b: the batch
 * @first: the number
 */
void snapprot_batch_cut(struct snapprot_batch *b, unsigned int first)
{
	unsigned int i;

	for (i = first; i < b->count; i++)
		hash_del(&b->entry[i].node);
	b->count = first;
}

/* ---- memory ------------------------------------------------------------- */

/* Blocks of a run, which lie in a row: some pages, or one that has so many. */
#define RUN_BLOCKS	max(16u, SNAPPROT_BLOCKS_PER_PAGE)
#define RUN_ORDER	get_order(RUN_BLOCKS * SNAPPROT_BLOCK_SIZE)

static void block_free(void *data)
{
	put_page(virt_to_page(data));
}

/*
 * Take more memory: a run, if that is to be had for nothing, for it makes one segment
 * of a request; or else a page. Each block has a reference of its page.
 */
static bool batch_grow(struct snapprot_batch *b, gfp_t gfp)
{
	unsigned int left = SNAPPROT_BATCH_BLOCKS - b->nr_data;
	unsigned int n = RUN_BLOCKS;
	struct page *page = NULL;
	void *data;

	if (left >= n)
		page = alloc_pages((gfp & ~__GFP_RECLAIM) | __GFP_NOWARN,
				   RUN_ORDER);
	if (page) {
		split_page(page, RUN_ORDER);
	} else if (left) {
		n = min(left, SNAPPROT_BLOCKS_PER_PAGE);
		page = alloc_page(gfp);
	}
	if (!page)
		return false;
	for (data = page_address(page); n--; data += SNAPPROT_BLOCK_SIZE) {
		if (offset_in_page(data))
			get_page(virt_to_page(data));
		b->data[b->nr_data++] = data;
	}
	return true;
}

/**
 * snapprot_batch_has_room() - is there memory for one more block?
 * @b: the batch
 *
 * Context: allocates, but waits for nothing.
 */
bool snapprot_batch_has_room(struct snapprot_batch *b)
{
	return b->count < b->nr_data ||
	       batch_grow(b, GFP_NOWAIT | __GFP_NOWARN);
}

/**
 * snapprot_batch_trim() - give back what an empty batch has taken
 * @b: the batch
 * @keep: blocks for which it stays
 */
void snapprot_batch_trim(struct snapprot_batch *b, unsigned int keep)
{
	while (b->nr_data > keep)
		block_free(b->data[--b->nr_data]);
}

void snapprot_batch_free(struct snapprot_batch *b)
{
	unsigned int i;

	if (!b)
		return;
	snapprot_batch_trim(b, 0);
	for (i = 0; i < SNAPPROT_BATCH_STEPS; i++)
		if (b->header[i])
			block_free(b->header[i]);
	kvfree(b);
}

static bool batch_alloc(struct snapprot_batch *b)
{
	unsigned int i;

	for (i = 0; i < SNAPPROT_BATCH_STEPS; i++) {
		init_completion(&b->summed[i]);
		b->header[i] = (void *)__get_free_page(GFP_KERNEL);
		if (!b->header[i])
			return false;
	}
	while (b->nr_data < SNAPPROT_BATCH_RESERVE)
		if (!batch_grow(b, GFP_KERNEL))
			return false;
	return true;
}

/* NULL: no memory. */
struct snapprot_batch *snapprot_batch_new(void)
{
	struct snapprot_batch *b = kvzalloc(sizeof(*b), GFP_KERNEL);

	if (!b)
		return NULL;
	bio_list_init(&b->bios);
	INIT_WORK(&b->sum_work, sum_work);
	if (!batch_alloc(b)) {
		snapprot_batch_free(b);
		return NULL;
	}
	return b;
}
