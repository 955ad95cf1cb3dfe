#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A case fails, and the exit code does not say so.
# module: no
# wanted: fail not ok 2 broken

printf '1..2\nok 1 fine\nnot ok 2 broken\n'
exit 0
