#!/usr/bin/env bash
# Tool: chunk-memo 0.1.5 (PyPI, 2026); joblib 1.5.3 (PyPI) for comparison.
# Expected: two functions that are cached in one place have results of their own, and a changed function is computed
#   again.
# Seen: the key has the parameters and the axes, and nothing of the function. A second function that is decorated with
#   the same ChunkMemo returns the results of the first one, and so does a changed function in the next run. joblib tells
#   them apart. Output for x = 1, 2, 3, 4:
#     chunk-memo: double [2, 4, 6, 8], square [2, 4, 6, 8]
#     joblib: double [2, 4, 6, 8], square [1, 4, 9, 16]
#   and in a second run, after 2 was changed to 3:
#     chunk-memo: double [2, 4, 6, 8], square [2, 4, 6, 8]
#     joblib: double [3, 6, 9, 12], square [1, 4, 9, 16]
# Matters: the second step of an analysis repeats the numbers of the first one under another name, without an error.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check chunk-memo==0.1.5 joblib==1.5.3
cat >steps.py <<'PY'
import joblib
from chunk_memo import ChunkMemo

axis = [1, 2, 3, 4]
memo = ChunkMemo("memo", chunk_spec={"x": 2}, axis_values={"x": axis}, verbose=0)
memory = joblib.Memory("memory", verbose=0)


def double(params, x):
    return 2 * x


def square(params, x):
    return x * x


def by_chunk_memo(function):
    values, _ = memo.cache()(function)(params={"machine": "a"})
    return values


def by_joblib(function):
    cached = memory.cache(function)
    return [cached({"machine": "a"}, x) for x in axis]


for name, call in (("chunk-memo", by_chunk_memo), ("joblib", by_joblib)):
    print(f"{name}: double {call(double)}, square {call(square)}")
PY
got=$(venv/bin/python steps.py
  sed -i 's/2 [*] x/3 * x/' steps.py
  venv/bin/python steps.py 2>joblib.log)
want='chunk-memo: double [2, 4, 6, 8], square [2, 4, 6, 8]
joblib: double [2, 4, 6, 8], square [1, 4, 9, 16]
chunk-memo: double [2, 4, 6, 8], square [2, 4, 6, 8]
joblib: double [3, 6, 9, 12], square [1, 4, 9, 16]'
echo "$got"; [ "$got" = "$want" ]
