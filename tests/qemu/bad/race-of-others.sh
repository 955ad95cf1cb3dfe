#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A data race that the module has no part in.
# module: no
# wanted: ok

# shellcheck source=tests/lib/kcsan.sh
. "$(dirname "$0")/../../lib/kcsan.sh"

printf '1..1\nok 1 fine\n'
say_race other_writes touch_atime+0x17e/0x1c0
