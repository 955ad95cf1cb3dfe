// SPDX-License-Identifier: GPL-2.0-only
/*
 * snapprot expose - show a snapshot as a device
 */
#include <getopt.h>
#include <stdio.h>

#include "view.h"

static int expose(const struct mapper_scan *scan, const struct mapper_dev *live,
		  uint32_t id)
{
	char name[VIEW_NAME], path[4096];
	bool made;
	int code;

	code = view_expose(scan, live, id, name, &made);
	if (code)
		return code;
	if (mapper_path(name, path, sizeof(path)))
		return complain(TOOL_FAILED, "%s: has no path", name);
	puts(path);
	return output_end();
}

static int run_expose(int argc, char **argv)
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
	if (!code)
		code = expose(&scan, live, id);
	mapper_scan_free(&scan);
	return code;
}

const struct command command_expose = {
	.name = "expose",
	.args = "NAME ID",
	.what = "show a snapshot as a read-only device, and print its path",
	.run = run_expose,
};
