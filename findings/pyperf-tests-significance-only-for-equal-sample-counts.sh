#!/usr/bin/env bash
# Tool: pyperf 2.10.0 (PyPI), `pyperf compare_to`.
# Expected: Student's t-test works for samples of different sizes, so 20 values
#   can be compared with 21.
# Seen: the test needs the same number of values on both sides. A change of 0.4 %
#   in noise of 10 % is hidden as "not significant" for 20 and 20 values. With 20
#   and 21 values it is reported as a change, with "ERROR when testing if values
#   are significant" after it, and the command exits 0.
# Matters: one run more or less, for example after an interrupted run, turns the
#   significance filter off.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q --no-deps pyperf==2.10.0 psutil==7.2.2
v/bin/python - <<'PY'
import pyperf
def dump(path, values):
    run = pyperf.Run(values, metadata={"name": "step"}, collect_metadata=False)
    pyperf.Benchmark([run]).dump(path)
noise = [1.0, 1.1, 0.9, 1.05] * 5
dump("base.json", noise)
dump("same20.json", [v + 0.004 for v in noise])
dump("same21.json", [v + 0.004 for v in noise] + [1.0])
dump("slow20.json", [v * 2 for v in noise])
dump("slow21.json", [v * 2 for v in noise] + [2.0])
PY
got=$(for other in same20 same21 slow20 slow21; do
  echo "$other:" "$(v/bin/pyperf compare_to base.json $other.json 2>&1 | tr '\n' ' ')"
done)
echo "$got"
expect() { grep -q "^$1" <<<"$got" || { echo "changed: $1"; exit 1; }; }
expect 'same20: Benchmark hidden because not significant'
expect 'same21: Mean.*slower ERROR when testing if values are significant'
expect 'slow20: Mean.*2.00x slower $'
expect 'slow21: Mean.*2.00x slower ERROR when testing if values are significant'
