#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The explorer and the core without a kernel: volumes that do what the module does,
# with crashes and recoveries in between, leave no state that is wrong; and each
# mistake that such a volume can make leaves one, so that the judge is to be believed.
# PERFORM_SEEDS, of the environment, is how many volumes.
# host: yes
# timeout: 300
# covers: promises: never wrong, after any crash

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/crash-host.sh
. "$TOP/tests/lib/crash-host.sh"

SHARED=yes
PERFORM=${BUILD:-$TOP/.build}/crash/perform

case_build()
{
	make -s -C "$TOP/tests/crash"
}

case_every_state_is_right()
{
	local seed

	for seed in $(seq "${PERFORM_SEEDS:-6}"); do
		"$PERFORM" -s "$seed" "$WORK/record.writes"
		explore_log record -n 400
		expect_explored 800
	done
}

case_ignored_flushes_are_found()
{
	expect_ignored_flushes_found -n 400 -i 3
}

# mistake_found <mistake>: some need luck
mistake_found()
{
	local seed rc

	for seed in 1 2 3 4 5 6 7 8; do
		"$PERFORM" -s "$seed" -m "$1" "$WORK/record.writes" || return
		rc=0
		"$EXPLORE" -n 400 "$WORK/record.writes" > "$WORK/explore.out" ||
			rc=$?
		[ "$rc" = 0 ] || break
	done
	[ "$rc" = 1 ]
}

case_each_mistake_is_found()
{
	local mistake what count=0

	while read -r mistake what; do
		count=$((count + 1))
		mistake_found "$mistake" || fail "not found: $what"
		echo "# $mistake: $(sed -n '$p' "$WORK/explore.out")"
	done < <("$PERFORM" -l)
	[ "$count" -gt 8 ] || fail "only $count mistakes"
}

run_cases case_build case_every_state_is_right \
	case_ignored_flushes_are_found case_each_mistake_is_found
