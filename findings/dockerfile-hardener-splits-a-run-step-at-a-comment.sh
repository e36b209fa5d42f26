#!/usr/bin/env bash
# Tool: dockerfile-hardener 1.0.2 (PyPI), `dockerfile-hardener fix`.
# Expected: a fixed Dockerfile still builds the same files.
# Seen: a comment line inside a continued RUN is taken for its end. The cleanup
#   goes after the comment, and the step's last line becomes an instruction named
#   "make", which does not exist. Each ADD becomes COPY --chown, also ADD of an
#   archive (which is then no longer unpacked) and a line "ADD" inside a
#   here-document, which is the text of a file.
# Matters: the tool reports success, the build fails or the image lacks files.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q --no-deps dockerfile-hardener==1.0.2 click==8.5.1 rich==15.0.0 markdown-it-py==4.3.0 mdurl==0.1.2 Pygments==2.21.0
cat >Dockerfile <<'TXT'
FROM debian:12
RUN apt-get update && apt-get install -y curl \
    # build tools
    make
ADD source.tar.gz /src/
COPY <<EOF /notes
ADD is text here
EOF
USER 5
TXT
v/bin/dockerfile-hardener fix Dockerfile >log 2>&1 || true
got=$(sed -n '/^RUN/,/^EOF/p' Dockerfile)
want='RUN apt-get update && apt-get install -y curl \
    # build tools \
    && rm -rf /var/lib/apt/lists/*
    make
COPY --chown=5:5 source.tar.gz /src/
COPY --chown=5:5 <<EOF /notes
COPY --chown=5:5 is text here
EOF'
echo "$got"; [ "$got" = "$want" ]
