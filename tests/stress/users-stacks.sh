#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What a volume may lie on: linear and thin logical volumes, dm-crypt, another live
# volume. Snapshots, writes, a power failure with all of it loaded; in the next boot
# every snapshot is what it was. With a volume on a volume, those of both.
# suite: full
# disks: 96M 96M 24M 40M 24M 40M 40M
# boots: 5
# kill: yes
# timeout: 120
# covers: promises: never wrong

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/images.sh
. "$TOP/tests/lib/images.sh"

SHARED=yes
export LVM_SUPPRESS_FD_WARNINGS=1
# One a boot, and in the boot after that it is looked at.
KINDS=(linear thin crypt self)

for program in lvm cryptsetup thin_check; do
	command -v "$program" > /dev/null || skip_all "no $program"
done

# shellcheck disable=SC2086 # a list of names
set -- $SPARE_DISKS
CRYPT_ORIGIN=$1
CRYPT_STORE=$2
INNER_ORIGIN=$3
INNER_STORE=$4
OUTER_STORE=$5

# ---- what lies below ---------------------------------------------------------------
#
# make_<kind> once, open_<kind> in each boot; ORIGIN and STORE are set by the latter.

# There is no udev to ask, nor are these the host's volumes.
lvm()
{
	command lvm "$@" --config 'devices {
		obtain_device_list_from_udev = 0
		use_devicesfile = 0
		scan = [ "/dev" ]
	} activation { udev_sync = 0 udev_rules = 0 monitoring = 0 }
	backup { backup = 0 archive = 0 }' > "$TMPDIR/lvm" 2>&1 ||
		fail "lvm $1: $(cat "$TMPDIR/lvm")"
}

new_lv()
{
	lvm lvcreate -y -Wn -Zn "$@"
}

make_linear()
{
	lvm pvcreate -y "$ORIGIN_DISK" "$STORE_DISK"
	lvm vgcreate vg "$ORIGIN_DISK" "$STORE_DISK"
	new_lv -L 24M -n lo vg "$ORIGIN_DISK"
	new_lv -L 40M -n ls vg "$STORE_DISK"
	lvm vgchange -an vg
}

open_linear()
{
	lvm vgchange -ay vg
	ORIGIN=/dev/mapper/vg-lo
	STORE=/dev/mapper/vg-ls
}

# Both in one pool, whose mappings are durable only when it was flushed.
make_thin()
{
	lvm vgchange -ay vg
	lvm lvcreate -y --type thin-pool -L 72M --poolmetadatasize 4M -Zn \
		-n pool vg
	lvm lvcreate -y -V 24M -T vg/pool -n to
	lvm lvcreate -y -V 40M -T vg/pool -n ts
	lvm vgchange -an vg
}

open_thin()
{
	lvm vgchange -ay vg
	ORIGIN=/dev/mapper/vg-to
	STORE=/dev/mapper/vg-ts
}

make_crypt()
{
	:
}

open_crypt()
{
	head -c 32 /dev/zero | tr '\0' k > "$TMPDIR/key"
	open_one_crypt "$CRYPT_ORIGIN" co
	open_one_crypt "$CRYPT_STORE" cs
	ORIGIN=/dev/mapper/co
	STORE=/dev/mapper/cs
}

open_one_crypt()
{
	cryptsetup open --type plain --cipher aes-xts-plain64 --key-size 256 \
		--key-file "$TMPDIR/key" "$1" "$2"
}

make_self()
{
	(
		ORIGIN=$INNER_ORIGIN
		STORE=$INNER_STORE
		sp_format
		keep inner "$VOLUME_UUID $ORIGIN_SECTORS"
	)
}

open_self()
{
	local uuid len

	read -r uuid len <<< "$(kept inner)"
	dmsetup create inner-store --table \
		"0 $(sectors "$INNER_STORE") snapprot-store $INNER_STORE"
	dmsetup create inner --table "0 $len snapprot $INNER_ORIGIN $uuid"
	ORIGIN=/dev/mapper/inner
	STORE=$OUTER_STORE
}

# ---- snapshots of the volume below ---------------------------------------------------

# inner_take <id>: nothing is being written
inner_take()
{
	[ "$KIND" = self ] || return 0
	keep "inner$1" "$(dev_sum /dev/mapper/inner)"
	dmsetup message inner 0 create_snap "$1"
}

# inner_check <id>
inner_check()
{
	local uuid len

	[ "$KIND" = self ] || return 0
	read -r uuid len <<< "$(kept inner)"
	dmsetup create below --readonly --table "0 $len snapprot-snap $uuid $1"
	expect_eq "checksum of the inner snapshot $1" \
		"$(dev_sum /dev/mapper/below)" "$(kept "inner$1")"
	dmsetup remove below
}

# ---- cases ---------------------------------------------------------------------------

case_make()
{
	"make_$KIND"
	"open_$KIND"
	sp_up protect
	images_begin 7
	images_take 1
	inner_take 11
	images_write 21 40 64K
	images_take 2
	images_write 22 40 64K
	inner_take 12
	images_check
	images_write 23 20 256K
	inner_check 11
	inner_check 12
	expect_st state active
	images_keep "$KIND"
}

case_compare()
{
	"open_$KIND"
	images_recall "$KIND"
	images_up
	wait_st state active
	expect_st mode protect
	images_recall_origin
	images_check
	inner_check 11
	inner_check 12
	images_take 3
	images_write 24 40 64K
	images_drop 1
	images_check
	inner_check 11
	sp_remove origin
	sp_remove store
	"$SNAPPROT" check "$STORE" > /dev/null
	dm_down
}

if [ "$BOOT" -gt 1 ]; then
	KIND=${KINDS[BOOT - 2]}
	run_case "compare $KIND" case_compare
fi
if [ "$BOOT" -lt "$BOOTS" ] && [ "$FAILURES" = 0 ]; then
	KIND=${KINDS[BOOT - 1]}
	run_case "make $KIND" case_make
	[ "$FAILURES" != 0 ] || host_kill
fi
finish
