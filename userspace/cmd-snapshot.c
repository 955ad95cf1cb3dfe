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

/* One behind the largest that any of them has, but for those of the schedule. */
static int choose_id(struct instant *set)
{
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
		for (j = 0; j < count; j++)
			if (snaps[j].id > largest &&
			    snaps[j].id < SCHEDULE_ID_FIRST)
				largest = snaps[j].id;
		free(snaps);
	}
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

static int take(struct instant *set, const struct mapper_scan *scan, char **names)
{
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
	err = instant_take(set);
	if (err)
		return report(set);
	printf("%u\n", set->id);
	return output_end();
}

static int parse_options(struct instant *set, int argc, char **argv)
{
	static const struct option options[] = {
		{ "id",		required_argument,	NULL, 'i' },
		{ "no-freeze",	no_argument,		NULL, 'n' },
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
	struct mapper_scan scan;
	int code;

	code = parse_options(&set, argc, argv);
	if (code)
		return code;
	code = admin_begin(&scan);
	if (!code) {
		set.members = calloc((size_t)(argc - optind),
				     sizeof(*set.members));
		code = set.members ? take(&set, &scan, argv + optind) :
				     complain(TOOL_FAILED, "%s",
					      strerror(ENOMEM));
	}
	free(set.members);
	mapper_scan_free(&scan);
	return code;
}

const struct command command_snapshot = {
	.name = "snapshot",
	.args = "[--id ID] [--no-freeze] NAME...",
	.what = "take a snapshot of each volume, all at the same instant",
	.help =
	"Prints its id, which is the same for all of them. File systems are frozen\n"
	"meanwhile, so that they are clean in the snapshot; with --no-freeze it is\n"
	"what a power cut would leave. If one volume fails there is none of any.\n",
	.run = run_snapshot,
};
