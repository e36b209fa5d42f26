#!/usr/bin/env bash
# Tool: ext4 1.4.1 (PyPI, 2026) and dissect.extfs 3.15 (PyPI); ext2py 0.1.0 (PyPI, 2026) and
#   debugfs 1.47.0 (Debian 12, installed) for comparison.
# Expected: a file of 100 bytes reads as these 100 bytes, or the feature inline_data is reported
#   as unsupported. A small file of such a file system has 60 bytes in the block map of its
#   inode and the rest in the attribute system.data.
# Seen: one reader returns the first 60 bytes; the other one returns 100, of which the last 40
#   are other fields of the inode. So it is with a link of 100 characters, and a small folder
#   has no entry or one without a name. Files of up to 60 bytes are right. Output:
#     ext4: short True (60), long False (100), link False (100), folder []
#     dissect.extfs: short True (60), long False (60), link False (60), folder ['']
#     ext2py and debugfs: long True, True
# Matters: a scan of a root file system reads cut configuration files and empty folders, and
#   only files of 61 to about 160 bytes show it.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q ext4==1.4.1 dissect.extfs==3.15 ext2py==0.1.0
mkdir -p source/folder
text=$(seq -s - 99)
printf %s "${text:0:60}" >source/short
printf %s "${text:0:100}" >source/long
ln -s "${text:0:100}" source/link
touch source/folder/a source/folder/b
truncate -s 32M a.ext4
mkfs.ext4 -q -O inline_data -d source a.ext4
cat >a.py <<'PY'
import os, sys
import ext4
from dissect.extfs import ExtFS

ours = {name: open("source/" + name, "rb").read() for name in ("short", "long")}
ours["link"] = os.readlink("source/link").encode()
volume = ext4.Volume(open("a.ext4", "rb"))
theirs = {name: volume.inode_at("/" + name).open().read() for name in ("short", "long")}
theirs["link"] = volume.inode_at("/link").readlink()
def report(reader, theirs, folder):
    found = ", ".join(f"{name} {theirs[name] == ours[name]} ({len(theirs[name])})" for name in ours)
    print(f"{reader}: {found}, folder {folder}")
report("ext4", theirs, list(volume.inode_at("/folder").opendir()))
volume = ExtFS(open("a.ext4", "rb"))
theirs = {name: volume.get("/" + name).open().read() for name in ("short", "long")}
theirs["link"] = volume.get("/link").link.encode()
report("dissect.extfs", theirs, sorted(volume.get("/folder").listdir()))
others = [open(name, "rb").read() == ours["long"] for name in ("ext2py.out", "debugfs.out")]
print("ext2py and debugfs: long", ", ".join(map(str, others)))
PY
v/bin/ext2py cat a.ext4 /long >ext2py.out
debugfs -R "dump /long debugfs.out" a.ext4 2>debugfs.log
got=$(v/bin/python a.py 2>a.log)
want="ext4: short True (60), long False (100), link False (100), folder []
dissect.extfs: short True (60), long False (60), link False (60), folder ['']
ext2py and debugfs: long True, True"
echo "$got"; [ "$got" = "$want" ]
