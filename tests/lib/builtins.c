// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the functional tests call most, as commands that are loaded into bash
 * ("enable -f"): starting a program takes an emulated guest twenty times as
 * long as what the program does.
 *
 *   dm		dmsetup through libdevmapper, with the words and messages of
 *		the program; exit code 97 for what is left to that, which is
 *		done by the function dmsetup in common.sh
 *   blkpat	blkpat.c, in a child without an exec
 *   sectors	prints the size of a block device, as "blockdev --getsz"
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libdevmapper.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "builtins.h"
#include "shell.h"

#include "blkpat.h"

/* Not for us. */
#define LEFT	97
#define MAX_ARGS 256

/* Words of a command, the name first. */
struct args {
	char *word[MAX_ARGS + 1];
	int count;
};

static bool get_args(struct args *a, char *name, WORD_LIST *list)
{
	a->word[0] = name;
	a->count = 1;
	for (; list; list = list->next) {
		if (a->count == MAX_ARGS)
			return false;
		a->word[a->count++] = list->word->word;
	}
	a->word[a->count] = NULL;
	return true;
}

/* ---- dmsetup ----------------------------------------------------------------- */

/* What a command may have behind it: the words left over are in args. */
struct options {
	bool noflush, nolockfs, readonly;
	char *table;
};

/* False if there is an option that is not known here. */
static bool get_options(struct options *o, struct args *a)
{
	int i, n = 2;

	for (i = 2; i < a->count; i++) {
		char *w = a->word[i];

		if (*w != '-')
			a->word[n++] = w;
		else if (!strcmp(w, "--noflush"))
			o->noflush = true;
		else if (!strcmp(w, "--nolockfs"))
			o->nolockfs = true;
		else if (!strcmp(w, "--readonly"))
			o->readonly = true;
		else if (!strcmp(w, "--table") && i + 1 < a->count)
			o->table = a->word[++i];
		else
			return false;
	}
	a->count = n;
	return true;
}

static struct dm_task *new_task(int type, const char *name,
				const struct options *o)
{
	struct dm_task *t = dm_task_create(type);

	if (t && (!name || dm_task_set_name(t, name)) &&
	    (!o->noflush || dm_task_no_flush(t)) &&
	    (!o->nolockfs || dm_task_skip_lockfs(t)) &&
	    (!o->readonly || dm_task_set_ro(t)))
		return t;
	if (t)
		dm_task_destroy(t);
	return NULL;
}

/* Run it and let it go. */
static bool run_task(struct dm_task *t)
{
	bool ok = t && dm_task_run(t);

	if (t)
		dm_task_destroy(t);
	dm_task_update_nodes();
	return ok;
}

static bool add_line(struct dm_task *t, const char *line)
{
	unsigned long long start, size;
	char type[64];
	int at = 0;

	if (sscanf(line, "%llu %llu %63s %n", &start, &size, type, &at) < 3) {
		fprintf(stderr, "Invalid format in table line: %s\n", line);
		return false;
	}
	return dm_task_add_target(t, start, size, type, at ? line + at : "");
}

static bool add_table(struct dm_task *t, const char *table)
{
	char *copy = strdup(table), *save = NULL, *line;
	bool ok = copy;

	for (line = ok ? strtok_r(copy, "\n", &save) : NULL; ok && line;
	     line = strtok_r(NULL, "\n", &save))
		ok = add_line(t, line);
	free(copy);
	return ok;
}

static bool do_load(int type, const struct options *o, const char *name)
{
	struct dm_task *t = new_task(type, name, o);

	if (t && !add_table(t, o->table)) {
		dm_task_destroy(t);
		return false;
	}
	return run_task(t);
}

static bool do_simple(int type, const struct options *o, const struct args *a)
{
	int i;

	for (i = 2; i < a->count; i++)
		if (!run_task(new_task(type, a->word[i], o)))
			return false;
	return true;
}

static bool do_message(struct args *a)
{
	static const struct options none;
	struct dm_task *t = new_task(DM_DEVICE_TARGET_MSG, a->word[2], &none);
	const char *response;
	char text[4096];
	size_t at = 0;
	bool ok;
	int i;

	text[0] = 0;
	for (i = 4; i < a->count && at < sizeof(text); i++)
		at += snprintf(text + at, sizeof(text) - at, "%s%s",
			       i > 4 ? " " : "", a->word[i]);
	ok = t && at < sizeof(text) &&
	     dm_task_set_sector(t, strtoull(a->word[3], NULL, 10)) &&
	     dm_task_set_message(t, text) && dm_task_run(t);
	response = ok ? dm_task_get_message_response(t) : NULL;
	if (response)
		printf("%s%s", response, *response &&
		       response[strlen(response) - 1] != '\n' ? "\n" : "");
	if (t)
		dm_task_destroy(t);
	return ok;
}

/* Print the lines of one device, with @prefix before each. */
static bool do_status(int type, const struct options *o, const char *name,
		      bool prefix)
{
	struct dm_task *t = new_task(type, name, o);
	char *target, *params;
	uint64_t start, length;
	struct dm_info info;
	void *next = NULL;
	bool ok;

	ok = t && dm_task_run(t) && dm_task_get_info(t, &info);
	if (ok && !info.exists) {
		fprintf(stderr, "Device does not exist.\n");
		ok = false;
	}
	if (ok) {
		do {
			next = dm_get_next_target(t, next, &start, &length,
						  &target, &params);
			if (!target)
				continue;
			if (prefix)
				printf("%s: ", name);
			printf("%" PRIu64 " %" PRIu64 " %s %s\n", start,
			       length, target, params);
		} while (next);
	}
	if (t)
		dm_task_destroy(t);
	return ok;
}

/* Call for each device: its line of "ls", or its status. */
static bool do_all(const struct options *o, bool status)
{
	static const struct options none;
	struct dm_task *t = new_task(DM_DEVICE_LIST, NULL, &none);
	struct dm_names *names = NULL;
	bool ok = t && dm_task_run(t) && (names = dm_task_get_names(t));

	if (ok && !names->dev)
		puts("No devices found");
	while (ok && names->dev) {
		if (status)
			ok = do_status(DM_DEVICE_STATUS, o, names->name, true);
		else
			printf("%s\t(%u:%u)\n", names->name,
			       (unsigned int)(names->dev >> 8),
			       (unsigned int)(names->dev & 0xff));
		if (!names->next)
			break;
		names = (void *)((char *)names + names->next);
	}
	if (t)
		dm_task_destroy(t);
	return ok;
}

/* 1 done, 0 failed, -1 not for us. */
static int dispatch(struct args *a)
{
	struct options o = { 0 };
	const char *what = a->count > 1 ? a->word[1] : "";
	bool one;

	if (!strcmp(what, "message"))
		return a->count > 4 && *a->word[2] != '-' ? do_message(a) : -1;
	if (!get_options(&o, a))
		return -1;
	one = a->count == 3;
	if (!strcmp(what, "create") && one && o.table)
		return do_load(DM_DEVICE_CREATE, &o, a->word[2]);
	if (!strcmp(what, "load") && one && o.table)
		return do_load(DM_DEVICE_RELOAD, &o, a->word[2]);
	if (o.table)
		return -1;
	if (!strcmp(what, "suspend") && one)
		return do_simple(DM_DEVICE_SUSPEND, &o, a);
	if (!strcmp(what, "resume") && one)
		return do_simple(DM_DEVICE_RESUME, &o, a);
	if (!strcmp(what, "remove") && a->count > 2)
		return do_simple(DM_DEVICE_REMOVE, &o, a);
	if (!strcmp(what, "status") && one)
		return do_status(DM_DEVICE_STATUS, &o, a->word[2], false);
	if (!strcmp(what, "table") && one)
		return do_status(DM_DEVICE_TABLE, &o, a->word[2], false);
	if (!strcmp(what, "status") && a->count == 2)
		return do_all(&o, true);
	if (!strcmp(what, "ls") && a->count == 2)
		return do_all(&o, false);
	return -1;
}

static int dm_builtin(WORD_LIST *list)
{
	struct args a;
	int done;

	if (!get_args(&a, "dm", list))
		return LEFT;
	done = dispatch(&a);
	if (done < 0)
		return LEFT;
	if (!done)
		fputs("Command failed.\n", stderr);
	fflush(stdout);
	return done ? 0 : 1;
}

/* ---- the others ---------------------------------------------------------------- */

static int wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 126;
	return WIFEXITED(status) ? WEXITSTATUS(status) :
				   128 + WTERMSIG(status);
}

static int blkpat_builtin(WORD_LIST *list)
{
	sigset_t set, old;
	struct args a;
	pid_t pid;
	int rc;

	if (!get_args(&a, "blkpat", list))
		return 126;
	fflush(stdout);
	/*
	 * Bash would take the child for its own. And a job that is told to end
	 * has not ended before the child has, which keeps a device open.
	 */
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, &old);
	pid = fork();
	if (!pid) {
		/* As if it were the job that is killed. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		sigprocmask(SIG_SETMASK, &old, NULL);
		optind = 1;
		rc = blkpat_main(a.count, a.word);
		fflush(stdout);
		_exit(rc);
	}
	rc = pid < 0 ? 126 : wait_for(pid);
	sigprocmask(SIG_SETMASK, &old, NULL);
	return rc;
}

static int sectors_builtin(WORD_LIST *list)
{
	uint64_t bytes;
	int fd = list ? open(list->word->word, O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0 || ioctl(fd, BLKGETSIZE64, &bytes)) {
		fprintf(stderr, "sectors: %s: %s\n",
			list ? list->word->word : "", strerror(errno));
		if (fd >= 0)
			close(fd);
		return 1;
	}
	close(fd);
	printf("%" PRIu64 "\n", bytes / 512);
	fflush(stdout);
	return 0;
}

/* What bash looks up by these names. */
static char *no_help[] = { NULL };

struct builtin dm_struct = {
	"dm", dm_builtin, BUILTIN_ENABLED, no_help,
	"dm COMMAND ...", NULL
};

struct builtin blkpat_struct = {
	"blkpat", blkpat_builtin, BUILTIN_ENABLED, no_help,
	"blkpat [OPTION]... OP DEV ...", NULL
};

struct builtin sectors_struct = {
	"sectors", sectors_builtin, BUILTIN_ENABLED, no_help,
	"sectors DEVICE", NULL
};
