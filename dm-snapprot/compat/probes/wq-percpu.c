// SPDX-License-Identifier: GPL-2.0-only
/* 930c2ea566af ("workqueue: Add new WQ_PERCPU flag"), 6.17; before, the default */
#include <linux/workqueue.h>

unsigned int snapprot_probe(void);
unsigned int snapprot_probe(void)
{
	return WQ_PERCPU;
}
