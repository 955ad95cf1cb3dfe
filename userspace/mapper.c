// SPDX-License-Identifier: GPL-2.0-only
/*
 * Device-mapper: the devices of volumes as they are loaded, and what is done to
 * them.
 *
 * A volume's devices are known by their targets, so that those are found as well
 * that somebody has loaded by hand.
 */
#include <dirent.h>
#include <errno.h>
#include <libdevmapper.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "mapper.h"

/* ---- tasks ---------------------------------------------------------------- */

static struct dm_task *new_task(int type, const char *name)
{
	struct dm_task *task = dm_task_create(type);

	if (task && name && !dm_task_set_name(task, name)) {
		dm_task_destroy(task);
		return NULL;
	}
	return task;
}

static int run_task(struct dm_task *task)
{
	int err;

	if (dm_task_run(task))
		return 0;
	err = dm_task_get_errno(task);
	return err ? -err : -EIO;
}

/* One that changes what udev shows: done when its rules have run. */
static int run_with_cookie(struct dm_task *task, uint16_t flags)
{
	uint32_t cookie = 0;
	int err;

	if (!dm_task_set_cookie(task, &cookie, flags))
		return -EIO;
	err = run_task(task);
	dm_udev_wait(cookie);
	return err;
}

static int run_simple(struct dm_task *task)
{
	int err = task ? run_task(task) : -EINVAL;

	if (task)
		dm_task_destroy(task);
	return err;
}

/* ---- looking at a device -------------------------------------------------- */

static const struct {
	const char *target;
	enum mapper_kind kind;
} kinds[] = {
	{ "snapprot",		MAPPER_LIVE },
	{ "snapprot-store",	MAPPER_STORE },
	{ "snapprot-snap",	MAPPER_VIEW },
	{ "snapshot",		MAPPER_OVERLAY },
};

static bool kind_of(const char *target, const char *uuid,
		    enum mapper_kind *kind)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (strcmp(kinds[i].target, target))
			continue;
		*kind = kinds[i].kind;
		/* Other people's snapshots are none of ours. */
		return *kind != MAPPER_OVERLAY ||
		       !strncmp(uuid, MAPPER_PREFIX, strlen(MAPPER_PREFIX));
	}
	return false;
}

/* The word after the first one, or the first one. */
static int take_uuid(const char *text, char *uuid)
{
	return sscanf(text, "%36s", uuid) == 1 && strlen(uuid) == 36 ?
	       0 : -EINVAL;
}

static int parse_overlay(struct mapper_dev *dev)
{
	const char *p = dev->uuid + strlen(MAPPER_PREFIX);
	const char *role = "-" MAPPER_ROLE_OVERLAY;

	if (take_uuid(p, dev->volume) ||
	    strncmp(p + 36, role, strlen(role)))
		return -EINVAL;
	return snap_id_parse(p + 36 + strlen(role), &dev->id);
}

static int parse_device(struct mapper_dev *dev, const char *status)
{
	const char *word = strchr(dev->table, ' ');
	int err = -EINVAL;

	switch (dev->kind) {
	case MAPPER_LIVE:
		/* The device's own name may not have a blank: it is a number. */
		if (word && !take_uuid(word, dev->volume))
			err = live_status_parse(status, &dev->live);
		break;
	case MAPPER_STORE:
		err = store_status_parse(status, &dev->store);
		memcpy(dev->volume, dev->store.volume, sizeof(dev->volume));
		break;
	case MAPPER_VIEW:
		if (!take_uuid(dev->table, dev->volume))
			err = view_status_parse(status, &dev->view);
		dev->id = dev->view.id;
		break;
	case MAPPER_OVERLAY:
		err = parse_overlay(dev);
		break;
	}
	return err;
}

/* The only target of a device, by status or by table; NULL if it is not ours. */
static struct dm_task *ask(int type, const char *name, struct mapper_dev *dev,
			   const char **params)
{
	struct dm_task *task = new_task(type, name);
	char *target = NULL, *text = NULL;
	const char *uuid;
	struct dm_info info;
	uint64_t start;

	if (!task)
		return NULL;
	if (!dm_task_no_flush(task) || !dm_task_no_open_count(task) ||
	    !dm_task_run(task) || !dm_task_get_info(task, &info) ||
	    !info.exists)
		goto none;
	dm_get_next_target(task, NULL, &start, &dev->sectors, &target, &text);
	uuid = dm_task_get_uuid(task);
	if (!target || start || !kind_of(target, uuid ? uuid : "", &dev->kind))
		goto none;
	*params = text;
	return task;
none:
	dm_task_destroy(task);
	return NULL;
}

static int fill_device(struct dm_task *task, struct mapper_dev *dev,
		       const char *status)
{
	char *name = dm_task_get_name_unmangled(task);
	const char *uuid = dm_task_get_uuid(task);
	struct dm_info info;

	if (name)
		dev->name = strdup(name);
	dm_free(name);
	dev->uuid = strdup(uuid ? uuid : "");
	if (!dev->name || !dev->uuid || !dev->table)
		return -ENOMEM;
	if (!dm_task_get_info(task, &info))
		return -EIO;
	dev->major = info.major;
	dev->minor = info.minor;
	dev->event_nr = info.event_nr;
	dev->suspended = info.suspended;
	return parse_device(dev, status);
}

static void free_device(struct mapper_dev *dev)
{
	free(dev->name);
	free(dev->uuid);
	free(dev->table);
}

/* dm_task_no_open_count() above saves time with the others' devices. */
void mapper_count_openers(struct mapper_dev *dev)
{
	struct dm_task *task = new_task(DM_DEVICE_INFO, dev->name);
	struct dm_info info;

	if (task && dm_task_run(task) && dm_task_get_info(task, &info) &&
	    info.exists)
		dev->open_count = info.open_count;
	if (task)
		dm_task_destroy(task);
}

/* 1 one of ours, 0 not, or gone meanwhile; or an error. */
static int look_at(const char *name, struct mapper_dev *dev)
{
	struct dm_task *table, *status;
	const char *params;
	int err;

	memset(dev, 0, sizeof(*dev));
	table = ask(DM_DEVICE_TABLE, name, dev, &params);
	if (!table)
		return 0;
	dev->table = strdup(params);
	dm_task_destroy(table);
	status = ask(DM_DEVICE_STATUS, name, dev, &params);
	err = status ? fill_device(status, dev, params) : -ENXIO;
	if (status)
		dm_task_destroy(status);
	if (err) {
		free_device(dev);
		return err == -ENXIO ? 0 : err;
	}
	mapper_count_openers(dev);
	return 1;
}

/* ---- the scan ------------------------------------------------------------- */

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct mapper_dev *)a)->name,
		      ((const struct mapper_dev *)b)->name);
}

static int scan_names(struct mapper_scan *scan, struct dm_names *names)
{
	struct mapper_dev dev, *devs;
	int ret;

	while (names && names->dev) {
		ret = look_at(names->name, &dev);
		if (ret == -EINVAL)
			scan->unknown++;
		else if (ret < 0)
			return ret;
		if (ret == 1) {
			devs = realloc(scan->devs,
				       (scan->count + 1) * sizeof(*devs));
			if (!devs) {
				free_device(&dev);
				return -ENOMEM;
			}
			devs[scan->count++] = dev;
			scan->devs = devs;
		}
		if (!names->next)
			break;
		names = (struct dm_names *)((char *)names + names->next);
	}
	if (scan->count)
		qsort(scan->devs, scan->count, sizeof(*scan->devs),
		      compare_names);
	return 0;
}

int mapper_scan(struct mapper_scan *scan)
{
	struct dm_task *task;
	struct dm_names *names;
	int err;

	memset(scan, 0, sizeof(*scan));
	device_mapper_quiet();
	task = new_task(DM_DEVICE_LIST, NULL);
	if (!task)
		return -ENODEV;
	err = run_task(task);
	if (!err) {
		names = dm_task_get_names(task);
		err = names ? scan_names(scan, names) : -EIO;
	}
	dm_task_destroy(task);
	return err;
}

void mapper_scan_free(struct mapper_scan *scan)
{
	size_t i;

	for (i = 0; i < scan->count; i++)
		free_device(&scan->devs[i]);
	free(scan->devs);
	memset(scan, 0, sizeof(*scan));
}

struct mapper_dev *mapper_find_live(const struct mapper_scan *scan,
				    const char *name)
{
	const char *dir = "/dev/mapper/";
	struct mapper_dev *dev;
	size_t i;

	if (!strncmp(name, dir, strlen(dir)))
		name += strlen(dir);
	for (i = 0; i < scan->count; i++) {
		dev = &scan->devs[i];
		if (dev->kind == MAPPER_LIVE && (!strcmp(dev->name, name) ||
						 !strcmp(dev->volume, name)))
			return dev;
	}
	return NULL;
}

struct mapper_dev *mapper_find(const struct mapper_scan *scan,
			       enum mapper_kind kind, const char *volume,
			       uint32_t id)
{
	struct mapper_dev *dev;
	size_t i;

	for (i = 0; i < scan->count; i++) {
		dev = &scan->devs[i];
		if (dev->kind == kind && dev->id == id &&
		    !strcmp(dev->volume, volume))
			return dev;
	}
	return NULL;
}

struct mapper_dev *mapper_find_number(const struct mapper_scan *scan,
				      uint32_t major, uint32_t minor)
{
	size_t i;

	for (i = 0; i < scan->count; i++)
		if (scan->devs[i].major == major &&
		    scan->devs[i].minor == minor)
			return &scan->devs[i];
	return NULL;
}

/* ---- changes -------------------------------------------------------------- */

static int load_table(const char *name, const struct mapper_table *table)
{
	struct dm_task *task = new_task(DM_DEVICE_RELOAD, name);

	if (task && (!dm_task_add_target(task, 0, table->sectors, table->target,
					 table->params) ||
		     (table->read_only && !dm_task_set_ro(task)))) {
		dm_task_destroy(task);
		return -ENOMEM;
	}
	return run_simple(task);
}

/*
 * A store is for its volume alone: nobody else is to look for file systems on
 * it or to offer it as a disk.
 */
static uint16_t udev_flags(const char *target)
{
	if (strcmp(target, "snapprot-store"))
		return 0;
	return DM_UDEV_DISABLE_DISK_RULES_FLAG |
	       DM_UDEV_DISABLE_OTHER_RULES_FLAG;
}

static int resume_as(const char *name, uint16_t flags)
{
	struct dm_task *task = new_task(DM_DEVICE_RESUME, name);
	int err = task ? run_with_cookie(task, flags) : -EINVAL;

	if (task)
		dm_task_destroy(task);
	return err;
}

int mapper_create(const char *name, const char *uuid,
		  const struct mapper_table *table)
{
	struct dm_task *task = new_task(DM_DEVICE_CREATE, name);
	int err;

	if (task && (!dm_task_set_uuid(task, uuid) ||
		     (table->read_only && !dm_task_set_ro(task)))) {
		dm_task_destroy(task);
		return -EINVAL;
	}
	err = run_simple(task);
	if (err)
		return err;
	err = load_table(name, table);
	if (!err)
		err = resume_as(name, udev_flags(table->target));
	if (err)
		mapper_remove(name);
	return err;
}

int mapper_reload(const char *name, const struct mapper_table *table,
		  const struct mapper_table *old)
{
	uint16_t flags = udev_flags(table->target);
	int err;

	err = load_table(name, table);
	if (err)
		return err;
	/* The resume suspends first, and swaps the tables in between. */
	err = resume_as(name, flags);
	/* Refused, it is suspended, and the old table is gone. */
	if (err && !load_table(name, old))
		resume_as(name, flags);
	return err;
}

int mapper_suspend(const char *name, bool freeze)
{
	struct dm_task *task = new_task(DM_DEVICE_SUSPEND, name);

	if (task && !freeze && !dm_task_skip_lockfs(task)) {
		dm_task_destroy(task);
		return -EINVAL;
	}
	return run_simple(task);
}

int mapper_resume(const char *name)
{
	return resume_as(name, 0);
}

int mapper_remove(const char *name)
{
	struct dm_task *task = new_task(DM_DEVICE_REMOVE, name);
	int err = -EINVAL;

	/* udev may still have it open, to look at it. */
	if (task && dm_task_retry_remove(task))
		err = run_with_cookie(task, 0);
	if (task)
		dm_task_destroy(task);
	return err;
}

int mapper_replace_by_error(const char *name, uint64_t sectors)
{
	const struct mapper_table table = {
		.target = "error", .params = "", .sectors = sectors
	};
	struct dm_task *task;
	int err;

	err = load_table(name, &table);
	if (err)
		return err;
	err = -EINVAL;
	task = new_task(DM_DEVICE_RESUME, name);
	if (task && dm_task_no_flush(task) && dm_task_skip_lockfs(task))
		err = run_with_cookie(task, 0);
	if (task)
		dm_task_destroy(task);
	return err;
}

int mapper_message(const char *name, const char *message, char **answer)
{
	struct dm_task *task = new_task(DM_DEVICE_TARGET_MSG, name);
	const char *text;
	int err = -EINVAL;

	if (answer)
		*answer = NULL;
	if (task && dm_task_set_sector(task, 0) &&
	    dm_task_set_message(task, message))
		err = run_task(task);
	if (!err && answer) {
		text = dm_task_get_message_response(task);
		*answer = strdup(text ? text : "");
		if (!*answer)
			err = -ENOMEM;
	}
	if (task)
		dm_task_destroy(task);
	return err;
}

int mapper_path(const char *name, char *path, size_t len)
{
	struct dm_task *task = new_task(DM_DEVICE_INFO, name);
	char *mangled = NULL;

	if (task && dm_task_run(task))
		mangled = dm_task_get_name_mangled(task);
	if (mangled)
		snprintf(path, len, "%s/%s", dm_dir(), mangled);
	dm_free(mangled);
	if (task)
		dm_task_destroy(task);
	return mangled ? 0 : -EINVAL;
}

int mapper_version(const char *target, uint32_t version[3])
{
	struct dm_task *task = new_task(DM_DEVICE_GET_TARGET_VERSION, target);
	struct dm_versions *v;
	int err;

	if (!task)
		return -ENOMEM;
	err = run_task(task);
	v = err ? NULL : dm_task_get_versions(task);
	if (v)
		memcpy(version, v->version, 3 * sizeof(*version));
	else if (!err)
		err = -EIO;
	dm_task_destroy(task);
	/* The kernel's answer if there is no such target. */
	return err == -EINVAL ? -ENOENT : err;
}

/* ---- stacks of devices ---------------------------------------------------- */

#define MAX_DEPTH	16

static bool depends(const char *dir, uint32_t major, uint32_t minor, int depth)
{
	char path[512], number[32];
	bool found = false;
	struct dirent *d;
	unsigned int ma, mi;
	DIR *slaves;
	FILE *f;

	slaves = depth < MAX_DEPTH ? opendir(dir) : NULL;
	if (!slaves)
		return false;
	while (!found && (d = readdir(slaves))) {
		if (d->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/sys/class/block/%s/dev",
			 d->d_name);
		f = fopen(path, "re");
		if (!f)
			continue;
		if (fgets(number, sizeof(number), f) &&
		    sscanf(number, "%u:%u", &ma, &mi) == 2)
			found = ma == major && mi == minor;
		fclose(f);
		snprintf(path, sizeof(path), "/sys/class/block/%s/slaves",
			 d->d_name);
		found = found || depends(path, major, minor, depth + 1);
	}
	closedir(slaves);
	return found;
}

bool mapper_depends(uint32_t major, uint32_t minor, uint32_t on_major,
		    uint32_t on_minor)
{
	char dir[64];

	snprintf(dir, sizeof(dir), "/sys/dev/block/%u:%u/slaves", major,
		 minor);
	return depends(dir, on_major, on_minor, 0);
}
