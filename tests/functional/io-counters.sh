#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What a first write costs, counted by the block layer of the disks: the same with
# one snapshot and with eight.
# disks: 17M 96M
# cpus: 2
# timeout: 120
# covers: promises: cost does not grow

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/images.sh
. "$TOP/tests/lib/images.sh"

# counter <disk> <field>: of its stat file. 1 reads, 3 sectors read, 5 writes,
# 7 sectors written, 16 flushes
counter()
{
	awk -v n="$2" '{ print $n }' "/sys/block/${1##*/}/stat"
}

# Checkpoints are made in the background. After one, nothing is until enough has
# been preserved again.
settle()
{
	sp_reload store
}

# measure <command> [argument]...: what it adds to the counters
measure()
{
	local before after i

	before=$(counters)
	"$@"
	after=$(counters)
	read -r -a before <<< "$before"
	read -r -a after <<< "$after"
	for i in "${!before[@]}"; do
		after[i]=$((after[i] - before[i]))
	done
	ORIGIN_READ=${after[0]}
	ORIGIN_WRITTEN=${after[1]}
	STORE_READ=${after[2]}
	STORE_WRITTEN=${after[3]}
	STORE_FLUSHES=${after[4]}
	ALL_FLUSHES=$((after[4] + after[5]))
	ALL_WRITES=$((after[6] + after[7]))
}

counters()
{
	echo "$(counter "$ORIGIN_DISK" 3)" "$(counter "$ORIGIN_DISK" 7)" \
		"$(counter "$STORE_DISK" 3)" "$(counter "$STORE_DISK" 7)" \
		"$(counter "$STORE_DISK" 16)" "$(counter "$ORIGIN_DISK" 16)" \
		"$(counter "$STORE_DISK" 5)" "$(counter "$ORIGIN_DISK" 5)"
}

# The store's logged writes of 4 MiB: the data, and headers.
expect_cost()
{
	# Read once, written once, and not a sector more.
	expect_eq "sectors read from the origin" "$ORIGIN_READ" 8192
	expect_eq "sectors written to the origin" "$ORIGIN_WRITTEN" 8192
	expect_eq "sectors read from the store" "$STORE_READ" 0
	[ "$STORE_WRITTEN" -ge 8192 ] || fail "not all has been preserved"
}

case_first_writes()
{
	local one id

	sp_up
	images_begin
	images_take 1
	settle
	measure images_write_at 0 8192 11
	expect_cost
	one=$STORE_WRITTEN
	# A header for at most 167 blocks, and checkpoints.
	[ "$one" -le $((8192 * 108 / 100)) ] ||
		fail "$one sectors written for 8192"
	for id in {2..8}; do
		images_take "$id"
	done
	settle
	measure images_write_at 0 8192 12
	expect_cost
	# Where the batches end is decided by timing.
	[ "$STORE_WRITTEN" -le $((one + one / 50)) ] ||
		fail "$STORE_WRITTEN sectors written with 8 snapshots, $one with 1"
	[ "$STORE_WRITTEN" -ge $((one - one / 50)) ] ||
		fail "$STORE_WRITTEN sectors written with 8 snapshots, $one with 1"
	images_check
}

# After the first write of each block it is only read and written as asked.
case_second_writes()
{
	sp_up
	images_begin
	images_take 1
	images_write_at 0 2048 11
	settle
	measure images_write_at 0 2048 12
	expect_eq "sectors read from the origin" "$ORIGIN_READ" 0
	expect_eq "sectors written to the origin" "$ORIGIN_WRITTEN" 2048
}

case_writes_without_snapshots()
{
	sp_up
	images_begin
	settle
	measure images_write_at 0 2048 12
	expect_eq "sectors read from the origin" "$ORIGIN_READ" 0
	expect_eq "sectors written to the origin" "$ORIGIN_WRITTEN" 2048
	expect_eq "sectors written to the store" "$STORE_WRITTEN" 0
	expect_eq "flushes of the store" "$STORE_FLUSHES" 0
}

# A writer that waits for each of its writes, 4 KiB at a time and never twice at
# the same place: all of what is to be made durable on both sides.
lone_writes()
{
	local i

	for ((i = 0; i < 50; i++)); do
		write_at "$ORIGIN_DM" $((i * 72)) 8 "$i"
		write_at "$SHADOW" $((i * 72)) 8 "$i"
	done
}

case_lone_synchronous_writes()
{
	sp_up
	images_begin
	images_take 1
	settle
	measure lone_writes
	echo "# of 50 writes: $ALL_FLUSHES flushes, $ALL_WRITES writes"
	# 2.1 and 4 each, of which one flush and one write are the writer's own.
	[ "$ALL_FLUSHES" -le 105 ] || fail "$ALL_FLUSHES flushes for 50 writes"
	[ "$ALL_WRITES" -le 200 ] || fail "$ALL_WRITES writes for 50 writes"
	[ "$ALL_FLUSHES" -ge 100 ] || fail "only $ALL_FLUSHES flushes"
	images_check
}

# What a snapshot shows must not go with a crash, so the origin is flushed first.
case_create_flushes_the_origin()
{
	sp_up
	sp_create 1
	measure sp_create 2
	expect_eq "flushes of the origin" $((ALL_FLUSHES - STORE_FLUSHES)) 1
}

run_cases case_create_flushes_the_origin case_first_writes case_second_writes \
	case_writes_without_snapshots \
	case_lone_synchronous_writes
