#!/usr/bin/env bash
# Tool: flamegraph-textual 0.1.2 (PyPI, 2026; flameshow 1.1.5 is built on it) with
#   its oldest allowed dependencies, reading a Chrome trace.
# Expected: three steps that follow one another are three frames of 1, 3 and 5 s.
#   ts and dur are microseconds; displayTimeUnit is a wish for the display.
# Seen: events are sorted with "begin before end", so a step that starts in the
#   microsecond in which the last one ends becomes its child, and its time goes to
#   the first. With displayTimeUnit "ms", which most writers set, the numbers are
#   called milliseconds. Output:
#     without a gap: fetch 9000000 time milliseconds
#     1 us between them: fetch 1000000, make 3000000, test 5000000 time milliseconds
# Matters: a trace with rounded times shows the first step as the slowest, with
#   the time of the whole build, and 9 seconds as two and a half hours.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q flamegraph-textual==0.1.2 protobuf==4.25.9 rich==13.9.4 textual==0.37.1 typing-extensions==4.16.0 iteround==1.0.4
cat >a.py <<'PY'
import json

from flamegraph_textual.parsers import parse


def show(name, gap):
    events, start = [], 0
    for step, seconds in (("fetch", 1), ("make", 3), ("test", 5)):
        events.append(dict(ph="X", name=step, pid=1, tid=1, ts=start, dur=seconds * 1000000))
        start += seconds * 1000000 + gap
    profile = parse(json.dumps({"displayTimeUnit": "ms", "traceEvents": events}).encode(), "trace.json")
    steps = profile.root_stack.children[0].children
    kind = profile.sample_types[0]
    print(f"{name}:", ", ".join(f"{step.name} {step.values[0]}" for step in steps), kind.sample_type, kind.sample_unit)


show("without a gap", 0)
show("1 us between them", 1)
PY
got=$(v/bin/python a.py)
want='without a gap: fetch 9000000 time milliseconds
1 us between them: fetch 1000000, make 3000000, test 5000000 time milliseconds'
echo "$got"; [ "$got" = "$want" ]
