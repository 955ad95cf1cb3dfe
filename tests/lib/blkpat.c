// SPDX-License-Identifier: GPL-2.0-only
/*
 * blkpat - seeded patterns on block devices and files
 *
 *   blkpat [options] fill DEV SEED              write the pattern of SEED
 *   blkpat [options] verify DEV SEED            is it (still) there?
 *   blkpat [options] write DEV SEED COUNT MAXSIZE [SHADOW]
 *                                               COUNT writes of 512 ... MAXSIZE
 *                                               bytes at places and with
 *                                               contents that SEED decides; each
 *                                               that succeeded is done to SHADOW
 *                                               as well
 *   blkpat [options] sum DEV                    checksum
 *   blkpat [options] cmp DEV FILE               same contents?
 *   blkpat [options] copy DEV FILE              make FILE's contents the same
 *   blkpat zero DEV...                          zero all of each
 *   blkpat patch FILE CHANGES                   CHANGES are blocks of 4 KiB, each
 *                                               with its number (64 bits) before
 *   blkpat mark DEV WORDS                       a block with WORDS
 *
 *   -s SECTORS   start there (fill, verify, write, sum, cmp, copy, mark)
 *   -l SECTORS   so many of them; otherwise up to the end of DEV
 *   -a BYTES     write: places and sizes are multiples of this (the device's
 *                logical block size unless given)
 *   -f N         write: fsync after each N writes
 *   -u           write: and none at the end
 *   -b           buffered, not O_DIRECT
 *   -o SECTORS   buffers begin so far behind the start of a page
 *
 * DEV is opened with O_DIRECT (where it can be), FILE and SHADOW are not. Exit
 * code: 0 done or the same, 1 an I/O error, 2 usage, 3 contents differ.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/fs.h>
#include <linux/types.h>

#include "blkpat.h"

typedef __u32 u32;
typedef __u64 u64;

#define SECTOR		512u
#define CHUNK		(1024u * 1024u)	/* of sequential I/O */
#define MAX_WRITE	(4 * CHUNK)
#define REPORT_BLOCK	4096u		/* unit in which differences are told */

enum { EXIT_DONE = 0, EXIT_IO = 1, EXIT_USAGE = 2, EXIT_DIFFERENT = 3 };

static struct {
	u64 start;			/* bytes */
	u64 length;		/* bytes, 0: to the end */
	u32 align;
	u32 fsync_every;
	bool unflushed;
	bool buffered;
	u32 offset;		/* of buffers */
} opt;

struct file {
	const char *name;
	int fd;
	u64 size;
	u32 block;			/* smallest unit of I/O */
};

static void complain(const struct file *f, const char *what, u64 offset)
{
	fprintf(stderr, "blkpat: %s: %s at sector %ju: %s\n", f->name,
		what, (uintmax_t)(offset / SECTOR), strerror(errno));
}

/* ---- pseudo-random numbers ------------------------------------------------ */

static u64 next_random(u64 *state)
{
	return *state = blkpat_mix(*state);
}

/*
 * The contents of each sector depend on the seed, on where it is and on the
 * offset in it, so that a sector that is misplaced or torn is noticed.
 */
static void pattern(void *buf, u32 bytes, u64 seed, u64 offset)
{
	u64 *word = buf;
	u32 i;

	for (i = 0; i < bytes / 8; i++)
		word[i] = blkpat_mix(seed * 0xd6e8feb86659fd93ull + offset / 8 + i);
}

/* ---- files ---------------------------------------------------------------- */

static int open_file(struct file *f, const char *name, int flags, bool direct)
{
	struct stat st;

	f->name = name;
	f->block = SECTOR;
	f->fd = -1;
	if (direct)
		f->fd = open(name, flags | O_DIRECT | O_CLOEXEC, 0666);
	if (f->fd < 0 && (!direct || errno == EINVAL))
		f->fd = open(name, flags | O_CLOEXEC, 0666);
	if (f->fd < 0 || fstat(f->fd, &st)) {
		fprintf(stderr, "blkpat: %s: %s\n", name, strerror(errno));
		return -1;
	}
	f->size = st.st_size;
	if (S_ISBLK(st.st_mode)) {
		if (ioctl(f->fd, BLKGETSIZE64, &f->size) ||
		    ioctl(f->fd, BLKSSZGET, &f->block)) {
			fprintf(stderr, "blkpat: %s: %s\n", name,
				strerror(errno));
			return -1;
		}
	}
	return 0;
}

static int read_all(const struct file *f, void *buf, size_t bytes, u64 at)
{
	char *p = buf;
	ssize_t n;

	while (bytes) {
		n = pread(f->fd, p, bytes, at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = ENODATA;
		if (n <= 0) {
			complain(f, "read", at);
			return -1;
		}
		p += n;
		at += n;
		bytes -= n;
	}
	return 0;
}

static int write_all(const struct file *f, const void *buf, size_t bytes,
		     u64 at)
{
	const char *p = buf;
	ssize_t n;

	while (bytes) {
		n = pwrite(f->fd, p, bytes, at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			complain(f, "write", at);
			return -1;
		}
		p += n;
		at += n;
		bytes -= n;
	}
	return 0;
}

static int sync_file(const struct file *f)
{
	if (!fsync(f->fd))
		return 0;
	complain(f, "fsync", 0);
	return -1;
}

static void *buffer(size_t bytes)
{
	char *p;

	if (posix_memalign((void **)&p, 4096, bytes + opt.offset)) {
		fputs("blkpat: no memory\n", stderr);
		exit(EXIT_IO);
	}
	return p + opt.offset;
}

/* The part of @f that the options ask for. */
static int range(const struct file *f, u64 *start, u64 *end)
{
	*start = opt.start;
	*end = opt.length ? opt.start + opt.length : f->size;
	*end -= (*end - *start) % f->block;
	if (*start < *end && *end <= f->size)
		return 0;
	fprintf(stderr, "blkpat: %s: has %ju sectors\n", f->name,
		(uintmax_t)(f->size / SECTOR));
	return -1;
}

static u32 chunk(u64 at, u64 end)
{
	return end - at < CHUNK ? end - at : CHUNK;
}

/* ---- what it does --------------------------------------------------------- */

static int do_fill(struct file *f, u64 seed)
{
	u64 at, end;
	void *buf = buffer(CHUNK);
	u32 n;

	if (range(f, &at, &end))
		return EXIT_USAGE;
	for (; at < end; at += n) {
		n = chunk(at, end);
		pattern(buf, n, seed, at);
		if (write_all(f, buf, n, at))
			return EXIT_IO;
	}
	return sync_file(f) ? EXIT_IO : EXIT_DONE;
}

/* Tells where @a and @b differ; counts blocks. */
static u64 differences(const char *name, const char *a, const char *b,
		       u32 bytes, u64 at, u64 before)
{
	u64 count = 0;
	u32 i, n;

	for (i = 0; i < bytes; i += n) {
		n = bytes - i < REPORT_BLOCK ? bytes - i : REPORT_BLOCK;
		if (!memcmp(a + i, b + i, n))
			continue;
		if (before + count < 8)
			printf("# %s: differs in the 4 KiB at sector %ju\n",
			       name, (uintmax_t)((at + i) / SECTOR));
		count++;
	}
	return count;
}

static int tell_differences(const char *name, u64 count)
{
	if (!count)
		return EXIT_DONE;
	printf("# %s: %ju blocks of 4 KiB differ\n", name, (uintmax_t)count);
	return EXIT_DIFFERENT;
}

static int do_verify(struct file *f, u64 seed)
{
	u64 at, end, count = 0;
	void *got = buffer(CHUNK);
	void *want = buffer(CHUNK);
	u32 n;

	if (range(f, &at, &end))
		return EXIT_USAGE;
	for (; at < end; at += n) {
		n = chunk(at, end);
		if (read_all(f, got, n, at))
			return EXIT_IO;
		pattern(want, n, seed, at);
		count += differences(f->name, got, want, n, at, count);
	}
	return tell_differences(f->name, count);
}

static int do_cmp(struct file *f, struct file *other)
{
	u64 at, end, count = 0;
	void *got = buffer(CHUNK);
	void *want = buffer(CHUNK);
	u32 n;

	if (range(f, &at, &end))
		return EXIT_USAGE;
	if (end > other->size) {
		printf("# %s is shorter than %s\n", other->name, f->name);
		return EXIT_DIFFERENT;
	}
	for (; at < end; at += n) {
		n = chunk(at, end);
		if (read_all(f, got, n, at) || read_all(other, want, n, at))
			return EXIT_IO;
		count += differences(f->name, got, want, n, at, count);
	}
	return tell_differences(f->name, count);
}

static int do_copy(struct file *f, struct file *other)
{
	u64 at, end;
	void *buf = buffer(CHUNK);
	u32 n;

	if (range(f, &at, &end))
		return EXIT_USAGE;
	for (; at < end; at += n) {
		n = chunk(at, end);
		if (read_all(f, buf, n, at) || write_all(other, buf, n, at))
			return EXIT_IO;
	}
	return sync_file(other) ? EXIT_IO : EXIT_DONE;
}

static int do_sum(struct file *f)
{
	u64 at, end, sum = 0;
	void *buf = buffer(CHUNK);
	u32 n;

	if (range(f, &at, &end))
		return EXIT_USAGE;
	for (; at < end; at += n) {
		n = chunk(at, end);
		if (read_all(f, buf, n, at))
			return EXIT_IO;
		sum = blkpat_sum(sum, buf, n);
	}
	printf("%016jx\n", (uintmax_t)sum);
	return EXIT_DONE;
}

/* The device's own way of zeroing, which is quick where the host has one. */
static int do_zero(int argc, char **argv)
{
	struct file f;
	u64 all[2];
	int i;

	for (i = 0; i < argc; i++) {
		if (open_file(&f, argv[i], O_RDWR, true))
			return EXIT_IO;
		all[0] = 0;
		all[1] = f.size;
		if (ioctl(f.fd, BLKZEROOUT, all)) {
			complain(&f, "zero", 0);
			return EXIT_IO;
		}
		close(f.fd);
	}
	return EXIT_DONE;
}

static int do_patch(struct file *f, struct file *changes)
{
	const u32 bytes = sizeof(u64) + REPORT_BLOCK;
	char *block = (char *)buffer(2 * REPORT_BLOCK) + REPORT_BLOCK;
	u64 *number = (u64 *)block - 1;
	u64 at;

	for (at = 0; at < changes->size; at += bytes) {
		if (read_all(changes, number, bytes, at) ||
		    write_all(f, block, REPORT_BLOCK, *number * REPORT_BLOCK))
			return EXIT_IO;
	}
	return EXIT_DONE;
}

/* Nothing is flushed: that would be another thing to be seen in a log. */
static int do_mark(struct file *f, const char *words)
{
	char *buf = buffer(REPORT_BLOCK);

	memset(buf, 0, REPORT_BLOCK);
	snprintf(buf, REPORT_BLOCK, "%s%s\n", BLKPAT_MARK, words);
	return write_all(f, buf, REPORT_BLOCK, opt.start) ? EXIT_IO : EXIT_DONE;
}

static int do_write(struct file *f, u64 seed, u32 count,
		    u32 max, struct file *shadow)
{
	u32 align = opt.align ? opt.align : f->block;
	u64 state = blkpat_mix(seed);
	u64 start, end, at, units;
	void *buf = buffer(MAX_WRITE);
	u32 i, n;

	if (range(f, &start, &end))
		return EXIT_USAGE;
	units = (end - start) / align;
	if (max < align || max > MAX_WRITE || max / align > units) {
		fprintf(stderr, "blkpat: no size of up to %u can be written\n",
			max);
		return EXIT_USAGE;
	}
	for (i = 0; i < count; i++) {
		n = (1 + next_random(&state) % (max / align)) * align;
		at = start + next_random(&state) % (units - n / align + 1) *
		     align;
		pattern(buf, n, next_random(&state), at);
		if (write_all(f, buf, n, at))
			return EXIT_IO;
		if (shadow && write_all(shadow, buf, n, at))
			return EXIT_IO;
		if (opt.fsync_every && (i + 1) % opt.fsync_every == 0 &&
		    sync_file(f))
			return EXIT_IO;
	}
	return !opt.unflushed && sync_file(f) ? EXIT_IO : EXIT_DONE;
}

/* ---- arguments ------------------------------------------------------------ */

static int print_usage(void)
{
	fputs("usage: blkpat [-s SECTORS] [-l SECTORS] [-a BYTES] [-f N] [-u] [-b] OP\n"
	      "  fill DEV SEED | verify DEV SEED | sum DEV\n"
	      "  write DEV SEED COUNT MAXSIZE [SHADOW]\n"
	      "  cmp DEV FILE | copy DEV FILE | zero DEV... |\n"
	      "  patch FILE CHANGES | mark DEV WORDS\n", stderr);
	return EXIT_USAGE;
}

static u64 to_number(const char *s)
{
	char *end;
	u64 n;

	errno = 0;
	n = strtoull(s, &end, 0);
	switch (*end) {
	case 'K': case 'k':
		n <<= 10;
		end++;
		break;
	case 'M':
		n <<= 20;
		end++;
		break;
	}
	if (errno || end == s || *end) {
		fprintf(stderr, "blkpat: not a number: %s\n", s);
		exit(EXIT_USAGE);
	}
	return n;
}

static int parse_options(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "+s:l:a:f:ubo:")) != -1) {
		switch (c) {
		case 's':
			opt.start = to_number(optarg) * SECTOR;
			break;
		case 'l':
			opt.length = to_number(optarg) * SECTOR;
			break;
		case 'a':
			opt.align = to_number(optarg);
			if (!opt.align || opt.align % SECTOR)
				return -1;
			break;
		case 'f':
			opt.fsync_every = to_number(optarg);
			break;
		case 'u':
			opt.unflushed = true;
			break;
		case 'b':
			opt.buffered = true;
			break;
		case 'o':
			opt.offset = to_number(optarg) * SECTOR;
			break;
		default:
			return -1;
		}
	}
	return 0;
}

static int run_write(struct file *f, int argc, char **argv)
{
	struct file shadow;

	if (argc == 6 && open_file(&shadow, argv[5], O_RDWR | O_CREAT, false))
		return EXIT_IO;
	return do_write(f, to_number(argv[2]), to_number(argv[3]), to_number(argv[4]),
			argc == 6 ? &shadow : NULL);
}

static int run(int argc, char **argv)
{
	const char *op = argv[0];
	bool writes = !strcmp(op, "fill") || !strcmp(op, "write") ||
		      !strcmp(op, "patch") || !strcmp(op, "mark");
	struct file f, other;

	if (!strcmp(op, "zero"))
		return do_zero(argc - 1, argv + 1);
	if (open_file(&f, argv[1], writes ? O_RDWR : O_RDONLY, !opt.buffered))
		return EXIT_IO;
	if (!strcmp(op, "sum") && argc == 2)
		return do_sum(&f);
	if (!strcmp(op, "fill") && argc == 3)
		return do_fill(&f, to_number(argv[2]));
	if (!strcmp(op, "verify") && argc == 3)
		return do_verify(&f, to_number(argv[2]));
	if (!strcmp(op, "write") && (argc == 5 || argc == 6))
		return run_write(&f, argc, argv);
	if (!strcmp(op, "cmp") && argc == 3)
		return open_file(&other, argv[2], O_RDONLY, false) ?
		       EXIT_IO : do_cmp(&f, &other);
	if (!strcmp(op, "copy") && argc == 3)
		return open_file(&other, argv[2], O_RDWR | O_CREAT, false) ?
		       EXIT_IO : do_copy(&f, &other);
	if (!strcmp(op, "patch") && argc == 3)
		return open_file(&other, argv[2], O_RDONLY, false) ?
		       EXIT_IO : do_patch(&f, &other);
	if (!strcmp(op, "mark") && argc == 3)
		return do_mark(&f, argv[2]);
	return print_usage();
}

int main(int argc, char **argv)
{
	if (parse_options(argc, argv) || argc - optind < 2)
		return print_usage();
	return run(argc - optind, argv + optind);
}
