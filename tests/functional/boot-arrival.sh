#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A boot by systemd and udev of Debian's: volumes whose stores are there, come late,
# or too late, in both modes, and a volume on a volume.
# disks: 48M 32M 48M 32M 48M 32M 48M 32M 48M 32M 48M 32M 32M
# timeout: 200
# suite: ci
# module: own
# cmdline: snapprot.systemd=tests/functional/boot-arrival.sh

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/admin.sh
. "$TOP/tests/lib/admin.sh"
# shellcheck source=tests/lib/boot.sh
. "$TOP/tests/lib/boot.sh"

SHARED=yes

# late and latep wait for as long as the test likes, as do gone and gonep.
prepare()
{
	local name

	set -e
	make_volume now origin store
	make_volume late spare0 spare1 grace=80000
	make_volume latep spare2 spare3 grace=80000,protect
	make_volume gone spare4 spare5 grace=80000,nofail
	make_volume gonep spare6 spare7 grace=80000,nofail,protect,queue_on_fault
	make_volume base spare8 spare9
	echo "upper /dev/mapper/base $(node spare10) noauto" >> "$TAB"
	# systemd gives a device 90 s, which is not much for six volumes on a busy host.
	{
		echo "UUID=$(fs_uuid "$(disk origin)") /srv/now ext4 \
defaults,x-systemd.device-timeout=10min 0 2"
		echo "/dev/mapper/late /srv/late ext4 defaults 0 0"
		echo "/dev/snapprot/latep /srv/latep ext4 defaults 0 0"
		echo "/dev/mapper/gone /srv/gone ext4 nofail 0 0"
		echo "/dev/mapper/gonep /srv/gonep ext4 nofail 0 0"
		echo "/dev/mapper/upper /srv/upper ext4 noauto 0 0"
	} > /etc/fstab
	for name in spare1 spare3 spare5 spare7; do
		unplug "$name"
	done
	rmmod dm-snapprot
}

[ "${1:-}" != prepare ] || {
	prepare
	exit
}

# The file system is the same on origin and live volume: the latter is mounted.
case_in_time()
{
	wait_unit srv-now.mount active
	expect_eq state "$(vol now STATE)" active
	expect_eq mounted "$(findmnt -no SOURCE /srv/now)" /dev/mapper/now
	expect_eq unit "$(unit snapprot@now.service)" active
	expect_history now /srv/now
}

# expect_waiting <name>: nothing of it is mounted, and the boot waits
expect_waiting()
{
	wait_value 60 waiting vol "$1" STATE
	expect_eq unit "$(unit "snapprot@$1.service")" activating
	expect_eq mount "$(unit "srv-$1.mount")" inactive
	expect_match jobs "$(systemctl list-jobs)" "srv-$1.mount +start +waiting"
	expect_eq held "$(dmsetup status "$1" | cut -d ' ' -f 12)" 0
}

# comes_late <name> <serial>
comes_late()
{
	expect_waiting "$1"
	expect_eq "local file systems" "$(unit local-fs.target)" inactive
	plug "$2"
	wait_unit "srv-$1.mount" active
	expect_eq state "$(vol "$1" STATE)" active
	expect_eq unit "$(unit "snapprot@$1.service")" active
	expect_history "$1" "/srv/$1"
}

case_late()
{
	comes_late late spare1
}

case_late_in_protection()
{
	comes_late latep spare3
	wait_unit local-fs.target active
}

# The live volume goes on without its snapshots, and says so.
case_too_late()
{
	expect_waiting gone
	dmsetup message gone 0 set grace 1
	wait_unit srv-gone.mount active
	expect_eq state "$(vol gone STATE,FAULT)" nostorestore_missing
	expect_match journal "$(journalctl -o cat -u snapprot@gone.service)" \
		'gone: goes on without its snapshots: store_missing'
	plug spare5
	wait_value 60 active vol gone STATE
	expect_eq snapshot "$(cells list gone -o STATE)" lost
}

# Nothing is mounted that would only hang, and a store that comes then is enough.
case_too_late_in_protection()
{
	expect_waiting gonep
	dmsetup message gonep 0 set grace 1
	wait_unit snapprot@gonep.service failed
	expect_eq state "$(vol gonep STATE,FAULT)" blockedstore_missing
	expect_match journal "$(journalctl -o cat -u snapprot@gonep.service)" \
		'gonep: is blocked: store_missing'
	wait_unit srv-gonep.mount inactive
	udevadm settle --timeout=60
	plug spare7
	wait_value 60 active vol gonep STATE
	wait_unit dev-mapper-gonep.device active
	systemctl start srv-gonep.mount
	expect_eq unit "$(unit snapprot@gonep.service)" active
	expect_history gonep /srv/gonep
}

case_booted()
{
	wait_unit snapprot-test.target active
	expect_eq failed "$(systemctl list-units --failed --no-legend --plain |
		cut -d ' ' -f 1)" ""
	no_cookies
}

# Not wanted by the boot: by whoever mounts it, and with it what it lies on.
case_stack()
{
	systemctl stop snapprot@base.service
	expect_eq base "$(dm_names | grep '^base' || :)" ""
	systemctl start snapprot@base.service
	wipefs -aq /dev/mapper/base
	"$SNAPPROT" format /dev/mapper/base "$(node spare10)" > /dev/null
	udevadm settle --timeout=60
	systemctl start dev-mapper-upper.device
	expect_eq state "$(vol upper STATE)" active
	mkfs.ext4 -q /dev/mapper/upper
	systemctl start srv-upper.mount
	# As with a crypt device, a mounted one is not stopped.
	systemctl stop srv-upper.mount
	systemctl stop snapprot@upper.service snapprot@base.service
	expect_eq names "$(dm_names | grep -E '^(base|upper)' || :)" ""
	systemctl start srv-upper.mount
	expect_eq states "$(vol upper STATE) $(vol base STATE)" "active active"
}

# Down again as at a shutdown, the upper one first.
case_stop()
{
	stop_all
}

run_cases case_in_time case_late \
	case_late_in_protection case_too_late case_too_late_in_protection \
	case_booted case_stack case_stop
