#!/usr/bin/env bash
# Tool: @devcontainers/cli 0.89.0 (npm, 2026), `read-configuration`. A stub replaces
#   docker and notes which image is asked for.
# Expected: the base image of the last stage is found as the builder finds it.
# Seen: each line that begins with FROM counts, also in a here-document. Continued lines
#   are not joined. Of two build arguments in one ARG only the first has its default.
#   The name of a stage is compared with case, which builders do not do. Output, the
#   image that is asked for:
#     one argument: alpine:3.20
#     two arguments: alpine:3-
#     here-document: query.sql
#     continued line: \
#     stage in capitals: TOOLS
# Matters: the image that is asked for is also pulled, and its user, environment and
#   labels become those of the container. The build of the same file works.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm install --silent --no-audit --no-fund @devcontainers/cli@0.89.0 >npm.log
mkdir -p bin ws/.devcontainer
echo '{"build": {"dockerfile": "Dockerfile"}}' >ws/.devcontainer/devcontainer.json
cat >bin/docker <<'SH'
#!/bin/sh
case "$*" in
  version*) echo 27.0.0 ;;
  -v) echo 'Docker version 27.0.0, build 0' ;;
  'buildx version') echo 'github.com/docker/buildx v0.20.0 0' ;;
  inspect*) for image; do :; done; printf '%s\n' "$image" >>"$IMAGES"
    echo '[{"Id": "sha256:1", "Architecture": "amd64", "Os": "linux", "Config": {"User": "", "Env": [], "Labels": {}}}]' ;;
esac
SH
chmod +x bin/docker; export PATH=$PWD/bin:$PATH IMAGES=$PWD/images
base() { # CASE DOCKERFILE
  rm -f images; printf "$2" >ws/.devcontainer/Dockerfile
  node_modules/.bin/devcontainer read-configuration --workspace-folder ws --include-merged-configuration >out 2>log
  printf '%s: %s\n' "$1" "$(sort -u images)"
}
{
  base 'one argument' 'ARG TAG=3.20\nFROM alpine:$TAG\n'
  base 'two arguments' 'ARG MAJOR=3 MINOR=20\nFROM alpine:$MAJOR-$MINOR\n'
  base here-document 'FROM alpine:3.20\nRUN <<EOF\ncat >/query.sql <<SQL\nSELECT name\nFROM query.sql\nSQL\nEOF\n'
  base 'continued line' 'FROM \\\n  alpine:3.20\n'
  base 'stage in capitals' 'FROM alpine:3.20 AS tools\nFROM TOOLS\n'
} >got
want='one argument: alpine:3.20
two arguments: alpine:3-
here-document: query.sql
continued line: \
stage in capitals: TOOLS'
cat got; [ "$(cat got)" = "$want" ]
