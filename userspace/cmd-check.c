// SPDX-License-Identifier: GPL-2.0-only
/*
 * snapprot check - verify everything, change nothing
 *
 * Two readers look at the store: the one of the core, which is what the kernel
 * will make of it, with its own check of every node, place, bitmap and old
 * block; and the one of repair, which goes on where the core gives up, looks at
 * both superblocks and finds a log that goes on behind its end.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

#include "identify.h"
#include "image.h"
#include "tool.h"

/**
 * struct finding - a broken rule, or what only looks like one
 * @block: where
 * @what: in words
 */
struct finding {
	u64 block;
	char *what;
};

struct findings {
	struct finding *list;
	u32 count;
	u32 max;
};

/**
 * struct check - a check in the making
 * @problems: what is damaged
 * @notes: what a crash leaves as well
 * @from_image: the first so many problems were found by the image's reader
 * @log_seq: where the image's reader found the log to end
 * @uuid: text, empty if it is not known
 * @no_memory: the lists are incomplete
 */
struct check {
	struct findings problems;
	struct findings notes;
	u32 from_image;
	u64 log_seq;
	char uuid[37];
	bool no_memory;
};

/* ---- findings ------------------------------------------------------------- */

static void add_finding(struct check *c, struct findings *f, u64 block,
			const char *what)
{
	struct finding *list;
	u32 max;

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

	for (i = 0; i < c->from_image; i++)
		if (c->problems.list[i].block == block)
			return;
	add_finding(c, &c->problems, block, what);
}

/* ---- the two readers ---------------------------------------------------------- */

/* 0, or why nothing can be told. */
static int check_image(struct check *c, struct store_env *se)
{
	static const struct image_ops ops = {
		.damage = image_problem,
		.doubt = image_note,
	};
	struct image img;
	int err;

	err = image_open(&img, se, &ops, c);
	if (!err) {
		snapprot_uuid_format(img.super->h.uuid, c->uuid);
		c->log_seq = img.log_seq;
		err = image_search(&img);
	}
	image_close(&img);
	if (err == -EBADMSG) {
		image_problem(c, SNAPPROT_SUPER_BLOCK_0,
			      "both superblocks are damaged");
		err = 0;
	}
	c->from_image = c->problems.count;
	return err;
}

static int check_core(struct check *c, struct store_env *se)
{
	static const struct snapprot_check_ops ops = {
		.problem = core_problem,
	};
	struct snapprot_core core;
	int err;

	err = snapprot_store_load(&core, &se->env, device_blocks(se->dev));
	if (!err) {
		/* Its header is whole, its old blocks are not. */
		if (core.log_seq < c->log_seq)
			image_note(c, core.log_block,
				   "step of the log that is damaged or was never finished");
		err = snapprot_store_check(&core, true, &ops, c);
		if (err > 0)
			err = 0;
	}
	snapprot_store_exit(&core);
	/* What the core refuses, and nobody has said why. */
	if (err == -ENOSPC)
		core_problem(c, device_blocks(se->dev),
			     "device ends before the store does");
	else if ((err == -EBADMSG || err == -ENODATA) && !c->problems.count)
		core_problem(c, SNAPPROT_SUPER_BLOCK_0,
			     "store that breaks its rules");
	else if (err != -EBADMSG && err != -ENODATA)
		return err;
	return 0;
}

/* ---- the verdict --------------------------------------------------------------- */

static void print_list(const char *name, const struct findings *f)
{
	u32 i;

	printf(",\"%s\":[", name);
	for (i = 0; i < f->count; i++) {
		printf("%s{\"block\":%" PRIu64 ",\"what\":", i ? "," : "",
		       f->list[i].block);
		print_json(f->list[i].what);
		putchar('}');
	}
	putchar(']');
}

static void print_json_verdict(const char *path, const struct check *c,
			       const char *verdict, const char *error)
{
	fputs("{\"store\":", stdout);
	print_json(path);
	printf(",\"verdict\":\"%s\"", verdict);
	if (error) {
		fputs(",\"error\":", stdout);
		print_json(error);
	}
	if (*c->uuid)
		printf(",\"uuid\":\"%s\"", c->uuid);
	print_list("problems", &c->problems);
	print_list("notes", &c->notes);
	puts("}");
}

static void print_text(const struct findings *f, const char *kind)
{
	u32 i;

	for (i = 0; i < f->count; i++)
		printf("%s block %" PRIu64 ": %s\n", kind, f->list[i].block,
		       f->list[i].what);
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
		complain(code, "%s: damaged, %" PRIu32 " problems", path,
			 c->problems.count);
	return code;
}

static const char *why_unknown(const struct device *dev,
			       const struct check *c,
			       const struct store_env *se, int err)
{
	static char text[128];

	if (err == -ENODEV)
		return "is not a store";
	if (err == -EPROTONOSUPPORT)
		return "is a store of a version unknown here";
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

static int check_device(const struct device *dev, bool json)
{
	struct check c = { .from_image = 0 };
	struct store_env se;
	int err, code;

	err = store_env_init(&se, dev, 0);
	if (!err)
		err = check_image(&c, &se);
	if (!err)
		err = check_core(&c, &se);
	code = conclude(dev->path, &c, json, why_unknown(dev, &c, &se, err));
	store_env_exit(&se);
	free_findings(&c.problems);
	free_findings(&c.notes);
	return code;
}

static int run_check(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json",	no_argument,	NULL, 'j' },
		{ NULL,		0,		NULL, 0 }
	};
	static const struct check nothing;
	struct device dev = DEVICE_CLOSED;
	bool json = false;
	int opt, code;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		if (opt != 'j')
			return complain_option(opt, argv);
		json = true;
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
	code = check_device(&dev, json);
	device_close(&dev);
	return code;
}

const struct command command_check = {
	.name = "check",
	.args = "[--json] STORE",
	.what = "verify everything of a store and change nothing",
	.help =
	"Exit 0 sound, 1 damaged, 2 cannot tell: not a store, a version unknown here,\n"
	"or it could not be read. A note is something that a crash leaves behind in a\n"
	"sound store.\n",
	.run = run_check,
};
