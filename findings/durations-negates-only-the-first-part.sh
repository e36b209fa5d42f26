#!/usr/bin/env bash
# Tool: durations 0.3.3 (PyPI); pytimeparse2 1.7.1 for comparison.
# Expected: -1h30m is minus 5400 s, and 1m30.123456s keeps its microseconds.
# Seen: the sign belongs to the first number only: -1h30m is -1800 s. Fractions
#   are rounded to hundredths (90.12). A text that it cannot read, such as 1:30
#   or 90, is 0 s and not an error.
# Matters: differences of durations get a wrong size, and a limit that is not
#   understood becomes a limit of zero.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q --no-deps durations==0.3.3 pytimeparse2==1.7.1
cat >a.py <<'PY'
from durations import Duration
import pytimeparse2
for text in ("1h30m", "-1h30m", "1m30.123456s", "1:30", "90"):
    print(text, Duration(text).to_seconds(), pytimeparse2.parse(text))
PY
got=$(v/bin/python a.py)
want='1h30m 5400.0 5400
-1h30m -1800.0 -5400
1m30.123456s 90.12 90.123456
1:30 0.0 90
90 0.0 90'
echo "$got"; [ "$got" = "$want" ]
