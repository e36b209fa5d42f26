#!/usr/bin/env bash
# Tool: e2b 2.63.0 with e2b-dockerfile-utils 0.1.1 (PyPI, 2026), whose Template.from_dockerfile
#   reads a Dockerfile with a parser that is ported from BuildKit's.
# Expected: in ENV, '$HOME' and \$HOME are five characters, and only $HOME is a reference. ADD
#   unpacks a local archive. What the library cannot keep is an error or a warning, as it is for
#   SHELL and HEALTHCHECK, and the Dockerfile that it writes can be read again.
# Seen: the three spellings become the same step, which names a reference, and ADD becomes COPY,
#   so the archive itself is in the image; there is no message. to_dockerfile writes values
#   without quotes: its own parser refuses one with a blank, and the second command of a
#   here-document is an unknown instruction. Output:
#     ENV A='$HOME' -> ENV ['A', '$HOME']
#     ENV A=\$HOME -> ENV ['A', '$HOME']
#     ENV A=$HOME -> ENV ['A', '$HOME']
#     ADD app.tar.gz /opt/ -> COPY ['app.tar.gz', '/opt/', '', '']
#     ENV A="two words" -> ENV A=two words -> DockerfileSyntaxError
#     RUN with a here-document -> RUN make, make install -> DockerfileSyntaxError
#     ENV A=two -> ENV A=two -> ENV A=two
# Matters: a password or a pattern with a dollar sign is another value in the template, and a
#   program that ADD should have unpacked is missing. Both are noticed when the template runs.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q e2b==2.63.0 e2b-dockerfile-utils==0.1.1
echo program >program
tar -czf app.tar.gz program
cat >a.py <<'PY'
import json
from e2b import Template

first = {
    "ENV A='$HOME'": None, "ENV A=\\$HOME": None, "ENV A=$HOME": None, "ADD app.tar.gz /opt/": None,
}
again = {
    'ENV A="two words"': 'ENV A="two words"',
    "RUN with a here-document": "RUN <<END\nmake\nmake install\nEND",
    "ENV A=two": "ENV A=two",
}


def template(text):
    return Template().from_dockerfile(f"FROM debian:12\n{text}\n")


def written(template):
    lines = Template.to_dockerfile(template).splitlines()
    return [line for line in lines if line and line.split()[0] not in ("FROM", "USER", "WORKDIR")]


for text in first:
    steps = json.loads(Template.to_json(template(text)))["steps"]
    (step,) = [step for step in steps if step["type"] in ("ENV", "COPY", "ADD")]
    print(text, "->", step["type"], step["args"])
for name, text in again.items():
    lines = written(template(text))
    try:
        result = ", ".join(written(template("\n".join(lines))))
    except Exception as error:
        result = type(error).__name__
    print(name, "->", ", ".join(lines), "->", result)
PY
got=$(v/bin/python a.py 2>&1)
want="ENV A='\$HOME' -> ENV ['A', '\$HOME']
ENV A=\\\$HOME -> ENV ['A', '\$HOME']
ENV A=\$HOME -> ENV ['A', '\$HOME']
ADD app.tar.gz /opt/ -> COPY ['app.tar.gz', '/opt/', '', '']
ENV A=\"two words\" -> ENV A=two words -> DockerfileSyntaxError
RUN with a here-document -> RUN make, make install -> DockerfileSyntaxError
ENV A=two -> ENV A=two -> ENV A=two"
echo "$got"; [ "$got" = "$want" ]
