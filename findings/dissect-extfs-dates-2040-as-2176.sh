#!/usr/bin/env bash
# Tool: dissect.extfs 3.15 and dissect.btrfs 1.10 (PyPI); e2fsprogs 1.47.0, btrfs-progs
#   6.2 (Debian 12) and Linux for comparison. Runs as root, for mounts in a namespace.
# Expected: the time of a file is the one that the kernel wrote. ext4 adds the two epoch
#   bits to a signed 32-bit number, as its documentation shows in a table.
# Seen: dissect.extfs reads the 32 bits as unsigned. Each date from 2038-01-19 on is 136
#   years late, and each one before 1970 is in the 22nd century. dissect.btrfs stops with an
#   OverflowError at a date before 1970, and has the later ones right. Output:
#     ext4 1960: kernel 1960, dissect 2096
#     ext4 2020: kernel 2020, dissect 2020
#     ext4 2040: kernel 2040, dissect 2176
#     btrfs 1960: kernel 1960, dissect OverflowError
#     btrfs 2020: kernel 2020, dissect 2020
#     btrfs 2040: kernel 2040, dissect 2040
# Matters: times set for reproducible builds, or by a wrong clock, lie there; a layer
#   that is made from such an image has other times than its files.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q dissect.extfs==3.15 dissect.btrfs==1.10
apt-get download -q btrfs-progs=6.2-1+deb12u2 e2fsprogs=1.47.0-2+b2 libext2fs2=1.47.0-2+b2 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
libraries=$PWD/deb/lib/x86_64-linux-gnu:$PWD/deb/usr/lib/x86_64-linux-gnu
truncate -s 200M ext4.image btrfs.image
LD_LIBRARY_PATH=$libraries deb/sbin/mkfs.ext4 -q ext4.image
LD_LIBRARY_PATH=$libraries deb/sbin/mkfs.btrfs -q btrfs.image >mkfs.log
mkdir mnt
cat >fill.sh <<'SH'
set -e
mount -o loop "$1" mnt
for year in 1960 2020 2040; do
  touch -d "$year-05-05 12:00:00 UTC" "mnt/$year"
done
umount mnt
mount -o loop,ro "$1" mnt
for year in 1960 2020 2040; do echo "$year $(date -ur "mnt/$year" +%Y)"; done
umount mnt
SH
cat >read.py <<'PY'
import sys
from dissect.btrfs import Btrfs
from dissect.extfs import ExtFS

name = sys.argv[1]
system = {"ext4": ExtFS, "btrfs": Btrfs}[name](open(f"{name}.image", "rb"))
for line in sys.stdin:
    year, kernel = line.split()
    try:
        seen = system.get("/" + year).mtime.year
    except OverflowError as error:
        seen = type(error).__name__
    print(f"{name} {year}: kernel {kernel}, dissect {seen}")
PY
got=$(for name in ext4 btrfs; do
  unshare --mount bash fill.sh $name.image >kernel
  v/bin/python read.py $name <kernel
done)
want='ext4 1960: kernel 1960, dissect 2096
ext4 2020: kernel 2020, dissect 2020
ext4 2040: kernel 2040, dissect 2176
btrfs 1960: kernel 1960, dissect OverflowError
btrfs 2020: kernel 2020, dissect 2020
btrfs 2040: kernel 2040, dissect 2040'
echo "$got"; [ "$got" = "$want" ]
