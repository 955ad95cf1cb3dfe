/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A store whose device has become larger.
 */
#ifndef SNAPPROT_GROW_H
#define SNAPPROT_GROW_H

#include "mapper.h"

/* Number of the device below a store; 0 or -EINVAL. */
int grow_device(const struct mapper_dev *store, unsigned int *major,
		unsigned int *minor);

/* Size of the device below, in whole blocks, without opening it. 0 or an errno. */
int grow_sectors(const struct mapper_dev *store, uint64_t *sectors);

/**
 * grow_store() - have a store use more of its device
 * @sectors: its new size, larger than the old one
 *
 * Suspends and resumes it: must not be killed meanwhile. 0 or a negative errno.
 */
int grow_store(const struct mapper_dev *store, uint64_t sectors);

#endif
