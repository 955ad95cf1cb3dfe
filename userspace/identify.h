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
 * @TRACE_OLD: one of a version before the first release
 * @TRACE_NEWER: a sound one of a version or with a feature unknown here
 * @TRACE_VALID: one
 */
enum trace {
	TRACE_NONE,
	TRACE_DAMAGED,
	TRACE_OLD,
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
 * @label_offset: byte of the device where its area starts
 */
struct identity {
	enum trace store;
	bool store_protected;
	struct snapprot_disk_super super;
	enum trace label[LABEL_PLACES];
	bool label_protected[LABEL_PLACES];
	struct snapprot_disk_label label_at[LABEL_PLACES];
	u64 label_offset[LABEL_PLACES];
};

/**
 * identify() - look for a store and for labels
 * @id: filled in; large, so not for the stack of deep callers
 *
 * A device too small for something does not have it. Returns 0 or the
 * negative errno of a read.
 */
int identify(const struct device *dev, struct identity *id);

/*
 * A device that has grown has its label where its volume ended, not at its own end:
 * look there. Replaces what identify() has found of LABEL_ON_ORIGIN.
 */
int identify_label_at(const struct device *dev, u64 sector,
		      struct identity *id);

/*
 * Is there one that belongs to this device? Of a whole disk the last sectors may be
 * those of its last partition, and the label there that one's.
 */
bool label_is_here(const struct identity *id, enum label_place place);

/* Byte offset of the area of a new label; 0 is also that of LABEL_ON_DEVICE. */
u64 label_offset(const struct device *dev, enum label_place place);
/* Is there room for a label in this place? */
bool label_fits(const struct device *dev, enum label_place place);

#endif
