#!/usr/bin/env bash
# Tool: cpulimit 2.8 (2.8-1), ltrace 0.7.3 (0.7.3-6.4); nice, timelimit 1.9.2 (1.9.2-1) and strace 6.1 (6.1-0.1) for
#   comparison (all Debian 12). ltrace needs the right to trace.
# Expected: a program that runs a command with less of the processor, or that records it, ends with the exit status of
#   the command, as nice, timelimit and strace do.
# Seen: `cpulimit --limit=90 -- COMMAND` and `ltrace COMMAND` exit with 0, whatever the command did, and without a message.
#   The manual pages do not speak of the status. Output:
#     nice: exit 3 gives 3, signal 9 gives 137
#     timelimit: exit 3 gives 3, signal 9 gives 137
#     strace: exit 3 gives 3, signal 9 gives 137
#     cpulimit: exit 3 gives 0, signal 9 gives 0
#     ltrace: exit 3 gives 0, signal 9 gives 0
# Matters: `RUN cpulimit -l 50 -- make` in a Dockerfile, meant to leave a core to others, is a step that cannot fail: the
#   image is built without the program, and the layer is kept for later builds.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q cpulimit=2.8-1 ltrace=0.7.3-6.4 timelimit=1.9.2-1 strace=6.1-0.1 libelf1 libunwind8 >apt.log 2>&1
for deb in *.deb; do dpkg-deb -x "$deb" deb; done
export PATH=$PWD/deb/usr/bin:$PATH
status() {
    script=$1; shift
    code=0
    ("$@" sh -c "$script") >>log 2>&1 || code=$?
    echo $code
}
try() {
    name=$1; shift
    # The command lives for a second, so that each program has seen it. The dollars are for its shell.
    # shellcheck disable=SC2016
    echo "$name: exit 3 gives $(status 'sleep 1; exit 3' "$@"), signal 9 gives $(status 'sleep 1; kill -9 $$' "$@")"
}
got="$(try nice nice -n 1)
$(try timelimit timelimit -t 60)
$(try strace strace -o strace.log)
$(try cpulimit cpulimit --limit=90 --)
$(try ltrace ltrace -o ltrace.log)"
want='nice: exit 3 gives 3, signal 9 gives 137
timelimit: exit 3 gives 3, signal 9 gives 137
strace: exit 3 gives 3, signal 9 gives 137
cpulimit: exit 3 gives 0, signal 9 gives 0
ltrace: exit 3 gives 0, signal 9 gives 0'
echo "$got"; [ "$got" = "$want" ]
