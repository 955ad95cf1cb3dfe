#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A store is known by what is on it, not by its device: it comes back under
# another name, and what has taken its old name is not touched.
# disks: 9M 64M 64M 64M
# timeout: 150
# covers: states: the right store arrives; an old copy; a blank disk in its place

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/images.sh
. "$TOP/tests/lib/images.sh"

read -r OTHER_DISK THIRD_DISK <<< "$SPARE_DISKS"

# A volume with two snapshots, all of it taken down.
volume()
{
	sp_up "$@"
	images_begin
	images_take 1
	images_write 1 30 64K
	images_take 2
	images_write 2 30 64K
	sp_remove origin
	sp_remove store
}

# The store is on another disk now, and its old one is blank.
move_store()
{
	dd if="$STORE_DISK" of="$OTHER_DISK" bs=1M oflag=direct status=none
	blkpat zero "$STORE_DISK"
	STORE=$OTHER_DISK
}

# held_write: and it is really held
held_write()
{
	write_at "$ORIGIN_DM" 64 8 90 &
	WRITER=$!
	wait_for 20 is_held "$WRITER"
}

released_write()
{
	wait "$WRITER"
	write_at "$SHADOW" 64 8 90
}

case_origin_first()
{
	volume
	move_store
	sp_load_origin
	expect_st state waiting
	held_write
	sp_load_store
	wait_st state active
	released_write
	images_check
}

case_store_first()
{
	volume
	move_store
	sp_load_store
	expect_eq "state of the store" "$(store_st state)" unclaimed
	sp_load_origin
	expect_st state active
	images_check
	images_write 3 30 64K
	images_check
}

# Without a reboot: it was blocked, and goes on by itself.
case_while_blocked()
{
	volume protect
	images_up
	sp_remove store
	wait_st state blocked
	expect_st fault store_removed
	move_store
	sp_load_store
	wait_st state active
	expect_st fault -
	images_check
	images_write 3 30 64K
	images_check
}

case_blank_disk_in_its_place()
{
	volume protect
	move_store
	STORE=$STORE_DISK
	sp_load_origin
	held_write
	expect_error "Invalid argument" sp_load_store
	expect_st state waiting
	is_held "$WRITER"
	# Not formatted, and not written to at all.
	[ -z "$(tr -d '\0' < "$STORE_DISK" | head -c 1)" ] ||
		fail "the blank disk has been written to"
	STORE=$OTHER_DISK
	sp_load_store
	wait_st state active
	released_write
	images_check
}

# Another volume's store concerns nobody here.
case_foreign_store_in_its_place()
{
	local uuid sectors

	volume
	uuid=$VOLUME_UUID
	sectors=$ORIGIN_SECTORS
	move_store
	ORIGIN=$THIRD_DISK
	STORE=$STORE_DISK
	sp_format
	ORIGIN=$ORIGIN_DISK
	VOLUME_UUID=$uuid
	ORIGIN_SECTORS=$sectors
	sp_load_origin
	held_write
	dmsetup create foreign --table "$(store_table)"
	expect_st state waiting
	is_held "$WRITER"
	STORE=$OTHER_DISK
	sp_load_store
	wait_st state active
	released_write
	dmsetup remove foreign
	images_check
}

# A copy from before the last arrival, under the store's own name.
case_old_copy_in_its_place()
{
	local sum

	volume
	dd if="$STORE_DISK" of="$OTHER_DISK" bs=1M oflag=direct status=none
	images_up
	images_write 4 30 64K
	sp_remove origin
	sp_remove store
	sum=$(dev_sum "$OTHER_DISK")
	sp_load_origin
	held_write
	STORE=$OTHER_DISK
	expect_error "Stale" sp_load_store
	expect_st state waiting
	expect_st fault -
	is_held "$WRITER"
	! dm_names | grep -qx store || sp_remove store
	expect_eq "the old copy" "$(dev_sum "$OTHER_DISK")" "$sum"
	STORE=$STORE_DISK
	sp_load_store
	wait_st state active
	released_write
	images_check
}

# A copy while the right one is there.
case_second_store()
{
	volume
	dd if="$STORE_DISK" of="$OTHER_DISK" bs=1M oflag=direct status=none
	images_up
	STORE=$OTHER_DISK
	expect_error "busy" \
		dmsetup create second --table "$(store_table)"
	expect_st state active
	expect_st fault -
	! dm_names | grep -qx second || sp_remove second
	images_write 4 30 64K
	images_check
}

run_cases case_origin_first case_store_first case_while_blocked \
	case_blank_disk_in_its_place case_foreign_store_in_its_place \
	case_old_copy_in_its_place case_second_store
