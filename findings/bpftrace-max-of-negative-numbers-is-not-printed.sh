#!/usr/bin/env bash
# Tool: bpftrace 0.17.0-1 (Debian 12, run as root) on Linux 6.18.
# Expected: max() keeps the largest of the values, also if all of them are negative, as min() keeps the smallest of such values and
#   sum() and avg() are right for them.
# Seen: a negative value never enters the map. A key that only saw negative values is not printed at all, without a message, and a
#   key that saw one 0 has 0. Output, for the values -5 and -7:
#     max: nothing
#     min: -7
#     sum: -12
#     avg: -6
#     stats: count 2, average -6, total -12
#   and for a program whose calls of open all fail with -2, the largest result by file name:
#     /etc/hostname: 3 or more
#     /missing: nothing
# Matters: system calls return errors as negative numbers. A table of the best result of each file or process leaves out just those
#   for which each call failed. It is the same with differences of times and of memory that went down.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q bpftrace=0.17.0-1 libbpf1=1:1.1.2-0+deb12u1 libbpfcc=0.26.0+ds-1 libclang1-14=1:14.0.6-12 \
  libllvm14=1:14.0.6-12 libz3-4=4.8.12-3.1 libdw1=0.188-2.1 libelf1=0.188-2.1 \
  libxml2=2.9.14+dfsg-1.3~deb12u6 libedit2=3.1-20221030-2 libbsd0=0.11.7-2 libmd0=1.0.4-2 libicu72=72.1-3+deb12u1 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
lib=$PWD/deb/usr/lib
export LD_LIBRARY_PATH=$lib/x86_64-linux-gnu:$PWD/deb/lib/x86_64-linux-gnu:$lib/llvm-14/lib
trace() { deb/usr/bin/bpftrace "$@" 2>>messages; }
trace -e 'BEGIN { $a = -5; $b = -7; @max = max($a); @max = max($b); @min = min($a); @min = min($b); @sum = sum($a);
  @sum = sum($b); @avg = avg($a); @avg = avg($b); @stats = stats($a); @stats = stats($b); exit(); }' >values
value() { local found; found=$(sed -n "s/^@$1: //p" values); echo "$1: ${found:-nothing}"; }
cat >open.py <<'PY'
import os
for name in ["/etc/hostname", "/missing", "/missing"]:
    try:
        os.open(name, os.O_RDONLY)
    except FileNotFoundError:
        pass
PY
trace -e 'tracepoint:syscalls:sys_enter_openat /pid == cpid/ { @name[tid] = args->filename; }
  tracepoint:syscalls:sys_exit_openat /pid == cpid/ { @result[str(@name[tid])] = max(args->ret); @calls[str(@name[tid])] = count(); }' \
  -c '/usr/bin/python3 open.py' >results
# The calls are seen in both cases.
grep -qx '@calls\[/missing\]: 2' results
best() { sed -n "s|^@result\[$1\]: ||p" results; }
file=$(best /etc/hostname); missing=$(best /missing)
if [ "${file:-0}" -ge 3 ]; then file='3 or more'; fi
got="$(for name in max min sum avg stats; do value $name; done)
/etc/hostname: $file
/missing: ${missing:-nothing}"
want='max: nothing
min: -7
sum: -12
avg: -6
stats: count 2, average -6, total -12
/etc/hostname: 3 or more
/missing: nothing'
echo "$got"; [ "$got" = "$want" ]
if grep -qiE 'max|negative|signed' messages; then cat messages; exit 1; fi
