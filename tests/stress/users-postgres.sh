#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# PostgreSQL on a live volume, with snapshots under load. Each, mounted through an
# overlay that is thrown away, recovers, has no damaged table or index, has all that
# had been acknowledged before its instant and nothing that was begun after it, and
# its accounts add up.
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

# Snapshots with the file system frozen and without, and some deleted meanwhile.
case_snapshots_under_load()
{
	bank_up
	take
	take --no-freeze
	take
	bank_check 2
	tool 0 delete origin 1
	take --no-freeze
	load_end true
	bank_check 3 4
	server_kill
	live_restart
	server_kill
}

template_make
run_cases case_snapshots_under_load
