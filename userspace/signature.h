/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What others have left on a device.
 */
#ifndef SNAPPROT_SIGNATURE_H
#define SNAPPROT_SIGNATURE_H

#include "device.h"

/* What a signature says about the part of the device that it claims. */
enum extent {
	EXTENT_UNKNOWN,		/* it claims some, or all of it */
	EXTENT_KNOWN,
};

/**
 * struct signature - something that libblkid recognises
 * @name: the type, such as "ext4", or "dos partition table"
 * @extent: whether @end is known
 * @end: byte behind its last one
 */
struct signature {
	char name[64];
	enum extent extent;
	u64 end;
};

/**
 * signatures_find() - list what is on a device
 * @found: array of @max, filled in
 *
 * Returns how many were found (more than @max are not reported), or a negative
 * errno.
 */
int signatures_find(const struct device *dev, struct signature *found, int max);

#endif
