#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The kernel's log has a warning.
# module: no
# wanted: fail kernel: .*WARNING: CPU

printf '1..1\nok 1 fine\n'
echo "<4>WARNING: CPU: 0 PID: 1 at nowhere.c:1 nothing+0x0/0x0" > /dev/kmsg
