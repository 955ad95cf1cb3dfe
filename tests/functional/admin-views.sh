#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# snapprot expose, conceal, mount and umount.
# disks: 64M 64M
# timeout: 300

# shellcheck disable=SC2119 # functions whose arguments are optional
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/states.sh
. "$TOP/tests/lib/states.sh"
# shellcheck source=tests/lib/admin.sh
. "$TOP/tests/lib/admin.sh"

DIR=$TMPDIR/snap
LIVE=$TMPDIR/live

# with_files <file system>: a mounted volume, a file "old" in it, snapshot 1 with
# the file system frozen and 2 without; then the file has "new" in it
with_files()
{
	sp_up
	"mkfs.$1" -q "$ORIGIN_DM"
	mkdir -p "$LIVE" "$DIR"
	mount "$ORIGIN_DM" "$LIVE"
	defer umount "$LIVE"
	echo old > "$LIVE/file"
	tool 0 snapshot origin
	echo more > "$LIVE/second"
	sync -f "$LIVE"
	tool 0 snapshot --no-freeze origin
	echo new > "$LIVE/file"
	sync -f "$LIVE"
}

loops()
{
	losetup --list --noheadings | wc -l
}

case_expose()
{
	to_active
	write_at "$ORIGIN_DM" 0 2048 2
	tool 0 expose origin 1
	expect_eq path "$OUT" /dev/mapper/origin-snap1
	verify_at /dev/mapper/origin-snap1 0 2048 1
	expect_eq uuid "$(dmsetup info -c --noheadings -o uuid origin-snap1)" \
		"SNAPPROT-$VOLUME_UUID-snap1"
	tool 0 expose origin 1
	expect_eq again "$OUT" /dev/mapper/origin-snap1
	expect_eq view "$(cells list -o VIEW)" origin-snap1
	tool 5 delete origin 1
	tool 0 conceal origin 1
	expect_eq names "$(dm_names | sort | paste -s -d ' ')" "origin store"
	tool 4 conceal origin 1
	tool 4 expose origin 2
	expect_match error "$ERR" 'snapshot 2: no such snapshot'
	tool 2 expose origin
	tool 2 expose origin one
	tool 4 expose data 1
}

case_expose_by_hand()
{
	to_active
	sp_load_view 1
	tool 0 expose origin 1
	expect_eq path "$OUT" /dev/mapper/snap1
	exec {held}< /dev/mapper/snap1
	tool 5 conceal origin 1
	expect_match error "$ERR" 'snap1: is in use'
	exec {held}<&-
	tool 0 conceal origin 1
}

case_lost()
{
	to_blocked
	sp_msg normal drop_snapshots
	sp_load_store
	wait_st state active
	tool 1 expose origin 1
	expect_match error "$ERR" 'snapshot 1: is lost'
}

case_mount_ext4()
{
	with_files ext4
	tool 0 mount origin 1 "$DIR"
	expect_eq file "$(cat "$DIR/file")" old
	expect_fail touch "$DIR/file"
	# As it is, where the journal was not replayed.
	mkdir -p "$TMPDIR/second"
	tool 0 mount origin 2 "$TMPDIR/second"
	tool 0 umount "$TMPDIR/second"
	tool 5 conceal origin 1
	expect_match error "$ERR" "origin-snap1: is mounted on $DIR"
	tool 0 umount "$DIR"
	expect_eq names "$(dm_names | sort | paste -s -d ' ')" "origin store"
	tool 4 umount "$DIR"
	tool 4 umount "$LIVE"
	expect_match error "$ERR" 'no snapshot is mounted there'
}

case_mount_xfs()
{
	ORIGIN=$(loop_new 400M)
	defer loop_delete "$ORIGIN"
	defer dmsetup remove store
	defer dmsetup remove origin
	with_files xfs
	tool 0 mount origin 1 "$DIR"
	expect_eq file "$(cat "$DIR/file")" old
	tool 0 umount "$DIR"
	tool 0 mount --writable origin 2 "$DIR"
	expect_eq file "$(cat "$DIR/file")" old
	echo mine > "$DIR/file"
	tool 0 umount "$DIR"
	expect_eq live "$(cat "$LIVE/file")" new
}

# The journal is replayed into the overlay, whose contents nobody else sees.
case_mount_writable()
{
	local before

	with_files ext4
	before=$(loops)
	tool 0 mount --writable --scratch "$TMPDIR" origin 2 "$DIR"
	expect_eq file "$(cat "$DIR/file") $(cat "$DIR/second")" "old more"
	echo mine > "$DIR/file"
	sync -f "$DIR"
	expect_eq loops "$(loops)" $((before + 1))
	expect_eq "no file" "$(find "$TMPDIR" -maxdepth 1 -name 'snapprot.*')" ""
	tool 5 mount origin 2 "$TMPDIR"
	expect_match error "$ERR" 'has a writable overlay already'
	tool 0 umount "$DIR"
	expect_eq names "$(dm_names | sort | paste -s -d ' ')" "origin store"
	wait_value 10 "$before" loops
	tool 0 mount --writable --size 1M origin 2 "$DIR"
	expect_eq file "$(cat "$DIR/file")" old
	tool 0 umount "$DIR"
	expect_eq live "$(cat "$LIVE/file")" new
}

case_mount_undone()
{
	local before

	to_active
	mkdir -p "$DIR"
	before=$(loops)
	tool 4 mount origin 1 "$DIR"
	expect_match error "$ERR" 'origin-snap1: has no file system that is known'
	tool 4 mount --writable --scratch "$TMPDIR" origin 1 "$DIR"
	tool 1 mount --writable --scratch "$TMPDIR/none" origin 1 "$DIR"
	mkfs.ext4 -q "$ORIGIN_DM"
	tool 0 snapshot origin
	tool 4 mount origin 2 "$DIR/none"
	expect_match error "$ERR" 'none: ext4 on .*: No such file'
	expect_eq names "$(dm_names | sort | paste -s -d ' ')" "origin store"
	wait_value 10 "$before" loops
	tool 2 mount origin 1
	tool 2 mount --size 1M origin 1 "$DIR"
	tool 2 mount --writable --size 1X origin 1 "$DIR"
	tool 2 mount --writable --size 0 origin 1 "$DIR"
}

case_deactivate_takes_all()
{
	with_files ext4
	tool 0 mount --writable --scratch "$TMPDIR" origin 1 "$DIR"
	umount "$DIR"
	umount "$LIVE"
	tool 0 deactivate origin
	expect_eq names "$(dm_names)" ""
	mount -t tmpfs none "$LIVE"
}

modprobe loop
run_cases case_expose case_expose_by_hand case_lost case_mount_ext4 \
	case_mount_xfs case_mount_writable case_mount_undone \
	case_deactivate_takes_all
