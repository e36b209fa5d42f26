#!/usr/bin/env bash
# Tool: buildah 1.28.2+ds1-3+deb12u1+b3 (Debian 12, run as root), `buildah bud`.
# Expected: the history marks instructions without files, such as EXPOSE and
#   VOLUME, with empty_layer, and COPY and RUN own the layers.
# Seen: by default buildah makes one layer per stage and gives it to the stage's
#   last instruction, whatever that is. COPY and RUN are marked empty_layer; the
#   layer belongs to VOLUME. With --layers, each COPY and RUN has its layer and
#   the rest are empty.
# Matters: a reader that pairs history and layers, as the image specification
#   says, shows "VOLUME /data: 1 MB" and "COPY: 0 B".
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q buildah=1.28.2+ds1-3+deb12u1+b3 libgpgme11=1.18.0-3+deb12u1 libassuan0=2.5.5-5 \
  libgpg-error0=1.46-1 libdevmapper1.02.1=2:1.02.185-2 libseccomp2=2.5.4-1+deb12u1 libsubid4=1:4.13+dfsg1-1+deb12u2 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
export LD_LIBRARY_PATH=$PWD/deb/usr/lib/x86_64-linux-gnu:$PWD/deb/lib/x86_64-linux-gnu TMPDIR=$dir
mkdir tree; head -c 1000000 /dev/zero >tree/data
printf 'FROM scratch\nCOPY data /a\nCOPY data /b\nEXPOSE 80\nVOLUME /data\n' >Dockerfile
echo '{"default":[{"type":"insecureAcceptAnything"}]}' >policy.json
store="--root $dir/root --runroot $dir/run --storage-driver vfs"
got=$(for option in --layers=false --layers=true; do
  deb/usr/bin/buildah $store bud --signature-policy policy.json --isolation chroot -q $option -t t -f Dockerfile tree >/dev/null
  deb/usr/bin/buildah $store inspect --type image t | python3 -c '
import json, sys
for entry in json.load(sys.stdin)["OCIv1"]["history"]:
    words = entry["created_by"].split("#(nop) ")[1].split()
    print(sys.argv[1], words[0], "empty" if entry.get("empty_layer") else "layer")' $option
done)
want='--layers=false COPY empty
--layers=false COPY empty
--layers=false EXPOSE empty
--layers=false VOLUME layer
--layers=true COPY layer
--layers=true COPY layer
--layers=true EXPOSE empty
--layers=true VOLUME empty'
echo "$got"; [ "$got" = "$want" ]
