#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# snapprotd: events, hooks, configuration, metrics, and that it waits for nothing.
# disks: 64M 64M 64M 64M
# timeout: 240

# shellcheck disable=SC2119 # functions whose arguments are optional
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/states.sh
. "$TOP/tests/lib/states.sh"
# shellcheck source=tests/lib/daemon.sh
. "$TOP/tests/lib/daemon.sh"

case_one_line_an_event()
{
	daemon_files
	to_active
	daemon_start
	expect_said '^snapprotd: origin: present: normal, active, 1 snapshot, .* used$'
	expect_said '^snapprotd: store: present: store online, '
	sp_msg protect
	expect_said '^snapprotd: origin: mode: protect, active, 1 snapshot'
	sp_remove store
	expect_said '^snapprotd: store: removed$'
	expect_said '^snapprotd: origin: blocked: protect, blocked, fault store_removed'
	sp_load_store
	expect_said '^snapprotd: store: added: '
	expect_said '^snapprotd: origin: cleared: protect, active, 1 snap'
	# A snapshot more is none.
	sp_create 5
	sp_remove origin
	expect_said '^snapprotd: origin: removed$'
	daemon_stop
	expect_eq "lines of the live volume" "$(said ': origin: ')" 5
	expect_eq "the last line" "$(tail -n 1 "$SAID")" "snapprotd: ended"
}

case_lost_and_low()
{
	daemon_files
	ORIGIN_SECTORS=
	layer_new slow "$STORE_DISK" 8192
	STORE=/dev/mapper/slow
	sp_up
	sp_create 1
	daemon_start
	write_at "$ORIGIN_DM" 0 6656 1
	expect_said '^snapprotd: store: low_water: store online, little space left'
	sp_msg set grow_timeout 3600
	blkpat -s 0 -l 16384 fill "$ORIGIN_DM" 2 &
	expect_said '^snapprotd: origin: full: normal, active, 1 snap'
	sp_msg grow_failed
	expect_said '^snapprotd: origin: lost: normal, active, fault grow_failed, 0 snapshots, 1 lost'
	wait $!
	daemon_stop
}

# The numbers are those of a loss before there is its event, and somebody looks then.
case_loss_seen_before_its_event()
{
	local pid

	daemon_files
	layer_new slow "$STORE_DISK"
	STORE=/dev/mapper/slow
	sp_up
	sp_create 1
	daemon_start
	layer_hold slow
	sp_msg debug_fault cow_read &
	pid=$!
	wait_st lost 1
	kill -HUP "$DAEMON"
	expect_said 'looked after$' 2
	layer_release slow
	wait "$pid"
	expect_said '^snapprotd: origin: lost: normal, active, fault cow_read, 0 snapshots, 1 lost'
	daemon_stop
	expect_eq "told as something else" "$(said 'origin: changed: ')" 0
}

case_hooks_are_told_the_facts()
{
	daemon_files
	# shellcheck disable=SC2016 # for the hook
	hook 10-keep <<< 'env > "$event.new"; mv "$event.new" "$event"'
	echo 'exit 1' > "$HOOKS/not-a-program"
	hook 20-old.dpkg-old <<< 'touch wrong'
	hook 30-fails <<< 'exit 7'
	to_active
	sp_msg protect
	sp_create 2
	daemon_start
	sp_remove store
	wait_for 20 test -e "$TOLD/blocked"
	expect_eq volume "$(fact blocked VOLUME)" origin
	expect_eq uuid "$(fact blocked UUID)" "$VOLUME_UUID"
	expect_eq state "$(fact blocked STATE)" blocked
	expect_eq mode "$(fact blocked MODE)" protect
	expect_eq fault "$(fact blocked FAULT)" store_removed
	expect_match message "$(fact blocked MESSAGE)" '^protect, blocked, '
	expect_match number "$(fact blocked NUMBER)" '^[0-9]+$'
	expect_said '^snapprotd: hook 30-fails: exit code 7$'
	expect_eq "not run" "$(compgen -G "$TOLD/wrong" || :)" ""
	sp_load_store
	wait_for 20 test -e "$TOLD/cleared"
	expect_eq "no fault" "$(fact cleared FAULT)" ""
	expect_eq snapshots "$(fact cleared SNAPSHOTS)" 2
	sp_msg normal
	wait_for 20 test -e "$TOLD/mode"
	expect_eq total "$(fact mode TOTAL)" $(($(sectors "$STORE") * 512))
	expect_match used "$(fact mode USED)" '^[0-9]+$'
	expect_match device "$(fact mode STORE_DEVICE)" '^/dev/block/[0-9]+:[0-9]+$'
	daemon_stop
}

# A hook that hangs is killed, with its children, and keeps nobody.
case_hook_hangs()
{
	local pid

	daemon_files
	# shellcheck disable=SC2016 # for the hook
	hook 10-hangs <<< 'trap "" TERM; [ "$event" != mode ] || {
		sleep 1000 & echo $! > child; echo $$ > hanging; wait; }'
	# shellcheck disable=SC2016
	hook 20-other <<< 'touch "other.$event"'
	to_active
	daemon_start --hook-limit 5
	sp_msg protect
	wait_for 20 test -s "$TOLD/hanging"
	wait_for 20 test -e "$TOLD/other.mode"
	sp_remove store
	expect_said 'origin: blocked: '
	wait_for 20 test -e "$TOLD/other.blocked"
	expect_said '^snapprotd: hook 10-hangs: killed, after 5 s$'
	wait_for 20 ended "$(cat "$TOLD/hanging")"
	wait_for 20 ended "$(cat "$TOLD/child")"
	# One that hangs when the daemon ends is not left behind.
	rm "$TOLD/hanging"
	sp_msg normal drop_snapshots
	expect_said 'origin: lost: '
	sp_msg protect
	wait_for 20 test -s "$TOLD/hanging"
	pid=$(cat "$TOLD/hanging")
	daemon_stop
	wait_for 20 ended "$pid"
}

# What waits is given a hook's job, and so many wait that others are not begun.
case_hooks_without_end()
{
	local i

	daemon_files
	hook 10-hangs <<< 'exec sleep 1000'
	sp_up
	daemon_start --hook-limit 3600
	for ((i = 0; i < 16; i++)); do
		sp_msg protect
		expect_said 'origin: mode: protect' $((i + 1))
		sp_msg normal
		expect_said 'origin: mode: normal' $((i + 1))
	done
	expect_said 'hooks are not told of this, for too many are still running'
	kill -HUP "$DAEMON"
	expect_said 'looked after$' 2
	daemon_stop
	wait_for 20 nobody_sleeps
}

nobody_sleeps()
{
	! pgrep -x sleep -s 0 -f 'sleep 1000'
}

case_configuration()
{
	daemon_files
	printf '%s\n' "# fine" "origin $ORIGIN $STORE extend=0" \
		"other /dev/a - snapshot_every=1h,snapshot_keep=3" \
		"third /dev/b - snapshot_every=1h" "fourth /dev/c -" > "$TAB"
	daemon_start
	expect_said "^snapprotd: $TAB:2:[0-9]+: not a percentage from 1 to 1000\$"
	expect_said "^snapprotd: $TAB:4:16: snapshot_every and snapshot_keep need"
	expect_said "^snapprotd: $TAB: 2 volumes, 1 of them looked after\$"
	tab_line extend=10%
	kill -HUP "$DAEMON"
	expect_said "^snapprotd: $TAB: 1 volume, 1 of them looked after\$"
	# One that cannot be read changes nothing.
	printf 'a\0b\n' > "$TAB"
	kill -HUP "$DAEMON"
	expect_said "^snapprotd: $TAB: is no text; what was known stays\$"
	rm "$TAB"
	kill -HUP "$DAEMON"
	expect_said "^snapprotd: $TAB: 0 volumes, 0 of them looked after\$"
	mkdir "$TAB"
	kill -HUP "$DAEMON"
	expect_said "^snapprotd: $TAB: Is a directory; what was known stays\$"
	rmdir "$TAB"
	daemon_stop
}

case_metrics()
{
	daemon_files
	to_active
	daemon_start
	wait_metric 'snapprot_volume_state{volume="origin",state="active"} 1'
	wait_metric 'snapprot_snapshots{volume="origin",state="valid"} 1'
	wait_metric 'snapprot_store_low{volume="origin"} 0'
	wait_metric "snapprot_volume_info{volume=\"origin\",uuid=\"$VOLUME_UUID\"} 1"
	sp_msg protect
	sp_remove store
	wait_metric 'snapprot_volume_fault{volume="origin",fault="store_removed"} 1'
	wait_metric 'snapprot_volume_state{volume="origin",state="blocked"} 1'
	wait_metric 'snapprot_volume_protected{volume="origin"} 1'
	python3 - "$METRICS" <<- 'END'
	import re, sys
	kinds = {}
	helped = None
	for line in open(sys.argv[1]):
	    m = re.fullmatch(r'# HELP ([a-z_]+) [A-Z].*\.\n', line)
	    if m:
	        helped = m[1]
	        continue
	    m = re.fullmatch(r'# TYPE ([a-z_]+) (gauge|counter)\n', line)
	    if m:
	        assert m[1] == helped and m[1] not in kinds, line
	        assert m[1].endswith("_total") == (m[2] == "counter"), line
	        kinds[m[1]] = m[2]
	        continue
	    m = re.fullmatch(r'([a-z_]+)(?:\{(?:[a-z]+="(?:[^"\\\n]|\\.)*",?)+\})? [0-9]+\n', line)
	    assert m and m[1] == helped, line
	assert len(kinds) >= 15
	END
	expect_eq "beside it" "$(compgen -G "$METRICS.*" || :)" ""
	daemon_stop
}

# wait_metric <line>
wait_metric()
{
	wait_for 40 grep -qxF "$1" "$METRICS"
}

case_start_and_end()
{
	daemon_files
	to_active
	daemon_start
	expect_exit 5 "$SNAPPROTD" --tab "$TAB"
	expect_eq said "$OUTPUT" "snapprotd: another one is running"
	expect_exit 2 "$SNAPPROTD" --hook-limit 0
	expect_exit 2 "$SNAPPROTD" word
	expect_match locked "$(awk '/^VmLck/ { print $2 }' "/proc/$DAEMON/status")" \
		'^[1-9][0-9]{3,}$'
	# No device is held, so that any may be removed.
	expect_eq "open devices" "$(find "/proc/$DAEMON/fd" -lname '/dev/*' \
		! -lname /dev/null -printf '%l\n' | sort -u)" "/dev/mapper/control"
	expect_eq "open count" "$(dmsetup info -c --noheadings -o open origin)" 0
	daemon_stop
	kill -0 "$DAEMON" 2> /dev/null && fail "is still there"
	daemon_start
	daemon_stop
}

# It says so when it is ready and alive, and to the journal with the facts.
case_systemd()
{
	local stream

	daemon_files
	to_active
	mkdir -p /run/systemd/journal
	python3 - "$TMPDIR" 3>&- <<- 'END' &
	import os, socket, sys
	d = sys.argv[1]
	socks = {}
	for name, path in (("notify", d + "/notify"),
	                   ("journal", "/run/systemd/journal/socket")):
	    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
	    s.bind(path)
	    socks[name] = s
	open(d + "/listening", "w").close()
	import select
	while True:
	    for s in select.select(list(socks.values()), [], [])[0]:
	        name = [n for n in socks if socks[n] is s][0]
	        with open(d + "/got." + name, "ab") as f:
	            f.write(s.recv(1 << 20) + b"\n")
	END
	defer kill $!
	wait_for 20 test -e "$TMPDIR/listening"
	: > "$TMPDIR/stream"
	stream=$(stat -c '%d:%i' "$TMPDIR/stream")
	JOURNAL_STREAM=$stream NOTIFY_SOCKET=$TMPDIR/notify WATCHDOG_USEC=1000000 \
		"$SNAPPROTD" --tab "$TAB" --hooks "$HOOKS" --metrics '' \
		2> "$TMPDIR/stream" 3>&- &
	DAEMON=$!
	defer daemon_end "$DAEMON"
	wait_for 20 grep -qx READY=1 "$TMPDIR/got.notify"
	wait_for 20 grep -qx WATCHDOG=1 "$TMPDIR/got.notify"
	wait_for 20 grep -q '^MESSAGE=origin: present: ' "$TMPDIR/got.journal"
	sp_msg protect
	sp_remove store
	wait_for 20 grep -q '^MESSAGE=origin: blocked: ' "$TMPDIR/got.journal"
	sed -n '/^MESSAGE=origin: blocked/,/^$/p' "$TMPDIR/got.journal" \
		> "$TMPDIR/entry"
	grep -qx PRIORITY=2 "$TMPDIR/entry"
	grep -qx SYSLOG_IDENTIFIER=snapprotd "$TMPDIR/entry"
	grep -qx SNAPPROT_FAULT=store_removed "$TMPDIR/entry"
	expect_eq "no lines" "$(cat "$TMPDIR/stream")" ""
	daemon_stop
	wait_for 20 grep -qx STOPPING=1 "$TMPDIR/got.notify"
	rm /run/systemd/journal/socket "$TMPDIR/listening"
}

# Nobody reads what it says: it goes on.
case_nobody_reads()
{
	local i

	daemon_files
	# shellcheck disable=SC2016 # for the hook
	hook 10-count <<< 'touch "$event.$SNAPPROT_NUMBER"'
	sp_up
	mkfifo "$TMPDIR/pipe"
	exec {PIPE}<> "$TMPDIR/pipe"
	# Full, but for less than a page.
	timeout 5 head -c 65536 /dev/zero > "$TMPDIR/pipe" || :
	"$SNAPPROTD" --tab "$TAB" --hooks "$HOOKS" --metrics '' \
		2> "$TMPDIR/pipe" 3>&- {PIPE}>&- &
	DAEMON=$!
	defer daemon_end "$DAEMON"
	wait_for 20 test -e "$TOLD/present.1"
	for ((i = 3; i < 5; i++)); do
		sp_msg protect
		sp_msg normal
		wait_for 20 told_number "$i"
	done
	daemon_stop
	exec {PIPE}>&-
}

told_number()
{
	compgen -G "$TOLD/*.$1" > /dev/null
}

# Beside a volume that holds everything, with somebody's file system suspended on
# top, and one whose store does not answer.
case_beside_a_blocked_volume()
{
	daemon_files
	# shellcheck disable=SC2016 # for the hook
	hook 10-keep <<< 'touch "$event"'
	to_active
	sp_msg protect
	sp_msg set queue_on_fault 1
	tab_line extend=20%,snapshot_every=1s,snapshot_keep=2
	daemon_start
	expect_said 'origin: snapshot: taken'
	# One that is being taken then would fail for another reason.
	daemon_pause
	sp_remove store
	kill -CONT "$DAEMON"
	expect_said 'origin: blocked: '
	write_at "$ORIGIN_DM" 0 8 9 &
	wait_for 20 is_held $!
	expect_said 'origin: snapshot_failed: one is due, but the volume is blocked'
	kill -HUP "$DAEMON"
	expect_said 'looked after$' 2
	dmsetup create other --table "0 8 zero"
	sp_load_store
	expect_said 'origin: cleared: '
	wait $!
	expect_said 'origin: snapshot: taken' 2
	daemon_stop
}

run_cases case_one_line_an_event case_lost_and_low case_loss_seen_before_its_event \
	case_hooks_are_told_the_facts case_hook_hangs case_hooks_without_end \
	case_configuration case_metrics case_start_and_end case_systemd \
	case_nobody_reads case_beside_a_blocked_volume
