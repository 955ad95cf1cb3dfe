/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What snapprotd is to do for a volume by itself: options of its line in
 * /etc/snapprottab, and the arithmetic of growing a store. Nothing here looks at a
 * device or at a clock.
 */
#ifndef SNAPPROT_POLICY_H
#define SNAPPROT_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct policy - of one volume
 * @extend: by how many percent of its size a store that is low grows; 0 not at all
 * @extend_max: sectors beyond which it does not; 0 no limit
 * @every: seconds from one snapshot to the next; 0 none are taken
 * @keep: how many of those are kept
 */
struct policy {
	uint32_t extend;
	uint64_t extend_max;
	uint32_t every;
	uint32_t keep;
};

/* Is it the name of an option of a policy? */
bool policy_knows(const char *name, size_t len);

/**
 * policy_set() - an option with its value
 * @name: for which policy_knows() is true
 *
 * NULL, or what is wrong with the value.
 */
const char *policy_set(struct policy *p, const char *name, size_t name_len,
		       const char *value, size_t len);

/* What is wrong with the options together; NULL if nothing is. */
const char *policy_conflict(const struct policy *p);

/**
 * policy_target() - how large a store is to become
 * @sectors: its size
 *
 * More than @sectors, in whole blocks; 0 if it is as large as it may be.
 */
uint64_t policy_target(const struct policy *p, uint64_t sectors);

/* Seconds to wait after @failures in a row, from 1 on, doubled each time. */
uint32_t policy_backoff(unsigned int failures, uint32_t first, uint32_t most);

/* After so many failures in a row a store cannot be extended. */
#define POLICY_TRIES	3

#endif
