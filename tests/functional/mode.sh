#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Protection mode: what switches it on, and that only the message switches it
# off.
# disks: 64M 64M 64M 64M
# timeout: 300

# shellcheck disable=SC2119 # functions whose arguments are optional
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/states.sh
. "$TOP/tests/lib/states.sh"

# protected <device>: what the label or the store on it says
protected()
{
	"$SNAPPROT" probe "$1" | sed -n 's/^SNAPPROT_PROTECTED=//p' |
		tr -d "\"'"
}

# covers: mode: normal unless something says otherwise
case_default()
{
	sp_up
	expect_st mode normal
	expect_eq "label" "$(protected "$ORIGIN")" 0
	expect_eq "store" "$(protected "$STORE")" 0
}

# covers: mode: protection if the table says so; label and store learn it
case_table()
{
	sp_up protect
	expect_st mode protect
	expect_eq "label" "$(protected "$ORIGIN")" 1
	expect_eq "store" "$(protected "$STORE")" 1
	# The table can only make things stricter.
	sp_reload origin
	expect_st mode protect
	sp_remove origin
	sp_load_origin
	expect_st mode protect
}

# covers: mode: protection if the table says so, in a reload; label and store learn it
case_table_reload()
{
	to_active
	sp_reload origin protect
	expect_st mode protect
	expect_eq "label" "$(protected "$ORIGIN")" 1
	expect_eq "store" "$(protected "$STORE")" 1
}

# covers: mode: protection if the label says so; the store learns it
case_label()
{
	sp_format
	sp_load_origin protect
	sp_remove origin
	expect_eq "label" "$(protected "$ORIGIN")" 1
	expect_eq "store" "$(protected "$STORE")" 0
	sp_load_origin
	expect_st mode protect
	sp_load_store
	expect_st mode protect
	expect_eq "store" "$(protected "$STORE")" 1
}

# covers: mode: protection if the store says so; the label learns it
case_store()
{
	sp_up
	store_away
	label_save
	sp_load_store
	sp_load_origin protect
	store_away
	label_restore
	expect_eq "label" "$(protected "$ORIGIN")" 0
	expect_eq "store" "$(protected "$STORE")" 1
	sp_load_origin
	expect_st mode normal
	sp_load_store
	expect_st mode protect
	expect_eq "label" "$(protected "$ORIGIN")" 1
}

# covers: mode: protection by the store alone, without any label
case_store_without_label()
{
	sp_format --unlabelled
	sp_load_store
	sp_load_origin protect
	store_away
	sp_load_store
	sp_load_origin unlabelled
	expect_st mode protect
}

# covers: mode: the only way out is the message, and it is for good
case_way_out()
{
	local n

	to_active protect
	for n in 1 2; do
		store_away
		sp_load_store
		sp_load_origin
		expect_st mode protect
	done
	sp_msg normal
	expect_eq "label" "$(protected "$ORIGIN")" 0
	expect_eq "store" "$(protected "$STORE")" 0
	store_away
	sp_load_store
	sp_load_origin
	expect_st mode normal
	expect_image 1
}

# covers: mode: a table with protect wins over an earlier message
case_table_wins_over_message()
{
	to_active protect
	sp_msg normal
	expect_st mode normal
	sp_remove origin
	sp_load_origin protect
	expect_st mode protect
}

# covers: mode: normal while the store is away: the store does not bring protection back
case_normal_while_store_away()
{
	to_active protect
	store_away
	sp_load_origin
	expect_st state waiting
	sp_msg normal
	expect_st mode normal
	sp_remove origin
	sp_load_origin
	expect_st mode normal
	# Here it is stricter to believe the store, which still says protect.
	sp_load_store
	expect_st mode protect
	expect_st valid 1
	expect_image 1
}

# covers: mode: normal: the origin wins
case_normal_origin_wins()
{
	to_active
	sp_remove store
	write_at "$ORIGIN_DM" 0 2048 2
	verify_at "$ORIGIN" 0 2048 2
	expect_st valid 0
}

# covers: mode: protect: the snapshots win
case_protect_snapshots_win()
{
	to_active protect
	sp_remove store
	expect_fail write_at "$ORIGIN_DM" 0 2048 2
	verify_at "$ORIGIN" 0 2048 1
	sp_load_store
	expect_image 1
}

# covers: mode: protect can be switched on while waiting, and counts at once
case_protect_while_waiting()
{
	to_waiting
	sp_msg protect
	hold_write 0 2
	sp_msg set grace 0
	wait_st state blocked
	reap "$WRITER" failed
	sp_load_store
	expect_st state active
	expect_st mode protect
	expect_eq "store" "$(protected "$STORE")" 1
	expect_image 1
}

run_cases case_default case_table case_table_reload case_label case_store \
	case_store_without_label case_way_out case_table_wins_over_message \
	case_normal_while_store_away case_normal_origin_wins \
	case_protect_snapshots_win case_protect_while_waiting
