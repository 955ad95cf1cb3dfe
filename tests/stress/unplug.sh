#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Disks that are pulled out while in use and plugged in again: the store's and the
# origin's, virtio and SCSI, in both modes.
# suite: full
# disks: 9M 8M
# hotplug: yes
# timeout: 240
# covers: promises: never wrong; protection mode loses nothing; nothing hangs

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/images.sh
. "$TOP/tests/lib/images.sh"
# shellcheck source=tests/lib/gone.sh
. "$TOP/tests/lib/gone.sh"

# ---- virtio ------------------------------------------------------------------------

# A disk that was in use when it went comes back under another name.
find_disks()
{
	ORIGIN_DISK=$(disk_of origin)
	STORE_DISK=$(disk_of store)
	ORIGIN=$ORIGIN_DISK
	STORE=$STORE_DISK
}

pull()
{
	host_unplug "$1"
	defer plug_again "$1"
}

plug()
{
	host_plug "$1"
	find_disks
}

# Where a case has ended before it did.
plug_again()
{
	disk_of "$1" > /dev/null || plug "$1"
}

# virtio_store <mode>
virtio_store()
{
	find_disks
	gone_volume "$1"
	pull store
	provoking_write "$1"
	expect_gone "$1" 'cow_write|store_io'
	plug store
	store_back
	expect_images "$1"
}

# virtio_origin <mode>: with the label, so that no loss can be recorded; without that
# there is none
virtio_origin()
{
	find_disks
	gone_volume "$1"
	pull origin
	expect_error "Input/output error" cold_write
	expect_error "Input/output error" read_at "$ORIGIN_DM" 0 8
	sp_remove origin
	plug origin
	sp_load_origin
	wait_st state active
	expect_st lost 0
	images_write_at "$COLD" 64 31
	images_check
}

# ---- SCSI --------------------------------------------------------------------------

# The disk is in memory and stays what it is while it cannot be reached.
scsi_store()
{
	find_disks
	modprobe sd_mod
	modprobe scsi_debug dev_size_mb=8 delay=0
	defer rmmod scsi_debug
	defer dm_down
	wait_for 20 scsi_find
	SCSI_HOST=$(realpath "/sys/block/${STORE#/dev/}/device")
	SCSI_HOST=/sys/class/scsi_host/$(grep -o 'host[0-9]*' <<< "$SCSI_HOST" |
		head -n 1)
	gone_volume "$1"
}

# STORE is it, under whatever name.
scsi_find()
{
	local dir

	for dir in /sys/bus/pseudo/drivers/scsi_debug/adapter*/host*/target*/*/block/*
	do
		[ -e "$dir/size" ] || return 1
		STORE=/dev/${dir##*/}
		[ -b "$STORE" ]
		return
	done
}

scsi_state()
{
	echo "$1" > "/sys/block/${STORE#/dev/}/device/state"
}

# scsi_deleted <mode>
scsi_deleted()
{
	scsi_store "$1"
	echo 1 > "/sys/block/${STORE#/dev/}/device/delete"
	provoking_write "$1"
	expect_gone "$1" 'cow_write|store_io'
	echo "- - -" > "$SCSI_HOST/scan"
	wait_for 20 scsi_find
	store_back
	expect_images "$1"
}

# scsi_offline <mode>: as after time-outs that the error handling could not end
scsi_offline()
{
	scsi_store "$1"
	scsi_state offline
	provoking_write "$1"
	expect_gone "$1" 'cow_write|store_io'
	if [ "$1" = protect ]; then
		expect_fail sp_msg clear_fault
		expect_st state blocked
	fi
	scsi_state running
	store_well_again "$1"
	expect_images "$1"
}

both_modes virtio_store virtio_origin scsi_deleted scsi_offline
run_cases "${CASES[@]}"
