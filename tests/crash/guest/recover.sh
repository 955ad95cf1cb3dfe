#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The recovery from states that a crash could have left, recorded itself, with what
# a volume does next.
# disks: 96M
# memory: 2G
# cpus: 2
# timeout: 300
# log-writes: yes

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../../lib/common.sh"
# shellcheck source=tests/lib/crash.sh
. "$TOP/tests/lib/crash.sh"

case_recoveries()
{
	local want n=0

	for want in "$STATES"/*.want; do
		n=$((n + 1))
		state_next "$want"
		state_put
		logged_begin "again-$n-$STATE_NAME"
		asked arrive -- state_up "$n"
		state_check
		! state_has_room || go_on "$n"
		logged_end
		dm_down
	done
	[ "$n" -gt 1 ] || fail "no states"
	echo "# $n recoveries recorded"
}

go_on()
{
	change "$1" 6 16K -u
	take 5000
	change "1$1" 6 16K
	[ $(($1 % 3)) != 0 ] || checkpoint
	drop 5000
	state_check
}

run_cases case_recoveries
