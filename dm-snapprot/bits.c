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
			b->complete = false;
			return false;
		}
	}
	/* Who sees the bit sees what it promises; pairs with the test's. */
	smp_mb__before_atomic();
	set_bit(block & ((1ul << SNAPPROT_BITS_SHIFT) - 1), page);
	return true;
}
