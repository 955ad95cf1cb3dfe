// SPDX-License-Identifier: GPL-2.0-only
/*
 * snapprot conceal - remove the device that shows a snapshot
 */
#include <getopt.h>

#include "view.h"

static int run_conceal(int argc, char **argv)
{
	struct mapper_scan scan;
	struct mapper_dev *live;
	uint32_t id;
	int code;

	code = admin_options(argc, argv, NULL, 2, 2,
			     "a volume and the id of a snapshot are needed");
	if (!code)
		code = admin_parse_id(argv[optind + 1], &id);
	if (code)
		return code;
	code = admin_begin_on(&scan, argv[optind], &live);
	if (!code && !mapper_find(&scan, MAPPER_VIEW, live->volume, id))
		code = complain(TOOL_WRONG, "%s: snapshot %u: is not exposed",
				live->name, id);
	if (!code)
		code = view_conceal(&scan, live->volume, id);
	mapper_scan_free(&scan);
	return code;
}

const struct command command_conceal = {
	.name = "conceal",
	.args = "NAME ID",
	.what = "remove the device that shows a snapshot; the snapshot stays",
	.run = run_conceal,
};
