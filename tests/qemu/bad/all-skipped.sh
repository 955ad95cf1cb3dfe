#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Cannot be run, and says so.
# module: no
# wanted: skip not on this machine

echo "1..0 # SKIP not on this machine"
exit 4
