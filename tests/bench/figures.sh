#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# First writes beside dm-snapshot, in one boot and on the same disks: bytes read
# and written per byte written, flushes, and IOPS. It prints figures and judges
# nothing; what must hold exactly is in functional/io-counters.sh.
# disks: 512M 6G
# timeout: 900
# memory: 2G
# modules: dm-snapshot

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

# counters <disk>: sectors read, sectors written, writes, flushes
counters()
{
	awk '{ print $3, $7, $5, $16 }' "/sys/block/${1##*/}/stat"
}

# measure <system> <snapshots> <workload> <device> <fio option>...
measure()
{
	local system=$1 snaps=$2 work=$3 dev=$4 before after out
	shift 4

	before="$(counters "$ORIGIN_DISK") $(counters "$STORE_DISK")"
	out=$(fio --name=job --filename="$dev" --ioengine=libaio --direct=1 \
		--randseed=7 --minimal "$@") || fail "fio"
	# What is still on its way for it counts as well.
	sync
	after="$(counters "$ORIGIN_DISK") $(counters "$STORE_DISK")"
	echo "$out" | awk -F ';' -v b="$before" -v a="$after" -v s="$system" \
		-v n="$snaps" -v w="$work" '{
		split(b, x, " "); split(a, y, " ")
		kb = $47
		r = (y[1] - x[1] + y[5] - x[5]) / 2
		wr = (y[2] - x[2] + y[6] - x[6]) / 2
		ops = y[3] - x[3] + y[7] - x[7]
		fl = y[4] - x[4] + y[8] - x[8]
		printf "# %-18s %4s %-12s %8d IOPS %8.1f MB/s  read/KB %6.2f" \
			"  written/KB %6.2f  flushes %d\n", s, n, w, $49,
			$48 / 1000, r / kb, wr / kb, fl
	}'
}

workloads()
{
	local system=$1 snaps=$2 dev=$3

	measure "$system" "$snaps" rand4k-first "$dev" --rw=randwrite --bs=4k \
		--iodepth=32 --size=128M --io_size=16M --norandommap=0
	measure "$system" "$snaps" rand4k-again "$dev" --rw=randwrite --bs=4k \
		--iodepth=32 --size=128M --io_size=16M --norandommap=0
	measure "$system" "$snaps" seq1m-first "$dev" --rw=write --bs=1M \
		--iodepth=4 --offset=128M --size=128M
	measure "$system" "$snaps" rand4k-sync "$dev" --rw=randwrite --bs=4k \
		--iodepth=1 --fdatasync=1 --offset=256M --size=128M --io_size=2M
}

case_linear()
{
	layer_new lin "$ORIGIN_DISK"
	workloads linear - /dev/mapper/lin
}

# dm_snapshot <chunk sectors> <snapshots>
dm_snapshot()
{
	local i len part

	len=$(sectors "$ORIGIN_DISK")
	part=$(($(sectors "$STORE_DISK") / 8))
	dmsetup create real --table "0 $len linear $ORIGIN_DISK 0"
	for ((i = 0; i < $2; i++)); do
		dmsetup create "cow$i" \
			--table "0 $part linear $STORE_DISK $((i * part))"
		dd if=/dev/zero of="/dev/mapper/cow$i" bs=4k count=1 \
			oflag=direct 2> /dev/null
	done
	dmsetup create orig --table "0 $len snapshot-origin /dev/mapper/real"
	for ((i = 0; i < $2; i++)); do
		dmsetup suspend orig
		dmsetup create "snap$i" \
			--table "0 $len snapshot /dev/mapper/real /dev/mapper/cow$i P $1"
		dmsetup resume orig
	done
	workloads "dm-snapshot $(($1 / 2))K" "$2" /dev/mapper/orig
	for ((i = 0; i < $2; i++)); do
		dmsetup remove "snap$i"
	done
	dmsetup remove orig
}

case_dm_snapshot_4k_1() { dm_snapshot 8 1; }
case_dm_snapshot_4k_8() { dm_snapshot 8 8; }
case_dm_snapshot_64k_1() { dm_snapshot 128 1; }

snapprot()
{
	local i

	sp_format
	sp_load_store
	sp_load_origin
	for ((i = 1; i <= $1; i++)); do
		sp_msg create_snap "$i"
	done
	workloads snapprot "$1" /dev/mapper/origin
}

case_snapprot_1() { snapprot 1; }
case_snapprot_8() { snapprot 8; }
case_snapprot_0() { snapprot 0; }

run_cases case_linear case_dm_snapshot_4k_1 case_snapprot_1 \
	case_dm_snapshot_4k_8 case_snapprot_8 case_dm_snapshot_64k_1 \
	case_snapprot_0
