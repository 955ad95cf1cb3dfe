#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Which store is believed when one arrives: old copies, second ones, others'.
# disks: 64M 64M 64M 64M
# timeout: 300

# shellcheck disable=SC2119 # functions whose arguments are optional
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/states.sh
. "$TOP/tests/lib/states.sh"

OLD=${SPARE_DISKS%% *}
OTHER=${SPARE_DISKS##* }

# copy_to <device>: a copy of the store as it is now
copy_to()
{
	blkpat copy "$STORE" "$1"
}

# load_copy <device> <name>
load_copy()
{
	dmsetup create "$2" --table "0 $(sectors "$1") snapprot-store $1"
}

generation()
{
	"$SNAPPROT" probe "$1" | sed -n 's/^SNAPPROT_GENERATION=//p' |
		tr -d "\"'"
}

# covers: arrival: an old copy of the store: its resume fails, nothing else changes; the right one may still come
case_old_copy()
{
	local mode

	to_active
	copy_to "$OLD"
	store_away
	sp_load_store
	sp_load_origin
	write_at "$ORIGIN_DM" 0 64 2
	for mode in "" protect; do
		store_away
		# shellcheck disable=SC2086 # a word or none
		sp_load_origin $mode
		klog_mark
		expect_fail load_copy "$OLD" old
		expect_klog "an old copy of the store"
		expect_st state waiting
		expect_st fault -
		dmsetup remove old 2> /dev/null || :
		sp_load_store
		expect_st state active
		expect_st valid 1
		expect_image 1
	done
}

# covers: arrival: an old copy that is there before the origin is not believed either
case_old_copy_first()
{
	to_active
	copy_to "$OLD"
	store_away
	sp_load_store
	sp_load_origin
	write_at "$ORIGIN_DM" 0 64 2
	store_away
	load_copy "$OLD" old
	klog_mark
	sp_load_origin
	expect_klog "an old copy of the store"
	expect_st state waiting
	expect_st fault -
	sp_remove old
	expect_st state waiting
	sp_load_store
	expect_st state active
	expect_image 1
}

# covers: arrival: an old copy while blocked: still blocked, the right one unblocks
case_old_copy_while_blocked()
{
	to_active protect
	copy_to "$OLD"
	store_away
	sp_load_store
	sp_load_origin
	write_at "$ORIGIN_DM" 0 64 2
	sp_remove store
	wait_st state blocked
	expect_fail load_copy "$OLD" old
	expect_st state blocked
	expect_st fault store_removed
	dmsetup remove old 2> /dev/null || :
	sp_load_store
	expect_st state active
	expect_image 1
}

# covers: arrival: a second store with this UUID: its resume fails, nothing else changes
case_second_store()
{
	to_active protect
	copy_to "$OLD"
	klog_mark
	expect_fail load_copy "$OLD" second
	expect_klog "second store"
	expect_st state active
	expect_st fault -
	dmsetup remove second 2> /dev/null || :
	write_at "$ORIGIN_DM" 0 64 2
	expect_image 1
	# The copy was not touched.
	expect_eq "generation of the copy" "$(generation "$OLD")" \
		"$(generation "$STORE")"
}

# covers: arrival: a store for an origin of another size: its resume fails, nothing else changes
case_other_size()
{
	local uuid

	to_active
	uuid=$VOLUME_UUID
	store_away
	layer_new part "$OTHER" 65536
	truncate -s 32M "$TMPDIR/origin"
	"$SNAPPROT" format --uuid "$uuid" "$TMPDIR/origin" \
		/dev/mapper/part > /dev/null
	sp_load_origin
	klog_mark
	expect_fail load_copy /dev/mapper/part wrong
	expect_klog "store is for an origin of [0-9]+ sectors, not"
	expect_st state waiting
	expect_st fault -
	dmsetup remove wrong 2> /dev/null || :
	sp_load_store
	expect_st state active
	expect_image 1
}

# covers: arrival: a store with another UUID is another volume's and concerns nobody here
case_other_volume()
{
	local uuid o2=${SPARE_DISKS%% *} s2=${SPARE_DISKS##* }

	to_active
	store_away
	sp_load_origin
	uuid=$VOLUME_UUID
	"$SNAPPROT" format "$o2" "$s2" > /dev/null
	load_copy "$s2" store2
	expect_st state waiting
	expect_match "the other store" "$(dmsetup status store2)" unclaimed
	[[ $(dmsetup status store2) != *"$uuid"* ]] || fail "the same UUID"
	sp_load_store
	expect_st state active
	expect_image 1
}

# covers: arrival: every arrival moves the generation on in the store and in the label
case_generation_moves()
{
	local n before s l

	to_active
	store_away
	before=$(generation "$STORE")
	for n in 1 2 3; do
		sp_load_store
		sp_load_origin
		store_away
		s=$(generation "$STORE")
		l=$(generation "$ORIGIN")
		expect_eq "store" "$s" $((before + n))
		expect_eq "label" "$l" "$s"
	done
}

# covers: arrival: a crash between store and label leaves the store one ahead, which is accepted
case_store_one_ahead()
{
	to_active
	store_away
	label_save
	sp_load_store
	sp_load_origin
	write_at "$ORIGIN_DM" 0 64 2
	store_away
	label_restore
	expect_eq "store" "$(generation "$STORE")" \
		$(($(generation "$ORIGIN") + 1))
	sp_load_store
	sp_load_origin
	expect_st state active
	expect_st valid 1
	expect_image 1
}

# covers: arrival: a store further ahead of the label is a foreign one
case_store_two_ahead()
{
	to_active
	store_away
	label_save
	sp_load_store
	sp_load_origin
	store_away
	sp_load_store
	sp_load_origin
	store_away
	label_restore
	sp_load_origin
	expect_fail sp_load_store
	expect_st state waiting
}

# covers: arrival: the label says that the snapshots are lost: they stay lost, now recorded in the store; active
case_label_says_lost()
{
	to_waiting
	sp_msg set grace 0
	wait_st state nostore
	write_at "$ORIGIN_DM" 0 64 2
	sp_remove origin
	sp_load_origin
	expect_st state nostore
	sp_load_store
	expect_st state active
	expect_st valid 0
	expect_st lost 1
	expect_eq "snapshot 1" "$(snap_state 1)" lost
	store_away
	expect_exit 0 "$SNAPPROT" dump "$STORE"
	expect_match "dump" "$OUTPUT" "store_missing"
	# The store alone knows by now.
	sp_load_store
	sp_load_origin protect
	expect_eq "snapshot 1" "$(snap_state 1)" lost
}

# covers: arrival: the label says lost, protection mode: they stay lost, active
case_label_says_lost_protect()
{
	to_waiting
	sp_msg set grace 0
	wait_st state nostore
	sp_remove origin
	sp_load_origin protect
	expect_st state nostore
	sp_load_store
	expect_st state active
	expect_st mode protect
	expect_st lost 1
	expect_eq "snapshot 1" "$(snap_state 1)" lost
	sp_create 2
	write_at "$ORIGIN_DM" 0 2048 2
	expect_image 2
}

# covers: arrival: an old copy in the store's place in the same device, by a reload
case_old_copy_by_reload()
{
	to_active protect
	copy_to "$OLD"
	store_away
	sp_load_store
	sp_load_origin
	write_at "$ORIGIN_DM" 0 64 2
	dmsetup load store --table "0 $(sectors "$OLD") snapprot-store $OLD"
	dmsetup suspend store
	expect_fail dmsetup resume store
	# The store is not in its place now, and that is a fault.
	wait_st state blocked
	expect_st fault store_removed
	dmsetup load store --table "$(store_table)"
	dmsetup resume store
	expect_st state active
	expect_st fault -
	expect_image 1
}

# covers: arrival: a store with an up-to-date copy may move to another device
case_store_moves()
{
	to_active protect
	write_at "$ORIGIN_DM" 0 64 2
	sp_load_view 1
	dmsetup suspend store
	copy_to "$OLD"
	STORE=$OLD
	dmsetup load store --table "$(store_table)"
	dmsetup resume store
	expect_st state active
	expect_st fault -
	write_at "$ORIGIN_DM" 0 2048 3
	verify_at /dev/mapper/snap1 0 2048 1
}

run_cases case_old_copy case_old_copy_first case_old_copy_while_blocked \
	case_second_store case_other_size case_other_volume \
	case_generation_moves case_store_one_ahead case_store_two_ahead \
	case_label_says_lost case_label_says_lost_protect \
	case_old_copy_by_reload case_store_moves
