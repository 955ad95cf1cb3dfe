# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# shellcheck disable=SC2119,SC2120 # functions whose arguments are optional
#
# What the functional tests share. A test is a bash script that begins with
#
#	. "$(dirname "$0")/../lib/common.sh"
#
# defines a function for each case and ends with
#
#	run_cases case_one case_two ...
#
# A case runs in a subshell with errexit, so any command that fails fails the
# case, and the place is printed; what it has set up with defer is undone when
# it ends, all dm devices are removed, and the disks are zeroed. It reports with
# fail, skip and the expect_* functions.
#
# A test whose cases work on the same devices one after the other, as one with
# several boots must, says SHARED=yes: then that is done after the last case
# (of the last boot). With SHARED=root it is not done at all, as the root lies there.
#
# In a guest there are ORIGIN_DISK, STORE_DISK, SPARE_DISKS (blank-separated),
# TMPDIR (in memory, empty), and BOOT. The helpers below work on ORIGIN and
# STORE, which are those disks until a test says otherwise, for instance with
# a dm layer that can be made to fail.

set -u

TOP=${TOP:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)}
TOOLS=$TOP/tests/lib/bin
SNAPPROT=${SNAPPROT:-$TOP/userspace/snapprot}
TMPDIR=${TMPDIR:-/tmp}
BOOT=${BOOT:-1}
BOOTS=${BOOTS:-1}
# By how much to multiply limits on waiting, on a machine that is slow or busy.
SLOW=${SLOW:-1}
SHARED=no
ORIGIN=${ORIGIN_DISK:-}
STORE=${STORE_DISK:-}
PATH=$TOOLS:$PATH
# dm, blkpat and sectors without a program to start; see builtins.c.
enable -f "$TOOLS/builtins.so" dm blkpat sectors || exit 1
# Set by sp_format, which evaluates what the tool prints.
VOLUME_UUID=
ORIGIN_SECTORS=
LABEL=

CASE=0
FAILURES=0
SKIPS=0
PLAN=
DEFERRED=()

# ---- KTAP ---------------------------------------------------------------------

# plan <number of cases>
plan()
{
	PLAN=$1
	echo "TAP version 13"
	echo "1..$1"
}

# skip_all <reason>: the test cannot be run here
skip_all()
{
	echo "TAP version 13"
	echo "1..0 # SKIP $*"
	exit 4
}

# Where a failure was: the innermost place that is in the test itself.
place()
{
	local i

	for ((i = 1; i < ${#BASH_SOURCE[@]}; i++)); do
		[ "${BASH_SOURCE[i]}" = "${BASH_SOURCE[0]}" ] && continue
		echo "${BASH_SOURCE[i]##*/}:${BASH_LINENO[i - 1]}"
		return
	done
	echo "common.sh:${BASH_LINENO[0]}"
}

# fail <words>: this case has failed
fail()
{
	echo "# $(place): $*" >&2
	FAIL_TOLD=yes
	exit 1
}

# skip <reason>: this case cannot be run here
skip()
{
	printf '%s\n' "$*" > "$TMPDIR/.skip"
	exit 4
}

# defer <command> [argument]...: done when the case (or the test) ends, the
# last one first
defer()
{
	local words

	printf -v words '%q ' "$@"
	DEFERRED+=("$words")
}

run_deferred()
{
	local i rc=0

	for ((i = ${#DEFERRED[@]} - 1; i >= 0; i--)); do
		eval "${DEFERRED[i]}" && continue
		echo "# cleaning up failed: ${DEFERRED[i]}" >&2
		rc=1
	done
	DEFERRED=()
	return "$rc"
}

# Told only once, however many functions the failure goes through.
tell_error()
{
	[ "${FAIL_TOLD:-no}" = yes ] ||
		echo "# $(place): exit code $1 from: $2" >&2
	FAIL_TOLD=yes
}

end_case()
{
	local rc=$1

	trap - ERR
	set +e
	run_deferred || rc=1
	if [ "$SHARED" = no ]; then
		dm_down || rc=1
		[ -z "${ORIGIN_DISK:-}" ] || wipe_disks || rc=1
	fi
	exit "$rc"
}

# So that no case finds a store or a label that another one has made.
wipe_disks()
{
	# shellcheck disable=SC2086 # a list of names
	blkpat zero ${ORIGIN_DISK:-} ${STORE_DISK:-} ${SPARE_DISKS:-}
}

# run_case <name> <function> [argument]...
run_case()
{
	local name=$1 rc

	shift
	CASE=$((CASE + 1))
	[ -n "$PLAN" ] || echo "TAP version 13"
	rm -f "$TMPDIR/.skip"
	(
		DEFERRED=()
		FAIL_TOLD=no
		trap 'tell_error $? "$BASH_COMMAND"' ERR
		trap 'end_case $?' EXIT
		set -eE
		"$@"
	)
	rc=$?
	case $rc in
	0)
		echo "ok $CASE $name"
		;;
	4)
		echo "ok $CASE $name # SKIP $(cat "$TMPDIR/.skip" 2>&1)"
		SKIPS=$((SKIPS + 1))
		;;
	*)
		echo "not ok $CASE $name"
		FAILURES=$((FAILURES + 1))
		# Its wreckage would only make the others fail.
		[ "$SHARED" != no ] || [ -z "$(dm_names)" ] ||
			bail_out "devices are left"
		;;
	esac
}

bail_out()
{
	echo "# no further cases: $*"
	exit 1
}

# finish: the end of a test that has called run_case by itself
finish()
{
	[ -n "$PLAN" ] || echo "1..$CASE"
	run_deferred || exit 1
	[ "$SHARED" != yes ] || [ "$BOOT" -lt "$BOOTS" ] || dm_down || exit 1
	[ "$FAILURES" = 0 ] || exit 1
	[ "$CASE" = 0 ] || [ "$CASE" -gt "$SKIPS" ] || exit 4
	exit 0
}

# run_cases <function>...: a whole test; case_foo_bar is called "foo bar". Of these
# only those that match ONLY_CASES, where that is set.
run_cases()
{
	local name wanted=()

	for name; do
		[[ ! $name =~ ${ONLY_CASES:-.} ]] || wanted+=("$name")
	done
	plan ${#wanted[@]}
	for name in ${wanted[@]+"${wanted[@]}"}; do
		run_case "$(echo "${name#case_}" | tr _ ' ')" "$name"
	done
	finish
}

# ---- expectations ---------------------------------------------------------------

# expect_eq <what> <got> <wanted>
expect_eq()
{
	[ "$2" = "$3" ] || fail "$1: got '$2', expected '$3'"
}

# expect_match <what> <got> <extended regular expression>
expect_match()
{
	[[ $2 =~ $3 ]] || fail "$1: got '$2', expected to match '$3'"
}

# expect_fail <command> [argument]...: it must fail; OUTPUT is what it printed
expect_fail()
{
	OUTPUT=$("$@" 2>&1) && fail "succeeded, but should have failed: $*"
	return 0
}

# expect_error <text> <command> [argument]...: it must fail and say the text,
# such as "File exists"
expect_error()
{
	local text=$1

	shift
	expect_fail "$@"
	[[ $OUTPUT = *"$text"* ]] ||
		fail "$*: said '$OUTPUT', expected '$text'"
}

# expect_exit <code> <command> [argument]...
expect_exit()
{
	local want=$1 got=0

	shift
	OUTPUT=$("$@" 2>&1) || got=$?
	[ "$got" = "$want" ] ||
		fail "$*: exit code $got, expected $want; said '$OUTPUT'"
}

# ---- the tool ----------------------------------------------------------------------

# tool <exit code> <argument>...: run snapprot. OUT and ERR are what it printed.
# Whatever fails says so in exactly one line, and nothing else says anything.
tool()
{
	local want=$1 got=0 lines

	shift
	timeout 60 "$SNAPPROT" "$@" > "$TMPDIR/out" 2> "$TMPDIR/err" || got=$?
	# shellcheck disable=SC2034 # for the tests that source this
	OUT=$(cat "$TMPDIR/out")
	ERR=$(cat "$TMPDIR/err")
	[ "$got" = "$want" ] ||
		fail "snapprot $*: exit code $got, expected $want; '$ERR'"
	lines=$(wc -l < "$TMPDIR/err")
	if [ "$want" = 0 ]; then
		[ "$lines" = 0 ] || fail "snapprot $*: said '$ERR'"
	else
		[ "$lines" = 1 ] || fail "snapprot $*: $lines lines: '$ERR'"
		[[ $ERR = "snapprot"*": "* ]] ||
			fail "snapprot $*: does not say who: '$ERR'"
	fi
}

# ---- waiting -----------------------------------------------------------------------

# Nothing sleeps and hopes: this is the pause between two looks. It reads from a
# pipe to which nobody writes, as starting a program takes longer in a guest.
exec {NOTHING}<> <(:)

pause()
{
	read -r -t "${1:-0.05}" -u "$NOTHING" || :
}

now_ms()
{
	local t=${EPOCHREALTIME/[.,]/}

	echo $((t / 1000))
}

# wait_for <seconds> <command> [argument]...: until it succeeds
wait_for()
{
	local seconds=$1 deadline

	shift
	deadline=$(($(now_ms) + seconds * SLOW * 1000))
	until "$@" > /dev/null 2>&1; do
		[ "$(now_ms)" -lt "$deadline" ] ||
			fail "not within $seconds s: $*"
		pause
	done
}

# wait_value <seconds> <wanted> <command> [argument]...: until it prints that
wait_value()
{
	local seconds=$1 want=$2 got deadline

	shift 2
	deadline=$(($(now_ms) + seconds * SLOW * 1000))
	while got=$("$@" 2>&1) || :; [ "$got" != "$want" ]; do
		[ "$(now_ms)" -lt "$deadline" ] ||
			fail "$*: '$got' after $seconds s, expected '$want'"
		pause
	done
}

# ended <pid>: has the background job ended?
ended()
{
	! kill -0 "$1" 2> /dev/null
}

# is_held <pid>: the job, or a child of it, waits for I/O, which is to be seen in
# its state. That is looked at several times, as any I/O waits for a moment.
is_held()
{
	local i

	for i in 1 2 3 4 5 6 7 8; do
		ps -o stat= --pid "$1" --ppid "$1" | grep -q '^D' || return 1
		[ "$i" = 8 ] || pause 0.03
	done
}

# ---- device-mapper ------------------------------------------------------------------

# dmsetup <command> ...: without starting the program, where that is possible
dmsetup()
{
	local rc=0

	dm "$@" || rc=$?
	[ "$rc" = 97 ] || return "$rc"
	command dmsetup "$@"
}

dm_names()
{
	[ -e /sys/class/misc/device-mapper ] || return 0
	dmsetup ls 2> /dev/null | grep -v '^No devices found' | cut -f 1 || :
}

# Remove every dm device, those above before those below, as an administrator
# would. Not with --force: that everything can be removed is part of each test.
# Those of the host are not ours.
dm_down()
{
	local name target words ranks=("" "" "" "") left before=

	grep -q snapprot.top= /proc/cmdline || return 0
	[ -e /sys/class/misc/device-mapper ] || return 0
	while read -r name _ _ target words; do
		name=${name%:}
		case $target in
		snapprot-snap) ranks[0]+=" $name" ;;
		snapprot) ranks[1]+=" $name" ;;
		snapprot-store) ranks[2]+=" $name" ;;
		esac
	done < <(dmsetup status --noflush 2> /dev/null)
	words=${ranks[*]}
	# shellcheck disable=SC2086 # a list of names
	[ -z "${words// /}" ] || dmsetup remove $words || return
	left=$(dm_names)
	while [ -n "$left" ] && [ "$left" != "$before" ]; do
		# One of them may hold another: as long as some go, go on. One by
		# one, as dmsetup does not go on behind one that stays.
		for name in $left; do
			dmsetup remove "$name" 2> /dev/null || :
		done
		before=$left
		left=$(dm_names)
	done
	[ -z "$left" ] || {
		echo "# cannot be removed:" "$left" >&2
		return 1
	}
}

# dm_kernel_name <name>: dm-0 and so on, which is what events call it
dm_kernel_name()
{
	dmsetup info -c --noheadings -o blkdevname "$1"
}

# dm_swap <name> <table>: another table, while I/O may be under way
dm_swap()
{
	dmsetup load "$1" --table "$2"
	dmsetup suspend --noflush --nolockfs "$1"
	dmsetup resume "$1"
}

# ---- layers that can be made to fail ----------------------------------------------------
#
# layer_new <name> <device> puts a linear device over it, /dev/mapper/<name>; the
# others turn it into something else and back, with I/O under way or not.

declare -A LAYER_DEV LAYER_LEN

# layer_new <name> <device> [<sectors>]
layer_new()
{
	LAYER_DEV[$1]=$2
	LAYER_LEN[$1]=${3:-$(sectors "$2")}
	dmsetup create "$1" \
		--table "0 ${LAYER_LEN[$1]} linear ${LAYER_DEV[$1]} 0"
}

layer_linear()
{
	dm_swap "$1" "0 ${LAYER_LEN[$1]} linear ${LAYER_DEV[$1]} 0"
}

# layer_resize <name> <sectors>: the device below must be large enough
layer_resize()
{
	LAYER_LEN[$1]=$2
	layer_linear "$1"
}

layer_error()
{
	dm_swap "$1" "0 ${LAYER_LEN[$1]} error"
}

# layer_error_range <name> <start> <sectors>: the rest works
layer_error_range()
{
	local end=$(($2 + $3)) table=

	[ "$2" = 0 ] || table="0 $2 linear ${LAYER_DEV[$1]} 0"$'\n'
	table+="$2 $3 error"
	[ "$end" = "${LAYER_LEN[$1]}" ] || table+=$'\n'"$end \
$((LAYER_LEN[$1] - end)) linear ${LAYER_DEV[$1]} $end"
	dm_swap "$1" "$table"
}

# layer_error_writes <name>: reads work
layer_error_writes()
{
	dm_swap "$1" "0 ${LAYER_LEN[$1]} flakey ${LAYER_DEV[$1]} 0 0 3600 1 error_writes"
}

# layer_drop_writes <name>: writes are said to have worked, and have not
layer_drop_writes()
{
	dm_swap "$1" "0 ${LAYER_LEN[$1]} flakey ${LAYER_DEV[$1]} 0 0 3600 1 drop_writes"
}

# layer_flakey <name> <up seconds> <down seconds> [<feature>]...
layer_flakey()
{
	local name=$1 up=$2 down=$3

	shift 3
	dm_swap "$name" "0 ${LAYER_LEN[$name]} flakey ${LAYER_DEV[$name]} 0 $up $down $# $*"
}

# layer_delay <name> <read ms> [<write ms> [<flush ms>]]. What is delayed is let
# go by the next change of the layer.
layer_delay()
{
	local read=$2 write=${3:-$2} dev=${LAYER_DEV[$1]}

	dm_swap "$1" "0 ${LAYER_LEN[$1]} delay $dev 0 $read $dev 0 $write $dev 0 ${4:-$write}"
}

# layer_hold <name>: I/O goes in and does not come out until layer_release
layer_hold()
{
	defer layer_release_again "$1"
	dmsetup suspend --noflush --nolockfs "$1"
}

layer_release()
{
	dmsetup resume "$1"
}

# Where the case has ended before it did, nothing could be removed otherwise.
layer_release_again()
{
	! dmsetup info "$1" > /dev/null 2>&1 || dmsetup resume "$1"
}

# loop_new <size>: prints a loop device over a sparse file in memory
loop_new()
{
	local file dev

	file=$(mktemp "$TMPDIR/loop.XXXXXX")
	truncate -s "$1" "$file"
	dev=$(losetup --find --show --direct-io=off "$file")
	echo "$dev"
}

loop_delete()
{
	losetup -d "$1"
}

# ---- volumes ---------------------------------------------------------------------------

# For the tests that source this.
# shellcheck disable=SC2034
ORIGIN_DM=/dev/mapper/origin
# shellcheck disable=SC2034
STORE_DM=/dev/mapper/store

# sp_format [options of snapprot format]: makes ORIGIN and STORE a volume
sp_format()
{
	local out args=()

	[ -z "$LABEL" ] || args+=(--label-dev "$LABEL")
	out=$("$SNAPPROT" format ${args[@]+"${args[@]}"} "$@" "$ORIGIN" \
		"$STORE") || fail "snapprot format: exit code $?"
	eval "$out"
}

# origin_table [<feature>]...: the table of the live volume, with LABEL's
origin_table()
{
	[ -z "$LABEL" ] || set -- label "$LABEL" "$@"
	echo "0 $ORIGIN_SECTORS snapprot $ORIGIN $VOLUME_UUID $# $*"
}

# store_table [<feature>]...
store_table()
{
	echo "0 $(sectors "$STORE") snapprot-store $STORE $# $*"
}

sp_load_origin()
{
	dmsetup create origin --table "$(origin_table "$@")"
}

sp_load_store()
{
	dmsetup create store --table "$(store_table "$@")"
}

# sp_reload <origin|store> [<feature>]...: a new table of the same kind
sp_reload()
{
	local name=$1

	shift
	dmsetup load "$name" --table "$("${name}_table" "$@")"
	dmsetup suspend "$name"
	dmsetup resume "$name"
}

# sp_up [<feature of the origin>]...: format, store, origin
sp_up()
{
	sp_format
	sp_load_store
	sp_load_origin "$@"
}

# view_table <id> [<sectors>]
view_table()
{
	echo "0 ${2:-$ORIGIN_SECTORS} snapprot-snap $VOLUME_UUID $1"
}

# sp_load_view <id> [<sectors>]: /dev/mapper/snap<id>
sp_load_view()
{
	dmsetup create "snap$1" --readonly --table "$(view_table "$@")"
}

sp_remove()
{
	dmsetup remove "$1"
}

# sp_msg <word>...: a message to the live volume
sp_msg()
{
	dmsetup message origin 0 "$@"
}

sp_create()
{
	sp_msg create_snap "$1"
}

sp_delete()
{
	sp_msg delete_snap "$1"
}

sp_list()
{
	sp_msg list_snaps
}

# snap_state <id>: valid, lost, or nothing
snap_state()
{
	sp_list | awk -v id="$1" '$1 == id { print $2 }'
}

# ---- status ----------------------------------------------------------------------------

# field <device> <number>: of its status line, from 1 after the target's name
field()
{
	local words

	read -r -a words <<< "$(dmsetup status "$1")"
	echo "${words[2 + $2]:-}"
}

# st <name>: a field of the live volume's status
st()
{
	local n

	case $1 in
	mode) n=1 ;;
	state) n=2 ;;
	fault) n=3 ;;
	errno) n=4 ;;
	valid) n=5 ;;
	lost) n=6 ;;
	used | total | space) n=7 ;;
	grace) n=8 ;;
	held) n=9 ;;
	label) n=10 ;;
	*) fail "no such field: $1" ;;
	esac
	n=$(field origin "$n")
	case $1 in
	used) n=${n%/*} ;;
	total) n=${n#*/} ;;
	esac
	echo "$n"
}

# store_st <name>: a field of the store's status
store_st()
{
	local n

	case $1 in
	uuid) n=1 ;;
	state) n=2 ;;
	used | total | space) n=3 ;;
	low) n=4 ;;
	protected) n=5 ;;
	*) fail "no such field: $1" ;;
	esac
	n=$(field store "$n")
	case $1 in
	used) n=${n%/*} ;;
	total) n=${n#*/} ;;
	esac
	echo "$n"
}

# view_st <id>: valid, lost or offline
view_st()
{
	field "snap$1" 2
}

# expect_st <name> <wanted>, wait_st <name> <wanted> [<seconds>]
expect_st()
{
	expect_eq "status $1" "$(st "$1")" "$2"
}

wait_st()
{
	wait_value "${3:-20}" "$2" st "$1"
}

# ---- data ------------------------------------------------------------------------------

# dev_sum <device> [<start> <sectors>]
dev_sum()
{
	blkpat ${2:+-s "$2" -l "$3"} sum "$1"
}

# expect_same <device> <device or file>
expect_same()
{
	blkpat cmp "$1" "$2" >&2 || fail "$1 and $2 differ"
}

# write_at <device> <sector> <sectors> <seed>: one pattern, O_DIRECT
write_at()
{
	blkpat -s "$2" -l "$3" fill "$1" "$4"
}

# verify_at <device> <sector> <sectors> <seed>
verify_at()
{
	blkpat -s "$2" -l "$3" verify "$1" "$4" >&2 ||
		fail "$1: not the pattern $4 at sector $2"
}

# read_at <device> <sector> <sectors>: only that it can be read
read_at()
{
	blkpat -s "$2" -l "$3" sum "$1" > /dev/null
}

# ---- kernel's log and events -----------------------------------------------------------------

# klog_mark: klog prints what has come since
klog_mark()
{
	KLOG_MARK="snapprot-test: mark $$.$RANDOM$RANDOM"
	echo "<6>$KLOG_MARK" > /dev/kmsg
}

klog()
{
	dmesg | awk -v mark="$KLOG_MARK" '
		seen { print }
		index($0, mark) { seen = 1 }'
}

# expect_klog <extended regular expression> [<how many lines>]
expect_klog()
{
	local n

	n=$(klog | grep -cE "$1") || :
	if [ $# -gt 1 ]; then
		[ "$n" = "$2" ] || fail "$n lines of the log match '$1', not $2"
	else
		[ "$n" -gt 0 ] || fail "the log has no line like '$1'"
	fi
}

# space_outs: how often writes had to wait for space until now. That a write is
# held says less, for each is while old data is being preserved.
space_outs()
{
	dmesg | grep -c 'snapprot: .*: no space left in the store' || :
}

# wait_space_out <space_outs before>
wait_space_out()
{
	wait_for 30 more_space_outs_than "$1"
}

more_space_outs_than()
{
	[ "$(space_outs)" -gt "$1" ]
}

# events_start: uevents of block devices go to EVENTS from now on
events_start()
{
	EVENTS=$TMPDIR/uevents
	: > "$EVENTS"
	uevents >> "$EVENTS" 3>&- &
	EVENTS_PID=$!
	defer events_stop "$EVENTS_PID"
	wait_for 10 grep -qx ready "$EVENTS"
}

events_stop()
{
	kill "$1" 2> /dev/null
	wait "$1" 2> /dev/null
	return 0
}

# events <extended regular expression>: how many there were
events()
{
	grep -cE "$1" "$EVENTS" || :
}

# wait_event <extended regular expression> [<seconds>]
wait_event()
{
	local deadline=$(($(now_ms) + ${2:-20} * SLOW * 1000))

	until grep -qE "$1" "$EVENTS"; do
		[ "$(now_ms)" -lt "$deadline" ] ||
			fail "no event like '$1', only: $(cat "$EVENTS")"
		pause
	done
}

# ---- the host ----------------------------------------------------------------------------------

# host_kill: the machine ends now, as if its power had failed. Needs "kill: yes".
# With "later" it returns, and the end comes while the test goes on.
host_kill()
{
	echo @kill >&3
	[ "${1:-}" != later ] || return 0
	while :; do
		pause 60
	done
}

# host_unplug <serial>, host_plug <serial>: origin, store, spare0 ... goes, or comes
# back, maybe under another name; returns when the kernel has noticed. Needs
# "hotplug: yes".
host_unplug()
{
	echo "@unplug $1" >&3
	wait_for 60 disk_is_gone "$1"
}

host_plug()
{
	echo "@plug $1" >&3
	wait_for 60 disk_of "$1"
}

# disk_of <serial>: its device. Used in a trap as well, where "return" alone would
# return what was before.
disk_of()
{
	local file

	for file in /sys/block/vd*/serial; do
		[ "$(cat "$file" 2> /dev/null)" = "$1" ] || continue
		file=${file%/serial}
		echo "/dev/${file##*/}"
		return 0
	done
	return 1
}

disk_is_gone()
{
	! disk_of "$1"
}

# keep <name> <value>: "kept <name>" prints it, in a later boot of the test as
# well
keep()
{
	mkdir -p /run/kept
	printf '%s\n' "$2" > "/run/kept/$1"
	echo "@keep $1 $2" >&3
}

kept()
{
	cat "/run/kept/$1"
}
