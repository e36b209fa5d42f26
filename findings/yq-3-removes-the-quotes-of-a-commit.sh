#!/usr/bin/env bash
# Tool: yq 3.1.0 (Debian 12, yq 3.1.0-3, installed), the wrapper of jq in Python; yq 4.4.5 (PyPI) and
#   ruamel.yaml 0.19.1 (PyPI, YAML 1.2) for comparison.
# Expected: `yq -y .` may lose comments and styles, but a quoted text stays a text.
# Seen: quotes are removed where YAML 1.1 needs none, while yq itself reads by YAML 1.2. A text of
#   digits with one "e" is a number after that: the second run of the same command changes it, and
#   so does each reader of YAML 1.2. Exit status 0, no message; yq 4.4.5 keeps the quotes. Output:
#     first run: commit: 12e4567, tag: 7e3, mode: 0o17, version: '1.10'
#     second run: commit: 1.7976931348623157e+308, tag: 7000, mode: 15, version: '1.10'
#     ruamel.yaml after one run: inf, 7000.0, 15, '1.10'
#     yq 4.4.5: commit: '12e4567', tag: '7e3', mode: '0o17', version: '1.10'
# Matters: an edit of another key turns an image tag or commit in a compose file, values file or
#   workflow into a number. Of commits with seven digits, 1.9 % have this form (5/16 * (10/16)^6).
set -euo pipefail
[ "$(dpkg-query -W -f '${Version}' yq)" = 3.1.0-3 ]
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q yq==4.4.5 ruamel.yaml==0.19.1
cat >a.yml <<'YAML'
commit: "12e4567"
tag: "7e3"
mode: "0o17"
version: "1.10"
YAML
joined() { paste -sd, | sed 's/,/, /g'; }
/usr/bin/yq -y . a.yml >once.yml
/usr/bin/yq -y . once.yml >twice.yml
v/bin/yq -y . a.yml >new.yml
cat >read.py <<'PY'
from ruamel.yaml import YAML

print(", ".join(repr(value) for value in YAML(typ="safe").load(open("once.yml")).values()))
PY
got="first run: $(joined <once.yml)
second run: $(joined <twice.yml)
ruamel.yaml after one run: $(v/bin/python read.py)
yq 4.4.5: $(joined <new.yml)"
want="first run: commit: 12e4567, tag: 7e3, mode: 0o17, version: '1.10'
second run: commit: 1.7976931348623157e+308, tag: 7000, mode: 15, version: '1.10'
ruamel.yaml after one run: inf, 7000.0, 15, '1.10'
yq 4.4.5: commit: '12e4567', tag: '7e3', mode: '0o17', version: '1.10'"
echo "$got"; [ "$got" = "$want" ]
