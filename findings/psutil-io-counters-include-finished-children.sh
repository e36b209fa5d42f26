#!/usr/bin/env bash
# Tool: psutil 7.2.2 (PyPI), io_counters(), on Linux 6.18 (/proc/PID/io).
# Expected: io_counters() is about the process alone, as its documentation and the
#   kernel's own text on the file say. In cpu_times() the time of children has separate
#   fields. (Manual pages since 6.7 mention "its waited-for children".)
# Seen: when a process waits for a child, all that the child and its own waited-for
#   children read and wrote is added to the counters of the parent. With SIGCHLD
#   ignored, the same child counts nowhere. Output, in MiB, of a program that starts
#   one process or a chain of three, of which the last writes 8 MiB:
#     waited for: parent 8
#     three processes: parent 8, sum of all processes 32
#     SIGCHLD ignored: parent 0
# Matters: the sum over a process tree counts a compiler once for itself and once for
#   each make and shell above it, and the top of the tree seems to write the most.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q psutil==7.2.2
cat >a.py <<'PY'
import os, signal
import psutil

SIZE = 8 << 20

def written():
    return psutil.Process().io_counters().write_chars

def tree(depth, total):
    """Start a chain of `depth` processes; the last writes. Each reports its count."""
    pid = os.fork()
    if pid == 0:
        before = written()
        if depth > 1:
            tree(depth - 1, total)
        else:
            with open("/dev/null", "wb", buffering=0) as out:
                out.write(bytes(SIZE))
        os.write(total, b"%d\n" % (written() - before))
        os._exit(0)
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass  # with SIGCHLD ignored, the call waits and then reports this

def run(depth):
    read_end, write_end = os.pipe()
    before = written()
    tree(depth, write_end)
    own = written() - before
    os.close(write_end)
    with os.fdopen(read_end) as reports:
        return own, own + sum(int(line) for line in reports)

mib = lambda value: round(value / 2**20)
own, total = run(1)
print(f"waited for: parent {mib(own)}")
own, total = run(3)
print(f"three processes: parent {mib(own)}, sum of all processes {mib(total)}")
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
own, total = run(1)
print(f"SIGCHLD ignored: parent {mib(own)}")
PY
got=$(v/bin/python a.py)
want='waited for: parent 8
three processes: parent 8, sum of all processes 32
SIGCHLD ignored: parent 0'
echo "$got"; [ "$got" = "$want" ]
