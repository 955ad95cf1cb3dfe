#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Discards and write-zeroes are writes: what they destroy is preserved first, and
# what has no data is none.
# disks: 64M 64M 64M 64M
# timeout: 300

# shellcheck disable=SC2119 # functions whose arguments are optional
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/states.sh
. "$TOP/tests/lib/states.sh"

discard_max()
{
	cat "/sys/block/$(dm_kernel_name origin)/queue/discard_max_bytes"
}

# discard <first sector> <sectors>
discard()
{
	blkdiscard -o $(($1 * 512)) -l $(($2 * 512)) "$ORIGIN_DM"
}

# zeroout <first sector> <sectors>
zeroout()
{
	blkdiscard --zeroout -o $(($1 * 512)) -l $(($2 * 512)) "$ORIGIN_DM"
}

can_discard()
{
	[ "$(discard_max)" != 0 ] ||
		skip "the disk of the origin cannot discard"
}

# covers: discard: old data is preserved first
case_discard_preserves()
{
	local used

	to_active
	can_discard
	used=$(st used)
	discard 0 2048
	[ "$(st used)" -ge $((used + 2048)) ] || fail "nothing was preserved"
	expect_image 1
	discard 0 2048
	expect_image 1
}

# covers: discard: pieces that are no whole blocks
case_discard_odd_pieces()
{
	to_active
	can_discard
	blkpat copy "$ORIGIN_DM" before
	discard 1 1
	discard 7 2
	discard 100 333
	discard 2040 16
	discard 1023 2000
	sp_load_view 1
	expect_same /dev/mapper/snap1 before
}

# covers: discard: much larger than what one batch takes
case_discard_large()
{
	to_active
	can_discard
	blkpat -l 40960 fill "$ORIGIN_DM" 1
	sp_create 2
	blkpat copy "$ORIGIN_DM" before
	discard 1 65535
	expect_st fault -
	sp_load_view 2
	expect_same /dev/mapper/snap2 before
}

# covers: discard: write-zeroes: old data is preserved first
case_write_zeroes_preserves()
{
	to_active
	blkpat copy "$ORIGIN_DM" before
	zeroout 0 2048
	cmp -n 1048576 "$ORIGIN_DM" /dev/zero
	zeroout 4099 5001
	sp_load_view 1
	expect_same /dev/mapper/snap1 before
}

# covers: discard: with ignore_discard the volume has none, and write-zeroes work
case_ignored()
{
	to_active ignore_discard
	expect_eq "discard_max_bytes" "$(discard_max)" 0
	expect_fail discard 0 2048
	verify_at "$ORIGIN_DM" 0 2048 1
	zeroout 0 1024
	cmp -n 524288 "$ORIGIN_DM" /dev/zero
	expect_image 1
}

# covers: discard: without snapshots it passes, and nothing is preserved
case_discard_without_snapshots()
{
	local used

	sp_up
	can_discard
	write_at "$ORIGIN_DM" 0 2048 1
	used=$(st used)
	discard 0 2048
	expect_st used "$used"
}

# covers: discard: held while waiting
case_discard_waiting()
{
	local pid

	to_waiting
	can_discard
	discard 0 8 &
	pid=$!
	wait_st held 1
	verify_at "$ORIGIN" 0 2048 1
	sp_load_store
	reap "$pid" ok
	expect_image 1
}

# covers: discard: fails while blocked
case_discard_blocked()
{
	to_blocked
	can_discard
	expect_fail discard 0 2048
	expect_fail zeroout 0 2048
	verify_at "$ORIGIN" 0 2048 1
}

# covers: discard: a flush without data is no write: it passes while writes are held
case_flush_passes()
{
	to_waiting
	quickly dd if=/dev/null of="$ORIGIN_DM" conv=fsync,notrunc status=none
	expect_st held 0
	sp_load_store
	dmsetup suspend store
	quickly dd if=/dev/null of="$ORIGIN_DM" conv=fsync,notrunc status=none
	expect_st held 0
	dmsetup resume store
}

run_cases case_discard_preserves case_discard_odd_pieces case_discard_large \
	case_write_zeroes_preserves case_ignored \
	case_discard_without_snapshots case_discard_waiting \
	case_discard_blocked case_flush_passes
