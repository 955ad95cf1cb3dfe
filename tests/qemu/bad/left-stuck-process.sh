#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A process is left that cannot be killed.
# module: no
# wanted: fail cannot kill

printf '1..1\nok 1 fine\n'
modprobe dm-mod
dmsetup create left --table "0 8 linear $STORE_DISK 0"
dmsetup suspend left
dd if=/dev/zero of=/dev/mapper/left bs=4k count=1 oflag=direct &
until grep -q '^State:.D' "/proc/$!/status"; do
	:
done
