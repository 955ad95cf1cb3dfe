// SPDX-License-Identifier: GPL-2.0-only
/*
 * snapprot grow - the store's device has become larger
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../dm-snapprot/core/format.h"
#include "admin.h"
#include "table.h"

/* Size of the device below, whose number is the first word of the table. */
static int device_sectors(const struct mapper_dev *store, uint64_t *sectors)
{
	unsigned int major, minor;
	char path[64];
	FILE *f;
	int n;

	if (sscanf(store->table, "%u:%u", &major, &minor) != 2)
		return -EINVAL;
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/size", major,
		 minor);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	n = fscanf(f, "%" SCNu64, sectors);
	fclose(f);
	*sectors &= ~(uint64_t)(SNAPPROT_SECTORS_PER_BLOCK - 1);
	return n == 1 ? 0 : -EIO;
}

static int grow(const struct mapper_dev *live, const struct mapper_dev *store)
{
	struct mapper_table old = {
		.target = "snapprot-store",
		.params = store->table,
		.sectors = store->sectors,
	};
	struct mapper_table new = old;
	char size[24];
	int err;

	err = device_sectors(store, &new.sectors);
	if (!err && new.sectors < old.sectors)
		return complain(TOOL_WRONG,
				"%s: its device has become smaller than the store",
				store->name);
	if (!err && new.sectors > old.sectors)
		err = mapper_reload(store->name, &new, &old);
	if (err)
		return complain(admin_code(err), "%s: cannot be grown: %s",
				store->name, strerror(-err));
	size_format(new.sectors << 9, size, sizeof(size));
	printf("%s: the store has %s%s\n", live->name, size,
	       new.sectors > old.sectors ? "" : ", as before");
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
