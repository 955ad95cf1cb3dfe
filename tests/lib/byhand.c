// SPDX-License-Identifier: GPL-2.0-only
/*
 * byhand ORIGIN STORE COUNT DEPTH [sync|stream]
 *
 * The I/O that a copy of old data cannot do without, and nothing else, to see
 * what the devices would allow: DEPTH random blocks of 4 KiB are read at once,
 * written to STORE in one piece with one block more, STORE is flushed, and the
 * blocks are written at once, until COUNT have been. With "sync" each DEPTH
 * blocks are followed by a flush of ORIGIN as well. With "stream" it is COUNT
 * times 1 MiB, one after the other: DEPTH of them are on their way at a time,
 * each of which is read, written to STORE durably with one block more, and
 * written, waiting for no other. Prints the time in us.
 */
#include <err.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define BLOCK		4096
#define MAX_DEPTH	256
#define AREA		32768	/* blocks of ORIGIN */
#define STREAM_BLOCKS	256
#define STREAM_DEPTH	16

static aio_context_t context;
static unsigned char *data;	/* MAX_DEPTH blocks and one */

static void all_at_once(int fd, int opcode, const uint64_t *block,
			unsigned int count)
{
	static struct iocb cb[MAX_DEPTH];
	static struct iocb *list[MAX_DEPTH];
	static struct io_event done[MAX_DEPTH];
	unsigned int i;

	for (i = 0; i < count; i++) {
		cb[i] = (struct iocb) {
			.aio_lio_opcode = opcode,
			.aio_fildes = fd,
			.aio_buf = (uintptr_t)data + (i + 1) * BLOCK,
			.aio_nbytes = BLOCK,
			.aio_offset = block[i] * BLOCK,
		};
		list[i] = &cb[i];
	}
	if (syscall(SYS_io_submit, context, count, list) != (long)count)
		err(1, "io_submit");
	if (syscall(SYS_io_getevents, context, count, count, done, NULL) !=
	    (long)count)
		err(1, "io_getevents");
	for (i = 0; i < count; i++)
		if (done[i].res != BLOCK)
			errx(1, "I/O: %lld", (long long)done[i].res);
}

enum step { READ, COPY, WRITE, DONE };

struct stream {
	struct iocb cb;
	enum step step;
	unsigned int place;	/* MiB */
	unsigned char *data;	/* STREAM_BLOCKS and one */
};

static void stream_submit(struct stream *s, int origin, int store)
{
	size_t length = STREAM_BLOCKS * BLOCK;
	struct iocb *cb = &s->cb;

	*cb = (struct iocb) {
		.aio_data = (uintptr_t)s,
		.aio_lio_opcode = s->step == READ ? IOCB_CMD_PREAD :
			IOCB_CMD_PWRITE,
		.aio_fildes = s->step == COPY ? store : origin,
		.aio_buf = (uintptr_t)s->data,
		.aio_nbytes = s->step == COPY ? length + BLOCK : length,
		.aio_offset = s->place * (length + (s->step == COPY ? BLOCK : 0)),
		.aio_rw_flags = s->step == COPY ? RWF_DSYNC : 0,
	};
	if (syscall(SYS_io_submit, context, 1, &cb) != 1)
		err(1, "io_submit");
}

static void stream(int origin, int store, unsigned int count,
		   unsigned int depth)
{
	static struct stream streams[STREAM_DEPTH];
	unsigned int next, done = 0;
	struct io_event event;
	struct stream *s;

	for (next = 0; next < count && next < depth; next++) {
		s = &streams[next];
		s->place = next;
		s->data = aligned_alloc(BLOCK, (STREAM_BLOCKS + 1) * BLOCK);
		if (!s->data)
			err(1, "memory");
		memset(s->data, 0, (STREAM_BLOCKS + 1) * BLOCK);
		stream_submit(s, origin, store);
	}
	while (done < count) {
		if (syscall(SYS_io_getevents, context, 1, 1, &event, NULL) != 1)
			err(1, "io_getevents");
		s = (struct stream *)(uintptr_t)event.data;
		if (event.res != (int64_t)s->cb.aio_nbytes)
			errx(1, "I/O: %lld", (long long)event.res);
		s->step++;
		if (s->step == DONE) {
			done++;
			if (next == count)
				continue;
			s->place = next++;
			s->step = READ;
		}
		stream_submit(s, origin, store);
	}
}

static void rounds(int origin, int store, unsigned int count,
		   unsigned int depth, int sync)
{
	uint64_t block[MAX_DEPTH];
	unsigned int done, i;
	uint32_t random = 7;

	for (done = 0; done < count; done += depth) {
		for (i = 0; i < depth; i++) {
			random = random * 1664525 + 1013904223;
			block[i] = random >> 8 & (AREA - 1);
		}
		all_at_once(origin, IOCB_CMD_PREAD, block, depth);
		if (pwrite(store, data, (depth + 1) * BLOCK,
			   (off_t)(done + done / depth) * BLOCK) !=
		    (ssize_t)(depth + 1) * BLOCK || fdatasync(store))
			err(1, "store");
		all_at_once(origin, IOCB_CMD_PWRITE, block, depth);
		if (sync && fdatasync(origin))
			err(1, "origin");
	}
}

static unsigned int number(const char *text, unsigned int max)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*end || !value || value > max)
		errx(2, "%s: not from 1 to %u", text, max);
	return value;
}

int main(int argc, char **argv)
{
	unsigned int count, depth;
	struct timespec from, to;
	int origin, store, streams;

	if (argc < 5)
		errx(2, "usage: byhand ORIGIN STORE COUNT DEPTH [sync|stream]");
	streams = argc > 5 && !strcmp(argv[5], "stream");
	count = number(argv[3], AREA);
	depth = number(argv[4], streams ? STREAM_DEPTH : MAX_DEPTH);
	origin = open(argv[1], O_RDWR | O_DIRECT);
	store = open(argv[2], O_RDWR | O_DIRECT);
	if (origin < 0 || store < 0)
		err(1, "open");
	data = aligned_alloc(BLOCK, (MAX_DEPTH + 1) * BLOCK);
	if (!data || syscall(SYS_io_setup, MAX_DEPTH, &context))
		err(1, "memory");
	memset(data, 0, (MAX_DEPTH + 1) * BLOCK);

	clock_gettime(CLOCK_MONOTONIC, &from);
	if (streams)
		stream(origin, store, count, depth);
	else
		rounds(origin, store, count, depth, argc > 5);
	clock_gettime(CLOCK_MONOTONIC, &to);
	printf("%lld\n", (to.tv_sec - from.tv_sec) * 1000000LL +
	       (to.tv_nsec - from.tv_nsec) / 1000);
	return 0;
}
