// SPDX-License-Identifier: GPL-2.0-only
/*
 * snapprot delete - delete snapshots, or strike lost ones off the list
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>

#include "admin.h"

static int delete_one(const struct mapper_scan *scan,
		      const struct mapper_dev *live, uint32_t id)
{
	const struct mapper_dev *view;
	char message[32];
	int err;

	view = mapper_find(scan, MAPPER_VIEW, live->volume, id);
	if (view)
		return complain(TOOL_BUSY,
				"%s: snapshot %u: is shown as %s; conceal it first",
				live->name, id, view->name);
	snprintf(message, sizeof(message), "delete_snap %u", id);
	err = mapper_message(live->name, message, NULL);
	if (!err)
		return 0;
	return complain(admin_code(err), "%s: snapshot %u: %s", live->name, id,
			admin_strerror(err));
}

/* All words are ids before anything is deleted. */
static int check_ids(char **words)
{
	uint32_t id;
	int code = 0;

	for (; *words && !code; words++)
		code = admin_parse_id(*words, &id);
	return code;
}

static int run_delete(int argc, char **argv)
{
	struct mapper_scan scan;
	struct mapper_dev *live;
	int code, one, i;
	uint32_t id;

	code = admin_options(argc, argv, NULL, 2, argc,
			     "a volume and ids of snapshots are needed");
	if (!code)
		code = check_ids(argv + optind + 1);
	if (code)
		return code;
	code = admin_begin_on(&scan, argv[optind], &live);
	if (!code) {
		/* One that cannot be deleted does not keep the others. */
		for (i = optind + 1; i < argc; i++) {
			snap_id_parse(argv[i], &id);
			one = delete_one(&scan, live, id);
			code = code ? code : one;
		}
	}
	mapper_scan_free(&scan);
	return code;
}

const struct command command_delete = {
	.name = "delete",
	.args = "NAME ID...",
	.what = "delete snapshots, or strike lost ones off the list",
	.help =
	"The space that they took is given back in the background.\n",
	.run = run_delete,
};
