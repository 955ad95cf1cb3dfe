// SPDX-License-Identifier: GPL-2.0-only
/*
 * snapprot delete - delete snapshots, or strike lost ones off the list
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "admin.h"

static int refuse_shown(const struct mapper_scan *scan,
			const struct mapper_dev *live, uint32_t id)
{
	const struct mapper_dev *view;

	view = mapper_find(scan, MAPPER_VIEW, live->volume, id);
	return view ? complain(TOOL_BUSY,
			       "%s: snapshot %u: is shown as %s; conceal it first",
			       live->name, id, view->name) : 0;
}

static int delete_one(const struct mapper_scan *scan,
		      const struct mapper_dev *live, uint32_t id)
{
	char message[32];
	int code, err;

	code = refuse_shown(scan, live, id);
	if (code)
		return code;
	snprintf(message, sizeof(message), "delete_snap %u", id);
	err = mapper_message(live->name, message, NULL);
	if (!err)
		return 0;
	return complain(admin_code(err), "%s: snapshot %u: %s", live->name, id,
			admin_strerror(err));
}

/* ---- what it would free ------------------------------------------------------ */

static const struct snap_info *find_snap(const struct snap_info *snaps,
					 int count, uint32_t id)
{
	int i;

	for (i = 0; i < count; i++)
		if (snaps[i].id == id)
			return &snaps[i];
	return NULL;
}

static int show_one(const struct mapper_scan *scan,
		    const struct mapper_dev *live,
		    const struct snap_info *snap, uint32_t id,
		    const struct snap_usage *usage, int count)
{
	uint64_t only = 0;
	char size[24];
	int i, code;

	code = refuse_shown(scan, live, id);
	if (code)
		return code;
	if (!snap)
		return complain(TOOL_WRONG, "%s: snapshot %u: %s", live->name,
				id, admin_strerror(-ENOENT));
	if (snap->hold > (uint64_t)time(NULL))
		return complain(TOOL_FAILED, "%s: snapshot %u: %s", live->name,
				id, admin_strerror(-EPERM));
	for (i = 0; i < count; i++)
		if (usage[i].id == id)
			only = usage[i].only;
	size_format(only * 4096, size, sizeof(size));
	printf("snapshot %u%s%s: would free %s\n", id, *snap->name ? " " : "",
	       snap->name, size);
	return 0;
}

/* As much as each would free alone: the last of several may free more. */
static int show(const struct mapper_scan *scan, const struct mapper_dev *live,
		const uint32_t *ids, int nr_ids)
{
	struct snap_usage *usage = NULL;
	struct snap_info *snaps;
	int i, count, nr_snaps, one, code = 0;

	nr_snaps = admin_snaps(live, &snaps);
	count = nr_snaps < 0 ? nr_snaps : admin_usage(live, &usage);
	if (count < 0)
		code = complain(admin_code(count),
				"%s: what its snapshots cost cannot be told: %s",
				live->name, admin_strerror(count));
	for (i = 0; i < nr_ids && count >= 0; i++) {
		one = show_one(scan, live, find_snap(snaps, nr_snaps, ids[i]),
			       ids[i], usage, count);
		code = code ? code : one;
	}
	if (nr_ids > 1 && !code)
		puts("together at least the sum of it");
	free(usage);
	free(snaps);
	return code ? code : output_end();
}

/* ---- the command --------------------------------------------------------------- */

/* All are known before anything is deleted. */
static int find_ids(const struct mapper_dev *live, char **words, uint32_t *ids)
{
	int code = 0;

	for (; *words && !code; words++)
		code = admin_resolve(live, *words, ids++);
	return code;
}

static int delete_all(const struct mapper_scan *scan,
		      const struct mapper_dev *live, const uint32_t *ids,
		      int count)
{
	int i, one, code = 0;

	/* One that cannot be deleted does not keep the others. */
	for (i = 0; i < count; i++) {
		one = delete_one(scan, live, ids[i]);
		code = code ? code : one;
	}
	return code;
}

static int parse_options(int argc, char **argv, bool *dry)
{
	static const struct option options[] = {
		{ "dry-run",	no_argument,		NULL, 'n' },
		{ NULL,		0,			NULL, 0 }
	};
	uint32_t id;
	int opt, i, code = 0;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":n", options, NULL)) != -1) {
		if (opt != 'n')
			return complain_option(opt, argv);
		*dry = true;
	}
	if (argc - optind < 2)
		return complain_usage("a volume and ids of snapshots are needed");
	/* What is wrong by itself is said before anything is looked at. */
	for (i = optind + 1; i < argc && !code; i++)
		if (strspn(argv[i], "0123456789") == strlen(argv[i]))
			code = admin_parse_id(argv[i], &id);
	return code;
}

static int run_delete(int argc, char **argv)
{
	struct mapper_scan scan;
	struct mapper_dev *live;
	bool dry = false;
	int code, count;
	uint32_t *ids;

	code = parse_options(argc, argv, &dry);
	if (code)
		return code;
	count = argc - optind - 1;
	ids = calloc((size_t)count, sizeof(*ids));
	if (!ids)
		return complain(TOOL_FAILED, "%s", strerror(ENOMEM));
	code = admin_begin_on(&scan, argv[optind], &live);
	if (!code)
		code = find_ids(live, argv + optind + 1, ids);
	if (!code)
		code = dry ? show(&scan, live, ids, count) :
			     delete_all(&scan, live, ids, count);
	mapper_scan_free(&scan);
	free(ids);
	return code;
}

const struct command command_delete = {
	.name = "delete",
	.args = "[-n|--dry-run] NAME ID...",
	.what = "delete snapshots, or strike lost ones off the list",
	.help =
	"The space that they took is given back in the background. With -n nothing is\n"
	"deleted, and it is said what each of them would free. An ID may be a name.\n",
	.run = run_delete,
};
