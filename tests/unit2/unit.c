// SPDX-License-Identifier: GPL-2.0-only
#include <sys/time.h>
#include <setjmp.h>
#include <stdarg.h>
#include <time.h>
#include <unistd.h>

#include "unit.h"

static jmp_buf back;
static u64 state;
static u64 seed_now;
static int failed_line;
static u32 rounds;

void unit_seed(u64 seed)
{
	seed_now = seed;
	state = seed * 0x9e3779b97f4a7c15ull + 0x1234567;
}

void unit_stream(u64 n)
{
	unit_seed(seed_now);
	state += n * 0xd1342543de82ef95ull;
	state = unit_random();
}

u64 unit_seed_get(void)
{
	return seed_now;
}

/* splitmix64: good enough, and every seed is a good one. */
u64 unit_random(void)
{
	u64 z = (state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

u64 unit_below(u64 n)
{
	return unit_random() % n;
}

u32 unit_rounds(u32 usual)
{
	return rounds ? rounds : usual;
}

void unit_fail(const char *file, int line, const char *format, ...)
{
	va_list args;

	printf("# %s:%d: ", file, line);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf(" (seed %llu)\n", (unsigned long long)seed_now);
	fflush(stdout);
	failed_line = line;
	longjmp(back, 1);
}

void unit_check_equal(long long a, long long b, const char *file, int line,
		      const char *what)
{
	if (a == b)
		return;
	printf("# %lld and %lld:\n", a, b);
	unit_fail(file, line, "%s", what);
}

/* A number from the command line or else from the environment. */
static u64 parameter(int argc, char **argv, int n, const char *name, u64 usual)
{
	const char *text = argc > n ? argv[n] : getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : usual;
}

/* A function of its own, so that no variable lives across the jump. */
static bool run(const struct unit_test *test)
{
	if (setjmp(back))
		return false;
	test->fn();
	return true;
}

/* Not of the clock: the machine may have other things to do. */
void unit_cpu_limit(u32 seconds)
{
	struct itimerval limit = { .it_value.tv_sec = seconds };

	CHECK(!setitimer(ITIMER_PROF, &limit, NULL));
}

bool unit_survives(void (*fn)(void *ctx), void *ctx, int *line)
{
	jmp_buf outer;
	bool good = true;

	memcpy(&outer, &back, sizeof(back));
	if (setjmp(back))
		good = false;
	else
		fn(ctx);
	memcpy(&back, &outer, sizeof(back));
	if (!good)
		*line = failed_line;
	return good;
}

int unit_main(int argc, char **argv, const struct unit_test *tests, u32 count)
{
	u64 seed = parameter(argc, argv, 1, "SEED", time(NULL));
	int status = 0;
	u32 i;

	rounds = parameter(argc, argv, 2, "ROUNDS", 0);
	printf("KTAP version 1\n1..%u\n# seed %llu\n", count,
	       (unsigned long long)seed);
	for (i = 0; i < count; i++) {
		unit_seed(seed);
		fflush(stdout);
		if (run(&tests[i])) {
			printf("ok %u %s\n", i + 1, tests[i].name);
		} else {
			printf("not ok %u %s\n", i + 1, tests[i].name);
			status = 1;
		}
	}
	/* What a failed test has left behind is no leak worth a word. */
	if (status) {
		fflush(stdout);
		_exit(1);
	}
	return 0;
}
