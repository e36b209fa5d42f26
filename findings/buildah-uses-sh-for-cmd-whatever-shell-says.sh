#!/usr/bin/env bash
# Tool: buildah 1.28.2+ds1-3+deb12u1+b3 (Debian 12, run as root), `buildah bud --format
#   docker`.
# Expected: the SHELL instruction applies to the shell form of RUN, CMD and ENTRYPOINT, as
#   the reference of the Dockerfile says.
# Seen: the shell is stored in the configuration and used for RUN. CMD and ENTRYPOINT get
#   /bin/sh -c all the same, without a warning. Output, of a file whose SHELL is
#   /tool --flag:
#     Shell: [/tool --flag]
#     Cmd: [/bin/sh -c one]
#     Entrypoint: [/bin/sh -c two]
#     RUN: started with --flag three
# Matters: with `SHELL ["/bin/bash", "-o", "pipefail", "-c"]` the steps of the build have
#   bash and the container has not; an image without /bin/sh builds and does not start.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q buildah=1.28.2+ds1-3+deb12u1+b3 libgpgme11=1.18.0-3+deb12u1 libassuan0=2.5.5-5 \
  libgpg-error0=1.46-1 libdevmapper1.02.1=2:1.02.185-2 libseccomp2=2.5.4-1+deb12u1 libsubid4=1:4.13+dfsg1-1+deb12u2 \
  busybox-static=1:1.35.0-4+deb12u1+b1 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
export LD_LIBRARY_PATH=$PWD/deb/usr/lib/x86_64-linux-gnu:$PWD/deb/lib/x86_64-linux-gnu TMPDIR=$dir
mkdir context; cp deb/bin/busybox context/
cat >context/tool <<'SH'
#!/busybox sh
echo "started with $*" >/started
SH
chmod 755 context/tool
cat >context/Dockerfile <<'DOCKERFILE'
FROM scratch
COPY busybox tool /
SHELL ["/tool", "--flag"]
RUN three
CMD one
ENTRYPOINT two
DOCKERFILE
echo '{"default":[{"type":"insecureAcceptAnything"}]}' >policy.json
store="--root $dir/root --runroot $dir/run --storage-driver vfs"
deb/usr/bin/buildah $store bud --signature-policy policy.json --isolation chroot --format docker -q -t t context >build.log 2>&1
container=$(deb/usr/bin/buildah $store from --signature-policy policy.json t)
image=$(deb/usr/bin/buildah $store mount "$container")
{
  for field in Shell Cmd Entrypoint; do
    echo "$field: $(deb/usr/bin/buildah $store inspect --type image --format "{{.Docker.Config.$field}}" t)"
  done
  echo "RUN: $(cat "$image/started")"
} >got
want='Shell: [/tool --flag]
Cmd: [/bin/sh -c one]
Entrypoint: [/bin/sh -c two]
RUN: started with --flag three'
cat got; [ "$(cat got)" = "$want" ]
