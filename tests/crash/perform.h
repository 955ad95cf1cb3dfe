/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DOC: a log without a guest
 *
 * A volume that does in this program what the module does in a kernel: the core, and
 * around it origin, label and store on one disk, whose writes are recorded as those of
 * a guest are (media.c, perform.c). What it leaves is a log for explore. With it the
 * explorer and the core are tried without a kernel, and, as the volume can be told to
 * make a mistake, the judge is: each mistake has to be found.
 */
#ifndef PERFORM_H
#define PERFORM_H

#include <setjmp.h>

#include "crash.h"

/* ---- media.c: the disk, which is recorded ------------------------------------ */

/**
 * struct late - a write that is not durable yet
 * @must: that is it, but those before it are not
 */
struct late {
	u64 sector;
	u64 sectors;
	u8 *data;
	bool must;
};

/**
 * struct media - a disk with a volatile cache
 * @now: what is read
 * @durable: what a power cut leaves at least
 * @fuse: so many writes and flushes from now the system ends; 0: it goes on
 * @end: how it does
 */
struct media {
	FILE *log;
	u64 entries;
	u64 sectors;
	u8 *now;
	u8 *durable;
	struct late *late;
	u32 nr_late;
	u32 max_late;
	u32 fuse;
	jmp_buf end;
};

void media_open(struct media *m, const char *path, u64 sectors);
void media_close(struct media *m);
/* @flags: WRITES_*; with WRITES_DISCARD there are no data. */
void media_write(struct media *m, u64 sector, u64 sectors, const void *data,
		 u32 flags);
void media_flush(struct media *m);
void media_mark(struct media *m, const char *format, ...)
	__attribute__((__format__(__printf__, 2, 3)));
/* The power fails, and comes back: now is what it left, and the log is told. */
void media_cut(struct media *m);

/**
 * struct media_env - the core's environment over a part of it
 * @start: of the store, in sectors
 * @blocks: that it may ever have
 * @cached: blocks that are not written yet, by place
 * @slack: leave out flushes
 */
struct media_env {
	struct snapprot_env env;
	struct media *media;
	u64 start;
	u64 blocks;
	struct media_block **cached;
	bool slack;
};

void media_env_init(struct media_env *env, struct media *m, u64 start,
		    u64 blocks);
/* Forget what is not written. */
void media_env_drop(struct media_env *env);
void media_env_exit(struct media_env *env);
/* Several blocks of the store, in pieces, in any order. */
void media_env_write(struct media_env *env, const u64 *place,
		     const void *const *data, u32 count);

/* ---- volume.c: what it does -------------------------------------------------- */

#define ORIGIN_START	2048u	/* behind the marks, in sectors */
#define RECENT		8u

enum mistake {
	RIGHT,
	LOG_NO_FLUSH,
	WRITE_FIRST,
	CREATE_NO_FLUSH,
	CKPT_NO_FLUSH,
	LABEL_AHEAD,
	LABEL_LATE,
	LABEL_FIRST,
	LABEL_FORGETS,
	MODE_FIRST,
	WITNESS_STAYS,
	WITNESS_NO_FLUSH,
	NR_MISTAKES
};

enum phase { IDLE, STEP, PREPARE, WRITE, FINISH };

/**
 * struct volume - a volume, as the module would have it
 * @blocks: of the live volume
 * @area: where the label's area starts, in sectors of the disk
 * @store: where the store starts
 * @size: blocks of the store as they are now
 * @moving: the mode is being changed
 * @recent: blocks that were written last
 */
struct volume {
	struct media media;
	struct media_env env;
	struct snapprot_core core;
	struct snapprot_tune tune;
	struct snapprot_disk_label label;
	enum mistake mistake;
	u64 blocks;
	u64 area;
	u64 store;
	u64 size;
	u64 max_size;
	enum phase phase;
	bool moving;
	u32 next_id;
	u64 recent[RECENT];
	u32 nr_recent;
	u32 seed;
};

extern struct volume vol;

static inline bool wrongly(enum mistake mistake)
{
	return vol.mistake == mistake;
}

/* Nothing lies here, so that an error is one of the core, or of this program. */
void must(int err, const char *what);

void vol_write(void);
void vol_sync(void);
void vol_create(void);
void vol_set(void);
void vol_drop(u32 nr);
void vol_seal(void);
void vol_refill(void);
void vol_merge(u32 max);
/* A part of a checkpoint, or one to its end. */
void vol_tick(void);
void vol_checkpoint(void);
void vol_grow(void);
void vol_protect(bool on);
void vol_label_write(u32 set, u32 clear);
/* Store and label are read, and go on together. */
void vol_arrive(void);
/* Everything in memory is forgotten. */
void vol_leave(void);
void vol_shut_down(void);
void vol_restart(void);
/* The store goes, and comes back when it is too late. */
void vol_lose(void);

#endif
