# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# shellcheck disable=SC2034 # variables of common.sh
#
# PostgreSQL on a live volume, with transfers between accounts as load, and what each
# snapshot of it must be like. Sourced after common.sh.

PG_BIN=/usr/lib/postgresql/15/bin
LIVE=$TMPDIR/live
SNAP=$TMPDIR/snap
TEMPLATE=$TMPDIR/template
RUN=$TMPDIR/run		# sockets, and the load's working directory
LAYER=/dev/mapper/slow
CLIENTS=4

# postgres_needs: what the tests need besides
postgres_needs()
{
	[ -x "$PG_BIN/postgres" ] || skip_all "no PostgreSQL 15"
	modprobe loop
}

# ---- the server ------------------------------------------------------------------

# No function: what is started in the background is to be the process itself.
AS_POSTGRES=(setpriv --reuid=postgres --regid=postgres --clear-groups)

# pg <program> <argument>...: as a client of the server that is called SERVER
pg()
{
	local program=$1

	shift
	PGHOST=$RUN/$SERVER PGUSER=postgres \
		"${AS_POSTGRES[@]}" "$PG_BIN/$program" "$@"
}

query()
{
	pg psql -X -q -A -t -d bank -c "$1"
}

# server_start <name> <data directory>: it becomes SERVER, and SERVER_PID is its
# process, which stays one of this session.
server_start()
{
	SERVER=$1
	mkdir -p "$RUN/$1"
	chown postgres: "$RUN" "$RUN/$1"
	"${AS_POSTGRES[@]}" "$PG_BIN/postgres" -D "$2" -k "$RUN/$1" \
		> "$RUN/$1.log" 2>&1 3>&- &
	SERVER_PID=$!
	defer server_gone "$SERVER_PID"
	wait_for 60 pg pg_isready -q
}

# Without a checkpoint; it recovers when it starts again.
server_kill()
{
	kill -QUIT "$SERVER_PID" 2> /dev/null || :
	wait "$SERVER_PID" || :
}

# Where a case has ended before it did.
server_gone()
{
	! kill -QUIT "$1" 2> /dev/null || wait "$1"
	return 0
}

# A server's directory with empty accounts, in memory: each case begins with a copy.
template_make()
{
	mkdir -p "$TEMPLATE" "$RUN"
	chown postgres: "$TEMPLATE"
	"${AS_POSTGRES[@]}" "$PG_BIN/initdb" -D "$TEMPLATE" -U postgres -A trust -E UTF8 \
		--locale=C --data-checksums --no-sync --wal-segsize=1 > /dev/null
	cat >> "$TEMPLATE/postgresql.conf" <<- END
		listen_addresses = ''
		shared_buffers = 4MB
		max_wal_size = 8MB
		min_wal_size = 4MB
		checkpoint_timeout = 30s
		autovacuum_naptime = 5s
		restart_after_crash = off
	END
	server_start template "$TEMPLATE"
	pg createdb bank
	query 'create extension amcheck'
	pg pgbench -q -i -s 1 bank 2> /dev/null
	kill -INT "$SERVER_PID"
	wait "$SERVER_PID"
}

# ---- the load --------------------------------------------------------------------

# Transfers until there is a file "enough"; each that was acknowledged leaves a line.
load()
{
	local round

	cd "$RUN" || exit
	for ((round = 0; ; round++)); do
		[ ! -e enough ] || exit 0
		pg pgbench -n -c "$CLIENTS" -t 25 --log \
			--log-prefix="acknowledged.$BASHPID.$round" bank || exit
	done
} > "$RUN/load" 2>&1

load_start()
{
	rm -f "$RUN/enough"
	set +E
	load &
	LOAD=$!
	set -E
	defer load_gone "$LOAD"
	more_transfers 50
}

load_gone()
{
	: > "$RUN/enough"
	pkill -KILL -x pgbench || :
	wait "$1"
	return 0
}

# load_end <true|false>: has it been undisturbed?
load_end()
{
	local rc=true

	: > "$RUN/enough"
	wait "$LOAD" || rc=false
	[ "$rc" = "$1" ] || fail "the load: $(tail -n 5 "$RUN/load")"
}

acknowledged()
{
	cat "$RUN"/acknowledged.* 2> /dev/null | wc -l
}

transfers()
{
	query 'select count(*) from pgbench_history'
}

# transfers_more_than <n>
transfers_more_than()
{
	[ "$(transfers)" -gt "$1" ]
}

more_transfers()
{
	wait_for 60 transfers_more_than $(($(transfers) + ${1:-100}))
}

# The load has ended. A client may have missed one answer.
expect_all_acknowledged()
{
	local n there

	n=$(acknowledged)
	there=$(transfers)
	if [ "$there" -lt "$n" ] || [ "$there" -gt $((n + CLIENTS)) ]; then
		fail "$n transfers acknowledged, $there are there"
	fi
}

# expect_sound [--all]: nothing is damaged, catalogues included, and every sum is that
# of the transfers.
expect_sound()
{
	local out

	out=$(pg pg_amcheck "${@:---database=bank}" --heapallindexed 2>&1) ||
		fail "$SERVER: $out"
	expect_eq "$SERVER: sums" "$(query "
		select count(*) from (values
			((select sum(abalance) from pgbench_accounts)),
			((select sum(tbalance) from pgbench_tellers)),
			((select sum(bbalance) from pgbench_branches)),
			((select coalesce(sum(delta), 0) from pgbench_history)))
		as sums(n) group by n")" 4
}

# ---- the volume ------------------------------------------------------------------

# bank_up [<feature>]...: a server on a live volume, and load on it. The store lies
# on a layer that can be made to fail.
bank_up()
{
	layer_new slow "$STORE_DISK"
	STORE=$LAYER
	sp_up "$@"
	mkfs.ext4 -q "$ORIGIN_DM"
	mkdir -p "$LIVE" "$SNAP"
	mount "$ORIGIN_DM" "$LIVE"
	defer live_gone
	cp -a "$TEMPLATE" "$LIVE/data"
	rm -f "$RUN"/acknowledged.*
	server_start live "$LIVE/data"
	load_start
}

live_gone()
{
	local dir

	for dir in "$SNAP" "$LIVE"; do
		! mountpoint -q "$dir" || umount "$dir"
	done
}

# take [<option>]...: a snapshot now. AT_LEAST and AT_MOST, by its number, are the
# transfers that it has to have at least, and at most.
declare -A AT_LEAST AT_MOST

take()
{
	local id since

	since=$(transfers)
	tool 0 snapshot "$@" origin
	id=$OUT
	AT_LEAST[$id]=$since
	AT_MOST[$id]=$(transfers)
	more_transfers
}

# bank_check <id>...: each snapshot, on a server of its own
bank_check()
{
	local id n SERVER SERVER_PID

	for id; do
		tool 0 mount --writable --scratch "$TMPDIR" origin "$id" "$SNAP"
		rm -f "$SNAP/data/postmaster.pid"
		server_start "snap$id" "$SNAP/data"
		grep -q 'automatic recovery in progress' "$RUN/$SERVER.log" ||
			fail "snapshot $id: nothing to recover"
		n=$(transfers)
		if [ "$n" -lt "${AT_LEAST[$id]}" ] ||
			[ "$n" -gt "${AT_MOST[$id]}" ]; then
			fail "snapshot $id: $n transfers, expected" \
				"${AT_LEAST[$id]} to ${AT_MOST[$id]}"
		fi
		expect_sound
		server_kill
		tool 0 umount "$SNAP"
	done
}

# live_check [--all]: the live volume has all that was acknowledged
live_check()
{
	expect_all_acknowledged
	expect_sound "$@"
}

# The live server has ended, by us or by what has happened, and starts again.
live_restart()
{
	rm -f "$LIVE/data/postmaster.pid"
	server_start live "$LIVE/data"
	live_check
}

writes_are_held()
{
	[ "$(st held)" -gt 0 ]
}
