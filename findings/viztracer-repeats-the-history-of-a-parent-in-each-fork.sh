#!/usr/bin/env bash
# Tool: viztracer 1.1.1 (PyPI, 2026), whose README says that os.fork() works out of the box.
# Expected: in the trace, which has all processes, each call is in the process that made it, once.
# Seen: a forked child inherits the events that its parent has recorded so far and saves them as its own,
#   with its own process number, the parent's thread number and the same times. Output, calls in the trace
#   of a program that calls before() 100 times, forks three times, and calls in_child() in each child:
#     before: 100 in the parent, 300 in the children
#     in_child: 3 in the children
#     in_parent: 1 in the parent
#   All events of the children have the number of the parent's main thread: True
# Matters: in Perfetto, each worker of a pre-forking server or build seems to do the start of the program
#   again, at the same time, and sums over the trace count it once per process. A trace grows with the
#   number of forks times what ran before them.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check viztracer==1.1.1
cat >forks.py <<'EOF'
import os
import sys


def before():
    return len("before")


def in_child():
    return len("child")


def in_parent():
    return len("parent")


for _ in range(100):
    before()
for _ in range(3):
    child = os.fork()
    if not child:
        in_child()
        sys.exit(0)
    os.waitpid(child, 0)
in_parent()
EOF
venv/bin/viztracer -o trace.json forks.py >viztracer.log 2>&1
got=$(python3 - <<'EOF'
import json

calls = [event for event in json.load(open("trace.json"))["traceEvents"] if event["ph"] == "X"]
parent = next(call["pid"] for call in calls if call["name"].startswith("in_parent "))
for name in "before", "in_child", "in_parent":
    pids = [call["pid"] for call in calls if call["name"].startswith(name + " ")]
    counts = (pids.count(parent), "parent"), (len(pids) - pids.count(parent), "children")
    print(f"{name}: " + ", ".join(f"{count} in the {where}" for count, where in counts if count))
same = all(call["tid"] == parent for call in calls if call["pid"] != parent)
print(f"All events of the children have the number of the parent's main thread: {same}")
EOF
)
want="before: 100 in the parent, 300 in the children
in_child: 3 in the children
in_parent: 1 in the parent
All events of the children have the number of the parent's main thread: True"
echo "$got"; [ "$got" = "$want" ]
