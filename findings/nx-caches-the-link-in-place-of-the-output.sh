#!/usr/bin/env bash
# Tool: nx 24.0.6 (npm, 2026), the local cache.
# Expected: an output folder that is a link to another disk is stored with its files, or
#   the task is not cached, or a message says so.
# Seen: the link is stored, not what it leads to. When the files are gone, the task is a
#   hit, "read from the cache", and they are still gone. The same output without a link
#   is restored. Output of the first run and of one after the files were removed:
#     folder: ran, 0/1 hit, files: app.js
#     folder: 1/1 hit, files: app.js
#     link: ran, 0/1 hit, files: app.js
#     link: 1/1 hit, files: none
# Matters: a link is the usual way to put a large output folder on another disk. In CI,
#   where that disk starts empty, each hit is a successful build without a result.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
echo '{"name": "workspace", "version": "1.0.0", "private": true}' >package.json
npm install --silent --no-audit --no-fund nx@24.0.6 >npm.log
echo '{"analytics": false, "neverConnectToCloud": true}' >nx.json
export NX_DAEMON=false NX_TUI=false NX_NO_CLOUD=true CI=true
for project in folder link; do
  mkdir $project
  echo source >$project/source
  cat >$project/project.json <<JSON
{"name": "$project", "targets": {"build": {
  "command": "mkdir -p dist/$project && cp $project/source dist/$project/app.js && echo it-ran",
  "cache": true, "inputs": ["{projectRoot}/source"], "outputs": ["{workspaceRoot}/dist/$project"]}}}
JSON
done
git init -q .
printf '%s\n' node_modules .nx dist disk '*.log' >.gitignore
mkdir -p dist disk
ln -s ../disk dist/link
run() {
  npx nx run "$1:build" >run.log 2>&1
  local files hit
  hit=$(grep -o '[01]/1 hit' run.log)
  files=$(ls "dist/$1/" | xargs)
  case $hit in 0*) hit="ran, $hit" ;; esac
  echo "$1: $hit, files: ${files:-none}"
}
got=$(
  for project in folder link; do
    run $project
    rm -f dist/$project/app.js
    run $project
  done
)
want='folder: ran, 0/1 hit, files: app.js
folder: 1/1 hit, files: app.js
link: ran, 0/1 hit, files: app.js
link: 1/1 hit, files: none'
echo "$got"; [ "$got" = "$want" ]
