/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How far something is, on a terminal or where it was asked for.
 */
#ifndef SNAPPROT_PROGRESS_H
#define SNAPPROT_PROGRESS_H

#include <stdint.h>

/* Also where standard error is no terminal: a line for each percent. */
void progress_always(void);
/* Not more than once for each percent, so it may be called often. */
void progress_show(uint64_t done, uint64_t total);
void progress_end(void);

#endif
