#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Run test programs, each as one test with subtests, as KTAP.

status=0
number=0

echo "KTAP version 1"
echo "1..$#"
for program in "$@"; do
	number=$((number + 1))
	log="$program.log"
	"$program" >"$log" 2>&1
	code=$?
	sed 's/^/  /' "$log"
	# A program that ends early must not pass for want of a "not ok".
	if [ "$code" -eq 0 ] && ! grep -q '^not ok' "$log" &&
	   [ "$(sed -n 's/^1\.\.//p' "$log")" = "$(grep -c '^ok' "$log")" ]
	then
		echo "ok $number $(basename "$program")"
	else
		echo "not ok $number $(basename "$program") # exit code $code"
		status=1
	fi
done
exit $status
