#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A network store that comes four minutes late, with the grace period that is set when
# nothing is said: what waited for it is done, and nothing is lost.
# suite: full
# kernels: 6.12
# disks: 9M 8M
# timeout: 400
# covers: terms: grace period: 300 s unless set

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/images.sh
. "$TOP/tests/lib/images.sh"
# shellcheck source=tests/lib/gone.sh
. "$TOP/tests/lib/gone.sh"
# shellcheck source=tests/lib/network.sh
. "$TOP/tests/lib/network.sh"

network_needs
# The writes that are held are no stuck tasks.
echo 0 > /proc/sys/kernel/hung_task_timeout_secs

case_four_minutes_late()
{
	local start writer

	server_start
	attach 0
	gone_volume normal
	volume_down
	detach /dev/nbd0
	server_kill
	start=$(now_ms)
	sp_load_origin
	cold_write &
	writer=$!
	wait_for 20 is_held "$writer"
	while [ "$(now_ms)" -lt $((start + 240000)) ]; do
		expect_st state waiting
		is_held "$writer"
		pause 5
	done
	server_start
	attach 1
	sp_load_store
	wait_st state active
	wait "$writer"
	write_at "$SHADOW" "$COLD" 64 77
	expect_st fault -
	images_check
	volume_down
	detach /dev/nbd1
}

run_cases case_four_minutes_late
