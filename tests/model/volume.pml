/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One block, one snapshot, and all that must not go wrong between the origin, the
 * label and the store: the write path (cow.c), the snapshot's records (message.c),
 * arrival (arrival.c), faults (fault.c), with volatile caches and the power failing
 * between any two steps. Names are those of the code.
 *
 * Each device has what is read of it and what is durable (_d). A crash keeps any
 * part of what is not. The label is written durably, one copy after the other, so
 * its write is one step. A superblock is one step as well, for one copy is whole.
 *
 * Promises, as assertions:
 *   view   a snapshot that is believed shows what it was taken of
 *   lose   none is lost but by a decision that allows it
 *   right  the right store is never refused
 *
 * Each mutant is a -D and breaks one of them.
 */

mtype = { ACTIVE, WAITING, NOSTORE, BLOCKED };

#define MAX_GENERATION	4

/* origin */
byte origin, origin_d;
/* store: superblock, and log: the snapshot's record and a step behind it */
byte generation, generation_d;
bool lost, lost_d;
bool snap, snap_d;
byte entry, entry_d;		/* old data + 1, 0 none */
/* label */
byte label_generation;
bool label_snapshots, label_lost, label_protected;
/* memory */
mtype state;
bool attached, failed, preserved, valid, snap_in_doubt, protect, running, lost_here;
/* a copy of the store, from before an arrival */
bool have_copy, copy_lost, copy_snap;
/* a batch whose old data was read, and whether writes have passed since */
bool has_read, passed;
byte old;
byte copy_generation, copy_entry;
/* the truth */
byte truth;
bool excused, lose, good;

#define MAY_CRASH	if :: true :: goto power fi
#define STORE_FLUSH	d_step { generation_d = generation; lost_d = lost; \
			snap_d = snap; entry_d = entry }
#define STORE_CRASH	if :: generation = generation_d; lost = lost_d \
			   :: generation_d = generation; lost_d = lost fi; \
			if :: snap = snap_d :: snap_d = snap fi; \
			if :: entry = entry_d :: entry_d = entry fi; \
			if :: !snap -> entry = 0; entry_d = 0 :: else fi
#define ORIGIN_WRITE	origin = (origin + 1) % 3

/* The flush after a step ends well, or the store fails. */
inline store_io()
{
	if
	:: good = true
	:: good = false; failed = true
	fi
}

inline look()
{
	if
	:: attached && !failed && valid && !lost_here ->
		assert((entry > 0 -> entry - 1 : origin) == truth)
	:: else
	fi
}

active proctype volume()
{
boot:
	/* snapprot_volume_claim(), start_without_store() */
	protect = label_protected;
	if
	:: label_snapshots && !label_lost -> state = WAITING
	:: else -> state = NOSTORE
	fi;
	running = true;
again:
	look();
	do
	/* a write */
	:: state == NOSTORE || (state == ACTIVE && (preserved || !valid)) ->
		/* The gate is open: volume->passes */
		passed = passed || !preserved || !valid;
		ORIGIN_WRITE;
		goto again
	/* snapprot_batch_read() */
	:: state == ACTIVE && valid && !preserved && entry == 0 && !has_read ->
		d_step { old = origin; has_read = true; passed = false };
		goto again
	:: state == ACTIVE && valid && !preserved && attached && !failed &&
	   (has_read || entry > 0) ->
		if
		:: entry > 0 -> preserved = true; has_read = false
#ifndef PASSES_UNSEEN
		/* batch_begin(): -EAGAIN */
		:: entry == 0 && passed -> has_read = false; goto again
		:: entry == 0 && !passed ->
#else
		:: entry == 0 ->
#endif
			d_step { entry = old + 1; has_read = false };
			MAY_CRASH;
#ifdef BIT_EARLY
			/* somebody else's write, by map() */
			preserved = true; ORIGIN_WRITE; MAY_CRASH;
#endif
#ifdef RELEASE_EARLY
			ORIGIN_WRITE; MAY_CRASH;
#endif
			store_io();
			if
			:: !good -> goto fault
			:: else
			fi;
#ifndef NO_FLUSH
			STORE_FLUSH;
#endif
			MAY_CRASH;
			preserved = true
		fi;
		look();
		ORIGIN_WRITE;
		goto again
	:: origin_d != origin -> origin_d = origin

	/* create_now() */
	:: state == ACTIVE && attached && !failed && !snap ->
#ifndef LABEL_AFTER_RECORD
		label_snapshots = true; MAY_CRASH;
#endif
#ifndef NO_ORIGIN_FLUSH
		origin_d = origin; MAY_CRASH;
#endif
		truth = origin;
		excused = false;
		snap_in_doubt = true;
		/* What is of an older epoch does not count any more. */
		assert(!snap_d);
		d_step { entry = 0; entry_d = 0; snap = true };
		MAY_CRASH;
		store_io();
		if
		:: !good -> goto fault
		:: else
		fi;
		STORE_FLUSH;
		MAY_CRASH;
		snap_in_doubt = false; preserved = false; valid = true;
#ifdef LABEL_AFTER_RECORD
		label_snapshots = true;
#endif
		goto again

	/* delete_snap */
	:: state == ACTIVE && attached && !failed && valid ->
		snap = false;
		MAY_CRASH;
		store_io();
		if
		:: !good -> goto fault
		:: else
		fi;
		STORE_FLUSH;
		MAY_CRASH;
		valid = false; preserved = false;
		label_snapshots = false;
		goto again

	/* modes */
	:: !protect -> protect = true; label_protected = true
	:: protect && state != BLOCKED -> label_protected = false; protect = false
	:: state == BLOCKED ->
		/* normal drop_snapshots */
		label_protected = false; protect = false;
		MAY_CRASH;
		goto losing

	/* the store goes, with its cache or without, or grace ends */
	:: state == ACTIVE && attached -> failed = true; goto fault
	:: state == WAITING -> goto fault
	:: failed -> attached = false; STORE_CRASH; goto again
	:: attached && !failed && !have_copy ->
		d_step {
			have_copy = true; copy_generation = generation;
			copy_snap = snap; copy_entry = entry; copy_lost = lost
		}

	/* the store comes, or is opened again */
	:: (!attached || failed) && generation < MAX_GENERATION -> goto arrive
#ifdef NO_GENERATION
	:: !attached && have_copy && copy_generation < label_generation ->
		d_step {
			generation = copy_generation; snap = copy_snap;
			entry = copy_entry; lost = copy_lost;
			label_generation = generation
		}
		STORE_FLUSH;
		goto arrive
#endif
	:: goto power
	od;

fault:	/* fault_apply() */
	attached = false;
	if
	:: state == BLOCKED || state == NOSTORE -> goto again
	:: else
	fi;
	if
#ifdef NO_DOUBT
	:: !valid && state != WAITING -> state = NOSTORE; goto again
#else
	:: !valid && !snap_in_doubt && state != WAITING ->
		state = NOSTORE; goto again
#endif
	:: else
	fi;
#ifndef LOSE_IN_PROTECTION
	if
	:: protect -> state = BLOCKED; goto again
	:: else
	fi;
#endif
	MAY_CRASH;
losing:	/* record_loss() */
	excused = !protect;
#ifdef LABEL_AFTER_WRITE
	ORIGIN_WRITE; MAY_CRASH;
#endif
	label_lost = true;
	lost_here = true;
	valid = false;
	attached = false;
	state = NOSTORE;
	goto again;

arrive:	/* pair() */
	failed = false;
	assert(generation == label_generation ||
	       generation == label_generation + 1);
	if
	:: generation != label_generation ->
#ifndef AHEAD_NOT_DURABLE
		STORE_FLUSH; MAY_CRASH;
#endif
		label_generation = generation;
		MAY_CRASH
	:: else
	fi;
	lose = (label_lost || lost_here || (state == NOSTORE && running)) &&
	       snap && !lost;
#ifdef BELIEVE_STORE
	lose = false;
#endif
	assert(!lose || excused);
	d_step { generation++; lost = lost || lose };
	MAY_CRASH;
	store_io();
	if
	:: !good -> attached = false; goto again
	:: else
	fi;
#ifndef LABEL_FORGETS_FIRST
	STORE_FLUSH;
	MAY_CRASH;
#endif
	/* pair_finish() */
	d_step {
		valid = snap && !lost;
		label_generation = generation;
		label_lost = false;
		label_snapshots = valid;
	}
	MAY_CRASH;
#ifdef LABEL_FORGETS_FIRST
	STORE_FLUSH;
#endif
	d_step {
		attached = true; preserved = false; snap_in_doubt = false;
		lost_here = false; state = ACTIVE
	}
	goto again;

power:
	if :: origin = origin_d :: origin_d = origin fi;
	STORE_CRASH;
	d_step {
		attached = false; failed = false; preserved = false; valid = false;
		has_read = false; passed = false; old = 0;
		snap_in_doubt = false; running = false; lost_here = false;
		good = false; lose = false
	}
	goto boot
}
