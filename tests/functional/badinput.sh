#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Bad input: refused with a reason that names it, nothing changed, nothing lost;
# and damaged metadata, of which nothing but an error may come.
# disks: 64M 64M 64M 64M
# timeout: 400

# shellcheck disable=SC2119 # functions whose arguments are optional
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/states.sh
. "$TOP/tests/lib/states.sh"

# Words in the superblock and the label; dm-snapprot/core/format.h.
SUPER_VERSION=56 SUPER_INCOMPAT=68 SUPER_BLOCK_SIZE=72
LABEL_VERSION=56 LABEL_INCOMPAT=68
SUPER_COPIES="0 64"

# refused <reason> <table>: it does not load, and the log says why
refused()
{
	klog_mark
	expect_fail dmsetup create bad --table "$2"
	expect_klog "$1"
	! dmsetup info bad > /dev/null 2>&1 || fail "a device was made"
}

# refused_view <reason> <table>
refused_view()
{
	klog_mark
	expect_fail dmsetup create bad --readonly --table "$2"
	expect_klog "$1"
}

untouched_begin()
{
	ORIGIN_SUM=$(dev_sum "$ORIGIN")
	STORE_SUM=$(dev_sum "$STORE")
}

untouched_end()
{
	expect_eq "the origin's disk" "$(dev_sum "$ORIGIN")" "$ORIGIN_SUM"
	expect_eq "the store's disk" "$(dev_sum "$STORE")" "$STORE_SUM"
}

# A volume that is down, with snapshot 1: O and S are its tables so far
prepare()
{
	to_active
	store_away
	O="0 $ORIGIN_SECTORS snapprot $ORIGIN"
	S="0 $(sectors "$STORE") snapprot-store $STORE"
	untouched_begin
}

# After all that was refused it is what it was.
still_there()
{
	untouched_end
	sp_load_store
	sp_load_origin
	expect_st state active
	expect_st valid 1
	expect_image 1
}

# covers: bad input: wrong argument counts
case_argument_counts()
{
	prepare
	refused "Needs an origin device and a volume UUID" "$O"
	refused "Needs an origin device and a volume UUID" \
		"0 $ORIGIN_SECTORS snapprot"
	refused "Needs a store device" "0 $(sectors "$STORE") snapprot-store"
	refused "Number of feature arguments" "$O $VOLUME_UUID 2 protect"
	refused "Number of feature arguments" "$O $VOLUME_UUID 1"
	refused "Number of feature arguments" "$O $VOLUME_UUID 0 protect"
	refused "Number of feature arguments" "$O $VOLUME_UUID protect"
	refused "Number of feature arguments" "$O $VOLUME_UUID -1 protect"
	refused "Number of feature arguments" "$O $VOLUME_UUID 1x protect"
	refused "Number of feature arguments" "$O $VOLUME_UUID 4294967297 protect"
	refused "Number of feature arguments" "$S 1"
	refused "Number of feature arguments" "$S 1 low_water 20"
	refused "lacks its value" "$O $VOLUME_UUID 1 grace"
	refused "grace" "$O $VOLUME_UUID 1 grace"
	refused "lacks its value" "$O $VOLUME_UUID 1 label"
	refused "lacks its value" "$S 3 low_water 20 cache"
	refused_view "Needs a volume UUID and a snapshot id" \
		"0 $ORIGIN_SECTORS snapprot-snap $VOLUME_UUID"
	refused_view "Needs a volume UUID and a snapshot id" \
		"0 $ORIGIN_SECTORS snapprot-snap $VOLUME_UUID 1 2"
	still_there
}

# covers: bad input: unknown or repeated features
case_features()
{
	local feature

	prepare
	refused "unknown feature 'protected'" "$O $VOLUME_UUID 1 protected"
	refused "unknown feature 'low_water'" "$O $VOLUME_UUID 2 low_water 5"
	refused "unknown feature 'protect'" "$S 1 protect"
	for feature in protect queue_on_fault ignore_discard delete_oldest \
		unlabelled; do
		refused "$feature.*twice" \
			"$O $VOLUME_UUID 2 $feature $feature"
	done
	refused "grace.*twice" "$O $VOLUME_UUID 4 grace 5 grace 5"
	refused "low_water.*twice" "$S 4 low_water 5 low_water 6"
	still_there
}

# covers: bad input: numbers out of range or with trailing text
case_numbers()
{
	local number

	prepare
	for number in -1 +1 1s 0x10 1.0 '1,' 86401 4294967296 \
		99999999999999999999 x; do
		refused "grace .*not a number from" \
			"$O $VOLUME_UUID 2 grace $number"
		refused "grow_timeout .*not a number from" \
			"$O $VOLUME_UUID 2 grow_timeout $number"
		refused "io_timeout .*not a number from" \
			"$S 2 io_timeout $number"
	done
	for number in -1 101 20% x; do
		refused "low_water .*not a number from" \
			"$S 2 low_water $number"
	done
	for number in 0 255 4194305 1M; do
		refused "cache .*not a number from" "$S 2 cache $number"
	done
	for number in 0 -1 4294967296 1x x; do
		refused_view "Snapshot id is none" \
			"0 $ORIGIN_SECTORS snapprot-snap $VOLUME_UUID $number"
	done
	still_there
}

# covers: bad input: a UUID that is none
case_uuids()
{
	local uuid

	prepare
	for uuid in none "${VOLUME_UUID%?}" "${VOLUME_UUID}0" \
		"${VOLUME_UUID//-/}" "${VOLUME_UUID//-/:}" "x${VOLUME_UUID#?}" \
		"{$VOLUME_UUID}"; do
		refused "Volume UUID is none" "$O $uuid"
		refused_view "Volume UUID is none" \
			"0 $ORIGIN_SECTORS snapprot-snap $uuid 1"
	done
	still_there
}

# covers: bad input: a store too small
case_store_too_small()
{
	prepare
	refused "Store is too small" "0 8184 snapprot-store $STORE"
	refused "Store is too small" "0 8 snapprot-store $STORE"
	refused "smaller than the table" \
		"0 $(($(sectors "$STORE") + 8)) snapprot-store $STORE"
	still_there
}

# covers: bad input: an origin smaller than the table
# covers: bad input: length beyond the label
case_origin_length()
{
	local length

	prepare
	for length in $(($(sectors "$ORIGIN") + 8)) 1125899906842624; do
		refused "Origin is smaller than the table" \
			"0 $length snapprot $ORIGIN $VOLUME_UUID"
	done
	for length in $((ORIGIN_SECTORS + 8)) "$(sectors "$ORIGIN")" 8; do
		refused "Length is not that of the label|reaches into the label" \
			"0 $length snapprot $ORIGIN $VOLUME_UUID"
	done
	refused "whole blocks" \
		"0 $((ORIGIN_SECTORS - 1)) snapprot $ORIGIN $VOLUME_UUID"
	refused "Must start at 0" "0 8 error
8 $ORIGIN_SECTORS snapprot $ORIGIN $VOLUME_UUID"
	refused "Must start at sector 0" "0 8 error
8 16384 snapprot-store $STORE"
	still_there
}

# covers: bad input: devices that are not there
case_no_such_device()
{
	prepare
	refused "Cannot get the origin device" \
		"0 $ORIGIN_SECTORS snapprot /dev/no-such-device $VOLUME_UUID"
	refused "Cannot get the store device" \
		"0 131072 snapprot-store /dev/no-such-device"
	still_there
}

# covers: bad input: a device used twice
case_used_twice()
{
	to_active protect
	refused "Device is used" "$(origin_table)"
	refused "Device is used" "$(store_table)"
	refused "Device is used|Not a store" \
		"0 131072 snapprot-store $ORIGIN"
	refused "Device is used|No label" \
		"0 65536 snapprot $STORE $VOLUME_UUID 1 unlabelled"
	refused "Device is used|No label|belongs" \
		"0 65536 snapprot $ORIGIN 00000000-0000-4000-8000-000000000001"
	expect_st state active
	expect_st fault -
	write_at "$ORIGIN_DM" 0 64 2
	expect_image 1
}

# covers: bad input: the same volume twice, by another device with a copy of the origin
case_volume_twice()
{
	local spare=${SPARE_DISKS%% *}

	to_active protect
	blkpat copy "$ORIGIN" "$spare"
	klog_mark
	expect_fail dmsetup create twin --table \
		"0 $ORIGIN_SECTORS snapprot $spare $VOLUME_UUID"
	expect_klog "in use"
	dmsetup remove twin 2> /dev/null || :
	expect_st state active
	write_at "$ORIGIN_DM" 0 64 2
	expect_image 1
}

# covers: bad input: a store on its own origin
case_store_on_its_origin()
{
	local big=$ORIGIN

	layer_new upper "$big" 65536
	ORIGIN=/dev/mapper/upper
	sp_up
	refused "Device is used|Not a store|own origin" \
		"0 60000 snapprot-store $ORIGIN_DM"
	expect_st state active
}

# covers: bad input: a superblock of a newer incompatible version
case_newer_version()
{
	local word copy

	prepare
	for word in "$SUPER_VERSION 2" "$SUPER_INCOMPAT 3"; do
		for copy in $SUPER_COPIES; do
			# shellcheck disable=SC2086 # two words
			setword "$STORE" "$copy" $word
		done
		refused "newer version" "$S"
		for copy in $SUPER_COPIES; do
			setword "$STORE" "$copy" "$SUPER_VERSION" 1
			setword "$STORE" "$copy" "$SUPER_INCOMPAT" 1
		done
	done
	still_there
}

# covers: bad input: a label of a newer incompatible version
case_newer_label()
{
	local label=$((ORIGIN_SECTORS / 8)) n

	prepare
	label=$((ORIGIN_SECTORS / 8))
	for n in 0 1; do
		setword "$ORIGIN" $((label + n)) "$LABEL_INCOMPAT" 4
	done
	refused "Label is of a newer version" "$O $VOLUME_UUID"
	refused "Label is of a newer version" "$O $VOLUME_UUID 1 unlabelled"
	for n in 0 1; do
		setword "$ORIGIN" $((label + n)) "$LABEL_INCOMPAT" 0
		setword "$ORIGIN" $((label + n)) "$LABEL_VERSION" 2
	done
	refused "Label is of a newer version" "$O $VOLUME_UUID 1 protect"
	for n in 0 1; do
		setword "$ORIGIN" $((label + n)) "$LABEL_VERSION" 1
	done
	still_there
}

# covers: bad input: a block size that cannot be handled
case_block_size()
{
	local size copy

	prepare
	for size in 65536 8192 512 0 4294967295; do
		for copy in $SUPER_COPIES; do
			setword "$STORE" "$copy" "$SUPER_BLOCK_SIZE" "$size"
		done
		refused "snapprot-store" "$S"
	done
	for copy in $SUPER_COPIES; do
		setword "$STORE" "$copy" "$SUPER_BLOCK_SIZE" 4096
	done
	still_there
}

# covers: bad input: an origin of another size than the store was made for
case_other_origin_size()
{
	local spare=${SPARE_DISKS%% *} uuid

	prepare
	uuid=$VOLUME_UUID
	truncate -s 40M "$TMPDIR/file"
	"$SNAPPROT" format --uuid "$uuid" "$TMPDIR/file" "$spare" > /dev/null
	sp_load_origin
	klog_mark
	expect_fail dmsetup create bad \
		--table "0 $(sectors "$spare") snapprot-store $spare"
	expect_klog "for an origin of [0-9]+ sectors, not [0-9]+"
	expect_st state waiting
	dmsetup remove bad 2> /dev/null || :
	sp_remove origin
	still_there
}

# covers: bad input: views of what is not there
case_views()
{
	to_active
	refused_view "No such snapshot" "$(view_table 2)"
	refused_view "Length is not that of the snapshot" "$(view_table 1 8)"
	klog_mark
	expect_fail dmsetup create bad --table "$(view_table 1)"
	expect_klog "read-only: load with --readonly"
	# Not known yet: it loads, and says so.
	sp_remove origin
	sp_load_view 7
	sp_load_origin
	expect_fail read_at /dev/mapper/snap7 0 8
	sp_remove snap7
	expect_image 1
}

# judge_damaged: whatever the store now says: an error, or what is right
judge_damaged()
{
	local at

	quickly dmsetup create store --table "$(store_table)" 2> /dev/null ||
		return 0
	quickly dmsetup create origin --table "$(origin_table protect grace 0)" \
		2> /dev/null || return 0
	if quickly dmsetup create snap1 --readonly --table "$(view_table 1)" \
		2> /dev/null; then
		for at in 0 512 1024 1536; do
			at_is_right "$at" || return 1
		done
	fi
	quickly blkpat -l 512 fill "$ORIGIN_DM" 7 2> /dev/null || :
	quickly dmsetup message origin 0 create_snap 2 2> /dev/null || :
	quickly dmsetup message origin 0 list_snaps > /dev/null 2>&1 || :
	return 0
}

# at_is_right <sector>: the image there is right, or cannot be read
at_is_right()
{
	local rc=0

	blkpat -s "$1" -l 512 verify /dev/mapper/snap1 1 2> /dev/null || rc=$?
	[ "$rc" != 3 ] || fail "wrong data at sector $1 of the snapshot"
}

# covers: bad input: damaged metadata: no oops, no WARN, no endless loop, no wrong data
case_damaged_metadata()
{
	local n place

	to_active
	write_at "$ORIGIN_DM" 0 1024 2
	# Metadata of all kinds: a checkpoint, and a log after it.
	dmsetup suspend store
	dmsetup resume store
	write_at "$ORIGIN_DM" 1024 512 2
	store_away
	blkpat -l 8192 copy "$STORE" sound
	blkpat copy "$ORIGIN" origin
	for n in 1 2 3 4 5 6 7 8 9 10 11 12; do
		# The first blocks have nearly all there is.
		place=$(((n * 7919) % 240 * 8 + n % 3))
		blkpat -b -s "$place" -l 1 fill "$STORE" "$n"
		blkpat -b -s $((512 * (n % 2))) -l 1 fill "$STORE" "$n"
		judge_damaged
		dm_down
		dd if=sound of="$STORE" bs=1M conv=notrunc status=none
		dd if=origin of="$ORIGIN" bs=1M conv=notrunc status=none
	done
	sp_load_store
	sp_load_origin
	expect_image 1
}

# covers: bad input: metadata with right checksums and wrong contents
case_nonsense_metadata()
{
	local offset value copy

	to_active
	write_at "$ORIGIN_DM" 0 2048 2
	store_away
	blkpat -l 16384 copy "$STORE" sound
	blkpat copy "$ORIGIN" origin
	for offset in 80 96 112 120 124 136 144 152 160 164 176 184 192 200 \
		208; do
		value=$(((offset * 2654435761) % 4294967296))
		for copy in $SUPER_COPIES; do
			setword "$STORE" "$copy" "$offset" "$value"
		done
		judge_damaged
		dm_down
		dd if=sound of="$STORE" bs=1M conv=notrunc status=none
		dd if=origin of="$ORIGIN" bs=1M conv=notrunc status=none
	done
	sp_load_store
	sp_load_origin
	expect_image 1
}

run_cases case_argument_counts case_features case_numbers case_uuids \
	case_store_too_small case_origin_length case_no_such_device \
	case_used_twice case_volume_twice case_store_on_its_origin \
	case_newer_version case_newer_label case_block_size \
	case_other_origin_size case_views case_damaged_metadata \
	case_nonsense_metadata
