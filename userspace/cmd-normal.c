// SPDX-License-Identifier: GPL-2.0-only
/*
 * snapprot normal - protection mode off, and the way out of a fault
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "admin.h"

/* What is going to be given up is said before it is asked for. */
static int ask(const struct mapper_dev *live, bool drop, bool yes)
{
	const struct live_status *st = &live->live;

	if (!drop)
		return admin_confirm(yes,
				     "%s: at the next fault its snapshots will be lost rather than its I/O stopped.",
				     live->name);
	if (strcmp(st->state, "blocked"))
		return complain(TOOL_FAILED,
				"%s: is not blocked, so there is no need to drop its snapshots",
				live->name);
	return admin_confirm(yes,
			     "%s: is blocked by %s. All its snapshots (%u valid) will be LOST.",
			     live->name, st->fault, st->valid);
}

static int do_normal(const struct mapper_dev *live, bool drop)
{
	int err;

	err = mapper_message(live->name, drop ? "normal drop_snapshots" :
						"normal", NULL);
	if (err == -EBUSY)
		return complain(TOOL_BUSY,
				"%s: is blocked by %s: repair and clear it, or give the snapshots up with --drop-snapshots",
				live->name, live->live.fault);
	if (err)
		return complain(admin_code(err), "%s: normal mode: %s",
				live->name, admin_strerror(err));
	return 0;
}

static int parse_options(bool *drop, bool *yes, int argc, char **argv)
{
	static const struct option options[] = {
		{ "drop-snapshots",	no_argument,	NULL, 'd' },
		{ "yes",		no_argument,	NULL, 'y' },
		{ NULL,			0,		NULL, 0 }
	};
	int opt;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		if (opt == 'd')
			*drop = true;
		else if (opt == 'y')
			*yes = true;
		else
			return complain_option(opt, argv);
	}
	if (argc - optind != 1)
		return complain_usage("a volume is needed");
	return 0;
}

static int run_normal(int argc, char **argv)
{
	bool drop = false, yes = false;
	struct mapper_scan scan;
	struct mapper_dev *live;
	int code;

	code = parse_options(&drop, &yes, argc, argv);
	if (code)
		return code;
	code = admin_begin_on(&scan, argv[optind], &live);
	if (!code)
		code = ask(live, drop, yes);
	if (!code)
		code = do_normal(live, drop);
	mapper_scan_free(&scan);
	return code;
}

const struct command command_normal = {
	.name = "normal",
	.args = "[--drop-snapshots] [--yes] NAME",
	.what = "protection mode off",
	.help =
	"While the volume is blocked it is refused, but with --drop-snapshots: then\n"
	"all snapshots are recorded as lost, and the volume's I/O goes on. Asks, or\n"
	"needs --yes.\n",
	.run = run_normal,
};
