# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# What tests share whose guest has systemd for its init; see tests/qemu/systemd.
# Sourced after common.sh. Such a test is called once more, as "TEST prepare", before
# systemd: what it makes then is what the boot will find.

TAB=/etc/snapprottab
# With udev at work, the tool that make install has put in place.
SNAPPROT=/usr/sbin/snapprot

# disk <serial>: its device
disk()
{
	local sys

	for sys in /sys/block/vd*; do
		[ "$(cat "$sys/serial")" != "$1" ] || echo "/dev/${sys##*/}"
	done
}

# unplug <serial>: the disk is gone, as if it had been pulled out. The driver lets go
# of it, and finds it again by plug.
unplug()
{
	local dev

	dev=$(disk "$1")
	dev=$(readlink -f "/sys/block/${dev##*/}/device")
	echo "${dev##*/}" > "/run/unplugged-$1"
	echo "${dev##*/}" > /sys/bus/virtio/drivers/virtio_blk/unbind
}

plug()
{
	cat "/run/unplugged-$1" > /sys/bus/virtio/drivers/virtio_blk/bind
	rm "/run/unplugged-$1"
}

# node <serial>: its device, by a name that it always has
node()
{
	echo "/dev/disk/by-id/virtio-$1"
}

# make_volume <name> <origin> <store> [<options>]: on the disks of those serials,
# with a file system, and a snapshot of it before a file was written. It is in the
# tab, and not loaded. For prepare.
make_volume()
{
	local origin store

	origin=$(disk "$2")
	store=$(disk "$3")
	"$SNAPPROT" format "$origin" "$store" > "/run/made-$1"
	echo "$1 $origin -" > "$TAB.made"
	load_made "$1"
	mkfs.ext4 -q -L "$1" "/dev/mapper/$1"
	add_history "$1"
	echo "$1 $(node "$2") - ${4:-}" >> "$TAB"
}

# add_volume <as above>: made if that has not been done in an earlier boot
add_volume()
{
	if "$SNAPPROT" probe "$(disk "$2")" > /dev/null 2>&1; then
		echo "$1 $(node "$2") - ${4:-}" >> "$TAB"
	else
		make_volume "$@"
	fi
}

# The tab has the names that udev will give: here they are the kernel's.
load_made()
{
	mv "$TAB" "$TAB.whole"
	mv "$TAB.made" "$TAB"
	"$SNAPPROT" activate "$1"
	mv "$TAB.whole" "$TAB"
}

# add_history <name>: a snapshot, and then a write, of a volume that is unloaded then
add_history()
{
	mkdir -p /run/made
	mount "/dev/mapper/$1" /run/made
	echo old > /run/made/file
	"$SNAPPROT" snapshot "$1" > /dev/null
	echo new > /run/made/file
	umount /run/made
	"$SNAPPROT" deactivate "$1"
}

# made <name> <word>: of what format had to say
made()
{
	(
		eval "$(cat "/run/made-$1")"
		echo "${!2}"
	)
}

# fs_uuid <device>
fs_uuid()
{
	blkid -p -o value -s UUID "$1"
}

# vol <name> <column>: of its status
vol()
{
	"$SNAPPROT" status --noheadings -o "$2" "$1" | tr -d ' '
}

# unit <name>: active, inactive, failed, activating ...
unit()
{
	systemctl is-active "$1" || :
}

wait_unit()
{
	wait_value "${3:-60}" "$2" unit "$1"
}

# expect_history <name> <mount point>: the file is new, and the snapshot has the old one
expect_history()
{
	expect_eq "$1's file" "$(cat "$2/file")" new
	expect_eq "$1's snapshot" "$(cells list "$1" -o STATE)" valid
	mkdir -p /run/history
	"$SNAPPROT" mount "$1" 1 /run/history
	expect_eq "$1's old file" "$(cat /run/history/file)" old
	"$SNAPPROT" umount /run/history
}

# linked_to <link>: the kernel's name of what it leads to
linked_to()
{
	basename "$(readlink -f "$1")"
}

# no_cookies: none was left behind by whoever waited for udev
no_cookies()
{
	expect_eq cookies "$(command dmsetup udevcookies | tail -n +2)" ""
}

# stop_all: down again as at a shutdown, and nothing is left
stop_all()
{
	systemctl stop 'srv-*.mount'
	systemctl stop 'snapprot@*.service'
	[ -z "$(dm_names)" ] || {
		journalctl -b -o short-monotonic | tail -n 60 >&2
		findmnt >&2
	}
	expect_eq names "$(dm_names)" ""
	expect_eq links "$(ls /dev/snapprot 2> /dev/null || :)" ""
	no_cookies
}
