#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Random operations on a live volume and on arrays, see lib/stomp.c: writes, discards,
# snapshots, views, both modes, the store late, gone, paused, full, grown, failing, the
# origin failing, tables reloaded, the power cut. Every byte of every snapshot is
# compared. SEED decides what is done; a run that fails is shortened, and says how to
# repeat it. RUNS and STOMP_OPS say how much is done.
# suite: full
# disks: 8M 32M
# timeout: 900
# covers: promises: never wrong; protection mode loses nothing; nothing hangs

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

case_stomp()
{
	export SNAPPROT STOMP_OPS=${STOMP_OPS:-200}
	stomp "${SEED:-$(od -A n -t u4 -N 4 /dev/urandom)}" "${RUNS:-12}" > said ||
		fail "$(sed 1,2d said)"
	grep '^#' said >&2
}

run_cases case_stomp
