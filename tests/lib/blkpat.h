/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SNAPPROT_BLKPAT_H
#define SNAPPROT_BLKPAT_H

/* main() of blkpat.c, where it is built into builtins.so. */
int blkpat_main(int argc, char **argv);

#endif
