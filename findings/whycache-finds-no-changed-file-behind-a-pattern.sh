#!/usr/bin/env bash
# Tool: whycache 0.1.0 (PyPI, 2026), which names the file that broke the cache of a build.
#   A stub replaces docker and prints BuildKit's messages.
# Expected: the changed file is found for each form of COPY, or the tool says that it does
#   not know the form.
# Seen: a source is compared with paths as text. For a pattern or the JSON form the tool
#   says that no file changed and that an argument, a secret or the base image is the
#   cause. Output, after package.json changed:
#     COPY package.json ./: package.json
#     COPY package*.json ./: No context file changed
#     COPY ["package.json", "./"]: No context file changed
# Matters: `COPY package*.json ./` is the usual line before `npm ci`. The search for a
#   moved base image begins, and the edit of a dependency was the cause.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv v
v/bin/pip install -q whycache==0.1.0
mkdir bin context; export PATH=$PWD/bin:$PATH HOME=$PWD LOG=$PWD/log
printf '#!/bin/sh\ncat "$LOG" >&2\n' >bin/docker; chmod +x bin/docker
touch context/Dockerfile
build() {
  COPY=$1 python3 - >log <<'PY'
import json, os

steps = ("FROM docker.io/library/node", True), ("WORKDIR /app", True), (os.environ["COPY"], False), ("RUN npm ci", False)
for number, (text, cached) in enumerate(steps, 1):
    times = {key: f"2026-01-01T00:00:0{number + plus}Z" for key, plus in (("started", 0), ("completed", 1))}
    vertex = {"digest": f"sha256:{number}", "name": f"[{number}/4] {text}", "cached": cached, **times}
    print(json.dumps({"vertexes": [vertex]}))
PY
  v/bin/whycache context
}
edit=0
for copy in 'COPY package.json ./' 'COPY package*.json ./' 'COPY ["package.json", "./"]'; do
  for _ in first second; do
    edit=$((edit + 1)); echo "{\"version\": \"$edit\"}" >context/package.json
    build "$copy" >report
  done
  echo "$copy: $(grep -o 'No context file changed\|package.json$' report | tail -1)"
done >got
want='COPY package.json ./: package.json
COPY package*.json ./: No context file changed
COPY ["package.json", "./"]: No context file changed'
cat got; [ "$(cat got)" = "$want" ]
