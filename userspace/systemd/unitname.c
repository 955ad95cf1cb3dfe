// SPDX-License-Identifier: GPL-2.0-only
/*
 * Names as systemd and udev write them.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "unitname.h"

/* What is being written: more than fits is counted, and not written. */
struct out {
	char *text;
	size_t len;
	size_t used;
};

static void put(struct out *o, char c)
{
	if (o->used + 1 < o->len)
		o->text[o->used] = c;
	o->used++;
}

static void put_hex(struct out *o, char c)
{
	static const char digits[] = "0123456789abcdef";

	put(o, '\\');
	put(o, 'x');
	put(o, digits[(unsigned char)c >> 4]);
	put(o, digits[(unsigned char)c & 15]);
}

static void put_text(struct out *o, const char *text)
{
	while (*text)
		put(o, *text++);
}

static int end(struct out *o)
{
	if (o->used >= o->len)
		return -ENAMETOOLONG;
	o->text[o->used] = '\0';
	return 0;
}

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	       (c >= 'A' && c <= 'Z');
}

static bool is_one_of(char c, const char *set)
{
	return c && strchr(set, c);
}

static void put_escaped(struct out *o, const char *text, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (text[i] == '/')
			put(o, '-');
		else if (is_alnum(text[i]) || is_one_of(text[i], ":_") ||
			 (text[i] == '.' && i))
			put(o, text[i]);
		else
			put_hex(o, text[i]);
	}
}

int unit_escape(const char *text, char *out, size_t len)
{
	struct out o = { .text = out, .len = len };

	put_escaped(&o, text, strlen(text));
	return end(&o);
}

int unit_of_path(const char *path, const char *suffix, char *out, size_t len)
{
	struct out o = { .text = out, .len = len };
	bool first = true;
	size_t n;

	/* One slash for several, none at the ends; and a dot may begin a path only. */
	for (; *path; path += n) {
		n = strspn(path, "/");
		path += n;
		n = strcspn(path, "/");
		if (!n)
			break;
		if (!first)
			put(&o, '-');
		if (!first && *path == '.') {
			put(&o, '.');
			put_escaped(&o, path + 1, n - 1);
		} else {
			put_escaped(&o, path, n);
		}
		first = false;
	}
	if (first)
		put(&o, '-');
	put_text(&o, suffix);
	return end(&o);
}

int node_encode(const char *text, char *out, size_t len)
{
	struct out o = { .text = out, .len = len };

	for (; *text; text++) {
		if (is_alnum(*text) || is_one_of(*text, "#+-.:=@_") ||
		    (unsigned char)*text >= 0x80)
			put(&o, *text);
		else
			put_hex(&o, *text);
	}
	return end(&o);
}

int unit_quote(const char *text, char *out, size_t len)
{
	struct out o = { .text = out, .len = len };

	for (; *text; text++) {
		/* Specifiers and variables are doubled, the rest is C's. */
		if (is_one_of(*text, "%$"))
			put(&o, *text);
		if (is_one_of(*text, "\"\\") || (unsigned char)*text < ' ')
			put_hex(&o, *text);
		else
			put(&o, *text);
	}
	return end(&o);
}
