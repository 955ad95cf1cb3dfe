#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Memory that cannot be had. Each allocation that a system call makes fails, one after
# the other (of thousands those at either end, and some between): the call fails with an
# errno or does without, nothing is left behind or lost by it, and the same call works
# afterwards. Then allocations fail at random wherever the module makes any, in its
# workers too, while it is being used. Needs a kernel that can inject failures; all of
# it in protection mode. Where vmalloc has no memory, it says so with its stack.
# suite: full
# disks: 5M 32M
# cpus: 2
# timeout: 900
# expect-log: Call Trace:
# covers: promises: protection mode loses nothing; nothing hangs

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/images.sh
. "$TOP/tests/lib/images.sh"

DEBUG=/sys/kernel/debug
SEED=${SEED:-1}
EACH=80			# allocations at either end of a call that all fail
PAST=1000000		# more than any call makes

RANDOM=$SEED
if [ ! -e /proc/self/fail-nth ]; then
	skip_all "this kernel cannot inject failures"
fi

# ---- one allocation after the other --------------------------------------------------

# inject <attribute> <value>: both kinds of allocations
inject()
{
	local kind

	for kind in failslab fail_page_alloc; do
		echo "$2" > "$DEBUG/$kind/$1"
	done
}

# Those that may sleep as well; which ones, the caller's fail-nth says. Each would have
# its stack in the log.
inject_any()
{
	inject verbose 0
	inject ignore-gfp-wait N
	echo 0 > "$DEBUG/fail_page_alloc/min-order"
}

# nth <n> <call> <program> <argument>...: RC is its exit code, LEFT 0 if the n-th has
# failed, else how many n was too many
nth()
{
	local n=$1 call=$2

	shift 2
	RC=0
	rm -f left
	env LD_PRELOAD="$TOOLS/failnth.so" FAILNTH_N="$n" FAILNTH_CALL="$call" \
		FAILNTH_OUT="$PWD/left" "$@" > out 2>&1 || RC=$?
	[ -s left ] || fail "$*: did not come to $call: $(< out)"
	LEFT=$(< left)
}

# sweep <name> <call> <program> <argument>...: before each the function before_<name>
# is called, and after each after_<name>. Where a call makes thousands, as a store does
# that reads its log block by block, those in the middle are much the same ones again
# and again: there as many as at an end are taken by lot.
sweep()
{
	local name=$1 n=0 all step tried=0 failures=0

	shift
	# The first time more, for what is kept afterwards.
	for _ in 1 2; do
		"before_$name"
		nth "$PAST" "$@"
		[ "$RC" = 0 ] || fail "$*: fails by itself: $(< out)"
		"after_$name"
	done
	all=$((PAST - LEFT))
	[ "$all" -gt 0 ] || [ "$name" = pause ] || fail "$*: allocates nothing"
	step=$((2 * (all - 2 * EACH) / EACH))
	while :; do
		n=$((n + 1))
		[ "$step" -lt 4 ] || [ "$n" -le "$EACH" ] ||
			[ "$n" -gt $((all - EACH)) ] || n=$((n + RANDOM % step))
		"before_$name"
		nth "$n" "$@"
		"after_$name"
		[ "$LEFT" = 0 ] || break
		tried=$((tried + 1))
		[ "$RC" = 0 ] || failures=$((failures + 1))
		check_volume "$tried"
	done
	[ "$RC" = 0 ] || fail "$*: fails by itself: $(< out)"
	[ "$n" -gt $((all * 3 / 4)) ] ||
		fail "$*: $all allocations, and then no more than $((n - 1))"
	echo "# $name: $tried allocations, of $((n - 1)), $failures calls failed" >&2
}

# check_volume <n>: healthy, in its mode, and nothing lost; and now and then right
check_volume()
{
	local words

	read -r -a words <<< "$(dmsetup status origin)"
	expect_eq "after allocation $1: status" "${words[*]:3:6}" \
		"protect active - 0 $VALID 0"
	[ $(($1 % 32)) != 0 ] || image_check 1
}

volume()
{
	inject_any
	sp_up protect
	images_begin 1
	images_take 1
	images_write 1 10 16K
	images_take 2
	images_write 2 10 16K
	VALID=2
}

# A failure may have been a fault; then that is what it says, and it can be cleared.
recover()
{
	[ "$(st fault)" = - ] || sp_msg clear_fault
}

# ---- constructors -----------------------------------------------------------------------

before_load() { :; }

# The same again, then without.
after_load()
{
	[ "$RC" = 0 ] || dmsetup load "$DEVICE" --table "$TABLE"
	dmsetup clear "$DEVICE"
}

before_view() { :; }

after_view()
{
	[ "$RC" = 0 ] || dmsetup load probe --readonly --table "$TABLE"
	dmsetup clear probe
}

case_constructors()
{
	volume
	for DEVICE in store origin; do
		TABLE=$("${DEVICE}_table")
		echo "# $DEVICE" >&2
		sweep load load dmsetup load "$DEVICE" --table "$TABLE"
	done
	# The kernel makes a slab cache for the first of a kind, and leaks the name of one
	# that it cannot make.
	dmsetup create kept --readonly --table "$(view_table 2)"
	TABLE=$(view_table 1)
	dmsetup create probe --notable
	sweep view load dmsetup load probe --readonly --table "$TABLE"
	dmsetup remove probe
	dmsetup remove kept
	images_check
}

# ---- arrival, and the live volume's first resume -------------------------------------

before_arrival()
{
	dmsetup remove store
	expect_st state blocked
	dmsetup create store --notable
	dmsetup load store --table "$(store_table)"
}

# Resuming may have failed, and can be done again.
after_arrival()
{
	[ "$RC" = 0 ] || dmsetup resume store
	recover
	wait_st state active
}

case_arrival()
{
	volume
	sweep arrival suspend dmsetup resume store
	images_check
}

before_claim()
{
	dmsetup remove origin
	dmsetup create origin --notable
	dmsetup load origin --table "$(origin_table)"
}

after_claim()
{
	[ "$RC" = 0 ] || dmsetup resume origin
	recover
	wait_st state active
}

case_claim()
{
	volume
	sweep claim suspend dmsetup resume origin
	images_check
}

before_pause() { :; }

after_pause()
{
	dmsetup resume "$DEVICE"
	recover
}

before_reload()
{
	dmsetup load "$DEVICE" --table "$("${DEVICE}_table")"
	dmsetup suspend "$DEVICE"
}

after_reload()
{
	[ "$RC" = 0 ] || dmsetup resume "$DEVICE"
	recover
}

case_suspend_and_reload()
{
	volume
	for DEVICE in origin store; do
		echo "# $DEVICE" >&2
		sweep pause suspend dmsetup suspend "$DEVICE"
		sweep reload suspend dmsetup resume "$DEVICE"
	done
	images_check
}

# ---- messages -------------------------------------------------------------------------------

before_create() { :; }

# What has failed may have been recorded all the same.
after_create()
{
	recover
	[ "$RC" = 0 ] || [ -n "$(snap_state 9)" ] || sp_create 9
	sp_delete 9
	expect_eq "state of 9" "$(snap_state 9)" ""
}

before_delete()
{
	sp_create 9
}

after_delete()
{
	recover
	[ "$RC" = 0 ] || [ -z "$(snap_state 9)" ] || sp_delete 9
	expect_eq "state of 9" "$(snap_state 9)" ""
}

before_list() { :; }
after_list() { :; }

before_protect()
{
	sp_msg normal
}

after_protect()
{
	recover
	sp_msg protect
}

before_normal() { :; }

after_normal()
{
	recover
	sp_msg normal
	expect_st mode normal
	sp_msg protect
}

before_clear()
{
	sp_msg debug_fault internal
	expect_st state blocked
}

after_clear()
{
	[ "$RC" = 0 ] || [ "$(st fault)" = - ] || sp_msg clear_fault
}

before_table() { :; }
after_table() { :; }

case_messages()
{
	local say=(dmsetup message origin 0)

	volume
	sweep create message "${say[@]}" create_snap 9
	sweep delete message "${say[@]}" delete_snap 9
	sweep list message "${say[@]}" list_snaps
	sweep protect message "${say[@]}" protect
	sweep normal message "${say[@]}" normal
	sweep clear message "${say[@]}" clear_fault
	sweep table status dmsetup table origin
	images_check
}

# ---- I/O --------------------------------------------------------------------------------------

# Nothing of it is preserved.
before_io()
{
	sp_create 9
}

# What has failed can be done again, and done it is.
after_io()
{
	recover
	if [ "$RC" != 0 ]; then
		"$BLKPAT" -s 4096 -l 64 fill "$ORIGIN_DM" 7
	fi
	"$BLKPAT" -s 4096 -l 64 fill "$SHADOW" 7
	verify_at "$ORIGIN_DM" 4096 64 7
	sp_delete 9
}

before_read() { :; }

after_read()
{
	recover
	expect_same /dev/mapper/look "$SHADOW.1"
}

case_io()
{
	# Not the one that is built into bash.
	BLKPAT=$TOOLS/blkpat
	volume
	sweep io write "$BLKPAT" -s 4096 -l 64 fill "$ORIGIN_DM" 7
	sweep io sync "$BLKPAT" -s 4096 -l 64 fill "$ORIGIN_DM" 7
	images_take 3
	VALID=3
	dmsetup create look --readonly --table "$(view_table 3)"
	cp "$SHADOW" "$SHADOW.1"
	images_write 3 20 16K
	sweep read read "$BLKPAT" sum /dev/mapper/look
	dmsetup remove look
	images_check
}

# ---- everywhere ---------------------------------------------------------------------------------

# Where the module's code is, for failures that it has a part in.
module_text()
{
	local start size

	start=$(cat /sys/module/dm_snapprot/sections/.text)
	size=$(awk '$1 == "dm_snapprot" { print $2 }' /proc/modules)
	inject require-start "$start"
	inject require-end "$(printf '0x%x' $((start + size)))"
	inject stacktrace-depth 32
}

injection_off()
{
	inject probability 0
	inject times 0
}

case_everywhere()
{
	local round id failed=0

	[ -e "$DEBUG/failslab/require-start" ] ||
		skip "this kernel cannot say where memory shall fail"
	volume
	defer injection_off
	module_text
	inject interval 1
	inject times -1
	for round in {1..12}; do
		id=$((round + 10))
		inject probability $((round % 4 * 3 + 1))
		blkpat write "$ORIGIN_DM" $((SEED + round)) 40 32K "$SHADOW" ||
			failed=$((failed + 1))
		sp_create "$id" || failed=$((failed + 1))
		sp_load_view 1 && blkpat sum /dev/mapper/snap1 > /dev/null ||
			failed=$((failed + 1))
		sp_reload store || failed=$((failed + 1))
		sp_delete "$id" || failed=$((failed + 1))
		inject probability 0
		calm_down
		# A write that failed may have done a part.
		blkpat copy "$ORIGIN_DM" "$SHADOW"
		expect_eq "snapshots" \
			"$(sp_list | awk '$2 == "valid" { print $1 }' | paste -s -d ' ')" \
			"1 2"
		image_check 1
		image_check 2
	done > /dev/null 2> said
	echo "# $failed operations failed" >&2
	[ "$failed" -gt 0 ] || fail "nothing has failed"
	images_check
}

# As after any fault, and with nothing left of what was tried.
calm_down()
{
	local id

	dmsetup info snap1 > /dev/null 2>&1 && dmsetup remove snap1
	dmsetup resume store || :
	dmsetup resume origin || :
	for _ in {1..5}; do
		[ "$(st fault)" != - ] || break
		sp_msg clear_fault || dm_swap store "$(store_table)" || :
	done
	wait_st state active
	for id in $(sp_list | awk '$1 > 10 { print $1 }'); do
		sp_delete "$id"
	done
}

run_cases case_constructors case_arrival case_claim case_suspend_and_reload \
	case_messages case_io case_everywhere
