#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What a crash may leave at any moment, of workloads whose every write was recorded:
# it opens, its check finds nothing, and each snapshot that had been acknowledged is
# there with the data of its instant. Some of it is opened by the module as well.
# host: yes
# timeout: 300
# covers: promises: never wrong, after any crash

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/crash-host.sh
. "$TOP/tests/lib/crash-host.sh"

SHARED=yes

case_record()
{
	make -s -C "$TOP/tests/crash"
	record 'random|discard|load|arrival|loss|faults'
}

case_every_state_is_right()
{
	explore_log record -n 2000
	expect_explored 5000
}

case_ignored_flushes_are_found()
{
	expect_ignored_flushes_found -n 1000 -i 3
}

case_the_module_agrees()
{
	export_states states 60 4
	SNAPPROT_GUEST_ENV="STATES=$WORK/states" guest replay
}

run_cases case_record case_every_state_is_right \
	case_ignored_flushes_are_found case_the_module_agrees
