# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# What the tests of userspace/snapprot share. They need no kernel and no root:
# devices are sparse files in a directory that is gone afterwards.
#
#	. "$(dirname "$0")/../lib/tools.sh"
#
# SNAPPROT and MKSTORE may name other builds; by default they are built with
# AddressSanitizer and UBSan.

# In memory if there is such a place: the tool flushes after every step.
[ -w /dev/shm ] && : "${TMPDIR:=/dev/shm}"
WORK=$(mktemp -d "${TMPDIR:-/tmp}/snapprot.XXXXXX") || exit 1
trap 'rm -rf "$WORK"' EXIT
TMPDIR=$WORK

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
if [ -z "${SNAPPROT:-}" ] || [ -z "${MKSTORE:-}" ]; then
	make -s -C "$here/../../userspace" asan mkstore >&2 || exit 1
fi
: "${SNAPPROT:=$here/../../userspace/snapprot-asan}"
: "${MKSTORE:=$here/../../userspace/obj-asan/mkstore}"
# A report of a sanitizer must not look like an exit code of the tool.
export ASAN_OPTIONS=exitcode=99 UBSAN_OPTIONS=exitcode=99

# shellcheck source=tests/lib/common.sh
. "$here/common.sh"

# new_dir: a fresh current directory for the case
new_dir()
{
	local dir

	dir=$(mktemp -d "$WORK/case.XXXXXX")
	cd "$dir" || exit 1
}

# make_install <goal> <variable>=<value>...: of userspace/. One at a time, for what is
# built depends on where it goes.
make_install()
{
	mkdir -p "$TOP/.build"
	flock "$TOP/.build/install.lock" \
		make -s -C "$TOP/userspace" "$@" >&2
}

# value <key>: of KEY=VALUE lines in OUT
value()
{
	sed -n "s/^$1=//p" <<< "$OUT"
}

# files <name> <size>...: sparse files
files()
{
	while [ $# -gt 1 ]; do
		rm -f "$1"
		truncate -s "$2" "$1"
		shift 2
	done
}

# Of all files in the current directory.
sums()
{
	find . -type f -print0 | sort -z | xargs -0 -r sha256sum
}

# unchanged <command>...: it must not change any file here
unchanged()
{
	local before

	before=$(sums)
	"$@"
	[ "$before" = "$(sums)" ] || fail "changed something: $*"
}

# volume: files o and s, formatted, with 2048 blocks and room for all of them
volume()
{
	files o 9M s 16M
	tool 0 format o s
	mkdir -p d
}

# play <seed>: a script on standard input, done to o and s
play()
{
	"$MKSTORE" run s o d "$1"
}

# content: a volume with snapshots 1 to 4, in the index and in the log
content()
{
	content_of 1
}

# content_of <seed>: another one of that kind
content_of()
{
	volume
	play "$1" <<- END
		fill
		create 1
		random 120
		checkpoint
		create 2
		random 60
		checkpoint
		create 3
		random 60
		create 4
		random 40
	END
}

# last_log: the header of the log's last step
last_log()
{
	blocks log | tail -n 1
}

# blocks <kind> [store]: where the store has blocks of that kind
blocks()
{
	"$SNAPPROT" dump --map "${2:-s}" 2> /dev/null |
		awk -v kind="$1" '$3 == kind { print $2 }'
}

# le64 <number>: as the hex of poke
le64()
{
	local n=$1

	for _ in 1 2 3 4 5 6 7 8; do
		printf '%02x' $((n & 255))
		n=$((n >> 8))
	done
}

# flip <block> [offset] [file]: damage a byte
flip()
{
	"$MKSTORE" flip "${3:-s}" "$1" "${2:-200}"
}

# poke <block> <offset> <hex> [file]: replace bytes, with a right checksum
poke()
{
	"$MKSTORE" poke "${4:-s}" "$1" "$2" "$3"
}

# clobber <block> [file]: garbage all over a block
clobber()
{
	yes garbage | dd of="${2:-s}" bs=4096 seek="$1" count=1 conv=notrunc \
		iflag=fullblock status=none
}

# expect_views <id=right|id=lost>...: what mkstore finds in file n, or VIEW_OF
expect_views()
{
	local got

	got=$("$MKSTORE" verify "${VIEW_OF:-n}" o d | tr ' \n' '= ') ||
		fail "wrong data: $got"
	expect_eq "snapshots of ${VIEW_OF:-n}" "${got% }" "$*"
}
