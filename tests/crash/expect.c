// SPDX-License-Identifier: GPL-2.0-only
/*
 * What must be there. Marks say what had been asked for and what had been
 * acknowledged; between the two it may be there or not.
 *
 * The contents of a snapshot are those of the origin at its instant. A workload that
 * writes meanwhile cannot say when that was, but the log can: new writes wait and
 * old ones have ended while the snapshot's record is written.
 */
#include "crash.h"

struct snap *expect_snap(struct expect *e, u32 id)
{
	u32 i;

	for (i = 0; i < e->nr_snaps; i++)
		if (e->snap[i].id == id)
			return &e->snap[i];
	return NULL;
}

void expect_clear(struct expect *e)
{
	u32 i;

	for (i = 0; i < e->nr_snaps; i++)
		free(e->snap[i].want);
	memset(e, 0, sizeof(*e));
}

static const char *mark_create(struct expect *e, bool done, u32 id)
{
	struct snap *s = expect_snap(e, id);

	if (!done) {
		if (s || e->nr_snaps == MAX_SNAPS)
			return "mark: the number was used before";
		e->snap[e->nr_snaps++].id = id;
		return NULL;
	}
	if (!s || !s->want)
		return "a snapshot was acknowledged, and no record written";
	s->created = true;
	return NULL;
}

static const char *mark_delete(struct expect *e, bool done, u32 id)
{
	struct snap *s = expect_snap(e, id);

	if (!s)
		return "mark: of a snapshot that is not there";
	s->deleting = true;
	s->deleted = done;
	return NULL;
}

static const char *mark_drop(struct expect *e, bool done)
{
	u32 i;

	for (i = 0; i < e->nr_snaps; i++) {
		if (!done)
			e->snap[i].may_be_lost = true;
		else if (e->snap[i].may_be_lost)
			e->snap[i].is_lost = true;
	}
	return NULL;
}

static const char *mark_sync(struct expect *e, bool done)
{
	e->syncing = !done;
	if (!done)
		e->flushed = false;
	else if (!e->flushed)
		return "the live volume was flushed, and the disk was not";
	return NULL;
}

static const char *mark_arrive(struct expect *e, bool done)
{
	/* Either of label and store is enough. */
	if (done && e->mode == MODE_EITHER)
		e->mode = MODE_PROTECT;
	e->generation += done;
	return NULL;
}

const char *expect_mark(struct expect *e, bool done, const char *words)
{
	unsigned long long n = 0;
	char word[16];

	if (sscanf(words, "%15s %llu", word, &n) < 1)
		return "mark: empty";
	if (!strcmp(word, "create"))
		return mark_create(e, done, n);
	if (!strcmp(word, "delete"))
		return mark_delete(e, done, n);
	if (!strcmp(word, "drop"))
		return mark_drop(e, done);
	if (!strcmp(word, "sync"))
		return mark_sync(e, done);
	if (!strcmp(word, "arrive"))
		return mark_arrive(e, done);
	if (!strcmp(word, "protect"))
		e->mode = done ? MODE_PROTECT : MODE_EITHER;
	else if (!strcmp(word, "normal"))
		e->mode = done ? MODE_NORMAL : MODE_EITHER;
	else if (!strcmp(word, "grow"))
		e->store_sectors = n;
	else
		return "mark: of an unknown kind";
	return NULL;
}

void expect_instant(struct expect *e, u32 id, const u8 *origin)
{
	struct snap *s = expect_snap(e, id);
	u64 i;

	if (!s || s->want)
		return;
	s->want = calloc(e->blocks, sizeof(*s->want));
	for (i = 0; i < e->blocks; i++)
		s->want[i] = block_hash(origin + i * BLOCK);
}
