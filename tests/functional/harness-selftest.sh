#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The guest and the helpers of the tests: what they make fail does fail, and what
# they wait for is noticed. What must be noticed as a failure is in
# tests/qemu/selftest.
# module: no

# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"

case_disks_are_there()
{
	local disk

	for disk in $ORIGIN_DISK $STORE_DISK $SPARE_DISKS; do
		expect_eq "size of $disk" "$(sectors "$disk")" 524288
	done
	write_at "$ORIGIN_DISK" 0 64 1
	write_at "$STORE_DISK" 0 64 2
	verify_at "$ORIGIN_DISK" 0 64 1
	expect_fail blkpat -l 64 verify "$ORIGIN_DISK" 2
}

case_disks_are_zeroed_between_cases()
{
	expect_fail blkpat -l 64 verify "$ORIGIN_DISK" 1
	expect_eq "first bytes" \
		"$(od -A n -t x1 -N 4 "$ORIGIN_DISK")" " 00 00 00 00"
}

case_linear_layer()
{
	layer_new low "$STORE_DISK" 4096
	blkpat fill /dev/mapper/low 5
	verify_at "$STORE_DISK" 0 4096 5
}

case_error_layers()
{
	layer_new low "$STORE_DISK" 4096
	layer_error_range low 1024 8
	read_at /dev/mapper/low 1016 8
	expect_error "Input/output error" read_at /dev/mapper/low 1024 8
	read_at /dev/mapper/low 1032 8
	layer_error_writes low
	read_at /dev/mapper/low 1024 8
	expect_error "Input/output error" write_at /dev/mapper/low 0 8 1
	layer_error low
	expect_error "Input/output error" read_at /dev/mapper/low 0 8
	layer_drop_writes low
	write_at /dev/mapper/low 0 8 3
	layer_linear low
	expect_fail blkpat -l 8 verify /dev/mapper/low 3
}

case_held_write()
{
	local pid

	layer_new low "$STORE_DISK" 4096
	layer_hold low
	write_at /dev/mapper/low 0 8 7 &
	pid=$!
	wait_for 10 is_held "$pid"
	layer_release low
	wait "$pid"
	verify_at "$STORE_DISK" 0 8 7
}

case_delayed_read()
{
	local start

	layer_new low "$STORE_DISK" 4096
	layer_delay low 300
	start=$(now_ms)
	read_at /dev/mapper/low 0 8
	[ $(($(now_ms) - start)) -ge 290 ] || fail "was not delayed"
}

case_events_and_log()
{
	klog_mark
	events_start
	layer_new low "$STORE_DISK" 4096
	layer_error low
	wait_event "ACTION=change DEVNAME=$(dm_kernel_name low)( |$)"
	echo "<6>a line of the log" > /dev/kmsg
	expect_klog "a line of the log" 1
	expect_eq "events of another device" "$(events DEVNAME=dm-99)" 0
}

case_shadow_image()
{
	layer_new low "$STORE_DISK" 8192
	blkpat copy /dev/mapper/low shadow
	blkpat write /dev/mapper/low 42 100 64K shadow
	expect_same /dev/mapper/low shadow
	blkpat -s 4096 -l 8 fill /dev/mapper/low 1
	expect_exit 3 blkpat cmp /dev/mapper/low shadow
}

case_loop_device()
{
	local loop

	modprobe loop
	loop=$(loop_new 1M)
	defer loop_delete "$loop"
	expect_eq "size" "$(sectors "$loop")" 2048
	write_at "$loop" 0 8 1
	verify_at "$loop" 0 8 1
}

run_cases case_disks_are_there case_disks_are_zeroed_between_cases \
	case_linear_layer case_error_layers case_held_write case_delayed_read \
	case_events_and_log case_shadow_image case_loop_device
