#!/usr/bin/env bash
# Tool: docker.io 20.10.24+dfsg1-1+deb12u1+b6 (Debian 12, run as root), its embedded BuildKit.
# Expected: `docker build -f b/Dockerfile` builds b/Dockerfile.
# Seen: after a build of a/Dockerfile it builds that one again, without a message, if both
#   files have the same size and modification time (in nanoseconds). The daemon keeps the
#   files of the last build and asks the client only for those whose size or time differ.
#   The classic builder (DOCKER_BUILDKIT=0) builds the right one.
# Matters: the Dockerfiles of a repository differ by one letter and have one time when they
#   come from a tar archive, a cache of a CI system, a generator or a tool that sets times
#   for reproducible builds. The second image then has the first one's content.
set -euo pipefail
dir=$(mktemp -d); cd "$dir"
stop() { [ ! -s pid ] || { kill "$(cat pid)"; while [ -e pid ]; do sleep 0.1; done; }; rm -rf "$dir"; }
trap stop EXIT
apt-get download -q docker.io=20.10.24+dfsg1-1+deb12u1+b6 containerd=1.6.20~ds1-1+deb12u3 runc=1.1.5+ds1-1+deb12u1 \
  libdevmapper1.02.1=2:1.02.185-2 libseccomp2=2.5.4-1+deb12u1 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
export LD_LIBRARY_PATH=$PWD/deb/usr/lib/x86_64-linux-gnu:$PWD/deb/lib/x86_64-linux-gnu
export PATH=$PWD/deb/usr/bin:$PWD/deb/usr/sbin:$PWD/deb/sbin:$PATH HOME=$dir DOCKER_HOST=unix://$dir/sock
dockerd --data-root "$dir/data" --exec-root "$dir/exec" --iptables=false --bridge=none --storage-driver vfs \
  -H "$DOCKER_HOST" --pidfile "$dir/pid" >daemon.log 2>&1 &
for _ in $(seq 100); do docker version >/dev/null 2>&1 && break; sleep 0.2; done
mkdir -p context/a context/b
for name in a b; do
  printf 'FROM scratch\nLABEL built="%s"\n' $name >context/$name/Dockerfile
  touch -d 2026-01-01T00:00:00Z context/$name/Dockerfile
done
build() { DOCKER_BUILDKIT=$1 docker build --quiet --tag "$2$1" --file "context/$2/Dockerfile" context >/dev/null 2>build.log; }
label() { docker image inspect --format '{{.Config.Labels.built}}' "$1"; }
build 1 a; build 1 b; build 0 a; build 0 b
got="BuildKit: a $(label a1) b $(label b1); classic: a $(label a0) b $(label b0)"
touch -d 2026-01-01T00:00:01Z context/b/Dockerfile; build 1 b
got="$got; with another time: b $(label b1)"
want='BuildKit: a a b a; classic: a a b b; with another time: b b'
echo "$got"; [ "$got" = "$want" ]
