#!/usr/bin/env bash
# Tool: expandvars 1.1.2 (PyPI), expand(); bash for comparison.
# Expected: an operator that the library does not have is an error. It raises one
#   for a missing brace and for a negative length.
# Seen: ${NAME#pattern}, ${NAME%pattern}, ${NAME/a/b} and ${NAME^^} give the whole
#   value, as if the operator were not there. ${EMPTY-default} gives the default
#   and ${EMPTY+word} nothing: both are read like the forms with a colon. A name
#   as the length in ${NAME:0:N} counts as 0.
# Matters: Dockerfiles and scripts cut versions this way; ${TAG#v} gives "v1.2".
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q --no-deps expandvars==1.1.2
cat >a.py <<'PY'
import os, subprocess, expandvars
os.environ.update(TAG="v1.2", EMPTY="", N="2")
for text in ("${TAG#v}", "${TAG%.*}", "${TAG/v/x}", "${TAG^^}", "${EMPTY-d}", "${EMPTY+w}", "${TAG:0:N}"):
    bash = subprocess.run(["bash", "-c", f'printf %s "{text}"'], capture_output=True, text=True).stdout
    print(f"{text} expandvars '{expandvars.expand(text)}' bash '{bash}'")
PY
got=$(v/bin/python a.py)
want="\${TAG#v} expandvars 'v1.2' bash '1.2'
\${TAG%.*} expandvars 'v1.2' bash 'v1'
\${TAG/v/x} expandvars 'v1.2' bash 'x1.2'
\${TAG^^} expandvars 'v1.2' bash 'V1.2'
\${EMPTY-d} expandvars 'd' bash ''
\${EMPTY+w} expandvars '' bash 'w'
\${TAG:0:N} expandvars '' bash 'v1'"
echo "$got"; [ "$got" = "$want" ]
