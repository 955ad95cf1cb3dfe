#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Asks for a disk to be pulled out without saying so in its header.
# module: no
# wanted: fail asked for a disk to be plugged

printf '1..1\nok 1 fine\n'
echo @unplug store >&3
