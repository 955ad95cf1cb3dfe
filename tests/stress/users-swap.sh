#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Swap on a live volume, with less memory than is asked for, and a loop device over a
# file on one: memory that has to be preserved before it can be had does not stop the
# machine, and snapshots stay what they were.
# suite: full
# kernels: 6.12
# disks: 192M 384M
# memory: 512M
# cpus: 2
# timeout: 240
# covers: promises: nothing hangs

# shellcheck disable=SC2119 # functions whose arguments are optional
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/images.sh
. "$TOP/tests/lib/images.sh"

command -v stress-ng > /dev/null || skip_all "no stress-ng"
modprobe loop

# vm_counter <pswpin|pswpout>: pages since the boot
vm_counter()
{
	awk -v name="$1" '$1 == name { print $2 }' /proc/vmstat
}

swapped_more_than()
{
	[ "$(vm_counter pswpout)" -gt "$1" ]
}

# pressure: more than there is, by a half of the swap
pressure_start()
{
	local kib

	kib=$(awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo)
	stress-ng --vm 2 --vm-bytes $((kib + 96 * 1024))K --vm-keep --verify \
		--vm-method flip --timeout 600 > "$TMPDIR/stress.log" 2>&1 3>&- &
	PRESSURE=$!
	defer pressure_gone
}

# It has ended by itself only if something was wrong.
pressure_end()
{
	! ended "$PRESSURE" || fail "stress-ng: $(tail -n 5 "$TMPDIR/stress.log")"
	kill -INT "$PRESSURE"
	wait "$PRESSURE" || fail "stress-ng: $(tail -n 5 "$TMPDIR/stress.log")"
}

pressure_gone()
{
	pkill -KILL '^stress-ng'
	wait "$PRESSURE"
	return 0
}

swap_off()
{
	! grep -q '^/dev/dm' /proc/swaps || swapoff "$ORIGIN_DM"
}

# swap_on <mode>: with snapshots taken under pressure
swap_on()
{
	local id sum first second out in

	sp_up
	[ "$1" = normal ] || sp_msg protect
	blkpat fill "$ORIGIN_DM" 5
	first=$(dev_sum "$ORIGIN_DM")
	sp_create 1
	mkswap -q "$ORIGIN_DM" > /dev/null
	second=$(dev_sum "$ORIGIN_DM")
	sp_create 2
	out=$(vm_counter pswpout)
	in=$(vm_counter pswpin)
	swapon "$ORIGIN_DM"
	defer swap_off
	pressure_start
	for id in 3 4 5 6; do
		wait_for 120 swapped_more_than $((out + 4000))
		sp_create "$id"
		[ "$id" = 3 ] || sp_delete $((id - 1))
		out=$(vm_counter pswpout)
	done
	wait_for 120 swapped_more_than $((out + 4000))
	[ "$(vm_counter pswpin)" -gt "$in" ] || fail "nothing was read back"
	pressure_end
	swapoff "$ORIGIN_DM"
	expect_st state active
	expect_st fault -
	expect_st mode "$1"
	image_check 1 "$first"
	image_check 2 "$second"
	# What is in the last one nobody knows, but it stays what it is.
	sp_load_view 6
	sum=$(dev_sum /dev/mapper/snap6)
	sp_remove snap6
	blkpat fill "$ORIGIN_DM" 6
	image_check 6 "$sum"
}

case_swap_normal()
{
	swap_on normal
}

case_swap_protect()
{
	swap_on protect
}

unmount_snapshot()
{
	! mountpoint -q "$1" || umount "$1"
}

# The file's contents at the instant, through the loop device of the live one.
case_loop()
{
	local live=$TMPDIR/live snap=$TMPDIR/snap loop sums=() id n=3

	sp_up
	mkfs.ext4 -q "$ORIGIN_DM"
	mkdir -p "$live" "$snap"
	mount "$ORIGIN_DM" "$live"
	defer umount "$live"
	defer unmount_snapshot "$snap"
	truncate -s 24M "$live/disk"
	loop=$(losetup --find --show "$live/disk")
	defer losetup -d "$loop"
	blkpat fill "$loop" 1
	for id in 1 2 3; do
		blkpat write "$loop" $((10 + id)) 60 64K
		sums[id]=$(dev_sum "$loop")
		tool 0 snapshot origin
		expect_eq "number of the snapshot" "$OUT" "$id"
	done
	blkpat write "$loop" 20 60 64K
	for ((id = 1; id <= n; id++)); do
		tool 0 mount origin "$id" "$snap"
		expect_eq "snapshot $id" "$(blkpat sum "$snap/disk")" \
			"${sums[id]}"
		tool 0 umount "$snap"
	done
	expect_st fault -
}

run_cases case_swap_normal case_swap_protect case_loop
