// SPDX-License-Identifier: GPL-2.0-only
/*
 * A fuzzer's inputs once more, without the fuzzer: each file is a test.
 */
#include <stdlib.h>
#include <unistd.h>

#include "fuzz.h"

static void replay(const char *path)
{
	static u8 buffer[1 << 16];
	FILE *f = fopen(path, "re");
	size_t size = 0;
	u8 *input;

	if (!f)
		_exit(2);
	size = fread(buffer, 1, sizeof(buffer), f);
	fclose(f);
	/* Of its own, so that a read beyond the end is seen. */
	input = malloc(size ? size : 1);
	memcpy(input, buffer, size);
	LLVMFuzzerTestOneInput(input, size);
	free(input);
}

int main(int argc, char **argv)
{
	FILE *verdict = fdopen(dup(STDOUT_FILENO), "w");
	int i;

	/* The tools speak of what they find, and at length. */
	if (!verdict || !freopen("/dev/null", "w", stdout) ||
	    !freopen("/dev/null", "w", stderr))
		return 2;
	LLVMFuzzerInitialize(&argc, &argv);
	for (i = 1; i < argc; i++) {
		fprintf(verdict, "# %s\n", argv[i]);
		fflush(verdict);
		alarm(60);
		replay(argv[i]);
	}
	fprintf(verdict, "# %d inputs\n", argc - 1);
	fclose(verdict);
	return argc < 2;
}
