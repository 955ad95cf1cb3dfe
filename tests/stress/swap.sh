#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Swap on a live volume in protection mode, and less memory than is needed: each page
# that is to be freed has to be written, and before that old data has to be preserved,
# for which memory is needed. It comes to its end, what was swapped is what it was, and so
# is the snapshot.
# suite: full
# disks: 129M 512M
# memory: 256M
# timeout: 300
# expect-log: Adding .* swap on
# covers: promises: nothing hangs; cost does not grow

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

# More than there is room for in memory, and less than with the swap space, in MiB.
HOARD=$(($(awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo) / 1024 + 64))
TOUCHED=65536		# sectors that at least are swapped

swapped_kib()
{
	awk 'NR > 1 { print $4 }' /proc/swaps
}

# If it is still on.
swap_off()
{
	[ -z "$(swapped_kib)" ] || swapoff "$ORIGIN_DM"
}

case_swap_under_pressure()
{
	local round

	sp_up protect
	blkpat fill "$ORIGIN_DM" 1
	mkswap "$ORIGIN_DM" > /dev/null
	sp_create 1
	swapon "$ORIGIN_DM"
	defer swap_off
	mkdir hoard
	mount -t tmpfs -o size=$((HOARD + 8))M hoard hoard
	defer umount hoard
	truncate -s "${HOARD}M" hoard/file
	for round in 1 2; do
		blkpat -b fill hoard/file "$round"
		[ "$(swapped_kib)" -gt $((TOUCHED / 2)) ] ||
			fail "only $(swapped_kib) KiB are swapped"
		sp_create $((round + 1))
		blkpat -b verify hoard/file "$round" >&2 ||
			fail "what was swapped has changed"
	done
	[ "$(st used)" -gt "$TOUCHED" ] || fail "nothing was preserved"
	expect_st state active
	expect_st valid 3
	rm hoard/file
	swapoff "$ORIGIN_DM"
	sp_load_view 1
	# Without the header of the swap space.
	verify_at /dev/mapper/snap1 8 $((ORIGIN_SECTORS - 8)) 1
	sp_remove snap1
}

run_cases case_swap_under_pressure
