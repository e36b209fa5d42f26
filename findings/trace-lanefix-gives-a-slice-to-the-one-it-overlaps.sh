#!/usr/bin/env bash
# Tool: trace-lanefix 0.1.1 (PyPI, 2026), which prepares Chrome traces for Perfetto.
# Expected: when an overlapping slice moves to a lane of its own, what lies inside it
#   moves with it, and slices of the B and E kind count as well.
# Seen: only the overlapping slice moves. Its inner slice stays and is now inside the
#   other one. B and E events are not looked at, so an overlap with one stays. Output,
#   the lane of each slice (ld is a part of link; in the second case it is also within the
#   time of test):
#     before: test 0-100 lane 1, link 60-160 lane 1, ld 110-120 lane 1
#     after: test 0-100 lane 1, link 60-160 lane 1001, ld 110-120 lane 1
#     before: test 0-100 lane 1, link 60-160 lane 1, ld 70-90 lane 1
#     after: test 0-100 lane 1, link 60-160 lane 1001, ld 70-90 lane 1
#     B and E: copy 0-100 lane 2, hash 60-160 lane 2
# Matters: in a trace of a build, the time of a linker's child is shown as time of the
#   test that ran at the same moment.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q trace-lanefix==0.1.1
cat >a.py <<'PY'
import json, subprocess

def slice_(name, start, end):
    return {"ph": "X", "pid": 1, "tid": 1, "name": name, "ts": start, "dur": end - start}

def lanes(events):
    rows = sorted((e for e in events if e["ph"] == "X"), key=lambda e: e["ts"])
    return ", ".join(f"{e['name']} {e['ts']}-{e['ts'] + e['dur']} lane {e['tid']}" for e in rows)

def fix(events):
    json.dump({"traceEvents": events}, open("in.json", "w"))
    subprocess.run(["v/bin/trace-lanefix", "in.json", "out.json"], check=True, stdout=subprocess.DEVNULL)
    return json.load(open("out.json"))["traceEvents"]

for inner in (110, 120), (70, 90):
    events = [slice_("test", 0, 100), slice_("link", 60, 160), slice_("ld", *inner)]
    print("before:", lanes(events))
    print("after:", lanes(fix(events)))
pair = [{"ph": kind, "pid": 1, "tid": 2, "name": "copy", "ts": time} for kind, time in (("B", 0), ("E", 100))]
after = fix([*pair, {**slice_("hash", 60, 160), "tid": 2}])
(begin,) = (e for e in after if e["ph"] == "B")
print(f"B and E: copy 0-100 lane {begin['tid']},", lanes(after))
PY
got=$(v/bin/python a.py)
want='before: test 0-100 lane 1, link 60-160 lane 1, ld 110-120 lane 1
after: test 0-100 lane 1, link 60-160 lane 1001, ld 110-120 lane 1
before: test 0-100 lane 1, link 60-160 lane 1, ld 70-90 lane 1
after: test 0-100 lane 1, link 60-160 lane 1001, ld 70-90 lane 1
B and E: copy 0-100 lane 2, hash 60-160 lane 2'
echo "$got"; [ "$got" = "$want" ]
