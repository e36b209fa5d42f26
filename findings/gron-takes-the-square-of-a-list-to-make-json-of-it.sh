#!/usr/bin/env bash
# Tool: gron 0.7.1 (gron 0.7.1-1+b6, Debian 12), which prints JSON as lines that grep can search, and `gron --ungron`, which makes
#   JSON of such lines.
# Expected: both directions take a time that grows with the number of lines.
# Seen: so does the first. The way back joins each line with all that came before, and goes through the whole list for it: four times
#   the elements take ten times the time, and more for larger lists. Output, as the processor time for 10,000 elements
#   per that for 2500; four is linear:
#     gron: less than seven times
#     gron --ungron: more than seven times
#   In processor time when this was written: 0.04 and 0.09 s for 2000 and 8000 elements with gron, 0.32 and 3.2 s with
#   gron --ungron.
# Matters: `gron trace.json | grep -v args | gron --ungron`, the documented use, is quick for the trace of a small build, and not for
#   one with many events.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
apt-get download -q gron=0.7.1-1+b6 >apt.log 2>&1
dpkg-deb -x gron_*.deb deb
got=$(python3 - <<'PY'
import json
import os
import subprocess


def seconds(source, *options):
    """The least processor time of two runs: other processes make it longer, not shorter."""
    times = []
    for _ in range(2):
        with open("output", "wb") as output:
            child = subprocess.Popen(["deb/usr/bin/gron", *options, source], stdout=output)
            _, status, usage = os.wait4(child.pid, 0)
        assert status == 0
        times.append(usage.ru_utime + usage.ru_stime)
    return min(times)


there, back = {}, {}
for count in (2500, 10000):
    steps = [{"name": f"step {number}", "ts": number} for number in range(count)]
    with open("steps.json", "w") as file:
        json.dump(steps, file)
    there[count] = seconds("steps.json")
    os.rename("output", "steps.gron")
    back[count] = seconds("steps.gron", "--ungron")
    assert json.load(open("output")) == steps
for name, times in (("gron", there), ("gron --ungron", back)):
    print(f"{name}: {'more' if times[10000] > 7 * times[2500] else 'less'} than seven times")
PY
)
want='gron: less than seven times
gron --ungron: more than seven times'
echo "$got"; [ "$got" = "$want" ]
