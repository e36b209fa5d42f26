#!/usr/bin/env bash
# Tool: umoci 0.4.7 (umoci 0.4.7+ds-3+b7, Debian 12), `umoci gc` on an OCI layout. The layout is written here. Its two
#   images differ in the media types only: those of OCI and those of Docker.
# Expected: gc removes blobs that no name leads to. What it cannot follow it keeps, or it fails, as `umoci unpack` does for
#   this image with the message that the type is not implemented.
# Seen: gc follows manifests with the types of OCI only. Of an image with Docker's types it keeps the manifest, which the index
#   names, and deletes the configuration and the layer. It exits with 0. Output:
#     types of OCI: name app, 3 of 3 blobs kept, name app
#     types of Docker: name app, 1 of 3 blobs kept, name app
# Matters: in a layout that several programs write, as a cache or a mirror, one call to save space destroys each image of this
#   kind. The name is still listed, and the first sign is the next pull.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q umoci=0.4.7+ds-3+b7 >apt.log 2>&1
for deb in *.deb; do dpkg-deb -x "$deb" deb; done
umoci=$PWD/deb/usr/bin/umoci
write() {
    python3 - "$1" <<'PY'
import gzip
import hashlib
import io
import json
import pathlib
import sys
import tarfile

kind = sys.argv[1]
types = {
    "OCI": [f"application/vnd.oci.image.{name}" for name in ("manifest.v1+json", "config.v1+json", "layer.v1.tar+gzip")],
    "Docker": [
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.container.image.v1+json",
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
    ],
}[kind]
blobs = pathlib.Path(kind, "blobs", "sha256")
blobs.mkdir(parents=True)


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def blob(kind_of_data, data):
    data = data if isinstance(data, bytes) else json.dumps(data).encode()
    (blobs / digest(data)[7:]).write_bytes(data)
    return {"mediaType": kind_of_data, "digest": digest(data), "size": len(data)}


archive = io.BytesIO()
with tarfile.open(fileobj=archive, mode="w") as tar:
    tar.addfile(tarfile.TarInfo("file"))
layer = blob(types[2], gzip.compress(archive.getvalue(), mtime=0))
config = blob(types[1], {
    "architecture": "amd64", "os": "linux", "config": {},
    "rootfs": {"type": "layers", "diff_ids": [digest(archive.getvalue())]},
})
manifest = blob(types[0], {"schemaVersion": 2, "mediaType": types[0], "config": config, "layers": [layer]})
manifest["annotations"] = {"org.opencontainers.image.ref.name": "app"}
pathlib.Path(kind, "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
pathlib.Path(kind, "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))
PY
}
names() { echo "name $("$umoci" ls --layout "$1")"; }
kept() { "$umoci" gc --layout "$1" >>log 2>&1; echo "$(find "$1/blobs" -type f | wc -l) of 3 blobs kept"; }
write OCI; write Docker
got="types of OCI: $(names OCI), $(kept OCI), $(names OCI)
types of Docker: $(names Docker), $(kept Docker), $(names Docker)"
want='types of OCI: name app, 3 of 3 blobs kept, name app
types of Docker: name app, 1 of 3 blobs kept, name app'
echo "$got"; [ "$got" = "$want" ]
