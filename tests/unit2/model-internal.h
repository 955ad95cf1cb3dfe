/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the model share, and no one else needs.
 */
#ifndef MODEL_INTERNAL_H
#define MODEL_INTERNAL_H

#include "model.h"

#define BLOCK		SNAPPROT_BLOCK_SIZE
/* More than any call may have to be made again, and less than for ever. */
#define MANY		100000u

/* An error is right only if the device has died. */
int model_err_at(struct model *m, int err, const char *file, int line);

#define model_err(m, err)	model_err_at(m, err, __FILE__, __LINE__)

bool model_same_snap(const struct snapprot_snap *a,
		     const struct snapprot_snap *b);

#endif
