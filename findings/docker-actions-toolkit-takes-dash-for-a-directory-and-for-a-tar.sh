#!/usr/bin/env bash
# Tool: @docker/actions-toolkit 0.101.0 (npm, 2026), on which Docker's actions for
#   GitHub are built.
# Expected: `--output -` is what buildx says: a tar on standard output, for
#   both classes of the library.
# Seen: Bake.parseExportEntry('-') gives {type: tar, dest: -}. Of the same text,
#   Build.hasLocalExporter says true and Build.hasTarExporter false: a directory
#   named "-".
# Matters: a caller that asks which kind of output a build has gets a different
#   answer for `build` and for `bake`.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --ignore-scripts @docker/actions-toolkit@0.101.0
cat >a.mjs <<'JS'
import { Bake } from '@docker/actions-toolkit/lib/buildx/bake.js';
import { Build } from '@docker/actions-toolkit/lib/buildx/build.js';
for (const output of ['-', 'type=tar,dest=-', 'out'])
  console.log(output, Bake.parseExportEntry(output).type, 'local', Build.hasLocalExporter([output]), 'tar', Build.hasTarExporter([output]));
JS
got=$(node a.mjs)
want='- tar local true tar false
type=tar,dest=- tar local false tar true
out local local true tar false'
echo "$got"; [ "$got" = "$want" ]
