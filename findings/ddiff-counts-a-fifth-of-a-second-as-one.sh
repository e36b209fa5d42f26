#!/usr/bin/env bash
# Tool: dateutils 0.4.10-1 (Debian 12), `dateutils.ddiff`.
# Expected: times with fractions are subtracted with them, or refused. The format
#   %N is documented as nanoseconds.
# Seen: fractions are read and dropped before the subtraction, so from 00.9 to
#   01.1 is "1s", from 00.1 to 00.9 "0s", and %N is always zero. In months and
#   days, from 31 January to 1 March is "1 62", from 15 January "1 14".
# Matters: the length of a short step from the times of a log is off by up to a
#   second, in either direction, without a message.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -qq dateutils=0.4.10-1 2>/dev/null
dpkg -x dateutils_*.deb r
ddiff() { r/usr/bin/dateutils.ddiff "$@"; }
got=$(ddiff 2026-11-28T10:00:00.9 2026-11-28T10:00:01.1
ddiff 2026-11-28T10:00:00.1 2026-11-28T10:00:00.9
ddiff -f '%S.%N' 2026-11-28T10:00:00.9 2026-11-28T10:00:01.1
ddiff -f '%m %d' 2026-01-15 2026-03-01
ddiff -f '%m %d' 2026-01-31 2026-03-01)
want='1s
0s
1.000000000
1 14
1 62'
echo "$got"; [ "$got" = "$want" ]
