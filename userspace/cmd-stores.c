// SPDX-License-Identifier: GPL-2.0-only
/*
 * snapprot stores - which devices are stores, and whose
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "../dm-snapprot/core/state.h"
#include "admin.h"
#include "locate.h"
#include "table.h"

enum {
	COL_DEVICE, COL_SIZE, COL_STATE, COL_PROTECTED, COL_LOST, COL_NAME,
	COL_UUID, COL_GENERATION, COL_FAULT, COL_USER,
};

#define STR	SCOLS_JSON_STRING

static const struct column columns[] = {
	[COL_DEVICE]	= { "DEVICE", STR, false, true, "path" },
	[COL_SIZE]	= { "SIZE", STR, true, true, "of the device" },
	[COL_STATE]	= { "STATE", STR, false, true,
			    "in-use, unused, damaged or newer" },
	[COL_PROTECTED]	= { "PROTECTED", SCOLS_JSON_BOOLEAN, false, true,
			    "not to be wiped" },
	[COL_LOST]	= { "LOST", SCOLS_JSON_BOOLEAN, false, true,
			    "it has lost snapshots" },
	[COL_NAME]	= { "NAME", STR, false, true,
			    "of the volume, if it is active" },
	[COL_UUID]	= { "UUID", STR, false, true, "of the volume" },
	[COL_GENERATION] = { "GENERATION", SCOLS_JSON_NUMBER, true, false,
			     "how often it has arrived" },
	[COL_FAULT]	= { "FAULT", STR, false, false,
			    "that the snapshots were lost by" },
	[COL_USER]	= { "USER", STR, false, false, "who uses the device" },
};

struct lister {
	struct table *table;
	const struct mapper_scan *scan;
	int err;
};

static const char *state_of(const struct located *dev)
{
	if (dev->id->store == TRACE_DAMAGED)
		return "damaged";
	if (dev->id->store == TRACE_NEWER)
		return "newer";
	return *dev->user ? "in-use" : "unused";
}

/* What only a sound superblock of this version can say. */
static int fill_super(struct table *t, const struct snapprot_disk_super *s)
{
	u32 lost = le32_to_cpu(s->lost_epoch);
	int err = 0;

	err |= table_flag(t, COL_LOST, lost);
	err |= table_number(t, COL_GENERATION, le64_to_cpu(s->generation));
	if (lost)
		err |= table_text(t, COL_FAULT,
				  snapprot_fault_name(le32_to_cpu(s->lost_fault)));
	return err;
}

static int add_store(void *ctx, const struct located *dev)
{
	struct lister *l = ctx;
	struct table *t = l->table;
	const struct mapper_dev *live;
	char uuid[37];
	int err;

	if (dev->id->store == TRACE_NONE)
		return 0;
	err = table_row(t);
	if (err)
		return err;
	err |= table_text(t, COL_DEVICE, dev->path);
	err |= table_sectors(t, COL_SIZE, dev->sectors);
	err |= table_text(t, COL_STATE, state_of(dev));
	err |= table_flag(t, COL_PROTECTED, dev->id->store_protected);
	err |= table_text(t, COL_USER, dev->user);
	if (dev->id->store >= TRACE_NEWER) {
		snapprot_uuid_format(dev->id->super.h.uuid, uuid);
		live = mapper_find(l->scan, MAPPER_LIVE, uuid, 0);
		err |= table_text(t, COL_UUID, uuid);
		err |= table_text(t, COL_NAME, live ? live->name : NULL);
	}
	if (dev->id->store == TRACE_VALID)
		err |= fill_super(t, &dev->id->super);
	return err ? -ENOMEM : 0;
}

static int run_stores(int argc, char **argv)
{
	struct mapper_scan scan;
	struct table t = { 0 };
	struct lister l = { .table = &t, .scan = &scan };
	int code;

	code = table_options(&t, NULL, argc, argv, 0,
			     "all block devices are looked at");
	if (code)
		return code;
	code = admin_begin(&scan);
	if (!code) {
		code = table_begin(&t, "stores", columns, COL_USER + 1);
		if (!code && locate_all(&scan, add_store, &l))
			code = complain(TOOL_FAILED, "%s", strerror(ENOMEM));
		code = table_end(&t, code);
	}
	mapper_scan_free(&scan);
	return code;
}

const struct command command_stores = {
	.name = "stores",
	.args = TABLE_ARGS,
	.what = "look for stores on all block devices",
	.help =
	"Columns: DEVICE SIZE STATE PROTECTED LOST NAME UUID GENERATION FAULT USER;\n"
	"-o +COLUMNS adds to the usual ones.\n",
	.run = run_stores,
};
