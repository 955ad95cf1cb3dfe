/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the runs need of the program: its options, random numbers, and figures.
 */
#ifndef SCALE_H
#define SCALE_H

#include <stdio.h>

#include "disk.h"

#define CACHE_BLOCKS	1024u		/* 4 MiB */
#define BATCH		32u		/* the depth of those who write */
#define STEP		64u		/* entries of a step of merging */
#define MIB		1048576.0

extern u64 seed;
extern struct snapprot_tune tune;
extern bool verbose;

#define CHECK(cond, ...) \
	do { \
		if (!(cond)) \
			fail(__func__, #cond, __VA_ARGS__); \
	} while (0)

__attribute__((format(printf, 3, 4), noreturn))
void fail(const char *where, const char *what, const char *fmt, ...);
void *must(void *p);

u64 mix(u64 x);
u64 random_below(u64 n);

/**
 * struct shuffle - an order of the numbers below @n, without a table
 *
 * A Feistel network over a power of four; what falls outside goes through it again.
 */
struct shuffle {
	u64 n;
	u64 key;
	u32 half;		/* bits */
};

struct shuffle shuffle_of(u64 n, u64 key);
u64 shuffle_at(const struct shuffle *s, u64 i);

/* @fmt: what there is to say of the value besides. */
__attribute__((format(printf, 5, 6)))
void report(const char *figure, double at, double value, double limit,
	    const char *fmt, ...);
void head(const char *title);

/* A mean and a maximum. */
struct stat {
	u64 count;
	u64 sum;
	u64 max;
};

static inline void stat_add(struct stat *s, u64 value)
{
	s->count++;
	s->sum += value;
	if (value > s->max)
		s->max = value;
}

static inline double stat_mean(const struct stat *s)
{
	return s->count ? (double)s->sum / s->count : 0;
}

/* runs.c */
void run_random(u64 max);
void run_sequential(u64 max);
void run_delete(u64 max);
void run_hourly(u64 max);
void run_nearfull(u64 max);
void run_changed(u64 max);

#endif
