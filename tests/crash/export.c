// SPDX-License-Identifier: GPL-2.0-only
/*
 * States for the module to open. Each is two files: NUMBER.blocks, for "blkpat
 * patch", with the blocks that differ from the state before, and NUMBER.want:
 *
 *	<name> <new|next> <sectors of origin> <of store> <of the volume> <uuid> <mode>
 *	<id> <checksum as of "blkpat sum", or lost>
 *	...
 *
 * A "new" one begins with zeroes instead, origin and store one behind the other.
 */
#include <inttypes.h>

#include "../lib/blkpat.h"
#include "crash.h"

static const char *where;
static u32 number;
static bool fresh;
static u64 *known[2];

void export_open(const char *dir)
{
	where = dir;
}

static FILE *create(const char *kind)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%05" PRIu32 ".%s", where, number,
		 kind);
	f = fopen(path, "w");
	if (!f)
		bad("%s: %s", path, strerror(errno));
	return f;
}

static void finish(FILE *f)
{
	if (ferror(f) | fclose(f))
		bad("%s: %s", where, strerror(errno));
}

static void forget(u64 **hashes, u64 blocks)
{
	static const u8 zeroes[BLOCK];
	u64 i;

	free(*hashes);
	*hashes = calloc(blocks, sizeof(**hashes));
	for (i = 0; i < blocks; i++)
		(*hashes)[i] = block_hash(zeroes);
}

void export_begin(const struct disk *disk)
{
	if (!where)
		return;
	fresh = true;
	forget(&known[0], disk->origin.blocks);
	forget(&known[1], disk->store.blocks);
}

static void export_part(FILE *f, struct part *part, u64 *hashes, u64 blocks,
			u64 base)
{
	u64 i, at;

	for (i = 0; i < blocks; i++) {
		if (part_hash(part, i) == hashes[i])
			continue;
		hashes[i] = part_hash(part, i);
		at = base + i;
		fwrite(&at, sizeof(at), 1, f);
		fwrite(part->data + i * BLOCK, BLOCK, 1, f);
	}
}

static void export_snap(FILE *f, struct opened *o, struct disk *disk,
			const struct expect *e,
			const struct snapprot_snap *snap)
{
	u64 block, place, sum = 0;
	struct part *part;
	u32 up_to;

	if (judge_lost(o, snap)) {
		fprintf(f, "%" PRIu32 " lost\n", snap->id);
		return;
	}
	for (block = 0; block < e->blocks; block++) {
		if (judge_block(o, disk, snap->epoch, block, &part, &place,
				&up_to))
			sum = blkpat_sum(sum, part->data + place * BLOCK,
					 BLOCK);
	}
	fprintf(f, "%" PRIu32 " %016" PRIx64 "\n", snap->id, sum);
}

void export_state(struct opened *o, struct disk *disk, const struct expect *e)
{
	bool protect = o->core.flags & SNAPPROT_SUPER_PROTECTED ||
		       le32_to_cpu(o->label->flags) & SNAPPROT_LABEL_PROTECTED;
	char uuid[37];
	FILE *f;
	u32 i;

	number++;
	f = create("blocks");
	export_part(f, &disk->origin, known[0], disk->origin.blocks, 0);
	export_part(f, &disk->store, known[1],
		    e->store_sectors / BLOCK_SECTORS, disk->origin.blocks);
	finish(f);
	snapprot_uuid_format(o->core.uuid, uuid);
	f = create("want");
	fprintf(f, "%s %s %" PRIu64 " %" PRIu64 " %" PRIu64 " %s %s\n",
		e->name, fresh ? "new" : "next", disk->origin.sectors,
		e->store_sectors, e->blocks * BLOCK_SECTORS, uuid,
		protect ? "protect" : "normal");
	for (i = 0; i < o->core.nr_snaps; i++)
		export_snap(f, o, disk, e, &o->core.snaps[i]);
	finish(f);
	fresh = false;
}
