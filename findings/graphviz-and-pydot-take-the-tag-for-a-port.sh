#!/usr/bin/env bash
# Tool: graphviz 0.21 and pydot 4.0.1 (PyPI), which write DOT files; @hpcc-js/wasm-graphviz 1.29.2 (npm), which
#   is Graphviz itself, draws them.
# Expected: node("python:3.12") and edge("python:3.12", "app") name one node, as both are functions of one
#   library that quotes what needs quotes.
# Seen: graphviz quotes the name of a node, and splits the end of an edge at the colon, into a node and a port:
#   each image is there twice, once without edges, and all tags of an image are one node. pydot does so for
#   nodes, too. Neither has a message. Output:
#     graphviz: app python python:3.12 python:3.13 web; python -> app, python -> web
#     pydot: app python web; python -> app, python -> web
# Matters: in a graph of stages and base images, or of Bazel targets, two versions become one, and what one
#   depends on seems to affect both. A registry with a port, host:5000/app, is split as well.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check graphviz==0.21 pydot==4.0.1
npm install --silent --no-audit --no-fund @hpcc-js/wasm-graphviz@1.29.2 >npm.log
cat >write.py <<'PY'
import graphviz
import pydot

edges = [("python:3.12", "app"), ("python:3.13", "web")]
one = graphviz.Digraph()
two = pydot.Dot(graph_type="digraph")
for image, stage in edges:
    one.node(image)
    one.edge(image, stage)
    two.add_node(pydot.Node(image))
    two.add_edge(pydot.Edge(image, stage))
open("graphviz.dot", "w").write(one.source)
open("pydot.dot", "w").write(two.to_string())
PY
env/bin/python write.py
cat >read.mjs <<'JS'
import { readFileSync } from "node:fs";
import { Graphviz } from "@hpcc-js/wasm-graphviz";

const graphviz = await Graphviz.load();
for (const library of ["graphviz", "pydot"]) {
    const graph = JSON.parse(graphviz.layout(readFileSync(`${library}.dot`, "utf8"), "json", "dot"));
    const names = graph.objects.map(node => node.name);
    const edges = graph.edges.map(edge => `${names[edge.tail]} -> ${names[edge.head]}`);
    console.log(`${library}: ${[...names].sort().join(" ")}; ${edges.sort().join(", ")}`);
}
JS
got=$(node read.mjs)
want='graphviz: app python python:3.12 python:3.13 web; python -> app, python -> web
pydot: app python web; python -> app, python -> web'
echo "$got"; [ "$got" = "$want" ]
