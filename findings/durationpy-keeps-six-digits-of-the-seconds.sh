#!/usr/bin/env bash
# Tool: durationpy 0.11 (PyPI; the Kubernetes client depends on it).
# Expected: to_str() writes Go's duration format, and from_str() reads the same
#   timedelta back, which has whole microseconds.
# Seen: seconds are printed with six significant digits. 1.999999 s is "2s",
#   59.123456 s is "59.1235s". A microsecond after a full hour is "1h1e-06s",
#   which from_str() refuses, as Go does.
# Matters: step times above a second lose their microseconds, and a sum of parts
#   differs from the total.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q --no-deps durationpy==0.11
got=$(v/bin/python - <<'PY'
import datetime, durationpy
for microseconds in (999_999, 1_999_999, 59_123_456, 3_600_000_001):
    text = durationpy.to_str(datetime.timedelta(microseconds=microseconds))
    try:
        back = durationpy.from_str(text) // datetime.timedelta(microseconds=1)
    except durationpy.DurationError as error:
        back = type(error).__name__
    print(microseconds, text, back)
PY
)
want='999999 999ms999us 999999
1999999 2s 2000000
59123456 59.1235s 59123500
3600000001 1h1e-06s DurationError'
echo "$got"; [ "$got" = "$want" ]
