#!/usr/bin/env bash
# Tool: gensquashfs and tar2sqfs (squashfs-tools-ng 1.2.0-1) and mksquashfs
#   (squashfs-tools 1:4.5.1-1), Debian 12.
# Expected: four names of one file are one inode in the image, as mksquashfs and
#   tar2sqfs make it.
# Seen: `gensquashfs --pack-dir` makes four inodes with one link each. The data
#   is stored once, so the image has the same size and nothing shows, but it
#   unpacks to four files, and sqfs2tar writes the data four times.
# Matters: a package store with many hard links grows by their number when the
#   image is turned into a layer.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q squashfs-tools=1:4.5.1-1 squashfs-tools-ng=1.2.0-1 libsquashfs1=1.2.0-1 liblzo2-2=2.10-2 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
export LD_LIBRARY_PATH=$PWD/deb/usr/lib/x86_64-linux-gnu:$PWD/deb/lib/x86_64-linux-gnu
mkdir tree; head -c 1000000 /dev/urandom >tree/a
for name in b c d; do ln tree/a tree/$name; done
deb/usr/bin/mksquashfs tree mksquashfs.img -no-progress >/dev/null
deb/usr/bin/gensquashfs -q --pack-dir tree gensquashfs.img
tar -C tree -cf - . | deb/usr/bin/tar2sqfs -q tar2sqfs.img
got=$(for tool in mksquashfs tar2sqfs gensquashfs; do
  deb/usr/bin/sqfs2tar $tool.img >$tool.tar 2>/dev/null
  echo "$tool: image $(($(stat -c %s $tool.img) / 1000000)) MB, archive $(($(stat -c %s $tool.tar) / 1000000)) MB, links $(tar tvf $tool.tar | grep -c '^h' || true)"
done)
want='mksquashfs: image 1 MB, archive 1 MB, links 3
tar2sqfs: image 1 MB, archive 1 MB, links 3
gensquashfs: image 1 MB, archive 4 MB, links 0'
echo "$got"; [ "$got" = "$want" ]
