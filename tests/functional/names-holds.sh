#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Names, holds, ids that are chosen, and what each snapshot costs.
# disks: 64M 64M 64M
# timeout: 300

# shellcheck disable=SC2119 # functions whose arguments are optional
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/states.sh
. "$TOP/tests/lib/states.sh"

EINVAL="Invalid argument"
EPERM="Operation not permitted"

# snap_field <id> <number>: of its line in the list
snap_field()
{
	sp_list | awk -v id="$1" -v n="$2" '$1 == id { print $n }'
}

uuid_of() { snap_field "$1" 5; }
hold_of() { snap_field "$1" 6; }
name_of() { snap_field "$1" 7; }

again()
{
	store_away
	sp_load_store
	sp_load_origin
	expect_st state active
}

# covers: snapshots: create_snap - takes an id that was never used, and the answer is the id
case_chosen_ids()
{
	sp_up
	expect_eq "first" "$(sp_msg create_snap -)" 1
	expect_eq "second" "$(sp_msg create_snap -)" 2
	sp_delete 2
	expect_eq "after a deletion" "$(sp_msg create_snap -)" 3
	sp_delete 3
	sp_delete 1
	again
	expect_eq "after a deletion of all" "$(sp_msg create_snap -)" 4
	expect_eq "given" "$(sp_msg create_snap 20)" 20
	expect_eq "above that" "$(sp_msg create_snap -)" 21
	sp_delete 21
	expect_eq "never again" "$(sp_msg create_snap -)" 22
	sp_create 4294967295
	expect_fail sp_msg create_snap -
	expect_eq "ids" "$(sp_list | cut -d ' ' -f 1 | paste -sd ' ')" \
		"4 20 22 4294967295"
}

# covers: snapshots: a UUID of its own, which stays
case_uuids()
{
	local one two

	sp_up
	sp_create 1
	sp_create 2
	one=$(uuid_of 1)
	two=$(uuid_of 2)
	expect_match "UUID" "$one" "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
	[ "$one" != "$two" ] || fail "two snapshots with one UUID"
	sp_msg set_snap 1 name=other
	again
	expect_eq "UUID" "$(uuid_of 1)" "$one"
	sp_delete 1
	sp_create 1
	[ "$(uuid_of 1)" != "$one" ] || fail "another snapshot with its UUID"
}

# covers: snapshots: names: unique, 0 to 63 bytes of printable UTF-8 without / and blanks
case_names()
{
	local bad long

	to_active
	expect_eq "no name" "$(name_of 1)" -
	sp_msg create_snap 2 name=before-the-update > /dev/null
	expect_eq "name" "$(name_of 2)" before-the-update
	expect_error "File exists" sp_msg create_snap 3 name=before-the-update
	expect_error "File exists" sp_msg set_snap 1 name=before-the-update
	long=$(printf 'x%.0s' {1..63})
	for bad in a/b / "${long}x" - $'a\tb' $'\xff' $'a\x01'; do
		expect_error "$EINVAL" sp_msg create_snap 3 "name=$bad"
		expect_error "$EINVAL" sp_msg set_snap 1 "name=$bad"
	done
	expect_error "$EINVAL" sp_msg set_snap 1 name=a name=b
	expect_error "$EINVAL" sp_msg set_snap 1 label=a
	expect_fail sp_msg set_snap 9 name=nobody
	sp_msg set_snap 1 "name=$long"
	sp_msg set_snap 2 "name=Münster-日本"
	again
	expect_eq "long name" "$(name_of 1)" "$long"
	expect_eq "name" "$(name_of 2)" "Münster-日本"
	# The name that it has is no other's, and one that was let go is free.
	sp_msg set_snap 2 "name=Münster-日本"
	sp_msg set_snap 2 name=
	expect_eq "no name" "$(name_of 2)" -
	sp_msg set_snap 1 "name=Münster-日本"
	expect_st valid 2
	expect_image 1
}

# covers: snapshots: hold forever: not deleted until it is taken off
case_hold_forever()
{
	to_active
	sp_msg create_snap 2 hold=forever name=kept > /dev/null
	expect_eq "hold" "$(hold_of 2)" forever
	expect_error "$EPERM" sp_delete 2
	again
	expect_error "$EPERM" sp_delete 2
	sp_delete 1
	sp_msg set_snap 2 hold=0
	expect_eq "hold" "$(hold_of 2)" -
	expect_eq "name" "$(name_of 2)" kept
	sp_delete 2
	expect_st valid 0
}

# covers: snapshots: hold until a time: longer by anybody, shorter by nobody before it ends
case_hold_until()
{
	local now

	to_active
	now=$(date +%s)
	sp_msg set_snap 1 hold=$((now + 1000))
	expect_eq "hold" "$(hold_of 1)" $((now + 1000))
	expect_error "$EPERM" sp_delete 1
	sp_msg set_snap 1 hold=$((now + 2000))
	sp_msg set_snap 1 hold=$((now + 2000))
	for now in $((now + 1999)) 0 1 forever; do
		expect_error "$EPERM" sp_msg set_snap 1 "hold=$now"
	done
	for now in -1 +1 1x '' never 18446744073709551615 18446744073709551616; do
		expect_error "$EINVAL" sp_msg set_snap 1 "hold=$now"
	done
	# One that ends.
	now=$(date +%s)
	sp_msg create_snap 2 hold=$((now + 2)) > /dev/null
	expect_error "$EPERM" sp_delete 2
	wait_for 10 sp_delete 2
	[ "$(date +%s)" -ge $((now + 2)) ] || fail "deleted before its time"
	expect_st valid 1
}

# covers: snapshots: a lost one can be struck off, held or not
case_hold_of_a_lost_one()
{
	to_active
	sp_msg set_snap 1 hold=forever
	sp_remove store
	wait_st state nostore
	sp_load_store
	expect_eq "snapshot 1" "$(snap_state 1)" lost
	sp_delete 1
	expect_st lost 0
}

# covers: targets: delete_oldest leaves out those that are held
case_hold_and_delete_oldest()
{
	small_store
	sp_up delete_oldest grow_timeout 0
	write_at "$ORIGIN_DM" 0 4096 1
	sp_msg create_snap 1 hold=forever > /dev/null
	write_at "$ORIGIN_DM" 0 4096 2
	events_start
	for n in 2 3 4 5; do
		sp_create "$n"
		write_at "$ORIGIN_DM" 0 4096 $((n + 1))
	done
	wait_event SNAPPROT_DELETED_OLDEST
	expect_st state active
	expect_st lost 0
	expect_eq "the held one" "$(snap_state 1)" valid
	expect_eq "the oldest of the others" "$(snap_state 2)" ""
	expect_image 1
}

# covers: messages: usage: <id> <blocks only it needs> <blocks it needs>
case_usage()
{
	sp_up
	expect_eq "empty" "$(sp_msg usage)" ""
	write_at "$ORIGIN_DM" 0 8192 1
	sp_create 1
	expect_eq "usage" "$(sp_msg usage)" "1 0 0"
	write_at "$ORIGIN_DM" 0 2048 2
	expect_eq "usage" "$(sp_msg usage)" "1 256 256"
	sp_create 2
	write_at "$ORIGIN_DM" 0 2048 3
	write_at "$ORIGIN_DM" 4096 800 3
	expect_eq "usage" "$(sp_msg usage | paste -sd ,)" \
		"1 256 356,2 256 356"
	again
	expect_eq "usage" "$(sp_msg usage | paste -sd ,)" \
		"1 256 356,2 256 356"
	sp_delete 2
	expect_eq "usage" "$(sp_msg usage)" "1 356 356"
	sp_remove store
	wait_st state nostore
	expect_error "No such device" sp_msg usage
	sp_load_store
	expect_eq "of a lost one" "$(sp_msg usage)" "1 0 0"
}

# covers: snapshots: a view is bound to its snapshot, not to the id
case_view_is_bound()
{
	local n

	small_store
	sp_up delete_oldest grow_timeout 0
	write_at "$ORIGIN_DM" 0 4096 1
	sp_create 1
	sp_load_view 1
	verify_at /dev/mapper/snap1 0 4096 1
	# It goes although there is a view of it.
	events_start
	for n in 2 3 4 5; do
		write_at "$ORIGIN_DM" 0 4096 "$n"
		sp_create "$n"
	done
	write_at "$ORIGIN_DM" 0 4096 6
	wait_event SNAPPROT_DELETED_OLDEST
	expect_eq "snapshot 1" "$(snap_state 1)" ""
	expect_fail read_at /dev/mapper/snap1 0 8
	for n in 2 3 4 5; do
		[ -z "$(snap_state "$n")" ] || sp_delete "$n"
	done
	sp_create 1
	expect_fail read_at /dev/mapper/snap1 0 8
	expect_eq "view" "$(view_st 1)" lost
	# Nor is the new one kept by it.
	sp_delete 1
}

run_cases case_chosen_ids case_uuids case_names case_hold_forever \
	case_hold_until case_hold_of_a_lost_one case_hold_and_delete_oldest \
	case_usage case_view_is_bound
