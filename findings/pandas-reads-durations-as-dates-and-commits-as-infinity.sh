#!/usr/bin/env bash
# Tool: pandas 3.1.1 (PyPI), read_json(lines=True).
# Expected: a JSON number stays a number and a JSON text stays text.
# Seen: an integer column whose name ends in "_time" or "_at" becomes dates if
#   its smallest value is above 31536000, otherwise it stays a number: a build of
#   93 s in microseconds is "1972-12-12", until one quick step is in the log. A
#   text column whose texts look like numbers becomes numbers: the commit
#   "12e4567" is infinity, the id "00123" is 123, the version "1.10" is 1.1.
# Matters: the type of a column depends on the slowest or luckiest row, and a
#   commit id cannot be matched any more.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q --no-deps pandas==3.1.1 numpy==2.4.6 python-dateutil==4.0.0 tzdata==2026.6 six==1.17.0
got=$(v/bin/python - <<'PY'
import io, json, pandas
def read(*rows):
    frame = pandas.read_json(io.StringIO("\n".join(json.dumps(row) for row in rows)), lines=True)
    return " ".join(str(frame[column][0]) for column in frame)
print(read({"build_time": 93_000_000}, {"build_time": 45_000_000}))
print(read({"build_time": 93_000_000}, {"build_time": 400}))
print(read({"commit": "12e4567", "id": "00123", "version": "1.10"}))
print(read({"commit": "12e4567"}, {"commit": "abc4567"}))
PY
)
want='1972-12-12 09:20:00
93000000
inf 123 1.1
12e4567'
echo "$got"; [ "$got" = "$want" ]
