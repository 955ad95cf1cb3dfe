#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The four states of a live volume: what each does with reads and writes, and
# every way from one into another.
# disks: 64M 64M 64M 64M
# timeout: 400

# shellcheck disable=SC2119 # functions whose arguments are optional
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/states.sh
. "$TOP/tests/lib/states.sh"

# ---- what a state is --------------------------------------------------------

# covers: states: active: reads pass; writes preserve, then pass
case_active_preserves_and_passes()
{
	local used

	to_active
	used=$(st used)
	read_at "$ORIGIN_DM" 0 2048
	expect_eq "used after reads" "$(st used)" "$used"
	write_at "$ORIGIN_DM" 0 2048 2
	verify_at "$ORIGIN_DM" 0 2048 2
	[ "$(st used)" -ge $((used + 2048)) ] ||
		fail "nothing was preserved: $used sectors, then $(st used)"
	expect_image 1
}

# covers: states: waiting: reads pass, writes are held
case_waiting_holds_writes()
{
	to_waiting grace 300
	verify_at "$ORIGIN_DM" 0 2048 1
	hold_write 0 2
	verify_at "$ORIGIN_DM" 8 2040 1
	expect_st state waiting
	expect_eq "the origin's own disk" \
		"$(dev_sum "$ORIGIN" 0 2048)" "$(dev_sum "$ORIGIN_DM" 0 2048)"
	sp_load_store
	reap "$WRITER" ok
}

# covers: states: nostore: reads and writes pass
case_nostore_passes()
{
	to_nostore
	write_at "$ORIGIN_DM" 0 2048 2
	verify_at "$ORIGIN" 0 2048 2
	expect_st fault -
}

# covers: states: blocked: reads and writes fail
case_blocked_fails()
{
	to_blocked
	expect_error "Input/output error" read_at "$ORIGIN_DM" 0 8
	expect_error "Input/output error" write_at "$ORIGIN_DM" 0 8 2
	verify_at "$ORIGIN" 0 2048 1
}

# covers: states: blocked, if so asked: reads and writes are held
case_blocked_holds_if_asked()
{
	local reader

	to_blocked queue_on_fault
	hold_write 0 2
	verify_at "$ORIGIN_DM" 8 8 1 &
	reader=$!
	wait_st held 2
	verify_at "$ORIGIN" 0 2048 1
	sp_load_store
	reap "$reader" ok
	reap "$WRITER" ok
	verify_at "$ORIGIN_DM" 0 8 2
	expect_image 1
}

# ---- first resume without a store ---------------------------------------------

# covers: states: first resume, store absent, label knows of no snapshot -> nostore (both modes)
case_start_without_snapshots()
{
	to_nostore
	expect_st mode normal
	sp_remove origin
	sp_load_origin protect
	expect_st mode protect
	expect_st state nostore
	write_at "$ORIGIN_DM" 0 8 2
}

# covers: states: first resume, store absent, label knows of a snapshot -> waiting, normal mode
case_start_with_snapshots_normal()
{
	to_waiting
	expect_st mode normal
	expect_st fault -
}

# covers: states: first resume, store absent, label knows of a snapshot -> waiting, protection mode
case_start_with_snapshots_protect()
{
	to_waiting protect
	expect_st mode protect
	expect_st fault -
}

# covers: states: first resume, store absent, nothing says that there is no snapshot -> waiting
case_start_with_nothing_known()
{
	sp_format --unlabelled
	sp_load_origin protect
	expect_st label nolabel
	expect_st state waiting
	sp_remove origin
	sp_load_origin unlabelled
	expect_st mode normal
	expect_st state waiting
}

# ---- out of waiting -------------------------------------------------------------

# covers: states: waiting, the right store arrives -> active, held writes go on (both modes)
case_waiting_store_arrives()
{
	local mode

	to_active
	for mode in "" protect; do
		store_away
		# shellcheck disable=SC2086 # a word or none
		sp_load_origin $mode
		expect_st state waiting
		hold_write 64 2
		sp_load_store
		reap "$WRITER" ok
		wait_st state active
		expect_st held 0
		verify_at "$ORIGIN_DM" 64 8 2
		expect_eq "snapshot 1" "$(snap_state 1)" valid
		expect_image 1
	done
}

# covers: states: waiting, grace ends -> fault store_missing, normal mode
case_waiting_grace_ends_normal()
{
	to_waiting
	sp_msg set grace 1
	write_at "$ORIGIN_DM" 0 8 2
	expect_st state nostore
	expect_st fault store_missing
	verify_at "$ORIGIN_DM" 0 8 2
	sp_load_store
	expect_st state active
	expect_eq "snapshot 1" "$(snap_state 1)" lost
}

# covers: states: waiting, grace ends -> fault store_missing, protection mode: held writes fail
case_waiting_grace_ends_protect()
{
	to_waiting protect
	hold_write 0 2
	sp_msg set grace 0
	wait_st state blocked
	expect_st fault store_missing
	reap "$WRITER" failed
	verify_at "$ORIGIN" 0 2048 1
}

# covers: states: waiting, grace ends, protection mode, queue_on_fault: held writes stay held
case_waiting_grace_ends_queue()
{
	to_waiting protect queue_on_fault
	hold_write 0 2
	sp_msg set grace 0
	wait_st state blocked
	expect_st fault store_missing
	is_held "$WRITER" || fail "the write is not held any more"
	sp_load_store
	wait_st state active
	reap "$WRITER" ok
	verify_at "$ORIGIN_DM" 0 8 2
	expect_image 1
}

# covers: states: waiting, a fault, normal mode -> snapshots lost, held writes go on
case_waiting_fault_normal()
{
	low_store
	to_waiting
	hold_write 0 2
	# The superblocks can be read, what they point to cannot.
	layer_error_range low 8 504
	sp_load_store
	wait_st fault online_io
	reap "$WRITER" ok
	expect_st state nostore
	expect_st valid 0
	verify_at "$ORIGIN_DM" 0 8 2
}

# covers: states: waiting, a fault, protection mode -> blocked, held writes fail
case_waiting_fault_protect()
{
	low_store
	to_waiting protect
	hold_write 0 2
	layer_error_range low 8 504
	sp_load_store
	wait_st fault online_io
	expect_st state blocked
	reap "$WRITER" failed
	verify_at "$ORIGIN" 0 2048 1
	layer_linear low
	sp_msg clear_fault
	expect_st state active
	expect_image 1
}

# ---- out of active ----------------------------------------------------------------

# covers: states: active, a fault, normal mode, store gone -> nostore, snapshots lost
case_active_fault_normal_store_gone()
{
	to_active
	sp_remove store
	wait_st state nostore
	expect_st fault store_removed
	expect_st valid 0
	write_at "$ORIGIN_DM" 0 8 2
	verify_at "$ORIGIN" 0 8 2
}

# covers: states: active, a fault, normal mode, store still works -> active, held writes go on
case_active_fault_normal_store_works()
{
	small_store
	to_active grow_timeout 300
	run_out_of_space
	sp_msg grow_failed
	wait_st fault grow_failed
	expect_st state active
	reap "$WRITER" ok
	expect_st valid 0
	expect_st lost 1
	expect_eq "snapshot 1" "$(snap_state 1)" lost
	verify_at "$ORIGIN_DM" 2048 40960 9
}

# covers: states: active, a fault, protection mode -> blocked, held writes fail
case_active_fault_protect()
{
	small_store
	to_active protect grow_timeout 300
	run_out_of_space
	sp_msg grow_failed
	expect_st state blocked
	expect_st fault grow_failed
	reap "$WRITER" failed
	expect_st valid 1
	expect_image 1
}

# ---- out of blocked ------------------------------------------------------------------

# covers: states: blocked by store_removed, the right store arrives -> active by itself
case_blocked_removed_store_returns()
{
	to_blocked
	sp_load_store
	expect_st state active
	expect_st fault -
	write_at "$ORIGIN_DM" 0 8 2
	expect_image 1
}

# covers: states: blocked by store_missing, the right store arrives -> active by itself
case_blocked_missing_store_arrives()
{
	to_waiting protect
	sp_msg set grace 0
	wait_st state blocked
	expect_st fault store_missing
	sp_load_store
	expect_st state active
	expect_st fault -
	write_at "$ORIGIN_DM" 0 8 2
	expect_image 1
}

# covers: states: blocked by another fault, the store arrives -> still blocked until clear_fault
case_blocked_otherwise_needs_clear()
{
	low_store
	to_active protect
	layer_error low
	expect_fail write_at "$ORIGIN_DM" 0 8 2
	wait_st state blocked
	expect_match fault "$(st fault)" "^(cow_write|store_io)$"
	layer_linear low
	sp_remove store
	sp_load_store
	expect_st state blocked
	expect_fail write_at "$ORIGIN_DM" 0 8 2
	sp_msg clear_fault
	expect_st state active
	write_at "$ORIGIN_DM" 0 8 2
	expect_image 1
}

# covers: states: blocked, clear_fault, store healthy -> active
case_blocked_clear_fault()
{
	low_store
	to_active protect
	layer_error low
	expect_fail write_at "$ORIGIN_DM" 0 8 2
	wait_st state blocked
	layer_linear low
	sp_msg clear_fault
	expect_st state active
	expect_st mode protect
	expect_st fault -
	write_at "$ORIGIN_DM" 0 8 2
	expect_image 1
}

# covers: states: blocked, normal drop_snapshots -> as a fault in normal mode
case_blocked_drop_snapshots()
{
	to_blocked
	sp_msg normal drop_snapshots
	expect_st state nostore
	expect_st mode normal
	expect_st valid 0
	write_at "$ORIGIN_DM" 0 8 2
	sp_load_store
	expect_st state active
	expect_eq "snapshot 1" "$(snap_state 1)" lost
}

# ---- out of nostore --------------------------------------------------------------------

# covers: states: nostore, the right store arrives -> active (both modes)
case_nostore_store_arrives()
{
	to_nostore
	sp_load_store
	expect_st state active
	store_away
	sp_load_origin protect
	expect_st state nostore
	sp_load_store
	expect_st state active
	expect_st mode protect
	sp_create 1
	write_at "$ORIGIN_DM" 0 8 2
	expect_image 1
}

# ---- what passes although space has run out or the store is suspended --------------------

# covers: states: a write that needs no preserving passes while space has run out
case_preserved_block_passes_without_space()
{
	small_store
	to_active protect grow_timeout 300
	write_at "$ORIGIN_DM" 0 8 2
	run_out_of_space
	write_at "$ORIGIN_DM" 0 8 3
	verify_at "$ORIGIN_DM" 0 8 3
	expect_st fault -
	sp_delete 1
	reap "$WRITER" ok
}

# covers: states: a write that needs no preserving passes while the store is suspended
# covers: states: suspending the store holds the others without a fault
case_store_suspended()
{
	to_active protect
	write_at "$ORIGIN_DM" 0 8 2
	dmsetup suspend store
	write_at "$ORIGIN_DM" 0 8 3
	hold_write 64 4
	write_at "$ORIGIN_DM" 0 8 5
	expect_st state active
	expect_st fault -
	is_held "$WRITER" || fail "the write was not held"
	dmsetup resume store
	reap "$WRITER" ok
	expect_image 1
}

# covers: states: suspending the store holds writes without a time limit (io_timeout does not count)
case_store_suspended_for_long()
{
	sp_format
	sp_load_store io_timeout 1
	sp_load_origin protect
	write_at "$ORIGIN_DM" 0 2048 1
	sp_create 1
	dmsetup suspend store
	hold_write 64 4
	# Longer than any limit that could apply here.
	pause 3
	expect_st state active
	expect_st fault -
	is_held "$WRITER" || fail "the write was not held"
	dmsetup resume store
	reap "$WRITER" ok
	expect_image 1
}

# ---- lost snapshots, and views -----------------------------------------------------------

# covers: states: lost snapshots stay in list_snaps as lost until deleted; the log has the reason
# covers: states: a view of a lost snapshot gives EIO
case_lost_snapshots_stay_listed()
{
	klog_mark
	to_active
	sp_create 2
	sp_remove store
	wait_st state nostore
	expect_klog "lost, because store_removed" 1
	sp_load_store
	expect_eq "snapshot 1" "$(snap_state 1)" lost
	expect_eq "snapshot 2" "$(snap_state 2)" lost
	sp_load_view 1
	expect_eq "view" "$(view_st 1)" lost
	expect_error "Input/output error" read_at /dev/mapper/snap1 0 8
	sp_remove snap1
	sp_create 3
	sp_delete 1
	expect_eq "snapshots" "$(sp_list | cut -d ' ' -f 1,2 | paste -sd ,)" \
		"2 lost,3 valid"
	sp_remove origin
	sp_remove store
	sp_load_store
	sp_load_origin
	expect_eq "snapshot 2 later" "$(snap_state 2)" lost
	expect_eq "snapshot 3 later" "$(snap_state 3)" valid
}

# covers: states: views are readable whenever the store is, in blocked too
case_views_while_blocked()
{
	small_store
	to_active protect grow_timeout 300
	sp_load_view 1
	write_at "$ORIGIN_DM" 0 64 2
	run_out_of_space
	sp_msg grow_failed
	wait_st state blocked
	reap "$WRITER" failed
	expect_error "Input/output error" read_at "$ORIGIN_DM" 0 8
	verify_at /dev/mapper/snap1 0 2048 1
	expect_eq "view" "$(view_st 1)" valid
}

run_cases case_active_preserves_and_passes case_waiting_holds_writes \
	case_nostore_passes case_blocked_fails case_blocked_holds_if_asked \
	case_start_without_snapshots case_start_with_snapshots_normal \
	case_start_with_snapshots_protect case_start_with_nothing_known \
	case_waiting_store_arrives case_waiting_grace_ends_normal \
	case_waiting_grace_ends_protect case_waiting_grace_ends_queue \
	case_waiting_fault_normal case_waiting_fault_protect \
	case_active_fault_normal_store_gone \
	case_active_fault_normal_store_works case_active_fault_protect \
	case_blocked_removed_store_returns case_blocked_missing_store_arrives \
	case_blocked_otherwise_needs_clear case_blocked_clear_fault \
	case_blocked_drop_snapshots case_nostore_store_arrives \
	case_preserved_block_passes_without_space case_store_suspended \
	case_store_suspended_for_long case_lost_snapshots_stay_listed \
	case_views_while_blocked
