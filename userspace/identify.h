/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a device is: a store, a label, or something that was one.
 */
#ifndef SNAPPROT_IDENTIFY_H
#define SNAPPROT_IDENTIFY_H

#include "../dm-snapprot/core/core.h"
#include "device.h"

/**
 * enum trace - what was found of a store or of a label
 * @TRACE_NONE: nothing
 * @TRACE_DAMAGED: it looks like one, but no copy is sound
 * @TRACE_NEWER: a sound one of a version or with a feature unknown here
 * @TRACE_VALID: one
 */
enum trace {
	TRACE_NONE,
	TRACE_DAMAGED,
	TRACE_NEWER,
	TRACE_VALID,
};

enum label_place {
	LABEL_ON_DEVICE,	/* at the start of a device of its own */
	LABEL_ON_ORIGIN,	/* in the last 1 MiB */
	LABEL_PLACES
};

/**
 * struct identity - all that can be told of a device without changing it
 * @store: trace of a store
 * @store_protected: a copy of its superblock says so; a damaged copy is
 *	believed in this, for it decides whether data may be destroyed
 * @super: the newest sound copy, also of a newer version; zeroes if none
 * @label: trace of a label, by place
 * @label_protected: as above
 * @label_at: the newest sound copy of each
 */
struct identity {
	enum trace store;
	bool store_protected;
	struct snapprot_disk_super super;
	enum trace label[LABEL_PLACES];
	bool label_protected[LABEL_PLACES];
	struct snapprot_disk_label label_at[LABEL_PLACES];
};

/**
 * identify() - look for a store and for labels
 * @id: filled in; large, so not for the stack of deep callers
 *
 * A device too small for something does not have it. Returns 0 or the
 * negative errno of a read.
 */
int identify(const struct device *dev, struct identity *id);

/* Byte offset of a label's first copy; 0 is also that of LABEL_ON_DEVICE. */
u64 label_offset(const struct device *dev, enum label_place place);
/* Is there room for a label in this place? */
bool label_fits(const struct device *dev, enum label_place place);

#endif
