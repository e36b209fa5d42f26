#!/usr/bin/env bash
# Tool: tempora 5.13.0 (PyPI) and enhanced-ms 5.0.0 (npm); pytimeparse 1.1.10 and
#   parse-duration 2.1.9 for comparison.
# Expected: "-90s" is minus 90 seconds, or an error.
# Seen: both return plus 90 seconds, also for "-1h30m". enhanced-ms ignores the
#   point of ".5s" as well: five seconds.
# Matters: Go prints negative durations in this form, and a report of "how much
#   sooner" has them: a gain becomes a loss.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q tempora==5.13.0 pytimeparse==1.1.10
npm init -y >/dev/null
npm install --silent --ignore-scripts enhanced-ms@5.0.0 parse-duration@2.1.9
cat >a.mjs <<'JS'
import enhanced from 'enhanced-ms';
import parse from 'parse-duration';
for (const text of ['-90s', '-1h30m', '.5s', '0.5s'])
  console.log(text, 'enhanced-ms', enhanced(text), 'parse-duration', parse(text));
JS
got=$(v/bin/python - <<'PY'; node a.mjs
import pytimeparse, tempora
for text in ["-90s", "-1h30m"]:
    print(text, "tempora", tempora.parse_timedelta(text).total_seconds(), "pytimeparse", pytimeparse.parse(text))
PY
)
want='-90s tempora 90.0 pytimeparse -90
-1h30m tempora 5400.0 pytimeparse -5400
-90s enhanced-ms 90000 parse-duration -90000
-1h30m enhanced-ms 5400000 parse-duration -5400000
.5s enhanced-ms 5000 parse-duration 500
0.5s enhanced-ms 500 parse-duration 500'
echo "$got"; [ "$got" = "$want" ]
