#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Announces that it will be killed, and ends by itself.
# module: no
# boots: 2
# kill: yes
# wanted: fail did not ask to be killed

printf '1..1\nok 1 fine\n'
