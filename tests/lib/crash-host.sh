# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# What tests do with recorded writes. Sourced after common.sh by tests that say
# "# host: yes" and run guests themselves.
#
# The cases build upon each other, as recording is what takes long.

WORK=$(mktemp -d "${TMPDIR:-/tmp}/states.XXXXXX") || exit 1
trap 'rm -rf "$WORK"' EXIT
EXPLORE=${BUILD:-$TOP/.build}/crash/explore

# guest <name> <option of tests/qemu/run>...: a script of tests/crash/guest
guest()
{
	local name=$1 rc=0

	shift
	"$TOP/tests/qemu/run" --kernel "${SNAPPROT_KERNEL:-6.12}" \
		--results "$WORK" "$@" "$TOP/tests/crash/guest/$name.sh" \
		> "$WORK/$name.out" 2>&1 || rc=$?
	if [ "$rc" != 0 ]; then
		grep -aE '^(#|not ok)' "$WORK/$name.out" >&2
		fail "$name: exit code $rc"
	fi
	sed -n 's/^# \([0-9]\)/# \1/p' "$WORK/$name.out"
}

# record <regular expression of the workloads>
record()
{
	guest record --case "^case_($1)$"
}

# explore_log <name> <option of explore>...: every state has to be right
explore_log()
{
	local name=$1

	shift
	"$EXPLORE" "$@" "$WORK/$name.writes" > "$WORK/explore.out" || {
		sed 's/^\(# \)*/# /' "$WORK/explore.out" >&2
		fail "a crash may leave a state that is wrong"
	}
	sed 's/^\(# \)*/# /' "$WORK/explore.out"
}

# export_states <directory> <workload's states> <of which for the module>: they are of
# those that have been explored before
export_states()
{
	mkdir "$WORK/$1"
	explore_log record -n "$2" -c "$3" -e "$WORK/$1" > /dev/null
}

# expect_explored <at least so many states>
expect_explored()
{
	local got

	got=$(sed -n 's/^.* workloads, \([0-9]*\) states.*/\1/p' \
		"$WORK/explore.out")
	[ "$got" -ge "$1" ] || fail "only $got states"
}

# A fault in the flushes is found: those that are left out here are as good as
# forgotten by the module.
expect_ignored_flushes_found()
{
	local rc=0

	"$EXPLORE" "$@" "$WORK/record.writes" > "$WORK/explore.out" || rc=$?
	expect_eq "exit code with flushes ignored" "$rc" 1
	sed -n '$s/^/# with flushes ignored: /p' "$WORK/explore.out"
}
