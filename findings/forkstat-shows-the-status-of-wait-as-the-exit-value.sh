#!/usr/bin/env bash
# Tool: forkstat 0.03.01 (0.03.01-1, Debian 12), which prints each process of the machine as it starts and ends. Runs as root of
#   the initial namespaces.
# Expected: the column "Info" of an exit is the "process exit(2) value", as its manual page says, so `exit 3` is 3, and a
#   process that a signal ended is marked.
# Seen: the column is the status that wait() gives to the parent: the exit value times 256, or the number of the
#   signal. Output:
#     exit 3 is 768, exit 9 is 2304, signal 9 is 9
# Matters: forkstat is one of the few tools that see each short process of a build. Who looks for the compiler that failed with 1
#   does not find it, and one that the kernel ended for lack of memory looks like an exit with 9.
set -euo pipefail
dir=$(mktemp -d); trap 'if [ -s monitor ]; then kill "$(cat monitor)" 2>/dev/null || true; fi; rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q forkstat=0.03.01-1 >apt.log 2>&1
dpkg-deb -x forkstat_*.deb deb
# A name that no other process on the machine has.
ln -s /bin/dash "$dir/shell"
stdbuf --output=L deb/usr/bin/forkstat -e exec,exit >log 2>&1 & echo $! >monitor
# Runs a command until forkstat has seen it, and prints what it says.
info() {
    for _ in $(seq 100); do
        "$dir/shell" -c "$1" 2>>shell.log & number=$!
        wait $number 2>>shell.log || true
        sleep 0.1
        found=$(awk -v number=$number '$2 == "exit" && $3 == number { print $4 }' log)
        if [ "$found" ]; then echo "$found"; return; fi
    done
}
# The dollars are for the shell that is watched.
# shellcheck disable=SC2016
got="exit 3 is $(info 'sleep 0.1; exit 3'), exit 9 is $(info 'sleep 0.1; exit 9'), signal 9 is $(info 'sleep 0.1; kill -9 $$')"
want='exit 3 is 768, exit 9 is 2304, signal 9 is 9'
echo "$got"; [ "$got" = "$want" ]
