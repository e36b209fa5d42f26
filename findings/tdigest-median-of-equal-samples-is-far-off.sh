#!/usr/bin/env bash
# Tool: tdigest 0.1.3 (npm; prom-client's Summary is built on it).
# Expected: a t-digest keeps a few samples exactly, so the median of
#   1, 1, 1, 100 is 1, and three quarters of the samples are at most 1.
# Seen: equal samples become one centroid of weight 3 and the digest
#   interpolates from it to the slow one: median 25.75, p75 75.25. Seven sevens
#   and one 1000 have the median 131.125.
# Matters: step times in whole milliseconds repeat. One slow build moves the
#   reported median of several equal ones.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --ignore-scripts tdigest@0.1.3 bintrees@1.0.2
got=$(node - <<'JS'
const { TDigest } = require('tdigest');
for (const samples of [[1, 1, 1, 100], [7, 7, 7, 7, 7, 7, 7, 1000], [1, 2, 3, 4]]) {
  const digest = new TDigest();
  digest.push(samples);
  digest.compress();
  console.log(samples.join(' '), '| median', digest.percentile(0.5), 'p75', digest.percentile(0.75));
}
JS
)
want='1 1 1 100 | median 25.75 p75 75.25
7 7 7 7 7 7 7 1000 | median 131.125 p75 627.625
1 2 3 4 | median 2.5 p75 3.5'
echo "$got"; [ "$got" = "$want" ]
