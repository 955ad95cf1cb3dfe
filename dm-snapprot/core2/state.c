// SPDX-License-Identifier: GPL-2.0-only
/*
 * The state machine of a live volume, as a table that is read from the top:
 * the first row that fits decides.
 */
#include "state.h"

#define ST(s)		(1u << SNAPPROT_##s)
#define ANY_STATE	(ST(ACTIVE) | ST(WAITING) | ST(NOSTORE) | ST(BLOCKED))

/* Conditions on the situation: required value of each, or any. */
#define PROTECT		(1u << 0)
#define NORMAL		(1u << 1)
#define SNAPS		(1u << 2)
#define NOSNAPS		(1u << 3)
#define WORKS		(1u << 4)
#define BROKEN		(1u << 5)
#define ABSENT		(1u << 6)	/* blocked because the store is away */

struct row {
	u8 input;
	u8 states;
	u8 when;
	u8 next;
	u8 todo;
};

#define ROW(in, st, cond, nxt, act) \
	{ SNAPPROT_IN_##in, st, cond, SNAPPROT_##nxt, act }

static const struct row table[] = {
	ROW(START, ANY_STATE, NOSNAPS, NOSTORE, 0),
	ROW(START, ANY_STATE, SNAPS, WAITING, SNAPPROT_DO_GRACE),

	ROW(ARRIVE, ST(WAITING) | ST(NOSTORE), 0, ACTIVE, SNAPPROT_DO_CLEAR),
	ROW(ARRIVE, ST(BLOCKED), ABSENT, ACTIVE, SNAPPROT_DO_CLEAR),

	/* Nothing was at stake: no fault in the sense of the snapshots. */
	ROW(FAULT, ST(ACTIVE) | ST(WAITING), NOSNAPS | WORKS, ACTIVE,
	    SNAPPROT_DO_SET),
	ROW(FAULT, ST(ACTIVE) | ST(WAITING), NOSNAPS | BROKEN, NOSTORE,
	    SNAPPROT_DO_SET),
	ROW(FAULT, ST(ACTIVE) | ST(WAITING), PROTECT, BLOCKED,
	    SNAPPROT_DO_SET),
	ROW(FAULT, ST(ACTIVE) | ST(WAITING), NORMAL | WORKS, ACTIVE,
	    SNAPPROT_DO_SET | SNAPPROT_DO_LOSE),
	ROW(FAULT, ST(ACTIVE) | ST(WAITING), NORMAL | BROKEN, NOSTORE,
	    SNAPPROT_DO_SET | SNAPPROT_DO_LOSE),

	ROW(CLEAR, ANY_STATE, WORKS, ACTIVE, SNAPPROT_DO_CLEAR),

	ROW(DROP, ST(BLOCKED), WORKS, ACTIVE, SNAPPROT_DO_LOSE),
	ROW(DROP, ST(BLOCKED), BROKEN, NOSTORE, SNAPPROT_DO_LOSE),
};

static bool row_fits(const struct row *r, const struct snapprot_situation *s)
{
	bool absent = s->standing == SNAPPROT_FAULT_STORE_MISSING ||
		      s->standing == SNAPPROT_FAULT_STORE_REMOVED;

	if (!(r->states & (1u << s->state)))
		return false;
	if (((r->when & PROTECT) && !s->protect) ||
	    ((r->when & NORMAL) && s->protect))
		return false;
	if (((r->when & SNAPS) && !s->snapshots) ||
	    ((r->when & NOSNAPS) && s->snapshots))
		return false;
	if (((r->when & WORKS) && !s->store_works) ||
	    ((r->when & BROKEN) && s->store_works))
		return false;
	return !(r->when & ABSENT) || absent;
}

struct snapprot_outcome
snapprot_state_next(const struct snapprot_situation *s,
		    enum snapprot_input in)
{
	struct snapprot_outcome out = { .state = s->state };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(table); i++) {
		if (table[i].input != in || !row_fits(&table[i], s))
			continue;
		out.state = table[i].next;
		out.todo = table[i].todo;
		break;
	}
	return out;
}

const char *snapprot_state_name(unsigned int state)
{
	static const char * const names[SNAPPROT_NR_STATES] = {
		[SNAPPROT_ACTIVE]	= "active",
		[SNAPPROT_WAITING]	= "waiting",
		[SNAPPROT_NOSTORE]	= "nostore",
		[SNAPPROT_BLOCKED]	= "blocked",
	};

	return state < SNAPPROT_NR_STATES ? names[state] : "unknown";
}

static const char * const fault_names[SNAPPROT_NR_FAULTS] = {
	[SNAPPROT_FAULT_NONE]			= "-",
	[SNAPPROT_FAULT_STORE_MISSING]		= "store_missing",
	[SNAPPROT_FAULT_ONLINE_IO]		= "online_io",
	[SNAPPROT_FAULT_METADATA_CORRUPTION]	= "metadata_corruption",
	[SNAPPROT_FAULT_MEMORY]			= "memory",
	[SNAPPROT_FAULT_COW_READ]		= "cow_read",
	[SNAPPROT_FAULT_COW_WRITE]		= "cow_write",
	[SNAPPROT_FAULT_STORE_FULL]		= "store_full",
	[SNAPPROT_FAULT_GROW_TOO_SLOW]		= "grow_too_slow",
	[SNAPPROT_FAULT_GROW_FAILED]		= "grow_failed",
	[SNAPPROT_FAULT_STORE_IO]		= "store_io",
	[SNAPPROT_FAULT_STORE_REMOVED]		= "store_removed",
	[SNAPPROT_FAULT_EXTERNAL_WRITER]	= "external_writer",
	[SNAPPROT_FAULT_INTERNAL]		= "internal",
	[SNAPPROT_FAULT_ORIGIN_CHANGED]		= "origin_changed",
};

const char *snapprot_fault_name(unsigned int fault)
{
	return fault < SNAPPROT_NR_FAULTS ? fault_names[fault] : "unknown";
}

int snapprot_fault_parse(const char *name)
{
	int i;

	for (i = SNAPPROT_FAULT_NONE + 1; i < SNAPPROT_NR_FAULTS; i++)
		if (!strcmp(name, fault_names[i]))
			return i;
	return -EINVAL;
}

bool snapprot_fault_is_space(unsigned int fault)
{
	return fault == SNAPPROT_FAULT_STORE_FULL ||
	       fault == SNAPPROT_FAULT_GROW_TOO_SLOW ||
	       fault == SNAPPROT_FAULT_GROW_FAILED;
}

bool snapprot_fault_kills_store(unsigned int fault)
{
	return fault != SNAPPROT_FAULT_NONE &&
	       fault != SNAPPROT_FAULT_COW_READ &&
	       fault != SNAPPROT_FAULT_ORIGIN_CHANGED &&
	       !snapprot_fault_is_space(fault);
}
