#!/usr/bin/env bash
# Tool: umoci 0.4.7+ds-3+b7 (Debian 12), `umoci insert`; GNU tar 1.34.
# Expected: a layer is a complete tar archive: file data padded to 512 bytes,
#   two zero blocks at the end.
# Seen: `umoci insert` of one 3-byte file writes a layer of 515 bytes: header and
#   data, no padding, no end. GNU tar lists the file and exits 2 ("Unexpected
#   EOF"), Python's tarfile raises ReadError. `umoci repack` writes complete
#   archives, and umoci itself unpacks the short one.
# Matters: the image works with tools written in Go and fails in an image reader
#   that is strict about the end of an archive.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q umoci=0.4.7+ds-3+b7 >apt.log 2>&1
dpkg-deb -x umoci_*.deb deb
umoci=deb/usr/bin/umoci
echo hi >file
$umoci init --layout image
$umoci new --image image:a
$umoci insert --image image:a file /file
layer=$(python3 - <<'PY'
import json
def blob(descriptor):
    return "image/blobs/" + descriptor["digest"].replace(":", "/")
index = json.load(open("image/index.json"))
print(blob(json.load(open(blob(index["manifests"][0])))["layers"][0]))
PY
)
gzip -dc "$layer" >layer.tar
size=$(stat -c %s layer.tar); echo "layer: $size bytes"; [ "$size" = 515 ]
status=0; tar tf layer.tar 2>err || status=$?; cat err; [ $status = 2 ]
grep -q 'Unexpected EOF' err
python3 - <<'PY'
import tarfile
try:
    tarfile.open("layer.tar").getmembers()
except tarfile.ReadError as error:
    print("tarfile:", error)
else:
    raise SystemExit("tarfile reads it now")
PY
$umoci unpack --image image:a bundle
cmp file bundle/rootfs/file
