// SPDX-License-Identifier: GPL-2.0-only
/*
 * /etc/snapprottab.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../dm-snapprot/core/core.h"
#include "status.h"
#include "tab.h"

static const char * const flag_names[TAB_FLAGS] = {
	[TAB_PROTECT]		= "protect",
	[TAB_QUEUE_ON_FAULT]	= "queue_on_fault",
	[TAB_DELETE_OLDEST]	= "delete_oldest",
	[TAB_UNLABELLED]	= "unlabelled",
	[TAB_IGNORE_DISCARD]	= "ignore_discard",
	[TAB_NOAUTO]		= "noauto",
	[TAB_NOFAIL]		= "nofail",
	[TAB_NETDEV]		= "_netdev",
	[TAB_INITRD]		= "x-initrd.attach",
};

static const struct {
	const char *name;
	uint32_t min;
	uint32_t max;
} number_names[TAB_NUMBERS] = {
	[TAB_GRACE]		= { "grace", 0, 86400 },
	[TAB_GROW_TIMEOUT]	= { "grow_timeout", 0, 86400 },
	[TAB_LOW_WATER]		= { "low_water", 0, 100 },
	[TAB_IO_TIMEOUT]	= { "io_timeout", 0, 86400 },
	[TAB_CACHE]		= { "cache", 256, 4u << 20 },
};

/**
 * struct reader - a line being read
 * @start: its first byte
 * @p: how far it has been read
 * @at: where it is wrong
 * @what: how, or NULL
 */
struct reader {
	struct tab *tab;
	char *start;
	char *p;
	const char *at;
	const char *what;
};

static int wrong(struct reader *r, const char *at, const char *what)
{
	r->at = at;
	r->what = what;
	return -EINVAL;
}

/* ---- words ------------------------------------------------------------------ */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static bool is_octal(const char *p)
{
	return p[0] >= '0' && p[0] <= '3' && p[1] >= '0' && p[1] <= '7' &&
	       p[2] >= '0' && p[2] <= '7';
}

/* The next word, or NULL at the end of the line; not ended, nor unescaped. */
static char *next_word(struct reader *r, size_t *len)
{
	char *word;

	while (is_blank(*r->p))
		r->p++;
	word = r->p;
	while (*r->p && !is_blank(*r->p))
		r->p++;
	*len = (size_t)(r->p - word);
	return *len ? word : NULL;
}

/* A copy of a word, with \ooo as in fstab for blanks and the like. */
static int copy_word(struct reader *r, char *word, size_t len, char **copy)
{
	size_t i, n = 0;

	*copy = malloc(len + 1);
	if (!*copy)
		return -ENOMEM;
	for (i = 0; i < len; i++, n++) {
		(*copy)[n] = word[i];
		if (word[i] != '\\')
			continue;
		if (len - i < 4 || !is_octal(word + i + 1))
			return wrong(r, word + i,
				     "a backslash needs three octal digits");
		(*copy)[n] = (char)((word[i + 1] - '0') << 6 |
				    (word[i + 2] - '0') << 3 |
				    (word[i + 3] - '0'));
		if (!(*copy)[n])
			return wrong(r, word + i, "\\000 ends no word");
		i += 3;
	}
	(*copy)[n] = '\0';
	return 0;
}

/* ---- options ----------------------------------------------------------------- */

static bool is_name(const char *text, size_t len, const char *name)
{
	return strlen(name) == len && !memcmp(text, name, len);
}

static int set_flag(struct reader *r, struct tab_entry *e, char *opt,
		    size_t len)
{
	int i;

	for (i = 0; i < TAB_FLAGS; i++) {
		if (!is_name(opt, len, flag_names[i]))
			continue;
		if (e->flag[i])
			return wrong(r, opt, "this option is given twice");
		e->flag[i] = true;
		return 0;
	}
	for (i = 0; i < TAB_NUMBERS; i++)
		if (is_name(opt, len, number_names[i].name))
			return wrong(r, opt, "this option needs a value");
	if (is_name(opt, len, "label") || is_name(opt, len, "uuid") ||
	    policy_knows(opt, len))
		return wrong(r, opt, "this option needs a value");
	return wrong(r, opt, "unknown option");
}

static int set_number(struct reader *r, struct tab_entry *e, int i, char *opt,
		      char *value, size_t len)
{
	uint64_t number;
	char text[16];

	if (e->given[i])
		return wrong(r, opt, "this option is given twice");
	if (len >= sizeof(text))
		return wrong(r, value, "this number is too long");
	memcpy(text, value, len);
	text[len] = '\0';
	if (number_parse(text, number_names[i].max, &number) ||
	    number < number_names[i].min)
		return wrong(r, value, "not a number that this option takes");
	e->given[i] = true;
	e->number[i] = (uint32_t)number;
	return 0;
}

static int set_uuid(struct reader *r, struct tab_entry *e, char *value,
		    size_t len)
{
	u8 uuid[16];

	if (e->uuid[0])
		return wrong(r, value, "this option is given twice");
	if (len != 36)
		return wrong(r, value, "not a UUID");
	memcpy(e->uuid, value, 36);
	e->uuid[36] = '\0';
	if (snapprot_uuid_parse(e->uuid, uuid))
		return wrong(r, value, "not a UUID");
	snapprot_uuid_format(uuid, e->uuid);
	return 0;
}

static int set_value(struct reader *r, struct tab_entry *e, char *opt,
		     size_t name_len, char *value, size_t len)
{
	const char *what;
	int i;

	for (i = 0; i < TAB_NUMBERS; i++)
		if (is_name(opt, name_len, number_names[i].name))
			return set_number(r, e, i, opt, value, len);
	if (is_name(opt, name_len, "uuid"))
		return set_uuid(r, e, value, len);
	if (is_name(opt, name_len, "label")) {
		if (e->label)
			return wrong(r, opt, "this option is given twice");
		if (!len)
			return wrong(r, value, "a device is missing");
		return copy_word(r, value, len, &e->label);
	}
	if (policy_knows(opt, name_len)) {
		what = policy_set(&e->policy, opt, name_len, value, len);
		return what ? wrong(r, value, what) : 0;
	}
	for (i = 0; i < TAB_FLAGS; i++)
		if (is_name(opt, name_len, flag_names[i]))
			return wrong(r, value, "this option takes no value");
	return wrong(r, opt, "unknown option");
}

static int parse_option(struct reader *r, struct tab_entry *e, char *opt,
			size_t len)
{
	char *equals = memchr(opt, '=', len);
	size_t name_len;

	if (!len)
		return wrong(r, opt, "an option is missing");
	/* For others: systemd's, or a script's. */
	if (len >= 2 && !memcmp(opt, "x-", 2) &&
	    !is_name(opt, len, flag_names[TAB_INITRD]))
		return 0;
	if (!equals)
		return set_flag(r, e, opt, len);
	name_len = (size_t)(equals - opt);
	return set_value(r, e, opt, name_len, equals + 1, len - name_len - 1);
}

static int parse_options(struct reader *r, struct tab_entry *e, char *word,
			 size_t len)
{
	char *end = word + len, *first = word, *comma;
	const char *what;
	int err;

	for (;; word = comma + 1) {
		comma = memchr(word, ',', (size_t)(end - word));
		err = parse_option(r, e, word,
				   (size_t)((comma ? comma : end) - word));
		if (err || !comma)
			break;
	}
	if (!err && e->label && e->flag[TAB_UNLABELLED])
		err = wrong(r, r->start, "label and unlabelled exclude each other");
	what = err ? NULL : policy_conflict(&e->policy);
	if (what)
		err = wrong(r, first, what);
	return err;
}

/* ---- lines -------------------------------------------------------------------- */

static int check_name(struct reader *r, const char *word, const char *name)
{
	const char *p;

	if (strlen(name) > TAB_NAME_MAX)
		return wrong(r, word, "this name is too long");
	for (p = name; *p; p++)
		if (*p == '/' || (unsigned char)*p < ' ')
			return wrong(r, word, "a name must not have a slash or a control character");
	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return wrong(r, word, "this is no name");
	return tab_find(r->tab, name) ?
	       wrong(r, word, "another line has this name") : 0;
}

/*
 * A file system's UUID or label would not do: the live volume has the same.
 * Two volumes on one device, whatever else may be true, cannot be meant.
 */
static int check_device(struct reader *r, const char *word, const char *device)
{
	const struct tab_entry *e;
	size_t i;

	if (*device != '/' && strncmp(device, "PARTUUID=", 9) &&
	    strncmp(device, "PARTLABEL=", 10))
		return wrong(r, word,
			     "not a path, PARTUUID= or PARTLABEL=");
	for (i = 0; i < r->tab->count; i++) {
		e = &r->tab->entries[i];
		if (!strcmp(e->origin, device) ||
		    (e->store && !strcmp(e->store, device)))
			return wrong(r, word, "another line has this device");
	}
	return 0;
}

static int parse_word(struct reader *r, const char *missing, char **word,
		      char **copy)
{
	size_t len;

	*word = next_word(r, &len);
	if (!*word)
		return wrong(r, r->p, missing);
	return copy_word(r, *word, len, copy);
}

static int parse_devices(struct reader *r, struct tab_entry *e)
{
	char *word;
	int err;

	err = parse_word(r, "the origin is missing", &word, &e->origin);
	if (!err)
		err = check_device(r, word, e->origin);
	if (!err)
		err = parse_word(r, "the store is missing: a device, or -",
				 &word, &e->store);
	if (err)
		return err;
	if (!strcmp(e->store, "-")) {
		free(e->store);
		e->store = NULL;
		return 0;
	}
	if (!strcmp(e->store, e->origin))
		return wrong(r, word, "the store is the origin");
	return check_device(r, word, e->store);
}

static int parse_line(struct reader *r, struct tab_entry *e)
{
	char *word;
	size_t len;
	int err;

	err = parse_word(r, "the name is missing", &word, &e->name);
	if (!err)
		err = check_name(r, word, e->name);
	if (!err)
		err = parse_devices(r, e);
	word = err ? NULL : next_word(r, &len);
	if (word && !is_name(word, len, "-"))
		err = parse_options(r, e, word, len);
	word = err ? NULL : next_word(r, &len);
	if (word && *word != '#')
		err = wrong(r, word, "more than four words");
	return err;
}

static void free_entry(struct tab_entry *e)
{
	free(e->name);
	free(e->origin);
	free(e->store);
	free(e->label);
}

static int add_line(struct tab *tab, struct reader *r, unsigned int line)
{
	struct tab_entry e = { .line = line }, *entries;
	int err;

	while (is_blank(*r->p))
		r->p++;
	if (!*r->p || *r->p == '#')
		return 0;
	err = parse_line(r, &e);
	if (!err) {
		entries = realloc(tab->entries,
				  (tab->count + 1) * sizeof(*entries));
		if (entries) {
			entries[tab->count++] = e;
			tab->entries = entries;
			return 0;
		}
		err = -ENOMEM;
	}
	free_entry(&e);
	return err;
}

int tab_parse(struct tab *tab, char *text,
	      void (*error)(void *ctx, unsigned int line, unsigned int column,
			    const char *what), void *ctx)
{
	unsigned int line = 1;
	char *end;
	int err;

	memset(tab, 0, sizeof(*tab));
	for (; *text; text = end, line++) {
		struct reader r = { .tab = tab, .start = text, .p = text };

		end = text + strcspn(text, "\n");
		if (*end)
			*end++ = '\0';
		err = add_line(tab, &r, line);
		if (err == -ENOMEM)
			return err;
		if (err) {
			tab->bad++;
			error(ctx, line, (unsigned int)(r.at - r.start) + 1,
			      r.what);
		}
	}
	return 0;
}

int tab_read(struct tab *tab, const char *path,
	     void (*error)(void *ctx, unsigned int line, unsigned int column,
			   const char *what), void *ctx)
{
	char *text = NULL;
	size_t size = 0;
	ssize_t n;
	FILE *f;
	int err;

	memset(tab, 0, sizeof(*tab));
	f = fopen(path, "re");
	if (!f)
		return -errno;
	errno = 0;
	n = getdelim(&text, &size, '\0', f);
	err = n < 0 && ferror(f) ? -(errno ? errno : EIO) : 0;
	fclose(f);
	if (n > 0 && !text[n - 1])
		err = -EILSEQ;	/* a zero byte: no text */
	else if (n > 0)
		err = tab_parse(tab, text, error, ctx);
	free(text);
	return err;
}

void tab_free(struct tab *tab)
{
	size_t i;

	for (i = 0; i < tab->count; i++)
		free_entry(&tab->entries[i]);
	free(tab->entries);
	memset(tab, 0, sizeof(*tab));
}

const struct tab_entry *tab_find(const struct tab *tab, const char *name)
{
	size_t i;

	for (i = 0; i < tab->count; i++)
		if (!strcmp(tab->entries[i].name, name))
			return &tab->entries[i];
	return NULL;
}

/* ---- features ------------------------------------------------------------------ */

/* Words for a table, and how many they are. */
struct words {
	char text[256];
	size_t len;
	unsigned int count;
	bool full;
};

static void add_word(struct words *w, const char *word)
{
	int n = snprintf(w->text + w->len, sizeof(w->text) - w->len, " %s",
			 word);

	if (n < 0 || (size_t)n >= sizeof(w->text) - w->len)
		w->full = true;
	else
		w->len += (size_t)n;
	w->count++;
}

static void add_number(struct words *w, const struct tab_entry *e,
		       enum tab_number i)
{
	char value[16];

	if (!e->given[i])
		return;
	snprintf(value, sizeof(value), "%u", e->number[i]);
	add_word(w, number_names[i].name);
	add_word(w, value);
}

static int print_words(const struct words *w, char *text, size_t len)
{
	int n;

	if (!w->count)
		n = snprintf(text, len, "%s", "");
	else
		n = snprintf(text, len, " %u%s", w->count, w->text);
	return w->full || n < 0 || (size_t)n >= len ? -ENOSPC : 0;
}

int tab_live_features(const struct tab_entry *e, const char *label, char *text,
		      size_t len)
{
	struct words w = { .count = 0 };
	int i;

	for (i = TAB_PROTECT; i <= TAB_IGNORE_DISCARD; i++)
		if (e->flag[i])
			add_word(&w, flag_names[i]);
	add_number(&w, e, TAB_GRACE);
	add_number(&w, e, TAB_GROW_TIMEOUT);
	if (label) {
		add_word(&w, "label");
		add_word(&w, label);
	}
	return print_words(&w, text, len);
}

int tab_store_features(const struct tab_entry *e, char *text, size_t len)
{
	struct words w = { .count = 0 };

	add_number(&w, e, TAB_LOW_WATER);
	add_number(&w, e, TAB_IO_TIMEOUT);
	add_number(&w, e, TAB_CACHE);
	return print_words(&w, text, len);
}
