// SPDX-License-Identifier: GPL-2.0-only
/*
 * Snapshots of several volumes at one instant.
 *
 * Suspending a volume freezes the file system on it, and what is on it does not
 * change before it is resumed. So one after the other is suspended and gets its
 * snapshot, and when all have theirs they are resumed: the instant is that of the
 * last suspend, for all of them. A volume may lie on another one, with its origin,
 * label or store; it comes first, as its snapshot is a write to what it lies on.
 *
 * While they are suspended this program must not do anything that could wait for
 * them: it is locked in memory, prints nothing, and takes no signal that would end
 * it with somebody's file system frozen.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>

#include "instant.h"

static bool must_suspend(const struct instant *set)
{
	/* One alone is an instant of its own. */
	return set->freeze || set->count > 1;
}

static int suspend(struct instant *set, struct member *m)
{
	/* What the administrator has suspended stays so. */
	if (m->live->suspended || !must_suspend(set))
		return 0;
	m->err = mapper_suspend(m->live->name, set->freeze);
	m->what = "cannot be suspended";
	m->suspended = !m->err;
	return m->err;
}

static int create_all(struct instant *set)
{
	char message[32];
	struct member *m;
	int i, err;

	snprintf(message, sizeof(message), "create_snap %u", set->id);
	for (i = 0; i < set->count; i++) {
		m = &set->members[i];
		err = suspend(set, m);
		if (err)
			return err;
		m->err = mapper_message(m->live->name, message, NULL);
		m->what = "no snapshot taken";
		if (m->err)
			return m->err;
		m->created = true;
	}
	return 0;
}

static void delete_all(struct instant *set)
{
	char message[32];
	int i;

	snprintf(message, sizeof(message), "delete_snap %u", set->id);
	for (i = 0; i < set->count; i++)
		if (set->members[i].created)
			mapper_message(set->members[i].live->name, message,
				       NULL);
}

/* The last first: those below before those that lie on them. */
static int resume_all(struct instant *set)
{
	int i, err, first = 0;
	struct member *m;

	for (i = set->count - 1; i >= 0; i--) {
		m = &set->members[i];
		if (!m->suspended)
			continue;
		err = mapper_resume(m->live->name);
		if (!err)
			continue;
		first = first ? first : err;
		m->err = m->err ? m->err : err;
		m->what = "cannot be resumed";
	}
	return first;
}

int instant_take(struct instant *set)
{
	sigset_t all, before;
	int err, resumed;

	/* Not all may be allowed to; then it works as far as memory does. */
	if (mlockall(MCL_CURRENT | MCL_FUTURE) && errno != ENOMEM &&
	    errno != EPERM)
		return -errno;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	err = create_all(set);
	resumed = resume_all(set);
	/* Not before: one may lie on another. */
	if (err)
		delete_all(set);
	sigprocmask(SIG_SETMASK, &before, NULL);
	munlockall();
	return err ? err : resumed;
}
