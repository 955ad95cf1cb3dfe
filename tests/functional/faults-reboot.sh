#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Normal mode: the store comes back after a reboot, and knows nothing of the
# fault that lost its snapshots. Whichever of store and live volume is loaded
# first, it is not believed.
# disks: 75M 128M
# boots: 2
# timeout: 400
# covers: promises: normal mode is honest: a store that comes back in another boot

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/images.sh
. "$TOP/tests/lib/images.sh"
# shellcheck source=tests/lib/faults.sh
. "$TOP/tests/lib/faults.sh"

SHARED=yes
# For faults.sh.
# shellcheck disable=SC2034
WRITES=pass

lose_case()
{
	defer dm_down
	lose_by "$1" "$2"
	# What was given up is still on its way to the store.
	[ "$1" != store_hangs ] || repair_store_hangs
	sp_remove origin
	! dm_names | grep -qx store || sp_remove store
	[ ! -e "$TMPDIR/damage" ] || undo_damage
	images_keep "$2"
}

back_case()
{
	defer dm_down
	# A store that became full is not made larger.
	fault_layers "$2" "$1"
	images_recall "$2"
	if [ $(($2 % 2)) = 0 ]; then
		sp_load_store
		sp_load_origin
		images_recall_origin
	else
		sp_load_origin
		expect_st state nostore
		images_recall_origin
		images_write_at $((COLD + 512)) 8 83
		sp_load_store
	fi
	expect_still_lost
}

kind=lose
[ "$BOOT" = 1 ] || kind=back
CASES=()
n=0
for name in ${ONLY:-$FAULT_NAMES}; do
	eval "case_${kind}_$name() { ${kind}_case $name $n; }"
	CASES+=("case_${kind}_$name")
	n=$((n + 1))
done
run_cases "${CASES[@]}"
