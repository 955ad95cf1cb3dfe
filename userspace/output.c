// SPDX-License-Identifier: GPL-2.0-only
/*
 * How the tool speaks: results on standard output, each failure as exactly
 * one line on standard error.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tool.h"

static const struct command *current;

void output_begin(const struct command *cmd)
{
	current = cmd;
}

static void complain_start(void)
{
	/* What was printed before the failure comes before the complaint. */
	fflush(stdout);
	fputs("snapprot", stderr);
	if (current)
		fprintf(stderr, " %s", current->name);
	fputs(": ", stderr);
}

int complain(int code, const char *fmt, ...)
{
	va_list ap;

	complain_start();
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return code;
}

int complain_usage(const char *fmt, ...)
{
	va_list ap;

	complain_start();
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, " (see snapprot help%s%s)\n", current ? " " : "",
		current ? current->name : "");
	return TOOL_USAGE;
}

int complain_option(int opt, char **argv)
{
	if (opt == ':')
		return complain_usage("%s: needs a value", argv[optind - 1]);
	/* optopt is 0 for a long option that does not exist. */
	if (optopt && optopt < 256 && strncmp(argv[optind - 1], "--", 2))
		return complain_usage("-%c: unknown option", optopt);
	return complain_usage("%s: unknown option", argv[optind - 1]);
}

void print_quoted(const char *text)
{
	putchar('\'');
	for (; *text; text++) {
		if (*text == '\'')
			fputs("'\\''", stdout);
		else
			putchar(*text);
	}
	putchar('\'');
}

void print_json(const char *text)
{
	const unsigned char *p;

	putchar('"');
	for (p = (const unsigned char *)text; *p; p++) {
		if (*p == '"' || *p == '\\')
			printf("\\%c", *p);
		else if (*p < 0x20 || *p >= 0x7f)
			/* Bytes of a path: JSON has no bytes, so Latin-1. */
			printf("\\u%04x", *p);
		else
			putchar(*p);
	}
	putchar('"');
}

int output_end(void)
{
	if (fflush(stdout) || ferror(stdout))
		return complain(TOOL_FAILED, "standard output: %s",
				strerror(errno));
	return TOOL_DONE;
}

/* ---- times and sizes ------------------------------------------------------- */

void time_format(uint64_t seconds, char *text, size_t len)
{
	time_t at = (time_t)seconds;
	struct tm tm;

	if (!localtime_r(&at, &tm) || !strftime(text, len, "%FT%T%z", &tm))
		snprintf(text, len, "%" PRIu64, seconds);
}

void size_format(uint64_t bytes, char *text, size_t len)
{
	static const char units[] = "BKMGTPE";
	uint64_t tenths;
	int unit = 0;

	while (unit < 6 && bytes >> (10 * (unit + 1)))
		unit++;
	if (!unit) {
		snprintf(text, len, "%uB", (unsigned int)bytes);
		return;
	}
	/* In tenths, rounded; shifted first so that nothing overflows. */
	tenths = ((bytes >> (10 * (unit - 1))) * 10 + 512) >> 10;
	if (tenths % 10 && tenths < 1000)
		snprintf(text, len, "%" PRIu64 ".%u%c", tenths / 10,
			 (unsigned int)(tenths % 10), units[unit]);
	else
		snprintf(text, len, "%" PRIu64 "%c", (tenths + 5) / 10,
			 units[unit]);
}
