#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# snapprot activate, deactivate and grow, with /etc/snapprottab.
# disks: 64M 64M 64M 64M 64M
# timeout: 300
# module: own

# shellcheck disable=SC2119 # functions whose arguments are optional
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/admin.sh
. "$TOP/tests/lib/admin.sh"

TAB=/etc/snapprottab

# tab: standard input becomes the tab
tab()
{
	cat > "$TAB"
	defer rm -f "$TAB"
}

# all_names: of all dm devices, sorted, in one line
all_names()
{
	dm_names | sort | paste -s -d ' '
}

dm_uuid()
{
	dmsetup info -c --noheadings -o uuid "$1"
}

# Before any other case: the module is not there yet.
case_loads_the_module()
{
	rmmod dm-snapprot 2> /dev/null || :
	sp_format
	tab <<< "data $ORIGIN $STORE"
	tool 0 activate data
	expect_eq output "$OUT" ""
	expect_eq names "$(all_names)" "data data-store"
	expect_eq uuid "$(dm_uuid data)" "SNAPPROT-$VOLUME_UUID-live"
	expect_eq uuid "$(dm_uuid data-store)" "SNAPPROT-$VOLUME_UUID-store"
	expect_match status "$(cells status)" '^data normal active 0 0 '
	write_at /dev/mapper/data 0 8 1
	# What is there already stays as it is.
	tool 0 activate data
	tool 0 deactivate data
	expect_eq names "$(all_names)" ""
	tool 4 deactivate data
}

case_no_module()
{
	local dir

	sp_format
	tab <<< "data $ORIGIN $STORE"
	dir=/lib/modules/$(uname -r)
	rmmod dm-snapprot 2> /dev/null || :
	mv "$dir/updates" "$dir/elsewhere"
	defer mv "$dir/elsewhere" "$dir/updates"
	tool 1 activate data
	expect_match error "$ERR" 'no module dm-snapprot: install it'
	expect_eq names "$(all_names)" ""
}

case_options()
{
	sp_format
	tab <<- END
		data $ORIGIN $STORE protect,queue_on_fault,grace=7,low_water=3,cache=512
	END
	tool 0 activate --all
	expect_match table "$(dmsetup table data)" \
		" $VOLUME_UUID 4 protect queue_on_fault grace 7\$"
	expect_match "store's table" "$(dmsetup table data-store)" \
		' 4 low_water 3 cache 512$'
	tool 0 deactivate --all
	expect_eq names "$(all_names)" ""
}

case_without_store()
{
	local id other

	# shellcheck disable=SC2086 # a list of names
	set -- $SPARE_DISKS
	other=$1
	sp_format
	tab <<< "data $ORIGIN /dev/not-there grace=200"
	tool 0 activate data
	tool 0 snapshot data
	id=$OUT
	tool 0 deactivate data
	# The store is not where the tab says, nor anywhere.
	layer_new hidden "$STORE"
	dmsetup suspend hidden
	tool 0 activate data
	expect_eq said "$OUT" "data: its store is not there yet"
	expect_match status "$(cells status -o STATE,GRACE)" '^waiting [0-9]+$'
	# It turns up on another device.
	dmsetup resume hidden
	dd if="$STORE" of="$other" bs=1M status=none
	tool 0 deactivate data
	dmsetup remove hidden
	blkpat zero "$STORE"
	tool 0 activate data
	expect_eq state "$(cells status -o STATE)" active
	expect_eq list "$(cells list -o ID,STATE)" "$id valid"
}

# hide_store, show_store: nobody looks at a device that is suspended
hide_store()
{
	layer_new hidden "$STORE"
	dmsetup suspend hidden
}

show_store()
{
	dmsetup resume hidden
}

# waits_for_store <options>: a volume with a snapshot and no store; and a job that
# waits for it, WAITER, that puts its exit code into the file code
waits_for_store()
{
	sp_format
	tab <<< "data $ORIGIN - $1"
	tool 0 activate data
	tool 0 snapshot data
	tool 0 deactivate data
	hide_store
	(
		code=0
		"$SNAPPROT" activate --wait data > "$TMPDIR/said" 2>&1 ||
			code=$?
		echo "$code" > "$TMPDIR/code"
	) &
	WAITER=$!
	wait_value 20 waiting cells status -o STATE
	kill -0 "$WAITER"
}

case_wait()
{
	waits_for_store grace=80000
	show_store
	tool 0 activate --store "$VOLUME_UUID"
	expect_eq state "$(cells status -o STATE,STORE)" "active data-store"
	wait "$WAITER"
	expect_eq code "$(cat "$TMPDIR/code")" 0
	# A second time there is nothing to do, nor for other volumes.
	tool 0 activate --store "$VOLUME_UUID"
	tool 0 activate --store c5a3b5b0-8d0a-4a53-9a6f-0f4c0b6b2a11
	tool 0 deactivate data
	tool 0 activate --store "$VOLUME_UUID"
	expect_eq names "$(all_names)" hidden
	tool 2 activate --store
	tool 2 activate --store nonsense
	tool 2 activate --store "$VOLUME_UUID" data
	tool 2 activate --wait --store "$VOLUME_UUID"
}

case_wait_in_vain()
{
	waits_for_store grace=80000
	dmsetup message data 0 set grace 1
	wait "$WAITER"
	expect_eq code "$(cat "$TMPDIR/code")" 0
	expect_match said "$(cat "$TMPDIR/said")" \
		'data: goes on without its snapshots: store_missing'
}

case_wait_in_vain_in_protection()
{
	waits_for_store grace=80000,protect
	dmsetup message data 0 set grace 1
	wait "$WAITER"
	expect_eq code "$(cat "$TMPDIR/code")" 1
	expect_match said "$(cat "$TMPDIR/said")" \
		'snapprot activate: data: is blocked: store_missing'
}

# write_held: in the background; its exit code goes to the file write
write_held()
{
	(
		code=0
		blkpat -s 0 -l 8 fill /dev/mapper/data 5 2> /dev/null || code=$?
		echo "$code" > "$TMPDIR/write"
	) &
	WRITER=$!
	wait_for 20 is_held "$WRITER"
}

# What is held fails, and has not reached the origin: the snapshot is as it was.
case_release_waiting()
{
	waits_for_store grace=80000
	write_held
	tool 0 release data
	wait "$WRITER"
	[ "$(cat "$TMPDIR/write")" != 0 ]
	wait "$WAITER"
	expect_eq waiter "$(cat "$TMPDIR/code")" 1
	expect_error "Input/output error" read_at /dev/mapper/data 0 8
	dmsetup remove data
	show_store
	tool 0 activate data
	expect_eq state "$(cells status -o STATE)" active
	expect_eq list "$(cells list -o STATE)" valid
}

case_release_blocked()
{
	sp_format
	tab <<< "data $ORIGIN $STORE protect,queue_on_fault"
	tool 0 activate data
	tool 0 snapshot data
	dmsetup remove data-store
	wait_value 20 blocked cells status -o STATE
	write_held
	tool 4 release nobody
	tool 0 release --all
	wait "$WRITER"
	[ "$(cat "$TMPDIR/write")" != 0 ]
	expect_eq state "$(cells status -o STATE)" blocked
	tool 0 activate data
	wait_value 20 active cells status -o STATE
	expect_eq list "$(cells list -o STATE)" valid
}

# What lies on a blocked volume is not read when a store is looked for.
case_search_beside_a_blocked_volume()
{
	sp_format
	tab <<< "data $ORIGIN $STORE protect,queue_on_fault"
	tool 0 activate data
	tool 0 snapshot data
	layer_new above /dev/mapper/data
	dmsetup remove data-store
	wait_value 20 blocked cells status -o STATE
	tool 0 stores
	expect_match stores "$OUT" "$STORE"
	tool 0 release data
	dmsetup remove above
}

# What udev asks of a device is answered without a read of it.
case_probe_loaded()
{
	sp_format
	tab <<< "data $ORIGIN $STORE protect,queue_on_fault"
	tool 0 activate data
	tool 0 snapshot data
	tool 0 expose data 1
	tool 0 probe --udev /dev/mapper/data-snap1
	expect_eq view "$(paste -s -d ' ' <<< "$OUT")" "SNAPPROT_TYPE=view\
 SNAPPROT_UUID=$VOLUME_UUID SNAPPROT_STATE=valid SNAPPROT_ID=1"
	tool 0 conceal data 1
	tool 0 probe --udev /dev/mapper/data-store
	expect_match store "$OUT" "^SNAPPROT_TYPE=active-store"
	dmsetup remove data-store
	wait_value 20 blocked cells status -o STATE
	tool 0 probe --udev /dev/mapper/data
	expect_eq live "$(paste -s -d ' ' <<< "$OUT")" "SNAPPROT_TYPE=live\
 SNAPPROT_UUID=$VOLUME_UUID SNAPPROT_MODE=protect SNAPPROT_STATE=blocked\
 SNAPPROT_FAULT=store_removed"
	tool 0 probe --udev "$ORIGIN"
	expect_match origin "$OUT" '^SNAPPROT_TYPE=label'
	layer_new other "${SPARE_DISKS%% *}"
	tool 4 probe --udev /dev/mapper/other
	dmsetup suspend other
	tool 5 probe --udev /dev/mapper/other
	dmsetup resume other
}

case_store_comes_later()
{
	local minor

	sp_format
	tab <<< "data $ORIGIN -"
	tool 0 activate data
	tool 0 snapshot data
	tool 0 deactivate data
	# Held by something else: it cannot be opened for us.
	layer_new other "$STORE"
	minor=$(dm_kernel_name other)
	expect_match "other device" "$minor" '^dm-'
	tool 0 activate data
	expect_eq "through the layer" "$(cells status -o STATE)" active
	tool 0 deactivate data
	dmsetup remove other
}

# It is the right one and stays; that all is well is for people to say.
case_store_comes_to_a_blocked_volume()
{
	layer_new other "$STORE"
	STORE=/dev/mapper/other
	sp_format
	tab <<< "data $ORIGIN - protect"
	tool 0 activate data
	tool 0 snapshot data
	layer_error other
	expect_error "Input/output error" write_at /dev/mapper/data 0 8 1
	dmsetup remove data-store
	layer_linear other
	tool 0 activate data
	expect_eq said "$OUT" \
		"data: still blocked by cow_write (see snapprot clear)"
	expect_eq names "$(all_names)" "data data-store other"
	expect_eq state "$(cells status -o STATE)" blocked
	tool 0 clear data
	expect_match status "$(cells status)" '^data protect active 1 0 '
}

case_wrong_store()
{
	local spare

	# shellcheck disable=SC2086 # a list of names
	set -- $SPARE_DISKS
	spare=$1
	sp_format
	tab <<< "data $ORIGIN $spare"
	# The right one is found, though the tab has a blank disk.
	tool 0 activate data
	expect_eq state "$(cells status -o STATE)" active
	tool 0 deactivate data
	blkpat zero "$STORE"
	tool 4 activate data
	expect_match error "$ERR" "data: $spare: is not this volume's store"
	expect_eq state "$(cells status -o STATE)" nostore
	expect_eq names "$(all_names)" data
}

# One that cannot be loaded does not keep the live volume, and is told.
case_store_fails()
{
	sp_format
	tab <<< "data $ORIGIN $STORE"
	layer_new part "$STORE" 65536
	tab <<< "data $ORIGIN /dev/mapper/part cache=256"
	tool 0 activate data
	dmsetup message data 0 create_snap 1
	tool 0 deactivate data
	# An old copy, as of before the last arrival.
	dd if="$STORE" of="${SPARE_DISKS%% *}" bs=1M status=none
	tool 0 activate data
	tool 0 deactivate data
	dmsetup remove part
	blkpat zero "$STORE"
	tool 1 activate data
	expect_match error "$ERR" 'data: .*: the store was refused'
	expect_eq state "$(cells status -o STATE)" waiting
	expect_eq names "$(all_names)" data
	tool 1 activate data
	expect_match error "$ERR" 'data: .*: the store cannot be loaded: '
	expect_eq names "$(all_names)" data
}

case_wrong_origin()
{
	sp_format
	tab <<- END
		none /dev/not-there $STORE
		blank ${SPARE_DISKS%% *} -
		other $ORIGIN - uuid=c5a3b5b0-8d0a-4a53-9a6f-0f4c0b6b2a11
	END
	tool 4 activate none
	expect_match error "$ERR" 'none: /dev/not-there: the origin is not there'
	tool 4 activate blank
	expect_match error "$ERR" 'has no label, so uuid= is needed'
	tool 4 activate other
	expect_match error "$ERR" "is volume $VOLUME_UUID, not c5a3b5b0"
	tool 4 activate nobody
	expect_match error "$ERR" 'nobody: is not in /etc/snapprottab'
	expect_eq names "$(all_names)" ""
}

# What somebody else has is not shared with him.
case_in_use()
{
	sp_format
	tab <<< "data $ORIGIN $STORE"
	layer_new holder "$ORIGIN"
	tool 5 activate data
	expect_match error "$ERR" "data: $ORIGIN: is held by device-mapper's holder"
	expect_eq names "$(all_names)" holder
	dmsetup remove holder
	layer_new holder "$STORE" 65536
	tool 5 activate data
	expect_match error "$ERR" "data: $STORE: is held by device-mapper's holder"
	expect_eq names "$(all_names)" "data holder"
}

# What was loaded before the failure is taken away again.
case_live_fails()
{
	sp_format
	layer_new short "$ORIGIN" 65536
	tab <<< "data /dev/mapper/short $STORE uuid=$VOLUME_UUID"
	tool 1 activate data
	expect_match error "$ERR" 'data: /dev/mapper/short: cannot be loaded: '
	expect_eq names "$(all_names)" short
}

case_bad_lines()
{
	sp_format
	tab <<- END
		# what is wrong is told by line and column
		one $ORIGIN
		data $ORIGIN $STORE
		two /dev/x /dev/y protect,nonsense
		three /dev/z $STORE
	END
	expect_exit 1 "$SNAPPROT" activate --all
	expect_match errors "$OUTPUT" \
		"^snapprot activate: /etc/snapprottab:2:[0-9]+: the store is missing.*
snapprot activate: /etc/snapprottab:4:27: unknown option
snapprot activate: /etc/snapprottab:5:14: another line has this device\$"
	expect_eq names "$(all_names)" "data data-store"
	tool 0 deactivate data
	# They are nothing to who asks for a volume of another line.
	tool 0 activate data
	tool 0 deactivate data
	expect_exit 4 "$SNAPPROT" activate two
	expect_match errors "$OUTPUT" ':4:27: unknown option.*two: is not in'
	rm "$TAB"
	tool 1 activate data
	expect_match error "$ERR" '/etc/snapprottab: No such file'
	tool 2 activate
	tool 2 activate --all data
	tool 2 activate --every
}

case_auto()
{
	sp_format
	tab <<- END
		data $ORIGIN $STORE noauto
		gone /dev/not-there - nofail
	END
	expect_exit 0 "$SNAPPROT" activate --all
	expect_match error "$OUTPUT" 'gone: /dev/not-there: the origin'
	expect_eq names "$(all_names)" ""
	tool 0 activate data
	expect_eq names "$(all_names)" "data data-store"
}

case_label_elsewhere()
{
	LABEL=${SPARE_DISKS%% *}
	sp_format
	tab <<< "data $ORIGIN $STORE label=$LABEL"
	tool 0 activate data
	expect_eq size "$(sectors /dev/mapper/data)" "$(sectors "$ORIGIN")"
	expect_eq label "$(cells status -o LABEL,STATE)" "yes active"
	tool 0 deactivate data
	LABEL=
	blkpat zero "$ORIGIN" "$STORE"
	sp_format --unlabelled
	tab <<< "data $ORIGIN $STORE unlabelled,uuid=$VOLUME_UUID"
	tool 0 activate data
	expect_eq label "$(cells status -o LABEL,STATE)" "no active"
}

case_deactivate_busy()
{
	local dir=$TMPDIR/mnt

	sp_format
	tab <<< "data $ORIGIN $STORE"
	tool 0 activate data
	mkfs.ext4 -q /dev/mapper/data
	mkdir -p "$dir"
	mount /dev/mapper/data "$dir"
	tool 0 snapshot data
	dmsetup create snap1 --readonly --table "$(view_table 1)"
	tool 5 deactivate data
	expect_match error "$ERR" "data: is mounted on $dir"
	# All or nothing.
	expect_eq names "$(all_names)" "data data-store snap1"
	umount "$dir"
	tool 0 deactivate data
	expect_eq names "$(all_names)" ""
}

# A stack comes up in the order of the tab, and down in its own.
case_stack()
{
	local upper

	# shellcheck disable=SC2086 # a list of names
	set -- $SPARE_DISKS
	upper=$1
	sp_format
	tab <<- END
		data $ORIGIN $STORE
		upper /dev/mapper/data $upper
	END
	tool 0 activate data
	"$SNAPPROT" format /dev/mapper/data "$upper" > /dev/null
	tool 0 activate --all
	expect_eq states "$(cells status -o NAME,STATE)" \
		"data active;upper active"
	tool 5 deactivate data
	tool 0 deactivate --all
	expect_eq names "$(all_names)" ""
}

case_odd_names()
{
	sp_format
	tab <<< "my\\040data-1 $ORIGIN $STORE"
	tool 0 activate "my data-1"
	expect_eq name "$(cells status -o NAME,STORE)" "my data-1 my data-1-store"
	tool 0 deactivate "my data-1"
	expect_eq names "$(all_names)" ""
}

case_grow()
{
	local before

	layer_new disk "$STORE" 65536
	STORE=/dev/mapper/disk sp_format
	tab <<< "data $ORIGIN /dev/mapper/disk low_water=5"
	tool 0 activate data
	tool 0 snapshot data
	before=$(cells status -b -o SIZE)
	tool 0 grow data
	expect_eq said "$OUT" "data: the store has 32M, as before"
	layer_resize disk 131072
	tool 0 grow data
	expect_eq said "$OUT" "data: the store has 64M"
	expect_eq size "$(cells status -b -o SIZE)" $((before * 2))
	expect_match table "$(dmsetup table data-store)" ' 2 low_water 5$'
	layer_resize disk 65536
	tool 4 grow data
	expect_match error "$ERR" 'has become smaller'
	layer_resize disk 131072
	tool 0 protect data
	dmsetup remove data-store
	wait_value 20 blocked cells status -o STATE
	tool 1 grow data
	tool 2 grow
	tool 4 grow nothing
}

run_cases case_loads_the_module case_no_module case_options \
	case_without_store case_wait case_wait_in_vain \
	case_wait_in_vain_in_protection case_release_waiting \
	case_release_blocked case_search_beside_a_blocked_volume \
	case_probe_loaded case_store_comes_later \
	case_store_comes_to_a_blocked_volume case_wrong_store \
	case_store_fails case_wrong_origin case_in_use case_live_fails case_bad_lines \
	case_auto case_label_elsewhere case_deactivate_busy case_stack \
	case_odd_names case_grow
