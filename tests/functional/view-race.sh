#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A snapshot's reads and the live volume's writes meet on the same blocks, and so
# do several writes. What is only sometimes possible is made to happen by delays
# under the volume; the rest is tried often.
# disks: 9M 64M
# cpus: 2
# timeout: 150
# covers: known bugs: 1 a read in flight as a write is released; 3 the bit before the commit

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/images.sh
. "$TOP/tests/lib/images.sh"

layers()
{
	layer_new olow "$ORIGIN_DISK"
	layer_new slow "$STORE_DISK"
	ORIGIN=/dev/mapper/olow
	STORE=/dev/mapper/slow
}

# reads_done: by the origin's layer
reads_done()
{
	awk '{ print $1 }' "/sys/block/$(dm_kernel_name olow)/stat"
}

# read_more_than <count>
read_more_than()
{
	[ "$(reads_done)" -gt "$1" ]
}

uses_more_than()
{
	[ "$(st used)" -gt "$1" ]
}

expect_origin_untouched()
{
	blkpat -l "$ORIGIN_SECTORS" cmp "$ORIGIN_DISK" "$SHADOW" >&2 ||
		fail "a write has reached the origin"
}

# The old block is on its way into the store, so a reader is still sent to the
# origin for it. The read takes longer than the store does. The write has to wait
# for that as well. What the layers delay comes with the next change of them.
case_read_in_flight_when_write_is_released()
{
	local reader writer before

	layers
	sp_up
	images_begin
	images_take 1
	sp_load_view 1
	layer_delay slow 0 50000 50000
	before=$(reads_done)
	write_at "$ORIGIN_DM" 64 8 99 &
	writer=$!
	wait_for 20 read_more_than "$before"
	layer_delay olow 50000 0
	dev_sum /dev/mapper/snap1 64 8 > read.sum &
	reader=$!
	wait_for 20 is_held "$reader"
	before=$(st used)
	layer_linear slow
	wait_for 20 uses_more_than "$before"
	# Committed; and the write would go now, if it did.
	pause 0.5
	is_held "$writer" || fail "the write has gone before the read"
	expect_origin_untouched
	layer_linear olow
	wait "$reader"
	wait "$writer"
	expect_eq "what was read" "$(< read.sum)" "$(dev_sum "$SHADOW" 64 8)"
	verify_at "$ORIGIN_DM" 64 8 99
	write_at "$SHADOW" 64 8 99
	sp_remove snap1
	images_check
}

# Neither the write that made the old block go into the store nor another one
# reaches the origin before it is there.
case_no_write_before_the_commit()
{
	local first second third before

	layers
	sp_up
	images_begin
	images_take 1
	layer_hold slow
	before=$(reads_done)
	write_at "$ORIGIN_DM" 64 8 11 &
	first=$!
	wait_for 20 read_more_than "$before"
	write_at "$ORIGIN_DM" 64 8 11 &
	second=$!
	write_at "$ORIGIN_DM" 66 1 11 &
	third=$!
	wait_for 20 holds 3
	expect_origin_untouched
	# Reads are not kept waiting.
	read_at "$ORIGIN_DM" 64 8
	layer_release slow
	wait "$first"
	wait "$second"
	wait "$third"
	write_at "$SHADOW" 64 8 11
	images_check
}

holds()
{
	[ "$(st held)" = "$1" ]
}

# two_halves <sector> <ms>: of the origin's layer the half from a sector on is slow to read
two_halves()
{
	dm_swap olow "0 $1 linear $ORIGIN_DISK 0
$1 $((LAYER_LEN[olow] - $1)) delay $ORIGIN_DISK $1 $2 $ORIGIN_DISK $1 0"
}

# old_data_of_before <sectors>: what is written at 64 makes old data be read, of which
# the second half takes long
old_data_of_before()
{
	local length=$1 held before

	two_halves $((64 + length / 2)) 50000
	before=$(reads_done)
	write_at "$ORIGIN_DM" 64 "$length" 11 &
	held=$!
	# The first half of what it reads is here, the other one is not.
	wait_for 20 read_more_than "$before"
	wait_for 20 is_held "$held"
	sp_delete 1
	images_write_at 64 $((length / 2)) 12
	images_take 2
	is_held "$held" || fail "it has not read for that long"
	layer_linear olow
	wait "$held"
	verify_at "$ORIGIN_DM" 64 "$length" 11
	write_at "$SHADOW" 64 "$length" 11
	images_check
}

# Old data that is read while there is a snapshot, and comes in when there is another:
# what was written in between is what that one shows.
case_read_for_another_snapshot()
{
	layers
	sp_up
	images_begin
	sp_create 1
	old_data_of_before 16
}

# The same for a lone write, whose old data map() begins to read.
case_lone_read_for_another_snapshot()
{
	layers
	sp_up
	images_begin
	sp_create 1
	images_write_at 128 8 10
	old_data_of_before 8
}

# A lone write whose store has failed when its old data comes in: it is held, and goes on
# where the store is well again.
case_lone_read_without_a_store()
{
	local held

	layers
	sp_up protect
	sp_msg set queue_on_fault 1
	images_begin
	images_take 1
	images_write_at 128 8 10
	layer_delay olow 50000 0
	write_at "$ORIGIN_DM" 64 8 11 &
	held=$!
	wait_for 20 is_held "$held"
	layer_error slow
	expect_error "Input/output" sp_create 2
	wait_st state blocked
	layer_linear olow
	wait_st held 1
	is_held "$held" || fail "it has gone without a store"
	expect_origin_untouched
	layer_linear slow
	sp_msg clear_fault
	wait "$held"
	verify_at "$ORIGIN_DM" 64 8 11
	write_at "$SHADOW" 64 8 11
	images_check
}

# A reader of what the origin still has, while the snapshot is lost and the block is
# written: it gets nothing rather than what was written.
case_read_while_it_is_lost()
{
	local small large

	layers
	sp_up
	images_begin
	images_take 1
	sp_load_view 1
	layer_delay olow 50000 0
	dev_sum /dev/mapper/snap1 64 8 > small.sum 2> /dev/null &
	small=$!
	dev_sum /dev/mapper/snap1 66 300 > large.sum 2> /dev/null &
	large=$!
	wait_for 20 is_held "$small"
	wait_for 20 is_held "$large"
	sp_remove store
	wait_st lost 1
	write_at "$ORIGIN_DM" 64 16 11
	layer_linear olow
	! wait "$small" || fail "the small read has succeeded"
	! wait "$large" || fail "the large read has succeeded"
	expect_error "Input/output" read_at /dev/mapper/snap1 64 8
	sp_remove snap1
}

# The live volume gets another table, for which its label is read. A reader of a snapshot
# that comes then waits, and nothing else.
case_read_while_the_origin_is_reloaded()
{
	local reader resumer want

	layers
	sp_up
	images_begin
	images_take 1
	images_write_at 64 8 99
	sp_load_view 1
	want=$(dev_sum /dev/mapper/snap1 64 16)
	dmsetup load origin --table "$(origin_table)"
	dmsetup suspend origin
	layer_delay olow 50000 0
	dmsetup resume origin &
	resumer=$!
	# By the reading of the label: dm-delay counts nothing before it lets go.
	wait_for 20 is_held "$resumer"
	dev_sum /dev/mapper/snap1 64 16 > read.sum &
	reader=$!
	wait_for 20 is_held "$reader"
	layer_linear olow
	wait "$resumer"
	wait "$reader"
	expect_eq "what was read" "$(< read.sum)" "$want"
	sp_remove snap1
	images_check
}

# Reads of a few blocks go straight to the store, and larger ones do not; what
# either finds there is compared with its checksum.
case_old_data_is_verified()
{
	local place where

	sp_up protect
	images_begin
	images_take 1
	write_at "$ORIGIN_DM" 64 16 11
	sp_remove origin
	sp_remove store
	place=$("$SNAPPROT" dump "$STORE" |
		awk '$1 == "exception" && $2 == 9 { print $NF }')
	write_at "$STORE" $((place * 8 + 5)) 1 12
	sp_load_store
	sp_load_origin
	sp_load_view 1
	for where in "72 8" "64 16" "72 1" "78 2" "56 24" "8 256"; do
		# shellcheck disable=SC2086 # two numbers
		expect_error "Invalid or incomplete" \
			read_at /dev/mapper/snap1 $where
		wait_st fault store_io
	done
	# Nor does it matter how the blocks lie in memory.
	expect_error "Invalid or incomplete" \
		blkpat -o 3 -s 64 -l 16 sum /dev/mapper/snap1
	wait_st fault store_io
	# What is beside it is right.
	for where in "64 8" "66 2" "56 16" "80 256"; do
		# shellcheck disable=SC2086 # two numbers
		expect_eq "blocks at $where" \
			"$(dev_sum /dev/mapper/snap1 $where)" \
			"$(dev_sum "$SHADOW" $where)"
	done
	expect_eq "blocks at 64 8, across pages" \
		"$(blkpat -o 5 -s 64 -l 8 sum /dev/mapper/snap1)" \
		"$(dev_sum "$SHADOW" 64 8)"
	expect_st valid 1
}

# Four writers on the same blocks, of sizes that cut through them.
case_writers_on_the_same_blocks()
{
	local round writer pids

	sp_up
	images_begin
	for round in {1..8}; do
		images_take "$round"
		pids=()
		for writer in 1 2 3 4; do
			blkpat -l 512 write "$ORIGIN_DM" \
				"$round$writer" 30 16K &
			pids+=($!)
		done
		for writer in "${pids[@]}"; do
			wait "$writer"
		done
		# Which one came last is not known.
		blkpat -l 512 copy "$ORIGIN_DM" "$SHADOW"
	done
	images_check
}

# reader <id>: whatever is written meanwhile, it is the same each time
reader()
{
	local want got

	want=$(< "$SUMS/$1")
	while [ ! -e stop ]; do
		got=$(dev_sum "/dev/mapper/snap$1")
		[ "$got" = "$want" ] || {
			echo "# snapshot $1 was read as $got" >&2
			return 1
		}
		echo "$1" >> "read.$1"
	done
}

have_read()
{
	local id

	for id; do
		[ "$(wc -l < "read.$id")" -ge 3 ] || return 1
	done
}

case_readers_and_writers()
{
	local id pids=()

	# A little slower than it is, so that there is time to meet.
	layers
	sp_up
	images_begin
	layer_delay olow 2 0
	for id in 1 2 3; do
		images_take "$id"
		sp_load_view "$id"
		: > "read.$id"
		reader "$id" &
		pids+=($!)
		images_write "$id" 150 16K
	done
	wait_for 60 have_read 1 2 3
	: > stop
	for id in "${pids[@]}"; do
		wait "$id"
	done
	layer_linear olow
	images_views_remove
	images_check
}

run_cases case_read_in_flight_when_write_is_released \
	case_no_write_before_the_commit case_read_for_another_snapshot \
	case_lone_read_for_another_snapshot case_lone_read_without_a_store \
	case_read_while_it_is_lost \
	case_read_while_the_origin_is_reloaded case_old_data_is_verified \
	case_writers_on_the_same_blocks case_readers_and_writers
