#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Each change of state, mode, fault and low water is one event of device-mapper
# and one uevent, on the device that it concerns.
# disks: 64M 64M 64M 64M
# timeout: 300

# shellcheck disable=SC2119 # functions whose arguments are optional
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/states.sh
. "$TOP/tests/lib/states.sh"

# dm_events <device>: how many there have been
dm_events()
{
	dmsetup info -c --noheadings -o events "$1"
}

# begin <device>: what changes from now on is to be seen by one_event
begin()
{
	# Behind a mark there is nothing late of what was before.
	: > "$EVENTS"
	echo change > "/sys/block/$(dm_kernel_name "$1")/uevent"
	wait_event SYNTH_UUID=
	: > "$EVENTS"
	DEVICE=$1
	BEFORE=$(dm_events "$1")
	dmsetup wait "$1" "$BEFORE" &
	WAITER=$!
}

# one_event <action> <state> <mode> <fault>: exactly one of each kind, and no
# uevent of another action
one_event()
{
	wait_event "^ACTION=change DEVNAME=$(dm_kernel_name "$DEVICE") .*\
DM_ACTION=SNAPPROT_$1 .*DM_NAME=$DEVICE .*DM_SNAPPROT_VOLUME=$VOLUME_UUID \
DM_SNAPPROT_STATE=$2 DM_SNAPPROT_MODE=$3 DM_SNAPPROT_FAULT=$4\$"
	wait_for 20 ended "$WAITER"
	expect_eq "dm events" "$(dm_events "$DEVICE")" $((BEFORE + 1))
	expect_eq "uevents" "$(events DM_ACTION=SNAPPROT_)" 1
}

# covers: events: BLOCKED
case_blocked()
{
	to_active protect
	events_start
	begin origin
	sp_remove store
	one_event BLOCKED blocked protect store_removed
}

# covers: events: BLOCKED, by the end of grace
case_blocked_by_grace()
{
	to_waiting protect
	events_start
	begin origin
	sp_msg set grace 0
	one_event BLOCKED blocked protect store_missing
}

# covers: events: CLEARED
case_cleared()
{
	low_store
	to_active protect
	layer_error low
	expect_fail write_at "$ORIGIN_DM" 0 8 2
	wait_st state blocked
	layer_linear low
	events_start
	begin origin
	sp_msg clear_fault
	one_event CLEARED active protect -
}

# covers: events: LOST, by a fault in normal mode
case_lost()
{
	to_active
	events_start
	begin origin
	sp_remove store
	one_event LOST nostore normal store_removed
}

# covers: events: LOST, where the store still works
case_lost_store_works()
{
	small_store
	to_active grow_timeout 300
	run_out_of_space
	events_start
	begin origin
	sp_msg grow_failed
	one_event LOST active normal grow_failed
	reap "$WRITER" ok
}

# covers: events: LOST, by normal drop_snapshots, and MODE
case_lost_by_message()
{
	to_blocked
	events_start
	begin origin
	sp_msg normal drop_snapshots
	wait_event "DM_ACTION=SNAPPROT_LOST .*STATE=nostore"
	wait_event "DM_ACTION=SNAPPROT_MODE .*STATE=nostore .*MODE=normal"
	wait_for 20 ended "$WAITER"
	expect_eq "dm events" "$(dm_events origin)" $((BEFORE + 2))
	expect_eq "uevents" "$(events DM_ACTION=SNAPPROT_)" 2
}

# covers: events: WAITING
case_waiting()
{
	to_active
	store_away
	events_start
	: > "$EVENTS"
	sp_load_origin protect
	wait_event "DM_ACTION=SNAPPROT_WAITING .*DM_NAME=origin .*STATE=waiting \
DM_SNAPPROT_MODE=protect DM_SNAPPROT_FAULT=-"
	expect_eq "uevents" "$(events DM_ACTION=SNAPPROT_)" 1
}

# covers: events: ARRIVED, in waiting, in nostore, in blocked
case_arrived()
{
	to_nostore
	events_start
	begin origin
	sp_load_store
	one_event ARRIVED active normal -
	sp_create 1
	store_away
	sp_load_origin protect
	begin origin
	sp_load_store
	one_event ARRIVED active protect -
	sp_remove store
	wait_st state blocked
	begin origin
	sp_load_store
	one_event ARRIVED active protect -
}

# covers: events: MODE
case_mode()
{
	to_active
	events_start
	begin origin
	sp_msg protect
	one_event MODE active protect -
	begin origin
	sp_msg normal
	one_event MODE active normal -
	# What is no change is no event.
	BEFORE=$(dm_events origin)
	: > "$EVENTS"
	sp_msg normal
	sp_msg protect
	sp_msg protect
	wait_event "DM_ACTION=SNAPPROT_MODE"
	expect_eq "dm events" "$(dm_events origin)" $((BEFORE + 1))
	expect_eq "uevents" "$(events DM_ACTION=SNAPPROT_)" 1
}

# covers: events: MODE, by a table
case_mode_by_table()
{
	to_active
	events_start
	: > "$EVENTS"
	sp_reload origin protect
	expect_st mode protect
	wait_event "DM_ACTION=SNAPPROT_MODE .*MODE=protect"
	expect_eq "uevents" "$(events DM_ACTION=SNAPPROT_)" 1
}

# covers: events: LOW_WATER, on the store, once each time it is crossed downwards
case_low_water()
{
	low_store 16384
	sp_format
	sp_load_store low_water 50
	sp_load_origin
	sp_create 1
	events_start
	begin store
	write_at "$ORIGIN_DM" 0 9000 2
	one_event LOW_WATER active normal -
	write_at "$ORIGIN_DM" 9000 1000 2
	sp_delete 1
	wait_value 20 - store_st low
	sp_create 2
	expect_eq "uevents" "$(events DM_ACTION=SNAPPROT_)" 1
	begin store
	write_at "$ORIGIN_DM" 0 9000 2
	one_event LOW_WATER active normal -
}

# covers: events: FULL
case_full()
{
	small_store
	sp_format
	sp_load_store low_water 0
	sp_load_origin protect grow_timeout 300
	sp_create 1
	events_start
	begin origin
	run_out_of_space
	one_event FULL active protect -
	begin origin
	sp_msg grow_failed
	one_event BLOCKED blocked protect grow_failed
	reap "$WRITER" failed
}

# covers: events: DELETED_OLDEST
case_deleted_oldest()
{
	small_store
	sp_format
	sp_load_store low_water 0
	sp_load_origin grow_timeout 0 delete_oldest
	sp_create 1
	write_at "$ORIGIN_DM" 4096 6000 4
	sp_create 2
	events_start
	: > "$EVENTS"
	write_at "$ORIGIN_DM" 24576 12000 6
	wait_event "DM_ACTION=SNAPPROT_DELETED_OLDEST .*DM_NAME=origin .*\
STATE=active"
	expect_eq "deleted" "$(events DM_ACTION=SNAPPROT_DELETED_OLDEST)" 1
	expect_eq "lost" "$(events "DM_ACTION=SNAPPROT_(LOST|BLOCKED)")" 0
}

# covers: events: "dmsetup wait" returns
case_dmsetup_wait()
{
	local waiter seen

	to_active
	# Not in the background, where it might be after the event.
	seen=$(dm_events origin)
	dmsetup wait origin "$seen" &
	waiter=$!
	sp_remove store
	wait_for 20 ended "$waiter"
	wait "$waiter"
}

# covers: events: no event without a change
case_silence()
{
	to_active
	events_start
	: > "$EVENTS"
	BEFORE=$(dm_events origin)
	blkpat write "$ORIGIN_DM" 1 50 64K
	sp_create 2
	sp_delete 1
	sp_msg clear_fault
	sp_msg set grace 5
	dmsetup suspend store
	dmsetup resume store
	dmsetup suspend origin
	dmsetup resume origin
	# An event that comes for certain, after anything that should not.
	sp_msg protect
	wait_event DM_ACTION=SNAPPROT_MODE
	expect_eq "uevents" "$(events DM_ACTION=SNAPPROT_)" 1
	expect_eq "dm events" "$(dm_events origin)" $((BEFORE + 1))
}

run_cases case_blocked case_blocked_by_grace case_cleared case_lost \
	case_lost_store_works case_lost_by_message case_waiting case_arrived \
	case_mode case_mode_by_table case_low_water case_full \
	case_deleted_oldest case_dmsetup_wait case_silence
