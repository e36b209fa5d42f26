#!/usr/bin/env bash
# Tool: docker 7.2.0 (PyPI), @balena/dockerignore 1.0.2 (npm), buildah
#   1.28.2+ds1-3+deb12u1+b3 (Debian 12, run as root).
# Expected: on Linux, .dockerignore patterns are matched with case.
# Seen: the Python SDK and the npm package turn everything to lower case, also on
#   Linux. `build` excludes the directory build and the file BUILD. buildah, in
#   Go like Docker, keeps BUILD.
# Matters: BUILD and Build are names of real files (Bazel). The same Dockerfile
#   fails with "not found" when an SDK packs the context.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q --no-deps docker==7.2.0 requests==2.34.2 urllib3==2.8.0 idna==3.20 certifi==2026.10.19.post1 charset-normalizer==3.5.3
npm init -y >/dev/null
npm install --silent --ignore-scripts @balena/dockerignore@1.0.2
apt-get download -q buildah=1.28.2+ds1-3+deb12u1+b3 libgpgme11=1.18.0-3+deb12u1 libassuan0=2.5.5-5 \
  libgpg-error0=1.46-1 libdevmapper1.02.1=2:1.02.185-2 libseccomp2=2.5.4-1+deb12u1 libsubid4=1:4.13+dfsg1-1+deb12u2 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
export LD_LIBRARY_PATH=$PWD/deb/usr/lib/x86_64-linux-gnu:$PWD/deb/lib/x86_64-linux-gnu TMPDIR=$dir

mkdir -p tree/build; touch tree/build/out.o tree/BUILD tree/a.c
echo build >tree/.dockerignore
printf 'FROM scratch\nCOPY . /\n' >Dockerfile
echo '{"default":[{"type":"insecureAcceptAnything"}]}' >policy.json
got=$(
  v/bin/python - <<'PY'
import os
from docker.utils.build import exclude_paths
print("py     ", *sorted(p for p in exclude_paths("tree", ["build"], dockerfile="Dockerfile") if os.path.isfile("tree/" + p) and p[0] != "."))
PY
  node -e '
const filter = require("@balena/dockerignore")().add("build");
console.log("npm    ", ["BUILD", "a.c", "build/out.o"].filter(p => !filter.ignores(p)).join(" "));'
  store="--root $dir/root --runroot $dir/run --storage-driver vfs"
  deb/usr/bin/buildah $store bud --signature-policy policy.json --isolation chroot -q -t t -f Dockerfile tree >/dev/null
  container=$(deb/usr/bin/buildah $store from --signature-policy policy.json t)
  cd "$(deb/usr/bin/buildah $store mount "$container")"
  echo "buildah " $(find . -type f ! -name '.*' | sed 's|^./||' | LC_ALL=C sort)
)
want='py      a.c
npm     a.c
buildah  BUILD a.c'
echo "$got"; [ "$got" = "$want" ]
