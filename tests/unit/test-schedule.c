// SPDX-License-Identifier: GPL-2.0-only
/* When snapshots are due, and which are deleted; the clock is an argument. */
#include <time.h>

#include "../../userspace/schedule.h"
#include "unit.h"

#define HOUR	3600ll
#define DAY	86400ll
/* 2026-11-23, a Monday, 12:00 UTC */
#define NOON	1795435200ll

static void zone(const char *name)
{
	setenv("TZ", name, 1);
	tzset();
}

static struct snap_info taken(int64_t at)
{
	return (struct snap_info){
		.id = schedule_id(at),
		.time = (uint64_t)at,
	};
}

static void ids(void)
{
	struct snap_info snap = taken(NOON);

	CHECK(snap.id >= SCHEDULE_ID_FIRST && schedule_ours(&snap));
	CHECK_EQ(schedule_id(NOON + 1), snap.id + 1);
	/* The file system took its time to freeze. */
	snap.time += 100;
	CHECK(schedule_ours(&snap));
	/* Somebody's own number. */
	snap.time += HOUR;
	CHECK(!schedule_ours(&snap));
	snap.time = (uint64_t)NOON;
	snap.id = 7;
	CHECK(!schedule_ours(&snap));
	snap.id = UINT32_MAX;
	CHECK(!schedule_ours(&snap));
	snap.time = UINT64_MAX;
	CHECK(!schedule_ours(&snap));
	/* Clocks without a battery, and those beyond what ids can say. */
	CHECK_EQ(schedule_id(0), 0);
	CHECK_EQ(schedule_id(1577836799), 0);
	CHECK_EQ(schedule_id(1577836800), SCHEDULE_ID_FIRST);
	CHECK_EQ(schedule_id(1577836800ll + INT32_MAX), UINT32_MAX);
	CHECK_EQ(schedule_id(1577836800ll + INT32_MAX + 1), 0);
}

static void slots(void)
{
	zone("UTC");
	CHECK_EQ(schedule_slot(-1, 60), -1);
	CHECK_EQ(schedule_slot(0, 60), 0);
	CHECK_EQ(schedule_slot(59, 60), 0);
	CHECK_EQ(schedule_slot(60, 60), 1);
	/* From Monday to Sunday. */
	CHECK_EQ(schedule_slot(NOON, 604800),
		 schedule_slot(NOON + 6 * DAY, 604800));
	CHECK(schedule_slot(NOON - 12 * HOUR - 1, 604800) <
	      schedule_slot(NOON - 12 * HOUR, 604800));
}

static void due(void)
{
	zone("UTC");
	CHECK(schedule_due(0, 3600, NOON));
	CHECK(!schedule_due(NOON, 3600, NOON));
	CHECK(!schedule_due(NOON, 3600, NOON + HOUR - 1));
	CHECK(schedule_due(NOON, 3600, NOON + HOUR));
	/* Late, and still at the next full hour. */
	CHECK(schedule_due(NOON + 1800, 3600, NOON + HOUR));
	/* The clock was set back. */
	CHECK(!schedule_due(NOON + HOUR, 3600, NOON));
}

/* Days begin at midnight, in summer as in winter, of 23, 24 and 25 hours. */
static void days(void)
{
	int64_t t = 1774656000;	/* 2026-03-28, 00:00 UTC */
	int64_t last = t + 1, runs = 0;
	struct tm tm;
	time_t at;

	zone("CET-1CEST,M3.5.0,M10.5.0/3");
	for (; t < 1774656000 + 250 * DAY; t += 600) {
		if (!schedule_due(last, 86400, t))
			continue;
		at = (time_t)t;
		localtime_r(&at, &tm);
		CHECK_EQ(tm.tm_hour * 60 + tm.tm_min, 0);
		last = t;
		runs++;
	}
	CHECK_EQ(runs, 250);
	zone("UTC");
}

/* A clock that is looked at now and then, and a machine that is off at times. */
static void runs(void)
{
	u32 round, rounds = unit_rounds(200);

	zone("UTC");
	for (round = 0; round < rounds; round++) {
		u32 every = 1 + (u32)unit_below(100000);
		int64_t now = NOON, last = 0, slot = -1;
		u32 i;

		for (i = 0; i < 300; i++) {
			now += (int64_t)unit_below(unit_once_in(20) ?
						   every * 20ull :
						   every / 4 + 1);
			if (!schedule_due(last, every, now))
				continue;
			CHECK(schedule_slot(now, every) > slot);
			slot = schedule_slot(now, every);
			last = now;
			CHECK(!schedule_due(last, every, now));
		}
		CHECK(slot >= 0);
	}
}

static void last_one(void)
{
	struct snap_info snaps[5] = {
		taken(NOON - 3 * HOUR), taken(NOON - HOUR),
		{ .id = 7, .time = NOON }, taken(NOON + HOUR),
		taken(NOON + 100 * DAY),
	};

	CHECK_EQ(schedule_last(snaps, 0, 3600, NOON), 0);
	CHECK_EQ(schedule_last(snaps, 3, 3600, NOON), NOON - HOUR);
	/* The clock went back by less than an interval: nothing is made twice. */
	CHECK_EQ(schedule_last(snaps, 5, 3600, NOON), NOON + HOUR);
	CHECK_EQ(schedule_last(snaps, 5, 60, NOON), NOON - HOUR);
	snaps[1].lost = true;
	CHECK_EQ(schedule_last(snaps, 3, 3600, NOON), NOON - HOUR);
}

static void expect_expired(const struct snap_info *snaps, size_t count,
			   u32 keep, const char *indexes)
{
	char said[64] = "";
	uint32_t ids[8];
	size_t n, i, j;

	n = schedule_expired(snaps, count, keep, ids, ARRAY_SIZE(ids));
	for (i = 0; i < n; i++)
		for (j = 0; j < count; j++)
			if (snaps[j].id == ids[i])
				sprintf(said + strlen(said), "%zu ", j);
	if (strcmp(said, indexes))
		unit_fail(__FILE__, __LINE__, "keep %u: \"%s\", not \"%s\"",
			  keep, said, indexes);
}

static void expired(void)
{
	struct snap_info snaps[7] = {
		taken(NOON), taken(NOON + HOUR), { .id = 7, .time = NOON },
		taken(NOON + 2 * HOUR), taken(NOON + 3 * HOUR),
		{ .id = SCHEDULE_ID_FIRST + 5, .time = NOON },
		taken(NOON + 4 * HOUR),
	};

	expect_expired(snaps, 7, 5, "");
	expect_expired(snaps, 7, 4, "0 ");
	expect_expired(snaps, 7, 1, "0 1 3 4 ");
	/* A lost one does not take the place of one that can be read. */
	snaps[4].lost = true;
	expect_expired(snaps, 7, 3, "0 ");
	expect_expired(snaps, 7, 2, "0 1 ");
	expect_expired(snaps, 7, 1, "0 1 3 4 ");
	/* All lost: they stay to be seen, but do not pile up. */
	snaps[0].lost = true;
	snaps[1].lost = true;
	snaps[3].lost = true;
	snaps[6].lost = true;
	expect_expired(snaps, 7, 5, "");
	expect_expired(snaps, 7, 3, "0 1 ");
	expect_expired(snaps, 0, 1, "");
}

static void expired_in_parts(void)
{
	struct snap_info snaps[20];
	uint32_t ids[8];
	size_t i;

	for (i = 0; i < 20; i++)
		snaps[i] = taken(NOON + (int64_t)i);
	CHECK_EQ(schedule_expired(snaps, 20, 2, ids, 8), 8);
	CHECK_EQ(ids[0], snaps[0].id);
	CHECK_EQ(ids[7], snaps[7].id);
}

static const struct unit_test tests[] = {
	UNIT_TEST(ids),
	UNIT_TEST(slots),
	UNIT_TEST(due),
	UNIT_TEST(days),
	UNIT_TEST(runs),
	UNIT_TEST(last_one),
	UNIT_TEST(expired),
	UNIT_TEST(expired_in_parts),
};

UNIT_MAIN(tests)
