#!/usr/bin/env bash
# Tool: sqfstar of squashfs-tools 1:4.5.1-1; tar2sqfs of squashfs-tools-ng 1.2.0-1 for
#   comparison (both Debian 12, run on Debian 12).
# Expected: an image made from an archive is the same on each machine, with the user
#   numbers of the archive.
# Seen: if the archive names an owner, sqfstar looks the name up on the machine where it
#   runs and stores that number. A name that the machine does not know has no effect, and
#   no option selects the numbers. Output, the owners of three files of 70/70:
#     sqfstar: named daemon 1/1, named nosuch 70/70, without a name 70/70
#     tar2sqfs: named daemon 70/70, named nosuch 70/70, without a name 70/70
# Matters: system users have other numbers in each distribution. The database of an image
#   belongs to another user after the conversion, and only on build machines that happen
#   to have a user of that name.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q squashfs-tools=1:4.5.1-1 squashfs-tools-ng=1.2.0-1 libsquashfs1=1.2.0-1 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
export PATH=$PWD/deb/usr/bin:$PATH LD_LIBRARY_PATH=$PWD/deb/usr/lib/x86_64-linux-gnu
python3 - <<'PY'
import tarfile

with tarfile.open("a.tar", "w") as archive:
    for user in "daemon", "nosuch", "":
        entry = tarfile.TarInfo(user or "unnamed")
        entry.uid = entry.gid = 70
        entry.uname = entry.gname = user
        archive.addfile(entry)
PY
sqfstar sqfstar.img <a.tar >/dev/null
tar2sqfs -q tar2sqfs.img <a.tar
for tool in sqfstar tar2sqfs; do
  owner() { unsquashfs -lln "$tool.img" | awk -v end="/$1" 'index($NF, end) {print $2}'; }
  echo "$tool: named daemon $(owner daemon), named nosuch $(owner nosuch), without a name $(owner unnamed)"
done >got
want='sqfstar: named daemon 1/1, named nosuch 70/70, without a name 70/70
tar2sqfs: named daemon 70/70, named nosuch 70/70, without a name 70/70'
cat got; [ "$(cat got)" = "$want" ]
