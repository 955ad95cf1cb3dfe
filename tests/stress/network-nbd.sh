#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A store behind nbd, whose server is killed, does not answer, has no space, and comes
# back under another minor, in both modes: nothing hangs, no snapshot is wrong, in
# protection mode none is lost, and the device of before is let go.
# suite: full
# disks: 9M 8M
# timeout: 240
# covers: promises: never wrong; protection mode loses nothing; nothing hangs

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/images.sh
. "$TOP/tests/lib/images.sh"
# shellcheck source=tests/lib/gone.sh
. "$TOP/tests/lib/gone.sh"
# shellcheck source=tests/lib/network.sh
. "$TOP/tests/lib/network.sh"

network_needs

# network_volume <mode> <io_timeout> [<option of nbd-client>]...
network_volume()
{
	local mode=$1 limit=$2

	shift 2
	server_start
	attach 0 "$@"
	gone_volume "$mode" io_timeout "$limit"
}

network_down()
{
	volume_down
	detach /dev/nbd0
	server_kill
}

# late <mode>: within the grace period
late()
{
	local writer

	network_volume "$1" 60
	network_down
	sp_load_origin grace 120
	expect_st state waiting
	cold_write &
	writer=$!
	wait_for 20 is_held "$writer"
	server_start
	attach 1
	sp_load_store
	wait_st state active
	wait "$writer"
	write_at "$SHADOW" "$COLD" 64 77
	expect_st fault -
	images_check
	volume_down
	detach /dev/nbd1
}

# too_late <mode>: after the end of the grace period
too_late()
{
	network_volume "$1" 60
	network_down
	sp_load_origin grace 1
	provoking_write "$1"
	expect_st fault store_missing
	server_start
	attach 1
	sp_load_store
	wait_st state active
	expect_images "$1"
	detach /dev/nbd1
}

# killed <mode>: while the store is in use; another server, and another minor
killed()
{
	network_volume "$1" 60
	server_kill
	provoking_write "$1"
	expect_gone "$1" 'cow_write|store_io'
	server_start
	attach 1
	store_back
	detach /dev/nbd0
	expect_images "$1"
	detach /dev/nbd1
}

# frozen <mode>: the store's own limit is what counts, as nbd has none
frozen()
{
	local start

	network_volume "$1" 2
	server_freeze
	start=$(now_ms)
	provoking_write "$1"
	[ $(($(now_ms) - start)) -ge 1900 ] || fail "was not waited for"
	expect_gone "$1" store_io
	server_thaw
	store_well_again "$1"
	expect_images "$1"
	detach /dev/nbd0
}

# frozen_killed <mode>: it never answers, and is replaced. For what it had taken nbd
# has no limit, so nobody can let go of the device before it is disconnected.
frozen_killed()
{
	network_volume "$1" 2
	server_freeze
	provoking_write "$1"
	expect_gone "$1" store_io
	server_kill
	disconnect /dev/nbd0
	server_start
	attach 1
	store_back
	detach /dev/nbd0
	expect_images "$1"
	detach /dev/nbd1
}

# client_gives_up <mode>: nbd's own limit is the shorter one
client_gives_up()
{
	network_volume "$1" 0 -timeout 2
	server_freeze
	provoking_write "$1"
	expect_gone "$1" 'cow_write|store_io'
	server_kill
	server_start
	attach 1
	store_back
	detach /dev/nbd0
	expect_images "$1"
	detach /dev/nbd1
}

# no_space <mode>: the server has none, whatever the store says
no_space()
{
	network_volume "$1" 60
	: > "$NO_SPACE"
	defer rm -f "$NO_SPACE"
	provoking_write "$1"
	expect_gone "$1" cow_write
	if [ "$1" = protect ]; then
		# It is not well before it can be written.
		expect_fail sp_msg clear_fault
		expect_st state blocked
	fi
	rm "$NO_SPACE"
	store_well_again "$1"
	expect_images "$1"
	detach /dev/nbd0
}

both_modes late too_late killed frozen frozen_killed client_gives_up no_space
run_cases "${CASES[@]}"
