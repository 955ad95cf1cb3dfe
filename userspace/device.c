// SPDX-License-Identifier: GPL-2.0-only
/*
 * Opening devices, and finding out whether somebody uses them.
 *
 * O_EXCL on a block device is the kernel's own answer: a mounted file system,
 * swap, md and device-mapper all hold their devices exclusively, and so does
 * this tool. What is read from /proc and /sys serves to say who it is, and to
 * know the users of regular files, for which O_EXCL means nothing.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libdevmapper.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "device.h"
#include "tool.h"

#define BOUNCE_BYTES	(1u << 20)

/* ---- who uses it ------------------------------------------------------ */

static bool is_device(const struct device *dev, const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return false;
	if (dev->block)
		return S_ISBLK(st.st_mode) && st.st_rdev == dev->dev;
	return S_ISREG(st.st_mode) && st.st_dev == dev->dev &&
	       st.st_ino == dev->ino;
}

/* Undo the \ooo that /proc writes for blanks in names, in place. */
static void unescape(char *text)
{
	char *to = text;

	while (*text) {
		if (text[0] == '\\' && text[1] >= '0' && text[1] <= '3' &&
		    text[2] >= '0' && text[2] <= '7' &&
		    text[3] >= '0' && text[3] <= '7') {
			*to++ = (char)((text[1] - '0') << 6 |
				       (text[2] - '0') << 3 | (text[3] - '0'));
			text += 4;
		} else {
			*to++ = *text++;
		}
	}
	*to = '\0';
}

static bool used_by_mount(const struct device *dev, char *who, size_t len)
{
	unsigned int maj, min;
	char *line = NULL;
	size_t size = 0;
	bool found = false;
	int at;
	FILE *f;

	if (!dev->block)
		return false;
	f = fopen("/proc/self/mountinfo", "re");
	if (!f)
		return false;
	while (!found && getline(&line, &size, f) > 0) {
		at = 0;
		if (sscanf(line, "%*u %*u %u:%u %*s %n", &maj, &min, &at) < 2 ||
		    !at || maj != major(dev->dev) || min != minor(dev->dev))
			continue;
		line[at + strcspn(line + at, "\n ")] = '\0';
		snprintf(who, len, "is mounted on %s", line + at);
		found = true;
	}
	free(line);
	fclose(f);
	return found;
}

static bool used_by_swap(const struct device *dev, char *who, size_t len)
{
	char *line = NULL;
	size_t size = 0;
	bool found = false;
	FILE *f;

	f = fopen("/proc/swaps", "re");
	if (!f)
		return false;
	while (!found && getline(&line, &size, f) > 0) {
		line[strcspn(line, " \t\n")] = '\0';
		unescape(line);
		if (line[0] == '/' && is_device(dev, line)) {
			snprintf(who, len, "is used as swap");
			found = true;
		}
	}
	free(line);
	fclose(f);
	return found;
}

/* One line a failure: libdevmapper's own are not wanted. */
static void ignore_log(int level, const char *file, int line, int err,
		       const char *fmt, ...)
{
	(void)level;
	(void)file;
	(void)line;
	(void)err;
	(void)fmt;
}

void device_mapper_quiet(void)
{
	dm_log_with_errno_init(ignore_log);
}

/* Name a holder; one of device-mapper by the name its user knows. */
static void name_holder(const char *sysname, char *who, size_t len)
{
	unsigned int maj, min;
	char path[300], name[256];
	FILE *f;

	snprintf(who, len, "is held by %s", sysname);
	if (strncmp(sysname, "dm-", 3))
		return;
	snprintf(path, sizeof(path), "/sys/block/%s/dev", sysname);
	f = fopen(path, "re");
	if (!f)
		return;
	device_mapper_quiet();
	if (fscanf(f, "%u:%u", &maj, &min) == 2 &&
	    dm_device_get_name(maj, min, 0, name, sizeof(name)))
		snprintf(who, len, "is held by device-mapper's %s", name);
	fclose(f);
}

static bool used_by_holder(const struct device *dev, char *who, size_t len)
{
	struct dirent *d;
	bool found = false;
	char path[64];
	DIR *dir;

	if (!dev->block)
		return false;
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/holders",
		 major(dev->dev), minor(dev->dev));
	dir = opendir(path);
	if (!dir)
		return false;
	while (!found && (d = readdir(dir))) {
		if (d->d_name[0] == '.')
			continue;
		name_holder(d->d_name, who, len);
		found = true;
	}
	closedir(dir);
	return found;
}

/* A file under a loop device is in use like a device. */
static bool used_by_loop(const struct device *dev, char *who, size_t len)
{
	char path[320], backing[4096];
	struct dirent *d;
	bool found = false;
	DIR *dir;
	FILE *f;

	if (dev->block)
		return false;
	dir = opendir("/sys/block");
	if (!dir)
		return false;
	while (!found && (d = readdir(dir))) {
		if (strncmp(d->d_name, "loop", 4))
			continue;
		snprintf(path, sizeof(path), "/sys/block/%s/loop/backing_file",
			 d->d_name);
		f = fopen(path, "re");
		if (!f)
			continue;
		if (fgets(backing, sizeof(backing), f)) {
			backing[strcspn(backing, "\n")] = '\0';
			found = is_device(dev, backing);
		}
		fclose(f);
		if (found)
			snprintf(who, len, "is attached to %s", d->d_name);
	}
	closedir(dir);
	return found;
}

static bool find_user(const struct device *dev, char *who, size_t len)
{
	return used_by_mount(dev, who, len) || used_by_swap(dev, who, len) ||
	       used_by_holder(dev, who, len) || used_by_loop(dev, who, len);
}

bool device_user(dev_t number, char *who, size_t len)
{
	struct device dev = { .block = true, .dev = number };

	return find_user(&dev, who, len);
}

/* ---- open and close --------------------------------------------------- */

static int stat_device(struct device *dev, const char *path, unsigned int flags)
{
	struct stat st;

	if (stat(path, &st)) {
		if (errno == ENOENT && (flags & DEVICE_CREATE))
			return 0;
		return complain(errno == EACCES ? TOOL_FAILED : TOOL_WRONG,
				"%s: %s", path, strerror(errno));
	}
	if (!S_ISBLK(st.st_mode) && !S_ISREG(st.st_mode))
		return complain(TOOL_WRONG,
				"%s: neither a block device nor a file", path);
	dev->block = S_ISBLK(st.st_mode);
	return 0;
}

/* O_DIRECT where the place takes it: a device always, a file never needs it. */
static int open_fd(struct device *dev, int flags)
{
	int fd;

	if (dev->block) {
		fd = open(dev->path, flags | O_DIRECT);
		if (fd >= 0 || errno != EINVAL)
			return fd;
	}
	return open(dev->path, flags, 0600);
}

static bool must_be_free(unsigned int flags)
{
	return flags & (DEVICE_WRITE | DEVICE_ALONE);
}

static int take_fd(struct device *dev, unsigned int flags)
{
	int mode = O_CLOEXEC | (flags & DEVICE_WRITE ? O_RDWR : O_RDONLY);

	if (dev->block) {
		if (must_be_free(flags))
			mode |= O_EXCL;
		dev->fd = open_fd(dev, mode);
		return dev->fd;
	}
	if (flags & DEVICE_CREATE) {
		dev->fd = open_fd(dev, mode | O_CREAT | O_EXCL);
		dev->created = dev->fd >= 0;
		if (dev->fd >= 0 || errno != EEXIST)
			return dev->fd;
	}
	dev->fd = open_fd(dev, mode);
	return dev->fd;
}

static int read_identity(struct device *dev)
{
	struct stat st;
	uint64_t bytes;

	if (fstat(dev->fd, &st))
		return -errno;
	if (S_ISBLK(st.st_mode)) {
		if (ioctl(dev->fd, BLKGETSIZE64, &bytes))
			return -errno;
		dev->dev = st.st_rdev;
		dev->ino = 0;
	} else {
		bytes = (uint64_t)st.st_size;
		dev->dev = st.st_dev;
		dev->ino = st.st_ino;
	}
	dev->sectors = bytes >> 9;
	return 0;
}

/* A file has no exclusive opener; a lock keeps two runs of this tool apart. */
static int lock_file(struct device *dev, unsigned int flags)
{
	bool write = flags & DEVICE_WRITE;

	if (dev->block || !flock(dev->fd, (write ? LOCK_EX : LOCK_SH) | LOCK_NB))
		return 0;
	if (errno != EWOULDBLOCK)
		return -errno;
	dev->in_use = true;
	return must_be_free(flags) ? -EBUSY : 0;
}

static int check_users(struct device *dev, unsigned int flags)
{
	char who[512];

	if (!find_user(dev, who, sizeof(who)))
		return 0;
	dev->in_use = true;
	if (must_be_free(flags))
		return complain(TOOL_BUSY, "%s: %s", dev->path, who);
	return 0;
}

int device_open(struct device *dev, const char *path, unsigned int flags)
{
	int err, code;

	*dev = (struct device){ .path = path, .fd = -1 };
	code = stat_device(dev, path, flags);
	if (code)
		return code;
	err = take_fd(dev, flags) < 0 ? -errno : 0;
	if (err == -EBUSY) {
		struct stat st;

		/* Not ours to open, but to name its user. */
		if (!stat(path, &st))
			dev->dev = st.st_rdev;
		code = check_users(dev, flags);
		return code ? code : complain(TOOL_BUSY, "%s: is in use", path);
	}
	if (!err)
		err = lock_file(dev, flags);
	if (!err)
		err = read_identity(dev);
	if (!err) {
		code = check_users(dev, flags);
	} else if (err == -EBUSY) {
		code = complain(TOOL_BUSY, "%s: is in use", path);
	} else {
		code = err == -ENXIO || err == -ENODEV || err == -ENOMEDIUM ?
		       TOOL_WRONG : TOOL_FAILED;
		complain(code, "%s: %s", path, strerror(-err));
	}
	if (code)
		device_close(dev);
	return code;
}

void device_close(struct device *dev)
{
	if (dev->fd >= 0)
		close(dev->fd);
	dev->fd = -1;
}

bool device_same(const struct device *a, const struct device *b)
{
	return a->block == b->block && a->dev == b->dev && a->ino == b->ino;
}

/* ---- transfers -------------------------------------------------------- */

static int transfer(int fd, bool write, u64 offset, void *data, size_t len)
{
	ssize_t n;

	while (len) {
		if (write)
			n = pwrite(fd, data, len, (off_t)offset);
		else
			n = pread(fd, data, len, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return -EIO;
		data = (char *)data + n;
		offset += (u64)n;
		len -= (size_t)n;
	}
	return 0;
}

/* O_DIRECT wants aligned memory; callers need not care. */
static void *bounce_buffer(void)
{
	static void *buffer;

	if (!buffer && posix_memalign(&buffer, SNAPPROT_BLOCK_SIZE,
				      BOUNCE_BYTES))
		buffer = NULL;
	return buffer;
}

static bool aligned(const struct device *dev, const void *data)
{
	return !dev->block || !((uintptr_t)data % SNAPPROT_BLOCK_SIZE);
}

int device_read(const struct device *dev, u64 offset, void *data, size_t len)
{
	size_t part;
	char *buffer;
	int err;

	if (aligned(dev, data))
		return transfer(dev->fd, false, offset, data, len);
	buffer = bounce_buffer();
	if (!buffer)
		return -ENOMEM;
	for (; len; len -= part, offset += part) {
		part = len < BOUNCE_BYTES ? len : BOUNCE_BYTES;
		err = transfer(dev->fd, false, offset, buffer, part);
		if (err)
			return err;
		memcpy(data, buffer, part);
		data = (char *)data + part;
	}
	return 0;
}

int device_write(const struct device *dev, u64 offset, const void *data,
		 size_t len)
{
	size_t part;
	char *buffer;
	int err;

	buffer = bounce_buffer();
	if (!buffer)
		return -ENOMEM;
	for (; len; len -= part, offset += part) {
		part = len < BOUNCE_BYTES ? len : BOUNCE_BYTES;
		memcpy(buffer, data, part);
		err = transfer(dev->fd, true, offset, buffer, part);
		if (err)
			return err;
		data = (const char *)data + part;
	}
	return 0;
}

int device_sync(const struct device *dev)
{
	return fsync(dev->fd) ? -errno : 0;
}

int device_resize(struct device *dev, u64 sectors)
{
	if (ftruncate(dev->fd, (off_t)(sectors << 9)))
		return -errno;
	dev->sectors = sectors;
	return 0;
}

int device_zero(const struct device *dev)
{
	uint64_t range[2] = { 0, dev->sectors << 9 };

	return ioctl(dev->fd, BLKZEROOUT, range) ? -errno : 0;
}
