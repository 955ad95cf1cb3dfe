// SPDX-License-Identifier: GPL-2.0-only
/*
 * grammar - tables and messages made from their grammar, most of them damaged
 *
 *   grammar [SEED [RUNS]]          OPS=3,17,90 only these operations of the run
 *
 * A reader of our own, after the manual, says of each line whether it has to be taken,
 * refused, or may be either, and with which errno. What was taken has to be printed as
 * a table that is taken again and prints the same; what was refused has changed
 * nothing. On a sound volume no line is a fault, no line loses a snapshot, and every
 * answer can be read by the tools' own parsers. The frame is that of the unit tests,
 * see ../unit/property.h; ORIGIN_DISK, STORE_DISK, SNAPPROT (the tool) and
 * GRAMMAR_OPS, how many operations make a run, come from the environment.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "../../userspace/status.h"
#include "stomp.h"

#define VOLUME_SECTORS	8192u
#define STORE_SECTORS	16384u
#define MAX_WORDS	40u
#define LINE		4096u
#define MAX_SNAPS	12u
#define SCRATCH		"st-view"
#define DEV_LAYER_O	"/dev/mapper/" LAYER_O
#define DEV_LAYER_S	"/dev/mapper/" LAYER_S

enum { TABLES, TAKEN, RESUMED, MESSAGES, ACCEPTED };

static const char *const counts[] = {
	"tables", "taken", "resumed", "messages", "accepted", NULL
};

enum verdict { REFUSED, TAKES, EITHER };

struct grammar {
	struct stomp_disks d;
	bool protect;
	u32 snap[MAX_SNAPS];
	u32 nr_snaps;
};

struct words {
	char *w[MAX_WORDS];
	u32 n;
};

/* ---- lines ------------------------------------------------------------------- */

static const char *const numbers[] = {
	"0", "1", "2", "3", "4", "5", "7", "99", "100", "101", "255", "256", "257",
	"4096", "86400", "86401", "4194304", "4194305", "2147483648", "4294967295",
	"4294967296", "18446744073709551616", "-1", "+1", "01", "0x10", "1e3", "1.5",
	"5s", "00000000000000000000001", "\xd9\xa1",
};

static const char *const dictionary[] = {
	"protect", "queue_on_fault", "unlabelled", "ignore_discard", "delete_oldest",
	"grace", "grow_timeout", "label", "low_water", "io_timeout", "cache",
	"create_snap", "delete_snap", "list_snaps", "normal", "drop_snapshots",
	"clear_fault", "grow_failed", "set", "store_missing", "Store_io", "debug", "none",
	"-", "--", ".", "..", "/", "/dev", "/dev/null", "/dev/mapper/control", "0:0",
	"1:3", "7:0", "253:0", "253:1048576", "4096:0", ":", "\"\"", "'", "%s%n", "\\",
	DEV_LAYER_O, DEV_LAYER_S, "/dev/mapper/" ORIGIN, "/dev/mapper/" STORE,
	"00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff",
	"\x01", "\x7f", "\xff\xfe", "\xc2\xa0",
};

static const char *one_of(const char *const *list, u32 n)
{
	return list[unit_below(n)];
}

static const char *some_number(void)
{
	return one_of(numbers, ARRAY_SIZE(numbers));
}

static void add(struct words *l, const char *word)
{
	if (l->n == MAX_WORDS)
		return;
	l->w[l->n] = strdup(word);
	CHECK(l->w[l->n++]);
}

static void add_number(struct words *l, u64 n)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
	add(l, text);
}

static void cut(struct words *l, u32 at)
{
	free(l->w[at]);
	l->n--;
	memmove(l->w + at, l->w + at + 1, (l->n - at) * sizeof(l->w[0]));
}

static void words_free(struct words *l)
{
	while (l->n)
		cut(l, l->n - 1);
}

static void replace(struct words *l, u32 at, const char *word)
{
	char *copy = strdup(word);

	CHECK(copy);
	free(l->w[at]);
	l->w[at] = copy;
}

/* One letter of it is another one, is gone, or comes twice. */
static void damage_word(struct words *l, u32 at)
{
	char text[LINE];
	size_t length = strlen(l->w[at]), i = unit_below(length + 1);

	if (length >= sizeof(text) - 2)
		return;
	memcpy(text, l->w[at], length + 1);
	switch (unit_below(4)) {
	case 0:
		text[i] = 1 + unit_below(255);
		text[length + 1] = 0;
		break;
	case 1:
		memmove(text + i, text + i + 1, length - i);
		text[length - (i < length)] = 0;
		break;
	case 2:
		memmove(text + i + 1, text + i, length - i + 1);
		break;
	default:
		text[i] ^= isalpha((unsigned char)text[i]) ? 0x20 : 0;
		break;
	}
	replace(l, at, text);
}

static void damage(struct words *l)
{
	char text[LINE / 8];
	u32 at, other;

	if (!l->n) {
		add(l, one_of(dictionary, ARRAY_SIZE(dictionary)));
		return;
	}
	at = unit_below(l->n);
	other = unit_below(l->n);
	switch (unit_below(8)) {
	case 0:
		cut(l, at);
		break;
	case 1:
		add(l, l->w[at]);
		break;
	case 2: {
		char *swap = l->w[at];

		l->w[at] = l->w[other];
		l->w[other] = swap;
		break;
	}
	case 3:
		add(l, one_of(dictionary, ARRAY_SIZE(dictionary)));
		break;
	case 4:
		replace(l, at, one_of(dictionary, ARRAY_SIZE(dictionary)));
		break;
	case 5:
		replace(l, at, some_number());
		break;
	case 6:
		memset(text, 'a' + unit_below(26), sizeof(text));
		text[unit_below(sizeof(text))] = 0;
		text[sizeof(text) - 1] = 0;
		replace(l, at, text);
		break;
	default:
		damage_word(l, at);
		break;
	}
}

static void maybe_damage(struct words *l)
{
	u32 n = unit_once_in(3) ? 0 : 1 + unit_below(3);

	while (n--)
		damage(l);
}

/* Blanks of any kind between words; now and then one that a word is. */
static void join(const struct words *l, char *line)
{
	static const char *const blanks[] = {
		" ", " ", " ", " ", " ", "  ", "\t", "\n", " \\ ", "\\",
	};
	size_t length = 0;
	u32 i;

	line[0] = 0;
	for (i = 0; i < l->n; i++)
		if (length < LINE - 600)
			length += snprintf(line + length, LINE - length, "%s%s",
					   !i ? "" : unit_once_in(8) ?
					   one_of(blanks, ARRAY_SIZE(blanks)) : " ",
					   l->w[i]);
}

/* device-mapper's own idea of white space is that of Latin-1. */
static bool blank(char c)
{
	return isspace((unsigned char)c) || c == '\xa0';
}

/*
 * The words as device-mapper sees them. A backslash takes its meaning from what follows;
 * not so in a table (@quoted), where libdevmapper puts another one before it.
 */
static void split(const char *line, bool quoted, struct words *l)
{
	char word[LINE];

	l->n = 0;
	for (;;) {
		size_t n = 0;

		while (blank(*line))
			line++;
		if (!*line)
			return;
		while (*line && !blank(*line)) {
			if (!quoted && *line == '\\' && line[1])
				line++;
			word[n++] = *line++;
		}
		word[n] = 0;
		CHECK(l->n < MAX_WORDS);
		add(l, word);
	}
}

/* A line with nothing but what can be printed. */
static const char *shown(const char *line)
{
	static char text[512];
	size_t n = 0;

	for (; *line && n < sizeof(text) - 5; line++)
		if (isprint((unsigned char)*line))
			text[n++] = *line;
		else
			n += snprintf(text + n, 5, "\\x%02x", (unsigned char)*line);
	text[n] = 0;
	return text;
}

/* ---- what has to be taken ------------------------------------------------------ */

static bool is_number(const char *text, u64 min, u64 max)
{
	u64 value;

	return !number_parse(text, max, &value) && value >= min;
}

/* -1: no device, 0: another one, 1: this one */
static int is_device(const char *text, const char *path)
{
	struct stat want, got;
	unsigned int major, minor;
	char c;

	CHECK(!stat(path, &want));
	if (isdigit((unsigned char)*text) &&
	    sscanf(text, "%u:%u%c", &major, &minor, &c) == 2)
		return makedev(major, minor) == want.st_rdev;
	if (stat(text, &got) || !S_ISBLK(got.st_mode))
		return -1;
	return got.st_rdev == want.st_rdev;
}

/* -1: no UUID, 0: another one, 1: this one */
static int is_uuid(const char *text, const char *uuid)
{
	u32 i;

	if (strlen(text) != 36)
		return -1;
	for (i = 0; i < 36; i++)
		if (i == 8 || i == 13 || i == 18 || i == 23 ? text[i] != '-' :
		    !isxdigit((unsigned char)text[i]))
			return -1;
	return !strcasecmp(text, uuid);
}

struct rule {
	const char *name;
	enum { FLAG, NUMBER, DEVICE } type;
	u64 min, max;
};

static const struct rule origin_rules[] = {
	{ "protect", FLAG, 0, 0 },
	{ "queue_on_fault", FLAG, 0, 0 },
	{ "unlabelled", FLAG, 0, 0 },
	{ "ignore_discard", FLAG, 0, 0 },
	{ "delete_oldest", FLAG, 0, 0 },
	{ "grace", NUMBER, 0, 86400 },
	{ "grow_timeout", NUMBER, 0, 86400 },
	{ "label", DEVICE, 0, 0 },
	{ NULL, FLAG, 0, 0 },
};

static const struct rule store_rules[] = {
	{ "low_water", NUMBER, 0, 100 },
	{ "io_timeout", NUMBER, 0, 86400 },
	{ "cache", NUMBER, 256, 4194304 },
	{ NULL, FLAG, 0, 0 },
};

/*
 * Features from word @at on; @given gets a bit for each that is there. A label of
 * its own, unlabelled and a cache of more memory than there is may be refused.
 */
static enum verdict features_verdict(const struct words *l, u32 at,
				     const struct rule *rules, u32 *given)
{
	enum verdict verdict = TAKES;
	u32 i;

	*given = 0;
	if (at == l->n)
		return TAKES;
	if (!is_number(l->w[at], l->n - at - 1, l->n - at - 1) || l->n - at - 1 > 32)
		return REFUSED;
	while (++at < l->n) {
		for (i = 0; rules[i].name; i++)
			if (!strcasecmp(rules[i].name, l->w[at]))
				break;
		if (!rules[i].name || *given & 1u << i)
			return REFUSED;
		*given |= 1u << i;
		if (rules[i].type == FLAG) {
			if (!strcasecmp(rules[i].name, "unlabelled"))
				verdict = EITHER;
			continue;
		}
		if (++at == l->n)
			return REFUSED;
		if (rules[i].type == DEVICE)
			verdict = EITHER;
		else if (!is_number(l->w[at], rules[i].min, rules[i].max))
			return REFUSED;
		else if (!strcmp(rules[i].name, "cache") && strlen(l->w[at]) > 5)
			verdict = EITHER;
	}
	return verdict;
}

static enum verdict device_verdict(const char *word, const char *path)
{
	int is = is_device(word, path);

	return is < 0 ? REFUSED : is ? TAKES : EITHER;
}

static enum verdict worse(enum verdict a, enum verdict b)
{
	return a == REFUSED || b == REFUSED ? REFUSED :
	       a == EITHER || b == EITHER ? EITHER : TAKES;
}

static enum verdict origin_verdict(const struct grammar *g, const struct words *l,
				   u64 sectors, u32 *given)
{
	enum verdict verdict;
	int uuid;

	*given = 0;
	if (l->n < 2)
		return REFUSED;
	uuid = is_uuid(l->w[1], g->d.uuid);
	if (uuid < 0 || sectors % 8)
		return REFUSED;
	verdict = device_verdict(l->w[0], DEV_LAYER_O);
	verdict = worse(verdict, features_verdict(l, 2, origin_rules, given));
	if (!uuid || sectors != g->d.sectors)
		verdict = worse(verdict, EITHER);
	return verdict;
}

static enum verdict store_verdict(const struct grammar *g, const struct words *l,
				  u64 sectors)
{
	enum verdict verdict;
	u32 given;

	if (!l->n || sectors > g->d.store_sectors)
		return REFUSED;
	verdict = device_verdict(l->w[0], DEV_LAYER_S);
	verdict = worse(verdict, features_verdict(l, 1, store_rules, &given));
	if (sectors != g->d.store_sectors)
		verdict = worse(verdict, EITHER);
	return verdict;
}

static bool known(const struct grammar *g, u64 id)
{
	u32 i;

	for (i = 0; i < g->nr_snaps; i++)
		if (g->snap[i] == id)
			return true;
	return false;
}

static enum verdict view_verdict(const struct grammar *g, const struct words *l,
				 u64 sectors)
{
	u64 id;
	int uuid;

	if (l->n != 2 || number_parse(l->w[1], 0xffffffff, &id) || !id)
		return REFUSED;
	uuid = is_uuid(l->w[0], g->d.uuid);
	if (uuid <= 0)
		return uuid ? REFUSED : EITHER;
	return known(g, id) && sectors == g->d.sectors ? TAKES : REFUSED;
}

/* ---- what holds at any time ------------------------------------------------------- */

static void look(const struct grammar *g)
{
	struct live_status live;
	struct store_status store;
	char params[LINE];

	CHECK(dm_params(ORIGIN, params, sizeof(params)));
	CHECK_EQ(live_status_parse(params, &live), 0);
	CHECK(!strcmp(live.state, "active"));
	CHECK(!live.fault[0]);
	CHECK_EQ(live.valid, g->nr_snaps);
	CHECK_EQ(live.lost, 0);
	CHECK_EQ(live.held, 0);
	CHECK_EQ(!strcmp(live.mode, "protect"), g->protect);
	CHECK(dm_params(STORE, params, sizeof(params)));
	CHECK_EQ(store_status_parse(params, &store), 0);
	CHECK(!strcmp(store.state, "online"));
	CHECK(!strcmp(store.volume, g->d.uuid));
}

static void list_check(const struct grammar *g, const char *answer)
{
	struct snap_info *snaps;
	int i, n = snap_list_parse(answer, &snaps);

	CHECK_EQ(n, g->nr_snaps);
	for (i = 0; i < n; i++) {
		CHECK_EQ(snaps[i].id, g->snap[i]);
		CHECK(!snaps[i].lost);
		CHECK_EQ(snaps[i].sectors, g->d.sectors);
	}
	free(snaps);
}

/* ---- tables ----------------------------------------------------------------------- */

static u64 some_sectors(u64 usual)
{
	static const u64 odd[] = {
		1, 7, 8, 9, 64, 128, 4096, 8184, 8191, 8192, 8193, 16376, 16384, 16392,
		1ull << 32, 1ull << 40,
	};

	return unit_once_in(6) ? odd[unit_below(ARRAY_SIZE(odd))] : usual;
}

static void add_features(struct words *l, const struct rule *rules)
{
	u32 at = l->n, n = 0, i;

	add(l, "0");
	for (i = 0; rules[i].name; i++) {
		if (unit_below(3) || (rules[i].type == DEVICE && unit_below(4)))
			continue;
		add(l, rules[i].name);
		n++;
		if (rules[i].type == FLAG)
			continue;
		n++;
		if (rules[i].type == DEVICE)
			add(l, unit_once_in(2) ? DEV_LAYER_O : DEV_LAYER_S);
		else if (unit_once_in(4))
			add(l, some_number());
		else
			add_number(l, rules[i].min +
				   unit_below(rules[i].max > 86400 ? 4096 :
					      rules[i].max - rules[i].min + 1));
	}
	if (n || unit_once_in(2)) {
		char count[12];

		snprintf(count, sizeof(count), "%u", n);
		replace(l, at, count);
	} else {
		cut(l, at);
	}
}

static void add_device(struct words *l, const char *path)
{
	struct stat st;
	char text[32];

	CHECK(!stat(path, &st));
	snprintf(text, sizeof(text), "%u:%u", major(st.st_rdev), minor(st.st_rdev));
	add(l, unit_once_in(2) ? path : text);
}

/* What was taken prints as a table that is taken, and prints the same. */
static void prints_again(const char *name, const char *target, u64 sectors)
{
	char first[LINE], second[LINE];

	CHECK(dm_table(name, first, sizeof(first)));
	CHECK_EQ(dm_load(name, false, false, sectors, target, "%s", first), 0);
	CHECK(dm_table(name, second, sizeof(second)));
	CHECK(!strcmp(first, second));
}

static bool taken(enum verdict verdict, int err)
{
	property_count(TABLES);
	CHECK(verdict != TAKES || !err);
	CHECK(verdict != REFUSED || err);
	if (!err)
		property_count(TAKEN);
	return !err;
}

static void resume_table(const char *name)
{
	CHECK_EQ(dm_suspend(name, true, false), 0);
	CHECK_EQ(dm_resume(name), 0);
	property_count(RESUMED);
}

static void op_origin(struct grammar *g)
{
	struct words l = { .n = 0 }, seen;
	u64 sectors = some_sectors(g->d.sectors);
	enum verdict verdict;
	char line[LINE];
	u32 given;

	add_device(&l, DEV_LAYER_O);
	add(&l, g->d.uuid);
	add_features(&l, origin_rules);
	maybe_damage(&l);
	join(&l, line);
	words_free(&l);
	split(line, true, &seen);
	verdict = origin_verdict(g, &seen, sectors, &given);
	words_free(&seen);
	property_say("origin %llu: %s", (unsigned long long)sectors, shown(line));
	if (!taken(verdict, dm_load(ORIGIN, false, false, sectors, "snapprot", "%s",
				    line)))
		return;
	prints_again(ORIGIN, "snapprot", sectors);
	if (verdict == TAKES && unit_once_in(2)) {
		resume_table(ORIGIN);
		/* The first rule; a table without it changes nothing. */
		g->protect |= given & 1;
	} else {
		CHECK_EQ(dm_clear(ORIGIN), 0);
	}
}

static void op_store(struct grammar *g)
{
	struct words l = { .n = 0 }, seen;
	u64 sectors = some_sectors(g->d.store_sectors);
	enum verdict verdict;
	char line[LINE];

	add_device(&l, DEV_LAYER_S);
	add_features(&l, store_rules);
	maybe_damage(&l);
	join(&l, line);
	words_free(&l);
	split(line, true, &seen);
	verdict = store_verdict(g, &seen, sectors);
	words_free(&seen);
	property_say("store %llu: %s", (unsigned long long)sectors, shown(line));
	if (!taken(verdict, dm_load(STORE, false, false, sectors, "snapprot-store",
				    "%s", line)))
		return;
	prints_again(STORE, "snapprot-store", sectors);
	if (verdict == TAKES && unit_once_in(2))
		resume_table(STORE);
	else
		CHECK_EQ(dm_clear(STORE), 0);
}

static void op_view(struct grammar *g)
{
	struct words l = { .n = 0 }, seen;
	u64 sectors = some_sectors(g->d.sectors);
	struct view_status view;
	enum verdict verdict;
	char line[LINE];

	add(&l, g->d.uuid);
	if (g->nr_snaps && unit_below(3))
		add_number(&l, g->snap[unit_below(g->nr_snaps)]);
	else
		add(&l, some_number());
	maybe_damage(&l);
	join(&l, line);
	words_free(&l);
	split(line, true, &seen);
	verdict = view_verdict(g, &seen, sectors);
	words_free(&seen);
	property_say("view %llu: %s", (unsigned long long)sectors, shown(line));
	if (!taken(verdict, dm_load(SCRATCH, true, true, sectors, "snapprot-snap", "%s",
				    line)))
		return;
	if (unit_once_in(2)) {
		CHECK_EQ(dm_resume(SCRATCH), 0);
		property_count(RESUMED);
		CHECK(dm_params(SCRATCH, line, sizeof(line)));
		CHECK_EQ(view_status_parse(line, &view), 0);
		CHECK(verdict != TAKES || !strcmp(view.state, "valid"));
	}
	CHECK_EQ(dm_remove(SCRATCH), 0);
}

/* ---- messages --------------------------------------------------------------------- */

static const char *const faults[] = {
	"store_missing", "online_io", "metadata_corruption", "memory", "cow_read",
	"cow_write", "store_full", "grow_too_slow", "grow_failed", "store_io",
	"store_removed", "external_writer", "internal",
};

static void some_message(const struct grammar *g, struct words *l)
{
	static const char *const names[] = { "queue_on_fault", "grace", "grow_timeout" };

	switch (unit_below(8)) {
	case 0:
	case 1:
		add(l, g->nr_snaps == MAX_SNAPS ? "delete_snap" : "create_snap");
		if (unit_once_in(2))
			add_number(l, 1 + unit_below(20));
		else
			add(l, some_number());
		break;
	case 2:
		add(l, "delete_snap");
		if (g->nr_snaps && unit_once_in(2))
			add_number(l, g->snap[unit_below(g->nr_snaps)]);
		else
			add(l, some_number());
		break;
	case 3:
		add(l, "list_snaps");
		break;
	case 4:
		add(l, unit_once_in(2) ? "protect" : "normal");
		if (unit_once_in(4))
			add(l, "drop_snapshots");
		break;
	case 5:
		add(l, "clear_fault");
		if (unit_once_in(2))
			add(l, one_of(faults, ARRAY_SIZE(faults)));
		break;
	case 6:
		add(l, "grow_failed");
		break;
	default:
		add(l, "set");
		add(l, one_of(names, ARRAY_SIZE(names)));
		add(l, some_number());
		break;
	}
}

static bool word_is(const struct words *l, u32 at, const char *word)
{
	return at < l->n && !strcasecmp(l->w[at], word);
}

static bool is_fault(const char *word)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(faults); i++)
		if (!strcmp(faults[i], word))
			return true;
	return false;
}

static bool set_is_right(const struct words *l)
{
	if (l->n != 3)
		return false;
	if (word_is(l, 1, "queue_on_fault"))
		return is_number(l->w[2], 0, 1);
	return (word_is(l, 1, "grace") || word_is(l, 1, "grow_timeout")) &&
	       is_number(l->w[2], 0, 86400);
}

/* The errno that it has to have, or 1 where there is an answer. */
static int message_verdict(struct grammar *g, const struct words *l)
{
	u64 id = 0;

	if (word_is(l, 0, "create_snap") || word_is(l, 0, "delete_snap")) {
		if (l->n != 2 || number_parse(l->w[1], 0xffffffff, &id) || !id)
			return -EINVAL;
		if (word_is(l, 0, "create_snap"))
			return known(g, id) ? -EEXIST : 0;
		return known(g, id) ? 0 : -ENOENT;
	}
	if (word_is(l, 0, "list_snaps"))
		return l->n == 1 ? 1 : -EINVAL;
	if (word_is(l, 0, "protect") || word_is(l, 0, "grow_failed"))
		return l->n == 1 ? 0 : -EINVAL;
	if (word_is(l, 0, "normal"))
		return l->n == 1 || (l->n == 2 && word_is(l, 1, "drop_snapshots")) ?
		       0 : -EINVAL;
	if (word_is(l, 0, "clear_fault"))
		return l->n == 1 || (l->n == 2 && is_fault(l->w[1])) ? 0 : -EINVAL;
	if (word_is(l, 0, "set"))
		return set_is_right(l) ? 0 : -EINVAL;
	return -EINVAL;
}

static void message_done(struct grammar *g, const struct words *l)
{
	u64 id;
	u32 i;

	if (word_is(l, 0, "protect") || word_is(l, 0, "normal"))
		g->protect = word_is(l, 0, "protect");
	if (word_is(l, 0, "create_snap")) {
		CHECK(!number_parse(l->w[1], 0xffffffff, &id));
		CHECK(g->nr_snaps < MAX_SNAPS);
		g->snap[g->nr_snaps++] = id;
	}
	if (word_is(l, 0, "delete_snap")) {
		CHECK(!number_parse(l->w[1], 0xffffffff, &id));
		for (i = 0; g->snap[i] != id; i++)
			;
		g->nr_snaps--;
		memmove(g->snap + i, g->snap + i + 1,
			(g->nr_snaps - i) * sizeof(g->snap[0]));
	}
}

static void op_message(struct grammar *g)
{
	static const char *const devices[] = { ORIGIN, ORIGIN, ORIGIN, ORIGIN, STORE };
	struct words l = { .n = 0 }, seen;
	const char *device = one_of(devices, ARRAY_SIZE(devices));
	char line[LINE], answer[LINE * 4] = "";
	int want, got;

	some_message(g, &l);
	maybe_damage(&l);
	join(&l, line);
	words_free(&l);
	split(line, false, &seen);
	want = message_verdict(g, &seen);
	/* One more than are kept count of; one that device-mapper itself knows. */
	if ((!want && word_is(&seen, 0, "create_snap") && g->nr_snaps == MAX_SNAPS) ||
	    line[0] == '@') {
		words_free(&seen);
		return;
	}
	if (!strcmp(device, STORE))
		want = -EINVAL;
	property_say("message to %s: %s", device, shown(line));
	property_count(MESSAGES);
	got = dm_message(device, answer, sizeof(answer), "%s", line);
	CHECK_EQ(got, want < 0 ? want : 0);
	if (want >= 0)
		property_count(ACCEPTED);
	if (want > 0)
		list_check(g, answer);
	else
		CHECK(!answer[0]);
	if (!want)
		message_done(g, &seen);
	words_free(&seen);
}

/* ---- runs -------------------------------------------------------------------------- */

static void op(void *ctx)
{
	struct grammar *g = ctx;

	switch (unit_below(8)) {
	case 0:
	case 1:
		op_origin(g);
		break;
	case 2:
		op_store(g);
		break;
	case 3:
		op_view(g);
		break;
	default:
		op_message(g);
		break;
	}
	look(g);
}

static void *start(void)
{
	struct grammar *g = calloc(1, sizeof(*g));

	CHECK(g);
	disks_begin(&g->d, VOLUME_SECTORS, STORE_SECTORS);
	CHECK_EQ(dm_load(STORE, true, false, g->d.store_sectors, "snapprot-store",
			 DEV_LAYER_S), 0);
	CHECK_EQ(dm_resume(STORE), 0);
	CHECK_EQ(dm_load(ORIGIN, true, false, g->d.sectors, "snapprot",
			 DEV_LAYER_O " %s", g->d.uuid), 0);
	CHECK_EQ(dm_resume(ORIGIN), 0);
	look(g);
	return g;
}

static void end(void *ctx)
{
	struct grammar *g = ctx;
	char answer[LINE * 4];

	CHECK_EQ(dm_message(ORIGIN, answer, sizeof(answer), "list_snaps"), 0);
	list_check(g, answer);
	CHECK_EQ(dm_remove(ORIGIN), 0);
	CHECK_EQ(dm_remove(STORE), 0);
	CHECK(disks_check());
	disks_end(&g->d);
	free(g);
}

static void grammar(void)
{
	static const struct property p = {
		.name = "grammar", .start = start, .op = op, .end = end,
		.counts = counts, .seconds = 900,
	};
	const char *length = getenv("GRAMMAR_OPS");

	property_check(&p, unit_rounds(4), length ? atoi(length) : 300);
}

static const struct unit_test tests[] = {
	UNIT_TEST(grammar),
};

UNIT_MAIN(tests)
