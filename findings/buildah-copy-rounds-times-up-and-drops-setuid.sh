#!/usr/bin/env bash
# Tool: buildah 1.28.2+ds1-3+deb12u1+b3 (Debian 12, run as root), COPY.
# Expected: COPY keeps a file's mode and time, or cuts the time to seconds as
#   other archive writers do.
# Seen: the time is rounded to the nearest second, so a file of 06.789 is dated
#   07, later than its source. Mode 4755 becomes 755. Hard links and extended
#   attributes are kept.
# Matters: files can be newer than the moment of the copy, and make in a later
#   step rebuilds targets that were finished in the same second.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q buildah=1.28.2+ds1-3+deb12u1+b3 libgpgme11=1.18.0-3+deb12u1 libassuan0=2.5.5-5 \
  libgpg-error0=1.46-1 libdevmapper1.02.1=2:1.02.185-2 libseccomp2=2.5.4-1+deb12u1 libsubid4=1:4.13+dfsg1-1+deb12u2 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
export LD_LIBRARY_PATH=$PWD/deb/usr/lib/x86_64-linux-gnu:$PWD/deb/lib/x86_64-linux-gnu TMPDIR=$dir TZ=UTC
mkdir -p tree/d; echo data >tree/d/a; ln tree/d/a tree/d/b; echo data >tree/d/c
touch -d 2001-02-03T04:05:06.789Z tree/d/a; chmod 4755 tree/d/a
touch -d 2001-02-03T04:05:06.123Z tree/d/c; chmod 644 tree/d/c
printf 'FROM scratch\nCOPY d /d\n' >Dockerfile
echo '{"default":[{"type":"insecureAcceptAnything"}]}' >policy.json
store="--root $dir/root --runroot $dir/run --storage-driver vfs"
deb/usr/bin/buildah $store bud --signature-policy policy.json --isolation chroot -q -t t -f Dockerfile tree >/dev/null
container=$(deb/usr/bin/buildah $store from --signature-policy policy.json t)
image=$(deb/usr/bin/buildah $store mount "$container")
got=$(cd "$image/d"; stat -c '%n %a %h %y' a b c | cut -d. -f1)
want='a 755 2 2001-02-03 04:05:07
b 755 2 2001-02-03 04:05:07
c 644 1 2001-02-03 04:05:06'
echo "$got"; [ "$got" = "$want" ]
