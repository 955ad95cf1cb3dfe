// SPDX-License-Identifier: GPL-2.0-only
/*
 * snapprot release - let go of I/O that is held, by failing it
 *
 * For the way down: whoever waits for held I/O cannot be killed, nor can what he
 * has mounted be unmounted. A volume that is blocked fails its I/O from now on
 * instead of holding it. One that waits for its store has no such setting, and to
 * let its writes pass would cost the snapshots: its device gets a table of which
 * all I/O fails. Nothing of either has reached the origin.
 */
#include <getopt.h>
#include <string.h>

#include "admin.h"

static int release(const struct mapper_dev *live)
{
	int code, err;

	code = admin_message(live, "set queue_on_fault 0", "queue_on_fault");
	if (code || strcmp(live->live.state, "waiting"))
		return code;
	err = mapper_replace_by_error(live->name, live->sectors);
	return err ? complain(admin_code(err), "%s: %s", live->name,
			      strerror(-err)) : 0;
}

static int release_all(const struct mapper_scan *scan)
{
	int one, code = 0;
	size_t i;

	for (i = 0; i < scan->count; i++) {
		if (scan->devs[i].kind != MAPPER_LIVE)
			continue;
		one = release(&scan->devs[i]);
		code = code ? code : one;
	}
	return code;
}

static int run_release(int argc, char **argv)
{
	struct mapper_scan scan;
	struct mapper_dev *live;
	int i, one, code;
	bool all = false;

	code = admin_all_or_names(argc, argv, &all);
	if (code)
		return code;
	code = admin_begin(&scan);
	if (!code && all)
		code = release_all(&scan);
	for (i = optind; !code && i < argc; i++) {
		one = admin_find(&scan, argv[i], &live);
		if (!one)
			one = release(live);
		code = one;
	}
	mapper_scan_free(&scan);
	return code;
}

const struct command command_release = {
	.name = "release",
	.args = "NAME... | --all",
	.what = "fail I/O that is held, for a shutdown that must not wait for it",
	.help =
	"A blocked volume no longer holds I/O (queue_on_fault 0). One that waits for its\n"
	"store fails all I/O until it is activated anew: remove its device first. No\n"
	"snapshot is lost by this; what is held is.\n",
	.run = run_release,
};
