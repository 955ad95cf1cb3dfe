// SPDX-License-Identifier: GPL-2.0-only
/*
 * snapprotd takes snapshots by a schedule, and deletes those that expired.
 *
 * A job does it, for it suspends the volume, which may take as long as its file
 * system has something to write. It looks by itself at what there is, so that the
 * daemon may ask for a run that is not needed.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "admin.h"
#include "instant.h"
#include "schedule.h"
#include "snapprotd.h"

#define RUN_LIMIT	120
#define BACKOFF_FIRST	10
#define BACKOFF_MOST	600
/* A view that keeps a snapshot is asked after once a minute. */
#define BUSY_AGAIN	60000
#define DELETED_MAX	16
#define EXPIRED_MAX	256

/**
 * struct answer - what a job has done
 * @last: time of the newest snapshot
 * @taken: id, or 0
 * @deleted: ids of @nr_deleted
 * @again: more are to be deleted
 * @busy: how many are shown
 * @take_err: why none was taken, an errno, or 0
 * @err: what else failed
 */
struct answer {
	int64_t last;
	uint32_t taken;
	uint32_t nr_deleted;
	uint32_t deleted[DELETED_MAX];
	uint32_t again;
	uint32_t busy;
	int32_t take_err;
	int32_t err;
};

struct run {
	const struct mapper_dev *live;
	struct policy policy;
};

/* ---- the job -------------------------------------------------------------------- */

static void take(const struct run *r, int64_t now, struct answer *a)
{
	struct member member = { .live = r->live };
	struct instant instant = {
		.members = &member,
		.count = 1,
		.id = schedule_id(now),
		.freeze = true,
	};

	/* A clock that is so wrong has nothing to say about what is due. */
	a->take_err = instant.id ? instant_take(&instant) : -ERANGE;
	/* It is there, even if the volume could not be resumed. */
	if (member.created) {
		a->taken = instant.id;
		a->last = now;
	}
}

static void delete_expired(const struct run *r, const struct snap_info *snaps,
			   size_t count, struct answer *a)
{
	uint32_t ids[EXPIRED_MAX];
	char message[32];
	size_t i, n;
	int err;

	n = schedule_expired(snaps, count, r->policy.keep, ids, EXPIRED_MAX);
	for (i = 0; i < n && a->nr_deleted < DELETED_MAX; i++) {
		snprintf(message, sizeof(message), "delete_snap %" PRIu32,
			 ids[i]);
		err = mapper_message(r->live->name, message, NULL);
		if (err == -EBUSY)
			a->busy++;
		else if (!err)
			a->deleted[a->nr_deleted++] = ids[i];
		else
			a->err = err;
	}
	a->again = i < n;
}

static void run(const struct run *r, int64_t now, struct answer *a)
{
	struct snap_info *snaps;
	int count;

	count = admin_snaps(r->live, &snaps);
	if (count < 0) {
		a->err = count;
		return;
	}
	a->last = schedule_last(snaps, (size_t)count, r->policy.every, now);
	if (schedule_due(a->last, r->policy.every, now)) {
		take(r, now, a);
		free(snaps);
		count = admin_snaps(r->live, &snaps);
	}
	if (count < 0)
		a->err = count;
	else
		delete_expired(r, snaps, (size_t)count, a);
	free(snaps);
}

static int run_job(struct snapprotd *d, const void *ctx, int out)
{
	struct answer a = { .last = 0 };

	(void)d;
	run(ctx, time(NULL), &a);
	/* Less than a pipe takes at once. */
	return write(out, &a, sizeof(a)) == sizeof(a) ? 0 : 1;
}

/* ---- deciding --------------------------------------------------------------------- */

static unsigned int count_views(const struct snapprotd *d, const char *volume)
{
	unsigned int n = 0;
	size_t i;

	for (i = 0; i < d->scan.count; i++)
		n += d->scan.devs[i].kind == MAPPER_VIEW &&
		     !strcmp(d->scan.devs[i].volume, volume);
	return n;
}

static void tell(struct snapprotd *d, const struct mapper_dev *live,
		 const char *name, uint32_t id, const char *text)
{
	struct event ev = {
		.name = name,
		.priority = strcmp(name, "snapshot_failed") ? LOG_INFO : LOG_ERR,
		.live = live,
		.store = mapper_find(&d->scan, MAPPER_STORE, live->volume, 0),
		.snapshot = id,
		.text = text,
	};

	event_tell(d, &ev);
}

static void tell_failed(struct snapprotd *d, const struct mapper_dev *live,
			struct plan *p, const char *text)
{
	d->counters.take_failed++;
	if (!p->told)
		tell(d, live, "snapshot_failed", 0, text);
	p->told = true;
}

/* What keeps a snapshot from being taken, or NULL. */
static const char *obstacle(const struct mapper_dev *live)
{
	static char text[64];

	if (live->suspended)
		return "one is due, but the volume is suspended";
	if (!strcmp(live->live.state, "active"))
		return NULL;
	snprintf(text, sizeof(text), "one is due, but the volume is %s",
		 live->live.state);
	return text;
}

static bool is_wanted(const struct snapprotd *d, const struct volume *v,
		      const struct mapper_dev *live)
{
	const struct plan *p = &v->plan;

	if (!p->known || p->again ||
	    schedule_due(p->last, v->policy.every, d->wall))
		return true;
	return p->busy && (d->now >= p->next ||
			   count_views(d, live->volume) != p->views);
}

void snaps_check(struct snapprotd *d, struct volume *v)
{
	struct run r = {
		.live = mapper_find_live(&d->scan, v->name),
		.policy = v->policy,
	};
	struct plan *p = &v->plan;
	int64_t every = 1000ll * v->policy.every;
	const char *why;

	if (!v->policy.every || !r.live || job_find(d, JOB_SNAPS, v->name))
		return;
	wake_at(d, d->now + every - d->wall_ms % every);
	if (!is_wanted(d, v, r.live))
		return;
	why = obstacle(r.live);
	if (why) {
		/* Before the store has been seen nobody knows what is due. */
		if (p->known)
			tell_failed(d, r.live, p, why);
		return;
	}
	if (p->failures && d->now < p->next) {
		wake_at(d, p->next);
		return;
	}
	p->views = count_views(d, r.live->volume);
	if (!job_start(d, JOB_SNAPS, v->name, RUN_LIMIT, run_job, &r))
		wake_at(d, d->now + 1000);
}

/* ---- what came of it ------------------------------------------------------------------ */

static void failed(struct snapprotd *d, struct volume *v,
		   const struct mapper_dev *live, const char *what, int err)
{
	struct plan *p = &v->plan;
	char text[160];
	uint32_t wait;

	wait = policy_backoff(++p->failures, BACKOFF_FIRST, BACKOFF_MOST);
	p->next = d->now + 1000ll * wait;
	snprintf(text, sizeof(text), "%s: %s", what, admin_strerror(err));
	tell_failed(d, live, p, text);
}

static void done(struct snapprotd *d, struct volume *v,
		 const struct mapper_dev *live, const struct answer *a)
{
	struct plan *p = &v->plan;
	char text[64];
	uint32_t i;

	d->metrics_wanted |= p->last != a->last;
	p->known = true;
	p->last = a->last;
	p->again = a->again && a->nr_deleted;
	p->busy = a->busy;
	p->next = d->now + BUSY_AGAIN;
	d->counters.taken += !!a->taken;
	d->counters.expired += a->nr_deleted;
	if (a->taken) {
		snprintf(text, sizeof(text), "taken by the schedule: %" PRIu32,
			 a->taken);
		tell(d, live, "snapshot", a->taken, text);
	}
	for (i = 0; i < a->nr_deleted; i++) {
		snprintf(text, sizeof(text), "deleted by the schedule: %" PRIu32,
			 a->deleted[i]);
		tell(d, live, "expired", a->deleted[i], text);
	}
	if (a->take_err) {
		failed(d, v, live, a->taken ? "taken, but not resumed" :
					      "no snapshot taken", a->take_err);
	} else if (a->err) {
		failed(d, v, live, "a snapshot that expired stays", a->err);
	} else {
		p->failures = 0;
		p->told = false;
	}
}

void snaps_done(struct snapprotd *d, const struct job *job, int status)
{
	const struct mapper_dev *live = mapper_find_live(&d->scan, job->volume);
	struct volume *v = volume_find(d, job->volume);
	struct answer a;

	if (!v || !live)
		return;
	if (status || job->len != sizeof(a)) {
		failed(d, v, live, "no snapshot taken", -ECHILD);
		return;
	}
	memcpy(&a, job->data, sizeof(a));
	/* It could not even look. */
	if (a.err && !a.last && !a.taken && !a.take_err)
		failed(d, v, live, "its snapshots cannot be listed", a.err);
	else
		done(d, v, live, &a);
}
