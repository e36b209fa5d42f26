#!/usr/bin/env bash
# Tool: pretty-bytes 7.2.0 (npm).
# Expected: maximumFractionDigits rounds, as in Intl.NumberFormat, whose option
#   of the same name it takes.
# Seen: without the option it rounds (1999 is "2 kB"); with it, digits are cut
#   off: 1999 is "1.9 kB", 999999 is "999.9 kB".
# Matters: the same layer has two sizes in two columns of one report.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --ignore-scripts pretty-bytes@7.2.0
cat >a.mjs <<'JS'
import pretty from 'pretty-bytes';
const intl = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });
for (const n of [1999, 999999, 1950]) console.log(n, '|', pretty(n), '|', pretty(n, { maximumFractionDigits: 1 }), '| Intl', intl.format(n / 1000));
JS
got=$(node a.mjs)
want='1999 | 2 kB | 1.9 kB | Intl 2
999999 | 1 MB | 999.9 kB | Intl 1,000
1950 | 1.95 kB | 1.9 kB | Intl 2'
echo "$got"; [ "$got" = "$want" ]
