#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# snapprot list, status, snapshot, delete, protect, normal and clear, on volumes
# that were set up by hand.
# disks: 64M 64M 64M 64M
# timeout: 300

# shellcheck disable=SC2119 # functions whose arguments are optional
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/states.sh
. "$TOP/tests/lib/states.sh"
# shellcheck source=tests/lib/admin.sh
. "$TOP/tests/lib/admin.sh"

case_nothing_there()
{
	tool 0 status
	expect_eq status "$OUT" ""
	tool 0 status --test
	tool 0 list
	tool 0 list -J
	tool 4 status origin
	expect_match error "$ERR" "^snapprot status: origin: no such volume"
	dmsetup create other --table "0 8 zero"
	tool 0 status
	expect_eq "other device" "$OUT" ""
	tool 4 snapshot other
}

case_status()
{
	local total

	to_active
	total=$(st total)
	tool 0 status
	expect_match headings "$OUT" \
		"^NAME +MODE +STATE +FAULT +SNAPS +LOST +USED +SIZE +USE% +STORE *"$'\n'
	expect_match row "$OUT" "origin normal active +1 +0 +[0-9.]+[KM] +64M +[0-9]+ store"
	expect_eq columns "$(cells status -o name,state,low,label,uuid)" \
		"origin active no yes $VOLUME_UUID"
	expect_eq bytes "$(cells status -b -o SIZE)" $((total * 512))
	expect_eq "by path" "$(cells status -o NAME /dev/mapper/origin)" origin
	expect_eq "by uuid" "$(cells status -o NAME "$VOLUME_UUID")" origin
	tool 0 status -o +HEALTH,HELD
	expect_match added "$OUT" "STORE +HEALTH +HELD"$'\n'".* well +0 *$"
	tool 2 status -o NAME,COLOUR
	expect_match error "$ERR" "COLOUR: no such column"
	tool 2 status --colour
	tool 2 status origin store
	tool 4 status store
}

case_json()
{
	to_active
	sp_load_view 1
	tool 0 status -J -b -o +fault,label,grace
	expect_eq status "$(python3 -c '
import json, sys
v = json.load(sys.stdin)["volumes"][0]
print(v["name"], v["snaps"] + 1, v["fault"], v["label"], v["grace"])
' <<< "$OUT")" "origin 2 None True None"
	tool 0 list -J
	expect_eq list "$(python3 -c '
import json, sys
s = json.load(sys.stdin)["snapshots"][0]
print(s["id"] + 1, s["state"], s["view"])
' <<< "$OUT")" "2 valid snap1"
}

# expect_test <exit code> <what is printed, a regular expression>
expect_test()
{
	local rc=0

	OUT=$("$SNAPPROT" status --test 2>&1) || rc=$?
	expect_eq "status --test, exit code" "$rc" "$1"
	expect_match "status --test" "$OUT" "$2"
}

case_test_codes()
{
	sp_up
	expect_test 0 '^$'
	sp_create 1
	expect_test 0 '^$'
	dmsetup suspend store
	expect_test 11 '^origin: waiting: normal, active$'
	dmsetup resume store
	dmsetup suspend origin
	expect_test 11 'waiting'
	dmsetup resume origin
	# Low: more is asked to be free than is.
	sp_reload store low_water 99
	write_at "$ORIGIN_DM" 0 8192 2
	expect_test 10 '^origin: low: .* % of the store used$'
	sp_reload store low_water 1
	sp_msg protect
	sp_remove store
	wait_st state blocked
	expect_test 13 '^origin: blocked: protect, blocked, fault store_removed$'
	sp_msg normal drop_snapshots
	expect_test 12 '^origin: lost: .*, 1 snapshot lost$'
	second_volume
	expect_test 12 '^origin: lost: [^;]*$'
	tool 0 status --test second
}

case_waiting()
{
	to_waiting grace 200
	expect_test 11 '^origin: waiting: normal, waiting'
	expect_match row "$(cells status -o STATE,GRACE,HELD)" \
		'^waiting (200|1[0-9][0-9]) 0$'
	expect_exit 1 "$SNAPPROT" list
	expect_match error "$OUTPUT" \
		'^snapprot list: origin: .*the store is not there$'
	tool 1 snapshot origin
	expect_match error "$ERR" 'origin: has no store: it is waiting'
}

case_list()
{
	to_active
	sp_create 4294967295
	expect_match list "$(cells list)" \
		'^origin 1 valid 20[0-9-]+T[0-9:+]+ 63M;origin 4294967295 valid '
	expect_eq bytes "$(cells list -b -o ID,SIZE)" \
		"1 $((ORIGIN_SECTORS * 512));4294967295 $((ORIGIN_SECTORS * 512))"
	sp_load_view 1
	expect_eq view "$(cells list -o ID,VIEW origin)" '1 snap1;4294967295'
	# Ids of the schedule are not counted with.
	tool 0 snapshot origin
	expect_eq id "$OUT" 2
	sp_create 2147483647
	tool 1 snapshot origin
	expect_match error "$ERR" 'choose one with --id'
	tool 0 snapshot origin --id 5
	expect_eq id "$OUT" 5
}

# The image of a mounted file system is clean: no journal has to be replayed.
case_snapshot_freezes()
{
	local dir=$TMPDIR/mnt

	sp_up
	mkfs.ext4 -q "$ORIGIN_DM"
	mkdir -p "$dir"
	mount "$ORIGIN_DM" "$dir"
	defer umount "$dir"
	echo before > "$dir/file"
	tool 0 snapshot origin
	expect_eq id "$OUT" 1
	echo after > "$dir/file"
	tool 0 snapshot --no-freeze origin
	expect_eq id "$OUT" 2
	sp_load_view 1
	sp_load_view 2
	expect_eq frozen "$(needs_recovery /dev/mapper/snap1)" no
	expect_eq "not frozen" "$(needs_recovery /dev/mapper/snap2)" yes
	expect_eq suspended "$(suspended origin)" Active
}

# needs_recovery <device>
needs_recovery()
{
	if dumpe2fs -h "$1" 2> /dev/null | grep -q needs_recovery; then
		echo yes
	else
		echo no
	fi
}

case_snapshot_of_several()
{
	sp_up
	second_volume
	sp_create 7
	tool 0 snapshot origin second
	expect_eq id "$OUT" 8
	expect_eq both "$(cells list -o NAME,ID)" 'origin 7;origin 8;second 8'
	tool 0 snapshot --no-freeze second origin
	expect_eq third "$(cells list -o ID second)" '8;9'
	expect_eq suspended "$(suspended origin) $(suspended second)" \
		"Active Active"
	tool 2 snapshot origin second origin
	expect_match error "$ERR" 'origin: is named twice'
	tool 4 snapshot origin third
	expect_eq none "$(cells list -o ID second)" '8;9'
}

# Where one fails, none of the others has a snapshot, and all go on.
case_snapshot_is_undone()
{
	sp_up
	second_volume
	dmsetup message second 0 create_snap 3
	tool 1 snapshot --id 3 origin second
	expect_match error "$ERR" '^snapprot snapshot: second: .*the id is taken$'
	expect_eq "none left" "$(cells list -o NAME,ID)" 'second 3'
	tool 1 snapshot --id 3 second origin
	expect_eq "none left" "$(cells list -o NAME,ID)" 'second 3'
	expect_eq suspended "$(suspended origin) $(suspended second)" \
		"Active Active"
	write_at "$ORIGIN_DM" 0 8 1
	write_at /dev/mapper/second 0 8 1
}

# A volume on a volume: the one above is suspended first, whatever the order of
# the names, or its last writes would wait for the one below.
case_snapshot_of_a_stack()
{
	local dir=$TMPDIR/mnt upper order

	sp_up
	# shellcheck disable=SC2086 # a list of names
	set -- $SPARE_DISKS
	upper=$("$SNAPPROT" format "$ORIGIN_DM" "$1")
	eval "U_${upper//$'\n'/$'\n'U_}"
	dmsetup create upper-st --table "$U_STORE_TABLE"
	dmsetup create upper --table "$U_ORIGIN_TABLE"
	mkfs.ext4 -q /dev/mapper/upper
	mkdir -p "$dir"
	mount /dev/mapper/upper "$dir"
	defer dmsetup remove origin
	defer dmsetup remove upper
	defer umount "$dir"
	for order in "origin upper" "upper origin"; do
		echo "$order" > "$dir/file"
		# shellcheck disable=SC2086 # a list of names
		tool 0 snapshot $order
	done
	expect_eq both "$(cells list -o NAME,ID)" \
		'origin 1;origin 2;upper 1;upper 2'
}

case_suspended_stays_so()
{
	sp_up
	dmsetup suspend origin
	tool 0 snapshot origin
	expect_eq suspended "$(suspended origin)" Suspended
	dmsetup resume origin
}

case_snapshot_blocked()
{
	to_blocked
	tool 1 snapshot origin
	expect_match error "$ERR" 'origin: is blocked by store_removed'
}

case_delete()
{
	to_active
	sp_create 2
	sp_create 3
	sp_load_view 2
	# What is in use, or is not there, does not keep the others.
	expect_exit 5 "$SNAPPROT" delete origin 2 9 3
	expect_match errors "$OUTPUT" \
		'snapshot 2: is shown as snap2; .*snapshot 9: no such snapshot'
	expect_eq left "$(cells list -o ID)" '1;2'
	tool 4 delete origin 3
	tool 2 delete origin 1 0
	tool 2 delete origin 1 x2
	tool 2 delete origin 1 4294967296
	tool 2 delete origin
	expect_eq left "$(cells list -o ID)" '1;2'
	sp_remove snap2
	tool 0 delete origin 1 2
	expect_eq left "$(cells list -o ID)" ''
}

case_modes()
{
	to_active
	tool 0 protect origin
	expect_st mode protect
	tool 2 normal origin < /dev/null
	expect_match error "$ERR" 'needs --yes'
	tool 1 normal --drop-snapshots --yes origin
	expect_match error "$ERR" 'is not blocked'
	expect_st mode protect
	tool 0 normal --yes origin
	expect_st mode normal
	tool 2 protect
	tool 2 protect --yes origin
	tool 2 normal origin second --yes
}

case_way_out()
{
	to_blocked
	tool 5 normal --yes origin
	expect_match error "$ERR" 'blocked by store_removed.*--drop-snapshots'
	tool 2 normal --drop-snapshots origin < /dev/null
	expect_st state blocked
	tool 0 normal --drop-snapshots --yes origin
	expect_st state nostore
	expect_st mode normal
}

# Asked on a terminal, only "yes" is one.
case_asked()
{
	to_active
	tool 0 protect origin
	answer no > "$TMPDIR/said" && fail "no is taken for yes"
	expect_match question "$(cat "$TMPDIR/said")" 'origin: .*Type yes: '
	expect_st mode protect
	answer yes > "$TMPDIR/said"
	expect_st mode normal
}

# answer <word>: to "snapprot normal origin", on a terminal of its own
answer()
{
	python3 -c '
import os, pty, sys
pid, fd = pty.fork()
if not pid:
    os.execv(sys.argv[1], [sys.argv[1], "normal", "origin"])
said = b""
try:
    while not said.endswith(b"yes: "):
        said += os.read(fd, 100)
    os.write(fd, sys.argv[2].encode() + b"\n")
    while True:
        said += os.read(fd, 100)
except OSError:
    pass
sys.stdout.write(said.decode())
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
' "$SNAPPROT" "$1"
}

case_clear()
{
	to_active protect
	tool 0 clear origin
	sp_remove store
	wait_st state blocked
	tool 1 clear origin
	expect_match error "$ERR" \
		'origin: still blocked by store_removed: the store is not there'
	tool 4 clear origin cow_read
	expect_match error "$ERR" 'its fault is store_removed, not cow_read'
	tool 2 clear origin flood
	expect_match error "$ERR" 'flood: is no fault'
	sp_load_store
	wait_st state active
	sp_msg debug_fault cow_read
	wait_st state blocked
	tool 0 clear origin cow_read
	expect_st state active
}

# Names are as people write them, whatever device-mapper makes of them.
case_odd_names()
{
	local -x LC_ALL=C.UTF-8

	sp_up
	defer dmsetup remove "my data-1 §-st"
	defer dmsetup remove "my data-1 §"
	second_volume "my data-1 §"
	tool 0 snapshot "my data-1 §" origin
	expect_eq list "$(cells list -o ID "my data-1 §")" 1
	expect_match status "$(cells status -o NAME,STORE)" \
		'^my data-1 § my data-1 §-st;origin store$'
	tool 0 protect "my data-1 §"
	expect_eq mode "$(cells status -o MODE "my data-1 §")" protect
	tool 4 snapshot ""
	tool 4 snapshot "$(printf '%0200d' 0)"
	tool 4 snapshot 'my data'
	tool 0 status -J
	expect_eq json "$(python3 -c '
import json, sys
print(json.load(sys.stdin)["volumes"][0]["name"])' <<< "$OUT")" "my data-1 §"
}

case_rights()
{
	sp_up
	chmod 755 "$TMPDIR"
	expect_exit 1 setpriv --reuid 65534 --clear-groups "$SNAPPROT" status
	expect_eq error "$OUTPUT" "snapprot status: only root may do this"
}

run_cases case_nothing_there case_status case_json case_test_codes \
	case_waiting case_list case_snapshot_freezes case_snapshot_of_several \
	case_snapshot_is_undone case_snapshot_of_a_stack \
	case_suspended_stays_so case_snapshot_blocked case_delete case_modes \
	case_way_out case_asked case_clear case_odd_names case_rights
