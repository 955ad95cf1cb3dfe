// SPDX-License-Identifier: GPL-2.0-only
/*
 * Words of tables and messages.
 */
#include <linux/kstrtox.h>

#include "snapprot.h"

/**
 * snapprot_parse_u32() - a decimal number, with nothing behind it
 * @text: what to read
 * @min: smallest that is accepted
 * @max: largest that is accepted
 * @value: where it goes
 *
 * Return: 0, or -EINVAL if it is none or not within @min ... @max.
 */
int snapprot_parse_u32(const char *text, u32 min, u32 max, u32 *value)
{
	u32 v;

	/* kstrtou32() would take a sign and a newline. */
	if (*text < '0' || *text > '9' || strchr(text, '\n'))
		return -EINVAL;
	if (kstrtou32(text, 10, &v) || v < min || v > max)
		return -EINVAL;
	*value = v;
	return 0;
}

enum feature_type { FLAG, NUMBER, DEVICE };

/**
 * struct feature - one feature of a table
 * @name: what the table calls it
 * @type: what its value is
 * @min: smallest that is accepted
 * @max: largest that is accepted
 * @given: set when it was there
 * @device: what takes a device's path
 * @value: where a NUMBER goes; a FLAG's place is @given alone
 */
struct feature {
	const char *name;
	enum feature_type type;
	u32 min, max;
	u32 *value;
	bool *given;
	int (*device)(void *ctx, const char *path);
};

static struct feature *feature_find(struct feature *f, unsigned int n,
				    const char *name)
{
	for (; n; n--, f++)
		if (!strcasecmp(name, f->name))
			return f;
	return NULL;
}

static int feature_one(struct dm_target *ti, struct dm_arg_set *as,
		       struct feature *f, unsigned int *left, void *ctx)
{
	const char *word;

	if (*f->given) {
		ti->error = "Feature given twice";
		DMERR("feature '%s' given twice", f->name);
		return -EINVAL;
	}
	*f->given = true;
	if (f->type == FLAG)
		return 0;
	if (!*left) {
		ti->error = "Feature lacks its value";
		DMERR("feature '%s' lacks its value", f->name);
		return -EINVAL;
	}
	word = dm_shift_arg(as);
	(*left)--;
	if (f->type == DEVICE)
		return f->device(ctx, word);
	if (snapprot_parse_u32(word, f->min, f->max, f->value)) {
		ti->error = "Feature's value is out of range";
		DMERR("%s %s: not a number from %u to %u", f->name, word,
		      f->min, f->max);
		return -EINVAL;
	}
	return 0;
}

static int features_parse(struct dm_target *ti, unsigned int argc, char **argv,
			  struct feature *features, unsigned int n, void *ctx)
{
	struct dm_arg_set as = { .argc = argc, .argv = argv };
	unsigned int left;
	u32 count;
	int err = 0;

	if (!argc)
		return 0;
	if (snapprot_parse_u32(dm_shift_arg(&as), 0, 32, &count) ||
	    count != as.argc) {
		ti->error = "Number of feature arguments is wrong";
		return -EINVAL;
	}
	left = count;
	while (left && !err) {
		const char *name = dm_shift_arg(&as);
		struct feature *f = feature_find(features, n, name);

		left--;
		if (!f) {
			ti->error = "Unknown feature";
			DMERR("unknown feature '%s'", name);
			return -EINVAL;
		}
		err = feature_one(ti, &as, f, &left, ctx);
	}
	return err;
}

static int label_device(void *ctx, const char *path)
{
	struct snapprot_origin *o = ctx;
	int err = dm_get_device(o->ti, path, dm_table_get_mode(o->ti->table),
				&o->label_dev);

	if (err) {
		o->ti->error = "Cannot get the label's device";
		o->label_dev = NULL;
	}
	return err;
}

/**
 * snapprot_origin_parse() - features of a live volume
 * @o: the live volume's target
 * @argc: number of words
 * @argv: the words
 *
 * Context: constructor. Return: 0, or an error with ti->error set.
 */
int snapprot_origin_parse(struct snapprot_origin *o, unsigned int argc,
			  char **argv)
{
	struct snapprot_origin_args *a = &o->args;
	bool label = false;
	struct feature features[] = {
		{ "protect", FLAG, .given = &a->protect },
		{ "queue_on_fault", FLAG, .given = &a->queue_on_fault },
		{ "unlabelled", FLAG, .given = &a->unlabelled },
		{ "ignore_discard", FLAG, .given = &a->ignore_discard },
		{ "delete_oldest", FLAG, .given = &a->delete_oldest },
		{ "grace", NUMBER, 0, SNAPPROT_SECONDS_MAX, &a->grace,
		  &a->grace_given },
		{ "grow_timeout", NUMBER, 0, SNAPPROT_SECONDS_MAX,
		  &a->grow_timeout, &a->grow_given },
		{ "label", DEVICE, .given = &label, .device = label_device },
	};
	int err;

	a->grace = SNAPPROT_GRACE_DEFAULT;
	a->grow_timeout = SNAPPROT_GROW_TIMEOUT_DEFAULT;
	err = features_parse(o->ti, argc, argv, features, ARRAY_SIZE(features),
			     o);
	if (!err && a->unlabelled && label) {
		o->ti->error = "Either label or unlabelled";
		err = -EINVAL;
	}
	return err;
}

/**
 * snapprot_store_parse() - features of a store
 * @t: the store's target
 * @argc: number of words
 * @argv: the words
 *
 * Context: constructor. Return: 0, or an error with ti->error set.
 */
int snapprot_store_parse(struct snapprot_store_target *t, unsigned int argc,
			 char **argv)
{
	struct snapprot_store_config *c = &t->config;
	struct feature features[] = {
		{ "low_water", NUMBER, 0, 100, &c->low_water,
		  &t->low_water_given },
		{ "io_timeout", NUMBER, 0, SNAPPROT_SECONDS_MAX,
		  &c->io_timeout, &t->io_timeout_given },
		{ "cache", NUMBER, SNAPPROT_CACHE_MIN, SNAPPROT_CACHE_MAX,
		  &c->cache_kib, &t->cache_given },
	};

	c->low_water = SNAPPROT_LOW_WATER_DEFAULT;
	c->io_timeout = SNAPPROT_IO_TIMEOUT_DEFAULT;
	c->cache_kib = SNAPPROT_CACHE_DEFAULT;
	return features_parse(t->ti, argc, argv, features,
			      ARRAY_SIZE(features), t);
}
