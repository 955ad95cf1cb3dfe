#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# 512 snapshots at once. All are taken, listed, deleted and found again; the
# contents of some of them, the first and the last among these, are compared.
# disks: 5M 64M
# timeout: 120

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/images.sh
. "$TOP/tests/lib/images.sh"

SHARED=yes
MANY=512

# In what is compared by images.sh each snapshot costs a view and two sums.
is_sample()
{
	[ $(($1 % 37)) = 1 ] || [ "$1" = "$MANY" ]
}

numbers_listed()
{
	sp_list | awk '$2 == "valid" { print $1 }' | sort -n
}

samples_right()
{
	local id

	for id in $(images_ids); do
		image_check "$id"
	done
	expect_same "$ORIGIN_DM" "$SHADOW"
}

case_taking_them()
{
	local id

	sp_up
	images_begin
	for ((id = 1; id <= MANY; id++)); do
		if is_sample "$id"; then
			images_take "$id"
		else
			sp_create "$id"
		fi
		images_write "$id" 1 16K
	done
	expect_st valid "$MANY"
	expect_eq "ids" "$(numbers_listed)" "$(seq "$MANY")"
	samples_right
	images_keep
}

case_deleting_every_other()
{
	local id

	images_recall
	images_recall_origin
	for ((id = 2; id < MANY; id += 2)); do
		if is_sample "$id"; then
			images_drop "$id"
		else
			sp_delete "$id"
		fi
	done
	images_write 1000 100 64K
	samples_right
	images_keep
}

case_loading_them_again()
{
	images_recall
	dm_down
	module_reload
	images_up
	images_recall_origin
	expect_eq "ids" "$(numbers_listed)" \
		"$(seq 1 2 "$MANY"; echo "$MANY")"
	samples_right
	dm_down
	"$SNAPPROT" check "$STORE"
}

run_cases case_taking_them case_deleting_every_other case_loading_them_again
