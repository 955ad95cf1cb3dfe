#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The same as states.sh with all workloads, longer ones, at least 100,000 states,
# 500 of them (CRASH_STATES of each workload) opened by the module, and crashes while
# a crash is being recovered from.
# suite: full
# host: yes
# timeout: 3600
# covers: promises: never wrong, after any crash

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/crash-host.sh
. "$TOP/tests/lib/crash-host.sh"

SHARED=yes

case_record()
{
	make -s -C "$TOP/tests/crash"
	SNAPPROT_GUEST_ENV="CRASH_SCALE=3" record '.*'
}

case_every_state_is_right()
{
	explore_log record -n 18000
	expect_explored 100000
}

case_ignored_flushes_are_found()
{
	expect_ignored_flushes_found -n 2000 -i 4
}

case_the_module_agrees()
{
	export_states states 400 "${CRASH_STATES:-46}"
	SNAPPROT_GUEST_ENV="STATES=$WORK/states" guest replay
}

case_crashes_while_recovering()
{
	export_states crashed 300 4
	SNAPPROT_GUEST_ENV="STATES=$WORK/crashed" guest recover
	explore_log recover -n 500
	expect_explored 10000
}

run_cases case_record case_every_state_is_right \
	case_ignored_flushes_are_found case_the_module_agrees \
	case_crashes_while_recovering
