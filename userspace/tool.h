/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What every subcommand of snapprot shares: exit codes, the way failures are
 * said, and the table of subcommands.
 */
#ifndef SNAPPROT_TOOL_H
#define SNAPPROT_TOOL_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef SNAPPROT_TOOL_VERSION
#define SNAPPROT_TOOL_VERSION	"0.1.0"
#endif

/* Exit codes of all subcommands but check, which has its own three. */
enum tool_exit {
	TOOL_DONE	= 0,
	TOOL_FAILED	= 1,
	TOOL_USAGE	= 2,
	TOOL_WRONG	= 4,	/* not the device that it should be */
	TOOL_BUSY	= 5,	/* somebody uses it */
};

/* Exit codes of check. */
enum check_exit {
	CHECK_SOUND	= 0,
	CHECK_DAMAGED	= 1,
	CHECK_UNKNOWN	= 2,
};

/**
 * struct command - a subcommand
 * @name: as it is typed
 * @args: its arguments, for the usage line
 * @what: what it does, one line
 * @help: more lines for "snapprot help <name>", each ending in a newline
 * @run: argv[0] is the subcommand's name; returns the exit code
 */
struct command {
	const char *name;
	const char *args;
	const char *what;
	const char *help;
	int (*run)(int argc, char **argv);
};

extern const struct command command_format;
extern const struct command command_probe;
extern const struct command command_check;
extern const struct command command_dump;
extern const struct command command_repair;
extern const struct command command_list;
extern const struct command command_status;
extern const struct command command_snapshot;
extern const struct command command_delete;
extern const struct command command_protect;
extern const struct command command_normal;
extern const struct command command_clear;
extern const struct command command_activate;
extern const struct command command_deactivate;
extern const struct command command_release;
extern const struct command command_grow;
extern const struct command command_expose;
extern const struct command command_conceal;
extern const struct command command_mount;
extern const struct command command_umount;
extern const struct command command_stores;
extern const struct command command_wipe;
extern const struct command command_unprotect_store;
extern const struct command command_watch;

/* ---- output.c --------------------------------------------------------- */

/* Whose failures complain() prints; NULL outside of any subcommand. */
void output_begin(const struct command *cmd);

/**
 * complain() - say why the command fails, in one line on standard error
 * @code: the exit code, handed back, so that callers can return it at once
 */
int complain(int code, const char *fmt, ...)
	__attribute__((__format__(__printf__, 2, 3)));

/* A usage error: the same with a hint at the help. Returns TOOL_USAGE. */
int complain_usage(const char *fmt, ...)
	__attribute__((__format__(__printf__, 1, 2)));

/* What getopt_long() returned '?' or ':' for. Returns TOOL_USAGE. */
int complain_option(int opt, char **argv);

/* Print @text in single quotes, safe for a shell's eval. */
void print_quoted(const char *text);

/* Print @text as a JSON string, with its quotes. */
void print_json(const char *text);

/* Flush standard output: TOOL_DONE, or complains and returns TOOL_FAILED. */
int output_end(void);

/* Local time, as 2026-01-31T23:59:59+0100; @text takes at least 32 bytes. */
void time_format(uint64_t seconds, char *text, size_t len);
/* As "1.5G"; @text takes at least 16 bytes. */
void size_format(uint64_t bytes, char *text, size_t len);

#endif
