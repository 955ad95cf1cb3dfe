#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# How much memory copies take, however many writes wait for them.
# disks: 128M 256M
# covers: promises: cost does not grow
# covers: known bugs: 11 unlimited copies in flight

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

WRITERS=64
# MiB that copies may take under load, and some time after
LARGE=12
SMALL=3

PAGE_KIB=$(($(getconf PAGESIZE) / 1024))

# What the kernel has in use, in KiB: no cache, no page of a process, and none that
# a processor keeps for the next one who wants it
in_use()
{
	sync
	echo 3 > /proc/sys/vm/drop_caches
	awk -v page="$PAGE_KIB" '/^MemTotal:/ { kb += $2 }
		/^(MemFree|Buffers|Cached|AnonPages|PageTables|KernelStack):/ {
			kb -= $2
		}
		$1 == "count:" { kb -= page * $2 }
		END { print kb }' /proc/meminfo /proc/zoneinfo
}

# Each writes 1 MiB of its own, at once.
flood()
{
	local i

	PIDS=()
	for ((i = 0; i < WRITERS; i++)); do
		dd if=/dev/zero of="$ORIGIN_DM" bs=1M seek="$i" count=1 \
			oflag=direct conv=notrunc status=none &
		PIDS+=($!)
	done
}

# So many processes take no more memory than those before them: what these have freed
# is with KASAN's quarantine, on a kernel that has one, until that is full.
processes_cost_nothing()
{
	local i before

	before=$(in_use)
	PIDS=()
	for ((i = 0; i < WRITERS; i++)); do
		dd if=/dev/zero of=/dev/null bs=1M count=1 status=none &
		PIDS+=($!)
	done
	wait "${PIDS[@]}"
	[ $(($(in_use) - before)) -le 1024 ]
}

# All of them wait, or have got through; not all have.
all_wait()
{
	local states

	states=$(ps -o stat= --pid "${PIDS[*]}" | cut -c 1 | sort -u | tr -d '\n')
	[[ $states =~ ^DZ?$ ]]
}

is_bounded()
{
	local more=$(($(in_use) - BEFORE))

	echo "# $more KiB more in use"
	[ "$more" -le $((LARGE * 1024)) ] || fail "not bounded"
}

given_back()
{
	[ $(($(in_use) - BEFORE)) -le $((SMALL * 1024)) ]
}

# Copies of all of it at once would take 64 MiB. What two batches take is given back
# when there is no more to write; the index stays.
case_bounded_under_a_flood()
{
	local pid

	layer_new slow "$STORE_DISK"
	STORE=/dev/mapper/slow
	sp_format
	sp_load_store io_timeout 0
	sp_load_origin
	blkpat -s 0 -l $((WRITERS * 2048)) fill "$ORIGIN_DM" 1
	sp_create 1
	wait_for 60 processes_cost_nothing
	BEFORE=$(in_use)
	layer_hold slow
	flood
	wait_for 60 all_wait
	is_bounded
	# The first batch was small. The next one has all the others to take from.
	layer_release slow
	layer_hold slow
	wait_for 60 all_wait
	is_bounded
	layer_release slow
	for pid in "${PIDS[@]}"; do
		wait "$pid"
	done
	is_bounded
	wait_for 15 given_back
	sp_load_view 1
	verify_at /dev/mapper/snap1 0 $((WRITERS * 2048)) 1
}

run_cases case_bounded_under_a_flood
