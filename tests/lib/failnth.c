// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loaded before a program's libraries: lets the n-th allocation that the kernel makes
 * in a system call fail. FAILNTH_CALL says which call, the first of its kind: the
 * command of a device-mapper ioctl (load, suspend, message, status), or write,
 * read, sync, discard, zero. FAILNTH_N is n. The file FAILNTH_OUT then says by how many
 * n was more than there were, as /proc/thread-self/fail-nth does: 0 if one has failed.
 *
 * Only what the kernel does in the caller's name is counted, not its threads.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>
#include <linux/dm-ioctl.h>
#include <linux/fs.h>

static int nth = -1;		/* /proc/thread-self/fail-nth, once it was used */

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "failnth: %s: %s\n", what, strerror(errno));
	exit(99);
}

static void arm(void)
{
	const char *n = getenv("FAILNTH_N");

	nth = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	must(nth >= 0, "fail-nth");
	must(n && write(nth, n, strlen(n)) > 0, "FAILNTH_N");
}

/* Leaves errno alone, which is what the call has failed with. */
static void disarm(void)
{
	int err = errno, out;
	char left[16] = "";

	must(pread(nth, left, sizeof(left) - 1, 0) > 0, "reading");
	must(write(nth, "0", 1) == 1, "switching off");
	out = open(getenv("FAILNTH_OUT"), O_WRONLY | O_CREAT | O_TRUNC, 0666);
	must(out >= 0 && write(out, left, strlen(left)) > 0, "FAILNTH_OUT");
	close(out);
	errno = err;
}

/* Is this the call? */
static bool begin(const char *call)
{
	const char *wanted = getenv("FAILNTH_CALL");

	if (!call || nth >= 0 || !wanted || strcmp(call, wanted))
		return false;
	arm();
	return true;
}

static const char *ioctl_name(unsigned long request)
{
	switch (request) {
	case DM_TABLE_LOAD: return "load";
	case DM_DEV_SUSPEND: return "suspend";
	case DM_TARGET_MSG: return "message";
	case DM_TABLE_STATUS: return "status";
	case BLKDISCARD: return "discard";
	case BLKZEROOUT: return "zero";
	}
	return NULL;
}

/* ---- the calls ---------------------------------------------------------------- */

int ioctl(int fd, unsigned long request, ...)
{
	int (*next)(int fd, unsigned long request, void *arg) =
		dlsym(RTLD_NEXT, "ioctl");
	va_list ap;
	void *arg;
	bool it;
	int ret;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	it = begin(ioctl_name(request));
	ret = next(fd, request, arg);
	if (it)
		disarm();
	return ret;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
	ssize_t (*next)(int fd, const void *data, size_t size, off_t at) =
		dlsym(RTLD_NEXT, "pwrite");
	bool it = begin("write");
	ssize_t ret = next(fd, data, size, at);

	if (it)
		disarm();
	return ret;
}

/* disarm() comes by here as well. */
ssize_t pread(int fd, void *data, size_t size, off_t at)
{
	ssize_t (*next)(int fd, void *data, size_t size, off_t at) =
		dlsym(RTLD_NEXT, "pread");
	bool it = begin("read");
	ssize_t ret = next(fd, data, size, at);

	if (it)
		disarm();
	return ret;
}

int fsync(int fd)
{
	int (*next)(int fd) = dlsym(RTLD_NEXT, "fsync");
	bool it = begin("sync");
	int ret = next(fd);

	if (it)
		disarm();
	return ret;
}
