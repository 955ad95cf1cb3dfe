// SPDX-License-Identifier: GPL-2.0-only
/*
 * snapprot status - how the volumes are
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "admin.h"
#include "table.h"

enum {
	COL_NAME, COL_MODE, COL_STATE, COL_FAULT, COL_ERRNO, COL_SNAPS,
	COL_LOST, COL_USED, COL_SIZE, COL_PERCENT, COL_LOW, COL_GRACE,
	COL_HELD, COL_STORE, COL_STORE_STATE, COL_LABEL, COL_SUSPENDED,
	COL_HEALTH, COL_UUID,
};

#define STR	SCOLS_JSON_STRING
#define NUM	SCOLS_JSON_NUMBER
#define FLAG	SCOLS_JSON_BOOLEAN

static const struct column columns[] = {
	[COL_NAME]	= { "NAME", STR, false, true, "of the live volume" },
	[COL_MODE]	= { "MODE", STR, false, true, "normal or protect" },
	[COL_STATE]	= { "STATE", STR, false, true,
			    "active, waiting, nostore or blocked" },
	[COL_FAULT]	= { "FAULT", STR, false, true, "that stands" },
	[COL_ERRNO]	= { "ERRNO", NUM, true, false, "of the fault" },
	[COL_SNAPS]	= { "SNAPS", NUM, true, true, "valid snapshots" },
	[COL_LOST]	= { "LOST", NUM, true, true, "lost snapshots" },
	[COL_USED]	= { "USED", STR, true, true, "space used in the store" },
	[COL_SIZE]	= { "SIZE", STR, true, true, "of the store" },
	[COL_PERCENT]	= { "USE%", NUM, true, true, "used of it" },
	[COL_LOW]	= { "LOW", FLAG, false, false,
			    "less is free than low_water" },
	[COL_GRACE]	= { "GRACE", NUM, true, false,
			    "seconds for which the store is waited for" },
	[COL_HELD]	= { "HELD", NUM, true, false, "requests that wait" },
	[COL_STORE]	= { "STORE", STR, false, true,
			    "name of the store's device" },
	[COL_STORE_STATE] = { "STORE-STATE", STR, false, false,
			      "online, suspended, failed or unclaimed" },
	[COL_LABEL]	= { "LABEL", FLAG, false, false, "it has one" },
	[COL_SUSPENDED]	= { "SUSPENDED", FLAG, false, false,
			    "the live volume is" },
	[COL_HEALTH]	= { "HEALTH", STR, false, false, "in one word" },
	[COL_UUID]	= { "UUID", STR, false, false, "of the volume" },
};

static struct mapper_dev *store_of(const struct mapper_scan *scan,
				   const struct mapper_dev *live)
{
	return mapper_find(scan, MAPPER_STORE, live->volume, 0);
}

static enum health health_of(const struct mapper_scan *scan,
			     const struct mapper_dev *live)
{
	const struct mapper_dev *store = store_of(scan, live);

	return status_health(&live->live, store ? &store->store : NULL,
			     live->suspended);
}

static const char *health_name(enum health health)
{
	switch (health) {
	case HEALTH_WELL:
		return "well";
	case HEALTH_LOW:
		return "low";
	case HEALTH_WAITING:
		return "waiting";
	case HEALTH_LOST:
		return "lost";
	case HEALTH_BLOCKED:
		return "blocked";
	}
	return "unknown";
}

/* ---- the table -------------------------------------------------------------- */

static int fill_space(struct table *t, const struct live_status *st)
{
	int err = 0;

	if (!st->has_space)
		return 0;
	err |= table_sectors(t, COL_USED, st->used);
	err |= table_sectors(t, COL_SIZE, st->total);
	if (st->total)
		err |= table_number(t, COL_PERCENT,
				    st->used * 100 / st->total);
	return err;
}

static int fill_store(struct table *t, const struct mapper_dev *store)
{
	int err = 0;

	if (!store)
		return 0;
	err |= table_flag(t, COL_LOW, store->store.low);
	err |= table_text(t, COL_STORE, store->name);
	err |= table_text(t, COL_STORE_STATE, store->store.state);
	return err;
}

static int add_row(struct table *t, const struct mapper_scan *scan,
		   const struct mapper_dev *dev)
{
	const struct live_status *st = &dev->live;
	int err;

	err = table_row(t);
	if (err)
		return err;
	err |= table_text(t, COL_NAME, dev->name);
	err |= table_text(t, COL_MODE, st->mode);
	err |= table_text(t, COL_STATE, st->state);
	err |= table_text(t, COL_FAULT, st->fault);
	if (st->fault[0])
		err |= table_number(t, COL_ERRNO, (uint64_t)st->error);
	err |= table_number(t, COL_SNAPS, st->valid);
	err |= table_number(t, COL_LOST, st->lost);
	err |= fill_space(t, st);
	if (st->grace >= 0)
		err |= table_number(t, COL_GRACE, (uint64_t)st->grace);
	err |= table_number(t, COL_HELD, st->held);
	err |= fill_store(t, store_of(scan, dev));
	err |= table_flag(t, COL_LABEL, st->label);
	err |= table_flag(t, COL_SUSPENDED, dev->suspended);
	err |= table_text(t, COL_HEALTH, health_name(health_of(scan, dev)));
	err |= table_text(t, COL_UUID, dev->volume);
	return err ? -ENOMEM : 0;
}

static int print_status(struct table *t, const struct mapper_scan *scan,
			const struct mapper_dev *only)
{
	size_t i;
	int code;

	code = table_begin(t, "volumes", columns, COL_UUID + 1);
	for (i = 0; i < scan->count && !code; i++) {
		if (scan->devs[i].kind != MAPPER_LIVE ||
		    (only && only != &scan->devs[i]))
			continue;
		if (add_row(t, scan, &scan->devs[i]))
			code = complain(TOOL_FAILED, "%s", strerror(ENOMEM));
	}
	return table_end(t, code);
}

/* ---- the test --------------------------------------------------------------- */

static void print_unwell(const struct mapper_dev *dev, enum health health)
{
	const struct live_status *st = &dev->live;

	printf("%s: %s: %s, %s", dev->name, health_name(health), st->mode,
	       st->state);
	if (st->fault[0])
		printf(", fault %s", st->fault);
	if (st->lost)
		printf(", %u snapshot%s lost", st->lost,
		       st->lost == 1 ? "" : "s");
	if (st->has_space && health == HEALTH_LOW)
		printf(", %u %% of the store used",
		       (unsigned int)(st->used * 100 / st->total));
	putchar('\n');
}

/* The worst of all is the exit code. */
static int test_status(const struct mapper_scan *scan,
		       const struct mapper_dev *only)
{
	enum health health, worst = HEALTH_WELL;
	size_t i;
	int code;

	for (i = 0; i < scan->count; i++) {
		if (scan->devs[i].kind != MAPPER_LIVE ||
		    (only && only != &scan->devs[i]))
			continue;
		health = health_of(scan, &scan->devs[i]);
		if (health != HEALTH_WELL)
			print_unwell(&scan->devs[i], health);
		if (health > worst)
			worst = health;
	}
	code = output_end();
	return code ? code : (int)worst;
}

/* ---- the command ------------------------------------------------------------- */

static int run_status(int argc, char **argv)
{
	struct mapper_dev *only;
	struct table t = { 0 };
	struct mapper_scan scan;
	bool test = false;
	int code;

	code = table_options(&t, &test, argc, argv, 1,
			     "at most one volume is looked at");
	if (code)
		return code;
	code = admin_begin_on(&scan, argv[optind], &only);
	if (!code)
		code = test ? test_status(&scan, only) :
			      print_status(&t, &scan, only);
	mapper_scan_free(&scan);
	return code;
}

const struct command command_status = {
	.name = "status",
	.args = "[--test] " TABLE_ARGS " [NAME]",
	.what = "show how the volumes are",
	.help =
	"--test prints only what is not well, and the exit code is that of the worst:\n"
	"0 all well, 10 the store has little space left, 11 waiting or without a store,\n"
	"12 snapshots lost or a fault stands, 13 blocked.\n"
	"Columns: NAME MODE STATE FAULT ERRNO SNAPS LOST USED SIZE USE% LOW GRACE HELD\n"
	"STORE STORE-STATE LABEL SUSPENDED HEALTH UUID; -o +COLUMNS adds to the usual\n"
	"ones.\n",
	.run = run_status,
};
