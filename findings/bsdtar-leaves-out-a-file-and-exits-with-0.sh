#!/usr/bin/env bash
# Tool: bsdtar 3.6.2-1+deb12u5 (Debian 12, libarchive-tools), `--format ustar`.
# Expected: a file that cannot be stored ends in a non-zero exit status, or it is
#   stored with the nearest value.
# Seen: a file dated 1960 does not fit. bsdtar prints "File modification time too
#   large", leaves the file out and exits with 0. The gnutar format stores 1970
#   and the cpio format 2242, both without a message; pax keeps the date.
# Matters: the archive is incomplete and the build step that made it succeeds.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q libarchive-tools=3.6.2-1+deb12u5 libarchive13=3.6.2-1+deb12u5 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
export LD_LIBRARY_PATH=$PWD/deb/usr/lib/x86_64-linux-gnu TZ=UTC
mkdir tree; touch tree/a tree/b tree/c; touch -d '1960-01-02 00:00:00Z' tree/b
deb/usr/bin/bsdtar --format ustar -cf ustar.tar -C tree a b c 2>message
cat message; grep -q 'too large' message
[ "$(deb/usr/bin/bsdtar -tf ustar.tar | xargs)" = 'a c' ]
for format in gnutar cpio pax; do
  deb/usr/bin/bsdtar --format $format -cf $format.tar -C tree a b c 2>message
  test ! -s message
  echo "$format $(deb/usr/bin/bsdtar -tvf $format.tar | grep -o '[0-9]* b$')"
done >got
cat got
[ "$(xargs <got)" = 'gnutar 1970 b cpio 2242 b pax 1960 b' ]
