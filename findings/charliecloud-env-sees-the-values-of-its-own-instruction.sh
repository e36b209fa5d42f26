#!/usr/bin/env bash
# Tool: ch-image of charliecloud 0.31-1 (Debian 12), an unprivileged builder of
#   Dockerfiles; lark 1.1.5 and requests 2.32.5 (PyPI).
# Expected: as the Dockerfile reference says, all variables of one ENV instruction are
#   replaced with the values from before the instruction: after `ENV A=1`, the line
#   `ENV A=2 B=$A` makes B 1, and `ENV B=$A A=2` is the same.
# Seen: ch-image runs each assignment as an instruction of its own, so B is 2 in the
#   first form and 1 in the second. No message says so. Output:
#     A before B: A=[2] B=[2]
#     B before A: A=[2] B=[1]
#   Docker and buildah: A=[2] B=[1] in both.
# Matters: `ENV PATH=/opt/bin:$PATH OLD=$PATH` and the like give another environment
#   than the builder for which the Dockerfile was written, and the build succeeds.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
export HOME=$dir USER=${USER:-root} CH_IMAGE_STORAGE=$dir/storage
apt-get download -q charliecloud-builders=0.31-1 charliecloud-runtime=0.31-1 charliecloud-common=0.31-1 libsquashfuse0=0.1.105-1 \
  libfuse3-3=3.14.0-4 busybox-static=1:1.35.0-4+deb12u1+b1 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
git config --global user.name example; git config --global user.email a@example.org
python3 -m venv v
v/bin/pip install -q lark==1.1.5 requests==2.32.5
image() { LD_LIBRARY_PATH=$dir/deb/usr/lib/x86_64-linux-gnu:$dir/deb/lib/x86_64-linux-gnu v/bin/python deb/usr/bin/ch-image "$@"; }
mkdir -p base/bin base/dev base/etc base/proc base/sys base/tmp base/usr/bin base/root base/home base/mnt
cp deb/bin/busybox base/bin/sh
echo root:x:0:0::/:/bin/sh >base/etc/passwd
echo root:x:0: >base/etc/group
tar -C base -czf base.tar.gz .
image import base.tar.gz base >log 2>&1 || { cat log; exit 1; }
mkdir context
build() {
  cat >context/Dockerfile <<TXT
FROM base
ENV A=1
$2
RUN echo "$1: A=[\$A] B=[\$B]"
TXT
  image build -t result context >log 2>&1 || { cat log; exit 1; }
  grep "^$1" log
}
got=$(build 'A before B' 'ENV A=2 B=$A'; build 'B before A' 'ENV B=$A A=2')
want='A before B: A=[2] B=[2]
B before A: A=[2] B=[1]'
echo "$got"; [ "$got" = "$want" ]
