#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Workloads to be recorded, each on a new volume. What they leave behind is a log of
# everything that reached the disk; tests/crash/states.sh looks at the states that a
# crash could have left at each moment of it.
# disks: 96M
# cpus: 2
# timeout: 150
# log-writes: yes

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../../lib/common.sh"
# shellcheck source=tests/lib/crash.sh
. "$TOP/tests/lib/crash.sh"

O=6144		# sectors of a small origin: 512 blocks, and the label's 1 MiB
S=16384		# of a store that does not fill up

case_random()
{
	local id

	logged_up random "$O" "$S" protect
	for id in 1 2 3 4 5 6; do
		take "$id"
		change "$id" 25 32K -f 7
		flush_live
	done
	checkpoint
	# A snapshot has what was written before it, also if nobody flushed that.
	change 7 25 32K -u
	take 7
	change 8 25 4K -u
	take 8
	logged_end
}

case_sequential()
{
	logged_up sequential "$O" 24576 protect
	take 1
	blkpat fill "$ORIGIN_DM" 2
	take 2
	take 3
	blkpat fill "$ORIGIN_DM" 3
	checkpoint
	blkpat -s 512 -l 2048 fill "$ORIGIN_DM" 4
	take 4
	blkpat fill "$ORIGIN_DM" 5
	logged_end
}

# What is preserved already is written without asking anybody, in sectors too.
case_rewrite()
{
	local id n

	logged_up rewrite "$O" "$S"
	for id in 1 2 3; do
		take "$id"
		for n in 1 2 3 4; do
			change "$id$n" 20 4K -s 256 -l 256
			change "$id$n" 12 2K -a 512 -s 256 -l 256
		done
		flush_live
		checkpoint
	done
	logged_end
}

case_cycles()
{
	local id

	logged_up cycles "$O" "$S" protect
	take 100
	for id in 1 2 3 4 5 6 7 8 9 10 11 12; do
		take "$id"
		change "$id" 8 16K
		[ "$id" -lt 4 ] || drop $((id - 2))
		[ $((id % 3)) != 0 ] || checkpoint
	done
	# In the middle, the oldest, all but the last.
	drop 11
	change 20 10 16K
	drop 100
	drop 1
	checkpoint
	change 21 10 16K
	drop 12
	checkpoint
	checkpoint
	logged_end
}

discard()
{
	blkdiscard -o $(($1 * 512)) -l $(($2 * 512)) "$ORIGIN_DM"
}

case_discard()
{
	logged_up discard "$O" "$S"
	take 1
	discard 0 512
	change 1 10 16K
	take 2
	# Not whole blocks.
	discard 517 1000
	change 2 10 16K
	discard 2048 2048
	take 3
	blkdiscard -z -o 1048576 -l 524288 "$ORIGIN_DM"
	change 3 10 16K
	checkpoint
	discard 0 4096
	change 4 10 64K
	logged_end
}

grow_store()
{
	dm_swap spart "0 $1 linear $LOGGED $((MARKS_SECTORS + ORIGIN_PART))"
	STORE_PART=$1
	sp_reload store
}

# Writes wait for space, which comes in two steps.
case_full()
{
	local pid outs

	logged_up full 14336 8192 protect
	take 1
	outs=$(space_outs)
	blkpat fill "$ORIGIN_DM" 2 &
	pid=$!
	wait_space_out "$outs"
	outs=$(space_outs)
	asked grow 9216 -- grow_store 9216
	wait_space_out "$outs"
	asked grow 24576 -- grow_store 24576
	wait "$pid"
	take 2
	change 3 20 64K
	# Full again, until a snapshot goes.
	outs=$(space_outs)
	blkpat fill "$ORIGIN_DM" 4 &
	pid=$!
	wait_space_out "$outs"
	drop 1
	asked grow 49152 -- grow_store 49152
	wait "$pid"
	logged_end
}

# Writers, snapshots and checkpoints at the same time. Each writer has a part of its
# own, for which of two writes to one place came last only the disk would know.
case_load()
{
	local pids=() id

	logged_up load "$O" 32768 protect
	take 1
	change 11 90 16K -u -l 2048 &
	pids+=($!)
	change 12 90 4K -f 5 -s 2048 -l 1024 &
	pids+=($!)
	change 13 60 2K -a 512 -s 3072 -l 1024 &
	pids+=($!)
	for id in 2 3 4 5 6 7; do
		take "$id"
		checkpoint
		[ "$id" -lt 5 ] || drop $((id - 3))
	done
	wait "${pids[@]}"
	checkpoint
	logged_end
}

late_store()
{
	sp_load_origin "$@"
	wait_st state waiting
	sp_load_store
	wait_st state active
}

case_arrival()
{
	local pid

	logged_up arrival "$O" "$S"
	take 1
	change 1 20 16K
	live_down
	asked arrive -- live_up
	change 2 20 16K
	take 2
	live_down
	asked arrive -- late_store
	change 3 20 16K
	# The log is left as it is, without a checkpoint at the end.
	dmsetup suspend --noflush --nolockfs store
	live_down
	rmmod dm-snapprot
	modprobe dm-snapprot
	sp_load_origin
	change 4 10 16K &
	pid=$!
	wait_for 10 is_held "$pid"
	asked arrive -- sp_load_store
	wait "$pid"
	take 3
	change 5 20 16K
	drop 2
	logged_end
}

case_modes()
{
	logged_up modes "$O" "$S"
	take 1
	change 1 10 16K
	asked protect -- sp_msg protect
	change 2 10 16K
	take 2
	asked normal -- sp_msg normal
	change 3 10 16K
	live_down
	asked arrive -- live_up
	asked protect -- sp_msg protect
	take 3
	change 4 10 16K
	logged_end
}

# The store goes; the snapshots are given up; it comes back.
case_loss()
{
	logged_up loss "$O" "$S" protect
	take 1
	take 2
	change 1 15 16K
	sp_remove store
	wait_st state blocked
	mark ask normal
	asked drop -- sp_msg normal drop_snapshots
	expect_st state nostore
	change 2 15 16K
	# It still says protect, which is believed.
	asked arrive -- sp_load_store
	wait_st state active
	asked normal -- sp_msg normal
	take 3
	change 3 15 16K
	drop 1
	# In normal mode it takes no message.
	mark ask drop
	sp_remove store
	wait_st state nostore
	mark ack drop
	change 4 15 16K
	asked arrive -- sp_load_store
	wait_st state active
	take 4
	change 5 15 16K
	logged_end
}

# part_is <opart|spart> <target> [<what comes behind the offset>]: from now on
part_is()
{
	local start=$MARKS_SECTORS len=$ORIGIN_PART

	if [ "$1" = spart ]; then
		start=$((MARKS_SECTORS + ORIGIN_PART))
		len=$STORE_PART
	fi
	case $2 in
	error) dm_swap "$1" "0 $len error" ;;
	*) dm_swap "$1" "0 $len $2 $LOGGED $start ${3:-}" ;;
	esac
}

# Three at a time, for whom writing ends with the first error.
write_until_it_fails()
{
	local n

	for n in 1 2 3; do
		blkpat -u -s $((n * 1024)) -l 1024 write "$ORIGIN_DM" "$1$n" \
			1000000 16K 2> /dev/null &
	done
	wait
}

# Nothing gets through, wherever it goes: to what has to be preserved, or has been.
expect_nothing_written()
{
	! blkpat -l 64 fill "$ORIGIN_DM" 9 2> /dev/null || fail "written"
	wait_st state blocked
	wait "$1"
	! blkpat -s 1024 -l 64 fill "$ORIGIN_DM" 9 2> /dev/null ||
		fail "written while blocked"
}

# fails_by <fault> <part_is ...>: while there are writers, who are told
fails_by()
{
	local fault=$1

	shift
	write_until_it_fails "$TAKEN" &
	part_is "$@"
	expect_nothing_written $!
	expect_match fault "$(st fault)" "^($fault)\$"
}

clear_fault()
{
	sp_msg clear_fault && mark ack arrive
}

# What had been given up may still be on its way.
repaired()
{
	part_is opart linear
	part_is spart linear
	mark ask arrive
	wait_for 20 clear_fault
	expect_st state active
	goes_on
}

goes_on()
{
	take "$((++TAKEN))"
	change "$TAKEN" 6 16K
}

# Whatever fails in protection mode, with writes on their way: none has reached the
# origin before a copy of the old data was durable, which is to be seen in the log.
case_faults()
{
	TAKEN=0
	logged_place "$O" 65536
	sp_format
	logged_begin faults
	mark ask protect
	mark ask arrive
	sp_load_store io_timeout 1
	sp_load_origin protect
	mark ack arrive
	mark ack protect
	blkpat fill "$ORIGIN_DM" 1
	goes_on
	fails_by 'cow_write|store_io' spart flakey '0 3600 1 error_writes'
	repaired
	fails_by 'cow_write|store_io' spart error
	repaired
	fails_by cow_read opart flakey '0 3600 1 error_reads'
	repaired
	fails_by 'cow_write|store_io' spart delay 3600000
	repaired
	write_until_it_fails "$TAKEN" &
	sp_remove store
	expect_nothing_written $!
	asked arrive -- sp_load_store
	wait_st state active
	goes_on
	logged_end
}

# Many entries and many snapshots: an index of several levels, sweeps in portions.
case_many()
{
	local id

	logged_up many 18432 65536 protect
	for id in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do
		take "$id"
		change "$id" 90 4K -a 4096
		[ $((id % 4)) != 0 ] || checkpoint
	done
	for id in 3 5 1 8 2 12; do
		drop "$id"
		checkpoint
		change "3$id" 20 4K
	done
	checkpoint
	logged_end
}

run_cases case_random case_sequential case_rewrite case_cycles case_discard \
	case_full case_load case_arrival case_modes case_loss case_faults \
	case_many
