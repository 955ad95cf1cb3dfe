#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Asks for a disk to be pulled out that there is not.
# module: no
# hotplug: yes
# wanted: fail not found

printf '1..1\nok 1 fine\n'
echo @unplug spare7 >&3
