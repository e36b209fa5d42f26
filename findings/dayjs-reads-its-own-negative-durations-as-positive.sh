#!/usr/bin/env bash
# Tool: dayjs 1.11.23 (npm) with its duration plugin; luxon 3.7.2 for comparison.
# Expected: what toISOString() writes, duration() reads back, and format() prints
#   one sign.
# Seen: minus 1.5 s is written as "-PT1.5S" and read as plus 1.5 s. It is printed
#   as "0:00:-1.-500" (luxon: "0:00:-01.-500"). A fraction of a millisecond gets a
#   second point: "0:00:59.999.5". "PT1,5S", which ISO 8601 allows, is 0.
# Matters: the difference of two builds changes its sign when it is stored, so an
#   improvement becomes a slowdown.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --ignore-scripts dayjs@1.11.23 luxon@3.7.2
cat >a.js <<'JS'
const dayjs = require('dayjs');
const { Duration } = require('luxon');
dayjs.extend(require('dayjs/plugin/duration'));
const text = dayjs.duration(-1500).toISOString();
console.log('written', text, 'read', dayjs.duration(text).asMilliseconds());
console.log('dayjs', dayjs.duration(-1500).format('H:mm:ss.SSS'), dayjs.duration(59999.5).format('H:mm:ss.SSS'));
console.log('luxon', Duration.fromISO(text).toMillis(), Duration.fromMillis(-1500).toFormat('h:mm:ss.SSS'));
console.log('comma', dayjs.duration('PT1,5S').asMilliseconds(), Duration.fromISO('PT1,5S').toMillis());
JS
got=$(node a.js)
want='written -PT1.5S read 1500
dayjs 0:00:-1.-500 0:00:59.999.5
luxon -1500 0:00:-01.-500
comma 0 1500'
echo "$got"; [ "$got" = "$want" ]
