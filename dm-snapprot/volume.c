// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: the volume
 *
 * Origin, store and views are targets of their own, loaded in any order. They
 * meet here, by the volume's UUID. A target is the volume's from its first
 * resume ("claimed") until it is destroyed or another table of the same
 * device takes its place.
 *
 * What happens when they come and go is in arrival.c.
 */
#include <linux/slab.h>

#include "snapprot.h"

static LIST_HEAD(volumes);
static LIST_HEAD(devices);
static DEFINE_MUTEX(snapprot_registry_lock);

/* ---- devices that are taken --------------------------------------------- */

struct claimed_device {
	struct list_head list;
	struct mapped_device *md;
	dev_t dev;
	void *owner;
};

static int device_check(struct mapped_device *md, dev_t dev)
{
	struct claimed_device *c;

	list_for_each_entry(c, &devices, list)
		if (c->dev == dev && c->md != md)
			return -EBUSY;
	return 0;
}

int snapprot_device_check(struct mapped_device *md, dev_t dev)
{
	int err;

	mutex_lock(&snapprot_registry_lock);
	err = device_check(md, dev);
	mutex_unlock(&snapprot_registry_lock);
	return err;
}

/**
 * snapprot_device_claim() - a device serves one dm device, in one role
 * @md: the dm device
 * @dev: the device it takes
 * @owner: the target; a second claim of it is its first one
 *
 * Context: sleeps. Return: 0, -EBUSY another dm device has it, -ENOMEM.
 */
int snapprot_device_claim(struct mapped_device *md, dev_t dev, void *owner)
{
	struct claimed_device *c, *new;
	int err;

	new = kzalloc(sizeof(*new), GFP_NOIO);
	if (!new)
		return -ENOMEM;
	mutex_lock(&snapprot_registry_lock);
	err = device_check(md, dev);
	list_for_each_entry(c, &devices, list)
		if (c->dev == dev && c->owner == owner)
			goto out;
	if (err)
		goto out;
	new->md = md;
	new->dev = dev;
	new->owner = owner;
	list_add(&new->list, &devices);
	new = NULL;
out:
	mutex_unlock(&snapprot_registry_lock);
	kfree(new);
	return err;
}

void snapprot_device_release(void *owner)
{
	struct claimed_device *c, *next;

	mutex_lock(&snapprot_registry_lock);
	list_for_each_entry_safe(c, next, &devices, list)
		if (c->owner == owner) {
			list_del(&c->list);
			kfree(c);
		}
	mutex_unlock(&snapprot_registry_lock);
}

/* ---- life of a volume --------------------------------------------------- */

static void volume_free(struct snapprot_volume *vol)
{
	if (vol->fault_wq) {
		cancel_delayed_work_sync(&vol->grace_work);
		cancel_delayed_work_sync(&vol->grow_work);
	}
	if (vol->cow_wq) {
		flush_work(&vol->cow_work);
		cancel_delayed_work_sync(&vol->trim_work);
		destroy_workqueue(vol->cow_wq);
	}
	if (vol->sum_wq)
		destroy_workqueue(vol->sum_wq);
	if (vol->view_wq)
		destroy_workqueue(vol->view_wq);
	if (vol->ckpt_wq)
		destroy_workqueue(vol->ckpt_wq);
	if (vol->fault_wq)
		destroy_workqueue(vol->fault_wq);
	snapprot_cow_exit(vol);
	snapprot_pools_exit(&vol->pools);
	if (vol->label_page)
		put_page(vol->label_page);
	kfree(vol->label);
	kfree(vol);
}

static int volume_init(struct snapprot_volume *vol)
{
	const unsigned int flags = WQ_MEM_RECLAIM;
	int err;

	kref_init(&vol->ref);
	mutex_init(&vol->admin);
	mutex_init(&vol->mutex);
	init_rwsem(&vol->store_sem);
	spin_lock_init(&vol->lock);
	vol->state = SNAPPROT_NOSTORE;
	vol->grace = SNAPPROT_GRACE_DEFAULT;
	vol->grow_timeout = SNAPPROT_GROW_TIMEOUT_DEFAULT;
	INIT_WORK(&vol->fault_work, snapprot_fault_work);
	INIT_WORK(&vol->full_work, snapprot_full_work);
	INIT_DELAYED_WORK(&vol->grace_work, snapprot_grace_work);
	INIT_DELAYED_WORK(&vol->grow_work, snapprot_grow_work);
	snapprot_view_init(vol);
	err = snapprot_pools_init(&vol->pools);
	if (!err)
		err = snapprot_cow_init(vol);
	if (err)
		return err;
	vol->label = kzalloc(sizeof(*vol->label), GFP_KERNEL);
	vol->label_page = alloc_page(GFP_KERNEL);
	/* On the processor of the writer, who is about to wait for it. */
	vol->cow_wq = alloc_workqueue("snapprot_cow", flags | WQ_PERCPU |
				      WQ_CPU_INTENSIVE, 0);
	vol->sum_wq = alloc_workqueue("snapprot_sum", flags | WQ_UNBOUND, 0);
	vol->view_wq = alloc_ordered_workqueue("snapprot_view", flags);
	vol->ckpt_wq = alloc_ordered_workqueue("snapprot_ckpt", flags);
	vol->fault_wq = alloc_ordered_workqueue("snapprot_fault", flags);
	if (!vol->label || !vol->label_page || !vol->cow_wq ||
	    !vol->sum_wq || !vol->view_wq || !vol->ckpt_wq || !vol->fault_wq)
		return -ENOMEM;
	return 0;
}

static struct snapprot_volume *volume_find(const u8 *uuid)
{
	struct snapprot_volume *vol;

	list_for_each_entry(vol, &volumes, list)
		if (!memcmp(vol->uuid, uuid, sizeof(vol->uuid))) {
			kref_get(&vol->ref);
			return vol;
		}
	return NULL;
}

/**
 * snapprot_volume_get() - the volume with this UUID, made if there is none
 * @uuid: 16 bytes
 *
 * Context: sleeps. Return: a reference, or NULL without memory.
 */
struct snapprot_volume *snapprot_volume_get(const u8 *uuid)
{
	struct snapprot_volume *vol;

	mutex_lock(&snapprot_registry_lock);
	vol = volume_find(uuid);
	if (vol)
		goto out;
	vol = kzalloc(sizeof(*vol), GFP_KERNEL);
	if (!vol)
		goto out;
	memcpy(vol->uuid, uuid, sizeof(vol->uuid));
	snapprot_uuid_format(uuid, vol->name);
	if (volume_init(vol)) {
		volume_free(vol);
		vol = NULL;
		goto out;
	}
	list_add(&vol->list, &volumes);
out:
	mutex_unlock(&snapprot_registry_lock);
	return vol;
}

static void volume_release(struct kref *ref)
{
	struct snapprot_volume *vol = container_of(ref, struct snapprot_volume,
						   ref);

	list_del(&vol->list);
	mutex_unlock(&snapprot_registry_lock);
	volume_free(vol);
}

void snapprot_volume_put(struct snapprot_volume *vol)
{
	kref_put_mutex(&vol->ref, volume_release, &snapprot_registry_lock);
}

/* ---- state -------------------------------------------------------------- */

void snapprot_volume_set_state(struct snapprot_volume *vol,
			       enum snapprot_state state)
{
	lockdep_assert_held(&vol->mutex);
	spin_lock_irq(&vol->lock);
	vol->state = state;
	spin_unlock_irq(&vol->lock);
}

void snapprot_volume_set_gate(struct snapprot_volume *vol)
{
	static const enum snapprot_gate gates[SNAPPROT_NR_STATES] = {
		[SNAPPROT_ACTIVE]	= SNAPPROT_GATE_COW,
		[SNAPPROT_WAITING]	= SNAPPROT_GATE_HOLD,
		[SNAPPROT_NOSTORE]	= SNAPPROT_GATE_PASS,
		[SNAPPROT_BLOCKED]	= SNAPPROT_GATE_FAIL,
	};
	enum snapprot_gate gate;

	lockdep_assert_held(&vol->mutex);
	gate = gates[vol->state];
	if (gate == SNAPPROT_GATE_COW && !vol->nr_valid)
		gate = SNAPPROT_GATE_PASS;
	spin_lock_irq(&vol->lock);
	if (gate == SNAPPROT_GATE_PASS) {
		/*
		 * After why it is opened, before any write passes: what is read
		 * of the origin from before on may be what such a write has
		 * written. Pairs with view_epoch().
		 */
		smp_store_release(&vol->passes, vol->passes + 1);
	}
	WRITE_ONCE(vol->gate, gate);
	spin_unlock_irq(&vol->lock);
}

void snapprot_volume_kick(struct snapprot_volume *vol)
{
	snapprot_cow_kick(vol);
	snapprot_view_kick(vol);
}

void snapprot_volume_count(struct snapprot_volume *vol)
{
	struct snapprot_store *s = vol->store;
	u32 valid, all;

	mutex_lock(&s->lock);
	valid = snapprot_snaps_valid(&s->core);
	all = s->core.nr_snaps;
	mutex_unlock(&s->lock);
	spin_lock_irq(&vol->lock);
	vol->nr_valid = valid;
	vol->nr_lost = all - valid;
	spin_unlock_irq(&vol->lock);
}
