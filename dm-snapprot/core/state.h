/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The state machine of a live volume: one table, no kernel needed.
 */
#ifndef SNAPPROT_STATE_H
#define SNAPPROT_STATE_H

#include "platform.h"

enum snapprot_state {
	SNAPPROT_ACTIVE,	/* reads pass, writes preserve and pass */
	SNAPPROT_WAITING,	/* reads pass, writes are held, grace runs */
	SNAPPROT_NOSTORE,	/* both pass: there is nothing to protect */
	SNAPPROT_BLOCKED,	/* both fail, or are held if so asked */
	SNAPPROT_NR_STATES
};

/* On disk in lost_fault: numbers are for ever. */
enum snapprot_fault {
	SNAPPROT_FAULT_NONE			= 0,
	SNAPPROT_FAULT_STORE_MISSING		= 1,
	SNAPPROT_FAULT_ONLINE_IO		= 2,
	SNAPPROT_FAULT_METADATA_CORRUPTION	= 3,
	SNAPPROT_FAULT_MEMORY			= 4,
	SNAPPROT_FAULT_COW_READ			= 5,
	SNAPPROT_FAULT_COW_WRITE		= 6,
	SNAPPROT_FAULT_STORE_FULL		= 7,
	SNAPPROT_FAULT_GROW_TOO_SLOW		= 8,
	SNAPPROT_FAULT_GROW_FAILED		= 9,
	SNAPPROT_FAULT_STORE_IO			= 10,
	SNAPPROT_FAULT_STORE_REMOVED		= 11,
	SNAPPROT_FAULT_EXTERNAL_WRITER		= 12,
	SNAPPROT_FAULT_INTERNAL			= 13,
	SNAPPROT_NR_FAULTS
};

enum snapprot_input {
	SNAPPROT_IN_START,	/* first resume, store absent */
	SNAPPROT_IN_ARRIVE,	/* the right store arrived, healthy */
	SNAPPROT_IN_FAULT,	/* one of the faults */
	SNAPPROT_IN_CLEAR,	/* clear_fault, store healthy */
	SNAPPROT_IN_DROP,	/* normal drop_snapshots */
	SNAPPROT_NR_INPUTS
};

/**
 * struct snapprot_situation - what a transition depends on
 * @state: where the volume is
 * @protect: protection mode is on
 * @snapshots: there are valid ones, or nothing says that there are none
 * @store_works: after the input the store can still be read and written
 * @standing: the fault that stands already
 */
struct snapprot_situation {
	enum snapprot_state state;
	bool protect;
	bool snapshots;
	bool store_works;
	enum snapprot_fault standing;
};

#define SNAPPROT_DO_LOSE	(1u << 0)	/* record the snapshots as lost */
#define SNAPPROT_DO_GRACE	(1u << 1)	/* start the grace timer */
#define SNAPPROT_DO_CLEAR	(1u << 2)	/* the standing fault is over */
#define SNAPPROT_DO_SET		(1u << 3)	/* the new fault stands */

struct snapprot_outcome {
	enum snapprot_state state;
	unsigned int todo;		/* SNAPPROT_DO_* */
};

/**
 * snapprot_state_next() - look the transition up
 *
 * Total: every situation and input has an outcome; one that the table does
 * not name leaves the state as it is.
 */
struct snapprot_outcome
snapprot_state_next(const struct snapprot_situation *s,
		    enum snapprot_input in);

const char *snapprot_state_name(unsigned int state);
/* "-" for no fault, "unknown" for a number that is none. */
const char *snapprot_fault_name(unsigned int fault);
/* The number of a fault's name, or -EINVAL. */
int snapprot_fault_parse(const char *name);
/* Faults of a store that lacks nothing but space. */
bool snapprot_fault_is_space(unsigned int fault);
/* Faults after which the store may not be written to before it is reopened. */
bool snapprot_fault_kills_store(unsigned int fault);

#endif
