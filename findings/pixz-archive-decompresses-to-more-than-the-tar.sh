#!/usr/bin/env bash
# Tool: pixz 1.0.7-2 (Debian 12), xz and Python's lzma for reading.
# Expected: a .tpxz file is an ordinary .xz file; decompressed, it is the archive
#   that went in.
# Seen: pixz appends its file index to the compressed stream itself. `pixz -d`
#   drops it, but xz and Python give the archive followed by some 80 bytes: a
#   magic number and the names of the members.
# Matters: the digest of the uncompressed layer (diff_id) depends on the program
#   that decompresses, and file names appear after the end of the archive.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q pixz=1.0.7-2 libarchive13=3.6.2-1+deb12u5 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
mkdir tree; seq 1000 >tree/numbers; echo hello >tree/hello
tar -C tree -cf a.tar numbers hello
export LD_LIBRARY_PATH=$PWD/deb/usr/lib/x86_64-linux-gnu
deb/usr/bin/pixz a.tar a.tpxz
deb/usr/bin/pixz -d a.tpxz pixz.tar
unset LD_LIBRARY_PATH
cmp a.tar pixz.tar
xz -dc <a.tpxz >xz.tar
python3 -c 'import lzma; open("python.tar", "wb").write(lzma.open("a.tpxz").read())'
cmp xz.tar python.tar
size=$(stat -c %s a.tar)
echo "archive $size bytes, decompressed $(stat -c %s xz.tar) bytes"
[ "$(stat -c %s xz.tar)" -gt "$size" ]
cmp -n "$size" a.tar xz.tar
tail -c +$((size + 1)) xz.tar | grep -aq numbers
