#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# PostgreSQL on a live volume whose store fails under load and comes back: with I/O
# held, with I/O failing, and with the snapshots given up. Nothing that was acknowledged
# is lost, and the snapshots are what they have to be.
# suite: full
# kernels: 6.12
# disks: 256M 512M
# memory: 1536M
# cpus: 2
# timeout: 290

# shellcheck disable=SC2119 # functions whose arguments are optional
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/postgres.sh
. "$TOP/tests/lib/postgres.sh"

postgres_needs

# I/O is held, and nobody above notices.
case_store_fails_queue()
{
	bank_up protect queue_on_fault
	take
	layer_error slow
	wait_st state blocked 60
	wait_for 20 writes_are_held
	layer_linear slow
	sp_msg clear_fault
	expect_st state active
	more_transfers
	take --no-freeze
	load_end true
	live_check
	bank_check 1 2
	server_kill
}

# I/O fails: the server gives up, and loses nothing that it has acknowledged.
case_store_fails_protect()
{
	bank_up protect
	take
	layer_error slow
	wait_st state blocked 60
	load_end false
	wait_for 60 ended "$SERVER_PID"
	umount "$LIVE"
	layer_linear slow
	sp_msg clear_fault
	expect_st state active
	mount "$ORIGIN_DM" "$LIVE"
	live_restart
	load_start
	take
	load_end true
	bank_check 1 2
	server_kill
}

# The snapshots go, and nothing else.
case_store_fails_normal()
{
	bank_up
	take
	layer_error slow
	wait_st state nostore 60
	more_transfers
	expect_st lost 1
	tool 1 mount --writable --scratch "$TMPDIR" origin 1 "$SNAP"
	layer_linear slow
	sp_remove store
	sp_load_store
	wait_st state active
	tool 0 delete origin 1
	take
	load_end true
	live_check
	bank_check "$OUT"
	server_kill
}

template_make
run_cases case_store_fails_queue case_store_fails_protect case_store_fails_normal
