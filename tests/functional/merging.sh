#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# An index of several levels, as a large store has. The sizes of its parts are made so
# small that a small one has it too: merging, checkpoints and the search for space then
# go on all the time, beside writers, readers and deletions.
# disks: 16M 96M
# cpus: 2
# timeout: 400

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/images.sh
. "$TOP/tests/lib/images.sh"

# tune <table> <fanout> <freeze> <zone>: of stores that are opened from now on
tune()
{
	(IFS=,; echo "$*" > /sys/module/dm_snapprot/parameters/debug_tune)
}

# volume <feature of the store>...
volume()
{
	sp_format
	sp_load_store "$@"
	sp_load_origin protect
	images_begin
}

# rounds <first> <last>: snapshots, writes in between, and some are deleted
rounds()
{
	local i

	for ((i = $1; i <= $2; i++)); do
		images_take "$i"
		images_write "$i" 150 32K
		[ $((i % 3)) != 0 ] || images_drop $((i - 1))
	done
}

# Loaded anew it is the same, and a tool finds nothing wrong with it.
reopen()
{
	sp_remove origin
	sp_remove store
	"$SNAPPROT" check "$STORE" > check.out || fail "$(< check.out)"
	"$SNAPPROT" dump "$STORE" > dump.out
	grep -q "^run level [2-8]" dump.out || fail "it has but one level"
	sp_load_store "$@"
	sp_load_origin protect
	wait_st state active
}

uses_at_most()
{
	[ "$(st used)" -le "$1" ]
}

# all_gone <sectors>: without snapshots there is nothing left but so much
all_gone()
{
	local ids

	ids=$(images_ids)
	# shellcheck disable=SC2086 # numbers
	[ -z "$ids" ] || images_drop $ids
	wait_for 60 uses_at_most "$1"
	expect_st fault -
}

case_levels()
{
	local empty

	tune 256 3 64 32
	volume
	empty=$(st used)
	rounds 1 9
	images_check
	reopen
	images_check
	rounds 10 15
	images_check
	all_gone $((empty + 512))
}

# The smallest cache there may be is enough.
case_little_cache()
{
	tune 64 2 32 32
	volume cache 256
	rounds 1 8
	images_check
	reopen cache 256
	images_check
	rounds 9 11
	images_check
	all_gone 1024
}

# keep_reading <id>: until there is a file "enough"
keep_reading()
{
	local sum

	while [ ! -e enough ]; do
		sum=$(dev_sum "/dev/mapper/snap$1") || return 1
		[ "$sum" = "$(< "$SUMS/$1")" ] || return 1
	done
}

# Readers of two snapshots beside all that.
case_beside_readers()
{
	local readers=()

	tune 128 3 64 32
	volume
	images_take 100 101
	sp_load_view 100
	sp_load_view 101
	keep_reading 100 &
	readers+=($!)
	keep_reading 101 &
	readers+=($!)
	rounds 1 8
	touch enough
	wait "${readers[0]}" || fail "a reader of 100 has seen something else"
	wait "${readers[1]}" || fail "a reader of 101 has seen something else"
	sp_remove snap100
	sp_remove snap101
	images_check
}

# More than there is space for: what nobody needs comes back when it is deleted, and
# the writes that wait for it go on.
case_full_and_back()
{
	local i writer

	tune 128 3 64 32
	layer_new slow "$STORE_DISK" 49152
	STORE=/dev/mapper/slow
	sp_format
	sp_load_store
	sp_load_origin protect grow_timeout 300
	images_begin
	images_take 1
	images_write_at 0 16384 11
	images_take 2
	images_write_at 0 16384 12
	images_take 3
	write_at "$ORIGIN_DM" 0 16384 13 &
	writer=$!
	wait_for 60 is_held "$writer"
	images_drop 1
	wait "$writer" || fail "the write has failed"
	write_at "$SHADOW" 0 16384 13
	images_check
	expect_st state active
	for i in 4 5 6; do
		images_drop $((i - 2))
		images_take "$i"
		images_write_at 0 16384 $((10 + i))
	done
	images_check
}

run_cases case_levels case_little_cache case_beside_readers case_full_and_back
