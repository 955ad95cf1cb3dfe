// SPDX-License-Identifier: GPL-2.0-only
/*
 * snapprot usage - what the snapshots of a volume cost
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "admin.h"
#include "table.h"

enum {
	COL_ID, COL_NAME, COL_ONLY, COL_ALL,
};

static const struct column columns[] = {
	[COL_ID]	= { "ID", SCOLS_JSON_NUMBER, true, true,
			    "of the snapshot" },
	[COL_NAME]	= { "NAME", SCOLS_JSON_STRING, false, true,
			    "of the snapshot" },
	[COL_ONLY]	= { "ONLY", SCOLS_JSON_STRING, true, true,
			    "what only it needs, and its deletion frees" },
	[COL_ALL]	= { "ALL", SCOLS_JSON_STRING, true, true,
			    "what it needs" },
};

#define BLOCK_SECTORS	8

static const char *name_of(const struct snap_info *snaps, int count,
			   uint32_t id)
{
	int i;

	for (i = 0; i < count; i++)
		if (snaps[i].id == id && *snaps[i].name)
			return snaps[i].name;
	return NULL;
}

static int add_rows(struct table *t, const struct snap_usage *usage, int count,
		    const struct snap_info *snaps, int nr_snaps)
{
	int i, err = 0;

	for (i = 0; i < count && !err; i++) {
		err = table_row(t);
		if (err)
			break;
		err |= table_number(t, COL_ID, usage[i].id);
		err |= table_text(t, COL_NAME, name_of(snaps, nr_snaps,
						       usage[i].id));
		err |= table_sectors(t, COL_ONLY,
				     usage[i].only * BLOCK_SECTORS);
		err |= table_sectors(t, COL_ALL, usage[i].all * BLOCK_SECTORS);
	}
	return err ? complain(TOOL_FAILED, "%s", strerror(ENOMEM)) : 0;
}

static int print_usage(struct table *t, const struct mapper_dev *live)
{
	struct snap_usage *usage;
	struct snap_info *snaps;
	int count, nr_snaps, code;

	nr_snaps = admin_snaps(live, &snaps);
	count = nr_snaps < 0 ? nr_snaps : admin_usage(live, &usage);
	if (count < 0) {
		free(snaps);
		return complain(TOOL_FAILED,
				"%s: what its snapshots cost cannot be told: %s",
				live->name, admin_strerror(count));
	}
	code = table_begin(t, "usage", columns, COL_ALL + 1);
	if (!code)
		code = add_rows(t, usage, count, snaps, nr_snaps);
	free(usage);
	free(snaps);
	return table_end(t, code);
}

static int run_usage(int argc, char **argv)
{
	struct table t = { 0 };
	struct mapper_scan scan;
	struct mapper_dev *live;
	int code;

	code = table_options(&t, NULL, argc, argv, 1, "one volume is needed");
	if (!code && optind == argc)
		code = complain_usage("a volume is needed");
	if (code)
		return code;
	code = admin_begin_on(&scan, argv[optind], &live);
	if (!code)
		code = print_usage(&t, live);
	mapper_scan_free(&scan);
	return code;
}

const struct command command_usage = {
	.name = "usage",
	.args = TABLE_ARGS " NAME",
	.what = "say what the snapshots of a volume cost in its store, oldest first",
	.help =
	"Columns: ID NAME ONLY ALL; ONLY is what the deletion of that snapshot alone\n"
	"frees. Deleting several can free more than the sum. While entries of one block are\n"
	"in several parts of the index both are too high rather than too low.\n",
	.run = run_usage,
};
