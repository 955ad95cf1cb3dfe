#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A copy of the store that stopped following at any time, also since the store last
# arrived, and also within one boot; and a device that lost what it said was durable.
# disks: 64M 64M 64M 64M
# timeout: 300

# shellcheck disable=SC2119 # functions whose arguments are optional
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/states.sh
. "$TOP/tests/lib/states.sh"

OLD=${SPARE_DISKS%% *}
STALE="Stale file handle"

# copy_now: OLD is a copy of the store as it is now, in use
copy_now()
{
	blkpat copy "$STORE" "$OLD"
}

load_copy()
{
	dmsetup create old --table "0 $(sectors "$OLD") snapprot-store $OLD"
}

# refuse_copy: it is refused, and the state is what it was; the copy is not touched
refuse_copy()
{
	local state fault sum

	state=$(st state)
	fault=$(st fault)
	sum=$(dev_sum "$OLD")
	klog_mark
	expect_error "$STALE" load_copy
	expect_klog "an old copy of the store"
	expect_st state "$state"
	expect_st fault "$fault"
	dmsetup remove old 2> /dev/null || :
	expect_eq "the copy" "$(dev_sum "$OLD")" "$sum"
}

# label_numbers: what the label knows of the store
label_numbers()
{
	dd if="$ORIGIN" bs=4096 skip=$((ORIGIN_SECTORS / 8)) count=$((LABEL_AREA / 8)) \
		iflag=direct status=none | cksum
}

# shellcheck disable=SC2317 # called by name
label_moved()
{
	[ "$(label_numbers)" != "$1" ]
}

# covers: arrival: a copy of the store that stopped following since the last arrival is refused (clean shutdown)
case_since_the_last_arrival()
{
	local mode

	for mode in "" protect; do
		# shellcheck disable=SC2086 # a word or none
		to_active $mode
		copy_now
		write_at "$ORIGIN_DM" 0 2048 2
		store_away
		sp_load_origin
		expect_st state waiting
		refuse_copy
		sp_load_store
		expect_st state active
		expect_st valid 1
		expect_image 1
		dm_down
		wipe_disks
	done
}

# covers: arrival: a copy that is more than a second behind is refused after a crash
case_after_a_crash()
{
	local before

	to_active
	copy_now
	before=$(label_numbers)
	write_at "$ORIGIN_DM" 0 2048 2
	wait_for 5 label_moved "$before"
	# What a crash would leave: no departure, no witness.
	label_save
	store_away
	label_restore
	sp_load_origin
	expect_st state waiting
	refuse_copy
	sp_load_store
	expect_st state active
	expect_image 1
}

# covers: arrival: the old copy is there before the origin
case_before_the_origin()
{
	to_active
	copy_now
	write_at "$ORIGIN_DM" 0 2048 2
	store_away
	load_copy
	klog_mark
	sp_load_origin
	expect_klog "an old copy of the store"
	expect_st state waiting
	expect_st fault -
	sp_remove old
	sp_load_store
	expect_st state active
	expect_image 1
}

# while_blocked [<option of format>]: W8: the store is removed under a protected volume
while_blocked()
{
	sp_format "$@"
	sp_load_store
	sp_load_origin protect
	write_at "$ORIGIN_DM" 0 2048 1
	sp_create 1
	copy_now
	sp_create 2
	write_at "$ORIGIN_DM" 0 64 2
	sp_remove store
	wait_st state blocked
	refuse_copy
	expect_st fault store_removed
	sp_load_store
	expect_st state active
	expect_st valid 2
	expect_image 1
}

# covers: arrival: an older copy within a boot, while blocked: refused, and the right one unblocks
case_while_blocked()
{
	while_blocked
}

# covers: arrival: the same without a label
case_while_blocked_without_label()
{
	while_blocked --unlabelled
}

# covers: arrival: a copy from before a loss: the loss is not forgotten
case_from_before_a_loss()
{
	layer_new below "$ORIGIN_DISK"
	ORIGIN=/dev/mapper/below
	to_active
	copy_now
	# The store works, and has the loss as well.
	layer_error_range below 4096 8
	expect_fail write_at "$ORIGIN_DM" 4096 8 2
	layer_linear below
	wait_st fault cow_read
	expect_st lost 1
	store_away
	sp_load_origin
	refuse_copy
	sp_load_store
	expect_eq "snapshot 1" "$(snap_state 1)" lost
}

# covers: arrival: another store that was made for the same volume is refused
case_another_store()
{
	to_active
	store_away
	truncate -s $(($(sectors "$ORIGIN") * 512)) "$TMPDIR/origin"
	"$SNAPPROT" format --uuid "$VOLUME_UUID" "$TMPDIR/origin" "$OLD" \
		> /dev/null
	sp_load_origin
	klog_mark
	expect_error "$STALE" load_copy
	expect_klog "another store than the label's"
	expect_st state waiting
	dmsetup remove old 2> /dev/null || :
	sp_load_store
	expect_st state active
	expect_image 1
}

# lose_writes [<option of format>]: the device says that writes are durable, and has
# not kept them; then it fails
lose_writes()
{
	low_store
	sp_format "$@"
	sp_load_store
	sp_load_origin protect
	write_at "$ORIGIN_DM" 0 2048 1
	sp_create 1
	write_at "$ORIGIN_DM" 0 64 2
	layer_drop_writes low
	write_at "$ORIGIN_DM" 64 64 2
	layer_error low
	expect_fail write_at "$ORIGIN_DM" 128 64 2
	wait_st state blocked
	layer_linear low
}

not_cleared()
{
	expect_error "Input/output error" sp_msg clear_fault
	expect_st state blocked
	# A superblock that was lost is seen as somebody else's.
	expect_match "fault" "$(st fault)" \
		"^(metadata_corruption|external_writer)$"
	expect_fail read_at "$ORIGIN_DM" 0 8
}

# covers: faults: a store that lacks what was durable in this boot is not cleared
case_lost_writes()
{
	lose_writes
	not_cleared
	# Nor is it by taking it away and bringing it back.
	sp_remove store
	klog_mark
	expect_error "$STALE" sp_load_store
	expect_klog "an old copy of the store"
	expect_st state blocked
	sp_msg normal drop_snapshots
	expect_st mode normal
	expect_st state nostore
	write_at "$ORIGIN_DM" 0 64 3
}

# covers: faults: the same without a label
case_lost_writes_without_label()
{
	lose_writes --unlabelled
	not_cleared
	sp_remove store
	expect_error "$STALE" sp_load_store
	expect_st state blocked
}

run_cases case_since_the_last_arrival case_after_a_crash \
	case_before_the_origin case_while_blocked \
	case_while_blocked_without_label case_from_before_a_loss \
	case_another_store case_lost_writes case_lost_writes_without_label
