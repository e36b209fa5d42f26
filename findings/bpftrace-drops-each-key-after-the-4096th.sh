#!/usr/bin/env bash
# Tool: bpftrace 0.17.0-1 (Debian 12, run as root) on Linux 6.18.
# Expected: a map with `@[key] = count()` has each key that came up, or bpftrace says that it
#   is full.
# Seen: a map holds 4096 keys. Each later one is dropped for good, without a message and with
#   exit status 0; keys that are in the map count on. A sum in a map without a key is right, so
#   the two do not add up. Only the variable BPFTRACE_MAP_KEYS_MAX, listed in the help, raises
#   the limit. Output, for a process that closes 10000 files once each:
#     by default: 10000 events, 4096 keys
#     BPFTRACE_MAP_KEYS_MAX=20000: 10000 events, 10000 keys
# Matters: a build starts more than 4096 processes and opens more files than that. A table by
#   process or path is the one of the build's beginning, and a map that pairs starts with ends
#   loses what runs later.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q bpftrace=0.17.0-1 libbpf1=1:1.1.2-0+deb12u1 libbpfcc=0.26.0+ds-1 libclang1-14=1:14.0.6-12 \
  libllvm14=1:14.0.6-12 libz3-4=4.8.12-3.1 libdw1=0.188-2.1 libelf1=0.188-2.1 \
  libxml2=2.9.14+dfsg-1.3~deb12u6 libedit2=3.1-20221030-2 libbsd0=0.11.7-2 libmd0=1.0.4-2 libicu72=72.1-3+deb12u1 >apt.log 2>&1
for package in *.deb; do dpkg-deb -x "$package" deb; done
lib=$PWD/deb/usr/lib
export LD_LIBRARY_PATH=$lib/x86_64-linux-gnu:$PWD/deb/lib/x86_64-linux-gnu:$lib/llvm-14/lib
cat >close.py <<'PY'
import os
for number in range(1000, 11000):
    try:
        os.close(number)
    except OSError:
        pass
PY
program='tracepoint:syscalls:sys_enter_close /pid == cpid && args->fd >= 1000/ { @events = count(); @file[args->fd] = count(); }'
trace() { # NAME
  deb/usr/bin/bpftrace -e "$program" -c "/usr/bin/python3 close.py" >out 2>messages
  ! grep -qiE 'full|lost|drop|map' messages
  echo "$1: $(sed -n 's/^@events: //p' out) events, $(grep -c '^@file' out) keys"
}
{ trace "by default"; BPFTRACE_MAP_KEYS_MAX=20000 trace BPFTRACE_MAP_KEYS_MAX=20000; } >got
want='by default: 10000 events, 4096 keys
BPFTRACE_MAP_KEYS_MAX=20000: 10000 events, 10000 keys'
cat got; [ "$(cat got)" = "$want" ]
