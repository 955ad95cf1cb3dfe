# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# shellcheck disable=SC2034 # variables of common.sh and of the tests
#
# A volume whose store goes away and comes back, in either mode. Sourced after
# common.sh and images.sh.

COLD=4096		# nothing is written from here on before the fault
TAB=/etc/snapprottab
STORE_NAME=store

# gone_volume <normal|protect> [<feature of the store>]...: two snapshots, both with
# preserved blocks, and a checkpoint
gone_volume()
{
	local mode=$1

	shift
	sp_format
	sp_load_store "$@"
	sp_load_origin
	[ "$mode" = normal ] || sp_msg protect
	images_begin 3
	images_take 1
	blkpat -l "$COLD" write "$ORIGIN_DM" 11 20 64K "$SHADOW"
	images_take 2
	blkpat -l "$COLD" write "$ORIGIN_DM" 12 20 64K "$SHADOW"
	sp_reload store "$@"
}

volume_down()
{
	sp_remove origin
	sp_remove "$STORE_NAME"
	STORE_NAME=store
	module_reload
}

# One that has to be preserved.
cold_write()
{
	write_at "$ORIGIN_DM" "$COLD" 64 77
}

# provoking_write <mode>: it fails, or is done without the store
provoking_write()
{
	if [ "$1" = protect ]; then
		expect_error "Input/output error" cold_write
	else
		cold_write
		write_at "$SHADOW" "$COLD" 64 77
	fi
}

# expect_gone <mode> <regular expression>: a fault, and what is left
expect_gone()
{
	expect_match fault "$(st fault)" "^($2)\$"
	expect_st held 0
	if [ "$1" = protect ]; then
		expect_st state blocked
		expect_st valid 2
		expect_error "Input/output error" read_at "$ORIGIN_DM" 0 8
	else
		expect_st state nostore
		expect_st lost 2
		images_write_at $((COLD + 2048)) 64 41
		expect_same "$ORIGIN_DM" "$SHADOW"
	fi
}

dev_number()
{
	cat "/sys/block/${1#/dev/}/dev"
}

# The store is well again, and is now STORE: an administrator's part. What is on it
# says whose it is, so the tab names no device.
store_back()
{
	echo "origin $ORIGIN -" > "$TAB"
	defer rm -f "$TAB"
	sp_remove "$STORE_NAME"
	STORE_NAME=origin-store
	tool 0 activate origin
	expect_eq "the store's device" \
		"$(dmsetup deps "$STORE_NAME" | grep -o '(.*' | tr -d '() ')" \
		"$(dev_number "$STORE" | tr : ,)"
	if [ "$(st state)" = blocked ]; then
		sp_msg clear_fault
	fi
	wait_st state active
}

# The same where it is the device that it was.
store_well_again()
{
	if [ "$1" = protect ]; then
		wait_for 20 sp_msg clear_fault
	else
		sp_remove store
		sp_load_store
	fi
	wait_st state active
}

# expect_images <mode>: now, and after everything was unloaded; nothing is loaded then
expect_images()
{
	images_write_at "$COLD" 64 31
	expect_kept_or_lost "$1"
	volume_down
	images_up
	wait_st state active
	expect_st mode "$1"
	expect_kept_or_lost "$1"
	images_take 3
	images_write_at $((COLD + 1024)) 64 33
	if [ "$1" = normal ]; then
		images_drop 1 2
	fi
	images_check
	volume_down
	"$SNAPPROT" check "$STORE" > /dev/null
}

expect_kept_or_lost()
{
	if [ "$1" = protect ]; then
		images_check
	else
		images_check_lost
	fi
}

# both_modes <function>...: each with an argument of its own, as a case; CASES
both_modes()
{
	local mode name

	CASES=()
	for mode in normal protect; do
		for name; do
			eval "case_${name}_$mode() { $name $mode; }"
			CASES+=("case_${name}_$mode")
		done
	done
}
