#!/usr/bin/env bash
# Tool: dockerfile-parse 2.0.1 (PyPI).
# Expected: it expands ${NAME}, so ${NAME:-default} gives the value or the
#   default, or is left alone.
# Seen: the braces are read as if the name ended at the colon. With TAG=3.20,
#   `FROM alpine:${TAG:-3.19}` has the parent image "alpine:3.20:-3.19}", and
#   without TAG it is "alpine::-3.19}". ENV and LABEL values get the same tail.
# Matters: a tool that pins or rebuilds by parent image looks for an image that
#   cannot exist.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q --no-deps dockerfile-parse==2.0.1
got=$(v/bin/python - <<'PY'
import io
from dockerfile_parse import DockerfileParser
def parse(text):
    return DockerfileParser(fileobj=io.BytesIO(text.encode()))
print(parse("ARG TAG=3.20\nFROM alpine:${TAG}\n").parent_images)
print(parse("ARG TAG=3.20\nFROM alpine:${TAG:-3.19}\n").parent_images)
print(parse("FROM alpine:${TAG:-3.19}\n").parent_images)
print(parse("FROM a\nENV A=x\nENV B=${A:+yes} C=${D:-no}\n").envs)
PY
)
want="['alpine:3.20']
['alpine:3.20:-3.19}']
['alpine::-3.19}']
{'A': 'x', 'B': 'x:+yes}', 'C': ':-no}'}"
echo "$got"; [ "$got" = "$want" ]
