// SPDX-License-Identifier: GPL-2.0-only
/*
 * Jobs of snapprotd: child processes, so that the daemon waits for none of what
 * they do.
 *
 * A child that only calls what is here needs no memory but what the daemon has
 * locked already, which counts when the disk with the programs is the one that
 * waits.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "snapprotd.h"

#define ANSWER_MAX	(1u << 20)

/* May it be ended at any moment? */
static bool may_kill(enum job_kind kind)
{
	return kind == JOB_LOAD || kind == JOB_HOOKS || kind == JOB_METRICS;
}

static const char * const job_names[JOB_KINDS] = {
	[JOB_LOAD]	= "reading the configuration",
	[JOB_HOOKS]	= "hooks",
	[JOB_METRICS]	= "writing the metrics",
	[JOB_EXTEND]	= "extending its store's device",
	[JOB_GROW]	= "growing its store",
	[JOB_GIVE_UP]	= "saying that its store cannot grow",
	[JOB_SNAPS]	= "its snapshots",
};

/* ---- starting ---------------------------------------------------------------- */

static struct job *free_slot(struct snapprotd *d, enum job_kind kind)
{
	int i, last = kind == JOB_HOOKS ? JOBS_MAX - JOBS_SPARE : JOBS_MAX;

	for (i = 0; i < last; i++)
		if (d->jobs[i].kind == JOB_NONE)
			return &d->jobs[i];
	return NULL;
}

static void __attribute__((__noreturn__))
run_child(struct snapprotd *d, enum job_kind kind, job_fn fn, const void *ctx,
	  int out)
{
	sigset_t set;
	int code;

	/* A group of its own, so that what it starts can be ended with it. */
	setpgid(0, 0);
	/* It is half a change that would be left, or somebody's suspended disk. */
	if (kind == JOB_GROW || kind == JOB_SNAPS)
		sigfillset(&set);
	else
		sigemptyset(&set);
	sigprocmask(SIG_SETMASK, &set, NULL);
	signal(SIGPIPE, SIG_DFL);
	/* What it leaves in the buffers of stdio is the daemon's, not its own. */
	code = fn(d, ctx, out);
	_exit(code < 0 ? -code : code);
}

struct job *job_start(struct snapprotd *d, enum job_kind kind,
		      const char *volume, unsigned int seconds, job_fn fn,
		      const void *ctx)
{
	struct job *job = free_slot(d, kind);
	int fds[2];

	if (!job || strlen(volume) >= sizeof(job->volume) ||
	    pipe2(fds, O_CLOEXEC | O_NONBLOCK))
		return NULL;
	job->pid = fork();
	if (!job->pid) {
		close(fds[0]);
		fcntl(fds[1], F_SETFL, 0);
		run_child(d, kind, fn, ctx, fds[1]);
	}
	close(fds[1]);
	if (job->pid < 0) {
		close(fds[0]);
		return NULL;
	}
	/* Here too, as the child may not have come that far. */
	setpgid(job->pid, job->pid);
	job->kind = kind;
	memcpy(job->volume, volume, strlen(volume) + 1);
	job->pipe = fds[0];
	job->deadline = seconds ? d->now + 1000ll * seconds : 0;
	return job;
}

struct job *job_find(struct snapprotd *d, enum job_kind kind,
		     const char *volume)
{
	int i;

	for (i = 0; i < JOBS_MAX; i++)
		if (d->jobs[i].kind == kind &&
		    !strcmp(d->jobs[i].volume, volume))
			return &d->jobs[i];
	return NULL;
}

/* ---- their answers -------------------------------------------------------------- */

static void read_job(struct job *job)
{
	char part[4096], *data;
	ssize_t n;

	while (job->pipe >= 0) {
		n = read(job->pipe, part, sizeof(part));
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		data = n > 0 && job->len < ANSWER_MAX ?
		       realloc(job->data, job->len + (size_t)n + 1) : NULL;
		if (!data) {
			/* Its end, or an answer that nobody can take. */
			if (n > 0)
				job->len = ANSWER_MAX;
			close(job->pipe);
			job->pipe = -1;
			return;
		}
		memcpy(data + job->len, part, (size_t)n);
		job->len += (size_t)n;
		data[job->len] = '\0';
		job->data = data;
	}
}

void jobs_read(struct snapprotd *d)
{
	int i;

	for (i = 0; i < JOBS_MAX; i++)
		if (d->jobs[i].kind != JOB_NONE)
			read_job(&d->jobs[i]);
}

static void end_job(struct snapprotd *d, struct job *job, int status)
{
	struct job ended;

	read_job(job);
	if (job->pipe >= 0)
		close(job->pipe);
	/* Its slot is free for whatever follows from it. */
	ended = *job;
	memset(job, 0, sizeof(*job));
	job_done(d, &ended, status);
	free(ended.data);
}

void jobs_reap(struct snapprotd *d)
{
	int i, status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (i = 0; i < JOBS_MAX; i++)
			if (d->jobs[i].kind != JOB_NONE &&
			    d->jobs[i].pid == pid)
				end_job(d, &d->jobs[i], status);
}

/* ---- those that do not end --------------------------------------------------------- */

static void check_job(struct snapprotd *d, struct job *job)
{
	if (!job->deadline || job->late)
		return;
	if (d->now < job->deadline) {
		wake_at(d, job->deadline);
		return;
	}
	job->late = true;
	log_line(LOG_ERR, NULL, "%s%s%s: takes too long", job->volume,
		 *job->volume ? ": " : "", job_names[job->kind]);
	if (may_kill(job->kind))
		kill(-job->pid, SIGKILL);
	else if (job->kind == JOB_EXTEND)
		/* LVM puts off what would leave a volume suspended. */
		kill(-job->pid, SIGTERM);
}

void jobs_check(struct snapprotd *d)
{
	int i;

	for (i = 0; i < JOBS_MAX; i++)
		if (d->jobs[i].kind != JOB_NONE)
			check_job(d, &d->jobs[i]);
}

void jobs_leave(struct snapprotd *d)
{
	int i;

	for (i = 0; i < JOBS_MAX; i++)
		if (may_kill(d->jobs[i].kind) || d->jobs[i].kind == JOB_EXTEND)
			kill(-d->jobs[i].pid, SIGTERM);
}
