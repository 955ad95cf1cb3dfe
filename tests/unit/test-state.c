// SPDX-License-Identifier: GPL-2.0-only
/*
 * The state machine: the rows that dm-snapprot.rst promises, written down a
 * second time and in another form than the code's table, and then every
 * situation there is against what must hold in all of them.
 */
#include "state.h"
#include "unit.h"

/* One promised row: all situations with these values lead there. */
struct promise {
	const char *row;
	enum snapprot_input in;
	const char *states;	/* a letter each: active waiting nostore blocked */
	int protect;		/* 0, 1, or -1 for both */
	int snapshots;
	int works;
	int absent;		/* blocked by store_missing or store_removed */
	char next;		/* a letter, or '=' for no change */
	unsigned int todo;
};

#define ANY (-1)

static const struct promise promises[] = {
	{ "first resume, store absent, no snapshots",
	  SNAPPROT_IN_START, "n", ANY, 0, 0, 0, 'n', 0 },
	{ "first resume, store absent, otherwise",
	  SNAPPROT_IN_START, "n", ANY, 1, 0, 0, 'w', SNAPPROT_DO_GRACE },
	{ "waiting, the right store arrives",
	  SNAPPROT_IN_ARRIVE, "w", ANY, ANY, 1, ANY, 'a', SNAPPROT_DO_CLEAR },
	{ "a fault in normal mode, the store works",
	  SNAPPROT_IN_FAULT, "aw", 0, 1, 1, ANY, 'a',
	  SNAPPROT_DO_SET | SNAPPROT_DO_LOSE },
	{ "a fault in normal mode, the store does not",
	  SNAPPROT_IN_FAULT, "aw", 0, 1, 0, ANY, 'n',
	  SNAPPROT_DO_SET | SNAPPROT_DO_LOSE },
	{ "a fault in protection mode",
	  SNAPPROT_IN_FAULT, "aw", 1, 1, ANY, ANY, 'b', SNAPPROT_DO_SET },
	{ "a fault with nothing at stake, the store works",
	  SNAPPROT_IN_FAULT, "aw", ANY, 0, 1, ANY, 'a', SNAPPROT_DO_SET },
	{ "a fault with nothing at stake, the store does not",
	  SNAPPROT_IN_FAULT, "aw", ANY, 0, 0, ANY, 'n', SNAPPROT_DO_SET },
	{ "a second fault while blocked",
	  SNAPPROT_IN_FAULT, "b", ANY, ANY, ANY, ANY, '=', 0 },
	{ "a fault of a store that is not there",
	  SNAPPROT_IN_FAULT, "n", ANY, ANY, ANY, ANY, '=', 0 },
	{ "blocked by store_missing or store_removed, the store arrives",
	  SNAPPROT_IN_ARRIVE, "b", ANY, ANY, 1, 1, 'a', SNAPPROT_DO_CLEAR },
	{ "blocked by another fault, the store arrives",
	  SNAPPROT_IN_ARRIVE, "b", ANY, ANY, 1, 0, '=', 0 },
	{ "blocked, clear_fault, store healthy",
	  SNAPPROT_IN_CLEAR, "b", ANY, ANY, 1, ANY, 'a', SNAPPROT_DO_CLEAR },
	{ "clear_fault, store not healthy",
	  SNAPPROT_IN_CLEAR, "awnb", ANY, ANY, 0, ANY, '=', 0 },
	{ "blocked, normal drop_snapshots, the store works",
	  SNAPPROT_IN_DROP, "b", ANY, ANY, 1, ANY, 'a', SNAPPROT_DO_LOSE },
	{ "blocked, normal drop_snapshots, the store does not",
	  SNAPPROT_IN_DROP, "b", ANY, ANY, 0, ANY, 'n', SNAPPROT_DO_LOSE },
	{ "nostore, the right store arrives",
	  SNAPPROT_IN_ARRIVE, "n", ANY, ANY, 1, ANY, 'a', SNAPPROT_DO_CLEAR },
	{ "not blocked, drop_snapshots",
	  SNAPPROT_IN_DROP, "awn", ANY, ANY, ANY, ANY, '=', 0 },
};

static const char letters[SNAPPROT_NR_STATES + 1] = "awnb";

static bool absent(const struct snapprot_situation *s)
{
	return s->standing == SNAPPROT_FAULT_STORE_MISSING ||
	       s->standing == SNAPPROT_FAULT_STORE_REMOVED;
}

static bool fits(const struct promise *p, const struct snapprot_situation *s,
		 enum snapprot_input in)
{
	return p->in == in && strchr(p->states, letters[s->state]) &&
	       (p->protect == ANY || p->protect == s->protect) &&
	       (p->snapshots == ANY || p->snapshots == s->snapshots) &&
	       (p->works == ANY || p->works == s->store_works) &&
	       (p->absent == ANY || p->absent == absent(s));
}

/* All situations and inputs there are. */
static void for_each(void (*fn)(const struct snapprot_situation *s,
				enum snapprot_input in))
{
	struct snapprot_situation s;
	unsigned int n, in;

	for (n = 0; n < SNAPPROT_NR_STATES * 8u * SNAPPROT_NR_FAULTS; n++) {
		s.state = n % SNAPPROT_NR_STATES;
		s.protect = (n / SNAPPROT_NR_STATES) & 1;
		s.snapshots = (n / SNAPPROT_NR_STATES) & 2;
		s.store_works = (n / SNAPPROT_NR_STATES) & 4;
		s.standing = n / SNAPPROT_NR_STATES / 8;
		for (in = 0; in < SNAPPROT_NR_INPUTS; in++)
			fn(&s, in);
	}
}

static unsigned int hits[ARRAY_SIZE(promises)];

static void check_promises(const struct snapprot_situation *s,
			   enum snapprot_input in)
{
	struct snapprot_outcome out = snapprot_state_next(s, in);
	unsigned int i;
	char next;

	for (i = 0; i < ARRAY_SIZE(promises); i++) {
		const struct promise *p = &promises[i];

		if (!fits(p, s, in))
			continue;
		hits[i]++;
		next = p->next == '=' ? letters[s->state] : p->next;
		if (letters[out.state] != next || out.todo != p->todo)
			unit_fail(__FILE__, __LINE__,
				  "%s: from %s to %s, todo %#x", p->row,
				  snapprot_state_name(s->state),
				  snapprot_state_name(out.state), out.todo);
	}
}

static void promised_rows(void)
{
	unsigned int i;

	for_each(check_promises);
	for (i = 0; i < ARRAY_SIZE(promises); i++)
		if (!hits[i])
			unit_fail(__FILE__, __LINE__, "never seen: %s",
				  promises[i].row);
}

static void check_always(const struct snapprot_situation *s,
			 enum snapprot_input in)
{
	struct snapprot_outcome out = snapprot_state_next(s, in);

	CHECK(out.state < SNAPPROT_NR_STATES);
	/* Protection mode gives nothing up unless it is told to. */
	if (s->protect && in != SNAPPROT_IN_DROP)
		CHECK(!(out.todo & SNAPPROT_DO_LOSE));
	/* Writes go unpreserved past snapshots only when that is recorded. */
	if (s->snapshots && (s->state == SNAPPROT_ACTIVE ||
			     s->state == SNAPPROT_WAITING) &&
	    out.state == SNAPPROT_NOSTORE && in != SNAPPROT_IN_START)
		CHECK(out.todo & SNAPPROT_DO_LOSE);
	/* Normal mode blocks nobody. */
	if (!s->protect && s->state != SNAPPROT_BLOCKED)
		CHECK(out.state != SNAPPROT_BLOCKED);
	/* No fault is forgotten on the way into one. */
	CHECK((out.todo & (SNAPPROT_DO_SET | SNAPPROT_DO_CLEAR)) !=
	      (SNAPPROT_DO_SET | SNAPPROT_DO_CLEAR));
	if (out.state == SNAPPROT_ACTIVE && s->state != SNAPPROT_ACTIVE)
		CHECK(in == SNAPPROT_IN_ARRIVE || s->store_works);
}

static void always(void)
{
	for_each(check_always);
}

/* Names are what scripts read, numbers what is on disk. */
static void names(void)
{
	static const char * const faults[] = {
		"-", "store_missing", "online_io", "metadata_corruption",
		"memory", "cow_read", "cow_write", "store_full",
		"grow_too_slow", "grow_failed", "store_io", "store_removed",
		"external_writer", "internal",
	};
	unsigned int i;

	CHECK_EQ(ARRAY_SIZE(faults), SNAPPROT_NR_FAULTS);
	for (i = 0; i < SNAPPROT_NR_FAULTS; i++) {
		CHECK(!strcmp(snapprot_fault_name(i), faults[i]));
		CHECK_EQ(snapprot_fault_parse(faults[i]), i ? (int)i : -EINVAL);
	}
	CHECK_EQ(snapprot_fault_parse(""), -EINVAL);
	CHECK_EQ(snapprot_fault_parse("store_missin"), -EINVAL);
	CHECK_EQ(snapprot_fault_parse("store_missing "), -EINVAL);
	CHECK(!strcmp(snapprot_fault_name(SNAPPROT_NR_FAULTS), "unknown"));
	CHECK(!strcmp(snapprot_fault_name(~0u), "unknown"));
	CHECK(!strcmp(snapprot_state_name(SNAPPROT_ACTIVE), "active"));
	CHECK(!strcmp(snapprot_state_name(SNAPPROT_WAITING), "waiting"));
	CHECK(!strcmp(snapprot_state_name(SNAPPROT_NOSTORE), "nostore"));
	CHECK(!strcmp(snapprot_state_name(SNAPPROT_BLOCKED), "blocked"));
	CHECK(!strcmp(snapprot_state_name(SNAPPROT_NR_STATES), "unknown"));
}

static const struct unit_test tests[] = {
	UNIT_TEST(promised_rows),
	UNIT_TEST(always),
	UNIT_TEST(names),
};

UNIT_MAIN(tests)
