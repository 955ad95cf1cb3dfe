// SPDX-License-Identifier: GPL-2.0-only
/*
 * Blocks that are good, for tests of their rules to break.
 */
#include "verify-blocks.h"

void make_super(struct snapprot_disk_super *s)
{
	memset(s, 0, sizeof(*s));
	snapprot_block_init(s, SNAPPROT_MAGIC_SUPER, 0, 7, block_uuid);
	memcpy(s->ident, SNAPPROT_SUPER_IDENT, 16);
	s->version = cpu_to_le32(2);
	s->block_size = cpu_to_le32(4096);
	memcpy(s->secret, block_secret, 16);
	memcpy(s->store_id, "the store's own", 16);
	s->origin_sectors = cpu_to_le64(80000);
	s->store_blocks = cpu_to_le64(40000);
	s->ckpt_seq = cpu_to_le64(3);
	s->epoch = cpu_to_le32(5);
	s->log_block = cpu_to_le64(70);
	s->log_seq = cpu_to_le64(9);
	s->fence_seq = cpu_to_le64(8);
	s->zone[0].start = cpu_to_le64(70);
	s->zone[0].end = cpu_to_le64(1000);
	s->zone[1].start = cpu_to_le64(39000);
	s->zone[1].end = cpu_to_le64(40000);
	s->dir = cpu_to_le64(72);
	s->dir_sum = cpu_to_le64(1234);
	s->space_level = cpu_to_le32(1);
	s->space_slot = cpu_to_le32(3);
	s->space_sum = cpu_to_le64(4321);
	s->space_used = cpu_to_le64(1000);
	s->nr_snaps = cpu_to_le32(2);
	s->nr_dirs = cpu_to_le32(1);
	snapprot_super_seal(s);
}
