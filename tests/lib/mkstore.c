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
 *	Bytes of a block of metadata are replaced, and its checksum is right, in
 *	whatever leads to it as well.
 *
 * The script has a command a line:
 *
 *   fill			new data everywhere, before any snapshot
 *   create ID | delete ID	a snapshot
 *   write BLOCK COUNT		new data there
 *   random COUNT		so many writes of 1 to 8 blocks anywhere
 *   checkpoint			and all the merging that is due before
 *   merge			all that could be merged, and a checkpoint
 *   seal			a step that says that all before it is durable
 *   abort			a checkpoint that a crash ends before it counts
 *   name ID NAME | hold ID TIME	of a snapshot
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
#include "../../dm-snapprot/core/internal.h"
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
	must(snapprot_ckpt_prepare(core), "prepare");
}

static void checkpoint(struct volume *v)
{
	prepare(v);
	must(snapprot_ckpt_write(&v->core), "write");
	must(snapprot_ckpt_finish(&v->core), "finish");
}

/* A merge that finds no space waits for what the next checkpoint frees. */
static void merge(struct volume *v, bool all)
{
	u32 waited = 0;
	int err;

	while (all ? snapprot_merge_possible(&v->core) :
		     snapprot_merge_due(&v->core)) {
		err = snapprot_merge_step(&v->core, 1000);
		if (err == -ENOSPC && waited++ < 3)
			checkpoint(v);
		else if (err < 0)
			must(err, "merge");
	}
}

/* Small, so that a small store has an index of several levels. */
static const struct snapprot_tune tune = { .table = 256, .fanout = 3 };

static void load(struct volume *v)
{
	must(store_env_init(&v->se, &v->store, v->writes ? ENV_WRITE : 0),
	     "env");
	if (v->writes)
		v->se.env.tune = &tune;
	must(snapprot_store_load(&v->core, &v->se.env,
				 device_blocks(&v->store), NULL), "load");
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
	u64 at = v->core.log.block << SNAPPROT_BLOCK_SHIFT;
	u32 i;

	snapprot_log_encode_batch(&v->core, block, e, count);
	for (i = 0; i < count && payload; i++)
		must(device_write(&v->store, snapprot_entry_place(&e[i]) <<
				  SNAPPROT_BLOCK_SHIFT,
				  data + (size_t)i * SNAPPROT_BLOCK_SIZE,
				  SNAPPROT_BLOCK_SIZE), "store");
	must(device_write(&v->store, at, block, header), "store");
	if (payload && header == sizeof(block))
		must(snapprot_log_commit(&v->core, block), "commit");
}

static void record(struct volume *v, enum snapprot_log_type type,
		   const struct snapprot_snap *snap)
{
	u8 block[SNAPPROT_BLOCK_SIZE];
	u64 at = v->core.log.block;

	must(snapprot_log_reserve(&v->core, 0, NULL), "reserve");
	if (snap)
		snapprot_log_encode_record(&v->core, block, type, snap);
	else
		snapprot_log_encode_seal(&v->core, block);
	must(v->se.env.ops->write(&v->se.env, at, block), "store");
	must(snapprot_log_commit(&v->core, block), "commit");
}

static void make_room(struct volume *v, u32 count)
{
	u32 tries;
	int err;

	for (tries = 0; tries < 8; tries++) {
		if (snapprot_log_full(&v->core)) {
			checkpoint(v);
			merge(v, false);
		}
		err = snapprot_log_refill(&v->core);
		must(err == -ENOSPC ? 0 : err, "refill");
		if (snapprot_log_room(&v->core, count) >= count)
			return;
		if (snapprot_log_wants_seal(&v->core)) {
			record(v, SNAPPROT_LOG_SEAL, NULL);
		} else {
			merge(v, false);
			checkpoint(v);
		}
	}
	must(-ENOSPC, "room in the log");
}

static void preserve(struct volume *v, const u64 *blocks, u32 count,
		     bool payload, u32 header)
{
	struct snapprot_entry e[SNAPPROT_LOG_ENTRIES];
	u64 places[SNAPPROT_LOG_ENTRIES];
	static u8 data[SNAPPROT_LOG_ENTRIES * SNAPPROT_BLOCK_SIZE];
	u32 i;

	make_room(v, count);
	must(snapprot_log_reserve(&v->core, count, places), "reserve");
	for (i = 0; i < count; i++) {
		u8 *at = data + (size_t)i * SNAPPROT_BLOCK_SIZE;

		must(device_read(&v->origin, blocks[i] << SNAPPROT_BLOCK_SHIFT,
				 at, SNAPPROT_BLOCK_SIZE), "origin");
		e[i] = (struct snapprot_entry){
			.block = blocks[i],
			.where = SNAPPROT_WHERE(SNAPPROT_KIND_DATA, places[i]),
			.epoch = v->core.epoch,
			.sum = snapprot_data_sum(&v->core, at),
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
		rc = snapprot_lookup(&v->core, block + i,
				     snapprot_snaps_newest(&v->core), &found);
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
		.uuid = { [0] = 0xaa, [15] = (u8)id, [14] = (u8)(id >> 8) },
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
	struct snapprot_snap was;
	char path[4096];

	must(snap ? 0 : -ENOENT, "delete");
	was = *snap;
	record(v, SNAPPROT_LOG_DELETE, &was);
	copy_path(v, id, path, sizeof(path));
	unlink(path);
}

static void set(struct volume *v, u32 id, const char *name, const u64 *hold)
{
	struct snapprot_snap *snap = snapprot_snap_find(&v->core, id);
	struct snapprot_snap now;

	must(snap ? 0 : -ENOENT, "set");
	now = *snap;
	if (name)
		snprintf(now.name, sizeof(now.name), "%s", name);
	if (hold)
		now.hold = *hold;
	record(v, SNAPPROT_LOG_SET, &now);
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
		if (!snapprot_lookup(&v->core, block,
				     snapprot_snaps_newest(&v->core), &found))
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
		merge(v, false);
		checkpoint(v);
	} else if (!strcmp(word, "merge")) {
		merge(v, true);
		checkpoint(v);
	} else if (!strcmp(word, "seal")) {
		record(v, SNAPPROT_LOG_SEAL, NULL);
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
	char word[32] = "", name[SNAPPROT_NAME_SIZE] = "";
	u64 a = 0, b = 0;
	int n = sscanf(line, "%31s %" SCNu64 " %" SCNu64, word, &a, &b);

	if (n < 1 || *word == '#')
		return;
	if (n == 1 && play_simple(v, word))
		return;
	if (n == 2 && !strcmp(word, "name") &&
	    sscanf(line, "%*s %*s %63s", name) == 1)
		return set(v, (u32)a, name, NULL);
	if (n == 3 && !strcmp(word, "hold"))
		return set(v, (u32)a, NULL, &b);
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
		if (rc && snapprot_entry_kind(&e) == SNAPPROT_KIND_DATA)
			rc = device_read(&v->store, snapprot_entry_place(&e) <<
					 SNAPPROT_BLOCK_SHIFT, is, sizeof(is));
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

static int run_flip(char **argv)
{
	u64 block = strtoull(argv[1], NULL, 0);
	u32 offset = (u32)strtoul(argv[2], NULL, 0);
	u8 data[SNAPPROT_BLOCK_SIZE];
	struct device dev;

	if (device_open(&dev, argv[0], DEVICE_WRITE))
		return 1;
	must(device_read(&dev, block << SNAPPROT_BLOCK_SHIFT, data,
			 sizeof(data)), argv[0]);
	data[offset % sizeof(data)] ^= 0x41;
	must(device_write(&dev, block << SNAPPROT_BLOCK_SHIFT, data,
			  sizeof(data)), argv[0]);
	device_close(&dev);
	return 0;
}

/* ---- poke ------------------------------------------------------------------------ */

struct poke {
	struct device dev;
	siphash_key_t key;		/* of the store, if it is one */
};

static void poke_read(const struct poke *p, u64 place, void *data)
{
	must(device_read(&p->dev, place << SNAPPROT_BLOCK_SHIFT, data,
			 SNAPPROT_BLOCK_SIZE), p->dev.path);
}

static u32 kind_of(u64 place, const void *data)
{
	const struct snapprot_disk_header *h = data;
	u32 bit = snapprot_group_bit(place);

	/* A bitmap begins with the bits of fixed blocks, which are clear. */
	if ((bit == 1 || bit == 2) && !h->magic)
		return SNAPPROT_MAGIC_BITMAP;
	return le32_to_cpu(h->magic);
}

static bool has_own_sum(u32 magic)
{
	return magic == SNAPPROT_MAGIC_SUPER || magic == SNAPPROT_MAGIC_LABEL ||
	       magic == SNAPPROT_MAGIC_LOG;
}

static bool has_pointers(u32 magic)
{
	return magic == SNAPPROT_MAGIC_SUPER || magic == SNAPPROT_MAGIC_LOG ||
	       magic == SNAPPROT_MAGIC_NODE || magic == SNAPPROT_MAGIC_SPACE ||
	       magic == SNAPPROT_MAGIC_DIR;
}

/* The sum that a block has by what is in it; superblock and label have their key. */
static u64 sum_of(const struct poke *p, u64 place, const void *data)
{
	const struct snapprot_disk_super *s = data;
	siphash_key_t key = p->key;
	u32 magic = kind_of(place, data);

	if (magic == SNAPPROT_MAGIC_SUPER || magic == SNAPPROT_MAGIC_LABEL)
		snapprot_key_init(&key, s->secret);
	if (has_own_sum(magic))
		place = le64_to_cpu(s->h.block);
	return snapprot_block_sum(&key, data, magic, place);
}

/* Replace a block, and its sum wherever that is. */
static void poke_block(const struct poke *p, u64 place, const void *was,
		       const void *is)
{
	u64 from, to, at, block[SNAPPROT_BLOCK_SIZE / 8];
	u64 old[SNAPPROT_BLOCK_SIZE / 8];
	struct snapprot_disk_header *h = (void *)block;
	bool found;
	u32 i;

	memcpy(block, is, sizeof(block));
	from = sum_of(p, place, was);
	to = sum_of(p, place, block);
	if (has_own_sum(kind_of(place, block)))
		h->sum = cpu_to_le64(to);
	must(device_write(&p->dev, place << SNAPPROT_BLOCK_SHIFT, block,
			  sizeof(block)), p->dev.path);
	for (at = 0; from != to && at < device_blocks(&p->dev); at++) {
		poke_read(p, at, old);
		if (!has_pointers(kind_of(at, old)))
			continue;
		memcpy(block, old, sizeof(block));
		found = false;
		for (i = 0; i < ARRAY_SIZE(block); i++) {
			/* Not the sum of the block itself. */
			if (i == 1 || le64toh(block[i]) != from)
				continue;
			block[i] = htole64(to);
			found = true;
		}
		if (found)
			poke_block(p, at, old, block);
	}
}

static int run_poke(char **argv)
{
	u64 block = strtoull(argv[1], NULL, 0);
	u32 offset = (u32)strtoul(argv[2], NULL, 0);
	u8 was[SNAPPROT_BLOCK_SIZE], is[SNAPPROT_BLOCK_SIZE];
	const char *hex = argv[3];
	struct poke p = { .dev = DEVICE_CLOSED };
	unsigned int byte;
	u32 i;

	if (device_open(&p.dev, argv[0], DEVICE_WRITE))
		return 1;
	for (i = 0; i < SNAPPROT_COPIES; i++) {
		const struct snapprot_disk_super *s = (const void *)was;

		if (snapprot_super_place(i) >= device_blocks(&p.dev))
			continue;
		poke_read(&p, snapprot_super_place(i), was);
		if (snapprot_super_verify(s, snapprot_super_place(i)) == -EBADMSG)
			continue;
		snapprot_key_init(&p.key, s->secret);
		break;
	}
	poke_read(&p, block, was);
	memcpy(is, was, sizeof(is));
	for (; sscanf(hex, "%2x", &byte) == 1; hex += 2)
		is[offset++ % sizeof(is)] = (u8)byte;
	poke_block(&p, block, was, is);
	device_close(&p.dev);
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
		return run_flip(argv + 2);
	if (argc == 6 && !strcmp(what, "poke"))
		return run_poke(argv + 2);
	fputs("usage: mkstore run|verify|flip|poke ...; see the source\n",
	      stderr);
	return 2;
}
