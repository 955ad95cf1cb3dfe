// SPDX-License-Identifier: GPL-2.0-only
/*
 * snapprot protect - protection mode on
 */
#include <getopt.h>

#include "admin.h"

static int run_protect(int argc, char **argv)
{
	struct mapper_scan scan;
	struct mapper_dev *live;
	int code;

	code = admin_options(argc, argv, NULL, 1, 1, "a volume is needed");
	if (code)
		return code;
	code = admin_begin_on(&scan, argv[optind], &live);
	if (!code)
		code = admin_message(live, "protect", "protection mode");
	mapper_scan_free(&scan);
	return code;
}

const struct command command_protect = {
	.name = "protect",
	.args = "NAME",
	.what = "protection mode on: rather no I/O than a lost snapshot",
	.help =
	"It is recorded in the label and in the store, and holds until it is taken\n"
	"off by \"snapprot normal\".\n",
	.run = run_protect,
};
