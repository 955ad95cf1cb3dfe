# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# shellcheck disable=SC2034 # variables of common.sh and of the tests
#
# Each of the thirteen faults, provoked and repaired. Sourced after common.sh and
# images.sh.
#
# A fault is provoked by provoke_<name> on a volume that fault_volume has made,
# and can be repaired by repair_<name>, which only does something about its cause.
# Some faults have several names here, as they have several causes; fault_of says
# which one is to be seen. "memory" and "internal" have no honest cause, so the
# debug message stands in for it; all others are made to happen by what lies
# under the store or the origin.

FAULT_NAMES="store_missing online_io metadata_corruption index_corruption memory \
cow_read cow_write store_full grow_too_slow grow_failed store_io store_hangs \
store_removed external_writer internal"

LAYER_O=/dev/mapper/olow
LAYER_S=/dev/mapper/slow
O_SLICE=10240		# sectors: 4 MiB of volume and 1 MiB for the label
S_SLICE=16384
S_SMALL=8192		# of a store that is to become full
# The part of the volume that nothing writes to after the last snapshot, so that
# the next write there has to be preserved.
COLD=4096

fault_of()
{
	case $1 in
	index_corruption) echo metadata_corruption ;;
	store_hangs) echo store_io ;;
	*) echo "$1" ;;
	esac
}

# Does it leave a store that works?
store_survives()
{
	case $1 in
	cow_read | store_full | grow_too_slow | grow_failed) return 0 ;;
	esac
	return 1
}

is_space_fault()
{
	case $1 in
	store_full | grow_too_slow | grow_failed) return 0 ;;
	esac
	return 1
}

# Was it seen without the store, so that nobody has counted the snapshots?
is_before_arrival()
{
	case $1 in
	store_missing | online_io | metadata_corruption) return 0 ;;
	esac
	return 1
}

# fault_layers <n> <name>: ORIGIN and STORE are layers over the n-th slice of the
# disks, each case having its own
fault_layers()
{
	local small=$S_SLICE

	! is_space_fault "$2" || small=$S_SMALL
	dmsetup create obase \
		--table "0 $O_SLICE linear $ORIGIN_DISK $(($1 * O_SLICE))"
	dmsetup create sbase \
		--table "0 $S_SLICE linear $STORE_DISK $(($1 * S_SLICE))"
	layer_new olow /dev/mapper/obase
	layer_new slow /dev/mapper/sbase "$small"
	ORIGIN=$LAYER_O
	STORE=$LAYER_S
}

origin_features()
{
	case $1 in
	store_full) echo grow_timeout 0 ;;
	grow_too_slow) echo grow_timeout 1 ;;
	esac
}

store_features()
{
	case $1 in
	store_hangs) echo io_timeout 1 ;;
	esac
}

# fault_volume <name> [<feature>]...: two snapshots, both with preserved blocks
fault_volume()
{
	local name=$1

	shift
	sp_format
	# shellcheck disable=SC2046 # words
	sp_load_store $(store_features "$name")
	# shellcheck disable=SC2046
	sp_load_origin "$@" $(origin_features "$name")
	images_begin 3
	images_take 1
	images_hot_writes 11
	images_take 2
	images_hot_writes 12
	# A checkpoint, so that there is metadata of every kind.
	# shellcheck disable=SC2046
	sp_reload store $(store_features "$name")
}

# Random writes to what is not cold.
images_hot_writes()
{
	blkpat -l $COLD write "$ORIGIN_DM" "$1" 20 64K "$SHADOW"
}

# The write that has to be preserved; it is done or fails as a whole.
cold_write()
{
	write_at "$ORIGIN_DM" $((COLD + 1024)) 64 77
}

# In protection mode the writes that provoke a fault fail, in normal mode they are
# done after all. WRITES says which is to be: fail or pass.
provoking_write()
{
	if [ "$WRITES" = fail ]; then
		expect_error "Input/output error" cold_write
	else
		cold_write
		write_at "$SHADOW" $((COLD + 1024)) 64 77
	fi
}

# Writes until there is no space.
filling_writes()
{
	if [ "$WRITES" = fail ]; then
		expect_error "Input/output error" blkpat -a 64K \
			write "$ORIGIN_DM" 5 200 64K "$SHADOW"
	else
		blkpat -a 64K write "$ORIGIN_DM" 5 200 64K "$SHADOW"
	fi
}

# ---- what is on the store's device ------------------------------------------------

# super_field <offset> <bytes>: of the newer superblock
super_field()
{
	local place=0

	[ "$(word_at 16 0)" -ge "$(word_at 16 64)" ] || place=64
	word_at "$1" "$place"
}

# word_at <offset> <block>
word_at()
{
	od -A n -t u8 -j $(($2 * 4096 + $1)) -N 8 /dev/mapper/sbase | tr -d ' '
}

# damage <block>: something else is there from now on; undo_damage undoes it
damage()
{
	blkpat -s $(($1 * 8)) -l 8 copy /dev/mapper/sbase "$TMPDIR/damaged"
	write_at /dev/mapper/sbase $(($1 * 8)) 8 666
	echo "$1" >> "$TMPDIR/damage"
}

undo_damage()
{
	local block

	while read -r block; do
		dd if="$TMPDIR/damaged" of=/dev/mapper/sbase bs=4096 count=1 \
			skip="$block" seek="$block" oflag=direct \
			status=none
	done < "$TMPDIR/damage"
	rm "$TMPDIR/damage"
}

# ---- the faults --------------------------------------------------------------------

volume_away()
{
	sp_remove origin
	sp_remove store
}

provoke_store_missing()
{
	volume_away
	sp_load_origin grace 1
	wait_st fault store_missing
}

repair_store_missing()
{
	:
}

# The superblocks can be read, and nothing else.
provoke_online_io()
{
	local dev=/dev/mapper/sbase len=$S_SLICE

	volume_away
	dm_swap slow "0 8 linear $dev 0
8 504 error
512 8 linear $dev 512
520 $((len - 520)) error"
	sp_load_origin
	sp_load_store
}

repair_online_io()
{
	layer_linear slow
}

# The directory of the checkpoint, which is read as the store arrives.
provoke_metadata_corruption()
{
	volume_away
	damage "$(super_field 184)"
	# The other order than that of online_io.
	sp_load_store
	sp_load_origin
}

repair_metadata_corruption()
{
	undo_damage
}

# The root of the index, which is read when it is needed.
provoke_index_corruption()
{
	local root

	volume_away
	root=$(super_field 152)
	[ "$root" != 0 ] || fail "the store has no index"
	images_up
	expect_st state active
	damage "$root"
	provoking_write
}

repair_index_corruption()
{
	undo_damage
}

provoke_memory()
{
	sp_msg debug_fault memory
}

repair_memory()
{
	:
}

provoke_cow_read()
{
	layer_error_range olow $((COLD + 1024)) 8
	# In normal mode it reaches the origin, which is broken.
	expect_error "Input/output error" cold_write
}

repair_cow_read()
{
	layer_linear olow
}

provoke_cow_write()
{
	layer_error_writes slow
	provoking_write
}

repair_cow_write()
{
	layer_linear slow
}

provoke_store_full()
{
	filling_writes
}

repair_store_full()
{
	layer_resize slow $S_SLICE
	sp_reload store
}

provoke_grow_too_slow()
{
	local start

	start=$(now_ms)
	filling_writes
	[ $(($(now_ms) - start)) -ge 900 ] || fail "was not waited for"
}

repair_grow_too_slow()
{
	repair_store_full
}

provoke_grow_failed()
{
	local pid outs rc=0

	outs=$(space_outs)
	# What is refused is no error of the background job here.
	(filling_writes) &
	pid=$!
	wait_space_out "$outs"
	expect_st fault -
	expect_st state active
	sp_msg grow_failed
	wait "$pid" || rc=$?
	expect_eq "exit code of the writer" "$rc" 0
}

repair_grow_failed()
{
	repair_store_full
}

# Reading what a snapshot needs.
provoke_store_io()
{
	sp_load_view 1
	layer_error slow
	expect_error "Input/output error" dev_sum /dev/mapper/snap1
	sp_remove snap1
}

repair_store_io()
{
	layer_linear slow
}

# Neither done nor failed: the device does not answer.
provoke_store_hangs()
{
	local start

	layer_hold slow
	start=$(now_ms)
	provoking_write
	[ $(($(now_ms) - start)) -ge 900 ] || fail "was not waited for"
}

repair_store_hangs()
{
	layer_release slow
}

provoke_store_removed()
{
	sp_remove store
}

repair_store_removed()
{
	:
}

# Seen when the superblock is to be written, here after a snapshot was deleted.
provoke_external_writer()
{
	sp_create 7
	damage 0
	damage 64
	sp_delete 7
	wait_st fault external_writer
}

repair_external_writer()
{
	undo_damage
}

provoke_internal()
{
	sp_msg debug_fault internal
}

repair_internal()
{
	:
}

# ---- normal mode: the snapshots are lost --------------------------------------------

expect_lost_by()
{
	local fault state=nostore

	fault=$(fault_of "$1")
	! store_survives "$1" || state=active
	wait_st fault "$fault"
	expect_st state "$state"
	expect_st mode normal
	expect_st valid 0
	expect_st held 0
	is_before_arrival "$1" || expect_st lost 2
	wait_event "SNAPPROT_LOST"
	expect_eq "events" "$(events "SNAPPROT_LOST.*FAULT=$fault( |$)")" 1
	expect_eq "blocks" "$(events "SNAPPROT_BLOCKED")" 0
	expect_klog "fault $fault " 1
	expect_klog "snapshots .* are lost, because $fault" 1
}

# The origin's I/O goes on, where the fault has not been provoked with a write
# too.
expect_goes_on()
{
	images_write_at $((COLD + 2048)) 64 80
	images_hot_writes 31
	expect_same "$ORIGIN_DM" "$SHADOW"
}

# lose_by <name> <slice>: the fault, with its cause still there
lose_by()
{
	fault_layers "$2" "$1"
	fault_volume "$1"
	klog_mark
	events_start
	"provoke_$1"
	expect_lost_by "$1"
	if [ "$1" = cow_read ]; then
		# The write has failed, and done a part of what it was to do.
		repair_cow_read
		provoking_write
	fi
	expect_goes_on
}

# With everything active again: they are lost, can be struck off, and new ones
# are right.
expect_still_lost()
{
	expect_st state active
	images_check_lost
	images_write_at $((COLD + 2048)) 64 81
	images_drop 1 2
	images_take 5
	images_hot_writes 32
	images_write_at $((COLD + 2048)) 64 82
	images_check
}
