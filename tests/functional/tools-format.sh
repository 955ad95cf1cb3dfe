#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# snapprot format: what it makes, what it prints, and all that it refuses.
# module: no

# shellcheck source=tests/lib/tools.sh
. "$(dirname "$0")/../lib/tools.sh"

UUID=01234567-89ab-cdef-0123-456789abcdef

# refuses <exit code> <words> <argument>...: and nothing has changed
refuses()
{
	local code=$1 text=$2

	shift 2
	unchanged tool "$code" format "$@"
	[[ $ERR = *"$text"* ]] || fail "said '$ERR', expected '$text'"
	expect_eq "standard output" "$OUT" ""
}

# partitioned <file>: a DOS partition table with one partition
partitioned()
{
	printf '\203\0\0\0\0\10\0\0\0\20\0\0' |
		dd of="$1" bs=1 seek=450 conv=notrunc status=none
	printf '\125\252' | dd of="$1" bs=1 seek=510 conv=notrunc status=none
}

# no_mark <file>: neither a store nor a label
no_mark()
{
	tool 4 probe "$1"
	expect_match "probe" "$ERR" "neither a store nor a label"
}

case_output_for_eval()
{
	new_dir
	files o 16M s 8M
	tool 0 format o s
	VOLUME_UUID='' ORIGIN_SECTORS='' ORIGIN_TABLE='' STORE_TABLE=''
	eval "$OUT"
	expect_match uuid "$VOLUME_UUID" \
		'^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
	expect_eq origin "$ORIGIN_SECTORS" 30720
	expect_eq table "$ORIGIN_TABLE" "0 30720 snapprot o $VOLUME_UUID"
	expect_eq table "$STORE_TABLE" "0 16384 snapprot-store s"
	tool 0 check s
	tool 0 probe s
	expect_eq "uuid of store" "$(value SNAPPROT_UUID)" "$VOLUME_UUID"
	tool 0 probe o
	expect_eq "uuid of label" "$(value SNAPPROT_UUID)" "$VOLUME_UUID"
	expect_eq place "$(value SNAPPROT_LABEL_PLACE)" origin
	expect_eq generation "$(value SNAPPROT_GENERATION)" 0
}

case_uuids_differ()
{
	local first

	new_dir
	files o 9M s 8M
	tool 0 format o s
	first=$(value VOLUME_UUID)
	tool 0 format --force o s
	[ "$first" != "$(value VOLUME_UUID)" ] || fail "same UUID twice"
}

case_odd_sizes()
{
	new_dir
	# 2 MiB and some, not a multiple of a block; so is the store
	files o $((4096 * 512 + 5 * 512)) s $((4 * 1024 * 1024 + 3 * 512))
	tool 0 format o s
	expect_eq origin "$(value ORIGIN_SECTORS)" 2048
	[[ $OUT = *"STORE_TABLE='0 8192 snapprot-store s'"* ]] ||
		fail "store: $OUT"
	tool 0 probe o
	expect_eq "label's size" "$(value SNAPPROT_ORIGIN_SECTORS)" 2048
}

case_label_device()
{
	new_dir
	files o $((1024 * 1024 + 512)) s 8M l 8K
	tool 0 format --label-dev l o s
	expect_eq origin "$(value ORIGIN_SECTORS)" 2048
	[[ $OUT = *"snapprot o "*" 2 label l'"* ]] || fail "table: $OUT"
	tool 0 probe l
	expect_eq place "$(value SNAPPROT_LABEL_PLACE)" device
	expect_eq size "$(value SNAPPROT_ORIGIN_SECTORS)" 2048
	no_mark o
}

case_unlabelled()
{
	new_dir
	files o 9M s 8M
	tool 0 format --unlabelled o s
	expect_eq origin "$(value ORIGIN_SECTORS)" 18432
	[[ $OUT = *" 1 unlabelled'"* ]] || fail "table: $OUT"
	no_mark o
	tool 0 dump s
	expect_match dump "$OUT" "superblock unlabelled 1"
}

case_both_copies_of_the_label()
{
	new_dir
	files o 9M s 8M
	tool 0 format o s
	# 8 MiB is where the last MiB begins
	flip 2048 100 o
	tool 0 probe o
	flip 2049 100 o
	tool 4 probe o
	expect_match probe "$ERR" "damaged label"
}

case_uuid_given()
{
	new_dir
	files o 9M s 8M
	tool 0 format --uuid "${UUID^^}" o s
	expect_eq uuid "$(value VOLUME_UUID)" "$UUID"
	refuses 4 "of this UUID" --force --uuid "$UUID" o s
	refuses 2 "is not a UUID" --uuid "${UUID}0" o s
	refuses 2 "is not a UUID" --uuid "${UUID%f}" o s
	refuses 2 "is not a UUID" --uuid "${UUID/a/g}" o s
	refuses 2 "is not a UUID" --uuid "" o s
	refuses 2 "names no volume" \
		--uuid 00000000-0000-0000-0000-000000000000 o s
}

case_names_that_need_quotes()
{
	local name="a b'c\\d"

	new_dir
	files "$name" 9M "$name.s" 8M
	tool 0 format "$name" "$name.s"
	ORIGIN_TABLE='' STORE_TABLE='' VOLUME_UUID=''
	eval "$OUT"
	# The kernel takes a backslash off before a blank and a backslash.
	expect_eq table "$ORIGIN_TABLE" \
		"0 16384 snapprot a\\ b'c\\\\d $VOLUME_UUID"
	expect_eq table "$STORE_TABLE" \
		"0 16384 snapprot-store a\\ b'c\\\\d.s"
}

case_wrong_usage()
{
	new_dir
	files o 9M s 8M
	refuses 2 "an origin and a store"
	refuses 2 "an origin and a store" o
	refuses 2 "an origin and a store" o s s
	refuses 2 "unknown option" --bogus o s
	refuses 2 "unknown option" -x o s
	refuses 2 "needs a value" o s --uuid
	refuses 2 "exclude each other" --unlabelled --label-dev l o s
	refuses 2 "unknown option" --force=yes o s
}

case_wrong_devices()
{
	new_dir
	files o 9M s 8M
	mkdir dir
	refuses 4 "No such file" none s
	refuses 4 "No such file" o none
	refuses 4 "No such file" --label-dev none o s
	refuses 4 "neither a block device nor a file" o dir
	refuses 4 "neither a block device nor a file" /dev/null s
}

case_sizes()
{
	new_dir
	files o 9M s 8M tiny 1M small 4092K least 4M l 4K
	refuses 4 "too small for a label" tiny s
	refuses 4 "too small for a store" o small
	refuses 4 "too small for a label" --label-dev l o s
	files tiny 3584
	refuses 4 "too small" --unlabelled tiny s
	tool 0 format o least
	tool 0 check least
}

case_same_device()
{
	new_dir
	files o 9M l 1M
	ln o hard
	ln -s o soft
	refuses 4 "same device" o o
	refuses 4 "same device" o hard
	refuses 4 "same device" soft o
	files s 8M
	refuses 4 "same device" --label-dev soft o s
	ln -s s soft2
	refuses 4 "same device" --label-dev soft2 o s
}

case_signatures_of_others()
{
	new_dir
	files o 9M s 16M l 1M
	mkfs.ext4 -q -F s
	refuses 4 "signature (ext4)" o s
	mkfs.ext4 -q -F -O ^has_journal l
	files s2 8M
	refuses 4 "signature (ext4)" --label-dev l o s2
	tool 0 format --force --label-dev l o s
	tool 0 check s
	tool 0 probe l
	partitioned s2
	refuses 4 "signature (dos partition table)" o s2
}

# A file system that ends where the label begins is fine, and stays as it is.
case_origin_with_ext4()
{
	local before

	new_dir
	files o 17M s 8M
	mkfs.ext4 -q -F o 16384
	before=$(head -c 16M o | sha256sum)
	tool 0 format o s
	expect_eq contents "$(head -c 16M o | sha256sum)" "$before"
	e2fsck -fn o > /dev/null 2>&1
	files o2 17M s2 8M
	mkfs.ext4 -q -F o2 16512
	refuses 4 "its ext4 ends at byte 16" o2 s2
	refuses 4 "its ext4 ends at byte 16" --force o2 s2
	files l 1M
	tool 0 format --label-dev l o2 s2
}

case_origin_with_64bit_ext4()
{
	new_dir
	files o 64M s 8M
	mkfs.ext4 -q -F -O 64bit -b 4096 o
	refuses 4 "its ext4 ends at byte 67108864" o s
	mkfs.ext4 -q -F -b 1024 o 64512
	tool 0 format o s
}

case_origin_with_others()
{
	new_dir
	files o 320M s 8M
	mkfs.xfs -q -f o
	refuses 4 "its xfs ends at byte 335544320" --force o s
	mkfs.xfs -q -f -d size=319m o
	tool 0 format o s
	files o 9M s 8M
	mkswap -q o
	refuses 4 "its swap ends at byte 9437184" --force o s
	mkswap -q o 8192
	tool 0 format o s
}

# What has no size that we know of may reach to the end.
case_origin_of_unknown_extent()
{
	new_dir
	files o 9M s 8M l 1M
	partitioned o
	refuses 4 "its dos partition table may reach" o s
	tool 0 format --label-dev l o s
	tool 0 format --force o s
	files o 9M s 8M
	printf 'LUKS\272\276\0\1' | dd of=o conv=notrunc status=none
	refuses 4 "its crypto_LUKS may reach" o s
	tool 0 format --force o s
}

case_existing_volume()
{
	local first

	new_dir
	files o 9M s 8M o2 9M s2 8M
	tool 0 format o s
	first=$(value VOLUME_UUID)
	refuses 4 "is a store already" o2 s
	refuses 4 "has a volume's label already" o s2
	refuses 4 "is a store already" s o2
	tool 0 format --force o2 s
	tool 0 probe s
	[ "$first" != "$(value SNAPPROT_UUID)" ] || fail "the old store"
	# The label moves; the old one must not be found any more.
	files l 8K
	tool 0 format --force --label-dev l o s2
	no_mark o
	tool 0 format --force --unlabelled o2 s
	no_mark o2
}

case_damaged_store_is_not_blank()
{
	new_dir
	files o 9M s 8M o2 9M
	tool 0 format o s
	flip 0
	flip 64
	refuses 4 "is a damaged store" o2 s
	clobber 0
	clobber 64
	refuses 4 "is a damaged store" o2 s
	tool 0 format --force o2 s
	tool 0 check s
}

case_protected_store()
{
	new_dir
	volume
	play 1 <<< protect
	files o2 9M s2 8M
	refuses 4 "is a protected store" --force o2 s
	refuses 4 "is a protected store" --force s s2
	refuses 4 "is a protected store" --force --label-dev s o2 s2
	# One copy is enough, and so is a copy that is damaged elsewhere.
	clobber 0
	refuses 4 "is a protected store" --force o2 s
	flip 64 1000
	refuses 4 "is a protected store" --force o2 s
}

case_protected_store_second_copy_gone()
{
	new_dir
	volume
	play 1 <<< protect
	files o2 9M
	clobber 64
	refuses 4 "is a protected store" --force o2 s
}

case_protected_label()
{
	new_dir
	volume
	# flags of both copies: protected
	poke 2048 72 01000000 o
	poke 2049 72 01000000 o
	files s2 8M o2 9M
	refuses 4 "label of a protected volume" --force o s2
	refuses 4 "label of a protected volume" --force --unlabelled o s2
	refuses 4 "label of a protected volume" --force o2 o
	clobber 2048 o
	refuses 4 "label of a protected volume" --force o s2
	files l 8K
	dd if=o of=l bs=4096 skip=2048 count=2 conv=notrunc status=none
	refuses 4 "label of a protected volume" --force --label-dev l o2 s2
}

case_newer_version()
{
	new_dir
	volume
	poke 0 56 02000000
	poke 64 56 02000000
	files o2 9M s2 8M
	refuses 4 "format version 2" --force o2 s
	poke 2048 68 01000000 o
	poke 2049 68 01000000 o
	refuses 4 "label of a version" --force o s2
}

case_file_locked_by_another()
{
	new_dir
	files o 9M s 8M
	exec 9< s
	flock -x 9
	refuses 5 "s: is in use" o s
	flock -u 9
	tool 0 format o s
}

# Marks go first, the store comes second and the label last: with the end of
# the origin out of reach there is a store, but nothing that would load it.
case_label_last()
{
	new_dir
	files o 9M s 4M
	(
		ulimit -f $((8 * 1024))
		trap '' XFSZ
		tool 1 format o s
		expect_match error "$ERR" "o: File too large"
	)
	tool 0 probe s
	no_mark o
}

case_old_marks_first()
{
	local before

	new_dir
	files o 9M s 4M
	tool 0 format o s
	before=$(sha256sum s)
	(
		ulimit -f $((8 * 1024))
		trap '' XFSZ
		tool 1 format --force o s
	)
	expect_eq "the store" "$(sha256sum s)" "$before"
}

case_output_that_cannot_be_written()
{
	[ -e /dev/full ] || skip "no /dev/full"
	new_dir
	files o 9M s 8M
	expect_exit 1 sh -c "'$SNAPPROT' format o s > /dev/full"
	expect_match error "$OUTPUT" "standard output"
}

run_cases case_output_for_eval case_uuids_differ case_odd_sizes \
	case_label_device case_unlabelled case_both_copies_of_the_label \
	case_uuid_given case_names_that_need_quotes case_wrong_usage \
	case_wrong_devices case_sizes case_same_device \
	case_signatures_of_others case_origin_with_ext4 \
	case_origin_with_64bit_ext4 case_origin_with_others \
	case_origin_of_unknown_extent case_existing_volume \
	case_damaged_store_is_not_blank case_protected_store \
	case_protected_store_second_copy_gone case_protected_label \
	case_newer_version case_file_locked_by_another case_label_last \
	case_old_marks_first case_output_that_cannot_be_written
