#!/usr/bin/env bash
# Tool: buildah 1.28.2+ds1-3+deb12u1+b3 (Debian 12, run as root), `buildah bud --layers`.
# Expected: a step with `RUN --mount=type=bind` runs again when a file that it mounts has
#   changed, as a step after COPY does. In BuildKit the content of the mount is a part of
#   the step's cache key.
# Seen: the step is a hit, with the result for the old content, whether the mount is from
#   the context or from another stage. A changed mode is not seen either. The stage itself
#   is built again, so the log shows the new COPY and then "Using cache" for the step that
#   reads it. The same file with COPY is right. Output, the content that the second build
#   has for a file that changed from 1 to 2:
#     COPY: 2
#     mount from the context: 1
#     mount from a stage: 1
# Matters: mounts from the context replace COPY where a step only reads the files (a lock
#   file for npm ci, the sources for make). Such an image is never updated, and the log
#   says success.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q buildah=1.28.2+ds1-3+deb12u1+b3 libgpgme11=1.18.0-3+deb12u1 libassuan0=2.5.5-5 \
  libgpg-error0=1.46-1 libdevmapper1.02.1=2:1.02.185-2 libseccomp2=2.5.4-1+deb12u1 libsubid4=1:4.13+dfsg1-1+deb12u2 \
  busybox-static=1:1.35.0-4+deb12u1+b1 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
export LD_LIBRARY_PATH=$PWD/deb/usr/lib/x86_64-linux-gnu:$PWD/deb/lib/x86_64-linux-gnu TMPDIR=$dir
mkdir context; cp deb/bin/busybox context/
cat >context/copy <<'DOCKERFILE'
FROM scratch
COPY busybox version /
RUN ["/busybox", "cp", "/version", "/result"]
DOCKERFILE
cat >context/context <<'DOCKERFILE'
FROM scratch
COPY busybox /
RUN --mount=type=bind,source=version,target=/mounted ["/busybox", "cp", "/mounted", "/result"]
DOCKERFILE
cat >context/stage <<'DOCKERFILE'
FROM scratch AS files
COPY version /
FROM scratch
COPY busybox /
RUN --mount=type=bind,from=files,target=/mounted ["/busybox", "cp", "/mounted/version", "/result"]
DOCKERFILE
echo '{"default":[{"type":"insecureAcceptAnything"}]}' >policy.json
buildah() { deb/usr/bin/buildah --root "$dir/root" --runroot "$dir/run" --storage-driver vfs "$@"; }
result() { # FILE
  local container
  buildah bud --signature-policy policy.json --isolation chroot --layers -t "$1" -f "context/$1" context >>build.log 2>&1
  container=$(buildah from --signature-policy policy.json "$1")
  cat "$(buildah mount "$container")/result"
}
for content in 1 2; do
  echo $content >context/version
  echo "COPY: $(result copy)"
  echo "mount from the context: $(result context)"
  echo "mount from a stage: $(result stage)"
done >results
tail -n 3 results >got
want='COPY: 2
mount from the context: 1
mount from a stage: 1'
cat got; [ "$(sort -u results | wc -l)" = 4 ]; [ "$(cat got)" = "$want" ]
