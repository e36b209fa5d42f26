#!/usr/bin/env bash
# Tool: GNU cpio 2.13 (cpio 2.13+dfsg-7.1, Debian 12). Runs as root, to give a file to another user.
# Expected: a file that a format cannot hold makes `cpio -o` fail: its manual gives no other exit
#   status, and pax (MirBSD) and GNU tar exit with 1 and 2. A number that is too large is an error.
# Seen: with `-H ustar`, files with a user above 2097151, a date before 1970 or after 2242, a link
#   of over 100 characters or such a name are left out with one line each, and the exit status is
#   0. With `-H newc`, the format of initramfs, and `-H odc`, numbers are cut to their field
#   without any line. Output:
#     ustar: exit 0, 5 messages, contains old
#     newc: exit 0, 0 messages: big-user 3000000, of-1960 2096, of-2300 2027
#     odc: exit 0, 0 messages: big-user 116416, of-1960 2232, of-2300 2027
# Matters: a script with set -e goes on with half of an archive, and in an initramfs a file of
#   1960 is the newest of all. Files of an odc archive belong to a user who exists for another reason.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q cpio=2.13+dfsg-7.1 >apt.log 2>&1
dpkg-deb -x cpio*.deb deb
cpio() { "$dir/deb/bin/cpio" "$@"; }
mkdir source; cd source
touch old; touch -d 1975-01-01 old
touch big-user; chown 3000000 big-user
touch -d '1960-01-01 UTC' of-1960
touch -d '2300-01-01 UTC' of-2300
long=$(printf 'n%.0s' {1..120})
ln -s "$long" long-link
touch "$long"
got=$(
  find . -mindepth 1 | cpio --quiet -o -H ustar >../ustar 2>../ustar.log && status=0 || status=$?
  echo "ustar: exit $status, $(wc -l <../ustar.log) messages, contains" $(tar -tf ../ustar)
  for format in newc odc; do
    find . -mindepth 1 | cpio --quiet -o -H $format >../$format 2>../$format.log && status=0 || status=$?
    mkdir ../$format.out
    (cd ../$format.out && cpio --quiet -idm <../$format)
    year() { date -u -r ../$format.out/$1 +%Y; }
    echo "$format: exit $status, $(wc -l <../$format.log) messages: big-user $(stat -c %u ../$format.out/big-user)," \
      "of-1960 $(year of-1960), of-2300 $(year of-2300)"
  done
)
want='ustar: exit 0, 5 messages, contains old
newc: exit 0, 0 messages: big-user 3000000, of-1960 2096, of-2300 2027
odc: exit 0, 0 messages: big-user 116416, of-1960 2232, of-2300 2027'
echo "$got"; [ "$got" = "$want" ]
