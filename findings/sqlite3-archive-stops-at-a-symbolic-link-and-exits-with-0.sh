#!/usr/bin/env bash
# Tool: sqlite3 3.40.1-2+deb12u2 (Debian 12), archive mode (-A) with SQLAR files.
# Expected: an archive that sqlite3 wrote extracts; the documentation says that
#   symbolic links are kept. A failed extraction has another exit status than 0.
# Seen: the link is stored and listed, and extraction stops there. What comes later
#   in the archive is missing, and the exit status is 0. Output of the extraction:
#     SQL error: error in uncompress()
#     exit status 0
#     folder folder/1-before
# Matters: a context or cache kept in one SQLite file comes back incomplete, and a
#   script that checks the status goes on.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q sqlite3=3.40.1-2+deb12u2 >apt.log 2>&1
dpkg-deb -x sqlite3_*.deb deb
tool=$PWD/deb/usr/bin/sqlite3
mkdir folder
echo one >folder/1-before; ln -s 1-before folder/2-link; echo three >folder/3-after
"$tool" tree.sqlar -A --create folder/1-before folder/2-link folder/3-after
[ "$("$tool" tree.sqlar -A --list | xargs)" = 'folder/1-before folder/2-link folder/3-after' ]
mkdir out
"$tool" tree.sqlar -A --extract --directory out >got 2>&1 && status=$? || status=$?
{ echo "exit status $status"; (cd out && find . -mindepth 1 | sed 's,^\./,,' | sort | xargs); } >>got
want='SQL error: error in uncompress()
exit status 0
folder folder/1-before'
cat got; [ "$(cat got)" = "$want" ]
