// SPDX-License-Identifier: GPL-2.0-only
/*
 * snapprotd - looks after volumes while nobody is watching
 *
 * Tells each event in a line and to hooks, extends stores that are low, takes
 * snapshots by a schedule, and writes metrics. snapprotd.h says how, and why it waits
 * for nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "device.h"
#include "events.h"
#include "snapprotd.h"
#include "tool.h"

#define RUN_DIR		"/run/snapprotd"
#define LOCK_PATH	RUN_DIR "/lock"
#define LOAD_LIMIT	60
/* It looks again after this, even if there was no event, ms. */
#define LOOK_AGAIN	60000
#define LOOK_FAILED	1000

static struct snapprotd daemon_state = {
	.opt = {
		.tab = TAB_PATH,
		.hooks = "/etc/snapprot/hooks.d",
		.metrics = RUN_DIR "/snapprot.prom",
		.hook_limit = 30,
	},
	.control = -1,
	.signals = -1,
};

/* ---- configuration ----------------------------------------------------------- */

struct volume *volume_find(struct snapprotd *d, const char *name)
{
	size_t i;

	for (i = 0; i < d->nr_volumes; i++)
		if (!strcmp(d->volumes[i].name, name))
			return &d->volumes[i];
	return NULL;
}

/* A job, as the file may be on a disk that waits; its text is the answer. */
static int read_tab(struct snapprotd *d, const void *ctx, int out)
{
	int fd = open(d->opt.tab, O_RDONLY | O_CLOEXEC);
	char part[4096];
	ssize_t n;

	(void)ctx;
	if (fd < 0)
		return -errno;
	while ((n = read(fd, part, sizeof(part))) > 0)
		if (write(out, part, (size_t)n) != n)
			return -EIO;
	return n ? -errno : 0;
}

static void load_check(struct snapprotd *d)
{
	/* What is being read now may be older than the signal. */
	if (!d->load_wanted || job_find(d, JOB_LOAD, ""))
		return;
	d->load_wanted = !job_start(d, JOB_LOAD, "", LOAD_LIMIT, read_tab,
				    NULL);
	if (d->load_wanted)
		wake_at(d, d->now + 1000);
}

static void tell_wrong(void *ctx, unsigned int line, unsigned int column,
		       const char *what)
{
	const struct snapprotd *d = ctx;

	log_line(LOG_ERR, NULL, "%s:%u:%u: %s", d->opt.tab, line, column, what);
}

static size_t take_volumes(struct snapprotd *d, const struct tab *tab,
			   struct volume *volumes)
{
	const struct tab_entry *e;
	const struct volume *old;
	struct volume *v;
	size_t i, n = 0;

	for (i = 0; i < tab->count; i++) {
		e = &tab->entries[i];
		if (!e->policy.extend && !e->policy.every)
			continue;
		v = &volumes[n++];
		memset(v, 0, sizeof(*v));
		snprintf(v->name, sizeof(v->name), "%s", e->name);
		v->policy = e->policy;
		/* With other numbers something else may be due. */
		old = volume_find(d, e->name);
		if (old && old->policy.every == v->policy.every &&
		    old->policy.keep == v->policy.keep)
			v->plan = old->plan;
	}
	return n;
}

static void use_tab(struct snapprotd *d, char *text)
{
	struct volume *volumes = NULL;
	struct tab tab;
	size_t count;
	int err;

	err = tab_parse(&tab, text, tell_wrong, d);
	if (!err) {
		volumes = calloc(tab.count + 1, sizeof(*volumes));
		err = volumes ? 0 : -ENOMEM;
	}
	if (err) {
		log_line(LOG_ERR, NULL, "%s: %s; what was known stays",
			 d->opt.tab, strerror(-err));
		tab_free(&tab);
		return;
	}
	count = take_volumes(d, &tab, volumes);
	free(d->volumes);
	d->volumes = volumes;
	d->nr_volumes = count;
	log_line(LOG_INFO, NULL, "%s: %zu volume%s, %zu of them looked after",
		 d->opt.tab, tab.count, tab.count == 1 ? "" : "s", count);
	tab_free(&tab);
}

static void loaded(struct snapprotd *d, const struct job *job, int status)
{
	char none[1] = "";

	d->loaded = true;
	if (!status && job->len && strlen(job->data) != job->len)
		log_line(LOG_ERR, NULL, "%s: is no text; what was known stays",
			 d->opt.tab);
	else if (!status)
		use_tab(d, job->len ? job->data : none);
	else if (WIFEXITED(status) && WEXITSTATUS(status) == ENOENT)
		use_tab(d, none);
	else
		log_line(LOG_ERR, NULL, "%s: %s; what was known stays",
			 d->opt.tab, WIFEXITED(status) ?
			 strerror(WEXITSTATUS(status)) : "not read in time");
	notify("READY=1");
}

/* ---- jobs ----------------------------------------------------------------------- */

void job_done(struct snapprotd *d, const struct job *job, int status)
{
	switch (job->kind) {
	case JOB_LOAD:
		loaded(d, job, status);
		break;
	case JOB_HOOKS:
		d->counters.hooks_failed += !!status;
		break;
	case JOB_METRICS:
		if (status)
			log_line(LOG_WARNING, NULL, "%s: not written: %s",
				 d->opt.metrics, WIFEXITED(status) ?
				 strerror(WEXITSTATUS(status)) : "took too long");
		break;
	case JOB_EXTEND:
	case JOB_GROW:
	case JOB_GIVE_UP:
		extend_done(d, job, status);
		break;
	case JOB_SNAPS:
		snaps_done(d, job, status);
		break;
	default:
		break;
	}
}

/* ---- the loop ---------------------------------------------------------------------- */

static void read_clocks(struct snapprotd *d)
{
	struct timespec ts;

	/* One that counts while the machine sleeps, too. */
	clock_gettime(CLOCK_BOOTTIME, &ts);
	d->now = ts.tv_sec * 1000ll + ts.tv_nsec / 1000000;
	clock_gettime(CLOCK_REALTIME, &ts);
	d->wall = ts.tv_sec;
	d->wall_ms = ts.tv_sec * 1000ll + ts.tv_nsec / 1000000;
	d->wake = d->now + LOOK_AGAIN;
}

static void look(struct snapprotd *d)
{
	struct mapper_scan before = d->scan, now;
	int err;

	err = events_arm(d->control);
	if (!err)
		err = mapper_scan(&now);
	if (err) {
		/* For want of memory, perhaps. Nothing is missed by looking later. */
		if (!d->scan_failed)
			log_line(LOG_ERR, NULL, "device-mapper does not answer: %s",
				 strerror(-err));
		d->scan_failed = true;
		wake_at(d, d->now + LOOK_FAILED);
		return;
	}
	d->scan_failed = false;
	d->scan = now;
	events_tell(d, &before, &now, !d->looked);
	d->looked = true;
	mapper_scan_free(&before);
}

static void act(struct snapprotd *d)
{
	size_t i;

	jobs_check(d);
	load_check(d);
	for (i = 0; d->loaded && d->looked && i < d->nr_volumes; i++) {
		extend_check(d, &d->volumes[i]);
		snaps_check(d, &d->volumes[i]);
	}
	metrics_check(d);
}

static void wait_for_news(struct snapprotd *d, int watchdog)
{
	struct pollfd fds[2 + JOBS_MAX];
	int64_t timeout = d->wake - d->now;
	int i, n = 2;

	fds[0] = (struct pollfd){ .fd = d->control, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = d->signals, .events = POLLIN };
	for (i = 0; i < JOBS_MAX; i++)
		if (d->jobs[i].kind != JOB_NONE && d->jobs[i].pipe >= 0)
			fds[n++] = (struct pollfd){ .fd = d->jobs[i].pipe,
						    .events = POLLIN };
	if (timeout < 0)
		timeout = 0;
	if (watchdog && timeout > watchdog)
		timeout = watchdog;
	poll(fds, (nfds_t)n, (int)timeout);
}

/* True if it is to end. */
static bool take_signals(struct snapprotd *d)
{
	struct signalfd_siginfo info;

	while (read(d->signals, &info, sizeof(info)) == sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGTERM:
		case SIGINT:
			return true;
		case SIGHUP:
			d->load_wanted = true;
			notify("RELOADING=1");
			break;
		}
	}
	jobs_read(d);
	jobs_reap(d);
	return false;
}

/* Half of what systemd grants, in ms; 0 if it does not care. */
static int watchdog_interval(void)
{
	const char *text = getenv("WATCHDOG_USEC");
	uint64_t us;

	if (!text || number_parse(text, 3600000000ull, &us))
		return 0;
	return (int)(us / 2000) ? (int)(us / 2000) : 1;
}

static void run(struct snapprotd *d)
{
	int watchdog = watchdog_interval();

	d->load_wanted = true;
	for (;;) {
		read_clocks(d);
		if (take_signals(d))
			break;
		look(d);
		act(d);
		if (watchdog)
			notify("WATCHDOG=1");
		wait_for_news(d, watchdog);
	}
	notify("STOPPING=1");
	log_line(LOG_INFO, NULL, "ended");
	jobs_leave(d);
}

/* ---- start --------------------------------------------------------------------------- */

static int fail(int code, const char *what, int err)
{
	log_line(LOG_ERR, NULL, "%s%s%s", what, err ? ": " : "",
		 err ? strerror(err) : "");
	return code;
}

static int begin(struct snapprotd *d)
{
	sigset_t set;
	int lock;

	/* What the one who started it has left open would go on to LVM and hooks. */
	close_range(STDERR_FILENO + 1, ~0U, 0);
	log_open();
	if (geteuid())
		return fail(TOOL_FAILED, "only root may do this", 0);
	mkdir(RUN_DIR, 0755);
	lock = open(LOCK_PATH, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (lock < 0)
		return fail(TOOL_FAILED, LOCK_PATH, errno);
	if (flock(lock, LOCK_EX | LOCK_NB))
		return fail(TOOL_BUSY, "another one is running", 0);
	d->control = events_open();
	if (d->control < 0)
		return fail(TOOL_FAILED, "/dev/mapper/control", -d->control);
	/* Whoever reads what it says may go away. */
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	d->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (d->signals < 0)
		return fail(TOOL_FAILED, "signalfd", errno);
	device_mapper_quiet();
	/* Memory that it asks for is not to be had by writing to a disk that waits. */
	if (prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0))
		log_line(LOG_WARNING, NULL, "PR_SET_IO_FLUSHER: %s",
			 strerror(errno));
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		log_line(LOG_WARNING, NULL, "not locked in memory: %s",
			 strerror(errno));
	return 0;
}

static int print_usage(FILE *f, int code)
{
	fputs("usage: snapprotd [--tab FILE] [--hooks DIR] [--hook-limit SECONDS]\n"
	      "                 [--metrics FILE]\n"
	      "       snapprotd --version\n"
	      "See snapprotd(8).\n", f);
	return code;
}

static int parse_option(struct options *o, int opt)
{
	uint64_t number;

	switch (opt) {
	case 't':
		o->tab = optarg;
		return 0;
	case 'k':
		o->hooks = optarg;
		return 0;
	case 'm':
		o->metrics = optarg;
		return 0;
	case 'l':
		if (number_parse(optarg, 86400, &number) || !number)
			break;
		o->hook_limit = (unsigned int)number;
		return 0;
	}
	return print_usage(stderr, TOOL_USAGE);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "tab",	required_argument,	NULL, 't' },
		{ "hooks",	required_argument,	NULL, 'k' },
		{ "hook-limit",	required_argument,	NULL, 'l' },
		{ "metrics",	required_argument,	NULL, 'm' },
		{ "version",	no_argument,		NULL, 'V' },
		{ "help",	no_argument,		NULL, 'h' },
		{ NULL,		0,			NULL, 0 }
	};
	struct snapprotd *d = &daemon_state;
	int opt, code;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 'V') {
			puts("snapprotd " SNAPPROT_TOOL_VERSION);
			return 0;
		}
		if (opt == 'h')
			return print_usage(stdout, 0);
		code = parse_option(&d->opt, opt);
		if (code)
			return code;
	}
	if (optind < argc)
		return print_usage(stderr, TOOL_USAGE);
	code = begin(d);
	if (code)
		return code;
	run(d);
	return 0;
}
