#!/usr/bin/env bash
# Tool: nano-benchmark 1.2.0 (npm, 2026), the statistics that its commands print.
# Expected: the interval around the median, which the documentation calls a
#   bootstrap percentile confidence interval of the median, gets narrower with the
#   root of the number of samples.
# Seen: lo and hi are the averages of the outer percentiles of the resamples, which
#   is the range of the samples themselves. And a weight that falls on the first two
#   samples gives the first one. Output, for 10, 100 and 1000 samples evenly from 0
#   to 1 (an interval of the median would be about 0.6, 0.2 and 0.06 wide), and small
#   sets without the bootstrap:
#     10 samples: interval 0.9 wide
#     100 samples: interval 0.9 wide
#     1000 samples: interval 1.0 wide
#     1 2 3: median 1
#     10 100: median 10 interval 10 to 10
# Matters: more runs never make the result more certain, so a loop that runs "until
#   the interval is within 5 %" ends by chance or not at all, and the median of three
#   builds is the fastest one.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --ignore-scripts nano-benchmark@1.2.0
cat >a.mjs <<'JS'
import { bootstrapSummary, exactSummary } from 'nano-benchmark';
let state = 1;
const random = () => (state = (state * 1103515245 + 12345) % 2147483648) / 2147483648;
for (const n of [10, 100, 1000]) {
  const samples = Array.from({ length: n }, (_, index) => index / (n - 1));
  const { lo, hi } = bootstrapSummary(samples, { bootstrap: 300, random });
  console.log(`${n} samples: interval ${(hi - lo).toFixed(1)} wide`);
}
console.log('1 2 3: median', exactSummary([1, 2, 3]).median);
const { median, lo, hi } = exactSummary([10, 100]);
console.log('10 100: median', median, 'interval', lo, 'to', hi);
JS
got=$(node a.mjs)
want='10 samples: interval 0.9 wide
100 samples: interval 0.9 wide
1000 samples: interval 1.0 wide
1 2 3: median 1
10 100: median 10 interval 10 to 10'
echo "$got"; [ "$got" = "$want" ]
