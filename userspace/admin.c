// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the subcommands share that work on loaded volumes.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "admin.h"

int admin_code(int err)
{
	switch (err) {
	case -EBUSY:
		return TOOL_BUSY;
	case -ENXIO:
	case -ENOENT:
		return TOOL_WRONG;
	}
	return TOOL_FAILED;
}

/* ---- rights and module ----------------------------------------------------- */

int admin_check_module(void)
{
	uint32_t version[3];
	int err;

	err = mapper_version("snapprot", version);
	if (err == -ENOENT)
		return complain(TOOL_FAILED,
				"the kernel has no module dm-snapprot: install it for this kernel (make install, then depmod), and try modprobe dm-snapprot");
	if (err)
		return complain(TOOL_FAILED, "module dm-snapprot: %s",
				strerror(-err));
	if (!version_suffices(version, MAPPER_NEED_MAJOR, MAPPER_NEED_MINOR))
		return complain(TOOL_FAILED,
				"the module dm-snapprot that is loaded is older than this tool: version %u.%u.%u, needed is %u.%u.0",
				version[0], version[1], version[2],
				MAPPER_NEED_MAJOR, MAPPER_NEED_MINOR);
	return 0;
}

int admin_begin(struct mapper_scan *scan)
{
	int err;

	memset(scan, 0, sizeof(*scan));
	if (geteuid())
		return complain(TOOL_FAILED, "only root may do this");
	err = mapper_scan(scan);
	if (err)
		return complain(TOOL_FAILED,
				"device-mapper does not answer: %s (is the module dm-mod loaded?)",
				strerror(-err));
	return scan->count || scan->unknown ? admin_check_module() : 0;
}

/* ---- volumes --------------------------------------------------------------- */

int admin_find(const struct mapper_scan *scan, const char *name,
	       struct mapper_dev **dev)
{
	*dev = mapper_find_live(scan, name);
	if (*dev)
		return 0;
	return complain(TOOL_WRONG, "%s: no such volume is active", name);
}

int admin_begin_on(struct mapper_scan *scan, const char *name,
		   struct mapper_dev **live)
{
	int code = admin_begin(scan);

	*live = NULL;
	return code || !name ? code : admin_find(scan, name, live);
}

const char *admin_strerror(int err)
{
	switch (err) {
	case -EEXIST:
		return "the id is taken";
	case -ENOENT:
		return "no such snapshot";
	case -ENODEV:
		return "the store is not there";
	case -EIO:
		return "the volume is blocked, or its store or label cannot be written";
	case -ENOSPC:
		return "no room in the store";
	}
	return strerror(-err);
}

int admin_message(const struct mapper_dev *live, const char *message,
		  const char *what)
{
	int err = mapper_message(live->name, message, NULL);

	if (!err)
		return 0;
	return complain(admin_code(err), "%s: %s: %s", live->name, what,
			admin_strerror(err));
}

int admin_snaps(const struct mapper_dev *live, struct snap_info **snaps)
{
	char *answer = NULL;
	int ret;

	*snaps = NULL;
	ret = mapper_message(live->name, "list_snaps", &answer);
	if (!ret)
		ret = snap_list_parse(answer, snaps);
	free(answer);
	return ret;
}

/* ---- arguments ------------------------------------------------------------- */

int admin_parse_id(const char *text, uint32_t *id)
{
	if (!snap_id_parse(text, id))
		return 0;
	return complain_usage("%s: is not the id of a snapshot, which is from 1 to 4294967295",
			      text);
}

int admin_options(int argc, char **argv, bool *yes, int min, int max,
		  const char *wanted)
{
	static const struct option options[] = {
		{ "yes",	no_argument,		NULL, 'y' },
		{ NULL,		0,			NULL, 0 }
	};
	int opt;

	opterr = 0;
	/* Without @yes there is none at all: the entry that ends the list. */
	while ((opt = getopt_long(argc, argv, ":", options + !yes,
				  NULL)) != -1) {
		if (opt != 'y')
			return complain_option(opt, argv);
		*yes = true;
	}
	if (argc - optind < min || argc - optind > max)
		return complain_usage("%s", wanted);
	return 0;
}

int admin_all_or_names(int argc, char **argv, bool *all)
{
	static const struct option options[] = {
		{ "all",	no_argument,		NULL, 'a' },
		{ NULL,		0,			NULL, 0 }
	};
	int opt;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		if (opt != 'a')
			return complain_option(opt, argv);
		*all = true;
	}
	/* One of both, and not both. */
	if (*all ? optind < argc : optind == argc)
		return complain_usage("names of volumes are needed, or --all");
	return 0;
}

int admin_confirm(bool yes, const char *fmt, ...)
{
	char answer[16];
	va_list ap;

	if (yes)
		return 0;
	if (!isatty(STDIN_FILENO))
		return complain_usage("there is nobody to ask: needs --yes");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf(" Type yes: ");
	fflush(stdout);
	if (fgets(answer, sizeof(answer), stdin) &&
	    !strcasecmp(answer, "yes\n"))
		return 0;
	return complain(TOOL_FAILED, "not done, as the answer was not yes");
}
