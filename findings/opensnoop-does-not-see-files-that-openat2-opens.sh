#!/usr/bin/env bash
# Tool: opensnoop of libbpf-tools 0.26.0 (0.26.0+ds-1, Debian 12), which prints the files that are opened; strace (installed) for
#   comparison. Runs as root, needs a kernel with BTF (Linux 6.18) and python3.
# Expected: a file is printed whichever system call opened it. openat2() exists since Linux 5.6 of 2020.
# Seen: the tool knows open() and openat(). What openat2() opened is left out without a message. Output:
#     opensnoop: before after
#     strace: before openat2 after
# Matters: openat2() opens files that must not lie outside of a folder, which is what programs do that unpack or mount for others.
#   A list of the files that a step read lacks those, and a key made of such a list does not change with them.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q libbpf-tools=0.26.0+ds-1 >apt.log 2>&1
dpkg-deb -x libbpf-tools_*.deb deb
touch "$dir/before" "$dir/by_openat2" "$dir/after"
cat >opens.py <<'PY'
import ctypes
import os
import sys
import time


def until_seen(path):
    """Opens a file until the tool has printed it, so that it is known to listen."""
    for _ in range(600):
        os.close(os.open(path, os.O_RDONLY))
        if path in open("seen").read():
            return
        time.sleep(0.1)
    sys.exit(f"{path} was not printed")


folder = sys.argv[1]
until_seen(folder + "/before")
path = (folder + "/by_openat2").encode()
how = (ctypes.c_uint64 * 3)(os.O_RDONLY, 0, 0)
assert ctypes.CDLL(None).syscall(437, -100, path, ctypes.byref(how), ctypes.sizeof(how)) >= 0
until_seen(folder + "/after")
PY
opened() { # the names of the test's files, in order, each once
  grep -Eo "$dir/(before|by_openat2|after)" seen | sed 's,.*/,,; s/by_//' | uniq | xargs
}
watch() { # COMMAND with PID at its end: runs the program under it
  python3 opens.py "$dir" & local program=$!
  "$@" "$program" & local tool=$!
  wait "$program"; kill "$tool" 2>/dev/null || true; wait "$tool" 2>/dev/null || true
}
watch stdbuf -oL deb/usr/sbin/opensnoop -p >seen 2>messages
got="opensnoop: $(opened)"
rm seen; touch seen
watch strace -f -o seen -e trace=open,openat,openat2 -p 2>messages
got+=$'\n'"strace: $(opened)"
want='opensnoop: before after
strace: before openat2 after'
echo "$got"; [ "$got" = "$want" ]
