/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A bar for what takes long, on a terminal only.
 */
#ifndef SNAPPROT_PROGRESS_H
#define SNAPPROT_PROGRESS_H

#include <stdint.h>

/* Draw it, if it has changed; at @total it is taken away again. */
void progress_show(uint64_t done, uint64_t total);

#endif
