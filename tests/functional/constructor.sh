#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The three targets' tables: what they load, in which order, and what the
# devices then are.
# disks: 64M 64M 64M 64M
# timeout: 300

# shellcheck disable=SC2119 # functions whose arguments are optional
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/states.sh
. "$TOP/tests/lib/states.sh"

# covers: targets: one module, loaded by the name of any of the targets
case_module_is_loaded_by_name()
{
	local what

	to_active
	for what in origin store view; do
		dm_down
		rmmod dm-snapprot
		case $what in
		origin) sp_load_origin ;;
		store) sp_load_store ;;
		view) sp_load_view 1 ;;
		esac
		[ -d /sys/module/dm_snapprot ] || fail "module is not loaded"
	done
}

load_one()
{
	case $1 in
	origin) sp_load_origin grace 300 ;;
	store) sp_load_store ;;
	view) sp_load_view 1 ;;
	esac
}

# covers: targets: any of them may be loaded first; they meet by the UUID
case_any_order()
{
	local order one

	to_active
	for order in "store origin view" "origin store view" \
		"view store origin" "view origin store" "store view origin" \
		"origin view store"; do
		dm_down
		for one in $order; do
			load_one "$one"
		done
		expect_st state active
		expect_eq "snapshot 1" "$(snap_state 1)" valid
		expect_eq "view after $order" "$(view_st 1)" valid
		verify_at /dev/mapper/snap1 0 2048 1
	done
}

# covers: targets: snapprot-store: loading it is the store's arrival, suspending pauses it, removing takes it away
case_store_online_paused_away()
{
	sp_format
	sp_load_origin
	expect_st state nostore
	sp_load_store
	expect_st state active
	expect_eq "store" "$(store_st state)" online
	dmsetup suspend store
	expect_eq "store" "$(store_st state)" suspended
	expect_st state active
	dmsetup resume store
	expect_eq "store" "$(store_st state)" online
	sp_remove store
	expect_st state nostore
}

# covers: targets: snapprot-store: reads of the mapped device pass through, writes to it fail
case_store_device_is_for_reading()
{
	to_active
	sp_remove origin
	expect_same "$STORE_DM" "$STORE"
	expect_exit 0 "$SNAPPROT" probe "$STORE_DM"
	expect_match "probe" "$OUTPUT" "SNAPPROT_UUID=\"?$VOLUME_UUID"
	expect_error "Input/output error" write_at "$STORE_DM" 0 8 3
	expect_error "Input/output error" write_at "$STORE_DM" 4096 8 3
	expect_exit 0 "$SNAPPROT" check "$STORE_DM"
	expect_same "$STORE_DM" "$STORE"
}

# covers: targets: snapprot: the live volume is at most the origin less the label
case_origin_length()
{
	sp_format
	[ "$ORIGIN_SECTORS" -lt "$(sectors "$ORIGIN")" ] ||
		fail "no room for a label: $ORIGIN_SECTORS"
	sp_load_store
	sp_load_origin
	expect_eq "length" "$(sectors "$ORIGIN_DM")" "$ORIGIN_SECTORS"
	write_at "$ORIGIN_DM" $((ORIGIN_SECTORS - 8)) 8 7
	sp_remove origin
	ORIGIN_SECTORS=$(sectors "$ORIGIN")
	expect_fail sp_load_origin
}

# covers: targets: snapprot-snapshot: read-only, loads only with --readonly
case_view_is_read_only()
{
	to_active
	expect_fail dmsetup create snap1 --table "$(view_table 1)"
	sp_load_view 1
	expect_eq "read-only" "$(blockdev --getro /dev/mapper/snap1)" 1
	blockdev --setrw /dev/mapper/snap1 2> /dev/null || :
	expect_fail write_at /dev/mapper/snap1 0 8 3
	verify_at /dev/mapper/snap1 0 2048 1
}

# covers: targets: snapprot-snapshot: its length is the origin's when it was taken
case_view_length()
{
	to_active
	expect_fail sp_load_view 1 $((ORIGIN_SECTORS - 8))
	expect_fail sp_load_view 1 $((ORIGIN_SECTORS + 8))
	expect_match "list_snaps" "$(sp_list)" "^1 valid [0-9]+ $ORIGIN_SECTORS$"
	sp_load_view 1
	expect_eq "length" "$(sectors /dev/mapper/snap1)" "$ORIGIN_SECTORS"
}

# covers: targets: without a label a table loads only with protect or unlabelled
case_no_label()
{
	sp_format --unlabelled
	klog_mark
	expect_fail sp_load_origin
	expect_klog "No label: only with protect or unlabelled"
	sp_load_origin unlabelled
	expect_st label nolabel
	expect_st mode normal
	sp_remove origin
	sp_load_origin protect
	expect_st label nolabel
	expect_st mode protect
}

# covers: targets: a blank or unknown device is never formatted by loading a table
case_nothing_is_formatted()
{
	local before

	sp_format
	blkpat zero "$STORE"
	klog_mark
	expect_fail sp_load_store
	expect_klog "Not a store"
	expect_blank "$STORE"
	write_at "$STORE" 0 2048 5
	before=$(dev_sum "$STORE")
	expect_fail sp_load_store
	expect_eq "the unknown device" "$(dev_sum "$STORE")" "$before"

	# Nor does a table without a label make one.
	blkpat zero "$ORIGIN"
	sp_load_origin protect
	sp_remove origin
	sp_load_origin unlabelled
	sp_remove origin
	expect_blank "$ORIGIN"
	expect_fail sp_load_origin
}

# reloads <device>: what "dmsetup table" prints loads again, and prints the same
reloads()
{
	local table readonly=

	table=$(dmsetup table "$1")
	[ "$2" = "$table" ] || fail "table: got '$table', expected '$2'"
	[ "$1" != snap1 ] || readonly=--readonly
	dmsetup remove "$1"
	# shellcheck disable=SC2086 # a word or none
	dmsetup create "$1" $readonly --table "$table"
	expect_eq "table" "$(dmsetup table "$1")" "$table"
}

node()
{
	stat -Lc '%Hr:%Lr' "$1"
}

# covers: targets: "dmsetup table" prints a line that can be loaded again as it stands
case_table_loads_again()
{
	local o s features

	to_active
	sp_load_view 1
	o="0 $ORIGIN_SECTORS snapprot $(node "$ORIGIN") $VOLUME_UUID"
	s="0 $(sectors "$STORE") snapprot-store $(node "$STORE")"
	reloads snap1 "$(view_table 1)"
	reloads origin "$o"
	reloads store "$s"
	sp_remove snap1
	for features in "1 protect" \
		"7 protect queue_on_fault ignore_discard grace 7 grow_timeout 9" \
		"2 ignore_discard delete_oldest" "2 grace 0" "2 grow_timeout 0"
	do
		sp_remove origin
		dmsetup create origin --table "$o $features"
		reloads origin "$o $features"
	done
	for features in "6 low_water 30 io_timeout 5 cache 512" \
		"2 low_water 0" "2 io_timeout 0" "2 cache 1024"; do
		sp_remove store
		dmsetup create store --table "$s $features"
		reloads store "$s $features"
	done
}

# covers: targets: "dmsetup table" can be loaded again, without a label and with one of its own
case_table_loads_again_label()
{
	local spare=${SPARE_DISKS%% *}

	sp_format --unlabelled
	sp_load_origin unlabelled grace 0
	reloads origin "0 $ORIGIN_SECTORS snapprot $(node "$ORIGIN") \
$VOLUME_UUID 3 unlabelled grace 0"
	sp_remove origin
	blkpat zero "$STORE"
	LABEL=$spare
	sp_format
	sp_load_origin queue_on_fault
	reloads origin "0 $ORIGIN_SECTORS snapprot $(node "$ORIGIN") \
$VOLUME_UUID 3 queue_on_fault label $(node "$spare")"
}

# covers: targets: features without a value in the table have their defaults
case_defaults()
{
	local grace

	to_waiting
	grace=$(st grace)
	[[ $grace -gt 240 && $grace -le 300 ]] ||
		fail "grace: $grace s left of 300"
	sp_load_store
	expect_eq "low water" "$(store_st low)" -
	expect_eq "table" "$(dmsetup table store)" \
		"0 $(sectors "$STORE") snapprot-store $(node "$STORE")"
}

run_cases case_module_is_loaded_by_name case_any_order \
	case_store_online_paused_away case_store_device_is_for_reading \
	case_origin_length case_view_is_read_only case_view_length \
	case_no_label case_nothing_is_formatted case_table_loads_again \
	case_table_loads_again_label case_defaults
