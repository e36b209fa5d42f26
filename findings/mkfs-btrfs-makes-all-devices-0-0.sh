#!/usr/bin/env bash
# Tool: btrfs-progs 6.2-1+deb12u2 (Debian 12, run as root), `mkfs.btrfs --rootdir`, and the
#   btrfs of Linux 6.18; `mkfs.ext4 -d` of e2fsprogs 1.47 for comparison (Debian 12, installed).
# Expected: the file system has the files of the folder with their owners, modes, times,
#   attributes and device numbers, and passes `btrfs check`.
# Seen: each device is device 0:0, so /dev/null cannot be opened. The root folder belongs to
#   root with mode 755 and without its attributes, whatever it was. Times are whole seconds. A
#   file that has another name outside of the folder has two links and one name, which `btrfs
#   check` calls an error. No message is shown, and the exit status is 0. Output:
#     folder: root 1777 of user 5, /dev/null 1:3, time .250000000, file with 2 links
#     btrfs: root 755 of user 0, /dev/null 0:0, time .000000000, file with 2 links
#     ext4: root 755 of user 0, /dev/null 1:3, time .000000000, file with 1 links
#     btrfs check: link count wrong
# Matters: the root file system of an image for a machine has no working /dev/null until devtmpfs
#   is mounted over it, and one made from a folder of hard links (a cache, a snapshot of rsync, a
#   package store) is damaged from the start.
set -euo pipefail
dir=$(mktemp -d); trap '! mountpoint -q "$dir/m" || umount "$dir/m"; rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q btrfs-progs=6.2-1+deb12u2 >apt.log 2>&1
dpkg-deb -x btrfs-progs*.deb deb
mkdir folder m
mknod folder/null c 1 3
echo content >folder/file; ln folder/file outside
touch -d 2026-01-02T03:04:05.25Z folder/file
chmod 1777 folder; chown 5:5 folder
look() { # NAME FOLDER
  local nanoseconds
  nanoseconds=$(stat -c %y "$2/file")
  nanoseconds=${nanoseconds#*.}
  echo "$1: root $(stat -c '%a of user %u' "$2"), /dev/null $(stat -c %t:%T "$2/null"), time .${nanoseconds% *}, file with $(stat -c %h "$2/file") links"
}
truncate -s 200M btrfs ext4
deb/sbin/mkfs.btrfs -q --rootdir folder btrfs >mkfs.log
mkfs.ext4 -q -d folder ext4
{
  look folder folder
  for kind in btrfs ext4; do
    mount -o loop,ro $kind m
    look $kind m
    umount m
  done
  echo "btrfs check: $(deb/bin/btrfs check btrfs 2>&1 | grep -o 'link count wrong')"
} >got
want='folder: root 1777 of user 5, /dev/null 1:3, time .250000000, file with 2 links
btrfs: root 755 of user 0, /dev/null 0:0, time .000000000, file with 2 links
ext4: root 755 of user 0, /dev/null 1:3, time .000000000, file with 1 links
btrfs check: link count wrong'
cat got; [ "$(cat got)" = "$want" ]
