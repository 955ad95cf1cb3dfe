/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Finding devices: by what a person writes, and by what is on them.
 */
#ifndef SNAPPROT_LOCATE_H
#define SNAPPROT_LOCATE_H

#include "identify.h"
#include "mapper.h"

/**
 * locate_spec() - the path that a path, PARTUUID= or PARTLABEL= means now
 *
 * NULL if there is no such device at the moment. To be freed.
 */
char *locate_spec(const char *spec);

/**
 * struct located - a block device that has something of ours on it
 * @path: by the name that its users know
 * @dev: its number
 * @user: who uses it, as "is mounted on /srv", or ""
 * @sectors: its size
 * @id: what is on it
 */
struct located {
	const char *path;
	const char *user;
	dev_t dev;
	u64 sectors;
	const struct identity *id;
};

/**
 * locate_all() - look at all block devices
 * @fn: called for each store and label; non-zero ends the search and is
 *	returned
 *
 * Not looked at are those of volumes that are loaded (they show again what lies
 * below them), those that are suspended or lie on a blocked volume, which would not
 * answer, and those that have no medium.
 */
int locate_all(const struct mapper_scan *scan,
	       int (*fn)(void *ctx, const struct located *dev), void *ctx);

/* A store of that volume that nobody uses; NULL if none. To be freed. */
char *locate_store(const struct mapper_scan *scan, const char *volume);

/* Has a label anywhere the UUID of that volume? Then 1, and it is in @label. */
int locate_label(const struct mapper_scan *scan, const u8 *volume,
		 struct snapprot_disk_label *label, char *path, size_t len);

#endif
