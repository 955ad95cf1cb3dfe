#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A device is left; the next test must find none.
# module: no
# wanted: fail left dm devices: left

printf '1..1\nok 1 fine\n'
modprobe dm-mod
dmsetup create left --table "0 8 zero"
