#!/usr/bin/env bash
# Tool: toposort 2.0.2 and graph-data-structure 4.5.0 (npm), both with Node.js 20; dependency-graph 1.0.0 (npm)
#   for comparison.
# Expected: a chain of steps is the simplest graph, and a length of 20,000 (files of a large build that each
#   need the one before) is sorted as others are. The order in which the edges are given does not matter.
# Seen: both walk the graph with recursion, so the stack limits the length of a chain, and where the walk starts
#   decides. toposort visits the nodes from the last edge to the first: a chain in order has no depth, and
#   the same edges in reverse are "Maximum call stack size exceeded". graph-data-structure starts at the node
#   that was added first, and fails for the opposite order. Output:
#     dependency-graph, 20000 steps: sorted, reversed edges: sorted
#     toposort, 20000 steps: sorted, reversed edges: RangeError
#     graph-data-structure, 20000 steps: RangeError, reversed edges: sorted
# Matters: whether a plan can be sorted depends on the order in which files were listed. Tests with a chain
#   written in order pass, and the error names neither the graph nor its length.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm install --silent --no-audit --no-fund toposort@2.0.2 graph-data-structure@4.5.0 dependency-graph@1.0.0 >npm.log
cat >chain.mjs <<'EOF'
import { Graph, topologicalSort } from "graph-data-structure";
import { createRequire } from "module";

const require = createRequire(import.meta.url);
const toposort = require("toposort");
const { DepGraph } = require("dependency-graph");

const sorts = {
    "dependency-graph": edges => {
        const graph = new DepGraph();
        for (const node of new Set(edges.flat())) graph.addNode(node);
        for (const [before, after] of edges) graph.addDependency(after, before);
        return graph.overallOrder();
    },
    toposort,
    "graph-data-structure": edges => {
        const graph = new Graph();
        for (const node of new Set(edges.flat())) graph.addNode(node);
        for (const [before, after] of edges) graph.addEdge(before, after);
        return topologicalSort(graph);
    },
};

const [name, order] = process.argv.slice(2);
const edges = Array.from({ length: 19999 }, (_, step) => [`step ${step}`, `step ${step + 1}`]);
if (order === "reversed") edges.reverse();
try {
    const sorted = sorts[name](edges);
    console.log(sorted[0] === "step 0" && sorted.length === 20000 ? "sorted" : "wrong order");
} catch (error) {
    console.log(error.constructor.name);
}
EOF
# One process for each: what V8 has compiled changes how much stack a call takes.
got=$(for name in dependency-graph toposort graph-data-structure; do
    echo "$name, 20000 steps: $(node chain.mjs "$name" given), reversed edges: $(node chain.mjs "$name" reversed)"
done)
want='dependency-graph, 20000 steps: sorted, reversed edges: sorted
toposort, 20000 steps: sorted, reversed edges: RangeError
graph-data-structure, 20000 steps: RangeError, reversed edges: sorted'
echo "$got"; [ "$got" = "$want" ]
