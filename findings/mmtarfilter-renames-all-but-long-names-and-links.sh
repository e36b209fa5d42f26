#!/usr/bin/env bash
# Tool: mmtarfilter from mmdebstrap 1.3.5-7 (Debian 12), on an archive of GNU tar
#   in pax format.
# Expected: --strip-components=1 takes the first folder off each name, as tar's
#   option does, and off the targets of hard links.
# Seen: a name of more than 100 characters keeps its folder, since only the short
#   header field is changed and the pax record "path" wins. A hard link still
#   points at the old name, so tar stops with "Cannot hard link". --transform has
#   the same gaps.
# Matters: a base image made with it has one file in the wrong folder, or cannot
#   be unpacked.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q mmdebstrap=1.3.5-7 >apt.log 2>&1
dpkg-deb -x mmdebstrap_*.deb deb
long=$(printf 'n%.0s' {1..120})
mkdir root; echo data >root/a; ln root/a root/link; echo data >"root/$long"
tar --format=pax -cf a.tar root/a root/link "root/$long"
python3 deb/usr/bin/mmtarfilter --strip-components=1 <a.tar >b.tar
got=$(tar tvf b.tar | awk '{ $1 = substr($1, 1, 1); $2 = $3 = $4 = $5 = ""; print }' | tr -s ' ' | sed "s/$long/LONG/")
want='- a
h link link to root/a
- root/LONG'
echo "$got"; [ "$got" = "$want" ]
mkdir out
if tar -C out -xf b.tar 2>err; then echo "unpacks now"; exit 1; fi
grep 'Cannot hard link' err
