// SPDX-License-Identifier: GPL-2.0-only
/*
 * snapprot list - the snapshots of the volumes
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "admin.h"
#include "table.h"

enum {
	COL_NAME, COL_ID, COL_STATE, COL_TIME, COL_SIZE, COL_VIEW, COL_UUID,
};

static const struct column columns[] = {
	[COL_NAME]	= { "NAME", SCOLS_JSON_STRING, false, true,
			    "of the live volume" },
	[COL_ID]	= { "ID", SCOLS_JSON_NUMBER, true, true,
			    "of the snapshot" },
	[COL_STATE]	= { "STATE", SCOLS_JSON_STRING, false, true,
			    "valid or lost" },
	[COL_TIME]	= { "TIME", SCOLS_JSON_STRING, false, true,
			    "when it was taken" },
	[COL_SIZE]	= { "SIZE", SCOLS_JSON_STRING, true, true,
			    "of the volume at that time" },
	[COL_VIEW]	= { "VIEW", SCOLS_JSON_STRING, false, true,
			    "name of the device that shows it" },
	[COL_UUID]	= { "UUID", SCOLS_JSON_STRING, false, false,
			    "of the volume" },
};

static int add_row(struct table *t, const struct mapper_scan *scan,
		   const struct mapper_dev *live, const struct snap_info *snap)
{
	const struct mapper_dev *view;
	int err;

	err = table_row(t);
	if (err)
		return err;
	view = mapper_find(scan, MAPPER_VIEW, live->volume, snap->id);
	err |= table_text(t, COL_NAME, live->name);
	err |= table_number(t, COL_ID, snap->id);
	err |= table_text(t, COL_STATE, snap->lost ? "lost" : "valid");
	err |= table_time(t, COL_TIME, snap->time);
	err |= table_sectors(t, COL_SIZE, snap->sectors);
	err |= table_text(t, COL_VIEW, view ? view->name : NULL);
	err |= table_text(t, COL_UUID, live->volume);
	return err ? -ENOMEM : 0;
}

static int add_volume(struct table *t, const struct mapper_scan *scan,
		      const struct mapper_dev *live)
{
	struct snap_info *snaps;
	int i, count, err = 0;

	count = admin_snaps(live, &snaps);
	if (count < 0)
		return complain(TOOL_FAILED,
				"%s: its snapshots cannot be listed: %s",
				live->name, admin_strerror(count));
	for (i = 0; i < count && !err; i++)
		err = add_row(t, scan, live, &snaps[i]);
	free(snaps);
	return err ? complain(TOOL_FAILED, "%s", strerror(-err)) : 0;
}

/* Where one cannot be listed the others are, and the exit code tells. */
static int print_list(struct table *t, const struct mapper_scan *scan,
		      const struct mapper_dev *only)
{
	int code, missing = 0;
	size_t i;

	code = table_begin(t, "snapshots", columns, COL_UUID + 1);
	for (i = 0; i < scan->count && !code; i++) {
		if (scan->devs[i].kind != MAPPER_LIVE ||
		    (only && only != &scan->devs[i]))
			continue;
		if (add_volume(t, scan, &scan->devs[i]))
			missing = TOOL_FAILED;
	}
	code = table_end(t, only && !code ? missing : code);
	return code ? code : missing;
}

static int run_list(int argc, char **argv)
{
	struct mapper_dev *only;
	struct table t = { 0 };
	struct mapper_scan scan;
	int code;

	code = table_options(&t, NULL, argc, argv, 1,
			     "at most one volume is listed");
	if (code)
		return code;
	code = admin_begin_on(&scan, argv[optind], &only);
	if (!code)
		code = print_list(&t, &scan, only);
	mapper_scan_free(&scan);
	return code;
}

const struct command command_list = {
	.name = "list",
	.args = TABLE_ARGS " [NAME]",
	.what = "list the snapshots of the volumes, oldest first",
	.help =
	"Columns: NAME ID STATE TIME SIZE VIEW UUID; -o +COLUMNS adds to the usual\n"
	"ones.\n",
	.run = run_list,
};
