// SPDX-License-Identifier: GPL-2.0-only
/*
 * snapprot-hold - keep stores from being removed before their volumes at shutdown
 *
 * systemd's last program removes what is left of device-mapper, the youngest device
 * first, and knows nothing of stores. One that came late is younger than its live
 * volume, and nothing has it open; and a live volume that has the root on it cannot be
 * removed at all. To lose the store in use costs all snapshots, or blocks the volume.
 *
 * So this opens the stores of all volumes that are still loaded when the services are
 * down, and stays until the power goes. That program spares processes of root whose
 * name begins with @, which is meant for what the root file system needs.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../mapper.h"

#define HELD_NAME	"@snapprot-hold"

static void stay(void)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	for (;;)
		pause();
}

/* How many were opened; they are still open in the program that comes next. */
static int open_stores(const struct mapper_scan *scan)
{
	const struct mapper_dev *live, *store;
	char path[512];
	int count = 0;
	size_t i;

	for (i = 0; i < scan->count; i++) {
		live = &scan->devs[i];
		if (live->kind != MAPPER_LIVE)
			continue;
		store = mapper_find(scan, MAPPER_STORE, live->volume, 0);
		if (!store || mapper_path(store->name, path, sizeof(path)))
			continue;
		if (open(path, O_RDONLY | O_NONBLOCK) < 0)
			fprintf(stderr, "snapprot-hold: %s: %s\n", path,
				strerror(errno));
		else
			count++;
	}
	return count;
}

int main(int argc, char **argv)
{
	struct mapper_scan scan;
	int err, count;
	char *self;

	if (argc && !strcmp(argv[0], HELD_NAME))
		stay();
	if (access("/sys/class/misc/device-mapper", F_OK))
		return 0;
	self = argv[0];
	err = mapper_scan(&scan);
	count = open_stores(&scan);
	mapper_scan_free(&scan);
	if (err) {
		fprintf(stderr, "snapprot-hold: device-mapper: %s\n",
			strerror(-err));
		return 1;
	}
	if (!count)
		return 0;
	switch (fork()) {
	case -1:
		fprintf(stderr, "snapprot-hold: %s\n", strerror(errno));
		return 1;
	case 0:
		if (chdir("/"))
			return 1;
		setsid();
		execl(self, HELD_NAME, (char *)NULL);
		fprintf(stderr, "snapprot-hold: %s: %s\n", self,
			strerror(errno));
		_exit(1);
	}
	return 0;
}
