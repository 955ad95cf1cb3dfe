/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Device-mapper's events: waiting for them, and telling from two looks what has
 * happened in between.
 */
#ifndef SNAPPROT_EVENTS_H
#define SNAPPROT_EVENTS_H

#include "mapper.h"

/* To be armed, and then polled for POLLIN. A descriptor or a negative errno. */
int events_open(void);

/**
 * events_arm() - events from now on end the next poll
 *
 * To be called before the look at the devices, or what comes after that would be
 * missed. 0 or a negative errno.
 */
int events_arm(int control);

/* The same device in another look, by whatever name; NULL if it is gone. */
struct mapper_dev *events_counterpart(const struct mapper_scan *scan,
				      const struct mapper_dev *dev);

/* Of a live volume or a store: nothing has happened to it in between. */
bool events_same(const struct mapper_dev *a, const struct mapper_dev *b);

/* How it is, as "protect, blocked, fault cow_write, 1 snapshot". */
void events_describe(const struct mapper_dev *dev, char *text, size_t len);

#endif
