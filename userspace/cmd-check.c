// SPDX-License-Identifier: GPL-2.0-only
/*
 * snapprot check - verify everything, change nothing
 *
 * Two readers look at the store: the one of the core, which is what the kernel
 * will make of it, with its own check of every node, place, bitmap and old
 * block; and the one of repair, which goes on where the core gives up, and says of
 * each copy of the superblock and each block of the index what is wrong with it.
 */
#include <getopt.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>

#include "identify.h"
#include "image.h"
#include "progress.h"
#include "tool.h"

/* More are counted, and not listed. */
#define MAX_FINDINGS	10000u

/**
 * struct finding - a broken rule, or what only looks like one
 * @block: where
 * @what: in words
 */
struct finding {
	u64 block;
	char *what;
};

/**
 * struct findings - some of a kind
 * @count: in the list
 * @more: that are not
 */
struct findings {
	struct finding *list;
	u32 count;
	u32 max;
	u64 more;
};

/**
 * struct check - a check in the making
 * @problems: what is damaged
 * @notes: what a crash leaves as well
 * @from_image: the first so many problems were found by the image's reader
 * @loaded: the core has loaded the store
 * @data: old data is looked at
 * @uuid: text, empty if it is not known
 * @no_memory: the lists are incomplete
 * @cut: a part of the index is damaged, so that nothing leads to what it led to
 * @orphans: blocks of that kind
 * @orphan: the first of them
 */
struct check {
	struct findings problems;
	struct findings notes;
	u32 from_image;
	bool loaded;
	bool data;
	char uuid[37];
	bool no_memory;
	bool cut;
	u64 orphans;
	u64 orphan;
};

/* ---- findings ------------------------------------------------------------- */

static void add_finding(struct check *c, struct findings *f, u64 block,
			const char *what)
{
	struct finding *list;
	u32 max;

	if (f->count == MAX_FINDINGS) {
		f->more++;
		return;
	}
	if (f->count == f->max) {
		max = f->max ? 2 * f->max : 16;
		list = realloc(f->list, max * sizeof(*list));
		if (!list) {
			c->no_memory = true;
			return;
		}
		f->list = list;
		f->max = max;
	}
	f->list[f->count].block = block;
	f->list[f->count].what = strdup(what);
	if (!f->list[f->count].what)
		c->no_memory = true;
	else
		f->count++;
}

static void free_findings(struct findings *f)
{
	u32 i;

	for (i = 0; i < f->count; i++)
		free(f->list[i].what);
	free(f->list);
}

static void image_problem(void *ctx, u64 block, const char *what)
{
	struct check *c = ctx;

	add_finding(c, &c->problems, block, what);
}

static void image_note(void *ctx, u64 block, const char *what)
{
	struct check *c = ctx;

	add_finding(c, &c->notes, block, what);
}

/* The two readers often find the same; once is enough. */
static void core_problem(void *ctx, u64 block, const char *what)
{
	struct check *c = ctx;
	u32 i;

	if (c->cut && !strcmp(what, "in use, and nobody owns it")) {
		if (!c->orphans++)
			c->orphan = block;
		return;
	}
	for (i = 0; i < c->from_image; i++)
		if (c->problems.list[i].block == block)
			return;
	add_finding(c, &c->problems, block, what);
}

static void core_progress(void *ctx, u64 done, u64 total)
{
	(void)ctx;
	progress_show(done, total);
}

/* ---- the two readers ---------------------------------------------------------- */

/* 0, or why nothing can be told. @end: what is missing of the log, for the core. */
static int check_image(struct check *c, struct store_env *se, u64 end,
		       bool *version_1)
{
	static const struct image_ops ops = {
		.damage = image_problem,
		.doubt = image_note,
	};
	struct image img;
	int err;

	err = image_open(&img, se, &ops, c);
	*version_1 = img.version_1;
	if (!err) {
		snapprot_uuid_format(img.super->h.uuid, c->uuid);
		/* Its header is whole, its old blocks are not. */
		if (c->loaded && end < img.log_seq && !c->notes.count)
			image_note(c, img.log_block,
				   "step of the log that was never finished");
		/* A store that loads has been searched. */
		if (!c->loaded)
			err = image_search(&img);
	}
	image_close(&img);
	if (err == -EBADMSG) {
		image_problem(c, SNAPPROT_SUPER_BLOCK_0,
			      "all superblocks are damaged");
		err = 0;
	}
	c->from_image = c->problems.count;
	c->cut = c->problems.count;
	return err;
}

static int check_core(struct check *c, struct snapprot_core *core)
{
	static const struct snapprot_check_ops ops = {
		.problem = core_problem,
		.progress = core_progress,
	};
	int err;

	progress_show(0, core->space.used + 1);
	err = snapprot_store_check(core, c->data, &ops, c);
	progress_end();
	if (c->orphans)
		image_problem(c, c->orphan,
			      "the first of the blocks in use to which nothing leads any more");
	return err < 0 ? err : 0;
}

/* What the core refuses, and nobody has said why. */
static int explain(struct check *c, const struct device *dev, int err)
{
	if (err == -ENOSPC)
		core_problem(c, device_blocks(dev),
			     "device ends before the store does");
	else if ((err == -EBADMSG || err == -ENODATA) && !c->problems.count)
		core_problem(c, SNAPPROT_SUPER_BLOCK_0,
			     "store that breaks its rules");
	else if (err != -EBADMSG && err != -ENODATA)
		return err;
	return 0;
}

static int check_all(struct check *c, struct store_env *se, bool *version_1)
{
	struct snapprot_core core;
	u64 end = 0;
	int err, ret;

	err = snapprot_store_load(&core, &se->env, device_blocks(se->dev),
				  NULL);
	c->loaded = !err;
	if (c->loaded)
		end = core.log.seq;
	ret = check_image(c, se, end, version_1);
	if (!ret && c->loaded)
		err = check_core(c, &core);
	snapprot_store_exit(&core);
	if (ret)
		return ret;
	return err ? explain(c, se->dev, err) : 0;
}

/* ---- the verdict --------------------------------------------------------------- */

static json_object *json_text(const char *text)
{
	char *utf8 = text_utf8(text);
	json_object *o = json_object_new_string(utf8 ? utf8 : "");

	free(utf8);
	return o;
}

static json_object *json_list(const struct findings *f)
{
	json_object *list = json_object_new_array(), *o;
	u32 i;

	for (i = 0; i < f->count; i++) {
		o = json_object_new_object();
		json_object_object_add(o, "block",
				       json_object_new_int64((int64_t)f->list[i].block));
		json_object_object_add(o, "what", json_text(f->list[i].what));
		json_object_array_add(list, o);
	}
	return list;
}

static void print_json_verdict(const char *path, const struct check *c,
			       const char *verdict, const char *error)
{
	json_object *o = json_object_new_object();

	json_object_object_add(o, "store", json_text(path));
	json_object_object_add(o, "verdict", json_text(verdict));
	if (error)
		json_object_object_add(o, "error", json_text(error));
	if (*c->uuid)
		json_object_object_add(o, "uuid", json_text(c->uuid));
	json_object_object_add(o, "problems", json_list(&c->problems));
	json_object_object_add(o, "notes", json_list(&c->notes));
	if (c->problems.more)
		json_object_object_add(o, "more",
				       json_object_new_int64((int64_t)c->problems.more));
	puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
					    JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
}

static void print_text(const struct findings *f, const char *kind)
{
	u32 i;

	for (i = 0; i < f->count; i++)
		printf("%s block %" PRIu64 ": %s\n", kind, f->list[i].block,
		       f->list[i].what);
	if (f->more)
		printf("%s %" PRIu64 " more\n", kind, f->more);
}

/* @error: why it cannot be told, or NULL */
static int conclude(const char *path, const struct check *c, bool json,
		    const char *error)
{
	const char *verdict = "sound";
	int code = CHECK_SOUND;

	if (error) {
		verdict = "unknown";
		code = CHECK_UNKNOWN;
	} else if (c->problems.count) {
		verdict = "damaged";
		code = CHECK_DAMAGED;
	}

	if (json) {
		print_json_verdict(path, c, verdict, error);
	} else {
		print_text(&c->problems, "damaged");
		print_text(&c->notes, "note:");
		if (code == CHECK_SOUND)
			printf("%s: sound\n", path);
	}
	if (output_end())
		return CHECK_UNKNOWN;
	if (code == CHECK_UNKNOWN)
		complain(code, "%s: %s", path, error);
	else if (code == CHECK_DAMAGED)
		complain(code, "%s: damaged, %" PRIu64 " problems", path,
			 c->problems.count + c->problems.more);
	return code;
}

static const char *why_unknown(const struct device *dev,
			       const struct check *c,
			       const struct store_env *se, bool version_1,
			       int err)
{
	static char text[128];

	if (err == -ENODEV)
		return "is not a store";
	if (err == -EPROTONOSUPPORT)
		return version_1 ?
		       "is a store of a version before the first release" :
		       "is a store of a version unknown here";
	if (se->io_err) {
		snprintf(text, sizeof(text), "block %" PRIu64 ": %s",
			 se->io_block, strerror(-se->io_err));
		return text;
	}
	if (err)
		return strerror(-err);
	if (c->no_memory)
		return strerror(ENOMEM);
	/* Whoever uses it may have changed it while it was read. */
	if (dev->in_use && c->problems.count)
		return "is in use, and did not look sound; take it offline to be sure";
	return NULL;
}

static int check_device(const struct device *dev, bool json, bool quick)
{
	struct check c = { .data = !quick };
	bool version_1 = false;
	struct store_env se;
	int err, code;

	err = store_env_init(&se, dev, 0);
	if (!err)
		err = check_all(&c, &se, &version_1);
	code = conclude(dev->path, &c, json,
			why_unknown(dev, &c, &se, version_1, err));
	store_env_exit(&se);
	free_findings(&c.problems);
	free_findings(&c.notes);
	return code;
}

static int run_check(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json",	no_argument,	NULL, 'j' },
		{ "quick",	no_argument,	NULL, 'q' },
		{ "progress",	no_argument,	NULL, 'p' },
		{ NULL,		0,		NULL, 0 }
	};
	static const struct check nothing;
	struct device dev = DEVICE_CLOSED;
	bool json = false, quick = false;
	int opt, code;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		if (opt == 'j')
			json = true;
		else if (opt == 'q')
			quick = true;
		else if (opt == 'p')
			progress_always();
		else
			return complain_option(opt, argv);
	}
	if (argc - optind != 1)
		return complain_usage("one store is needed");

	/* Whatever keeps the device from being read, nothing can be told. */
	if (device_open(&dev, argv[optind], 0)) {
		if (json)
			print_json_verdict(argv[optind], &nothing, "unknown",
					   "cannot be opened");
		return CHECK_UNKNOWN;
	}
	code = check_device(&dev, json, quick);
	device_close(&dev);
	return code;
}

const struct command command_check = {
	.name = "check",
	.args = "[--json] [--quick] [--progress] STORE",
	.what = "verify everything of a store and change nothing",
	.help =
	"Exit 0 sound, 1 damaged, 2 cannot tell: not a store, a version unknown here,\n"
	"or it could not be read. A note is something that a crash leaves behind in a\n"
	"sound store. --quick leaves out the old data of the snapshots. How far it is is\n"
	"shown on a terminal, or with --progress.\n",
	.run = run_check,
};
