#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The way down under systemd, with volumes that are blocked, hold I/O, wait for their
# stores, or are still in use: it ends, and the next boot finds all snapshots.
# disks: 48M 32M 48M 32M 48M 32M 48M 32M
# boots: 2
# timeout: 150
# shutdown: 30
# suite: ci
# module: own
# cmdline: snapprot.systemd=tests/functional/boot-shutdown.sh

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/admin.sh
. "$TOP/tests/lib/admin.sh"
# shellcheck source=tests/lib/boot.sh
. "$TOP/tests/lib/boot.sh"

SHARED=yes

# In the second boot the disks are as the first one has left them.
prepare()
{
	set -e
	add_volume held origin store protect,queue_on_fault
	add_volume fails spare0 spare1 protect
	add_volume waits spare2 spare3 nofail
	add_volume busy spare4 spare5
	{
		echo "/dev/mapper/held /srv/held ext4 defaults 0 0"
		echo "/dev/mapper/fails /srv/fails ext4 defaults 0 0"
		echo "/dev/mapper/busy /srv/busy ext4 defaults 0 0"
	} > /etc/fstab
	[ ! -e /run/made-waits ] || {
		unplug spare3
		unplug spare5
	}
	rmmod dm-snapprot 2> /dev/null || :
}

[ "${1:-}" != prepare ] || {
	prepare
	exit
}

# write_and_hang <file or device>: in the background, until that has to wait
write_and_hang()
{
	dd if=/dev/zero of="$1" bs=4k count=1 conv=notrunc,fsync \
		status=none 3>&- &
	wait_for 30 is_held $!
}

case_up()
{
	# Its store comes after it, so it is the younger device.
	wait_value 60 waiting vol busy STATE
	plug spare5
	wait_unit local-fs.target active
	wait_value 60 waiting vol waits STATE
}

case_held()
{
	dmsetup remove held-store
	wait_value 60 blocked vol held STATE
	write_and_hang /srv/held/file
}

case_fails()
{
	echo dirty > /srv/fails/dirty
	dmsetup remove fails-store
	wait_value 60 blocked vol fails STATE
}

# A writer who does not care that nobody should use it now.
case_waits()
{
	write_and_hang /dev/mapper/waits
}

# What is in use until all processes are killed is removed by systemd's last program,
# which knows nothing of stores.
case_busy()
{
	(
		cd /srv/busy
		exec setsid sleep 10000 3>&-
	) &
	expect_eq state "$(vol busy STATE)" active
	expect_match minors "$(dm_kernel_name busy) $(dm_kernel_name busy-store)" \
		'dm-'
}

# Nothing of a module that is built in is to be seen there.
case_as_if_built_in()
{
	mount -t tmpfs none /sys/module
}

case_all_there()
{
	local name

	for name in held fails waits busy; do
		wait_value 60 active vol "$name" STATE
		expect_eq "$name" "$(cells list "$name" -o STATE)" valid
	done
	stop_all
}

if [ "$BOOT" = 1 ]; then
	run_cases case_up case_held case_fails case_waits case_busy \
		case_as_if_built_in
else
	run_cases case_all_there
fi
