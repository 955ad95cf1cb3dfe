// SPDX-License-Identifier: GPL-2.0-only
#include "../lib/blkpat.h"
#include "crash.h"

static u64 state;

void random_seed(u64 seed)
{
	state = blkpat_mix(seed);
}

u64 random_below(u64 n)
{
	state = blkpat_mix(state);
	return state % n;
}
