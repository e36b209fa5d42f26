#!/usr/bin/env bash
# Tool: tinybench 6.2.5 (npm, 2026; vitest's benchmarks use it) with a simulated
#   clock.
# Expected: a task that runs ten times in 145 ms has an average throughput of 69
#   per second.
# Seen: 284 per second in the result and in the table: each run's reciprocal is
#   averaged, so a fast run counts many times and a slow one hardly. The average
#   latency of the same table is right, and the two do not agree.
# Matters: a change that makes most runs a little faster and a few very slow is
#   shown as a gain in operations per second.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --ignore-scripts tinybench@6.2.5
cat >a.mjs <<'JS'
import { Bench } from 'tinybench';
const times = [1, 2, 3, 4, 100, 5, 6, 7, 8, 9];
let clock = 0, run = 0;
const bench = new Bench({ now: () => clock, time: 0, iterations: 10, warmup: false });
bench.add('step', () => { clock += times[run++ % 10]; });
await bench.run();
const { latency, throughput, totalTime } = bench.tasks[0].result;
console.log('runs', latency.samplesCount, 'in', totalTime, 'ms');
console.log('average latency', latency.mean, 'ms, so', (1000 / latency.mean).toFixed(1), 'per second');
console.log('average throughput', throughput.mean.toFixed(1), 'per second');
console.log('in the table:', bench.table()[0]['Throughput avg (ops/s)'].split(' ')[0]);
JS
got=$(node a.mjs)
want='runs 10 in 145 ms
average latency 14.5 ms, so 69.0 per second
average throughput 283.9 per second
in the table: 284'
echo "$got"; [ "$got" = "$want" ]
