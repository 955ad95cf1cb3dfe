#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The power fails three times in mid-write, with snapshots being taken and deleted
# at the same moment: every snapshot that was there is there afterwards, and right.
# disks: 9M 96M
# boots: 4
# kill: yes
# cpus: 2
# timeout: 120
# covers: promises: never wrong, after any crash

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/images.sh
. "$TOP/tests/lib/images.sh"

SHARED=yes
TRANSIENT=1000		# ids from here on come and go

# What was acknowledged before the end, at a place of its own.
ACK_START=0
ACK_SECTORS=128

recover()
{
	local id

	images_recall
	if [ $((BOOT % 2)) = 0 ]; then
		sp_load_store
		sp_load_origin protect
	else
		sp_load_origin protect
		wait_st state waiting
		sp_load_store
	fi
	expect_st state active
	expect_st lost 0
	verify_at "$ORIGIN_DM" "$ACK_START" "$ACK_SECTORS" "$(kept ack)"
	# Which of these were there at the end nobody knows.
	for id in $(sp_list | awk -v first="$TRANSIENT" '$1 >= first { print $1 }')
	do
		sp_load_view "$id"
		read_at "/dev/mapper/snap$id" 0 "$ORIGIN_SECTORS"
		sp_remove "snap$id"
		sp_delete "$id"
	done
	# The writes that were under way have been done, or not, or in part.
	rm -f "$SHADOW"
	blkpat copy "$ORIGIN_DM" "$SHADOW"
	images_check
}

begin()
{
	sp_up protect
	images_begin
}

# writer <seed> <largest>: until the end
writer()
{
	local seed=$1

	while :; do
		blkpat -s 1024 write "$ORIGIN_DM" $((seed++)) 50 "$2"
	done
}

snapper()
{
	local id=$TRANSIENT

	while :; do
		sp_create "$id"
		sp_delete $((id - 1)) 2> /dev/null || :
		id=$((id + 1))
		echo "$id" > "$TMPDIR/snapped"
	done
}

# snapped <count>
snapped()
{
	[ "$(cat "$TMPDIR/snapped")" -ge $((TRANSIENT + $1)) ]
}

case_write_until_the_end()
{
	if [ "$BOOT" = 1 ]; then
		begin
	else
		recover
	fi
	images_take "${BOOT}1"
	images_write "$BOOT" 30 64K
	images_take "${BOOT}2"
	images_write_at "$ACK_START" "$ACK_SECTORS" "10$BOOT"
	keep ack "10$BOOT"
	images_keep
	writer "${BOOT}000" 512 &
	writer "${BOOT}100" 64K &
	writer "${BOOT}200" 2M &
	snapper &
	# A different moment each time, and none that is chosen.
	wait_for 60 snapped $((BOOT * 4 - 2))
	host_kill
}

case_after_the_last()
{
	recover
	expect_eq "snapshots" "$(images_list)" \
		"11 12 21 22 31 32"
	images_write 99 50 64K
	images_check
	dm_down
	"$SNAPPROT" check "$STORE" > /dev/null
}

if [ "$BOOT" -lt "$BOOTS" ]; then
	run_cases case_write_until_the_end
else
	run_cases case_after_the_last
fi
