#!/usr/bin/env bash
# Tool: oci-squash 0.1.0 (PyPI, 2025), which joins the layers of an image archive.
# Expected: the joined layer extracts to the files that the layers give one after the
#   other.
# Seen: a hard link of a lower layer is kept as a link to a name, though the upper layer
#   has another file under that name: the link gets the new content. If the upper layer
#   deletes the name, the link is lost too. Of a folder that became a file, the former
#   content is written behind the file, and GNU tar refuses the archive. The exit
#   status is 0. Output, extracted by GNU tar (link and other were hard links to two
#   files; one was replaced by an upper layer, one deleted):
#     layers: file=new link=old other=kept exit status 0
#     squashed: file=new link=new exit status 0
#     layers: folder=file exit status 0
#     squashed: folder=file exit status 2
# Matters: package stores and git packs are full of hard links. The squashed image
#   starts, and some of its files are from another version.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q oci-squash==0.1.0
cat >image.py <<'PY'
import hashlib, json, tarfile

ids = ["sha256:" + hashlib.sha256(open(name, "rb").read()).hexdigest() for name in ("1.tar", "2.tar")]
time = "2026-01-01T00:00:00Z"
history = [{"created": time, "created_by": "step"} for _ in ids]
image = {"architecture": "amd64", "os": "linux", "created": time, "config": {}, "rootfs": {"type": "layers", "diff_ids": ids}, "history": history}
json.dump(image, open("config.json", "w"))
json.dump([{"Config": "config.json", "RepoTags": ["a:1"], "Layers": [f"{i[7:]}/layer.tar" for i in ids]}], open("manifest.json", "w"))
with tarfile.open("in.tar", "w") as archive:
    for id, name in zip(ids, ("1.tar", "2.tar")):
        archive.add(name, f"{id[7:]}/layer.tar")
    archive.add("config.json")
    archive.add("manifest.json")
PY
show() { # NAME ARCHIVES...: extract one after the other
  name=$1; shift; rm -rf root; mkdir root; status=0
  for archive; do
    tar --recursive-unlink -xf "$archive" -C root 2>/dev/null || status=$?
    find root -name '.wh.*' -printf '%f\n' | while read -r mark; do rm -f "root/$mark" "root/${mark#.wh.}"; done
  done
  echo "$name: $(cd root; grep -r . | tr : = | sort | xargs) exit status $status"
}
squash() {
  tar -cf 1.tar -C lower $(ls lower); tar -cf 2.tar -C upper $(ls -A upper)
  python3 image.py; rm -f out.tar
  v/bin/oci-squash -t a:2 -o out.tar in.tar >squash.log 2>&1
  tar -xOf out.tar squashed/layer.tar >squashed.tar
  show layers 1.tar 2.tar; show squashed squashed.tar
}
{
  mkdir lower upper
  echo old >lower/file; ln lower/file lower/link; echo kept >lower/deleted; ln lower/deleted lower/other
  echo new >upper/file; touch upper/.wh.deleted
  squash
  rm -rf lower upper; mkdir -p lower/folder upper; echo in >lower/folder/in; echo file >upper/folder
  squash
} >got
cat got
want='layers: file=new link=old other=kept exit status 0
squashed: file=new link=new exit status 0
layers: folder=file exit status 0
squashed: folder=file exit status 2'
[ "$(cat got)" = "$want" ]
