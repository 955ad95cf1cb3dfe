/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of a volume share, and no one else needs.
 */
#ifndef VOL_INTERNAL_H
#define VOL_INTERNAL_H

#include "vol.h"

static inline u64 below(struct vol *v, u64 n)
{
	return rng_below(&v->rng, n);
}

static inline bool once_in(struct vol *v, u32 n)
{
	return rng_once_in(&v->rng, n);
}

static inline u64 block_of(const struct vol *v, u32 index)
{
	return index * v->wl->stride;
}

static inline bool shot_lost(const struct vol *v, const struct shot *shot)
{
	return shot->s.epoch <= v->lost_epoch;
}

/* vol.c */
u32 version_sum(struct vol *v, const struct snapprot_core *core, u32 n);
u64 copy_sum(const void *data);
int label_write(struct vol *v, u32 set, u32 clear);
u32 shots_valid(const struct vol *v);
void shot_remove(struct vol *v, u32 nr);
int update(struct vol *v, u64 generation, u32 flags, u32 lost);
int checkpoint(struct vol *v);
int second(struct vol *v);

/* vol-judge.c */
int arrive(struct vol *v);
int end_cleanly(struct vol *v);
int reload(struct vol *v);
int crash(struct vol *v, bool power);

#endif
