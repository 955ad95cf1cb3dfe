/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Property tests: runs of random operations.
 *
 * Each operation draws its random numbers from a stream of its own, so that it
 * stays what it is when others are left out. So a run that fails is made as
 * short as it can be, and printed with the command that repeats it. Runs are made
 * in a child process: one that crashes or hangs is as good a failure as any.
 *
 *   SEED=1 OPS=3,17,90 build/test-x	only these operations of this run
 */
#ifndef PROPERTY_H
#define PROPERTY_H

#include "unit.h"

/**
 * struct property - what a run is made of
 * @name: of the test
 * @start: make something to operate on
 * @op: one operation; it says with property_say() what it was
 * @end: what has to be so in the end; frees everything
 * @counts: what is counted by property_count(), in words, ended by NULL
 * @seconds: that a run may take; 0: a minute
 */
struct property {
	const char *name;
	void *(*start)(void);
	void (*op)(void *ctx);
	void (*end)(void *ctx);
	const char *const *counts;
	unsigned int seconds;
};

/* @runs runs of @ops operations, the first one of the seed that there is. */
void property_check(const struct property *p, u32 runs, u32 ops);

/* What is happening; printed where a run that failed is shown. */
void property_say(const char *format, ...)
	__attribute__((__format__(__printf__, 1, 2)));
/* One more of @what, an index of property.counts. */
void property_count(u32 what);

#endif
