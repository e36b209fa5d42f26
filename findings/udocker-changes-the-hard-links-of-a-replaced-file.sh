#!/usr/bin/env bash
# Tool: udocker 1.3.17 (PyPI), which runs images without root, `udocker load` and `udocker create`; umoci
#   0.4.7+ds-3+b7 (Debian 12) for comparison, and skopeo (installed), which writes the archive. Runs as root.
# Expected: a file of a layer replaces the file of this name in the layers below. Another name of the
#   replaced file (a hard link) keeps the old content.
# Seen: the file is written over in place, so all its names have the new content. There is no message
#   and the exit status is 0. A whiteout and an opaque folder work. Output, for a file "tool" with the
#   second name "tool.orig", of which the next layer replaces "tool":
#     umoci: tool new, tool.orig old
#     udocker: tool new, tool.orig new
# Matters: a saved copy made by a link, an alternative of one program, a package store with links: a later
#   layer that replaces one of them changes the others, and the program runs other code than in Docker.
#   The image specification says that the old path is removed and made anew in such a case.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q umoci=0.4.7+ds-3+b7 >apt.log 2>&1
dpkg-deb -x umoci_*.deb deb
python3 -m venv v
v/bin/pip install -q udocker==1.3.17
cat >image.py <<'PY'
import hashlib, io, json, tarfile

def layer(*files):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, text, target in files:
            info = tarfile.TarInfo(name)
            info.mode = 0o755
            if target:
                info.type, info.linkname = tarfile.LNKTYPE, target
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text))
    return data.getvalue()

layers = [
    layer(("tool", b"old", None), ("tool.orig", b"", "tool"), ("gone", b"x", None), ("folder/gone", b"x", None)),
    layer(("tool", b"new", None), (".wh.gone", b"", None), ("folder/.wh..wh..opq", b"", None)),
]
names = [hashlib.sha256(data).hexdigest() for data in layers]
config = {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/tool"]},
          "rootfs": {"type": "layers", "diff_ids": ["sha256:" + name for name in names]}}
manifest = [{"Config": "config.json", "RepoTags": ["app:1"], "Layers": [name + ".tar" for name in names]}]
with tarfile.open("image.tar", "w") as archive:
    for name, data in [("config.json", json.dumps(config).encode()), ("manifest.json", json.dumps(manifest).encode()),
                       *((name + ".tar", data) for name, data in zip(names, layers))]:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
PY
python3 image.py
skopeo copy -q docker-archive:image.tar oci:layout:1
tar -cf oci.tar -C layout .
deb/usr/bin/umoci unpack --image layout:1 bundle
export UDOCKER_DIR=$PWD/udocker
# Without its own programs, which it cannot download everywhere, udocker prints a long notice and goes on.
v/bin/udocker --allow-root load -i oci.tar app >load.log 2>&1
name=$(v/bin/udocker --allow-root images 2>images.log | grep -o "^[^ ]*app[^ ]*")
container=$(v/bin/udocker --allow-root create "$name" 2>create.log | tail -1)
look() { # NAME ROOT
    [ ! -e "$2/gone" ] && [ ! -e "$2/folder/gone" ]
    echo "$1: tool $(cat "$2/tool"), tool.orig $(cat "$2/tool.orig")"
}
got="$(look umoci bundle/rootfs)
$(look udocker "udocker/containers/$container/ROOT")"
want='umoci: tool new, tool.orig old
udocker: tool new, tool.orig new'
echo "$got"; [ "$got" = "$want" ]
