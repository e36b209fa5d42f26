#!/usr/bin/env bash
# Tool: sqfstar (squashfs-tools 1:4.5.1-1) and tar2sqfs (squashfs-tools-ng
#   1.2.0-1), Debian 12; GNU tar for comparison.
# Expected: in a tar archive a later entry of the same name replaces the earlier
#   one. That is how `tar --append` updates a file.
# Seen: sqfstar keeps the first entry ("already exists in the tar file,
#   ignoring") and exits with 0. tar2sqfs stops with "File exists". tar extracts
#   the last.
# Matters: the image has the old file, and only a line on standard error says so.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q squashfs-tools=1:4.5.1-1 squashfs-tools-ng=1.2.0-1 libsquashfs1=1.2.0-1 liblzo2-2=2.10-2 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
echo old >file; tar cf a.tar file
echo new >file; tar rf a.tar file
mkdir out; tar -C out -xf a.tar
export LD_LIBRARY_PATH=$PWD/deb/usr/lib/x86_64-linux-gnu:$PWD/deb/lib/x86_64-linux-gnu
sqfstar=0; deb/usr/bin/sqfstar a.img <a.tar >log 2>&1 || sqfstar=$?
grep 'already exists' log
tar2sqfs=0; deb/usr/bin/tar2sqfs -q b.img <a.tar >log 2>&1 || tar2sqfs=$?
cat log
got="tar: $(cat out/file), sqfstar exits $sqfstar: $(deb/usr/bin/unsquashfs -cat a.img file), tar2sqfs exits $tar2sqfs"
want='tar: new, sqfstar exits 0: old, tar2sqfs exits 1'
echo "$got"; [ "$got" = "$want" ]
