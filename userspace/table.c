// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tables as lsblk prints them, on libsmartcols.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "table.h"
#include "tool.h"

int table_options(struct table *t, bool *test, int argc, char **argv, int max,
		  const char *wanted)
{
	static const struct option options[] = {
		{ "test",	no_argument,		NULL, 't' },
		{ "output",	required_argument,	NULL, 'o' },
		{ "noheadings",	no_argument,		NULL, 'n' },
		{ "bytes",	no_argument,		NULL, 'b' },
		{ "json",	no_argument,		NULL, 'J' },
		{ NULL,		0,			NULL, 0 }
	};
	int opt;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":o:nbJ", options + !test,
				  NULL)) != -1) {
		if (opt == 't')
			*test = true;
		else if (opt == 'o')
			t->columns = optarg;
		else if (opt == 'n')
			t->noheadings = true;
		else if (opt == 'b')
			t->bytes = true;
		else if (opt == 'J')
			t->json = true;
		else
			return complain_option(opt, argv);
	}
	return argc - optind > max ? complain_usage("%s", wanted) : 0;
}

/* ---- columns --------------------------------------------------------------- */

static int add_column(struct table *t, int i)
{
	const struct column *c = &t->all[i];
	char name[32];
	size_t n;

	if (t->used[i])
		return 0;
	/* Keys of JSON are in lower case, as lsblk's are. */
	for (n = 0; c->name[n] && n < sizeof(name) - 1; n++)
		name[n] = t->json && c->name[n] >= 'A' && c->name[n] <= 'Z' ?
			  (char)(c->name[n] + 'a' - 'A') : c->name[n];
	name[n] = '\0';
	t->used[i] = scols_table_new_column(t->out, name, 0,
					    c->right ? SCOLS_FL_RIGHT : 0);
	if (!t->used[i])
		return complain(TOOL_FAILED, "%s", strerror(ENOMEM));
	scols_column_set_json_type(t->used[i], c->json);
	return 0;
}

static int find_column(const struct table *t, const char *name, size_t len)
{
	int i;

	for (i = 0; i < t->nr_all; i++)
		if (!strncasecmp(t->all[i].name, name, len) &&
		    !t->all[i].name[len])
			return i;
	return -1;
}

static int add_shown(struct table *t)
{
	int i, code = 0;

	for (i = 0; i < t->nr_all && !code; i++)
		if (t->all[i].shown)
			code = add_column(t, i);
	return code;
}

static int add_wanted(struct table *t)
{
	const char *p = t->columns;
	size_t len;
	int i, code = 0;

	if (!p || *p == '+')
		code = add_shown(t);
	if (!p || code)
		return code;
	p += *p == '+';
	do {
		len = strcspn(p, ",");
		i = find_column(t, p, len);
		if (i < 0)
			return complain_usage("-o %.*s: no such column",
					      (int)len, p);
		code = add_column(t, i);
		p += len;
	} while (!code && *p++);
	return code;
}

int table_begin(struct table *t, const char *name, const struct column *all,
		int count)
{
	t->all = all;
	t->nr_all = count;
	scols_init_debug(0);
	t->out = scols_new_table();
	if (!t->out)
		return complain(TOOL_FAILED, "%s", strerror(ENOMEM));
	scols_table_enable_json(t->out, t->json);
	scols_table_set_name(t->out, name);
	scols_table_enable_noheadings(t->out, t->noheadings);
	return add_wanted(t);
}

/* ---- rows ------------------------------------------------------------------ */

int table_row(struct table *t)
{
	t->line = scols_table_new_line(t->out, NULL);
	return t->line ? 0 : -ENOMEM;
}

int table_text(struct table *t, int column, const char *text)
{
	if (!t->used[column] || !text || !*text)
		return 0;
	return scols_line_set_column_data(t->line, t->used[column], text);
}

int table_number(struct table *t, int column, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	return table_text(t, column, text);
}

int table_flag(struct table *t, int column, bool value)
{
	/* In JSON libsmartcols makes true and false of these. */
	return table_text(t, column, value ? "yes" : "no");
}

int table_sectors(struct table *t, int column, uint64_t sectors)
{
	char text[24];

	if (t->bytes)
		return table_number(t, column, sectors << 9);
	size_format(sectors << 9, text, sizeof(text));
	return table_text(t, column, text);
}

int table_time(struct table *t, int column, uint64_t seconds)
{
	char text[32];

	time_format(seconds, text, sizeof(text));
	return table_text(t, column, text);
}

int table_end(struct table *t, int code)
{
	if (!code && scols_print_table(t->out))
		code = complain(TOOL_FAILED, "standard output: %s",
				strerror(errno));
	if (t->out)
		scols_unref_table(t->out);
	t->out = NULL;
	return code ? code : output_end();
}
