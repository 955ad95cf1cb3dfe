// SPDX-License-Identifier: GPL-2.0-only
/*
 * Views of snapshots, and throw-away overlays over them.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "device.h"
#include "view.h"

/* ---- views -------------------------------------------------------------------- */

static int snap_sectors(const struct mapper_dev *live, uint32_t id,
			uint64_t *sectors)
{
	struct snap_info *snaps;
	int i, count;
	bool found = false;

	count = admin_snaps(live, &snaps);
	if (count < 0)
		return complain(TOOL_FAILED,
				"%s: its snapshots cannot be listed: %s",
				live->name, admin_strerror(count));
	for (i = 0; i < count && !found; i++) {
		if (snaps[i].id != id)
			continue;
		found = true;
		*sectors = snaps[i].lost ? 0 : snaps[i].sectors;
	}
	free(snaps);
	if (!found)
		return complain(TOOL_WRONG, "%s: snapshot %u: %s", live->name,
				id, admin_strerror(-ENOENT));
	if (!*sectors)
		return complain(TOOL_FAILED, "%s: snapshot %u: is lost",
				live->name, id);
	return 0;
}

int view_expose(const struct mapper_scan *scan, const struct mapper_dev *live,
		uint32_t id, char *name, bool *made)
{
	struct mapper_table table = {
		.target = "snapprot-snap", .read_only = true
	};
	const struct mapper_dev *view;
	char uuid[128], params[64];
	int code, err;

	*made = false;
	view = mapper_find(scan, MAPPER_VIEW, live->volume, id);
	if (view) {
		snprintf(name, VIEW_NAME, "%s", view->name);
		return 0;
	}
	code = snap_sectors(live, id, &table.sectors);
	if (code)
		return code;
	snprintf(name, VIEW_NAME, "%s-" MAPPER_ROLE_VIEW "%u", live->name, id);
	snprintf(uuid, sizeof(uuid), MAPPER_PREFIX "%s-" MAPPER_ROLE_VIEW "%u",
		 live->volume, id);
	snprintf(params, sizeof(params), "%s %u", live->volume, id);
	table.params = params;
	err = mapper_create(name, uuid, &table);
	if (err)
		return complain(admin_code(err),
				"%s: snapshot %u: cannot be shown as %s: %s",
				live->name, id, name, strerror(-err));
	*made = true;
	return 0;
}

/* ---- overlays ------------------------------------------------------------------- */

/* A sparse file that nobody else sees; its descriptor or a negative errno. */
static int open_scratch(const char *dir, uint64_t bytes)
{
	char path[4096];
	int fd, err;

	fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
		snprintf(path, sizeof(path), "%s/snapprot.XXXXXX", dir);
		fd = mkostemp(path, O_CLOEXEC);
		if (fd >= 0)
			unlink(path);
	}
	if (fd < 0)
		return -errno;
	if (!ftruncate(fd, (off_t)bytes))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

/*
 * A loop device over it, which goes when its last user does: that is the overlay,
 * so the caller keeps the descriptor until it is loaded.
 */
static int open_loop(int scratch)
{
	struct loop_config config = {
		.fd = (uint32_t)scratch,
		.info = { .lo_flags = LO_FLAGS_AUTOCLEAR },
	};
	int control, number, fd = -EBUSY, tries;
	char path[32];

	control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	if (control < 0)
		return -errno;
	/* Somebody else may take the free one first. */
	for (tries = 0; tries < 16 && fd == -EBUSY; tries++) {
		number = ioctl(control, LOOP_CTL_GET_FREE);
		if (number < 0) {
			fd = -errno;
			break;
		}
		snprintf(path, sizeof(path), "/dev/loop%d", number);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0) {
			fd = -errno;
			break;
		}
		if (ioctl(fd, LOOP_CONFIGURE, &config)) {
			number = -errno;
			close(fd);
			fd = number;
		}
	}
	close(control);
	return fd;
}

static int load_overlay(const struct mapper_dev *live, uint32_t id,
			const char *view, int loop, const char *name)
{
	char uuid[128], params[64], path[4096];
	struct mapper_table table = { .target = "snapshot", .params = params };
	struct stat below, above;
	struct device dev = DEVICE_CLOSED;
	int err;

	err = mapper_path(view, path, sizeof(path));
	if (!err && (stat(path, &below) || fstat(loop, &above)))
		err = -errno;
	if (err)
		return err;
	if (device_open(&dev, path, 0))
		return -EIO;
	table.sectors = dev.sectors;
	device_close(&dev);
	snprintf(uuid, sizeof(uuid),
		 MAPPER_PREFIX "%s-" MAPPER_ROLE_OVERLAY "%u", live->volume, id);
	/* Not persistent, in chunks of 4 KiB. */
	snprintf(params, sizeof(params), "%u:%u %u:%u N 8",
		 major(below.st_rdev), minor(below.st_rdev),
		 major(above.st_rdev), minor(above.st_rdev));
	return mapper_create(name, uuid, &table);
}

int view_overlay(const struct mapper_dev *live, uint32_t id, const char *view,
		 const char *dir, uint64_t size, char *name)
{
	/* With room for its own notes: 16 bytes for each 4 KiB, and some. */
	uint64_t bytes = size ? size : live->sectors << 9;
	int scratch, loop, err;

	bytes += bytes / 128 + (1u << 20);
	snprintf(name, VIEW_NAME, "%s-" MAPPER_ROLE_VIEW "%u-rw", live->name,
		 id);
	scratch = open_scratch(dir, bytes & ~(uint64_t)4095);
	if (scratch < 0)
		return complain(TOOL_FAILED, "%s: no file for the overlay: %s",
				dir, strerror(-scratch));
	loop = open_loop(scratch);
	err = loop < 0 ? 0 : load_overlay(live, id, view, loop, name);
	if (loop >= 0)
		close(loop);
	close(scratch);
	if (loop < 0)
		return complain(TOOL_FAILED,
				"%s: no loop device for the overlay: %s%s",
				name, strerror(-loop), loop == -ENOENT ?
				" (is the module loop loaded?)" : "");
	if (err)
		return complain(admin_code(err), "%s: no overlay: %s", name,
				strerror(-err));
	return 0;
}

/* ---- and away -------------------------------------------------------------------- */

static int remove_free(const struct mapper_dev *dev, int own)
{
	char who[512];
	int err;

	if (dev->open_count > own) {
		if (!device_user(makedev(dev->major, dev->minor), who,
				 sizeof(who)))
			snprintf(who, sizeof(who), "is in use");
		return complain(TOOL_BUSY, "%s: %s", dev->name, who);
	}
	err = mapper_remove(dev->name);
	if (err)
		return complain(admin_code(err), "%s: cannot be removed: %s",
				dev->name, strerror(-err));
	return 0;
}

int view_conceal(const struct mapper_scan *scan, const char *volume,
		 uint32_t id)
{
	const struct mapper_dev *view, *overlay;
	int code = 0;

	view = mapper_find(scan, MAPPER_VIEW, volume, id);
	overlay = mapper_find(scan, MAPPER_OVERLAY, volume, id);
	if (overlay)
		code = remove_free(overlay, 0);
	/* The overlay's hold on the view is gone by now. */
	if (!code && view)
		code = remove_free(view, overlay ? 1 : 0);
	return code;
}
