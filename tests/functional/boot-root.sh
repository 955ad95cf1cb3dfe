#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# / on a live volume in protection mode: an initramfs made by initramfs-tools with our
# hook brings it up, systemd of Debian's runs on it, snapshots of it are right, and
# the machine goes down and comes up with it again.
# disks: 256M 64M 64M 16M
# boots: 3
# initrd: 2
# timeout: 300
# shutdown: 30
# suite: full
# module: root
# cmdline: snapprot.systemd=tests/functional/boot-root.sh root=/dev/mapper/root

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/admin.sh
. "$TOP/tests/lib/admin.sh"
# shellcheck source=tests/lib/boot.sh
. "$TOP/tests/lib/boot.sh"

SHARED=root
NEW=/mnt

# The small root on the volume: enough to go on from there as any guest does, with the
# host's programs over it. Whatever is written then is written to the volume.
fill_root()
{
	local command

	mount /dev/mapper/root "$NEW"
	mkdir "$NEW"/{bin,boot,dev,etc,lib,lib64,proc,run,sbin,sys,tmp,usr,var}
	cp "$(command -v busybox)" "$NEW/bin/busybox"
	for command in $(busybox --list); do
		[ -e "$NEW/bin/$command" ] || ln -s busybox "$NEW/bin/$command"
	done
	cp "$TOP/tests/qemu/init" "$NEW/sbin/init"
	umount "$NEW"
}

# Once the initramfs has led here the volume is there.
prepare()
{
	set -e
	if [ -e /dev/mapper/root ]; then
		echo "root $(node origin) - protect" >> "$TAB"
		return
	fi
	make_volume root origin store protect
	echo "root $(disk origin) -" > "$TAB.made"
	load_made root
	fill_root
	"$SNAPPROT" deactivate root
	echo "other $(node spare1) - noauto" >> "$TAB"
	rmmod dm-snapprot
}

[ "${1:-}" != prepare ] || {
	prepare
	exit
}

# on_new_root <command>...: as on a machine whose / the volume is
on_new_root()
{
	NEW=$NEW unshare --mount bash -eu -c '
		mount -o ro /dev/mapper/root "$NEW"
		for dir in bin boot dev etc lib lib64 proc run sbin sys tmp usr \
			var; do
			mount --rbind "/$dir" "$NEW/$dir"
		done
		exec chroot "$NEW" "$@"' - "$@"
}

# Only what a root on a live volume takes, as each hook starts many programs.
quiet_initramfs()
{
	local name

	for name in iscsi keymap lvm2 nbd nbd-client resume thermal \
		thin-provisioning-tools xfs; do
		rm -f /usr/share/initramfs-tools/{hooks,scripts/*}/"$name"
	done
	mkdir -p /etc/initramfs-tools/conf.d
	printf '%s\n' MODULES=list COMPRESS=gzip COMPRESSLEVEL=1 \
		> /etc/initramfs-tools/conf.d/test
	# What the guest needs to reach the host's root is not the hook's business.
	printf '%s\n' ext4 virtio_pci virtio_blk virtio_console 9p 9pnet_virtio \
		overlay > /etc/initramfs-tools/modules
}

case_initramfs()
{
	local tab

	wait_unit snapprot@root.service active
	quiet_initramfs
	on_new_root mkinitramfs -o /run/initrd "$(uname -r)" \
		> "$TMPDIR/log" 2>&1 || fail "$(tail -n 5 "$TMPDIR/log")"
	tab=$(zcat /run/initrd | cpio -i --quiet --to-stdout etc/snapprottab)
	expect_eq tab "$tab" "root $(node origin) - protect"
	blkpat copy /run/initrd "$(node spare0)"
	systemctl stop snapprot@root.service
}

# writes_of <name>: to a device, until now
writes_of()
{
	awk '{ print $5 }' "/sys/block/$(dm_kernel_name "$1")/stat"
}

# expect_root: / is what the initramfs has found
expect_root()
{
	local before

	wait_unit snapprot-test.target active
	expect_eq state "$(vol root MODE,STATE)" protectactive
	expect_match "command line" "$(< /proc/cmdline)" 'root=/dev/mapper/root'
	expect_eq unit "$(unit snapprot@root.service)" active
	expect_eq failed "$(systemctl list-units --failed --no-legend --plain |
		cut -d ' ' -f 1)" ""
	# What is written to / is written there.
	sync
	before=$(writes_of root)
	echo something > /var/tmp/something
	sync
	[ "$(writes_of root)" -gt "$before" ] || fail "/ is not on the volume"
}

# Names are of files that the running system writes: its root.
case_first()
{
	expect_root
	echo before > /var/tmp/mark
	sync
	tool 0 snapshot --id 7 root
	echo after > /var/tmp/mark
	expect_eq mark "$(cat /var/tmp/mark)" after
	expect_snapshots
	keep first-boot "$(< /proc/sys/kernel/random/boot_id)"
}

# The first snapshot is from before there was any root, the other one of the running one.
expect_snapshots()
{
	local dir=/run/history

	mkdir -p "$dir"
	tool 0 mount root 1 "$dir"
	expect_eq "of the first" "$(cat "$dir/file")" old
	tool 0 umount "$dir"
	tool 0 mount --writable root 7 "$dir"
	expect_eq "of the second" "$(cat "$dir/over/upper/var/tmp/mark")" before
	tool 0 umount "$dir"
}

case_second()
{
	expect_root
	[ "$(kept first-boot)" != "$(< /proc/sys/kernel/random/boot_id)" ] ||
		fail "the same boot"
	expect_eq snapshots "$(cells list root -o ID,STATE)" "1 valid;7 valid"
	expect_snapshots
}

case $BOOT in
1) run_cases case_initramfs ;;
2) run_cases case_first ;;
3) run_cases case_second ;;
esac
