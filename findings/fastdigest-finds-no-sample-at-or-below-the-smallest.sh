#!/usr/bin/env bash
# Tool: fastdigest 0.12.0 (PyPI, 2026), t-digests in Rust.
# Expected: cdf(x), "cumulative probability", is the share of the samples that are at most x, or counts half of those
#   at x, as TDIGEST.CDF of Redis is documented to do.
# Seen: at the smallest sample cdf is 0, however many samples are equal to it, and at a value that comes often it has
#   the share below it. probability() of an interval around the value is right. Output (share of the samples, cdf):
#     10 times 7: at 7 1.000, cdf 0.000, probability(6, 8) 1.000
#     1000 times 5, once 9: at 5 0.999, cdf 0.000, probability(4, 6) 0.999
#     500 times 10, 500 times 20: at 10 0.500, cdf 0.000, probability(9, 11) 0.500
# Matters: times in whole seconds or exit values are equal often. A check that 99 % of the steps took at most 5 s reads
#   0 % when 1000 of 1001 did.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check fastdigest==0.12.0
cat >show.txt <<'PY'
from fastdigest import TDigest

for name, samples in (
    ("10 times 7", [7.0] * 10),
    ("1000 times 5, once 9", [5.0] * 1000 + [9.0]),
    ("500 times 10, 500 times 20", [10.0] * 500 + [20.0] * 500),
):
    digest = TDigest.from_values(samples)
    low = min(samples)
    share = sum(sample <= low for sample in samples) / len(samples)
    around = digest.probability(low - 1, low + 1)
    interval = f"probability({low - 1:.0f}, {low + 1:.0f}) {around:.3f}"
    print(f"{name}: at {low:.0f} {share:.3f}, cdf {digest.cdf(low):.3f}, {interval}")
PY
got=$(venv/bin/python show.txt)
want='10 times 7: at 7 1.000, cdf 0.000, probability(6, 8) 1.000
1000 times 5, once 9: at 5 0.999, cdf 0.000, probability(4, 6) 0.999
500 times 10, 500 times 20: at 10 0.500, cdf 0.000, probability(9, 11) 0.500'
echo "$got"; [ "$got" = "$want" ]
