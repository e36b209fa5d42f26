#!/usr/bin/env bash
# Tool: networkx 3.6.1 (PyPI), dag_longest_path() on weighted edges.
# Expected: the longest path of a build goes from a step without predecessors to one
#   without successors; steps that took no time are on it.
# Seen: among paths of equal length the one that is found first wins, and that is the
#   shorter one, so steps without time at the end are left out. If nothing took time,
#   the path is one step. A weight at a node is ignored, and the edge counts 1.
#   Output:
#     fetch 5 make 0 test 0 push: fetch make
#     fetch 0 make 5 test 0 push: fetch make test
#     all cached: fetch
#     weights at the nodes, 100 s alone, 1 s in each of two: small next
# Matters: the last steps of a cached build are missing from its critical path, and
#   durations at the nodes, where a build has them, give the path with the most steps.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q networkx==3.6.1
cat >a.py <<'PY'
import networkx

steps = ["fetch", "make", "test", "push"]


def chain(*times):
    graph = networkx.DiGraph()
    for before, after, time in zip(steps, steps[1:], times):
        graph.add_edge(before, after, weight=time)
    return " ".join(networkx.dag_longest_path(graph))


print("fetch 5 make 0 test 0 push:", chain(5, 0, 0))
print("fetch 0 make 5 test 0 push:", chain(0, 5, 0))
print("all cached:", chain(0, 0, 0))
graph = networkx.DiGraph()
graph.add_node("large", weight=100)
graph.add_node("small", weight=1)
graph.add_node("next", weight=1)
graph.add_edge("small", "next")
print("weights at the nodes, 100 s alone, 1 s in each of two:", *networkx.dag_longest_path(graph))
PY
got=$(v/bin/python a.py)
want='fetch 5 make 0 test 0 push: fetch make
fetch 0 make 5 test 0 push: fetch make test
all cached: fetch
weights at the nodes, 100 s alone, 1 s in each of two: small next'
echo "$got"; [ "$got" = "$want" ]
