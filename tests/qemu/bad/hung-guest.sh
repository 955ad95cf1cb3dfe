#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Process 1, which is what would say that the test takes too long, is stuck.
# module: no
# timeout: 5
# wanted: fail the guest hung

printf '1..1\nok 1 fine\n'
mount -t cgroup2 cgroup /mnt
mkdir /mnt/frozen
echo 1 > /mnt/frozen/cgroup.procs
echo 1 > /mnt/frozen/cgroup.freeze
exec tail -f /dev/null
