#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What make install puts in place: the tool, the daemon, manuals, bash's completion, and
# what the boot needs.
# module: no

# shellcheck source=tests/lib/tools.sh
. "$(dirname "$0")/../lib/tools.sh"
US=$TOP/userspace

# commands: all of them, as the tool itself says
commands()
{
	"$SNAPPROT" help |
		sed -n 's/^  snapprot \([a-z][a-z-]*\) .*/\1/p' | grep -vx help
}

case_install()
{
	new_dir
	make_install install DESTDIR="$PWD/root" PREFIX=/usr \
		UDEVDIR=/lib/udev UNITDIR=/lib/systemd/system \
		GENERATORDIR=/lib/systemd/system-generators
	expect_eq files "$(cd root && find . ! -type d | sort | paste -s -d ' ')" \
		"./lib/systemd/system-generators/snapprot-generator\
 ./lib/systemd/system/snapprot-hold.service\
 ./lib/systemd/system/snapprot-release.service\
 ./lib/systemd/system/snapprot-store@.service\
 ./lib/systemd/system/snapprot.target\
 ./lib/systemd/system/snapprotd.service\
 ./lib/systemd/system/sysinit.target.wants/snapprot-hold.service\
 ./lib/systemd/system/sysinit.target.wants/snapprot-release.service\
 ./lib/systemd/system/sysinit.target.wants/snapprot.target\
 ./lib/udev/rules.d/59-snapprot.rules ./lib/udev/rules.d/69-snapprot.rules\
 ./usr/lib/snapprot/snapprot-hold ./usr/sbin/snapprot ./usr/sbin/snapprotd\
 ./usr/share/bash-completion/completions/snapprot\
 ./usr/share/initramfs-tools/hooks/snapprot\
 ./usr/share/initramfs-tools/scripts/local-block/snapprot\
 ./usr/share/initramfs-tools/scripts/local-top/snapprot\
 ./usr/share/man/man5/snapprottab.5 ./usr/share/man/man7/dm-snapprot.7\
 ./usr/share/man/man8/snapprot.8 ./usr/share/man/man8/snapprotd.8"
	root/usr/sbin/snapprot --version > version
	expect_match version "$(cat version)" '^snapprot [0-9]'
	root/usr/sbin/snapprotd --version > version
	expect_match version "$(cat version)" '^snapprotd [0-9]'
	grep -qx ExecStart=/usr/sbin/snapprotd \
		root/lib/systemd/system/snapprotd.service
	make_install uninstall DESTDIR="$PWD/root" PREFIX=/usr \
		UDEVDIR=/lib/udev UNITDIR=/lib/systemd/system \
		GENERATORDIR=/lib/systemd/system-generators
	expect_eq left "$(find root ! -type d)" ""
}

# What names the tool names it where it is, though make was told another place.
case_paths()
{
	local path

	new_dir
	for path in /usr /usr/local; do
		make_install install DESTDIR="$PWD$path.root" PREFIX="$path"
		expect_eq places "$(grep -rhE '@[A-Z]+@' "$PWD$path.root" ||
			:)" ""
		expect_eq "$path" "$(grep -rhoE '[/a-z]+/snapprot (activate|probe|release)' \
			"$PWD$path.root" --include='*.rules' \
			--include='*.service' | cut -d ' ' -f 1 | sort -u)" \
			"$path/sbin/snapprot"
		grep -q "$path/sbin/snapprot activate" \
			"$PWD$path.root"/*/systemd/system-generators/* \
			"$PWD$path.root"/usr/lib/systemd/system-generators/* \
			2> /dev/null || fail "$path: not in the generator"
	done
}

case_manuals()
{
	local name

	expect_eq lint "$(mandoc -Tlint -W warning "$US"/man/*.[578] 2>&1)" ""
	for name in $(commands); do
		grep -qE "^\.(Cm|It Cm) (.*\| )?$name\b" "$US/man/snapprot.8" ||
			fail "snapprot.8 has no $name"
	done
	# Every option that is in a usage line.
	for name in $("$SNAPPROT" help | grep -oE '\[?--[a-z-]+' | tr -d '[-' |
		sort -u); do
		tr -d '-' < "$US/man/snapprot.8" | grep -qE "F?l? ?\b$name\b" ||
			fail "snapprot.8 has no --$name"
	done
}

# complete_words <word>...: what the completion makes of them
complete_words()
{
	(
		compopt() { :; }
		snapprot()
		{
			case $1 in
			status) printf '%s\n' data "my data" ;;
			list) printf '%s\n' " 7" "18" ;;
			help) "$SNAPPROT" "$@" ;;
			esac
		}
		# shellcheck source=userspace/completion/snapprot
		. "$US/completion/snapprot"
		COMP_WORDS=(snapprot "$@")
		COMP_CWORD=$#
		_snapprot
		printf '%s\n' ${COMPREPLY[@]+"${COMPREPLY[@]}"} | paste -s -d ,
	)
}

case_completion()
{
	expect_eq commands "$(complete_words '' | tr , '\n' | grep -vx help |
		sort | paste -s -d ' ')" "$(commands | sort | paste -s -d ' ')"
	expect_eq command "$(complete_words sn)" snapshot
	expect_eq volume "$(complete_words snapshot da)" data
	expect_eq volumes "$(complete_words snapshot --id 7 '')" \
		'data,my\ data'
	expect_eq id "$(complete_words delete data '')" 7,18
	expect_eq fault "$(complete_words clear data store_m)" store_missing
	expect_eq option "$(complete_words normal --d)" --drop-snapshots
	expect_eq column "$(complete_words status -o US)" USED,USE%
	expect_eq "to the last" "$(complete_words list -o UU)" UUID
}

# Each option of the daemon, and of the lines that it reads, is explained.
case_manual_of_the_daemon()
{
	local name

	new_dir
	for name in $("$US/snapprotd" --help | grep -oE -- '--[a-z-]+' |
		tr -d '-' | sort -u); do
		tr -d '-' < "$US/man/snapprotd.8" | grep -qE "^\.It Fl $name\b" ||
			fail "snapprotd.8 has no --$name"
	done
	sed -n 's/^\t\[OPTION_.*= "\([a-z_]*\)",$/\1/p' "$US/policy.c" > options
	expect_eq "options" "$(wc -l < options)" 4
	while read -r name; do
		grep -q "^\.It Cm $name=" "$US/man/snapprottab.5" ||
			fail "snapprottab.5 has no $name"
	done < options
}

# Each option that a command's usage line has is completed.
case_completion_is_whole()
{
	local name option

	for name in $(commands); do
		for option in $("$SNAPPROT" help "$name" | head -n 1 |
			grep -oE -- '--[a-z-]+' || :); do
			[[ ,$(complete_words "$name" "$option"), == *",$option,"* ]] ||
				fail "$name: $option is not completed"
		done
	done
}

run_cases case_install case_paths case_manuals case_manual_of_the_daemon \
	case_completion case_completion_is_whole
