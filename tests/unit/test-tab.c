// SPDX-License-Identifier: GPL-2.0-only
/* snapprottab: what is taken, what is not and where that is said to be. */
#include <stdlib.h>
#include <unistd.h>

#include "../../userspace/tab.h"
#include "unit.h"

/* The complaints, as "line:column " one after the other. */
static char said[4096];

static void note(void *ctx, unsigned int line, unsigned int column,
		 const char *what)
{
	size_t len = strlen(said);

	CHECK(ctx == said && *what);
	snprintf(said + len, sizeof(said) - len, "%u:%u ", line, column);
}

static struct tab tab;

/* In memory of just that size, so that nothing is read behind it unnoticed. */
static void parse(const char *text)
{
	char *copy = strdup(text);

	said[0] = '\0';
	tab_free(&tab);
	CHECK_EQ(tab_parse(&tab, copy, note, said), 0);
	free(copy);
}

static void expect_said(const char *text, const char *complaints, size_t count)
{
	parse(text);
	if (strcmp(said, complaints))
		unit_fail(__FILE__, __LINE__, "\"%s\": said \"%s\", not \"%s\"",
			  text, said, complaints);
	CHECK_EQ(tab.count, count);
}

static void whole_line(void)
{
	const struct tab_entry *e;
	char text[256];

	parse("# comment\n\n \t# another\n"
	      "data /dev/sdb1\tPARTUUID=12-34 protect,grace=10,label=/dev/sdd,low_water=5,x-any=thing,nofail,cache=256 # why\r\n");
	CHECK_EQ(tab.count, 1);
	CHECK_EQ(tab.bad, 0);
	e = tab_find(&tab, "data");
	CHECK(e && e == tab.entries && !tab_find(&tab, "dat"));
	CHECK_EQ(e->line, 4);
	CHECK(!strcmp(e->origin, "/dev/sdb1"));
	CHECK(!strcmp(e->store, "PARTUUID=12-34"));
	CHECK(!strcmp(e->label, "/dev/sdd"));
	CHECK(e->flag[TAB_PROTECT] && e->flag[TAB_NOFAIL]);
	CHECK(!e->flag[TAB_NOAUTO] && !e->uuid[0]);
	CHECK_EQ(tab_live_features(e, "8:48", text, sizeof(text)), 0);
	CHECK(!strcmp(text, " 5 protect grace 10 label 8:48"));
	CHECK_EQ(tab_store_features(e, text, sizeof(text)), 0);
	CHECK(!strcmp(text, " 4 low_water 5 cache 256"));
	CHECK_EQ(tab_store_features(e, text, 10), -ENOSPC);
}

static void short_line(void)
{
	const struct tab_entry *e;
	char text[8] = "x";

	parse("a-b /dev/a -\nb /dev/b - -\nc /dev/c - uuid=C5A3B5B0-8d0a-4a53-9a6f-0f4c0b6b2a11,unlabelled");
	CHECK_EQ(tab.count, 3);
	CHECK(!tab.entries[0].store && !tab.entries[1].store);
	e = &tab.entries[0];
	CHECK_EQ(tab_live_features(e, NULL, text, sizeof(text)), 0);
	CHECK(!*text);
	CHECK(!strcmp(tab.entries[2].uuid,
		      "c5a3b5b0-8d0a-4a53-9a6f-0f4c0b6b2a11"));
}

static void blanks(void)
{
	parse("my\\040data-1 /dev/disk/by-id/a\\011b\\134c - label=/dev/x\\054y\n");
	CHECK_EQ(tab.bad, 0);
	CHECK(tab_find(&tab, "my data-1"));
	CHECK(!strcmp(tab.entries[0].origin, "/dev/disk/by-id/a\tb\\c"));
	CHECK(!strcmp(tab.entries[0].label, "/dev/x,y"));
}

static void wrong_words(void)
{
	expect_said("data\n", "1:5 ", 0);
	expect_said("data /dev/a", "1:12 ", 0);
	expect_said("  data sdb1 -", "1:8 ", 0);
	expect_said("data UUID=12 -", "1:6 ", 0);
	expect_said("data /dev/a store", "1:13 ", 0);
	expect_said("da/ta /dev/a -", "1:1 ", 0);
	expect_said(".. /dev/a -", "1:1 ", 0);
	expect_said("data /dev/a /dev/a", "1:13 ", 0);
	expect_said("data /dev/a - - more", "1:17 ", 0);
	expect_said("d\\04 /dev/a -", "1:2 ", 0);
	expect_said("data /dev/\\999 -", "1:11 ", 0);
	expect_said("data /dev/\\", "1:11 ", 0);
	expect_said("data /dev/\\000 -", "1:11 ", 0);
	expect_said("d\\012 /dev/a -", "1:1 ", 0);
}

static void wrong_options(void)
{
	expect_said("d /dev/a - protected", "1:12 ", 0);
	expect_said("d /dev/a - protect,", "1:20 ", 0);
	expect_said("d /dev/a - ,protect", "1:12 ", 0);
	expect_said("d /dev/a - grace=1,,nofail", "1:20 ", 0);
	expect_said("d /dev/a - protect,protect", "1:20 ", 0);
	expect_said("d /dev/a - protect=1", "1:20 ", 0);
	expect_said("d /dev/a - grace", "1:12 ", 0);
	expect_said("d /dev/a - grace=", "1:18 ", 0);
	expect_said("d /dev/a - grace=86401", "1:18 ", 0);
	expect_said("d /dev/a - grace=-1", "1:18 ", 0);
	expect_said("d /dev/a - grace=1s", "1:18 ", 0);
	expect_said("d /dev/a - grace=00000000000000000001", "1:18 ", 0);
	expect_said("d /dev/a - grace=1,grace=2", "1:20 ", 0);
	expect_said("d /dev/a - cache=255", "1:18 ", 0);
	expect_said("d /dev/a - uuid=123", "1:17 ", 0);
	expect_said("d /dev/a - label=", "1:18 ", 0);
	expect_said("d /dev/a - label", "1:12 ", 0);
	expect_said("d /dev/a - =", "1:12 ", 0);
}

/* A bad line costs the others nothing. */
static void others_go_on(void)
{
	expect_said("a /dev/a /dev/as\n"
		    "b /dev/b\n"
		    "a /dev/c -\n"
		    "d /dev/d /dev/as\n"
		    "e /dev/as -\n"
		    "f /dev/f /dev/a\n"
		    "g /dev/g /dev/gs noauto\n",
		    "2:9 3:1 4:10 5:3 6:10 ", 2);
	CHECK_EQ(tab.bad, 5);
	CHECK(!strcmp(tab.entries[1].name, "g"));
	CHECK(tab.entries[1].flag[TAB_NOAUTO]);
}

static void long_names(void)
{
	char text[256];
	int i;

	for (i = 100; i <= 101; i++) {
		snprintf(text, sizeof(text), "%0*d /dev/a -", i, 0);
		expect_said(text, i == 100 ? "" : "1:1 ", i == 100);
	}
}

/* Random text of the alphabet of a tab: whatever it is, nothing is overrun. */
static void nonsense(void)
{
	static const char alphabet[] = " \\01/devgrace=,-#protectlabel=x\n\t ";
	char text[200];
	u32 round, i, rounds = unit_rounds(20000);

	for (round = 0; round < rounds; round++) {
		u32 len = (u32)unit_below(sizeof(text) - 1);

		for (i = 0; i < len; i++)
			text[i] = alphabet[unit_below(sizeof(alphabet) - 1)];
		text[len] = '\0';
		parse(text);
	}
	tab_free(&tab);
}

static void files(void)
{
	char path[] = "/tmp/snapprottab.XXXXXX";
	int fd = mkstemp(path);

	CHECK(fd >= 0);
	said[0] = '\0';
	CHECK_EQ(tab_read(&tab, path, note, said), 0);
	CHECK_EQ(tab.count, 0);
	CHECK_EQ(write(fd, "a /dev/a -\0b /dev/b -\n", 22), 22);
	CHECK_EQ(tab_read(&tab, path, note, said), -EILSEQ);
	tab_free(&tab);
	CHECK_EQ(tab_read(&tab, "/tmp", note, said), -EISDIR);
	unlink(path);
	close(fd);
	CHECK_EQ(tab_read(&tab, path, note, said), -ENOENT);
	CHECK(!said[0]);
}

static const struct unit_test tests[] = {
	UNIT_TEST(whole_line),
	UNIT_TEST(short_line),
	UNIT_TEST(blanks),
	UNIT_TEST(wrong_words),
	UNIT_TEST(wrong_options),
	UNIT_TEST(others_go_on),
	UNIT_TEST(long_names),
	UNIT_TEST(nonsense),
	UNIT_TEST(files),
};

UNIT_MAIN(tests)
