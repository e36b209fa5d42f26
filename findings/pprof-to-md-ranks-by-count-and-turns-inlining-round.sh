#!/usr/bin/env bash
# Tool: pprof-to-md 0.2.0 (npm, first published in 2026), with pprof-format 2.3.2 to
#   write the profile.
# Expected: of the values "samples count" and "cpu nanoseconds", which each Go and
#   Node profile has in this order, the last one ranks, as in `go tool pprof`. The
#   lines of one location are inlined calls, innermost first.
# Seen: the first value ranks, so one sample of nine seconds counts less than nine of
#   0.1 s. Inlined lines are a chain with the innermost as the caller, and each gets
#   the whole self time. Output for compile 9 s in one sample, link 1 s in nine, and
#   2 s in "inlined" inside compile:
#     | 1 | `link` | 75.0% | 75.0% | `link.go:10` |
#     2. **[16.7%]** `inlined` → `compile`
#     - Application code accounts for **116.7%** of self-time (optimizable)
# Matters: the report that a reader or a model works from names a function with a
#   twelfth of the time as the top hotspot, and shows callers as callees.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --ignore-scripts pprof-to-md@0.2.0 pprof-format@2.3.2
cat >a.js <<'JS'
const P = require('pprof-format');
const strings = new P.StringTable();
const text = (value) => strings.dedup(value);
const type = (name, unit) => new P.ValueType({ type: text(name), unit: text(unit) });
const names = ['main', 'compile', 'link', 'inlined'];
const functions = names.map((name, index) => new P.Function({ id: index + 1, name: text(name), systemName: text(name), filename: text(name + '.go'), startLine: 1 }));
const place = (id, ...ids) => new P.Location({ id, line: ids.map((functionId) => new P.Line({ functionId, line: 10 })) });
const sample = (locationId, count, seconds) => new P.Sample({ locationId, value: [count, seconds * 1e9] });
const profile = new P.Profile({
  sampleType: [type('samples', 'count'), type('cpu', 'nanoseconds')],
  sample: [sample([2, 1], 1, 9), sample([3, 1], 9, 1), sample([4, 1], 2, 2)],
  location: [place(1, 1), place(2, 2), place(3, 3), place(4, 4, 2)],
  function: functions, stringTable: strings, timeNanos: 0, durationNanos: 12e9,
  periodType: type('cpu', 'nanoseconds'), period: 1e7,
});
require('fs').writeFileSync('cpu.pb', profile.encode());
JS
node a.js
node_modules/.bin/pprof-to-md --format summary --no-source cpu.pb >report.md
cat report.md
grep -qF '| 1 | `link` | 75.0% | 75.0% | `link.go:10` |' report.md
grep -qF '2. **[16.7%]** `inlined` → `compile`' report.md
grep -qF -- '- Application code accounts for **116.7%** of self-time (optimizable)' report.md
