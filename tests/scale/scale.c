// SPDX-License-Identifier: GPL-2.0-only
/*
 * The figures of scale: what the core reads, writes and holds in memory, at up to
 * 10^8 entries, each beside its limit. Without a kernel, on a device that keeps
 * metadata only (disk.h), with a cache of 4 MiB as the module has.
 *
 *   scale [--max 1e7] [--only NAME] [--seed N] [--json FILE]
 *
 * Sizes other than the usual ones, to see what they would do: --freeze, --table,
 * --fanout.
 *
 * Ends with 1 if a figure falls short of its limit, with 2 if the core fails.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "scale.h"

u64 seed = 1;
struct snapprot_tune tune;
bool verbose;

void fail(const char *where, const char *what, const char *fmt, ...)
{
	va_list args;

	fflush(stdout);
	fprintf(stderr, "scale: %s: not so: %s: ", where, what);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	exit(2);
}

void *must(void *p)
{
	CHECK(p, "out of memory");
	return p;
}

/* ---- random numbers ------------------------------------------------------ */

u64 mix(u64 x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9ull;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

static u64 random_state;

u64 random_below(u64 n)
{
	random_state += 0x9e3779b97f4a7c15ull;
	return mix(random_state) % n;
}

struct shuffle shuffle_of(u64 n, u64 key)
{
	struct shuffle s = { n, mix(seed * 0x10001 + key), 1 };

	while ((1ull << 2 * s.half) < n)
		s.half++;
	return s;
}

u64 shuffle_at(const struct shuffle *s, u64 i)
{
	u64 mask = (1ull << s->half) - 1;
	u32 round;

	do {
		u64 left = i >> s->half, right = i & mask;

		for (round = 0; round < 4; round++) {
			u64 next = left ^ (mix(right + s->key + round) & mask);

			left = right;
			right = next;
		}
		i = left << s->half | right;
	} while (i >= s->n);
	return i;
}

/* ---- results ------------------------------------------------------------- */

struct result {
	const char *figure;
	double at;
	double value;
	double limit;		/* < 0: for information */
	char text[160];
};

static struct result *result;
static u32 nr_results, nr_short;

static bool is_short(const struct result *r)
{
	return r->limit >= 0 && r->value > r->limit;
}

void report(const char *figure, double at, double value, double limit,
	    const char *fmt, ...)
{
	char limit_text[32] = "-", at_text[32] = "";
	struct result *r;
	va_list args;

	result = must(realloc(result, (nr_results + 1) * sizeof(*result)));
	r = &result[nr_results++];
	*r = (struct result){ figure, at, value, limit, "" };
	va_start(args, fmt);
	vsnprintf(r->text, sizeof(r->text), fmt, args);
	va_end(args);
	nr_short += is_short(r);

	if (limit >= 0)
		snprintf(limit_text, sizeof(limit_text), "%.4g", limit);
	if (at)
		snprintf(at_text, sizeof(at_text), "%.3g", at);
	printf("%-48s %6s %9.4g %7s %-5s %s\n", figure, at_text, value,
	       limit_text, is_short(r) ? "short" : "", r->text);
	fflush(stdout);
}

void head(const char *title)
{
	printf("\n%s\n%-44s %6s %9s %7s\n", title, "", "at", "measured",
	       "limit");
}

static void json_write(const char *path)
{
	FILE *f = must(fopen(path, "w"));
	u32 i;

	fprintf(f, "[\n");
	for (i = 0; i < nr_results; i++) {
		const struct result *r = &result[i];

		fprintf(f, " {\"figure\": \"%s\", \"at\": %.0f, \"value\": %.6g",
			r->figure, r->at, r->value);
		if (r->limit >= 0)
			fprintf(f, ", \"limit\": %.6g, \"short\": %s", r->limit,
				is_short(r) ? "true" : "false");
		fprintf(f, ", \"text\": \"%s\"}%s\n", r->text,
			i + 1 < nr_results ? "," : "");
	}
	fprintf(f, "]\n");
	CHECK(!fclose(f), "%s", path);
}

/* ---- options ------------------------------------------------------------- */

static const struct {
	const char *name;
	void (*run)(u64 max);
} runs[] = {
	{ "random", run_random },
	{ "sequential", run_sequential },
	{ "delete", run_delete },
	{ "hourly", run_hourly },
	{ "nearfull", run_nearfull },
	{ "changed", run_changed },
};

static const struct option options[] = {
	{ "max", required_argument, NULL, 'm' },
	{ "only", required_argument, NULL, 'o' },
	{ "seed", required_argument, NULL, 's' },
	{ "json", required_argument, NULL, 'j' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "freeze", required_argument, NULL, 'F' },
	{ "table", required_argument, NULL, 'T' },
	{ "fanout", required_argument, NULL, 'N' },
	{ "help", no_argument, NULL, 'h' },
	{ }
};

static void usage(FILE *f)
{
	u32 i;

	fprintf(f, "scale [--max 1e7] [--only NAME] [--seed N] [--json FILE] [--verbose]\n");
	fprintf(f, "NAME is one of:");
	for (i = 0; i < ARRAY_SIZE(runs); i++)
		fprintf(f, " %s", runs[i].name);
	fprintf(f, "\n");
}

int main(int argc, char **argv)
{
	const char *only = NULL, *json = NULL;
	double max = 1e7;
	bool any = false;
	u32 i;
	int c;

	while ((c = getopt_long(argc, argv, "hv", options, NULL)) != -1) {
		switch (c) {
		case 'm':
			max = strtod(optarg, NULL);
			break;
		case 'o':
			only = optarg;
			break;
		case 's':
			seed = strtoull(optarg, NULL, 0);
			break;
		case 'j':
			json = optarg;
			break;
		case 'v':
			verbose = true;
			break;
		case 'F':
			tune.freeze = (u32)strtoul(optarg, NULL, 0);
			break;
		case 'T':
			tune.table = (u32)strtoul(optarg, NULL, 0);
			break;
		case 'N':
			tune.fanout = (u32)strtoul(optarg, NULL, 0);
			break;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	if (max < 1000 || max > 1e9 || optind < argc) {
		usage(stderr);
		return 2;
	}
	random_state = mix(seed);
	for (i = 0; i < ARRAY_SIZE(runs); i++) {
		if (only && strcmp(only, runs[i].name))
			continue;
		any = true;
		runs[i].run((u64)max);
	}
	if (!any) {
		usage(stderr);
		return 2;
	}
	if (json)
		json_write(json);
	printf("\n%u figures, %u short\n", nr_results, nr_short);
	free(result);
	return nr_short ? 1 : 0;
}
