#!/usr/bin/env bash
# Tool: sa, dump-acct and accton of acct 6.6.4-5+b1 (Debian 12), Linux 6.18. Runs as
#   root and turns process accounting on for three seconds.
# Expected: the column "k" of sa is the memory of a program in units of 1k, as its
#   manual says, and a program that held 300 MB has more than 300000k.
# Seen: the kernel stores the size of the address space when the process exits, in KiB,
#   so memory that was returned before does not count. sa divides the number by four, as
#   if it were in units of 256 bytes; dump-acct prints it as it is. Output:
#     tail: VmSize of /proc equal to dump-acct, sa shows a quarter of it
#     python3 that held 300 MB: below 40000 in dump-acct, below 10000k in sa
# Matters: process accounting is the tool that sees each process of a build, also the
#   short ones. A compiler that needed 300 MB is listed with 4.
set -euo pipefail
dir=$(mktemp -d); cd "$dir"
apt-get download -q acct=6.6.4-5+b1 >apt.log 2>&1
dpkg-deb -x acct*.deb deb
trap '"$dir/deb/usr/sbin/accton" off >/dev/null; rm -rf "$dir"' EXIT
: >records
# Names that no other process on the machine has.
ln -s /usr/bin/tail waiter
ln -s /usr/bin/python3 holder
deb/usr/sbin/accton "$PWD/records" >/dev/null
./waiter -f /dev/null & waiter=$!
sleep 1
size=$(awk '$1 == "VmSize:" { print $2 }' /proc/$waiter/status)
kill $waiter; wait $waiter || true
./holder -c 'held = bytearray(b"x" * 300_000_000)' & holder=$!
wait $holder
deb/usr/sbin/accton off >/dev/null
# Column 8 of dump-acct is the memory, column 10 the number of the process.
memory() { deb/usr/sbin/dump-acct records | tr -d ' ' | awk -F'|' -v pid="$1" '$10 == pid { print int($8) }'; }
shown() { deb/usr/sbin/sa -u records | awk -v name="$1" '$NF == name { gsub("k", "", $4); print $4 }'; }
deb/usr/sbin/sa -u records | grep -E ' (waiter|holder)'
echo "VmSize $size, dump-acct: waiter $(memory $waiter), holder $(memory $holder)"
got=$(
  equal=different; if [ "$(memory $waiter)" = "$size" ]; then equal=equal; fi
  quarter='another number'; if [ "$(shown waiter)" = $((size / 4)) ]; then quarter='a quarter of it'; fi
  echo "tail: VmSize of /proc $equal to dump-acct, sa shows $quarter"
  dump='40000 or more'; if [ "$(memory $holder)" -lt 40000 ]; then dump='below 40000'; fi
  sa='10000k or more'; if [ "$(shown holder)" -lt 10000 ]; then sa='below 10000k'; fi
  echo "python3 that held 300 MB: $dump in dump-acct, $sa in sa")
want='tail: VmSize of /proc equal to dump-acct, sa shows a quarter of it
python3 that held 300 MB: below 40000 in dump-acct, below 10000k in sa'
echo "$got"; [ "$got" = "$want" ]
