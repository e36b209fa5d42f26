#!/usr/bin/env bash
# Tool: podman-compose 1.6.0 with PyYAML 6.0.4 (PyPI). A stub replaces podman
#   and records the arguments.
# Expected: `DEBUG: true` reaches the container as DEBUG=true, as with Compose.
# Seen: values pass through Python. true arrives as "True", off as "False", 22:22
#   as 1342, 1_000 as 1000. The label `on: yes` becomes True=True. A plain date
#   stops every command with "Object of type date is not JSON serializable".
# Matters: a program that compares with "true" sees another value under
#   podman-compose than under Docker, from the same file.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q --no-deps podman-compose==1.6.0 PyYAML==6.0.4 python-dotenv==1.2.4
mkdir bin
cat >bin/podman <<SH
#!/bin/sh
case \$1 in
  --version) echo podman version 5.0.0 ;;
  ps | inspect | volume | network) echo '[]' ;;
  create | run) printf '%s\n' "\$@" >>"$dir/arguments" ;;
esac
SH
chmod +x bin/podman
export PATH=$dir/bin:$PATH
cat >compose.yml <<'YML'
services:
  web:
    image: a
    environment: {DEBUG: true, COLOR: off, CLOCK: 22:22, LIMIT: 1_000}
    labels: {on: yes}
YML
v/bin/podman-compose up -d >log 2>&1
got=$(grep -E '^(DEBUG|COLOR|CLOCK|LIMIT|True|on)=' arguments | LC_ALL=C sort -u)
want='CLOCK=1342
COLOR=False
DEBUG=True
LIMIT=1000
True=True'
echo "$got"; [ "$got" = "$want" ]

printf 'services: {web: {image: a, environment: {RELEASED: 2026-01-02}}}\n' >compose.yml
if v/bin/podman-compose config >log 2>&1; then echo "dates are read now"; exit 1; fi
tail -n 1 log
grep -q 'date is not JSON serializable' log
