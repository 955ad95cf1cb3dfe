/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Names as systemd and udev write them. Each function fills a buffer and returns 0
 * or -ENAMETOOLONG.
 */
#ifndef SNAPPROT_UNITNAME_H
#define SNAPPROT_UNITNAME_H

#include <stddef.h>

/* The longest name of a unit. */
#define UNIT_NAME	255

/* "my data" in the name of a unit: systemd-escape(1). */
int unit_escape(const char *text, char *out, size_t len);

/* The unit of a path, with that suffix: systemd-escape --path. */
int unit_of_path(const char *path, const char *suffix, char *out, size_t len);

/* A name as udev and libdevmapper have it below /dev: "my\x20data". */
int node_encode(const char *text, char *out, size_t len);

/* For the value of a setting, or in quotes as a word of ExecStart=. */
int unit_quote(const char *text, char *out, size_t len);

#endif
