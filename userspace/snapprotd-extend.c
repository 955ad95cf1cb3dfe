// SPDX-License-Identifier: GPL-2.0-only
/*
 * snapprotd extends stores that are low.
 *
 * In two jobs. The first one makes the device larger: lvextend if that is a logical
 * volume, hooks otherwise. Only its result counts, the size of the device. The second
 * one has the store use it. What failed is tried again, later and later; and when
 * space has run out while the store cannot be extended, the volume is told, so that
 * its writes do not wait in vain.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "grow.h"
#include "snapprotd.h"
#include "tool.h"

#define LVEXTEND_LIMIT	60
#define GROW_LIMIT	60
#define BACKOFF_FIRST	1
#define BACKOFF_MOST	300
/* Once a second it is told, as long as there is something to tell. */
#define GIVE_UP_AGAIN	1000

/**
 * struct extend_ctx - what a job is about
 * @lv: path of the logical volume, or ""
 * @target: sectors that are wanted, or that there are
 */
struct extend_ctx {
	const struct mapper_dev *live;
	const struct mapper_dev *store;
	char lv[160];
	uint64_t target;
};

/* ---- the jobs ----------------------------------------------------------------- */

static int read_word(const char *path, char *text, int len)
{
	FILE *f = fopen(path, "re");
	char *line;

	if (!f)
		return -errno;
	line = fgets(text, len, f);
	fclose(f);
	if (!line)
		return -EIO;
	text[strcspn(text, "\n")] = '\0';
	return 0;
}

/* Known by the UUID that LVM gives its devices. */
static void find_lv(struct extend_ctx *c)
{
	unsigned int major, minor;
	char path[64], text[128];

	c->lv[0] = '\0';
	if (grow_device(c->store, &major, &minor))
		return;
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/dm/uuid", major,
		 minor);
	if (read_word(path, text, sizeof(text)) || strncmp(text, "LVM-", 4))
		return;
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/dm/name", major,
		 minor);
	if (!read_word(path, text, sizeof(text)))
		snprintf(c->lv, sizeof(c->lv), "/dev/mapper/%s", text);
}

static int extend_device(struct snapprotd *d, const void *ctx, int out)
{
	const struct extend_ctx *c = ctx;
	struct event ev = {
		.name = "extend",
		.live = c->live,
		.store = c->store,
		.text = "",
	};
	struct facts f;
	char size[32];

	(void)out;
	if (!c->lv[0]) {
		event_facts(d, &ev, &f);
		facts_add(&f, "SNAPPROT_WANTED", "%" PRIu64, c->target << 9);
		return hooks_run(d, &f);
	}
	snprintf(size, sizeof(size), "%" PRIu64 "s", c->target);
	/* It asks for nothing, and what it says is for the log. */
	dup2(STDERR_FILENO, STDOUT_FILENO);
	execlp("lvextend", "lvextend", "--quiet", "--yes", "--size", size,
	       c->lv, NULL);
	log_line(LOG_ERR, NULL, "lvextend: %s", strerror(errno));
	return 127;
}

static bool is_space_fault(const char *fault)
{
	return !strcmp(fault, "store_full") || !strcmp(fault, "grow_too_slow") ||
	       !strcmp(fault, "grow_failed");
}

static int grow(struct snapprotd *d, const void *ctx, int out)
{
	const struct extend_ctx *c = ctx;
	char message[64];
	int err;

	(void)d;
	(void)out;
	err = grow_store(c->store, c->target);
	if (err || !is_space_fault(c->live->live.fault))
		return err;
	/* By name: whatever else has happened since is not for us to clear. */
	snprintf(message, sizeof(message), "clear_fault %s",
		 c->live->live.fault);
	err = mapper_message(c->live->name, message, NULL);
	if (err)
		log_line(LOG_ERR, NULL, "%s: not cleared: %s", c->live->name,
			 strerror(-err));
	return 0;
}

static int give_up(struct snapprotd *d, const void *ctx, int out)
{
	const struct extend_ctx *c = ctx;

	(void)d;
	(void)out;
	/* Nothing comes of it as long as there is space. */
	return mapper_message(c->live->name, "grow_failed", NULL);
}

/* ---- deciding -------------------------------------------------------------------- */

static void tell(struct snapprotd *d, const char *volume, const char *name,
		 const char *text)
{
	struct event ev = {
		.name = name,
		.priority = strcmp(name, "extended") ? LOG_ERR : LOG_NOTICE,
		.live = mapper_find_live(&d->scan, volume),
		.text = text,
	};

	if (!ev.live)
		return;
	ev.store = mapper_find(&d->scan, MAPPER_STORE, ev.live->volume, 0);
	event_tell(d, &ev);
}

static void failed(struct snapprotd *d, struct volume *v, const char *what)
{
	struct extension *x = &v->extension;
	char text[200];
	uint32_t wait;

	wait = policy_backoff(++x->failures, BACKOFF_FIRST, BACKOFF_MOST);
	x->next = d->now + 1000ll * wait;
	d->counters.extend_failed++;
	snprintf(text, sizeof(text), "%s; again in %" PRIu32 " s", what, wait);
	tell(d, v->name, "extend_failed", text);
}

void extend_full(struct snapprotd *d, const char *volume)
{
	struct volume *v = volume_find(d, volume);

	if (!v || !v->extension.failures)
		return;
	v->extension.next = d->now;
	if (v->extension.failures >= POLICY_TRIES)
		v->extension.failures = POLICY_TRIES - 1;
}

static void start(struct snapprotd *d, struct volume *v, enum job_kind kind,
		  const struct extend_ctx *c)
{
	unsigned int limit = kind == JOB_EXTEND && c->lv[0] ? LVEXTEND_LIMIT :
			     kind == JOB_EXTEND ? d->opt.hook_limit + 10 :
			     GROW_LIMIT;
	job_fn fn = kind == JOB_EXTEND ? extend_device :
		    kind == JOB_GROW ? grow : give_up;

	/* Without a process the next look, a second later, tries again. */
	if (!job_start(d, kind, v->name, limit, fn, c))
		wake_at(d, d->now + 1000);
}

static void check_give_up(struct snapprotd *d, struct volume *v,
			  const struct extend_ctx *c, const struct job *job)
{
	struct extension *x = &v->extension;

	if (strcmp(c->live->live.state, "active") || !c->live->live.held ||
	    job_find(d, JOB_GIVE_UP, v->name))
		return;
	if (c->target && x->failures < POLICY_TRIES && !(job && job->late))
		return;
	if (x->given_up && d->now < x->given_up + GIVE_UP_AGAIN) {
		wake_at(d, x->given_up + GIVE_UP_AGAIN);
		return;
	}
	x->given_up = d->now;
	start(d, v, JOB_GIVE_UP, c);
}

static void check_device(struct snapprotd *d, struct volume *v,
			 struct extend_ctx *c)
{
	struct extension *x = &v->extension;
	const struct job *job = job_find(d, JOB_EXTEND, v->name);
	uint64_t sectors;

	if (!job && x->next <= d->now && !grow_sectors(c->store, &sectors) &&
	    sectors > c->store->sectors) {
		c->target = sectors;
		start(d, v, JOB_GROW, c);
		return;
	}
	c->target = policy_target(&v->policy, c->store->sectors);
	if (!c->target && !x->at_most) {
		x->at_most = true;
		tell(d, v->name, "extend_failed",
		     "it is as large as extend_max lets it become");
	}
	check_give_up(d, v, c, job);
	if (job || !c->target)
		return;
	if (d->now < x->next) {
		wake_at(d, x->next);
		return;
	}
	find_lv(c);
	start(d, v, JOB_EXTEND, c);
}

void extend_check(struct snapprotd *d, struct volume *v)
{
	struct extend_ctx c = { .live = mapper_find_live(&d->scan, v->name) };

	if (!v->policy.extend || !c.live)
		return;
	c.store = mapper_find(&d->scan, MAPPER_STORE, c.live->volume, 0);
	if (!c.store || c.store->suspended ||
	    strcmp(c.store->store.state, "online") ||
	    job_find(d, JOB_GROW, v->name))
		return;
	if (c.store->store.low)
		check_device(d, v, &c);
	else if (!job_find(d, JOB_EXTEND, v->name))
		v->extension = (struct extension){ .failures = 0 };
}

/* ---- what came of it ---------------------------------------------------------------- */

static void extended(struct snapprotd *d, struct volume *v)
{
	const struct mapper_dev *live = mapper_find_live(&d->scan, v->name);
	const struct mapper_dev *store;
	char size[24], text[64];
	uint64_t sectors;

	store = live ? mapper_find(&d->scan, MAPPER_STORE, live->volume, 0) :
		       NULL;
	v->extension = (struct extension){ .failures = 0 };
	d->counters.extended++;
	if (!store || grow_sectors(store, &sectors))
		return;
	size_format(sectors << 9, size, sizeof(size));
	snprintf(text, sizeof(text), "its store has %s", size);
	tell(d, v->name, "extended", text);
}

/* Did the device grow? That alone counts. */
static bool has_grown(struct snapprotd *d, const struct volume *v)
{
	const struct mapper_dev *live = mapper_find_live(&d->scan, v->name);
	const struct mapper_dev *store;
	uint64_t sectors;

	store = live ? mapper_find(&d->scan, MAPPER_STORE, live->volume, 0) :
		       NULL;
	return store && !grow_sectors(store, &sectors) &&
	       sectors > store->sectors;
}

void extend_done(struct snapprotd *d, const struct job *job, int status)
{
	struct volume *v = volume_find(d, job->volume);
	char text[128];

	if (!v || job->kind == JOB_GIVE_UP)
		return;
	if (job->kind == JOB_GROW) {
		if (!status) {
			extended(d, v);
			return;
		}
		snprintf(text, sizeof(text), "its store cannot be grown: %s",
			 WIFEXITED(status) ? strerror(WEXITSTATUS(status)) :
					     "ended by a signal");
		failed(d, v, text);
	} else if (has_grown(d, v)) {
		/* At once, whatever waits for the next attempt. */
		v->extension.next = d->now;
	} else if (!status) {
		failed(d, v, "its store's device has not become larger");
	} else if (WIFEXITED(status)) {
		snprintf(text, sizeof(text),
			 "its store's device cannot be extended: exit code %d",
			 WEXITSTATUS(status));
		failed(d, v, text);
	} else {
		failed(d, v, "extending its store's device took too long");
	}
}
