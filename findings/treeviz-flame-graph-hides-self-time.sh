#!/usr/bin/env bash
# Tool: codechu-treeviz 0.2.0 (PyPI, 2026), flame graph, icicle and build_tree().
# Expected: in a flame graph a frame is as wide as its share of its parent, as the
#   documentation says; what the parent did itself stays free above it. build_tree()
#   counts the disk usage of a folder, as du does.
# Seen: the children always fill the whole width of the parent: only their shares of
#   one another count. A file with two hard links counts twice. Output for make with
#   100 s, of which cc has 10 s, on a canvas of 1000 (sleep has the other 900 s):
#     flamegraph: make 100.0 cc 100.0 sleep 900.0
#     icicle: make 100.0 cc 100.0 sleep 900.0
#     one file of 1 MiB with two names: 2097152
# Matters: a compiler that takes a tenth of the time of make looks like all of it,
#   and a package store with hard links looks several times its size.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q --no-deps codechu-treeviz==0.2.0
mkdir store; head -c 1048576 /dev/zero | tr '\0' x >store/first; ln store/first store/second; sync store/first store/second
cat >a.py <<'PY'
from codechu_treeviz import TreeNode, build_tree
from codechu_treeviz.strategies.flamegraph import FlameGraphStrategy
from codechu_treeviz.strategies.icicle import IcicleStrategy

for strategy in (FlameGraphStrategy(), IcicleStrategy()):
    cc = TreeNode("cc", 10)
    make = TreeNode("make", 100, children=[cc])
    sleep = TreeNode("sleep", 900)
    strategy.layout(TreeNode("sh", 1000, children=[make, sleep]), 1000, 100)
    print(strategy.name + ":", *(f"{node.path} {node.rect[2]}" for node in (make, cc, sleep)))
print("one file of 1 MiB with two names:", build_tree("store").size)
PY
got=$(v/bin/python a.py)
want='flamegraph: make 100.0 cc 100.0 sleep 900.0
icicle: make 100.0 cc 100.0 sleep 900.0
one file of 1 MiB with two names: 2097152'
echo "$got"; [ "$got" = "$want" ]
