# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# What tests/qemu/run needs before it can start a guest: which kernel, its
# initrd, the module built for it, and what a test says in its header.
# Sourced; expects TOP, sets BUILD.

BUILD=${BUILD:-$TOP/.build}
UNPACKED=${SNAPPROT_KERNELS:-$BUILD/kernels}

die()
{
	echo "${0##*/}: $*" >&2
	exit 2
}

# resolve_kernel <version prefix | release | path of an image | kind>: sets KIMAGE,
# KREL, and where its modules are, KROOT/lib/modules. A kernel that is not installed
# may have been unpacked by scripts/fetch-kernel. A kind is one of those that
# scripts/build-debug-kernel knows, or rt: Debian's with PREEMPT_RT, or 64k: that of
# scripts/fetch-64k. KARCH is um, powerpc or empty, and KFACTOR says by how much things
# take longer with it. GUEST_ROOT is what a guest has for its root, if that is not the
# host's: one that cannot run the host's programs.
resolve_kernel()
{
	local image dir

	KROOT=
	KARCH=
	KFACTOR=1
	GUEST_ROOT=
	case $1 in
	uml | uml-debug | x86-debug | x86-kcsan)
		dir=$("$TOP/scripts/build-debug-kernel" "$1") || exit 2
		KIMAGE=$dir/image
		KROOT=$dir/modules
		KREL=$(< "$dir/release")
		case $1 in
		uml*) KARCH=um ;;
		esac
		# shellcheck disable=SC2034 # for those that source this
		[ "$1" = uml ] || KFACTOR=4
		;;
	64k)
		dir=$("$TOP/scripts/fetch-64k") || exit 2
		KIMAGE=$dir/image
		KROOT=$dir/root
		KREL=$(< "$dir/release")
		KARCH=powerpc
		GUEST_ROOT=$KROOT
		[ -n "$(type -P qemu-system-ppc64)" ] ||
			die "no qemu-system-ppc64 (scripts/setup foreign)"
		;;
	/* | ./*)
		KIMAGE=$1
		[ -r "$KIMAGE" ] || die "cannot read the kernel $KIMAGE"
		KREL=$(file -bL "$KIMAGE" |
			sed -n 's/.*, version \([^ ]*\) .*/\1/p')
		[ -n "$KREL" ] || die "$KIMAGE does not say its release"
		;;
	rt)
		KIMAGE=
		for image in /boot/vmlinuz-*-rt-*; do
			[ -r "$image" ] && KIMAGE=$image
		done
		KREL=${KIMAGE#/boot/vmlinuz-}
		[ -n "$KIMAGE" ] || die "no PREEMPT_RT kernel in /boot (scripts/setup proof)"
		;;
	*)
		KIMAGE=
		for image in "/boot/vmlinuz-$1" "/boot/vmlinuz-$1"[.-]*; do
			[ -r "$image" ] && [[ $image != *-rt-* ]] && KIMAGE=$image
		done
		KREL=${KIMAGE#/boot/vmlinuz-}
		[ -n "$KIMAGE" ] || resolve_unpacked "$1" ||
			die "no kernel $1 in /boot (scripts/setup)"
		;;
	esac
	[ -d "$KROOT/lib/modules/$KREL" ] || die "no modules of $KREL"
}

# resolve_unpacked <version prefix | release>: among those of scripts/fetch-kernel
resolve_unpacked()
{
	local image

	for image in "$UNPACKED/$1"/vmlinuz "$UNPACKED/$1"[.-]*/vmlinuz; do
		[ -r "$image" ] || continue
		KIMAGE=$image
		KROOT=${image%/vmlinuz}
		KREL=${KROOT##*/}
	done
	[ -n "$KIMAGE" ]
}

# Files that the first steps of a guest need, in the order of insmod.
initrd_modules()
{
	local module

	[ "$KARCH" != um ] || return 0
	for module in virtio_pci 9pnet_virtio 9p overlay virtio_blk \
		virtio_console; do
		modprobe -d "${KROOT:-/}" -S "$KREL" -D "$module" || return
	done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }'
}

# One initrd a kernel, made again when a module or init is newer.
ensure_initrd()
{
	local dir=$BUILD/$KREL work file name

	INITRD=$dir/initrd.img
	if [ "$INITRD" -nt "$TOP/tests/qemu/init" ] &&
		[ "$INITRD" -nt "$TOP/tests/qemu/lib.sh" ] &&
		[ "$INITRD" -nt "$KROOT/lib/modules/$KREL/modules.dep" ]; then
		return
	fi
	mkdir -p "$dir"
	work=$(mktemp -d "$dir/initrd.XXXXXX") || die "no room for an initrd"
	mkdir -p "$work"/{bin,dev,proc,sys,modules}
	name=$GUEST_ROOT$(type -P busybox)
	ldd "$name" > /dev/null 2>&1 &&
		die "busybox is not a static one (package busybox-static)"
	cp "$name" "$work/bin/busybox"
	cp "$TOP/tests/qemu/init" "$work/init"
	: > "$work/modules/list"
	initrd_modules > "$work/files" || die "modprobe does not know $KREL"
	while read -r file; do
		name=${file##*/}
		case $name in
		*.xz) xz -dc "$file" > "$work/modules/${name%.xz}" ;;
		*.zst) zstd -qdc "$file" > "$work/modules/${name%.zst}" ;;
		*) cp "$file" "$work/modules/$name" ;;
		esac || die "cannot read $file"
		name=${name%.xz}
		echo "${name%.zst}" >> "$work/modules/list"
	done < "$work/files"
	rm "$work/files"
	(cd "$work" && find . | cpio -o -H newc --quiet) > "$work.img" ||
		die "cannot make the initrd"
	mv "$work.img" "$INITRD"
	rm -rf "$work"
}

# Programs that tests run, in the guest or here; and what make install puts where,
# for guests with systemd.
ensure_tools()
{
	local log=$BUILD/tools.log

	{
		make -s -C "$TOP/tests/lib" && make -s -C "$TOP/userspace" &&
			make -s -C "$TOP/userspace" install PREFIX=/usr \
				DESTDIR="$BUILD/installed"
	} > "$log" 2>&1 || {
		tail -n 30 "$log" >&2
		die "the tools do not build"
	}
}

# For a guest with a root of its own: the tests, at the same path there, and the
# programs that they run in the guest, built for it.
ensure_guest_root()
{
	local top=$GUEST_ROOT$TOP file log=$BUILD/$KREL/tools.log
	local cc="powerpc64le-linux-gnu-gcc-12 --sysroot=$GUEST_ROOT"
	local lib=$GUEST_ROOT/usr/lib/powerpc64le-linux-gnu
	local bash=$GUEST_ROOT/usr/include/bash

	[ -n "$GUEST_ROOT" ] || return 0
	while read -r file; do
		cmp -s "$TOP/$file" "$top/$file" && continue
		mkdir -p "$top/${file%/*}"
		# Not the source's time, as in build-module.
		cp --preserve=mode "$TOP/$file" "$top/$file" ||
			die "cannot copy $file to $top"
	done < <(cd "$TOP" && find tests userspace dm-snapprot/core \
		\( -name bin -o -name 'obj*' \) -prune -o -type f \
		\( -name '*.[ch]' -o -name '*.sh' -o -name Makefile \
		-o -path 'tests/qemu/*' \) -print)
	{
		make -s -C "$top/tests/lib" CC="$cc" BASH_CPPFLAGS="-isystem $bash \
			-isystem $bash/include -isystem $bash/builtins" &&
			PKG_CONFIG_SYSROOT_DIR=$GUEST_ROOT \
			PKG_CONFIG_LIBDIR=$lib/pkgconfig \
			make -s -C "$top/userspace" CC="$cc" snapprot snapprotd
	} > "$log" 2>&1 || {
		tail -n 30 "$log" >&2
		die "the tools do not build for $KREL"
	}
}

# The module, built for KREL with the test hooks, and a modules.dep that knows
# it; MODS is where the guest takes both from.
ensure_module()
{
	local root=$GUEST_ROOT$BUILD/$KREL/mods ko sum
	local dir=$root/lib/modules/$KREL

	"$TOP/scripts/build-module" ${KROOT:+--root "$KROOT"} "$KREL" \
		DEBUG_HOOKS=1 ${KARCH:+"ARCH=$KARCH"} \
		> "$BUILD/$KREL/build.log" 2>&1 || {
		tail -n 30 "$BUILD/$KREL/build.log" >&2
		die "the module does not build for $KREL"
	}
	ko=$BUILD/$KREL/src/dm-snapprot.ko
	if ! cmp -s "$ko" "$dir/updates/dm-snapprot.ko"; then
		mkdir -p "$dir/updates"
		cp "$ko" "$dir/updates/dm-snapprot.ko"
	fi
	# depmod reads every module of the kernel: only when it matters.
	sum=$(modinfo -F alias "$ko"; modinfo -F depends "$ko")
	[ "$sum" != "$(cat "$dir.sum" 2> /dev/null)" ] || return 0
	ln -sfn "$KROOT/lib/modules/$KREL/kernel" "$dir/kernel"
	cp "$KROOT/lib/modules/$KREL"/modules.{order,builtin,builtin.modinfo} \
		"$dir"
	depmod -b "$root" "$KREL" || die "depmod failed"
	printf '%s\n' "$sum" > "$dir.sum"
}

# build_packages <directory>: Debian's packages, into 0, and of a newer version into 1
build_packages()
{
	local version n=0

	version=$("$TOP/scripts/version")
	for version in "$version" "$version+1"; do
		BUILD=$1/build "$TOP/scripts/build-deb" --version "$version" \
			> "$1/names" || return
		rm -rf "${1:?}/$n"
		mkdir "$1/$n"
		xargs cp -t "$1/$n" < "$1/names"
		n=$((n + 1))
	done
}

# header <test> <key>: the value of "# key: value" before the first code line
header()
{
	awk -v key="$2" '
		!/^#/ && NF { exit }
		index($0, "# " key ": ") == 1 {
			print substr($0, length(key) + 5)
		}' "$TOP/$1"
}

header_or()
{
	local value

	value=$(header "$1" "$2")
	printf '%s\n' "${value:-$3}"
}

# Everything about the machine that a test wants; tests for which this is the
# same may share a guest.
machine_of()
{
	local boots log hotplug private=

	boots=$(header_or "$1" boots 1)
	log=$(header_or "$1" log-writes no)
	hotplug=$(header_or "$1" hotplug no)
	[ "$boots$log$hotplug" = 1nono ] || private=$1
	printf '%s|%s|%s|%s|%s|%s|%s|%s\n' \
		"$(header_or "$1" disks '256M 256M 256M')" \
		"$(header_or "$1" memory 1G)" "$(header_or "$1" cpus "${SNAPPROT_CPUS:-1}")" \
		"$(header_or "$1" cache unsafe)" "$log" "$hotplug" \
		"$(header_or "$1" cmdline '')" "$private"
}

# KVM is used where it boots, which is not wherever /dev/kvm exists.
choose_accel()
{
	local cache=$BUILD/accel-$KREL out pid

	if [ "$KARCH" = um ]; then
		ACCEL=
		return
	fi
	if [ -n "${SNAPPROT_ACCEL:-}" ]; then
		ACCEL=$SNAPPROT_ACCEL
		return
	fi
	if [ ! -s "$cache" ]; then
		ACCEL=tcg,thread=multi
		if [ -w /dev/kvm ] && [ -z "$KARCH" ]; then
			out=$(mktemp)
			timeout -s KILL 20 qemu-system-x86_64 -accel kvm \
				-cpu host -m 256M -nodefaults -no-user-config \
				-display none -no-reboot -kernel "$KIMAGE" \
				-append "console=ttyS0 panic=-1" \
				-serial "file:$out" < /dev/null > /dev/null 2>&1 &
			pid=$!
			wait "$pid" 2> /dev/null
			# No initrd: reaching that complaint is a whole boot.
			grep -q 'Unable to mount root fs' "$out" && ACCEL=kvm
			rm -f "$out"
		fi
		echo "$ACCEL" > "$cache"
	fi
	ACCEL=$(< "$cache")
}

# What must never be in a kernel's log. Extended regular expressions.
LOG_COMPLAINTS='Kernel panic|Oops|BUG:|kernel BUG|WARNING:|Call Trace:'
LOG_COMPLAINTS+='|general protection fault|[Uu]nable to handle|KASAN|KCSAN|UBSAN'
LOG_COMPLAINTS+='|KFENCE|kmemleak:.*(new suspected|unreferenced)'
LOG_COMPLAINTS+='|unreferenced object|hung task|blocked for more than'
LOG_COMPLAINTS+='|possible circular|possible recursive|inconsistent lock state'
LOG_COMPLAINTS+='|suspicious RCU|bad unlock balance|lock held when returning'
LOG_COMPLAINTS+='|still has locks held|[Ll]eaked|[Oo]bjects remaining'
LOG_COMPLAINTS+='|refcount_t:|list_(add|del) corruption|double free'
LOG_COMPLAINTS+='|scheduling while atomic|sleeping function called'
LOG_COMPLAINTS+='|soft lockup|hard LOCKUP|rcu.*detected (expedited )?stall'
LOG_COMPLAINTS+='|Bad page|Redzone|Poison overwritten|Object padding'
LOG_COMPLAINTS+='|use-after-free|stack guard page|stack overflow|bio too big'
LOG_COMPLAINTS+='|DEBUG_LOCKS_WARN_ON|ODEBUG:|page allocation failure'
LOG_COMPLAINTS+='|Out of memory: Killed|invoked oom-killer|segfault at'
# What looks like one of these, and only says that it would be noticed.
LOG_PRAISE='debug is enabled|kcsan: non-strict mode configured'

# other_races: without KCSAN's reports of races between other parts of the kernel, of
# which it has some of its own. A race is the module's if it is in one of the three
# innermost functions of either side, that is, in something small that it calls too.
# What is not whole, or is no such report, is passed on.
other_races()
{
	awk '
	function pass() { printf "%s", report; report = ""; lines = 0 }
	/BUG: KCSAN: data-race in/ { pass(); ours = /dm_snapprot/; frame = 99 }
	/BUG: KCSAN: data-race in/ || lines {
		report = report $0 "\n"
		lines++
		if (/ by (task|interrupt) /)
			frame = 0
		else if (++frame <= 3 && /\[dm_snapprot\]/)
			ours = 1
		whole = /Reported by Kernel Concurrency Sanitizer/
		if (whole && !ours)
			report = ""
		if (whole || lines > 120)
			pass()
		next
	}
	{ print }
	END { pass() }'
}

# scan_log <test>: of the log on standard input, the complaints that the test has
# not announced
scan_log()
{
	local expected

	expected=$(header "$1" expect-log | paste -sd '|')
	other_races | grep -aE "$LOG_COMPLAINTS" | grep -avE "$LOG_PRAISE" |
		if [ -n "$expected" ]; then grep -avE "$expected"; else cat; fi
}

# check_ktap <file>: prints what is wrong with a test's own report
check_ktap()
{
	awk '
	/^1\.\.[0-9]+/ { plans++; plan = substr($1, 4) + 0; skip = /SKIP/ }
	/^ok / { n++; if ($2 + 0 != n) order = 1 }
	/^not ok / { n++; bad = bad (bad == "" ? "" : "; ") $0
		if ($3 + 0 != n) order = 1 }
	END {
		if (plans != 1)
			print "no plan, or more than one"
		else if (n != plan)
			print plan " cases planned, " n + 0 " reported"
		else if (order)
			print "cases out of order"
		else if (!n && !skip)
			print "no case was run"
		if (bad != "")
			print bad
	}' "$1"
}
