// SPDX-License-Identifier: GPL-2.0-only
/*
 * Events: the dm event that `dmsetup wait` returns for, and a uevent that says
 * what it was.
 */
#include <linux/kobject.h>
#include <linux/slab.h>

#include "snapprot.h"

#define NR_ENV	9
#define ENV_LEN	176

static void send(struct snapprot_volume *vol, struct dm_target *ti,
		 const char *action)
{
	struct mapped_device *md = dm_table_get_md(ti->table);
	char (*env)[ENV_LEN] = kcalloc(NR_ENV, ENV_LEN, GFP_NOIO);
	char *envp[NR_ENV + 1];
	char *name, *uuid;
	unsigned int n = 0;

	dm_table_event(ti->table);
	name = kzalloc(DM_NAME_LEN + DM_UUID_LEN, GFP_NOIO);
	if (!env || !name)
		goto out;
	uuid = name + DM_NAME_LEN;
	if (dm_copy_name_and_uuid(md, name, uuid))
		goto out;
	snprintf(env[n++], ENV_LEN, "DM_TARGET=%s", ti->type->name);
	snprintf(env[n++], ENV_LEN, "DM_ACTION=SNAPPROT_%s", action);
	snprintf(env[n++], ENV_LEN, "DM_NAME=%s", name);
	snprintf(env[n++], ENV_LEN, "DM_UUID=%s", uuid);
	snprintf(env[n++], ENV_LEN, "DM_SNAPPROT_VOLUME=%s", vol->name);
	snprintf(env[n++], ENV_LEN, "DM_SNAPPROT_STATE=%s",
		 snapprot_state_name(vol->state));
	snprintf(env[n++], ENV_LEN, "DM_SNAPPROT_MODE=%s",
		 vol->protect ? "protect" : "normal");
	snprintf(env[n++], ENV_LEN, "DM_SNAPPROT_FAULT=%s",
		 snapprot_fault_name(vol->fault));
	envp[n] = NULL;
	while (n--)
		envp[n] = env[n];
	kobject_uevent_env(&disk_to_dev(dm_disk(md))->kobj, KOBJ_CHANGE, envp);
out:
	kfree(name);
	kfree(env);
}

/**
 * snapprot_event() - something changed on the live volume
 * @vol: the volume
 * @action: behind SNAPPROT_ in DM_ACTION
 *
 * Context: volume->mutex held, sleeps.
 */
void snapprot_event(struct snapprot_volume *vol, const char *action)
{
	lockdep_assert_held(&vol->mutex);
	if (vol->origin)
		send(vol, vol->origin->ti, action);
}

/**
 * snapprot_event_store() - something changed on the store
 * @vol: the volume
 * @action: behind SNAPPROT_ in DM_ACTION
 *
 * Context: volume->mutex held, sleeps.
 */
void snapprot_event_store(struct snapprot_volume *vol, const char *action)
{
	lockdep_assert_held(&vol->mutex);
	if (vol->store_target)
		send(vol, vol->store_target->ti, action);
}
