#!/usr/bin/env bash
# Tool: hdr-histogram-js 3.0.1 (npm).
# Expected: bitBucketSize is documented as memory per bucket. A full bucket
#   saturates or the library says that it is full.
# Seen: the count wraps. With 8 bits, 256 samples of 5 ms and one of 9 ms give a
#   median of 0, a value that was never recorded, while totalCount is right (257).
#   16 bits wrap at 65536. The Rust crate hdrhistogram saturates instead.
# Matters: the percentiles of a long run become wrong without a message.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --ignore-scripts hdr-histogram-js@3.0.1
got=$(node - <<'JS'
const hdr = require('hdr-histogram-js');
for (const [bits, count] of [[8, 255], [8, 256], [16, 65535], [16, 65536], [32, 65536]]) {
  const h = hdr.build({ bitBucketSize: bits });
  for (let i = 0; i < count; i++) h.recordValue(5);
  h.recordValue(9);
  console.log(bits, 'bits', h.totalCount, 'samples, p50', h.getValueAtPercentile(50));
}
JS
)
want='8 bits 256 samples, p50 5
8 bits 257 samples, p50 0
16 bits 65536 samples, p50 5
16 bits 65537 samples, p50 0
32 bits 65537 samples, p50 5'
echo "$got"; [ "$got" = "$want" ]
