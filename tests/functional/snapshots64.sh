#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# 64 snapshots at once: each of them is the volume as it was, whatever is written
# afterwards, whichever others are deleted, and however often it is loaded again.
# disks: 9M 128M
# boots: 2
# timeout: 180

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/images.sh
. "$(dirname "$0")/../lib/images.sh"

SHARED=yes

# What is written between two snapshots: many small writes, at any sector, and
# now and then large ones.
some_writes()
{
	images_write "$1" 6 512
	images_write "$1"1 6 16K
	images_write "$1"2 2 256K
	[ $(($1 % 8)) != 0 ] || images_write "$1"3 2 4M
}

uses_less_than()
{
	[ "$(st used)" -lt "$1" ]
}

case_taking_them()
{
	local id

	sp_up
	images_begin
	for id in {1..64}; do
		images_take "$id"
		some_writes "$id"
	done
	expect_st valid 64
	images_check
	images_keep
}

case_deleting_in_the_middle()
{
	local id before

	images_recall
	before=$(st used)
	# Neighbours, every other one, and both ends.
	images_drop 20 21 22 23 24 25 26 27
	for id in {31..49..2}; do
		images_drop "$id"
	done
	images_drop 1 64
	expect_st valid 44
	images_check
	some_writes 100
	images_check
	wait_for 20 uses_less_than "$before"
	images_keep
}

case_taking_more_where_some_were()
{
	local id

	images_recall
	images_recall_origin
	for id in 21 64 1; do
		images_take "$id"
		some_writes 2"$id"
	done
	images_check
	images_keep
}

case_reloading_the_module()
{
	images_recall
	dm_down
	module_reload
	images_up
	images_recall_origin
	images_check
	some_writes 300
	images_check
	images_keep
	dm_down
	"$SNAPPROT" check "$STORE"
}

case_after_a_reboot()
{
	images_recall
	images_up
	images_recall_origin
	images_check
	some_writes 400
	images_check
}

case_deleting_all()
{
	local id

	images_recall
	for id in $(images_ids); do
		sp_delete "$id"
	done
	expect_st valid 0
	dm_down
	"$SNAPPROT" check "$STORE"
}

if [ "$BOOT" = 1 ]; then
	run_cases case_taking_them case_deleting_in_the_middle \
		case_taking_more_where_some_were case_reloading_the_module
else
	run_cases case_after_a_reboot case_deleting_all
fi
