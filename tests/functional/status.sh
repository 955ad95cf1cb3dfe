#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The status lines of the three targets, field by field.
# disks: 64M 64M 64M 64M
# timeout: 300

# shellcheck disable=SC2119 # functions whose arguments are optional
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/states.sh
. "$TOP/tests/lib/states.sh"

SPACE="[0-9]+/[0-9]+"

# line <device>: its status behind the target's name
line()
{
	local words

	words=$(dmsetup status "$1")
	words=${words#* * }
	echo "${words#* }"
}

# expect_line <device> <extended regular expression>
expect_line()
{
	expect_match "status of $1" "$(line "$1")" "^$2$"
}

# covers: status: snapprot: all fields, in each state
case_origin_each_state()
{
	sp_format
	sp_load_origin
	expect_line origin "normal nostore - 0 0 0 - - 0 label"
	sp_load_store
	expect_line origin "normal active - 0 0 0 $SPACE - 0 label"
	write_at "$ORIGIN_DM" 0 2048 1
	sp_create 1
	expect_line origin "normal active - 0 1 0 $SPACE - 0 label"
	sp_remove origin
	sp_remove store
	sp_load_origin protect grace 200
	expect_line origin \
		"protect waiting - 0 [01] 0 - (200|1[0-9][0-9]) 0 label"
	hold_write 0 2
	expect_line origin \
		"protect waiting - 0 [01] 0 - (200|1[0-9][0-9]) 1 label"
	sp_msg set grace 0
	wait_st state blocked
	reap "$WRITER" failed
	expect_line origin \
		"protect blocked store_missing 110 [01] 0 - - 0 label"
	sp_load_store
	expect_line origin "protect active - 0 1 0 $SPACE - 0 label"
	sp_remove store
	wait_st state blocked
	expect_line origin "protect blocked store_removed 19 1 0 - - 0 label"
	sp_msg normal drop_snapshots
	expect_line origin "normal nostore store_removed 19 0 1 - - 0 label"
	sp_load_store
	# The store has not heard of the other mode, and the stricter one wins.
	expect_line origin "protect active - 0 0 1 $SPACE - 0 label"
}

# covers: status: snapprot: <label|nolabel>
case_origin_label()
{
	sp_up
	expect_st label label
	dm_down
	blkpat zero "$STORE" "$ORIGIN"
	sp_format --unlabelled
	sp_load_store
	sp_load_origin unlabelled
	expect_line origin "normal active - 0 0 0 $SPACE - 0 nolabel"
}

# covers: status: <used>/<total>: sectors of 512 bytes, the same on origin and store
case_space()
{
	local used

	to_active
	expect_st total "$(sectors "$STORE")"
	expect_eq "store's" "$(store_st space)" "$(st space)"
	used=$(st used)
	[ "$used" -gt 0 ] || fail "used: $used"
	write_at "$ORIGIN_DM" 0 4096 2
	used=$(($(st used) - used))
	# The data, and no more than a twentieth of it for what describes it.
	[[ $used -ge 4096 && $used -le 4304 ]] || fail "used $used for 4096"
	expect_eq "store's" "$(store_st space)" "$(st space)"
}

# covers: status: <#snapshots valid> and <#lost>
case_counts()
{
	to_active
	sp_create 2
	sp_create 3
	expect_st valid 3
	sp_delete 2
	expect_st valid 2
	expect_st lost 0
	sp_remove store
	wait_st state nostore
	expect_st valid 0
	expect_st lost 2
	sp_load_store
	expect_st lost 2
	sp_create 4
	expect_st valid 1
	expect_st lost 2
}

# covers: status: <grace s left|->: counts down
case_grace_counts_down()
{
	local left

	to_waiting grace 100
	left=$(st grace)
	[[ $left -le 100 && $left -gt 50 ]] || fail "grace: $left s left"
	wait_for 10 grace_below "$left"
	sp_load_store
	expect_st grace -
}

# shellcheck disable=SC2317 # called by name
grace_below()
{
	[ "$(st grace)" -lt "$1" ]
}

# covers: status: <held bios>
case_held()
{
	local writers=() n

	to_waiting
	for n in 1 2 3; do
		hold_write $((n * 64)) 2
		writers+=("$WRITER")
		expect_st held "$n"
	done
	sp_load_store
	for n in "${writers[@]}"; do
		reap "$n" ok
	done
	expect_st held 0
}

# covers: status: <fault> stays until it is dealt with, and <errno> with it
case_fault_stays()
{
	to_active
	sp_remove store
	wait_st state nostore
	expect_st fault store_removed
	expect_st errno 19
	write_at "$ORIGIN_DM" 0 8 2
	dmsetup suspend origin
	dmsetup resume origin
	expect_st fault store_removed
	sp_load_store
	expect_st fault -
	expect_st errno 0
}

# covers: status: snapprot-store: <volume uuid> <online|suspended|failed|unclaimed>
case_store()
{
	low_store
	sp_format
	sp_load_store
	expect_line store "$VOLUME_UUID unclaimed $SPACE - -"
	sp_load_origin
	expect_line store "$VOLUME_UUID online $SPACE - -"
	write_at "$ORIGIN_DM" 0 2048 1
	sp_create 1
	dmsetup suspend store
	expect_line store "$VOLUME_UUID suspended $SPACE - -"
	dmsetup resume store
	expect_line store "$VOLUME_UUID online $SPACE - -"
	sp_remove origin
	expect_line store "$VOLUME_UUID unclaimed $SPACE - -"
	sp_load_origin
	expect_line store "$VOLUME_UUID online $SPACE - -"
	layer_error low
	write_at "$ORIGIN_DM" 0 8 2
	wait_st state nostore
	expect_line store "$VOLUME_UUID failed ($SPACE|-) - -"
	layer_linear low
}

# covers: status: snapprot-store: <low|->
case_store_low()
{
	low_store 16384
	sp_format
	sp_load_store low_water 50
	sp_load_origin
	sp_create 1
	expect_line store "$VOLUME_UUID online $SPACE - -"
	write_at "$ORIGIN_DM" 0 9000 2
	expect_line store "$VOLUME_UUID online $SPACE low -"
	sp_delete 1
	wait_value 20 - store_st low
}

# covers: status: snapprot-store: <protected|->
case_store_protected()
{
	sp_up
	expect_line store "$VOLUME_UUID online $SPACE - -"
	sp_msg protect
	expect_line store "$VOLUME_UUID online $SPACE - protected"
	sp_msg normal
	expect_line store "$VOLUME_UUID online $SPACE - -"
}

# covers: status: snapprot-snapshot: <id> <valid|lost|offline>
case_view()
{
	to_active
	sp_load_view 1
	expect_line snap1 "1 valid"
	dmsetup suspend store
	expect_match "while suspended" "$(line snap1)" "^1 (valid|offline)$"
	dmsetup resume store
	expect_line snap1 "1 valid"
	sp_remove origin
	expect_line snap1 "1 offline"
	sp_load_origin protect
	expect_line snap1 "1 valid"
	sp_remove store
	wait_st state blocked
	expect_line snap1 "1 offline"
	sp_load_store
	expect_line snap1 "1 valid"
	sp_remove store
	wait_st state blocked
	sp_msg normal drop_snapshots
	expect_line snap1 "1 lost"
	sp_load_store
	expect_line snap1 "1 lost"
}

run_cases case_origin_each_state case_origin_label case_space case_counts \
	case_grace_counts_down case_held case_fault_stays case_store \
	case_store_low case_store_protected case_view
