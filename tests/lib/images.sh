# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# What each snapshot must contain. Sourced after common.sh.
#
# SHADOW is a file to which everything is written that was written to the live
# volume, so it is what the live volume must contain; the checksum that it had at
# a snapshot's instant is kept for as long as the snapshot is to exist.

SHADOW=$TMPDIR/shadow
SUMS=$TMPDIR/sums

# images_begin [<seed>]: the live volume, new, gets its first contents
images_begin()
{
	rm -rf "$SHADOW" "$SUMS"
	mkdir "$SUMS"
	truncate -s $((ORIGIN_SECTORS * 512)) "$SHADOW"
	blkpat fill "$SHADOW" "${1:-1}"
	blkpat fill "$ORIGIN_DM" "${1:-1}"
}

# images_write <seed> <count> <largest>: random writes that have to succeed
images_write()
{
	blkpat write "$ORIGIN_DM" "$1" "$2" "$3" "$SHADOW"
}

# images_write_at <sector> <sectors> <seed>
images_write_at()
{
	write_at "$ORIGIN_DM" "$@"
	write_at "$SHADOW" "$@"
}

# images_take <id>...
images_take()
{
	local id sum

	sum=$(dev_sum "$SHADOW")
	for id; do
		sp_create "$id"
		echo "$sum" > "$SUMS/$id"
	done
}

# images_drop <id>...
images_drop()
{
	local id

	for id; do
		sp_delete "$id"
		rm "$SUMS/$id"
	done
}

images_ids()
{
	ls "$SUMS"
}

# images_list: their numbers in order, on one line
images_list()
{
	images_ids | sort -n | paste -s -d " "
}

# image_check <id> [<sum>]: all of it, through a view that is loaded for that
image_check()
{
	local got

	sp_load_view "$1"
	expect_eq "state of the view of $1" "$(view_st "$1")" valid
	got=$(dev_sum "/dev/mapper/snap$1") || fail "snapshot $1 cannot be read"
	sp_remove "snap$1"
	expect_eq "checksum of snapshot $1" "$got" "${2:-$(< "$SUMS/$1")}"
}

# images_views: load a view of each snapshot, all at once
images_views()
{
	local id all=

	for id in $(images_ids); do
		all+="${all:+;}snap$id,,,ro,$(view_table "$id")"
	done
	[ -z "$all" ] || dmsetup create --concise "$all"
}

images_views_remove()
{
	local ids

	ids=$(images_ids)
	# shellcheck disable=SC2046,SC2086 # numbers, names
	[ -z "$ids" ] || dmsetup remove $(printf 'snap%s ' $ids)
}

# images_check: every snapshot and the live volume, and no other snapshot exists
images_check()
{
	local id got bad=

	expect_eq "valid snapshots" \
		"$(sp_list | awk '$2 == "valid" { print $1 }' | sort)" \
		"$(images_ids | sort)"
	images_views
	for id in $(images_ids); do
		got=$(dev_sum "/dev/mapper/snap$id") ||
			fail "snapshot $id cannot be read"
		[ "$got" = "$(< "$SUMS/$id")" ] || bad+=" $id"
	done
	images_views_remove
	[ -z "$bad" ] || fail "wrong snapshots:$bad"
	expect_same "$ORIGIN_DM" "$SHADOW"
}

# image_check_lost <id>: it says so, and gives nothing
image_check_lost()
{
	expect_eq "state of snapshot $1" "$(snap_state "$1")" lost
	sp_load_view "$1"
	expect_eq "state of the view of $1" "$(view_st "$1")" lost
	expect_error "Input/output error" read_at "/dev/mapper/snap$1" 0 8
	sp_remove "snap$1"
}

images_check_lost()
{
	local id

	expect_st valid 0
	expect_st lost "$(images_ids | wc -l)"
	for id in $(images_ids); do
		image_check_lost "$id"
	done
	expect_same "$ORIGIN_DM" "$SHADOW"
}

# images_keep [<name>]: the volume and what its snapshots contain, for another
# case or another boot. The live volume's own contents are kept as a checksum.
images_keep()
{
	local id sums=

	for id in $(images_ids); do
		sums+=" $id=$(< "$SUMS/$id")"
	done
	keep "volume${1:-}" "$VOLUME_UUID $ORIGIN_SECTORS $(dev_sum "$SHADOW")"
	keep "images${1:-}" "all$sums"
}

# images_recall [<name>]. SHADOW is read back from the live volume (which has to
# be what was kept) by images_recall_origin.
images_recall()
{
	local word sums

	read -r VOLUME_UUID ORIGIN_SECTORS IMAGE_NOW <<< "$(kept "volume${1:-}")"
	read -r -a sums <<< "$(kept "images${1:-}")"
	rm -rf "$SUMS"
	mkdir "$SUMS"
	for word in "${sums[@]:1}"; do
		echo "${word#*=}" > "$SUMS/${word%%=*}"
	done
}

images_recall_origin()
{
	rm -f "$SHADOW"
	blkpat copy "$ORIGIN_DM" "$SHADOW"
	expect_eq "checksum of the live volume" "$(dev_sum "$SHADOW")" \
		"$IMAGE_NOW"
}

# images_up [<feature>]...: store and live volume, formatted before
images_up()
{
	sp_load_store
	sp_load_origin "$@"
}

# module_reload: with nothing loaded that uses it
module_reload()
{
	rmmod dm-snapprot
	modprobe dm-snapprot
}
