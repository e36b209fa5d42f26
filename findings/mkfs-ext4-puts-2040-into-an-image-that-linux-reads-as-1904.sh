#!/usr/bin/env bash
# Tool: mkfs.ext4 and debugfs of e2fsprogs 1.47.0-2+b2 (Debian 12); Linux for comparison.
#   Runs as root, for a mount in a namespace of its own.
# Expected: `mkfs.ext4 -d FOLDER` copies the times of the files. Its inodes have
#   256 bytes, so ext4 holds dates until 2446 and nanoseconds.
# Seen: only the low 32 bits of the seconds are written. The kernel reads a file of
#   2040 as one of 1904, without a message from either side. debugfs reads the number
#   as unsigned: for it the file is from 2040, and one of 1960 is from 2096. All
#   nanoseconds are 0. Output:
#     2040: kernel 1904, debugfs 2040
#     1960: kernel 1960, debugfs 2096
#     2020: kernel 2020, debugfs 2020, .123456789 s is .000000000 s
# Matters: this is how a root file system becomes the disk of a virtual machine. A make
#   inside it sees a file dated in the future as the oldest of all, and a check with
#   debugfs confirms the date that the kernel does not see.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q e2fsprogs=1.47.0-2+b2 libext2fs2=1.47.0-2+b2 libss2=1.47.0-2+b2 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
mkdir tree mnt out
for year in 1960 2020 2040; do
  echo "$year" >"tree/$year"
  touch -d "$year-05-05 12:00:00.123456789 UTC" "tree/$year"
done
export LD_LIBRARY_PATH=$PWD/deb/lib/x86_64-linux-gnu:$PWD/deb/usr/lib/x86_64-linux-gnu
deb/sbin/mkfs.ext4 -q -d tree image 64M 2>mkfs.log
deb/sbin/dumpe2fs -h image 2>/dev/null | grep -q 'Inode size:.*256'
deb/sbin/debugfs -R 'rdump / out' image 2>/dev/null
unset LD_LIBRARY_PATH
unshare --mount bash -c 'mount -o loop,ro image mnt && stat -c "%n %y" mnt/2* mnt/1*' >kernel
cat mkfs.log kernel; [ ! -s mkfs.log ]
year() { sed -n "s|^mnt/$1 \([0-9]*\)-.*|\1|p" kernel; }
got=$(for year in 2040 1960 2020; do
  echo "$year: kernel $(year $year), debugfs $(date -ur out/$year +%Y)"
done | sed "\$s|\$|, .123456789 s is $(sed -n 's|^mnt/2020 .*\(\.[0-9]*\) .*|\1|p' kernel) s|")
want='2040: kernel 1904, debugfs 2040
1960: kernel 1960, debugfs 2096
2020: kernel 2020, debugfs 2020, .123456789 s is .000000000 s'
echo "$got"; [ "$got" = "$want" ]
