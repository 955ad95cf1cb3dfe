/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the parts of the reader share with each other.
 */
#ifndef SNAPPROT_IMAGE_INTERNAL_H
#define SNAPPROT_IMAGE_INTERNAL_H

#include "../dm-snapprot/core/internal.h"
#include "image.h"

void image_damage(struct image *img, u64 block, const char *what);
void image_doubt(struct image *img, u64 block, const char *what);
void image_found(struct image *img, u64 block, const char *what);

/* Hold a block of metadata of this volume; -EBADMSG or what the read said. */
int image_get(struct image *img, u64 block, u32 magic, u64 sum,
	      struct snapprot_buf *buf);
void image_put(struct image *img, struct snapprot_buf *buf);

/* Snapshots: false if it breaks a rule. */
bool image_snap_add(struct image *img, const struct snapprot_snap *snap);
bool image_snap_remove(struct image *img, const struct snapprot_snap *snap);
bool image_snap_set(struct image *img, const struct snapprot_snap *snap);

/* May there be such an entry, in a table or in a run of the index? */
bool image_entry_ok(const struct image *img, const struct snapprot_entry *e);

int image_open_space(struct image *img);
int image_open_index(struct image *img);
int image_open_log(struct image *img);

#endif
