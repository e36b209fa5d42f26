#!/usr/bin/env bash
# Tool: tar of busybox 1.35.0 (busybox-static 1:1.35.0-4+deb12u1+b1) and of toybox
#   0.8.9+dfsg-1 (both Debian 12, run as root); GNU tar for comparison.
# Expected: the default format of Python's tarfile, pax, is read like GNU's format, or an
#   unknown record is an error.
# Seen: both read the path of a pax record. busybox ignores the owner, so large user
#   numbers become 0; toybox also ignores the target of a link, which is cut at 100
#   characters. There is no message and the exit status is 0. Output:
#     busybox: name 120, owner 0, target 150
#     toybox: name 120, owner 0, target 100
#     GNU tar: name 120, owner 3000000, target 150
# Matters: images of a few megabytes have one of them as their tar. Files of users from a
#   directory service or a user namespace belong to root after the step that unpacks them.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q busybox-static=1:1.35.0-4+deb12u1+b1 toybox=0.8.9+dfsg-1 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
python3 - <<'PY'
import tarfile

with tarfile.open("a.tar", "w", format=tarfile.PAX_FORMAT) as archive:
    file = tarfile.TarInfo("n" * 120)
    file.uid = file.gid = 3000000
    archive.addfile(file)
    link = tarfile.TarInfo("link")
    link.type, link.linkname = tarfile.SYMTYPE, "t" * 150
    archive.addfile(link)
PY
unpack() {
  mkdir "$1"
  "${@:2}" -xf "$PWD/a.tar" -C "$1"
  local file target
  file=$(basename "$(echo "$1"/n*)")
  target=$(readlink "$1/link")
  echo "name ${#file}, owner $(stat -c %u "$1/$file"), target ${#target}"
}
got="busybox: $(unpack one deb/bin/busybox tar)
toybox: $(unpack two deb/bin/toybox tar)
GNU tar: $(unpack three tar)"
want='busybox: name 120, owner 0, target 150
toybox: name 120, owner 0, target 100
GNU tar: name 120, owner 3000000, target 150'
echo "$got"; [ "$got" = "$want" ]
