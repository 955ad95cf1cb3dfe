// SPDX-License-Identifier: GPL-2.0-only
/* Options of snapprotd, and how far a store grows. */
#include "../../userspace/policy.h"
#include "../../userspace/tab.h"
#include "unit.h"

/* In memory of just that size, so that nothing is read behind it unnoticed. */
static const char *set(struct policy *p, const char *option)
{
	size_t len = strlen(option);
	char *copy = memcpy(malloc(len), option, len), *equals;
	const char *what;

	equals = memchr(copy, '=', len);
	CHECK(policy_knows(copy, (size_t)(equals - copy)));
	what = policy_set(p, copy, (size_t)(equals - copy), equals + 1,
			  len - (size_t)(equals - copy) - 1);
	free(copy);
	return what;
}

static uint32_t percent(const char *option)
{
	struct policy p = { 0 };

	return set(&p, option) ? 0 : p.extend;
}

static uint64_t size(const char *option)
{
	struct policy p = { 0 };

	return set(&p, option) ? 0 : p.extend_max;
}

static uint32_t every(const char *option)
{
	struct policy p = { 0 };

	return set(&p, option) ? 0 : p.every;
}

static uint32_t keep(const char *option)
{
	struct policy p = { 0 };

	return set(&p, option) ? 0 : p.keep;
}

static void values(void)
{
	CHECK_EQ(percent("extend=20%"), 20);
	CHECK_EQ(percent("extend=1"), 1);
	CHECK_EQ(percent("extend=1000%"), 1000);
	CHECK_EQ(size("extend_max=1K"), 2);
	CHECK_EQ(size("extend_max=512M"), 1 << 20);
	CHECK_EQ(size("extend_max=100G"), 200ll << 20);
	CHECK_EQ(size("extend_max=3T"), 6ll << 30);
	CHECK_EQ(every("snapshot_every=15s"), 15);
	CHECK_EQ(every("snapshot_every=30m"), 1800);
	CHECK_EQ(every("snapshot_every=1h"), 3600);
	CHECK_EQ(every("snapshot_every=366d"), 366 * 86400);
	CHECK_EQ(every("snapshot_every=2w"), 14 * 86400);
	CHECK_EQ(keep("snapshot_keep=1"), 1);
	CHECK_EQ(keep("snapshot_keep=4095"), 4095);
}

static void wrong_values(void)
{
	static const char * const wrong[] = {
		"extend=", "extend=0", "extend=%", "extend=1001", "extend=-1",
		"extend=20%%", "extend=2.5", "extend=99999999999999999999",
		"extend_max=", "extend_max=G", "extend_max=0G",
		"extend_max=100", "extend_max=100g", "extend_max=100GB",
		"extend_max=-1G", "extend_max=9999999999999T",
		"extend_max=1099511627776T",
		"snapshot_every=", "snapshot_every=h", "snapshot_every=0s",
		"snapshot_every=60", "snapshot_every=1h30m",
		"snapshot_every=367d", "snapshot_every=53w",
		"snapshot_every=1 h", "snapshot_every=8784h1",
		"snapshot_keep=", "snapshot_keep=0", "snapshot_keep=4096",
		"snapshot_keep=+1", "snapshot_keep=1x",
	};
	struct policy p = { 0 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		if (!set(&p, wrong[i]))
			unit_fail(__FILE__, __LINE__, "taken: %s", wrong[i]);
	CHECK(!p.extend && !p.extend_max && !p.every && !p.keep);
	CHECK(!policy_knows("exten", 5) && !policy_knows("extend_", 7));
	CHECK(!policy_knows("", 0));
}

static void together(void)
{
	struct policy p = { 0 };

	CHECK(!policy_conflict(&p));
	CHECK(!set(&p, "extend_max=1G") && policy_conflict(&p));
	CHECK(!set(&p, "extend=5") && !policy_conflict(&p));
	CHECK(!set(&p, "snapshot_keep=1") && policy_conflict(&p));
	CHECK(!set(&p, "snapshot_every=1d") && !policy_conflict(&p));
	CHECK(set(&p, "extend=6") && set(&p, "snapshot_every=1h"));
	CHECK_EQ(p.extend, 5);
	CHECK_EQ(p.every, 86400);
	p.keep = 0;
	CHECK(policy_conflict(&p));
}

/* Where a tab is wrong in these, and that they are no business of the table. */

static unsigned int wrong_at;

static void note(void *ctx, unsigned int line, unsigned int column,
		 const char *what)
{
	CHECK(!ctx && line == 1 && *what);
	wrong_at = column;
}

static void in_a_tab(const char *line, unsigned int column)
{
	char *text = strdup(line);
	struct tab tab;

	wrong_at = 0;
	CHECK_EQ(tab_parse(&tab, text, note, NULL), 0);
	CHECK_EQ(wrong_at, column);
	CHECK_EQ(tab.count, !column);
	tab_free(&tab);
	free(text);
}

static void tabs(void)
{
	char text[] = "d /dev/a - snapshot_every=1h,snapshot_keep=24,extend=20%,extend_max=1G";
	char features[64];
	struct tab tab;

	CHECK_EQ(tab_parse(&tab, text, note, NULL), 0);
	CHECK_EQ(tab.count, 1);
	CHECK_EQ(tab.entries[0].policy.every, 3600);
	CHECK_EQ(tab.entries[0].policy.keep, 24);
	CHECK_EQ(tab.entries[0].policy.extend, 20);
	CHECK_EQ(tab.entries[0].policy.extend_max, 2 << 20);
	CHECK_EQ(tab_live_features(tab.entries, NULL, features, 64), 0);
	CHECK(!*features);
	CHECK_EQ(tab_store_features(tab.entries, features, 64), 0);
	CHECK(!*features);
	tab_free(&tab);
	in_a_tab("d /dev/a - nofail,extend=0", 26);
	in_a_tab("d /dev/a - nofail,extend", 19);
	in_a_tab("d /dev/a - nofail,extend_max=1G", 12);
	in_a_tab("d /dev/a - snapshot_every=1h", 12);
	in_a_tab("d /dev/a - extend=1,extend=2", 28);
	in_a_tab("d /dev/a - extend=20", 0);
}

static void growing(void)
{
	struct policy p = { .extend = 20 };

	CHECK_EQ(policy_target(&p, 100000), 120000);
	/* Whole blocks, and steps that are worth it. */
	CHECK_EQ(policy_target(&p, 100008), 120016);
	CHECK_EQ(policy_target(&p, 8192), 8192 + 2048);
	p.extend_max = 110000;
	CHECK_EQ(policy_target(&p, 100000), 110000);
	p.extend_max = 110001;
	CHECK_EQ(policy_target(&p, 100000), 110000);
	CHECK_EQ(policy_target(&p, 110000), 0);
	CHECK_EQ(policy_target(&p, 200000), 0);
	p.extend_max = 100004;
	CHECK_EQ(policy_target(&p, 100000), 0);
	p = (struct policy){ .extend = 1000 };
	CHECK_EQ(policy_target(&p, 1ull << 55), 11ull << 55);
}

static void waiting(void)
{
	CHECK_EQ(policy_backoff(0, 1, 300), 1);
	CHECK_EQ(policy_backoff(1, 1, 300), 1);
	CHECK_EQ(policy_backoff(2, 1, 300), 2);
	CHECK_EQ(policy_backoff(9, 1, 300), 256);
	CHECK_EQ(policy_backoff(10, 1, 300), 300);
	CHECK_EQ(policy_backoff(UINT32_MAX, 1, UINT32_MAX), UINT32_MAX);
	CHECK_EQ(policy_backoff(1, 60, 10), 10);
}

static const struct unit_test tests[] = {
	UNIT_TEST(values),
	UNIT_TEST(wrong_values),
	UNIT_TEST(together),
	UNIT_TEST(tabs),
	UNIT_TEST(growing),
	UNIT_TEST(waiting),
};

UNIT_MAIN(tests)
