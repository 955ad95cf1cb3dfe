// SPDX-License-Identifier: GPL-2.0-only
/*
 * snapprot activate - load the volumes of /etc/snapprottab
 *
 * The store is loaded before the live volume, so that no write has to wait for
 * it. A store that is not there does not keep the live volume: the kernel's grace
 * period is for that. What is loaded already is left as it is, so that the same
 * command later brings a store that was late.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "admin.h"
#include "events.h"
#include "locate.h"
#include "tab.h"

#define PARAMS		512
#define FEATURES	384

/**
 * struct job - a volume being activated
 * @origin: path, to be freed
 * @label: the same, of the label's own device
 * @store: the same
 * @volume: its UUID
 * @sectors: length of the live volume; 0 if only the store knows
 */
struct job {
	const struct tab_entry *e;
	const struct mapper_scan *scan;
	char *origin;
	char *label;
	char *store;
	dev_t origin_dev;
	dev_t label_dev;
	u64 origin_device_sectors;
	char volume[37];
	u64 sectors;
};

/* ---- what is on the devices ------------------------------------------------------ */

static int look_at(const struct job *job, const char *path, struct identity *id,
		   dev_t *number, u64 *sectors)
{
	struct device dev = DEVICE_CLOSED;
	int code, err;

	code = device_open(&dev, path, 0);
	if (code)
		return code;
	if (!dev.block)
		code = complain(TOOL_WRONG, "%s: %s: is no block device",
				job->e->name, path);
	err = code ? 0 : identify(&dev, id);
	if (err)
		code = complain(TOOL_FAILED, "%s: %s: %s", job->e->name, path,
				strerror(-err));
	*number = dev.dev;
	*sectors = dev.sectors;
	device_close(&dev);
	return code;
}

static int take_label(struct job *job, const char *path,
		      const struct identity *id, enum label_place place)
{
	const struct snapprot_disk_label *l = &id->label_at[place];

	if (id->label[place] == TRACE_NONE)
		return 0;
	/* The kernel decides what it makes of these, if the UUID is known. */
	if (id->label[place] != TRACE_VALID)
		return job->e->uuid[0] ? 0 :
		       complain(TOOL_WRONG,
				"%s: %s: its label is %s; uuid= would be needed to go on",
				job->e->name, path,
				id->label[place] == TRACE_NEWER ?
				"of a newer version" : "damaged");
	snapprot_uuid_format(l->h.uuid, job->volume);
	job->sectors = le64_to_cpu(l->origin_sectors);
	return 0;
}

static int find_label(struct job *job)
{
	static struct identity id;
	u64 sectors;
	int code;

	code = look_at(job, job->origin, &id, &job->origin_dev,
		       &job->origin_device_sectors);
	if (code)
		return code;
	if (!job->e->label)
		return job->e->flag[TAB_UNLABELLED] ? 0 :
		       take_label(job, job->origin, &id, LABEL_ON_ORIGIN);
	job->label = locate_spec(job->e->label);
	if (!job->label)
		return complain(TOOL_WRONG,
				"%s: %s: the label's device is not there",
				job->e->name, job->e->label);
	code = look_at(job, job->label, &id, &job->label_dev, &sectors);
	return code ? code : take_label(job, job->label, &id, LABEL_ON_DEVICE);
}

static int find_origin(struct job *job)
{
	const struct tab_entry *e = job->e;
	int code;

	job->origin = locate_spec(e->origin);
	if (!job->origin)
		return complain(TOOL_WRONG, "%s: %s: the origin is not there",
				e->name, e->origin);
	code = find_label(job);
	if (code)
		return code;
	if (!job->volume[0] && !e->uuid[0])
		return complain(TOOL_WRONG,
				"%s: %s: has no label, so uuid= is needed",
				e->name, job->origin);
	if (job->volume[0] && e->uuid[0] && strcmp(job->volume, e->uuid))
		return complain(TOOL_WRONG, "%s: %s: is volume %s, not %s",
				e->name, job->origin, job->volume, e->uuid);
	if (!job->volume[0])
		memcpy(job->volume, e->uuid, sizeof(job->volume));
	return 0;
}

/*
 * The kernel would share a device with whatever else device-mapper has on it, a
 * path of multipath's for instance. Nobody who writes there is seen by us.
 */
static int check_free(const struct job *job, const char *path, dev_t number)
{
	char who[512];

	if (!device_user(number, who, sizeof(who)))
		return 0;
	return complain(TOOL_BUSY, "%s: %s: %s", job->e->name, path, who);
}

/* ---- the store ----------------------------------------------------------------------- */

static bool is_our_store(struct job *job, const struct identity *id)
{
	char uuid[37];

	if (id->store != TRACE_VALID)
		return false;
	snapprot_uuid_format(id->super.h.uuid, uuid);
	if (strcmp(uuid, job->volume))
		return false;
	if (!job->sectors)
		job->sectors = le64_to_cpu(id->super.origin_sectors);
	return true;
}

static int load_store(struct job *job, dev_t number, u64 sectors)
{
	char name[160], uuid[128], params[PARAMS], features[FEATURES];
	struct mapper_table table = {
		.target = "snapprot-store",
		.params = params,
		.sectors = sectors & ~(u64)(SNAPPROT_SECTORS_PER_BLOCK - 1),
	};
	int err;

	err = tab_store_features(job->e, features, sizeof(features));
	if (err)
		return err;
	snprintf(name, sizeof(name), "%s-store", job->e->name);
	snprintf(uuid, sizeof(uuid), MAPPER_PREFIX "%s-" MAPPER_ROLE_STORE,
		 job->volume);
	snprintf(params, sizeof(params), "%u:%u%s", major(number),
		 minor(number), features);
	return mapper_create(name, uuid, &table);
}

/*
 * Where the tab says it is, or wherever it has turned up. 0 also if it is nowhere:
 * then @loaded stays false.
 */
static int bring_store(struct job *job, bool *loaded)
{
	static struct identity id;
	const char *name = job->e->name;
	dev_t number;
	u64 sectors;
	int code, err;

	job->store = job->e->store ? locate_spec(job->e->store) : NULL;
	if (job->store) {
		code = look_at(job, job->store, &id, &number, &sectors);
		if (code)
			return code;
	}
	if (!job->store || !is_our_store(job, &id)) {
		free(job->store);
		job->store = locate_store(job->scan, job->volume);
		if (!job->store && job->e->store)
			job->store = locate_spec(job->e->store);
		if (!job->store)
			return 0;
		code = look_at(job, job->store, &id, &number, &sectors);
		if (code)
			return code;
		if (!is_our_store(job, &id))
			return complain(TOOL_WRONG,
					"%s: %s: is not this volume's store",
					name, job->store);
	}
	code = check_free(job, job->store, number);
	if (code)
		return code;
	err = load_store(job, number, sectors);
	*loaded = !err;
	return err ? complain(admin_code(err),
			      "%s: %s: the store cannot be loaded: %s (the kernel's log says more)",
			      name, job->store, strerror(-err)) : 0;
}

/* ---- the live volume ------------------------------------------------------------------ */

static int load_live(struct job *job)
{
	char uuid[128], params[PARAMS], features[FEATURES], label[32];
	struct mapper_table table = { .target = "snapprot", .params = params };
	int err;

	table.sectors = job->sectors;
	/* The kernel looks for the label behind the table's end. */
	if (!table.sectors && (job->label || job->e->flag[TAB_UNLABELLED]))
		table.sectors = job->origin_device_sectors &
				~(u64)(SNAPPROT_SECTORS_PER_BLOCK - 1);
	else if (!table.sectors)
		table.sectors = snapprot_label_start(job->origin_device_sectors);
	snprintf(label, sizeof(label), "%u:%u", major(job->label_dev),
		 minor(job->label_dev));
	err = tab_live_features(job->e, job->label ? label : NULL, features,
				sizeof(features));
	if (err)
		return err;
	snprintf(uuid, sizeof(uuid), MAPPER_PREFIX "%s-" MAPPER_ROLE_LIVE,
		 job->volume);
	snprintf(params, sizeof(params), "%u:%u %s%s", major(job->origin_dev),
		 minor(job->origin_dev), job->volume, features);
	return mapper_create(job->e->name, uuid, &table);
}

static int bring_live(struct job *job, bool undo_store)
{
	const char *name = job->e->name;
	char store[160];
	int err;

	err = load_live(job);
	if (!err)
		return 0;
	if (undo_store) {
		snprintf(store, sizeof(store), "%s-store", name);
		mapper_remove(store);
	}
	return complain(admin_code(err),
			"%s: %s: cannot be loaded: %s (the kernel's log says more)",
			name, job->origin, strerror(-err));
}

/*
 * A store that is loaded first meets its volume only when that is resumed, and may
 * be refused then. It would be in the way of the right one. One that has been taken
 * by a volume that is blocked stays, as it is for people to say that all is well.
 */
static int check_taken(struct job *job)
{
	const struct mapper_dev *live, *store;
	struct mapper_scan scan;
	int code = 0, err;

	err = mapper_scan(&scan);
	live = mapper_find(&scan, MAPPER_LIVE, job->volume, 0);
	store = mapper_find(&scan, MAPPER_STORE, job->volume, 0);
	if (!err && live && store && !strcmp(live->live.state, "blocked") &&
	    !strcmp(store->store.state, "online")) {
		printf("%s: still blocked by %s (see snapprot clear)\n",
		       job->e->name, live->live.fault);
	} else if (!err && live && store &&
		   strcmp(live->live.state, "active")) {
		code = complain(TOOL_FAILED,
				"%s: %s: the store was refused: the volume is %s (the kernel's log says more)",
				job->e->name, job->store, live->live.state);
		if (!strcmp(store->store.state, "unclaimed"))
			mapper_remove(store->name);
	}
	mapper_scan_free(&scan);
	return code;
}

static int activate(struct job *job)
{
	const struct mapper_dev *live;
	bool new_store = false;
	int code, store_code = 0;

	code = find_origin(job);
	if (code)
		return code;
	live = mapper_find(job->scan, MAPPER_LIVE, job->volume, 0);
	if (live && strcmp(live->name, job->e->name))
		return complain(TOOL_BUSY, "%s: is active as %s", job->e->name,
				live->name);
	if (!live)
		code = check_free(job, job->origin, job->origin_dev);
	if (code)
		return code;
	if (!mapper_find(job->scan, MAPPER_STORE, job->volume, 0)) {
		store_code = bring_store(job, &new_store);
		if (!store_code && !new_store)
			printf("%s: its store is not there yet\n",
			       job->e->name);
	}
	if (!live)
		code = bring_live(job, new_store);
	if (!code && new_store)
		code = check_taken(job);
	return code ? code : store_code;
}

/* ---- the command ------------------------------------------------------------------------ */

static void complain_tab(void *ctx, unsigned int line, unsigned int column,
			 const char *what)
{
	int *code = ctx;

	*code = complain(TOOL_FAILED, TAB_PATH ":%u:%u: %s", line, column,
			 what);
}

/* Each is looked at anew: one may lie on another that has just come. */
static int activate_entry(const struct tab_entry *e)
{
	struct mapper_scan scan;
	struct job job = { .e = e, .scan = &scan };
	int code;

	code = admin_begin(&scan);
	if (!code)
		code = activate(&job);
	mapper_scan_free(&scan);
	free(job.origin);
	free(job.label);
	free(job.store);
	return code;
}

static int activate_all(const struct tab *tab)
{
	int one, code = 0;
	size_t i;

	for (i = 0; i < tab->count; i++) {
		if (tab->entries[i].flag[TAB_NOAUTO])
			continue;
		one = activate_entry(&tab->entries[i]);
		if (!code && !tab->entries[i].flag[TAB_NOFAIL])
			code = one;
	}
	return code;
}

static int activate_names(const struct tab *tab, char **names)
{
	const struct tab_entry *e;
	int one, code = 0;

	for (; *names; names++) {
		e = tab_find(tab, *names);
		if (e)
			one = activate_entry(e);
		else
			one = complain(TOOL_WRONG, "%s: is not in " TAB_PATH,
				       *names);
		code = code ? code : one;
	}
	return code;
}

/* ---- a store that has come ---------------------------------------------------------------- */

/* Its device was pulled out, though what was loaded from it is still there. */
static bool is_pulled(const struct mapper_dev *store)
{
	unsigned int ma, mi;
	char path[64];
	u64 size = 0;
	FILE *f;

	if (sscanf(store->table, "%u:%u", &ma, &mi) != 2)
		return false;
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/size", ma, mi);
	f = fopen(path, "re");
	if (!f)
		return errno == ENOENT;
	if (fscanf(f, "%" SCNu64, &size) != 1)
		size = 0;
	fclose(f);
	return !size;
}

/*
 * What is left of a store makes room for it. In normal mode to remove one that the
 * kernel has not missed yet would cost the snapshots: that is left to somebody who
 * knows.
 */
static int drop_pulled(const struct mapper_dev *live,
		       const struct mapper_dev *store)
{
	int err;

	if (strcmp(live->live.mode, "protect") &&
	    !strcmp(store->store.state, "online"))
		return complain(TOOL_BUSY,
				"%s: its device is gone, but to remove it would cost the snapshots",
				store->name);
	err = mapper_remove(store->name);
	return err ? complain(admin_code(err),
			      "%s: its device is gone, and it cannot be removed: %s",
			      store->name, strerror(-err)) : 0;
}

/*
 * For a volume that is not active there is nothing to do: whoever activates it
 * looks for the store then, and not at the same time, as there is a lock.
 */
static int store_has_come(const struct tab *tab, const char *volume)
{
	const struct mapper_dev *live, *store;
	const struct tab_entry *e = NULL;
	struct mapper_scan scan;
	int code;

	code = admin_begin(&scan);
	live = code ? NULL : mapper_find(&scan, MAPPER_LIVE, volume, 0);
	if (live)
		e = tab_find(tab, live->name);
	store = e ? mapper_find(&scan, MAPPER_STORE, volume, 0) : NULL;
	if (store && !is_pulled(store))
		e = NULL;
	else if (store)
		code = drop_pulled(live, store);
	mapper_scan_free(&scan);
	return e && !code ? activate_entry(e) : code;
}

/* ---- waiting ------------------------------------------------------------------------------- */

/**
 * struct asked - what is to be activated
 * @store: UUID of the volume whose store has come, or NULL
 * @names: if it is neither @all nor @store
 */
struct asked {
	bool all;
	bool wait;
	char store[37];
	char **names;
};

/* Not every change is an event: a device that is removed is none. */
#define LOOK_AGAIN_MS	5000

/* The kernel's grace period ends it, if the store does not. NULL: it is gone. */
static const struct mapper_dev *wait_while_waiting(const char *name,
						   struct mapper_scan *scan)
{
	const struct mapper_dev *live;
	struct pollfd control = {
		.fd = events_open(),
		.events = POLLIN,
	};

	for (;;) {
		events_arm(control.fd);
		live = mapper_scan(scan) ? NULL : mapper_find_live(scan, name);
		if (!live || strcmp(live->live.state, "waiting"))
			break;
		poll(&control, 1, LOOK_AGAIN_MS);
		mapper_scan_free(scan);
	}
	if (control.fd >= 0)
		close(control.fd);
	return live;
}

/*
 * Whatever @code came of activating, the volume may be well now: another store may
 * have come than the one that was refused.
 */
static int wait_for_store(const char *name, int code)
{
	const struct mapper_dev *live;
	struct mapper_scan scan;

	live = wait_while_waiting(name, &scan);
	if (!live)
		code = code ? code : complain(TOOL_FAILED, "%s: is not active",
					      name);
	else if (!strcmp(live->live.state, "blocked"))
		code = complain(TOOL_FAILED, "%s: is blocked: %s", name,
				live->live.fault);
	else
		code = 0;
	if (live && !code && live->live.fault[0])
		printf("%s: goes on without its snapshots: %s\n", name,
		       live->live.fault);
	mapper_scan_free(&scan);
	return code;
}

static int wait_for_stores(const struct tab *tab, const struct asked *a,
			   int failed)
{
	const struct tab_entry *e;
	int one, code = 0;
	char **name;
	size_t i;

	for (i = 0; a->all && i < tab->count; i++) {
		e = &tab->entries[i];
		if (e->flag[TAB_NOAUTO])
			continue;
		one = wait_for_store(e->name, failed ? failed : TOOL_FAILED);
		if (!code && !e->flag[TAB_NOFAIL])
			code = one;
	}
	for (name = a->names; !a->all && *name; name++) {
		one = wait_for_store(*name, failed);
		code = code ? code : one;
	}
	return code;
}

/* ---- arguments ----------------------------------------------------------------------------- */

/*
 * One at a time: a store that comes while its volume is being loaded without it
 * would be missed by both. Where there is no /run nobody else does it either.
 */
static int lock_others(void)
{
	int fd = open("/run/snapprot.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd >= 0)
		flock(fd, LOCK_EX);
	return fd;
}

static int activate_asked(const struct tab *tab, const struct asked *a)
{
	int code, lock = lock_others();

	if (a->store[0])
		code = store_has_come(tab, a->store);
	else
		code = a->all ? activate_all(tab) : activate_names(tab, a->names);
	if (lock >= 0)
		close(lock);
	return a->wait ? wait_for_stores(tab, a, code) : code;
}

static void ignore_line(void *ctx, unsigned int line, unsigned int column,
			const char *what)
{
	(void)ctx;
	(void)line;
	(void)column;
	(void)what;
}

/*
 * Lines that are wrong are told to who wants all of them. Whoever asks for one volume
 * hears of them only if it is not in any other line.
 */
static int read_tab(struct tab *tab, const struct asked *a, int *bad)
{
	bool tell = a->all;
	char **name;
	int err;

	if (!a->all) {
		err = tab_read(tab, TAB_PATH, ignore_line, NULL);
		for (name = a->names; !err && *name; name++)
			tell = tell || (tab->bad && !tab_find(tab, *name));
		if (err || !tell)
			return err;
		tab_free(tab);
	}
	return tab_read(tab, TAB_PATH, complain_tab, bad);
}

static int with_tab(const struct asked *a)
{
	struct mapper_scan scan;
	int bad = 0, code, err;
	struct tab tab;

	/* Rights first, and the module, before any complaint about a line. */
	code = admin_begin(&scan);
	mapper_scan_free(&scan);
	if (!code)
		code = admin_check_module();
	if (code)
		return code;
	err = read_tab(&tab, a, &bad);
	if (err)
		code = complain(TOOL_FAILED, TAB_PATH ": %s", strerror(-err));
	else
		code = activate_asked(&tab, a);
	tab_free(&tab);
	if (!code)
		code = bad;
	return code ? code : output_end();
}

static int parse_options(struct asked *a, int argc, char **argv)
{
	static const struct option options[] = {
		{ "all",	no_argument,		NULL, 'a' },
		{ "wait",	no_argument,		NULL, 'w' },
		{ "store",	required_argument,	NULL, 's' },
		{ NULL,		0,			NULL, 0 }
	};
	u8 uuid[16];
	int opt;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		if (opt == 'a')
			a->all = true;
		else if (opt == 'w')
			a->wait = true;
		else if (opt == 's' && snapprot_uuid_parse(optarg, uuid))
			return complain_usage("--store %s: is not a UUID",
					      optarg);
		else if (opt == 's')
			snapprot_uuid_format(uuid, a->store);
		else
			return complain_option(opt, argv);
	}
	a->names = argv + optind;
	if (a->all + !!a->store[0] + !!*a->names != 1)
		return complain_usage("names of volumes are needed, or --all, or --store");
	if (a->wait && a->store[0])
		return complain_usage("--wait does not go with --store");
	return 0;
}

static int run_activate(int argc, char **argv)
{
	struct asked asked = { .all = false };
	int code;

	code = parse_options(&asked, argc, argv);
	return code ? code : with_tab(&asked);
}

const struct command command_activate = {
	.name = "activate",
	.args = "[--wait] NAME... | --all | --store UUID",
	.what = "load volumes that are in " TAB_PATH,
	.help =
	"The store is taken where it is, whatever its device is called now. Without it\n"
	"the live volume is loaded alone, and waits for it; the same command brings\n"
	"the store later. --all leaves out lines with noauto. --wait returns when none\n"
	"waits for its store any more, and fails if one is blocked then. --store is for\n"
	"udev: it brings the store of that volume, if the volume is active.\n",
	.run = run_activate,
};
