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
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "admin.h"
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

static int with_tab(bool all, char **names)
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
	err = tab_read(&tab, TAB_PATH, complain_tab, &bad);
	if (err)
		code = complain(TOOL_FAILED, TAB_PATH ": %s", strerror(-err));
	else
		code = all ? activate_all(&tab) : activate_names(&tab, names);
	tab_free(&tab);
	if (!code)
		code = bad;
	return code ? code : output_end();
}

static int run_activate(int argc, char **argv)
{
	bool all = false;
	int code;

	code = admin_all_or_names(argc, argv, &all);
	return code ? code : with_tab(all, argv + optind);
}

const struct command command_activate = {
	.name = "activate",
	.args = "NAME... | --all",
	.what = "load volumes that are in " TAB_PATH,
	.help =
	"The store is taken where it is, whatever its device is called now. Without it\n"
	"the live volume is loaded alone, and waits for it; the same command brings\n"
	"the store later. --all leaves out lines with noauto.\n",
	.run = run_activate,
};
