#!/usr/bin/env bash
# Tool: fakeroot 1.31-1.2 (Debian 12) and Node.js 24.11.1 (npm); needs root, to leave it.
# Expected: within fakeroot each program sees the owners that chown gave, as Debian's
#   packages of Node are dynamically linked programs.
# Seen: Node reads owners with a system call of its own, not with the function of the C
#   library that fakeroot replaces. It sees the real owner, also of a file whose owner
#   it has just changed, and devices are regular files to it. Output, of user 1000:
#     stat: owner 1234, device character special file
#     Python: owner 1234, device True
#     Node: owner 1000, device false
#     Node after its own chown to 7: owner 1000, stat says 7
# Matters: a package or image that a script of Node packs within fakeroot contains the
#   user of the build machine, and its devices are empty files. Nothing fails.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q fakeroot=1.31-1.2 libfakeroot=1.31-1.2 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
npm install --silent --no-audit --no-fund node@24.11.1 >npm.log
mkdir work
chown 1000:1000 work
chmod -R a+rX .
cat >inner.sh <<'SH'
cd work
touch file
chown 1234:1234 file
mknod device c 1 3
echo "stat: owner $(stat -c %u file), device $(stat -c %F device)"
python3 -c 'import os, stat
owner, device = os.stat("file").st_uid, stat.S_ISCHR(os.stat("device").st_mode)
print(f"Python: owner {owner}, device {device}")'
$NODE -p '`Node: owner ${fs.statSync("file").uid}, device ${fs.statSync("device").isCharacterDevice()}`'
after=$($NODE -p 'fs.chownSync("file", 7, 7); fs.statSync("file").uid')
echo "Node after its own chown to 7: owner $after, stat says $(stat -c %u file)"
SH
export NODE=$PWD/node_modules/node/bin/node HOME=$PWD/work
got=$(setpriv --reuid=1000 --regid=1000 --clear-groups deb/usr/bin/fakeroot-sysv \
  -l "$PWD/deb/usr/lib/x86_64-linux-gnu/libfakeroot/libfakeroot-sysv.so" -f "$PWD/deb/usr/bin/faked-sysv" -- sh inner.sh)
want='stat: owner 1234, device character special file
Python: owner 1234, device True
Node: owner 1000, device false
Node after its own chown to 7: owner 1000, stat says 7'
echo "$got"; [ "$got" = "$want" ]
