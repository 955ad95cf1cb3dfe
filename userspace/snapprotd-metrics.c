// SPDX-License-Identifier: GPL-2.0-only
/*
 * Metrics of snapprotd, as text for Prometheus: a file that node_exporter's textfile
 * collector reads. It is written beside its place and renamed, so that nobody reads
 * half of it; by a job, as its disk may be one that waits.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "snapprotd.h"

#define INTERVAL	15000
#define WRITE_LIMIT	60

/* ---- writing ------------------------------------------------------------------ */

static void head(FILE *f, const char *name, const char *type, const char *help)
{
	fprintf(f, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A label's value, in which a backslash, a quote and a line's end are escaped. */
static void print_label(FILE *f, const char *name, const char *value)
{
	fprintf(f, "%s=\"", name);
	for (; *value; value++) {
		if (*value == '\n')
			fputs("\\n", f);
		else if (*value == '"' || *value == '\\')
			fprintf(f, "\\%c", *value);
		else
			putc(*value, f);
	}
	putc('"', f);
}

static void print_name(FILE *f, const char *metric,
		       const struct mapper_dev *live, const char *label,
		       const char *value)
{
	fprintf(f, "%s{", metric);
	print_label(f, "volume", live->name);
	if (label) {
		putc(',', f);
		print_label(f, label, value);
	}
	fputs("} ", f);
}

static void print_states(FILE *f, const struct mapper_dev *live,
			 const char *metric)
{
	static const char * const states[] = {
		"active", "waiting", "nostore", "blocked",
	};
	size_t i;

	for (i = 0; i < sizeof(states) / sizeof(*states); i++) {
		print_name(f, metric, live, "state", states[i]);
		fprintf(f, "%d\n", !strcmp(live->live.state, states[i]));
	}
}

static void print_fault(FILE *f, const struct mapper_dev *live,
			const char *metric)
{
	/* None is no fault rather than a fault of that name. */
	if (!live->live.fault[0])
		return;
	print_name(f, metric, live, "fault", live->live.fault);
	fputs("1\n", f);
}

static void print_snapshots(FILE *f, const struct mapper_dev *live,
			    const char *metric)
{
	print_name(f, metric, live, "state", "valid");
	fprintf(f, "%" PRIu32 "\n", live->live.valid);
	print_name(f, metric, live, "state", "lost");
	fprintf(f, "%" PRIu32 "\n", live->live.lost);
}

static void print_info(FILE *f, const struct mapper_dev *live,
		       const char *metric)
{
	print_name(f, metric, live, "uuid", live->volume);
	fputs("1\n", f);
}

static void print_protect(FILE *f, const struct mapper_dev *live,
			  const char *metric)
{
	print_name(f, metric, live, NULL, NULL);
	fprintf(f, "%d\n", !strcmp(live->live.mode, "protect"));
}

static void print_held(FILE *f, const struct mapper_dev *live,
		       const char *metric)
{
	print_name(f, metric, live, NULL, NULL);
	fprintf(f, "%" PRIu32 "\n", live->live.held);
}

static void print_used(FILE *f, const struct mapper_dev *live,
		       const char *metric)
{
	if (!live->live.has_space)
		return;
	print_name(f, metric, live, NULL, NULL);
	fprintf(f, "%" PRIu64 "\n", live->live.used << 9);
}

static void print_size(FILE *f, const struct mapper_dev *live,
		       const char *metric)
{
	if (!live->live.has_space)
		return;
	print_name(f, metric, live, NULL, NULL);
	fprintf(f, "%" PRIu64 "\n", live->live.total << 9);
}

static const struct {
	const char *name;
	const char *help;
	void (*print)(FILE *f, const struct mapper_dev *live,
		      const char *metric);
} gauges[] = {
	{ "snapprot_volume_info", "UUID of a volume.", print_info },
	{ "snapprot_volume_protected", "Whether a volume is in protection mode.",
	  print_protect },
	{ "snapprot_volume_state", "Whether a volume is in this state.",
	  print_states },
	{ "snapprot_volume_fault", "The fault of a volume that has one.",
	  print_fault },
	{ "snapprot_volume_held_requests", "Requests of a volume that wait.",
	  print_held },
	{ "snapprot_snapshots", "Snapshots of a volume.", print_snapshots },
	{ "snapprot_store_used_bytes", "Space used in the store.", print_used },
	{ "snapprot_store_size_bytes", "Size of the store.", print_size },
};

static void print_low(FILE *f, const struct mapper_scan *scan)
{
	const char *name = "snapprot_store_low";
	const struct mapper_dev *store;
	size_t i;

	head(f, name, "gauge", "Whether the store has little space left.");
	for (i = 0; i < scan->count; i++) {
		if (scan->devs[i].kind != MAPPER_LIVE)
			continue;
		store = mapper_find(scan, MAPPER_STORE, scan->devs[i].volume, 0);
		if (!store)
			continue;
		print_name(f, name, &scan->devs[i], NULL, NULL);
		fprintf(f, "%d\n", store->store.low);
	}
}

static void print_newest(FILE *f, const struct snapprotd *d)
{
	const char *name = "snapprot_schedule_last_snapshot_timestamp_seconds";
	const struct mapper_dev *live;
	size_t i;

	head(f, name, "gauge", "When the schedule took its newest snapshot.");
	for (i = 0; i < d->nr_volumes; i++) {
		live = mapper_find_live(&d->scan, d->volumes[i].name);
		if (!live || !d->volumes[i].plan.last)
			continue;
		print_name(f, name, live, NULL, NULL);
		fprintf(f, "%" PRId64 "\n", d->volumes[i].plan.last);
	}
}

static void print_counters(FILE *f, const struct counters *c)
{
	const struct {
		const char *name;
		const char *help;
		uint64_t value;
	} all[] = {
		{ "events", "Events.", c->events },
		{ "hooks_failed", "Events for which a hook failed or was killed.",
		  c->hooks_failed },
		{ "hooks_dropped", "Events that hooks were not told.",
		  c->hooks_dropped },
		{ "extensions", "Stores extended.", c->extended },
		{ "extensions_failed", "Attempts to do so that failed.",
		  c->extend_failed },
		{ "snapshots_taken", "Snapshots taken.", c->taken },
		{ "snapshots_failed", "Attempts to do so that failed.",
		  c->take_failed },
		{ "snapshots_expired", "Snapshots deleted.", c->expired },
	};
	char name[64];
	size_t i;

	for (i = 0; i < sizeof(all) / sizeof(*all); i++) {
		snprintf(name, sizeof(name), "snapprotd_%s_total", all[i].name);
		head(f, name, "counter", all[i].help);
		fprintf(f, "%s %" PRIu64 "\n", name, all[i].value);
	}
}

static void print_all(FILE *f, const struct snapprotd *d)
{
	size_t i, j;

	for (i = 0; i < sizeof(gauges) / sizeof(*gauges); i++) {
		head(f, gauges[i].name, "gauge", gauges[i].help);
		for (j = 0; j < d->scan.count; j++)
			if (d->scan.devs[j].kind == MAPPER_LIVE)
				gauges[i].print(f, &d->scan.devs[j],
						gauges[i].name);
	}
	print_low(f, &d->scan);
	print_newest(f, d);
	print_counters(f, &d->counters);
}

static int write_file(struct snapprotd *d, const void *ctx, int out)
{
	const char *path = d->opt.metrics;
	char new[4096];
	int failed;
	FILE *f;

	(void)ctx;
	(void)out;
	if ((size_t)snprintf(new, sizeof(new), "%s.new", path) >= sizeof(new))
		return -ENAMETOOLONG;
	f = fopen(new, "we");
	if (!f)
		return -errno;
	print_all(f, d);
	errno = EIO;
	failed = ferror(f);
	failed |= fclose(f);
	if (failed || rename(new, path)) {
		failed = -errno;
		unlink(new);
		return failed;
	}
	return 0;
}

/* ---- when ------------------------------------------------------------------------ */

void metrics_check(struct snapprotd *d)
{
	if (!*d->opt.metrics || job_find(d, JOB_METRICS, ""))
		return;
	if (!d->metrics_wanted && d->now < d->metrics_at) {
		wake_at(d, d->metrics_at);
		return;
	}
	/* Whatever is seen from now on is for the next one. */
	d->metrics_wanted = false;
	d->metrics_at = d->now + INTERVAL;
	wake_at(d, d->metrics_at);
	if (!job_start(d, JOB_METRICS, "", WRITE_LIMIT, write_file, NULL))
		d->metrics_wanted = true;
}
