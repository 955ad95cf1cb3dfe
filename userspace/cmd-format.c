// SPDX-License-Identifier: GPL-2.0-only
/*
 * snapprot format - make a store, and the label that goes with it
 *
 * Everything is looked at before anything is written. Then the old marks go,
 * then the store is made, and the label comes last: a table cannot be loaded
 * without its label, so a crash in between leaves nothing that could be taken
 * for a volume.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <linux/fs.h>
#include <time.h>
#include <uuid.h>

#include "env.h"
#include "identify.h"
#include "signature.h"
#include "tool.h"

#define MAX_SIGNATURES	16

/**
 * struct plan - what is to be made of what
 * @origin: the live volume's device
 * @store: the store's
 * @label: the label's own, if it has one
 * @label_dev: its path, or NULL
 * @unlabelled: there is to be no label
 * @force: signatures do not matter
 * @uuid_given: by the user
 * @uuid: of the volume
 * @origin_sectors: length of the live volume
 * @now: creation time
 * @generation: of the new store, for the label
 */
struct plan {
	struct device origin;
	struct device store;
	struct device label;
	const char *label_dev;
	bool unlabelled;
	bool force;
	bool uuid_given;
	u8 uuid[16];
	u64 origin_sectors;
	u64 now;
	u64 generation;
};

static bool has_label_dev(const struct plan *p)
{
	return p->label_dev;
}

static bool label_on_origin(const struct plan *p)
{
	return !p->label_dev && !p->unlabelled;
}

/* ---- what was there before ---------------------------------------------- */

/* Things that no option overrides. */
static int refuse_protected(const struct device *dev, const struct identity *id)
{
	if (id->store != TRACE_NONE && id->store_protected)
		return complain(TOOL_WRONG,
				"%s: is a protected store; take its protection off first",
				dev->path);
	if (id->label_protected[LABEL_ON_DEVICE] ||
	    id->label_protected[LABEL_ON_ORIGIN])
		return complain(TOOL_WRONG,
				"%s: has the label of a protected volume; take its protection off first",
				dev->path);
	/* Whether these are protected cannot be told. */
	if (id->store == TRACE_NEWER)
		return complain(TOOL_WRONG,
				"%s: is a store of format version %" PRIu32 ", unknown here",
				dev->path, le32_to_cpu(id->super.version));
	if (id->label[LABEL_ON_DEVICE] == TRACE_NEWER ||
	    id->label[LABEL_ON_ORIGIN] == TRACE_NEWER)
		return complain(TOOL_WRONG,
				"%s: has a label of a version unknown here",
				dev->path);
	return 0;
}

static int refuse_existing(const struct device *dev, const struct identity *id)
{
	if (id->store != TRACE_NONE)
		return complain(TOOL_WRONG,
				"%s: is a %sstore already; --force overwrites it",
				dev->path,
				id->store == TRACE_DAMAGED ? "damaged " : "");
	if (id->label[LABEL_ON_DEVICE] != TRACE_NONE ||
	    id->label[LABEL_ON_ORIGIN] != TRACE_NONE)
		return complain(TOOL_WRONG,
				"%s: has a volume's label already; --force overwrites it",
				dev->path);
	return 0;
}

/*
 * A store's log is recognised by its UUID among what else is in the blocks, so
 * a UUID is not used twice on the same device.
 */
static int refuse_same_uuid(const struct plan *p, const struct identity *id)
{
	if (!p->uuid_given || id->store != TRACE_VALID ||
	    memcmp(id->super.h.uuid, p->uuid, sizeof(p->uuid)))
		return 0;
	return complain(TOOL_WRONG,
			"%s: was a store of this UUID; choose another one",
			p->store.path);
}

static int check_marks(const struct plan *p, const struct device *dev)
{
	static struct identity id;
	int err, code;

	err = identify(dev, &id);
	if (err)
		return complain(TOOL_FAILED, "%s: %s", dev->path,
				strerror(-err));
	code = refuse_protected(dev, &id);
	if (!code && !p->force)
		code = refuse_existing(dev, &id);
	if (!code && dev == &p->store)
		code = refuse_same_uuid(p, &id);
	return code;
}

/* For a device that will be overwritten altogether. */
static int check_blank(const struct plan *p, const struct device *dev)
{
	struct signature sig;
	int count;

	count = signatures_find(dev, &sig, 1);
	if (count < 0)
		return complain(TOOL_FAILED, "%s: cannot be searched for signatures: %s",
				dev->path, strerror(-count));
	if (count && !p->force)
		return complain(TOOL_WRONG,
				"%s: has a signature (%s); --force overwrites it",
				dev->path, sig.name);
	return 0;
}

/* For the origin, whose contents stay: nothing may reach past its new end. */
static int check_extents(const struct plan *p)
{
	static struct signature sigs[MAX_SIGNATURES];
	const struct device *dev = &p->origin;
	u64 end = p->origin_sectors << 9;
	int i, count;

	if (p->origin_sectors == dev->sectors)
		return 0;
	count = signatures_find(dev, sigs, MAX_SIGNATURES);
	if (count < 0)
		return complain(TOOL_FAILED, "%s: cannot be searched for signatures: %s",
				dev->path, strerror(-count));
	for (i = 0; i < count; i++) {
		if (sigs[i].extent == EXTENT_KNOWN && sigs[i].end > end)
			return complain(TOOL_WRONG,
					"%s: its %s ends at byte %" PRIu64 "; shrink it, or use --label-dev",
					dev->path, sigs[i].name, sigs[i].end);
		if (sigs[i].extent == EXTENT_UNKNOWN && !p->force)
			return complain(TOOL_WRONG,
					"%s: its %s may reach behind the volume's end; use --label-dev, or --force if it does not",
					dev->path, sigs[i].name);
	}
	return 0;
}

/* ---- sizes and sameness -------------------------------------------------- */

static int check_sector_size(const struct device *dev)
{
	int size;

	if (!dev->block || ioctl(dev->fd, BLKSSZGET, &size) ||
	    size <= (int)SNAPPROT_BLOCK_SIZE)
		return 0;
	return complain(TOOL_WRONG, "%s: sectors of %d bytes are too large",
			dev->path, size);
}

static int check_sizes(struct plan *p)
{
	const u64 mask = ~(u64)(SNAPPROT_SECTORS_PER_BLOCK - 1);

	if (label_on_origin(p))
		p->origin_sectors = snapprot_label_start(p->origin.sectors);
	else
		p->origin_sectors = p->origin.sectors & mask;
	if (!p->origin_sectors)
		return complain(TOOL_WRONG, "%s: too small%s", p->origin.path,
				label_on_origin(p) ? " for a label" : "");
	if (p->origin_sectors >=
	    SNAPPROT_MAX_BLOCKS * SNAPPROT_SECTORS_PER_BLOCK)
		return complain(TOOL_WRONG, "%s: too large", p->origin.path);
	if (device_blocks(&p->store) < SNAPPROT_MIN_STORE_BLOCKS)
		return complain(TOOL_WRONG,
				"%s: too small for a store, which takes %u KiB",
				p->store.path, SNAPPROT_MIN_STORE_BLOCKS * 4);
	if (device_blocks(&p->store) >= SNAPPROT_MAX_BLOCKS)
		return complain(TOOL_WRONG, "%s: too large", p->store.path);
	if (has_label_dev(p) && !label_fits(&p->label, LABEL_ON_DEVICE))
		return complain(TOOL_WRONG, "%s: too small for a label",
				p->label.path);
	return 0;
}

/* Before anything is opened for itself alone, or the answer would be "busy". */
static int check_same(const struct plan *p, const char *origin,
		      const char *store)
{
	const char *path[3] = { origin, store, p->label_dev };
	struct device dev[3] = { DEVICE_CLOSED, DEVICE_CLOSED, DEVICE_CLOSED };
	int i, j, code = 0;

	for (i = 0; i < 3 && path[i] && !code; i++) {
		code = device_open(&dev[i], path[i], 0);
		for (j = 0; j < i && !code; j++)
			if (device_same(&dev[i], &dev[j]))
				code = complain(TOOL_WRONG,
						"%s and %s are the same device",
						path[j], path[i]);
	}
	for (i = 0; i < 3; i++)
		device_close(&dev[i]);
	return code;
}

static int open_all(struct plan *p, const char *origin, const char *store)
{
	int code;

	code = check_same(p, origin, store);
	if (!code)
		code = device_open(&p->origin, origin, DEVICE_WRITE);
	if (!code)
		code = device_open(&p->store, store, DEVICE_WRITE);
	if (!code && has_label_dev(p))
		code = device_open(&p->label, p->label_dev, DEVICE_WRITE);
	return code;
}

static int check_all(struct plan *p)
{
	int code;

	code = check_sector_size(&p->origin);
	if (!code)
		code = check_sector_size(&p->store);
	if (!code && has_label_dev(p))
		code = check_sector_size(&p->label);
	if (!code)
		code = check_sizes(p);
	if (!code)
		code = check_marks(p, &p->store);
	if (!code)
		code = check_marks(p, &p->origin);
	if (!code && has_label_dev(p))
		code = check_marks(p, &p->label);
	if (!code)
		code = check_blank(p, &p->store);
	if (!code && has_label_dev(p))
		code = check_blank(p, &p->label);
	if (!code)
		code = check_extents(p);
	return code;
}

/* ---- writing -------------------------------------------------------------- */

static int wipe_block(const struct device *dev, u64 offset)
{
	static const u8 zeroes[SNAPPROT_BLOCK_SIZE];

	if (offset + SNAPPROT_BLOCK_SIZE > dev->sectors << 9)
		return 0;
	return device_write(dev, offset, zeroes, sizeof(zeroes));
}

/* Labels that were found, and only those: an origin's blocks are its own. */
static int wipe_labels(const struct device *dev, bool all)
{
	static struct identity id;
	enum label_place place;
	u32 copy;
	u64 at;
	int err;

	err = identify(dev, &id);
	for (place = 0; place < LABEL_PLACES && !err; place++) {
		if (id.label[place] == TRACE_NONE &&
		    !(all && place == LABEL_ON_DEVICE))
			continue;
		at = label_offset(dev, place);
		for (copy = 0; copy < SNAPPROT_LABEL_COPIES && !err; copy++)
			err = wipe_block(dev, at + copy * SNAPPROT_BLOCK_SIZE);
	}
	return err;
}

static int wipe_super(const struct device *dev)
{
	int err;

	err = wipe_block(dev, (u64)SNAPPROT_SUPER_BLOCK_0 <<
			 SNAPPROT_BLOCK_SHIFT);
	if (!err)
		err = wipe_block(dev, (u64)SNAPPROT_SUPER_BLOCK_1 <<
				 SNAPPROT_BLOCK_SHIFT);
	return err;
}

/* An origin that was a store keeps nothing that says so. */
static int wipe_origin(const struct plan *p)
{
	static struct identity id;
	int err;

	err = identify(&p->origin, &id);
	if (!err && id.store != TRACE_NONE)
		err = wipe_super(&p->origin);
	if (!err)
		err = wipe_labels(&p->origin, false);
	return err ? err : device_sync(&p->origin);
}

static int wipe_store(const struct plan *p)
{
	int err;

	err = wipe_super(&p->store);
	if (!err)
		err = wipe_labels(&p->store, false);
	return err ? err : device_sync(&p->store);
}

static int wipe_label_dev(const struct plan *p)
{
	int err;

	err = wipe_super(&p->label);
	if (!err)
		err = wipe_labels(&p->label, true);
	return err ? err : device_sync(&p->label);
}

static int make_store(struct plan *p)
{
	static struct identity id;
	struct store_env se;
	u32 flags = p->unlabelled ? SNAPPROT_SUPER_UNLABELLED : 0;
	int err;

	err = store_env_init(&se, &p->store, ENV_WRITE);
	if (!err)
		err = snapprot_store_format(&se.env, p->uuid,
					    p->origin_sectors,
					    device_blocks(&p->store), p->now,
					    flags);
	store_env_exit(&se);
	/* What the label has to agree with is what is on the disk. */
	if (!err)
		err = identify(&p->store, &id);
	if (!err && id.store != TRACE_VALID)
		err = -EIO;
	p->generation = le64_to_cpu(id.super.generation);
	return err;
}

static int make_label(const struct plan *p)
{
	const struct device *dev = p->label_dev ? &p->label : &p->origin;
	u64 at = label_offset(dev, p->label_dev ? LABEL_ON_DEVICE :
						  LABEL_ON_ORIGIN);
	struct snapprot_disk_label l;
	u32 copy;
	int err = 0;

	memset(&l, 0, sizeof(l));
	memcpy(l.ident, SNAPPROT_SUPER_IDENT, sizeof(SNAPPROT_SUPER_IDENT));
	l.version = cpu_to_le32(SNAPPROT_FORMAT_VERSION);
	l.generation = cpu_to_le64(p->generation);
	l.origin_sectors = cpu_to_le64(p->origin_sectors);
	l.create_time = cpu_to_le64(p->now);
	for (copy = 0; copy < SNAPPROT_LABEL_COPIES && !err; copy++) {
		snapprot_block_init(&l, SNAPPROT_MAGIC_LABEL, copy, 1, p->uuid);
		snapprot_block_seal(&l);
		err = device_write(dev, at + copy * SNAPPROT_BLOCK_SIZE, &l,
				   sizeof(l));
		if (!err)
			err = device_sync(dev);
	}
	return err;
}

static int write_all(struct plan *p)
{
	const struct device *dev = &p->origin;
	int err;

	err = wipe_origin(p);
	if (!err && has_label_dev(p)) {
		dev = &p->label;
		err = wipe_label_dev(p);
	}
	if (!err) {
		dev = &p->store;
		err = wipe_store(p);
	}
	if (!err)
		err = make_store(p);
	if (!err && !p->unlabelled) {
		dev = has_label_dev(p) ? &p->label : &p->origin;
		err = make_label(p);
	}
	if (err)
		return complain(TOOL_FAILED, "%s: %s", dev->path,
				strerror(-err));
	return 0;
}

/* ---- the result ------------------------------------------------------------ */

/*
 * A word of a table line inside single quotes. The kernel splits the line at
 * blanks and takes a backslash off; the shell would end the quotes at a quote.
 */
static void print_word(const char *word)
{
	for (; *word; word++) {
		if (*word == '\'') {
			fputs("'\\''", stdout);
			continue;
		}
		if (*word == ' ' || *word == '\t' || *word == '\\')
			putchar('\\');
		putchar(*word);
	}
}

static int print_result(const struct plan *p)
{
	char uuid[37];

	snapprot_uuid_format(p->uuid, uuid);
	printf("VOLUME_UUID=%s\n", uuid);
	printf("ORIGIN_SECTORS=%" PRIu64 "\n", p->origin_sectors);
	printf("ORIGIN_TABLE='0 %" PRIu64 " snapprot ", p->origin_sectors);
	print_word(p->origin.path);
	printf(" %s", uuid);
	if (has_label_dev(p)) {
		fputs(" 2 label ", stdout);
		print_word(p->label.path);
	} else if (p->unlabelled) {
		fputs(" 1 unlabelled", stdout);
	}
	printf("'\nSTORE_TABLE='0 %" PRIu64 " snapprot-store ",
	       device_blocks(&p->store) * SNAPPROT_SECTORS_PER_BLOCK);
	print_word(p->store.path);
	puts("'");
	return output_end();
}

/* ---- the command ------------------------------------------------------------ */

static int parse_uuid(struct plan *p, const char *text)
{
	static const u8 nil[16];

	if (snapprot_uuid_parse(text, p->uuid))
		return complain_usage("--uuid %s: is not a UUID", text);
	if (!memcmp(p->uuid, nil, sizeof(nil)))
		return complain_usage("--uuid %s: names no volume", text);
	p->uuid_given = true;
	return 0;
}

static int parse_options(struct plan *p, int argc, char **argv)
{
	static const struct option options[] = {
		{ "uuid",	required_argument,	NULL, 'u' },
		{ "label-dev",	required_argument,	NULL, 'l' },
		{ "unlabelled",	no_argument,		NULL, 'n' },
		{ "force",	no_argument,		NULL, 'f' },
		{ NULL,		0,			NULL, 0 }
	};
	int opt, code;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		switch (opt) {
		case 'u':
			code = parse_uuid(p, optarg);
			if (code)
				return code;
			break;
		case 'l':
			p->label_dev = optarg;
			break;
		case 'n':
			p->unlabelled = true;
			break;
		case 'f':
			p->force = true;
			break;
		default:
			return complain_option(opt, argv);
		}
	}
	if (p->label_dev && p->unlabelled)
		return complain_usage("--label-dev and --unlabelled exclude each other");
	if (argc - optind != 2)
		return complain_usage("an origin and a store are needed");
	return 0;
}

static int run_format(int argc, char **argv)
{
	struct plan p = {
		.origin = DEVICE_CLOSED,
		.store = DEVICE_CLOSED,
		.label = DEVICE_CLOSED,
		.now = (u64)time(NULL),
	};
	int code;

	code = parse_options(&p, argc, argv);
	if (code)
		return code;
	if (!p.uuid_given)
		uuid_generate(p.uuid);

	code = open_all(&p, argv[optind], argv[optind + 1]);
	if (!code)
		code = check_all(&p);
	if (!code)
		code = write_all(&p);
	if (!code)
		code = print_result(&p);
	device_close(&p.label);
	device_close(&p.store);
	device_close(&p.origin);
	return code;
}

const struct command command_format = {
	.name = "format",
	.args = "[--uuid U] [--label-dev D | --unlabelled] [--force] ORIGIN STORE",
	.what = "make the store and the label of a new volume",
	.help =
	"The origin keeps its contents. The label takes its last 1 MiB, unless\n"
	"--label-dev names a small device of its own or --unlabelled does without.\n"
	"Prints VOLUME_UUID=, ORIGIN_SECTORS=, ORIGIN_TABLE= and STORE_TABLE= for a\n"
	"shell's eval. --force overwrites signatures; a protected store, a device in\n"
	"use and a file system that reaches into the label's place are refused in\n"
	"any case.\n",
	.run = run_format,
};
