#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The origin is written past the volume while that is away: fault origin_changed.
# disks: 64M 64M 64M
# timeout: 300

# shellcheck disable=SC2119 # functions whose arguments are optional
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/states.sh
. "$TOP/tests/lib/states.sh"

# changed_at <sector> [<feature of the origin>]...: down, written past, origin up
changed_at()
{
	local sector=$1

	shift
	store_away
	write_at "$ORIGIN" "$sector" 8 99
	klog_mark
	sp_load_origin "$@"
}

expect_changed()
{
	expect_st fault origin_changed
	expect_klog "block $1 of the origin was changed while the volume was away" 1
	expect_klog "fault origin_changed" 1
}

# covers: states: first resume, the origin was written past the volume: fault origin_changed, normal mode
case_normal()
{
	to_active
	events_start
	changed_at 8
	expect_changed 1
	expect_st state nostore
	expect_st valid 0
	expect_st lost 1
	wait_event "SNAPPROT_LOST.*FAULT=origin_changed"
	sp_load_store
	expect_st state active
	expect_eq "snapshot 1" "$(snap_state 1)" lost
	# It stays until it is dealt with.
	expect_st fault origin_changed
	sp_create 2
	write_at "$ORIGIN_DM" 0 8 3
	sp_load_view 2
	verify_at /dev/mapper/snap2 8 8 99
	sp_msg clear_fault origin_changed
	expect_st fault -
	expect_st valid 1
}

# covers: states: the same, the store was there before
case_normal_store_first()
{
	to_active
	store_away
	write_at "$ORIGIN" 0 8 99
	sp_load_store
	klog_mark
	sp_load_origin
	expect_changed 0
	expect_st state active
	expect_eq "snapshot 1" "$(snap_state 1)" lost
}

# covers: states: first resume, the origin was written past the volume: fault origin_changed, protection mode
case_protect()
{
	to_active protect
	events_start
	changed_at 8
	expect_changed 1
	expect_st state blocked
	expect_st valid 1
	wait_event "SNAPPROT_BLOCKED.*FAULT=origin_changed"
	expect_fail read_at "$ORIGIN_DM" 0 8
	expect_fail write_at "$ORIGIN_DM" 0 8 2
	# The right store does not change that, nor can what a snapshot shows be told.
	sp_load_store
	expect_st state blocked
	expect_st fault origin_changed
	sp_load_view 1
	expect_fail read_at /dev/mapper/snap1 0 8
	sp_remove snap1
	# To take all of it down is no way out.
	store_away
	sp_load_store
	klog_mark
	sp_load_origin
	expect_changed 1
	expect_st state blocked
	# The administrator takes it as it is.
	sp_msg clear_fault
	expect_st state active
	expect_st fault -
	expect_st mode protect
	expect_st valid 1
	sp_load_view 1
	verify_at /dev/mapper/snap1 8 8 99
	verify_at /dev/mapper/snap1 16 2032 1
	sp_remove snap1
	write_at "$ORIGIN_DM" 0 64 2
	store_away
	sp_load_store
	sp_load_origin
	expect_st state active
	expect_st fault -
}

# covers: states: blocked by origin_changed: normal drop_snapshots
case_protect_drop()
{
	to_active protect
	changed_at 0
	expect_st state blocked
	expect_error "busy" sp_msg normal
	sp_msg normal drop_snapshots
	expect_st state nostore
	expect_st mode normal
	expect_st fault -
	write_at "$ORIGIN_DM" 0 8 2
	sp_load_store
	expect_eq "snapshot 1" "$(snap_state 1)" lost
}

# covers: states: blocked by origin_changed, clear_fault without a store: still blocked
case_protect_without_store()
{
	to_active protect
	changed_at 0
	expect_fail sp_msg clear_fault
	expect_st state blocked
	expect_st fault origin_changed
	sp_load_store
	sp_msg clear_fault
	expect_st state active
}

# covers: label: witness: blocks that were written last
case_written_last()
{
	to_active
	write_at "$ORIGIN_DM" 80000 8 7
	changed_at 80000
	expect_changed 10000
}

# covers: label: witness: without a snapshot nothing is compared
case_without_snapshots()
{
	sp_up protect
	write_at "$ORIGIN_DM" 0 2048 1
	changed_at 0
	expect_st state nostore
	expect_st fault -
	sp_load_store
	sp_create 1
	sp_delete 1
	changed_at 0
	expect_st fault -
}

# covers: label: witness: void once the volume was there: a write of its own is none past it
case_void_while_in_use()
{
	to_active protect
	store_away
	sp_load_store
	sp_load_origin
	# What a crash would leave.
	write_at "$ORIGIN_DM" 0 64 2
	label_save
	store_away
	label_restore
	sp_load_store
	sp_load_origin
	expect_st state active
	expect_st fault -
	expect_image 1
}

# covers: label: witness: a block that cannot be read has not changed
case_unreadable()
{
	layer_new below "$ORIGIN_DISK"
	ORIGIN=/dev/mapper/below
	to_active protect
	store_away
	layer_error_range below 24 8
	klog_mark
	sp_load_origin
	expect_klog "block 3 of the origin cannot be compared"
	expect_st state waiting
	expect_st fault -
	layer_linear below
	sp_load_store
	expect_st state active
	expect_image 1
}

run_cases case_normal case_normal_store_first case_protect case_protect_drop \
	case_protect_without_store case_written_last case_without_snapshots \
	case_void_while_in_use case_unreadable
