#!/usr/bin/env bash
# Tool: busybox 1.35.0 (busybox-static 1:1.35.0-4+deb12u1+b1), toybox 0.8.9 (0.8.9+dfsg-1), bash, dash and GNU coreutils
#   and findutils (Debian 12). Needs a file system with nanoseconds.
# Expected: of two files that were written 0.4 s apart the second one is newer, as the other shells and tools of today
#   say. busybox keeps the fraction when it unpacks a tar, and `stat` of busybox prints it.
# Seen: busybox compares whole seconds, in `[ new -nt old ]` of its shell, in `find -newer` and in `cp -u`. A file of the
#   same second is not newer, and there is no message. Output:
#     bash, GNU find and cp: newer, found, copied
#     dash, find and cp of toybox: newer, found, copied
#     sh, find and cp of busybox: not newer, not found, not copied
# Matters: a script that rebuilds what is newer than a stamp, or a COPY step that updates a folder, works on Debian. On
#   Alpine it leaves the old file when a step before it took less than a second.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q busybox-static=1:1.35.0-4+deb12u1+b1 toybox=0.8.9+dfsg-1 >apt.log 2>&1
for deb in *.deb; do dpkg-deb -x "$deb" deb; done
busybox=deb/bin/busybox; toybox=deb/bin/toybox
echo old >stamp; touch -d '2026-01-01 10:00:00.2' stamp
echo new >output; touch -d '2026-01-01 10:00:00.6' output
# The arguments are a shell, a find and a cp.
try() {
    newer='not newer'; if $1 -c '[ output -nt stamp ]'; then newer=newer; fi
    found='not found'; if [ "$($2 . -name output -newer stamp)" ]; then found=found; fi
    /usr/bin/cp -p stamp target; $3 -u output target
    copied='not copied'; if [ "$(cat target)" = new ]; then copied=copied; fi
    echo "$newer, $found, $copied"
}
got="bash, GNU find and cp: $(try bash find cp)
dash, find and cp of toybox: $(try dash "$toybox find" "$toybox cp")
sh, find and cp of busybox: $(try "$busybox sh" "$busybox find" "$busybox cp")"
want='bash, GNU find and cp: newer, found, copied
dash, find and cp of toybox: newer, found, copied
sh, find and cp of busybox: not newer, not found, not copied'
echo "$got"; [ "$got" = "$want" ]
