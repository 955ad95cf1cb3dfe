// SPDX-License-Identifier: GPL-2.0-only
/*
 * snapprot snapshot - take a snapshot of one volume, or of several at one instant
 *
 * Suspending a volume freezes the file system on it, and what is on it does not
 * change before it is resumed. So one after the other is suspended and gets its
 * snapshot, and when all have theirs they are resumed: the instant is that of the
 * last suspend, for all of them. A volume may lie on another one, with its origin,
 * label or store; it comes first, as its snapshot is a write to what it lies on.
 *
 * While they are suspended this program must not do anything that could wait for
 * them: it is locked in memory, prints nothing, and takes no signal that would end
 * it with somebody's file system frozen.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "admin.h"

/**
 * struct member - a volume of the set
 * @live: the volume
 * @suspended: by us
 * @created: the snapshot, by us
 * @err: what failed with it
 * @what: the same in a word
 */
struct member {
	const struct mapper_dev *live;
	bool suspended;
	bool created;
	int err;
	const char *what;
};

struct set {
	struct member *members;
	int count;
	uint32_t id;
	bool freeze;
};

/* ---- the members ------------------------------------------------------------- */

static int add_member(struct set *set, const struct mapper_scan *scan,
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
static void sort_members(struct set *set, const struct mapper_scan *scan)
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

/* One behind the largest that any of them has; or if that is too large, any. */
static int choose_id(struct set *set)
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
			if (snaps[j].id > largest)
				largest = snaps[j].id;
		free(snaps);
	}
	if (largest == UINT32_MAX)
		return complain(TOOL_FAILED,
				"there is no larger id than that of a snapshot: choose one with --id");
	set->id = largest + 1;
	return 0;
}

/* ---- the instant -------------------------------------------------------------- */

static bool must_suspend(const struct set *set)
{
	/* One alone is an instant of its own. */
	return set->freeze || set->count > 1;
}

static int suspend(struct set *set, struct member *m)
{
	/* What the administrator has suspended stays so. */
	if (m->live->suspended || !must_suspend(set))
		return 0;
	m->err = mapper_suspend(m->live->name, set->freeze);
	m->what = "cannot be suspended";
	m->suspended = !m->err;
	return m->err;
}

static int create_all(struct set *set)
{
	char message[32];
	struct member *m;
	int i, err;

	snprintf(message, sizeof(message), "create_snap %u", set->id);
	for (i = 0; i < set->count; i++) {
		m = &set->members[i];
		err = suspend(set, m);
		if (err)
			return err;
		m->err = mapper_message(m->live->name, message, NULL);
		m->what = "no snapshot taken";
		if (m->err)
			return m->err;
		m->created = true;
	}
	return 0;
}

static void delete_all(struct set *set)
{
	char message[32];
	int i;

	snprintf(message, sizeof(message), "delete_snap %u", set->id);
	for (i = 0; i < set->count; i++)
		if (set->members[i].created)
			mapper_message(set->members[i].live->name, message,
				       NULL);
}

/* The last first: those below before those that lie on them. */
static int resume_all(struct set *set)
{
	int i, err, first = 0;
	struct member *m;

	for (i = set->count - 1; i >= 0; i--) {
		m = &set->members[i];
		if (!m->suspended)
			continue;
		err = mapper_resume(m->live->name);
		if (!err)
			continue;
		first = first ? first : err;
		m->err = m->err ? m->err : err;
		m->what = "cannot be resumed";
	}
	return first;
}

static int take_all(struct set *set)
{
	sigset_t all, before;
	int err, resumed;

	/* Not all may be allowed to; then it works as far as memory does. */
	if (mlockall(MCL_CURRENT | MCL_FUTURE) && errno != ENOMEM &&
	    errno != EPERM)
		return -errno;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	err = create_all(set);
	resumed = resume_all(set);
	/* Not before: one may lie on another. */
	if (err)
		delete_all(set);
	sigprocmask(SIG_SETMASK, &before, NULL);
	munlockall();
	return err ? err : resumed;
}

/* ---- the command --------------------------------------------------------------- */

static int report(const struct set *set)
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

static int take(struct set *set, const struct mapper_scan *scan, char **names)
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
	err = take_all(set);
	if (err)
		return report(set);
	printf("%u\n", set->id);
	return output_end();
}

static int parse_options(struct set *set, int argc, char **argv)
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
	struct set set = { .freeze = true };
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
