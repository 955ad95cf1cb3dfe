#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Snapshots are taken and deleted two thousand times: neither the store nor the
# kernel's memory grows.
# suite: full
# disks: 9M 32M
# cpus: 2
# timeout: 900

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/images.sh
. "$TOP/tests/lib/images.sh"

CYCLES=2000

uses_at_most()
{
	[ "$(st used)" -le "$1" ]
}

slab_kib()
{
	awk '$1 == "SUnreclaim:" { print $2 }' /proc/meminfo
}

case_cycles()
{
	local i used slab

	sp_up
	images_begin
	images_take 1
	for ((i = 1; i <= CYCLES; i++)); do
		sp_create $((i + 1))
		[ $((i % 10)) != 0 ] ||
			images_write_at $((i % 500 * 16)) 16 "$i"
		sp_delete $((i + 1))
		if [ "$i" = 200 ]; then
			used=$(st used)
			slab=$(slab_kib)
		fi
	done
	expect_st valid 1
	# What snapshot 1 needs is never more than the volume.
	wait_for 30 uses_at_most $((used + 16384))
	[ "$(slab_kib)" -lt $((slab + 4096)) ] ||
		fail "$slab KiB of slab before, $(slab_kib) KiB after"
	images_check
	images_drop 1
	wait_for 30 uses_at_most 2048
	sp_remove origin
	sp_remove store
	"$SNAPPROT" check "$STORE" > /dev/null
}

run_cases case_cycles
