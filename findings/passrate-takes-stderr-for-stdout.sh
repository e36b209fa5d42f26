#!/usr/bin/env bash
# Tool: lucky, the command of passrate 0.1.0 (PyPI, 2026).
# Expected: --pass-if-stdout REGEX requires that standard output matches, and
#   --until-decided stops early or says that it cannot.
# Seen: standard error is joined to standard output before the match, so a program
#   whose warning or usage text has the word passes. With three commands
#   --until-decided does nothing: each runs to the end, without a message. Output:
#     OK on standard error only: passes 3 of 3
#     nothing printed: passes 0 of 3
#     two commands, until decided: 12 runs each
#     three commands, until decided: 60 runs each
# Matters: `test: expected OK, got nothing` on standard error counts as OK, and a
#   comparison of three builds takes all the time that the option should save.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q --no-deps passrate==0.1.0
cat >a.py <<'PY'
import io
import json

import lucky


def commands(*arguments):
    out = io.StringIO()
    lucky.main([*arguments, "--json"], out=out)
    return json.loads(out.getvalue())["commands"]


for name, command in (("OK on standard error only", "echo 'expected OK' >&2"), ("nothing printed", "true")):
    [got] = commands(command, "-n", "3", "--pass-if-stdout", "OK")
    print(f"{name}: passes {got['passes']} of {got['runs']}")
for name, tried in (("two", ["true", "false"]), ("three", ["true", "false", ": again"])):
    runs = {got["runs"] for got in commands(*tried, "-n", "60", "--until-decided")}
    print(f"{name} commands, until decided: {runs.pop()} runs each")
PY
got=$(v/bin/python a.py)
want='OK on standard error only: passes 3 of 3
nothing printed: passes 0 of 3
two commands, until decided: 12 runs each
three commands, until decided: 60 runs each'
echo "$got"; [ "$got" = "$want" ]
