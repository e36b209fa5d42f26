#!/usr/bin/env bash
# Tool: pelt 0.3.4 (PyPI, 2026) with numpy 2.4.6.
# Expected: jump=1 is the exact search, as the documentation of predict() says, and
#   a missing value, which it says it does not accept, is an error.
# Seen: a jump smaller than the minimum segment length always fails, so jump=1 does
#   with the default minimum of 2, and also with a minimum of 1. The default jump
#   of 10 gives only multiples of ten, and each of them after a NaN is a change.
#   Output, for a step after sample 13 of 40 (the last number is the end):
#     jump 1 minimum 2: calculated segment of loss function is too short
#     jump 1 minimum 1: calculated segment of loss function is too short
#     jump 2 minimum 2: [12, 14, 40]
#     jump 10 minimum 2: [10, 20, 40]
#     one NaN in 40 equal values: [20, 30, 40]
# Matters: the build after which the time rose is named exactly in one case in
#   ten, and one failed build without a time makes two changes.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q --no-deps pelt==0.3.4 numpy==2.4.6
cat >a.py <<'PY'
import numpy as np
import pelt

step = np.array([1.0] * 13 + [10.0] * 27)
for jump, minimum in ((1, 2), (1, 1), (2, 2), (10, 2)):
    try:
        got = pelt.predict(step, 5.0, segment_cost_function="l2", jump=jump, minimum_segment_length=minimum).tolist()
    except RuntimeError as error:
        got = error
    print(f"jump {jump} minimum {minimum}: {got}")
gap = np.ones(40)
gap[15] = np.nan
print("one NaN in 40 equal values:", pelt.predict(gap, 5.0).tolist())
PY
got=$(v/bin/python a.py)
want='jump 1 minimum 2: calculated segment of loss function is too short
jump 1 minimum 1: calculated segment of loss function is too short
jump 2 minimum 2: [12, 14, 40]
jump 10 minimum 2: [10, 20, 40]
one NaN in 40 equal values: [20, 30, 40]'
echo "$got"; [ "$got" = "$want" ]
