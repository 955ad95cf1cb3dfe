// SPDX-License-Identifier: GPL-2.0-only
/*
 * Device-mapper's events.
 *
 * It says that there was one on some device. What it was is told by comparing the
 * status with what it had been: events that follow each other closely become one,
 * and none is missed.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/dm-ioctl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "events.h"
#include "tool.h"

/* ---- waiting ------------------------------------------------------------------- */

int events_open(void)
{
	int fd = open("/dev/mapper/control", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int events_arm(int control)
{
	struct dm_ioctl param = {
		.version = { 4, 37, 0 },
		.data_size = sizeof(param),
	};

	return ioctl(control, DM_DEV_ARM_POLL, &param) ? -errno : 0;
}

/* ---- comparing ------------------------------------------------------------------ */

static bool same_live(const struct live_status *a, const struct live_status *b)
{
	return !strcmp(a->mode, b->mode) && !strcmp(a->state, b->state) &&
	       !strcmp(a->fault, b->fault) && a->valid == b->valid &&
	       a->lost == b->lost;
}

static bool same_store(const struct store_status *a,
		       const struct store_status *b)
{
	return !strcmp(a->state, b->state) && a->low == b->low &&
	       a->total == b->total;
}

bool events_same(const struct mapper_dev *a, const struct mapper_dev *b)
{
	if (a->event_nr != b->event_nr || strcmp(a->name, b->name))
		return false;
	return a->kind == MAPPER_LIVE ? same_live(&a->live, &b->live) :
					same_store(&a->store, &b->store);
}

struct mapper_dev *events_counterpart(const struct mapper_scan *scan,
				      const struct mapper_dev *dev)
{
	struct mapper_dev *found;

	found = mapper_find_number(scan, dev->major, dev->minor);
	return found && found->kind == dev->kind &&
	       !strcmp(found->volume, dev->volume) ? found : NULL;
}

/* ---- in words --------------------------------------------------------------------- */

static void __attribute__((__format__(__printf__, 3, 4)))
append(char *text, size_t len, const char *fmt, ...)
{
	size_t used = strlen(text);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text + used, len - used, fmt, ap);
	va_end(ap);
}

static void append_space(char *text, size_t len, uint64_t used, uint64_t total)
{
	char used_text[24], total_text[24];

	size_format(used << 9, used_text, sizeof(used_text));
	size_format(total << 9, total_text, sizeof(total_text));
	append(text, len, ", %s of %s used", used_text, total_text);
}

static void describe_live(const struct live_status *st, char *text, size_t len)
{
	append(text, len, "%s, %s", st->mode, st->state);
	if (st->fault[0])
		append(text, len, ", fault %s", st->fault);
	append(text, len, ", %" PRIu32 " snapshot%s", st->valid,
	       st->valid == 1 ? "" : "s");
	if (st->lost)
		append(text, len, ", %" PRIu32 " lost", st->lost);
	if (st->has_space)
		append_space(text, len, st->used, st->total);
}

void events_describe(const struct mapper_dev *dev, char *text, size_t len)
{
	text[0] = '\0';
	if (dev->kind == MAPPER_LIVE) {
		describe_live(&dev->live, text, len);
		return;
	}
	append(text, len, "store %s%s", dev->store.state,
	       dev->store.low ? ", little space left" : "");
	if (dev->store.has_space)
		append_space(text, len, dev->store.used, dev->store.total);
}
