#!/usr/bin/env bash
# Tool: yapflame 0.1.3 (PyPI, 2026) with yappi 1.7.6, the default wall clock.
# Expected: the graph is as wide as the run: 0.8 s that a program sleeps are a frame
#   of 0.8 s, and a function that two callers use is divided between them.
# Seen: built-in functions are not recorded, but their time is subtracted from their
#   callers, so what a program waits for (sleep, reads, child processes) is nowhere.
#   The tree has one node per function, with the time of all calls, and hangs it below
#   each caller. Output:
#     sleep 0.8 s: run at least 800 ms, graph below 1 ms
#     count 1 part in small(), 3 parts in large(): equal widths, sum 2 times the run
# Matters: a build script mostly waits for its compilers. It looks like a run of a
#   millisecond, and what is left is shown twice.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q --no-deps yapflame==0.1.3 yappi==1.7.6
cat >a.py <<'PY'
import time

import yapflame


def find(node, name):
    if node["name"] == name:
        return node
    return next((found for child in node["children"] if (found := find(child, name))), None)


def total(node):
    return node["value"] + sum(map(total, node["children"]))


def graph(function):
    start = time.perf_counter()
    with yapflame.profile() as result:
        function()
    run = (time.perf_counter() - start) * 1000
    trees = [thread["data"] for thread in result.data["threads"]]
    return run, next(found for tree in trees if (found := find(tree, function.__name__)))


def waiting():
    time.sleep(0.8)


def count(parts):
    for _ in range(parts * 2000000):
        pass


def small():
    count(1)


def large():
    count(3)


def counting():
    small()
    large()


run, tree = graph(waiting)
print("sleep 0.8 s: run at least 800 ms, graph below 1 ms" if run >= 800 and total(tree) < 1 else (run, total(tree)))
run, tree = graph(counting)
widths = [total(find(tree, name)) for name in ("small", "large")]
equal = abs(widths[0] - widths[1]) < 0.05 * widths[0]
print("count 1 part in small(), 3 parts in large():", "equal widths," if equal else widths, "sum", round(total(tree) / run), "times the run")
PY
got=$(v/bin/python a.py)
want='sleep 0.8 s: run at least 800 ms, graph below 1 ms
count 1 part in small(), 3 parts in large(): equal widths, sum 2 times the run'
echo "$got"; [ "$got" = "$want" ]
