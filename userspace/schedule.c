// SPDX-License-Identifier: GPL-2.0-only
/*
 * When a snapshot is due, and which of them are not needed any more.
 */
#include <time.h>

#include "schedule.h"

/* 2020-01-01T00:00:00Z; from there the ids last for 68 years. */
#define EPOCH		1577836800ll
#define DAY		86400
/* Between an id is chosen and the snapshot is there, a file system is frozen. */
#define ID_TOLERANCE	3600

uint32_t schedule_id(int64_t now)
{
	int64_t since = now - EPOCH;

	if (since < 0 || since > (int64_t)(UINT32_MAX - SCHEDULE_ID_FIRST))
		return 0;
	return SCHEDULE_ID_FIRST + (uint32_t)since;
}

bool schedule_ours(const struct snap_info *snap)
{
	int64_t said, off;

	if (snap->id < SCHEDULE_ID_FIRST || snap->time > INT64_MAX / 2)
		return false;
	said = EPOCH + (int64_t)(snap->id - SCHEDULE_ID_FIRST);
	off = (int64_t)snap->time - said;
	return off >= -ID_TOLERANCE && off <= ID_TOLERANCE;
}

static int64_t divide(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

int64_t schedule_slot(int64_t t, uint32_t every)
{
	time_t at = (time_t)t;
	struct tm tm;

	if (every % DAY)
		return divide(t, every);
	if (localtime_r(&at, &tm))
		t += tm.tm_gmtoff;
	/* 1970 began on a Thursday. */
	if (!(every % (7 * DAY)))
		t += 3 * DAY;
	return divide(t, every);
}

int64_t schedule_last(const struct snap_info *snaps, size_t count,
		      uint32_t every, int64_t now)
{
	int64_t last = 0, t;
	size_t i;

	for (i = 0; i < count; i++) {
		t = (int64_t)snaps[i].time;
		if (schedule_ours(&snaps[i]) && t > last && t <= now + every)
			last = t;
	}
	return last;
}

bool schedule_due(int64_t last, uint32_t every, int64_t now)
{
	return !last || schedule_slot(last, every) < schedule_slot(now, every);
}

size_t schedule_expired(const struct snap_info *snaps, size_t count,
			uint32_t keep, uint32_t *ids, size_t max)
{
	size_t first_valid = 0, first_lost = 0, i, n = 0;
	uint32_t valid = 0, lost = 0;

	/* From the newest: where the last one stands that is kept. */
	for (i = count; i--;) {
		if (!schedule_ours(&snaps[i]))
			continue;
		if (snaps[i].lost && lost < keep) {
			lost++;
			first_lost = i;
		} else if (!snaps[i].lost && valid < keep) {
			valid++;
			first_valid = i;
		}
	}
	for (i = 0; i < count && n < max; i++) {
		if (!schedule_ours(&snaps[i]))
			continue;
		if ((valid == keep && i < first_valid) ||
		    (snaps[i].lost && lost == keep && i < first_lost))
			ids[n++] = snaps[i].id;
	}
	return n;
}
