#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# snapprot unprotect-store and wipe, on files.
# module: no

# shellcheck source=tests/lib/tools.sh
. "$(dirname "$0")/../lib/tools.sh"

protected_store()
{
	new_dir
	content
	play 9 <<< protect
}

case_wipe()
{
	new_dir
	content
	unchanged tool 2 wipe s < /dev/null
	unchanged tool 4 wipe --yes o
	expect_match error "$ERR" 'is no store'
	unchanged tool 4 wipe --yes none
	unchanged tool 2 wipe
	unchanged tool 2 wipe --force s
	cp s before
	tool 0 wipe --yes s
	expect_eq output "$OUT" ""
	truncate -s 16M zeroes
	cmp s zeroes
	tool 4 wipe --yes s
}

case_protected_is_refused()
{
	protected_store
	unchanged tool 4 wipe --yes s
	expect_match error "$ERR" 'is protected; take that off first'
	# One copy of the superblock that says so is enough.
	flip 64
	unchanged tool 4 wipe --yes s
}

case_unprotect()
{
	protected_store
	unchanged tool 2 unprotect-store s < /dev/null
	tool 0 unprotect-store --yes s
	tool 0 probe s
	expect_eq protected "$(value SNAPPROT_PROTECTED)" 0
	tool 0 check s
	unchanged tool 0 unprotect-store --yes s
	# Either copy says so.
	cp s both
	flip 0
	tool 0 probe s
	expect_eq "second copy" "$(value SNAPPROT_PROTECTED)" 0
	cp both s
	flip 64
	tool 0 probe s
	expect_eq "first copy" "$(value SNAPPROT_PROTECTED)" 0
	cp both s
	VIEW_OF=s expect_views 1=right 2=right 3=right 4=right
	tool 0 wipe --yes s
}

case_damaged_is_refused()
{
	protected_store
	flip 0
	flip 64
	unchanged tool 4 unprotect-store --yes s
	expect_match error "$ERR" 'is a damaged store'
	unchanged tool 4 wipe --yes s
	protected_store
	poke 0 56 02000000
	poke 64 56 02000000
	unchanged tool 4 unprotect-store --yes s
	expect_match error "$ERR" 'of a version unknown here'
	unchanged tool 4 wipe --yes s
}

# What cannot be loaded is not written to.
case_damaged_inside()
{
	local dir

	protected_store
	dir=$(blocks directory | head -n 1)
	[ -n "$dir" ] || dir=$(blocks dir | head -n 1)
	clobber "$dir"
	unchanged tool 1 unprotect-store --yes s
	expect_match error "$ERR" 'is damaged'
}

run_cases case_wipe case_protected_is_refused case_unprotect \
	case_damaged_is_refused case_damaged_inside
