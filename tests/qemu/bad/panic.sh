#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The kernel panics, after the test has reported success.
# module: no
# wanted: fail the guest died
# wanted: fail kernel: .*Kernel panic

printf '1..1\nok 1 fine\n'
echo c > /proc/sysrq-trigger
