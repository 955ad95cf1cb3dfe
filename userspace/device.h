/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Devices, and regular files that stand for devices.
 */
#ifndef SNAPPROT_DEVICE_H
#define SNAPPROT_DEVICE_H

#include <sys/types.h>

#include "../dm-snapprot/core/format.h"

/* All that a device_open() may be asked for besides reading. */
#define DEVICE_WRITE	(1u << 0)	/* and nobody else may use it */
#define DEVICE_CREATE	(1u << 1)	/* a missing file is made, empty */
#define DEVICE_ALONE	(1u << 2)	/* nobody else may use it, nor we write */

/**
 * struct device - an open device or file
 * @path: as the user gave it
 * @fd: -1 if it is not open
 * @block: a block device, not a regular file
 * @in_use: somebody else uses it, as far as that can be told without taking it
 * @created: DEVICE_CREATE made the file
 * @dev: identity: the device's own number, or that of the file's file system
 * @ino: 0 for a device
 * @sectors: its size, 512 bytes each, rounded down
 */
struct device {
	const char *path;
	int fd;
	bool block;
	bool in_use;
	bool created;
	dev_t dev;
	ino_t ino;
	u64 sectors;
};

#define DEVICE_CLOSED	{ .fd = -1 }

/**
 * device_open() - open a device or a file, and see who uses it
 * @flags: DEVICE_*
 *
 * With DEVICE_WRITE or DEVICE_ALONE a device in use is refused. Without them it
 * is not taken for even a moment, so that a look at it from a udev rule is in
 * nobody's way. Failures are complained about here. Returns 0 or an exit code.
 */
int device_open(struct device *dev, const char *path, unsigned int flags);
void device_close(struct device *dev);

/* One line a failure: libdevmapper's own are not wanted. */
void device_mapper_quiet(void);

/* Who uses a block device, as "is mounted on /srv"; false if nobody is known. */
bool device_user(dev_t number, char *who, size_t len);

/* The same device, by whatever path. */
bool device_same(const struct device *a, const struct device *b);

static inline u64 device_blocks(const struct device *dev)
{
	return dev->sectors / SNAPPROT_SECTORS_PER_BLOCK;
}

/*
 * Whole transfers or a negative errno; -EIO when the device ends within. A
 * device's page cache is not used: what a device-mapper target wrote below it
 * would not be seen. @offset and @len are multiples of 512.
 */
int device_read(const struct device *dev, u64 offset, void *data, size_t len);
int device_write(const struct device *dev, u64 offset, const void *data,
		 size_t len);
int device_sync(const struct device *dev);

/* Give a file a size. */
int device_resize(struct device *dev, u64 sectors);
/* Make sure that a device, not a file, has nothing but zeroes. */
int device_zero(const struct device *dev);

#endif
