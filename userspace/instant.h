/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Snapshots of several volumes at one instant.
 */
#ifndef SNAPPROT_INSTANT_H
#define SNAPPROT_INSTANT_H

#include "mapper.h"

/**
 * struct member - a volume of the set
 * @live: the volume
 * @suspended: by us
 * @created: the snapshot, by us
 * @err: what failed with it
 * @what: the same in a word
 */
struct member {
	const struct mapper_dev *live;
	bool suspended;
	bool created;
	int err;
	const char *what;
};

/**
 * struct instant - a set of volumes
 * @members: those that lie on others before these
 * @id: of the snapshots
 * @freeze: file systems are frozen meanwhile
 */
struct instant {
	struct member *members;
	int count;
	uint32_t id;
	bool freeze;
};

/**
 * instant_take() - take the snapshots, of all or of none
 *
 * Must not be killed meanwhile. 0 or a negative errno.
 */
int instant_take(struct instant *set);

#endif
