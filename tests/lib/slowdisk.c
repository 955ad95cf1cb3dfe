// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loaded before QEMU's own library: disks that take their time, as those do
 * that turn. SLOWDISK_WRITE_US is added to a write and SLOWDISK_FLUSH_US to a
 * flush, which is also what a write with FUA ends with. Several may be under way
 * at once. dm-delay could not do it: it counts in milliseconds, and sees of a
 * write with FUA the write alone.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static void take(const char *name)
{
	const char *us = getenv(name);
	struct timespec time = { .tv_nsec = (us ? atol(us) : 0) * 1000 };

	nanosleep(&time, NULL);
}

ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
	ssize_t (*next)(int fd, const struct iovec *iov, int count, off_t at) =
		dlsym(RTLD_NEXT, "pwritev");

	take("SLOWDISK_WRITE_US");
	return next(fd, iov, count, offset);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
	ssize_t (*next)(int fd, const void *data, size_t size, off_t at) =
		dlsym(RTLD_NEXT, "pwrite");

	take("SLOWDISK_WRITE_US");
	return next(fd, data, size, offset);
}

int fdatasync(int fd)
{
	int (*next)(int fd) = dlsym(RTLD_NEXT, "fdatasync");

	take("SLOWDISK_FLUSH_US");
	return next(fd);
}

/* The names that programs with large files are built with. */
ssize_t pwritev64(int fd, const struct iovec *iov, int count, off64_t offset)
	__attribute__((alias("pwritev")));
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset)
	__attribute__((alias("pwrite")));
