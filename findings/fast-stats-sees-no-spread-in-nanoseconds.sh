#!/usr/bin/env bash
# Tool: fast-stats 0.0.7 (npm).
# Expected: the standard deviation of four samples one apart is the same wherever
#   they lie, and a number like 1e9 has digits enough in a double.
# Seen: it keeps the sum of squares and subtracts, so from about 1e9 on nothing is
#   left, and the result is 0 instead of an inexact number. Output (samples 1, 2,
#   3 and 4 above the base: standard deviation, margin of error):
#     base 0: 1.118 1.0957
#     base 1000000: 1.118 1.0957
#     base 1000000000: 0 0
#     base 1000000000000: 0 0
#   The median and the quartiles stay right.
# Matters: times in nanoseconds and start times in milliseconds have a deviation
#   and a margin of error of zero: each benchmark looks perfectly stable.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --ignore-scripts fast-stats@0.0.7
got=$(node - <<'JS'
const { Stats } = require('fast-stats');
for (const base of [0, 1e6, 1e9, 1e12]) {
  const stats = new Stats().push(base + 1, base + 2, base + 3, base + 4);
  console.log(`base ${base}:`, +stats.stddev().toFixed(4), +stats.moe().toFixed(4), 'median', stats.median() - base);
}
JS
)
want='base 0: 1.118 1.0957 median 2.5
base 1000000: 1.118 1.0957 median 2.5
base 1000000000: 0 0 median 2.5
base 1000000000000: 0 0 median 2.5'
echo "$got"; [ "$got" = "$want" ]
