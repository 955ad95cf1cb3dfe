// SPDX-License-Identifier: GPL-2.0-only
/*
 * Events of snapprotd: what has happened is told in one line, with the facts, and to
 * the hooks. Names are those of the kernel's uevents, where there is one.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "events.h"
#include "grow.h"
#include "snapprotd.h"

/* ---- facts ----------------------------------------------------------------------- */

static void add_live(struct facts *f, const struct mapper_dev *live)
{
	const struct live_status *st = &live->live;

	facts_add(f, "SNAPPROT_VOLUME", "%s", live->name);
	facts_add(f, "SNAPPROT_UUID", "%s", live->volume);
	facts_add(f, "SNAPPROT_MODE", "%s", st->mode);
	facts_add(f, "SNAPPROT_STATE", "%s", st->state);
	facts_add(f, "SNAPPROT_FAULT", "%s", st->fault);
	facts_add(f, "SNAPPROT_ERRNO", "%d", st->error);
	facts_add(f, "SNAPPROT_SNAPSHOTS", "%" PRIu32, st->valid);
	facts_add(f, "SNAPPROT_LOST", "%" PRIu32, st->lost);
	facts_add(f, "SNAPPROT_HELD", "%" PRIu32, st->held);
}

static void add_store(struct facts *f, const struct mapper_dev *store)
{
	unsigned int major, minor;

	facts_add(f, "SNAPPROT_STORE", "%s", store->name);
	facts_add(f, "SNAPPROT_STORE_STATE", "%s", store->store.state);
	facts_add(f, "SNAPPROT_LOW", "%d", store->store.low);
	if (!grow_device(store, &major, &minor))
		facts_add(f, "SNAPPROT_STORE_DEVICE", "/dev/block/%u:%u",
			  major, minor);
}

static void add_space(struct facts *f, const struct event *ev)
{
	uint64_t used, total;

	if (ev->live && ev->live->live.has_space) {
		used = ev->live->live.used;
		total = ev->live->live.total;
	} else if (ev->store && ev->store->store.has_space) {
		used = ev->store->store.used;
		total = ev->store->store.total;
	} else {
		return;
	}
	facts_add(f, "SNAPPROT_USED", "%" PRIu64, used << 9);
	facts_add(f, "SNAPPROT_TOTAL", "%" PRIu64, total << 9);
}

void event_facts(struct snapprotd *d, const struct event *ev, struct facts *f)
{
	f->count = 0;
	facts_add(f, "SNAPPROT_EVENT", "%s", ev->name);
	facts_add(f, "SNAPPROT_NUMBER", "%" PRIu64, d->counters.events);
	facts_add(f, "SNAPPROT_TIME", "%" PRId64, d->wall);
	if (ev->live)
		add_live(f, ev->live);
	else if (ev->store)
		facts_add(f, "SNAPPROT_UUID", "%s", ev->store->volume);
	if (ev->store)
		add_store(f, ev->store);
	add_space(f, ev);
	if (ev->snapshot)
		facts_add(f, "SNAPPROT_SNAPSHOT", "%" PRIu32, ev->snapshot);
	facts_add(f, "SNAPPROT_MESSAGE", "%s", ev->text);
}

/* ---- telling ---------------------------------------------------------------------- */

void event_tell(struct snapprotd *d, const struct event *ev)
{
	const struct mapper_dev *dev = ev->on_store ? ev->store : ev->live;
	struct facts f;

	d->counters.events++;
	event_facts(d, ev, &f);
	log_line(ev->priority, &f, "%s: %s%s%s", dev->name, ev->name,
		 *ev->text ? ": " : "", ev->text);
	hooks_start(d, &f);
	d->metrics_wanted = true;
}

/* ---- what happened ------------------------------------------------------------------ */

static const struct {
	const char *name;
	int priority;
} priorities[] = {
	{ "blocked",		LOG_CRIT },
	{ "lost",		LOG_CRIT },
	{ "full",		LOG_ERR },
	{ "deleted_oldest",	LOG_ERR },
	{ "waiting",		LOG_WARNING },
	{ "low_water",		LOG_WARNING },
};

static int priority_of(const char *name, const struct mapper_dev *dev)
{
	size_t i;

	/* One that is found blocked is no less blocked than one that becomes so. */
	if (dev->kind == MAPPER_LIVE && !strcmp(name, "present"))
		name = dev->live.state;
	for (i = 0; i < sizeof(priorities) / sizeof(*priorities); i++)
		if (!strcmp(priorities[i].name, name))
			return priorities[i].priority;
	return LOG_NOTICE;
}

static bool is_full(const struct mapper_scan *scan, const struct mapper_dev *live)
{
	const struct mapper_dev *store;

	store = mapper_find(scan, MAPPER_STORE, live->volume, 0);
	return store && store->store.low && live->live.held &&
	       !strcmp(live->live.state, "active");
}

static const char *live_state_event(const struct live_status *old,
				    const struct live_status *new)
{
	if (!strcmp(new->state, "blocked"))
		return "blocked";
	if (new->lost > old->lost)
		return "lost";
	if (!strcmp(new->state, "waiting"))
		return "waiting";
	if (!strcmp(old->state, "blocked"))
		return "cleared";
	return !strcmp(new->state, "active") ? "arrived" : "changed";
}

/* What a change of a live volume is called; NULL if it is none. */
static const char *live_event(const struct mapper_scan *scan,
			      const struct mapper_dev *old,
			      const struct mapper_dev *new)
{
	const struct live_status *a = &old->live, *b = &new->live;

	if (strcmp(a->state, b->state) ||
	    (!strcmp(b->state, "blocked") && strcmp(a->fault, b->fault)))
		return live_state_event(a, b);
	/*
	 * There is an event behind each of these, maybe not yet: were they left to it,
	 * nothing of them would be new any more when it comes.
	 */
	if (b->lost > a->lost)
		return "lost";
	if (strcmp(a->mode, b->mode))
		return "mode";
	if (a->fault[0] && !b->fault[0])
		return "cleared";
	/* Other counts change with each snapshot, which is no event. */
	if (old->event_nr == new->event_nr)
		return strcmp(old->name, new->name) ? "changed" : NULL;
	if (b->valid < a->valid && strstr(new->table, " delete_oldest"))
		return "deleted_oldest";
	return is_full(scan, new) ? "full" : "changed";
}

static const char *store_event(const struct mapper_dev *old,
			       const struct mapper_dev *new)
{
	if (new->store.low && !old->store.low)
		return "low_water";
	if (old->store.has_space && new->store.total > old->store.total)
		return "grown";
	return events_same(old, new) ? NULL : "changed";
}

static void tell(struct snapprotd *d, const struct mapper_scan *scan,
		 const struct mapper_dev *dev, const char *name)
{
	struct event ev = {
		.name = name,
		.priority = priority_of(name, dev),
		.on_store = dev->kind == MAPPER_STORE,
	};
	char text[256] = "";
	size_t i;

	if (ev.on_store) {
		ev.store = dev;
		for (i = 0; i < scan->count; i++)
			if (scan->devs[i].kind == MAPPER_LIVE &&
			    !strcmp(scan->devs[i].volume, dev->volume))
				ev.live = &scan->devs[i];
	} else {
		ev.live = dev;
		ev.store = mapper_find(scan, MAPPER_STORE, dev->volume, 0);
	}
	/* One that is gone has no state any more. */
	if (strcmp(name, "removed"))
		events_describe(dev, text, sizeof(text));
	ev.text = text;
	event_tell(d, &ev);
	if (!strcmp(name, "full"))
		extend_full(d, dev->name);
}

/*
 * The kernel changes its status and then raises the event. A look in between tells
 * it; the event, in which nothing is new any more, is not told again.
 */
static bool was_told(struct snapprotd *d, const struct mapper_dev *old,
		     const struct mapper_dev *new, const char *name)
{
	uint64_t number = (uint64_t)new->major << 32 | new->minor;
	int i, slot = -1;

	for (i = 0; i < EARLY_MAX; i++) {
		if (d->early[i] == number)
			break;
		slot = d->early[i] ? slot : i;
	}
	if (old->event_nr == new->event_nr) {
		if (i == EARLY_MAX && slot >= 0 && !strcmp(old->name, new->name))
			d->early[slot] = number;
		return false;
	}
	if (i == EARLY_MAX)
		return false;
	d->early[i] = 0;
	return new->event_nr == old->event_nr + 1 && !strcmp(name, "changed");
}

static bool is_ours(const struct mapper_dev *dev)
{
	return dev->kind == MAPPER_LIVE || dev->kind == MAPPER_STORE;
}

void events_tell(struct snapprotd *d, const struct mapper_scan *before,
		 const struct mapper_scan *now, bool first)
{
	const struct mapper_dev *dev, *old;
	const char *name;
	size_t i;

	for (i = 0; i < before->count; i++)
		if (is_ours(&before->devs[i]) &&
		    !events_counterpart(now, &before->devs[i]))
			tell(d, before, &before->devs[i], "removed");
	for (i = 0; i < now->count; i++) {
		dev = &now->devs[i];
		if (!is_ours(dev))
			continue;
		old = events_counterpart(before, dev);
		if (!old)
			name = first ? "present" : "added";
		else
			name = dev->kind == MAPPER_LIVE ?
			       live_event(now, old, dev) :
			       store_event(old, dev);
		if (name && !(old && was_told(d, old, dev, name)))
			tell(d, now, dev, name);
	}
}
