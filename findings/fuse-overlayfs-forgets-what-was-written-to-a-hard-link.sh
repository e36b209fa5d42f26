#!/usr/bin/env bash
# Tool: fuse-overlayfs 1.10-1 (Debian 12); the kernel's overlayfs for comparison. Runs as root and
#   needs /dev/fuse. The folders must not be in an overlay file system.
# Expected: a file of a lower layer with two names that is written to is copied up under the name that
#   was used, and it has the new content there, now and after the next mount.
# Seen: while mounted, both names have the new content. The copy in the upper folder has one of the
#   names, on ext4 often the one that was not written to. After the next mount it is still there, but
#   both names show the old content: the write is lost. There is no message. Output, for ten pairs
#   of which one name is written to, as names with new content:
#     fuse-overlayfs: mounted 20, mounted again 0, in the upper folder 10
#     kernel: mounted 10, mounted again 10, in the upper folder 10
# Matters: rootless builders use it where the kernel's cannot be mounted. Programs with two names,
#   such as perl, come as hard links. A step that edits one makes a layer in which another name may
#   be the new one, and what mounts the same folders again sees neither.
set -euo pipefail
dir=$(mktemp -d); trap 'umount "$dir/mnt" 2>/dev/null || true; umount "$dir/work" 2>/dev/null || true; rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q fuse-overlayfs=1.10-1 libfuse3-3=3.14.0-4 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
libraries=$(find "$PWD/deb" -name '*.so.*' -printf '%h\n' | sort -u | paste -sd:)
program=$PWD/deb/usr/bin/fuse-overlayfs

mkdir mnt work; mount -t tmpfs tmpfs work # one kind of file system for all
try() { # NAME COMMAND...: writes to ten files, mounts again, and counts the names with new content
    local name=$1 number before after; shift
    rm -rf work/*; mkdir work/{lower,upper,work}
    for number in {0..9}; do echo old >work/lower/a$number; ln work/lower/a$number work/lower/b$number; done
    "$@" -o lowerdir=work/lower,upperdir=work/upper,workdir=work/work mnt 2>/dev/null
    for number in {0..9}; do echo new >>mnt/a$number; done
    before=$(grep -l new mnt/* | wc -l); umount mnt
    "$@" -o lowerdir=work/lower,upperdir=work/upper,workdir=work/work mnt 2>/dev/null
    after=$(grep -l new mnt/* | wc -l || true); umount mnt
    echo "$name: mounted $before, mounted again $after, in the upper folder $(grep -rl new work/upper | wc -l)"
}
got="$(try fuse-overlayfs env LD_LIBRARY_PATH="$libraries" "$program")
$(try kernel mount -t overlay overlay)"
want='fuse-overlayfs: mounted 20, mounted again 0, in the upper folder 10
kernel: mounted 10, mounted again 10, in the upper folder 10'
echo "$got"; [ "$got" = "$want" ]
