#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The exit code says what no case does.
# module: no
# wanted: fail exit code 1

printf '1..1\nok 1 fine\n'
exit 1
