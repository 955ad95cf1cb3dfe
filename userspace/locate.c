// SPDX-License-Identifier: GPL-2.0-only
/*
 * Finding devices: by what a person writes, and by what is on them.
 */
#include <blkid.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "locate.h"

char *locate_spec(const char *spec)
{
	char *path, *equals;

	if (*spec == '/')
		return access(spec, F_OK) ? NULL : strdup(spec);
	equals = strchr(spec, '=');
	if (!equals)
		return NULL;
	path = blkid_evaluate_spec(spec, NULL);
	if (path && access(path, F_OK)) {
		free(path);
		path = NULL;
	}
	return path;
}

/* ---- all block devices -------------------------------------------------------- */

/* First line of a file in sysfs, "" if there is none. */
static void read_sys(const char *name, const char *file, char *text, int len)
{
	char path[512];
	FILE *f;

	*text = '\0';
	snprintf(path, sizeof(path), "/sys/class/block/%s/%s", name, file);
	f = fopen(path, "re");
	if (!f)
		return;
	if (!fgets(text, len, f))
		*text = '\0';
	text[strcspn(text, "\n")] = '\0';
	fclose(f);
}

static bool is_one(const char *name, const char *file)
{
	char text[16];

	read_sys(name, file, text, sizeof(text));
	return !strcmp(text, "1");
}

/* Reads of what lies on a blocked volume may be held as well. */
static bool is_blocked(const struct mapper_scan *scan, dev_t number)
{
	const struct mapper_dev *dev;
	size_t i;

	for (i = 0; i < scan->count; i++) {
		dev = &scan->devs[i];
		if (dev->kind == MAPPER_LIVE &&
		    !strcmp(dev->live.state, "blocked") &&
		    mapper_depends(major(number), minor(number), dev->major,
				   dev->minor))
			return true;
	}
	return false;
}

static bool worth_a_look(const struct mapper_scan *scan, const char *name,
			 dev_t *number)
{
	unsigned int ma, mi;
	char text[64];

	read_sys(name, "size", text, sizeof(text));
	if (!strcmp(text, "0") || is_one(name, "hidden") ||
	    is_one(name, "dm/suspended"))
		return false;
	read_sys(name, "dev", text, sizeof(text));
	if (sscanf(text, "%u:%u", &ma, &mi) != 2)
		return false;
	*number = makedev(ma, mi);
	return !mapper_find_number(scan, ma, mi) && !is_blocked(scan, *number);
}

/* /dev/mapper/x for one of device-mapper, as its users do not know its number. */
static bool make_path(const char *name, dev_t number, char *path, size_t len)
{
	struct stat st;
	char text[256], *p;

	read_sys(name, "dm/name", text, sizeof(text));
	if (text[0]) {
		snprintf(path, len, "/dev/mapper/%s", text);
		if (!stat(path, &st) && st.st_rdev == number)
			return true;
	}
	snprintf(path, len, "/dev/%s", name);
	for (p = path; *p; p++)
		if (*p == '!')
			*p = '/';
	return !stat(path, &st) && S_ISBLK(st.st_mode) && st.st_rdev == number;
}

static int look_at(const char *path, dev_t number,
		   int (*fn)(void *ctx, const struct located *dev), void *ctx)
{
	static struct identity id;
	struct device dev = { .path = path, .block = true };
	char user[512] = "";
	struct located found = {
		.path = path, .user = user, .dev = number, .id = &id
	};
	int ret = 0;
	off_t end;

	/* One that cannot be opened or read has nothing to say. */
	dev.fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC | O_NONBLOCK);
	if (dev.fd < 0)
		return 0;
	end = lseek(dev.fd, 0, SEEK_END);
	dev.sectors = end > 0 ? (u64)end >> 9 : 0;
	found.sectors = dev.sectors;
	if (dev.sectors && !identify(&dev, &id) &&
	    (id.store != TRACE_NONE || id.label[LABEL_ON_DEVICE] != TRACE_NONE ||
	     id.label[LABEL_ON_ORIGIN] != TRACE_NONE)) {
		device_user(number, user, sizeof(user));
		ret = fn(ctx, &found);
	}
	close(dev.fd);
	return ret;
}

static int no_dots(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

int locate_all(const struct mapper_scan *scan,
	       int (*fn)(void *ctx, const struct located *dev), void *ctx)
{
	struct dirent **names;
	char path[512];
	dev_t number;
	int i, count, ret = 0;

	count = scandir("/sys/class/block", &names, no_dots, versionsort);
	for (i = 0; i < count; i++) {
		if (!ret && worth_a_look(scan, names[i]->d_name, &number) &&
		    make_path(names[i]->d_name, number, path, sizeof(path)))
			ret = look_at(path, number, fn, ctx);
		free(names[i]);
	}
	if (count >= 0)
		free(names);
	return ret;
}

/* ---- of one volume ------------------------------------------------------------- */

struct wanted {
	u8 volume[16];
	char *path;
	struct snapprot_disk_label label;
};

static int is_store(void *ctx, const struct located *dev)
{
	struct wanted *w = ctx;

	/* What is below multipath and the like is not for us. */
	if (*dev->user || dev->id->store != TRACE_VALID ||
	    memcmp(dev->id->super.h.uuid, w->volume, sizeof(w->volume)))
		return 0;
	w->path = strdup(dev->path);
	return 1;
}

char *locate_store(const struct mapper_scan *scan, const char *volume)
{
	struct wanted w = { .path = NULL };

	if (snapprot_uuid_parse(volume, w.volume))
		return NULL;
	locate_all(scan, is_store, &w);
	return w.path;
}

static int is_label(void *ctx, const struct located *dev)
{
	struct wanted *w = ctx;
	int place;

	for (place = 0; place < LABEL_PLACES; place++) {
		const struct snapprot_disk_label *l = &dev->id->label_at[place];

		if (dev->id->label[place] < TRACE_NEWER ||
		    memcmp(l->h.uuid, w->volume, sizeof(w->volume)))
			continue;
		w->path = strdup(dev->path);
		w->label = *l;
		return 1;
	}
	return 0;
}

int locate_label(const struct mapper_scan *scan, const u8 *volume,
		 struct snapprot_disk_label *label, char *path, size_t len)
{
	static struct wanted w;

	memset(&w, 0, sizeof(w));
	memcpy(w.volume, volume, sizeof(w.volume));
	if (!locate_all(scan, is_label, &w) || !w.path)
		return 0;
	*label = w.label;
	snprintf(path, len, "%s", w.path);
	free(w.path);
	return 1;
}
