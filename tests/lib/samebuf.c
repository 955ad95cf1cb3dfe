// SPDX-License-Identifier: GPL-2.0-only
/*
 * samebuf DEVICE SECTOR BLOCKS - a read whose memory is not the reader's alone
 *
 * Reads blocks of 4 KiB past the page cache, all of them into the same page, while
 * a thread writes there as well. What is read is of no interest, but that it succeeds.
 */
#include <err.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define BLOCK	4096
#define BLOCKS	256

static char page[BLOCK] __attribute__((aligned(BLOCK)));
static volatile bool ended;

static void *scribble(void *unused)
{
	int n = 0;

	(void)unused;
	while (!ended)
		memset(page + BLOCK / 2, n++, 64);
	return NULL;
}

int main(int argc, char **argv)
{
	struct iovec iov[BLOCKS];
	pthread_t thread;
	int fd, i, count;
	ssize_t done;

	if (argc != 4)
		errx(2, "samebuf DEVICE SECTOR BLOCKS");
	count = atoi(argv[3]);
	if (count < 1 || count > BLOCKS)
		errx(2, "1 to %d blocks", BLOCKS);
	fd = open(argv[1], O_RDONLY | O_DIRECT);
	if (fd < 0)
		err(1, "%s", argv[1]);
	for (i = 0; i < count; i++)
		iov[i] = (struct iovec){ page, BLOCK };
	if (pthread_create(&thread, NULL, scribble, NULL))
		errx(1, "no thread");
	done = preadv(fd, iov, count, atoll(argv[2]) * 512);
	ended = true;
	pthread_join(thread, NULL);
	if (done < 0)
		err(1, "%s", argv[1]);
	if (done != (ssize_t)count * BLOCK)
		errx(1, "%s: %zd bytes", argv[1], done);
	return 0;
}
