#!/usr/bin/env bash
# Tool: GNU datamash 1.7-2 (Debian 12).
# Expected: min, max, first and range of a column of timestamps are exact.
# Seen: results are printed with 14 significant digits. The maximum of
#   nanosecond timestamps is 1.7643080001235e+18, microseconds after the point
#   lose two digits (1764308000.3235), so the "maximum" is larger than each
#   value. `first` and `unique` copy the text and stay exact.
# Matters: a log reader that takes the end of a build from `datamash max` gets a
#   time that never occurred and cannot match it to a line.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q datamash=1.7-2 >apt.log 2>&1
dpkg-deb -x datamash_*.deb deb
export LC_ALL=C
got=$(
  printf '1764308000123456788\n1764308000123456789\n' | deb/usr/bin/datamash max 1 range 1 last 1
  printf '1764308000.123456\n1764308000.323456\n' | deb/usr/bin/datamash max 1 range 1 last 1
)
want=$(printf '1.7643080001235e+18\t1\t1764308000123456789\n1764308000.3235\t0.19999999995343\t1764308000.323456')
echo "$got"; [ "$got" = "$want" ]
