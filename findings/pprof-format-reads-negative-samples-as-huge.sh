#!/usr/bin/env bash
# Tool: pprof-format 2.3.2 (npm, the encoder and decoder of Datadog's profiler).
# Expected: sample values, durations and times are int64 in profile.proto, so a
#   profile with negative values (a difference of two profiles) survives
#   encode and decode.
# Seen: the bytes are right, but decode reads int64 as unsigned: -5 comes back as
#   18446744073709551611.
# Matters: in a difference of two builds, each step that became faster shows as
#   584 years slower.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --ignore-scripts pprof-format@2.3.2
got=$(node - <<'JS'
const { Profile, Sample, StringTable } = require('pprof-format');
const bytes = new Profile({ stringTable: new StringTable(), durationNanos: -7n, sample: [new Sample({ value: [-5, -5n, 2n ** 53n + 1n] })] }).encode();
const back = Profile.decode(bytes);
console.log(String(back.sample[0].value), String(back.durationNanos));
// In the encoded bytes, -5 is the ten-byte varint fb ff .. 01, as protobuf asks.
console.log(Buffer.from(bytes).toString('hex').includes('fbffffffffffffffff01'));
JS
)
want='18446744073709551611,18446744073709551611,9007199254740993 18446744073709551609
true'
echo "$got"; [ "$got" = "$want" ]
