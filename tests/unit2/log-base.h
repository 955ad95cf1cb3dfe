/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A store with nothing but a log, for test-log.c alone: making steps, damaging and
 * opening it again.
 */
#ifndef LOG_BASE_H
#define LOG_BASE_H

static const u8 uuid[16] = "test of the log";
static const u64 store_blocks = 40000;

static struct sim *sim;
static struct snapprot_core core;
static u8 header[SNAPPROT_BLOCK_SIZE];
static u64 next_block;

static void format_store(const char *secret)
{
	struct snapprot_format f = {
		.uuid = uuid, .secret = (const u8 *)secret,
		.store_id = (const u8 *)"this very store.",
		.origin_sectors = 8000000, .blocks = store_blocks, .time = 1,
	};

	CHECK_EQ(snapprot_store_format(&sim->env, &f), 0);
}

static void open_tuned(const struct snapprot_tune *tune)
{
	sim = sim_new(store_blocks);
	sim->env.tune = tune;
	next_block = 0;
	format_store("0123456789abcdef");
	CHECK_EQ(snapprot_store_load(&core, &sim->env, store_blocks, NULL), 0);
}

static void open_store(void)
{
	open_tuned(NULL);
}

static void close_store(void)
{
	snapprot_store_exit(&core);
	sim_free(sim);
}

static int reload(void)
{
	snapprot_store_exit(&core);
	sim_drop_cache(sim);
	return snapprot_store_load(&core, &sim->env, store_blocks, NULL);
}

static int check(void)
{
	return snapprot_store_check(&core, true, NULL, NULL);
}

static u64 put_record(void)
{
	u64 place = core.log.block;

	CHECK_EQ(sim_write(sim, place, header), 0);
	CHECK_EQ(sim_flush(sim), 0);
	CHECK_EQ(snapprot_log_commit(&core, header), 0);
	return place;
}

static u64 seal(void)
{
	u64 place;

	CHECK_EQ(snapprot_log_reserve(&core, 0, NULL), 0);
	snapprot_log_encode_seal(&core, header);
	place = put_record();
	CHECK(core.log.sealed);
	return place;
}

/* Space for the log, as far as there is any. */
static void refill(void)
{
	int err = snapprot_log_refill(&core);

	CHECK(!err || err == -ENOSPC);
	if (snapprot_log_wants_seal(&core))
		seal();
}

/* Entries for new blocks whose data is put at @places. */
static void make_entries(struct snapprot_entry *e, const u64 *places, u32 count)
{
	static u8 data[SNAPPROT_BLOCK_SIZE];
	u32 i;

	for (i = 0; i < count; i++) {
		memset(data, next_block, sizeof(data));
		e[i].block = next_block++;
		e[i].where = SNAPPROT_WHERE(SNAPPROT_KIND_DATA, places[i]);
		e[i].epoch = core.epoch;
		e[i].sum = snapprot_data_sum(&core, data);
		CHECK_EQ(sim_write(sim, places[i], data), 0);
	}
}

/* A batch of new blocks on the disk; committed if @commit. */
static u64 batch(u32 count, bool commit)
{
	struct snapprot_entry e[SNAPPROT_LOG_ENTRIES];
	u64 places[SNAPPROT_LOG_ENTRIES];
	u64 place;

	refill();
	CHECK_EQ(snapprot_log_room(&core, count), count);
	place = core.log.block;
	CHECK_EQ(snapprot_log_reserve(&core, count, places), 0);
	make_entries(e, places, count);
	snapprot_log_encode_batch(&core, header, e, count);
	CHECK_EQ(sim_write(sim, place, header), 0);
	CHECK_EQ(sim_flush(sim), 0);
	if (commit)
		CHECK_EQ(snapprot_log_commit(&core, header), 0);
	return place;
}

static u64 record(enum snapprot_log_type type, u32 id, u32 epoch)
{
	struct snapprot_snap snap = {
		.id = id, .epoch = epoch, .time = 5, .sectors = 8000000,
	};

	refill();
	CHECK_EQ(snapprot_log_reserve(&core, 0, NULL), 0);
	snapprot_log_encode_record(&core, header, type, &snap);
	return put_record();
}

static void checkpoint(void)
{
	int more;

	CHECK_EQ(snapprot_ckpt_freeze(&core), 0);
	do {
		more = snapprot_ckpt_step(&core, 1000);
		CHECK(more >= 0);
	} while (more);
	CHECK_EQ(snapprot_ckpt_prepare(&core), 0);
	CHECK_EQ(snapprot_ckpt_write(&core), 0);
	CHECK_EQ(snapprot_ckpt_finish(&core), 0);
}

static struct snapprot_disk_log *log_at(u64 place)
{
	return (void *)sim_block(sim, place);
}

/* Whoever has the secret could have written this. */
static void reseal(u64 place)
{
	struct snapprot_disk_log *l = log_at(place);
	u64 sum = snapprot_block_sum(&sim->env.key, l, SNAPPROT_MAGIC_LOG,
				     place);

	l->h.sum = cpu_to_le64(sum);
}

static u64 data_place(const void *step, u32 i)
{
	const struct snapprot_disk_log *l = step;

	return SNAPPROT_WHERE_PLACE(le64_to_cpu(l->entry[i].where));
}

static void damage(u64 place)
{
	sim_block(sim, place)[unit_below(SNAPPROT_BLOCK_SIZE)] ^= 1;
}

#endif
