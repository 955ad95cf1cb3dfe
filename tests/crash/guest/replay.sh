#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# States that a crash could have left, opened by the module: it finds the snapshots
# that are there, and in each of them what was in it. Some are written to as well.
# STATES, of the environment, is where they are.
# disks: 96M
# memory: 2G
# timeout: 900

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../../lib/common.sh"
# shellcheck source=tests/lib/crash.sh
. "$TOP/tests/lib/crash.sh"

case_states()
{
	local want n=0

	for want in "$STATES"/*.want; do
		n=$((n + 1))
		state_next "$want"
		state_put
		state_up "$n"
		state_check
		if [ $((n % 4)) = 0 ] && state_has_room; then
			change "$n" 12 16K
			state_check
		fi
		live_down
		"$SNAPPROT" check "$STORE" > /dev/null
		dm_down
	done
	[ "$n" -gt 1 ] || fail "no states"
	echo "# $n states opened by the module"
}

run_cases case_states
