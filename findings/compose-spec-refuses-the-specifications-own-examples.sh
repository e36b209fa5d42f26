#!/usr/bin/env bash
# Tool: compose-spec 0.2.1 (PyPI, bindings of the crate compose_spec).
# Expected: a validator of the Compose specification reads the forms that the
#   specification shows: durations such as 2.5s, fragments merged with `<<`,
#   ${TAG:-default} in an image name, sizes such as 1.5g.
# Seen: each of them is an error, and each message blames the file: "`.` is not a
#   valid duration unit", "extension key `<<` does not start with x-", "image tag
#   contains invalid character". Whole seconds and plain names are read.
# Matters: a check that uses it rejects most real compose files.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q compose-spec==0.2.1 pydantic==2.14.4
got=$(v/bin/python - <<'PY'
from compose_spec import PyCompose
for name, head, body in [
    ("10s", "", "image: a\n    healthcheck: {test: 'true', interval: 10s}"),
    ("2.5s", "", "image: a\n    healthcheck: {test: 'true', interval: 2.5s}"),
    ("merge", "x-base: &base {image: a}\n", "<<: *base"),
    ("variable", "", "image: a:${TAG:-1}"),
    ("size", "", "image: a\n    mem_limit: 1.5g"),
]:
    try:
        PyCompose.from_yaml(f"{head}services:\n  web:\n    {body}\n")
        print(name, "read")
    except Exception as error:
        print(name, "refused:", str(error).split(": ", 1)[1][:44])
PY
)
want='10s read
2.5s refused: `.` is not a valid duration unit, must be `h
merge refused: extension key `<<` does not start with "x-" 
variable refused: invalid image tag: image tag contains invali
size refused: value `1.5` could not be parsed as an unsign'
echo "$got"; [ "$got" = "$want" ]
