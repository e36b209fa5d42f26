#!/usr/bin/env bash
# Tool: perf 6.1.192 (linux-perf 6.1.192-3, Debian 12), Linux 6.18. Runs as root, or with a perf_event_paranoid that
#   permits to count and to trace.
# Expected: `perf stat COMMAND` ends with the exit status of the command, as it does for a command that exits with 3. For a
#   command that a signal ends, it is 128 and the number of the signal, as from a shell, time or strace.
# Seen: perf stat prints "Killed" and its table, and exits with 0. `perf trace` exits with 0 whatever the command did.
#   `perf record` ends itself by the same signal. Output:
#     perf stat: exit 3 gives 3, signal 9 gives 0, signal 11 gives 0
#     perf record: exit 3 gives 3, signal 9 gives 137, signal 11 gives 139
#     perf trace: exit 3 gives 0, signal 9 gives 0, signal 11 gives 0
# Matters: a build step or a benchmark that is run under perf stat and that the kernel ends for lack of memory counts as passed,
#   and the numbers of its broken run go into the statistics.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q linux-perf=6.1.192-3 libbabeltrace1 libdw1 libelf1 libglib2.0-0 libnuma1 libopencsd1 \
  libperl5.36 libpython3.11 libslang2 libunwind8 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
libraries=$PWD/deb/usr/lib/x86_64-linux-gnu:$PWD/deb/lib/x86_64-linux-gnu
status() {
    code=0
    # In a subshell, so that perf may end itself by a signal.
    (LD_LIBRARY_PATH=$libraries deb/usr/bin/perf "$1" -o output.data env -u LD_LIBRARY_PATH sh -c "$2") >>log 2>&1 || code=$?
    echo $code
}
for command in stat record trace; do
    # The dollars are for the shell under perf.
    # shellcheck disable=SC2016
    echo "perf $command: exit 3 gives $(status $command 'exit 3'), signal 9 gives $(status $command 'kill -9 $$'),\
 signal 11 gives $(status $command 'kill -11 $$')"
done >got
want='perf stat: exit 3 gives 3, signal 9 gives 0, signal 11 gives 0
perf record: exit 3 gives 3, signal 9 gives 137, signal 11 gives 139
perf trace: exit 3 gives 0, signal 9 gives 0, signal 11 gives 0'
cat got; [ "$(cat got)" = "$want" ]
