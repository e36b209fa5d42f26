#!/usr/bin/env bash
# Tool: strace-parser 0.2.0 and python-hcl2 8.1.4 (PyPI) in one environment.
# Expected: pip refuses or reports packages that cannot live together.
# Seen: one depends on lark-parser 0.12.0, the other on lark 1.3.1. These are two
#   names of one project and write the same folder, `lark`. pip installs both and
#   `pip check` finds nothing. python-hcl2 then fails on each file, even
#   `a = 1`, with "'Meta' object is not iterable".
# Matters: a profiler that reads strace logs and bake files cannot use the two,
#   and the message points at neither.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q --no-deps python-hcl2==8.1.4 lark==1.3.1 regex==2026.11.19
v/bin/python -c 'import hcl2; print("alone:", hcl2.loads("a = 1\n"))'
v/bin/pip install -q strace-parser==0.2.0 lark-parser==0.12.0 2>pip.log
cat pip.log
v/bin/pip check
if v/bin/python -c 'import hcl2; print(hcl2.loads("a = 1\n"))' 2>err; then echo "both work now"; exit 1; fi
tail -n 1 err
grep -q "'Meta' object is not iterable" err
