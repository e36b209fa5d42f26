#!/usr/bin/env bash
# Tool: turbo 2.11.11 (npm, 2026), the local cache.
# Expected: outputs that cannot be restored are not stored, or a message says why the
#   task runs again. `--dry=json` and the run agree.
# Seen: outputs with a link out of the repository are stored with the link and
#   refused at each restore, without a message: the run is "cache miss". The plan of
#   the same moment says HIT and how much time that saves. A link inside the
#   repository is restored. Output of plan, run and exit status, one line per output:
#     link inside: HIT, cache hit, 0
#     virtual environment: HIT, cache miss, 0
#     virtual environment: HIT, cache miss, 0
# Matters: `python -m venv` makes such a link to the interpreter. A task that has one
#   in its outputs is built each time, is uploaded each time, and looks cached in each
#   report that is made from the plan.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
export TURBO_TELEMETRY_DISABLED=1 DO_NOT_TRACK=1
mkdir -p repo/a; cd repo; git init -q
echo '{"name": "r", "private": true, "packageManager": "npm@11.0.0", "workspaces": ["a"]}' >package.json
echo '{"name": "a", "version": "1.0.0", "scripts": {"build": "sh build.sh"}}' >a/package.json
echo '{"tasks": {"build": {"outputs": ["dist/**"]}}}' >turbo.json
printf 'dist\n.turbo\nnode_modules\n' >.gitignore
npm install --silent --no-audit --no-fund --save-dev turbo@2.11.11 >../npm.log
turbo() { node_modules/.bin/turbo run build "$@" 2>&1; }
again() {
  plan=$(turbo --dry=json | grep -o '"status": "[A-Z]*"' | cut -d '"' -f 4)
  rm -rf a/dist
  status=0; turbo >run.log || status=$?
  echo "$1: $plan, $(grep -o 'cache \(hit\|miss\)' run.log), $status"
}
{
  echo 'rm -rf dist; mkdir dist; echo 1 >dist/b; ln -s "$PWD/dist/b" dist/link' >a/build.sh
  turbo >first.log; again 'link inside'
  echo 'rm -rf dist; python3 -m venv --without-pip dist/venv' >a/build.sh
  turbo >first.log; again 'virtual environment'; again 'virtual environment'
} >got
want='link inside: HIT, cache hit, 0
virtual environment: HIT, cache miss, 0
virtual environment: HIT, cache miss, 0'
cat got
if grep -i warn run.log; then exit 1; fi
[ "$(cat got)" = "$want" ]
