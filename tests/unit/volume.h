/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A live volume on simulated devices: origin with label, store, and between them
 * what the module does in volume.c, arrival.c, fault.c, label.c, cow.c and
 * message.c, step by step and by the same names, on the real core and the real
 * table of states. Power may fail at any write or flush of either device.
 *
 * Beside it the truth: of each snapshot the checksums of the origin at its
 * instant, and whether it was ever allowed to be lost.
 */
#ifndef VOLUME_H
#define VOLUME_H

#include <setjmp.h>

#include "model.h"
#include "state.h"

#define VOLUME_SNAPS	24u
#define VOLUME_HELD	6u
#define VOLUME_WRITE	60u	/* blocks of a write, at most */

struct volume_snap {
	u32 id;
	bool excused;		/* a loss was decided while it was there */
	u64 *sum;
};

struct volume_write {
	u32 first;
	u32 count;
	bool discard;
	u16 from, to;		/* of the last block, in sectors */
	u32 salt;
};

struct volume {
	/* Devices; the label's copies are behind the origin's blocks. */
	struct model m;		/* the store: device, core, checkpoint in work */
	struct sim *origin;
	u32 nr_blocks;
	struct sim *old;	/* a copy of the store, from before an arrival */
	u64 old_generation;
	bool power;		/* what the fuses stand for; else a failing store */
	jmp_buf lights_out;

	/* Tables. */
	bool table_protect;
	bool unlabelled;
	bool delete_oldest;
	bool queue_on_fault;
	bool grow_expected;

	/* The module's, by its names. */
	bool started, running, protect, lost_here;
	enum snapprot_state state;
	enum snapprot_fault fault;
	struct snapprot_disk_label label;
	bool label_in_doubt;
	bool label_fails;
	u32 nr_valid;
	bool grace_running;
	bool space_out;
	bool snap_in_doubt;	/* the record of one may be on the disk */
	bool target;		/* the store's table is loaded */
	bool open;		/* and its store */
	bool attached, failed, suspended, load_error;
	u8 *bits;
	bool bits_complete;
	struct volume_write held[VOLUME_HELD];
	u32 nr_held;

	/* The truth. */
	struct volume_snap snap[VOLUME_SNAPS];
	u32 nr_snaps;
	u32 next_id;
	struct volume_snap creating;
	u32 deleting;
	bool dropping;
	bool must_protect;	/* the message has succeeded */
};

struct volume *volume_new(u64 blocks, u32 nr_blocks);
void volume_free(struct volume *v);

/* Resume of the origin's table for the first time, and its removal. */
void volume_claim(struct volume *v);
void volume_unclaim(struct volume *v);
/* The store's table: loaded and resumed, suspended, resumed (grown), removed. */
int volume_arrive(struct volume *v);
void volume_pause(struct volume *v);
void volume_continue(struct volume *v, u64 blocks);
void volume_depart(struct volume *v);
/* A copy of the store that was made before an arrival turns up. */
void volume_old_copy(struct volume *v);
void volume_grace_ends(struct volume *v);
void volume_fault(struct volume *v, enum snapprot_fault fault);
/* The store's device works again; it may have forgotten what was not flushed. */
void volume_repair_device(struct volume *v, bool forgets);

/* 0 or what the message fails with. */
int volume_create(struct volume *v);
int volume_delete(struct volume *v, u32 nr);
int volume_protect(struct volume *v);
int volume_normal(struct volume *v, bool drop);
int volume_clear(struct volume *v);
int volume_grow_failed(struct volume *v);

void volume_write(struct volume *v, const struct volume_write *w);
void volume_flush(struct volume *v);
void volume_tick(struct volume *v);

/* After the power failed, with no table loaded. */
void volume_crash(struct volume *v);
/* What the lists, the status and the views say is true. */
void volume_verify(struct volume *v);

#endif
