#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# snapprot repair: what can be proved is kept and is right, everything else is
# reported and recorded as lost; the damaged store is never written.
# module: no

# shellcheck source=tests/lib/tools.sh
. "$(dirname "$0")/../lib/tools.sh"

# repair <exit code>: s to n, which must be a sound store then
repair()
{
	local before

	rm -f n
	before=$(sums)
	tool "$1" repair s -o n
	REPORT=$OUT
	mv n "$WORK/n"
	[ "$before" = "$(sums)" ] || fail "the damaged store was changed"
	mv "$WORK/n" n
	tool 0 check n
}

# says <line>...: of the report
says()
{
	local line

	for line; do
		grep -qxE "$line" <<< "$REPORT" ||
			fail "does not say '$line': $REPORT"
	done
}

# same_content: as before the damage, when it was put into the file content
same_content()
{
	tool 0 dump --content n
	cmp "$WORK/out" content
}

# with_content: content, and what it is
with_content()
{
	new_dir
	content
	tool 0 dump --content s
	cp "$WORK/out" content
}

ALL_KEPT=("snapshot 1: kept" "snapshot 2: kept" "snapshot 3: kept"
	"snapshot 4: kept")

# all_kept: nothing was lost
all_kept()
{
	repair 0
	says "${ALL_KEPT[@]}"
	expect_views 1=right 2=right 3=right 4=right
	same_content
}

case_sound_store()
{
	with_content
	all_kept
	[[ $REPORT != *damaged* ]] || fail "damage: $REPORT"
}

case_identity_is_kept()
{
	local uuid

	with_content
	play 5 <<- END
		protect
		generation 12
	END
	tool 0 probe s
	uuid=$(value SNAPPROT_UUID)
	flip 64
	repair 0
	tool 0 probe n
	expect_eq uuid "$(value SNAPPROT_UUID)" "$uuid"
	expect_eq generation "$(value SNAPPROT_GENERATION)" 12
	expect_eq protected "$(value SNAPPROT_PROTECTED)" 1
	expect_eq size "$(value SNAPPROT_ORIGIN_SECTORS)" 16384
	# And so the new one is protected like the old one.
	tool 4 format --force o n
	expect_match error "$ERR" "is a protected store"
}

# Bitmaps, a superblock: nothing that a snapshot needs.
case_damage_that_costs_nothing()
{
	local block count=0

	with_content
	cp s sound
	for block in 0 64 $(blocks bitmap); do
		cp sound s
		clobber "$block"
		tool 1 check s
		all_kept
		count=$((count + 1))
	done
	[ "$count" -ge 3 ] || fail "no bitmap"
}

# The leaves prove by themselves that they are all.
case_root_of_the_index()
{
	with_content
	clobber "$(blocks node)"
	tool 1 check s
	all_kept
}

# Leaves that no bitmap vouches for might be old ones.
case_root_and_bitmap()
{
	with_content
	flip "$(blocks node)"
	for block in $(blocks bitmap) 1; do
		flip "$block"
	done
	repair 1
	says "snapshot 2: lost: the index is incomplete" \
		"snapshot 3: kept" "snapshot 4: kept"
	expect_views 1=lost 2=lost 3=right 4=right
}

# Snapshots that are younger than the checkpoint need only the log.
case_leaf()
{
	local block

	with_content
	for block in $(blocks leaf | sed -n '1p;3p;$p'); do
		flip "$block"
		repair 1
		says "snapshot 1: lost: the index is incomplete" \
			"snapshot 2: lost: the index is incomplete" \
			"snapshot 3: kept" "snapshot 4: kept" \
			"damaged block $block: node of the index"
		expect_views 1=lost 2=lost 3=right 4=right
		flip "$block"
	done
	all_kept
}

case_log_in_the_middle()
{
	with_content
	clobber "$(blocks log | sed -n 5p)"
	repair 1
	says "snapshot 1: lost: the log is cut short or its end is in doubt" \
		"younger snapshots, if there were any: lost: the log is .*"
	# That there was a fourth one cannot be known any more.
	expect_views 1=lost 2=lost 3=lost
}

case_last_step()
{
	with_content
	flip "$(last_log)" 100
	repair 1
	says "doubtful block [0-9]+: step of the log that .*" \
		"snapshot 4: lost: the log is cut short or its end is in doubt"
	expect_views 1=lost 2=lost 3=lost 4=lost
}

# One old block: only the snapshots that read it, and those older than them.
case_old_data()
{
	local line place epoch

	with_content
	# Of epoch 3: for snapshot 2, and for 1 if it has no older one.
	line=$(awk '$1 == "exception" && seen[$2]++ && $4 == 3' \
		<("$SNAPPROT" dump s) | head -n 1)
	place=${line##* }
	epoch=$(cut -d ' ' -f 4 <<< "$line")
	expect_eq epoch "$epoch" 3
	flip "$place" 77
	repair 1
	says "damaged block $place: old data of block [0-9]+, epoch 3" \
		"snapshot 1: lost: a younger one is, .*" \
		"snapshot 2: lost: 1 of its old blocks are damaged" \
		"snapshot 3: kept" "snapshot 4: kept"
	expect_views 1=lost 2=lost 3=right 4=right
	tool 0 probe n
	expect_eq why "$(value SNAPPROT_LOST_FAULT)" metadata_corruption
}

case_old_data_of_the_oldest()
{
	local place

	with_content
	place=$("$SNAPPROT" dump s | awk '$1 == "exception" && $4 == 2 {
		print $NF; exit }')
	clobber "$place"
	repair 1
	says "snapshot 1: lost: 1 of its old blocks are damaged" \
		"snapshot 2: kept" "snapshot 3: kept" "snapshot 4: kept"
	expect_views 1=lost 2=right 3=right 4=right
}

# Old data that nobody needs any more may be damaged.
case_old_data_of_nobody()
{
	local place

	with_content
	place=$("$SNAPPROT" dump s | awk '$1 == "exception" && $4 == 2 {
		print $NF; exit }')
	play 3 <<< "delete 1"
	clobber "$place"
	repair 0
	says "snapshot 2: kept" "snapshot 3: kept" "snapshot 4: kept"
	expect_views 2=right 3=right 4=right
}

case_table_of_snapshots()
{
	with_content
	flip "$(blocks snapshots)"
	repair 1
	says "2 more snapshots: lost: their records cannot be read" \
		"snapshot 3: kept" "snapshot 4: kept"
	expect_views 3=right 4=right
}

case_directory()
{
	with_content
	flip "$(blocks directory)"
	repair 1
	says "2 more snapshots: lost: their records cannot be read" \
		"snapshot 3: kept" "snapshot 4: kept"
	expect_views 3=right 4=right
}

case_both_superblocks()
{
	with_content
	flip 0
	flip 64
	unchanged tool 1 repair s -o n
	expect_match error "$ERR" "nothing can be proved"
	[ ! -e n ] || fail "n was left"
}

case_lost_before()
{
	with_content
	play 3 <<- END
		lose
		create 9
		random 30
	END
	flip "$(blocks bitmap | head -n 1)"
	repair 0
	says "snapshot 1: lost before: cow_write" "snapshot 9: kept"
	expect_views 1=lost 2=lost 3=lost 4=lost 9=right
	tool 0 probe n
	expect_eq why "$(value SNAPPROT_LOST_FAULT)" cow_write
}

# The loss of a snapshot that is not known any more stays a loss.
case_lost_before_in_a_log_that_is_cut()
{
	with_content
	play 3 <<- END
		create 9
		lose
	END
	clobber "$(blocks log | sed -n 2p)"
	repair 1
	says "younger snapshots, if there were any: .*"
	tool 0 probe n
	expect_eq why "$(value SNAPPROT_LOST_FAULT)" cow_write
}

case_crash_leftovers()
{
	with_content
	cp s sound
	play 3 <<< torn
	repair 1
	says "doubtful block [0-9]+: step of the log that .*"
	# The header is whole: that its old blocks are not shows which they are.
	mv sound s
	play 3 <<< unpayed
	repair 1
	says "snapshot 4: lost: 100 of its old blocks are damaged"
	expect_views 1=lost 2=lost 3=lost 4=lost
}

# An index of three levels, of which all inner nodes are gone.
case_deep_index()
{
	local block i

	new_dir
	files o 65M s 96M
	tool 0 format o s
	mkdir d
	{
		echo create 1
		for ((i = 0; i < 16384 - 128; i += 100)); do
			echo "write $i 100"
		done
		printf '%s\n' checkpoint "create 2" "random 300" checkpoint
	} | play 4
	tool 0 dump s
	expect_match levels "$OUT" "superblock root_level 2"
	tool 0 dump --content s
	cp "$WORK/out" content
	for block in $(blocks node); do
		flip "$block"
	done
	repair 0
	says "snapshot 1: kept" "snapshot 2: kept"
	expect_views 1=right 2=right
	same_content
	# With a leaf gone as well they are no longer all.
	tool 0 dump --map n
	flip "$(blocks leaf n | sed -n 70p)" 200 n
	mv n s
	repair 1
	says "snapshot 1: lost: the index is incomplete"
	expect_views 1=lost 2=lost
}

# The repaired store is a store like any other.
case_goes_on_living()
{
	with_content
	flip "$(blocks node)"
	repair 0
	mv n s
	play 6 <<- END
		random 50
		create 5
		random 100
		checkpoint
		delete 2
		random 50
		checkpoint
	END
	tool 0 check s
	VIEW_OF=s expect_views 1=right 3=right 4=right 5=right
	repair 0
	expect_views 1=right 3=right 4=right 5=right
}

case_another_size()
{
	with_content
	files n 64M
	flip "$(blocks node)"
	tool 0 repair s -o n
	tool 0 check n
	expect_views 1=right 2=right 3=right 4=right
	expect_eq size "$(stat -c %s n)" $((64 * 1024 * 1024))
	rm n
	files n 4M
	tool 4 repair s -o n
	expect_match error "$ERR" "n: too small for what can be kept"
	tool 4 probe n
	files n 2M
	tool 4 repair s -o n
	expect_match error "$ERR" "n: too small for a store"
}

# refuses <exit code> <words> <argument>...: and nothing has changed
refuses()
{
	local code=$1 text=$2

	shift 2
	unchanged tool "$code" repair "$@"
	[[ $ERR = *"$text"* ]] || fail "said '$ERR', expected '$text'"
}

case_refusals()
{
	with_content
	ln s hard
	refuses 4 "same device" s -o s
	refuses 4 "same device" s -o hard
	refuses 2 "-o NEW is needed" s
	refuses 2 "one store is needed" -o n
	refuses 2 "one store is needed" s s -o n
	refuses 2 "needs a value" s -o
	refuses 2 "unknown option" s --force -o n
	refuses 4 "is not a store" o -o n
	refuses 4 "No such file" none -o n
	refuses 4 "neither a block device nor a file" s -o .
	refuses 1 "No such file" s -o none/n
	files t 16M u 9M
	tool 0 format u t
	refuses 4 "is a store already" s -o t
	refuses 4 "has a volume's label" s -o u
	files t 16M
	mkfs.ext4 -q -F t
	refuses 4 "has a signature (ext4)" s -o t
	echo text > t
	truncate -s 16M t
	refuses 4 "is not empty" s -o t
	exec 9< s
	flock -x 9
	refuses 5 "s: is in use" s -o n
	flock -u 9
	poke 0 56 02000000
	poke 64 56 02000000
	refuses 4 "version unknown" s -o n
	[ ! -e n ] || fail "n was left"
}

case_protected_target()
{
	with_content
	cp s t
	play 1 <<< protect
	mv s p
	mv t s
	refuses 4 "is a protected store already" s -o p
	clobber 0 p
	refuses 4 "is a protected store already" s -o p
}

# Whatever stops it half way, what is left is no store.
case_interrupted()
{
	with_content
	files n 16M
	(
		ulimit -f 2048
		trap '' XFSZ
		tool 1 repair s -o n
		expect_match error "$ERR" "n: File too large"
	)
	tool 4 probe n
	rm n
	# A file that this run has made goes again.
	(
		ulimit -f 2048
		trap '' XFSZ
		tool 1 repair s -o n
		expect_match error "$ERR" "n: File too large"
	)
	[ ! -e n ] || fail "n was left"
}

run_cases case_sound_store case_identity_is_kept \
	case_damage_that_costs_nothing case_root_of_the_index \
	case_root_and_bitmap case_leaf case_log_in_the_middle case_last_step \
	case_old_data case_old_data_of_the_oldest case_old_data_of_nobody \
	case_table_of_snapshots case_directory case_both_superblocks \
	case_lost_before case_lost_before_in_a_log_that_is_cut \
	case_crash_leftovers case_deep_index case_goes_on_living \
	case_another_size case_refusals case_protected_target case_interrupted
