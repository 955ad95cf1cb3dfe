#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Whatever fails under a volume, in whatever way and in either mode: nothing hangs, no
# snapshot is wrong, in protection mode none is lost, and what is only slow costs
# nothing but time.
# suite: full
# kernels: 6.12
# disks: 9M 8M 1M
# timeout: 600
# covers: promises: never wrong; protection mode loses nothing; nothing hangs

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/images.sh
. "$TOP/tests/lib/images.sh"

# The table. Data and metadata of the store are told apart by place: metadata are the
# two superblocks here, data is all else.
WHAT="origin data metadata label"
OPS="read write flush"
HOW="once ever slow hung"
MODES="normal protect"

COLD=4096		# nothing is written from here on before the fault
SLOW_MS=40		# of an operation, far less than io_timeout
HUNG_MS=3600000

# ---- layers -----------------------------------------------------------------------
#
# A fault of flushes alone lies on the last 8 sectors of a device, which nobody uses
# meanwhile: a flush goes to all targets of a table.

layer_of()
{
	case $1 in
	origin) echo olow ;;
	data | metadata) echo slow ;;
	label) echo llow ;;
	esac
}

# segment <target> <device> <start> <sectors>
segment()
{
	echo "$3 $4 $1 $2 $3"
}

# faulty <op> <how> <device> <start> <sectors>
faulty()
{
	local ms=$HUNG_MS read=0 write=0 flush=0 feature=error_writes

	case $2 in
	once | ever)
		[ "$1" != read ] || feature=error_reads
		echo "$4 $5 flakey $3 $4 0 3600 1 $feature"
		return
		;;
	slow) ms=$SLOW_MS ;;
	esac
	local "$1=$ms"
	echo "$4 $5 delay $3 $4 $read $3 $4 $write $3 $4 $flush"
}

# matrix_table <what> <op> <how>
matrix_table()
{
	local layer dev len

	layer=$(layer_of "$1")
	dev=${LAYER_DEV[$layer]}
	len=${LAYER_LEN[$layer]}
	if [ "$2" = flush ]; then
		segment linear "$dev" 0 $((len - 8))
		faulty flush "$3" "$dev" $((len - 8)) 8
		return
	fi
	case $1 in
	origin | label)
		faulty "$2" "$3" "$dev" 0 "$len"
		;;
	data)
		segment linear "$dev" 0 8
		faulty "$2" "$3" "$dev" 8 504
		segment linear "$dev" 512 8
		faulty "$2" "$3" "$dev" 520 $((len - 520))
		;;
	metadata)
		faulty "$2" "$3" "$dev" 0 8
		segment linear "$dev" 8 504
		faulty "$2" "$3" "$dev" 512 8
		segment linear "$dev" 520 $((len - 520))
		;;
	esac
}

fault_on()
{
	dm_swap "$(layer_of "$1")" "$(matrix_table "$@")"
}

fault_off()
{
	layer_linear "$(layer_of "$1")"
}

matrix_volume()
{
	layer_new olow "$ORIGIN_DISK" 10240
	layer_new slow "$STORE_DISK" 16384
	# shellcheck disable=SC2086 # the only spare disk
	layer_new llow $SPARE_DISKS 24
	ORIGIN=/dev/mapper/olow
	STORE=/dev/mapper/slow
	# shellcheck disable=SC2034 # for common.sh
	LABEL=/dev/mapper/llow
	sp_format
	store_up
	if [ "$1" = protect ]; then
		sp_load_origin protect
	else
		sp_load_origin
	fi
	images_begin 3
	images_take 1
	blkpat -l "$COLD" write "$ORIGIN_DM" 11 20 64K "$SHADOW"
	images_take 2
	blkpat -l "$COLD" write "$ORIGIN_DM" 12 20 64K "$SHADOW"
	# A checkpoint, so that there is an index.
	checkpoint
}

store_up()
{
	sp_load_store io_timeout 1
}

checkpoint()
{
	dmsetup suspend store && dmsetup resume store
}

# ---- what is done meanwhile --------------------------------------------------------
#
# Each may fail. What has succeeded is done to the shadow as well; a write that has
# failed may have been done in part, so it is done again when all is well.

try_write()
{
	write_at "$ORIGIN_DM" "$1" 64 "$2" && write_at "$SHADOW" "$1" 64 "$2"
}

try_view()
{
	local sum rc=0

	sp_load_view "$1" || return 0
	sum=$(dev_sum "/dev/mapper/snap$1") || rc=$?
	sp_remove "snap$1"
	[ "$rc" != 0 ] || [ "$sum" = "$(< "$SUMS/$1")" ] ||
		echo "snapshot $1 was wrong" >> "$TMPDIR/wrong"
}

# exercise <what> <how>
exercise()
{
	set +eE
	trap - ERR EXIT
	try_write "$COLD" 21
	[ "$2" != once ] || fault_off "$1"
	try_write $((COLD + 1024)) 22
	sp_create 7
	# One that hangs is not given up, for its data goes where the reader wants it.
	if [ "$2" != hung ]; then
		try_view 1
		try_view 2
	fi
	try_write $((COLD + 2048)) 23
	checkpoint
	sp_delete 7
	checkpoint
	exit 0
} > /dev/null 2>&1

# The store has a limit of its own on what it waits for; the disk with the data has
# none, as it would have none without us.
hangs_by_right()
{
	[ "$2" = hung ] && { [ "$1" = origin ] || [ "$1" = label ]; }
}

meanwhile()
{
	local pid

	exercise "$1" "$2" &
	pid=$!
	if hangs_by_right "$1" "$2"; then
		until ended "$pid" || is_held "$pid"; do
			pause
		done
		fault_off "$1"
	fi
	wait_for 40 ended "$pid"
	[ ! -e "$TMPDIR/wrong" ] || fail "$(cat "$TMPDIR/wrong")"
}

# ---- afterwards -----------------------------------------------------------------------

has_store()
{
	dm_names | grep -qx store
}

# All is well again: an administrator's part.
recover()
{
	# A store that could not be opened has been left suspended.
	! has_store || dmsetup resume store
	if [ "$(st state)" != active ]; then
		if [ "$(st state)" = blocked ]; then
			wait_for 20 sp_msg clear_fault
		else
			! has_store || sp_remove store
			store_up
		fi
		wait_st state active
	fi
	if [ -n "$(snap_state 7)" ]; then
		sp_delete 7
	fi
	images_write_at "$COLD" 64 31
	images_write_at $((COLD + 1024)) 64 32
	images_write_at $((COLD + 2048)) 64 33
}

# expect_kept <mode> <how>
expect_kept()
{
	if [ "$1" = protect ] || [ "$2" = slow ] || [ "$(st lost)" = 0 ]; then
		images_check
	else
		images_check_lost
	fi
}

matrix_case()
{
	local mode=$4

	matrix_volume "$mode"
	fault_on "$1" "$2" "$3"
	meanwhile "$1" "$3"
	if [ "$3" = slow ]; then
		expect_st state active
		expect_st fault -
		expect_st lost 0
	fi
	[ "$mode" != protect ] || expect_st mode protect
	fault_off "$1"
	recover
	expect_kept "$mode" "$3"
	sp_remove origin
	sp_remove store
	module_reload
	store_up
	sp_load_origin
	wait_st state active
	expect_st mode "$mode"
	expect_kept "$mode" "$3"
	sp_remove origin
	sp_remove store
	"$SNAPPROT" check "$STORE" > /dev/null
}

CASES=()
for mode in $MODES; do
	for what in $WHAT; do
		for op in $OPS; do
			for how in $HOW; do
				name=case_${what}_${op}_${how}_$mode
				eval "$name() { matrix_case $what $op $how $mode; }"
				CASES+=("$name")
			done
		done
	done
done
run_cases "${CASES[@]}"
