// SPDX-License-Identifier: GPL-2.0-only
/*
 * How snapprotd speaks: lines on standard error, or to the journal with facts, and
 * word for systemd.
 *
 * libsystemd has calls for this that wait until somebody reads. The journal may
 * itself wait for a disk, so here nothing waits: what does not fit is left out.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "snapprotd.h"

#define JOURNAL_SOCKET	"/run/systemd/journal/socket"

static int journal = -1;
static unsigned int left_out;

/* Nothing that would end a line, or a variable. */
static void make_plain(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
}

void facts_add(struct facts *f, const char *name, const char *fmt, ...)
{
	va_list ap;

	if (f->count == FACTS_MAX)
		return;
	f->list[f->count].name = name;
	va_start(ap, fmt);
	vsnprintf(f->list[f->count].value, FACT_LEN, fmt, ap);
	va_end(ap);
	make_plain(f->list[f->count].value);
	f->count++;
}

/* ---- datagrams ----------------------------------------------------------------- */

/* A path, or with @ in front a name that is none. */
static bool send_datagram(int fd, const char *to, const char *text, size_t len)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t to_len = strlen(to);

	if (to_len >= sizeof(addr.sun_path))
		return false;
	memcpy(addr.sun_path, to, to_len);
	if (*to == '@')
		addr.sun_path[0] = '\0';
	return sendto(fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL,
		      (struct sockaddr *)&addr,
		      (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
				  to_len)) == (ssize_t)len;
}

void notify(const char *state)
{
	const char *to = getenv("NOTIFY_SOCKET");
	int fd;

	if (!to || (*to != '/' && *to != '@'))
		return;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	send_datagram(fd, to, state, strlen(state));
	close(fd);
}

/* ---- lines ----------------------------------------------------------------------- */

/* JOURNAL_STREAM has device and inode, and is inherited by more than it is true of. */
void log_open(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	uint64_t dev, ino;
	struct stat st;

	if (!stream ||
	    sscanf(stream, "%" SCNu64 ":%" SCNu64, &dev, &ino) != 2 ||
	    fstat(STDERR_FILENO, &st) || st.st_dev != dev || st.st_ino != ino)
		return;
	journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

static bool write_journal(int priority, const struct facts *f, const char *line)
{
	static char text[FACTS_MAX * (FACT_LEN + 32) + 2048];
	int i, n;

	n = snprintf(text, sizeof(text),
		     "MESSAGE=%s\nPRIORITY=%d\nSYSLOG_FACILITY=3\nSYSLOG_IDENTIFIER=snapprotd\n",
		     line, priority);
	for (i = 0; f && i < f->count; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "%s=%s\n",
			      f->list[i].name, f->list[i].value);
	return send_datagram(journal, JOURNAL_SOCKET, text, (size_t)n);
}

static bool write_stderr(const char *line)
{
	struct pollfd fd = { .fd = STDERR_FILENO, .events = POLLOUT };
	char text[1100];
	int n;

	/* A pipe that is ready takes a line this short at once. */
	if (poll(&fd, 1, 0) != 1 || !(fd.revents & POLLOUT))
		return false;
	n = snprintf(text, sizeof(text), "snapprotd: %s\n", line);
	return write(STDERR_FILENO, text, (size_t)n) == n;
}

static bool write_line(int priority, const struct facts *f, const char *line)
{
	return journal >= 0 ? write_journal(priority, f, line) :
			      write_stderr(line);
}

void log_line(int priority, const struct facts *f, const char *fmt, ...)
{
	char line[1024], lost[64];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	make_plain(line);
	if (left_out) {
		snprintf(lost, sizeof(lost), "%u lines could not be written",
			 left_out);
		if (write_line(LOG_WARNING, NULL, lost))
			left_out = 0;
	}
	if (!write_line(priority, f, line))
		left_out++;
}
