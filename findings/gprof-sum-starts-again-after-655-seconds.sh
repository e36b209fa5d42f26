#!/usr/bin/env bash
# Tool: gprof of binutils 2.40-2 (Debian 12); needs gcc and glibc of Debian 12. The program is profiled here.
# Expected: `gprof --sum` adds the profiles of many runs, so gmon.sum has the time that gprof prints when it reads
#   the same files itself.
# Seen: gprof adds in 32 bits, but writes 16 bits for each place of the program. At 100 samples per second, each
#   place begins at zero again after 655.36 s. There is no message. Output:
#     5000 runs, read directly: as long as 5000 times one run
#     5000 runs, from gmon.sum: far less, whole units of 655.36 s are missing
# Matters: the manual offers --sum for programs whose single run is too short, as a compiler in a build is. The hottest
#   loop wraps first, so the order of the functions is another one, too.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q binutils-x86-64-linux-gnu=2.40-2 libbinutils=2.40-2 >apt.log 2>&1
for deb in *.deb; do dpkg-deb -x "$deb" deb; done
cat >spin.c <<'C'
#include <time.h>
static volatile unsigned long count;
int main(void) {
    while (clock() < CLOCKS_PER_SEC)
        for (unsigned long i = 0; i < 1000000; i++) count++;
}
C
gcc -pg -O0 spin.c -o spin
./spin
# Prints the seconds of the whole program, with two digits.
seconds() { LD_LIBRARY_PATH=deb/usr/lib/x86_64-linux-gnu deb/usr/bin/x86_64-linux-gnu-gprof "$@"; }
total() { seconds -b -p spin "$@" | awk '$NF == "main" { print $2 }'; }
runs=()
for _ in $(seq 5000); do runs+=(gmon.out); done
one=$(total gmon.out); direct=$(total "${runs[@]}")
seconds --sum spin "${runs[@]}"
sum=$(total gmon.sum)
echo "one run $one s, directly $direct s, gmon.sum $sum s"
got=$(awk -v one="$one" -v direct="$direct" -v sum="$sum" 'BEGIN {
    as = direct; if (direct > 4950 * one && direct < 5050 * one) as = "as long as 5000 times one run"
    print "5000 runs, read directly: " as
    units = (direct - sum) / 655.36; off = units - int(units + 0.5)
    as = sum; if (sum < 0.8 * direct && off > -0.05 && off < 0.05) as = "far less, whole units of 655.36 s are missing"
    print "5000 runs, from gmon.sum: " as }')
want='5000 runs, read directly: as long as 5000 times one run
5000 runs, from gmon.sum: far less, whole units of 655.36 s are missing'
echo "$got"; [ "$got" = "$want" ]
