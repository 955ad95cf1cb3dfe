#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What dm-snapprot costs, beside linear, dm-snapshot and dm-thin, in one boot and
# on the same disks. It judges nothing: it prints lines "# @ <figure>", which
# scripts/bench turns into tables; what must hold exactly is tested in
# functional/io-counters.sh. Each figure is words "name=value":
#
#   kind=io      system, chunk (KiB), snaps, work, disk (fast or slow), round; and
#                iops, kbps, read_kb, written_kb, writes, flushes of both disks and
#                kb, ios that the workload did. disk=pair: linear and a live volume
#                with so many snapshots on the same disk, in turns; disk=views:
#                reads of the newest and of the oldest snapshot (view), in turns
#   kind=byhand  work, disk, depth, round, iops (stream: kbps): of the I/O that it
#                takes at least
#   kind=op      system, op (create or delete), snaps (there already), gib (size of
#                the volume), round, us
#   kind=load    system, exceptions, round, us (to activate), slab_kb, vmalloc_kb,
#                percpu_kb, page_kb (more than before)
#   kind=space   system, exceptions, kb (preserved), used_kb (of the store)
#   kind=delete  freed_kb, read_kb (of the store, to free it), us
#
# BENCH chooses among the cases, as in io,ops; ROUNDS is how often each is measured.
# slow is for a guest whose disks are (SNAPPROT_SLOW_DISKS).
# disks: 9G 9G 64M
# cpus: 2
# timeout: 5400
# memory: 3G

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

ROUNDS=${ROUNDS:-3}
VOLUME=$((512 * 2048))		# sectors, for everything but kind=load
STORE_AREA=$((6 * 1024 * 2048))
PART=$((448 * 2048))		# what dm-snapshot needs for a store here
FIO="fio --name=job --ioengine=libaio --direct=1 --randseed=7 --minimal"

# ---- measuring ---------------------------------------------------------------------

figure()
{
	echo "# @ $*"
}

now_us()
{
	echo "${EPOCHREALTIME/[.,]/}"
}

# counters: sectors read, sectors written, writes, flushes of both disks
counters()
{
	cat "/sys/block/${ORIGIN_DISK##*/}/stat" \
		"/sys/block/${STORE_DISK##*/}/stat" |
		awk '{ r += $3; w += $7; n += $5; f += $16 }
			END { print r, w, n, f }'
}

# measure <words of the figure> -- <device> <fio option>...
measure()
{
	local words=() before after out dev

	while [ "$1" != -- ]; do
		words+=("$1")
		shift
	done
	dev=$2
	shift 2
	before=$(counters)
	out=$($FIO --filename="$dev" "$@") || fail "fio: $out"
	# What is still on its way for it counts as well.
	sync
	after=$(counters)
	# Fields of fio's terse version 3: 6-8 what was read, 47-49 written.
	echo "$out" | awk -F ';' -v b="$before" -v a="$after" \
		-v words="${words[*]}" '/^3;/ {
		split(b, x, " "); split(a, y, " ")
		read = $6 > 0
		printf "# @ kind=io %s iops=%d kbps=%d kb=%d ios=%d", words,
			read ? $8 : $49, read ? $7 : $48,
			read ? $6 : $47, (read ? $6 : $47) / bs($0)
		printf " read_kb=%d written_kb=%d writes=%d flushes=%d\n",
			(y[1] - x[1]) / 2, (y[2] - x[2]) / 2, y[3] - x[3],
			y[4] - x[4]
	}
	function bs(line) { return read ? $7 / $8 : $48 / $49 }'
}

# first_writes <words> -- <device>: the first write to a block costs something
first_writes()
{
	local words=("${@:1:$#-2}") dev=${!#}

	measure "${words[@]}" work=rand4k-first -- "$dev" --rw=randwrite \
		--bs=4k --iodepth=32 --size=128M --io_size=32M
	measure "${words[@]}" work=seq1m-first -- "$dev" --rw=write --bs=1M \
		--iodepth=4 --offset=256M --size=256M
	measure "${words[@]}" work=rand4k-sync -- "$dev" --rw=randwrite --bs=4k \
		--iodepth=1 --fdatasync=1 --offset=128M --size=128M --io_size=3M
}

# byhand <disk> <round>: what would be left if preserving itself cost nothing, on the
# devices that the systems have below them
byhand()
{
	local us on=(/dev/mapper/disk0 /dev/mapper/disk1)

	layers
	us=$("$TOOLS/byhand" "${on[@]}" 4096 32)
	figure kind=byhand work=rand4k-first "disk=$1" depth=32 "round=$2" \
		iops=$((4096 * 1000000 / us))
	us=$("$TOOLS/byhand" "${on[@]}" 512 1 sync)
	figure kind=byhand work=rand4k-sync "disk=$1" depth=1 "round=$2" \
		iops=$((512 * 1000000 / us))
	us=$("$TOOLS/byhand" "${on[@]}" 256 4 stream)
	figure kind=byhand work=seq1m-first "disk=$1" depth=4 "round=$2" \
		kbps=$((256 * 1024 * 1000000 / us))
	down
}

# settled: what first writes have left to be done is done
settled()
{
	local before

	before=$(counters)
	sleep 1
	[ "$(counters)" = "$before" ]
}

# rewrites <words> -- <device>: further ones, of what has been written before,
# should cost nothing
rewrites()
{
	local words=("${@:1:$#-2}") dev=${!#}

	measure "${words[@]}" work=rand4k-again -- "$dev" --rw=randwrite \
		--bs=4k --iodepth=32 --offset=256M --size=256M --io_size=128M
	measure "${words[@]}" work=rand4k-4jobs -- "$dev" --rw=randwrite \
		--bs=4k --iodepth=16 --numjobs=4 --group_reporting \
		--offset=256M --size=256M --io_size=32M
}

# reads <words> -- <device of a snapshot>
reads()
{
	local words=("${@:1:$#-2}") dev=${!#}

	measure "${words[@]}" work="${BENCH_VIEW}randread" -- "$dev" \
		--rw=randread --bs=4k --iodepth=32 --size=128M --io_size=32M \
		--loops=3
	measure "${words[@]}" work="${BENCH_VIEW}seqread" -- "$dev" --rw=read \
		--bs=1M --iodepth=4 --offset=256M --size=256M --loops=4
}

# ---- the systems ---------------------------------------------------------------------
#
# up_<system> <snapshots> [<chunk in sectors>] makes /dev/mapper/live and takes
# snapshots; view_<system> <id> makes /dev/mapper/view of one. The devices are over
# disk0 and disk1, of the sizes that are wanted.

layers()
{
	dmsetup create disk0 --table "0 $((VOLUME + 2048)) linear $ORIGIN_DISK 0"
	dmsetup create disk1 --table "0 $STORE_AREA linear $STORE_DISK 0"
}

up_linear()
{
	dmsetup create live --table "0 $VOLUME linear /dev/mapper/disk0 0"
}

up_snapprot()
{
	local id

	ORIGIN=/dev/mapper/disk0
	STORE=/dev/mapper/disk1
	sp_format --force
	dmsetup create store --table "0 $STORE_AREA snapprot-store $STORE"
	dmsetup create live \
		--table "0 $ORIGIN_SECTORS snapprot $ORIGIN $VOLUME_UUID"
	for ((id = 1; id <= $1; id++)); do
		dmsetup message live 0 create_snap "$id"
	done
}

view_snapprot()
{
	dmsetup create "${2:-view}" --readonly --table "$(view_table "$1")"
}

# Each snapshot of dm-snapshot has a store of its own.
up_dmsnapshot()
{
	local id part=$PART

	dmsetup create live --table "0 $VOLUME snapshot-origin /dev/mapper/disk0"
	for ((id = 1; id <= $1; id++)); do
		dmsetup create "cow$id" --table "0 $part linear \
/dev/mapper/disk1 $(((id - 1) * part))"
		blkpat -s 0 -l 8 zero "/dev/mapper/cow$id"
		dmsetup suspend live
		dmsetup create "snap$id" --table "0 $VOLUME snapshot \
/dev/mapper/disk0 /dev/mapper/cow$id P $2"
		dmsetup resume live
	done
}

view_dmsnapshot()
{
	dmsetup create view --table "0 $VOLUME linear /dev/mapper/snap$1 0"
}

# The volume is a thin one and full, as the others are.
up_dmthin()
{
	local id

	dmsetup create meta --table "0 65536 linear ${SPARE_DISKS%% *} 0"
	blkpat -s 0 -l 8 zero /dev/mapper/meta
	dmsetup create pool --table "0 $STORE_AREA thin-pool /dev/mapper/meta \
/dev/mapper/disk1 128 0 1 skip_block_zeroing"
	dmsetup message pool 0 create_thin 0
	dmsetup create live --table "0 $VOLUME thin /dev/mapper/pool 0"
	blkpat fill /dev/mapper/live 1
	for ((id = 1; id <= $1; id++)); do
		dmsetup suspend live
		dmsetup message pool 0 create_snap "$id" 0
		dmsetup resume live
	done
}

view_dmthin()
{
	dmsetup create view --readonly \
		--table "0 $VOLUME thin /dev/mapper/pool $1"
}

# Everything down. Nothing of it is known to the next one, whose disks are as warm.
down()
{
	dm_down
	dd if=/dev/zero of="$STORE_DISK" bs=1M count=1 oflag=direct status=none
}

# The host finds memory for what is written for the first time: not while it counts.
prefill()
{
	dd if=/dev/zero of="$ORIGIN_DISK" bs=1M count=513 oflag=direct status=none
	dd if=/dev/zero of="$STORE_DISK" bs=1M count="$1" oflag=direct status=none
}

# ---- the cases -------------------------------------------------------------------------

# io_round <system> <snapshots> <chunk KiB> <disk> <round>
io_round()
{
	local words=("system=$1" "snaps=$2" "chunk=$3" "disk=$4" "round=$5")

	layers
	"up_$1" "$2" $(($3 * 2))
	first_writes "${words[@]}" -- /dev/mapper/live
	if [ "$4" = fast ]; then
		wait_for 30 settled
		rewrites "${words[@]}" -- /dev/mapper/live
	fi
	if [ "$4" = fast ] && [ "$2" -gt 0 ]; then
		BENCH_VIEW=newest-
		"view_$1" "$2"
		reads "${words[@]}" -- /dev/mapper/view
		dmsetup remove view
	fi
	if [ "$4" = fast ] && [ "$2" -gt 1 ]; then
		BENCH_VIEW=oldest-
		"view_$1" 1
		reads "${words[@]}" -- /dev/mapper/view
		dmsetup remove view
	fi
	down
}

# Rounds go around all systems, so that each meets the machine in every mood; a
# first one is only for the emulator to have seen all the code.
case_io()
{
	local round

	prefill 3712
	for ((round = 0; round <= ROUNDS; round++)); do
		io_round linear 0 4 fast "$round"
		io_round snapprot 0 4 fast "$round"
		io_round dmsnapshot 1 4 fast "$round"
		io_round snapprot 1 4 fast "$round"
		io_round dmsnapshot 1 64 fast "$round"
		io_round dmthin 1 64 fast "$round"
		io_round dmsnapshot 8 4 fast "$round"
		io_round snapprot 8 4 fast "$round"
		io_round dmsnapshot 8 64 fast "$round"
		io_round dmthin 8 64 fast "$round"
		io_round snapprot 64 4 fast "$round"
		byhand fast "$round"
	done
}

# pairs_round <snapshots> <round>: what passes costs so little that it is lost in what
# the machine does from one minute to the next. So linear, over the same disk, and the
# live volume take turns, and who is first changes.
pairs_round()
{
	local turn first second words

	layers
	up_snapprot "$1"
	dmsetup create straight --table "0 $VOLUME linear /dev/mapper/disk0 0"
	$FIO --filename=/dev/mapper/live --rw=write --bs=1M --iodepth=4 \
		--offset=256M --size=256M > /dev/null
	wait_for 30 settled
	first="linear straight" second="snapprot live"
	for turn in 1 2 3 4; do
		for words in "$first" "$second"; do
			rewrites "system=${words% *}" "snaps=$1" chunk=4 disk=pair \
				"turn=$turn" "round=$2" -- "/dev/mapper/${words#* }"
		done
		words=$first first=$second second=$words
	done
	dmsetup remove straight
	down
}

case_pairs()
{
	local round

	prefill 1024
	for ((round = 0; round <= ROUNDS; round++)); do
		pairs_round 0 "$round"
		pairs_round 1 "$round"
	done
}

# views_round <round>: the newest and the oldest of 64 take turns, as above
views_round()
{
	local turn first=newest second=oldest view

	layers
	up_snapprot 64
	first_writes system=snapprot snaps=64 chunk=4 disk=before \
		"round=$1" -- /dev/mapper/live
	view_snapprot 64 newest
	view_snapprot 1 oldest
	BENCH_VIEW=
	for turn in 1 2 3 4; do
		for view in "$first" "$second"; do
			reads system=snapprot snaps=64 chunk=4 disk=views \
				"turn=$turn" "round=$1" "view=$view" -- \
				"/dev/mapper/$view"
		done
		view=$first first=$second second=$view
	done
	dmsetup remove newest
	dmsetup remove oldest
	down
}

case_views()
{
	local round

	prefill 1024
	for ((round = 0; round <= ROUNDS; round++)); do
		views_round "$round"
	done
}

# What is dear to measure, or does not change: once.
case_many()
{
	prefill 3712
	io_round snapprot 512 4 fast 1
	io_round dmthin 64 64 fast 1
}

case_slow()
{
	local round

	prefill 3712
	for ((round = 0; round <= ROUNDS; round++)); do
		io_round linear 0 4 slow "$round"
		io_round dmsnapshot 1 4 slow "$round"
		io_round snapprot 1 4 slow "$round"
		io_round dmsnapshot 8 4 slow "$round"
		io_round snapprot 8 4 slow "$round"
		byhand slow "$round"
	done
}

# op <words> -- <command>...
op()
{
	local words=() start

	while [ "$1" != -- ]; do
		words+=("$1")
		shift
	done
	shift
	start=$(now_us)
	"$@"
	figure kind=op "${words[@]}" us=$(($(now_us) - start))
}

# case_ops: taking and deleting, with more and more snapshots, and other sizes
case_ops()
{
	local gib id round

	for gib in 1 4 8; do
		VOLUME=$((gib * 1024 * 2048))
		layers
		up_snapprot 0
		for ((id = 1; id <= 512; id++)); do
			# Something to be preserved between any two.
			blkpat -s $((id * 8)) -l 8 fill /dev/mapper/live "$id"
			op system=snapprot op=create snaps=$((id - 1)) \
				gib="$gib" round=1 -- \
				dmsetup message live 0 create_snap "$id"
		done
		for ((id = 1; id <= 512; id += 3)); do
			op system=snapprot op=delete snaps=$((512 - id / 3)) \
				gib="$gib" round=1 -- \
				dmsetup message live 0 delete_snap "$id"
		done
		down
	done
	VOLUME=$((512 * 2048))
	for ((round = 1; round <= ROUNDS; round++)); do
		layers
		op system=dmsnapshot op=create snaps=0 gib=0.5 "round=$round" -- \
			up_dmsnapshot 1 8
		down
	done
}

# fill_old: 256 MiB are preserved for the newest snapshot
fill_old()
{
	$FIO --filename=/dev/mapper/live --rw=write --bs=1M --iodepth=4 \
		--size=256M > /dev/null || fail "fio"
}

# freed <sectors used before>: is nearly all of that free again?
freed()
{
	[ "$(used_sectors)" -lt $(($1 - 250 * 2048)) ]
}

# One in the middle goes while others are written for; then the oldest.
case_delete()
{
	local id=10 round used before after start

	prefill 3712
	VOLUME=$((1024 * 2048))
	layers
	up_snapprot 0
	for ((round = 1; round <= ROUNDS + 3; round++)); do
		dmsetup message live 0 create_snap "$round"
		fill_old
	done
	for ((round = 0; round <= ROUNDS; round++)); do
		dmsetup message live 0 create_snap $((id++))
		measure system=snapprot chunk=4 snaps=8 disk=fast \
			"round=$round" work=alone -- /dev/mapper/live \
			--rw=randwrite --bs=4k --iodepth=32 --offset=512M \
			--size=256M --io_size=64M
		dmsetup message live 0 create_snap $((id++))
		used=$(used_sectors)
		dmsetup message live 0 delete_snap $((round + 2))
		measure system=snapprot chunk=4 snaps=8 disk=fast \
			"round=$round" work=deleting -- /dev/mapper/live \
			--rw=randwrite --bs=4k --iodepth=32 --offset=512M \
			--size=256M --io_size=64M
		wait_for 60 freed $((used + 64 * 2048))
	done
	used=$(used_sectors)
	before=$(counters)
	start=$(now_us)
	dmsetup message live 0 delete_snap 1
	wait_for 60 freed "$used"
	after=$(counters)
	figure kind=delete "freed_kb=$(((used - $(used_sectors)) / 2))" \
		"us=$(($(now_us) - start))" \
		"read_kb=$(((${after%% *} - ${before%% *}) / 2))"
	down
}

# kernel_kb: slab, vmalloc, percpu, and the pages in use, in KiB
kernel_kb()
{
	sync
	echo 3 > /proc/sys/vm/drop_caches
	awk '/^MemFree:/ { free = $2 }
		/^Slab:/ { slab = $2 }
		/^VmallocUsed:/ { vmalloc = $2 }
		/^Percpu:/ { percpu = $2 }
		END { print slab, vmalloc, percpu, -free }' /proc/meminfo
}

# loaded <system> <exceptions> <round> <command>...: what it takes to activate it
loaded()
{
	local system=$1 n=$2 round=$3 before after us

	shift 3
	before=$(kernel_kb)
	us=$(now_us)
	"$@"
	us=$(($(now_us) - us))
	# Whatever it fetches when it is used for the first time.
	blkpat -s 0 -l 8 sum /dev/mapper/view > /dev/null
	after=$(kernel_kb)
	figure kind=load system="$system" exceptions="$n" "round=$round" us="$us" \
		"$(awk -v b="$before" -v a="$after" 'BEGIN {
			split(b, x, " "); split(a, y, " ")
			printf "slab_kb=%d vmalloc_kb=%d percpu_kb=%d page_kb=%d",
				y[1] - x[1], y[2] - x[2], y[3] - x[3],
				y[4] - x[4]
		}')"
}

# scatter <exceptions>: every other block of the volume is written
scatter()
{
	$FIO --filename=/dev/mapper/live --rw=write:4k --bs=4k --iodepth=64 \
		--io_size=$(($1 * 4))k > /dev/null || fail "fio"
}

snapprot_again()
{
	dmsetup create store --table "0 $STORE_AREA snapprot-store $STORE"
	dmsetup create live \
		--table "0 $ORIGIN_SECTORS snapprot $ORIGIN $VOLUME_UUID"
	view_snapprot 1
}

dmsnapshot_again()
{
	dmsetup create live --table "0 $VOLUME snapshot-origin /dev/mapper/disk0"
	dmsetup create snap1 --table "0 $VOLUME snapshot /dev/mapper/disk0 \
/dev/mapper/cow1 P 8"
	view_dmsnapshot 1
}

# activations <system> <exceptions> <device>...: the devices are removed, and made
# again. Round 0 is only for the emulator to have seen all the code.
activations()
{
	local system=$1 n=$2 round device

	shift 2
	for ((round = 0; round <= ROUNDS; round++)); do
		for device; do
			! dmsetup info "$device" > /dev/null 2>&1 ||
				dmsetup remove "$device"
		done
		loaded "$system" "$n" "$round" "${system}_again"
	done
}

case_load()
{
	local n

	VOLUME=$((8 * 1024 * 2048))
	PART=$STORE_AREA
	for n in 10000 100000 1000000; do
		layers
		up_snapprot 1
		scatter "$n"
		figure kind=space system=snapprot exceptions="$n" \
			kb=$((n * 4)) used_kb=$(($(used_sectors) / 2))
		activations snapprot "$n" view live store
		down
		layers
		up_dmsnapshot 1 8
		scatter "$n"
		activations dmsnapshot "$n" view snap1 live
		down
	done
}

used_sectors()
{
	dmsetup status store | awk '{ sub("/.*", "", $6); print $6 }'
}

CASES=()
BENCH=${BENCH:-io,pairs,views,many,ops,delete,load}
for name in ${BENCH//,/ }; do
	CASES+=("case_$name")
done
run_cases "${CASES[@]}"
