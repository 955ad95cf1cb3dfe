#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Asks for the machine to be killed without saying so in its header.
# module: no
# wanted: fail asked to be killed

printf '1..1\nok 1 fine\n'
echo @kill >&3
