#!/usr/bin/env bash
# Tool: jo 1.9 (jo 1.9-1, Debian 12), which writes JSON from a shell.
# Expected: a value that looks like a number is written as it was given, so that "1.10" stays 1.10
#   and 19 digits stay 19 digits; a text that is not a JSON number, such as 00123, is a string.
# Seen: each value goes through a C double and is printed with 16 digits. A time in nanoseconds
#   is rounded to a microsecond or so, and the two ends of a short step get one time. 1.10 becomes
#   1.1, 00123 becomes 123, 0x10 becomes 16, and a commit of digits with one "e" a large number.
#   JSON that is read from a file loses its digits in the same way. Output:
#     {"start":1.700000000123457e+18,"end":1.700000000123457e+18}
#     {"tag":1.1,"id":123,"mode":16,"commit":1.234e+59}
#     {"read":{"start":1.700000000123457e+18,"tag":1.1}}
#     {"tag":"1.10","start":"1700000000123456789"}
# Matters: `jo start=$(date +%s%N)` in a build script records durations of 0 and times that are up
#   to half a microsecond off, and tag 1.10 becomes 1.1. Only -s before the value, as in the last line, keeps it.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q jo=1.9-1 >apt.log 2>&1
dpkg-deb -x jo*.deb deb
jo() { deb/usr/bin/jo "$@"; }
echo '{"start": 1700000000123456789, "tag": 1.10}' >read.json
got=$(
  jo start=1700000000123456789 end=1700000000123456999
  jo tag=1.10 id=00123 mode=0x10 commit=1234e56
  jo read=:read.json
  jo -- -s tag=1.10 -s start=1700000000123456789
)
want='{"start":1.700000000123457e+18,"end":1.700000000123457e+18}
{"tag":1.1,"id":123,"mode":16,"commit":1.234e+59}
{"read":{"start":1.700000000123457e+18,"tag":1.1}}
{"tag":"1.10","start":"1700000000123456789"}'
echo "$got"; [ "$got" = "$want" ]
