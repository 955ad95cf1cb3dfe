/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Device-mapper: the devices of volumes as they are loaded, and what is done to
 * them. On libdevmapper, with its cookies and its mangling of names; names here
 * are as people write them.
 */
#ifndef SNAPPROT_MAPPER_H
#define SNAPPROT_MAPPER_H

#include <stddef.h>

#include "status.h"

/* Devices that this tool makes have "SNAPPROT-<volume uuid>-<role>" for UUID. */
#define MAPPER_PREFIX		"SNAPPROT-"
#define MAPPER_ROLE_LIVE	"live"
#define MAPPER_ROLE_STORE	"store"
#define MAPPER_ROLE_VIEW	"snap"	/* and the id */
#define MAPPER_ROLE_OVERLAY	"rw"	/* and the id */

/* Oldest module that this tool can work with: version of its targets. */
#define MAPPER_NEED_MAJOR	1u
#define MAPPER_NEED_MINOR	0u

enum mapper_kind {
	MAPPER_LIVE,
	MAPPER_STORE,
	MAPPER_VIEW,
	MAPPER_OVERLAY,		/* a writable overlay over a view */
};

/**
 * struct mapper_dev - a loaded device of a volume
 * @name: not mangled
 * @uuid: of the device, "" if it was made without one
 * @table: parameters of its table
 * @sectors: its length
 * @major: its number
 * @minor: the same
 * @event_nr: counts its events
 * @open_count: how many have it open
 * @volume: UUID of the volume
 * @id: of the snapshot, for a view or an overlay
 * @live: status, by @kind
 * @store: the same
 * @view: the same
 */
struct mapper_dev {
	enum mapper_kind kind;
	char *name;
	char *uuid;
	char *table;
	uint64_t sectors;
	uint32_t major;
	uint32_t minor;
	uint32_t event_nr;
	int open_count;
	bool suspended;
	char volume[37];
	uint32_t id;
	union {
		struct live_status live;
		struct store_status store;
		struct view_status view;
	};
};

/**
 * struct mapper_scan - all devices of all volumes
 * @devs: in the order of their names
 * @unknown: devices of ours whose status was not understood
 */
struct mapper_scan {
	struct mapper_dev *devs;
	size_t count;
	size_t unknown;
};

/**
 * mapper_scan() - look at what is loaded
 *
 * Waits for no I/O. 0 or a negative errno; mapper_scan_free() in any case.
 */
int mapper_scan(struct mapper_scan *scan);
void mapper_scan_free(struct mapper_scan *scan);

/* Look again at how many have it open: @open_count. */
void mapper_count_openers(struct mapper_dev *dev);

/* A live volume by name, path below /dev/mapper or volume UUID; NULL if none. */
struct mapper_dev *mapper_find_live(const struct mapper_scan *scan,
				    const char *name);
/* Devices of a volume; NULL if there is none. */
struct mapper_dev *mapper_find(const struct mapper_scan *scan,
			       enum mapper_kind kind, const char *volume,
			       uint32_t id);
struct mapper_dev *mapper_find_number(const struct mapper_scan *scan,
				      uint32_t major, uint32_t minor);

/**
 * struct mapper_table - what to load
 * @target: its name
 * @params: the words behind it
 */
struct mapper_table {
	const char *target;
	const char *params;
	uint64_t sectors;
	bool read_only;
};

/* Each returns 0 or a negative errno. */
int mapper_create(const char *name, const char *uuid,
		  const struct mapper_table *table);
/* Put another table in place of the one that is loaded, or leave the @old one. */
int mapper_reload(const char *name, const struct mapper_table *table,
		  const struct mapper_table *old);
/* @freeze: file systems on it are frozen, so that they are clean */
int mapper_suspend(const char *name, bool freeze);
int mapper_resume(const char *name);
int mapper_remove(const char *name);
/*
 * A table whose I/O all fails, in place of the one that is loaded. What that holds
 * fails as well: nothing is flushed, and no file system is frozen first.
 */
int mapper_replace_by_error(const char *name, uint64_t sectors);
/* To sector 0. The @answer, if one is wanted, is to be freed; "" if none came. */
int mapper_message(const char *name, const char *message, char **answer);

/* Path of its node: there the name is mangled. 0 or -EINVAL. */
int mapper_path(const char *name, char *path, size_t len);

/**
 * mapper_version() - of a target, which loads its module if that is needed
 *
 * -ENOENT no such target to be had.
 */
int mapper_version(const char *target, uint32_t version[3]);

/* Does a device lie, however deep, on another one? */
bool mapper_depends(uint32_t major, uint32_t minor, uint32_t on_major,
		    uint32_t on_minor);

#endif
