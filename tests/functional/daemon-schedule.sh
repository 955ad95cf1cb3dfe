#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# snapprotd takes snapshots by a schedule and deletes those that expired, and nothing
# else.
# disks: 64M 64M
# timeout: 240

# shellcheck disable=SC2119 # functions whose arguments are optional
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/daemon.sh
. "$TOP/tests/lib/daemon.sh"

# It keeps as many as it should, the newest, and leaves alone what others made.
case_keeps_so_many()
{
	local first

	daemon_files
	sp_up
	sp_create 7
	# In the schedule's range, but not of its making.
	sp_create 4000000000
	tab_line snapshot_every=1s,snapshot_keep=3
	daemon_start
	expect_said 'origin: snapshot: taken by the schedule'
	first=$(sp_list | awk '$1 >= 2147483648 && $1 != 4000000000 { print $1 }' |
		head -n 1)
	expect_said 'origin: expired: ' 3
	tab_line snapshot_every=1d,snapshot_keep=3
	kill -HUP "$DAEMON"
	expect_said 'looked after$' 2
	daemon_stop
	# What was being done when it ended is done to its end.
	wait_value 20 4 scheduled
	expect_eq others "$(sp_list | grep -cE '^(7|4000000000) valid')" 2
	expect_eq "the first" "$(snap_state "$first")" ""
	# No two of one second, and each is where its id says that it is in time.
	sp_list | awk '$1 >= 2147483648 && $1 != 4000000000 {
		off = $3 - ($1 - 2147483648 + 1577836800)
		if (off < -5 || off > 600 || seen[$1]++)
			exit 1
	}'
	# One that is taken by hand is given a small number.
	tool 0 snapshot origin
	expect_eq id "$OUT" 8
}

# Only one an interval, however often it is started or told to read its file.
case_nothing_twice()
{
	local i

	daemon_files
	sp_up
	tab_line snapshot_every=366d,snapshot_keep=5
	daemon_start
	expect_said 'origin: snapshot: taken by the schedule' 1
	for ((i = 1; i < 4; i++)); do
		daemon_stop
		rm -f "$METRICS"
		daemon_start
		expect_said 'origin: present: normal, active, 1 snapshot' "$i"
		# When it has looked for itself, that is in the metrics.
		wait_for 40 grep -q '^snapprot_schedule_last_snapshot' "$METRICS"
	done
	kill -HUP "$DAEMON"
	expect_said 'looked after$' 5
	sp_msg protect
	expect_said 'origin: mode: protect, active, 1 snapshot'
	daemon_stop
	expect_eq taken "$(said 'origin: snapshot: ')" 1
	expect_eq there "$(scheduled)" 1
}

# A view keeps its snapshot until it is closed, and keeps nothing else.
case_view_survives()
{
	local id

	daemon_files
	sp_up
	tab_line snapshot_every=1s,snapshot_keep=100
	daemon_start
	expect_said 'origin: snapshot: taken'
	id=$(sp_list | awk 'NR == 1 { print $1 }')
	sp_load_view "$id"
	tab_line snapshot_every=1s,snapshot_keep=4
	kill -HUP "$DAEMON"
	expect_said 'looked after$' 2
	expect_said 'origin: expired: ' 3
	expect_eq "shown" "$(snap_state "$id")" valid
	read_at "/dev/mapper/snap$id" 0 8
	# Then it goes at once, not with the next snapshot.
	tab_line snapshot_every=366d,snapshot_keep=4
	kill -HUP "$DAEMON"
	expect_said 'looked after$' 3
	dmsetup remove "snap$id"
	wait_for 30 is_gone "$id"
	daemon_stop
	expect_eq failures "$(said failed)" 0
}

is_gone()
{
	[ -z "$(snap_state "$1")" ]
}

# A run that was missed, while the volume could not have one, is made up for.
case_missed()
{
	daemon_files
	sp_up
	tab_line snapshot_every=366d,snapshot_keep=2
	sp_remove store
	wait_st state nostore
	daemon_start
	expect_said 'origin: present: normal, nostore'
	sp_load_store
	expect_said 'origin: snapshot: taken'
	daemon_stop
	expect_eq there "$(scheduled)" 1
}

# What cannot be taken is told once, and tried again.
case_suspended()
{
	daemon_files
	sp_up
	tab_line snapshot_every=1s,snapshot_keep=100
	daemon_start
	expect_said 'origin: snapshot: taken'
	# Not in the middle of one, which would end with a resume.
	daemon_pause
	dmsetup suspend origin
	defer dmsetup resume origin
	kill -CONT "$DAEMON"
	expect_said 'origin: snapshot_failed: one is due, but the volume is suspended'
	dmsetup resume origin
	expect_said 'origin: snapshot: taken' 3
	expect_eq told "$(said snapshot_failed)" 1
	daemon_stop
}

# The file system is frozen for it, so that it is clean.
case_file_system()
{
	local id

	daemon_files
	sp_up
	mkfs.ext4 -q "$ORIGIN_DM"
	mkdir -p "$TMPDIR/mnt"
	mount "$ORIGIN_DM" "$TMPDIR/mnt"
	defer umount "$TMPDIR/mnt"
	echo words > "$TMPDIR/mnt/file"
	tab_line snapshot_every=366d,snapshot_keep=2
	daemon_start
	expect_said 'origin: snapshot: taken'
	echo others > "$TMPDIR/mnt/file"
	sync
	id=$(sp_list | awk 'NR == 1 { print $1 }')
	sp_load_view "$id"
	# Without a replay of its journal.
	expect_eq "needs recovery" "$(dumpe2fs -h "/dev/mapper/snap$id" 2> /dev/null |
		grep -c needs_recovery || :)" 0
	expect_eq content "$(debugfs -R "cat /file" "/dev/mapper/snap$id" \
		2> /dev/null)" words
	daemon_stop
}

run_cases case_keeps_so_many case_nothing_twice case_view_survives \
	case_missed case_suspended case_file_system
