/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the core needs from the place it is built in: the kernel, or a program.
 */
#ifndef SNAPPROT_PLATFORM_H
#define SNAPPROT_PLATFORM_H

#ifdef __KERNEL__

#include <linux/build_bug.h>
#include <linux/crc32c.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/math64.h>
#include <linux/sort.h>
#include <linux/string.h>
#include <linux/types.h>
#include <linux/xxhash.h>

#define snapprot_sort(base, num, size, cmp) sort(base, num, size, cmp, NULL)
/* The comparison has @priv as its third argument. */
#define snapprot_sort_r(base, num, size, cmp, priv) \
	sort_r(base, num, size, cmp, NULL, priv)

#else

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <endian.h>
#include <linux/types.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef uint64_t u64;	/* so that PRIu64 is right for it */

#ifndef __packed
#define __packed		__attribute__((__packed__))
#endif
#ifndef __force
#define __force
#endif

#define cpu_to_le16(x)		((__force __le16)htole16(x))
#define cpu_to_le32(x)		((__force __le32)htole32(x))
#define cpu_to_le64(x)		((__force __le64)htole64(x))
#define le16_to_cpu(x)		le16toh((__force uint16_t)(x))
#define le32_to_cpu(x)		le32toh((__force uint32_t)(x))
#define le64_to_cpu(x)		le64toh((__force uint64_t)(x))

#ifndef ARRAY_SIZE
#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))
#endif

static inline u64 div_u64(u64 dividend, u32 divisor)
{
	return dividend / divisor;
}

#define snapprot_sort(base, num, size, cmp) qsort(base, num, size, cmp)

struct snapprot_sort {
	int (*cmp)(const void *a, const void *b, const void *priv);
	const void *priv;
};

static inline int snapprot_sort_cmp(const void *a, const void *b, void *sort)
{
	const struct snapprot_sort *s = sort;

	return s->cmp(a, b, s->priv);
}

static inline void snapprot_sort_r(void *base, size_t num, size_t size,
				   int (*cmp)(const void *a, const void *b,
					      const void *priv),
				   const void *priv)
{
	struct snapprot_sort sort = { cmp, priv };

	qsort_r(base, num, size, snapprot_sort_cmp, &sort);
}

/* checksum.c of the user-space build; the same meaning as the kernel's. */
u32 crc32c(u32 crc, const void *data, size_t len);
u64 xxh64(const void *data, size_t len, u64 seed);

#endif
#endif
