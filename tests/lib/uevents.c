// SPDX-License-Identifier: GPL-2.0-only
/*
 * uevents - prints the kernel's uevents of block devices, one a line
 *
 * A line is the event's ACTION, DEVNAME and DM_* variables, separated by
 * blanks. The first line is "ready", as soon as no event can be missed any
 * more. Ends when it is killed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/netlink.h>

#define KERNEL_GROUP	1
#define RECEIVE_BUFFER	(4 << 20)

static int listen_to_kernel(void)
{
	struct sockaddr_nl addr = {
		.nl_family = AF_NETLINK,
		.nl_groups = KERNEL_GROUP,
	};
	int size = RECEIVE_BUFFER;
	int fd;

	fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC,
		    NETLINK_KOBJECT_UEVENT);
	if (fd < 0)
		return -1;
	/* Not being root costs the larger buffer only. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		close(fd);
		return -1;
	}
	return fd;
}

static const char *find(const char *msg, size_t len, const char *name)
{
	const char *var;

	for (var = msg; var < msg + len; var += strlen(var) + 1)
		if (!strncmp(var, name, strlen(name)))
			return var;
	return NULL;
}

/* A message is "action@path", then variables, each ended by a NUL. */
static void print_event(const char *msg, size_t len)
{
	const char *action = find(msg, len, "ACTION=");
	const char *name = find(msg, len, "DEVNAME=");
	const char *var;

	if (!find(msg, len, "SUBSYSTEM=block") || !action || !name)
		return;
	printf("%s %s", action, name);
	for (var = msg; var < msg + len; var += strlen(var) + 1)
		if (!strncmp(var, "DM_", 3) || !strncmp(var, "SYNTH_", 6))
			printf(" %s", var);
	putchar('\n');
}

int main(void)
{
	static char msg[65536];
	ssize_t len;
	int fd;

	setvbuf(stdout, NULL, _IOLBF, 0);
	fd = listen_to_kernel();
	if (fd < 0) {
		perror("uevents: netlink socket");
		return 1;
	}
	puts("ready");
	for (;;) {
		len = recv(fd, msg, sizeof(msg) - 1, 0);
		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0) {
			/* ENOBUFS: events were lost, and the test must know. */
			perror("uevents: receive");
			printf("lost\n");
			if (errno != ENOBUFS)
				return 1;
			continue;
		}
		msg[len] = '\0';
		print_event(msg, len);
	}
}
