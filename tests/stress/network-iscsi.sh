#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A store behind iSCSI: a break that the initiator bridges is not noticed; where it
# gives up, the target does not answer, or the session is a new one with a disk of
# another name, nothing hangs, and in protection mode nothing is lost.
# suite: full
# disks: 9M 8M
# timeout: 240
# covers: promises: never wrong; protection mode loses nothing; nothing hangs

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/images.sh
. "$TOP/tests/lib/images.sh"
# shellcheck source=tests/lib/gone.sh
. "$TOP/tests/lib/gone.sh"

IQN=iqn.2026-01.example:store

for program in tgtd iscsid; do
	command -v "$program" > /dev/null || skip_all "no $program"
done
modprobe iscsi_tcp
modprobe sd_mod

# ---- the target --------------------------------------------------------------------

target()
{
	tgtadm --lld iscsi --mode "$@"
}

# target_start: TARGET is its process. Where the initiator looks for it there is nobody
# before the disk is there: an answer that there is none would be final.
target_start()
{
	tgtd -f --iscsi portal=127.0.0.1:3261 > "$TMPDIR/tgtd.log" 2>&1 3>&- &
	TARGET=$!
	defer target_gone "$TARGET"
	wait_for 20 target sys --op show
	target target --op new --tid 1 -T "$IQN"
	target logicalunit --op new --tid 1 --lun 1 -b "$STORE_DISK"
	target target --op bind --tid 1 -I ALL
	target portal --op new --param portal=127.0.0.1:3260
}

target_kill()
{
	kill -KILL "$TARGET"
	wait "$TARGET" 2> /dev/null || :
}

target_gone()
{
	kill -KILL "$1" 2> /dev/null
	wait "$1" 2> /dev/null
	return 0
}

# ---- the initiator -----------------------------------------------------------------

node()
{
	iscsiadm -m node -T "$IQN" -p 127.0.0.1 "$@" > "$TMPDIR/iscsiadm" 2>&1 ||
		fail "iscsiadm $*: $(cat "$TMPDIR/iscsiadm")"
}

# initiator_start <replacement_timeout>. A guest that is slow does not answer pings in
# time, so there are none.
initiator_start()
{
	iscsid -f > "$TMPDIR/iscsid.log" 2>&1 3>&- &
	defer target_gone $!
	wait_for 20 grep -q @ISCSIADM_ABSTRACT_NAMESPACE /proc/net/unix
	node -o new
	node -o update -n node.session.timeo.replacement_timeout -v "$1"
	node -o update -n 'node.conn[0].timeo.noop_out_interval' -v 0
	node -o update -n 'node.conn[0].timeo.noop_out_timeout' -v 0
	defer logout_again
	login
}

# login: STORE is the disk
login()
{
	node --login
	wait_for 30 find_disk
}

find_disk()
{
	local dir

	for dir in /sys/class/iscsi_session/session*/device/target*/*:1/block/*; do
		[ -e "$dir/size" ] || return 1
		STORE=/dev/${dir##*/}
		[ -b "$STORE" ]
		return
	done
}

logout_again()
{
	iscsiadm -m node --logout > /dev/null 2>&1
	iscsiadm -m node -o delete > /dev/null 2>&1
	return 0
}

is_running()
{
	[ "$(cat "/sys/block/${STORE#/dev/}/device/state")" = running ]
}

# iscsi_volume <mode> <replacement_timeout> <io_timeout>
iscsi_volume()
{
	target_start
	initiator_start "$2"
	gone_volume "$1" io_timeout "$3"
}

iscsi_down()
{
	local name=${STORE#/dev/}

	expect_eq "holders of $name" "$(ls "/sys/block/$name/holders")" ""
	node --logout
	[ ! -e "/sys/block/$name" ]
}

# ---- cases -------------------------------------------------------------------------

# short_break <mode>: shorter than either limit
short_break()
{
	local writer

	iscsi_volume "$1" 120 120
	target_kill
	cold_write &
	writer=$!
	wait_for 20 is_held "$writer"
	expect_st state active
	target_start
	wait_for 60 ended "$writer"
	wait "$writer"
	write_at "$SHADOW" "$COLD" 64 77
	expect_st fault -
	images_check
	volume_down
	iscsi_down
}

# long_break <mode>: the initiator gives up, and goes on by itself afterwards
long_break()
{
	iscsi_volume "$1" 2 0
	target_kill
	provoking_write "$1"
	expect_gone "$1" 'cow_write|store_io'
	target_start
	wait_for 60 is_running
	store_well_again "$1"
	expect_images "$1"
	iscsi_down
}

# frozen <mode>: it does not answer, and the store's own limit is the shorter one
frozen()
{
	iscsi_volume "$1" 120 2
	kill -STOP "$TARGET"
	provoking_write "$1"
	expect_gone "$1" store_io
	kill -CONT "$TARGET"
	store_well_again "$1"
	expect_images "$1"
	iscsi_down
}

# other_name <mode>: another session, while the disk of the first is still in use
other_name()
{
	local before

	iscsi_volume "$1" 2 0
	target_kill
	provoking_write "$1"
	expect_gone "$1" 'cow_write|store_io'
	before=$STORE
	target_start
	wait_for 60 is_running
	node --logout
	login
	[ "$STORE" != "$before" ] || fail "it has the name of before"
	store_back
	expect_images "$1"
	iscsi_down
}

both_modes short_break long_break frozen other_name
run_cases "${CASES[@]}"
