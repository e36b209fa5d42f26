#!/usr/bin/env bash
# Tool: PyYAML 6.0.4 and 6.0.3 (PyPI), CPython 3.
# Expected: a mapping that merges `base` and sets a key keeps its own value when
#   it is merged into a third one; the key's name does not matter.
# Seen: version 6.0.4 removes repeated merge keys by the identity of the Python
#   string. CPython keeps one object per one-letter string, so a key of one
#   letter (or digit) counts as repeated and the value of `base` wins. The key
#   "v" gives "base", the key "vv" gives "mine". 6.0.3 gives "mine" for both.
# Matters: compose and CI files chain anchors. A setting such as `n: 4` or a port
#   name silently falls back to the default two levels up.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
cat >a.py <<'PY'
import yaml
for key in ("v", "7", "vv", "image"):
    text = f"base: &base {{{key}: base}}\nchild: &child\n  <<: *base\n  {key}: mine\nuser:\n  <<: *child\n"
    value = yaml.safe_load(text)
    print(yaml.__version__, key, *value["child"].values(), *value["user"].values())
PY
for version in 6.0.3 6.0.4; do
  python3 -m venv v$version
  v$version/bin/pip install -q --no-deps PyYAML==$version
done
got=$(for version in 6.0.3 6.0.4; do v$version/bin/python a.py; done)
want='6.0.3 v mine mine
6.0.3 7 mine mine
6.0.3 vv mine mine
6.0.3 image mine mine
6.0.4 v mine base
6.0.4 7 mine base
6.0.4 vv mine mine
6.0.4 image mine mine'
echo "$got"; [ "$got" = "$want" ]
