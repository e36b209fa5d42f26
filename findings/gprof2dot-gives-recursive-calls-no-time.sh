#!/usr/bin/env bash
# Tool: gprof2dot 2025.4.14 (PyPI), `-f collapse` on folded stacks.
# Expected: in "sh;make;sh;make;cc 10" and "sh;tar 10", sh has 100 % of the total
#   time, as in a flame graph, and make 50 %.
# Seen: when the functions at the root call one another in a circle, they get
#   0 %. cc and tar have their 50 %. `--total=callstacks`, which counts each
#   stack once, stops with a NameError.
# Matters: recursive make and nested shells are the normal stacks of a build, and
#   the graph shows them as free.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q --no-deps gprof2dot==2025.4.14
printf 'sh;make;cc 10\nsh;tar 10\n' >plain
printf 'sh;make;sh;make;cc 10\nsh;tar 10\n' >nested
for stacks in plain nested; do
  v/bin/gprof2dot -f collapse -n0 -e0 $stacks |
    sed -nE "s/^.*label=\"(sh|make|cc|tar)\\\\n([0-9.]+%).*/$stacks \1 \2/p"
done | sort >got
cat >want <<'TXT'
nested cc 50.00%
nested make 0.00%
nested sh 0.00%
nested tar 50.00%
plain cc 50.00%
plain make 50.00%
plain sh 100.00%
plain tar 50.00%
TXT
cat got; cmp got want
if v/bin/gprof2dot -f collapse --total=callstacks nested >graph 2>message; then exit 1; fi
grep NameError message
