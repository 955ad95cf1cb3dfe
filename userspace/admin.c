// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the subcommands share that work on loaded volumes.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "../dm-snapprot/core/core.h"
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
		return "the id or the name is taken";
	case -EPERM:
		return "the snapshot is held";
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

int admin_usage(const struct mapper_dev *live, struct snap_usage **usage)
{
	char *answer = NULL;
	int ret;

	*usage = NULL;
	ret = mapper_message(live->name, "usage", &answer);
	if (!ret)
		ret = snap_usage_parse(answer, usage);
	free(answer);
	return ret;
}

int admin_resolve(const struct mapper_dev *live, const char *text,
		  uint32_t *id)
{
	struct snap_info *snaps;
	bool found = false;
	int i, count;

	if (!snap_id_parse(text, id))
		return 0;
	if (strspn(text, "0123456789") == strlen(text))
		return admin_parse_id(text, id);
	count = admin_snaps(live, &snaps);
	if (count < 0)
		return complain(TOOL_FAILED,
				"%s: its snapshots cannot be listed: %s",
				live->name, admin_strerror(count));
	for (i = 0; i < count && !found; i++) {
		found = !strcmp(snaps[i].name, text);
		*id = snaps[i].id;
	}
	free(snaps);
	return found ? 0 : complain(TOOL_WRONG, "%s: snapshot %s: %s",
				    live->name, text, admin_strerror(-ENOENT));
}

/* ---- arguments ------------------------------------------------------------- */

int admin_parse_id(const char *text, uint32_t *id)
{
	if (!snap_id_parse(text, id))
		return 0;
	return complain_usage("%s: is not the id of a snapshot, which is from 1 to 4294967295",
			      text);
}

int admin_check_name(const char *name)
{
	if (!snapprot_name_ok(name) || !strcmp(name, "-"))
		return complain_usage("%s: can be no name: at most 63 bytes, no blanks, no slashes",
				      name);
	if (*name && strspn(name, "0123456789") == strlen(name))
		return complain_usage("%s: can be no name, as it looks like an id",
				      name);
	return 0;
}

/* As 30d; seconds, or 0. */
static uint64_t parse_duration(const char *text)
{
	static const uint32_t seconds[] = { 1, 60, 3600, 86400, 7 * 86400 };
	static const char units[] = "smhdw";
	size_t len = strspn(text, "0123456789");
	const char *unit = text[len] ? strchr(units, text[len]) : NULL;
	char digits[12];
	uint64_t n;

	if (!unit || text[len + 1] || len >= sizeof(digits))
		return 0;
	memcpy(digits, text, len);
	digits[len] = '\0';
	if (number_parse(digits, UINT32_MAX, &n))
		return 0;
	return n * seconds[unit - units];
}

/* Local time; 0 if it is none. */
static uint64_t parse_date(const char *text)
{
	static const char * const formats[] = {
		"%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"
	};
	const char *end;
	struct tm tm;
	time_t at;
	size_t i;

	for (i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
		memset(&tm, 0, sizeof(tm));
		tm.tm_isdst = -1;
		end = strptime(text, formats[i], &tm);
		if (!end || *end)
			continue;
		at = mktime(&tm);
		return at > 0 ? (uint64_t)at : 0;
	}
	return 0;
}

int admin_parse_hold(const char *text, uint64_t *hold)
{
	uint64_t duration = parse_duration(text);

	if (!strcmp(text, "forever"))
		*hold = HOLD_FOREVER;
	else if (duration)
		*hold = (uint64_t)time(NULL) + duration;
	else
		*hold = parse_date(text);
	return *hold ? 0 :
	       complain_usage("%s: is no time to hold until: forever, a duration such as 30d, or a date such as 2026-01-31 or 2026-01-31T23:59",
			      text);
}

void admin_snap_words(char *words, size_t len, const char *name,
		      const uint64_t *hold)
{
	size_t n = 0;

	*words = '\0';
	if (name) {
		n = (size_t)snprintf(words, len, " name=");
		/* The kernel takes a backslash off. */
		for (; *name && n + 2 < len; name++) {
			if (*name == '\\')
				words[n++] = '\\';
			words[n++] = *name;
		}
		words[n] = '\0';
	}
	if (hold && *hold == HOLD_FOREVER)
		snprintf(words + n, len - n, " hold=forever");
	else if (hold)
		snprintf(words + n, len - n, " hold=%" PRIu64, *hold);
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
