#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# ext4 and xfs on a live volume, with fio and stress-ng at work on them, while
# snapshots are taken and deleted. Each is mounted, compared with a manifest of its
# instant, and checked by the file system's own tool after its journal was replayed
# into an overlay.
# suite: full
# kernels: 6.12
# disks: 320M 512M
# memory: 1536M
# cpus: 2
# timeout: 290

# shellcheck disable=SC2119 # functions whose arguments are optional
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

LIVE=$TMPDIR/live
SNAP=$TMPDIR/snap
MANIFESTS=$TMPDIR/manifests
ENOUGH=$TMPDIR/enough

for program in fio stress-ng mkfs.xfs; do
	command -v "$program" > /dev/null || skip_all "no $program"
done
modprobe loop
modprobe xfs

# ---- the load --------------------------------------------------------------------

# What fio reads back has to be what it wrote.
verified_writes()
{
	fio --name=verify --directory="$LIVE/fio" --rw=randwrite --size=12M \
		--bssplit=4k/60:16k/30:64k/10 --ioengine=psync --direct="$1" \
		--verify=crc32c --verify_fatal=1 --verify_backlog=64 \
		--randseed="$RANDOM" --fsync=64 --overwrite=1
}

# Files and directories that come and go, some of them unlinked while open.
file_operations()
{
	stress-ng --temp-path "$LIVE/stress" --no-rand-seed --verify --timeout 4 \
		--hdd 1 --hdd-bytes 4M --dentry 1 --dentries 64 --rename 1 \
		--fallocate 1 --fallocate-bytes 4M
}

# Each until there is a file ENOUGH.
repeat()
{
	until [ -e "$ENOUGH" ]; do
		"$1" 0 && "$1" 1 || exit
	done
	exit 0
}

load_start()
{
	mkdir "$LIVE/fio" "$LIVE/stress"
	rm -f "$ENOUGH"
	repeat verified_writes > "$TMPDIR/fio.log" 2>&1 3>&- &
	FIO=$!
	repeat file_operations > "$TMPDIR/stress.log" 2>&1 3>&- &
	STRESS=$!
	defer load_gone
	wait_for 60 test -e "$LIVE/fio/verify.0.0"
}

load_gone()
{
	: > "$ENOUGH"
	load_signal CONT
	load_signal KILL
	wait "$FIO" "$STRESS"
	return 0
}

# load_signal <name>: to the two that repeat, and to all that they have started
load_signal()
{
	kill "-$1" "$FIO" "$STRESS" 2> /dev/null
	pkill "-$1" -x fio
	pkill "-$1" '^stress-ng'
	return 0
}

# What state each of them is in, but for those whose parent was stopped before it
# learnt that they have ended.
load_processes()
{
	ps -A -o stat=,comm= |
		awk '$1 !~ /^Z/ && ($2 == "fio" || $2 ~ /^stress-ng/)'
}

load_stop()
{
	load_signal STOP
	wait_for 60 load_is_stopped
}

# What was forked meanwhile is caught by doing it again.
load_is_stopped()
{
	load_signal STOP
	! load_processes | grep -qv '^T'
}

load_end()
{
	: > "$ENOUGH"
	wait "$FIO" || fail "fio: $(tail -n 5 "$TMPDIR/fio.log")"
	wait "$STRESS" || fail "stress-ng: $(tail -n 5 "$TMPDIR/stress.log")"
}

# ---- manifests -------------------------------------------------------------------

# manifest <directory>: names, kinds, sizes, times and contents of all in it
manifest()
{
	(
		cd "$1"
		find . -path ./lost+found -prune -o \
			-printf '%p %y %m %n %T@ %l ' \
			\( -type d -printf '\n' -o -printf '%s\n' \) |
			LC_ALL=C sort
		find . -type f -print0 | LC_ALL=C sort -z |
			xargs -0 -r md5sum
	)
}

# expect_manifest <id> <directory>
expect_manifest()
{
	manifest "$2" > "$TMPDIR/found"
	cmp -s "$TMPDIR/found" "$MANIFESTS/$1" ||
		fail "snapshot $1 has other files:" \
			"$(diff "$MANIFESTS/$1" "$TMPDIR/found" | head -n 6)"
}

# ---- snapshots -------------------------------------------------------------------

# take [<option>]...: TAKEN is its number
take()
{
	tool 0 snapshot "$@" origin
	TAKEN=$OUT
}

# take_known: with all programs stopped, so that its files are known
take_known()
{
	load_stop
	manifest "$LIVE" > "$TMPDIR/manifest"
	take
	mv "$TMPDIR/manifest" "$MANIFESTS/$TAKEN"
	load_signal CONT
	[ "$(grep -c /fio/ "$MANIFESTS/$TAKEN")" -gt 0 ]
}

# Until so much more has been written to the live volume.
work_on()
{
	local until

	until=$(($(written) + 16384))
	wait_for 90 written_more_than "$until"
}

# Sectors.
written()
{
	local words

	read -r -a words < "/sys/block/$(dm_kernel_name origin)/stat"
	echo "${words[6]}"
}

written_more_than()
{
	[ "$(written)" -ge "$1" ]
}

check_ext4()
{
	e2fsck -fn "$1"
}

check_xfs()
{
	xfs_repair -n "$1"
}

# expect_clean <file system> <device>
expect_clean()
{
	OUT=$("check_$1" "$2" 2>&1) || fail "$2: $(tail -n 8 <<< "$OUT")"
}

# snapshot_check <file system> <id>
snapshot_check()
{
	if [ -e "$MANIFESTS/$2" ]; then
		tool 0 mount origin "$2" "$SNAP"
		expect_manifest "$2" "$SNAP"
		tool 0 umount "$SNAP"
	fi
	tool 0 mount --writable --scratch "$TMPDIR" origin "$2" "$SNAP"
	[ ! -e "$MANIFESTS/$2" ] || expect_manifest "$2" "$SNAP"
	expect_eq "constant files" "$(md5sum < "$SNAP/constant")" "$CONSTANT"
	umount "$SNAP"
	expect_clean "$1" "/dev/mapper/origin-snap$2-rw"
	tool 0 conceal origin "$2"
}

# with_files <file system> [<feature>]...
with_files()
{
	local id ids fs=$1

	shift
	sp_up "$@"
	"mkfs.$fs" -q "$ORIGIN_DM"
	rm -rf "$MANIFESTS"
	mkdir -p "$LIVE" "$SNAP" "$MANIFESTS"
	mount "$ORIGIN_DM" "$LIVE"
	defer unmount
	head -c 4M /dev/urandom > "$LIVE/constant"
	CONSTANT=$(md5sum < "$LIVE/constant")
	load_start
	work_on
	take_known
	ids=$TAKEN
	work_on
	take
	tool 0 delete origin "$TAKEN"
	take
	ids+=" $TAKEN"
	work_on
	take --no-freeze
	ids+=" $TAKEN"
	work_on
	take_known
	ids+=" $TAKEN"
	work_on
	# One of them while the load goes on, the others after it.
	snapshot_check "$fs" "$TAKEN"
	load_end
	for id in $ids; do
		snapshot_check "$fs" "$id"
	done
	umount "$LIVE"
	expect_clean "$fs" "$ORIGIN_DM"
}

unmount()
{
	local dir

	for dir in "$SNAP" "$LIVE"; do
		! mountpoint -q "$dir" || umount "$dir"
	done
}

case_ext4()
{
	with_files ext4
}

case_xfs()
{
	with_files xfs protect
}

run_cases case_ext4 case_xfs
