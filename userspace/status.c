// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the targets say in their status lines, and what of it is well.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "status.h"

/* ---- words and numbers --------------------------------------------------- */

int number_parse(const char *text, uint64_t max, uint64_t *value)
{
	char *end;

	/* strtoull() would take signs and blanks. */
	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	*value = strtoull(text, &end, 10);
	return errno || *end || *value > max ? -EINVAL : 0;
}

int snap_id_parse(const char *text, uint32_t *id)
{
	uint64_t value;

	if (number_parse(text, UINT32_MAX, &value) || !value)
		return -EINVAL;
	*id = (uint32_t)value;
	return 0;
}

/* <used>/<total>, or "-" */
static int parse_space(const char *word, bool *has, uint64_t *used,
		       uint64_t *total)
{
	int end = 0;

	*has = strcmp(word, "-");
	*used = 0;
	*total = 0;
	if (!*has)
		return 0;
	if (sscanf(word, "%" SCNu64 "/%" SCNu64 "%n", used, total, &end) != 2 ||
	    word[end])
		return -EINVAL;
	return 0;
}

bool version_suffices(const uint32_t version[3], uint32_t major,
		      uint32_t minor)
{
	if (version[0] != major)
		return version[0] > major;
	return version[1] >= minor;
}

/* ---- status lines -------------------------------------------------------- */

int live_status_parse(const char *line, struct live_status *st)
{
	char space[64], grace[STATUS_WORD], label[STATUS_WORD];
	uint64_t left;
	int n;

	memset(st, 0, sizeof(*st));
	n = sscanf(line, "%31s %31s %31s %d %" SCNu32 " %" SCNu32
		   " %63s %31s %" SCNu32 " %31s", st->mode, st->state,
		   st->fault, &st->error, &st->valid, &st->lost, space, grace,
		   &st->held, label);
	if (n != 10 ||
	    parse_space(space, &st->has_space, &st->used, &st->total))
		return -EINVAL;
	if (!strcmp(st->fault, "-"))
		st->fault[0] = '\0';
	st->grace = -1;
	if (strcmp(grace, "-")) {
		if (number_parse(grace, INT32_MAX, &left))
			return -EINVAL;
		st->grace = (int64_t)left;
	}
	st->label = !strcmp(label, "label");
	return 0;
}

int store_status_parse(const char *line, struct store_status *st)
{
	char space[64], low[STATUS_WORD], prot[STATUS_WORD];

	memset(st, 0, sizeof(*st));
	if (sscanf(line, "%36s %31s %63s %31s %31s", st->volume, st->state,
		   space, low, prot) != 5 || strlen(st->volume) != 36 ||
	    parse_space(space, &st->has_space, &st->used, &st->total))
		return -EINVAL;
	st->low = !strcmp(low, "low");
	st->protected = !strcmp(prot, "protected");
	return 0;
}

int view_status_parse(const char *line, struct view_status *st)
{
	memset(st, 0, sizeof(*st));
	return sscanf(line, "%" SCNu32 " %31s", &st->id, st->state) == 2 ?
	       0 : -EINVAL;
}

/* ---- list_snaps ---------------------------------------------------------- */

static int parse_snap(const char *line, struct snap_info *snap)
{
	char state[STATUS_WORD];

	if (sscanf(line, "%" SCNu32 " %31s %" SCNu64 " %" SCNu64, &snap->id,
		   state, &snap->time, &snap->sectors) != 4)
		return -EINVAL;
	snap->lost = !strcmp(state, "lost");
	return snap->lost || !strcmp(state, "valid") ? 0 : -EINVAL;
}

int snap_list_parse(const char *text, struct snap_info **snaps)
{
	size_t lines = 1, count = 0;
	const char *p;
	int err;

	for (p = text; *p; p++)
		lines += *p == '\n';
	*snaps = calloc(lines, sizeof(**snaps));
	if (!*snaps)
		return -ENOMEM;
	for (p = text; *p; p += strcspn(p, "\n"), p += *p == '\n') {
		if (*p == '\n')
			continue;
		err = parse_snap(p, &(*snaps)[count++]);
		if (err) {
			free(*snaps);
			*snaps = NULL;
			return err;
		}
	}
	return (int)count;
}

/* ---- health -------------------------------------------------------------- */

enum health status_health(const struct live_status *live,
			  const struct store_status *store, bool suspended)
{
	if (!strcmp(live->state, "blocked"))
		return HEALTH_BLOCKED;
	if (live->lost || live->fault[0])
		return HEALTH_LOST;
	if (strcmp(live->state, "active") || suspended || !store ||
	    strcmp(store->state, "online"))
		return HEALTH_WAITING;
	return store->low ? HEALTH_LOW : HEALTH_WELL;
}
