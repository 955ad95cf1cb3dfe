// SPDX-License-Identifier: GPL-2.0-only
/*
 * How far something is: a bar on a terminal, else lines, if they were asked for.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "progress.h"

#define WIDTH	50

static bool always;
static int shown = -1;

void progress_always(void)
{
	always = true;
}

static void show_bar(int percent)
{
	char bar[WIDTH + 1];

	memset(bar, '.', WIDTH);
	memset(bar, '#', (size_t)(percent * WIDTH / 100));
	bar[WIDTH] = '\0';
	fprintf(stderr, "\r[%s] %3d %%", bar, percent);
}

void progress_show(uint64_t done, uint64_t total)
{
	int percent = done < total ? (int)(done * 100 / total) : 100;
	bool terminal = isatty(STDERR_FILENO);

	if (percent == shown || (!terminal && !always))
		return;
	if (percent == 100) {
		progress_end();
		return;
	}
	shown = percent;
	if (terminal)
		show_bar(percent);
	else
		fprintf(stderr, "%d %%\n", percent);
	fflush(stderr);
}

/* The line is free for what is said next. */
void progress_end(void)
{
	if (shown < 0)
		return;
	shown = -1;
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r%*s\r", WIDTH + 8, "");
	else
		fputs("100 %\n", stderr);
	fflush(stderr);
}
