// SPDX-License-Identifier: GPL-2.0-only
/*
 * A bar for what takes long, on a terminal only.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "progress.h"

#define WIDTH	50

void progress_show(uint64_t done, uint64_t total)
{
	static int shown = -1;
	char bar[WIDTH + 1];
	int percent = total ? (int)(done * 100 / total) : 100;

	if (percent == shown || !isatty(STDERR_FILENO))
		return;
	shown = percent;
	if (percent >= 100) {
		fprintf(stderr, "\r%*s\r", WIDTH + 8, "");
		shown = -1;
	} else {
		memset(bar, '.', WIDTH);
		memset(bar, '#', (size_t)(percent * WIDTH / 100));
		bar[WIDTH] = '\0';
		fprintf(stderr, "\r[%s] %3d %%", bar, percent);
	}
	fflush(stderr);
}
