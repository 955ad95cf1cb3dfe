#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Deleting snapshots: space comes back, in whichever state it is needed, and what
# the others need stays.
# disks: 9M 32M
# timeout: 150
# covers: messages: delete_snap
# covers: features: delete_oldest

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/images.sh
. "$TOP/tests/lib/images.sh"

SMALL=16384		# sectors of a store that becomes full

uses_at_most()
{
	[ "$(st used)" -le "$1" ]
}

# A store of SMALL sectors that can be made larger.
small_store()
{
	layer_new slow "$STORE_DISK" "$SMALL"
	STORE=/dev/mapper/slow
}

case_space_comes_back()
{
	local empty

	sp_up
	images_begin
	empty=$(st used)
	images_take 1
	images_write_at 0 8192 11
	images_take 2
	images_write_at 0 8192 12
	images_take 3
	images_write_at 0 8192 13
	[ "$(st used)" -ge $((empty + 3 * 8192)) ] || fail "nothing was preserved"
	# In the middle, first, last.
	images_drop 2
	wait_for 20 uses_at_most $((empty + 2 * 8192 + 1024))
	images_check
	images_drop 1
	wait_for 20 uses_at_most $((empty + 8192 + 1024))
	images_check
	images_drop 3
	wait_for 20 uses_at_most $((empty + 256))
}

case_errors()
{
	sp_up
	images_begin
	images_take 1
	expect_error "No such" sp_delete 2
	expect_error "Invalid argument" sp_delete 0
	expect_error "Invalid argument" sp_delete 1x
	sp_load_view 1
	expect_error "busy" sp_delete 1
	sp_remove snap1
	images_drop 1
	expect_error "No such" sp_delete 1
}

# The writes that need space are held until a snapshot goes.
case_space_for_held_writes()
{
	local pid outs

	small_store
	sp_up
	images_begin
	images_take 1
	images_write_at 0 8192 11
	images_take 2
	images_write_at 8192 2048 12
	outs=$(space_outs)
	blkpat -s 0 -l 8192 fill "$ORIGIN_DM" 14 &
	pid=$!
	wait_space_out "$outs"
	images_drop 1
	wait "$pid"
	blkpat -s 0 -l 8192 fill "$SHADOW" 14
	expect_st fault -
	images_check
}

case_delete_while_blocked()
{
	small_store
	sp_up protect grow_timeout 0
	images_begin
	images_take 1
	images_write_at 0 8192 11
	images_take 2
	expect_error "Input/output error" blkpat -a 64K \
		write "$ORIGIN_DM" 5 400 64K "$SHADOW"
	wait_st fault store_full
	expect_st state blocked
	expect_error "No space" sp_msg clear_fault
	expect_st fault store_full
	images_drop 1
	expect_st state blocked
	sp_msg clear_fault
	expect_st state active
	images_check
	images_write 6 20 64K
	images_check
}

# Until every snapshot is gone, and never more than has to go.
case_delete_oldest()
{
	local id old

	small_store
	sp_up grow_timeout 0 delete_oldest
	images_begin
	klog_mark
	events_start
	for id in {1..12}; do
		images_take "$id"
		images_write "$id" 10 256K
		for old in $(images_ids); do
			[ -n "$(snap_state "$old")" ] || rm "$SUMS/$old"
		done
		expect_st lost 0
		expect_st state active
	done
	expect_st fault -
	expect_eq "events" "$(events DELETED_OLDEST)" $((12 - $(st valid)))
	[ "$(st valid)" -ge 2 ] || fail "too many are gone"
	[ "$(st valid)" -lt 12 ] || fail "nothing had to go"
	expect_klog "deleted the oldest" $((12 - $(st valid)))
	# The youngest are those that are left.
	expect_eq "left" "$(images_list)" \
		"$(seq -s ' ' $((13 - $(st valid))) 12)"
	images_check
	sp_remove origin
	sp_remove store
	"$SNAPPROT" check "$STORE" > /dev/null
}

# With protection mode on it has no effect.
case_delete_oldest_and_protect()
{
	small_store
	sp_up protect grow_timeout 0 delete_oldest
	images_begin
	images_take 1
	images_take 2
	images_write_at 0 8192 11
	images_take 3
	expect_error "Input/output error" blkpat -a 64K \
		write "$ORIGIN_DM" 5 400 64K "$SHADOW"
	wait_st fault store_full
	expect_st valid 3
}

# One goes while others are being written for.
case_siblings_stay()
{
	local pid round

	sp_up
	images_begin
	images_take 1
	for round in {1..8}; do
		images_take $((round * 10))
		images_take $((round * 10 + 1))
		images_take $((round * 10 + 2))
		blkpat write "$ORIGIN_DM" "$round" 40 64K "$SHADOW" &
		pid=$!
		images_drop $((round * 10 + 1))
		[ "$round" = 1 ] || images_drop $((round * 10 - 10))
		wait "$pid"
	done
	images_check
	sp_remove origin
	sp_remove store
	"$SNAPPROT" check "$STORE" > /dev/null
}

run_cases case_space_comes_back case_errors case_space_for_held_writes \
	case_delete_while_blocked case_delete_oldest \
	case_delete_oldest_and_protect case_siblings_stay
