#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# scripts/install-to-kernel, with the source of Debian's kernel: it is built there,
# as a module and as a part of the kernel, without warnings.
# suite: full
# host: yes
# timeout: 900

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

SHARED=yes
BUILD=${BUILD:-$TOP/.build}
ARCHIVE=/usr/src/linux-source-6.12.tar.xz
TREE=$BUILD/tree
SRC=$TREE/source
WORK=$(mktemp -d "${TMPDIR:-/tmp}/tree.XXXXXX") || exit 1
trap 'rm -rf "$WORK"' EXIT

[ -r "$ARCHIVE" ] || skip_all "no $ARCHIVE (scripts/setup)"

# As much of it as drivers/md and its tools need, for the whole is large.
unpack()
{
	local parts=() part

	[ "$SRC/.unpacked" -nt "$ARCHIVE" ] && return
	rm -rf "$TREE"
	mkdir -p "$SRC"
	for part in 'Kconfig*' 'Makefile*' 'Kbuild*' 'include/*' 'scripts/*' \
		'arch/x86/*' 'kernel/*' 'lib/*' 'drivers/md/*' 'rust/*' \
		'tools/objtool/*' 'tools/lib/*' 'tools/include/*' \
		'tools/build/*' 'tools/scripts/*' 'tools/arch/x86/*'; do
		parts+=("linux-source-6.12/$part")
	done
	tar -xf "$ARCHIVE" -C "$SRC" --strip-components=1 --wildcards \
		"${parts[@]}" '*/Kconfig*' '*/Makefile*' '*/Kbuild*'
	touch "$SRC/.unpacked"
}

# A tree may have been left by another version of ours.
case_install()
{
	unpack
	"$TOP/scripts/install-to-kernel" "$SRC"
	sums > "$WORK/before"
	"$TOP/scripts/install-to-kernel" "$SRC"
	sums > "$WORK/after"
	expect_eq "changed by a second time" \
		"$(diff "$WORK/before" "$WORK/after" | head)" ""
	expect_eq "lines in Kconfig" "$(grep -c dm-snapprot "$SRC/drivers/md/Kconfig")" 1
	expect_eq "lines in Makefile" "$(grep -c dm-snapprot "$SRC/drivers/md/Makefile")" 1
}

sums()
{
	find "$SRC/drivers/md" -type f -exec sha256sum {} + | sort -k 2
}

# What is not a kernel, or what is not ours, is left alone.
case_wrong_directory()
{
	expect_fail "$TOP/scripts/install-to-kernel" "$WORK"
	expect_eq "what is there" "$(ls "$WORK")" ""
	mkdir -p "$WORK/drivers/md/dm-snapprot"
	touch "$WORK/drivers/md/"{Kconfig,Makefile,dm.c}
	expect_fail "$TOP/scripts/install-to-kernel" "$WORK"
	expect_eq "what is there" "$(find "$WORK" -type f -size +0)" ""
}

# build <y|m> <target>...
build()
{
	local how=$1 out=$TREE/$1

	shift
	mkdir -p "$out"
	if [ ! -e "$out/.config" ]; then
		cat > "$out/wanted" <<- END
			CONFIG_64BIT=y
			CONFIG_MODULES=y
			CONFIG_BLOCK=y
			CONFIG_MD=y
			CONFIG_BLK_DEV_DM=y
			CONFIG_DM_SNAPPROT=$how
		END
		make -s -C "$SRC" O="$out" ARCH=x86_64 \
			KCONFIG_ALLCONFIG="$out/wanted" allnoconfig \
			> "$out/config.log" 2>&1 || fail "$(tail "$out/config.log")"
	fi
	expect_eq ".config" "$(grep '^CONFIG_DM_SNAPPROT=' "$out/.config")" \
		"CONFIG_DM_SNAPPROT=$how"
	rm -rf "$out/drivers/md/dm-snapprot"
	make -s -C "$SRC" O="$out" ARCH=x86_64 W=1 "$@" > "$out/build.log" 2>&1 ||
		fail "$(tail "$out/build.log")"
	expect_eq warnings "$(grep -E 'dm-snapprot.*(warning|error):' \
		"$out/build.log" || :)" ""
}

case_built_in()
{
	build y drivers/md/
	expect_match "objects of the kernel" \
		"$(ar t "$TREE/y/drivers/md/built-in.a")" 'dm-snapprot/main\.o'
	expect_eq "what was probed" "$(grep BLK_MODE \
		"$TREE/y/drivers/md/dm-snapprot/compat/have.h")" \
		"#define SNAPPROT_HAVE_BLK_MODE 1"
}

case_as_module()
{
	build m drivers/md/
	expect_eq "entry of the module" \
		"$(nm "$TREE/m/drivers/md/dm-snapprot/dm-snapprot.o" |
			grep -c ' init_module$')" 1
	expect_eq "what it is called by" \
		"$(strings "$TREE/m/drivers/md/dm-snapprot/dm-snapprot.o" |
			sed -n 's/^alias=//p' | sort | paste -s -d ' ')" \
		"dm-snapprot-snap dm-snapprot-store"
}

run_cases case_wrong_directory case_install case_built_in case_as_module
