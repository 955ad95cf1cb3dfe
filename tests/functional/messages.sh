#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Each message to the live volume, and each error that it may give.
# disks: 64M 64M 64M 64M
# timeout: 400

# shellcheck disable=SC2119 # functions whose arguments are optional
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/states.sh
. "$TOP/tests/lib/states.sh"

EINVAL="Invalid argument"
EIO="Input/output error"
ENODEV="No such device"
EBUSY="Device or resource busy"
ENOSPC="No space left on device"

# ---- create_snap ----------------------------------------------------------------

# covers: messages: create_snap <id>, live: crash consistent, as of now
case_create_live()
{
	local before now

	to_active
	before=$(date +%s)
	write_at "$ORIGIN_DM" 0 2048 2
	sp_create 2
	write_at "$ORIGIN_DM" 0 2048 3
	sp_create 4294967295
	write_at "$ORIGIN_DM" 0 2048 4
	now=$(date +%s)
	expect_st valid 3
	expect_image 1
	sp_load_view 2
	verify_at /dev/mapper/snap2 0 2048 2
	sp_load_view 4294967295
	verify_at /dev/mapper/snap4294967295 0 2048 3
	set -- "$(sp_list | awk '$1 == 2 { print $3 }')"
	[[ $1 -ge $before && $1 -le $now ]] ||
		fail "snapshot 2 is of $1, not from $before to $now"
}

# covers: messages: create_snap, suspended: what the suspend froze, file-system consistent
case_create_suspended()
{
	local dir=$TMPDIR/mnt

	sp_up
	mkfs.ext4 -q "$ORIGIN_DM"
	mkdir -p "$dir"
	mount "$ORIGIN_DM" "$dir"
	defer sh -c '! mountpoint -q "$0" || umount "$0"' "$dir"
	seq 100000 > "$dir/file"
	dmsetup suspend origin
	sp_create 1
	sp_create 2
	dmsetup resume origin
	seq 5 > "$dir/file"
	sync -f "$dir"
	umount "$dir"
	sp_load_view 1
	# A journal to be replayed would be seen as an error here.
	expect_exit 0 e2fsck -fn /dev/mapper/snap1
	dumpe2fs -h /dev/mapper/snap1 2> /dev/null |
		grep -q needs_recovery && fail "the journal is not empty"
	mount -o ro,noload /dev/mapper/snap1 "$dir"
	seq 100000 | cmp - "$dir/file"
	umount "$dir"
	sp_load_view 2
	expect_same /dev/mapper/snap2 /dev/mapper/snap1
}

# covers: messages: errors: EINVAL malformed (create_snap, delete_snap)
case_malformed_ids()
{
	local id

	to_active
	for id in 0 -1 +1 4294967296 18446744073709551617 1x x 0x1 1.0 ''; do
		expect_error "$EINVAL" \
			dmsetup message -- origin 0 create_snap "$id"
		expect_error "$EINVAL" \
			dmsetup message -- origin 0 delete_snap "$id"
	done
	expect_error "$EINVAL" sp_msg create_snap
	expect_error "$EINVAL" sp_msg create_snap 2 3
	expect_error "$EINVAL" sp_msg delete_snap
	expect_error "$EINVAL" sp_msg delete_snap 1 2
	expect_eq "snapshots" "$(sp_list | cut -d ' ' -f 1,2)" "1 valid"
}

# covers: messages: errors: EEXIST id taken
case_create_taken()
{
	to_active
	expect_error "File exists" sp_create 1
	expect_st valid 1
	sp_remove store
	wait_st state nostore
	sp_load_store
	# By a lost one as well, for it is listed.
	expect_error "File exists" sp_create 1
	sp_delete 1
	sp_create 1
	expect_eq "snapshot 1" "$(snap_state 1)" valid
}

# covers: messages: errors: ENODEV no store
case_create_without_store()
{
	to_nostore
	expect_error "$ENODEV" sp_create 1
	expect_error "$ENODEV" sp_delete 1
	expect_error "$ENODEV" sp_list
	sp_load_store
	dmsetup suspend store
	expect_error "$ENODEV" sp_create 1
	dmsetup resume store
	sp_create 1
	store_away
	sp_load_origin
	expect_st state waiting
	expect_error "$ENODEV" sp_create 2
	expect_error "$ENODEV" sp_delete 1
}

# covers: messages: errors: EIO blocked
case_create_while_blocked()
{
	to_blocked
	expect_error "$EIO" sp_create 2
	sp_load_store
	expect_st valid 1
}

# covers: messages: errors: ENOSPC no room
case_create_without_room()
{
	small_store
	to_active protect grow_timeout 300
	run_out_of_space
	expect_error "$ENOSPC" sp_create 2
	expect_st state active
	expect_st valid 1
	sp_delete 1
	reap "$WRITER" ok
	sp_create 2
}

# ---- delete_snap -------------------------------------------------------------------

# covers: promises: a snapshot whose record failed counts: it may be in the store
case_create_fails()
{
	layer_new low "$STORE_DISK"
	STORE=/dev/mapper/low
	sp_up protect
	layer_error_writes low
	expect_error "$EIO" sp_create 1
	expect_st state blocked
	expect_st fault store_io
	expect_error "$EIO" write_at "$ORIGIN_DM" 0 8 2
}

# covers: messages: delete_snap <id>: removes it and gives its space back
case_delete()
{
	local used

	to_active
	used=$(st used)
	write_at "$ORIGIN_DM" 0 8192 2
	[ "$(st used)" -ge $((used + 8192)) ] || fail "nothing preserved"
	sp_delete 1
	expect_st valid 0
	expect_eq "list" "$(sp_list)" ""
	# In the background; a little metadata may stay.
	wait_for 20 used_at_most $((used + 256))
}

# shellcheck disable=SC2317 # called by name
used_at_most()
{
	[ "$(st used)" -le "$1" ]
}

# covers: messages: errors: ENOENT no such id
case_delete_unknown()
{
	to_active
	expect_fail sp_delete 2
	expect_match "error" "$OUTPUT" "No such (file or directory|device or address)"
	expect_st valid 1
}

# covers: messages: delete_snap: EBUSY while a view of it is loaded
case_delete_viewed()
{
	to_active
	sp_create 2
	sp_load_view 1
	expect_error "$EBUSY" sp_delete 1
	sp_delete 2
	verify_at /dev/mapper/snap1 0 2048 1
	sp_remove snap1
	sp_delete 1
	expect_st valid 0
}

# covers: messages: delete_snap works while blocked, if the store can be written
case_delete_while_blocked()
{
	small_store
	to_active protect grow_timeout 300
	sp_create 2
	run_out_of_space
	sp_msg grow_failed
	expect_st state blocked
	reap "$WRITER" failed
	sp_delete 1
	expect_st state blocked
	expect_st valid 1
	sp_delete 2
	sp_msg clear_fault
	expect_st state active
	write_at "$ORIGIN_DM" 0 2048 2
}

# covers: messages: delete_snap strikes a lost snapshot off the list
case_delete_lost()
{
	to_active
	sp_remove store
	wait_st state nostore
	sp_load_store
	expect_st lost 1
	sp_delete 1
	expect_st lost 0
	expect_eq "list" "$(sp_list)" ""
}

# ---- list_snaps -----------------------------------------------------------------------

# covers: messages: list_snaps: <id> <valid|lost> <unix time> <sectors>, oldest first
case_list()
{
	local line n=0

	sp_up
	expect_eq "empty list" "$(sp_list)" ""
	sp_create 30
	sp_create 10
	sp_create 20
	while read -r line; do
		expect_match "line" "$line" \
			"^[0-9]+ valid [0-9]{10} $ORIGIN_SECTORS$"
		n=$((n + 1))
	done < <(sp_list)
	expect_eq "lines" "$n" 3
	expect_eq "order" "$(sp_list | cut -d ' ' -f 1 | paste -sd ' ')" \
		"30 10 20"
	expect_error "$EINVAL" sp_msg list_snaps 1
}

# ---- protect, normal ---------------------------------------------------------------------

# covers: messages: protect: protection mode on, recorded in the label and the store
case_protect()
{
	sp_up
	sp_msg protect
	expect_st mode protect
	expect_eq "store" "$(store_st protected)" protected
	sp_msg protect
	sp_remove store
	sp_remove origin
	# The label alone,
	sp_load_origin
	expect_st mode protect
	sp_remove origin
	# and the store alone.
	expect_exit 0 "$SNAPPROT" probe "$STORE"
	expect_match "probe" "$OUTPUT" "SNAPPROT_PROTECTED=\"?1"
	expect_error "$EINVAL" sp_msg_after_up protect now
}

# shellcheck disable=SC2317 # called by name
sp_msg_after_up()
{
	sp_load_origin
	sp_msg "$@"
}

# covers: messages: normal: protection mode off
case_normal()
{
	to_active protect
	sp_msg normal
	expect_st mode normal
	expect_eq "store" "$(store_st protected)" -
	expect_st valid 1
	expect_error "$EINVAL" sp_msg normal drop
	expect_error "$EINVAL" sp_msg normal drop_snapshots now
	store_away
	sp_load_origin
	expect_st mode normal
	sp_load_store
	expect_st mode normal
	expect_image 1
}

# covers: messages: normal with a fault standing: refused with EBUSY
case_normal_with_fault()
{
	to_blocked
	expect_error "$EBUSY" sp_msg normal
	expect_st mode protect
	expect_st state blocked
	expect_st fault store_removed
	sp_load_store
	expect_st mode protect
	expect_image 1
}

# covers: messages: normal drop_snapshots: the snapshots are recorded as lost, the origin's I/O goes on
case_drop_snapshots()
{
	to_blocked queue_on_fault
	hold_write 0 2
	sp_msg normal drop_snapshots
	reap "$WRITER" ok
	expect_st mode normal
	expect_st state nostore
	verify_at "$ORIGIN_DM" 0 8 2
	sp_remove origin
	sp_load_origin
	expect_st mode normal
	sp_load_store
	expect_eq "snapshot 1" "$(snap_state 1)" lost
}

# covers: messages: normal drop_snapshots without a fault: nothing is dropped
case_drop_snapshots_without_fault()
{
	to_active protect
	sp_msg normal drop_snapshots
	expect_st mode normal
	expect_st valid 1
	expect_image 1
}

# ---- clear_fault ---------------------------------------------------------------------------

block_by_store()
{
	low_store
	to_active protect
	layer_error low
	expect_fail write_at "$ORIGIN_DM" 0 8 2
	wait_st state blocked
}

# covers: messages: clear_fault: reopens the store; healthy: I/O goes on, in the same mode
case_clear()
{
	block_by_store
	layer_linear low
	sp_msg clear_fault
	expect_st state active
	expect_st fault -
	expect_st mode protect
	write_at "$ORIGIN_DM" 0 8 2
	expect_image 1
}

# covers: messages: clear_fault, not healthy: still blocked, with the new reason, and an error
case_clear_not_healthy()
{
	block_by_store
	expect_error "$EIO" sp_msg clear_fault
	expect_st state blocked
	expect_st fault online_io
	expect_fail write_at "$ORIGIN_DM" 0 8 2
	layer_linear low
	sp_msg clear_fault
	expect_st state active
	expect_image 1
}

# covers: messages: clear_fault while the store is away: still blocked
case_clear_store_away()
{
	to_blocked
	expect_error "$ENODEV" sp_msg clear_fault
	expect_st state blocked
	expect_st fault store_removed
}

# covers: messages: clear_fault <fault>: only if that is the fault
case_clear_by_name()
{
	local fault

	block_by_store
	fault=$(st fault)
	layer_linear low
	expect_fail sp_msg clear_fault store_full
	expect_error "$EINVAL" sp_msg clear_fault no_such_fault
	expect_error "$EINVAL" sp_msg clear_fault "$fault" now
	expect_st state blocked
	expect_st fault "$fault"
	sp_msg clear_fault "$fault"
	expect_st state active
	expect_image 1
}

# covers: messages: clear_fault without a fault: does nothing, succeeds
case_clear_nothing()
{
	to_active protect
	sp_msg clear_fault
	expect_st state active
	expect_st mode protect
	expect_st valid 1
	sp_msg clear_fault store_full
	expect_st state active
}

# covers: messages: clear_fault for want of space: only when there is some
case_clear_space()
{
	small_store
	to_active protect grow_timeout 0
	expect_fail blkpat -s 2048 -l 40960 fill "$ORIGIN_DM" 9
	expect_st fault store_full
	expect_error "$ENOSPC" sp_msg clear_fault
	expect_st state blocked
	expect_st fault store_full
	expect_image 1
	layer_resize low 32768
	sp_reload store
	sp_msg clear_fault
	expect_st state active
	write_at "$ORIGIN_DM" 2048 8192 3
	expect_image 1
}

# A backup goes on while the volume is blocked; it is not in the way.
case_clear_while_read()
{
	local reader clear

	small_store
	to_active protect grow_timeout 0
	write_at "$ORIGIN_DM" 0 2048 2
	expect_fail blkpat -s 2048 -l 40960 fill "$ORIGIN_DM" 9
	sp_load_view 1
	layer_resize low 32768
	sp_reload store
	# So that all that is left to be read is data.
	verify_at /dev/mapper/snap1 0 2048 1
	layer_hold low
	verify_at /dev/mapper/snap1 0 2048 1 &
	reader=$!
	wait_for 20 is_held "$reader"
	sp_msg clear_fault &
	clear=$!
	wait_for 20 is_held "$clear"
	layer_release low
	wait "$clear"
	expect_st state active
	wait "$reader"
}

# ---- grow_failed, set ------------------------------------------------------------------------

# covers: messages: grow_failed: fault grow_failed now, if space has run out
case_grow_failed()
{
	small_store
	to_active protect grow_timeout 300
	sp_msg grow_failed
	expect_st fault -
	expect_error "$EINVAL" sp_msg grow_failed 1
	run_out_of_space
	expect_st fault -
	sp_msg grow_failed
	expect_st state blocked
	expect_st fault grow_failed
	reap "$WRITER" failed
}

# covers: messages: set grace <value>
case_set_grace()
{
	to_waiting protect
	sp_msg set grace 86400
	[ "$(st grace)" -gt 86000 ] || fail "grace: $(st grace) s left"
	expect_st state waiting
	sp_msg set grace 1
	wait_st state blocked
	expect_st fault store_missing
}

# covers: messages: set grow_timeout <value>
case_set_grow_timeout()
{
	small_store
	to_active protect grow_timeout 300
	sp_msg set grow_timeout 1
	expect_fail blkpat -s 2048 -l 40960 fill "$ORIGIN_DM" 9
	expect_st state blocked
	expect_st fault grow_too_slow
	sp_delete 1
	sp_msg clear_fault
	sp_create 2
	sp_msg set grow_timeout 0
	expect_fail blkpat -s 2048 -l 40960 fill "$ORIGIN_DM" 9
	expect_st fault store_full
}

# covers: messages: set grow_timeout <value>, while writes wait for space
case_set_grow_timeout_waiting()
{
	small_store
	to_active protect grow_timeout 300
	run_out_of_space
	sp_msg set grow_timeout 1
	wait_st state blocked
	expect_st fault grow_too_slow
	reap "$WRITER" failed
}

# covers: messages: set queue_on_fault <value>
case_set_queue_on_fault()
{
	to_blocked
	expect_error "$EIO" read_at "$ORIGIN_DM" 0 8
	sp_msg set queue_on_fault 1
	hold_write 0 2
	# What is held fails as soon as that is asked for.
	sp_msg set queue_on_fault 0
	reap "$WRITER" failed
	expect_error "$EIO" read_at "$ORIGIN_DM" 0 8
}

# covers: messages: errors: EINVAL malformed (set, unknown messages)
case_malformed()
{
	local words

	to_active grace 300
	for words in "set" "set grace" "set grace 1 2" "set grace x" \
		"set grace -1" "set grace 1s" "set grace 86401" \
		"set grace 99999999999" "set grow_timeout 1.5" \
		"set queue_on_fault 2" "set queue_on_fault yes" \
		"set low_water 3" "create" "create_snapshot 3" "snap" \
		"clear_fault 1" "clear_fault -" "debug" "@cancel_deferred"
	do
		# shellcheck disable=SC2086 # words
		expect_error "$EINVAL" dmsetup message -- origin 0 $words
	done
	expect_st state active
	expect_st valid 1
	expect_fail dmsetup message origin 0 ""
	expect_fail dmsetup message store 0 list_snaps
	sp_load_view 1
	expect_fail dmsetup message snap1 0 list_snaps
}

# ---- all of them --------------------------------------------------------------------------------

# covers: messages: a message never waits for a store or a timer
case_messages_never_wait()
{
	local words

	to_waiting protect
	for words in "create_snap 2" "delete_snap 1" list_snaps protect \
		"normal drop_snapshots x" clear_fault grow_failed \
		"set grace 100"; do
		# shellcheck disable=SC2086 # words
		quickly dmsetup message origin 0 $words \
			> /dev/null 2>&1 || :
	done
	expect_st state waiting
	sp_load_store
	dmsetup suspend store
	hold_write 0 2
	for words in "create_snap 2" "delete_snap 1" list_snaps protect \
		clear_fault grow_failed "set grace 100"; do
		# shellcheck disable=SC2086 # words
		quickly dmsetup message origin 0 $words \
			> /dev/null 2>&1 || :
	done
	expect_st state active
	expect_st valid 1
	dmsetup resume store
	reap "$WRITER" ok
	expect_image 1
}

# covers: messages: those that need no store do not wait for one that hangs
case_messages_and_a_hung_store()
{
	local words

	low_store
	sp_format
	sp_load_store io_timeout 0
	sp_load_origin protect
	write_at "$ORIGIN_DM" 0 2048 1
	sp_create 1
	layer_hold low
	hold_write 0 2
	for words in list_snaps clear_fault grow_failed "set grace 100"; do
		# shellcheck disable=SC2086 # words
		quickly dmsetup message origin 0 $words > /dev/null
	done
	quickly dmsetup status > /dev/null
	expect_st state active
	layer_release low
	reap "$WRITER" ok
	expect_image 1
}

# covers: messages: mode changes are of the origin's side: with no store at all they work
case_mode_without_store()
{
	to_nostore
	sp_msg protect
	expect_st mode protect
	sp_msg normal
	expect_st mode normal
	sp_msg protect
	sp_remove origin
	sp_load_origin
	expect_st mode protect
	sp_load_store
	expect_eq "store" "$(store_st protected)" protected
}

run_cases case_create_live case_create_suspended case_malformed_ids \
	case_create_taken case_create_without_store case_create_while_blocked \
	case_create_without_room case_create_fails case_delete \
	case_delete_unknown \
	case_delete_viewed case_delete_while_blocked case_delete_lost \
	case_list case_protect case_normal case_normal_with_fault \
	case_drop_snapshots case_drop_snapshots_without_fault case_clear \
	case_clear_not_healthy case_clear_store_away case_clear_by_name \
	case_clear_nothing case_clear_space case_clear_while_read \
	case_grow_failed case_set_grace \
	case_set_grow_timeout case_set_grow_timeout_waiting \
	case_set_queue_on_fault case_malformed case_messages_never_wait \
	case_messages_and_a_hung_store case_mode_without_store
