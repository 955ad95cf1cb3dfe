#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Tables and messages made from their grammar and damaged, see lib/grammar.c: what has to
# be taken is, what has to be refused is, with its errno, what was taken prints as a table
# that is taken again, and no line is a fault, loses a snapshot or stays without an answer.
# SEED decides what is done; a run that fails is shortened, and says how to repeat it.
# GRAMMAR_SECONDS, or else RUNS, and GRAMMAR_OPS say how much is done.
# suite: full
# disks: 8M 16M
# timeout: 900
# covers: bad input

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

case_grammar()
{
	local seed=${SEED:-$(od -A n -t u4 -N 4 /dev/urandom)} until

	export SNAPPROT GRAMMAR_OPS=${GRAMMAR_OPS:-300}
	until=$((SECONDS + ${GRAMMAR_SECONDS:-0}))
	while :; do
		grammar $((seed)) "${RUNS:-12}" > said || fail "$(sed 1,2d said)"
		grep '^#' said >&2
		seed=$((seed + ${RUNS:-12}))
		[ "$SECONDS" -lt "$until" ] || break
	done
}

run_cases case_grammar
