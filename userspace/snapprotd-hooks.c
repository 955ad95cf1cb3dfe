// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hooks of snapprotd: the programs in a directory, each run for each event with the
 * facts in its environment. They run side by side, so that one that hangs keeps
 * neither the others nor the next event.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "snapprotd.h"

#define HOOKS_MAX	64

struct hook {
	pid_t pid;
	char name[NAME_MAX + 1];
};

/* As with run-parts: no backups, and nothing of a package manager. */
static int is_hook(const struct dirent *d)
{
	const char *ok = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

	return d->d_name[strspn(d->d_name, ok)] == '\0';
}

static bool is_program(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISREG(st.st_mode) && !access(path, X_OK);
}

static void __attribute__((__noreturn__))
exec_hook(const char *path, const char *name, const struct facts *f)
{
	int i, fd;
	sigset_t none;

	/* If the one that would end it is ended itself. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_IO_FLUSHER, 0, 0, 0, 0);
	setpgid(0, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (i = 0; i < f->count; i++)
		setenv(f->list[i].name, f->list[i].value, 1);
	fd = open("/dev/null", O_RDWR);
	if (fd >= 0)
		dup2(fd, STDIN_FILENO);
	/* What it says goes where the daemon's own lines go. */
	dup2(STDERR_FILENO, STDOUT_FILENO);
	execl(path, name, NULL);
	log_line(LOG_ERR, NULL, "hook %s: %s", name, strerror(errno));
	_exit(127);
}

static int start_all(const char *dir, const struct facts *f,
		     struct hook *hooks)
{
	struct dirent **list;
	char path[4096];
	int i, count, n = 0;

	count = scandir(dir, &list, is_hook, alphasort);
	if (count < 0 && errno != ENOENT)
		log_line(LOG_ERR, NULL, "%s: %s", dir, strerror(errno));
	for (i = 0; i < count && n < HOOKS_MAX; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, list[i]->d_name);
		if (!is_program(path))
			continue;
		snprintf(hooks[n].name, sizeof(hooks[n].name), "%s",
			 list[i]->d_name);
		hooks[n].pid = fork();
		if (!hooks[n].pid)
			exec_hook(path, hooks[n].name, f);
		if (hooks[n].pid > 0)
			n++;
		else
			log_line(LOG_ERR, NULL, "hook %s: %s", hooks[n].name,
				 strerror(errno));
	}
	return n;
}

/* One that has ended; whether it did well. */
static bool judge(const struct hook *hook, int status)
{
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return true;
	if (WIFEXITED(status))
		log_line(LOG_WARNING, NULL, "hook %s: exit code %d",
			 hook->name, WEXITSTATUS(status));
	else
		log_line(LOG_WARNING, NULL, "hook %s: ended by signal %d",
			 hook->name, WTERMSIG(status));
	return false;
}

static int reap(struct hook *hooks, int count, int *failed)
{
	int i, status, left = 0;

	for (i = 0; i < count; i++) {
		if (hooks[i].pid <= 0)
			continue;
		if (waitpid(hooks[i].pid, &status, WNOHANG) <= 0) {
			left++;
			continue;
		}
		hooks[i].pid = 0;
		*failed += !judge(&hooks[i], status);
	}
	return left;
}

static void kill_all(struct hook *hooks, int count, unsigned int limit)
{
	int i;

	for (i = 0; i < count; i++) {
		if (hooks[i].pid <= 0)
			continue;
		if (limit)
			log_line(LOG_WARNING, NULL,
				 "hook %s: killed, after %u s", hooks[i].name,
				 limit);
		kill(-hooks[i].pid, SIGKILL);
		/* It may not have had its group yet. */
		kill(hooks[i].pid, SIGKILL);
	}
}

static int64_t seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

int hooks_run(struct snapprotd *d, const struct facts *f)
{
	static struct hook hooks[HOOKS_MAX];
	int64_t end = seconds() + d->opt.hook_limit;
	struct timespec limit = { .tv_nsec = 0 };
	int count, failed = 0;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	count = start_all(d->opt.hooks, f, hooks);
	while (reap(hooks, count, &failed)) {
		limit.tv_sec = end - seconds();
		if (limit.tv_sec <= 0) {
			kill_all(hooks, count, d->opt.hook_limit);
			return 1;
		}
		if (sigtimedwait(&set, NULL, &limit) == SIGTERM) {
			kill_all(hooks, count, 0);
			return 1;
		}
	}
	return failed ? 1 : 0;
}

static int run_hooks(struct snapprotd *d, const void *ctx, int out)
{
	(void)out;
	return hooks_run(d, ctx);
}

void hooks_start(struct snapprotd *d, const struct facts *f)
{
	/* The limit is kept by the job itself, unless that hangs as well. */
	if (job_start(d, JOB_HOOKS, "", d->opt.hook_limit + 10, run_hooks, f))
		return;
	d->counters.hooks_dropped++;
	log_line(LOG_WARNING, NULL,
		 "hooks are not told of this, for too many are still running");
}
