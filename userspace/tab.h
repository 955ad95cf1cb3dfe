/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * /etc/snapprottab: which volumes there are to be.
 *
 *   name  origin  store|-  [option[,option]...]
 *
 * For the tool, and for whatever else has to know the volumes at boot. Nothing
 * here looks at a device.
 */
#ifndef SNAPPROT_TAB_H
#define SNAPPROT_TAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy.h"

#define TAB_PATH	"/etc/snapprottab"
/* A name may become part of that of a view, which device-mapper limits. */
#define TAB_NAME_MAX	100

/* Options with a number: what the table calls them. */
enum tab_number {
	TAB_GRACE,
	TAB_GROW_TIMEOUT,
	TAB_LOW_WATER,
	TAB_IO_TIMEOUT,
	TAB_CACHE,
	TAB_NUMBERS
};

/* Options without a value. */
enum tab_flag {
	TAB_PROTECT,
	TAB_QUEUE_ON_FAULT,
	TAB_DELETE_OLDEST,
	TAB_UNLABELLED,
	TAB_IGNORE_DISCARD,
	TAB_NOAUTO,
	TAB_NOFAIL,
	TAB_NETDEV,
	TAB_INITRD,		/* activated before the root is mounted */
	TAB_FLAGS
};

/**
 * struct tab_entry - a line
 * @line: its number, from 1
 * @name: of the live volume's device
 * @origin: a path, or PARTUUID= or PARTLABEL= with a value
 * @store: the same; NULL for any device that is this volume's store
 * @label: device of the label, or NULL
 * @uuid: of the volume, or "" for what the label says
 * @flag: which are given
 * @given: numbers that are given
 * @number: their values
 * @policy: for snapprotd
 */
struct tab_entry {
	unsigned int line;
	char *name;
	char *origin;
	char *store;
	char *label;
	char uuid[37];
	bool flag[TAB_FLAGS];
	bool given[TAB_NUMBERS];
	uint32_t number[TAB_NUMBERS];
	struct policy policy;
};

struct tab {
	struct tab_entry *entries;
	size_t count;
	unsigned int bad;
};

/**
 * tab_parse() - read the text of a tab
 * @text: changed while it is read
 * @error: told each line that is wrong: its number and column, both from 1. The
 *	line is left out, counted in @bad, and the others go on
 *
 * 0 or -ENOMEM; tab_free() in any case.
 */
int tab_parse(struct tab *tab, char *text,
	      void (*error)(void *ctx, unsigned int line, unsigned int column,
			    const char *what), void *ctx);

/* The same of a file. Also the negative errno of reading it. */
int tab_read(struct tab *tab, const char *path,
	     void (*error)(void *ctx, unsigned int line, unsigned int column,
			   const char *what), void *ctx);
void tab_free(struct tab *tab);

const struct tab_entry *tab_find(const struct tab *tab, const char *name);

/*
 * The feature arguments of the targets' tables, their count in front, into a
 * buffer. @label is the label's device as the table is to have it, or NULL.
 * 0 or -ENOSPC.
 */
int tab_live_features(const struct tab_entry *e, const char *label, char *text,
		      size_t len);
int tab_store_features(const struct tab_entry *e, char *text, size_t len);

#endif
