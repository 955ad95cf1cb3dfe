#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Three boots over the same disks: one ends by itself, one is killed.
# module: no
# boots: 3
# wanted: ok

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../../lib/common.sh"
# shellcheck disable=SC2034 # for common.sh
SHARED=yes

case_disks_and_notes_survive()
{
	[ "$BOOT" = 1 ] || verify_at "$STORE_DISK" 0 64 "$((BOOT - 1))"
	[ "$BOOT" = 1 ] || expect_eq "note" "$(kept note)" "of boot $((BOOT - 1))"
	write_at "$STORE_DISK" 0 64 "$BOOT"
	keep note "of boot $BOOT"
}

run_cases case_disks_and_notes_survive
