#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# snapprotd extends stores that are low: logical volumes, and others by a hook; up to
# a limit, and says so when it cannot.
# suite: ci
# disks: 64M 128M 64M 64M
# timeout: 240

# shellcheck disable=SC2119 # functions whose arguments are optional
# shellcheck source=tests/lib/common.sh
. "$(dirname "$0")/../lib/common.sh"
# shellcheck source=tests/lib/daemon.sh
. "$TOP/tests/lib/daemon.sh"

SPARE=${SPARE_DISKS%% *}

# lv_store <size of the volume group's disk> <size of the volume>
lv_store()
{
	layer_new pv "$STORE_DISK" "$1"
	mkdir -p /run/lock/lvm
	# What an earlier case has left, for want of udev.
	rm -rf /dev/vg
	export LVM_SUPPRESS_FD_WARNINGS=1
	# There is no udev here, and nothing to look at but this.
	cat > /etc/lvm/lvmlocal.conf <<- END
	devices {
		global_filter = [ "a|^/dev/mapper/pv\$|", "a|^$SPARE|", "r|.*|" ]
		obtain_device_list_from_udev = 0
	}
	activation {
		udev_sync = 0
		udev_rules = 0
		monitoring = 0
	}
	END
	vgcreate -q --physicalextentsize 1M vg /dev/mapper/pv > /dev/null
	lvcreate -q -y -Wn -Zn --size "$2" --name store vg > /dev/null
	STORE=/dev/mapper/vg-store
}

# write_all <seed>: all of the origin, so that all of it is preserved
write_all()
{
	blkpat fill "$ORIGIN_DM" "$1"
}

# Nobody watches: a writer fills the store, and it grows faster than that.
case_logical_volume()
{
	local pid

	daemon_files
	lv_store 229376 16M
	sp_up
	write_all 1
	sp_create 1
	tab_line extend=100%,extend_max=90M
	daemon_start
	write_all 2 &
	pid=$!
	wait "$pid"
	expect_said 'origin: extended: its store has '
	# Seen at once, or while it was being reloaded.
	expect_said 'store: (grown|changed): store online, .* of (32|64|90)M used'
	expect_st fault -
	expect_st valid 1
	# Larger than what was written, and not larger than allowed.
	[ "$(st total)" -gt "$ORIGIN_SECTORS" ] || fail "total $(st total)"
	[ "$(st total)" -le $((90 << 11)) ] || fail "total $(st total)"
	sp_load_view 1
	verify_at /dev/mapper/snap1 0 "$ORIGIN_SECTORS" 1
	expect_eq failures "$(said extend_failed)" 0
	daemon_stop
}

# The volume group is full: it is tried again, and then the volume is told; when there
# is space after all, it goes on by itself.
case_volume_group_full()
{
	local pid

	daemon_files
	lv_store 40960 16M
	sp_up protect
	write_all 1
	sp_create 1
	tab_line extend=50%
	sp_msg set grow_timeout 3600
	sp_msg set queue_on_fault 1
	daemon_start
	write_all 2 &
	pid=$!
	expect_said 'origin: extend_failed: .* exit code 5; again in 1 s'
	expect_said 'origin: extend_failed: .* exit code 5; again in 4 s'
	expect_said 'origin: blocked: protect, blocked, fault grow_failed'
	vgextend -q vg "$SPARE" > /dev/null
	expect_said 'origin: extended: '
	expect_said 'origin: cleared: protect, active'
	wait "$pid"
	expect_st fault -
	expect_st valid 1
	sp_load_view 1
	verify_at /dev/mapper/snap1 0 "$ORIGIN_SECTORS" 1
	daemon_stop
}

# As large as it may be: it is said at once, and not before space has run out.
case_maximum()
{
	daemon_files
	lv_store 229376 16M
	sp_up protect
	write_all 1
	sp_create 1
	tab_line extend=10%,extend_max=20M
	sp_msg set grow_timeout 3600
	daemon_start
	write_at "$ORIGIN_DM" 0 28672 2
	expect_said 'origin: extended: its store has 18M'
	write_at "$ORIGIN_DM" 28672 4096 2
	expect_said 'origin: extended: its store has 20M'
	expect_st fault -
	expect_fail write_all 2
	expect_said 'origin: extend_failed: it is as large as extend_max lets it'
	expect_said 'origin: blocked: protect, blocked, fault grow_failed'
	expect_eq times "$(said 'as large as extend_max')" 1
	expect_eq total "$(st total)" 40960
	daemon_stop
}

# Not a logical volume: the device grows by whatever a hook does.
case_by_a_hook()
{
	local pid

	daemon_files
	layer_new slow "$STORE_DISK" 16384
	STORE=/dev/mapper/slow
	sp_up
	write_all 1
	sp_create 1
	# shellcheck disable=SC2016 # for the hook
	hook 50-extend <<< '[ "$event" = extend ] || exit 0
		echo "$SNAPPROT_WANTED" >> wanted
		dmsetup load slow --table "0 $((SNAPPROT_WANTED >> 9)) linear '"$STORE_DISK"' 0"
		dmsetup resume slow'
	tab_line extend=200%,extend_max=120M
	daemon_start
	write_all 2 &
	pid=$!
	expect_said 'origin: extended: its store has 24M'
	wait "$pid"
	expect_eq wanted "$(head -n 1 "$TOLD/wanted")" $((3 * 8 << 20))
	expect_st fault -
	expect_st valid 1
	daemon_stop
}

# A hook that hangs is no reason to let writes wait for ever; nor is one that lies.
case_hook_does_not_help()
{
	daemon_files
	layer_new slow "$STORE_DISK" 16384
	STORE=/dev/mapper/slow
	sp_up protect
	write_all 1
	sp_create 1
	# shellcheck disable=SC2016 # for the hook
	hook 50-extend <<< '[ "$event" != extend ] || [ -e lie ] || exec sleep 1000'
	tab_line extend=20%
	sp_msg set grow_timeout 3600
	daemon_start --hook-limit 3
	expect_fail write_all 2
	expect_said 'origin: blocked: protect, blocked, fault grow_failed'
	expect_said 'hook 50-extend: killed, after 3 s'
	touch "$TOLD/lie"
	expect_said 'extend_failed: .* has not become larger; again in'
	# The administrator's turn, and the store is used as soon as it is larger.
	layer_resize slow 65536
	kill -HUP "$DAEMON"
	expect_said 'origin: extended: its store has 32M'
	wait_st state active
	expect_st valid 1
	daemon_stop
}

# Without a policy nothing is touched.
case_no_policy()
{
	daemon_files
	lv_store 229376 16M
	sp_up
	write_all 1
	sp_create 1
	tab_line snapshot_every=1h,snapshot_keep=1
	daemon_start
	expect_said 'origin: snapshot: taken'
	write_at "$ORIGIN_DM" 0 28672 2
	expect_said 'store: low_water: '
	sp_msg protect
	expect_said 'origin: mode: '
	expect_eq total "$(st total)" 32768
	expect_eq extended "$(said ': extend')" 0
	daemon_stop
}

run_cases case_logical_volume case_volume_group_full case_maximum \
	case_by_a_hook case_hook_does_not_help case_no_policy
