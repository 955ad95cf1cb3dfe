#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# snapprot stores, wipe and unprotect-store on devices.
# disks: 64M 64M 64M 64M
# timeout: 300

# shellcheck disable=SC2119 # functions whose arguments are optional
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/states.sh
. "$TOP/tests/lib/states.sh"
# shellcheck source=tests/lib/admin.sh
. "$TOP/tests/lib/admin.sh"

case_stores()
{
	to_active protect
	expect_eq stores "$(cells stores)" \
		"$STORE 64M in-use yes no origin $VOLUME_UUID"
	second_volume
	dmsetup remove second second-st
	# The device of a loaded store shows the same again, and is not listed.
	expect_match stores "$(cells stores -o DEVICE,STATE,NAME)" \
		"^$STORE in-use origin;/dev/[a-z]+ unused\$"
	sp_remove origin
	sp_remove store
	expect_match stores "$(cells stores -o STATE,PROTECTED,GENERATION,UUID)" \
		"^unused yes [0-9]+ $VOLUME_UUID;unused no [0-9]+ $SECOND_UUID\$"
	# Both superblocks.
	dd if=/dev/zero of="$STORE" bs=4k count=1 oflag=direct status=none
	dd if=/dev/zero of="$STORE" bs=4k count=1 seek=64 oflag=direct \
		status=none
	expect_match damaged "$(cells stores -o STATE,UUID)" "^damaged;unused"
	tool 0 stores -J -b
	expect_eq json "$(python3 -c '
import json, sys
s = json.load(sys.stdin)["stores"][1]
print(int(s["size"]) >> 20, s["protected"], s["name"])' <<< "$OUT")" \
		"64 False None"
	tool 2 stores "$STORE"
}

# A device that hangs, or a disk below another device, is not waited for.
case_stores_do_not_hang()
{
	sp_format
	layer_new hung "$STORE"
	layer_hold hung
	expect_match stores "$(timeout 20 "$SNAPPROT" stores --noheadings -o DEVICE,STATE)" \
		"^$STORE +in-use *\$"
	layer_release hung
}

case_wipe_refused()
{
	to_active
	tool 5 wipe --yes "$STORE"
	expect_match error "$ERR" "is held by device-mapper's store"
	sp_remove origin
	sp_remove store
	tool 4 wipe --yes "$STORE"
	expect_match error "$ERR" \
		"its volume is on $ORIGIN, and has not lost its snapshots"
	tool 4 wipe --yes "$ORIGIN"
	expect_match error "$ERR" 'is no store'
	sp_load_origin
	tool 5 wipe --yes "$STORE"
	expect_match error "$ERR" 'its volume is active, as origin'
	sp_remove origin
	sp_load_store
	sp_load_origin
	expect_st valid 1
	sp_msg protect
	sp_remove origin
	sp_remove store
	blkpat zero "$ORIGIN"
	tool 4 wipe --yes "$STORE"
	expect_match error "$ERR" 'is protected; take that off first'
	"$SNAPPROT" probe "$STORE" > /dev/null
}

case_wipe()
{
	to_active
	sp_remove origin
	sp_remove store
	blkpat zero "$ORIGIN"
	tool 2 wipe "$STORE" < /dev/null
	"$SNAPPROT" probe "$STORE" > /dev/null
	# Nothing of it may come up again in another store, wherever it was.
	write_at "$STORE" 130000 8 1
	tool 0 wipe --yes "$STORE"
	expect_eq silent "$OUT" ""
	expect_same "$STORE" "${SPARE_DISKS%% *}"
	tool 4 wipe --yes "$STORE"
}

# The volume is there, and knows that its snapshots are lost.
case_wipe_lost()
{
	to_waiting
	sp_msg set grace 0
	wait_st state nostore
	sp_remove origin
	tool 0 wipe --yes "$STORE"
	tool 4 probe "$STORE"
}

case_unprotect()
{
	to_active protect
	tool 5 unprotect-store --yes "$STORE"
	sp_remove origin
	sp_remove store
	tool 2 unprotect-store "$STORE" < /dev/null
	tool 4 wipe --yes "$STORE"
	tool 0 unprotect-store --yes "$STORE"
	expect_match said "$OUT" "label on $ORIGIN is still protected"
	expect_eq protected "$(cells stores -o PROTECTED)" no
	tool 0 check "$STORE"
	# The volume goes on as if nothing had been, and is stricter again.
	sp_load_store
	sp_load_origin
	expect_st state active
	expect_st mode protect
	expect_image 1
	sp_remove origin
	sp_remove store
	blkpat zero "$ORIGIN"
	tool 0 unprotect-store --yes "$STORE"
	expect_eq silent "$OUT" ""
	tool 0 wipe --yes "$STORE"
}

run_cases case_stores case_stores_do_not_hang case_wipe_refused case_wipe \
	case_wipe_lost case_unprotect
