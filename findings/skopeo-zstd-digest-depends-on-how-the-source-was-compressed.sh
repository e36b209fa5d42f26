#!/usr/bin/env bash
# Tool: skopeo 1.9.3+ds1-1+b10 (Debian 12).
# Expected: `--dest-compress-format zstd` of one layer gives one blob: the data,
#   the tool and the level are the same.
# Seen: the blob depends on the source. From an uncompressed archive and from a
#   gzip-compressed layout of the same image come two digests and two sizes, the
#   same ones in each run. gzip has no such difference.
# Matters: two mirrors of one image do not share layers, and a digest cannot be
#   compared with one made from another source.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q skopeo=1.9.3+ds1-1+b10 libgpgme11=1.18.0-3+deb12u1 libassuan0=2.5.5-5 \
  libgpg-error0=1.46-1 libdevmapper1.02.1=2:1.02.185-2 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
export LD_LIBRARY_PATH=$PWD/deb/usr/lib/x86_64-linux-gnu:$PWD/deb/lib/x86_64-linux-gnu TMPDIR=$dir
echo '{"default":[{"type":"insecureAcceptAnything"}]}' >policy.json
python3 - <<'PY'
import hashlib, io, json, random, tarfile
def archive(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()
random.seed(1)
layer = archive([("numbers", "\n".join(str(random.random()) for _ in range(200000)).encode())])
config = json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "history": [{}],
    "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]}}).encode()
manifest = json.dumps([{"Config": "c.json", "RepoTags": ["a:b"], "Layers": ["0.tar"]}]).encode()
open("plain.tar", "wb").write(archive([("c.json", config), ("0.tar", layer), ("manifest.json", manifest)]))
PY
copy() { deb/usr/bin/skopeo copy -q --policy policy.json "$@"; }
copy docker-archive:plain.tar oci:gzip:a
for run in 1 2; do
  copy --dest-compress --dest-compress-format zstd docker-archive:plain.tar oci:plain$run:a
  copy --dest-compress --dest-compress-format zstd oci:gzip:a oci:gzip$run:a
done
python3 - <<'PY'
import json
def blob(layout, descriptor):
    return json.load(open(layout + "/blobs/" + descriptor["digest"].replace(":", "/")))
layer = {}
for name in ("plain1", "plain2", "gzip1", "gzip2"):
    index = json.load(open(name + "/index.json"))
    layer[name] = blob(name, index["manifests"][0])["layers"][0]
for name, value in layer.items():
    print(name, value["mediaType"][-8:], value["size"], value["digest"][:19])
assert layer["plain1"] == layer["plain2"] and layer["gzip1"] == layer["gzip2"]
assert all(value["mediaType"].endswith("tar+zstd") for value in layer.values())
assert layer["plain1"]["digest"] != layer["gzip1"]["digest"], "the digests agree now"
PY
