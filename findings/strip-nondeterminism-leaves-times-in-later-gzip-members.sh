#!/usr/bin/env bash
# Tool: strip-nondeterminism 1.13.1-1 (Debian 12).
# Expected: a gzip file that it calls normalized has no time and no file name, in any of
#   its members.
# Seen: only the header at the start of the file is changed. The members after it keep
#   their times and names; the exit status is 0. Output, per member:
#     before: 2023-11-14 one.log, 2023-11-14 two.log
#     Normalizing both.gz
#     after: no time or name, 2023-11-14 two.log
# Matters: joined logs and layers in pieces are gzip files with many members. They differ
#   in each build, and the tool that is there to remove that reports that it did.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q strip-nondeterminism=1.13.1-1 libfile-stripnondeterminism-perl=1.13.1-1 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
export PERL5LIB=$PWD/deb/usr/share/perl5
cat >members.py <<'PY'
import datetime, sys, zlib

data = open("both.gz", "rb").read()
members = []
while data:
    time = int.from_bytes(data[4:8], "little")
    name = data[10:data.index(b"\0", 10)].decode() if data[3] == 8 else ""
    day = datetime.datetime.fromtimestamp(time, datetime.timezone.utc).date() if time else ""
    members.append(f"{day} {name}" if day or name else "no time or name")
    member = zlib.decompressobj(31)
    member.decompress(data)
    data = member.unused_data
print(sys.argv[1] + ":", ", ".join(members))
PY
for name in one two; do
  echo "$name" >"$name.log"
  touch -d @1700000000 "$name.log"
  gzip "$name.log"
done
cat one.log.gz two.log.gz >both.gz
got=$(python3 members.py before; deb/usr/bin/strip-nondeterminism -v both.gz 2>&1 | grep Normalizing; python3 members.py after)
want='before: 2023-11-14 one.log, 2023-11-14 two.log
Normalizing both.gz
after: no time or name, 2023-11-14 two.log'
echo "$got"; [ "$got" = "$want" ]
