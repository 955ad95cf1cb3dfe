#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A store that becomes low, full and larger: who is told, who waits, and that
# nothing is put where something is.
# disks: 9M 64M
# timeout: 180
# covers: states: writes held while space has run out; events: LOW_WATER, FULL
# covers: known bugs: 6 the next free place after a reload at an exact boundary

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/images.sh
. "$TOP/tests/lib/images.sh"

SMALL=8192		# sectors, the least that a store may have

small_store()
{
	layer_new slow "$STORE_DISK" "$SMALL"
	STORE=/dev/mapper/slow
}

# grow <sectors>: the device, then the store
grow()
{
	layer_resize slow "$1"
	sp_reload store
}

case_grow_while_writes_are_held()
{
	local pid outs

	small_store
	sp_up protect
	images_begin
	images_take 1
	klog_mark
	events_start
	outs=$(space_outs)
	blkpat fill "$ORIGIN_DM" 2 &
	pid=$!
	wait_space_out "$outs"
	wait_event "SNAPPROT_FULL"
	expect_st state active
	expect_st fault -
	# Reads go on, and so do writes to what is preserved already.
	read_at "$ORIGIN_DM" 0 "$ORIGIN_SECTORS"
	write_at "$ORIGIN_DM" 0 8 2
	# Not enough, then enough.
	outs=$(space_outs)
	grow $((SMALL + 2048))
	wait_space_out "$outs"
	expect_st fault -
	grow 65536
	wait "$pid"
	blkpat fill "$SHADOW" 2
	expect_st fault -
	expect_st held 0
	expect_eq "total" "$(st total)" 65536
	images_check
	images_take 2
	images_write 5 30 256K
	images_check
	# It was larger than the superblock said only for a moment.
	sp_remove origin
	sp_remove store
	images_up
	images_check
	expect_eq "total" "$(st total)" 65536
}

case_not_smaller_than_its_data()
{
	sp_up
	images_begin
	images_take 1
	images_write_at 0 16384 2
	dmsetup load store --table "0 $SMALL snapprot-store $STORE"
	dmsetup suspend store
	expect_fail dmsetup resume store
	# Nothing is lost by that.
	dmsetup clear store
	dmsetup load store --table "$(store_table)"
	dmsetup resume store
	wait_st state active
	images_check
}

low_events()
{
	[ "$(events SNAPPROT_LOW_WATER)" = "$1" ]
}

# Half of what there is, so that one write more crosses it, or one snapshot less.
case_low_water_once_a_crossing()
{
	small_store
	sp_format
	sp_load_store low_water 50
	sp_load_origin
	images_begin
	events_start
	images_take 1
	expect_eq "low" "$(store_st low)" -
	images_write_at 0 4608 2
	wait_for 20 low_events 1
	expect_eq "low" "$(store_st low)" low
	images_write_at 4608 256 2
	images_drop 1
	wait_value 20 - store_st low
	images_take 2
	images_write_at 0 4608 3
	wait_for 20 low_events 2
	images_write_at 4608 256 3
	expect_eq "events" "$(events SNAPPROT_LOW_WATER)" 2
	images_check
}

# One block more at a time, and each time the store is loaded again, until there
# is no space: the next free place must never be one that is in use.
case_boundaries()
{
	local sector=0 n=0

	small_store
	sp_up protect grow_timeout 0
	images_begin
	images_take 1
	# Not all the way in small steps.
	images_write_at 0 6912 2
	sector=6912
	while write_at "$ORIGIN_DM" "$sector" 8 2 2> /dev/null; do
		write_at "$SHADOW" "$sector" 8 2
		sector=$((sector + 8))
		n=$((n + 1))
		if [ $((n % 4)) = 0 ]; then
			sp_remove origin
			sp_remove store
			images_up protect grow_timeout 0
		fi
	done
	expect_st fault store_full
	[ "$n" -ge 8 ] || fail "full after $n blocks"
	image_check 1
	sp_remove origin
	sp_remove store
	"$SNAPPROT" check "$STORE" > /dev/null
	layer_resize slow 32768
	images_up
	images_check
	images_write 3 40 64K
	images_check
}

run_cases case_grow_while_writes_are_held case_not_smaller_than_its_data \
	case_low_water_once_a_crossing case_boundaries
