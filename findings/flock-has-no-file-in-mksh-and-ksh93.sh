#!/usr/bin/env bash
# Tool: mksh 59c (59c-28+deb12u1) and ksh93u+m 1.0.4 (1.0.4-3), with dash 0.5.12, busybox 1.35.0 and yash 2.52 (all Debian 12) and
#   bash for comparison; flock of util-linux (installed).
# Expected: `exec 9>lock; flock 9` holds a lock for the rest of a script, in each shell: a program inherits the files that its
#   shell has open.
# Seen: mksh and ksh93 close each file that `exec` opened with a number above 2 when they start a program, so flock reports a bad
#   file descriptor. A redirection of the command itself or of a group around it is passed on. The manual pages of
#   the two say so in the description of exec. The example of flock has the redirection at a subshell, where it works. Output, whether the program has the file after exec, and in a group:
#     bash yes yes, dash yes yes, busybox yes yes, yash yes yes, mksh no yes, ksh93 no yes
# Matters: with `flock 9 2>/dev/null || true`, or without set -e, the script goes on without the lock, and two builds write into
#   one cache at once. It is the same with a jobserver or a log whose number is given to a program.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q dash=0.5.12-2 busybox-static=1:1.35.0-4+deb12u1+b1 yash=2.52-2 mksh=59c-28+deb12u1 'ksh93u+m=1.0.4-3' >apt.log 2>&1
for deb in *.deb; do dpkg-deb -x "$deb" deb; done
try() { # NAME SHELL...
    local name=$1; shift
    echo "$name $("$@" -c 'exec 9>lock; flock 9 2>>messages && echo yes || echo no')" \
        "$("$@" -c '{ flock 9 2>>messages && echo yes || echo no; } 9>lock')"
}
got=$({ try bash bash; try dash deb/bin/dash; try busybox deb/bin/busybox sh; try yash deb/usr/bin/yash
    try mksh deb/bin/mksh; try ksh93 deb/bin/ksh93; } | paste -sd, | sed 's/,/, /g')
want='bash yes yes, dash yes yes, busybox yes yes, yash yes yes, mksh no yes, ksh93 no yes'
echo "$got"; [ "$got" = "$want" ]
grep -q '9: Bad file descriptor' messages
