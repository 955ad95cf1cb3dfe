/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What has to be so before a store that seems to be left over is changed.
 */
#ifndef SNAPPROT_RECLAIM_H
#define SNAPPROT_RECLAIM_H

#include "locate.h"

/**
 * struct leftover - an unused store
 * @dev: open, for us alone
 * @id: what is on it
 * @volume: its volume's UUID
 * @label_found: the volume's label is on @label_path
 * @label: it
 */
struct leftover {
	struct device dev;
	struct identity id;
	char volume[37];
	bool label_found;
	char label_path[4096];
	struct snapprot_disk_label label;
};

/**
 * leftover_run() - a command on a store that must be nobody's
 * @what: does it; @yes says that there is no need to ask
 *
 * Takes --yes and the store.
 * Refused are what is no store, is damaged so that its volume cannot be told, or
 * is of a newer version; what is in use; and that of a volume which is active.
 * Returns 0 or an exit code, and has complained.
 */
int leftover_run(int argc, char **argv,
		 int (*what)(struct leftover *lo, bool yes));

#endif
