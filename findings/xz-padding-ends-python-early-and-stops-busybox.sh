#!/usr/bin/env bash
# Tool: Python's lzma (CPython 3.11.7) and busybox-static 1:1.35.0-4+deb12u1+b1
#   (Debian 12); xz-utils for comparison.
# Expected: zero bytes in fours between streams or after the last are stream
#   padding, part of the format, and are skipped.
# Seen: with padding between two streams, Python returns the first stream only,
#   without an error. With padding at the end it raises EOFError; busybox prints
#   the data and then fails with "corrupted data". xz reads all.
# Matters: archives are padded to a block size by some writers, and files joined
#   from padded parts lose all but the first part.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q busybox-static=1:1.35.0-4+deb12u1+b1 >apt.log 2>&1
dpkg-deb -x busybox-static_*.deb deb
(echo one | xz; head -c 4 /dev/zero; echo two | xz) >between.xz
(echo one | xz; head -c 4 /dev/zero) >after.xz
got=$(for name in between after; do
  echo "$name: xz" $(xz -dc $name.xz)
  echo "$name: python" $(python3 -c '
import lzma, sys
try:
    print(lzma.open(sys.argv[1]).read().decode())
except Exception as error:
    print(type(error).__name__)' $name.xz)
  status=0; out=$(deb/bin/busybox unxz -c $name.xz 2>/dev/null) || status=$?
  echo "$name: busybox" $out "exits $status"
done)
want='between: xz one two
between: python one
between: busybox one two exits 0
after: xz one
after: python EOFError
after: busybox one exits 1'
echo "$got"; [ "$got" = "$want" ]
