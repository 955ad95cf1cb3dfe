// SPDX-License-Identifier: GPL-2.0-only
/*
 * snapprot watch - tell what happens to the volumes, as it happens
 */
#include <errno.h>
#include <getopt.h>
#include <json-c/json.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "admin.h"
#include "events.h"
#include "table.h"

/**
 * struct watch - what is watched
 * @only: UUID of the one volume, or ""
 * @control: device-mapper's device, for waiting
 * @json: objects, not lines
 */
struct watch {
	char only[37];
	int control;
	bool json;
};

/* ---- waiting ------------------------------------------------------------------- */

/* 0 an event; 1 nobody reads what we print any more. */
static int wait_event(const struct watch *w)
{
	struct pollfd fds[2] = {
		{ .fd = w->control, .events = POLLIN },
		{ .fd = STDOUT_FILENO, .events = 0 },
	};

	while (poll(fds, 2, -1) < 0)
		if (errno != EINTR)
			return -errno;
	return fds[1].revents & (POLLERR | POLLHUP) ? 1 : 0;
}

/* ---- printing -------------------------------------------------------------------- */

static void add_text(struct json_object *obj, const char *key, const char *text)
{
	json_object_object_add(obj, key,
			       *text ? json_object_new_string(text) : NULL);
}

static void add_number(struct json_object *obj, const char *key, uint64_t n)
{
	json_object_object_add(obj, key, json_object_new_uint64(n));
}

static void add_live(struct json_object *obj, const struct live_status *st)
{
	add_text(obj, "mode", st->mode);
	add_text(obj, "state", st->state);
	add_text(obj, "fault", st->fault);
	add_number(obj, "errno", (uint64_t)st->error);
	add_number(obj, "snaps", st->valid);
	add_number(obj, "lost", st->lost);
	add_number(obj, "held", st->held);
}

static void add_space(struct json_object *obj, uint64_t used, uint64_t total)
{
	add_number(obj, "used", used << 9);
	add_number(obj, "size", total << 9);
}

static void print_object(const struct mapper_dev *dev, const char *event,
			 const char *now)
{
	struct json_object *obj = json_object_new_object();

	add_text(obj, "time", now);
	add_text(obj, "event", event);
	add_text(obj, "kind", dev->kind == MAPPER_LIVE ? "live" : "store");
	add_text(obj, "name", dev->name);
	add_text(obj, "uuid", dev->volume);
	if (dev->kind == MAPPER_LIVE) {
		add_live(obj, &dev->live);
		if (dev->live.has_space)
			add_space(obj, dev->live.used, dev->live.total);
	} else {
		add_text(obj, "state", dev->store.state);
		json_object_object_add(obj, "low",
				       json_object_new_boolean(dev->store.low));
		if (dev->store.has_space)
			add_space(obj, dev->store.used, dev->store.total);
	}
	puts(json_object_to_json_string_ext(obj, JSON_C_TO_STRING_PLAIN |
					    JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(obj);
}

static void print_line(const struct mapper_dev *dev, const char *event,
		       const char *now)
{
	char text[256];

	events_describe(dev, text, sizeof(text));
	if (!strcmp(event, "removed"))
		printf("%s %s: %s\n", now, dev->name, event);
	else
		printf("%s %s: %s: %s\n", now, dev->name, event, text);
}

static void print_event(const struct watch *w, const struct mapper_dev *dev,
			const char *event)
{
	char now[32];

	time_format((uint64_t)time(NULL), now, sizeof(now));
	if (w->json)
		print_object(dev, event, now);
	else
		print_line(dev, event, now);
}

/* ---- comparing -------------------------------------------------------------------- */

static bool is_watched(const struct watch *w, const struct mapper_dev *dev)
{
	return (dev->kind == MAPPER_LIVE || dev->kind == MAPPER_STORE) &&
	       (!w->only[0] || !strcmp(w->only, dev->volume));
}

static void tell_removed(const struct watch *w, const struct mapper_scan *before,
			 const struct mapper_scan *now)
{
	size_t i;

	for (i = 0; i < before->count; i++)
		if (is_watched(w, &before->devs[i]) &&
		    !events_counterpart(now, &before->devs[i]))
			print_event(w, &before->devs[i], "removed");
}

static void tell_present(const struct watch *w, const struct mapper_scan *before,
			 const struct mapper_scan *now, const char *new)
{
	const struct mapper_dev *dev, *old;
	size_t i;

	for (i = 0; i < now->count; i++) {
		dev = &now->devs[i];
		if (!is_watched(w, dev))
			continue;
		old = events_counterpart(before, dev);
		if (!old)
			print_event(w, dev, new);
		else if (!events_same(old, dev))
			print_event(w, dev, "changed");
	}
}

/* @before is what there was, and becomes what there is. */
static int watch(const struct watch *w, struct mapper_scan *before)
{
	struct mapper_scan none = { .count = 0 }, now;
	int err, code;

	tell_present(w, &none, before, "present");
	for (;;) {
		err = events_arm(w->control);
		if (!err)
			err = mapper_scan(&now);
		if (err)
			break;
		tell_removed(w, before, &now);
		tell_present(w, before, &now, "added");
		mapper_scan_free(before);
		*before = now;
		code = output_end();
		if (code)
			return code;
		err = wait_event(w);
		if (err == 1)
			return TOOL_DONE;
		if (err)
			break;
	}
	return complain(TOOL_FAILED, "device-mapper's events: %s",
			strerror(-err));
}

/* ---- the command -------------------------------------------------------------------- */

static int parse_options(struct watch *w, int argc, char **argv)
{
	static const struct option options[] = {
		{ "json",	no_argument,		NULL, 'J' },
		{ NULL,		0,			NULL, 0 }
	};
	int opt;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":J", options, NULL)) != -1) {
		if (opt != 'J')
			return complain_option(opt, argv);
		w->json = true;
	}
	if (argc - optind > 1)
		return complain_usage("at most one volume is watched");
	return 0;
}

static int run_watch(int argc, char **argv)
{
	struct watch w = { .control = -1 };
	struct mapper_scan scan;
	struct mapper_dev *live;
	int code;

	code = parse_options(&w, argc, argv);
	if (code)
		return code;
	code = admin_begin_on(&scan, argv[optind], &live);
	if (!code) {
		if (live)
			memcpy(w.only, live->volume, sizeof(w.only));
		w.control = events_open();
		code = w.control < 0 ?
		       complain(TOOL_FAILED, "/dev/mapper/control: %s",
				strerror(-w.control)) : watch(&w, &scan);
	}
	if (w.control >= 0)
		close(w.control);
	mapper_scan_free(&scan);
	return code;
}

const struct command command_watch = {
	.name = "watch",
	.args = "[-J] [NAME]",
	.what = "print how the volumes are, and then each event, until interrupted",
	.help =
	"A line an event, or with -J (--json) an object: what it is called (present,\n"
	"added, changed, removed), and the status after it.\n",
	.run = run_watch,
};
