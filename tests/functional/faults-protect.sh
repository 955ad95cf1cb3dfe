#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Protection mode: after each of the faults nothing reaches the origin, and once
# its cause has been dealt with no snapshot is lost, and none is wrong.
# disks: 5M 8M
# timeout: 400
# covers: faults: every fault, in protection mode
# covers: promises: protection mode loses nothing; no fault is silent

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/images.sh
. "$TOP/tests/lib/images.sh"
# shellcheck source=tests/lib/faults.sh
. "$TOP/tests/lib/faults.sh"

# For faults.sh.
# shellcheck disable=SC2034
WRITES=fail

# The origin's own device has what was acknowledged, and nothing else.
expect_origin_untouched()
{
	blkpat -l "$ORIGIN_SECTORS" cmp /dev/mapper/obase "$SHADOW" >&2 ||
		fail "a refused write has reached the origin"
}

expect_blocked_by()
{
	local fault

	fault=$(fault_of "$1")
	wait_st fault "$fault"
	expect_st state blocked
	expect_st mode protect
	if ! is_before_arrival "$1"; then
		expect_st valid 2
		expect_st lost 0
	fi
	expect_error "Input/output error" read_at "$ORIGIN_DM" 0 8
	expect_error "Input/output error" cold_write
	# Preserved already, and refused all the same.
	expect_error "Input/output error" write_at "$ORIGIN_DM" 0 8 78
	expect_origin_untouched
	wait_event "SNAPPROT_BLOCKED"
	expect_eq "events" "$(events "SNAPPROT_BLOCKED.*FAULT=$fault( |$)")" 1
	expect_eq "losses" "$(events "SNAPPROT_LOST")" 0
	expect_klog "fault $fault " 1
	# As far as they can be read, they are.
	if is_space_fault "$1"; then
		image_check 1
		image_check 2
	fi
}

# What is still broken is not believed to be well.
expect_not_cleared()
{
	case $1 in
	memory | internal | cow_read | store_io | cow_write) return ;;
	esac
	expect_fail sp_msg clear_fault
	expect_st state blocked
	expect_origin_untouched
}

clear_it()
{
	case $1 in
	store_missing | store_removed)
		sp_load_store
		;;
	*)
		expect_fail sp_msg clear_fault external_writerr
		sp_msg clear_fault "$(fault_of "$1")"
		;;
	esac
	wait_st state active
	expect_st fault -
	expect_st mode protect
	wait_event "SNAPPROT_(CLEARED|ARRIVED).*STATE=active"
}

protect_case()
{
	fault_layers 0 "$1"
	fault_volume "$1" protect
	klog_mark
	events_start
	"provoke_$1"
	expect_blocked_by "$1"
	expect_not_cleared "$1"
	"repair_$1"
	expect_st state blocked
	clear_it "$1"
	images_check
	images_hot_writes 21
	images_write_at $((COLD + 1024)) 64 79
	images_take 9
	images_hot_writes 22
	images_check

	sp_remove origin
	sp_remove store
	module_reload
	images_up
	expect_st mode protect
	images_check
	expect_eq "snapshots" "$(images_list)" "1 2 9"
	sp_remove origin
	sp_remove store
	"$SNAPPROT" check "$STORE" > /dev/null
}

CASES=()
for name in ${ONLY:-$FAULT_NAMES}; do
	eval "case_$name() { protect_case $name; }"
	CASES+=("case_$name")
done
run_cases "${CASES[@]}"
