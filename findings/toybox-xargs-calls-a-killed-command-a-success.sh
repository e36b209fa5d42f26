#!/usr/bin/env bash
# Tool: xargs of toybox 0.8.9 (0.8.9+dfsg-1); findutils 4.9.0 (installed) and busybox 1.35.0 (busybox-static
#   1:1.35.0-4+deb12u1+b1) for comparison, all Debian 12.
# Expected: xargs ends with 123 if a command ended with 1 to 125, with 125 if a signal ended it, and stops at once with 124 if it
#   ended with 255. POSIX asks for a status other than 0 in each of these cases, and to stop at 255 and at a signal.
# Seen: xargs of toybox counts a command that a signal ended as a success. It has the status for 255, but goes on as after any
#   other value. Output, for four commands of which the second one fails:
#     exit 1: findutils 123 after 4, busybox 123 after 4, toybox 123 after 4
#     exit 255: findutils 124 after 2, busybox 124 after 2, toybox 124 after 4
#     signal 9: findutils 125 after 2, busybox 125 after 2, toybox 0 after 4
# Matters: `find ... | xargs -n 1 -P 4 compile` is a small parallel build. The compiler that the kernel ends for lack of memory
#   is the failure that comes with -P, and the step is green without that object.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q toybox=0.8.9+dfsg-1 busybox-static=1:1.35.0-4+deb12u1+b1 >apt.log 2>&1
for deb in *.deb; do dpkg-deb -x "$deb" deb; done
cat >command <<'SH'
echo >>runs
[ "$1" != bad ] || eval "$FAILURE"
SH
# Prints the status of xargs and after how many commands it ended.
run() {
    local status=0
    rm -f runs
    printf '%s\n' good bad good good | "$@" -n 1 sh command 2>>messages || status=$?
    echo "$status after $(wc -l <runs)"
}
failure() {
    export FAILURE=$2
    echo "$1: findutils $(run xargs), busybox $(run deb/bin/busybox xargs), toybox $(run deb/bin/toybox xargs)"
}
# The dollars are for the command that xargs runs.
# shellcheck disable=SC2016
got=$(failure 'exit 1' 'exit 1'; failure 'exit 255' 'exit 255'; failure 'signal 9' 'kill -9 $$')
want='exit 1: findutils 123 after 4, busybox 123 after 4, toybox 123 after 4
exit 255: findutils 124 after 2, busybox 124 after 2, toybox 124 after 4
signal 9: findutils 125 after 2, busybox 125 after 2, toybox 0 after 4'
echo "$got"; [ "$got" = "$want" ]
