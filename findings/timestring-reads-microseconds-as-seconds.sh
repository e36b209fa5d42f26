#!/usr/bin/env bash
# Tool: timestring 7.0.0 (npm).
# Expected: Go's "1µs" is read or refused, and "-1h30m" is negative or refused.
# Seen: characters that it does not know are removed before it reads. "1µs" is
#   one second, "-1h30m" is 1.5 hours, "1,5s" is 15 s. "1us" and "1ns" are errors.
# Matters: BuildKit and Go print short steps in µs. A step of 250 µs counts as
#   250 s.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --ignore-scripts timestring@7.0.0
cat >a.mjs <<'JS'
import timestring from 'timestring';
for (const text of ['250ms', '250µs', '250us', '250ns', '-1h30m', '1,5s', '1.5s']) {
  try { console.log(text, timestring(text, 'ms'), 'ms'); } catch { console.log(text, 'error'); }
}
JS
got=$(node a.mjs)
want='250ms 250 ms
250µs 250000 ms
250us error
250ns error
-1h30m 5400000 ms
1,5s 15000 ms
1.5s 1500 ms'
echo "$got"; [ "$got" = "$want" ]
