// SPDX-License-Identifier: GPL-2.0-only
/*
 * Options of a policy, and the arithmetic of growing a store.
 */
#include <string.h>

#include "../dm-snapprot/core/format.h"
#include "policy.h"
#include "status.h"

#define EXTEND_PERCENT_MAX	1000
/* Less would be gone before it is there. */
#define EXTEND_SECTORS_MIN	2048
#define EVERY_MAX		(366u * 86400)
#define KEEP_MAX		4095

enum option {
	OPTION_EXTEND,
	OPTION_EXTEND_MAX,
	OPTION_EVERY,
	OPTION_KEEP,
	OPTIONS
};

static const char * const names[OPTIONS] = {
	[OPTION_EXTEND]		= "extend",
	[OPTION_EXTEND_MAX]	= "extend_max",
	[OPTION_EVERY]		= "snapshot_every",
	[OPTION_KEEP]		= "snapshot_keep",
};

static int find(const char *name, size_t len)
{
	int i;

	for (i = 0; i < OPTIONS; i++)
		if (strlen(names[i]) == len && !memcmp(names[i], name, len))
			break;
	return i;
}

bool policy_knows(const char *name, size_t len)
{
	return find(name, len) < OPTIONS;
}

/* ---- values ------------------------------------------------------------------ */

/* A number, and one of @units behind it, whose place is in @unit. */
static bool parse_number(const char *value, size_t len, const char *units,
			 uint64_t *number, size_t *unit)
{
	const char *found;
	char text[16];

	if (!len || len >= sizeof(text))
		return false;
	memcpy(text, value, len);
	text[len] = '\0';
	if (units) {
		found = strchr(units, text[len - 1]);
		if (!found || !text[len - 1])
			return false;
		*unit = (size_t)(found - units);
		text[len - 1] = '\0';
	}
	return !number_parse(text, 1ull << 40, number);
}

static const char *set_percent(uint32_t *percent, const char *value, size_t len)
{
	uint64_t number;

	if (len && value[len - 1] == '%')
		len--;
	if (!parse_number(value, len, NULL, &number, NULL) || !number ||
	    number > EXTEND_PERCENT_MAX)
		return "not a percentage from 1 to 1000";
	*percent = (uint32_t)number;
	return NULL;
}

static const char *set_size(uint64_t *sectors, const char *value, size_t len)
{
	static const unsigned int shifts[] = { 10, 20, 30, 40 };
	uint64_t number;
	size_t unit;

	if (!parse_number(value, len, "KMGT", &number, &unit) || !number ||
	    number >> (62 - shifts[unit]))
		return "not a size, such as 100G: a number and K, M, G or T";
	*sectors = (number << shifts[unit]) >> 9;
	return NULL;
}

static const char *set_time(uint32_t *seconds, const char *value, size_t len)
{
	static const uint32_t units[] = { 1, 60, 3600, 86400, 7 * 86400 };
	uint64_t number;
	size_t unit;

	if (!parse_number(value, len, "smhdw", &number, &unit) || !number ||
	    number > EVERY_MAX / units[unit])
		return "not a time, such as 1h: a number and s, m, h, d or w, at most 366d";
	*seconds = (uint32_t)number * units[unit];
	return NULL;
}

static const char *set_keep(uint32_t *keep, const char *value, size_t len)
{
	uint64_t number;

	if (!parse_number(value, len, NULL, &number, NULL) || !number ||
	    number > KEEP_MAX)
		return "not a number from 1 to 4095";
	*keep = (uint32_t)number;
	return NULL;
}

const char *policy_set(struct policy *p, const char *name, size_t name_len,
		       const char *value, size_t len)
{
	const char *twice = "this option is given twice";

	switch (find(name, name_len)) {
	case OPTION_EXTEND:
		return p->extend ? twice : set_percent(&p->extend, value, len);
	case OPTION_EXTEND_MAX:
		return p->extend_max ? twice :
				       set_size(&p->extend_max, value, len);
	case OPTION_EVERY:
		return p->every ? twice : set_time(&p->every, value, len);
	case OPTION_KEEP:
		return p->keep ? twice : set_keep(&p->keep, value, len);
	}
	return "unknown option";
}

const char *policy_conflict(const struct policy *p)
{
	if (p->extend_max && !p->extend)
		return "extend_max needs extend";
	if (!p->every != !p->keep)
		return "snapshot_every and snapshot_keep need each other";
	return NULL;
}

/* ---- growing ------------------------------------------------------------------ */

uint64_t policy_target(const struct policy *p, uint64_t sectors)
{
	const uint64_t block = SNAPPROT_SECTORS_PER_BLOCK;
	uint64_t step, target;

	/* In this order nothing overflows. */
	step = sectors / 100 * p->extend + sectors % 100 * p->extend / 100;
	if (step < EXTEND_SECTORS_MIN)
		step = EXTEND_SECTORS_MIN;
	target = (sectors + step + block - 1) & ~(block - 1);
	if (p->extend_max && target > p->extend_max)
		target = p->extend_max & ~(block - 1);
	return target > sectors ? target : 0;
}

uint32_t policy_backoff(unsigned int failures, uint32_t first, uint32_t most)
{
	uint64_t seconds = first;

	while (failures-- > 1 && seconds < most)
		seconds *= 2;
	return seconds < most ? (uint32_t)seconds : most;
}
