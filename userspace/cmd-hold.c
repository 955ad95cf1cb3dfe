// SPDX-License-Identifier: GPL-2.0-only
/*
 * snapprot hold, unhold and rename - change what is said of a snapshot
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>

#include "admin.h"

/* Change the snapshot @which of the volume @volume. */
static int change(const char *volume, const char *which, const char *name,
		  const uint64_t *hold)
{
	char message[ADMIN_WORDS + 32], words[ADMIN_WORDS];
	struct mapper_scan scan;
	struct mapper_dev *live;
	uint32_t id;
	int code, err;

	admin_snap_words(words, sizeof(words), name, hold);
	code = admin_begin_on(&scan, volume, &live);
	if (!code)
		code = admin_resolve(live, which, &id);
	if (!code) {
		snprintf(message, sizeof(message), "set_snap %u%s", id, words);
		err = mapper_message(live->name, message, NULL);
		if (err)
			code = complain(admin_code(err),
					"%s: snapshot %u: %s", live->name, id,
					err == -EPERM && hold && *hold ?
					"is held until a later time already" :
					admin_strerror(err));
	}
	mapper_scan_free(&scan);
	return code;
}

static int run_hold(int argc, char **argv)
{
	uint64_t hold = HOLD_FOREVER;
	int code;

	code = admin_options(argc, argv, NULL, 2, 3,
			     "a volume and a snapshot are needed, and until when at most");
	if (!code && argc - optind == 3)
		code = admin_parse_hold(argv[optind + 2], &hold);
	return code ? code : change(argv[optind], argv[optind + 1], NULL,
				    &hold);
}

static int run_unhold(int argc, char **argv)
{
	static const uint64_t none;
	int code;

	code = admin_options(argc, argv, NULL, 2, 2,
			     "a volume and a snapshot are needed");
	return code ? code : change(argv[optind], argv[optind + 1], NULL,
				    &none);
}

static int run_rename(int argc, char **argv)
{
	int code;

	code = admin_options(argc, argv, NULL, 3, 3,
			     "a volume, a snapshot and its new name are needed");
	if (!code)
		code = admin_check_name(argv[optind + 2]);
	return code ? code : change(argv[optind], argv[optind + 1],
				    argv[optind + 2], NULL);
}

const struct command command_hold = {
	.name = "hold",
	.args = "NAME ID [UNTIL]",
	.what = "keep a snapshot from being deleted, by anybody and by every policy",
	.help =
	"UNTIL is forever, which it is if it is left out, a duration such as 30d, or a\n"
	"date such as 2026-01-31. A hold until a time can be made longer, and cannot be\n"
	"made shorter or taken off before it ends. It is against people and policies: in\n"
	"normal mode a fault costs a held snapshot like any other.\n",
	.run = run_hold,
};

const struct command command_unhold = {
	.name = "unhold",
	.args = "NAME ID",
	.what = "take a hold off that was for ever",
	.run = run_unhold,
};

const struct command command_rename = {
	.name = "rename",
	.args = "NAME ID NEWNAME",
	.what = "give a snapshot another name, by which it can be called like by its id",
	.help =
	"At most 63 bytes without blanks and slashes, no number, and not that of another\n"
	"snapshot of the volume; '' takes the name off.\n",
	.run = run_rename,
};
