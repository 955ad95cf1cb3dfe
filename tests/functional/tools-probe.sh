#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# snapprot probe, and what the tool says of itself.
# module: no

# shellcheck source=tests/lib/tools.sh
. "$(dirname "$0")/../lib/tools.sh"

# Whatever is printed may be imported by a udev rule.
safe()
{
	local line

	while IFS= read -r line; do
		[[ $line =~ ^SNAPPROT_[A-Z_]+=[A-Za-z0-9._-]+$ ]] ||
			fail "not safe: '$line'"
	done <<< "$OUT"
}

case_store()
{
	local first

	new_dir
	volume
	play 1 <<< "generation 7"
	tool 0 probe s
	safe
	expect_eq type "$(value SNAPPROT_TYPE)" store
	expect_eq version "$(value SNAPPROT_VERSION)" 2
	expect_eq supported "$(value SNAPPROT_SUPPORTED)" 1
	expect_eq generation "$(value SNAPPROT_GENERATION)" 7
	expect_eq protected "$(value SNAPPROT_PROTECTED)" 0
	expect_eq size "$(value SNAPPROT_ORIGIN_SECTORS)" 16384
	expect_eq lost "$(value SNAPPROT_LOST)" 0
	expect_eq role "$(value SNAPPROT_ROLE)" main
	expect_match "store id" "$(value SNAPPROT_STORE_ID)" \
		'^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
	first=$(value SNAPPROT_STORE_ID)
	tool 0 probe o
	expect_eq "store id of the label" "$(value SNAPPROT_STORE_ID)" "$first"
	tool 0 format --force --uuid "$(value SNAPPROT_UUID)" o s
	tool 0 probe s
	[ "$first" != "$(value SNAPPROT_STORE_ID)" ] || fail "same store id twice"
}

case_store_protected_and_lost()
{
	new_dir
	volume
	play 1 <<- END
		create 1
		protect
		lose
	END
	tool 0 probe s
	safe
	expect_eq protected "$(value SNAPPROT_PROTECTED)" 1
	expect_eq lost "$(value SNAPPROT_LOST)" 1
	expect_eq why "$(value SNAPPROT_LOST_FAULT)" cow_write
}

case_one_copy_is_enough()
{
	local block other

	new_dir
	volume
	play 1 <<< "generation 7"
	cp s whole
	for block in $(newest s $SUPERS); do
		cp whole s
		for other in $SUPERS; do
			[ "$other" = "$block" ] || flip "$other"
		done
		tool 0 probe s
		expect_eq generation "$(value SNAPPROT_GENERATION)" 7
	done
	flip "$block"
	tool 4 probe s
	expect_match error "$ERR" "damaged store"
	expect_eq output "$OUT" ""
}

case_the_newer_copy_counts()
{
	local block

	new_dir
	volume
	cp s old
	play 1 <<< "generation 7"
	for block in $(newest s $SUPERS | sed 's/[0-9]*$//'); do
		dd if=old of=s bs=4096 skip="$block" seek="$block" count=1 \
			conv=notrunc status=none
	done
	tool 0 probe s
	expect_eq generation "$(value SNAPPROT_GENERATION)" 7
}

# Each copy is read by itself, and any one is enough.
case_one_label_is_enough()
{
	local block other

	new_dir
	volume
	cp o whole
	for block in $LABELS; do
		cp whole o
		for other in $LABELS; do
			[ "$other" = "$block" ] || clobber "$other" o
		done
		tool 0 probe o
		expect_eq type "$(value SNAPPROT_TYPE)" label
	done
	flip "$block" 100 o
	tool 4 probe o
	expect_match error "$ERR" "damaged label"
}

# The label of a partition at the end of a disk is not the disk's.
case_label_of_another_device()
{
	new_dir
	volume
	files disk 20M
	dd if=o of=disk bs=1M seek=11 conv=notrunc status=none
	tool 4 probe disk
	expect_match error "$ERR" "neither a store nor a label"
}

case_version_1()
{
	new_dir
	files s 16M o 9M
	version_1 SSPS 76 '\0\0\0\0' 0 s
	tool 4 probe s
	expect_match error "$ERR" "a store of a version before the first release"
	version_1 SSPL 72 '\0\0\0\0' 2048 o
	version_1 SSPL 72 '\0\0\0\0' 2049 o
	tool 4 probe o
	expect_match error "$ERR" "a label of a version before the first release"
	clobber 2048 o
	tool 4 probe o
	expect_match error "$ERR" "a label of a version before the first release"
}

case_label()
{
	new_dir
	volume
	tool 0 probe o
	safe
	expect_eq type "$(value SNAPPROT_TYPE)" label
	expect_eq place "$(value SNAPPROT_LABEL_PLACE)" origin
	expect_eq size "$(value SNAPPROT_ORIGIN_SECTORS)" 16384
	expect_eq snapshots "$(value SNAPPROT_SNAPSHOTS)" 0
	# flags, lost_fault and generation of a newer first copy
	poke 2048 24 0500000000000000 o
	poke 2048 80 0700000006000000 o
	poke 2048 120 0900000000000000 o
	tool 0 probe o
	safe
	expect_eq protected "$(value SNAPPROT_PROTECTED)" 1
	expect_eq snapshots "$(value SNAPPROT_SNAPSHOTS)" 1
	expect_eq lost "$(value SNAPPROT_LOST)" 1
	expect_eq why "$(value SNAPPROT_LOST_FAULT)" cow_write
	expect_eq generation "$(value SNAPPROT_GENERATION)" 9
}

case_newer_version()
{
	new_dir
	volume
	poke_supers 64 03000000
	poke_labels 64 04000000
	tool 0 probe s
	safe
	expect_eq type "$(value SNAPPROT_TYPE)" store
	expect_eq version "$(value SNAPPROT_VERSION)" 3
	expect_eq supported "$(value SNAPPROT_SUPPORTED)" 0
	expect_eq generation "$(value SNAPPROT_GENERATION)" ""
	tool 0 probe o
	expect_eq version "$(value SNAPPROT_VERSION)" 4
	expect_eq supported "$(value SNAPPROT_SUPPORTED)" 0
}

case_neither()
{
	new_dir
	files blank 8M empty 0 odd 1000
	head -c 2M /dev/urandom > random
	yes snapprot | head -c 2M > text
	for file in blank empty odd random text; do
		unchanged tool 4 probe "$file"
		expect_eq output "$OUT" ""
	done
	tool 4 probe none
	tool 4 probe .
	tool 2 probe
	tool 2 probe a b
	tool 2 probe --json a
}

# A device that is a store at its start and has a label at its end is a store:
# udev must rather keep its hands off than offer it as a volume.
case_store_on_an_origin()
{
	new_dir
	volume
	tool 0 probe s
	dd if=s of=o conv=notrunc bs=4096 count=600 status=none
	tool 0 probe o
	expect_eq type "$(value SNAPPROT_TYPE)" store
}

case_the_tool_itself()
{
	local name

	tool 0 --version
	expect_match version "$OUT" '^snapprot [0-9.]+ \(store format 2\)$'
	tool 0 --help
	for name in format probe check dump repair; do
		expect_match help "$OUT" "snapprot $name"
		tool 0 help "$name"
		expect_match help "$OUT" "^usage: snapprot $name "
		tool 0 "$name" --help
		tool 0 help
	done
	tool 2
	tool 2 help bogus
	tool 2 help format probe
	tool 2 bogus
	expect_match error "$ERR" "bogus: no such command"
}

run_cases case_store case_store_protected_and_lost case_one_copy_is_enough \
	case_the_newer_copy_counts case_label case_one_label_is_enough \
	case_label_of_another_device case_version_1 case_newer_version case_neither \
	case_store_on_an_origin case_the_tool_itself
