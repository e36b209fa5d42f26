#!/usr/bin/env bash
# Tool: bsdtar 3.6.2 (libarchive-tools 3.6.2-1+deb12u5, Debian 12). Needs a file system with
#   nanoseconds and extended attributes.
# Expected: by default bsdtar writes either whole seconds or exact times, for all files.
# Seen: a file has its nanoseconds if something else needs an extended header: an
#   attribute, a large user id, a name that is not ASCII. The other files of the archive
#   lose them. A hard link has the cut time while its file has the exact one. Copying a
#   pax archive with `bsdtar -c @archive` cuts the same way. Output, as fractions:
#     plain: before .700000000, after .000000000
#     with an attribute: before .500000000, after .500000000
#     with an accent: before .500000000, after .500000000
#     output newer than its source: before yes, after no
#     all exact with --format=pax: yes
# Matters: after unpacking, an output that was made 0.2 s after its source is older than
#   the source, and make builds it again. Without such files in the tree all is well.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q libarchive-tools=3.6.2-1+deb12u5 libarchive13=3.6.2-1+deb12u5 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
bsdtar() { LD_LIBRARY_PATH=$dir/deb/usr/lib/x86_64-linux-gnu LC_ALL=C.UTF-8 "$dir/deb/usr/bin/bsdtar" "$@"; }
mkdir tree copy exact
echo output >tree/plain
echo source >tree/attribute
echo source >"tree/Z$(printf '\303\274')rich"
python3 -c 'import os; os.setxattr("tree/attribute", "user.origin", b"generated")'
touch -d '2026-01-02 03:04:05.5 UTC' tree/attribute tree/Z*
touch -d '2026-01-02 03:04:05.7 UTC' tree/plain
bsdtar -cf a.tar -C tree .
bsdtar -xf a.tar -C copy
bsdtar --format=pax -cf b.tar -C tree .
bsdtar -xf b.tar -C exact
fraction() { stat -c %y "$1" | sed 's/.*\(\.[0-9]*\) .*/\1/'; }
row() { echo "$1: before $(fraction tree/$2), after $(fraction copy/$2)"; }
newer() { if [ "$1/plain" -nt "$1/attribute" ]; then echo yes; else echo no; fi; }
got="$(row plain plain; row 'with an attribute' attribute; row 'with an accent' 'Z*')
output newer than its source: before $(newer tree), after $(newer copy)
all exact with --format=pax: $(newer exact)"
want='plain: before .700000000, after .000000000
with an attribute: before .500000000, after .500000000
with an accent: before .500000000, after .500000000
output newer than its source: before yes, after no
all exact with --format=pax: yes'
echo "$got"; [ "$got" = "$want" ]
