// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "property.h"

#define MAX_COUNTS	16
/* Runs that share a process: what it leaks is looked for when it ends. */
#define RUNS_A_CHILD	16u
/* A run takes far less than a second. */
#define RUN_SECONDS	60u
/* To make a run short is worth this long. */
#define SHRINK_SECONDS	60

/* What a child tells. */
struct shared {
	u64 ops;
	u64 counts[MAX_COUNTS];
	u64 seed;		/* of the run */
	u32 at;			/* operation, or how many there are: the end */
	int line;		/* where it failed; 0 it did not come back */
};

/* Runs to be made: those of the seeds [seed, seed + runs), and of each run */
struct plan {
	const struct property *p;
	u64 seed;
	u32 runs;
	const u32 *keep;	/* only these operations */
	u32 nr_keep;
};

static struct shared *shared;
static bool loud;

void property_say(const char *format, ...)
{
	va_list args;

	if (!loud)
		return;
	printf("# %5u ", shared->at);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

void property_count(u32 what)
{
	shared->counts[what]++;
}

/* ---- making runs ------------------------------------------------------- */

static void run(const struct plan *plan)
{
	void *ctx;
	u32 i;

	alarm(plan->p->seconds ? plan->p->seconds : RUN_SECONDS);
	shared->at = 0;
	unit_stream(0);
	ctx = plan->p->start();
	for (i = 0; i < plan->nr_keep; i++) {
		shared->at = plan->keep[i];
		unit_stream(shared->at + 1);
		plan->p->op(ctx);
		shared->ops++;
	}
	shared->at = ~0u;
	unit_stream(shared->at);
	plan->p->end(ctx);
	alarm(0);
}

static void run_all(void *ctx)
{
	const struct plan *plan = ctx;
	u32 i;

	for (i = 0; i < plan->runs; i++) {
		unit_seed(plan->seed + i);
		shared->seed = plan->seed + i;
		run(plan);
	}
}

static void quiet(void)
{
	if (!freopen("/dev/null", "w", stdout) ||
	    !freopen("/dev/null", "w", stderr))
		_exit(2);
}

/* Do they all come to a good end, in a process of their own? */
static bool try_plan(struct plan *plan, bool show)
{
	int status;
	pid_t pid;

	fflush(stdout);
	shared->line = 0;
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		int line;

		loud = show;
		if (!show)
			quiet();
		if (!unit_survives(run_all, plan, &line)) {
			shared->line = line;
			fflush(stdout);
			_exit(1);
		}
		/* Leaks are reported on the way out. */
		exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

/* ---- making a run short ------------------------------------------------ */

struct shrink {
	const struct property *p;
	u64 seed;
	int line;
	u32 *keep;
	u32 nr_keep;
	time_t until;
};

/* Does it still fail, in the same way, with these operations only? */
static bool still_fails(struct shrink *s, const u32 *keep, u32 nr_keep)
{
	struct plan plan = {
		.p = s->p, .seed = s->seed, .runs = 1,
		.keep = keep, .nr_keep = nr_keep,
	};

	return !try_plan(&plan, false) && shared->line == s->line;
}

/* Leave out what can be left out, in pieces of @size. */
static bool shrink_by(struct shrink *s, u32 size)
{
	u32 *rest = malloc((s->nr_keep + 1) * sizeof(*rest));
	bool shorter = false;
	u32 from = 0;

	while (from < s->nr_keep && time(NULL) < s->until) {
		u32 cut = snapprot_min(size, s->nr_keep - from);
		u32 nr = s->nr_keep - cut;

		memcpy(rest, s->keep, from * sizeof(*rest));
		memcpy(rest + from, s->keep + from + cut,
		       (nr - from) * sizeof(*rest));
		if (still_fails(s, rest, nr)) {
			memcpy(s->keep, rest, nr * sizeof(*rest));
			s->nr_keep = nr;
			shorter = true;
		} else {
			from += cut;
		}
	}
	free(rest);
	return shorter;
}

static void shrink(struct shrink *s)
{
	u32 size = s->nr_keep / 2;

	s->until = time(NULL) + SHRINK_SECONDS;
	while (size && time(NULL) < s->until)
		if (!shrink_by(s, size) || size > 1)
			size /= 2;
}

static void show(const struct shrink *s)
{
	struct plan plan = {
		.p = s->p, .seed = s->seed, .runs = 1,
		.keep = s->keep, .nr_keep = s->nr_keep,
	};
	u32 i;

	printf("# %u operations are enough; again with\n#   SEED=%llu OPS=",
	       s->nr_keep, (unsigned long long)s->seed);
	for (i = 0; i < s->nr_keep; i++)
		printf("%s%u", i ? "," : "", s->keep[i]);
	puts(s->nr_keep ? "" : "none");
	try_plan(&plan, true);
}

/* ---- all of it --------------------------------------------------------- */

/* Operations that the environment asks for, or none. */
static bool wanted(const struct property *p, u32 *keep, u32 max)
{
	char *text = getenv("OPS");
	struct plan plan = { .p = p, .seed = unit_seed_get(), .runs = 1,
			     .keep = keep };
	int line = 0;

	if (!text || !*text)
		return false;
	while (*text >= '0' && *text <= '9' && plan.nr_keep < max) {
		keep[plan.nr_keep++] = strtoul(text, &text, 10);
		text += *text == ',';
	}
	/* In this process, for the debugger's sake. */
	loud = true;
	if (!unit_survives(run_all, &plan, &line))
		unit_fail(__FILE__, line, "as asked for");
	return true;
}

static void report(const struct property *p, u32 runs)
{
	u32 i;

	printf("# %s: %u runs, %llu operations", p->name, runs,
	       (unsigned long long)shared->ops);
	for (i = 0; p->counts && p->counts[i]; i++)
		printf(", %llu %s", (unsigned long long)shared->counts[i],
		       p->counts[i]);
	putchar('\n');
}

static void fail(const struct property *p, u32 *keep, u32 ops)
{
	struct shrink s = {
		.p = p, .seed = shared->seed, .line = shared->line,
		.keep = keep, .nr_keep = ops,
	};
	u32 at = shared->at;

	/* What comes after the failure cannot have caused it. */
	if (at < ops)
		s.nr_keep = at + 1;
	printf("# run of seed %llu failed at operation %u of %u\n",
	       (unsigned long long)s.seed, at < ops ? at : ops, ops);
	shrink(&s);
	show(&s);
	unit_seed(s.seed);
	unit_fail(__FILE__, s.line, "%s", p->name);
}

void property_check(const struct property *p, u32 runs, u32 ops)
{
	u32 *keep = malloc(ops * sizeof(*keep));
	struct plan plan = { .p = p, .seed = unit_seed_get(),
			     .keep = keep, .nr_keep = ops };
	u64 seed = plan.seed;
	u32 done, i;

	if (!shared) {
		shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		CHECK(shared != MAP_FAILED);
	}
	memset(shared, 0, sizeof(*shared));
	if (wanted(p, keep, ops)) {
		free(keep);
		return;
	}
	for (i = 0; i < ops; i++)
		keep[i] = i;
	for (done = 0; done < runs; done += plan.runs) {
		plan.seed = seed + done;
		plan.runs = snapprot_min(runs - done, RUNS_A_CHILD);
		if (!try_plan(&plan, false))
			fail(p, keep, ops);
	}
	report(p, runs);
	free(keep);
}
