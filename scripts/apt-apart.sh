# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# An apt with lists and a cache of its own, for packages that are not to be installed
# here. Sourced; expects APT, a directory for it, and die.

# mirror: where this machine has Debian's main archive from
mirror()
{
	apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' |
		grep -m 1 -E '/debian/*$'
}

# configure_apt <architecture> <suite>...: an apt that knows of nothing but the suites,
# and prefers the first. From now on apt-get is that one.
configure_apt()
{
	local arch=$1 uri suite keyring=/usr/share/keyrings/debian-archive-keyring.gpg

	shift
	uri=$(mirror) || die "no mirror of Debian among apt's sources"
	[ -e "$keyring" ] || die "no $keyring (debian-archive-keyring)"
	mkdir -p "$APT"/{parts,lists/partial,cache/archives/partial}
	: > "$APT/status"
	for suite; do
		echo "deb [signed-by=$keyring] $uri $suite main"
	done > "$APT/sources.list"
	cat > "$APT/apt.conf" <<- END
		APT::Architecture "$arch";
		APT::Architectures { "$arch"; };
		APT::Default-Release "$1";
		APT::Install-Recommends "false";
		APT::Sandbox::User "root";
		Acquire::Languages "none";
		Dir::Etc::Parts "$APT/parts";
		Dir::Etc::SourceList "$APT/sources.list";
		Dir::Etc::SourceParts "$APT/parts";
		Dir::Etc::PreferencesParts "$APT/parts";
		Dir::State "$APT";
		Dir::State::Status "$APT/status";
		Dir::Cache "$APT/cache";
	END
	export APT_CONFIG=$APT/apt.conf
	apt-get update -qq >&2
}

# unpack <directory> <package>...: what the files of packages have, into a root
# directory that is laid out as a system of Debian is. EXCLUDE are words for tar.
unpack()
{
	local root=$1 name file

	shift
	mkdir -p "$root/usr"
	# As a system has it where these come from; dpkg would not ask.
	for name in bin sbin lib lib64; do
		mkdir -p "$root/usr/$name"
		ln -sfn "usr/$name" "$root/$name"
	done
	for file; do
		dpkg-deb --fsys-tarfile "$file" |
			tar -x -C "$root" --keep-directory-symlink "${EXCLUDE[@]}"
	done
}
