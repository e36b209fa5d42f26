#!/usr/bin/env bash
# Tool: npm 11.19.1 (npm), `npm explain`, with workspaces as packages, so that nothing else is installed.
# Expected: `npm ls` prints a package once and then "deduped"; `npm explain` says in as many lines who needs a package.
# Seen: explain follows each path from the package to the root. If two packages of each layer need both packages of
#   the next one, a layer more doubles the lines; `npm ls --all` has six lines more. Output:
#     8 layers: explain 2549, ls 46
#     10 layers: explain 10229, ls 58
#   npm 10 printed 655,349 lines for 16 layers, 32 packages, in 67 s.
# Matters: the question why an old package is in a large project ends in a terminal or a log full of paths, or not at
#   all, and `npm explain --json` in a script takes minutes.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
mkdir tool
npm install --silent --no-audit --no-fund --prefix tool npm@11.19.1 >npm.log
cat >layers.mjs <<'JS'
import { mkdirSync, writeFileSync } from "node:fs";

const layers = Number(process.argv[2]);
const both = (layer) => layer < layers ? { [`l${layer}a`]: "1.0.0", [`l${layer}b`]: "1.0.0" } : {};
const write = (folder, manifest) => {
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}/package.json`, JSON.stringify({ version: "1.0.0", ...manifest }));
};
for (let layer = 0; layer < layers; layer++) {
  for (const side of "ab") write(`packages/l${layer}${side}`, { name: `l${layer}${side}`, dependencies: both(layer + 1) });
}
write(".", { name: "root", private: true, workspaces: ["packages/*"], dependencies: both(0) });
JS
npm=$dir/tool/node_modules/.bin/npm
count() {
  mkdir "$1"; cd "$1"
  node ../layers.mjs "$1"
  "$npm" install --silent --no-audit --no-fund --offline >npm.log
  echo "$1 layers: explain $("$npm" explain "l$(($1 - 1))a" | wc -l), ls $("$npm" ls --all | wc -l)"
  cd ..
}
got=$(count 8; count 10)
want='8 layers: explain 2549, ls 46
10 layers: explain 10229, ls 58'
echo "$got"; [ "$got" = "$want" ]
