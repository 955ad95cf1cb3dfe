#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A data race that the module has a part in, behind one that it has not.
# module: no
# wanted: fail KCSAN: data-race in list_writes

# shellcheck source=tests/lib/kcsan.sh
. "$(dirname "$0")/../../lib/kcsan.sh"

printf '1..1\nok 1 fine\n'
say_race other_writes touch_atime+0x17e/0x1c0
say_race list_writes "snapprot_io+0x17e/0x1c0 [dm_snapprot]"
