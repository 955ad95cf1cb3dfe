#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# probe.sh <directory of probes> <output> <compiler> [<flag>...]
#
# Finds out what the kernel that is built for has: compiles each probe, a tiny
# file that uses one thing, with the kernel's own flags, and writes a header
# with a SNAPPROT_HAVE_<NAME> for each that compiles. Versions say little, as
# distributions take changes back to older kernels.
#
# A compiler that fails for another reason would make everything "absent", so
# the probe must-pass has to compile and must-fail has not.

set -u
dir=$1
out=$2
shift 2

# Warnings that are errors here are the ones that mean "not this interface".
probe()
{
	file=$1
	shift
	"$@" -DKBUILD_MODNAME='"probe"' -DKBUILD_BASENAME='"probe"' \
		-fsyntax-only -Wno-error -Werror=implicit-function-declaration \
		-Werror=incompatible-pointer-types -Werror=int-conversion \
		"$file"
}

if ! probe "$dir/must-pass.c" "$@"; then
	echo "snapprot: a probe that must compile does not, see above" >&2
	exit 1
fi
if probe "$dir/must-fail.c" "$@" 2> /dev/null; then
	echo "snapprot: a probe that must not compile does" >&2
	exit 1
fi

{
	echo "/* Made by compat/probe.sh for compat.h */"
	for file in "$dir"/*.c; do
		name=$(basename "$file" .c)
		case $name in
		must-*) continue ;;
		esac
		macro=SNAPPROT_HAVE_$(echo "$name" | tr '[:lower:]-' '[:upper:]_')
		if probe "$file" "$@" 2> /dev/null; then
			echo "#define $macro 1"
		else
			echo "/* no $macro */"
		fi
	done
} > "$out.tmp" && mv "$out.tmp" "$out"
