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

	sp_up
	before=$(dev_sum "$ORIGIN" "$ORIGIN_SECTORS" 16)
	blkpat fill "$ORIGIN_DM" 3
	expect_eq "label" "$(dev_sum "$ORIGIN" "$ORIGIN_SECTORS" 16)" "$before"
	expect_fail write_at "$ORIGIN_DM" "$ORIGIN_SECTORS" 8 1
}

# covers: targets: feature label <dev>: on a small device of its own
case_own_device()
{
	layer_new tiny "$SPARE" 16
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
	layer_new tiny "$SPARE" 8
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

# covers: label: two copies: either is enough, and is made good by the next write
case_either_copy_is_enough()
{
	local copy

	to_active protect
	for copy in 0 8; do
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

# covers: label: both copies damaged: as without a label; the store is not believed to be empty
case_both_copies_damaged()
{
	to_active
	store_away
	damage "$ORIGIN" "$ORIGIN_SECTORS"
	damage "$ORIGIN" $((ORIGIN_SECTORS + 8))
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
	layer_new tiny "$SPARE" 16
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
	layer_new tiny "$SPARE" 16
	sp_up
	sp_create 1
	layer_error_range tiny 8 8
	sp_msg delete_snap 1
	layer_linear tiny
	sp_create 2
	expect_eq "there may be snapshots" "$(label_line SNAPSHOTS "$SPARE")" 1
}

# covers: promises: before the first unpreserved write the loss is durable on the label; else no write
case_loss_cannot_be_recorded()
{
	LABEL=/dev/mapper/tiny
	layer_new tiny "$SPARE" 16
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

run_cases case_survives_without_store case_outside_the_mapped_range \
	case_own_device case_own_device_wrong case_either_copy_is_enough \
	case_both_copies_damaged case_of_another_volume case_of_another_length \
	case_cannot_be_written case_in_doubt \
	case_loss_cannot_be_recorded case_loss_before_write
