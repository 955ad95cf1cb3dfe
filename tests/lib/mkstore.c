// SPDX-License-Identifier: GPL-2.0-only
/*
 * mkstore - stores with contents, for tests of the tools
 *
 *   mkstore run STORE ORIGIN DIR SEED < script
 *	Plays a volume over files: writes to ORIGIN, preserves what they
 *	overwrite in STORE, and keeps a copy of ORIGIN in DIR/<id> at each
 *	snapshot. STORE is a formatted store; ORIGIN is as large as it says.
 *   mkstore verify STORE ORIGIN DIR
 *	Every valid snapshot of STORE, block by block, against DIR/<id>.
 *   mkstore flip FILE BLOCK OFFSET
 *	One byte of a block is changed.
 *   mkstore poke FILE BLOCK OFFSET HEX
 *	Bytes of a block of metadata are replaced, and its checksum is right.
 *
 * The script has a command a line:
 *
 *   fill			new data everywhere, before any snapshot
 *   create ID | delete ID	a snapshot
 *   write BLOCK COUNT		new data there
 *   random COUNT		so many writes of 1 to 8 blocks anywhere
 *   checkpoint			with a sweep to its end
 *   abort			a checkpoint that a crash ends before it counts
 *   protect | lose		the flag; all snapshots, by cow_write
 *   generation N
 *   unpayed			a crash left a header, but not its old blocks
 *   torn			a crash left half a header
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "../../dm-snapprot/core/core.h"
#include "../../dm-snapprot/core/state.h"
#include "device.h"
#include "env.h"
#include "tool.h"

/* So many that half of the header does not hold them all. */
#define CRASH_BLOCKS	100u

/**
 * struct volume - the play
 * @store: its device
 * @origin: the live volume
 * @dir: where copies go
 * @writes: the store is not only looked at
 * @se: over @store
 * @core: the store
 * @random: state of the generator
 * @version: of data, so that no two writes write the same
 */
struct volume {
	struct device store;
	struct device origin;
	const char *dir;
	bool writes;
	struct store_env se;
	struct snapprot_core core;
	u64 random;
	u64 version;
};

static void must(int err, const char *what)
{
	if (!err)
		return;
	fprintf(stderr, "mkstore: %s: %s\n", what, strerror(-err));
	exit(1);
}

static u64 next_random(struct volume *v)
{
	v->random ^= v->random << 13;
	v->random ^= v->random >> 7;
	v->random ^= v->random << 17;
	return v->random;
}

static void fill_block(struct volume *v, u64 block, u64 *data)
{
	u64 x = (block + 1) * 0x9e3779b97f4a7c15ull + ++v->version;
	u32 i;

	for (i = 0; i < SNAPPROT_BLOCK_SIZE / sizeof(*data); i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		data[i] = x;
	}
}

/* ---- the store -------------------------------------------------------------- */

static void prepare(struct volume *v)
{
	struct snapprot_core *core = &v->core;
	int more;

	must(snapprot_ckpt_freeze(core), "freeze");
	while ((more = snapprot_ckpt_step(core, 100)) > 0)
		;
	must(more, "step");
	while ((more = snapprot_ckpt_sweep(core, 100)) > 0)
		;
	must(more, "sweep");
	must(snapprot_ckpt_prepare(core), "prepare");
}

static void checkpoint(struct volume *v)
{
	prepare(v);
	must(snapprot_ckpt_write(&v->core), "write");
	must(snapprot_ckpt_finish(&v->core), "finish");
}

static void load(struct volume *v)
{
	must(store_env_init(&v->se, &v->store, v->writes ? ENV_WRITE : 0),
	     "env");
	must(snapprot_store_load(&v->core, &v->se.env,
				 device_blocks(&v->store)), "load");
}

/* All of its blocks reach the disk, the superblock does not. */
static void abort_checkpoint(struct volume *v)
{
	prepare(v);
	must(v->se.env.ops->commit(&v->se.env), "commit");
	snapprot_store_exit(&v->core);
	store_env_exit(&v->se);
	load(v);
}

/* Old blocks and the header, as far as @payload and @header say. */
static void write_step(struct volume *v, const struct snapprot_entry *e,
		       u32 count, const u8 *data, bool payload, u32 header)
{
	u8 block[SNAPPROT_BLOCK_SIZE];
	u64 at = v->core.log_block << SNAPPROT_BLOCK_SHIFT;
	u32 i;

	snapprot_log_encode_batch(&v->core, block, e, count);
	for (i = 0; i < count && payload; i++)
		must(device_write(&v->store, e[i].place << SNAPPROT_BLOCK_SHIFT,
				  data + (size_t)i * SNAPPROT_BLOCK_SIZE,
				  SNAPPROT_BLOCK_SIZE), "store");
	must(device_write(&v->store, at, block, header), "store");
	if (payload && header == sizeof(block))
		must(snapprot_log_commit(&v->core, block), "commit");
}

static void preserve(struct volume *v, const u64 *blocks, u32 count,
		     bool payload, u32 header)
{
	struct snapprot_entry e[SNAPPROT_LOG_ENTRIES];
	u64 places[SNAPPROT_LOG_ENTRIES];
	static u8 data[SNAPPROT_LOG_ENTRIES * SNAPPROT_BLOCK_SIZE];
	u32 i;

	if (snapprot_log_full(&v->core) || snapprot_log_room(&v->core, count) < count)
		checkpoint(v);
	must(snapprot_log_reserve(&v->core, count, places), "reserve");
	for (i = 0; i < count; i++) {
		u8 *at = data + (size_t)i * SNAPPROT_BLOCK_SIZE;

		must(device_read(&v->origin, blocks[i] << SNAPPROT_BLOCK_SHIFT,
				 at, SNAPPROT_BLOCK_SIZE), "origin");
		e[i] = (struct snapprot_entry){
			.block = blocks[i],
			.place = places[i],
			.epoch = v->core.epoch,
			.sum = snapprot_data_sum(at),
		};
	}
	write_step(v, e, count, data, payload, header);
}

static void write_blocks(struct volume *v, u64 block, u32 count)
{
	u64 data[SNAPPROT_BLOCK_SIZE / sizeof(u64)];
	u64 missing[SNAPPROT_LOG_ENTRIES];
	struct snapprot_entry found;
	u32 i, nr = 0;
	int rc;

	for (i = 0; i < count; i++) {
		rc = snapprot_lookup(&v->core, block + i, v->core.epoch,
				     &found);
		must(rc < 0 ? rc : 0, "lookup");
		if (!rc && snapprot_snaps_valid(&v->core))
			missing[nr++] = block + i;
	}
	if (nr)
		preserve(v, missing, nr, true, SNAPPROT_BLOCK_SIZE);
	for (i = 0; i < count; i++) {
		fill_block(v, block + i, data);
		must(device_write(&v->origin,
				  (block + i) << SNAPPROT_BLOCK_SHIFT, data,
				  SNAPPROT_BLOCK_SIZE), "origin");
	}
}

static void record(struct volume *v, enum snapprot_log_type type,
		   const struct snapprot_snap *snap)
{
	u8 block[SNAPPROT_BLOCK_SIZE];
	u64 at = v->core.log_block;

	must(snapprot_log_reserve(&v->core, 0, NULL), "reserve");
	snapprot_log_encode_record(&v->core, block, type, snap);
	must(v->se.env.ops->write(&v->se.env, at, block), "store");
	must(snapprot_log_commit(&v->core, block), "commit");
}

/* ---- snapshots ----------------------------------------------------------------- */

static void copy_path(const struct volume *v, u32 id, char *path, size_t len)
{
	snprintf(path, len, "%s/%" PRIu32, v->dir, id);
}

static void create(struct volume *v, u32 id)
{
	struct snapprot_snap snap = {
		.id = id,
		.epoch = v->core.epoch + 1,
		.time = 1700000000 + id,
		.sectors = v->core.origin_sectors,
	};
	u8 data[SNAPPROT_BLOCK_SIZE];
	char path[4096];
	u64 block;
	int fd;

	record(v, SNAPPROT_LOG_CREATE, &snap);
	copy_path(v, id, path, sizeof(path));
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	must(fd < 0 ? -errno : 0, path);
	for (block = 0; block < v->core.origin_blocks; block++) {
		must(device_read(&v->origin, block << SNAPPROT_BLOCK_SHIFT,
				 data, sizeof(data)), "origin");
		if (write(fd, data, sizeof(data)) != sizeof(data))
			must(-EIO, path);
	}
	close(fd);
}

static void delete(struct volume *v, u32 id)
{
	struct snapprot_snap *snap = snapprot_snap_find(&v->core, id);
	char path[4096];

	must(snap ? 0 : -ENOENT, "delete");
	record(v, SNAPPROT_LOG_DELETE, snap);
	copy_path(v, id, path, sizeof(path));
	unlink(path);
}

static void update(struct volume *v, u64 generation, u32 flags, u32 lost,
		   u32 fault)
{
	must(snapprot_store_update(&v->core, generation, flags, lost, fault),
	     "update");
}

/* ---- the script ------------------------------------------------------------------ */

static void random_writes(struct volume *v, u64 count)
{
	u64 block, blocks = v->core.origin_blocks;
	u32 len;

	while (count--) {
		block = next_random(v) % blocks;
		len = 1 + next_random(v) % 8;
		if (len > blocks - block)
			len = (u32)(blocks - block);
		write_blocks(v, block, len);
	}
}

/* A step that fails, of blocks that are not preserved yet. */
static void crash(struct volume *v, bool payload, u32 header)
{
	struct snapprot_entry found;
	u64 blocks[CRASH_BLOCKS];
	u64 block;
	u32 count = 0;

	for (block = 0; count < CRASH_BLOCKS; block++) {
		must(block < v->core.origin_blocks ? 0 : -ENOSPC, "crash");
		if (!snapprot_lookup(&v->core, block, v->core.epoch, &found))
			blocks[count++] = block;
	}
	preserve(v, blocks, count, payload, header);
}

static bool play_simple(struct volume *v, const char *word)
{
	struct snapprot_core *c = &v->core;
	u64 block;

	if (!strcmp(word, "fill")) {
		for (block = 0; block < c->origin_blocks; block++)
			write_blocks(v, block, 1);
	} else if (!strcmp(word, "checkpoint")) {
		checkpoint(v);
	} else if (!strcmp(word, "abort")) {
		abort_checkpoint(v);
	} else if (!strcmp(word, "protect")) {
		update(v, c->generation, c->flags | SNAPPROT_SUPER_PROTECTED,
		       c->lost_epoch, c->lost_fault);
	} else if (!strcmp(word, "lose")) {
		update(v, c->generation, c->flags, c->epoch,
		       SNAPPROT_FAULT_COW_WRITE);
	} else if (!strcmp(word, "unpayed")) {
		crash(v, false, SNAPPROT_BLOCK_SIZE);
	} else if (!strcmp(word, "torn")) {
		crash(v, true, SNAPPROT_BLOCK_SIZE / 2);
	} else {
		return false;
	}
	return true;
}

static void play(struct volume *v, const char *line)
{
	char word[32] = "";
	u64 a = 0, b = 0;
	int n = sscanf(line, "%31s %" SCNu64 " %" SCNu64, word, &a, &b);

	if (n < 1 || *word == '#')
		return;
	if (n == 1 && play_simple(v, word))
		return;
	if (n == 2 && !strcmp(word, "create"))
		create(v, (u32)a);
	else if (n == 2 && !strcmp(word, "delete"))
		delete(v, (u32)a);
	else if (n == 2 && !strcmp(word, "random"))
		random_writes(v, a);
	else if (n == 2 && !strcmp(word, "generation"))
		update(v, a, v->core.flags, v->core.lost_epoch,
		       v->core.lost_fault);
	else if (n == 3 && !strcmp(word, "write") && b && b <= 128)
		write_blocks(v, a, (u32)b);
	else
		must(-EINVAL, line);
}

/* ---- the commands ----------------------------------------------------------------- */

static void open_volume(struct volume *v, char **argv, unsigned int flags)
{
	if (device_open(&v->store, argv[0], flags) ||
	    device_open(&v->origin, argv[1], flags))
		exit(1);
	v->dir = argv[2];
	v->writes = flags;
	load(v);
}

static void close_volume(struct volume *v)
{
	snapprot_store_exit(&v->core);
	store_env_exit(&v->se);
	device_close(&v->store);
	device_close(&v->origin);
}

static int run_script(char **argv)
{
	static struct volume v;
	char line[128];

	open_volume(&v, argv, DEVICE_WRITE);
	v.random = strtoull(argv[3], NULL, 0) * 2 + 1;
	v.version = v.random << 20;
	while (fgets(line, sizeof(line), stdin))
		play(&v, line);
	close_volume(&v);
	return 0;
}

/* Number of blocks of a snapshot that are wrong. */
static u64 verify_snap(struct volume *v, const struct snapprot_snap *snap)
{
	u8 is[SNAPPROT_BLOCK_SIZE], should[SNAPPROT_BLOCK_SIZE];
	u64 block, wrong = 0;
	struct snapprot_entry e;
	struct device copy;
	char path[4096];
	int rc;

	copy_path(v, snap->id, path, sizeof(path));
	if (device_open(&copy, path, 0))
		exit(1);
	for (block = 0; block < v->core.origin_blocks; block++) {
		rc = snapprot_lookup(&v->core, block, snap->epoch, &e);
		must(rc < 0 ? rc : 0, "lookup");
		if (rc)
			rc = device_read(&v->store,
					 e.place << SNAPPROT_BLOCK_SHIFT, is,
					 sizeof(is));
		else
			rc = device_read(&v->origin,
					 block << SNAPPROT_BLOCK_SHIFT, is,
					 sizeof(is));
		must(rc, "read");
		must(device_read(&copy, block << SNAPPROT_BLOCK_SHIFT, should,
				 sizeof(should)), path);
		wrong += memcmp(is, should, sizeof(is)) != 0;
	}
	device_close(&copy);
	return wrong;
}

static int run_verify(char **argv)
{
	static struct volume v;
	u64 wrong, sum = 0;
	u32 i;

	open_volume(&v, argv, 0);
	for (i = 0; i < v.core.nr_snaps; i++) {
		if (snapprot_snap_lost(&v.core, &v.core.snaps[i])) {
			printf("%" PRIu32 " lost\n", v.core.snaps[i].id);
			continue;
		}
		wrong = verify_snap(&v, &v.core.snaps[i]);
		printf("%" PRIu32 " %s\n", v.core.snaps[i].id,
		       wrong ? "wrong" : "right");
		sum += wrong;
	}
	close_volume(&v);
	return sum != 0;
}

static int run_poke(int argc, char **argv)
{
	u64 block = strtoull(argv[1], NULL, 0);
	u32 offset = (u32)strtoul(argv[2], NULL, 0);
	u8 data[SNAPPROT_BLOCK_SIZE];
	const char *hex = argc > 3 ? argv[3] : "";
	struct device dev;
	unsigned int byte;

	if (device_open(&dev, argv[0], DEVICE_WRITE))
		return 1;
	must(device_read(&dev, block << SNAPPROT_BLOCK_SHIFT, data,
			 sizeof(data)), argv[0]);
	if (argc == 3)
		data[offset % sizeof(data)] ^= 0x41;
	for (; sscanf(hex, "%2x", &byte) == 1; hex += 2)
		data[offset++ % sizeof(data)] = (u8)byte;
	if (argc > 3)
		snapprot_block_seal(data);
	must(device_write(&dev, block << SNAPPROT_BLOCK_SHIFT, data,
			  sizeof(data)), argv[0]);
	device_close(&dev);
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (argc == 6 && !strcmp(what, "run"))
		return run_script(argv + 2);
	if (argc == 5 && !strcmp(what, "verify"))
		return run_verify(argv + 2);
	if (argc == 5 && !strcmp(what, "flip"))
		return run_poke(3, argv + 2);
	if (argc == 6 && !strcmp(what, "poke"))
		return run_poke(4, argv + 2);
	fputs("usage: mkstore run|verify|flip|poke ...; see the source\n",
	      stderr);
	return 2;
}
