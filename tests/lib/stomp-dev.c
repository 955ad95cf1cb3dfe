// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <libdevmapper.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/fs.h>

#include "stomp.h"

/* ---- device-mapper ------------------------------------------------------------ */

static int run_task(struct dm_task *t)
{
	int err = 0;

	CHECK(t);
	if (!dm_task_run(t)) {
		err = -dm_task_get_errno(t);
		if (!err)
			err = -EIO;
	}
	dm_task_destroy(t);
	dm_task_update_nodes();
	return err;
}

static struct dm_task *task(int type, const char *name)
{
	struct dm_task *t = dm_task_create(type);

	CHECK(t && dm_task_set_name(t, name));
	return t;
}

static int simple(int type, const char *name)
{
	return run_task(task(type, name));
}

int dm_load(const char *name, bool create, bool readonly, u64 sectors,
	    const char *target, const char *format, ...)
{
	struct dm_task *t;
	char params[4096];
	va_list args;
	int err;

	va_start(args, format);
	vsnprintf(params, sizeof(params), format, args);
	va_end(args);
	if (create && !dm_exists(name)) {
		err = simple(DM_DEVICE_CREATE, name);
		if (err)
			return err;
	}
	t = task(DM_DEVICE_RELOAD, name);
	CHECK(dm_task_add_target(t, 0, sectors, target, params));
	CHECK(!readonly || dm_task_set_ro(t));
	err = run_task(t);
	if (err && create)
		dm_remove(name);
	return err;
}

int dm_message(const char *name, char *answer, size_t room,
	       const char *format, ...)
{
	struct dm_task *t = task(DM_DEVICE_TARGET_MSG, name);
	const char *got;
	char words[4096];
	va_list args;
	int err = 0;

	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	CHECK(dm_task_set_message(t, words) && dm_task_set_sector(t, 0));
	if (!dm_task_run(t)) {
		err = -dm_task_get_errno(t);
	} else if (answer) {
		got = dm_task_get_message_response(t);
		snprintf(answer, room, "%s", got ? got : "");
	}
	dm_task_destroy(t);
	return err;
}

int dm_suspend(const char *name, bool flush, bool lockfs)
{
	struct dm_task *t = task(DM_DEVICE_SUSPEND, name);

	CHECK(flush || dm_task_no_flush(t));
	CHECK(lockfs || dm_task_skip_lockfs(t));
	return run_task(t);
}

int dm_resume(const char *name)
{
	return simple(DM_DEVICE_RESUME, name);
}

/* Whoever looks at a new device, say for a signature, has it open for a moment. */
int dm_remove(const char *name)
{
	const struct timespec moment = { .tv_nsec = 20000000 };
	int err, i;

	for (i = 0; i < 100; i++) {
		err = simple(DM_DEVICE_REMOVE, name);
		if (err != -EBUSY)
			break;
		nanosleep(&moment, NULL);
	}
	return err;
}

bool dm_exists(const char *name)
{
	struct dm_task *t = task(DM_DEVICE_INFO, name);
	struct dm_info info = { 0 };

	CHECK(dm_task_run(t) && dm_task_get_info(t, &info));
	dm_task_destroy(t);
	return info.exists;
}

void dm_remove_force(const char *name)
{
	if (!dm_exists(name))
		return;
	CHECK_EQ(dm_load(name, false, false, 8, "error", "%s", ""), 0);
	CHECK_EQ(dm_suspend(name, false, false), 0);
	CHECK_EQ(dm_resume(name), 0);
	CHECK_EQ(dm_remove(name), 0);
}

int dm_clear(const char *name)
{
	return simple(DM_DEVICE_CLEAR, name);
}

/* What the answer has for the first target, if it is one of ours. */
static bool params_of(struct dm_task *t, char *params, size_t room)
{
	char *type = NULL, *text = NULL;
	uint64_t start, length;
	bool ok = dm_task_run(t);

	if (ok)
		dm_get_next_target(t, NULL, &start, &length, &type, &text);
	ok = ok && type && !strncmp(type, "snapprot", 8);
	if (ok)
		snprintf(params, room, "%s", text);
	dm_task_destroy(t);
	return ok;
}

bool dm_table(const char *name, char *params, size_t room)
{
	struct dm_task *t = task(DM_DEVICE_TABLE, name);

	CHECK(dm_task_query_inactive_table(t));
	return params_of(t, params, room);
}

bool dm_params(const char *name, char *params, size_t room)
{
	struct dm_task *t = task(DM_DEVICE_STATUS, name);

	CHECK(dm_task_no_flush(t));
	return params_of(t, params, room);
}

bool origin_status(struct stomp_status *st)
{
	char params[256], mode[16];
	int n;

	if (!dm_params(ORIGIN, params, sizeof(params)))
		return false;
	n = sscanf(params, "%15s %15s %31s %*s %*s %*s %*s %*s %u", mode, st->state,
		   st->fault, &st->held);
	CHECK_EQ(n, 4);
	st->protect = !strcmp(mode, "protect");
	return true;
}

/* ---- disks ----------------------------------------------------------------------- */

static void layer_table(const char *name, bool create, u64 sectors,
			const char *disk)
{
	CHECK_EQ(dm_load(name, create, false, sectors, disk ? "linear" : "error",
			 "%s%s", disk ? disk : "", disk ? " 0" : ""), 0);
	if (!create)
		CHECK_EQ(dm_suspend(name, false, false), 0);
	CHECK_EQ(dm_resume(name), 0);
}

void layer_set(const struct stomp_disks *d, const char *name, bool works)
{
	bool origin = !strcmp(name, LAYER_O);

	layer_table(name, false,
		    origin ? d->sectors + LABEL_SECTORS : d->store_sectors,
		    !works ? NULL : origin ? d->origin_name : d->store_name);
}

static u64 zero_disk(const char *name)
{
	int fd = open(name, O_RDWR | O_CLOEXEC);
	u64 range[2] = { 0, 0 };

	CHECK(fd >= 0);
	CHECK(!ioctl(fd, BLKGETSIZE64, &range[1]));
	CHECK(!ioctl(fd, BLKZEROOUT, range));
	close(fd);
	return range[1] / SECTOR;
}

static const char *from_env(const char *name)
{
	const char *value = getenv(name);

	CHECK(value && *value);
	return value;
}

void disks_begin(struct stomp_disks *d, u64 sectors, u64 store_sectors)
{
	char line[256];
	FILE *f;

	disks_end(d);
	d->origin_name = from_env("ORIGIN_DISK");
	d->store_name = from_env("STORE_DISK");
	d->sectors = sectors;
	d->store_sectors = store_sectors;
	CHECK(zero_disk(d->origin_name) >= sectors + LABEL_SECTORS);
	d->store_room = zero_disk(d->store_name);
	d->origin = open(d->origin_name, O_RDONLY | O_DIRECT | O_CLOEXEC);
	CHECK(d->origin >= 0);
	layer_table(LAYER_O, true, sectors + LABEL_SECTORS, d->origin_name);
	layer_table(LAYER_S, true, store_sectors, d->store_name);
	snprintf(line, sizeof(line), "%s format /dev/mapper/" LAYER_O
		 " /dev/mapper/" LAYER_S, from_env("SNAPPROT"));
	f = popen(line, "r");
	CHECK(f);
	while (fgets(line, sizeof(line), f))
		sscanf(line, "VOLUME_UUID=%39[0-9a-f-]", d->uuid);
	CHECK_EQ(pclose(f), 0);
}

void disks_end(struct stomp_disks *d)
{
	static const char *const names[] = {
		VIEW, ORIGIN, STORE, LAYER_O, LAYER_S,
	};
	u32 i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		dm_remove_force(names[i]);
	if (d->origin_name)
		close(d->origin);
	d->origin_name = NULL;
}

bool disks_check(void)
{
	char line[256];

	snprintf(line, sizeof(line),
		 "%s check /dev/mapper/" LAYER_S " > /dev/null",
		 from_env("SNAPPROT"));
	return !system(line);
}
