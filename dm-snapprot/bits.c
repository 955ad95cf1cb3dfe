// SPDX-License-Identifier: GPL-2.0-only
/*
 * "Is this block preserved already?" - one bit a block that was touched.
 *
 * Read in map() by every write, on any CPU, with no lock: the object changes
 * only while no write is in flight, and a page that was once put in stays.
 */
#include <linux/slab.h>

#include "snapprot.h"

struct snapprot_bits *snapprot_bits_new(bool complete)
{
	struct snapprot_bits *b = kzalloc(sizeof(*b), GFP_NOIO);

	if (!b)
		return NULL;
	xa_init(&b->pages);
	b->complete = complete;
	return b;
}

void snapprot_bits_free(struct snapprot_bits *b)
{
	unsigned long index;
	void *page;

	if (!b)
		return;
	xa_for_each(&b->pages, index, page) {
		free_page((unsigned long)page);
		cond_resched();
	}
	xa_destroy(&b->pages);
	kfree(b);
}

/*
 * The worker may be looking at the old object, without a lock; so it is the
 * one that frees it, at the start of its next round.
 */
void snapprot_bits_retire(struct snapprot_volume *vol, struct snapprot_bits *b)
{
	if (!b)
		return;
	spin_lock_irq(&vol->lock);
	b->next = vol->old_bits;
	vol->old_bits = b;
	spin_unlock_irq(&vol->lock);
	snapprot_cow_kick(vol);
}

/*
 * Nothing is known any more. In place, as map() may be looking: who sees a bit that
 * is being cleared sees what was true until now. Nobody sets any meanwhile.
 */
void snapprot_bits_clear(struct snapprot_bits *b)
{
	unsigned long index;
	void *page;

	WRITE_ONCE(b->complete, false);
	b->cleared++;
	xa_for_each(&b->pages, index, page)
		memset(page, 0, PAGE_SIZE);
}

bool snapprot_bits_test(struct snapprot_bits *b, u64 first, u64 last)
{
	unsigned long index = ~0ul;
	unsigned long *page = NULL;
	u64 block;

	for (block = first; block <= last; block++) {
		if (index != block >> SNAPPROT_BITS_SHIFT) {
			index = block >> SNAPPROT_BITS_SHIFT;
			page = xa_load(&b->pages, index);
			if (!page)
				return false;
		}
		if (!test_bit(block & ((1ul << SNAPPROT_BITS_SHIFT) - 1),
			      page))
			return false;
	}
	/* What the bits promise was done before they were set. */
	smp_rmb();
	return true;
}

bool snapprot_bits_set(struct snapprot_bits *b, u64 block)
{
	unsigned long index = block >> SNAPPROT_BITS_SHIFT;
	unsigned long *page = xa_load(&b->pages, index);

	if (!page) {
		page = (void *)get_zeroed_page(SNAPPROT_GFP_RESERVES);
		if (!page || xa_err(xa_store(&b->pages, index, page,
					     SNAPPROT_GFP_RESERVES))) {
			free_page((unsigned long)page);
			WRITE_ONCE(b->complete, false);
			return false;
		}
	}
	/* Who sees the bit sees what it promises; pairs with the test's. */
	smp_mb__before_atomic();
	set_bit(block & ((1ul << SNAPPROT_BITS_SHIFT) - 1), page);
	return true;
}

/* ---- rebuilding ---------------------------------------------------------- */

/*
 * After the store was opened no bit is set, and what the index has must be asked for
 * with every write. So the index is gone through in the background, and when all of
 * it has been seen the bits are complete. The same after the newest snapshot was
 * deleted, for then what the one before it needs is what counts.
 *
 * A bit says that a write may go at once. So it is not set before reads of the
 * origin have ended that looked the block up before it was preserved. What has left
 * the newest table is older than that: a checkpoint waits for the batch.
 */

static bool rebuild_begin(struct snapprot_store *s)
{
	struct snapprot_rebuild *r = &s->rebuild;
	u32 newest = snapprot_snaps_newest(&s->core);

	if (s->vol->bits->complete || !newest)
		return false;
	if (r->bits == s->vol->bits && r->cleared == r->bits->cleared &&
	    r->newest == newest)
		return !r->ended;
	memset(r, 0, sizeof(*r));
	r->bits = s->vol->bits;
	r->cleared = r->bits->cleared;
	r->newest = newest;
	r->scan.min_epoch = newest;
	return true;
}

/* Under store->lock, as is all that looks at what is rebuilt. */
static int rebuild_entry(void *ctx, const struct snapprot_entry *e)
{
	struct snapprot_rebuild *r = ctx;

	if (e->epoch < r->newest)
		return 0;
	if (!r->young)
		r->failed |= !snapprot_bits_set(r->bits, e->block);
	else if (r->count < ARRAY_SIZE(r->block))
		r->block[r->count++] = e->block;
	else
		r->failed = true;
	return 0;
}

/* Set the bits of the newest entries, when nobody reads what they have replaced. */
static void rebuild_young(struct snapprot_store *s)
{
	struct snapprot_rebuild *r = &s->rebuild;
	unsigned int i;

	for (i = 0; i < r->count; i++)
		snapprot_view_wait(s->vol, r->block[i], r->block[i]);
	mutex_lock(&s->lock);
	for (i = 0; i < r->count && r->bits == s->vol->bits; i++)
		r->failed |= !snapprot_bits_set(r->bits, r->block[i]);
	mutex_unlock(&s->lock);
}

/**
 * snapprot_bits_rebuild() - a piece of finding out what is preserved
 * @s: the store, of which the volume's bits are
 *
 * Context: one caller at a time, the checkpoint's worker. Return: 1 more, 0 there is
 * nothing to be done, or an error.
 */
int snapprot_bits_rebuild(struct snapprot_store *s)
{
	struct snapprot_rebuild *r = &s->rebuild;
	int ret;

	do {
		mutex_lock(&s->lock);
		ret = 0;
		if (rebuild_begin(s)) {
			r->young = !r->scan.phase;
			r->count = 0;
			ret = snapprot_scan_step(&s->core, &r->scan,
						 rebuild_entry, r);
			r->ended = !ret;
			if (r->ended && !r->failed)
				WRITE_ONCE(r->bits->complete, true);
		}
		mutex_unlock(&s->lock);
	} while (snapprot_cache_again(s, &ret));
	if (ret > 0 && r->young)
		rebuild_young(s);
	return ret;
}
