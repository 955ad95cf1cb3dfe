# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# shellcheck disable=SC2034 # variables of common.sh and of the tests
#
# A store behind a network block device, whose server runs in the guest. Sourced
# after common.sh and images.sh.
#
# The server is nbdkit over STORE_DISK, and says "no space" to writes as long as
# there is a file NO_SPACE.

NBD_SOCKET=$TMPDIR/nbd.socket
NO_SPACE=$TMPDIR/no-space

# network_needs: what the tests need besides
network_needs()
{
	command -v nbdkit > /dev/null || skip_all "no nbdkit"
	command -v nbd-client > /dev/null || skip_all "no nbd-client"
	modprobe nbd nbds_max=4 || skip_all "no module nbd"
}

# server_start: SERVER is its process
server_start()
{
	rm -f "$NBD_SOCKET"
	nbdkit -f -U "$NBD_SOCKET" --filter=error file "$STORE_DISK" \
		error=ENOSPC error-pwrite-rate=100% error-file="$NO_SPACE" \
		2> /dev/null 3>&- &
	SERVER=$!
	defer server_gone "$SERVER"
	wait_for 20 test -S "$NBD_SOCKET"
}

server_kill()
{
	kill -KILL "$SERVER"
	wait "$SERVER" 2> /dev/null || :
}

# Where a case has ended before it did. Killed, a stopped one is gone too.
server_gone()
{
	kill -KILL "$1" 2> /dev/null
	wait "$1" 2> /dev/null
	return 0
}

# server_freeze, server_thaw: it takes what it is sent and does not answer
server_freeze()
{
	kill -STOP "$SERVER"
	wait_for 10 server_is_stopped
}

server_is_stopped()
{
	[ "$(ps -o stat= --pid "$SERVER" | cut -c 1)" = T ]
}

server_thaw()
{
	kill -CONT "$SERVER"
}

# attach <n> [<option of nbd-client>]...: /dev/nbd<n> is the server's device, and
# STORE
attach()
{
	STORE=/dev/nbd$1
	shift
	nbd-client -unix "$NBD_SOCKET" "$STORE" "$@" > "$TMPDIR/client" 2>&1 ||
		fail "nbd-client: $(cat "$TMPDIR/client")"
	defer disconnect "$STORE"
	wait_for 20 has_size "$STORE"
}

has_size()
{
	[ "$(cat "/sys/block/${1#/dev/}/size")" -gt 0 ]
}

# disconnect <device>: what has not been answered yet fails
disconnect()
{
	nbd-client -d "$1" > /dev/null 2>&1
	return 0
}

# detach <device>: nobody may have it open any more
detach()
{
	local name=${1#/dev/}

	expect_eq "holders of $name" "$(ls "/sys/block/$name/holders")" ""
	disconnect "$1"
	wait_for 20 is_detached "$name"
}

is_detached()
{
	[ ! -e "/sys/block/$1/pid" ] && [ "$(cat "/sys/block/$1/size")" = 0 ]
}
