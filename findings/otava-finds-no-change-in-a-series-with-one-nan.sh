#!/usr/bin/env bash
# Tool: apache-otava 0.8.0 (PyPI, 2026), which finds changes in series of benchmark results, `otava analyze`.
# Expected: a result that is missing is left out, or is an error: an empty cell of the CSV file is one.
#   Rows with a column of times are in the order of the times.
# Seen: one cell with nan hides each change of the whole series: "No regressions found", without a warning.
#   The rows are read in the order of the file: if the newest comes first, as in many exports, a regression
#   is an improvement. A change from 0 is one of 0 % and not reported. Output, time in ms of 60 commits, ten
#   percent slower from the 31st on:
#     complete: regressions
#         +10.4%
#     nan in row 15: no regressions found
#     newest first: no regressions found
#     from 0 to 10: no regressions found
# Matters: a benchmark that failed once, and that a script wrote down as nan as NumPy does, turns the check
#   off for as long as that row is in the window. The check stays green.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check apache-otava==0.8.0
python3 - <<'EOF'
import random

random.seed(7)
rows = [
    [f"2026-01-{1 + hour // 24:02}T{hour % 24:02}:00:00+00:00", f"c{hour:03}", (100 if hour < 30 else 110) + random.uniform(-2, 2)]
    for hour in range(60)
]
tests = {
    "complete": rows,
    "nan in row 15": [[time, commit, "nan" if commit == "c015" else value] for time, commit, value in rows],
    "newest first": rows[::-1],
    "from 0 to 10": [[time, commit, 0 if commit < "c030" else 10] for time, commit, _ in rows],
}
with open("otava.yaml", "w") as config:
    print("tests:", file=config)
    for name, content in tests.items():
        with open(f"{name}.csv", "w") as file:
            print("time,commit,ms", file=file)
            for row in content:
                print(*row, sep=",", file=file)
        print(f"""
  {name}:
    type: csv
    file: {name}.csv
    time_column: time
    attributes: [commit]
    metrics:
      ms: {{direction: -1, scale: 1}}""", file=config)
EOF
OTAVA_CONFIG=otava.yaml venv/bin/otava analyze 'complete' 'nan in row 15' 'newest first' 'from 0 to 10' \
    --since 2026-01-01 --output regressions_only >report 2>otava.log
if grep -q WARN otava.log; then exit 1; fi
got=$(sed -n 's/^No regressions found in \(.*\)\.$/\1: no regressions found/p; s/^Regressions in \(.*\):$/\1: regressions/p; s/.*( *\(.*%\))/    \1/p' report)
want='complete: regressions
    +10.4%
nan in row 15: no regressions found
newest first: no regressions found
from 0 to 10: no regressions found'
echo "$got"; [ "$got" = "$want" ]
