/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the targets say in their status lines, and what of it is well.
 */
#ifndef SNAPPROT_STATUS_H
#define SNAPPROT_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#define STATUS_WORD	32

/**
 * struct live_status - status line of a live volume
 * @mode: normal or protect
 * @state: active, waiting, nostore or blocked
 * @fault: its name, or "" for none
 * @error: errno of the fault, positive
 * @has_space: there is a store, so @used and @total count
 * @used: sectors of the store
 * @total: the same
 * @grace: seconds left, -1 if the grace period does not run
 * @held: requests that wait
 * @label: the volume has a label
 */
struct live_status {
	char mode[STATUS_WORD];
	char state[STATUS_WORD];
	char fault[STATUS_WORD];
	int error;
	uint32_t valid;
	uint32_t lost;
	bool has_space;
	uint64_t used;
	uint64_t total;
	int64_t grace;
	uint32_t held;
	bool label;
};

/**
 * struct store_status - status line of a store's device
 * @volume: UUID of the volume that it belongs to
 * @state: online, suspended, failed or unclaimed
 */
struct store_status {
	char volume[37];
	char state[STATUS_WORD];
	bool has_space;
	uint64_t used;
	uint64_t total;
	bool low;
	bool protected;
};

/**
 * struct view_status - status line of a snapshot's view
 * @state: valid, lost or offline
 */
struct view_status {
	uint32_t id;
	char state[STATUS_WORD];
};

/**
 * struct snap_info - a line of list_snaps
 * @time: when it was taken, seconds since 1970, UTC
 */
struct snap_info {
	uint32_t id;
	bool lost;
	uint64_t time;
	uint64_t sectors;
};

/*
 * The parsers take lines with more fields than are known, for newer modules
 * add them at the end, and return 0 or -EINVAL.
 */
int live_status_parse(const char *line, struct live_status *st);
int store_status_parse(const char *line, struct store_status *st);
int view_status_parse(const char *line, struct view_status *st);

/* The answer of list_snaps: their number, or -EINVAL, -ENOMEM; free @snaps. */
int snap_list_parse(const char *text, struct snap_info **snaps);

/* A decimal number and nothing behind it, or -EINVAL. */
int number_parse(const char *text, uint64_t max, uint64_t *value);
/* An id of a snapshot, 1 ... 2^32-1, or -EINVAL. */
int snap_id_parse(const char *text, uint32_t *id);

/* Is a target's version at least the one that is needed? */
bool version_suffices(const uint32_t version[3], uint32_t major,
		      uint32_t minor);

/**
 * enum health - how a volume is, the worse the greater
 *
 * Also the exit codes of "status --test".
 */
enum health {
	HEALTH_WELL	= 0,
	HEALTH_LOW	= 10,	/* the store has little space left */
	HEALTH_WAITING	= 11,	/* for a store, or for a resume */
	HEALTH_LOST	= 12,	/* snapshots were lost, or may be for a fault */
	HEALTH_BLOCKED	= 13,
};

/**
 * status_health() - how a volume is
 * @store: NULL if it has none
 * @suspended: the live volume's device is
 */
enum health status_health(const struct live_status *live,
			  const struct store_status *store, bool suspended);

#endif
