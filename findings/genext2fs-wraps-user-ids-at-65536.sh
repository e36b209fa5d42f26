#!/usr/bin/env bash
# Tool: genext2fs 1.5.0-3 (Debian 12), from a folder and from an archive; mkfs.ext2 1.47.0
#   (Debian 12, installed) for comparison.
# Expected: an ext2 inode has 32 bits for the user, so larger numbers are stored, or the
#   tool stops.
# Seen: the upper 16 bits are dropped, without a message and with exit status 0. Output,
#   the owners in the image:
#     mkfs.ext2, folder: 65535 70000 100000
#     genext2fs, folder: 65535 4464 34464
#     genext2fs, archive: 65535 4464 34464
# Matters: subordinate users of rootless containers start at 100000, and directory
#   services give out large numbers. Their files change hands in the image.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q genext2fs=1.5.0-3 libarchive13 libxml2 libicu72 libnettle8 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
export LD_LIBRARY_PATH=$PWD/deb/usr/lib/x86_64-linux-gnu PATH=$PWD/deb/usr/bin:/usr/sbin:$PATH
mkdir files
for user in 65535 70000 100000; do
  touch "files/$user"
  chown "$user:$user" "files/$user"
done
tar -C files -cf files.tar .
mkfs.ext2 -q -d files reference.img 1M >reference.log
genext2fs -b 256 -d files folder.img >folder.log
genext2fs -b 256 -a files.tar archive.img >archive.log
owners() {
  for user in 65535 70000 100000; do
    env -u LD_LIBRARY_PATH debugfs -R "stat $user" "$1" 2>/dev/null | awk '/^User:/ {print $2}'
  done | xargs
}
got="mkfs.ext2, folder: $(owners reference.img)
genext2fs, folder: $(owners folder.img)
genext2fs, archive: $(owners archive.img)"
want='mkfs.ext2, folder: 65535 70000 100000
genext2fs, folder: 65535 4464 34464
genext2fs, archive: 65535 4464 34464'
echo "$got"; [ "$got" = "$want" ]
