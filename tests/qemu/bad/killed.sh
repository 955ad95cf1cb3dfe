#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Killed while it writes; what it had written before is there.
# module: no
# boots: 2
# kill: yes
# wanted: ok

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../../lib/common.sh"
# shellcheck disable=SC2034 # for common.sh
SHARED=yes

case_first_boot()
{
	write_at "$STORE_DISK" 0 64 1
	host_kill later
	while :; do
		write_at "$STORE_DISK" 64 8192 2
	done
}

case_second_boot()
{
	verify_at "$STORE_DISK" 0 64 1
	expect_fail kept note
}

case $BOOT in
1) run_cases case_first_boot ;;
2) run_cases case_second_boot ;;
esac
