/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the parts of snapprotd share.
 *
 * The daemon is one process that waits, looks, and decides. It is locked in memory,
 * and after its start it asks of the kernel nothing but device-mapper's status lines,
 * which wait for nobody. Whatever else is to be done could wait for a disk, perhaps
 * one that is waiting for this daemon: reading a file, starting a program, sending a
 * message to a volume, suspending it. Each such thing is a job: a child process, of
 * which the daemon only waits to hear.
 */
#ifndef SNAPPROT_SNAPPROTD_H
#define SNAPPROT_SNAPPROTD_H

#include <sys/types.h>
#include <syslog.h>

#include "mapper.h"
#include "policy.h"
#include "tab.h"

/* ---- snapprotd-log.c: one line an event, and word for systemd ------------------ */

#define FACTS_MAX	24
#define FACT_LEN	256

/**
 * struct facts - what an event was, for hooks and for the journal
 * @list: names as environment variables have them, and values
 */
struct facts {
	int count;
	struct {
		const char *name;
		char value[FACT_LEN];
	} list[FACTS_MAX];
};

void facts_add(struct facts *f, const char *name, const char *fmt, ...)
	__attribute__((__format__(__printf__, 3, 4)));

/* Is standard error the journal? Then it is given facts as well as lines. */
void log_open(void);

/* A line; one that would have to wait is left out and counted. @f may be NULL. */
void log_line(int priority, const struct facts *f, const char *fmt, ...)
	__attribute__((__format__(__printf__, 3, 4)));

/* Tell systemd, if it wants to know. */
void notify(const char *state);

/* ---- state ----------------------------------------------------------------------- */

/**
 * struct extension - how it stands with growing a store
 * @failures: in a row
 * @next: not before, ms
 * @at_most: extend_max has been reached, and that was told
 * @given_up: when the volume was told so last, ms
 */
struct extension {
	unsigned int failures;
	int64_t next;
	bool at_most;
	int64_t given_up;
};

/**
 * struct plan - how it stands with the snapshots of a schedule
 * @known: @last is
 * @last: time of the newest one
 * @failures: in a row
 * @next: not before, ms
 * @again: there is more to be deleted
 * @busy: how many could not be deleted, as they are being shown
 * @views: how many views there were then
 * @told: that none could be taken
 */
struct plan {
	bool known;
	int64_t last;
	unsigned int failures;
	int64_t next;
	bool again;
	uint32_t busy;
	unsigned int views;
	bool told;
};

/* A line of the tab that has a policy. */
struct volume {
	char name[TAB_NAME_MAX + 1];
	struct policy policy;
	struct extension extension;
	struct plan plan;
};

enum job_kind {
	JOB_NONE,
	JOB_LOAD,		/* read the tab */
	JOB_HOOKS,		/* tell an event to hooks */
	JOB_METRICS,		/* write the file of metrics */
	JOB_EXTEND,		/* lvextend, or hooks in its place */
	JOB_GROW,		/* load the store's larger table */
	JOB_GIVE_UP,		/* say that it cannot be extended */
	JOB_SNAPS,		/* take a snapshot, delete those that expired */
	JOB_KINDS
};

/**
 * struct job - a child process
 * @volume: name of the one that it is for, or ""
 * @pipe: from where its answer comes, or -1
 * @deadline: when it should have ended, ms; 0 never
 * @late: that has passed
 * @data: of its answer until now
 */
struct job {
	enum job_kind kind;
	pid_t pid;
	char volume[TAB_NAME_MAX + 1];
	int pipe;
	int64_t deadline;
	bool late;
	char *data;
	size_t len;
};

#define JOBS_MAX	64
/* So many are left for what must not be kept away by hooks that hang. */
#define JOBS_SPARE	32

struct counters {
	uint64_t events;
	uint64_t hooks_failed;
	uint64_t hooks_dropped;
	uint64_t extended;
	uint64_t extend_failed;
	uint64_t taken;
	uint64_t take_failed;
	uint64_t expired;
};

/**
 * struct options - of the command line
 * @tab: path
 * @hooks: directory
 * @metrics: path, or "" for none
 * @hook_limit: seconds
 */
struct options {
	const char *tab;
	const char *hooks;
	const char *metrics;
	unsigned int hook_limit;
};

/* Few devices change in the same moment. */
#define EARLY_MAX	32

/**
 * struct snapprotd - all of it
 * @scan: the last look at the devices
 * @looked: there was one
 * @loaded: the tab was read, or could not be
 * @load_wanted: it is to be read
 * @scan_failed: the last look failed
 * @early: devices, by number, of which a change was seen before its event came
 * @metrics_wanted: there is something new
 * @metrics_at: when they are written in any case, ms
 * @now: ms of a clock that only goes on
 * @wall: seconds since 1970
 * @wake: when there is something to do, ms of the former
 */
struct snapprotd {
	struct options opt;
	int control;
	int signals;
	struct mapper_scan scan;
	bool looked;
	bool loaded;
	bool load_wanted;
	bool scan_failed;
	struct volume *volumes;
	size_t nr_volumes;
	struct job jobs[JOBS_MAX];
	struct counters counters;
	uint64_t early[EARLY_MAX];
	bool metrics_wanted;
	int64_t metrics_at;
	int64_t now;
	int64_t wall_ms;
	int64_t wall;
	int64_t wake;
};

/* There is something to do at @at. */
static inline void wake_at(struct snapprotd *d, int64_t at)
{
	if (at < d->wake)
		d->wake = at;
}

struct volume *volume_find(struct snapprotd *d, const char *name);

/* ---- snapprotd-jobs.c ---------------------------------------------------------------- */

/*
 * What a job does, in the child. @out takes its answer. Returns 0, a negative errno
 * whose value becomes the exit code, or an exit code.
 */
typedef int (*job_fn)(struct snapprotd *d, const void *ctx, int out);

/**
 * job_start() - have something done by a child
 * @volume: name, or ""
 * @seconds: after which it is late; 0 never
 *
 * Returns it, or NULL, after which somebody should try again.
 */
struct job *job_start(struct snapprotd *d, enum job_kind kind,
		      const char *volume, unsigned int seconds, job_fn fn,
		      const void *ctx);

/* One that runs; NULL if there is none. */
struct job *job_find(struct snapprotd *d, enum job_kind kind,
		     const char *volume);

/* Take what jobs say. */
void jobs_read(struct snapprotd *d);
/* Those that have ended are given to job_done(). */
void jobs_reap(struct snapprotd *d);
/* Those that are late are killed, or told of. */
void jobs_check(struct snapprotd *d);
/* The daemon ends. What must not be interrupted goes on to its end. */
void jobs_leave(struct snapprotd *d);

/* In snapprotd.c: @status is that of waitpid(). */
void job_done(struct snapprotd *d, const struct job *job, int status);

/* ---- snapprotd-hooks.c -------------------------------------------------------------------- */

/* In a job: run all hooks with these facts. Returns 0 if none failed. */
int hooks_run(struct snapprotd *d, const struct facts *f);
/* Start such a job. */
void hooks_start(struct snapprotd *d, const struct facts *f);

/* ---- snapprotd-events.c ------------------------------------------------------------------- */

/**
 * struct event - what is told
 * @name: in one word
 * @live: the live volume that it concerns, or NULL
 * @store: its store, or NULL
 * @on_store: it concerns the store
 * @snapshot: id, or 0
 * @text: for people
 */
struct event {
	const char *name;
	int priority;
	const struct mapper_dev *live;
	const struct mapper_dev *store;
	bool on_store;
	uint32_t snapshot;
	const char *text;
};

void event_facts(struct snapprotd *d, const struct event *ev, struct facts *f);
/* One line, and the hooks. */
void event_tell(struct snapprotd *d, const struct event *ev);
/* What has happened between two looks. */
void events_tell(struct snapprotd *d, const struct mapper_scan *before,
		 const struct mapper_scan *now, bool first);

/* ---- snapprotd-extend.c, -snaps.c, -metrics.c -------------------------------- */

void extend_check(struct snapprotd *d, struct volume *v);
/* Space has run out: whatever failed before is tried once more. */
void extend_full(struct snapprotd *d, const char *volume);
void extend_done(struct snapprotd *d, const struct job *job, int status);

void snaps_check(struct snapprotd *d, struct volume *v);
void snaps_done(struct snapprotd *d, const struct job *job, int status);

void metrics_check(struct snapprotd *d);

#endif
