# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# What the tests share of the subcommands that work on loaded volumes: a second
# volume, on the spare disks, and tables in one line. Sourced after common.sh.

# second_volume [<name>]: on two spare disks, loaded as <name> and <name>-st
second_volume()
{
	local name=${1:-second} origin store out

	# shellcheck disable=SC2086 # a list of names
	set -- $SPARE_DISKS
	origin=$1
	store=$2
	out=$("$SNAPPROT" format "$origin" "$store")
	SECOND_UUID=$(sed -n 's/^VOLUME_UUID=//p' <<< "$out")
	dmsetup create "$name-st" \
		--table "0 $(sectors "$store") snapprot-store $store"
	dmsetup create "$name" --table \
		"0 $ORIGIN_SECTORS snapprot $origin $SECOND_UUID"
}

# cells <argument>...: a table without headings, cells separated by one blank
# and lines by semicolons
cells()
{
	tool 0 "$@" --noheadings
	sed 's/  */ /g; s/^ //; s/ $//' <<< "$OUT" | paste -s -d ';'
}

# suspended <name>: Yes or No
suspended()
{
	dmsetup info -c --noheadings -o suspended "$1"
}
