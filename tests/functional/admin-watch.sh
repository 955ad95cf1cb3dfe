#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# snapprot watch.
# disks: 64M 64M 64M 64M
# timeout: 120

# shellcheck disable=SC2119 # functions whose arguments are optional
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/states.sh
. "$TOP/tests/lib/states.sh"
# shellcheck source=tests/lib/admin.sh
. "$TOP/tests/lib/admin.sh"

# watch_start [<argument>]...: what it prints goes to SAID
watch_start()
{
	SAID=$TMPDIR/said
	: > "$SAID"
	"$SNAPPROT" watch "$@" >> "$SAID" 2>&1 3>&- &
	WATCH=$!
	defer watch_stop
}

watch_stop()
{
	kill "$WATCH" 2> /dev/null
	wait "$WATCH" 2> /dev/null
	return 0
}

# expect_said <extended regular expression>: comes to be printed
expect_said()
{
	wait_said grep -qE "$1" "$SAID"
}

# expect_last <extended regular expression>: becomes what is said last of the
# live volume, which comes in one or more steps
expect_last()
{
	wait_said last_line "$1"
}

last_line()
{
	grep ' origin: ' "$SAID" | tail -n 1 | grep -qE "$1"
}

# wait_said <command> [argument]...: as wait_for, and tells what was said instead
wait_said()
{
	local deadline=$(($(now_ms) + 20 * SLOW * 1000))

	until "$@"; do
		[ "$(now_ms)" -lt "$deadline" ] ||
			fail "not within 20 s: $*; only: $(cat "$SAID")"
		pause
	done
}

case_watch()
{
	to_active
	watch_start
	expect_said "^20[0-9T:+-]+ origin: present: normal, active, 1 snapshot, .* of 64M used\$"
	expect_said ' store: present: store online, '
	sp_msg protect
	expect_said ' origin: changed: protect, active, '
	sp_remove store
	expect_said ' store: removed$'
	expect_said ' origin: changed: protect, blocked, fault store_removed, 1 snap'
	sp_load_store
	expect_said ' store: added: store '
	# Where the space is not known yet, that is left out.
	expect_last ' origin: changed: protect, active, 1 snapshot(, .* used)?$'
	dmsetup rename store other
	expect_said ' other: changed: store online'
	sp_remove origin
	expect_said ' origin: removed$'
	dmsetup remove other
	expect_eq "still there" "$(ps -o stat= --pid "$WATCH" | cut -c 1)" S
}

case_watch_one_as_json()
{
	to_active
	second_volume
	watch_start --json second
	expect_said '"event":"present","kind":"live","name":"second"'
	sp_msg protect
	dmsetup message second 0 protect
	expect_said '"name":"second","uuid":"[0-9a-f-]*","mode":"protect","state":"active","fault":null'
	expect_eq objects "$(python3 -c '
import json, sys
print({json.loads(line)["name"] for line in sys.stdin} <=
      {"second", "second-st"})' < "$SAID")" True
	tool 4 watch third
	tool 2 watch origin second
}

# It ends with whoever reads what it prints.
case_watch_without_reader()
{
	sp_up
	"$SNAPPROT" watch 3>&- > >(head -n 1 > "$TMPDIR/first") &
	wait_for 20 test -s "$TMPDIR/first"
	wait_for 20 ended $!
}

run_cases case_watch case_watch_one_as_json case_watch_without_reader
