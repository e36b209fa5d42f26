#!/usr/bin/env bash
# Tool: ruptures 1.1.10 and ruptures-rs 0.1.1 (PyPI, the second one from 2026 and
#   described as a drop-in replacement), with numpy 2.4.6 and scipy 1.17.1.
# Expected: a missing value is an error or is skipped, and the two libraries agree.
# Seen: NaN makes each cost NaN, and comparisons decide by chance of their order.
#   The signal is ten builds of 1 s, one without a time, ten builds of 5 s. Output
#   (the last number is the end of the signal):
#     ruptures Pelt l2: [11, 13, 15, 17, 19, 21]
#     ruptures-rs Pelt l2: [21]
#     ruptures BottomUp l2: [12, 21]
#     ruptures-rs BottomUp l2: [18, 21]
#     both without the missing value, Pelt l2: [10, 20] [10, 20]
# Matters: one failed build hides the real change in one library and makes five in
#   the other, without a message in either.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q --no-deps ruptures==1.1.10 ruptures-rs==0.1.1 numpy==2.4.6 scipy==1.17.1
cat >a.py <<'PY'
import warnings

import numpy as np
import ruptures
import ruptures_rs

warnings.simplefilter("ignore")
signal = np.array([1.0] * 10 + [np.nan] + [5.0] * 10)
libraries = {"ruptures": ruptures, "ruptures-rs": ruptures_rs}


def pelt(library, values):
    return [int(x) for x in library.Pelt(model="l2", min_size=2, jump=1).fit(values).predict(pen=10)]


for name, library in libraries.items():
    print(name, "Pelt l2:", pelt(library, signal))
for name, library in libraries.items():
    found = library.BottomUp(model="l2", min_size=2, jump=1).fit(signal).predict(n_bkps=1)
    print(name, "BottomUp l2:", [int(x) for x in found])
kept = signal[~np.isnan(signal)]
print("both without the missing value, Pelt l2:", *(pelt(library, kept) for library in libraries.values()))
PY
got=$(v/bin/python a.py)
want='ruptures Pelt l2: [11, 13, 15, 17, 19, 21]
ruptures-rs Pelt l2: [21]
ruptures BottomUp l2: [12, 21]
ruptures-rs BottomUp l2: [18, 21]
both without the missing value, Pelt l2: [10, 20] [10, 20]'
echo "$got"; [ "$got" = "$want" ]
