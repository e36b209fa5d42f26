#!/usr/bin/env bash
# Tool: busybox 1.35.0 (busybox 1:1.35.0-4+deb12u1+b1, Debian 12), GNU time 1.9 (installed) and
#   toybox 0.8.9 (Debian 12) for comparison; a page is 4096 bytes.
# Expected: "Maximum resident set size (kbytes)" of `busybox time -v` is the same number as in the
#   line with the same words of GNU time: it comes from the kernel in KiB.
# Seen: the number is multiplied by the size of a page: four times the memory. `-f %M` has it, too.
#   Output, for a program that touches 200 MiB, in hundreds of MiB:
#     GNU time 2, busybox time -v 8, busybox time -f 8, toybox time -v 2
# Matters: in an image with busybox, time is this program. A build step that needs 1 GB seems to
#   need 4 GB, and a limit or machine is chosen for that. A comparison of two images, of which one
#   has GNU time, says that the other one needs four times as much.
set -euo pipefail
[ "$(getconf PAGESIZE)" = 4096 ]
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q busybox=1:1.35.0-4+deb12u1+b1 toybox=0.8.9+dfsg-1 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
cat >touch.c <<'C'
#include <stdlib.h>
#include <string.h>

int main(void) {
    size_t size = 200 << 20;
    char *memory = malloc(size);
    memset(memory, 1, size);
    return memory[size - 1] - 1;
}
C
gcc -o touch touch.c
hundreds() { grep -i 'max' | sed 's/.*: //' | awk '{ print int($1 / 102400) }'; }
got="GNU time $(/usr/bin/time -v ./touch 2>&1 | hundreds)"
got+=", busybox time -v $(deb/bin/busybox time -v ./touch 2>&1 | hundreds)"
got+=", busybox time -f $(deb/bin/busybox time -f 'max: %M' ./touch 2>&1 | hundreds)"
got+=", toybox time -v $(deb/bin/toybox time -v ./touch 2>&1 | hundreds)"
want='GNU time 2, busybox time -v 8, busybox time -f 8, toybox time -v 2'
echo "$got"; [ "$got" = "$want" ]
