/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tables as lsblk prints them, on libsmartcols.
 */
#ifndef SNAPPROT_TABLE_H
#define SNAPPROT_TABLE_H

#include <getopt.h>
#include <libsmartcols.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct column - a column that a table may have
 * @name: in upper case
 * @json: SCOLS_JSON_*
 * @right: adjusted to the right
 * @shown: unless -o says otherwise
 * @what: for the help
 */
struct column {
	const char *name;
	int json;
	bool right;
	bool shown;
	const char *what;
};

/**
 * struct table - what the user asked for, and the table being made
 * @columns: of -o; with a + in front in addition to those shown anyway
 * @bytes: sizes as numbers of bytes
 */
struct table {
	const char *columns;
	bool noheadings;
	bool bytes;
	bool json;

	const struct column *all;
	int nr_all;
	struct libscols_column *used[32];
	struct libscols_table *out;
	struct libscols_line *line;
};

/* What table_options() takes, for the help. */
#define TABLE_ARGS	"[-o COLUMNS] [--noheadings] [--bytes] [-J]"

/*
 * Options of a command that prints a table. With @test there is --test as well. At
 * most @max arguments follow from argv[optind] on, else @wanted is said. Returns 0
 * or an exit code.
 */
int table_options(struct table *t, bool *test, int argc, char **argv, int max,
		  const char *wanted);

/* Returns 0 or an exit code; table_end() is to be called in any case. */
int table_begin(struct table *t, const char *name, const struct column *all,
		int count);
/* 0 or -ENOMEM, and the same for all the cells of a row. */
int table_row(struct table *t);
int table_text(struct table *t, int column, const char *text);
int table_number(struct table *t, int column, uint64_t value);
int table_flag(struct table *t, int column, bool value);
int table_sectors(struct table *t, int column, uint64_t sectors);
/* Local time; in JSON too. */
int table_time(struct table *t, int column, uint64_t seconds);
/* Print it, if @code is 0. Returns @code, or what went wrong. */
int table_end(struct table *t, int code);

#endif
