#!/usr/bin/env bash
# Tool: cpio of toybox 0.8.9+dfsg-1; cpio of busybox 1.35.0 and GNU cpio 2.13 for
#   comparison (all Debian 12).
# Expected: the names of one file have its content again, as links or as copies. In the
#   format newc the content stands at the last name of a file; the others have size 0.
# Seen: all names but the last are empty files of their own, with exit status 0. Output,
#   sizes and number of links of one file of 5 bytes with three names:
#     toybox: status 0, a 0 1, b 0 1, c 5 1
#     busybox: status 0, a 5 3, b 5 3, c 5 3
#     GNU cpio: status 0, a 5 3, b 5 3, c 5 3
# Matters: initial RAM disks and the payload of an RPM are such archives, and tools with
#   many names (busybox, git, compilers) are stored as hard links. They unpack to nothing.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q toybox=0.8.9+dfsg-1 busybox-static=1:1.35.0-4+deb12u1+b1 cpio=2.13+dfsg-7.1 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
mkdir files
echo data >files/a
ln files/a files/b
ln files/a files/c
(cd files; printf '%s\n' a b c | ../deb/bin/cpio --quiet -o -H newc) >a.cpio
unpack() {
  local status=0
  rm -rf out
  mkdir out
  (cd out; "$@" <../a.cpio) >log 2>&1 || status=$?
  echo "status $status$(cd out; stat -c ', %n %s %h' a b c | tr -d '\n')"
}
got="toybox: $(unpack ../deb/bin/toybox cpio -i)
busybox: $(unpack ../deb/bin/busybox cpio -i)
GNU cpio: $(unpack ../deb/bin/cpio -i)"
want='toybox: status 0, a 0 1, b 0 1, c 5 1
busybox: status 0, a 5 3, b 5 3, c 5 3
GNU cpio: status 0, a 5 3, b 5 3, c 5 3'
echo "$got"; [ "$got" = "$want" ]
