#!/usr/bin/env bash
# Tool: column of util-linux 2.38.1 (bsdextrautils 2.38.1-5+deb12u3, Debian 12), `--json` with the names of the columns;
#   json of Python (installed) as a reader.
# Expected: the keys are the names given with --table-columns, as the headings of the table are.
# Seen: each key is in lower case. The manual does not say so. Two names that differ in case are one key twice, and a reader
#   keeps the last value. All values are texts. Output:
#     text: step CPU cpu
#     keys: step cpu cpu
#     read: {'step': 'compile', 'cpu': '87'}
# Matters: `jq .CPU` of such a table is null. A table with the columns T (thread) and t (time) loses one of them, without a
#   message.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q bsdextrautils=2.38.1-5+deb12u3 >apt.log 2>&1
dpkg-deb -x bsdextrautils_*.deb deb
echo 'compile 12.5 87' >table
columns=(deb/usr/bin/column --table --table-columns step,CPU,cpu --table-name steps)
"${columns[@]}" table >table.txt
"${columns[@]}" --json table >table.json
got="text: $(head -1 table.txt | xargs)
keys: $(grep -o '"[A-Za-z]*":' table.json | tail -n +2 | tr -d '":' | xargs)
read: $(python3 -c 'import json; print(json.load(open("table.json"))["steps"][0])')"
want="text: step CPU cpu
keys: step cpu cpu
read: {'step': 'compile', 'cpu': '87'}"
echo "$got"; [ "$got" = "$want" ]
