#!/usr/bin/env bash
# Tool: archivemount 0.8.7-1+b1 (Debian 12). Runs as root and needs /dev/fuse.
# Expected: after `archivemount a.tar dir`, a file that is written to dir is in a.tar after umount,
#   with all that was there. What the archive format cannot hold is an error, and the archive stays.
# Seen: at umount, the archive is written again in a format that has no room for users above 262143,
#   dates before 1970 and names above 100 characters without a slash. One such file, and a.tar is
#   empty: all files are lost from it. umount and each program before it ended with 0. By default
#   the old archive is kept as a.tar.orig. Output, what a.tar holds after a file named added was
#   written:
#     plain: added one two
#     user 300000: 0 bytes
#     long name: 0 bytes
#     dated 1960: 0 bytes
# Matters: 300000 is an ordinary user number in a user namespace, so layers of rootless builders have
#   such files.
set -euo pipefail
dir=$(mktemp -d); trap 'umount "$dir/mnt" 2>/dev/null || true; rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q archivemount=0.8.7-1+b1 libfuse2=2.9.9-6+b1 libarchive13=3.6.2-1+deb12u5 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
libraries=$(find "$PWD/deb" -name '*.so.*' -printf '%h\n' | sort -u | paste -sd:)

add() { # TEXT: mounts a.tar, adds a file, and says what a.tar then holds
    LD_LIBRARY_PATH=$libraries deb/usr/bin/archivemount -o nonempty a.tar mnt 2>/dev/null
    echo new >mnt/added
    umount mnt
    for _ in {1..300}; do [ -n "$(pgrep -f "archivemount -o nonempty a.tar mnt" || true)" ] || break; sleep 0.1; done
    if [ -s a.tar ]; then echo "$1: $(tar -tf a.tar | sort | paste -sd' ')"; else echo "$1: 0 bytes"; fi
    [ "$(tar -tf a.tar.orig | wc -l)" = 2 ]
    rm a.tar.orig
}
mkdir mnt
echo 1 >one; echo 2 >two
tar -cf a.tar one two
got=$(add plain)
tar --owner=300000 -cf a.tar one two
got+=$'\n'$(add "user 300000")
long=$(printf 'x%.0s' {1..120}); echo 2 >"$long"
tar -cf a.tar one "$long"
got+=$'\n'$(add "long name")
touch -d 1960-01-01 two
tar -cf a.tar one two
got+=$'\n'$(add "dated 1960")
want='plain: added one two
user 300000: 0 bytes
long name: 0 bytes
dated 1960: 0 bytes'
echo "$got"; [ "$got" = "$want" ]
