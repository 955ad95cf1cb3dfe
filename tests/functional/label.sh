#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The label: on the origin, on a device of its own, not there, damaged, or
# another volume's.
# disks: 64M 64M 64M 64M
# timeout: 300

# shellcheck disable=SC2119 # functions whose arguments are optional
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/states.sh
. "$TOP/tests/lib/states.sh"

SPARE=${SPARE_DISKS%% *}

# label_line <key> [<device>]: what probe says of the label
label_line()
{
	"$SNAPPROT" probe "${2:-$ORIGIN}" | sed -n "s/^SNAPPROT_$1=//p" |
		tr -d "\"'"
}

# damage <device> <sector>: one block is no label any more
damage()
{
	blkpat -s "$2" -l 8 fill "$1" 99
}

# covers: label: survives without the store: protection, snapshots, losses
case_survives_without_store()
{
	sp_up
	expect_eq "type" "$(label_line TYPE)" label
	expect_eq "snapshots" "$(label_line SNAPSHOTS)" 0
	write_at "$ORIGIN_DM" 0 2048 1
	sp_create 1
	expect_eq "snapshots" "$(label_line SNAPSHOTS)" 1
	expect_eq "protected" "$(label_line PROTECTED)" 0
	sp_msg protect
	expect_eq "protected" "$(label_line PROTECTED)" 1
	sp_msg normal
	expect_eq "protected" "$(label_line PROTECTED)" 0
	sp_remove store
	wait_st state nostore
	expect_eq "lost" "$(label_line LOST)" 1
	sp_load_store
	expect_eq "lost, known to the store" "$(label_line LOST)" 0
	sp_delete 1
	expect_eq "snapshots" "$(label_line SNAPSHOTS)" 0
}

# covers: label: outside the mapped range
case_outside_the_mapped_range()
{
	local before

	# Without a store, whose numbers it would follow.
	sp_format
	sp_load_origin
	before=$(dev_sum "$ORIGIN" "$ORIGIN_SECTORS" "$LABEL_AREA")
	blkpat fill "$ORIGIN_DM" 3
	expect_eq "label" "$(dev_sum "$ORIGIN" "$ORIGIN_SECTORS" "$LABEL_AREA")" \
		"$before"
	expect_fail write_at "$ORIGIN_DM" "$ORIGIN_SECTORS" 8 1
}

# covers: targets: feature label <dev>: on a small device of its own
case_own_device()
{
	layer_new tiny "$SPARE" "$LABEL_AREA"
	LABEL=/dev/mapper/tiny
	to_active
	expect_eq "origin's length" "$ORIGIN_SECTORS" "$(sectors "$ORIGIN")"
	expect_st label label
	expect_eq "snapshots" "$(label_line SNAPSHOTS "$SPARE")" 1
	write_at "$ORIGIN_DM" $((ORIGIN_SECTORS - 8)) 8 5
	store_away
	sp_load_origin
	expect_st state waiting
	sp_load_store
	expect_st state active
	expect_image 1
	sp_msg protect
	store_away
	sp_load_origin
	expect_st mode protect
}

# covers: targets: feature label <dev>: what it must refuse
case_own_device_wrong()
{
	layer_new tiny "$SPARE" $((LABEL_AREA - 8))
	sp_format
	klog_mark
	expect_fail sp_load_origin label /dev/mapper/tiny
	expect_klog "too small"
	expect_fail sp_load_origin label "$ORIGIN"
	expect_klog "Label's device is the origin"
	expect_fail sp_load_origin label /dev/no-such-device
	expect_klog "Cannot get the label's device"
	expect_fail sp_load_origin label "$SPARE" unlabelled
	# A blank one is no label, and is not made one.
	expect_fail sp_load_origin label "${SPARE_DISKS##* }"
	expect_blank "${SPARE_DISKS##* }"
	sp_load_origin
}

# covers: label: copies: three of four are enough, and the other is made good by a write
case_three_copies_are_enough()
{
	local copy

	to_active protect
	for copy in $LABEL_COPIES; do
		store_away
		damage "$ORIGIN" $((ORIGIN_SECTORS + copy))
		sp_load_origin
		expect_st label label
		expect_st mode protect
		expect_st state waiting
		sp_load_store
		expect_st state active
		expect_st valid 1
	done
	store_away
	damage "$ORIGIN" "$ORIGIN_SECTORS"
	sp_load_origin
	expect_st mode protect
}

# covers: label: copies: one that cannot be read leaves the others
case_unreadable_copy()
{
	local copy

	layer_new below "$ORIGIN_DISK"
	ORIGIN=/dev/mapper/below
	to_active protect
	for copy in $LABEL_COPIES; do
		store_away
		layer_error_range below $((ORIGIN_SECTORS + copy)) 8
		# It is written, too, when its pair is the next one.
		if sp_load_origin 2> /dev/null; then
			expect_st label label
			expect_st mode protect
			expect_st valid 1
			sp_remove origin
		else
			dmsetup remove origin 2> /dev/null || :
		fi
		layer_linear below
		sp_load_origin
		sp_load_store
		expect_st state active
		expect_st valid 1
	done
	expect_image 1
}

# covers: label: all copies damaged: as without a label; the store is not believed to be empty
case_all_copies_damaged()
{
	local copy

	to_active
	store_away
	for copy in $LABEL_COPIES; do
		damage "$ORIGIN" $((ORIGIN_SECTORS + copy))
	done
	expect_fail sp_load_origin
	sp_load_origin protect
	expect_st label nolabel
	expect_st state waiting
	sp_load_store
	expect_st state active
	expect_image 1
}

# covers: label: another volume's is refused
case_of_another_volume()
{
	sp_format
	VOLUME_UUID=00000000-0000-4000-8000-000000000001
	klog_mark
	expect_fail sp_load_origin
	expect_fail sp_load_origin protect
	expect_fail sp_load_origin unlabelled
	expect_klog "Label belongs to another volume" 3
}

# covers: label: a length that is not the label's is refused
case_of_another_length()
{
	sp_format
	ORIGIN_SECTORS=$((ORIGIN_SECTORS - 8))
	klog_mark
	expect_fail sp_load_origin
	expect_klog "Length is not that of the label"
	ORIGIN_SECTORS=$((ORIGIN_SECTORS + 16))
	expect_fail sp_load_origin
}

# covers: label: it cannot be written: nothing that needs it is said to be done
case_cannot_be_written()
{
	LABEL=/dev/mapper/tiny
	layer_new tiny "$SPARE" "$LABEL_AREA"
	sp_up
	layer_error tiny
	expect_error "Input/output error" sp_create 1
	expect_st valid 0
	expect_error "Input/output error" sp_msg protect
	layer_linear tiny
	sp_create 1
	sp_msg protect
	expect_eq "protected" "$(label_line PROTECTED "$SPARE")" 1
}

# covers: label: a write of it failed half way: what that has left does not count
case_in_doubt()
{
	LABEL=/dev/mapper/tiny
	layer_new tiny "$SPARE" "$LABEL_AREA"
	sp_up
	sp_create 1
	# The second copy of either pair.
	layer_error_range tiny 1912 136
	sp_msg delete_snap 1
	layer_linear tiny
	sp_create 2
	expect_eq "there may be snapshots" "$(label_line SNAPSHOTS "$SPARE")" 1
}

# covers: promises: before the first unpreserved write the loss is durable on the label; else no write
case_loss_cannot_be_recorded()
{
	LABEL=/dev/mapper/tiny
	layer_new tiny "$SPARE" "$LABEL_AREA"
	to_active
	layer_error tiny
	sp_remove store
	wait_st state blocked
	expect_st mode normal
	expect_st fault store_removed
	expect_fail write_at "$ORIGIN_DM" 0 8 2
	verify_at "$ORIGIN" 0 2048 1
	layer_linear tiny
	sp_load_store
	expect_st state active
	expect_st valid 1
	expect_image 1
}

# covers: promises: the loss is on the label before the write is on the origin
case_loss_before_write()
{
	to_waiting
	hold_write 0 2
	expect_eq "lost" "$(label_line LOST)" 0
	sp_msg set grace 0
	reap "$WRITER" ok
	expect_eq "lost" "$(label_line LOST)" 1
	verify_at "$ORIGIN" 0 8 2
}

# covers: label: somebody else writes to it: it is not written over, and what needs it is not done
case_external_writer()
{
	local copy

	LABEL=/dev/mapper/tiny
	layer_new tiny "$SPARE" "$LABEL_AREA"
	sp_up
	for copy in $LABEL_COPIES; do
		blkpat -s "$copy" -l 8 copy "$SPARE" "copy$copy"
		damage "$SPARE" "$copy"
	done
	klog_mark
	expect_error "Input/output error" sp_create 1
	expect_klog "somebody else has written to the label"
	expect_st valid 0
	for copy in $LABEL_COPIES; do
		dd if="copy$copy" of="$SPARE" bs=4096 seek=$((copy / 8)) count=1 \
			skip=$((copy / 8)) conv=notrunc oflag=direct status=none
	done
	sp_create 1
	expect_eq "there may be snapshots" "$(label_line SNAPSHOTS "$SPARE")" 1
}

# covers: label: the origin has grown: found where the table ends
case_origin_has_grown()
{
	layer_new below "$ORIGIN_DISK" 98304
	ORIGIN=/dev/mapper/below
	to_active protect
	store_away
	layer_resize below "$(sectors "$ORIGIN_DISK")"
	sp_load_origin
	expect_st label label
	expect_st mode protect
	expect_st valid 1
	sp_load_store
	expect_st state active
	write_at "$ORIGIN_DM" 0 64 2
	expect_image 1
	sp_create 2
	store_away
	sp_load_store
	sp_load_origin
	expect_st state active
	expect_st valid 2
}

# covers: label: what lies where it was not made to be is none
case_in_another_place()
{
	to_active
	store_away
	dd if="$ORIGIN" of="$SPARE" bs=4096 skip=$((ORIGIN_SECTORS / 8)) \
		count=$((LABEL_AREA / 8)) iflag=direct oflag=direct status=none
	LABEL=$SPARE
	klog_mark
	expect_fail sp_load_origin
	expect_klog "not where it was made to be"
}

# covers: label: a fault while a snapshot is being taken does not make it forget that there may be one
case_fault_while_creating()
{
	local dev=$ORIGIN_DISK len pid

	len=$(sectors "$dev")
	layer_new below "$dev"
	ORIGIN=/dev/mapper/below
	# Elsewhere, so that it is not slow.
	LABEL=$SPARE
	to_active
	# A flush takes its time, and the old data of one block cannot be read.
	dm_swap below "0 40960 delay $dev 0 0 $dev 0 0 $dev 0 3000
40960 8 error
40968 $((len - 40968)) linear $dev 40968"
	sp_create 2 &
	pid=$!
	pause 0.5
	# It waits until the snapshot is taken, and then has to be preserved for that.
	write_at "$ORIGIN_DM" 40960 8 2 2> /dev/null &
	wait_st fault cow_read
	expect_st lost 1
	expect_eq "lost" "$(label_line LOST "$SPARE")" 0
	expect_eq "there may be snapshots" "$(label_line SNAPSHOTS "$SPARE")" 1
	! ended "$pid" || fail "the snapshot was taken before that"
	wait "$pid"
	wait || :
	layer_linear below
	wait_st lost 2
	expect_eq "there may be snapshots" "$(label_line SNAPSHOTS "$SPARE")" 0
}

# covers: label: it cannot be written while a new table is resumed: nothing is half done
case_resume_fails()
{
	LABEL=/dev/mapper/tiny
	layer_new tiny "$SPARE" "$LABEL_AREA"
	to_active
	sp_load_view 1
	dmsetup load origin --table "$(origin_table protect)"
	dmsetup suspend origin
	layer_error_writes tiny
	expect_fail dmsetup resume origin
	# The old table has gone, and the volume with it.
	expect_eq "store" "$(store_st state)" unclaimed
	expect_fail read_at /dev/mapper/snap1 0 8
	layer_linear tiny
	dmsetup resume origin
	expect_st state active
	expect_st mode protect
	expect_st fault -
	write_at "$ORIGIN_DM" 0 64 2
	verify_at /dev/mapper/snap1 0 2048 1
}

run_cases case_survives_without_store case_outside_the_mapped_range \
	case_own_device case_own_device_wrong case_three_copies_are_enough \
	case_unreadable_copy case_all_copies_damaged \
	case_of_another_volume case_of_another_length \
	case_external_writer case_origin_has_grown case_in_another_place \
	case_fault_while_creating case_resume_fails \
	case_cannot_be_written case_in_doubt \
	case_loss_cannot_be_recorded case_loss_before_write
