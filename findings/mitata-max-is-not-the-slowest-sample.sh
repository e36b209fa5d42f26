#!/usr/bin/env bash
# Tool: mitata 1.0.34 (npm), measure() with a simulated clock.
# Expected: min and max are the fastest and the slowest sample, and one sample
#   more changes the result a little.
# Seen: with more than 12 samples the two fastest and the two slowest are removed
#   before everything else, min, max and the average included. One slow call of
#   1000 ms among calls of 100 ms: with 12 samples max is 1000 and the average
#   175, with 13 samples both are 100. p999 of 12 samples is the second slowest.
# Matters: rare slow runs, such as a cold cache, are not in the report at all.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --ignore-scripts mitata@1.0.34
cat >a.mjs <<'JS'
import { measure } from 'mitata';
for (const n of [12, 13]) {
  let clock = 0, calls = 0;
  const step = () => { clock += 1e6 * (++calls === 6 ? 1000 : 100); };
  const r = await measure(step, { now: () => clock, min_samples: n, max_samples: n, min_cpu_time: 0, warmup_threshold: 0, batch_threshold: 0 });
  console.log(n, 'samples, kept', r.samples.length, 'max', r.max / 1e6, 'avg', r.avg / 1e6, 'p999', r.p999 / 1e6);
}
JS
got=$(node a.mjs)
want='12 samples, kept 12 max 1000 avg 175 p999 100
13 samples, kept 9 max 100 avg 100 p999 100'
echo "$got"; [ "$got" = "$want" ]
