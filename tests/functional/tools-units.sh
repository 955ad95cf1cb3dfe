#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The units that snapprot-generator makes of a tab.
# module: no

# shellcheck source=tests/lib/tools.sh
. "$(dirname "$0")/../lib/tools.sh"
GENERATOR=$TOP/userspace/obj-asan/snapprot-generator

# generate [<variable>=<value>]...: of the tab on standard input, into the directory
# units; SAID is what it complained of
generate()
{
	new_dir
	cat > tab
	mkdir units
	SAID=$(env "$@" SNAPPROTTAB="$PWD/tab" "$GENERATOR" "$PWD/units" 2>&1)
}

# units: all files and links, sorted
units()
{
	(cd units && find . ! -type d | sort | cut -c 3- | paste -s -d ' ')
}

# has <unit> <setting>...: each a whole line
has()
{
	local line unit=$1

	shift
	for line; do
		grep -qxF -- "$line" "units/$unit" ||
			fail "$unit has no '$line', but: $(cat "units/$unit")"
	done
}

# has_not <unit> <part of a line>...
has_not()
{
	local part unit=$1

	shift
	for part; do
		! grep -F -- "$part" "units/$unit" ||
			fail "$unit has '$part'"
	done
}

case_plain()
{
	generate <<< "data /dev/sdb1 -"
	expect_eq said "$SAID" ""
	expect_eq units "$(units)" "dev-mapper-data.device.d/40-snapprot.conf\
 dev-mapper-data.device.requires/snapprot@data.service\
 dev-snapprot-data.device.d/40-snapprot.conf\
 dev-snapprot-data.device.requires/snapprot@data.service\
 snapprot.target.requires/snapprot@data.service snapprot@data.service"
	has snapprot@data.service BindsTo=dev-sdb1.device After=dev-sdb1.device \
		Before=snapprot.target Conflicts=umount.target \
		Before=blockdev@dev-mapper-data.target Type=oneshot
	grep -q '^ExecStart=/.*/snapprot activate --wait -- "data"$' \
		units/snapprot@data.service
	has dev-mapper-data.device.d/40-snapprot.conf \
		JobRunningTimeoutSec=infinity
	[ -s units/snapprot.target.requires/snapprot@data.service ]
}

case_options()
{
	generate <<- END
		one /dev/a - nofail
		two /dev/b - noauto
		three /dev/c - _netdev
		four /dev/d - x-initrd.attach,label=/dev/e
	END
	expect_eq said "$SAID" ""
	expect_eq wanted "$(units | tr ' ' '\n' | grep target | paste -s -d ' ')" \
		"remote-fs.target.wants/snapprot@three.service\
 snapprot.target.requires/snapprot@four.service\
 snapprot.target.wants/snapprot@one.service"
	has_not snapprot@one.service snapprot.target
	has_not snapprot@two.service snapprot.target
	has snapprot@three.service Before=remote-fs.target \
		Wants=network-online.target
	has_not snapprot@three.service Before=snapprot.target
	has snapprot@four.service BindsTo=dev-d.device BindsTo=dev-e.device
	has_not snapprot@four.service umount.target
}

# Where one lies on another, they also stop in order.
case_stack()
{
	generate <<- END
		my\\040base /dev/a -
		upper /dev/mapper/my\\134x20base -
		label /dev/b - label=/dev/snapprot/upper
		store /dev/c /dev/mapper/label
	END
	expect_eq said "$SAID" ""
	has snapprot@upper.service 'After=snapprot@my\x20base.service'
	has snapprot@label.service After=snapprot@upper.service
	has snapprot@store.service After=snapprot@label.service
	has_not snapprot@store.service dev-mapper-label
}

# In an initrd with systemd only what the root needs.
case_initrd()
{
	generate SYSTEMD_IN_INITRD=1 <<- END
		one /dev/a -
		two /dev/b - x-initrd.attach
	END
	expect_eq services "$(cd units && ls -d ./*.service)" \
		./snapprot@two.service
	has snapprot@two.service Conflicts=umount.target
}

case_names()
{
	local name path

	# As systemd escapes them itself.
	for name in 'my data' '.hidden' 'a-b' 'ä%i$HOME' 'q"uote' "it's"; do
		generate <<< "${name// /\\040} /dev/disk/by-id/x-y:1\\040z -"
		expect_eq "$name: said" "$SAID" ""
		path=snapprot@$(systemd-escape -- "$name").service
		[ -f "units/$path" ] || fail "$name: no $path in $(units)"
		has "$path" "After=$(systemd-escape --path --suffix=device \
			'/dev/disk/by-id/x-y:1 z')"
	done
	generate <<< 'my\040data PARTLABEL=a\040b/c -'
	has 'snapprot@my\x20data.service' "After=$(systemd-escape --path \
		--suffix=device '/dev/disk/by-partlabel/a\x20b\x2fc')" \
		"Before=blockdev@$(systemd-escape --path --suffix=target \
			'/dev/mapper/my\x20data')"
	generate <<< 'image /srv/disk\040image -'
	has snapprot@image.service 'RequiresMountsFor="/srv/disk image"'
	# What the words are in the end is for systemd to say.
	generate <<< 'a"b%i\040$HOME\134 /dev/a -'
	grep -qF -- '-- "a\x22b%%i $$HOME\x5c"' units/*.service
}

case_wrong()
{
	local long

	generate <<- END
		one /dev/a
		two /dev/b - protect
		three /dev/c - nonsense
	END
	expect_match said "$SAID" "tab:1:[0-9]+: the store is missing.*
snapprot-generator: .*tab:3:16: unknown option\$"
	expect_eq services "$(cd units && ls -d ./*.service)" ./snapprot@two.service
	# Not too long for a device, but for a unit.
	long=$(printf '%0100d' 0 | tr 0 -)
	generate <<- END
		$long /dev/a -
		two /dev/b -
	END
	expect_match said "$SAID" 'tab:1: this name is too long for a unit'
	expect_eq services "$(cd units && ls -d ./*.service)" ./snapprot@two.service
	rm tab
	mkdir none
	SNAPPROTTAB=$PWD/tab "$GENERATOR" "$PWD/none"
	expect_eq "no tab" "$(find none -type f)" ""
	expect_exit 2 "$GENERATOR"
	expect_exit 1 env SNAPPROTTAB=/dev/zero "$GENERATOR" "$PWD/none"
}

# systemd's own opinion of what is made here and installed with it.
case_verified()
{
	local said

	generate <<- END
		one /dev/a - nofail
		my\\040data PARTUUID=12-3 - _netdev,label=/dev/b
	END
	make_install install PREFIX=/usr DESTDIR="$PWD/root" UNITDIR=/units
	said=$(SYSTEMD_UNIT_PATH=$PWD/units:$PWD/root/units:/lib/systemd/system \
		systemd-analyze verify --man=no units/*.service \
		root/units/*.service root/units/*.target 2>&1 |
		grep -v 'snapprot.* is not executable') || :
	expect_eq said "$said" ""
}

run_cases case_plain case_options case_stack case_initrd case_names case_wrong \
	case_verified
