/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A small frame for host tests: KTAP on standard output, random numbers that
 * can be had again.
 */
#ifndef UNIT_H
#define UNIT_H

#include <stdio.h>
#include <stdnoreturn.h>

#include "internal.h"

struct unit_test {
	const char *name;
	void (*fn)(void);
};

#define UNIT_TEST(fn)	{ #fn, fn }

/* Run tests; the exit code of the program. A seed may be the first argument,
 * the number of rounds the second one; SEED and ROUNDS of the environment
 * count if they are not there.
 */
int unit_main(int argc, char **argv, const struct unit_test *tests, u32 count);

#define UNIT_MAIN(tests)						\
int main(int argc, char **argv)						\
{									\
	exit(unit_main(argc, argv, tests, ARRAY_SIZE(tests)));		\
}

/* End the test that is running, as failed. */
noreturn void unit_fail(const char *file, int line, const char *format, ...);

static inline void unit_check(bool good, const char *file, int line,
			      const char *what)
{
	if (!good)
		unit_fail(file, line, "%s", what);
}

void unit_check_equal(long long a, long long b, const char *file, int line,
		      const char *what);

#define CHECK(cond)	unit_check(cond, __FILE__, __LINE__, #cond)
/* Two numbers are the same. */
#define CHECK_EQ(a, b)	\
	unit_check_equal(a, b, __FILE__, __LINE__, #a " is not " #b)

/* Does @fn come to its end? If not, @line says where it failed. */
bool unit_survives(void (*fn)(void *ctx), void *ctx, int *line);

/* How many rounds a property test is to make, if nothing else is said. */
u32 unit_rounds(u32 usual);

void unit_seed(u64 seed);
u64 unit_seed_get(void);
/* Go on with the random numbers of stream @n of the seed that there is. */
void unit_stream(u64 n);
u64 unit_random(void);
/* A number below @n. */
u64 unit_below(u64 n);
/* True once in @n times. */
static inline bool unit_once_in(u32 n)
{
	return !unit_below(n);
}

#endif
