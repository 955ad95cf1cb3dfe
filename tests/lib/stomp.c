// SPDX-License-Identifier: GPL-2.0-only
/*
 * stomp - random operations on a live volume of the module and on arrays
 *
 *   stomp [SEED [RUNS]]          OPS=3,17,90 only these operations of the run
 *
 * The same frame as the unit tests' on simulated devices, see ../unit/property.h; the
 * state machine is the module's own here. All that is known beside it: what each byte
 * of the live volume and of each snapshot has to be, and which snapshots something
 * allows to be lost. ORIGIN_DISK, STORE_DISK and SNAPPROT (the tool) come from the
 * environment, as does STOMP_OPS, how many operations make a run.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/fs.h>

#include "stomp.h"

#define MAX_SNAPS	8u
#define BLOCK		8u		/* sectors */
#define LARGEST		512u		/* sectors of a write */
#define HELD_LOOKS	20u
#define PIECE		128u		/* sectors of a read that is compared */
#define DEV_ORIGIN	"/dev/mapper/" ORIGIN
#define DEV_VIEW	"/dev/mapper/" VIEW

enum { WRITES, HELD, CRASHES, FAULTS, LOSSES, COMPARED };

static const char *const counts[] = {
	"writes", "held", "crashes", "faults", "losses", "snapshots compared", NULL
};

struct snap {
	u32 id;
	u8 *data;
	bool may_lose;		/* something has allowed that */
	bool lost;		/* and that was seen */
	bool doubt;		/* a message about it has failed */
};

/* A write or discard that has been begun, by a process of its own. */
struct pending {
	pid_t pid;
	u64 first;
	u32 count;		/* sectors */
	bool discard;
	u8 *data;
};

struct stomp {
	struct stomp_disks d;
	bool origin, store;	/* their tables are loaded */
	bool store_suspended;
	bool origin_fails, store_fails;
	bool in_use;		/* what has failed may still be what is seen */
	bool protect;		/* the message has succeeded */
	bool protect_doubt;
	u8 *live;
	struct snap snap[MAX_SNAPS];
	u32 nr_snaps;
	u32 next_id;
	struct pending p;
};

/* ---- buffers and contents --------------------------------------------------------- */

static u8 *buffer(u64 sectors)
{
	void *p;

	CHECK(!posix_memalign(&p, 4096, sectors * SECTOR));
	return p;
}

static void fill(u8 *data, u32 sectors)
{
	u64 *word = (u64 *)data;
	u32 i;

	for (i = 0; i < sectors * SECTOR / 8; i++)
		word[i] = unit_random();
}

static bool is_zero(const u8 *sector)
{
	static const u8 zeroes[SECTOR];

	return !memcmp(sector, zeroes, SECTOR);
}

/* ---- what is allowed ------------------------------------------------------------------ */

static void allow_losses(struct stomp *s)
{
	u32 i;

	for (i = 0; i < s->nr_snaps; i++)
		s->snap[i].may_lose = true;
}

/* Something is not as it should be, so that a fault may follow. */
static bool disturbed(const struct stomp *s, const struct stomp_status *st)
{
	return s->origin_fails || s->store_fails || !s->store ||
	       strcmp(st->state, "active") || strcmp(st->fault, "-");
}

/* Looks at the volume after each operation. */
static void look(struct stomp *s, struct stomp_status *st)
{
	if (!s->origin || !origin_status(st)) {
		*st = (struct stomp_status){ .state = "none", .fault = "-" };
		return;
	}
	if (!s->protect_doubt)
		CHECK(st->protect || !s->protect);
	if (!disturbed(s, st))
		s->in_use = false;
	else if (!st->protect)
		allow_losses(s);
}

/* ---- writes --------------------------------------------------------------------------- */

/* It did all, a part, or nothing: each sector of the disk is the old or the new one. */
static void settle(struct stomp *s, bool done)
{
	struct pending *p = &s->p;
	u8 *got = buffer(p->count);
	u64 at = p->first * SECTOR;
	u32 i;

	CHECK_EQ(pread(s->d.origin, got, p->count * SECTOR, at),
		 p->count * SECTOR);
	for (i = 0; i < p->count; i++) {
		u8 *is = got + i * SECTOR;
		bool new = p->discard ? is_zero(is) :
				!memcmp(is, p->data + i * SECTOR, SECTOR);

		/* A discard need not do anything. */
		CHECK(new || ((!done || p->discard) &&
			      !memcmp(is, s->live + at + i * SECTOR, SECTOR)));
	}
	memcpy(s->live + at, got, p->count * SECTOR);
	free(got);
	free(p->data);
	memset(p, 0, sizeof(*p));
	property_count(WRITES);
}

/* True if nothing is pending. */
static bool reap(struct stomp *s, bool wait)
{
	int status;
	pid_t pid;

	if (!s->p.pid)
		return true;
	pid = waitpid(s->p.pid, &status, wait ? 0 : WNOHANG);
	if (!pid)
		return false;
	CHECK(pid == s->p.pid && WIFEXITED(status));
	CHECK(WEXITSTATUS(status) < 2);
	settle(s, !WEXITSTATUS(status));
	return true;
}

static void pause_ms(u32 ms)
{
	const struct timespec t = { .tv_nsec = ms * 1000000L };

	nanosleep(&t, NULL);
}

/* In the child: 0 done, 1 failed. */
static int do_write(const struct pending *p)
{
	u64 range[2] = { p->first * SECTOR, (u64)p->count * SECTOR };
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fd = open(DEV_ORIGIN, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (fd < 0)
		return 2;
	if (p->discard)
		return ioctl(fd, BLKDISCARD, range) ? 1 : 0;
	return pwrite(fd, p->data, range[1], range[0]) != (ssize_t)range[1];
}

/* Until it has ended, or is said to be held. */
static void begin_write(struct stomp *s)
{
	struct stomp_status st;
	u32 looks = 0;

	fflush(stdout);
	s->p.pid = fork();
	CHECK(s->p.pid >= 0);
	if (!s->p.pid)
		_exit(do_write(&s->p));
	while (!reap(s, false)) {
		pause_ms(5);
		look(s, &st);
		/* For a moment each is. */
		looks = st.held ? looks + 1 : 0;
		if (looks < HELD_LOOKS)
			continue;
		property_count(HELD);
		property_say("   held");
		return;
	}
}

static void op_write(struct stomp *s)
{
	struct pending *p = &s->p;

	if (!s->origin || p->pid)
		return;
	p->count = 1 + unit_below(unit_once_in(4) ? LARGEST : 24);
	p->first = unit_below(s->d.sectors - p->count);
	p->discard = unit_once_in(8);
	if (!p->discard) {
		p->data = buffer(p->count);
		fill(p->data, p->count);
	}
	property_say("   %u sectors at %llu%s", p->count,
		     (unsigned long long)p->first, p->discard ? ", discard" : "");
	begin_write(s);
}

/* ---- snapshots ---------------------------------------------------------------------- */

static void forget(struct stomp *s, u32 i)
{
	free(s->snap[i].data);
	s->snap[i] = s->snap[--s->nr_snaps];
}

static struct snap *find(struct stomp *s, u32 id)
{
	u32 i;

	for (i = 0; i < s->nr_snaps; i++)
		if (s->snap[i].id == id)
			return &s->snap[i];
	return NULL;
}

/* A line of list_snaps: is it one that may be there, and so? */
static void listed(struct stomp *s, u32 id, const char *state)
{
	struct snap *snap = find(s, id);

	CHECK(snap);
	snap->doubt = false;
	if (!strcmp(state, "lost")) {
		CHECK(snap->may_lose);
		if (!snap->lost)
			property_count(LOSSES);
		snap->lost = true;
	} else {
		CHECK(!strcmp(state, "valid") && !snap->lost);
	}
}

static void op_list(struct stomp *s)
{
	char answer[2048], state[16], *line, *save = NULL;
	bool there[MAX_SNAPS] = { false };
	struct stomp_status st;
	u32 id, i;
	int n;

	look(s, &st);
	if (!s->origin || dm_message(ORIGIN, answer, sizeof(answer), "list_snaps"))
		return;
	for (line = strtok_r(answer, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		n = sscanf(line, "%u %15s", &id, state);
		CHECK_EQ(n, 2);
		listed(s, id, state);
		there[find(s, id) - s->snap] = true;
	}
	for (i = s->nr_snaps; i--;) {
		if (there[i])
			continue;
		CHECK(s->snap[i].doubt);
		forget(s, i);
	}
}

static void origin_goes(struct stomp *s)
{
	if (!s->origin)
		return;
	dm_remove_force(ORIGIN);
	s->origin = false;
	reap(s, true);
}

/* It may not be possible; then it has to go. */
static void resume_origin(struct stomp *s)
{
	if (!dm_resume(ORIGIN))
		return;
	property_say("   cannot be resumed");
	CHECK(s->origin_fails || s->store_fails || s->in_use);
	origin_goes(s);
}

static void op_create(struct stomp *s)
{
	struct stomp_status st;
	struct snap *snap = &s->snap[s->nr_snaps];
	bool frozen = unit_once_in(3);
	int err;

	/* What a write that is under way has done is not known. */
	if (!s->origin || s->nr_snaps == MAX_SNAPS || !reap(s, false))
		return;
	if (frozen)
		CHECK_EQ(dm_suspend(ORIGIN, unit_once_in(2), unit_once_in(2)), 0);
	*snap = (struct snap){ .id = ++s->next_id };
	err = dm_message(ORIGIN, NULL, 0, "create_snap %u", snap->id);
	property_say("   %u: %d", snap->id, err);
	look(s, &st);
	if (!err || err == -EIO) {
		snap->doubt = err;
		snap->data = buffer(s->d.sectors);
		memcpy(snap->data, s->live, s->d.sectors * SECTOR);
		s->nr_snaps++;
	} else {
		CHECK(err == -ENODEV || err == -ENOSPC);
	}
	if (frozen)
		resume_origin(s);
}

static void op_delete(struct stomp *s)
{
	u32 i;
	int err;

	if (!s->origin || !s->nr_snaps)
		return;
	i = unit_below(s->nr_snaps);
	err = dm_message(ORIGIN, NULL, 0, "delete_snap %u", s->snap[i].id);
	property_say("   %u: %d", s->snap[i].id, err);
	if (!err)
		forget(s, i);
	else if (err == -EIO)
		s->snap[i].doubt = true;
	else
		CHECK(err == -ENODEV || err == -ENOSPC ||
		      (err == -ENOENT && s->snap[i].doubt));
}

/* Reads of it give the right data, or an error where there is a reason for one. */
static void compare(struct stomp *s, const char *dev, const u8 *want,
		    bool may_fail, bool must_fail)
{
	u8 *got = buffer(PIECE);
	u64 at;
	u32 n;
	int fd = open(dev, O_RDONLY | O_DIRECT | O_CLOEXEC);

	CHECK(fd >= 0);
	for (at = 0; at < s->d.sectors; at += n) {
		n = snapprot_min(PIECE, s->d.sectors - at);
		if (pread(fd, got, n * SECTOR, at * SECTOR) != n * SECTOR) {
			CHECK(may_fail || must_fail);
			continue;
		}
		CHECK(!must_fail);
		if (memcmp(got, want + at * SECTOR, n * SECTOR)) {
			property_say("   %s differs at sector %llu", dev,
				     (unsigned long long)at);
			CHECK(!"it is what it was");
		}
	}
	close(fd);
	free(got);
}

static void op_view(struct stomp *s)
{
	char params[64], state[16] = "none";
	struct stomp_status st;
	struct snap *snap;
	bool may_fail;
	u32 id;
	int n;

	/* It would wait for the store. */
	if (!s->nr_snaps || s->store_suspended || !s->store)
		return;
	op_list(s);
	if (!s->nr_snaps)
		return;
	snap = &s->snap[unit_below(s->nr_snaps)];
	look(s, &st);
	may_fail = disturbed(s, &st) || s->in_use || !s->origin;
	if (dm_load(VIEW, true, true, s->d.sectors, "snapprot-snap", "%s %u",
		    s->d.uuid, snap->id) || dm_resume(VIEW)) {
		dm_remove_force(VIEW);
		CHECK(may_fail || snap->doubt);
		return;
	}
	CHECK(dm_params(VIEW, params, sizeof(params)));
	n = sscanf(params, "%u %15s", &id, state);
	CHECK_EQ(n, 2);
	property_say("   %u: %s", id, state);
	compare(s, DEV_VIEW, snap->data, may_fail || !strcmp(state, "offline"),
		!strcmp(state, "lost"));
	CHECK_EQ(dm_remove(VIEW), 0);
	property_count(COMPARED);
}

static void op_compare(struct stomp *s)
{
	struct stomp_status st;

	look(s, &st);
	if (s->origin && !s->p.pid && !disturbed(s, &st))
		compare(s, DEV_ORIGIN, s->live, false, false);
}

/* ---- modes and faults ------------------------------------------------------------------ */

static void op_mode(struct stomp *s)
{
	static const char *const words[] = {
		"protect", "protect", "normal", "normal drop_snapshots",
	};
	struct stomp_status st;
	u32 what = unit_below(ARRAY_SIZE(words));
	int err;

	if (!s->origin)
		return;
	look(s, &st);
	/* With nothing wrong, nothing is dropped. */
	if (what == 3 && disturbed(s, &st))
		allow_losses(s);
	err = dm_message(ORIGIN, NULL, 0, "%s", words[what]);
	property_say("   %s: %d", words[what], err);
	if (what == 2)
		CHECK(!err || err == -EBUSY || err == -EIO || err == -ENODEV);
	s->protect_doubt = err != 0 && (err != -EBUSY || s->protect_doubt);
	if (!err)
		s->protect = what < 2;
}

static void op_clear(struct stomp *s)
{
	if (s->origin)
		property_say("   %d", dm_message(ORIGIN, NULL, 0, "clear_fault"));
}

static void op_set(struct stomp *s)
{
	static const char *const words[] = {
		"set queue_on_fault 1", "set queue_on_fault 0", "set grow_timeout 0",
		"set grow_timeout 60", "set grace 1", "set grace 300", "grow_failed",
	};
	u32 what = unit_below(ARRAY_SIZE(words));

	if (!s->origin)
		return;
	property_say("   %s", words[what]);
	dm_message(ORIGIN, NULL, 0, "%s", words[what]);
}

static void op_fault(struct stomp *s)
{
	struct stomp_status st;

	if (!s->origin)
		return;
	look(s, &st);
	if (!st.protect)
		allow_losses(s);
	dm_message(ORIGIN, NULL, 0, "debug_fault %s",
		   unit_once_in(2) ? "memory" : "internal");
	property_count(FAULTS);
}

/* A disk fails from here on, or works again. */
static void op_break(struct stomp *s)
{
	struct stomp_status st;
	bool store = !unit_once_in(3);
	bool *fails = store ? &s->store_fails : &s->origin_fails;

	*fails = !*fails && unit_once_in(2);
	property_say("   the %s %s", store ? "store" : "origin",
		     *fails ? "fails" : "works");
	s->in_use = s->in_use || *fails;
	look(s, &st);
	layer_set(&s->d, store ? LAYER_S : LAYER_O, !*fails);
	property_count(FAULTS);
}

/* ---- tables ------------------------------------------------------------------------------- */

static int load_origin(struct stomp *s, bool create)
{
	return dm_load(ORIGIN, create, false, s->d.sectors, "snapprot",
		       "/dev/mapper/" LAYER_O " %s 4 grow_timeout %u grace %u",
		       s->d.uuid, unit_once_in(2) ? 0 : 60,
		       unit_once_in(3) ? 1 : 300);
}

static int load_store(struct stomp *s, bool create)
{
	return dm_load(STORE, create, false, s->d.store_sectors, "snapprot-store",
		       "/dev/mapper/" LAYER_S "%s",
		       unit_once_in(2) ? " 2 cache 256" : "");
}

static void op_origin_comes(struct stomp *s)
{
	if (s->origin || load_origin(s, true))
		return;
	if (dm_resume(ORIGIN)) {
		dm_remove_force(ORIGIN);
		CHECK(s->origin_fails || s->store_fails || s->in_use);
		return;
	}
	s->origin = true;
}

static void op_origin_goes(struct stomp *s)
{
	origin_goes(s);
}

static void op_store_comes(struct stomp *s)
{
	if (!s->store) {
		if (load_store(s, true))
			return;
		s->store = true;
		s->store_suspended = true;
	}
	if (!s->store_suspended)
		return;
	if (dm_resume(STORE))
		return;
	s->store_suspended = false;
}

static void store_goes(struct stomp *s)
{
	struct stomp_status st;

	if (!s->store)
		return;
	s->store = false;
	s->store_suspended = false;
	look(s, &st);
	dm_remove_force(STORE);
}

static void op_store_goes(struct stomp *s)
{
	store_goes(s);
}

static void op_store_pauses(struct stomp *s)
{
	if (!s->store || s->store_suspended)
		return;
	CHECK_EQ(dm_suspend(STORE, unit_once_in(2), unit_once_in(2)), 0);
	s->store_suspended = true;
}

/* The origin's table again, another one, or none; suspended in any way. */
static void op_reload(struct stomp *s)
{
	bool load = unit_once_in(2);

	if (!s->origin || (load && load_origin(s, false)))
		return;
	CHECK_EQ(dm_suspend(ORIGIN, unit_once_in(2), unit_once_in(2)), 0);
	resume_origin(s);
}

static void op_grow(struct stomp *s)
{
	u64 more = (64 + unit_below(256)) * BLOCK;

	if (!s->store || s->store_fails || s->store_suspended ||
	    s->d.store_sectors + more > s->d.store_room)
		return;
	s->d.store_sectors += more;
	layer_set(&s->d, LAYER_S, true);
	if (load_store(s, false))
		return;
	CHECK_EQ(dm_suspend(STORE, true, true), 0);
	s->store_suspended = dm_resume(STORE) != 0;
}

/* The power fails: nothing reaches a disk from one moment on, and all is gone. */
static void op_crash(struct stomp *s)
{
	struct stomp_status st;

	look(s, &st);
	layer_set(&s->d, LAYER_O, false);
	layer_set(&s->d, LAYER_S, false);
	s->origin_fails = true;
	s->store_fails = true;
	look(s, &st);
	origin_goes(s);
	store_goes(s);
	layer_set(&s->d, LAYER_O, true);
	layer_set(&s->d, LAYER_S, true);
	s->origin_fails = false;
	s->store_fails = false;
	property_count(CRASHES);
}

/* ---- a run ---------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	void (*fn)(struct stomp *s);
	u32 weight;
} ops[] = {
	{ "write", op_write, 360 },
	{ "create", op_create, 70 },
	{ "delete", op_delete, 25 },
	{ "list", op_list, 20 },
	{ "view", op_view, 70 },
	{ "compare", op_compare, 20 },
	{ "mode", op_mode, 20 },
	{ "clear_fault", op_clear, 40 },
	{ "set", op_set, 20 },
	{ "fault", op_fault, 5 },
	{ "a disk fails or works", op_break, 30 },
	{ "origin comes", op_origin_comes, 90 },
	{ "origin goes", op_origin_goes, 5 },
	{ "store comes or is resumed", op_store_comes, 80 },
	{ "store goes", op_store_goes, 8 },
	{ "store is suspended", op_store_pauses, 10 },
	{ "origin is suspended or reloaded", op_reload, 30 },
	{ "store grows", op_grow, 20 },
	{ "crash", op_crash, 8 },
};

static void op(void *ctx)
{
	struct stomp *s = ctx;
	struct stomp_status st;
	u32 sum = 0, i, n;

	for (i = 0; i < ARRAY_SIZE(ops); i++)
		sum += ops[i].weight;
	n = unit_below(sum);
	for (i = 0; n >= ops[i].weight; i++)
		n -= ops[i].weight;
	property_say("%s", ops[i].name);
	ops[i].fn(s);
	reap(s, false);
	look(s, &st);
	property_say("   %s %s %s, %u snapshots%s", st.protect ? "protect" : "normal",
		     st.state, st.fault, s->nr_snaps, s->p.pid ? ", held" : "");
}

static void *start(void)
{
	struct stomp *s = calloc(1, sizeof(*s));

	CHECK(s);
	disks_begin(&s->d, (256 + unit_below(512)) * BLOCK,
		    (1024 + unit_below(1024)) * BLOCK);
	s->live = buffer(s->d.sectors);
	memset(s->live, 0, s->d.sectors * SECTOR);
	if (!unit_once_in(4)) {
		op_store_comes(s);
		op_origin_comes(s);
	}
	return s;
}

/* Everything works, and is made to notice. */
static void heal(struct stomp *s)
{
	struct stomp_status st;
	u32 i;

	s->origin_fails = false;
	s->store_fails = false;
	s->d.store_sectors = s->d.store_room;
	layer_set(&s->d, LAYER_O, true);
	layer_set(&s->d, LAYER_S, true);
	look(s, &st);
	for (i = 0; i < 5; i++) {
		op_origin_comes(s);
		store_goes(s);
		op_store_comes(s);
		dm_message(ORIGIN, NULL, 0, "clear_fault");
		look(s, &st);
		if (!strcmp(st.state, "active") && !strcmp(st.fault, "-"))
			break;
	}
	CHECK(!strcmp(st.state, "active"));
	CHECK(!strcmp(st.fault, "-"));
	s->in_use = false;
	reap(s, true);
}

/* Nothing is wrong, and nothing is left. */
static void end(void *ctx)
{
	struct stomp *s = ctx;
	u32 i;

	heal(s);
	op_list(s);
	for (i = 0; i < 2 * MAX_SNAPS; i++)
		op_view(s);
	op_compare(s);
	while (s->nr_snaps) {
		CHECK_EQ(dm_message(ORIGIN, NULL, 0, "delete_snap %u",
				    s->snap[0].id), 0);
		forget(s, 0);
	}
	origin_goes(s);
	store_goes(s);
	CHECK(disks_check());
	disks_end(&s->d);
	free(s->live);
	free(s);
}

static void stomp(void)
{
	static const struct property p = {
		.name = "stomp", .start = start, .op = op, .end = end,
		.counts = counts, .seconds = 900,
	};
	const char *length = getenv("STOMP_OPS");

	property_check(&p, unit_rounds(4), length ? atoi(length) : 200);
}

static const struct unit_test tests[] = {
	UNIT_TEST(stomp),
};

UNIT_MAIN(tests)
