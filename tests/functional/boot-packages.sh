#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Debian's packages on a machine that runs, under systemd and udev: what they install
# is at work at once, an upgrade leaves volumes alone, removal is refused while there
# are any, and purging leaves no file, unit, link or property behind.
# suite: full
# disks: 64M 64M
# memory: 2G
# cpus: 2
# timeout: 1200
# module: no
# packages: yes
# kernels: 6.12
# cmdline: snapprot.systemd=tests/functional/boot-packages.sh

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/admin.sh
. "$TOP/tests/lib/admin.sh"
# shellcheck source=tests/lib/boot.sh
. "$TOP/tests/lib/boot.sh"

SHARED=yes
DEBS=$TOP/.build/packages
VERSION=$("$TOP/scripts/version")
KREL=$(uname -r)

# What make install has put here is not to be here.
remove_installed()
{
	(cd "$TOP/.build/installed" && find . ! -type d) |
		(cd / && xargs rm)
	rmdir /usr/lib/snapprot
	rm "$TAB"
}

# DKMS builds for each kernel that has headers, and depmod reads all modules. That takes
# an emulated processor long, so it is done for one, and once.
fewer_modules()
{
	local dir

	for dir in /lib/modules/*; do
		[ "$dir" = "/lib/modules/$KREL" ] || rm -f "$dir/build"
	done
	cd "/lib/modules/$KREL/kernel"
	rm -rf sound net arch/x86/kvm
	find drivers -mindepth 1 -maxdepth 1 ! -name md ! -name dax ! -name block \
		-exec rm -rf {} +
	cd /
	depmod
}

# Making an initramfs takes as long, and boot-root has that: here it is counted.
quiet_triggers()
{
	rm -f /var/lib/man-db/auto-update
	cat > /usr/sbin/update-initramfs <<- 'END'
		#!/bin/sh
		echo "$*" >> /run/initramfs
	END
	chmod +x /usr/sbin/update-initramfs
	# A container's, which starts no services.
	rm -f /usr/sbin/policy-rc.d
}

prepare()
{
	set -e
	"$SNAPPROT" format "$(disk origin)" "$(disk store)" > /run/made-data
	remove_installed
	fewer_modules
	quiet_triggers
}

[ "${1:-}" != prepare ] || {
	prepare
	exit
}

# written: of the root, what is somebody's business: files, and directories that are
# empty
written()
{
	local name

	(
		cd /run/written
		find . \( -path ./var/cache -o -path ./var/log -o -path ./run \
			-o -path ./tmp -o -path ./var/tmp -o -path ./dev \
			-o -path './var/lib/dpkg/[a-hj-z]*' \
			-o -path './var/lib/dkms/mok.*' \
			-o -path './usr/lib/modules/*/modules.*' \) -prune \
			-o ! -type d -print
		find . -type d -empty -path '*[sS][nN][aA][pP]*'
	) | sort
}

# packages <option of dpkg> <what>...
packages()
{
	DEBIAN_FRONTEND=noninteractive dpkg "$@" > "$TMPDIR/dpkg.log" 2>&1 ||
		fail "$(tail -n 20 "$TMPDIR/dpkg.log")"
}

# expect_units: those of the packages that each boot starts
expect_units()
{
	local unit

	for unit in snapprotd snapprot-hold snapprot-release; do
		expect_eq "$unit" "$(unit "$unit.service")" active
	done
}

# expect_modules <version>: that DKMS has, and modprobe finds
expect_modules()
{
	expect_eq dkms "$(dkms status snapprot 2> /dev/null)" \
		"snapprot/$1, $KREL, x86_64: installed"
	expect_eq module "$(modinfo -n dm-snapprot | sed 's/\.xz$//')" \
		"/lib/modules/$KREL/updates/dkms/dm-snapprot.ko"
}

# link <what>: of the volume, by its UUID
link()
{
	echo "/dev/disk/by-snapprot-uuid/$(made data VOLUME_UUID)$1"
}

initramfs_made()
{
	wc -l < /run/initramfs
}

# property <disk> <name>: that udev has of it
property()
{
	udevadm info -q property --value --property="$2" "$(disk "$1")"
}

case_as_it_was()
{
	wait_unit snapprot-test.target active 120
	expect_eq module "$(modinfo dm-snapprot 2> /dev/null || :)" ""
	expect_eq links "$(ls /dev/disk/by-snapprot-uuid 2> /dev/null || :)" ""
	written > /run/before
}

# The store and the origin have been there all along.
case_installed()
{
	packages --install --recursive "$DEBS/0"
	expect_modules "$VERSION"
	expect_units
	expect_eq "at boot" "$(systemctl is-enabled snapprotd.service)" enabled
	udevadm settle --timeout=120
	expect_eq "store's link" "$(linked_to "$(link -store)")" \
		"$(linked_to "$(disk store)")"
	expect_eq "origin's link" "$(linked_to "$(link -origin)")" \
		"$(linked_to "$(disk origin)")"
	[ "$(initramfs_made)" -ge 1 ] || fail "the initramfs is as before"
}

# By the generator, the rules, the tool and the module of the packages.
case_used()
{
	echo "data $(node origin) - protect,queue_on_fault" > "$TAB"
	systemctl daemon-reload
	systemctl start snapprot@data.service
	wait_value 60 protectactive vol data MODE,STATE
	mkfs.ext4 -q /dev/snapprot/data
	mkdir -p /srv/data
	mount /dev/snapprot/data /srv/data
	echo old > /srv/data/file
	tool 0 snapshot data
	echo new > /srv/data/file
	expect_history data /srv/data
}

# expect_volume <state>: nobody has touched it
expect_volume()
{
	expect_eq state "$(vol data MODE,STATE)" "protect$1"
	expect_eq unit "$(unit snapprot@data.service)" active
	expect_eq mount "$(findmnt -no SOURCE /srv/data)" /dev/mapper/data
	expect_units
}

case_upgrade_leaves_volumes_alone()
{
	local before daemon

	daemon=$(systemctl show -P MainPID snapprotd.service)
	before=$(initramfs_made)
	packages --install "$DEBS"/1/snapprot-tools_*.deb
	expect_eq tab "$(cat "$TAB")" "data $(node origin) - protect,queue_on_fault"
	expect_volume active
	[ "$(systemctl show -P MainPID snapprotd.service)" != "$daemon" ] ||
		fail "the old daemon still runs"
	[ "$(initramfs_made)" -gt "$before" ] ||
		fail "the initramfs has the old one"
	expect_history data /srv/data
}

# Stopping the units would fail what is held.
case_removal_is_refused()
{
	local writer rc=0

	sync
	udevadm settle --timeout=120
	dmsetup remove data-store
	wait_value 30 blocked vol data STATE
	dd if=/dev/zero of=/srv/data/held bs=4k count=1 conv=fsync \
		status=none 3>&- &
	writer=$!
	wait_for 30 is_held "$writer"
	dpkg --remove snapprot-tools > "$TMPDIR/dpkg.log" 2>&1 || rc=$?
	expect_eq "exit code" "$rc" 1
	expect_match said "$(cat "$TMPDIR/dpkg.log")" \
		'snapprot-tools: in use by data'
	expect_eq tools "$(dpkg-query -W -f '${db:Status-Status}' snapprot-tools)" \
		installed
	is_held "$writer" || fail "the writer does not wait any more"
	expect_volume blocked
	tool 0 activate data
	wait_value 60 active vol data STATE
	wait "$writer"
	expect_history data /srv/data
}

case_removal_keeps_the_tab()
{
	umount /srv/data
	rmdir /srv/data
	systemctl stop snapprot@data.service
	expect_eq names "$(dm_names)" ""
	modprobe -r dm-snapprot
	packages --remove snapprot-tools snapprot-dkms
	expect_eq tab "$(cat "$TAB")" "data $(node origin) - protect,queue_on_fault"
	expect_eq module "$(modinfo dm-snapprot 2> /dev/null || :)" ""
	expect_eq files "$(find /lib/modules -name 'dm-snapprot*')" ""
	# The origin offers its file system again, as on any machine without us.
	udevadm settle --timeout=120
	expect_eq "of the store" "$(property store SNAPPROT_TYPE)" ""
	expect_eq "of the origin" "$(property origin ID_FS_TYPE)" ext4
	expect_eq links "$(ls -d /dev/disk/by-snapprot-uuid /dev/snapprot \
		2> /dev/null || :)" ""
}

# The tab is there, and so is what it was for.
case_back_again()
{
	packages --install "$DEBS"/1/snapprot-tools_*.deb
	expect_units
	udevadm settle --timeout=120
	expect_eq "origin's type" "$(property origin ID_FS_TYPE)" snapprot_member
}

case_purge_leaves_nothing()
{
	packages --purge snapprot-tools snapprot-dkms
	written > /run/after
	expect_eq "what is left, or gone" "$(diff /run/before /run/after | head)" ""
	expect_eq packages "$(dpkg-query -W -f '${Package} ' 'snapprot*' \
		2> /dev/null || :)" ""
	expect_eq units "$(systemctl list-units --all --no-legend --plain \
		'snapprot*' | grep -v '^snapprot-test' || :)" ""
	expect_eq "unit files" "$(systemctl list-unit-files --no-legend \
		'snapprot*' | grep -v '^snapprot-test' || :)" ""
	expect_eq processes "$(pgrep -l snapprotd || :)" ""
	udevadm settle --timeout=120
	expect_eq "in udev" "$(udevadm info -e | grep -v virtio-ports/ |
		grep -i snapprot || :)" ""
	expect_eq links "$(ls -d /dev/disk/by-snapprot-uuid /dev/snapprot \
		2> /dev/null || :)" ""
	expect_eq failed "$(systemctl list-units --failed --no-legend --plain |
		cut -d ' ' -f 1)" ""
	no_cookies
}

run_cases case_as_it_was case_installed case_used case_upgrade_leaves_volumes_alone \
	case_removal_is_refused case_removal_keeps_the_tab case_back_again \
	case_purge_leaves_nothing
