// SPDX-License-Identifier: GPL-2.0-only
/*
 * hammer - many writers on the same blocks
 *
 *   hammer [-t THREADS] [-s SEED] DEV    until SIGTERM: writes of any size, discards,
 *                                       zeroes, flushes, writes with FUA, reads
 *   hammer check FILE                   does each sector hold what a hammer, or
 *                                       nobody, has written there, and all of it?
 *
 * An I/O error is counted and no more, as the device may be made to fail. But what was
 * written to a sector that only one thread writes to has to be read there, as soon as the
 * write has succeeded and until the next one. These sectors are few, at the device's
 * start, and several threads have theirs in one block. Exit code: 0 right, 1 an I/O
 * error in check, 2 usage, 3 contents are wrong.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include <linux/fs.h>

#include "blkpat.h"

#define SECTOR		512u
#define WORDS		(SECTOR / 8)
#define LARGEST		512u		/* sectors of a write */
#define OWN		5u		/* sectors of a thread alone */
#define MAX_THREADS	32u
#define PAUSE_MS	8		/* less than, and not after each operation */
#define ERROR_PAUSE_MS	3		/* not to do nothing but fail */

enum { EXIT_RIGHT, EXIT_IO, EXIT_USAGE, EXIT_WRONG };
enum { WRITE, FUA, DISCARD, ZERO, FLUSH, READ, OWNED, ERRORS, COUNTS };

static const char *const names[] = {
	"writes", "FUA", "discards", "zeroes", "flushes", "reads", "owned",
	"errors",
};

static struct {
	int fd;
	uint64_t sectors;
	unsigned int threads;
	uint64_t seed;
} dev;

static atomic_ulong count[COUNTS];
static atomic_bool stop;
static atomic_bool wrong;

struct worker {
	pthread_t thread;
	unsigned int nr;
	uint64_t random;
	char *buf;
	/* What the sectors of its own hold: a salt, 0 if that is not known. */
	uint64_t own[OWN];
};

/* ---- contents --------------------------------------------------------------- */

/* A sector's contents say where it belongs, and each word who wrote it. */
static void fill(void *buf, uint64_t sector, uint64_t salt)
{
	uint64_t *word = buf;
	unsigned int i;

	word[0] = salt;
	for (i = 1; i < WORDS; i++)
		word[i] = blkpat_mix(salt ^ (sector * WORDS + i));
}

static bool is_filled(const void *buf, uint64_t sector, uint64_t salt)
{
	uint64_t want[WORDS];

	fill(want, sector, salt);
	return !memcmp(buf, want, SECTOR);
}

static bool is_zero(const void *buf)
{
	static const char zeroes[SECTOR];

	return !memcmp(buf, zeroes, SECTOR);
}

static void fill_many(struct worker *w, uint64_t first, unsigned int n,
		      uint64_t salt)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		fill(w->buf + i * SECTOR, first + i, salt);
}

/* ---- operations ------------------------------------------------------------- */

static uint64_t below(struct worker *w, uint64_t n)
{
	w->random = blkpat_mix(w->random);
	return (w->random >> 16) % n;
}

static void pause_ms(unsigned int ms)
{
	const struct timespec pause = { .tv_nsec = ms * 1000000L };

	nanosleep(&pause, NULL);
}

static void failed(void)
{
	count[ERRORS]++;
	pause_ms(ERROR_PAUSE_MS);
}

static bool write_sectors(struct worker *w, uint64_t first, unsigned int n,
			  int flags)
{
	struct iovec v = { .iov_base = w->buf, .iov_len = n * SECTOR };

	return pwritev2(dev.fd, &v, 1, first * SECTOR, flags) ==
	       (ssize_t)v.iov_len;
}

static void op_shared(struct worker *w, unsigned int what)
{
	uint64_t start = dev.threads * OWN, end = dev.sectors;
	unsigned int n = 1 + below(w, below(w, 12) ? 24 : LARGEST);
	uint64_t range[2], first;
	bool ok;

	/* Most of them where the others write as well. */
	if (below(w, 4))
		end = start + 2 * LARGEST;
	first = start + below(w, end - start - n);
	range[0] = first * SECTOR;
	range[1] = (uint64_t)n * SECTOR;
	switch (what) {
	case DISCARD:
		/* A device that has none says so, which is no error here. */
		ok = !ioctl(dev.fd, BLKDISCARD, range) || errno == EOPNOTSUPP;
		break;
	case ZERO:
		ok = !ioctl(dev.fd, BLKZEROOUT, range);
		break;
	case READ:
		ok = pread(dev.fd, w->buf, n * SECTOR, first * SECTOR) ==
		     (ssize_t)(n * SECTOR);
		break;
	default:
		fill_many(w, first, n, blkpat_mix(w->random) | 1);
		ok = write_sectors(w, first, n, what == FUA ? RWF_DSYNC : 0);
	}
	if (ok)
		count[what]++;
	else
		failed();
}

static void op_flush(void)
{
	if (fsync(dev.fd))
		failed();
	else
		count[FLUSH]++;
}

/* Look at what it should be, or make it something. */
static void op_owned(struct worker *w)
{
	unsigned int i = below(w, OWN);
	uint64_t sector = w->nr * OWN + i;

	if (w->own[i] && below(w, 2)) {
		if (pread(dev.fd, w->buf, SECTOR, sector * SECTOR) != SECTOR) {
			failed();
			return;
		}
		if (is_filled(w->buf, sector, w->own[i])) {
			count[OWNED]++;
			return;
		}
		printf("# hammer: sector %ju: not what was written\n",
		       (uintmax_t)sector);
		wrong = true;
		stop = true;
		return;
	}
	w->own[i] = 0;
	w->random = blkpat_mix(w->random);
	fill(w->buf, sector, w->random | 1);
	if (write_sectors(w, sector, 1, 0))
		w->own[i] = w->random | 1;
	else
		failed();
}

static void *work(void *arg)
{
	/* Of 16: */
	static const unsigned char what[] = {
		WRITE, WRITE, WRITE, WRITE, WRITE, WRITE, FUA, FUA, DISCARD,
		ZERO, FLUSH, READ, OWNED, OWNED, OWNED, OWNED,
	};
	struct worker *w = arg;
	unsigned int op;

	while (!stop) {
		op = what[below(w, sizeof(what))];
		if (op == FLUSH)
			op_flush();
		else if (op == OWNED)
			op_owned(w);
		else
			op_shared(w, op);
		/* Others are to get a turn, on a machine of one processor too. */
		if (below(w, 2))
			pause_ms(1 + below(w, PAUSE_MS));
	}
	return NULL;
}

/* ---- running ------------------------------------------------------------------ */

static void on_term(int sig)
{
	(void)sig;
	stop = true;
}

static int start(struct worker *w, unsigned int nr)
{
	w->nr = nr;
	w->random = blkpat_mix(dev.seed * MAX_THREADS + nr);
	return posix_memalign((void **)&w->buf, 4096, LARGEST * SECTOR) ||
	       pthread_create(&w->thread, NULL, work, w);
}

static int run(const char *name)
{
	static struct worker workers[MAX_THREADS];
	struct sigaction act = { .sa_handler = on_term };
	uint64_t bytes;
	unsigned int i;

	dev.fd = open(name, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (dev.fd < 0 || ioctl(dev.fd, BLKGETSIZE64, &bytes)) {
		fprintf(stderr, "hammer: %s: %s\n", name, strerror(errno));
		return EXIT_USAGE;
	}
	dev.sectors = bytes / SECTOR;
	if (dev.sectors < dev.threads * OWN + 3 * LARGEST) {
		fprintf(stderr, "hammer: %s is too small\n", name);
		return EXIT_USAGE;
	}
	sigaction(SIGTERM, &act, NULL);
	for (i = 0; i < dev.threads; i++)
		if (start(&workers[i], i))
			exit(EXIT_USAGE);
	for (i = 0; i < dev.threads; i++)
		pthread_join(workers[i].thread, NULL);
	printf("#");
	for (i = 0; i < COUNTS; i++)
		printf(" %lu %s%s", (unsigned long)count[i], names[i],
		       i + 1 < COUNTS ? "," : "\n");
	return wrong ? EXIT_WRONG : EXIT_RIGHT;
}

static int check(const char *name)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	uint64_t sector, buf[WORDS];
	ssize_t n = 0;

	for (sector = 0; fd >= 0; sector++) {
		n = read(fd, buf, SECTOR);
		if (n != SECTOR)
			break;
		if (is_zero(buf) || is_filled(buf, sector, buf[0]))
			continue;
		printf("# %s: sector %ju: nobody has written that\n", name,
		       (uintmax_t)sector);
		return EXIT_WRONG;
	}
	if (fd < 0 || n) {
		fprintf(stderr, "hammer: %s: %s\n", name, strerror(errno));
		return EXIT_IO;
	}
	return EXIT_RIGHT;
}

int main(int argc, char **argv)
{
	int c;

	if (argc == 3 && !strcmp(argv[1], "check"))
		return check(argv[2]);
	dev.threads = 4;
	while ((c = getopt(argc, argv, "t:s:")) != -1) {
		if (c == 't')
			dev.threads = strtoul(optarg, NULL, 0);
		else if (c == 's')
			dev.seed = strtoull(optarg, NULL, 0);
		else
			return EXIT_USAGE;
	}
	if (argc - optind != 1 || !dev.threads || dev.threads > MAX_THREADS) {
		fputs("usage: hammer [-t THREADS] [-s SEED] DEV | check FILE\n",
		      stderr);
		return EXIT_USAGE;
	}
	return run(argv[optind]);
}
