#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Each feature of the tables of the live volume and the store does what it says.
# (label: label.sh; ignore_discard: discard.sh as well.)
# disks: 64M 64M 64M 64M
# timeout: 300

# shellcheck disable=SC2119 # functions whose arguments are optional
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/states.sh
. "$TOP/tests/lib/states.sh"

# A store with features, and a volume with others
# volume <features of the store> -- <features of the origin>
volume()
{
	local store=()

	while [ "$1" != -- ]; do
		store+=("$1")
		shift
	done
	shift
	sp_format
	sp_load_store ${store[@]+"${store[@]}"}
	sp_load_origin "$@"
	write_at "$ORIGIN_DM" 0 2048 1
	sp_create 1
}

# covers: targets: feature low_water <percent free>
case_low_water()
{
	low_store 32768
	volume low_water 90 --
	expect_eq "low" "$(store_st low)" -
	# Less than a tenth, then more.
	write_at "$ORIGIN_DM" 0 1024 2
	expect_eq "low" "$(store_st low)" -
	write_at "$ORIGIN_DM" 1024 6144 2
	expect_eq "low" "$(store_st low)" low
	sp_reload store low_water 10
	expect_eq "low at 10" "$(store_st low)" -
	sp_reload store low_water 100
	expect_eq "low at 100" "$(store_st low)" low
	sp_reload store low_water 0
	expect_eq "low at 0" "$(store_st low)" -
}

# covers: targets: feature io_timeout <seconds>
case_io_timeout()
{
	low_store
	volume io_timeout 1 -- protect
	layer_hold low
	write_at "$ORIGIN_DM" 0 8 2 2> /dev/null &
	WRITER=$!
	wait_st state blocked
	expect_st fault store_io
	expect_st errno 110
	reap "$WRITER" failed
	verify_at "$ORIGIN" 0 2048 1
	layer_release low
	wait_for 20 sp_msg clear_fault
	expect_image 1
}

# covers: targets: feature io_timeout 0: never
case_io_timeout_never()
{
	low_store
	volume io_timeout 0 -- protect
	layer_hold low
	write_at "$ORIGIN_DM" 0 8 2 &
	WRITER=$!
	wait_for 20 is_held "$WRITER"
	# As long as it took above, and more.
	pause 4
	expect_st state active
	layer_release low
	reap "$WRITER" ok
	expect_image 1
}

# covers: targets: feature cache <KiB>: the smallest that is allowed is enough
case_cache()
{
	volume cache 256 --
	write_at "$ORIGIN_DM" 0 4096 2
	sp_create 2
	blkpat write "$ORIGIN_DM" 3 150 32K
	expect_st fault -
	expect_image 1
	sp_load_view 2
	verify_at /dev/mapper/snap2 0 4096 2
	sp_remove snap2
	sp_remove origin
	sp_remove store
	expect_exit 0 "$SNAPPROT" check "$STORE"
}

# covers: targets: feature protect
case_protect()
{
	sp_up
	expect_st mode normal
	sp_remove origin
	sp_load_origin protect
	expect_st mode protect
	expect_eq "store" "$(store_st protected)" protected
}

# covers: targets: feature queue_on_fault
case_queue_on_fault()
{
	to_blocked
	expect_error "Input/output error" write_at "$ORIGIN_DM" 0 8 2
	sp_remove origin
	sp_load_store
	sp_load_origin protect queue_on_fault
	sp_remove store
	wait_st state blocked
	hold_write 0 2
	verify_at "$ORIGIN" 0 8 1
	sp_load_store
	reap "$WRITER" ok
	expect_image 1
}

# covers: targets: feature grace <seconds>
case_grace()
{
	local start

	to_active
	store_away
	start=$(now_ms)
	sp_load_origin grace 6
	expect_st state waiting
	wait_st state nostore
	start=$(($(now_ms) - start))
	[ "$start" -ge 5900 ] || fail "grace ended after $start ms of 6000"
	expect_st fault store_missing
}

# covers: targets: feature grace 0: the store has to be there first
case_grace_0()
{
	to_active
	store_away
	sp_load_origin protect grace 0
	wait_st state blocked
	expect_st fault store_missing
}

# covers: targets: feature grow_timeout <seconds>
case_grow_timeout()
{
	local start

	small_store
	to_active protect grow_timeout 3
	start=$(now_ms)
	run_out_of_space
	wait_st state blocked
	start=$(($(now_ms) - start))
	[ "$start" -ge 3000 ] || fail "did not wait: $start ms of 3000"
	expect_st fault grow_too_slow
	reap "$WRITER" failed
	expect_image 1
}

# covers: targets: feature grow_timeout 0: store_full at once
case_grow_timeout_0()
{
	small_store
	to_active protect grow_timeout 0
	expect_fail blkpat -s 2048 -l 40960 fill "$ORIGIN_DM" 9
	expect_st state blocked
	expect_st fault store_full
	expect_image 1
}

# covers: targets: feature unlabelled: loads without a label, and the loss holds for this boot
case_unlabelled()
{
	sp_format --unlabelled
	sp_load_store
	sp_load_origin unlabelled
	expect_st label nolabel
	write_at "$ORIGIN_DM" 0 2048 1
	sp_create 1
	sp_remove store
	wait_st state nostore
	write_at "$ORIGIN_DM" 0 8 2
	sp_load_store
	expect_st state active
	expect_eq "snapshot 1" "$(snap_state 1)" lost
}

# covers: targets: feature ignore_discard: no discards get through
case_ignore_discard()
{
	sp_up ignore_discard
	write_at "$ORIGIN_DM" 0 64 1
	expect_fail blkdiscard -o 0 -l 32768 "$ORIGIN_DM"
	verify_at "$ORIGIN_DM" 0 64 1
}

# covers: targets: feature delete_oldest: the oldest snapshots go, one at a time, before anything else is lost
case_delete_oldest()
{
	klog_mark
	small_store
	to_active grow_timeout 0 delete_oldest
	write_at "$ORIGIN_DM" 4096 6000 4
	sp_create 2
	write_at "$ORIGIN_DM" 16384 64 5
	sp_create 3
	write_at "$ORIGIN_DM" 24576 12000 6
	expect_st state active
	expect_st lost 0
	expect_eq "snapshots" "$(sp_list | cut -d ' ' -f 1,2 | paste -sd ,)" \
		"2 valid,3 valid"
	expect_klog "deleted the oldest snapshot, 1," 1
	expect_image 2
}

# covers: targets: feature delete_oldest: in normal mode only
case_delete_oldest_not_in_protection()
{
	small_store
	to_active protect grow_timeout 0 delete_oldest
	sp_create 2
	expect_fail blkpat -s 2048 -l 40960 fill "$ORIGIN_DM" 9
	expect_st state blocked
	expect_st fault store_full
	expect_st valid 2
	expect_image 1
}

run_cases case_low_water case_io_timeout case_io_timeout_never case_cache \
	case_protect case_queue_on_fault case_grace case_grace_0 \
	case_grow_timeout case_grow_timeout_0 case_unlabelled \
	case_ignore_discard case_delete_oldest \
	case_delete_oldest_not_in_protection
