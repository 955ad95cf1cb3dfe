#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A live volume under systemd and udev of Debian's: mounted at boot, its links, the
# tool's cookies, udev and a volume that is blocked, a store that is pulled out.
# disks: 48M 32M
# timeout: 120
# module: own
# kernels: 6.12
# cmdline: snapprot.systemd=tests/functional/boot-volume.sh

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/admin.sh
. "$TOP/tests/lib/admin.sh"
# shellcheck source=tests/lib/boot.sh
. "$TOP/tests/lib/boot.sh"

SHARED=yes

prepare()
{
	set -e
	make_volume data origin store protect,queue_on_fault
	echo "wrong /dev/nothing" >> "$TAB"
	echo "wrong2 /dev/nothing - protect,nonsense" >> "$TAB"
	# ext4 has a thread of its own that reads bitmaps, some time after the mount.
	echo "UUID=$(fs_uuid "$(disk origin)") /srv/data ext4 \
noinit_itable,no_prefetch_block_bitmaps,x-systemd.device-timeout=10min 0 0" > /etc/fstab
	rmmod dm-snapprot
}

[ "${1:-}" != prepare ] || {
	prepare
	exit
}

# The file system is the same on origin and live volume: the latter is mounted.
case_in_time()
{
	wait_unit srv-data.mount active
	expect_eq mounted "$(findmnt -no SOURCE /srv/data)" /dev/mapper/data
	expect_eq unit "$(unit snapprot@data.service)" active
	expect_history data /srv/data
}

case_links()
{
	local dm uuid

	dm=$(dm_kernel_name data)
	uuid=$(made data VOLUME_UUID)
	expect_eq name "$(linked_to /dev/snapprot/data)" "$dm"
	expect_eq uuid "$(linked_to "/dev/disk/by-snapprot-uuid/$uuid")" "$dm"
	expect_eq "file system" "$(linked_to \
		"/dev/disk/by-uuid/$(findmnt -no UUID /srv/data)")" "$dm"
	expect_eq label "$(linked_to /dev/disk/by-label/data)" "$dm"
	expect_eq origin \
		"$(linked_to "/dev/disk/by-snapprot-uuid/$uuid-origin")" \
		"$(linked_to "$(node origin)")"
	expect_eq store \
		"$(linked_to "/dev/disk/by-snapprot-uuid/$uuid-store")" \
		"$(linked_to "$(node store)")"
	expect_eq "origin's type" "$(lsblk -dno FSTYPE "$(node origin)")" \
		snapprot_member
}

case_wrong_lines()
{
	local log

	log=$(journalctl -b -o cat -t snapprot-generator)
	expect_match journal "$log" '/etc/snapprottab:2:[0-9]+: the store is missing'
	expect_match journal "$log" '/etc/snapprottab:3:31: unknown option'
}

# Each command returns when udev has done its part, not before and not much later.
case_cookies()
{
	local link

	link=/dev/disk/by-snapprot-uuid/$(made data VOLUME_UUID)
	tool 0 snapshot --id 7 data
	no_cookies
	tool 0 expose data 7
	expect_eq exposed "$(linked_to /dev/snapprot/data-snap7)" \
		"$(dm_kernel_name data-snap7)"
	expect_eq by-uuid "$(linked_to "$link-snap7")" \
		"$(dm_kernel_name data-snap7)"
	# Both have the same file system: the live volume keeps the link.
	expect_eq label "$(linked_to /dev/disk/by-label/data)" \
		"$(dm_kernel_name data)"
	tool 0 conceal data 7
	expect_eq concealed "$(ls "$link-snap7" 2> /dev/null || :)" ""
	tool 0 delete data 7
	systemctl stop srv-data.mount
	tool 0 deactivate data
	expect_eq gone "$(ls "$link" /dev/mapper/data 2> /dev/null || :)" ""
	no_cookies
	tool 0 activate data
	expect_eq "there again" "$(linked_to "$link")" \
		"$(dm_kernel_name data)"
	no_cookies
	systemctl start srv-data.mount
}

# held: how much I/O the volume holds
held()
{
	dmsetup status data | cut -d ' ' -f 12
}

# udev looks at a device at each event. This one would not answer; and a link that
# went away would take the mount with it.
case_udev_and_a_blocked_volume()
{
	local fs action

	fs=/dev/disk/by-uuid/$(findmnt -no UUID /srv/data)
	# What the file system has to write is not udev's, and what udev has begun to
	# read before could not be answered any more.
	sync
	udevadm settle --timeout=60
	dmsetup remove data-store
	wait_value 30 blocked vol data STATE
	for action in change add; do
		udevadm trigger --action="$action" --settle /dev/mapper/data
		expect_eq "$action: held" "$(held)" 0
		expect_eq "$action: link" "$(linked_to "$fs")" \
			"$(dm_kernel_name data)"
		expect_eq "$action: label" \
			"$(linked_to /dev/disk/by-label/data)" \
			"$(dm_kernel_name data)"
		expect_eq "$action: mount" "$(unit srv-data.mount)" active
		findmnt /srv/data > /dev/null
	done
	tool 0 activate data
	wait_value 30 active vol data STATE
	udevadm settle --timeout=60
	expect_eq type "$(lsblk -dno FSTYPE /dev/mapper/data)" ext4
	expect_eq mount "$(unit srv-data.mount)" active
}

# A write that has failed is a fault that somebody has to look at; the store is there
# for him, and the writer goes on.
case_store_pulled_out_under_a_write()
{
	local writer

	unplug store
	dd if=/dev/zero of=/srv/data/new bs=4k count=1 conv=fsync \
		status=none 3>&- &
	writer=$!
	wait_value 60 blocked vol data STATE
	expect_eq fault "$(vol data FAULT)" store_io
	plug store
	wait_for 60 "$SNAPPROT" clear data
	expect_eq state "$(vol data STATE)" active
	wait "$writer"
	expect_eq list "$(cells list data -o ID,STATE)" "1 valid"
	expect_eq mount "$(unit srv-data.mount)" active
}

case_stop()
{
	stop_all
}

run_cases case_in_time case_links case_wrong_lines case_cookies \
	case_udev_and_a_blocked_volume \
	case_store_pulled_out_under_a_write case_stop
