#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Damage at random. No command may crash, hang or contradict itself, and:
#
#   - what is not damaged is sound, and a repair of it is a copy of it;
#   - what check calls sound without a note, holds the right data;
#   - what repair keeps, holds the right data, and the new store is sound.
#
# SEED and ROUNDS may be set; what fails prints the seed of its round.
# module: no

# shellcheck source=tests/lib/tools.sh
. "$(dirname "$0")/../lib/tools.sh"

SEED=${SEED:-1}
ROUNDS=${ROUNDS:-25}

# run <codes> <argument>...: one of these exit codes, and at most one line of
# failure; CODE is which
run()
{
	local codes=$1 lines

	shift
	CODE=0
	timeout 60 "$SNAPPROT" "$@" > "$WORK/out" 2> "$WORK/err" || CODE=$?
	OUT=$(cat "$WORK/out")
	[[ " $codes " = *" $CODE "* ]] ||
		fail "seed $ROUND: snapprot $*: exit code $CODE; $(cat "$WORK/err")"
	lines=$(wc -l < "$WORK/err")
	[ "$lines" = $((CODE > 0)) ] ||
		fail "seed $ROUND: snapprot $*: exit code $CODE, $(cat "$WORK/err")"
}

# pick <number>...: one of them
pick()
{
	shift $((RANDOM % $#))
	echo "$1"
}

# What a device or a bug may do to a block, with the checksum left as it was.
damage_block()
{
	local block=$1 from

	case $((RANDOM % 6)) in
	0 | 1 | 2)
		flip "$block" $((RANDOM % 4096))
		;;
	3)
		dd if=/dev/zero of=s bs=512 seek=$((block * 8 + RANDOM % 8)) \
			count=1 conv=notrunc status=none
		;;
	4)
		clobber "$block"
		;;
	5)
		# A write that went astray: a sound block in the wrong place.
		from=$(pick "${META[@]}")
		dd if=s of=s bs=4096 skip="$from" seek="$block" count=1 \
			conv=notrunc status=none
		;;
	esac
}

# The end of the log is proved by nothing but itself: whoever wipes its last
# header has made an older store of it. So that one is only damaged in part.
damage()
{
	local block last kind

	last=$(last_log)
	# Each kind as often as the others, though most blocks are old data.
	kind=$(pick superblock bitmap directory snapshots node leaf log data)
	block=$(awk -v kind="$kind" -v n="$RANDOM" '
		$3 == kind { block[count++] = $2 }
		END { print block[n % count] }' map)
	if [ "$block" = "$last" ]; then
		flip "$block" $((RANDOM % 4096))
	else
		damage_block "$block"
	fi
}

# look: every command at the damaged store
look()
{
	run "0 1 4" probe s
	run "0 1 4" dump s
	run "0 1 4" dump --map s
	run "0 1 2" check --json s
	run "0 1 2" check s
}

right()
{
	"$MKSTORE" verify "$1" o d > "$WORK/verify" 2>&1 ||
		fail "seed $ROUND: $1 has wrong data: $(cat "$WORK/verify")"
}

# prepare <seed>: a volume with an index, a log and deleted snapshots
prepare()
{
	ROUND=$1
	RANDOM=$1
	new_dir
	content_of "$1"
	play "$1" <<- END
		delete 2
		random 30
		abort
		create 5
		random 20
	END
	cp s sound
	tool 0 dump --map s
	cp "$WORK/out" map
	mapfile -t META < <(awk '$3 != "data" { print $2 }' map)
	expect_eq "kinds of blocks" "$(awk '{ print $3 }' map | sort -u |
		tr '\n' ' ')" \
		"bitmap data directory leaf log node snapshots superblock "
}

# life: a script of a volume, at random
life()
{
	local i id next=1 ids=()

	echo fill
	for ((i = 0; i < 12; i++)); do
		case $((RANDOM % 8)) in
		0 | 1 | 2)
			echo "create $next"
			ids+=("$next")
			next=$((next + 1))
			;;
		3)
			[ ${#ids[@]} -gt 1 ] || continue
			id=$((RANDOM % ${#ids[@]}))
			echo "delete ${ids[id]}"
			ids=("${ids[@]:0:id}" "${ids[@]:id + 1}")
			;;
		4 | 5)
			echo checkpoint
			;;
		6)
			echo abort
			;;
		7)
			[ $((RANDOM % 4)) != 0 ] || echo lose
			;;
		esac
		echo "random $((RANDOM % 60))"
	done
}

case_no_damage()
{
	local round

	for ((round = SEED; round < SEED + 8; round++)); do
		ROUND=$round
		RANDOM=$round
		new_dir
		volume
		life > script
		play "$round" < script
		run 0 check s
		[ "$OUT" = "s: sound" ] || fail "seed $round: said '$OUT'"
		right s
		tool 0 dump --content s
		cp "$WORK/out" content
		run 0 repair s -o n
		run 0 check n
		right n
		tool 0 dump --content n
		cmp content "$WORK/out" || fail "seed $round: not a copy"
	done
}

case_random_damage()
{
	local round i kept=0 lost=0 sound=0

	prepare "$SEED"
	for ((round = SEED; round < SEED + ROUNDS; round++)); do
		ROUND=$round
		RANDOM=$round
		cp sound s
		for ((i = RANDOM % 3; i >= 0; i--)); do
			damage
		done
		look
		if [ "$CODE" = 0 ] && [[ $OUT != *note* ]]; then
			right s
			sound=$((sound + 1))
		fi
		rm -f n
		run "0 1 4" repair s -o n
		[ -e n ] || continue
		kept=$((kept + $(grep -c ': kept$' <<< "$OUT" || :)))
		lost=$((lost + $(grep -c ': lost' <<< "$OUT" || :)))
		run 0 check n
		right n
	done
	echo "# $ROUNDS rounds: $kept kept, $lost lost, $sound sound"
	# Or the damage is not worth the name, or the repair is not.
	[ "$kept" -gt 0 ] || fail "nothing was ever kept"
	[ "$lost" -gt 0 ] || fail "nothing was ever lost"
}

# Fields of any value, with a right checksum: what a bug or an enemy writes. The
# data may be wrong then, but nothing may crash.
case_random_fields()
{
	local round i block hex

	prepare $((SEED + 1000))
	for ((round = SEED; round < SEED + ROUNDS; round++)); do
		ROUND=$round
		RANDOM=$round
		cp sound s
		for ((i = RANDOM % 4; i >= 0; i--)); do
			block=$(pick 0 64 "${META[@]}")
			hex=$(pick 00 01 ff ffff 0000 ffffffffffffffff \
				"$(le64 "$(pick "${META[@]}")")" \
				0000010000000000 ffffffffffff0000)
			# Where most fields and the first entries are.
			poke "$block" $((4 * (2 + RANDOM % 52))) "$hex"
			# Both superblocks alike, or the other one is taken.
			[ "$block" != 0 ] || clobber 64
			[ "$block" != 64 ] || clobber 0
		done
		look
		rm -f n
		run "0 1 4" repair s -o n
		[ ! -e n ] || run 0 check n
	done
}

case_random_ends()
{
	local round

	prepare $((SEED + 2000))
	for ((round = 0; round < 8; round++)); do
		cp sound s
		truncate -s $((RANDOM * 384 % (9 * 1024 * 1024))) s
		look
		rm -f n
		run "0 1 4" repair s -o n
		[ ! -e n ] || { run 0 check n && right n; }
	done
}

# Not a store at all, but for its first block.
case_random_bytes()
{
	new_dir
	volume
	head -c 16M /dev/urandom > random
	for block in 0 64; do
		cp random r
		dd if=s of=r bs=4096 skip="$block" seek="$block" count=1 \
			conv=notrunc status=none
		mv s t
		mv r s
		look
		rm -f n
		run "0 1 4" repair s -o n
		mv t s
	done
}

run_cases case_no_damage case_random_damage case_random_fields case_random_ends \
	case_random_bytes
