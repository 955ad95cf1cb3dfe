// SPDX-License-Identifier: GPL-2.0-only
/*
 * snapprot clear - a fault was repaired
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "../dm-snapprot/core/state.h"
#include "admin.h"

/* The volume has looked again, and may have another reason now. */
static int say_why(const char *name, const char *fault, int err)
{
	struct mapper_scan scan;
	struct mapper_dev *live = NULL;
	int code;

	if (!mapper_scan(&scan))
		live = mapper_find_live(&scan, name);
	if (live && err == -EINVAL && fault && live->live.fault[0])
		code = complain(TOOL_WRONG, "%s: its fault is %s, not %s", name,
				live->live.fault, fault);
	else if (live && live->live.fault[0])
		code = complain(TOOL_FAILED, "%s: still %s by %s: %s", name,
				live->live.state, live->live.fault,
				err == -ENODEV ? admin_strerror(err) :
				strerror(live->live.error));
	else
		code = complain(admin_code(err), "%s: cannot be cleared: %s",
				name, admin_strerror(err));
	mapper_scan_free(&scan);
	return code;
}

static int clear(const struct mapper_dev *live, const char *fault)
{
	char message[64];
	int err;

	snprintf(message, sizeof(message), "clear_fault%s%s",
		 fault ? " " : "", fault ? fault : "");
	err = mapper_message(live->name, message, NULL);
	return err ? say_why(live->name, fault, err) : 0;
}

static int run_clear(int argc, char **argv)
{
	struct mapper_scan scan;
	struct mapper_dev *live;
	const char *fault;
	int code;

	code = admin_options(argc, argv, NULL, 1, 2,
			     "a volume is needed, and at most one fault");
	if (code)
		return code;
	fault = argv[optind + 1];
	if (fault && snapprot_fault_parse(fault) <= 0)
		return complain_usage("%s: is no fault", fault);
	code = admin_begin_on(&scan, argv[optind], &live);
	if (!code)
		code = clear(live, fault);
	mapper_scan_free(&scan);
	return code;
}

const struct command command_clear = {
	.name = "clear",
	.args = "NAME [FAULT]",
	.what = "look again after a repair: if all is well, I/O goes on",
	.help =
	"The store is loaded anew and checked. If it is still not well the volume\n"
	"stays blocked, with the new reason. With FAULT only if that is the fault.\n",
	.run = run_clear,
};
