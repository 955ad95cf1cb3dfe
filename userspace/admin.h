/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the subcommands share that work on loaded volumes.
 */
#ifndef SNAPPROT_ADMIN_H
#define SNAPPROT_ADMIN_H

#include "mapper.h"
#include "tool.h"

/**
 * admin_begin() - may we, and what is there
 * @scan: filled in; mapper_scan_free() in any case
 *
 * Like all below that return "a code": complains by itself, and returns 0 or an
 * exit code.
 */
int admin_begin(struct mapper_scan *scan);

/* Is the kernel's module there, and new enough? A code. */
int admin_check_module(void);

/* The live volume of that name. A code. */
int admin_find(const struct mapper_scan *scan, const char *name,
	       struct mapper_dev **dev);

/**
 * admin_begin_on() - admin_begin() and admin_find()
 * @name: of a live volume, or NULL where none was named
 * @live: the volume, or NULL
 */
int admin_begin_on(struct mapper_scan *scan, const char *name,
		   struct mapper_dev **live);

/* The code that stands for a negative errno. */
int admin_code(int err);

/**
 * admin_message() - send a message to a live volume
 * @what: what failed, for the complaint, such as "snapshot 3"
 *
 * A code. Its errors are said in the words of the volume, not of errno.
 */
int admin_message(const struct mapper_dev *live, const char *message,
		  const char *what);
/* In words, what the error of a message means. */
const char *admin_strerror(int err);

/* Snapshots of a volume; free @snaps. Their number, or a negative errno. */
int admin_snaps(const struct mapper_dev *live, struct snap_info **snaps);

/* An id as it is typed. A code. */
int admin_parse_id(const char *text, uint32_t *id);

/**
 * admin_confirm() - ask before what cannot be undone
 * @yes: --yes was given
 *
 * Asks on the terminal. Without one, --yes is needed. A code.
 */
int admin_confirm(bool yes, const char *fmt, ...)
	__attribute__((__format__(__printf__, 2, 3)));

/*
 * Options of a command that has none, or only --yes; @min to @max arguments
 * have to follow from argv[optind] on. A code.
 */
int admin_options(int argc, char **argv, bool *yes, int min, int max,
		  const char *wanted);

/* Either --all or names, from argv[optind] on. A code. */
int admin_all_or_names(int argc, char **argv, bool *all);

#endif
