#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Everything at once, for RACE_SECONDS: many writers on the same blocks, readers of
# snapshots, and several times a second something that changes what they go through:
# snapshots taken and deleted, suspend, resume and reload in all their forms, tables
# swapped, the store paused, taken away, failing, another mode, faults cleared. SEED
# decides what comes next; what it meets there, the machine does.
#
# All along: a snapshot never changes, and what was frozen is what it shows; reads of
# it fail only while something is broken; none is lost that was in protection mode; what
# was written is read.
# suite: full
# kernels: 6.12 rt
# disks: 5M 96M
# cpus: 4
# timeout: 1500
# covers: promises: never wrong; protection mode loses nothing; nothing hangs

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

RACE_SECONDS=${RACE_SECONDS:-1200}
SEED=${SEED:-$(od -A n -t u4 -N 4 /dev/urandom | tr -d ' ')}
WRITERS=5
MAX_SNAPS=10
SLOTS="1 2 3"		# for views: /dev/mapper/view1 and so on

# What there is, and what may be so: SNAP[id] is "safe" until something has happened
# in normal mode that may cost it. DOUBT are those whose creation has failed.
declare -A SNAP=() DOUBT=() SLOT=() READER=() COUNT=()
MODE=normal
MODE_DOUBT=no		# a message about it has failed
NEXT_ID=1
EPOCH=0			# odd while something is broken on purpose

# ---- chance, and what is said about it ---------------------------------------------

# Sets R to a number below $1.
below()
{
	R=$((RANDOM % $1))
}

once_in()
{
	[ $((RANDOM % $1)) = 0 ]
}

# No process is started where none is needed: it takes a debug kernel long.
say()
{
	printf '%8d %s\n' $((${EPOCHREALTIME/[.,]/} / 1000 - START)) "$*" >> trail
}

count()
{
	COUNT[$1]=$((${COUNT[$1]:-0} + 1))
}

# try <command> ...: it may fail; whether it did is said
try()
{
	local rc=0

	"$@" > out 2>&1 || rc=$?
	say "$* -> $rc"
	[ "$rc" = 0 ] || cat out >> trail
	return "$rc"
}

# must <command> ...: it may not
must()
{
	try "$@" || fail "$*: $(< out)"
}

broken()
{
	[ $((EPOCH % 2)) = 1 ]
}

# may_fail <command> ...: while something is broken, and only then
may_fail()
{
	try "$@" && return
	broken || fail "$*: $(< out)"
	return 1
}

# What readers look at to know which errors are to be expected.
set_epoch()
{
	EPOCH=$1
	# One write of one line, which is read as a whole.
	echo "$1" 1<> epoch
}

break_begin()
{
	broken || set_epoch $((EPOCH + 1))
}

break_end()
{
	! broken || set_epoch $((EPOCH + 1))
}

# All that there is may be lost from here on.
risk()
{
	local id

	[ "$MODE" = normal ] || return 0
	for id in "${!SNAP[@]}"; do
		SNAP[$id]=risk
	done
}

# ---- snapshots and views --------------------------------------------------------------

# Sets ID to one of the snapshots, if there is any.
any_snap()
{
	local ids=("${!SNAP[@]}")

	[ ${#ids[@]} -gt 0 ] || return 1
	below ${#ids[@]}
	ID=${ids[R]}
}

is_viewed()
{
	local slot

	for slot in $SLOTS; do
		[ "${SLOT[$slot]:-}" != "$1" ] || return 0
	done
	return 1
}

# complain <words>: from a reader
complain()
{
	echo "$*" >> complaints
	say "COMPLAINT: $*"
}

# reader <slot> <id>: the first time keeps what it reads, if nobody knows what it
# should be; that of another slot may be doing the same
reader()
{
	local dev=/dev/mapper/view$1 ref=ref.$2 new=ref.$2.new$1 rc before now

	trap - ERR EXIT
	set +e
	while [ ! -e "stop.$1" ]; do
		read -r before < epoch
		if [ -e "$ref" ]; then
			blkpat cmp "$dev" "$ref" > "said.$1" 2>&1
			rc=$?
		else
			blkpat copy "$dev" "$new" > "said.$1" 2>&1 &&
				mv "$new" "$ref"
			rc=$?
			[ "$rc" != 0 ] || hammer check "$ref" > "said.$1" ||
				rc=3
		fi
		read -r now < epoch
		case $rc in
		0)
			echo >> reads
			;;
		1)
			[ "$before" != "$now" ] || [ $((now % 2)) = 1 ] ||
				complain "snapshot $2: $(< "said.$1")"
			# Not to do nothing but fail.
			pause 0.1
			;;
		*)
			complain "snapshot $2 is wrong: $(< "said.$1")"
			return
			;;
		esac
	done
}

view_open()
{
	may_fail dmsetup create "view$1" --readonly \
		--table "$(view_table "$2")" || return 0
	count view
	SLOT[$1]=$2
	rm -f "stop.$1"
	reader "$1" "$2" 3>&- &
	READER[$1]=$!
}

view_close()
{
	[ -n "${SLOT[$1]:-}" ] || return 0
	: > "stop.$1"
	wait "${READER[$1]}" || fail "a reader has failed: $?"
	must dmsetup remove "view$1"
	unset "SLOT[$1]"
}

forget()
{
	unset "SNAP[$1]" "DOUBT[$1]"
	rm -f "ref.$1" "ref.$1.new"*
}

# Compare what there is with what there should be; lost ones are struck off. Only with
# nothing broken.
reconcile()
{
	local id state listed=" " slot

	sp_list > list || fail "list_snaps fails"
	while read -r id state _; do
		[ -n "$id" ] || continue
		listed+="$id "
		if [ -n "${DOUBT[$id]:-}" ]; then
			must sp_delete "$id"
			unset "DOUBT[$id]"
			continue
		fi
		[ -n "${SNAP[$id]:-}" ] || fail "snapshot $id: unknown"
		[ "$state" = lost ] || continue
		[ "${SNAP[$id]}" = risk ] ||
			fail "snapshot $id is lost, and must not be"
		count lost
		for slot in $SLOTS; do
			[ "${SLOT[$slot]:-}" != "$id" ] || view_close "$slot"
		done
		must sp_delete "$id"
		forget "$id"
	done < list
	for id in "${!SNAP[@]}"; do
		[[ $listed = *" $id "* ]] || fail "snapshot $id is gone"
		SNAP[$id]=safe
	done
	DOUBT=()
}

# ---- what happens --------------------------------------------------------------------------

do_create()
{
	local id=$NEXT_ID frozen=no

	[ ${#SNAP[@]} -lt "$MAX_SNAPS" ] || return 0
	NEXT_ID=$((id + 1))
	if once_in 2 && try dmsetup suspend origin; then
		frozen=yes
		# Held writes are not on the origin, and not in the snapshot.
		blkpat -l "$ORIGIN_SECTORS" copy "$ORIGIN_DISK" "ref.$id"
	fi
	if may_fail sp_create "$id"; then
		SNAP[$id]=safe
		! broken || risk
		count create
	else
		rm -f "ref.$id"
		DOUBT[$id]=yes
	fi
	[ "$frozen" = no ] || resume origin
}

do_delete()
{
	any_snap && ! is_viewed "$ID" || return 0
	if may_fail sp_delete "$ID"; then
		forget "$ID"
		count delete
	else
		# Its deletion may be in the store.
		DOUBT[$ID]=yes
		unset "SNAP[$ID]"
	fi
}

do_view()
{
	local slot

	below 3
	slot=$((R + 1))
	view_close "$slot"
	! any_snap || view_open "$slot" "$ID"
}

# Sets FLAGS to one of the ways to suspend.
any_flags()
{
	FLAGS=()
	! once_in 2 || FLAGS+=(--noflush)
	! once_in 2 || FLAGS+=(--nolockfs)
}

# resume <device>: where that cannot be, what is broken is repaired, but not the store,
# of which readers wait only while it is suspended
resume()
{
	may_fail dmsetup resume "$1" && return
	if [ "$1" = store ]; then
		must sp_remove store
	else
		must layer_linear slow
		must layer_linear olow
		must dmsetup resume "$1"
	fi
}

# cycle <device> [<table>]: suspended, resumed, with another table if there is one
cycle()
{
	any_flags
	[ -z "${2:-}" ] || may_fail dmsetup load "$1" --table "$2" || return 0
	must dmsetup suspend ${FLAGS[@]+"${FLAGS[@]}"} "$1"
	! once_in 3 || pause 0.1
	resume "$1"
	count "cycle-$1"
}

any_origin_table()
{
	local words=()

	! once_in 3 || words+=(queue_on_fault)
	! once_in 3 || words+=(grace $((1 + RANDOM % 300)))
	! once_in 4 || words+=(ignore_discard)
	origin_table ${words[@]+"${words[@]}"}
}

any_store_table()
{
	if once_in 2; then
		store_table cache $((256 + RANDOM % 1024))
	else
		store_table
	fi
}

do_origin()
{
	if once_in 2; then
		cycle origin
	else
		cycle origin "$(any_origin_table)"
	fi
}

do_store()
{
	[ -n "$(dmsetup table store 2> /dev/null)" ] || return 0
	if once_in 2; then
		cycle store
	else
		cycle store "$(any_store_table)"
	fi
}

do_view_cycle()
{
	below 3
	[ -z "${SLOT[$((R + 1))]:-}" ] || cycle "view$((R + 1))"
}

# Loaded, and then not wanted.
do_inactive()
{
	must dmsetup load origin --table "$(any_origin_table)"
	pause 0.1
	must dmsetup clear origin
	count inactive
}

do_mode()
{
	if [ "$MODE" = normal ]; then
		may_fail sp_msg protect || MODE_DOUBT=yes
	elif once_in 3; then
		# Nothing is lost by it, unless something is broken.
		! broken || { MODE=normal; risk; }
		may_fail sp_msg normal drop_snapshots || MODE_DOUBT=yes
	else
		may_fail sp_msg normal || MODE_DOUBT=yes
	fi
	MODE=$(st mode)
	! broken || risk
	count mode
}

do_clear()
{
	may_fail sp_msg clear_fault || :
	count clear
}

do_set()
{
	must sp_msg set queue_on_fault $((RANDOM % 2))
}

do_look()
{
	must dmsetup status
	must dmsetup table origin
	may_fail sp_list || :
	count look
}

# The volume is let go, and comes back to the same store.
do_swap()
{
	break_begin
	must dm_swap origin "0 $ORIGIN_SECTORS error"
	pause 0.1
	must dm_swap origin "$(any_origin_table)"
	heal
	count swap
}

do_break()
{
	local len=${LAYER_LEN[slow]} what=memory

	! once_in 2 || what=internal
	break_begin
	risk
	below 9
	count "break-$R"
	case $R in
	0) must layer_error slow ;;
	1) must layer_error_writes slow ;;
	2) must layer_error_range slow $((RANDOM % len)) 64 ;;
	3) must layer_flakey slow 0 1 ;;
	4) must layer_error_range olow $((RANDOM % 4096)) 64 ;;
	5) must layer_error_writes olow ;;
	6 | 7) must sp_remove store ;;
	8) must sp_msg debug_fault "$what" ;;
	esac
}

# Hung for a moment, which is no fault.
do_hang()
{
	local layer=olow

	! once_in 2 || layer=slow
	must dmsetup suspend --noflush --nolockfs "$layer"
	pause 0.2
	must dmsetup resume "$layer"
	count hang
}

is_active()
{
	[ "$(st state)" = active ] && [ "$(st fault)" = - ]
}

# reopen_store: whatever has become of it
reopen_store()
{
	if dmsetup table store > /dev/null 2>&1; then
		must sp_remove store
	fi
	must sp_load_store
}

# Everything works again: the volume is made to notice.
heal()
{
	local i

	must layer_linear slow
	must layer_linear olow
	dmsetup table store > /dev/null 2>&1 || must sp_load_store
	for i in {1..10}; do
		! is_active || break
		# A fault of normal mode stays to be seen until then.
		try sp_msg clear_fault || reopen_store
		[ "$(st state)" != nostore ] || reopen_store
	done
	wait_for 30 is_active
	# The label and the store may have learnt what failed all the same.
	[ "$MODE_DOUBT" = yes ] || expect_eq "mode" "$(st mode)" "$MODE"
	MODE=$(st mode)
	MODE_DOUBT=no
	reconcile
	break_end
}

# A few more things while it is broken.
do_fault()
{
	local n

	do_break
	below 6
	for ((n = R; n > 0; n--)); do
		pause 0.1
		step "${BROKEN[@]}"
	done
	heal
}

# Of what may happen, each as often as it is here.
USUAL=(create create create create delete delete delete view view origin origin store
	view_cycle inactive mode clear set look swap fault fault hang)
BROKEN=(create delete view origin origin store view_cycle mode clear clear set look)

# step <what may happen>...
step()
{
	local what=("$@")

	below ${#what[@]}
	say "${what[R]} (mode $MODE, epoch $EPOCH)"
	"do_${what[R]}"
	[ ! -e complaints ] || fail "$(< complaints)"
	kill -0 "$HAMMER" 2> /dev/null || fail "the writers have ended: $(< hammered)"
}

report_trail()
{
	[ "${RACED:-no}" = yes ] || sed 's/^/# /' trail | tail -n 60 >&2
}

# Whatever happened, let the writers and readers end.
race_end()
{
	local slot

	for slot in $SLOTS; do
		: > "stop.$slot"
	done
	layer_linear slow > /dev/null 2>&1
	layer_linear olow > /dev/null 2>&1
	dmsetup resume origin > /dev/null 2>&1
	dmsetup resume store > /dev/null 2>&1
	[ "${RACED:-no}" = yes ] ||
		sp_msg normal drop_snapshots > /dev/null 2>&1
	kill -TERM "$HAMMER" 2> /dev/null
	wait
	return 0
}

case_race()
{
	local end slot id key

	START=$(now_ms)
	RANDOM=$SEED
	echo "# SEED=$SEED RACE_SECONDS=$RACE_SECONDS" >&2
	: > trail
	: > reads
	echo 0 > epoch
	layer_new olow "$ORIGIN_DISK"
	layer_new slow "$STORE_DISK"
	ORIGIN=/dev/mapper/olow
	STORE=/dev/mapper/slow
	sp_up
	defer report_trail
	defer race_end
	# Not so that nothing else gets a turn.
	nice -n 10 hammer -t "$WRITERS" -s "$SEED" "$ORIGIN_DM" > hammered 2>&1 3>&- &
	HAMMER=$!
	end=$(($(now_ms) + RACE_SECONDS * 1000))
	while [ $((${EPOCHREALTIME/[.,]/} / 1000)) -lt "$end" ]; do
		step "${USUAL[@]}"
		pause 0.1
	done

	for slot in $SLOTS; do
		view_close "$slot"
	done
	kill -TERM "$HAMMER"
	wait "$HAMMER" || fail "the writers: $(< hammered)"
	# Those that nobody has looked at yet as well.
	reconcile
	for id in "${!SNAP[@]}"; do
		sp_load_view "$id"
		[ ! -e "ref.$id" ] ||
			expect_same "/dev/mapper/snap$id" "ref.$id"
		hammer check "/dev/mapper/snap$id" >&2
		sp_remove "snap$id"
	done
	sp_remove origin
	sp_remove store
	"$SNAPPROT" check "$STORE" > out 2>&1 || fail "check: $(< out)"
	RACED=yes
	{
		cat hammered
		echo "# $(wc -l < reads) reads of whole snapshots"
		for key in "${!COUNT[@]}"; do
			echo "# ${COUNT[$key]} $key"
		done | sort -k 3
	} >&2
}

run_cases case_race
