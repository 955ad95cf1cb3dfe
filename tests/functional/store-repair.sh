#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What the module has written, in the hands of the snapprot tool, and what the
# tool has mended, in the hands of the module.
# disks: 17M 64M 64M

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

NEW=${SPARE_DISKS%% *}

# Two snapshots, of which copies are kept, and writes after each.
volume_with_snapshots()
{
	sp_up
	blkpat fill "$ORIGIN_DM" 1
	sp_create 1
	cp "$ORIGIN_DM" "$TMPDIR/1"
	blkpat write "$ORIGIN_DM" 2 200 64K > /dev/null
	sp_create 2
	cp "$ORIGIN_DM" "$TMPDIR/2"
	blkpat write "$ORIGIN_DM" 3 100 64K > /dev/null
	sp_remove origin
	sp_remove store
}

# damage <block>...: of the store
damage()
{
	local block

	for block; do
		head -c 4096 /dev/urandom |
			dd of="$STORE" bs=4096 seek="$block" count=1 \
				iflag=fullblock oflag=direct status=none
	done
}

# blocks <kind>: where the store has them
blocks()
{
	"$SNAPPROT" dump --map "$STORE" |
		awk -v kind="$1" '$3 == kind { print $2 }'
}

views_are_right()
{
	local id

	for id; do
		sp_load_view "$id"
		expect_same "/dev/mapper/snap$id" "$TMPDIR/$id"
		sp_remove "snap$id"
	done
}

case_written_by_the_module()
{
	volume_with_snapshots
	"$SNAPPROT" check "$STORE" > "$TMPDIR/check"
	expect_eq verdict "$(cat "$TMPDIR/check")" "$STORE: sound"
	"$SNAPPROT" dump "$STORE" > "$TMPDIR/dump"
	expect_eq snapshots "$(grep -c '^snapshot [12] state valid' \
		"$TMPDIR/dump")" 2
	"$SNAPPROT" probe "$ORIGIN" > "$TMPDIR/probe"
	grep -qx SNAPPROT_SNAPSHOTS=1 "$TMPDIR/probe"
	grep -qx SNAPPROT_TYPE=label "$TMPDIR/probe"
}

case_mended_and_used()
{
	local report nodes

	volume_with_snapshots
	# A superblock, and everything that leads to the leaves.
	mapfile -t nodes < <(blocks node)
	[ "${#nodes[@]}" -gt 0 ] || fail "the index has but one leaf"
	damage 0 "${nodes[@]}"
	expect_exit 1 "$SNAPPROT" check "$STORE"
	report=$("$SNAPPROT" repair "$STORE" -o "$NEW") ||
		fail "repair: $report"
	expect_eq kept "$(grep -c '^snapshot [12]: kept$' <<< "$report")" 2
	blkpat zero "$STORE"
	STORE=$NEW
	"$SNAPPROT" check "$STORE" > /dev/null
	sp_load_store
	sp_load_origin
	expect_st state active
	expect_st valid 2
	views_are_right 1 2
	# And it goes on from there.
	sp_create 3
	cp "$ORIGIN_DM" "$TMPDIR/3"
	blkpat write "$ORIGIN_DM" 4 100 64K > /dev/null
	views_are_right 1 2 3
	sp_remove origin
	sp_remove store
	"$SNAPPROT" check "$STORE" > /dev/null
}

case_lost_in_part()
{
	local place

	volume_with_snapshots
	# Old data of the first snapshot alone.
	place=$("$SNAPPROT" dump "$STORE" |
		awk '$1 == "exception" && $4 == 2 { print $NF; exit }')
	[ -n "$place" ] || fail "nothing of the first snapshot"
	damage "$place"
	expect_exit 1 "$SNAPPROT" repair "$STORE" -o "$NEW"
	expect_match report "$OUTPUT" "snapshot 1: lost: 1 of its old blocks"
	expect_match report "$OUTPUT" "snapshot 2: kept"
	blkpat zero "$STORE"
	STORE=$NEW
	sp_load_store
	sp_load_origin
	expect_eq first "$(snap_state 1)" lost
	expect_eq second "$(snap_state 2)" valid
	views_are_right 2
}

# What an earlier volume of this UUID has left on the new device is none of it.
case_remains_on_the_new_device()
{
	local block

	volume_with_snapshots
	dd if="$STORE" of="$NEW" bs=1M oflag=direct status=none
	for block in 0 1 64; do
		dd if=/dev/zero of="$NEW" bs=4096 seek="$block" count=1 \
			oflag=direct status=none
	done
	"$SNAPPROT" repair "$STORE" -o "$NEW" > /dev/null
	expect_eq verdict "$("$SNAPPROT" check "$NEW")" "$NEW: sound"
}

run_cases case_written_by_the_module case_mended_and_used case_lost_in_part \
	case_remains_on_the_new_device
