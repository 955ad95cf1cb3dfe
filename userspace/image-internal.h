/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What image.c and image-index.c share with each other.
 */
#ifndef SNAPPROT_IMAGE_INTERNAL_H
#define SNAPPROT_IMAGE_INTERNAL_H

#include "../dm-snapprot/core/internal.h"
#include "image.h"

void image_damage(struct image *img, u64 block, const char *what);
void image_doubt(struct image *img, u64 block, const char *what);
void image_found(struct image *img, u64 block, const char *what);
/* Does a block carry this volume's UUID? */
bool image_ours(const struct image *img, const struct snapprot_disk_header *h);

/* Hold a block of metadata of this volume; -EBADMSG or what the read said. */
int image_get(struct image *img, u64 block, u32 magic,
	      struct snapprot_buf *buf);
void image_put(struct image *img, struct snapprot_buf *buf);

/*
 * All entries of the directory with the block that has them, and at last that
 * block itself with no entry; -EBADMSG if it cannot be read to its end.
 */
typedef void (*image_dir_fn)(struct image *img, void *ctx, u64 block,
			     const struct snapprot_disk_dir_entry *e);
int image_dir_walk(struct image *img, image_dir_fn fn, void *ctx);

/* A group's bitmap as the checkpoint has it, if that can be relied on. */
int image_read_bitmap(struct image *img, u64 group,
		      struct snapprot_disk_bitmap *bitmap);

int image_open_space(struct image *img);
int image_open_index(struct image *img);

#endif
