# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# A small system of this machine's Debian in a directory, for what installs packages.
# Made by mmdebstrap once, and kept in .build/chroot as an archive; each test has a
# copy. Sourced after common.sh by tests that say "# host: yes" and need to be root.
#
#	chroot_new		makes it in ROOT, a directory that is not there yet
#	chroot_gone		takes it away, and WORK
#	inside <command>...	runs there

CHROOT_PACKAGES=(
	dkms openssl linux-headers-amd64 linux-headers-6.12-amd64
	# what snapprot-tools depends on, so that no test needs the network
	libdevmapper1.02.1 libjson-c5 libsmartcols1 libblkid1 libuuid1 libudev1
	libsystemd0 dmsetup udev
)

# apt_lines: what this machine's apt has of Debian itself, in lines
apt_lines()
{
	apt-get indextargets --format \
		'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(REPO_URI) $(CODENAME) $(COMPONENT)' \
		'Created-By: Packages' 'Origin: Debian'
}

# chroot_base: the archive, made when it is not there or asks for other packages
chroot_base()
{
	local base=$BUILD/chroot/base.tar wanted

	wanted="${CHROOT_PACKAGES[*]}"
	if [ -s "$base" ] && [ "$wanted" = "$(cat "$base.of" 2> /dev/null)" ]; then
		return
	fi
	mkdir -p "$BUILD/chroot"
	rm -f "$base.of"
	# The kernels come with their headers, but nobody boots them.
	apt_lines | mmdebstrap --quiet --format=tar --variant=apt --mode=root \
		--include="$(tr ' ' , <<< "$wanted")" \
		--dpkgopt='path-exclude=/lib/modules/*/kernel/*' \
		--dpkgopt='path-exclude=/etc/kernel/postinst.d/initramfs-tools' \
		--dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt=force-unsafe-io \
		"$(. /etc/os-release; echo "$VERSION_CODENAME")" "$base.new" - >&2
	mv "$base.new" "$base"
	printf '%s\n' "$wanted" > "$base.of"
}

chroot_new()
{
	local release

	chroot_base
	mkdir "$ROOT"
	tar -C "$ROOT" -xf "$BUILD/chroot/base.tar" --numeric-owner
	mount --bind /proc "$ROOT/proc"
	mkdir -p "$ROOT/try"
	# The kernel that runs is as a rule one of those that are installed.
	mkdir -p "$ROOT/lib/modules/$(uname -r)"
	# As the packages of the kernels do.
	for release in $(chroot_kernels); do
		inside depmod "$release" 2> /dev/null
		touch "$ROOT/boot/config-$release"
	done
}

chroot_gone()
{
	! mountpoint -q "$ROOT/proc" || umount "$ROOT/proc"
	rm -rf "$WORK"
}

inside()
{
	env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C \
		DEBIAN_FRONTEND=noninteractive chroot "$ROOT" "$@"
}

# chroot_kernels: releases that there are headers of
chroot_kernels()
{
	local dir

	for dir in "$ROOT"/lib/modules/*/build; do
		dir=${dir%/build}
		echo "${dir##*/}"
	done
}

# chroot_files: all files of the system that are somebody's business
chroot_files()
{
	(
		cd "$ROOT" || exit
		find . -xdev \( -path ./proc -o -path ./try -o -path ./tmp \
			-o -path ./var/cache -o -path ./var/log -o -path ./run \
			-o -path './var/lib/dpkg/*-old' \
			-o -path './var/lib/dkms/mok.*' \) -prune -o -print
	) | sort
}
