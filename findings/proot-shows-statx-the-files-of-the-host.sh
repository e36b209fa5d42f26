#!/usr/bin/env bash
# Tool: proot 5.1.0-1.3 with coreutils 9.1 and dash (Debian 12), all of that release.
# Expected: `proot -r tree program` runs the program with the tree as its root: all that it learns
#   about a path is about the tree's file.
# Seen: the system call statx gets its path unchanged, so it looks at the host. ls and stat of
#   coreutils 9 and Node.js use it, cat, find, test and cp use others. A file of the tree has the size
#   of the host's file of that name, or does not exist; one that only the host has exists. Relative
#   names fail after a cd. Output, for a tree with /etc/debian_version of 1000 bytes and /etc/inside:
#     wc: 1000 bytes
#     stat: as on the host
#     test -e /etc/inside: yes
#     stat /etc/inside: No such file or directory
#     stat /etc/passwd, which the tree has not: no error
# Matters: it stands in for chroot where there is no root. A build step there that asks for sizes,
#   owners or times decides by the files of the build machine: the result is different on each one.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"; export LC_ALL=C
[ "$(stat --version | grep -o '[0-9.]*$' | head -1)" = 9.1 ]
apt-get download -q proot=5.1.0-1.3 libtalloc2 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
LD_LIBRARY_PATH=$(dirname "$(find "$PWD/deb" -name 'libtalloc.so.2')"); export LD_LIBRARY_PATH
mkdir -p tree/etc; echo inside >tree/etc/inside
head -c 1000 /dev/zero >tree/etc/debian_version
binds=(); for path in /usr /bin /lib /lib64; do binds+=(-b "$path"); done
inside() { deb/usr/bin/proot -r tree "${binds[@]}" -w / /bin/sh -c "$1" 2>&1 || true; }

host=$(stat -c '%s bytes, inode %i' /etc/debian_version)
tree=$(inside "stat -c '%s bytes, inode %i' /etc/debian_version")
got="wc: $(inside 'cat /etc/debian_version | wc -c') bytes
stat: $([ "$tree" = "$host" ] && echo "as on the host" || echo "$tree")
test -e /etc/inside: $(inside 'test -e /etc/inside && echo yes')
stat /etc/inside: $(inside 'stat /etc/inside' | sed 's/.*: //')
stat /etc/passwd, which the tree has not: $(inside 'stat -c "no error" /etc/passwd')"
want='wc: 1000 bytes
stat: as on the host
test -e /etc/inside: yes
stat /etc/inside: No such file or directory
stat /etc/passwd, which the tree has not: no error'
echo "$got"; [ "$got" = "$want" ]
