#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A reboot in each of the four states with snapshots: a clean one, before which
# everything is removed, and one that finds all of it loaded and writes held.
# disks: 40M 64M
# boots: 5
# timeout: 90
# covers: promises: nothing hangs: shutdown in every state

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/images.sh
. "$TOP/tests/lib/images.sh"
# shellcheck source=tests/lib/faults.sh
. "$TOP/tests/lib/faults.sh"

SHARED=yes
# Those that a boot leaves loaded, the slices they are on being 4 to 7.
FORCED=(active waiting nostore blocked)

enter_active()
{
	fault_volume active
	(while :; do images_hot_writes 40; done) &
	WRITER=$!
}

writes_are_held()
{
	[ "$(st held)" -gt 0 ]
}

# It is held as long as this boot goes on, or fails, but is never done.
held_write()
{
	(expect_error "Input/output error" cold_write) &
	WRITER=$!
	wait_for 20 writes_are_held
}

# With a write that is held.
enter_waiting()
{
	fault_volume waiting
	volume_away
	sp_load_origin
	expect_st state waiting
	held_write
}

# The store has gone, and in normal mode that costs the snapshots.
enter_nostore()
{
	fault_volume nostore
	sp_remove store
	wait_st state nostore
	images_hot_writes 41
}

# With a write that is held.
enter_blocked()
{
	fault_volume blocked protect queue_on_fault
	sp_remove store
	wait_st state blocked
	held_write
}

# enter <state> <slice>: the writes of "active" go on, and the volume with them
enter()
{
	fault_layers "$2" "$1"
	"enter_$1"
	images_keep "$2"
}

# What is left of it afterwards is the snapshots. The live volume is that of
# before, except where writes were under way.
check()
{
	defer dm_down
	fault_layers "$2" "$1"
	images_recall "$2"
	images_up
	expect_st state active
	if [ "$1" = active ]; then
		blkpat copy "$ORIGIN_DM" "$SHADOW"
	else
		images_recall_origin
	fi
	if [ "$1" = nostore ]; then
		images_check_lost
	else
		images_check
	fi
	if [ "$1" = blocked ]; then
		expect_st mode protect
	else
		expect_st mode normal
	fi
}

# Everything is removed, as a shutdown does it. A device that is open cannot be
# removed, so the writer has to end, for which a suspend is enough.
clean_case()
{
	defer dm_down
	enter "$1" "$2"
	case $1 in
	active)
		kill "$WRITER"
		wait "$WRITER" || :
		;;
	waiting | blocked)
		dmsetup suspend origin
		wait "$WRITER"
		dmsetup resume origin
		;;
	esac
	sp_remove origin
	! dm_names | grep -qx store || sp_remove store
}

CASES=()
n=0
for state in "${FORCED[@]}"; do
	if [ "$BOOT" = 1 ]; then
		eval "case_clean_$state() { clean_case $state $n; }"
		CASES+=("case_clean_$state")
	elif [ "$BOOT" = 2 ]; then
		eval "case_after_clean_$state() { check $state $n; }"
		CASES+=("case_after_clean_$state")
	fi
	n=$((n + 1))
done
if [ "$BOOT" -gt 1 ]; then
	state=${FORCED[BOOT - 2]}
	eval "case_after_forced_$state() { check $state $((BOOT + 2)); }"
	CASES+=("case_after_forced_$state")
fi
if [ "$BOOT" -lt "$BOOTS" ]; then
	state=${FORCED[BOOT - 1]}
	eval "case_forced_$state() { enter $state $((BOOT + 3)); }"
	CASES+=("case_forced_$state")
fi
run_cases "${CASES[@]}"
