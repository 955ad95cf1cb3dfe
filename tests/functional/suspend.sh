#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Nothing hangs: in each state suspend in each of its forms, resume, remove,
# reload and the module's unloading end within seconds, whatever is held.
# disks: 64M 64M 64M 64M
# timeout: 400

# shellcheck disable=SC2119 # functions whose arguments are optional
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/states.sh
. "$TOP/tests/lib/states.sh"

# Words for dmsetup suspend: all four forms.
FORMS=("" "--noflush" "--nolockfs" "--noflush --nolockfs")

# every_form <device>: suspend and resume in each form, nothing being held
every_form()
{
	local form

	for form in "${FORMS[@]}"; do
		# shellcheck disable=SC2086 # options, or none
		quickly dmsetup suspend $form "$1"
		expect_eq "suspended" "$(dmsetup info -c --noheadings \
			-o suspended "$1")" Suspended
		quickly dmsetup resume "$1"
	done
}

# covers: nothing hangs: suspend in all four forms, resume: origin, each state
case_suspend_origin()
{
	local state

	for state in $STATES; do
		"to_$state"
		every_form origin
		expect_st state "$state"
		dm_down
		blkpat zero "$ORIGIN" "$STORE"
	done
}

# covers: nothing hangs: suspend in all four forms, resume: store and view, active
case_suspend_store_and_view()
{
	to_active protect
	sp_load_view 1
	every_form store
	every_form snap1
	expect_st state active
	expect_eq "store" "$(store_st state)" online
	write_at "$ORIGIN_DM" 0 8 2
	verify_at /dev/mapper/snap1 0 2048 1
}

# covers: nothing hangs: suspend in all four forms with the store's device failing
case_suspend_store_failed()
{
	low_store
	to_active protect
	sp_load_view 1
	layer_error low
	expect_fail write_at "$ORIGIN_DM" 0 8 2
	wait_st state blocked
	every_form store
	every_form snap1
	every_form origin
	expect_st state blocked
	layer_linear low
	sp_msg clear_fault
	expect_st state active
	verify_at /dev/mapper/snap1 0 2048 1
}

# held_forms <way to be held>: with a write held, each form of suspend ends. With
# --noflush the write is neither lost nor failed, and held again after it.
held_forms()
{
	local form

	for form in "--noflush" "--noflush --nolockfs"; do
		# shellcheck disable=SC2086 # options
		quickly dmsetup suspend $form origin
		quickly dmsetup resume origin
		wait_st held 1
		! ended "$WRITER" || fail "the write is not held after: $form"
	done
}

# lossy_forms: without --noflush what is held cannot go back; it fails, at once
lossy_forms()
{
	local form

	for form in "" "--nolockfs"; do
		hold_write 64 3
		# shellcheck disable=SC2086 # options, or none
		quickly dmsetup suspend $form origin
		reap "$WRITER" failed
		quickly dmsetup resume origin
		expect_st held 0
	done
	verify_at "$ORIGIN" 0 2048 1
}

# covers: nothing hangs: suspend with a write held, waiting
case_suspend_held_waiting()
{
	to_waiting
	lossy_forms
	hold_write 64 2
	held_forms
	expect_st state waiting
	sp_load_store
	reap "$WRITER" ok
	verify_at "$ORIGIN_DM" 64 8 2
	expect_image 1
}

# covers: nothing hangs: suspend with a write held, blocked with queue_on_fault
case_suspend_held_blocked()
{
	to_blocked queue_on_fault
	lossy_forms
	hold_write 64 2
	held_forms
	expect_st state blocked
	sp_load_store
	reap "$WRITER" ok
	verify_at "$ORIGIN_DM" 64 8 2
	expect_image 1
}

# covers: nothing hangs: suspend with a write held, the store suspended
case_suspend_held_store_suspended()
{
	to_active
	dmsetup suspend store
	lossy_forms
	hold_write 64 2
	held_forms
	expect_st state active
	dmsetup resume store
	reap "$WRITER" ok
	expect_image 1
}

# covers: nothing hangs: suspend with writes held for want of space
case_suspend_held_no_space()
{
	small_store
	to_active protect grow_timeout 300
	run_out_of_space
	quickly dmsetup suspend --noflush origin
	quickly dmsetup resume origin
	! ended "$WRITER" || fail "the write is not held"
	quickly dmsetup suspend origin
	reap "$WRITER" failed
	quickly dmsetup resume origin
	expect_st state active
	sp_delete 1
	write_at "$ORIGIN_DM" 0 2048 2
}

# covers: nothing hangs: suspend of a view that waits for a suspended store
case_suspend_view_store_suspended()
{
	local reader

	to_active
	write_at "$ORIGIN_DM" 0 2048 2
	sp_load_view 1
	dmsetup suspend store
	verify_at /dev/mapper/snap1 0 2048 1 &
	reader=$!
	wait_for 20 is_held "$reader"
	quickly dmsetup suspend --noflush snap1
	quickly dmsetup resume snap1
	wait_for 20 is_held "$reader"
	dmsetup resume store
	reap "$reader" ok
	dmsetup suspend store
	read_at /dev/mapper/snap1 0 8 2> /dev/null &
	reader=$!
	wait_for 20 is_held "$reader"
	quickly dmsetup suspend snap1
	reap "$reader" failed
	quickly dmsetup resume snap1
	dmsetup resume store
	verify_at /dev/mapper/snap1 0 2048 1
}

# covers: nothing hangs: the grace timer ends what is held while suspended, and after it
case_grace_ends_while_suspended()
{
	to_waiting protect
	hold_write 64 2
	quickly dmsetup suspend --noflush origin
	sp_msg set grace 0
	wait_st state blocked
	quickly dmsetup resume origin
	reap "$WRITER" failed
	verify_at "$ORIGIN" 0 2048 1
}

# covers: nothing hangs: the store arrives while the origin is suspended
case_store_arrives_while_suspended()
{
	to_waiting
	hold_write 64 2
	quickly dmsetup suspend --noflush origin
	quickly dmsetup create store --table "$(store_table)"
	expect_st state active
	quickly dmsetup resume origin
	reap "$WRITER" ok
	expect_image 1
}

# covers: nothing hangs: remove in each state, in any order
case_remove()
{
	local state order one

	for state in $STATES; do
		for order in "origin store" "store origin"; do
			"to_$state"
			for one in $order; do
				dmsetup info "$one" > /dev/null 2>&1 || continue
				quickly dmsetup remove "$one"
			done
			expect_eq "devices" "$(dm_names)" ""
			blkpat zero "$ORIGIN" "$STORE"
		done
	done
}

# covers: nothing hangs: remove --force with a write held, each state that holds
case_remove_held()
{
	to_waiting
	hold_write 64 2
	quickly dmsetup remove --force origin 2> /dev/null || :
	reap "$WRITER" failed
	wait_for 20 gone origin
	sp_load_store
	sp_load_origin protect queue_on_fault
	sp_remove store
	wait_st state blocked
	hold_write 64 2
	quickly dmsetup remove --force origin 2> /dev/null || :
	reap "$WRITER" failed
	wait_for 20 gone origin
	verify_at "$ORIGIN" 0 2048 1
	sp_load_store
	sp_load_origin
	dmsetup suspend store
	hold_write 64 2
	quickly dmsetup remove --force origin 2> /dev/null || :
	reap "$WRITER" failed
	wait_for 20 gone origin
	quickly dmsetup remove store
	verify_at "$ORIGIN" 0 2048 1
}

# shellcheck disable=SC2317 # called by name
gone()
{
	! dmsetup info "$1" > /dev/null 2>&1 || dmsetup remove "$1"
}

# covers: nothing hangs: reload in each state
case_reload()
{
	local state

	for state in $STATES; do
		"to_$state"
		quickly dmsetup load origin --table "$(origin_table grace 250)"
		quickly dmsetup suspend origin
		quickly dmsetup resume origin
		expect_st state "$state"
		dm_down
		blkpat zero "$ORIGIN" "$STORE"
	done
}

# covers: nothing hangs: the module unloads after each state
case_unload()
{
	local state

	for state in $STATES; do
		"to_$state"
		expect_fail rmmod dm-snapprot
		dm_down
		quickly rmmod dm-snapprot
		modprobe dm-snapprot
		blkpat zero "$ORIGIN" "$STORE"
	done
}

run_cases case_suspend_origin case_suspend_store_and_view \
	case_suspend_store_failed case_suspend_held_waiting \
	case_suspend_held_blocked case_suspend_held_store_suspended \
	case_suspend_held_no_space case_suspend_view_store_suspended \
	case_grace_ends_while_suspended case_store_arrives_while_suspended \
	case_remove case_remove_held case_reload case_unload
