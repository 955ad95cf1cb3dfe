// SPDX-License-Identifier: GPL-2.0-only
/*
 * perform - a log of what a volume does that is none
 *
 *   perform [options] LOG
 *
 *   -n OPERATIONS  how many, of each workload (120)
 *   -w WORKLOADS   how many; each but the first goes on where the one before ended, in
 *                  a crash or not (4)
 *   -s SEED        other ones
 *   -m MISTAKE     made all along, or:
 *   -l             list mistakes
 *
 * The system may end at any write, and come again with or without a power cut: then
 * what it reads may be in the disk's cache only.
 */
#include <inttypes.h>
#include <unistd.h>

#include "perform.h"

static const struct {
	const char *name;
	const char *words;
} mistakes[NR_MISTAKES] = {
	[LOG_NO_FLUSH] = { "log-no-flush",
		"steps of the log count before they are durable" },
	[WRITE_FIRST] = { "write-first",
		"the origin is written before old data are durable" },
	[CREATE_NO_FLUSH] = { "create-no-flush",
		"a snapshot is taken and the origin not flushed" },
	[CKPT_NO_FLUSH] = { "ckpt-no-flush",
		"the superblock is written before what it leads to is durable" },
	[LABEL_AHEAD] = { "label-ahead",
		"the label has numbers that are not durable in the store" },
	[LABEL_LATE] = { "label-late",
		"the label learns of the first snapshot when it is there" },
	[LABEL_FIRST] = { "label-first",
		"the label's generation moves before the store's" },
	[LABEL_FORGETS] = { "label-forgets",
		"the label forgets a loss before the store has it" },
	[MODE_FIRST] = { "mode-first",
		"protection is acknowledged when only the label has it" },
	[WITNESS_STAYS] = { "witness-stays",
		"the witness is void only some time after the first write" },
	[WITNESS_NO_FLUSH] = { "witness-no-flush",
		"the witness is of what is not durable" },
};

/* ---- operations -------------------------------------------------------------- */

static void op_drop(void)
{
	if (vol.core.nr_snaps)
		vol_drop(random_below(vol.core.nr_snaps));
}

static void op_merge(void)
{
	vol_merge(1 + random_below(once_in(3) ? 1000 : 60));
}

static void op_follow(void)
{
	vol_label_write(0, 0);
}

static void op_mode(void)
{
	vol_protect(!(vol.core.flags & SNAPPROT_SUPER_PROTECTED));
}

static const struct {
	void (*fn)(void);
	u32 share;
} ops[] = {
	{ vol_write, 380 },
	{ vol_sync, 30 },
	{ vol_create, 70 },
	{ op_drop, 40 },
	{ vol_set, 20 },
	{ vol_seal, 30 },
	{ vol_refill, 20 },
	{ op_merge, 150 },
	{ vol_tick, 180 },
	{ vol_checkpoint, 15 },
	{ op_follow, 30 },
	{ op_mode, 20 },
	{ vol_grow, 6 },
	{ vol_restart, 25 },
	{ vol_lose, 12 },
};

static void random_op(void)
{
	u32 total = 0, draw, i;

	for (i = 0; i < ARRAY_SIZE(ops); i++)
		total += ops[i].share;
	draw = random_below(total);
	for (i = 0; draw >= ops[i].share; i++)
		draw -= ops[i].share;
	ops[i].fn();
}

/* ---- workloads --------------------------------------------------------------- */

static void random_bytes(u8 *to, u32 count)
{
	while (count--)
		*to++ = random_below(256);
}

static void format_label(const struct snapprot_format *f)
{
	struct snapprot_disk_label *l = &vol.label;

	memset(l, 0, sizeof(*l));
	snapprot_block_init(l, SNAPPROT_MAGIC_LABEL, 0, 0, f->uuid);
	memcpy(l->ident, SNAPPROT_SUPER_IDENT, sizeof(l->ident));
	random_bytes(l->secret, sizeof(l->secret));
	memcpy(l->store_id, f->store_id, sizeof(l->store_id));
	l->version = cpu_to_le32(SNAPPROT_FORMAT_VERSION);
	l->origin_sectors = cpu_to_le64(f->origin_sectors);
	l->area_start = cpu_to_le64(vol.area - ORIGIN_START);
	vol_label_write(0, 0);
	vol_label_write(0, 0);
}

static void format(void)
{
	u8 uuid[16], secret[16], id[16];
	struct snapprot_format f = {
		.uuid = uuid, .secret = secret, .store_id = id,
		.origin_sectors = vol.blocks * BLOCK_SECTORS,
		.blocks = vol.size, .time = 1,
	};

	random_bytes(uuid, sizeof(uuid));
	random_bytes(secret, sizeof(secret));
	random_bytes(id, sizeof(id));
	must(snapprot_store_format(&vol.env.env, &f), "format");
	format_label(&f);
}

/* Small tables, so that a few entries are enough for levels and merges. */
static void make(const char *path)
{
	static const u32 tables[] = { 32, 64, 128 }, freezes[] = { 8, 16, 64 };
	static const u32 zones[] = { 16, 24, 60 }, sizes[] = { 1024, 1300, 3000 };
	static const u32 origins[] = { 100, 300, 700 };
	u64 part;

	vol.tune.table = tables[random_below(ARRAY_SIZE(tables))];
	vol.tune.freeze = freezes[random_below(ARRAY_SIZE(freezes))];
	vol.tune.zone = zones[random_below(ARRAY_SIZE(zones))];
	vol.tune.fanout = 2 + random_below(3);
	vol.size = sizes[random_below(ARRAY_SIZE(sizes))];
	vol.max_size = vol.size + 2000;
	vol.blocks = origins[random_below(ARRAY_SIZE(origins))];
	vol.area = ORIGIN_START + vol.blocks * BLOCK_SECTORS;
	part = vol.blocks * BLOCK_SECTORS + (SNAPPROT_LABEL_AREA >> 9);
	vol.store = ORIGIN_START + part;
	vol.next_id = 1;
	media_open(&vol.media, path,
		   vol.store + vol.max_size * BLOCK_SECTORS);
	media_env_init(&vol.env, &vol.media, vol.store, vol.max_size);
	/* The reader of the log sees how large the disk is. */
	media_write(&vol.media, vol.media.sectors - BLOCK_SECTORS,
		    BLOCK_SECTORS, vol.media.now, 0);
	format();
	media_flush(&vol.media);
}

static void mark_workload(u32 nr)
{
	vol.env.slack = false;
	media_mark(&vol.media, "begin perform-%" PRIu32 " %u %" PRIu64 " %" PRIu64
		   " %" PRIu64, nr, ORIGIN_START, vol.store - ORIGIN_START,
		   vol.store, vol.size * BLOCK_SECTORS);
	vol.env.slack = wrongly(CKPT_NO_FLUSH);
}

/* Do it, and come to its end? If not, everything in memory is gone. */
static bool survives(void (*fn)(void))
{
	if (setjmp(vol.media.end)) {
		memset(&vol.core, 0, sizeof(vol.core));
		vol_leave();
		return false;
	}
	fn();
	vol.media.fuse = 0;
	return true;
}

/* Most mistakes would be met when the volume comes again, and it would be over. */
static void light_fuse(void)
{
	if (!vol.mistake && once_in(12))
		vol.media.fuse = 1 + random_below(once_in(2) ? 10 : 40);
}

static void workload(u32 nr, u32 count)
{
	bool good;
	u32 i;

	media_flush(&vol.media);
	mark_workload(nr);
	good = survives(vol_arrive);
	for (i = 0; good && i < count; i++) {
		light_fuse();
		good = survives(random_op);
		/* Whether the mode was changed is left to the next workload. */
		while (!good && !vol.moving && once_in(2)) {
			light_fuse();
			good = survives(vol_arrive);
		}
	}
	if (good && once_in(4))
		vol_shut_down();
	media_mark(&vol.media, "end");
	if (vol.core.env)
		vol_leave();
	vol.moving = false;
	/* With a mistake there may be nothing to go on with. */
	if (vol.mistake)
		media_flush(&vol.media);
	else
		media_cut(&vol.media);
}

static enum mistake find_mistake(const char *name)
{
	u32 i;

	for (i = RIGHT + 1; i < NR_MISTAKES; i++)
		if (!strcmp(mistakes[i].name, name))
			return i;
	bad("%s: no such mistake", name);
}

static void list_mistakes(void)
{
	u32 i;

	for (i = RIGHT + 1; i < NR_MISTAKES; i++)
		printf("%s\t%s\n", mistakes[i].name, mistakes[i].words);
	exit(0);
}

int main(int argc, char **argv)
{
	u32 count = 120, workloads = 4, i;
	u64 seed = 1;
	int c;

	while ((c = getopt(argc, argv, "n:w:s:m:l")) != -1) {
		switch (c) {
		case 'n':
			count = strtoul(optarg, NULL, 0);
			break;
		case 'w':
			workloads = strtoul(optarg, NULL, 0);
			break;
		case 's':
			seed = strtoull(optarg, NULL, 0);
			break;
		case 'm':
			vol.mistake = find_mistake(optarg);
			break;
		case 'l':
			list_mistakes();
			break;
		default:
			bad("see the beginning of perform.c");
		}
	}
	if (argc - optind != 1)
		bad("see the beginning of perform.c");
	random_seed(seed);
	make(argv[optind]);
	for (i = 1; i <= workloads; i++)
		workload(i, count);
	media_env_exit(&vol.env);
	media_close(&vol.media);
	return 0;
}
