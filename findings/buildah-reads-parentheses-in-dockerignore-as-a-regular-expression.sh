#!/usr/bin/env bash
# Tool: buildah 1.28.2+ds1-3+deb12u1+b3 (Debian 12, run as root) and
#   @balena/dockerignore 1.0.2 (npm), which copies the behaviour.
# Expected: only `*`, `?`, `[` and `\` are special in .dockerignore (the rules of
#   Go's filepath.Match, and `**`). Parentheses, plus and bar are letters.
# Seen: the pattern becomes a regular expression in which only dot and dollar
#   are escaped. `app/(admin)` does not exclude app/(admin) and excludes
#   app/admin. `c+` excludes c and ccc. `x|z` excludes x and also "x|y".
# Matters: route groups such as app/(admin) are common in web projects. The
#   directory that should stay out of the image goes in, its neighbour is lost.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --ignore-scripts @balena/dockerignore@1.0.2
apt-get download -q buildah=1.28.2+ds1-3+deb12u1+b3 libgpgme11=1.18.0-3+deb12u1 libassuan0=2.5.5-5 \
  libgpg-error0=1.46-1 libdevmapper1.02.1=2:1.02.185-2 libseccomp2=2.5.4-1+deb12u1 libsubid4=1:4.13+dfsg1-1+deb12u2 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
export LD_LIBRARY_PATH=$PWD/deb/usr/lib/x86_64-linux-gnu:$PWD/deb/lib/x86_64-linux-gnu TMPDIR=$dir

mkdir -p 'tree/app/(admin)' tree/app/admin
touch 'tree/app/(admin)/page' tree/app/admin/page tree/c tree/ccc tree/c++ tree/x 'tree/x|y'
printf 'FROM scratch\nCOPY . /\n' >Dockerfile
echo '{"default":[{"type":"insecureAcceptAnything"}]}' >policy.json
store="--root $dir/root --runroot $dir/run --storage-driver vfs"
got=$(for pattern in 'app/(admin)' 'c+' 'x|z'; do
  echo "$pattern" >tree/.dockerignore
  deb/usr/bin/buildah $store bud --signature-policy policy.json --isolation chroot -q -t t -f Dockerfile tree >/dev/null
  container=$(deb/usr/bin/buildah $store from --signature-policy policy.json t)
  image=$(deb/usr/bin/buildah $store mount "$container")
  echo "$pattern: buildah leaves out" $(diff <(cd tree; find . -type f | LC_ALL=C sort) <(cd "$image"; find . -type f | LC_ALL=C sort) | sed -n 's|^< ./||p')
  node -e '
const filter = require("@balena/dockerignore")().add(process.argv[1]);
const files = ["app/(admin)/page", "app/admin/page", "c", "c++", "ccc", "x", "x|y"];
console.log(process.argv[1] + ": npm leaves out", files.filter(p => filter.ignores(p)).join(" "));' "$pattern"
done)
want='app/(admin): buildah leaves out app/admin/page
app/(admin): npm leaves out app/admin/page
c+: buildah leaves out c ccc
c+: npm leaves out c ccc
x|z: buildah leaves out x x|y
x|z: npm leaves out x x|y'
echo "$got"; [ "$got" = "$want" ]
