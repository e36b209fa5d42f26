#!/usr/bin/env bash
# Tool: dockerfile-doctor 0.1.5 (PyPI), `dockerfile-doctor --fix`.
# Expected: --fix applies "safe issues" only; changes of behaviour need
#   --unsafe-fixes.
# Seen: the cleanup of the package lists is appended to the line `RUN <<EOF`. The
#   step is then `<<EOF && rm -rf ...`: the here-document feeds an empty command
#   and its body, the installation, never runs. The step still succeeds.
#   `RUN cd /src && make` becomes `WORKDIR /src` and `RUN make`, so all later
#   steps and the container start in another folder.
# Matters: a clean report and a green build, without the packages.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q --no-deps dockerfile-doctor==0.1.5 PyYAML==6.0.4
cat >Dockerfile <<'TXT'
FROM debian:12
RUN <<EOF
apt-get install -y make
EOF
RUN cd /src && make
CMD ["./run"]
TXT
v/bin/dockerfile-doctor --fix --no-color Dockerfile >log 2>&1 || true
grep 'fixes applied' log
got=$(grep -vE '^(LABEL|USER|HEALTHCHECK)|^$' Dockerfile)
want='FROM debian:12
RUN <<EOF \
    && rm -rf /var/lib/apt/lists/*
apt-get install -y make
EOF
WORKDIR /src
RUN make
CMD ["./run"]'
echo "$got"; [ "$got" = "$want" ]
# The shell's view of the rewritten step, with harmless commands.
ran=$(sh -c $'<<EOF && echo cleanup\necho body\nEOF')
echo "the shell runs: $ran"; [ "$ran" = cleanup ]
