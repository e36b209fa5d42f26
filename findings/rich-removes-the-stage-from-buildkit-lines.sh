#!/usr/bin/env bash
# Tool: rich 15.0.0 (PyPI), print() with its default settings.
# Expected: a line of a build log is printed as it is; a word in brackets that is
#   no style is shown or is an error.
# Seen: what looks like a tag is removed without a word if it starts with a small
#   letter: "[build 2/5] RUN make" prints as " RUN make", "[internal]" and
#   "[stage-1 1/3]" vanish, "[2/2]" and "[ERROR]" stay. Only a closing tag without
#   an opening one is an error.
# Matters: a viewer built on rich loses the stage names of BuildKit's log, which
#   are the link between a line and a step, and keeps them for other lines.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q --no-deps rich==15.0.0 markdown-it-py==4.3.0 mdurl==0.1.2 Pygments==2.21.0
got=$(v/bin/python - <<'PY'
import io
from rich.console import Console
for line in ["[build 2/5] RUN make", "#5 [internal] load", "[stage-1 1/3] FROM a", "[2/2] STEP", "[ERROR] x", "cp [a-z]* /x"]:
    out = io.StringIO()
    Console(file=out, width=80).print(line)
    print(repr(line), "->", repr(out.getvalue().rstrip("\n")))
PY
)
want="'[build 2/5] RUN make' -> ' RUN make'
'#5 [internal] load' -> '#5  load'
'[stage-1 1/3] FROM a' -> ' FROM a'
'[2/2] STEP' -> '[2/2] STEP'
'[ERROR] x' -> '[ERROR] x'
'cp [a-z]* /x' -> 'cp * /x'"
echo "$got"; [ "$got" = "$want" ]
