#!/usr/bin/env bash
# Tool: jstat 1.9.6 (npm), jStat.percentile(); simple-statistics 7.12.1 for
#   comparison.
# Expected: percentile(samples, p) interpolates between neighbours, as its branch
#   below the top does, so the 50th percentile of 10 and 100 is 55.
# Seen: between the two largest samples nothing is interpolated. Each percentile
#   below 100 gives the second largest there. Output (0.5, 0.9, 0.99, 1):
#     10 100: 10 10 10 100
#     1 2 3 4 5: 3 4 4 5
#     99 times 100, one 1000: 100 100 100 1000
#   jStat.median of 10 and 100 is 55, simple-statistics gives 55 91 99.1 100.
# Matters: the p99 of up to a hundred builds leaves out the slowest one, and the
#   50th percentile of two builds is the faster one.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --ignore-scripts jstat@1.9.6 simple-statistics@7.12.1
got=$(node - <<'JS'
const jstat = require('jstat');
const simple = require('simple-statistics');
const levels = [0.5, 0.9, 0.99, 1];
const show = (name, samples) => console.log(name + ':', levels.map((p) => jstat.percentile(samples, p)).join(' '));
show('10 100', [10, 100]);
show('1 2 3 4 5', [1, 2, 3, 4, 5]);
show('99 times 100, one 1000', [...Array(99).fill(100), 1000]);
console.log('median', jstat.median([10, 100]));
console.log('simple-statistics', levels.map((p) => +simple.quantile([10, 100], p).toFixed(6)).join(' '));
JS
)
want='10 100: 10 10 10 100
1 2 3 4 5: 3 4 4 5
99 times 100, one 1000: 100 100 100 1000
median 55
simple-statistics 55 91 99.1 100'
echo "$got"; [ "$got" = "$want" ]
