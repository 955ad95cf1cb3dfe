/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * When a snapshot is due, and which of them are not needed any more.
 *
 * There is no record besides the snapshots themselves. Those that were taken by
 * the schedule have ids of the upper half, which say when that was; one counts as
 * such only if the time that the store has for it is the same. What somebody else
 * made, under whatever id, is not touched.
 *
 * Time is cut into slots as long as the interval: full hours, days, weeks from
 * Monday on. A slot has one run. So several that were missed are made up for by one,
 * and a restart makes none twice.
 */
#ifndef SNAPPROT_SCHEDULE_H
#define SNAPPROT_SCHEDULE_H

#include "status.h"

#define SCHEDULE_ID_FIRST	0x80000000u

/* The id of a snapshot taken at @now; 0 if the clock cannot be right. */
uint32_t schedule_id(int64_t now);

/* Has the schedule made it? */
bool schedule_ours(const struct snap_info *snap);

/**
 * schedule_slot() - number of the slot that a time is in
 * @every: seconds
 *
 * Whole days and weeks begin at midnight of the local time, all others where they
 * do in UTC.
 */
int64_t schedule_slot(int64_t time, uint32_t every);

/**
 * schedule_last() - when the last run was
 *
 * 0 for never. A lost snapshot counts, or a store that loses them would be given
 * one after the other. Those of a future further away than the next run do not: the
 * clock was wrong then.
 */
int64_t schedule_last(const struct snap_info *snaps, size_t count,
		      uint32_t every, int64_t now);

/* Is a run due, the last one having been at @last? */
bool schedule_due(int64_t last, uint32_t every, int64_t now);

/**
 * schedule_expired() - which snapshots are to be deleted
 * @snaps: all there are, oldest first
 * @keep: so many remain that can be read
 * @ids: filled in, oldest first
 * @max: at most so many
 *
 * Returns how many. A lost one goes with those that are as old as it, and there
 * are never more than @keep of them.
 */
size_t schedule_expired(const struct snap_info *snaps, size_t count,
			uint32_t keep, uint32_t *ids, size_t max);

#endif
