/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Older kernels, made to look like the newest one. The rest of the module is
 * written for the newest and neither asks for a version nor for a SNAPPROT_HAVE_
 * macro; those come from have.h, which compat/probe.sh makes.
 */
#ifndef SNAPPROT_COMPAT_H
#define SNAPPROT_COMPAT_H

#include <linux/blkdev.h>

#include "have.h"

#ifdef SNAPPROT_HAVE_BLK_MODE
#define SNAPPROT_MODE_WRITE	BLK_OPEN_WRITE
#else
#define SNAPPROT_MODE_WRITE	FMODE_WRITE
#endif

#ifndef SNAPPROT_HAVE_WQ_PERCPU
#define WQ_PERCPU		0
#endif

#endif
