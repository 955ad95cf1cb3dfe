#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Other tables for devices that are in use: features, the store's size and
# device, the origin's device; and what a reload must refuse.
# disks: 64M 64M 64M 64M
# timeout: 300

# shellcheck disable=SC2119 # functions whose arguments are optional
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/states.sh
. "$TOP/tests/lib/states.sh"

# covers: reload: the origin's table under load loses nothing
case_origin_under_load()
{
	local writer n

	to_active
	blkpat copy "$ORIGIN_DM" before
	blkpat copy "$ORIGIN_DM" shadow
	blkpat write "$ORIGIN_DM" 11 2500 64K shadow &
	writer=$!
	for n in 1 2 3 4 5; do
		dmsetup load origin --table "$(origin_table grow_timeout "$n")"
		quickly dmsetup suspend --noflush --nolockfs origin
		quickly dmsetup resume origin
	done
	! ended "$writer" || fail "the load ended before the reloads did"
	wait "$writer"
	expect_st state active
	expect_same "$ORIGIN_DM" shadow
	sp_load_view 1
	expect_same /dev/mapper/snap1 before
}

# covers: reload: the store's table under load loses nothing
case_store_under_load()
{
	local writer n

	to_active protect
	blkpat copy "$ORIGIN_DM" before
	blkpat copy "$ORIGIN_DM" shadow
	blkpat write "$ORIGIN_DM" 12 400 64K shadow &
	writer=$!
	for n in 10 20 30 40; do
		dmsetup load store --table "$(store_table low_water "$n")"
		quickly dmsetup suspend store
		quickly dmsetup resume store
	done
	wait "$writer"
	expect_st state active
	expect_st fault -
	expect_same "$ORIGIN_DM" shadow
	sp_load_view 1
	expect_same /dev/mapper/snap1 before
}

# covers: targets: a larger table after a reload is the store grown
case_store_grows()
{
	local total

	low_store 32768
	to_active
	expect_st total 32768
	write_at "$ORIGIN_DM" 0 2048 2
	layer_resize low 65536
	sp_reload store
	expect_st state active
	expect_st total 65536
	# Into what is new.
	write_at "$ORIGIN_DM" 2048 40960 3
	expect_image 1
	total=$(st total)
	sp_remove origin
	sp_remove store
	expect_exit 0 "$SNAPPROT" check "$STORE"
	sp_load_store
	sp_load_origin
	expect_st total "$total"
	expect_image 1
}

# covers: targets: the store grown while writes wait for space: they go on
case_store_grows_in_time()
{
	small_store
	to_active protect grow_timeout 300
	run_out_of_space
	layer_resize low 131072
	sp_reload store
	reap "$WRITER" ok
	expect_st fault -
	expect_st state active
	verify_at "$ORIGIN_DM" 2048 40960 9
	expect_image 1
}

# covers: targets: the store grows by sizes that are no whole blocks or groups
case_store_grows_oddly()
{
	local size

	low_store 8192
	to_active
	for size in 8199 8200 8208 9000 20001 131064 131072; do
		layer_resize low "$size"
		sp_reload store
		expect_st state active
		expect_st total $((size / 8 * 8))
	done
	write_at "$ORIGIN_DM" 0 65536 2
	expect_image 1
	sp_remove origin
	sp_remove store
	expect_exit 0 "$SNAPPROT" check "$STORE"
}

# covers: bad input: a store shrunk under its data: the resume fails, nothing is lost
case_store_shrinks()
{
	local mode place=40960

	to_active
	write_at "$ORIGIN_DM" 0 32768 2
	for mode in normal protect; do
		place=$((place + 64))
		sp_msg "$mode"
		klog_mark
		dmsetup load store --table "0 8192 snapprot-store $STORE"
		dmsetup suspend store
		expect_error "No space left on device" dmsetup resume store
		expect_klog "cannot load the store"
		hold_write "$place" 3
		# It is not tried again with the same table.
		expect_fail dmsetup resume store
		expect_st state active
		expect_st fault -
		expect_st valid 1
		dmsetup load store --table "$(store_table)"
		dmsetup resume store
		reap "$WRITER" ok
		expect_st state active
		expect_st fault -
		expect_image 1
	done
}

# covers: bad input: a store shrunk under its data and then taken away: a fault, no hang
case_store_shrinks_and_goes()
{
	to_active protect
	write_at "$ORIGIN_DM" 0 32768 2
	dmsetup load store --table "0 8192 snapprot-store $STORE"
	dmsetup suspend store
	expect_fail dmsetup resume store
	hold_write 40960 3
	quickly dmsetup remove store
	reap "$WRITER" failed
	wait_st state blocked
	expect_st fault store_removed
	sp_load_store
	expect_st state active
	expect_image 1
}

# covers: reload: features change: queue_on_fault, grace, grow_timeout
case_features_change()
{
	to_blocked
	expect_fail read_at "$ORIGIN_DM" 0 8
	sp_reload origin queue_on_fault
	hold_write 0 2
	sp_load_store
	reap "$WRITER" ok
	expect_image 1
}

# covers: reload: a running grace period goes by the new table's
case_grace_changes()
{
	to_waiting
	sp_reload origin grace 1
	wait_st state nostore
	expect_st fault store_missing
}

# covers: reload: a running wait for space goes by the new table's grow_timeout
case_grow_timeout_changes()
{
	small_store
	to_active protect grow_timeout 300
	run_out_of_space
	dm_swap origin "$(origin_table protect grow_timeout 1)"
	wait_st state blocked
	expect_st fault grow_too_slow
	reap "$WRITER" failed
	expect_image 1
}

# covers: reload: the origin on another device with the same contents
case_origin_moves()
{
	local spare=${SPARE_DISKS%% *}

	to_active
	write_at "$ORIGIN_DM" 0 64 2
	sp_load_view 1
	dmsetup suspend origin
	blkpat copy "$ORIGIN" "$spare"
	ORIGIN=$spare
	dmsetup load origin --table "$(origin_table)"
	dmsetup resume origin
	expect_st state active
	write_at "$ORIGIN_DM" 0 2048 3
	verify_at "$spare" 0 2048 3
	verify_at /dev/mapper/snap1 0 2048 1
	expect_st fault -
}

# covers: reload: an inactive table changes nothing, and can be cleared
case_inactive_table()
{
	to_active
	dmsetup load origin --table "$(origin_table protect)"
	dmsetup load store --table "$(store_table low_water 100)"
	expect_st mode normal
	expect_st state active
	expect_eq "low" "$(store_st low)" -
	dmsetup clear origin
	dmsetup clear store
	write_at "$ORIGIN_DM" 0 8 2
	expect_st state active
	expect_image 1
}

# covers: reload: another target takes the origin's place: the volume is let go
case_origin_becomes_linear()
{
	to_active
	dm_swap origin "0 $ORIGIN_SECTORS linear $ORIGIN 0"
	expect_eq "store" "$(store_st state)" unclaimed
	dm_swap origin "$(origin_table)"
	expect_st state active
	expect_st valid 1
	expect_image 1
}

# covers: reload: another target takes the store's place: the store is gone
case_store_becomes_linear()
{
	to_active protect
	dm_swap store "0 $(sectors "$STORE") linear $STORE 0"
	wait_st state blocked
	expect_st fault store_removed
	dm_swap store "$(store_table)"
	expect_st state active
	expect_image 1
}

# covers: reload: the view of another snapshot in the same device
case_view_changes()
{
	to_active
	write_at "$ORIGIN_DM" 0 2048 2
	sp_create 2
	write_at "$ORIGIN_DM" 0 2048 3
	sp_load_view 1
	dmsetup load snap1 --readonly --table "$(view_table 2)"
	dmsetup suspend snap1
	dmsetup resume snap1
	verify_at /dev/mapper/snap1 0 2048 2
	sp_delete 1
	expect_error "Device or resource busy" sp_delete 2
}

run_cases case_origin_under_load case_store_under_load case_store_grows \
	case_store_grows_in_time case_store_grows_oddly case_store_shrinks \
	case_store_shrinks_and_goes \
	case_features_change case_grace_changes case_grow_timeout_changes \
	case_origin_moves case_inactive_table case_origin_becomes_linear \
	case_store_becomes_linear case_view_changes
