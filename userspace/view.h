/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Views of snapshots, and throw-away overlays over them. All return an exit code
 * and have complained.
 */
#ifndef SNAPPROT_VIEW_H
#define SNAPPROT_VIEW_H

#include "admin.h"

#define VIEW_NAME	160

/**
 * view_expose() - have a view of a snapshot
 * @name: of its device; VIEW_NAME bytes
 * @made: it was not there before
 */
int view_expose(const struct mapper_scan *scan, const struct mapper_dev *live,
		uint32_t id, char *name, bool *made);

/**
 * view_overlay() - have a writable overlay over a view
 * @view: name of the view's device
 * @dir: what is written goes to a file there, which has no name and is gone with
 *	the overlay
 * @size: most that can be written, in bytes; 0 all of the snapshot
 * @name: of the overlay's device; VIEW_NAME bytes
 */
int view_overlay(const struct mapper_dev *live, uint32_t id, const char *view,
		 const char *dir, uint64_t size, char *name);

/* Remove the overlay, if there is one, and the view; TOOL_BUSY if in use. */
int view_conceal(const struct mapper_scan *scan, const char *volume,
		 uint32_t id);

#endif
