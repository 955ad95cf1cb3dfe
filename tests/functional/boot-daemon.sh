#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# snapprotd as the service that make install has put in place, hardened as it is there,
# under systemd and udev of Debian's, with a logical volume for a store that LVM has
# activated: extends it, keeps so many snapshots, and what "status --test" says.
# suite: ci
# disks: 64M 192M 48M 32M
# timeout: 200
# module: own
# cmdline: snapprot.systemd=tests/functional/boot-daemon.sh

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/admin.sh
. "$TOP/tests/lib/admin.sh"
# shellcheck source=tests/lib/boot.sh
. "$TOP/tests/lib/boot.sh"

SHARED=yes
OLD_MIB=40
export LVM_SUPPRESS_FD_WARNINGS=1

# Without udev, which is not there yet.
lvm_make()
{
	local config

	config='global { use_lvmpolld = 0 } activation { udev_sync = 0 udev_rules = 0'
	config+=' monitoring = 0 } devices { obtain_device_list_from_udev = 0 }'
	vgcreate -q --config "$config" vg "$(disk store)" > /dev/null
	lvcreate -q --config "$config" -y -Wn -Zn -L 16M -n store vg > /dev/null
	add_data
	vgchange -q --config "$config" -an vg > /dev/null
}

# A file system with a file that there will be a snapshot of.
add_data()
{
	"$SNAPPROT" format "$(disk origin)" /dev/mapper/vg-store > /run/made-data
	echo "data $(disk origin) /dev/mapper/vg-store" > "$TAB.made"
	load_made data
	mkfs.ext4 -q /dev/mapper/data
	mkdir -p /run/made
	mount /dev/mapper/data /run/made
	truncate -s "${OLD_MIB}M" /run/made/old
	blkpat -b fill /run/made/old 1
	umount /run/made
	"$SNAPPROT" deactivate data
}

prepare()
{
	set -e
	lvm_make
	echo "data $(node origin) /dev/vg/store extend=50%,extend_max=150M" >> "$TAB"
	make_volume sched spare0 spare1 snapshot_every=1s,snapshot_keep=3
	echo "/dev/mapper/data /srv/data ext4 defaults 0 2" > /etc/fstab
	mkdir -p /etc/systemd/system/multi-user.target.wants
	ln -s /lib/systemd/system/snapprotd.service \
		/etc/systemd/system/multi-user.target.wants/
	rmmod dm-snapprot
}

[ "${1:-}" != prepare ] || {
	prepare
	exit
}

# times <extended regular expression>: how often snapprotd has said so
times()
{
	journalctl -b -o cat -u snapprotd.service | grep -cE "$1" || :
}

# at_least <times> <extended regular expression>
at_least()
{
	[ "$(times "$2")" -ge "$1" ]
}

lv_mib()
{
	lvs --noheadings --units m --nosuffix -o lv_size vg/store |
		awk '{ print int($1) }'
}

case_up()
{
	wait_unit snapprotd.service active
	wait_unit srv-data.mount active
	wait_value 60 active vol data STATE
	expect_eq "the store's size" "$(lv_mib)" 16
	wait_for 60 at_least 1 '^data: present: normal, active'
	expect_match "locked in memory" "$(grep VmLck \
		"/proc/$(systemctl show -P MainPID snapprotd)/status")" \
		'[1-9][0-9]+ kB'
}

# Nobody watches, and 40 MiB are preserved by a store that had 16.
case_store_is_extended()
{
	tool 0 status --test data
	tool 0 snapshot --id 7 data
	blkpat -b fill /srv/data/old 2
	sync
	at_least 1 '^data: extended: its store has ' || fail "not extended"
	[ "$(lv_mib)" -gt "$OLD_MIB" ] || fail "the store has $(lv_mib) MiB"
	expect_eq "state, fault" "$(vol data STATE,FAULT)" active
	expect_eq snapshot "$(cells list data -o ID,STATE)" "7 valid"
	mkdir -p /run/history
	tool 0 mount --writable data 7 /run/history
	blkpat -b verify /run/history/old 1
	tool 0 umount /run/history
	expect_eq failures "$(times extend_failed)" 0
}

# Those of the schedule; that of make_volume is nobody's business but its own.
case_schedule_keeps_three()
{
	wait_for 90 at_least 3 '^sched: expired: '
	systemctl stop snapprotd.service
	wait_value 60 "1 valid;3" listed
	systemctl start snapprotd.service
	wait_for 60 at_least 6 '^sched: expired: '
}

# listed: what is not the schedule's, and how many are
listed()
{
	"$SNAPPROT" list sched --noheadings -o ID,STATE | awk '
		$1 < 2147483648 { printf "%s %s;", $1, $2; next }
		$2 == "valid" { n++ }
		END { print n + 0 }'
}

# test_code <volume>: of status --test
test_code()
{
	local rc=0

	"$SNAPPROT" status --test "$1" > /dev/null || rc=$?
	echo "$rc"
}

case_status_test()
{
	systemctl stop snapprotd.service
	expect_eq "well" "$(test_code sched)" 0
	dmsetup suspend sched-store
	expect_eq "store suspended" "$(test_code sched)" 11
	dmsetup resume sched-store
	tool 0 protect sched
	udevadm settle --timeout=60
	dmsetup remove sched-store
	wait_value 30 blocked vol sched STATE
	expect_eq "blocked" "$(test_code sched)" 13
	tool 0 normal --drop-snapshots --yes sched
	expect_eq "lost" "$(test_code sched)" 12
}

case_down()
{
	expect_eq failed "$(systemctl list-units --failed --no-legend --plain |
		cut -d ' ' -f 1)" ""
	systemctl stop srv-data.mount 'snapprot@*.service'
	vgchange -q -an vg > /dev/null
	stop_all
}

run_cases case_up case_store_is_extended case_schedule_keeps_three \
	case_status_test case_down
