#!/usr/bin/env bash
# Tool: dissect.xfs 3.13, dissect.extfs 3.15 (PyPI); xfsprogs 6.1.0-1, e2fsprogs 1.47.0
#   (Debian 12) and Linux for comparison. Runs as root, for mounts in a namespace.
# Expected: space that fallocate(2) reserves reads as zeros until it is written, in
#   each reader of the file system.
# Seen: dissect.xfs ignores the mark of such extents and returns what the blocks held
#   before: here 1 MiB of a file that was removed. A file with four bytes written and
#   1 MiB reserved has the old data from the second block on. dissect.extfs returns
#   zeros for the same files. Output, of the number of times that the text of the removed
#   file occurs:
#     kernel, xfs: reserved 0, partly written 0
#     dissect.xfs: reserved 131072, partly written 130560
#     dissect.extfs: reserved 0, partly written 0
# Matters: databases, package managers and downloads reserve space. A layer or digest that
#   is made from an image through this reader differs from what the machine sees, and
#   contains data that was deleted.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q dissect.xfs==3.13 dissect.extfs==3.15
apt-get download -q xfsprogs=6.1.0-1 libinih1=55-1 liburcu8=0.13.2-1 e2fsprogs=1.47.0-2+b2 libext2fs2=1.47.0-2+b2 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
libraries=$PWD/deb/lib/x86_64-linux-gnu:$PWD/deb/usr/lib/x86_64-linux-gnu
truncate -s 400M xfs.image ext4.image
LD_LIBRARY_PATH=$libraries deb/sbin/mkfs.xfs -q xfs.image
LD_LIBRARY_PATH=$libraries deb/sbin/mkfs.ext4 -q ext4.image
mkdir mnt
cat >fill.sh <<'SH'
set -e
mount -o loop "$1" mnt
python3 -c 'open("mnt/removed", "wb").write(b"deleted." * (48 << 17))'
sync; rm mnt/removed; sync
fallocate -l 1M mnt/reserved
fallocate -l 1M mnt/partly
printf head | dd of=mnt/partly conv=notrunc status=none
sync
count() { grep -ao 'deleted\.' "mnt/$1" | wc -l; }
echo "reserved $(count reserved), partly written $(count partly)"
umount mnt
SH
cat >read.py <<'PY'
import sys
from dissect.extfs import ExtFS
from dissect.xfs import XFS

system = {"xfs": XFS, "extfs": ExtFS}[sys.argv[1]](open(sys.argv[2], "rb"))
count = {name: system.get("/" + name).open().read().count(b"deleted.") for name in ("reserved", "partly")}
print(f"reserved {count['reserved']}, partly written {count['partly']}")
PY
kernel=$(unshare --mount bash fill.sh xfs.image)
unshare --mount bash fill.sh ext4.image >ext4.log
got="kernel, xfs: $kernel
dissect.xfs: $(v/bin/python read.py xfs xfs.image)
dissect.extfs: $(v/bin/python read.py extfs ext4.image)"
want='kernel, xfs: reserved 0, partly written 0
dissect.xfs: reserved 131072, partly written 130560
dissect.extfs: reserved 0, partly written 0'
echo "$got"; [ "$got" = "$want" ]
