#!/usr/bin/env bash
# Tool: tai64n, tai64nlocal and multilog of daemontools 0.76 (1:0.76-8.1), svlogd of runit 2.1.2 (2.1.2-54), s6-log and
#   s6-tai64nlocal of s6 2.11.3 (s6 and libs6-2.11 2.11.3.2-1, libskarnet2.13 2.13.1.1-1, libexecline2.9 2.9.3.0-1), Debian 12.
# Expected: they write TAI64N, a format for the time of a log line, so lines of the same moment have the same label, and
#   each of the two programs that print labels as local time reads both.
# Seen: daemontools and runit add 10 s to the Unix time, s6 adds 37, the leap seconds to now. What one of them wrote is
#   27 s off when the other prints it. There is nothing in a line that tells which it is. Output:
#     tai64n +10 s, multilog +10 s, svlogd +10 s, s6-log +37 s
#     s6-log, printed by s6-tai64nlocal +0 s, by tai64nlocal +27 s
#     tai64n, printed by tai64nlocal +0 s, by s6-tai64nlocal -27 s
# Matters: images with a supervisor have one of these logs per service. Put in one order, or next to the times of a build or a
#   trace, the lines of one program are almost half a minute away from their causes.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q daemontools=1:0.76-8.1 runit=2.1.2-54 s6=2.11.3.2-1 libs6-2.11=2.11.3.2-1 libskarnet2.13=2.13.1.1-1 \
    libexecline2.9=2.9.3.0-1 >apt.log 2>&1
for deb in *.deb; do dpkg-deb -x "$deb" deb; done
export PATH=$PWD/deb/usr/bin:$PATH LD_LIBRARY_PATH=$PWD/deb/usr/lib/x86_64-linux-gnu:$PWD/deb/lib/x86_64-linux-gnu TZ=UTC
mkdir multilog svlogd
# Writes a line with each program and prints by how many seconds the label is ahead. Tries again when the second changes.
labels() {
    while :; do
        rm -rf s6 multilog/* svlogd/*
        before=$(date +%s)
        echo line | tai64n >tai64n.log
        echo line | multilog t ./multilog
        echo line | svlogd -t svlogd 2>svlogd.log
        echo line | s6-log t ./s6
        if [ "$(date +%s)" = "$before" ]; then break; fi
    done
    for file in tai64n.log multilog/current svlogd/current s6/current; do
        label=$(cut -c2-17 "$file")
        name=${file%%[./]*}
        echo "${name/s6/s6-log} +$((16#$label - 16#4000000000000000 - before)) s"
    done | paste -s -d, | sed 's/,/, /g'
    echo "$before" >before
}
shown() { printf '%+d s' $(($(date -d "$("$1" <"$2" | cut -d' ' -f1,2 | cut -d. -f1)" +%s) - $(cat before))); }
got="$(labels)
s6-log, printed by s6-tai64nlocal $(shown s6-tai64nlocal s6/current), by tai64nlocal $(shown tai64nlocal s6/current)
tai64n, printed by tai64nlocal $(shown tai64nlocal tai64n.log), by s6-tai64nlocal $(shown s6-tai64nlocal tai64n.log)"
want='tai64n +10 s, multilog +10 s, svlogd +10 s, s6-log +37 s
s6-log, printed by s6-tai64nlocal +0 s, by tai64nlocal +27 s
tai64n, printed by tai64nlocal +0 s, by s6-tai64nlocal -27 s'
echo "$got"; [ "$got" = "$want" ]
