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
	new_dir
	volume
	play 1 <<< "generation 7"
	tool 0 probe s
	safe
	expect_eq type "$(value SNAPPROT_TYPE)" store
	expect_eq version "$(value SNAPPROT_VERSION)" 1
	expect_eq supported "$(value SNAPPROT_SUPPORTED)" 1
	expect_eq generation "$(value SNAPPROT_GENERATION)" 7
	expect_eq protected "$(value SNAPPROT_PROTECTED)" 0
	expect_eq size "$(value SNAPPROT_ORIGIN_SECTORS)" 16384
	expect_eq lost "$(value SNAPPROT_LOST)" 0
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
	new_dir
	volume
	play 1 <<< "generation 7"
	flip 0
	tool 0 probe s
	expect_eq generation "$(value SNAPPROT_GENERATION)" 7
	flip 0
	flip 64
	tool 0 probe s
	expect_eq generation "$(value SNAPPROT_GENERATION)" 7
	flip 0
	tool 4 probe s
	expect_match error "$ERR" "damaged store"
	expect_eq output "$OUT" ""
}

case_the_newer_copy_counts()
{
	new_dir
	volume
	dd if=s of=old bs=4096 count=1 status=none
	play 1 <<< "generation 7"
	dd if=old of=s bs=4096 count=1 conv=notrunc status=none
	tool 0 probe s
	expect_eq generation "$(value SNAPPROT_GENERATION)" 7
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
	poke 2048 16 0500000000000000 o
	poke 2048 72 07000000060000000900000000000000 o
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
	poke 0 56 02000000
	poke 64 56 02000000
	poke 2048 56 03000000 o
	poke 2049 56 03000000 o
	tool 0 probe s
	safe
	expect_eq type "$(value SNAPPROT_TYPE)" store
	expect_eq version "$(value SNAPPROT_VERSION)" 2
	expect_eq supported "$(value SNAPPROT_SUPPORTED)" 0
	expect_eq generation "$(value SNAPPROT_GENERATION)" ""
	tool 0 probe o
	expect_eq version "$(value SNAPPROT_VERSION)" 3
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
	dd if=s of=o conv=notrunc bs=4096 count=100 status=none
	tool 0 probe o
	expect_eq type "$(value SNAPPROT_TYPE)" store
}

case_the_tool_itself()
{
	local name

	tool 0 --version
	expect_match version "$OUT" '^snapprot [0-9.]+ \(store format 1\)$'
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
	case_the_newer_copy_counts case_label case_newer_version case_neither \
	case_store_on_an_origin case_the_tool_itself
