#!/usr/bin/env bash
# Tool: pyinstrument 5.1.3 (PyPI, 2026), the renderer pstats; cProfile and pstats of
#   Python 3.11 for comparison.
# Expected: the cumulative time of a recursive function is the time from its outermost
#   call to its return, as cProfile counts it; it is never more than the run.
# Seen: the time is added once per level of the recursion. Output, the cumulative time of
#   walk() in a run of 10 s in which walk() calls itself up to a depth, and calls read()
#   for the 10 s at the bottom:
#     depth 1: walk 10, read 10
#     depth 3: walk 30, read 10
#     depth 50: walk 500, read 10
#     cProfile, depth 50: walk below 2 times the run
# Matters: walks over folders and dependency graphs are recursive. Sorted by cumulative
#   time, as snakeviz and gprof2dot do, they are ahead of the program that contains them.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q pyinstrument==5.1.3
cat >a.py <<'PY'
import cProfile, pstats, time
from pyinstrument.renderers import PstatsRenderer
from pyinstrument.session import Session


def cumulative(file):
    return {name: entry[3] for (_, _, name), entry in pstats.Stats(file).stats.items()}


for depth in 1, 3, 50:
    stack = ["MainThread\0<thread>\x001", "main\0/a.py\x001"]
    stack += ["walk\0/a.py\x005"] * depth + ["read\0/a.py\x009"]
    session = Session.from_json({
        "start_time": 0, "duration": 10, "min_interval": 0.001, "max_interval": 0.001, "sample_count": 1,
        "start_call_stack": stack[:1], "target_description": "a", "cpu_time": 10, "sys_path": [],
        "sys_prefixes": [], "frame_records": [(stack, 10.0)],
    })
    text = PstatsRenderer().render(session)
    open("a.pstats", "wb").write(text.encode("utf-8", "surrogateescape"))
    times = cumulative("a.pstats")
    print(f"depth {depth}: walk {times['walk']:g}, read {times['read']:g}")


def read():
    time.sleep(0.3)


def walk(depth):
    walk(depth - 1) if depth > 1 else read()


start = time.perf_counter()
profile = cProfile.Profile()
profile.runcall(walk, 50)
run = time.perf_counter() - start
profile.dump_stats("b.pstats")
relation = "below" if cumulative("b.pstats")["walk"] < 2 * run else "at least"
print(f"cProfile, depth 50: walk {relation} 2 times the run")
PY
got=$(v/bin/python a.py)
want='depth 1: walk 10, read 10
depth 3: walk 30, read 10
depth 50: walk 500, read 10
cProfile, depth 50: walk below 2 times the run'
echo "$got"; [ "$got" = "$want" ]
