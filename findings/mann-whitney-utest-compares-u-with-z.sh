#!/usr/bin/env bash
# Tool: mann-whitney-utest 1.0.5 (npm), significant(); SciPy's exact test says
#   what is right.
# Expected: one sample against one is never significant; twenty builds against
#   twenty slower ones are.
# Seen: the smaller U is compared with a normal score instead of a critical
#   value of U. U is 0 for any two samples that do not overlap, so 1 against 1 is
#   "significant" (p = 1). With twenty against twenty, U is 55 (p = 0.00003) and
#   "not significant".
# Matters: the verdict is wrong at both ends: too few runs always show a
#   difference, and enough runs do not.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --ignore-scripts mann-whitney-utest@1.0.5
python3 -m venv v
v/bin/pip install -q scipy==1.17.1
cat >a.js <<'JS'
const test = require('mann-whitney-utest');
const range = (count, from) => Array.from({ length: count }, (_, index) => index + from);
for (const samples of [[[10], [11]], [[10, 11], [12, 13]], [range(20, 0.5), range(20, 10)]]) {
  const u = test.test(samples);
  console.log(samples[0].length, 'against', samples[1].length, 'U', Math.min(...u), test.significant(u, samples));
}
JS
got=$(node a.js; v/bin/python - <<'PY'
from scipy.stats import mannwhitneyu
for one, other in [([10], [11]), ([10, 11], [12, 13]), ([index + 0.5 for index in range(20)], range(10, 30))]:
    result = mannwhitneyu(one, other, method="exact")
    print("SciPy U", result.statistic, "p", f"{result.pvalue:.5f}")
PY
)
want='1 against 1 U 0 true
2 against 2 U 0 true
20 against 20 U 55 false
SciPy U 0.0 p 1.00000
SciPy U 0.0 p 0.33333
SciPy U 55.0 p 0.00003'
echo "$got"; [ "$got" = "$want" ]
