# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# shellcheck disable=SC2034 # for common.sh: ORIGIN, STORE and what a format prints
#
# A volume whose every write is recorded. Sourced after common.sh by tests that say
# "# log-writes: yes".
#
# Origin and store lie on one disk, so that the log knows the order between them.
# The first 1 MiB of it is for marks: blocks of text, which tell the reader of the
# log what had been asked for by then, and what had been acknowledged.
#
#	begin NAME ORIGIN SECTORS STORE SECTORS		where they are; from here on
#	ask WORD [ARG]		about to ask for something
#	ack WORD [ARG]		it has been acknowledged
#	end
#
# WORD is create, delete (with a snapshot's number), protect, normal, drop (the
# snapshots may get lost), grow (with the store's sectors), arrive, sync.

MARKS_SECTORS=2048
LOGGED=$ORIGIN_DISK

mark()
{
	blkpat mark "$LOGGED" "$*"
}

# asked <word> [<arg>] -- <command>...: between its two marks
asked()
{
	local words=()

	while [ "$1" != -- ]; do
		words+=("$1")
		shift
	done
	shift
	mark ask "${words[@]}"
	"$@"
	mark ack "${words[@]}"
}

# logged_place <sectors of the origin> <sectors of the store>: ORIGIN and STORE
logged_place()
{
	ORIGIN_PART=$1
	STORE_PART=$2
	dmsetup create opart --table "0 $1 linear $LOGGED $MARKS_SECTORS"
	dmsetup create spart --table \
		"0 $2 linear $LOGGED $((MARKS_SECTORS + ORIGIN_PART))"
	ORIGIN=/dev/mapper/opart
	STORE=/dev/mapper/spart
}

# logged_begin <name>: what is there now is the beginning of all that is recorded
logged_begin()
{
	sync "$ORIGIN"
	mark begin "$1" $MARKS_SECTORS "$ORIGIN_PART" \
		$((MARKS_SECTORS + ORIGIN_PART)) "$STORE_PART"
}

# logged_up <name> <sectors of the origin> <of the store> [<feature>]...: a volume
# with its first contents
logged_up()
{
	local name=$1

	logged_place "$2" "$3"
	shift 3
	sp_format
	logged_begin "$name"
	[ "${1:-}" != protect ] || mark ask protect
	asked arrive -- live_up "$@"
	[ "${1:-}" != protect ] || mark ack protect
	blkpat fill "$ORIGIN_DM" 1
}

take()
{
	asked create "$1" -- sp_create "$1"
}

drop()
{
	asked delete "$1" -- sp_delete "$1"
}

# change <seed> <count> <largest> [<option of blkpat>]...: writes, and without the
# option -u a flush. CRASH_SCALE, of the environment, times as many.
change()
{
	local seed=$1 count=$(($2 * ${CRASH_SCALE:-1})) max=$3

	shift 3
	blkpat "$@" write "$ORIGIN_DM" "$seed" "$count" "$max"
}

# The live volume's own flush has to reach the disk.
flush_live()
{
	asked sync -- sync "$ORIGIN_DM"
}

# checkpoint: suspending the store makes one
checkpoint()
{
	dmsetup suspend store
	dmsetup resume store
}

live_up()
{
	sp_load_store
	sp_load_origin "$@"
	expect_st state active
}

live_down()
{
	sp_remove origin
	sp_remove store
}

logged_end()
{
	live_down
	mark end
	sync "$LOGGED"
}

# ---- states that explore has written out -------------------------------------------
#
# state_next <file.want>: IMAGE, a file in memory, becomes that state; STATE_* say what
# it is. They have to be taken in order, as each is told by what has changed.

IMAGE=$TMPDIR/image

state_next()
{
	local fresh

	{
		read -r STATE_NAME fresh ORIGIN_PART STORE_PART ORIGIN_SECTORS \
			VOLUME_UUID STATE_MODE
		STATE_SNAPS=$(cat)
	} < "$1"
	if [ "$fresh" = new ]; then
		rm -f "$IMAGE"
	fi
	truncate -s $(((ORIGIN_PART + STORE_PART) * 512)) "$IMAGE"
	blkpat patch "$IMAGE" "${1%.want}.blocks"
}

# state_put: write IMAGE to where logged_place puts origin and store
state_put()
{
	dmsetup create state --table \
		"0 $((ORIGIN_PART + STORE_PART)) linear $LOGGED $MARKS_SECTORS"
	blkpat copy "$IMAGE" /dev/mapper/state
	sp_remove state
	logged_place "$ORIGIN_PART" "$STORE_PART"
}

# state_up <number>: store first, or origin first
state_up()
{
	if [ $(($1 % 2)) = 0 ]; then
		live_up
	else
		sp_load_origin
		sp_load_store
		wait_st state active
	fi
}

# state_check: the module sees the snapshots that are to be seen, and as they were
state_check()
{
	local id sum got

	expect_eq "$STATE_NAME: mode" "$(st mode)" "$STATE_MODE"
	expect_eq "$STATE_NAME: snapshots" \
		"$(sp_list | awk 'NF { print $1, $2 }')" \
		"$(awk 'NF { print $1, $2 == "lost" ? "lost" : "valid" }' \
			<<< "$STATE_SNAPS")"
	while read -r id sum; do
		case $sum in
		'' | lost) continue ;;
		esac
		sp_load_view "$id"
		got=$(dev_sum "/dev/mapper/snap$id") ||
			fail "$STATE_NAME: snapshot $id cannot be read"
		sp_remove "snap$id"
		expect_eq "$STATE_NAME: snapshot $id" "$got" "$sum"
	done <<< "$STATE_SNAPS"
}

# Is there room for some writes more, and for what a checkpoint may need?
state_has_room()
{
	[ $(($(st used) * 10)) -lt $(($(st total) * 7)) ]
}
