#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Ways to install: make install with DESTDIR, DKMS, and Debian's packages, the latter
# two in a small system of their own. There are modules for all kernels that have
# headers there, and after removal nothing is left.
# suite: full
# host: yes
# timeout: 900

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/qemu/lib.sh
. "$TOP/tests/qemu/lib.sh"
# shellcheck source=tests/lib/chroot.sh
. "$TOP/tests/lib/chroot.sh"

SHARED=yes
WORK=$(mktemp -d "${TMPDIR:-/tmp}/packages.XXXXXX") || exit 1
ROOT=$WORK/root
trap chroot_gone EXIT
VERSION=$("$TOP/scripts/version")

[ "$(id -u)" = 0 ] || skip_all "not root"
command -v mmdebstrap > /dev/null ||
	skip_all "no mmdebstrap (scripts/setup packages)"

# plain_module: as users have it, in KO
plain_module()
{
	resolve_kernel "${SNAPPROT_KERNEL:-6.12}"
	mkdir -p "$BUILD/$KREL"
	"$TOP/scripts/build-module" --into plain ${KROOT:+--root "$KROOT"} \
		"$KREL" DEBUG_HOOKS=0 > "$BUILD/$KREL/plain.log" 2>&1 ||
		fail "$(tail -n 5 "$BUILD/$KREL/plain.log")"
	KO=$BUILD/$KREL/plain/dm-snapprot.ko
}

# make_it <target>: with what plain_module has built
make_it()
{
	make -s -C "$TOP" "$1" KDIR="$KROOT/lib/modules/$KREL/build" \
		MODULE_DIR="${KO%/*}" DESTDIR="$WORK/destdir" PREFIX=/usr >&2
}

case_make_install()
{
	plain_module
	make_it install
	# The kernel may want its modules compressed.
	expect_eq module "$(cd "$WORK/destdir" && find . -name '*.ko*' |
		sed 's/\.xz$//')" "./lib/modules/$KREL/updates/dm-snapprot.ko"
	[ -x "$WORK/destdir/usr/sbin/snapprot" ] || fail "no tool"
	# Nobody needs depmod there, and it would know only this one.
	expect_eq "of depmod" "$(find "$WORK/destdir" -name 'modules.*')" ""
	make_it uninstall
	expect_eq left "$(find "$WORK/destdir" -type f)" ""
}

case_signed()
{
	local sign

	plain_module
	sign=/lib/modules/$KREL/build/scripts/sign-file
	cp "$KO" "$WORK/signed.ko"
	openssl req -new -x509 -newkey rsa:2048 -nodes -days 2 -outform DER \
		-subj "/CN=a test of snapprot/" -keyout "$WORK/key" \
		-out "$WORK/cert" 2> "$WORK/openssl.log" ||
		fail "$(cat "$WORK/openssl.log")"
	expect_eq "signer before" "$(modinfo -F signer "$WORK/signed.ko")" ""
	"$sign" sha256 "$WORK/key" "$WORK/cert" "$WORK/signed.ko"
	expect_eq signer "$(modinfo -F signer "$WORK/signed.ko")" \
		"a test of snapprot"
	expect_eq hash "$(modinfo -F sig_hashalgo "$WORK/signed.ko")" sha256
}

case_build_deb()
{
	build_packages "$WORK" || fail "the packages do not build"
	expect_eq packages "$(find "$WORK/0" "$WORK/1" -name '*.deb' | wc -l)" 4
	# Whoever publishes them sets DEBEMAIL; until then nobody can be written to.
	lintian --allow-root --fail-on none --tag-display-limit 0 \
		--suppress-tags bogus-mail-host,bogus-mail-host-in-debian-changelog \
		"$WORK"/0/*.deb > "$WORK/lintian"
	expect_eq lintian "$(cat "$WORK/lintian")" ""
}

# expect_modules <version>: DKMS has it for all kernels, signed with the key that it
# has made itself, and modprobe finds it
expect_modules()
{
	local release

	for release in $(chroot_kernels); do
		expect_eq "dkms for $release" \
			"$(inside dkms status snapprot -k "$release" 2> /dev/null)" \
			"snapprot/$1, $release, x86_64: installed"
		expect_match "modprobe for $release" \
			"$(inside modprobe -S "$release" -nv dm-snapprot 2>&1)" \
			'/updates/dkms/dm-snapprot\.ko'
		expect_eq "signer for $release" \
			"$(inside modinfo -k "$release" -F signer dm-snapprot)" \
			"DKMS module signing key"
	done
	expect_eq "versions that dkms has" \
		"$(inside dkms status snapprot 2> /dev/null | sed 's/,.*//' |
			sort -u)" "snapprot/$1"
}

# expect_as_before: all files are there that were, and no others
expect_as_before()
{
	chroot_files > "$WORK/files.after"
	expect_eq "what is left, or gone" \
		"$(diff "$WORK/files.before" "$WORK/files.after" | head)" ""
}

# packages <option of dpkg> <what>...
packages()
{
	inside dpkg "$@" > "$WORK/dpkg.log" 2>&1 ||
		fail "$(tail -n 20 "$WORK/dpkg.log")"
}

# install_debs <directory>
install_debs()
{
	rm -rf "$ROOT"/try/debs
	cp -r "$1" "$ROOT/try/debs"
	packages --install --recursive /try/debs
}

case_packages_installed()
{
	chroot_new
	chroot_files > "$WORK/files.before"
	[ "$(chroot_kernels | wc -l)" -ge 2 ] || fail "headers of one kernel only"
	install_debs "$WORK/0"
	expect_modules "$VERSION"
}

case_packaged_tool_works()
{
	expect_match version "$(inside snapprot --version)" "^snapprot $VERSION "
	truncate -s 9M "$ROOT/try/o"
	truncate -s 16M "$ROOT/try/s"
	inside snapprot format /try/o /try/s > "$WORK/format"
	expect_match format "$(cat "$WORK/format")" '^VOLUME_UUID='
	inside snapprot check /try/s > "$WORK/check" || fail "check: exit code $?"
	expect_match probe "$(inside snapprot probe /try/s)" 'TYPE=store'
}

case_upgrade_keeps()
{
	echo "data /dev/vdb -" > "$ROOT/etc/snapprottab"
	install_debs "$WORK/1"
	expect_modules "$VERSION+1"
	expect_eq tab "$(cat "$ROOT/etc/snapprottab")" "data /dev/vdb -"
	expect_eq "old source" "$(find "$ROOT/usr/src" -maxdepth 1 \
		-name 'snapprot-*' -printf '%f\n')" "snapprot-$VERSION+1"
}

case_removal_keeps_the_tab()
{
	packages --remove snapprot-tools snapprot-dkms
	expect_eq tab "$(cat "$ROOT/etc/snapprottab")" "data /dev/vdb -"
	expect_eq modules "$(find "$ROOT/lib/modules" -name 'dm-snapprot*')" ""
	for release in $(chroot_kernels); do
		! inside modprobe -S "$release" -n dm-snapprot 2> /dev/null ||
			fail "modprobe for $release still knows it"
	done
}

case_purge_leaves_nothing()
{
	packages --purge snapprot-tools snapprot-dkms
	expect_as_before
}

case_make_dkms_install()
{
	mkdir "$ROOT/try/tree"
	tar -C "$TOP" -c Makefile scripts dm-snapprot userspace/tool.h |
		tar -C "$ROOT/try/tree" -x
	inside make -s -C /try/tree dkms-install > "$WORK/dkms.log" 2>&1 ||
		fail "$(tail -n 20 "$WORK/dkms.log")"
	expect_modules "$VERSION"
	# A second time is no failure.
	inside make -s -C /try/tree dkms-remove > "$WORK/dkms.log" 2>&1 ||
		fail "$(tail -n 20 "$WORK/dkms.log")"
	inside make -s -C /try/tree dkms-remove > "$WORK/dkms.log" 2>&1 ||
		fail "$(tail -n 20 "$WORK/dkms.log")"
	expect_as_before
}

run_cases case_make_install case_signed case_build_deb \
	case_packages_installed case_packaged_tool_works case_upgrade_keeps \
	case_removal_keeps_the_tab case_purge_leaves_nothing \
	case_make_dkms_install
