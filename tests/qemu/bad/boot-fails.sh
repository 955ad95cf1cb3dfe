#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A failure in the first of two boots is one of the test.
# module: no
# boots: 2
# wanted: fail not ok 1 broken

printf '1..1\n'
[ "$BOOT" = 2 ] || echo "not ok 1 broken"
[ "$BOOT" = 1 ] || echo "ok 1 fine"
exit 0
