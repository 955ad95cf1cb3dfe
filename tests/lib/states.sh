# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Ways into each of the four states of a live volume, for tests that have a case
# for each. Sourced after common.sh. All of them leave a volume with the pattern
# 1 on its first MiB, and where the state allows for one, snapshot 1 of that.

# shellcheck disable=SC2034 # for the tests that source this
STATES="active waiting nostore blocked"

# to_active [<feature of the origin>]...
to_active()
{
	sp_up "$@"
	write_at "$ORIGIN_DM" 0 2048 1
	sp_create 1
	expect_st state active
}

# store_away: origin and store are taken down, and what the label says is that
# there is a snapshot
store_away()
{
	sp_remove origin
	sp_remove store
}

# to_waiting [<feature>]...
to_waiting()
{
	to_active
	store_away
	sp_load_origin "$@"
	expect_st state waiting
}

# to_nostore [<feature>]...
to_nostore()
{
	sp_format
	sp_load_origin "$@"
	write_at "$ORIGIN_DM" 0 2048 1
	expect_st state nostore
}

# to_blocked [<feature>]...: by the removal of the store
to_blocked()
{
	to_active protect "$@"
	sp_remove store
	wait_st state blocked
	expect_st fault store_removed
}

# hold_write <sector> <seed>: a write of 8 sectors that is held; WRITER is it
hold_write()
{
	local before

	before=$(st held)
	write_at "$ORIGIN_DM" "$1" 8 "$2" 2> /dev/null &
	WRITER=$!
	wait_st held $((before + 1))
}

# reap <pid> <ok|failed>: the job ends within seconds, and how
reap()
{
	wait_for 20 ended "$1"
	if wait "$1"; then
		expect_eq "held write" ok "$2"
	else
		expect_eq "held write" failed "$2"
	fi
}

# expect_image <id>: the snapshot still has the pattern 1 on its first MiB
expect_image()
{
	sp_load_view "$1"
	verify_at "/dev/mapper/snap$1" 0 2048 1
	sp_remove "snap$1"
}

# label_save, label_restore: the label on the origin, as it was then
label_save()
{
	dd if="$ORIGIN" of=label bs=512 skip="$ORIGIN_SECTORS" count=16 \
		status=none
}

label_restore()
{
	dd if=label of="$ORIGIN" bs=512 seek="$ORIGIN_SECTORS" count=16 \
		conv=notrunc oflag=direct status=none
}

# expect_blank <device>
expect_blank()
{
	cmp -n $(($(sectors "$1") * 512)) "$1" /dev/zero ||
		fail "$1 is not blank any more"
}

# quickly <command> [argument]...: a hang is a failure, not a time-out of the
# whole test
quickly()
{
	local rc=0

	timeout -s KILL 20 "$@" || rc=$?
	[ "$rc" != 137 ] || fail "did not end within 20 s: $*"
	return "$rc"
}

# low_store [<sectors>]: STORE becomes the layer "low", which can be made to fail
low_store()
{
	layer_new low "$STORE_DISK" "$@"
	# shellcheck disable=SC2034 # of common.sh
	STORE=/dev/mapper/low
}

# small_store: one that is soon full
small_store()
{
	low_store 16384
}

# run_out_of_space: overwrites the origin until a write is held for want of
# space in the store; WRITER is the job
run_out_of_space()
{
	local outs

	outs=$(space_outs)
	blkpat -s 2048 -l 40960 fill "$ORIGIN_DM" 9 2> /dev/null &
	WRITER=$!
	wait_space_out "$outs"
}
