/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the simulated volume share with each other.
 */
#ifndef VOLUME_INTERNAL_H
#define VOLUME_INTERNAL_H

#include "volume.h"

static const u8 volume_uuid[16] = "a live volume";

static inline bool store_usable(const struct volume *v)
{
	return v->open && !v->failed && !v->suspended;
}

void power_check(struct volume *v);
int store_ret(struct volume *v, int err);
void origin_flush(struct volume *v);
bool label_present(const struct volume *v);
u32 label_flags(const struct volume *v);
u64 label_generation(const struct volume *v);
void label_load(struct volume *v);
bool label_allows(const struct volume *v);
int label_write(struct volume *v, u32 set, u32 clear, u64 generation,
		u32 fault);
void label_format(struct volume *v);
void snap_forget(struct volume *v, u32 nr);
void settle(struct volume *v);
void excuse_all(struct volume *v);
void take_sums(struct volume *v, struct volume_snap *snap);

#endif
