#!/usr/bin/env bash
# Tool: unionfs-fuse 1.0-1+b1 (Debian 12), with -o cow; the kernel's overlayfs for comparison. Runs as root
#   and needs /dev/fuse.
# Expected: a file of the lower folder that gets another mode or owner is copied to the upper folder, and
#   the copy has all that the original had. A change of mode does not change the date of the content.
# Seen: the copy has the date without its fraction of a second, so a file gets older by up to a second when
#   its mode or owner changes. It has no extended attributes and no file capabilities, and its holes are
#   filled with zeros. The exit status of chmod is 0, and the manual says only that a file is copied when
#   it is changed. Output, for a file of 64 MiB with one block of data, after chmod:
#     unionfs-fuse: 2026-01-02 03:04:05.000000000, attributes (none), holes filled, make runs again
#     kernel: 2026-01-02 03:04:05.700000000, attributes security.capability and trusted.tag, holes kept, make has nothing to do
# Matters: live systems and builders that cannot mount an overlay use it. `chmod -R` over an unpacked image
#   takes the capability from ping, makes sparse files large, and outputs older than their sources.
set -euo pipefail
dir=$(mktemp -d); trap 'umount "$dir/mnt" 2>/dev/null || true; umount "$dir/work" 2>/dev/null || true; rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q unionfs-fuse=1.0-1+b1 libfuse2=2.9.9-6+b1 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
libraries=$(find "$PWD/deb" -name '*.so.*' -printf '%h\n' | sort -u | paste -sd:)
mkdir mnt work; mount -t tmpfs tmpfs work # one kind of file system for all
try() { # NAME: changes the mode of an output of make in a union
    rm -rf work/*; mkdir work/{lower,upper,work}
    printf 'output: source\n\techo again\n' >work/lower/Makefile
    truncate -s 64M work/lower/output
    printf data | dd of=work/lower/output bs=4 seek=1000 conv=notrunc status=none
    touch -d '2026-01-02 03:04:05.2 UTC' work/lower/source
    touch -d '2026-01-02 03:04:05.7 UTC' work/lower/output
    python3 - <<'PY' # a tag and the capability cap_net_raw, as ping has it
import base64, os
os.setxattr("work/lower/output", "trusted.tag", b"1")
os.setxattr("work/lower/output", "security.capability", base64.b64decode("AQAAAgAgAAAAAAAAAAAAAAAAAAA="))
PY
    case $1 in
    unionfs-fuse) LD_LIBRARY_PATH=$libraries deb/usr/bin/unionfs-fuse -o cow work/upper=RW:work/lower=RO mnt ;;
    kernel) mount -t overlay overlay -o lowerdir=work/lower,upperdir=work/upper,workdir=work/work mnt ;;
    esac
    (cd mnt; make -q output) # up to date
    chmod 755 mnt/output
    local date attributes holes=kept make='has nothing to do'
    date=$(TZ=UTC stat -c %y mnt/output | cut -d ' ' -f 1,2)
    if ! (cd mnt; make -q output); then make='runs again'; fi
    umount mnt
    attributes=$(python3 -c 'import os; print(" and ".join(sorted(n for n in os.listxattr("work/upper/output") if "overlay" not in n)) or "(none)")')
    if [ "$(stat -c %b work/upper/output)" -gt 65536 ]; then holes=filled; fi # 32 of 64 MiB
    echo "$1: $date, attributes $attributes, holes $holes, make $make"
}
got="$(try unionfs-fuse)
$(try kernel)"
want='unionfs-fuse: 2026-01-02 03:04:05.000000000, attributes (none), holes filled, make runs again
kernel: 2026-01-02 03:04:05.700000000, attributes security.capability and trusted.tag, holes kept, make has nothing to do'
echo "$got"; [ "$got" = "$want" ]
