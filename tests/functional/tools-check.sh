#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# snapprot check and snapprot dump: each kind of damage is found, nothing is
# changed, nothing is found where there is nothing.
# module: no

# shellcheck source=tests/lib/tools.sh
. "$(dirname "$0")/../lib/tools.sh"

# damaged <words>: check says damaged, and somewhere says the words
damaged()
{
	unchanged tool 1 check s
	[[ $OUT = *"$1"* ]] || fail "said '$OUT', expected '$1'"
	expect_match error "$ERR" "s: damaged, [0-9]+ problems$"
}

# each <kind> <words>: damage in every block of that kind is found
each()
{
	local block count=0

	for block in $(blocks "$1"); do
		flip "$block" 300
		damaged "$2"
		flip "$block" 300
		count=$((count + 1))
	done
	[ "$count" -gt 0 ] || fail "no block of kind $1"
	tool 0 check s
}

case_sound_stores()
{
	new_dir
	volume
	unchanged tool 0 check s
	expect_eq verdict "$OUT" "s: sound"
	content
	unchanged tool 0 check s
	play 2 <<- END
		delete 2
		random 20
		checkpoint
		delete 1
		lose
		create 9
		random 30
	END
	unchanged tool 0 check s
	VIEW_OF=s expect_views 3=lost 4=lost 9=right
}

case_json()
{
	new_dir
	content
	tool 0 check --json s
	expect_match json "$OUT" \
		'^\{"store":"s","verdict":"sound","uuid":"[0-9a-f-]{36}","problems":\[\],"notes":\[\]\}$'
	flip "$(blocks leaf | head -n 1)" 300
	mv s $'a "b\\\tc'
	tool 1 check --json $'a "b\\\tc'
	expect_match json "$OUT" \
		'^\{"store":"a \\"b\\\\\\u0009c","verdict":"damaged","uuid":".*","problems":\[\{"block":[0-9]+,"what":"[^"]+"\}.*\],"notes":\[\]\}$'
	tool 2 check --json o
	expect_match json "$OUT" \
		'^\{"store":"o","verdict":"unknown","error":"is not a store","problems":\[\],"notes":\[\]\}$'
	! command -v python3 > /dev/null || python3 -m json.tool <<< "$OUT" \
		> /dev/null
}

case_superblocks()
{
	new_dir
	content
	flip 0
	damaged "block 0: superblock copy 0"
	flip 0
	flip 64 4000
	damaged "block 64: superblock copy 1"
	flip 0
	damaged "both superblocks are damaged"
}

case_nodes()
{
	new_dir
	content
	each node "node of the index"
	each leaf "node of the index"
}

case_directory_and_tables()
{
	new_dir
	content
	each directory "directory"
	each snapshots "table of snapshots"
	each bitmap "bitmap"
}

case_old_data()
{
	local block

	new_dir
	content
	# The log's last step is another matter: case_last_step.
	play 1 <<< checkpoint
	for block in $(blocks data | awk 'NR % 150 == 1'); do
		flip "$block" 4095
		damaged "block $block: old data"
		flip "$block" 4095
	done
	tool 0 check s
}

# A step in the middle of the log: the steps behind it tell.
case_log()
{
	local block

	new_dir
	content
	for block in $(blocks log | sed '$d' | sed -n '1p;5p;$p'); do
		flip "$block" 100
		damaged "behind the log's end"
		flip "$block" 100
		cp s sound
		clobber "$block"
		damaged "behind the log's end"
		mv sound s
	done
	tool 0 check s
}

# The last step is damaged, or a crash cut it off: a note, no verdict.
case_last_step()
{
	local block offset

	new_dir
	content
	block=$(last_log)
	for offset in 0 5 9 17 30 41 45 50 60 65 90 2000; do
		flip "$block" "$offset"
		unchanged tool 0 check s
		expect_match note "$OUT" "note: block $block: step of the log"
		flip "$block" "$offset"
	done
	tool 0 check s
	expect_eq verdict "$OUT" "s: sound"
}

# Two steps that one flush was to make durable, and the first of them is missing:
# the second does not say that the first was durable, so a crash did that.
case_last_group()
{
	local first last before

	new_dir
	content
	last=$(last_log)
	first=$(blocks log | tail -n 2 | head -n 1)
	before=$(od -A n -t u8 -j $((first * 4096 + 16)) -N 8 s)
	flip "$first" 100
	damaged "behind the log's end"
	poke "$last" 56 "$(le64 $((before - 1)))"
	unchanged tool 0 check s
	expect_match note "$OUT" "note: block $first: step of the log"
}

case_crash_leftovers()
{
	new_dir
	content
	cp s sound
	play 3 <<< torn
	unchanged tool 0 check s
	expect_match note "$OUT" "note: block [0-9]+: step of the log"
	mv sound s
	play 3 <<< unpayed
	unchanged tool 0 check s
	expect_match note "$OUT" "note: block [0-9]+: step of the log"
	VIEW_OF=s expect_views 1=right 2=right 3=right 4=right
}

# Not only blocks: what they say must fit together as well.
case_rules()
{
	local leaf node free

	new_dir
	content
	leaf=$(blocks leaf | sed -n 2p)
	node=$(blocks node)
	cp s sound
	# an epoch that never was
	poke "$leaf" 80 77000000
	damaged "node of the index"
	cp sound s
	# a place in nowhere
	poke "$leaf" 72 ffffffffffff0000
	damaged "node of the index"
	cp sound s
	# another volume's
	poke "$leaf" 24 00
	damaged "node of the index"
	cp sound s
	# a node that points to itself
	poke "$node" 72 "$(le64 "$node")"
	damaged "node of the index"
	cp sound s
	# another count of entries
	poke 0 176 01000000
	poke 64 176 01000000
	damaged "count"
	cp sound s
	# one free block less
	tool 0 dump s
	free=$(sed -n 's/superblock nr_free //p' <<< "$OUT")
	poke 0 200 "$(le64 $((free - 1)))"
	poke 64 200 "$(le64 $((free - 1)))"
	damaged "free blocks"
}

case_two_old_blocks_at_one_place()
{
	local leaf

	new_dir
	content
	leaf=$(blocks leaf | head -n 1)
	# the place of the first entry becomes that of the second
	dd if=s bs=1 skip=$((leaf * 4096 + 96)) count=8 status=none |
		dd of=s bs=1 seek=$((leaf * 4096 + 72)) conv=notrunc status=none
	poke "$leaf" 44 00
	damaged "used twice"
}

# A device that has shrunk is damage where something was in use, and only there.
case_truncated()
{
	local last size

	new_dir
	content
	last=$("$SNAPPROT" dump --map s | awk '{ print $2 }' | sort -n |
		tail -n 1)
	cp s whole
	truncate -s $(((last + 2) * 4096)) s
	unchanged tool 0 check s
	for size in $((last * 4096)) 4M 4092K 300K 4K; do
		cp whole s
		truncate -s "$size" s
		damaged "block"
	done
}

case_cannot_tell()
{
	local flags

	new_dir
	files blank 16M empty 0
	head -c 5M /dev/urandom > random
	for file in blank empty random none . /dev/null; do
		unchanged tool 2 check "$file"
		expect_eq output "$(grep -v '"' <<< "$OUT")" ""
	done
	volume
	poke 0 56 02000000
	poke 64 56 02000000
	unchanged tool 2 check s
	expect_match error "$ERR" "version unknown"
	for flags in 03 00; do
		poke 0 56 "010000000000000000000000${flags}00"
		poke 64 56 "010000000000000000000000${flags}00"
		unchanged tool 2 check s
	done
	tool 2 check
	tool 2 check s s
	tool 2 check --bogus s
}

case_wrong_block_size()
{
	new_dir
	volume
	poke 0 72 00100100
	poke 64 72 00100100
	damaged "both superblocks are damaged"
}

# ---- dump ----------------------------------------------------------------------

case_dump_fields()
{
	new_dir
	content
	play 2 <<< "generation 5"
	unchanged tool 0 dump s
	tool 0 probe s
	uuid=$(value SNAPPROT_UUID)
	tool 0 dump s
	for line in "superblock uuid $uuid" "superblock generation 5" \
		"superblock protected 0" "superblock origin_sectors 16384" \
		"superblock block_size 4096" "superblock nr_snaps 2" \
		"snapshot 1 state valid" "snapshot 3 time 1700000003" \
		"snapshot 4 sectors 16384" "log epoch 5"; do
		grep -qxF "$line" <<< "$OUT" || fail "no '$line'"
	done
	grep '^exception' <<< "$OUT" > exceptions
	# in the order of keys, and none twice
	sort -n -k 2,2 -k 4,4 -u exceptions | cmp - exceptions
}

# What has been preserved meanwhile is all that is new.
case_dump_diffs_well()
{
	new_dir
	content
	tool 0 dump s
	cp "$WORK/out" before
	tool 0 dump s
	cmp before "$WORK/out"
	play 9 <<- END
		create 5
		write 100 2
	END
	tool 0 dump s
	cp "$WORK/out" after
	expect_eq "lines that went" "$(diff before after | grep '^<')" \
		"$(grep '^log' before | sed 's/^/< /')"
	expect_eq "exceptions that came" \
		"$(diff before after | grep -c '^> exception 10[01] epoch 6')" 2
	expect_eq "snapshots that came" \
		"$(diff before after | grep -c '^> snapshot 5')" 4
	play 9 <<< checkpoint
	"$SNAPPROT" dump s | grep -e '^snapshot' -e '^exception' > after2
	grep -e '^snapshot' -e '^exception' after | cmp - after2
}

case_dump_of_damage()
{
	local leaf

	new_dir
	content
	tool 0 dump s
	grep '^exception' <<< "$OUT" > all
	leaf=$(blocks leaf | sed -n 3p)
	flip "$leaf" 300
	unchanged tool 1 dump s
	expect_match error "$ERR" "s: is damaged"
	grep -qx "damaged block $leaf: node of the index" <<< "$OUT"
	grep '^exception' <<< "$OUT" > rest
	expect_eq "new exceptions" "$(comm -13 <(sort all) <(sort rest))" ""
	[ -s rest ] || fail "nothing left"
	tool 4 dump o
	tool 2 dump
	flip 0
	flip 64
	tool 1 dump s
}

run_cases case_sound_stores case_json case_superblocks case_nodes \
	case_directory_and_tables case_old_data case_log case_last_step \
	case_last_group case_crash_leftovers case_rules \
	case_two_old_blocks_at_one_place case_truncated case_cannot_tell \
	case_wrong_block_size \
	case_dump_fields case_dump_diffs_well case_dump_of_damage
