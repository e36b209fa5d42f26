#!/usr/bin/env bash
# Tool: benchstats 3.6.3 (PyPI, 2026), which compares benchmark results, with its default test and its default
#   alpha of 0.001; numpy 2.4.6 and scipy 1.17.1.
# Expected: at an alpha of 0.001 few samples are never enough: of the 20 ways to divide six values of one program
#   into two groups of three, two have all the small ones in one group, so that happens by chance one time in ten.
# Seen: the default, the Brunner-Munzel test, gives p = 0 for exactly those, with a warning that the sizes are
#   below 9, and the exit status is 1. The Mann-Whitney test of the same tool finds nothing. Output, divisions
#   of the values of one program that are called a significant change:
#     brunnermunzel: 2 of 6 (2 against 2), 2 of 20 (3 against 3), 2 of 70 (4 against 4), 4 of 252 (5 against 5)
#     mannwhitneyu: 0 of 6 (2 against 2), 0 of 20 (3 against 3), 0 of 70 (4 against 4), 0 of 252 (5 against 5)
#     command line, 3 against 3: exit status 1, p=0.00000
# Matters: three repetitions are a usual number for builds that take minutes. With them, a gate that promises one
#   false alarm in a thousand has one in ten, and a table of thirty benchmarks nearly always has some.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check benchstats==3.6.3 numpy==2.4.6 scipy==1.17.1
cat >divide.py <<'EOF'
import itertools
import warnings

from benchstats.compare import compareStats

warnings.simplefilter("ignore")


def results(values):
    return {"step": {"real_time": [10 + value / 10 for value in values]}}


for method in "brunnermunzel", "mannwhitneyu":
    found = []
    for size in range(2, 6):
        values = range(2 * size)
        groups = list(itertools.combinations(values, size))
        changes = sum(
            compareStats(
                results(group), results(set(values) - set(group)), method=method, debug_log=False
            ).at_least_one_differs
            for group in groups
        )
        found.append(f"{changes} of {len(groups)} ({size} against {size})")
    print(f"{method}: {', '.join(found)}")
EOF
printf '10.%s\n' 0 1 2 >before.csv
printf '10.%s\n' 3 4 5 >after.csv
status=0
venv/bin/benchstats --no-colors --files_parser SingleColumnCSV before.csv after.csv >table 2>&1 || status=$?
got="$(venv/bin/python divide.py)
command line, 3 against 3: exit status $status, $(grep -o 'p=[0-9.]*' table)"
want='brunnermunzel: 2 of 6 (2 against 2), 2 of 20 (3 against 3), 2 of 70 (4 against 4), 4 of 252 (5 against 5)
mannwhitneyu: 0 of 6 (2 against 2), 0 of 20 (3 against 3), 0 of 70 (4 against 4), 0 of 252 (5 against 5)
command line, 3 against 3: exit status 1, p=0.00000'
echo "$got"; [ "$got" = "$want" ]
