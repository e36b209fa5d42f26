#!/usr/bin/env bash
# Tool: tar-stream 3.2.2 and tar-fs 3.1.3 (npm), writing; GNU tar, reading.
# Expected: the time field has eleven octal digits, which last until 2242, and
#   JavaScript's dates until the year 275760.
# Seen: the seconds are cut to a signed 32-bit number. 2038-01-19 03:14:07 is
#   written correctly. From the next second on, each file is dated
#   2242-03-16 12:56:31; from 2106-02-07 on the time starts at 1970 again.
# Matters: a file with a late date, for example from a certificate or a test that
#   sets the clock, loses its time without an error.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --ignore-scripts tar-stream@3.2.2 tar-fs@3.1.3
mkdir tree
touch -d '2038-01-19 03:14:07Z' tree/1-last
touch -d '2038-01-19 03:14:08Z' tree/2-first
touch -d '2060-01-01 00:00:00Z' tree/3-later
touch -d '2120-01-01 00:00:00Z' tree/4-late
node -e "require('tar-fs').pack('tree').pipe(require('fs').createWriteStream('a.tar'))"
TZ=UTC tar --full-time -tvf a.tar >list
got=$(grep -o '[0-9-]* [0-9:]* [1-4]-.*' list | sort -k 3)
want='2038-01-19 03:14:07 1-last
2242-03-16 12:56:31 2-first
2242-03-16 12:56:31 3-later
1983-11-24 17:31:44 4-late'
echo "$got"; [ "$got" = "$want" ]
