#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Normal mode: after each of the faults the origin's I/O goes on, and the
# snapshots are lost and stay so when the store is well again.
# disks: 5M 8M
# timeout: 400
# covers: faults: every fault, in normal mode
# covers: promises: normal mode is honest; no fault is silent

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/images.sh
. "$TOP/tests/lib/images.sh"
# shellcheck source=tests/lib/faults.sh
. "$TOP/tests/lib/faults.sh"

# For faults.sh.
# shellcheck disable=SC2034
WRITES=pass

has_store()
{
	dm_names | grep -qx store
}

normal_case()
{
	lose_by "$1" 0
	"repair_$1"
	if ! store_survives "$1"; then
		! has_store || sp_remove store
		sp_load_store
	fi
	wait_st state active
	expect_still_lost
	sp_remove origin
	sp_remove store
	"$SNAPPROT" check "$STORE" > /dev/null
}

CASES=()
for name in ${ONLY:-$FAULT_NAMES}; do
	eval "case_$name() { normal_case $name; }"
	CASES+=("case_$name")
done
run_cases "${CASES[@]}"
