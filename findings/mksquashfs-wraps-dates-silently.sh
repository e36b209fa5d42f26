#!/usr/bin/env bash
# Tool: mksquashfs (squashfs-tools 1:4.5.1-1), gensquashfs and tar2sqfs
#   (squashfs-tools-ng 1.2.0-1), Debian 12.
# Expected: squashfs stores unsigned 32-bit seconds; a date outside 1970-2106 is
#   clamped to the nearest end, or there is a warning.
# Seen: mksquashfs and gensquashfs store the low 32 bits without a message. A
#   file of 1969-12-31 is dated 2106-02-07, a file of 2110 is dated 1973.
#   tar2sqfs, from the same package as gensquashfs, clamps both.
# Matters: the oldest file becomes the newest, for make and for caches that
#   compare times.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q squashfs-tools=1:4.5.1-1 squashfs-tools-ng=1.2.0-1 libsquashfs1=1.2.0-1 liblzo2-2=2.10-2 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
export LD_LIBRARY_PATH=$PWD/deb/usr/lib/x86_64-linux-gnu:$PWD/deb/lib/x86_64-linux-gnu TZ=UTC
mkdir tree
touch -d 1969-12-31T23:59:00Z tree/before
touch -d 2040-01-01T00:00:00Z tree/inside
touch -d 2110-01-01T00:00:00Z tree/after
deb/usr/bin/mksquashfs tree a.sqfs -no-progress >log 2>&1
list() { deb/usr/bin/unsquashfs -lls "$1" | awk '/squashfs-root\// { print $6, $4 }' | sed 's|squashfs-root/||'; }
deb/usr/bin/gensquashfs -q -D tree -k b.sqfs >log2 2>&1
if grep -iE 'warn|timestamp|clamp' log log2; then echo "now says something"; exit 1; fi
tar -C tree --format=pax -cf tree.tar before inside after
deb/usr/bin/tar2sqfs -q c.sqfs <tree.tar >log3 2>&1
got=$(echo mksquashfs; list a.sqfs; echo gensquashfs; list b.sqfs; echo tar2sqfs; list c.sqfs)
echo "$got"
want='mksquashfs
after 1973-11-24
before 2106-02-07
inside 2040-01-01
gensquashfs
after 1973-11-24
before 2106-02-07
inside 2040-01-01
tar2sqfs
after 2106-02-07
before 1970-01-01
inside 2040-01-01'
[ "$got" = "$want" ]
