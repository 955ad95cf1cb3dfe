# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# shellcheck disable=SC2034 # variables of the tests
#
# What the tests of snapprotd share. Sourced after common.sh.

SNAPPROTD=${SNAPPROTD:-$TOP/userspace/snapprotd}
SAID=$TMPDIR/said
TAB=$TMPDIR/tab
HOOKS=$TMPDIR/hooks.d
TOLD=$TMPDIR/told
METRICS=$TMPDIR/metrics.prom

# daemon_files: what a case begins with
daemon_files()
{
	rm -rf "$HOOKS" "$TOLD"
	mkdir "$HOOKS" "$TOLD"
	rm -f "$METRICS"
	: > "$SAID"
	: > "$TAB"
}

# daemon_start [<option>]...: what it says goes to SAID
daemon_start()
{
	local before

	[ -d "$HOOKS" ] || daemon_files
	before=$(said 'looked after$')
	"$SNAPPROTD" --tab "$TAB" --hooks "$HOOKS" --metrics "$METRICS" "$@" \
		>> "$SAID" 2>&1 3>&- &
	DAEMON=$!
	defer daemon_end "$DAEMON"
	expect_said 'looked after$' $((before + 1))
}

# daemon_stop: and it ends well
daemon_stop()
{
	kill -TERM "$DAEMON"
	wait "$DAEMON"
}

# daemon_pause: it does nothing until it is told to go on (kill -CONT), and what it has
# begun is done
daemon_pause()
{
	kill -STOP "$DAEMON"
	wait_for 20 daemon_no_job
}

daemon_no_job()
{
	ps -o stat= --ppid "$DAEMON" | awk '!/^Z/ { exit 1 }'
}

daemon_end()
{
	kill -TERM "$1" 2> /dev/null
	# One that a test has stopped could not end.
	kill -CONT "$1" 2> /dev/null
	wait "$1" 2> /dev/null
	rm -rf "$HOOKS"
	return 0
}

# a volume of the tab: <options>
tab_line()
{
	echo "origin $ORIGIN $STORE $1" > "$TAB"
}

# expect_said <extended regular expression> [<how many lines at least>]
expect_said()
{
	local deadline=$(($(now_ms) + 30 * SLOW * 1000))

	until [ "$(said "$1")" -ge "${2:-1}" ]; do
		[ "$(now_ms)" -lt "$deadline" ] ||
			fail "not said within 30 s: $1; only: $(paste -sd "|" "$SAID")"
		pause
	done
}

# said <extended regular expression>: how many lines
said()
{
	grep -cE "$1" "$SAID" || :
}

# hook <name>: a hook, its commands from standard input; $event is what happened
hook()
{
	{
		echo '#!/bin/sh'
		# shellcheck disable=SC2016 # for the hook
		echo 'event=$SNAPPROT_EVENT'
		echo "cd '$TOLD'"
		cat
	} > "$HOOKS/$1"
	chmod +x "$HOOKS/$1"
}

# fact <event> <name>: what a hook that keeps its environment was told
fact()
{
	sed -n "s/^SNAPPROT_$2=//p" "$TOLD/$1"
}

# scheduled: how many snapshots of a schedule there are
scheduled()
{
	sp_list | awk '$1 >= 2147483648' | wc -l
}
