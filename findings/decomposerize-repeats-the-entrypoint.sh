#!/usr/bin/env bash
# Tool: decomposerize 1.4.4 (npm), from compose files to `docker run`.
# Expected: each option arrives in a form that docker takes, or is listed as not
#   convertible.
# Seen: a list as the entry point gives one --entrypoint per word, and docker uses
#   the last one. The list of a health check becomes the shell command
#   "CMD,curl,localhost". A grace period becomes "--stop-timeout 1m30s", but the
#   flag is a number of seconds. $$HOME, the text $HOME, stays $$HOME, which a
#   shell reads as its process id and "HOME".
# Matters: the container starts another program, is marked unhealthy, or the
#   command is refused.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null
npm install --silent --ignore-scripts decomposerize@1.4.4
cat >compose.yaml <<'YAML'
services:
  web:
    image: app
    entrypoint: [sh, -c, serve]
    command: echo $$HOME
    stop_grace_period: 1m30s
    healthcheck: {test: [CMD, curl, localhost]}
YAML
cat >a.mjs <<'JS'
import { readFileSync } from 'fs';
import convert from 'decomposerize';
console.log(convert(readFileSync('compose.yaml', 'utf8')));
JS
got=$(node a.mjs)
want='docker run --entrypoint sh --entrypoint -c --entrypoint serve --stop-timeout 1m30s --health-cmd CMD,curl,localhost app echo $$HOME'
echo "$got"; [ "$got" = "$want" ]
