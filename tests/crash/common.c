// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>

#include "crash.h"

noreturn void bad(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(2);
}

void *grow(void *array, u32 count, u32 *max, size_t size)
{
	if (count < *max)
		return array;
	*max = *max * 2 + 64;
	array = realloc(array, *max * size);
	if (!array)
		bad("no memory");
	return array;
}
