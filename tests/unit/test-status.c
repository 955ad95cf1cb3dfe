// SPDX-License-Identifier: GPL-2.0-only
/* Status lines as the targets print them, and others; what is well and what not. */
#include <stdlib.h>

#include "../../userspace/status.h"
#include "unit.h"

static void live(void)
{
	struct live_status st;

	CHECK_EQ(live_status_parse("normal active - 0 3 1 160/2048 - 0 label",
				   &st), 0);
	CHECK(!strcmp(st.mode, "normal") && !strcmp(st.state, "active"));
	CHECK(!st.fault[0] && st.has_space && st.label);
	CHECK_EQ(st.valid, 3);
	CHECK_EQ(st.lost, 1);
	CHECK_EQ(st.used, 160);
	CHECK_EQ(st.total, 2048);
	CHECK_EQ(st.grace, -1);
	CHECK_EQ(live_status_parse("protect blocked store_missing 110 0 0 - 12 7 nolabel and more",
				   &st), 0);
	CHECK(!strcmp(st.fault, "store_missing") && !st.label);
	CHECK(!st.has_space);
	CHECK_EQ(st.error, 110);
	CHECK_EQ(st.grace, 12);
	CHECK_EQ(st.held, 7);
}

static void live_nonsense(void)
{
	static const char * const lines[] = {
		"", "normal", "normal active - 0 3 1 160/2048 - 0",
		"normal active - x 3 1 160/2048 - 0 label",
		"normal active - 0 3 1 160 - 0 label",
		"normal active - 0 3 1 160/ - 0 label",
		"normal active - 0 3 1 160/2048x - 0 label",
		"normal active - 0 3 1 160/2048 -5 0 label",
	};
	struct live_status st;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(lines); i++)
		CHECK_EQ(live_status_parse(lines[i], &st), -EINVAL);
}

static void store_and_view(void)
{
	const char *uuid = "c5a3b5b0-8d0a-4a53-9a6f-0f4c0b6b2a11";
	struct store_status st;
	struct view_status view;
	char line[128];

	snprintf(line, sizeof(line), "%s online 8/16 low protected", uuid);
	CHECK_EQ(store_status_parse(line, &st), 0);
	CHECK(!strcmp(st.volume, uuid) && !strcmp(st.state, "online"));
	CHECK(st.low && st.protected && st.has_space);
	CHECK_EQ(st.total, 16);
	snprintf(line, sizeof(line), "%s unclaimed - - -", uuid);
	CHECK_EQ(store_status_parse(line, &st), 0);
	CHECK(!st.low && !st.protected && !st.has_space);
	CHECK_EQ(store_status_parse("c5a3 online 8/16 - -", &st), -EINVAL);
	CHECK_EQ(store_status_parse(uuid, &st), -EINVAL);
	CHECK_EQ(view_status_parse("4294967295 offline", &view), 0);
	CHECK_EQ(view.id, 4294967295u);
	CHECK(!strcmp(view.state, "offline"));
	CHECK_EQ(view_status_parse("", &view), -EINVAL);
}

static void list(void)
{
	struct snap_info *snaps;

	CHECK_EQ(snap_list_parse("7 valid 1700000000 2048\n3 lost 1 8\n",
				 &snaps), 2);
	CHECK_EQ(snaps[0].id, 7);
	CHECK_EQ(snaps[0].time, 1700000000);
	CHECK_EQ(snaps[1].sectors, 8);
	CHECK(!snaps[0].lost && snaps[1].lost);
	free(snaps);
	CHECK_EQ(snap_list_parse("\n", &snaps), 0);
	free(snaps);
	CHECK_EQ(snap_list_parse("", &snaps), 0);
	free(snaps);
	CHECK_EQ(snap_list_parse("7 valid 17\n", &snaps), -EINVAL);
	CHECK_EQ(snap_list_parse("7 rotten 17 8\n", &snaps), -EINVAL);
}

static void numbers(void)
{
	static const char * const wrong[] = {
		"", "0", "-1", "+1", " 1", "1 ", "0x1", "4294967296", "one",
		"99999999999999999999",
	};
	u32 id, i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		CHECK_EQ(snap_id_parse(wrong[i], &id), -EINVAL);
	CHECK_EQ(snap_id_parse("4294967295", &id), 0);
	CHECK_EQ(id, 4294967295u);
}

static void versions(void)
{
	static const uint32_t have[3] = { 2, 3, 9 };

	CHECK(version_suffices(have, 2, 3));
	CHECK(version_suffices(have, 2, 0));
	CHECK(version_suffices(have, 1, 7));
	CHECK(!version_suffices(have, 2, 4));
	CHECK(!version_suffices(have, 3, 0));
}

static void set(char *word, const char *value)
{
	snprintf(word, STATUS_WORD, "%s", value);
}

static void health(void)
{
	struct live_status st = { .state = "active" };
	struct store_status store = { .state = "online" };

	CHECK_EQ(status_health(&st, &store, false), HEALTH_WELL);
	CHECK_EQ(status_health(&st, &store, true), HEALTH_WAITING);
	CHECK_EQ(status_health(&st, NULL, false), HEALTH_WAITING);
	store.low = true;
	CHECK_EQ(status_health(&st, &store, false), HEALTH_LOW);
	set(store.state, "suspended");
	CHECK_EQ(status_health(&st, &store, false), HEALTH_WAITING);
	st.lost = 1;
	CHECK_EQ(status_health(&st, &store, false), HEALTH_LOST);
	st.lost = 0;
	set(st.fault, "cow_read");
	CHECK_EQ(status_health(&st, &store, false), HEALTH_LOST);
	set(st.state, "blocked");
	CHECK_EQ(status_health(&st, &store, false), HEALTH_BLOCKED);
}

static const struct unit_test tests[] = {
	UNIT_TEST(live),
	UNIT_TEST(live_nonsense),
	UNIT_TEST(store_and_view),
	UNIT_TEST(list),
	UNIT_TEST(numbers),
	UNIT_TEST(versions),
	UNIT_TEST(health),
};

UNIT_MAIN(tests)
