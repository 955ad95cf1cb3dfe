#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The snapprot tool and real devices: one that somebody uses is not written to,
# and one that fails is not judged.
# module: no
# disks: 16M 16M 16M

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

# refused <words> <argument>...: as busy, in one line, with nothing changed
refused()
{
	local text=$1 origin store

	shift
	origin=$(dev_sum "$ORIGIN_DISK")
	store=$(dev_sum "$STORE_DISK")
	expect_exit 5 "$SNAPPROT" "$@"
	[[ $OUTPUT = "snapprot "*": "*"$text"* ]] ||
		fail "said '$OUTPUT', expected '$text'"
	expect_eq lines "$(wc -l <<< "$OUTPUT")" 1
	expect_eq "the origin" "$(dev_sum "$ORIGIN_DISK")" "$origin"
	expect_eq "the store" "$(dev_sum "$STORE_DISK")" "$store"
}

case_mounted()
{
	mkfs.ext4 -q -F "$STORE_DISK"
	mkdir -p "$TMPDIR/mnt"
	mount "$STORE_DISK" "$TMPDIR/mnt"
	defer umount "$TMPDIR/mnt"
	sync -f "$TMPDIR/mnt"
	refused "is mounted on $TMPDIR/mnt" \
		format --force "$ORIGIN_DISK" "$STORE_DISK"
	refused "is mounted on $TMPDIR/mnt" \
		format --force "$STORE_DISK" "$ORIGIN_DISK"
}

case_swap()
{
	mkswap -q "$STORE_DISK"
	swapon "$STORE_DISK"
	defer swapoff "$STORE_DISK"
	refused "is used as swap" format --force "$ORIGIN_DISK" "$STORE_DISK"
}

case_held_by_device_mapper()
{
	layer_new low "$STORE_DISK"
	refused "is held by device-mapper's low" \
		format --force "$ORIGIN_DISK" "$STORE_DISK"
	refused "is held by device-mapper's low" \
		format --force --label-dev "$STORE_DISK" "$ORIGIN_DISK" \
		"${SPARE_DISKS%% *}"
	# The layer itself is nobody's.
	"$SNAPPROT" format "$ORIGIN_DISK" /dev/mapper/low > /dev/null
}

case_file_under_a_loop_device()
{
	local loop file

	modprobe loop
	loop=$(loop_new 16M)
	defer loop_delete "$loop"
	file=$(losetup -n -O BACK-FILE "$loop")
	refused "is attached to ${loop#/dev/}" \
		format --force "$ORIGIN_DISK" "$file"
	"$SNAPPROT" format "$ORIGIN_DISK" "$loop" > /dev/null
	"$SNAPPROT" check "$loop" > /dev/null
}

# Reading is allowed; what was written below the page cache is seen.
case_reading_what_is_in_use()
{
	local low=/dev/mapper/low uuid

	layer_new low "$STORE_DISK"
	expect_exit 4 "$SNAPPROT" probe "$STORE_DISK"
	exec 8< "$STORE_DISK"
	cat <&8 > /dev/null
	eval "$("$SNAPPROT" format "$ORIGIN_DISK" "$low")"
	uuid=$("$SNAPPROT" probe "$STORE_DISK" |
		sed -n 's/^SNAPPROT_UUID=//p')
	expect_eq uuid "$uuid" "$VOLUME_UUID"
	"$SNAPPROT" check "$STORE_DISK" > /dev/null
	"$SNAPPROT" dump "$STORE_DISK" > /dev/null
	exec 8<&-
	expect_exit 5 "$SNAPPROT" repair "$STORE_DISK" -o "$TMPDIR/new"
}

# An unreadable block is no proof of anything.
case_unreadable()
{
	layer_new low "$STORE_DISK"
	"$SNAPPROT" format "$ORIGIN_DISK" /dev/mapper/low > /dev/null
	layer_error_range low 8 8
	expect_exit 2 "$SNAPPROT" check /dev/mapper/low
	expect_match error "$OUTPUT" "low: block 1: Input/output error"
	# One superblock is enough to know the store by, two are not there.
	layer_error_range low 0 8
	expect_exit 2 "$SNAPPROT" check /dev/mapper/low
	layer_error low
	expect_exit 2 "$SNAPPROT" check /dev/mapper/low
	expect_exit 1 "$SNAPPROT" probe /dev/mapper/low
	layer_linear low
	"$SNAPPROT" check /dev/mapper/low > /dev/null
}

# Nothing is announced that is not on the disk.
case_unwritable()
{
	layer_new low "$STORE_DISK"
	layer_error_writes low
	expect_exit 1 "$SNAPPROT" format "$ORIGIN_DISK" /dev/mapper/low
	expect_match error "$OUTPUT" "low: Input/output error"
	layer_linear low
	expect_exit 4 "$SNAPPROT" probe "$ORIGIN_DISK"
	expect_exit 4 "$SNAPPROT" probe "$STORE_DISK"
}

run_cases case_mounted case_swap case_held_by_device_mapper \
	case_file_under_a_loop_device case_reading_what_is_in_use \
	case_unreadable case_unwritable
