#!/usr/bin/env bash
# Tool: metastore 1.1.2-4+b1 (Debian 12), which keeps owners, modes, attributes and times of a tree in
#   a file, for trees in git and the like. Runs as root.
# Expected: `metastore -s -m`, then `metastore -a -m` brings back owner, mode and time of each file, to
#   the nanosecond: that is what the file has room for. Owners without a name are kept as numbers, as
#   tar does, or saving fails.
# Seen: a file whose user or group has no name is left out, with all its metadata. Saving prints one
#   line to standard error and ends with 0. Times come back without their fraction, which is in the
#   file, and those that do not fit in 32 bits come back as others. Output:
#     user 300000, mode 640: 0 755 (save 0, apply 0)
#     2020-01-01 00:00:00.5: 2020-01-01 00:00:00.0
#     2040-01-01 00:00:00.0: 1903-11-25 17:31:44.0
# Matters: the root file system of a rootless container has users without a name on the host. It comes
#   back with files of root and modes of the moment. make sees outputs older than their sources.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"; export TZ=UTC
apt-get download -q metastore=1.1.2-4+b1 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
metastore=$PWD/deb/usr/bin/metastore

mkdir tree; cd tree
touch container half late
chown 300000 container; chmod 640 container
touch -d '2020-01-01 00:00:00.5' half
touch -d '2040-01-01 00:00:00' late
"$metastore" -q -s -m 2>../message; saved=$?
grep -q 'uid 300000 not found' ../message
chown 0 container; chmod 755 container; touch half late
"$metastore" -q -a -m >../changes 2>../message; applied=$?
got="user 300000, mode 640: $(stat -c '%u %a' container) (save $saved, apply $applied)
2020-01-01 00:00:00.5: $(stat -c %y half | cut -c1-21)
2040-01-01 00:00:00.0: $(stat -c %y late | cut -c1-21)"
want='user 300000, mode 640: 0 755 (save 0, apply 0)
2020-01-01 00:00:00.5: 2020-01-01 00:00:00.0
2040-01-01 00:00:00.0: 1903-11-25 17:31:44.0'
echo "$got"; [ "$got" = "$want" ]
