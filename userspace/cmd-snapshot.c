// SPDX-License-Identifier: GPL-2.0-only
/*
 * snapprot snapshot - take a snapshot of one volume, or of several at one instant
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin.h"
#include "instant.h"
#include "schedule.h"

/* ---- the members ------------------------------------------------------------- */

static int add_member(struct instant *set, const struct mapper_scan *scan,
		      const char *name)
{
	struct mapper_dev *live;
	int i, code;

	code = admin_find(scan, name, &live);
	if (code)
		return code;
	for (i = 0; i < set->count; i++)
		if (set->members[i].live == live)
			return complain_usage("%s: is named twice", name);
	if (!strcmp(live->live.state, "blocked"))
		return complain(TOOL_FAILED, "%s: is blocked by %s", live->name,
				live->live.fault);
	if (strcmp(live->live.state, "active"))
		return complain(TOOL_FAILED, "%s: has no store: it is %s",
				live->name, live->live.state);
	set->members[set->count++] = (struct member){ .live = live };
	return 0;
}

static bool lies_on(const struct mapper_scan *scan, const struct mapper_dev *dev,
		    const struct mapper_dev *on)
{
	const struct mapper_dev *store;

	store = mapper_find(scan, MAPPER_STORE, dev->volume, 0);
	return mapper_depends(dev->major, dev->minor, on->major, on->minor) ||
	       (store && mapper_depends(store->major, store->minor, on->major,
					on->minor));
}

/* Few volumes are given, so that a simple sort will do. */
static void sort_members(struct instant *set, const struct mapper_scan *scan)
{
	struct member m;
	int i, j, swaps = 0;

	for (i = 0; i < set->count; i++) {
		for (j = i + 1; j < set->count; j++) {
			if (!lies_on(scan, set->members[j].live,
				     set->members[i].live))
				continue;
			m = set->members[j];
			set->members[j] = set->members[i];
			set->members[i] = m;
			/* Two that lie on each other have no order. */
			if (++swaps > set->count * set->count)
				return;
			j = i;
		}
	}
}

/*
 * One behind the largest that any of them has, but for those of the schedule. One
 * volume alone chooses by itself, so that no id is used again; unless it has some of
 * the schedule, behind whose ids nobody wants to be.
 */
static int choose_id(struct instant *set)
{
	bool scheduled = set->count > 1;
	struct snap_info *snaps;
	uint32_t largest = 0;
	int i, j, count;

	for (i = 0; i < set->count; i++) {
		count = admin_snaps(set->members[i].live, &snaps);
		if (count < 0)
			return complain(TOOL_FAILED,
					"%s: its snapshots cannot be listed: %s",
					set->members[i].live->name,
					admin_strerror(count));
		for (j = 0; j < count; j++) {
			if (snaps[j].id >= SCHEDULE_ID_FIRST)
				scheduled = true;
			else if (snaps[j].id > largest)
				largest = snaps[j].id;
		}
		free(snaps);
	}
	if (!scheduled)
		return 0;
	if (largest == SCHEDULE_ID_FIRST - 1)
		return complain(TOOL_FAILED,
				"there is no larger id below %u than that of a snapshot: choose one with --id",
				SCHEDULE_ID_FIRST);
	set->id = largest + 1;
	return 0;
}

/* ---- the command --------------------------------------------------------------- */

static int report(const struct instant *set)
{
	const struct member *m;
	int i, code = 0;

	for (i = 0; i < set->count; i++) {
		m = &set->members[i];
		if (m->err && !code)
			code = complain(admin_code(m->err), "%s: %s: %s",
					m->live->name, m->what,
					admin_strerror(m->err));
	}
	return code ? code : complain(TOOL_FAILED, "failed");
}

/* Of several when all are there: one that is held could not be taken back. */
static int hold_all(const struct instant *set, const uint64_t *hold)
{
	char message[ADMIN_WORDS + 32], words[ADMIN_WORDS];
	int i, one, code = 0;

	admin_snap_words(words, sizeof(words), NULL, hold);
	snprintf(message, sizeof(message), "set_snap %u%s", set->id, words);
	for (i = 0; i < set->count && *words; i++) {
		one = admin_message(set->members[i].live, message,
				    "the snapshot was taken and cannot be held");
		code = code ? code : one;
	}
	return code;
}

/**
 * struct wish - what the snapshots are to have
 * @name: or NULL
 * @hold: until when; 0 for not held
 */
struct wish {
	const char *name;
	uint64_t hold;
};

static int take(struct instant *set, const struct mapper_scan *scan,
		char **names, const struct wish *wish)
{
	const uint64_t *hold = wish->hold ? &wish->hold : NULL;
	char words[INSTANT_WORDS];
	int code = 0, err;

	for (; *names && !code; names++)
		code = add_member(set, scan, *names);
	if (code)
		return code;
	sort_members(set, scan);
	if (!set->id)
		code = choose_id(set);
	if (code)
		return code;
	admin_snap_words(words, sizeof(words), wish->name,
			 set->count > 1 ? NULL : hold);
	set->words = words;
	err = instant_take(set);
	if (err)
		return report(set);
	if (set->count > 1)
		code = hold_all(set, hold);
	if (set->id)
		printf("%u\n", set->id);
	return code ? code : output_end();
}

static int parse_options(struct instant *set, struct wish *wish, int argc,
			 char **argv)
{
	static const struct option options[] = {
		{ "id",		required_argument,	NULL, 'i' },
		{ "no-freeze",	no_argument,		NULL, 'n' },
		{ "name",	required_argument,	NULL, 'N' },
		{ "hold",	required_argument,	NULL, 'h' },
		{ NULL,		0,			NULL, 0 }
	};
	int opt, code = 0;

	opterr = 0;
	while (!code &&
	       (opt = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		if (opt == 'i')
			code = admin_parse_id(optarg, &set->id);
		else if (opt == 'n')
			set->freeze = false;
		else if (opt == 'N')
			code = admin_check_name(wish->name = optarg);
		else if (opt == 'h')
			code = admin_parse_hold(optarg, &wish->hold);
		else
			return complain_option(opt, argv);
	}
	if (!code && optind == argc)
		return complain_usage("a volume is needed");
	return code;
}

static int run_snapshot(int argc, char **argv)
{
	struct instant set = { .freeze = true };
	struct wish wish = { .name = NULL };
	struct mapper_scan scan;
	int code;

	code = parse_options(&set, &wish, argc, argv);
	if (code)
		return code;
	code = admin_begin(&scan);
	if (!code) {
		set.members = calloc((size_t)(argc - optind),
				     sizeof(*set.members));
		code = set.members ? take(&set, &scan, argv + optind, &wish) :
				     complain(TOOL_FAILED, "%s",
					      strerror(ENOMEM));
	}
	free(set.members);
	mapper_scan_free(&scan);
	return code;
}

const struct command command_snapshot = {
	.name = "snapshot",
	.args = "[--id ID] [--name TEXT] [--hold UNTIL] [--no-freeze] NAME...",
	.what = "take a snapshot of each volume, all at the same instant",
	.help =
	"Prints its id, which is the same for all of them. File systems are frozen\n"
	"meanwhile, so that they are clean in the snapshot; with --no-freeze it is\n"
	"what a power cut would leave. If one volume fails there is none of any.\n"
	"--name gives it a name, and --hold keeps it from being deleted: see \"snapprot help\n"
	"hold\" for UNTIL.\n",
	.run = run_snapshot,
};
