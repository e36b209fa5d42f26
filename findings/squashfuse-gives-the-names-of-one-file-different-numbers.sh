#!/usr/bin/env bash
# Tool: squashfuse 0.1.105-1 and squashfs-tools 4.5.1-1 (Debian 12); squashfuse_ll of the same package
#   and the kernel's squashfs for comparison. Runs as root and needs /dev/fuse.
# Expected: an image that is mounted with squashfuse looks like one that the kernel mounted: a file
#   with ten names has one inode number, so tar, cp -a, rsync -H and du take it for one file.
# Seen: each name has a number of its own, next to a link count of 10. tar finds no second name of any
#   file and packs the content ten times, without a message. squashfuse_ll has the right numbers.
#   Output, for a file of 1 MB with ten names, as different numbers, links, MB in a tar:
#     kernel: 1 number, 10 links, 1 MB
#     squashfuse: 10 numbers, 10 links, 10 MB
#     squashfuse_ll: 1 number, 10 links, 1 MB
# Matters: squashfuse is a usual way to read an image without root. What is packed again there, such
#   as a layer with git or a store of packages, is several times as large and has another digest.
set -euo pipefail
dir=$(mktemp -d); trap 'umount "$dir/mnt" 2>/dev/null || true; rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q squashfuse=0.1.105-1 libsquashfuse0=0.1.105-1 libfuse2=2.9.9-6+b1 squashfs-tools=1:4.5.1-1 liblzo2-2 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
libraries=$(find "$PWD/deb" -name '*.so.*' -printf '%h\n' | sort -u | paste -sd:)
mkdir tree mnt
head -c 1000000 /dev/urandom >tree/0
for number in {1..9}; do ln tree/0 "tree/$number"; done
LD_LIBRARY_PATH=$libraries deb/usr/bin/mksquashfs tree image -quiet -no-progress >mksquashfs.log

look() { # NAME COMMAND...: mounts the image, and says what it looks like
    local name=$1 numbers; shift
    "$@" image mnt >mount.log 2>&1
    numbers=$(stat -c %i mnt/* | sort -u | wc -l)
    tar -cf out.tar -C mnt .
    echo "$name: $numbers number$([ "$numbers" = 1 ] || echo s), $(stat -c %h mnt/0) links, $(($(stat -c %s out.tar) / 1000000)) MB"
    umount mnt
}
got="$(look kernel mount -o loop,ro)
$(look squashfuse env LD_LIBRARY_PATH="$libraries" deb/usr/bin/squashfuse)
$(look squashfuse_ll env LD_LIBRARY_PATH="$libraries" deb/usr/bin/squashfuse_ll)"
want='kernel: 1 number, 10 links, 1 MB
squashfuse: 10 numbers, 10 links, 10 MB
squashfuse_ll: 1 number, 10 links, 1 MB'
echo "$got"; [ "$got" = "$want" ]
