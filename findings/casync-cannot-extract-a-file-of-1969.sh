#!/usr/bin/env bash
# Tool: casync 2+20201210-1+b1 (Debian 12, run as root).
# Expected: `casync extract` restores what `casync make` packed, as it does for owners,
#   attributes, holes and nanoseconds.
# Seen: dates are stored without a sign. A file of 1969 is packed with exit status 0; extract
#   dates it 2446, the last year of ext4, and stops with "Operation not supported", so what
#   comes after it is not restored. Of a file with two names, extract makes two files, without a
#   message and whatever --with says. Output:
#     1969: make 0, extract 1, a is of 2446, b is missing
#     two names: make 0, extract 0, a has 1 link
# Matters: the archive of a folder with one file of an odd date cannot be unpacked, and nobody
#   learns that before they need it. A tree of hard links is larger after each round.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q casync=2+20201210-1+b1 libfuse2=2.9.9-6+b1 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
export LD_LIBRARY_PATH=$PWD/deb/usr/lib/x86_64-linux-gnu:$PWD/deb/lib/x86_64-linux-gnu
mkdir 1969 "two names"
echo one >1969/a; echo two >1969/b
touch -d 1969-12-31T23:59:59Z 1969/a
echo one >"two names/a"; ln "two names/a" "two names/b"
round() { # NAME
  local made=0 extracted=0
  deb/usr/bin/casync make "$1.catar" "$1" >make.log 2>&1 || made=$?
  deb/usr/bin/casync extract "$1.catar" "$1 back" >extract.log 2>&1 || extracted=$?
  echo -n "$1: make $made, extract $extracted, "
}
{
  round 1969
  echo "a is of $(stat -c %y "1969 back/a" | cut -c 1-4), b is $([ -e "1969 back/b" ] && echo there || echo missing)"
  round "two names"
  echo "a has $(stat -c %h "two names back/a") link"
} >got
want='1969: make 0, extract 1, a is of 2446, b is missing
two names: make 0, extract 0, a has 1 link'
cat got; [ "$(cat got)" = "$want" ]
