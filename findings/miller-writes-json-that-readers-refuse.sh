#!/usr/bin/env bash
# Tool: Miller 6.6.0-2+b3 (Debian 12, mlr), CSV to JSON; Python's json reads.
# Expected: `mlr --icsv --ojson cat` writes JSON. It keeps the text of a number,
#   or quotes it.
# Seen: what Miller reads as a number is written as it stands in the CSV. ".5",
#   which bc prints for one half, "5." and "0x1F" are not JSON; the file is not
#   readable. "+5", "007" and "1_000" are quoted.
# Matters: one short step in a table of times, or one hexadecimal address, makes
#   the whole file useless, and Miller's exit status is 0.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -qq miller=6.6.0-2+b3 2>/dev/null
dpkg -x miller_*.deb r
got=$(for value in .5 5. 0x1F 0b11 +5 007 1e5 1_000; do
  printf 'value\n%s\n' "$value" | r/usr/bin/mlr --icsv --ojson cat >o.json
  printf '%s %s ' "$value" "$(sed -n 's/.*: //p' o.json)"
  python3 -c 'import json; json.load(open("o.json")); print("read")' 2>/dev/null || echo refused
done)
want='.5 .5 refused
5. 5. refused
0x1F 0x1F refused
0b11 0b11 refused
+5 "+5" read
007 "007" read
1e5 1e5 read
1_000 "1_000" read'
echo "$got"; [ "$got" = "$want" ]
