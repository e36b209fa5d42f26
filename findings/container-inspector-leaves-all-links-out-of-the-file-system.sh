#!/usr/bin/env bash
# Tool: container-inspector 33.1.0 (PyPI), with which ScanCode reads container images.
# Expected: container_inspector_squash makes the root file system of an image: layers,
#   whiteouts and links applied.
# Seen: whiteouts are applied, but symbolic and hard links are left out, also a hard
#   link to a file that the next layer replaces, which is the only name of the old
#   content. The exit status is 0, and standard error is empty. Output:
#     squashed: etc/conf=new usr/bin/tool=program
#     image: bin->usr/bin etc/conf=new etc/kept=old usr/bin/alias=program usr/bin/tool=program
# Matters: an image of Debian or Fedora, where /bin and /lib are links, has no /bin/sh
#   and no /lib; files that a package lists are reported as missing, and a file with
#   two names may not be scanned at all.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q container-inspector==33.1.0 2>pip.log || { cat pip.log; exit 1; }
mkdir -p lower/etc lower/usr/bin upper/etc image squashed expected
echo old >lower/etc/conf; ln lower/etc/conf lower/etc/kept
echo gone >lower/etc/removed
echo program >lower/usr/bin/tool; ln lower/usr/bin/tool lower/usr/bin/alias
ln -s usr/bin lower/bin
echo new >upper/etc/conf; touch upper/etc/.wh.removed
tar -C lower -cf lower.tar bin etc/conf etc/kept etc/removed usr/bin/tool usr/bin/alias
tar -C upper -cf upper.tar etc/conf etc/.wh.removed
tar -C expected -xf lower.tar
tar -C expected -xf upper.tar
rm expected/etc/removed expected/etc/.wh.removed
cat >save.py <<'PY'
import hashlib, json, os, shutil

digests = []
for name in ("lower.tar", "upper.tar"):
    digest = hashlib.sha256(open(name, "rb").read()).hexdigest()
    os.mkdir(f"image/{digest}")
    shutil.copy(name, f"image/{digest}/layer.tar")
    digests.append(digest)
config = json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "history": [{"created_by": "RUN"}] * 2,
                     "rootfs": {"type": "layers", "diff_ids": ["sha256:" + digest for digest in digests]}})
name = hashlib.sha256(config.encode()).hexdigest() + ".json"
open(f"image/{name}", "w").write(config)
manifest = [{"Config": name, "RepoTags": ["app:1"], "Layers": [f"{digest}/layer.tar" for digest in digests]}]
json.dump(manifest, open("image/manifest.json", "w"))
PY
v/bin/python save.py
v/bin/container_inspector_squash image squashed >out 2>err || { cat out err; exit 1; }
cat err; [ ! -s err ]
show() {
  (cd "$1" && for path in $(find . -type f -o -type l | sort); do
    if [ -L "$path" ]; then echo "${path#./}->$(readlink "$path")"; else echo "${path#./}=$(cat "$path")"; fi
  done) | LC_ALL=C sort | paste -sd' '
}
got="squashed: $(show squashed)
image: $(show expected)"
want='squashed: etc/conf=new usr/bin/tool=program
image: bin->usr/bin etc/conf=new etc/kept=old usr/bin/alias=program usr/bin/tool=program'
echo "$got"; [ "$got" = "$want" ]
