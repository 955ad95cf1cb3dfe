/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A live volume of the module, by ioctls alone, for stomp.c and grammar.c: origin and store are
 * layers over two disks, which can be made to fail, to shrink and to grow. What is
 * expected to fail says so by its result, and nothing is printed.
 */
#ifndef STOMP_H
#define STOMP_H

#include "property.h"

#define SECTOR		512u
#define LABEL_SECTORS	2048u

#define ORIGIN		"st-origin"
#define STORE		"st-store"
#define VIEW		"st-view"
#define LAYER_O		"st-olow"
#define LAYER_S		"st-slow"

/* What "dmsetup status" says of the live volume. */
struct stomp_status {
	bool protect;
	char state[16];
	char fault[32];
	u32 held;
};

struct stomp_disks {
	int origin;		/* the disk below, O_DIRECT */
	const char *origin_name;
	const char *store_name;
	u64 store_room;		/* sectors that the store's disk has */
	u64 sectors;		/* of the volume */
	u64 store_sectors;
	char uuid[40];
};

/* Everything away, new layers, and formatted. */
void disks_begin(struct stomp_disks *d, u64 sectors, u64 store_sectors);
void disks_end(struct stomp_disks *d);
bool disks_check(void);

/* Of layers: they work, or each access fails. */
void layer_set(const struct stomp_disks *d, const char *name, bool works);

/* 0 or a negative errno. */
int dm_load(const char *name, bool create, bool readonly, u64 sectors,
	    const char *target, const char *format, ...)
	__attribute__((__format__(__printf__, 6, 7)));
int dm_message(const char *name, char *answer, size_t room,
	       const char *format, ...)
	__attribute__((__format__(__printf__, 4, 5)));
int dm_suspend(const char *name, bool flush, bool lockfs);
int dm_resume(const char *name);
int dm_remove(const char *name);
bool dm_exists(const char *name);
/* Whatever I/O it has fails, and then it goes. */
void dm_remove_force(const char *name);
/* Its inactive table is thrown away. */
int dm_clear(const char *name);
/* The parameters of its inactive table, and of its status line. */
bool dm_table(const char *name, char *params, size_t room);
bool dm_params(const char *name, char *params, size_t room);
bool origin_status(struct stomp_status *st);

#endif
