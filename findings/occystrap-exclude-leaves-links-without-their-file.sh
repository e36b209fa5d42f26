#!/usr/bin/env bash
# Tool: occystrap 0.4.17 (PyPI, 2026), the filters exclude and normalize-timestamps.
# Expected: a file that is not excluded is still there afterwards, and two builds that
#   differ only in time are the same image after the second filter, which is there "for
#   reproducible builds".
# Seen: an entry goes by its own name. If that entry has the content of a hard link, the
#   link stays without it, and the layer cannot be unpacked; the tool's own check finds
#   nothing. The second filter changes the layers and keeps the times of the
#   configuration. Output, for bin/tool with the second name bin/alias:
#     exclude bin/tool: bin bin/alias -> bin/tool
#     check: 0 error(s), 0 warning(s)
#     tar: status 2
#     normalize-timestamps: 1 layer for both, 2 configurations
# Matters: busybox, git and package stores are made of hard links: one pattern that meets
#   the first of the names removes the program. The digest of an image is that of its
#   configuration, so it still changes in each build.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q occystrap==0.4.17
cat >make.py <<'PY'
import hashlib, io, json, tarfile

def pack(entries):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for entry, data in entries:
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return stream.getvalue()

def entry(name, kind=tarfile.REGTYPE, target="", time=0):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mtime = kind, target, time
    info.mode = 0o755
    return info

for number, month in (1, "01"), (2, "02"):
    time = number * 1000
    layer = pack([
        (entry("bin", tarfile.DIRTYPE, time=time), b""),
        (entry("bin/tool", time=time), b"tool"),
        (entry("bin/alias", tarfile.LNKTYPE, "bin/tool", time), b""),
    ])
    digest = hashlib.sha256(layer).hexdigest()
    created = f"2026-{month}-01T00:00:00Z"
    config = json.dumps({
        "architecture": "amd64", "os": "linux", "created": created, "config": {},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "history": [{"created": created, "created_by": "COPY tool /bin"}],
    }).encode()
    name = hashlib.sha256(config).hexdigest() + ".json"
    manifest = [{"Config": name, "RepoTags": ["app:1"], "Layers": [f"{digest}/layer.tar"]}]
    open(f"{number}.tar", "wb").write(pack([
        (entry(f"{digest}/layer.tar"), layer), (entry(name), config),
        (entry("manifest.json"), json.dumps(manifest).encode()),
    ]))
PY
python3 make.py
process() { v/bin/occystrap process "tar://$PWD/$1" "tar://$PWD/$2" -f "$3" >log 2>&1; }
process 1.tar excluded.tar exclude:pattern=bin/tool
for number in 1 2; do process $number.tar normalized$number.tar normalize-timestamps; done
names() { for number in 1 2; do tar -tf normalized$number.tar | grep "$1"; done | sort -u | wc -l; }
got=$(
  layer=$(tar -tf excluded.tar | grep layer.tar)
  tar -xOf excluded.tar "$layer" >layer.tar
  names=$(tar -tvf layer.tar | sed 's/.* 1970-01-01 [0-9:]* //; s/ link to / -> /; s,/$,,' | xargs)
  echo "exclude bin/tool: $names"
  echo "check: $(v/bin/occystrap check "tar://$PWD/excluded.tar" 2>/dev/null | grep -o '[0-9]* error.*')"
  mkdir root
  status=0; tar -C root -xf layer.tar 2>tar.log || status=$?
  echo "tar: status $status"
  echo "normalize-timestamps: $(names layer.tar) layer for both, $(names 'json$' | awk '{print $1 - 1}') configurations"
)
want='exclude bin/tool: bin bin/alias -> bin/tool
check: 0 error(s), 0 warning(s)
tar: status 2
normalize-timestamps: 1 layer for both, 2 configurations'
echo "$got"; [ "$got" = "$want" ]
