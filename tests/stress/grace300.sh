#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The grace period that is set when nothing is said: 300 seconds, all of
# them waited for.
# suite: full
# disks: 9M 32M
# timeout: 400
# covers: terms: grace period: 300 s unless set

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/images.sh
. "$TOP/tests/lib/images.sh"

# The writes that are held are no stuck tasks.
echo 0 > /proc/sys/kernel/hung_task_timeout_secs

case_three_hundred_seconds()
{
	local start writer left

	sp_up protect
	images_begin
	images_take 1
	images_write 1 20 64K
	sp_remove origin
	sp_remove store
	start=$(now_ms)
	sp_load_origin
	expect_st state waiting
	left=$(st grace)
	if [ "$left" -lt 298 ] || [ "$left" -gt 300 ]; then
		fail "$left s of grace at the start"
	fi
	write_at "$ORIGIN_DM" 0 8 9 2> /dev/null &
	writer=$!
	wait_for 20 is_held "$writer"
	# Up to shortly before the end nothing happens.
	while [ "$(now_ms)" -lt $((start + 295000)) ]; do
		expect_st state waiting
		is_held "$writer"
		pause 5
	done
	wait_st state blocked 20
	left=$(($(now_ms) - start))
	[ "$left" -ge 299000 ] || fail "ended after $left ms"
	[ "$left" -le 305000 ] || fail "ended after $left ms only"
	expect_st fault store_missing
	! wait "$writer" || fail "the write was done"
	sp_load_store
	wait_st state active
	images_check
}

run_cases case_three_hundred_seconds
