#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# For the harness's own tests: a report as KCSAN's, in the kernel's log.

# say_race <function that writes> <its caller's caller>
say_race()
{
	local line

	while IFS= read -r line; do
		echo "<3>$line" > /dev/kmsg
	done << END
==================================================================
BUG: KCSAN: data-race in $1 / other_reads

write to 0xffff88800039c630 of 8 bytes by task 114 on cpu 1:
 $1+0x1a1/0x230
 other_caller+0x11/0x70
 $2
 blkdev_read_iter+0x1fd/0x220
 x64_sys_call+0x95f/0x9f0

read to 0xffff88800039c630 of 8 bytes by task 113 on cpu 0:
 other_reads+0x146/0x220
 other_caller+0x3f/0x1c0
 vfs_read+0x434/0x590
 far_away+0x1/0x2 [dm_snapprot]

value changed: 0x000000006b09724c -> 0x000000006b09724d

Reported by Kernel Concurrency Sanitizer on:
CPU: 1 UID: 0 PID: 114 Comm: nobody Tainted: G           O
==================================================================
END
}
