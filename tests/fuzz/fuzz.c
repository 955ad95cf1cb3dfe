// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>

#include "fuzz.h"

static struct fuzz_base bases[FUZZ_BASES];

/* ---- stores to start from ---------------------------------------------- */

/* Snapshots, deleted ones, an index, a log; all of it durable. */
static struct model *make_store(u32 nr)
{
	static const u32 steps[FUZZ_BASES] = { 3, 40, 120, 90 };
	struct model *m = model_new(1500 + 300 * nr, 60 + 50 * nr,
				    nr == 3 ? 1000 : 1);
	u32 i;

	m->core.data_cursor = 100;
	for (i = 0; i < steps[nr]; i++) {
		if (i % 8 == 0)
			CHECK_EQ(model_create(m), 0);
		CHECK_EQ(model_write(m, 1 + unit_below(15)), 0);
		if (i % 30 == 17)
			CHECK_EQ(model_delete(m, unit_below(m->nr_snaps)), 0);
		if (i == 60 && nr == 3)
			CHECK_EQ(model_update(m, true), 0);
		if (i % 25 == 24)
			CHECK_EQ(model_checkpoint(m), 0);
	}
	CHECK_EQ(model_create(m), 0);
	CHECK_EQ(sim_flush(m->sim), 0);
	return m;
}

static bool is_metadata(const u8 *block)
{
	return !memcmp(block + 1, "SPS", 3) || !memcmp(block, "SSP", 3);
}

static void make_base(void *ctx)
{
	struct fuzz_base *b = ctx;
	struct model *m;
	u64 i;

	unit_seed(b - bases + 1);
	m = make_store(b - bases);
	b->m = m;
	b->used = malloc(m->sim->blocks * sizeof(*b->used));
	b->meta = malloc(m->sim->blocks * sizeof(*b->meta));
	for (i = 0; i < m->sim->blocks; i++) {
		if (!m->sim->current[i])
			continue;
		b->used[b->nr_used++] = i;
		if (!is_metadata(m->sim->current[i]))
			continue;
		b->meta[b->nr_meta++] = i;
	}
	b->last = m->core.headers[m->core.nr_headers - 1];
}

const struct fuzz_base *fuzz_base(u32 nr)
{
	struct fuzz_base *b = &bases[nr % FUZZ_BASES];

	if (!b->m)
		fuzz_run(make_base, b);
	return b;
}

/* ---- inputs ------------------------------------------------------------ */

static u8 *image_block(struct fuzz_image *img, u64 block)
{
	u32 i;

	for (i = 0; i < img->nr; i++)
		if (img->block[i] == block)
			return img->data[i];
	img->block[img->nr] = block;
	memcpy(img->data[img->nr], sim_block(img->base->m->sim, block),
	       SNAPPROT_BLOCK_SIZE);
	return img->data[img->nr++];
}

static void add(u8 *at, const u8 *bytes, u32 len)
{
	u64 a = 0, b = 0;

	memcpy(&a, at, len);
	memcpy(&b, bytes, len);
	a += b;
	memcpy(at, &a, len);
}

static void patch(struct fuzz_image *img, u8 flags, u32 which, u32 where,
		  const u8 *bytes, u32 len)
{
	const struct fuzz_base *b = img->base;
	u64 block = flags & FUZZ_ANY ? b->used[which % b->nr_used] :
				       b->meta[which % b->nr_meta];
	u8 *data = image_block(img, block);

	if (block == b->last || flags & FUZZ_SEAL)
		img->honest = false;
	if (flags & FUZZ_COPY) {
		u64 from = b->used[where % b->nr_used];

		memcpy(data, sim_block(b->m->sim, from), SNAPPROT_BLOCK_SIZE);
	} else {
		where %= flags & FUZZ_FAR ? SNAPPROT_BLOCK_SIZE : 260;
		if (len > SNAPPROT_BLOCK_SIZE - where)
			len = SNAPPROT_BLOCK_SIZE - where;
		if (flags & FUZZ_ADD)
			add(data + where, bytes, len > 8 ? 8 : len);
		else
			memcpy(data + where, bytes, len);
	}
	if (flags & FUZZ_SEAL && is_metadata(data))
		snapprot_block_seal(data);
}

void fuzz_image(struct fuzz_image *img, const u8 *input, size_t size)
{
	img->base = fuzz_base(size ? input[0] : 0);
	img->nr = 0;
	img->honest = true;
	for (size = size ? size - 1 : 0, input++;
	     size > 6 && img->nr < FUZZ_PATCHES;) {
		u32 len = input[5] & 31;

		if (len > size - 6)
			len = size - 6;
		patch(img, input[0], input[1] | input[2] << 8,
		      input[3] | input[4] << 8, input + 6, len);
		input += 6 + len;
		size -= 6 + len;
	}
}

/* ---- what has to be so ------------------------------------------------- */

static void never_wrong(const struct fuzz_image *img,
			struct snapprot_core *core, u64 block, u32 epoch)
{
	struct snapprot_entry e, good;
	int want, found;

	found = snapprot_lookup(core, block, epoch, &e);
	if (found < 0)
		return;
	want = snapprot_lookup(&img->base->m->core, block, epoch, &good);
	CHECK_EQ(found, want);
	if (found)
		CHECK_EQ(e.sum, good.sum);
}

void fuzz_never_wrong(const struct fuzz_image *img, struct snapprot_core *core)
{
	const struct model *m = img->base->m;
	u32 i, b;

	for (i = 0; i < core->nr_snaps; i++) {
		if (snapprot_snap_lost(core, &core->snaps[i]))
			continue;
		for (b = 0; b < m->nr_blocks; b++)
			never_wrong(img, core, b * m->stride,
				    core->snaps[i].epoch);
	}
}

static void problem(void *ctx, u64 block, const char *what)
{
	CHECK(what && *what);
}

int fuzz_check(struct snapprot_core *core)
{
	static const struct snapprot_check_ops ops = { .problem = problem };

	return snapprot_store_check(core, true, &ops, NULL);
}

void fuzz_run(void (*fn)(void *ctx), void *ctx)
{
	int line;

	if (!unit_survives(fn, ctx, &line)) {
		fprintf(stderr, "finding: CHECK of line %d, see above\n", line);
		abort();
	}
}
