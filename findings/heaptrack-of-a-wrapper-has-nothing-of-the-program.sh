#!/usr/bin/env bash
# Tool: heaptrack 1.4.0 (heaptrack 1.4.0-2, libheaptrack 1.4.0-2 and three libraries of boost 1.74.0+ds1-21, Debian 12); needs gcc.
# Expected: `heaptrack command` records what the command allocates. If the command is a wrapper that replaces itself with the program,
#   the process is the same and so is the recording. What it does not follow it says.
# Seen: the recording ends at exec, and no process that the command starts is in it. The profile has the allocations of the wrapper,
#   or none, heaptrack exits with 0 and says that it finished. Output, whether the 100 allocations of the program are there:
#     ./program: yes
#     env ./program: no, no message
#     nice ./program: no, no message
#     script with exec ./program: no, no message
#     script with ./program: no, no message
#     make: no, no message
# Matters: installed programs are often started by a script or through env, and each compiler of a build by make or a shell. The
#   profile shows a program without allocations, or those of env or make, and looks complete.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q heaptrack=1.4.0-2 libheaptrack=1.4.0-2 libboost-filesystem1.74.0=1.74.0+ds1-21 \
    libboost-iostreams1.74.0=1.74.0+ds1-21 libboost-program-options1.74.0=1.74.0+ds1-21 >apt.log 2>&1
for deb in *.deb; do dpkg-deb -x "$deb" deb; done
export LD_LIBRARY_PATH=$PWD/deb/usr/lib/x86_64-linux-gnu
cat >program.c <<'C'
#include <stdlib.h>
static volatile char *block;
int main(void) {
    for (int i = 0; i < 100; i++) block = malloc(123456);
    return block == NULL;
}
C
gcc -O0 program.c -o program
printf '#!/bin/sh\nexec ./program\n' >exec; printf '#!/bin/sh\n./program\nexit 0\n' >start; chmod +x exec start
printf 'all:\n\t./program\n' >Makefile
record() { # NAME COMMAND...
    local found=no message='no message'
    rm -f profile*
    deb/usr/bin/heaptrack -o "$dir/profile" "${@:2}" >log 2>&1
    grep -q 'Heaptrack finished' log
    # 100 blocks of 123456 bytes are 12.35 MB.
    if deb/usr/bin/heaptrack_print -f profile.* 2>>log | grep -q '^total memory leaked: 12.35M'; then found=yes; fi
    if grep -qiE 'child|exec event|not supported|warning' log; then message='a message'; fi
    if [ $found = yes ]; then echo "$1: yes"; else echo "$1: no, $message"; fi
}
got=$(record ./program ./program; record 'env ./program' env ./program; record 'nice ./program' nice ./program
    record 'script with exec ./program' ./exec; record 'script with ./program' ./start; record make make)
want='./program: yes
env ./program: no, no message
nice ./program: no, no message
script with exec ./program: no, no message
script with ./program: no, no message
make: no, no message'
echo "$got"; [ "$got" = "$want" ]
