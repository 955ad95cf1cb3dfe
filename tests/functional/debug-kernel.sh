#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# scripts/build-debug-kernel, with a make that builds nothing: what an interrupted
# build has left is not called a kernel, and the next call goes on from there.
# host: yes
# timeout: 60

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

WORK=$(mktemp -d "${TMPDIR:-/tmp}/kernel.XXXXXX") || exit 1
trap 'rm -rf "$WORK"' EXIT
export SNAPPROT_KERNELS=$WORK/kernels
SRC=$SNAPPROT_KERNELS/source-1.0

# program <name>: of standard input, found before the real one
program()
{
	mkdir -p "$WORK/bin"
	cat > "$WORK/bin/$1"
	chmod +x "$WORK/bin/$1"
}

# A source that is unpacked already, whose configuration is whatever was wanted.
make_source()
{
	mkdir -p "$SRC/scripts/kconfig"
	touch "$SRC/.unpacked"
	program dpkg-query <<< 'echo 1.0'
	cat > "$SRC/scripts/kconfig/merge_config.sh" <<- 'END'
		#!/bin/sh
		cp "$5" "$4"
	END
	chmod +x "$SRC/scripts/kconfig/merge_config.sh"
	program make <<- 'END'
		#!/bin/bash
		# The kernel itself is all that is asked for with -j.
		case " $* " in
		*" kernelrelease "*) echo 1.0-test ;;
		*" modules_install "*)
			for arg; do
				[ "$arg" = "${arg#INSTALL_MOD_PATH=}" ] ||
					mkdir -p "${arg#*=}/lib/modules/1.0-test"
			done
			;;
		*" -j "*) [ ! -e "$SNAPPROT_KERNELS/ends" ] || exit 2 ;;
		esac
	END
	PATH=$WORK/bin:$PATH
}

built()
{
	"$TOP/scripts/build-debug-kernel" "$@"
}

case_interrupted()
{
	make_source
	touch "$SNAPPROT_KERNELS/ends"
	expect_fail built uml
	expect_eq "releases" "$(find "$SNAPPROT_KERNELS" -name release | wc -l)" 0
	expect_fail built --print uml
}

case_goes_on()
{
	local dir

	make_source
	rm -f "$SNAPPROT_KERNELS/ends"
	dir=$(built uml)
	expect_eq "release" "$(cat "$dir/release")" 1.0-test
	expect_eq "printed" "$(built --print uml)" "$dir"
}

run_cases case_interrupted case_goes_on
