#!/usr/bin/env bash
# Tool: parse-duration 2.1.9 and juration 0.1.1 (npm), tempora 5.13.0 and
#   pytimeparse 1.1.10 (PyPI).
# Expected: "2:05", as CI systems show the time of a job, is two minutes and five
#   seconds, or an error.
# Seen: four readers accept it and give four values: 2.005 milliseconds, 7
#   seconds (the sum), 2 hours 5 minutes, and 2 minutes 5 seconds. "01:30:00" is
#   1.03 ms for the first and 31 s for the second.
# Matters: the times of a table that was copied from a page differ by a factor of
#   60 to 60000, without a message.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q tempora==5.13.0 pytimeparse==1.1.10
npm init -y >/dev/null
npm install --silent --ignore-scripts parse-duration@2.1.9 juration@0.1.1
cat >a.mjs <<'JS'
import parse from 'parse-duration';
import juration from 'juration';
for (const text of ['2:05', '01:30:00'])
  console.log(text, 'parse-duration', parse(text) / 1000, 'juration', juration.parse(text));
JS
got=$(node a.mjs; v/bin/python - <<'PY'
import pytimeparse, tempora
for text in ["2:05", "01:30:00"]:
    print(text, "tempora", tempora.parse_timedelta(text).total_seconds(), "pytimeparse", pytimeparse.parse(text))
PY
)
want='2:05 parse-duration 0.002005 juration 7
01:30:00 parse-duration 0.00103 juration 31
2:05 tempora 7500.0 pytimeparse 125
01:30:00 tempora 5400.0 pytimeparse 5400'
echo "$got"; [ "$got" = "$want" ]
