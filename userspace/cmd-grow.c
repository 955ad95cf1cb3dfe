// SPDX-License-Identifier: GPL-2.0-only
/*
 * snapprot grow - the store's device has become larger
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "admin.h"
#include "grow.h"
#include "table.h"

static int grow(const struct mapper_dev *live, const struct mapper_dev *store)
{
	uint64_t sectors = 0;
	char size[24];
	int err;

	err = grow_sectors(store, &sectors);
	if (!err && sectors < store->sectors)
		return complain(TOOL_WRONG,
				"%s: its device has become smaller than the store",
				store->name);
	if (!err && sectors > store->sectors)
		err = grow_store(store, sectors);
	if (err)
		return complain(admin_code(err), "%s: cannot be grown: %s",
				store->name, strerror(-err));
	size_format(sectors << 9, size, sizeof(size));
	printf("%s: the store has %s%s\n", live->name, size,
	       sectors > store->sectors ? "" : ", as before");
	if (!strcmp(live->live.state, "blocked"))
		printf("%s: is blocked by %s; when that is repaired: snapprot clear\n",
		       live->name, live->live.fault);
	return output_end();
}

static int run_grow(int argc, char **argv)
{
	struct mapper_dev *live, *store;
	struct mapper_scan scan;
	int code;

	code = admin_options(argc, argv, NULL, 1, 1, "a volume is needed");
	if (code)
		return code;
	code = admin_begin_on(&scan, argv[optind], &live);
	if (!code) {
		store = mapper_find(&scan, MAPPER_STORE, live->volume, 0);
		code = store ? grow(live, store) :
			       complain(TOOL_FAILED,
					"%s: its store is not there",
					live->name);
	}
	mapper_scan_free(&scan);
	return code;
}

const struct command command_grow = {
	.name = "grow",
	.args = "NAME",
	.what = "use all of the store's device, after that was enlarged",
	.help =
	"Writes that waited for space go on. A volume that is blocked for want of\n"
	"space needs \"snapprot clear\" as well.\n",
	.run = run_grow,
};
