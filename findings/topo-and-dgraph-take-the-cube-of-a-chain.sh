#!/usr/bin/env bash
# Tool: @hapi/topo 6.0.2 and @thi.ng/dgraph 2.1.199 (npm), which sort steps by their dependencies;
#   dependency-graph 1.0.0 (npm) for comparison.
# Expected: a graph with four times the steps and four times the dependencies takes about four times the
#   time, as sorting a graph is linear.
# Seen: in both, adding one step does the work of the whole graph. topo sorts all steps again at each add(),
#   and a sort is quadratic; dgraph collects all that a step depends on at each addDependency(), with a copy
#   of the set per step. For steps that each depend on the one before, the time grows nearly with the cube.
#   Output, the processor time of 800 steps in a chain:
#     @hapi/topo: more than eight times that of 200 steps, more than eight times that of dependency-graph
#     @thi.ng/dgraph: more than eight times that of 200 steps, more than eight times that of dependency-graph
#   In processor time, when this was written: topo 0.15, 0.9 and 4 s for 500, 1000 and 2000 steps;
#   dgraph 0.2, 0.8 and 5.4 s for 250, 500 and 1000; dependency-graph 0.03 s for 4000. With the option
#   `manual`, topo takes 0.03 s for 4000.
# Matters: a plan of a few thousand build steps takes seconds to minutes to put in order, with the libraries
#   for it. topo is downloaded 74 million times a month; joi sets `manual`, other programs get the default.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm install --silent --no-audit --no-fund @hapi/topo@6.0.2 @thi.ng/dgraph@2.1.199 dependency-graph@1.0.0 >npm.log
cat >chain.mjs <<'EOF'
import { defDGraph } from "@thi.ng/dgraph";
import { createRequire } from "module";

const require = createRequire(import.meta.url);
const { Sorter } = require("@hapi/topo");
const { DepGraph } = require("dependency-graph");

const sorts = {
    "dependency-graph": count => {
        const graph = new DepGraph();
        for (let step = 0; step < count; step++) graph.addNode(`step ${step}`);
        for (let step = 1; step < count; step++) graph.addDependency(`step ${step}`, `step ${step - 1}`);
        return graph.overallOrder();
    },
    "@hapi/topo": count => {
        const sorter = new Sorter();
        for (let step = 0; step < count; step++) {
            sorter.add(`step ${step}`, { group: `step ${step}`, after: step ? [`step ${step - 1}`] : [] });
        }
        return sorter.nodes;
    },
    "@thi.ng/dgraph": count => {
        const graph = defDGraph();
        for (let step = 1; step < count; step++) graph.addDependency(`step ${step}`, `step ${step - 1}`);
        return graph.sort();
    },
};

function work(sort, count) { // the least processor time of three runs: compiling and other programs only add
    let least = Infinity;
    for (let run = 0; run < 3; run++) {
        const start = process.cpuUsage();
        const order = sort(count);
        least = Math.min(least, process.cpuUsage(start).user);
        if (order.length !== count || order[0] !== "step 0") throw new Error("wrong order");
    }
    return least;
}

const compare = times => `${times < 8 ? "less" : "more"} than eight times`;
const linear = work(sorts["dependency-graph"], 800);
for (const name of ["@hapi/topo", "@thi.ng/dgraph"]) {
    const [few, many] = [work(sorts[name], 200), work(sorts[name], 800)];
    console.log(`${name}: ${compare(many / few)} that of 200 steps, ${compare(many / linear)} that of dependency-graph`);
}
EOF
got=$(node chain.mjs)
want='@hapi/topo: more than eight times that of 200 steps, more than eight times that of dependency-graph
@thi.ng/dgraph: more than eight times that of 200 steps, more than eight times that of dependency-graph'
echo "$got"; [ "$got" = "$want" ]
